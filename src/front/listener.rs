//! Accepts connections within the limits and spreads them over workers. A worker is one thread: both legs of a
//! connection run on it, which costs half the wake-ups of a runtime that moves tasks about.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream as StdStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use russh::server;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::config::{Config, IDENTIFICATION_LINE};
use super::handler::{Doorway, Handler, SignIn};
use super::jump::Within;
use super::peek::peek;
use crate::model::EndReason;

/// After an error of `accept` (no file descriptors, mostly) it is tried again this much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How much longer than for signing in somebody has who is asked to open what they sealed.
const TYPING: Duration = Duration::from_secs(60);

/// Who is connected, to keep the limits.
#[derive(Debug, Default)]
pub(super) struct Places {
    taken: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// A place within the limits; it is free again when this is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    pub(super) fn take(self: &Arc<Self>, address: IpAddr, config: &Config) -> Result<Place, &'static str> {
        let mut by_address = self.by_address.lock().map_err(|_| "connections")?;
        if self.taken.load(Ordering::Relaxed) >= config.tuning.connections {
            return Err("connections");
        }
        let here = by_address.entry(address).or_insert(0);
        if *here >= config.tuning.connections_per_address {
            return Err("connections_per_address");
        }
        *here += 1;
        self.taken.fetch_add(1, Ordering::Relaxed);
        Ok(Place { places: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.fetch_sub(1, Ordering::Relaxed);
        if let Ok(mut by_address) = self.places.by_address.lock()
            && let Some(here) = by_address.get_mut(&self.address)
        {
            *here -= 1;
            if *here == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

/// Somebody who came, by a socket or inside a connection that they have already.
pub(super) struct Guest<S = StdStream> {
    pub(super) stream: S,
    pub(super) peer: SocketAddr,
    pub(super) place: Place,
    pub(super) config: Arc<Config>,
}

/// The threads that serve connections.
pub struct Workers {
    queues: Vec<mpsc::UnboundedSender<Guest>>,
    threads: Vec<std::thread::JoinHandle<()>>,
    stop: CancellationToken,
}

impl Workers {
    /// Starts `count` workers.
    ///
    /// # Errors
    /// If a thread or its runtime cannot be made.
    pub fn start(count: usize, door: &Arc<Doorway>) -> io::Result<Self> {
        let mut workers = Self { queues: Vec::new(), threads: Vec::new(), stop: CancellationToken::new() };
        for i in 0..count.max(1) {
            let (queue, guests) = mpsc::unbounded_channel();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (door, stop) = (Arc::clone(door), workers.stop.clone());
            let run = move || runtime.block_on(work(guests, door, stop));
            workers.threads.push(std::thread::Builder::new().name(format!("worker-{i}")).spawn(run)?);
            workers.queues.push(queue);
        }
        Ok(workers)
    }

    /// Ends the workers with whatever they still serve.
    pub fn stop(self) {
        self.stop.cancel();
        drop(self.queues);
        for thread in self.threads {
            let _ = thread.join();
        }
    }
}

async fn work(mut guests: mpsc::UnboundedReceiver<Guest>, door: Arc<Doorway>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            guest = guests.recv() => match guest {
                // Queued guests are bounded by the places they hold.
                Some(guest) => {
                    #[allow(clippy::disallowed_methods)] // a panic ends this connection; its session has a task of its own
                    tokio::spawn(receive(guest, Arc::clone(&door)));
                }
                None => return,
            },
        }
    }
}

/// Serves one client from its first byte to its last.
async fn receive(guest: Guest, door: Arc<Doorway>) {
    let Guest { stream, peer, place, config } = guest;
    // A second handle to the socket: it ends a connection whose sign-in takes too long, whatever state it is in.
    let Ok(cutter) = stream.try_clone() else { return };
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    let cut = move || drop(cutter.shutdown(Shutdown::Both));
    converse(Guest { stream, peer, place, config }, door, None, cut).await;
}

/// Serves one client on this stream; how it ended. `cut` ends the stream.
pub(super) async fn converse<S>(guest: Guest<S>, door: Arc<Doorway>, within: Option<Within>, cut: impl FnOnce() + Send) -> EndReason
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let Guest { stream, peer, place, config } = guest;
    let mut cut = Some(cut);
    let sign_in = Arc::new(Mutex::new(SignIn::default()));
    let (tell, mut signed_in) = oneshot::channel();
    let handler =
        Handler::new(Arc::clone(&door), Arc::clone(&config), peer, Arc::clone(&sign_in), tell, (Arc::clone(&place.places), within));
    let serve = async {
        let (stream, gcm) = peek(stream, IDENTIFICATION_LINE.as_bytes()).await?;
        let russh = if gcm { &config.gcm } else { &config.whole };
        let running = server::run_stream(Arc::clone(russh), stream, handler).await?;
        running.await
    };
    tokio::pin!(serve);
    let deadline = tokio::time::sleep(config.tuning.sign_in_time);
    tokio::pin!(deadline);
    let (mut waiting, mut longer) = (true, false);
    let outcome: Result<(), russh::Error> = loop {
        tokio::select! {
            outcome = &mut serve => break outcome,
            told = &mut signed_in, if waiting => {
                waiting = false;
                // The handler is gone without a sign-in: `serve` ends by itself.
                let _ = told;
            }
            () = &mut deadline, if waiting => {
                // Whose key was accepted and who types a passphrase or a code has longer, once.
                let asking = sign_in.lock().is_ok_and(|s| s.asking.is_some() || s.owing.is_some());
                if asking && !std::mem::replace(&mut longer, true) {
                    deadline.as_mut().reset(tokio::time::Instant::now() + TYPING);
                    continue;
                }
                waiting = false;
                if let Some(cut) = cut.take() {
                    cut();
                }
            }
        }
    };
    drop((cut, place));
    let ended = if outcome.is_ok() { EndReason::ClientClosed } else { EndReason::ClientLost };
    let Ok(mut sign_in) = sign_in.lock().map(|mut s| std::mem::take(&mut *s)) else { return ended };
    sign_in.left(ended);
    if sign_in.known.is_none() && sign_in.tried {
        door.authn.refused(peer, sign_in.person, &sign_in.asked_for, why_refused(&sign_in)).await;
    }
    if let Err(error) = outcome {
        tracing::debug!(target: "keyward::front", %peer, %error, "a connection broke off");
    }
    ended
}

fn why_refused(sign_in: &SignIn) -> &str {
    match sign_in.owing {
        None => {}
        Some(0) => return "no one-time code was given",
        Some(_) => return "no right one-time code was given",
    }
    match sign_in.asking {
        None if sign_in.why.is_some() => sign_in.why.as_deref().unwrap_or_default(),
        None => "no key of a person who may sign in",
        Some(0) => "nothing was typed to open what they sealed",
        Some(_) => "what was typed opened nothing of what they sealed",
    }
}

/// The listening socket.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: TcpListener,
}

