//! The keeper's keys, and what it vouches for with them: scopes' keys, the state, checkpoints. Runs only on the
//! keeper's thread; never hands a key to another room. [`super::sealing`] and [`super::opening`] use it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};

use super::envelope::{self, Bytes, KEY, Place};
use super::error::{Error, Tampering};
use super::exchange::Exchange;
use super::keys::RawKey;
use super::lease::Parked;
use super::scope::OpenScopes;
use crate::model::Login;
use crate::store::credentials::KekRow;
use crate::store::state::Sealed as SealedState;

/// The keys, and what they belong to.
pub(super) struct Ring {
    pub(super) root: Bytes,
    pub(super) state: Bytes,
    pub(super) audit: Bytes,
    /// The root keys beside this one, while it is exchanged.
    pub(super) exchange: Exchange,
    /// Of this process alone: private keys that wait for their one signature are sealed with it.
    parking: Bytes,
    /// The keys of personal scopes that their owners sealed, while they are open.
    pub(super) open: OpenScopes,
    pub(super) vault: [u8; 16],
    database: PathBuf,
    /// The state of a database that was never sealed, as it was at the start: the one state that may be without a seal.
    pristine: Option<[u8; 32]>,
    /// No snapshot that is read from now on has a lower epoch.
    floor: Arc<AtomicU64>,
}

/// Fails where only a broken system fails.
pub(super) fn system<T, E>(result: Result<T, E>) -> Result<T, Error> {
    result.map_err(|_| Error::System("a cipher or the random numbers"))
}

impl Ring {
    /// Derives what hangs on the root key.
    pub(super) fn new(
        root: Bytes,
        vault: [u8; 16],
        database: PathBuf,
        pristine: Option<[u8; 32]>,
        floor: Arc<AtomicU64>,
    ) -> Result<Self, Error> {
        let state = system(envelope::derive(&root, &vault, "keyward/v1 state", KEY))?;
        let audit = system(envelope::derive(&root, &vault, "keyward/v1 audit-sign", KEY))?;
        let parking = system(envelope::random(KEY))?;
        Ok(Self {
            root,
            state,
            audit,
            exchange: Exchange::default(),
            parking,
            open: OpenScopes::default(),
            vault,
            database,
            pristine,
            floor,
        })
    }

    pub(super) fn tampered(&self, found: Tampering) -> Error {
        Error::Tampered { database: self.database.clone(), found }
    }

    /// The MAC for the next state, and from it: which epochs are past.
    pub(super) fn seal_state(&self, epoch: u64, digest: &[u8; 32]) -> Option<[u8; 32]> {
        let mac = envelope::state_mac(self.seals_with(), &self.vault, epoch, digest);
        // The one before is committed, or nobody would ask for this one.
        self.floor.fetch_max(epoch.saturating_sub(1), Ordering::SeqCst);
        mac
    }

    /// Whether the state is what the broker wrote.
    pub(super) fn verify(&self, state: &SealedState) -> Result<(), Error> {
        match state.mac {
            Some(mac) if envelope::state_holds(&self.state, &self.vault, state.epoch, &state.digest, &mac) => {
                self.floor.fetch_max(state.epoch, Ordering::SeqCst);
                Ok(())
            }
            Some(_) if self.holds_beside(state) => Ok(()),
            Some(_) => Err(self.tampered(Tampering::State)),
            None if state.epoch == 0 && self.pristine.as_ref() == Some(&state.digest) => Ok(()),
            None => Err(self.tampered(Tampering::NoSeal)),
        }
    }

    /// The public half of the checkpoints' key.
    pub(super) fn checkpoint_key(&self) -> Option<[u8; 32]> {
        public_of(&self.audit)
    }

    /// Signs a checkpoint.
    pub(super) fn sign_checkpoint(&self, message: &[u8]) -> Option<Vec<u8>> {
        sign(self.signs_with(crate::audit::Checkpoint::seq_of(message)), message)
    }

    /// Seals a private key that is not stored until its one sign-in, so that it waits outside the keeper as ciphertext.
    pub(super) fn park(&self, key: &RawKey, login: &Login, offered: Vec<u8>) -> Result<Parked, Error> {
        let sealed = system(envelope::seal(&self.parking, &Place::parked(&self.vault, login.as_str(), &offered), &key.bytes))?;
        Ok(Parked { sealed, kind: key.kind, login: login.clone(), offered })
    }

    /// Opens a parked key.
    pub(super) fn unpark(&self, parked: &Parked) -> Result<RawKey, Error> {
        let place = Place::parked(&self.vault, parked.login.as_str(), &parked.offered);
        let bytes = envelope::open(&self.parking, &place, &parked.sealed).map_err(|_| Error::Misused("a parked key of another keeper"))?;
        Ok(RawKey { kind: parked.kind, bytes })
    }

    /// Opens a scope's key.
    pub(super) fn kek(&self, row: &KekRow) -> Result<Bytes, Error> {
        if row.is_sealed() {
            return self.open_kek(row);
        }
        let place = Place::kek(&self.vault, &row.scope, row.version);
        let opened = envelope::open(&self.root, &place, &row.wrapped).ok();
        opened.or_else(|| self.open_beside(&place, &row.wrapped)).ok_or_else(|| self.tampered(Tampering::Kek))
    }
}

/// The public half of a seed.
pub(super) fn public_of(seed: &[u8]) -> Option<[u8; 32]> {
    Ed25519KeyPair::from_seed_unchecked(seed).ok()?.public_key().as_ref().try_into().ok()
}

/// Signs with a seed.
pub(super) fn sign(seed: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    Some(Ed25519KeyPair::from_seed_unchecked(seed).ok()?.try_sign(message).ok()?.as_ref().to_vec())
}
