//! New keys for old: every scope's key, and the root key if that is wanted. Leases go on meanwhile; whoever seals waits.
//! Never sees a key. A crash at any point leaves every credential openable, and the next call goes on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedRwLockWriteGuard, mpsc};

use super::{Custody, Error};
use crate::audit::{Vouchers, hex};
use crate::model::{Event, EventName, Scope};
use crate::store::credentials::{self, KekRow};
use crate::store::keys::{self, KekAge, RootRow};
use crate::store::{self, audit_log, shreds, state};
use crate::vault::{Handover, RootName, Vault};

/// Data keys that are replaced in one transaction: well below the time that a write may take.
const BATCH: u32 = 10_000;
/// How often in a row a batch may take longer than a write may.
const SLOW_MOST: u32 = 5;
/// How long the root key before opens what was read under it.
const OVERLAP: Duration = Duration::from_secs(2);

/// What is to be replaced besides the scopes' keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Renewal {
    /// The root key, too.
    pub root: bool,
    /// And every former one is destroyed.
    pub shred: bool,
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenewalStep {
    /// So many data keys are wrapped by new keys.
    DataKeys(u64),
    /// The new root key is in force; what began under the old one ends.
    RootInForce,
    /// Former root keys are being destroyed.
    Destroying,
}

/// What was replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewed {
    /// Workspaces' keys.
    pub workspaces: u64,
    /// Persons' keys.
    pub people: u64,
    /// Data keys.
    pub data_keys: u64,
    /// The root key in force now, if it was replaced.
    pub root: Option<String>,
    /// Files of former root keys that were destroyed.
    pub destroyed: usize,
    /// Deletions that still wait to leave the write-ahead log.
    pub pending: u64,
}

/// While this is there, nobody seals.
#[must_use]
#[derive(Debug)]
pub struct Alone {
    _turn: OwnedRwLockWriteGuard<()>,
}

/// How the vault's keys stand.
#[derive(Clone, Debug)]
pub struct Stand {
    /// The root key in force.
    pub root: RootName,
    /// Where it lies.
    pub root_key: String,
    /// When it was made: with the first audit entry, or at its rotation.
    pub root_made_at: Option<crate::clock::Time>,
    /// Those before it.
    pub former: Vec<RootRow>,
    /// Scopes' keys.
    pub keks: Vec<KekAge>,
    /// How many changes were sealed.
    pub epoch: u64,
    /// What waits to leave the write-ahead log.
    pub pending: shreds::Pending,
}

impl Custody {
    /// How the vault's keys stand.
    ///
    /// # Errors
    /// What the store or the vault say.
    pub async fn stand(&self) -> Result<Stand, Error> {
        let root = self.vault.root_name().await?;
        let read = |c: &rusqlite::Connection| -> Result<_, store::Error> {
            let first = audit_log::after(c, 0, 1)?.into_iter().next().map(|entry| entry.at);
            Ok((keys::roots(c)?, keys::ages(c)?, state::epoch(c)?, shreds::pending(c)?, first))
        };
        let (roots, keks, epoch, pending, first) = self.store.read(read).await?;
        let (mine, former): (Vec<_>, Vec<_>) = roots.into_iter().partition(|r| r.id == root.id);
        let root_made_at = mine.first().map_or(first, |r| r.made_at);
        Ok(Stand { root_key: self.vault.source().to_string(), root, root_made_at, former, keks, epoch, pending })
    }

    /// Whose signatures count on checkpoints.
    ///
    /// # Errors
    /// What the store says.
    pub async fn vouchers(&self) -> Result<Vouchers, Error> {
        let current = self.vault.root_name().await?.checkpoint_key;
        Ok(Vouchers::new(current, &self.store.read(keys::roots).await?))
    }

    /// Replaces keys. It is done to its end, also if whoever asked does not wait for it. `tell` hears how far it is.
    ///
    /// # Errors
    /// What the store, the witness or the vault say; then the next call goes on where this one ended.
    pub async fn rotate(&self, wanted: Renewal, actor: String, tell: mpsc::UnboundedSender<RenewalStep>) -> Result<Renewed, Error> {
        let custody = self.clone();
        #[allow(clippy::disallowed_methods)] // awaited at once; a client that goes away does not cut it off between file and row
        let whole = tokio::spawn(async move {
            let done = custody.exchange(wanted, &actor, &tell).await;
            if let Err(e) = &done {
                custody.log.record(Event::new(EventName::VaultRotated, actor).failed(e.to_string())).await?;
            }
            done
        });
        whole.await.map_err(|_| Error::Store(store::Error::Closed))?
    }

