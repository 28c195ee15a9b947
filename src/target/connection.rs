//! One authenticated connection to a host: opens channels, says when it is gone. Dropping it closes it.

use std::sync::Arc;

use russh::{Channel, ChannelOpenFailure, Disconnect, client};

use super::announced::Announced;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::error::ProvenKey;
use super::handler::HostHandler;
use crate::model::Name;

/// How often, and how long apart, it is looked whether a jump host is gone.
const LOOKS: u32 = 10;
const LOOK: std::time::Duration = std::time::Duration::from_millis(20);
use super::opens::AtDoor;

/// A channel on a host.
pub type HostChannel = Channel<client::Msg>;

/// An authenticated connection.
pub struct Connection {
    pub(super) handle: Arc<client::Handle<HostHandler>>,
    pub(super) key: ProvenKey,
    pub(super) method: &'static str,
    pub(super) announced: Option<Announced>,
    pub(super) host: Name,
    pub(super) algorithms: String,
    /// The connection to the jump host that this one goes through. Nobody else uses it, and it ends with this one.
    pub(super) jump: Option<Box<Connection>>,
    pub(super) opens: Option<mpsc::Receiver<AtDoor>>,
    /// Cancelled when it is closed: what is still asked of the host beside the session ends then.
    pub(super) over: CancellationToken,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.over.cancel();
    }
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

    /// Asks the host for something that belongs to no channel (RFC 4254 §4). Its answer is what follows a success; `None`: it
    /// refused, or is gone.
    pub async fn ask(&self, name: &str, data: &[u8]) -> Option<Vec<u8>> {
        self.handle.send_global_request(name, data, true).await.ok().flatten().map(|answer| answer.to_vec())
    }

    /// Tells the host something that belongs to no channel; it gives no answer.
    pub async fn tell(&self, name: &str, data: &[u8]) {
        let _ = self.handle.send_global_request(name, data, false).await;
    }

    /// What the host wants to open from now on; once. Nobody's while nobody has taken it: then it is refused.
    pub fn take_opens(&mut self) -> Option<mpsc::Receiver<AtDoor>> {
        self.opens.take()
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// The key that the host proved.
    pub fn key(&self) -> &ProvenKey {
        &self.key
    }

    /// The keys that the host will announce; `None` if somebody has taken them.
    pub fn announced(&mut self) -> Option<Announced> {
        self.announced.take()
    }

    /// By which method the sign-in succeeded.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The host's name.
    pub fn host(&self) -> &Name {
        &self.host
    }

    /// The jump host that it goes through.
    pub fn through(&self) -> Option<&Name> {
        self.jump.as_deref().map(Self::host)
    }

    /// Key exchange, host key, cipher and MAC as they were negotiated.
    pub fn algorithms(&self) -> &str {
        &self.algorithms
    }

    /// Why the connection is gone, in a sentence: it may be the one to a jump host that broke off, which is seen a moment later.
    pub async fn lost(&self) -> String {
        for _ in 0..LOOKS {
            if self.jump.is_none() || self.lost_jump().is_some() {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
        match self.lost_jump() {
            Some(jump) => format!("the connection to jump host {} broke off", jump.host),
            None => "the connection to the host broke off".to_owned(),
        }
    }

    /// The jump host whose connection is gone; the one nearest to the broker takes the others with it.
    fn lost_jump(&self) -> Option<&Self> {
        let (mut lost, mut at) = (None, self.jump.as_deref());
        while let Some(jump) = at {
            lost = Some(jump).filter(|jump| jump.is_closed()).or(lost);
            at = jump.jump.as_deref();
        }
        lost
    }

    /// Says goodbye to the host, and then to each jump host on the way; they see an orderly end.
    pub async fn close(&self) {
        let mut at = Some(self);
        while let Some(connection) = at {
            connection.over.cancel();
            let _ = connection.handle.disconnect(Disconnect::ByApplication, "closed by the broker", "en").await;
            at = connection.jump.as_deref();
        }
    }
}
