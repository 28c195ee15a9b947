//! Lets `fuzz/` reach what reads a host's words in clear. Connects nowhere, and is in no build that is run.

use super::{offers, preamble};

/// How many names the lists hold that are read of a host's first packet.
pub fn offered(packet: &[u8]) -> Option<usize> {
    offers::named(packet)
}

/// Where, in what a host says in these pieces, its version begins; `None`: not yet.
///
/// # Errors
/// It says more before than is listened to.
pub fn version_in(pieces: &[&[u8]]) -> std::io::Result<Option<usize>> {
    preamble::version_in(pieces)
}