impl Listener {
    /// Binds.
    ///
    /// # Errors
    /// What the system says.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { socket: TcpListener::bind(address).await? })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts until `stop`. `config` may be replaced while it runs; connections keep the one they began with.
    pub async fn run(&self, config: &RwLock<Arc<Config>>, door: &Doorway, workers: &Workers, stop: &CancellationToken) {
        let places = Arc::new(Places::default());
        let mut turn = 0usize;
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = self.socket.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(target: "keyward::front", %error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(config) = config.read().map(|c| Arc::clone(&c)) else { return };
            if !door.authn.may_try(peer.ip()) {
                tracing::debug!(target: "keyward::front", %peer, "refused: too many failed sign-ins from there");
                continue;
            }
            let place = match places.take(peer.ip().to_canonical(), &config) {
                Ok(place) => place,
                Err(limit) => {
                    tracing::warn!(target: "keyward::front", %peer, limit, "refused: the limit is reached");
                    continue;
                }
            };
            // What could not be set was told when the configuration was read; such a connection is as good as any other.
            let _ = crate::tcp::set(&stream, &config.tuning.congestion_control);
            let Ok(stream) = stream.into_std() else { continue };
            turn = turn.wrapping_add(1);
            if let Some(queue) = workers.queues.get(turn % workers.queues.len().max(1)) {
                let _ = queue.send(Guest { stream, peer, place, config });
            }
        }
    }
}
