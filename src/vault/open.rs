//! The start: root key and database are proved to belong together before anything else is believed. Never makes a
//! root key for a database that has one.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use tokio::sync::Semaphore;

use super::error::{Error, Tampering};
use super::keeper::{Keeper, Start};
use super::{Config, Vault, root_key};
use crate::clock::Clock;
use crate::store::credentials::{self, KekRow};
use crate::store::state::{self, Sealed as SealedState};
use crate::store::{self, Store};

/// What stands in the database at the start.
struct Found {
    vault: [u8; 16],
    kek: Option<KekRow>,
    state: SealedState,
    /// Rows that only a sealed change writes.
    rows: bool,
}

fn find(c: &Connection) -> Result<Found, store::Error> {
    let id: Option<Vec<u8>> = c.query_row("SELECT value FROM meta WHERE key = 'vault_id'", [], |r| r.get(0)).optional()?;
    let vault = id.and_then(|id| id.try_into().ok()).ok_or_else(|| store::Error::Malformed("no vault id".to_owned()))?;
    let mut rows = false;
    for table in ["users", "groups", "hosts", "keks", "credentials", "grants"] {
        rows |= c.query_row(&format!("SELECT EXISTS(SELECT 1 FROM {table})"), [], |r| r.get::<_, bool>(0))?;
    }
    Ok(Found { vault, kek: credentials::any_kek(c)?, state: state::read(c)?, rows })
}

impl Vault {
    /// Reads the root key – makes it for a database that is new – and proves that key and database belong together.
    /// From then on the ledger's changes are sealed.
    ///
    /// # Errors
    /// [`Error::RootKey`], [`Error::RootKeyMissing`], [`Error::WrongRootKey`], [`Error::Tampered`].
    pub async fn open(store: &Store, config: Config, clock: Clock) -> Result<Self, Error> {
        let database = store.path().to_owned();
        let found = store.read(find).await?;
        let unsealed = found.state.mac.is_none() && found.state.epoch == 0;
        if found.state.mac.is_none() && found.rows {
            return Err(Error::Tampered { database, found: Tampering::NoSeal });
        }
        let create = !root_key::exists(&config.root_key)?;
        if create && !unsealed {
            return Err(Error::RootKeyMissing { root_key: config.root_key, database });
        }
        let pristine = unsealed.then_some(found.state.digest);
        let start = Start { root_key: config.root_key.clone(), create, vault: found.vault, database: database.clone(), pristine };
        let keeper = Keeper::start(start).await?;
        let Found { kek, state, .. } = found;
        keeper
            .ask(move |ring| {
                if let Some(kek) = kek {
                    // If the state holds, the root key is the right one and the row is the culprit.
                    if ring.kek(&kek).is_err() && ring.verify(&state).is_err() {
                        return Err(Error::WrongRootKey { root_key: config.root_key, database });
                    }
                    ring.kek(&kek)?;
                }
                ring.verify(&state)
            })
            .await?;
        store.seal_with(Box::new(keeper.clone()))?;
        Ok(Self { keeper, store: store.clone(), clock, importing: Arc::new(Semaphore::new(1)) })
    }
}