    /// Waits until nobody seals; nobody does while this is there. It belongs into what the change calls once it is committed: a caller
    /// who leaves before that must not let others in beside it.
    pub async fn alone(&self) -> Alone {
        Alone { _turn: Arc::clone(&self.turns).write_owned().await }
    }

    async fn exchange(&self, wanted: Renewal, actor: &str, tell: &mpsc::UnboundedSender<RenewalStep>) -> Result<Renewed, Error> {
        let _turn = self.turns.write().await;
        self.store.room()?;
        self.verify().await?;
        let what = match wanted {
            Renewal { shred: true, .. } => "scopes' keys and the root key; former root keys are destroyed",
            Renewal { root: true, .. } => "scopes' keys and the root key",
            Renewal { .. } => "scopes' keys",
        };
        if wanted.root || wanted.shred {
            self.vault.replaces_root()?;
        }
        self.log.record(Event::new(EventName::VaultRotationBegun, actor).with("what", what)).await?;
        let mut rotated = self.rotate_keks(actor, tell).await?;
        if wanted.root || wanted.shred {
            let handover = self.rotate_root(actor, wanted.shred).await;
            if handover.is_ok() {
                let _ = tell.send(RenewalStep::RootInForce);
            }
            // What was read under the old key a moment ago still reaches the keeper; after an error it may be in force all the same.
            tokio::time::sleep(OVERLAP).await;
            self.vault.retire_root().await?;
            rotated.root = Some(handover?.to.id);
        }
        if wanted.shred {
            let _ = tell.send(RenewalStep::Destroying);
            let roots = self.store.read(keys::roots).await?;
            let doomed: Vec<String> = roots.into_iter().filter(|r| r.doomed).map(|r| r.id).collect();
            let event = Event::new(EventName::VaultRootDestroyed, actor).with("root_keys", doomed.join(" "));
            rotated.destroyed = self.vault.destroy_roots(doomed).await?;
            self.log.record(event.count("files", u64::try_from(rotated.destroyed).unwrap_or(u64::MAX))).await?;
        }
        rotated.pending = shreds::settle(&self.store).await?.count;
        Ok(rotated)
    }

    /// A new key for every scope that has one, and every data key under it wrapped anew.
    async fn rotate_keks(&self, actor: &str, tell: &mpsc::UnboundedSender<RenewalStep>) -> Result<Renewed, Error> {
        let mut rotated = Renewed::default();
        let mut fresh: Vec<KekRow> = Vec::new();
        let mut versions = Vec::new();
        for scope in self.store.read(keys::scopes).await? {
            let newest = self.newest_of(&scope).await?;
            let mut slow = 0;
            loop {
                let renewed = self.vault.renew(newest.clone(), BATCH).await?;
                if renewed.is_empty() {
                    break;
                }
                match self.write(renewed).await {
                    Ok(count) => (rotated.data_keys, slow) = (rotated.data_keys + count, 0),
                    // It may have been done all the same: what is left is looked up anew when the ledger has come that far.
                    Err(Error::Store(store::Error::Slow(_))) if slow < SLOW_MOST => {
                        slow += 1;
                        self.store.checkpoint().await?;
                    }
                    Err(e) => return Err(e),
                }
                let _ = tell.send(RenewalStep::DataKeys(rotated.data_keys));
            }
            match &scope {
                Scope::Workspace(name) => {
                    rotated.workspaces += 1;
                    versions.push(format!("{name}:{}", newest.version));
                }
                // Who has personal credentials is nobody else's business.
                Scope::Personal(_) => rotated.people += 1,
            }
            fresh.push(newest);
        }
        let event = Event::new(EventName::VaultRotated, actor)
            .with("keys", "scopes")
            .with("workspaces", versions.join(" "))
            .count("people", rotated.people)
            .count("data_keys", rotated.data_keys);
        let at = self.clock.now();
        let finish = move |c: &rusqlite::Connection| -> Result<((), Vec<Event>), Error> {
            for newest in &fresh {
                if !Vault::wraps_before(c, newest)? {
                    keys::forget_before(c, &newest.scope, newest.version)?;
                }
            }
            shreds::note(c, "replaced keys", at)?;
            Ok(((), vec![event]))
        };
        self.log.change(finish).await?.into_inner();
        Ok(rotated)
    }

