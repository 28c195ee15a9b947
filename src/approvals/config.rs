//! The limits of proposals, each a key of `[approvals]` in `broker.toml`.

use std::time::Duration;

/// Limits, each a key of `[approvals]` in `broker.toml`.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a proposal waits for its person.
    pub expires: Duration,
    /// How long a command may run if the agent does not say.
    pub timeout: Duration,
    /// The longest that it may say.
    pub longest: Duration,
    /// The longest command, in bytes.
    pub command: usize,
    /// The longest standard input, in bytes.
    pub stdin: usize,
    /// The most steps of a plan.
    pub steps: usize,
    /// Proposals that may wait for one person at once.
    pub pending_per_person: usize,
    /// How long output can be read after a command has ended.
    pub keep: Duration,
    /// How much output of ended commands is kept, in bytes.
    pub keep_bytes: u64,
    /// The most times in one allowance.
    pub again: u32,
    /// The longest allowance.
    pub again_within: Duration,
    /// Whether every approval needs a signature.
    pub require_signature: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            expires: Duration::from_secs(600),
            timeout: Duration::from_secs(600),
            longest: Duration::from_secs(24 * 3600),
            command: 64 * 1024,
            stdin: 256 * 1024,
            steps: 32,
            pending_per_person: 64,
            keep: Duration::from_secs(900),
            keep_bytes: 64 * 1024 * 1024,
            again: 100,
            again_within: Duration::from_secs(8 * 3600),
            require_signature: false,
        }
    }
}
