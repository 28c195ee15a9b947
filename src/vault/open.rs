//! The start: root key and database are proved to belong together before anything else is believed. Never makes a
//! root key for a database that has one.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use tokio::sync::Semaphore;

use super::error::{Error, Tampering};
use super::keeper::{Keeper, Start};
use super::root::Source;
use super::{Config, Vault, rotate};
use crate::clock::Clock;
use crate::secret::Secret;
use crate::store::credentials::{self, KekRow};
use crate::store::slots::{self, SlotRow};
use crate::store::state::{self, Sealed as SealedState};
use crate::store::{self, Store, keys};

/// What stands in the database at the start.
struct Found {
    vault: [u8; 16],
    kek: Option<KekRow>,
    /// Where no scope's key is the root key's to open, a slot may be.
    slot: Option<SlotRow>,
    state: SealedState,
    /// Rows that only a sealed change writes.
    rows: bool,
    roots: Vec<keys::RootRow>,
}

fn find(c: &Connection) -> Result<Found, store::Error> {
    let id: Option<Vec<u8>> = c.query_row("SELECT value FROM meta WHERE key = 'vault_id'", [], |r| r.get(0)).optional()?;
    let vault = id.and_then(|id| id.try_into().ok()).ok_or_else(|| store::Error::Malformed("no vault id".to_owned()))?;
    let mut rows = false;
    for table in ["users", "groups", "hosts", "keks", "credentials", "grants"] {
        rows |= c.query_row(&format!("SELECT EXISTS(SELECT 1 FROM {table})"), [], |r| r.get::<_, bool>(0))?;
    }
    let slot = slots::all(c)?.into_iter().next();
    Ok(Found { vault, slot, kek: credentials::any_kek(c)?, state: state::read(c)?, rows, roots: keys::roots(c)? })
}

impl Vault {
    /// As [`Vault::open_from`], with the root key in a file.
    ///
    /// # Errors
    /// As [`Vault::open_from`].
    pub async fn open(store: &Store, config: Config, clock: Clock) -> Result<Self, Error> {
        Self::open_from(store, Source::File(config.root_key), None, clock).await
    }

    /// Reads the root key – makes it for a database that is new, if Keyward can – and proves that key and database belong
    /// together. From then on the ledger's changes are sealed. `passphrase` is for sources that want one.
    ///
    /// # Errors
    /// [`Error::RootKey`], [`Error::RootKeyMissing`], [`Error::WrongRootKey`], [`Error::Tampered`].
    pub async fn open_from(store: &Store, source: Source, passphrase: Option<Secret>, clock: Clock) -> Result<Self, Error> {
        let database = store.path().to_owned();
        let found = store.read(find).await?;
        let unsealed = found.state.mac.is_none() && found.state.epoch == 0;
        if found.state.mac.is_none() && found.rows {
            return Err(Error::Tampered { database, found: Tampering::NoSeal });
        }
        let create = !source.exists()?;
        if create && !unsealed {
            return Err(Error::RootKeyMissing { root_key: source, database });
        }
        let pristine = unsealed.then_some(found.state.digest);
        let start = Start { source: source.clone(), passphrase, create, vault: found.vault, database: database.clone(), pristine };
        let keeper = Keeper::start(start).await?;
        if let Source::File(path) = &source {
            rotate::finish_rotation(&keeper, path, &found.state).await?;
        }
        let (Found { kek, slot, state, roots, .. }, from) = (found, source.clone());
        keeper
            .ask(move |ring| {
                if let Some(kek) = kek {
                    // If the state holds, the root key is the right one and the row is the culprit.
                    if ring.kek(&kek).is_err() && ring.verify(&state).is_err() {
                        return Err(Error::WrongRootKey { root_key: source, database });
                    }
                    ring.kek(&kek)?;
                } else if slot.is_some_and(|slot| ring.slot_body(&slot).is_err()) && ring.verify(&state).is_err() {
                    return Err(Error::WrongRootKey { root_key: source, database });
                }
                ring.verify(&state)
            })
            .await?;
        if let Source::File(path) = &from {
            rotate::finish_destruction(path, &roots)?;
        }
        store.seal_with(Box::new(keeper.clone()))?;
        Ok(Self {
            keeper,
            store: store.clone(),
            clock,
            source: from,
            importing: Arc::new(Semaphore::new(1)),
            deriving: Arc::new(Semaphore::new(super::personal::DERIVING)),
        })
    }
}
