//! Hosts that behave badly: one that accepts connections and says nothing, and one that fails in the middle of a sign-in.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::keys::Certificate;
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Response, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, Pty};
use russh::{MethodKind, MethodSet};
use tokio_util::sync::CancellationToken;

use super::PATIENCE;
use super::keys::Key;

/// A host that accepts connections and never says a word.
#[derive(Debug)]
pub(crate) struct Silent {
    address: SocketAddr,
    arrived: Receiver<TcpStream>,
}

impl Silent {
    /// Starts one.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let (arrive, arrived) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if arrive.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { address, arrived }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// The next connection; it stays open as long as it is kept.
    #[track_caller]
    pub(crate) fn connection(&self) -> TcpStream {
        self.arrived.recv_timeout(PATIENCE).expect("somebody connects")
    }
}

/// A way to a host that stays shut until the test opens it.
#[derive(Debug)]
pub(crate) struct Gate {
    address: SocketAddr,
    arrived: Receiver<()>,
    open: Sender<()>,
}

impl Gate {
    /// Before the host on this port: the first connection waits at it.
    pub(crate) fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let (arrive, arrived) = channel();
        let (open, opened) = channel();
        std::thread::spawn(move || {
            let Ok((client, _)) = listener.accept() else { return };
            let _ = arrive.send(());
            if opened.recv().is_err() {
                return;
            }
            let host = TcpStream::connect(("127.0.0.1", port)).expect("the host");
            let (from, to) = (client.try_clone().expect("dup"), host.try_clone().expect("dup"));
            let up = std::thread::spawn(move || pour(from, to));
            pour(host, client);
            let _ = up.join();
        });
        Self { address, arrived, open }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Waits until somebody stands before it.
    #[track_caller]
    pub(crate) fn arrived(&self) {
        self.arrived.recv_timeout(PATIENCE).expect("somebody connects");
    }

    /// Lets them through.
    pub(crate) fn open(&self) {
        self.open.send(()).expect("the gate stands");
    }
}

fn pour(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}

/// What a [`Fake`] does with a credential that it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It never answers.
    Stall,
    /// It closes the connection.
    Close,
    /// It lets everybody in, and does not answer when a channel is asked for.
    OpenNothing,
    /// It lets everybody in, opens channels with a window of [`NARROW`] bytes, and does not read what comes on them.
    ReadNothing,
    /// It asks for a one-time code after the password, and lets in whoever knows [`CODE`].
    AskCode,
    /// It lets everybody in and answers each command with [`INSIDE`] and status 3.
    Answer,
}

/// The one-time code of [`Deed::AskCode`].
pub(crate) const CODE: &str = "424242";

/// What [`Deed::Answer`] says.
pub(crate) const INSIDE: &str = "inside\r\n";

/// The window of [`Deed::ReadNothing`], in bytes.
const NARROW: u32 = 100;

/// A host whose key is right and that does with a sign-in, or after it, what the test wants.
#[derive(Debug)]
pub(crate) struct Fake {
    address: SocketAddr,
    /// Its host key.
    pub(crate) host_key: Key,
    shown: Mutex<Receiver<&'static str>>,
    certificates: Mutex<Receiver<Certificate>>,
    attempts: Arc<AtomicUsize>,
    runtime: Option<tokio::runtime::Runtime>,
    stop: CancellationToken,
}

impl Fake {
    /// Starts one that takes keys and passwords.
    pub(crate) fn start(dir: &Path, deed: Deed) -> Self {
        Self::with(dir, deed, MethodSet::from(&[MethodKind::PublicKey, MethodKind::Password][..]))
    }

    /// Starts one that asks for the password by keyboard-interactive.
    pub(crate) fn asking(dir: &Path, deed: Deed) -> Self {
        Self::with(dir, deed, MethodSet::from(&[MethodKind::KeyboardInteractive][..]))
    }

