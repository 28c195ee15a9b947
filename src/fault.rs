//! Whose fault an error is and what to do about it. Every room's error answers both; no room's error is a string.

/// What kind of failure it is. Each door has one table from this to its own protocol (`cli/fail.rs` for exit statuses).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The words of the call are wrong.
    Usage,
    /// What was given is malformed or cannot be taken.
    Invalid,
    /// There is no such thing, or not for this caller: both get the same answer.
    NotFound,
    /// It exists already, or it is in use.
    Conflict,
    /// The caller may not do that.
    Forbidden,
    /// A passphrase is needed to read the key that was given.
    PassphraseNeeded,
    /// The other side (a host, a client) refused or broke off.
    Refused,
    /// It did not happen in time.
    TimedOut,
    /// A limit with a name in `broker.toml` was reached.
    Limit,
    /// The daemon cannot do it now: full disk, draining, not started.
    Unavailable,
    /// Stored data does not verify: somebody or something changed it.
    Tampered,
    /// A defect of Keyward.
    Bug,
}

/// What every error of every room can say.
pub trait Fault: std::error::Error {
    /// Whose fault it is.
    fn kind(&self) -> Kind;
    /// What to do: a command or a sentence that can be followed as it stands.
    fn hint(&self) -> Option<String> {
        None
    }
}
