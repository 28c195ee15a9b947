//! The root key changes while the keeper runs: the next one waits until the database says that it is in force, the one
//! before opens what was read under it a moment ago. Runs only on the keeper's thread; never writes a file or a row.
//!
//! Which of two root keys is in force is never guessed: it is the one whose seal holds over the state that was committed.

use std::sync::{Arc, Mutex};

use super::envelope::{self, Bytes, KEY, Place};
use super::error::{Error, Tampering};
use super::ring::{Ring, system};
use crate::store::state::Sealed as SealedState;

/// What a root key is called, and the public half of what it signs checkpoints with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootName {
    /// Sixteen hex digits, derived from the key.
    pub id: String,
    /// The key of its checkpoints.
    pub checkpoint_key: [u8; 32],
}

/// A root key and what hangs on it.
pub(super) struct Keys {
    pub(super) root: Bytes,
    pub(super) state: Bytes,
    pub(super) audit: Bytes,
}

impl Keys {
    pub(super) fn of(root: Bytes, vault: &[u8; 16]) -> Result<Self, Error> {
        let state = system(envelope::derive(&root, vault, "keyward/v1 state", KEY))?;
        let audit = system(envelope::derive(&root, vault, "keyward/v1 audit-sign", KEY))?;
        Ok(Self { root, state, audit })
    }

    fn holds(&self, vault: &[u8; 16], state: &SealedState) -> bool {
        state.mac.is_some_and(|mac| envelope::state_holds(&self.state, vault, state.epoch, &state.digest, &mac))
    }
}

struct Next {
    keys: Keys,
    /// From this audit entry on it is in force, if the transaction that says so is committed. `None`: nothing says so yet.
    armed: Option<u64>,
}

struct Previous {
    keys: Keys,
    /// States from this epoch on are not its any more.
    until: u64,
}

/// The root keys beside the one in force.
#[derive(Default)]
pub(super) struct Exchange {
    next: Option<Next>,
    previous: Option<Previous>,
    /// Where everybody reads which key signs checkpoints.
    pub(super) shown: Arc<Mutex<[u8; 32]>>,
}

impl Exchange {
    fn armed(&self) -> Option<(&Keys, u64)> {
        self.next.as_ref().and_then(|next| Some((&next.keys, next.armed?)))
    }
}

fn name_of(root: &[u8], audit: &[u8], vault: &[u8; 16]) -> Result<RootName, Error> {
    use std::fmt::Write;
    let bytes = system(envelope::derive(root, vault, "keyward/v1 root-id", 8))?;
    let mut id = String::with_capacity(16);
    for byte in bytes.iter() {
        let _ = write!(id, "{byte:02x}");
    }
    let checkpoint_key = super::ring::public_of(audit).ok_or(Error::System("a signature key"))?;
    Ok(RootName { id, checkpoint_key })
}

impl Ring {
    /// The name of the root key in force.
    pub(super) fn root_name(&self) -> Result<RootName, Error> {
        name_of(&self.root, &self.audit, &self.vault)
    }

    /// Takes in the key that is to be the next one.
    pub(super) fn expect(&mut self, root: Bytes) -> Result<RootName, Error> {
        let keys = Keys::of(root, &self.vault)?;
        let name = name_of(&keys.root, &keys.audit, &self.vault)?;
        self.exchange.next = Some(Next { keys, armed: None });
        Ok(name)
    }

    /// Wraps with the next root key what the one in force wraps.
    pub(super) fn rewrap_root(&self, place: &Place, blob: &[u8]) -> Result<Vec<u8>, Error> {
        let next = self.exchange.next.as_ref().ok_or(Error::Misused("no next root key"))?;
        let plain = envelope::open(&self.root, place, blob).map_err(|_| self.tampered(Tampering::Kek))?;
        system(envelope::seal(&next.keys.root, place, &plain))
    }

