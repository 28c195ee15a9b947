//! What a session counts while it runs.

use std::sync::atomic::{AtomicU64, AtomicUsize};

/// Shared by all channels of a session.
#[derive(Debug, Default)]
pub struct Counters {
    /// Bytes of channel data from the client to the host.
    pub bytes_in: AtomicU64,
    /// Bytes of channel data from the host to the client.
    pub bytes_out: AtomicU64,
    /// Channels that are open.
    pub channels: AtomicUsize,
    /// Channels that were ever open.
    pub channels_opened: AtomicUsize,
    /// Bytes of file transfers, of all channels, that wait to be looked at.
    pub looked_at: AtomicUsize,
}
