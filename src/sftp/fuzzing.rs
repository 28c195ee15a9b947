//! Lets `fuzz/` make texts as long as any, and measure those that are read. Follows no channel, and is in no build that is run.

use super::seen::TEXT_MAX;
use super::{Direction, ScpTap, Text, recognise};

/// The most bytes of a text.
pub const LONGEST: usize = TEXT_MAX;

/// A tap of the old scp with a path as long as any.
pub fn scp(direction: Direction) -> ScpTap {
    ScpTap::new(direction, Some(Text::new(&[b'p'; TEXT_MAX], false)))
}

/// How many bytes the path has that this command names.
pub fn path_of(command: &[u8]) -> Option<usize> {
    Some(recognise(command)?.path?.len())
}
