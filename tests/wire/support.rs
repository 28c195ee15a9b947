//! Two ends of a connection in one process, over a loopback socket.

#![allow(dead_code)] // each module uses a part of it

use std::borrow::Cow;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{Algorithm, PrivateKey, PublicKey, PublicKeyOrCertificate};
use russh::server::Auth;
use russh::{Channel, ChannelId, ChannelMsg, Preferred, cipher, client, compression, kex, mac, server};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
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

/// A client that trusts every host and tells which keys it announces.
pub(crate) struct Learns(pub(crate) UnboundedSender<Vec<PublicKey>>);

impl client::Handler for Learns {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }

    async fn openssh_ext_host_keys_announced(&mut self, keys: Vec<PublicKey>, _: &mut client::Session) -> Result<(), Self::Error> {
        let _ = self.0.send(keys);
        Ok(())
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

/// A stream that counts how often something was read from it and written to it.
pub(crate) struct Counted {
    stream: TcpStream,
    counts: Arc<Counts>,
}

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) reads: AtomicUsize,
    pub(crate) writes: AtomicUsize,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.counts.reads.fetch_add(usize::from(read.is_ready()), Ordering::SeqCst);
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.counts.writes.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.counts.writes.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A connection that `auth_none` has let in, whose reads and writes at the server are counted.
pub(crate) async fn counted<H>(host: H) -> (client::Handle<Guest>, server::RunningSession<H>, Arc<Counts>)
where
    H: server::Handler<Error = russh::Error> + Send + 'static,
{
    let (near, stream) = sockets().await;
    let counts = Arc::new(Counts::default());
    let far = Counted { stream, counts: counts.clone() };
    let (running, guest) = within("connect", async {
        tokio::join!(
            server::run_stream(Arc::new(server_config()), far, host),
            client::connect_stream(Arc::new(client_config()), near, Guest),
        )
    })
    .await;
    let (mut guest, running) = (guest.unwrap(), running.unwrap());
    assert!(within("sign in", guest.authenticate_none("guest")).await.unwrap().success());
    (guest, running, counts)
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

/// A packet with this payload, which nothing encrypts.
pub(crate) fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 4 + (8 - (4 + 1 + payload.len() + 4) % 8) % 8;
    let mut packet = u32::try_from(1 + payload.len() + padding).unwrap().to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).unwrap());
    packet.extend(payload);
    packet.resize(packet.len() + padding, 0);
    packet
}

/// Sends a packet with this payload.
pub(crate) async fn send(stream: &mut TcpStream, payload: &[u8]) {
    stream.write_all(&packet(payload)).await.unwrap();
}

/// Opens a channel with this number at the other side.
pub(crate) async fn open(stream: &mut TcpStream, kind: &str, number: u32, rest: &[u8]) {
    let numbers: Vec<u8> = [number, 0x20_0000, 0x8000].iter().flat_map(|n| n.to_be_bytes()).collect();
    send(stream, &[&[90][..], &string(kind), &numbers, rest].concat()).await;
}

/// A client of this server without any encryption, which it lets in.
pub(crate) async fn let_in<H>(config: server::Config, host: H) -> TcpStream
where
    H: server::Handler<Error = russh::Error> + Send + 'static,
{
    let mut stream = plain(config, host).await;
    send(&mut stream, &[vec![5], string("ssh-userauth")].concat()).await;
    assert_eq!(read(&mut stream).await[0], 6);
    send(&mut stream, &[vec![50], string("guest"), string("ssh-connection"), string("none")].concat()).await;
    assert_eq!(read(&mut stream).await[0], 52);
    stream
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

/// The other end of a client without any encryption, whom it has let in.
pub(crate) async fn lets_in<H>(handler: H) -> TcpStream
where
    H: client::Handler<Error = russh::Error> + Send + 'static,
{
    let (near, mut far) = sockets().await;
    let config = Arc::new(client::Config { preferred: unencrypted(), ..client_config() });
    tokio::spawn(async move {
        let mut guest = client::connect_stream(config, near, handler).await.unwrap();
        assert!(guest.authenticate_none("guest").await.unwrap().success());
        // Until the other end goes.
        let _ = guest.await;
    });
    exchange(&mut far).await;
    assert_eq!(read(&mut far).await[0], 5);
    send(&mut far, &[vec![6], string("ssh-userauth")].concat()).await;
    assert_eq!(read(&mut far).await[0], 50);
    send(&mut far, &[52]).await;
    far
}
