//! Takes checkpoints of the audit log, and notices when a room that must not fail has failed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Error;
use crate::audit::{Checkpoint, Signer};
use crate::clock::Clock;
use crate::config::Config;
use crate::store::{self, Store, audit_log};

/// How often it is looked whether one is due.
const LOOK: Duration = Duration::from_secs(1);

/// Refuses a database whose audit log lacks the newest entry that was signed: it is an older copy, or was rewritten. What
/// came after the newest checkpoint and was lost cannot be noticed.
pub(super) async fn compare(path: &Path, store: &Store, key: &[u8; 32]) -> Result<(), Error> {
    Checkpoint::mend(path).map_err(super::system("the file of checkpoints"))?;
    let all = Checkpoint::read_all(path).map_err(super::system("the file of checkpoints"))?;
    let Some(newest) = all.iter().filter(|c| c.is_signed_by(key)).max_by_key(|c| c.seq).cloned() else { return Ok(()) };
    let seq = newest.seq;
    let entry = store.read(move |c| audit_log::after(c, seq.saturating_sub(1), 1)).await?.into_iter().next();
    if entry.is_some_and(|entry| newest.is_of(&entry)) { Ok(()) } else { Err(Error::RolledBack { checkpoints: path.to_owned(), seq }) }
}

/// Takes the checkpoints of one log.
#[derive(Clone)]
pub(super) struct Keeper {
    every: u64,
    interval: Duration,
    path: PathBuf,
    signer: Arc<dyn Signer>,
    store: Store,
    clock: Clock,
    last: Arc<Mutex<u64>>,
}

impl Keeper {
    pub(super) fn new(config: &Config, path: PathBuf, signer: Arc<dyn Signer>, store: Store, clock: Clock) -> Self {
        // What the file holds already is not signed again.
        let last = Checkpoint::read_all(&path).ok().and_then(|all| all.last().map(|c| c.seq)).unwrap_or(0);
        Self {
            every: config.checkpoint_every,
            interval: config.checkpoint_interval,
            path,
            signer,
            store,
            clock,
            last: Arc::new(Mutex::new(last)),
        }
    }

    /// Runs until `stop`; returns early if the ledger or the keeper of the vault is gone.
    pub(super) async fn run(self, stop: CancellationToken) -> Error {
        let mut taken_at = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => std::future::pending().await,
                () = tokio::time::sleep(LOOK) => {}
            }
            let newest = match self.store.read(audit_log::last).await {
                Ok(newest) => newest.map_or(0, |e| e.seq),
                Err(store::Error::Closed) => return Error::Lost("database"),
                Err(_) => continue,
            };
            let behind = newest.saturating_sub(*self.last.lock().await);
            if behind >= self.every || (behind > 0 && taken_at.elapsed() >= self.interval) {
                if !self.checkpoint().await {
                    return Error::Lost("vault's keeper");
                }
                taken_at = Instant::now();
            }
        }
    }

    /// Takes one now, if anything was recorded since the last. `false`: the vault does not sign any more.
    pub(super) async fn checkpoint(&self) -> bool {
        let mut last = self.last.lock().await;
        let Ok(Some(head)) = self.store.read(audit_log::last).await else { return true };
        if head.seq <= *last {
            return true;
        }
        let seq = head.seq;
        let (signer, path, now) = (Arc::clone(&self.signer), self.path.clone(), self.clock.now());
        // Signing waits for the keeper's thread, appending for the disk.
        let taken = tokio::task::spawn_blocking(move || match Checkpoint::sign(&head, now, &*signer) {
            Some(checkpoint) => checkpoint.append_to(&path).map(|()| true),
            None => Ok(false),
        })
        .await;
        match taken {
            Ok(Ok(signed)) => {
                *last = seq;
                signed
            }
            Ok(Err(error)) => {
                tracing::error!(target: "keyward::daemon", %error, path = %self.path.display(), "a checkpoint was not written");
                true
            }
            Err(error) => {
                tracing::error!(target: "keyward::daemon", %error, "a checkpoint was not taken");
                true
            }
        }
    }
}
