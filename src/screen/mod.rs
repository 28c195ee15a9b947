//! A person's terminal at the end of a stream: bytes → keys, frames → escape sequences. Reads and writes no stream itself, asks the
//! terminal nothing, and knows nothing of what is shown.

mod ansi;
mod keys;

pub use ansi::{ENTER, LEAVE, Screen};
pub use keys::{Key, Keys};
