//! Takes checkpoints of the audit log, and notices when a room that must not fail has failed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::anchor::Anchor;
use crate::audit::{Checkpoint, Log, Signer, Vouchers};
use crate::clock::Clock;
use crate::config::Config;
use crate::model::{Event, EventName};
use crate::store::{self, Store, audit_log, shreds, state};

/// How often it is looked whether one is due.
const LOOK: Duration = Duration::from_secs(1);

/// What tells of a database as it was.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// The home's checkpoints.
    pub(super) checkpoints: PathBuf,
    /// The anchor beside the root key.
    pub(super) anchor: PathBuf,
}

/// How a database differs from what is known of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rollback {
    /// The audit log is shorter, or another one.
    #[error("entry {0} of the audit log, which was signed, is not in it")]
    Entry(u64),
    /// Fewer changes were sealed.
    #[error("{known} changes were sealed, and it knows of {found}")]
    Epoch {
        /// What is known.
        known: u64,
        /// What the database says.
        found: u64,
    },
    /// What was signed is another vault's.
    #[error("what was signed is another vault's")]
    Vault,
}

/// Refuses a database that lacks the newest entry that was signed, in the home or beside the root key: it is an older copy,
/// or was rewritten. What came after the newest checkpoint and was lost cannot be noticed.
pub(super) async fn compare(memory: &Memory, store: &Store, keys: &Vouchers) -> Result<(), Error> {
    let Memory { checkpoints, anchor } = memory;
    Checkpoint::mend(checkpoints).map_err(super::system("the file of checkpoints"))?;
    let all = Checkpoint::read_all(checkpoints).map_err(super::system("the file of checkpoints"))?;
    let older = |path: &Path, what| Error::RolledBack { told_by: path.to_owned(), what };
    if let Some(newest) = all.iter().filter(|c| keys.vouch_for(c)).max_by_key(|c| c.seq)
        && !holds(newest, store).await?
    {
        return Err(older(checkpoints, Rollback::Entry(newest.seq)));
    }
    let read = Anchor::read(anchor).map_err(|error| Error::Anchor { path: anchor.clone(), error })?;
    let Some(Anchor { epoch: known, checkpoint }) = read else { return Ok(()) };
    if !keys.vouch_for(&checkpoint) {
        return Err(older(anchor, Rollback::Vault));
    }
    let found = store.read(state::epoch).await?;
    if found < known {
        return Err(older(anchor, Rollback::Epoch { known, found }));
    }
    if holds(&checkpoint, store).await? { Ok(()) } else { Err(older(anchor, Rollback::Entry(checkpoint.seq))) }
}

async fn holds(checkpoint: &Checkpoint, store: &Store) -> Result<bool, Error> {
    let seq = checkpoint.seq;
    let entry = store.read(move |c| audit_log::after(c, seq.saturating_sub(1), 1)).await?.into_iter().next();
    Ok(entry.is_some_and(|entry| checkpoint.is_of(&entry)))
}

/// Goes on with a database that is older than what is known of it, because its operator says so. This is recorded first;
/// then the checkpoints that tell of entries that are gone are laid aside.
pub(super) async fn accept(memory: &Memory, refusal: &Error, log: &Log, clock: &Clock) -> Result<(), Error> {
    log.record(Event::new(EventName::DaemonRollbackAccepted, "keyward").because(refusal.to_string())).await?;
    let mut aside = memory.checkpoints.as_os_str().to_owned();
    aside.push(format!(".before-{}", clock.now().millis()));
    match std::fs::rename(&memory.checkpoints, &aside) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(super::system("the file of checkpoints")(e)),
    }
    tracing::warn!(target: "keyward::daemon", "accepted, as asked: {refusal}");
    Ok(())
}

/// Takes the checkpoints of one log.
#[derive(Clone)]
pub(super) struct Keeper {
    every: u64,
    interval: Duration,
    memory: Memory,
    signer: Arc<dyn Signer>,
    store: Store,
    clock: Clock,
    last: Arc<Mutex<u64>>,
}

impl Keeper {
    pub(super) fn new(config: &Config, memory: Memory, signer: Arc<dyn Signer>, store: Store, clock: Clock) -> Self {
        // What the file holds already is not signed again.
        let last = Checkpoint::read_all(&memory.checkpoints).ok().and_then(|all| all.last().map(|c| c.seq)).unwrap_or(0);
        Self {
            every: config.checkpoint_every,
            interval: config.checkpoint_interval,
            memory,
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
            // What was deleted leaves the write-ahead log as soon as nobody reads in it any more.
            if let Err(error) = shreds::settle(&self.store).await {
                tracing::debug!(target: "keyward::daemon", %error, "the write-ahead log was not emptied");
            }
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
        // In one snapshot, and committed: the anchor is never ahead of the database.
        let read = self.store.read(|c| -> Result<_, store::Error> { Ok((audit_log::last(c)?, state::epoch(c)?)) }).await;
        let Ok((Some(head), epoch)) = read else { return true };
        if head.seq <= *last {
            return true;
        }
        let seq = head.seq;
        let (signer, memory, now) = (Arc::clone(&self.signer), self.memory.clone(), self.clock.now());
        // Signing waits for the keeper's thread, appending for the disk.
        let taken = tokio::task::spawn_blocking(move || match Checkpoint::sign(&head, now, &*signer) {
            Some(checkpoint) => {
                checkpoint.append_to(&memory.checkpoints)?;
                if let Err(error) = (Anchor { epoch, checkpoint }).write(&memory.anchor) {
                    tracing::warn!(target: "keyward::daemon", %error, path = %memory.anchor.display(), "the anchor was not written");
                }
                Ok(true)
            }
            None => Ok(false),
        })
        .await;
        match taken {
            Ok(Ok(signed)) => {
                *last = seq;
                signed
            }
            Ok(Err(error)) => {
                let error: std::io::Error = error;
                tracing::error!(target: "keyward::daemon", %error, path = %self.memory.checkpoints.display(), "a checkpoint was not written");
                true
            }
            Err(error) => {
                tracing::error!(target: "keyward::daemon", %error, "a checkpoint was not taken");
                true
            }
        }
    }
}
