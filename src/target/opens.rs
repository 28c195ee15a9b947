//! What a host asks the broker to open: connections to its listening ports, the person's agent, the person's screen. Passes it on to
//! whoever asked the host for it, and opens nothing itself; whatever nobody takes is refused.

use russh::{ChannelOpenFailure, client};
use tokio::sync::mpsc;

use super::connection::HostChannel;
use crate::model::DESTINATION_MOST;

/// How many of them wait until somebody looks; more are refused.
const WAITING: usize = 128;

/// A channel that a host wants to open (RFC 4254 §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostOpens {
    /// Somebody came to a port that the host listens on (RFC 4254 §7.2).
    Tcp {
        /// The address that was connected to, in the host's words.
        address: String,
        /// The port that was connected to.
        port: u32,
        /// Who came.
        originator: String,
        /// From which port.
        originator_port: u32,
    },
    /// Somebody came to a socket that the host listens on (OpenSSH's PROTOCOL §2.4).
    Socket {
        /// The path of the socket.
        path: String,
    },
    /// A program on the host asks the person's agent (OpenSSH's PROTOCOL.agent).
    Agent,
    /// A program on the host opens a window (RFC 4254 §6.3.2).
    Screen {
        /// Who came.
        originator: String,
        /// From which port.
        originator_port: u32,
    },
    /// Anything else, by its name: it is refused already.
    Other(String),
}

impl HostOpens {
    /// The bytes of its longest text.
    fn longest(&self) -> usize {
        match self {
            Self::Tcp { address, originator, .. } => address.len().max(originator.len()),
            Self::Socket { path } => path.len(),
            Self::Screen { originator, .. } => originator.len(),
            Self::Agent | Self::Other(_) => 0,
        }
    }

    /// The type of the channel as it is on the wire.
    pub fn name(&self) -> &str {
        match self {
            Self::Tcp { .. } => "forwarded-tcpip",
            Self::Socket { .. } => "forwarded-streamlocal@openssh.com",
            Self::Agent => "auth-agent@openssh.com",
            Self::Screen { .. } => "x11",
            Self::Other(name) => name,
        }
    }
}

/// One of them, at the door. Dropped, it is refused.
pub struct AtDoor {
    /// What it wants.
    pub opens: HostOpens,
    /// The channel, and what accepts or rejects it; `None`: it was refused.
    pub door: Option<(HostChannel, client::ChannelOpenHandle)>,
}

impl std::fmt::Debug for AtDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AtDoor").field("opens", &self.opens).finish_non_exhaustive()
    }
}

/// The door of one connection.
#[derive(Clone, Debug)]
pub(super) struct Doorbell(mpsc::Sender<AtDoor>);

impl Doorbell {
    /// A door, and who looks at it. Dropping the receiver refuses everything.
    pub(super) fn new() -> (Self, mpsc::Receiver<AtDoor>) {
        let (ring, rings) = mpsc::channel(WAITING);
        (Self(ring), rings)
    }

    /// Never waits: what nobody can take now is refused, and so is what no client would be told.
    pub(super) fn ring(&self, opens: HostOpens, channel: HostChannel, reply: client::ChannelOpenHandle) {
        if opens.longest() > DESTINATION_MOST {
            return;
        }
        let _ = self.0.try_send(AtDoor { opens, door: Some((channel, reply)) });
    }

    /// Refuses what is never opened, and tells it.
    pub(super) async fn refuse(&self, name: &str, reply: client::ChannelOpenHandle) {
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        self.tell(name);
    }

    /// Tells of what was refused.
    pub(super) fn tell(&self, name: &str) {
        let _ = self.0.try_send(AtDoor { opens: HostOpens::Other(crate::model::printable(name, 80)), door: None });
    }
}
