//! Channels of a host that lead further: to an address that it reaches, to a socket that it has. Decides nothing.

use russh::ChannelOpenFailure;

use super::connection::{Connection, HostChannel};
use crate::model::Destination;

impl Connection {
    /// Opens a channel to `to` (RFC 4254 §7.2; OpenSSH's `PROTOCOL`, 2.4). Waits as long as the host takes to connect.
    ///
    /// # Errors
    /// The host's own reason, to be passed on as it is.
    pub async fn open_forward(&self, to: &Destination) -> Result<HostChannel, ChannelOpenFailure> {
        let opened = match to {
            Destination::Address { host, port, originator, originator_port } => {
                self.handle.channel_open_direct_tcpip(host.as_str(), *port, originator.as_str(), *originator_port).await
            }
            Destination::Socket { path } => self.handle.channel_open_direct_streamlocal(path.as_str()).await,
        };
        opened.map_err(|e| match e {
            russh::Error::ChannelOpenFailure(reason) => reason,
            _ => ChannelOpenFailure::ConnectFailed,
        })
    }
}