    /// Wraps with a scope's newest key what an older version wraps.
    pub(super) fn rewrap(&self, old: &[u8], new: &[u8], before: &Place, after: &Place, blob: &[u8]) -> Result<Vec<u8>, Error> {
        let plain = envelope::open(old, before, blob).map_err(|_| self.tampered(Tampering::DataKey))?;
        system(envelope::seal(new, after, &plain))
    }

    /// The next state is sealed with the next root key: the transaction that is open says so, from audit entry `seq` on.
    pub(super) fn arm(&mut self, seq: u64) -> Option<()> {
        self.exchange.next.as_mut()?.armed = Some(seq);
        Some(())
    }

    /// Looks at a state that was committed: if the next root key sealed it, that key is in force from now on. `true`: it is.
    pub(super) fn settle(&mut self, state: &SealedState) -> bool {
        let Some(next) = &self.exchange.next else { return false };
        if next.armed.is_none() {
            return false;
        }
        if !next.keys.holds(&self.vault, state) {
            // What armed it was not committed.
            if let Some(next) = &mut self.exchange.next {
                next.armed = None;
            }
            return false;
        }
        self.adopt(state.epoch);
        true
    }

    /// At the start: whether the next root key, and not this one, sealed what is there. Then it is in force.
    pub(super) fn adopt_if_sealed(&mut self, state: &SealedState) -> bool {
        let sealed = self.exchange.next.as_ref().is_some_and(|next| next.keys.holds(&self.vault, state));
        if sealed {
            self.adopt(state.epoch);
            self.exchange.previous = None;
        }
        sealed
    }

    fn adopt(&mut self, until: u64) {
        let Some(Next { keys, .. }) = self.exchange.next.take() else { return };
        let old = Keys {
            root: std::mem::replace(&mut self.root, keys.root),
            state: std::mem::replace(&mut self.state, keys.state),
            audit: std::mem::replace(&mut self.audit, keys.audit),
        };
        self.exchange.previous = Some(Previous { keys: old, until });
        if let (Some(key), Ok(mut shown)) = (self.checkpoint_key(), self.exchange.shown.lock()) {
            *shown = key;
        }
    }

    /// Forgets the key that was to be the next one.
    pub(super) fn give_up_next(&mut self) {
        self.exchange.next = None;
    }

    /// Forgets the root key before: nothing is opened with it any more.
    pub(super) fn retire(&mut self) {
        self.exchange.previous = None;
    }

    /// What the state that is about to be committed is sealed with.
    pub(super) fn seals_with(&self) -> &Bytes {
        self.exchange.armed().map_or(&self.state, |(keys, _)| &keys.state)
    }

    /// What signs the checkpoint of an entry.
    pub(super) fn signs_with(&self, seq: Option<u64>) -> &Bytes {
        match self.exchange.armed() {
            Some((keys, from)) if seq.is_some_and(|seq| seq >= from) => &keys.audit,
            _ => &self.audit,
        }
    }

    /// Whether a state was sealed with a root key beside the one in force, while that one was.
    pub(super) fn holds_beside(&self, state: &SealedState) -> bool {
        let exchange = &self.exchange;
        exchange.armed().is_some_and(|(keys, _)| keys.holds(&self.vault, state))
            || exchange.previous.as_ref().is_some_and(|p| state.epoch < p.until && p.keys.holds(&self.vault, state))
    }

    /// Opens what a root key beside the one in force wraps.
    pub(super) fn open_beside(&self, place: &Place, blob: &[u8]) -> Option<Bytes> {
        let armed = self.exchange.armed().map(|(keys, _)| keys);
        let previous = self.exchange.previous.as_ref().map(|p| &p.keys);
        [armed, previous].into_iter().flatten().find_map(|keys| envelope::open(&keys.root, place, blob).ok())
    }

    /// Both keys' signatures on the handing over from one to the other: the old one names the new one, the new one answers.
    pub(super) fn hand_over(&self, message: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let next = self.exchange.next.as_ref()?;
        Some((super::ring::sign(&self.audit, message)?, super::ring::sign(&next.keys.audit, message)?))
    }
}
