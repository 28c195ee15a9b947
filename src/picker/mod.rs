//! The picker: a full screen on which a person finds the host that they want among those that they may use. Holds no right and
//! connects nothing: it says what was chosen, and whoever connects decides.
//!
//! [`Picker`] is pure: hosts, keys and moments go in, [`Wish`]es come out, and a frame can be drawn at any time. What keeps a key from
//! choosing what its person did not mean:
//!
//! * what is chosen is a host and not a row: rows that come and go under the hand change nothing, and where the chosen host goes,
//!   nothing is chosen any more.
//! * a paste only filters, whatever it holds.
//! * after a connection that failed only Escape, Enter and Left lead back to the list, half a second after the sentence was on the
//!   screen, and ^C and ^D leave at any time: what was typed for the host chooses no other one.

mod app;
mod draw;
mod entry;
mod list;
#[cfg(test)]
mod tests;

pub use app::{Picker, Target, Wish};
