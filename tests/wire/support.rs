//! Two ends of a connection in one process, over a loopback socket.

#![allow(dead_code)] // each module uses a part of it

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{Algorithm, PrivateKey, PublicKeyOrCertificate};
use russh::server::Auth;
use russh::{Channel, ChannelId, ChannelMsg, Preferred, cipher, client, compression, kex, mac, server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
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

// ---- by hand ----

/// A string as it stands in a packet.
pub(crate) fn string(text: &str) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

/// Sends a packet with this payload, which nothing encrypts.
pub(crate) async fn send(stream: &mut TcpStream, payload: &[u8]) {
    let padding = 4 + (8 - (4 + 1 + payload.len() + 4) % 8) % 8;
    let mut packet = u32::try_from(1 + payload.len() + padding).unwrap().to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).unwrap());
    packet.extend(payload);
    packet.resize(packet.len() + padding, 0);
    stream.write_all(&packet).await.unwrap();
}

/// The payload of the next packet.
pub(crate) async fn read(stream: &mut TcpStream) -> Vec<u8> {
    within("a packet", async {
        let length = stream.read_u32().await.unwrap();
        let mut packet = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut packet).await.unwrap();
        let padding = usize::from(packet[0]);
        packet[1..packet.len() - padding].to_vec()
    })
    .await
}

/// Nothing that encrypts.
pub(crate) fn unencrypted() -> Preferred {
    Preferred {
        kex: Cow::Borrowed(&[kex::NONE]),
        key: Cow::Borrowed(&[Algorithm::Ed25519]),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Borrowed(&[cipher::NONE]),
        mac: Cow::Borrowed(&[mac::NONE]),
        compression: Cow::Borrowed(&[compression::NONE]),
    }
}

/// One side of a key exchange that is none, until the other side's new keys, which a client does not want in return.
pub(crate) async fn exchange(stream: &mut TcpStream) {
    stream.write_all(b"SSH-2.0-plain\r\n").await.unwrap();
    while within("a line", stream.read_u8()).await.unwrap() != b'\n' {}
    let lists = ["none", "ssh-ed25519", "none", "none", "none", "none", "none", "none", "", ""];
    let mut kexinit = vec![20];
    kexinit.extend([0; 16]);
    kexinit.extend(lists.iter().flat_map(|list| string(list)));
    kexinit.extend([0; 5]);
    assert_eq!(read(stream).await[0], 20);
    send(stream, &kexinit).await;
    assert_eq!(read(stream).await, [21]);
}

/// A client of this server without any encryption, past the key exchange.
pub(crate) async fn plain<H>(config: server::Config, host: H) -> TcpStream
where
    H: server::Handler<Error = russh::Error> + Send + 'static,
{
    let (mut near, far) = sockets().await;
    tokio::spawn(async move {
        let config = Arc::new(server::Config { preferred: unencrypted(), ..config });
        if let Ok(running) = server::run_stream(config, far, host).await {
            let _ = running.await;
        }
    });
    exchange(&mut near).await;
    send(&mut near, &[21]).await;
    near
}
