//! File transfers, understood as they pass: SFTP version 3 (draft-ietf-secsh-filexfer-02 with OpenSSH's extensions) and the
//! old protocol of scp. Looks at copies of both streams, keeps paths and sums and nothing of a file's content; alters
//! nothing, asks nobody, and has no clock of its own.

mod answers;
mod fields;
mod flow;
mod frames;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod program;
mod requests;
mod scp;
mod seen;
mod tap;

#[cfg(test)]
mod tests;

pub use program::{Program, recognise};
pub use scp::ScpTap;
pub use seen::{Act, Direction, End, Seen, Side, Text, Unreadable};
pub use tap::Tap;
