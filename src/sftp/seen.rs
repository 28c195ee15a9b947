//! What was seen: operations on files with their ends, never a byte of their content.

use std::fmt;
use std::time::Duration;

/// The most bytes of a path that are kept.
pub(super) const TEXT_MAX: usize = 4096;

/// A text of a stranger, as bytes: a path, a file's name. At most 4,096 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    bytes: Box<[u8]>,
    cut: bool,
}

impl Text {
    /// The first 4,096 bytes of `bytes`; `cut` says that more was left out before.
    pub(super) fn new(bytes: &[u8], cut: bool) -> Self {
        let kept = bytes.get(..TEXT_MAX).unwrap_or(bytes);
        Self { bytes: kept.into(), cut: cut || kept.len() < bytes.len() }
    }

    /// Whether it was longer than what is kept.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// Its length in bytes, as kept.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.bytes))
    }
}

/// Which way a file went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the host.
    ToHost,
    /// From the host to the client.
    FromHost,
}

impl Direction {
    /// `to host` or `from host`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ToHost => "to host",
            Self::FromHost => "from host",
        }
    }
}

/// Who says something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client.
    Client,
    /// The host.
    Host,
}

impl Side {
    /// `client` or `host`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Host => "host",
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A file was read, from its opening to its closing.
    Read,
    /// A file was written, from its opening to its closing.
    Written,
    /// A file was copied by the host itself.
    Copied,
    /// A file or directory got another name.
    Renamed,
    /// A file was removed.
    Removed,
    /// A symbolic link was made.
    Symlinked,
    /// A hard link was made.
    Hardlinked,
    /// Mode, owner, size or times were set.
    Changed,
    /// A directory was opened to be listed; the names in it are not told.
    Listed,
    /// A directory was made.
    MadeDirectory,
    /// A directory was removed.
    RemovedDirectory,
}

/// How it came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The host said that it was done.
    Done,
    /// The host said no: in words, with its own where they say more.
    Failed(String),
    /// The channel ended first.
    Aborted,
    /// It went on, but was not followed to its end: see [`Unreadable`].
    Unseen,
}

/// An operation that came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What was done.
    pub act: Act,
    /// On which path, as the client wrote it: a relative one begins where the account's session begins.
    pub path: Text,
    /// The other path: of a rename or a copy the new one, of a link what it leads to.
    pub to: Option<Text>,
    /// Of scp: the name that the sender gave, with the directories that it is in; below `path` or `path` itself.
    pub name: Option<Text>,
    /// Bytes of content that passed, of reads and writes.
    pub bytes: Option<u64>,
    /// SHA-256 of the content, only if it passed whole and in order and came out well.
    pub sha256: Option<[u8; 32]>,
    /// Whether the content passed in order, from the first byte on.
    pub sequential: Option<bool>,
    /// Whether all of the file passed, as far as can be told.
    pub whole: Option<bool>,
    /// What was set, of [`Act::Changed`].
    pub changes: Option<String>,
    /// From the request to the answer; of reads and writes from the opening to the closing.
    pub took: Duration,
    /// How it came out.
    pub end: End,
}

impl Seen {
    /// One with nothing but its path.
    pub(super) fn new(act: Act, path: Text, end: End) -> Self {
        Self {
            act,
            path,
            to: None,
            name: None,
            bytes: None,
            sha256: None,
            sequential: None,
            whole: None,
            changes: None,
            took: Duration::ZERO,
            end,
        }
    }
}

/// Where and why a stream could not be followed any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Whose stream.
    pub side: Side,
    /// After so many bytes of it.
    pub at: u64,
    /// Why, as a clause.
    pub why: String,
}
