//! Sessions as they are recorded.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{CredentialId, HostId, SessionId, UserId};
use crate::clock::Time;

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The person's client closed it.
    ClientClosed,
    /// The client's connection broke off.
    ClientLost,
    /// The host closed or broke off its connection.
    HostLost,
    /// The host could not be reached.
    Unreachable,
    /// The host's key is not the pinned one, or none is pinned.
    HostKey,
    /// The host refused the credential.
    Refused,
    /// The vault or the audit log could not do its part.
    Broker,
    /// A permission was withdrawn or ran out.
    Withdrawn,
    /// A limit on duration or idleness was reached.
    Limit,
    /// Somebody ended it with `session end`.
    Ended,
    /// The daemon stopped.
    Shutdown,
    /// The vault was sealed.
    Sealed,
    /// The daemon died while it ran; found at the next start.
    Crashed,
    /// What it was opened for is done.
    Done,
}

impl EndReason {
    const ALL: [(Self, &'static str); 14] = [
        (Self::ClientClosed, "client_closed"),
        (Self::ClientLost, "client_lost"),
        (Self::HostLost, "host_lost"),
        (Self::Unreachable, "unreachable"),
        (Self::HostKey, "host_key"),
        (Self::Refused, "refused"),
        (Self::Broker, "broker"),
        (Self::Withdrawn, "withdrawn"),
        (Self::Limit, "limit"),
        (Self::Ended, "ended"),
        (Self::Shutdown, "shutdown"),
        (Self::Sealed, "sealed"),
        (Self::Crashed, "crashed"),
        (Self::Done, "done"),
    ];

    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(r, _)| *r == self).map_or("", |(_, word)| word)
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for EndReason {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().find(|(_, word)| *word == text).map(|(r, _)| *r).ok_or(())
    }
}

/// A session as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Who opened it.
    pub user: UserId,
    /// To which host.
    pub host: HostId,
    /// With which credential; `None` if it was refused before one was chosen.
    pub credential: Option<CredentialId>,
    /// The client's address and port.
    pub client: String,
    /// When it was opened.
    pub started_at: Time,
    /// When it ended; `None` while it lives.
    pub ended_at: Option<Time>,
    /// Why it ended.
    pub end_reason: Option<EndReason>,
    /// The exit status of its last channel that had one.
    pub exit_status: Option<u32>,
    /// Bytes of channel data from the client to the host.
    pub bytes_in: u64,
    /// Bytes of channel data from the host to the client.
    pub bytes_out: u64,
}