    fn with(dir: &Path, deed: Deed, methods: MethodSet) -> Self {
        let host_key = Key::new(dir.join("host_key"));
        let private = russh::keys::load_secret_key(&host_key.path, None).expect("the host key");
        let config = Arc::new(server::Config {
            keys: vec![private],
            methods,
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            inactivity_timeout: None,
            window_size: if deed == Deed::ReadNothing { NARROW } else { server::Config::default().window_size },
            ..server::Config::default()
        });
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("nonblocking");
        let address = listener.local_addr().expect("its address");
        let (show, shown) = channel();
        let (offer, certificates) = channel();
        let attempts = Arc::new(AtomicUsize::new(0));
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let door = Door { deed, show, offer, attempts: Arc::clone(&attempts), asked: 0 };
        let stopped = stop.clone();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            loop {
                let stream = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = stopped.cancelled() => return,
                };
                let (config, door) = (Arc::clone(&config), door.clone());
                tokio::spawn(async move {
                    if let Ok((stream, _)) = stream
                        && let Ok(session) = server::run_stream(config, stream, door).await
                    {
                        let _ = session.await;
                    }
                });
            }
        });
        let (shown, certificates) = (Mutex::new(shown), Mutex::new(certificates));
        Self { address, host_key, shown, certificates, attempts, runtime: Some(runtime), stop }
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Waits until a credential was shown; the method.
    #[track_caller]
    pub(crate) fn credential(&self) -> &'static str {
        self.shown.lock().expect("one waits at a time").recv_timeout(PATIENCE).expect("a credential is shown")
    }

    /// Waits until a certificate was shown.
    #[track_caller]
    pub(crate) fn certificate(&self) -> Certificate {
        self.certificates.lock().expect("one waits at a time").recv_timeout(PATIENCE).expect("a certificate is shown")
    }

    /// How many were shown.
    pub(crate) fn attempts(&self) -> usize {
        self.attempts.load(Ordering::SeqCst)
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Clone)]
struct Door {
    deed: Deed,
    show: Sender<&'static str>,
    offer: Sender<Certificate>,
    attempts: Arc<AtomicUsize>,
    asked: u8,
}

fn question(text: &'static str, echo: bool) -> Auth {
    Auth::Partial { name: "".into(), instructions: "".into(), prompts: vec![(text.into(), echo)].into() }
}

impl Door {
    async fn does(&self, method: &'static str) -> Result<Auth, russh::Error> {
        self.attempts.fetch_add(1, Ordering::SeqCst);
        let _ = self.show.send(method);
        match self.deed {
            Deed::Stall => std::future::pending().await,
            Deed::OpenNothing | Deed::ReadNothing | Deed::Answer => Ok(Auth::Accept),
            Deed::Close => Err(russh::Error::Disconnect),
            Deed::AskCode => Ok(question("One-time code: ", true)),
        }
    }
}

impl server::Handler for Door {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, _: &str) -> Result<Auth, Self::Error> {
        self.does("password").await
    }

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        self.does("publickey").await
    }

    async fn auth_openssh_certificate(&mut self, _: &str, certificate: &Certificate) -> Result<Auth, Self::Error> {
        let _ = self.offer.send(certificate.clone());
        self.does("certificate").await
    }

    async fn auth_keyboard_interactive<'a>(&'a mut self, _: &str, _: &str, answer: Option<Response<'a>>) -> Result<Auth, Self::Error> {
        let Some(answers) = answer else { return Ok(question("Password: ", false)) };
        self.asked += 1;
        if self.asked == 1 {
            return self.does("keyboard-interactive").await;
        }
        let answers: Vec<_> = answers.collect();
        Ok(if answers.iter().map(AsRef::as_ref).eq([CODE.as_bytes()]) { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(&mut self, _: Channel<Msg>, reply: ChannelOpenHandle, _: &mut Session) -> Result<(), Self::Error> {
        if self.deed == Deed::OpenNothing {
            std::future::pending::<()>().await;
        }
        reply.accept().await;
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        _: &str,
        _: u32,
        _: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.deed == Deed::ReadNothing {
            std::future::pending::<()>().await;
        }
        session.channel_success(channel)
    }

    /// It runs commands alone.
    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_failure(channel)
    }

    async fn exec_request(&mut self, channel: ChannelId, _: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        session.data(channel, INSIDE.as_bytes())?;
        session.exit_status_request(channel, 3)?;
        session.eof(channel)?;
        session.close(channel)
    }
}
