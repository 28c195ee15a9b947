//! A person's terminal at the end of a stream: bytes → keys, frames → escape sequences, texts → the columns there are. Reads and writes no stream itself, asks the
//! terminal nothing, and knows nothing of what is shown.

mod ansi;
mod fit;
mod keys;

pub use ansi::{ENTER, LEAVE, Screen};
pub use fit::{columns, cut, folded, short};
pub use keys::{Key, Keys};
