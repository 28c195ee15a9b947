//! The stream to a host: TCP, or a forwarding through a jump host (`direct-tcpip`, RFC 4254 §7.2), whose connection is used for nothing
//! else. What is sent through it is only taken when the jump host's window has room: backpressure reaches the far end. Says nothing of
//! its own to either host.

use std::net::{IpAddr, SocketAddr};

use russh::client;
use russh::{ChannelOpenFailure, ChannelStream};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::either::Either;

use super::config::Config;
use super::connection::Connection;
use super::error::Error;
use super::preamble::Preamble;
use crate::model::{Address, printable};

/// A stream to a host, however it is reached, from the host's version line on.
pub(super) type Line = Preamble<Either<TcpStream, ChannelStream<client::Msg>>>;

/// A stream with what is known of its ends.
pub(super) struct Wire {
    pub(super) line: Line,
    /// The address that the broker connected to; a jump host does not tell it.
    pub(super) peer: Option<SocketAddr>,
    /// The address from which the host sees the broker; behind a jump host it sees that one.
    pub(super) local: Option<IpAddr>,
}

/// Connects to an address, from here or from a jump host.
pub(super) async fn wire(config: &Config, address: &Address, jump: Option<&Connection>) -> Result<Wire, Error> {
    let Some(jump) = jump else {
        let (stream, peer) = super::dial::connect(config, address).await?;
        let local = stream.local_addr().map_err(|error| Error::Unreachable { address: address.clone(), error })?.ip();
        return Ok(Wire { line: Preamble::new(Either::Left(stream)), peer: Some(peer), local: Some(local) });
    };
    let beyond = |why: String| Error::Beyond { address: address.clone(), jump: jump.host().clone(), why };
    // The originator is where the forwarded connection comes from (RFC 4254 §7.2): the broker itself.
    let opening = jump.handle.channel_open_direct_tcpip(address.host.as_str(), u32::from(address.port), "127.0.0.1", 0);
    match timeout(config.connect_timeout, opening).await {
        Ok(Ok(channel)) => Ok(Wire { line: Preamble::new(Either::Right(channel.into_stream())), peer: None, local: None }),
        Ok(Err(russh::Error::ChannelOpenFailure(reason))) => Err(beyond(words(&reason))),
        Ok(Err(e)) => Err(beyond(e.to_string())),
        Err(_) => Err(Error::TimedOut { address: address.clone(), step: "TCP connection", limit: config.connect_timeout }),
    }
}

/// Why the jump host opened nothing, in its own words where it has some.
fn words(reason: &ChannelOpenFailure) -> String {
    match reason {
        ChannelOpenFailure::AdministrativelyProhibited => "it does not forward there (administratively prohibited)".to_owned(),
        ChannelOpenFailure::ConnectFailed => "the connection failed".to_owned(),
        ChannelOpenFailure::UnknownChannelType => "it knows no forwarding".to_owned(),
        ChannelOpenFailure::ResourceShortage => "it has no resources left".to_owned(),
        ChannelOpenFailure::Other { code: 1, reason } => format!("it does not forward there ({})", printable(reason, 200)),
        ChannelOpenFailure::Other { reason, .. } => printable(reason, 200),
    }
}
