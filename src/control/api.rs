//! A call from the outside: who asks, with which secrets, and what comes back. Owned values that travel; never a handle.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::view::Data;
use crate::fault::Kind;
use crate::model::{Name, UserId};
use crate::secret::Secret;

/// Through which door a caller came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The unix socket: the person is the one whose uid the kernel named.
    Local,
    /// The ssh console: the person is the one whose key signed in.
    Ssh,
}

/// Who asks. The person's row is read anew at every call; nothing of it is kept here.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The person.
    pub user: UserId,
    /// The fingerprint of the key that signed in this connection; `None` where only the kernel vouches for a uid.
    pub key: Option<String>,
    /// The door.
    pub door: Door,
    /// The client's address, where there is one.
    pub client: Option<SocketAddr>,
    /// The workspace that is meant.
    pub workspace: Name,
}

/// The secrets of one call. They travel beside the command in frames of their own and are wiped when this is dropped.
#[derive(Debug, Default)]
pub struct Secrets {
    /// A password or a private key.
    pub material: Option<Secret>,
    /// The passphrase of an encrypted private key.
    pub passphrase: Option<Secret>,
}

impl Secrets {
    /// For a verb that takes none.
    pub fn none() -> Self {
        Self::default()
    }
}

/// What comes back: the data, one sentence on what was done, and notes that belong on standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// What was asked for, or the thing that was changed as it is now.
    pub data: Data,
    /// `host web-1 added`, for a verb that changes something.
    pub done: Option<String>,
    /// What the caller should know besides.
    pub notes: Vec<String>,
}

impl Reply {
    /// Data, and nothing to say about it.
    pub fn of(data: Data) -> Self {
        Self { data, done: None, notes: Vec::new() }
    }

    /// Something was changed.
    pub fn done(data: Data, sentence: impl Into<String>) -> Self {
        Self { data, done: Some(sentence.into()), notes: Vec::new() }
    }

    /// With a note.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }
}

/// An error as it travels to whoever asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Whose fault.
    pub kind: Kind,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}