    /// The scope's key that is to wrap everything: a new one, or the one that a rotation which was cut off had made.
    async fn newest_of(&self, scope: &Scope) -> Result<KekRow, Error> {
        let of = scope.clone();
        let versions = self.store.read(move |c| keys::versions(c, &of)).await?;
        let last = versions.last().cloned().ok_or_else(|| Error::ChangedMeanwhile("the vault".to_owned()))?;
        if versions.len() > 1 {
            return Ok(last);
        }
        let new = self.vault.new_kek(scope.clone(), last.version.saturating_add(1)).await?;
        let row = new.clone();
        self.store.change(move |c| credentials::insert_kek(c, &row)).await?;
        Ok(new)
    }

    async fn write(&self, renewed: Vec<crate::vault::Renewed>) -> Result<u64, Error> {
        let write = move |c: &rusqlite::Connection| -> Result<u64, store::Error> {
            // A row that is gone was deleted meanwhile.
            renewed.iter().try_fold(0, |count, one| Ok(count + u64::from(one.write(c)?)))
        };
        Ok(self.store.change(write).await?)
    }

    /// A new root key: everything that the old one wraps, the state's seal and the entry that hands over, in one transaction.
    async fn rotate_root(&self, actor: &str, shred: bool) -> Result<Handover, Error> {
        let made_at = self.stand().await?.root_made_at;
        let handover = self.vault.next_root().await?;
        let renewed = match self.vault.renew_under_root().await {
            Ok(renewed) => renewed,
            Err(e) => {
                self.vault.give_up_root(&handover).await?;
                return Err(e.into());
            }
        };
        let (now, shared) = (self.clock.now(), Arc::new(handover.clone()));
        let (event, rows) = (handed_over(&handover, actor, renewed.len()), Arc::clone(&shared));
        let change = move |c: &rusqlite::Connection| -> Result<((), Vec<Event>), Error> {
            let changed = || Error::ChangedMeanwhile("the vault".to_owned());
            if Vault::under_root(c)? != renewed.len() {
                return Err(changed());
            }
            for one in &renewed {
                if !one.write(c)? {
                    return Err(changed());
                }
            }
            let handing = audit_log::last(c)?.map_or(1, |e| e.seq + 1);
            let row = |name: &RootName| RootRow {
                id: name.id.clone(),
                checkpoint_key: name.checkpoint_key,
                made_at: Some(now),
                retired_at: None,
                last_seq: None,
                doomed: false,
            };
            keys::put_root(c, &RootRow { made_at, retired_at: Some(now), last_seq: Some(handing), ..row(&rows.from) })?;
            keys::put_root(c, &row(&rows.to))?;
            if shred {
                keys::doom_former_roots(c)?;
            }
            shreds::note(c, "replaced keys", now)?;
            Ok(((), vec![event]))
        };
        let vault = self.vault.clone();
        let arm = move |seq| if vault.arm_root(seq) { Ok(()) } else { Err(Error::Store(store::Error::Unsealed)) };
        let committed = self.log.change_then(change, arm).await;
        // Also after an error: a write that was not waited for may have been done.
        match (self.vault.settle_root(&shared).await?, committed) {
            (true, _) => Ok(handover),
            (false, Err(e)) => Err(e),
            (false, Ok(_)) => Err(Error::Store(store::Error::Tampered)),
        }
    }
}

fn handed_over(handover: &Handover, actor: &str, rows: usize) -> Event {
    let Handover { from, to, from_signs, to_signs } = handover;
    Event::new(EventName::VaultRotated, actor)
        .with("keys", "root")
        .with("from", &from.id)
        .with("to", &to.id)
        .count("wrapped", u64::try_from(rows).unwrap_or(u64::MAX))
        .with("from_checkpoint_key", hex(&from.checkpoint_key))
        .with("to_checkpoint_key", hex(&to.checkpoint_key))
        .with("from_signature", hex(from_signs))
        .with("to_signature", hex(to_signs))
}

#[cfg(test)]
#[path = "tests/terms.rs"]
mod tests;
