//! One authenticated connection to a host: opens channels, says when it is gone. Dropping it closes it.

use russh::{Channel, ChannelOpenFailure, Disconnect, client};

use super::error::ProvenKey;
use super::handler::HostHandler;

/// A channel on a host.
pub type HostChannel = Channel<client::Msg>;

/// An authenticated connection.
pub struct Connection {
    pub(super) handle: client::Handle<HostHandler>,
    pub(super) key: ProvenKey,
    pub(super) method: &'static str,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("key", &self.key.fingerprint).field("method", &self.method).finish_non_exhaustive()
    }
}

impl Connection {
    /// Opens a session channel (RFC 4254 §6.1).
    ///
    /// # Errors
    /// The host's own reason, to be passed on as it is.
    pub async fn open_session(&self) -> Result<HostChannel, ChannelOpenFailure> {
        self.handle.channel_open_session().await.map_err(|e| match e {
            russh::Error::ChannelOpenFailure(reason) => reason,
            _ => ChannelOpenFailure::ConnectFailed,
        })
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// The key that the host proved.
    pub fn key(&self) -> &ProvenKey {
        &self.key
    }

    /// By which method the sign-in succeeded.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// Says goodbye to the host; it sees an orderly end.
    pub async fn close(&self) {
        let _ = self.handle.disconnect(Disconnect::ByApplication, "closed by the broker", "en").await;
    }
}
