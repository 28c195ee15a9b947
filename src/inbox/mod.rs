//! The inbox: a full screen on which a person sees what waits, reads all of it and decides. Holds no right: what it asks of the
//! desk, the desk decides; and nothing that was not on the screen is approved from here.
//!
//! [`App`] is pure: keys, answers and moments go in, [`Effect`]s come out, and a frame can be drawn at any time. [`run`] puts it
//! on a stream. What stands between a glance and an approval:
//!
//! * every row that says what would happen comes before a rule, `end of what would run`; the rule has to have been on the
//!   screen, for half a second, before `A` is taken. Who jumped over rows has to type a word.
//! * `A` only asks; the question names host and digest, and has to be on the screen for a moment before `y` counts. Keys that
//!   were typed ahead, or pasted, find no question.
//! * the digest that was drawn is what is sent. What changes meanwhile closes the question.

mod app;
mod ask;
mod detail;
mod door;
mod draw;
mod drive;
mod editor;
mod list;
mod sheet;
#[cfg(test)]
mod tests;

pub use app::{App, Effect, Look};
pub use door::{DeskDoor, Door};
pub use drive::{Left, run};
