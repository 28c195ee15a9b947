//! Two ends of a connection in one process, over a loopback socket.

#![allow(dead_code)] // each module uses a part of it

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKeyOrCertificate};
use russh::server::Auth;
use russh::{Channel, ChannelId, ChannelMsg, client, server};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// No test waits for time to pass; this is how long one waits for something
/// that ought to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

pub(crate) fn server_config() -> server::Config {
    server::Config {
        keys: vec![key(1)],
        auth_rejection_time: Duration::ZERO,
        inactivity_timeout: None,
        nodelay: true,
        ..server::Config::default()
    }
}

pub(crate) fn client_config() -> client::Config {
    client::Config { inactivity_timeout: None, nodelay: true, ..client::Config::default() }
}

/// A client that trusts every host.
pub(crate) struct Guest;

impl client::Handler for Guest {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// A server that lets everyone in and hands every session channel over.
pub(crate) struct Host {
    pub(crate) channels: UnboundedSender<Channel<server::Msg>>,
}

impl server::Handler for Host {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<server::Msg>,
        reply: server::ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        let _ = self.channels.send(channel);
        Ok(())
    }
}

pub(crate) async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (one, other) = tokio::join!(TcpStream::connect(address), listener.accept());
    (one.unwrap(), other.unwrap().0)
}

/// A connection that is past the key exchange, and nobody signed in.
pub(crate) async fn connect<H>(
    server: server::Config,
    client: client::Config,
    host: H,
) -> (client::Handle<Guest>, server::RunningSession<H>)
where
    H: server::Handler<Error = russh::Error> + Send + 'static,
{
    let (near, far) = sockets().await;
    let (running, guest) =
        tokio::join!(server::run_stream(Arc::new(server), far, host), client::connect_stream(Arc::new(client), near, Guest),);
    (guest.unwrap(), running.unwrap())
}

/// Both ends of a connection that `auth_none` has let in.
pub(crate) struct Pair {
    pub(crate) client: client::Handle<Guest>,
    pub(crate) server: server::Handle,
    pub(crate) accepted: UnboundedReceiver<Channel<server::Msg>>,
}

impl Pair {
    pub(crate) async fn new(server: server::Config, client: client::Config) -> Self {
        let (channels, accepted) = unbounded_channel();
        let (client, server) = connect_in(server, client, Host { channels }).await;
        Self { client, server, accepted }
    }

    /// A session channel: the client's end and the server's.
    pub(crate) async fn open(&mut self) -> (Channel<client::Msg>, Channel<server::Msg>) {
        let near = within("open", self.client.channel_open_session()).await.unwrap();
        let far = within("accept", self.accepted.recv()).await.unwrap();
        (near, far)
    }
}

pub(crate) async fn connect_in<H>(server: server::Config, client: client::Config, host: H) -> (client::Handle<Guest>, server::Handle)
where
    H: server::Handler<Error = russh::Error> + Send + 'static,
{
    let (mut guest, running) = within("connect", connect(server, client, host)).await;
    let signed_in = within("sign in", guest.authenticate_none("guest")).await;
    assert!(signed_in.unwrap().success());
    let handle = running.handle();
    // A session that ends early is seen by the client of the test.
    tokio::spawn(async move {
        let _ = running.await;
    });
    (guest, handle)
}

/// The next message that is not about the window.
pub(crate) async fn next<M>(channel: &mut Channel<M>) -> Option<ChannelMsg>
where
    M: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
{
    loop {
        match within("a message", channel.wait()).await {
            Some(ChannelMsg::WindowAdjusted { .. }) => {}
            msg => return msg,
        }
    }
}
