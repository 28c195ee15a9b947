//! The keeper: one thread that owns the root key and all that hangs on it, and a handle to ask it. Never calls the
//! ledger, so the ledger's writer may wait for it; never goes on after a panic.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::Error;
use super::ring::Ring;
use super::root::Source;
use crate::audit;
use crate::scrub::{STACK, wiped};
use crate::secret::Secret;
use crate::store::StateSeal;

/// How many requests may wait for the keeper; more are refused.
pub const QUEUE_MAX: usize = 1024;

type Job = Box<dyn FnOnce(&mut Ring) + Send>;

/// A handle to the thread. It ends when the last handle is dropped, or at [`Keeper::close`].
#[derive(Clone)]
pub(super) struct Keeper(Arc<Inner>);

struct Inner {
    jobs: Mutex<Option<SyncSender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    ended: CancellationToken,
    /// It changes with the root key.
    checkpoint_key: Arc<Mutex<[u8; 32]>>,
    floor: Arc<AtomicU64>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("ended", &self.0.ended.is_cancelled()).finish_non_exhaustive()
    }
}

/// Where the root key comes from, and what it belongs to.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) source: Source,
    /// What opens it, where somebody has to give that.
    pub(super) passphrase: Option<Secret>,
    /// Make one: there is none.
    pub(super) create: bool,
    pub(super) vault: [u8; 16],
    pub(super) database: PathBuf,
    pub(super) pristine: Option<[u8; 32]>,
}

impl Keeper {
    /// Starts the thread, which reads the root key.
    pub(super) async fn start(start: Start) -> Result<Self, Error> {
        let (jobs, waiting) = mpsc::sync_channel::<Job>(QUEUE_MAX);
        let (tell, told) = oneshot::channel();
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let floor = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&floor);
        let run = move || keep(start, shared, &waiting, tell, guard);
        let thread = std::thread::Builder::new().name("vault-keeper".to_owned()).stack_size(STACK).spawn(run);
        let thread = thread.map_err(|_| Error::System("a thread"))?;
        let first = told.await.map_err(|_| Error::KeeperStopped)??;
        let checkpoint_key = Arc::new(Mutex::new(first));
        let shown = Arc::clone(&checkpoint_key);
        let keeper = Self(Arc::new(Inner { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)), ended, checkpoint_key, floor }));
        keeper
            .ask_mut(move |ring| {
                ring.exchange.shown = shown;
                Ok(())
            })
            .await?;
        Ok(keeper)
    }

    fn sender(&self) -> Result<SyncSender<Job>, Error> {
        let jobs = self.0.jobs.lock().map_err(|_| Error::KeeperStopped)?;
        jobs.clone().ok_or(Error::KeeperStopped)
    }

    /// Has the keeper do something; the answer comes without blocking the runtime.
    pub(super) async fn ask<T: Send + 'static>(&self, work: impl FnOnce(&Ring) -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
        self.ask_mut(move |ring| work(ring)).await
    }

    /// As [`Keeper::ask`], for work that changes which keys the keeper holds.
    pub(super) async fn ask_mut<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Ring) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |ring| drop(tell.send(work(ring))));
        self.sender()?.try_send(job).map_err(|e| if matches!(e, TrySendError::Full(_)) { Error::Busy } else { Error::KeeperStopped })?;
        told.await.map_err(|_| Error::KeeperStopped)?
    }

    /// As [`Keeper::ask`], for threads that may block: the ledger's writer and whoever takes checkpoints.
    pub(super) fn ask_now<T: Send + 'static>(&self, work: impl FnOnce(&mut Ring) -> Option<T> + Send + 'static) -> Option<T> {
        let (tell, told) = mpsc::sync_channel(1);
        self.sender().ok()?.send(Box::new(move |ring| drop(tell.send(work(ring))))).ok()?;
        told.recv().ok()?
    }

    /// The epoch that every snapshot taken from now on has at least.
    pub(super) fn floor(&self) -> u64 {
        self.0.floor.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Resolves when the keeper has ended, in order or not.
    pub(super) async fn ended(&self) {
        self.0.ended.cancelled().await;
    }

    /// Ends the keeper after what waits; its keys are wiped when this returns.
    pub(super) fn close(&self) {
        if let Ok(mut jobs) = self.0.jobs.lock() {
            jobs.take();
        }
        let thread = self.0.thread.lock().ok().and_then(|mut thread| thread.take());
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }
}

/// The thread. `_guard` says that it ended, however it did.
fn keep(
    start: Start,
    floor: Arc<AtomicU64>,
    waiting: &mpsc::Receiver<Job>,
    tell: oneshot::Sender<Result<[u8; 32], Error>>,
    _guard: DropGuard,
) {
    let prepare = move || -> Result<(Box<Ring>, [u8; 32]), Error> {
        let (source, passphrase) = (start.source, start.passphrase.as_ref());
        let root = if start.create { source.make(passphrase)? } else { source.obtain(passphrase)? };
        drop(start.passphrase);
        let ring = Box::new(Ring::new(root, start.vault, start.database, start.pristine, floor)?);
        let checkpoint_key = ring.checkpoint_key().ok_or(Error::System("a signature key"))?;
        Ok((ring, checkpoint_key))
    };
    let mut ring = match wiped(prepare) {
        Ok(Ok((ring, checkpoint_key))) => {
            if tell.send(Ok(checkpoint_key)).is_err() {
                return;
            }
            ring
        }
        Ok(Err(e)) => return drop(tell.send(Err(e))),
        Err(_) => return,
    };
    while let Ok(job) = waiting.recv() {
        if wiped(|| job(&mut ring)).is_err() {
            // Nobody knows what half-done work means. Whoever waits hears that the keeper has stopped.
            tracing::error!(target: "keyward::vault", "the keeper panicked and has stopped");
            break;
        }
    }
    let _ = wiped(move || drop(ring));
}

impl StateSeal for Keeper {
    fn seal(&self, epoch: u64, digest: &[u8; 32]) -> Option<[u8; 32]> {
        let digest = *digest;
        self.ask_now(move |ring| ring.seal_state(epoch, &digest))
    }

    fn holds(&self, state: &crate::store::state::Sealed) -> Option<bool> {
        let state = state.clone();
        self.ask_now(move |ring| {
            // It was committed: if the root key is being exchanged, this says which one is in force.
            ring.settle(&state);
            Some(ring.verify(&state).is_ok())
        })
    }
}

impl audit::Signer for Keeper {
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let message = message.to_vec();
        self.ask_now(move |ring| ring.sign_checkpoint(&message))
    }

    fn public_key(&self) -> [u8; 32] {
        self.0.checkpoint_key.lock().map_or([0; 32], |key| *key)
    }
}

#[cfg(test)]
impl Keeper {
    /// As if everything that may wait did: nothing is worked on until what is returned is dropped.
    pub(super) async fn is_full_for_a_test(&self) -> mpsc::Sender<()> {
        let jobs = self.sender().unwrap();
        let (full, held) = mpsc::channel();
        let (begins, begun) = oneshot::channel();
        let hold: Job = Box::new(move |_| {
            let _ = (begins.send(()), held.recv());
        });
        jobs.try_send(hold).unwrap_or_else(|_| panic!("it is full"));
        begun.await.unwrap();
        while jobs.try_send(Box::new(|_| ())).is_ok() {}
        full
    }
}
