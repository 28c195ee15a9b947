//! Personal scopes that their owners seal: what is asked of the vault. Slow work with what was typed is done aside, on a stack that is
//! wiped; keys go from there to the keeper and nowhere else.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::Vault;
use super::code;
use super::crossing::Pair;
use super::envelope::{self, Bytes};
use super::error::{Error, Tampering};
use super::ring::{Ring, system};
use super::scope::Opener;
use super::slots::{self, AgentFault, Body, COST};
use crate::clock::Time;
use crate::model::{AgentAsk, Slot, SlotId, SlotKind, UserId};
use crate::scrub;
use crate::secret::Secret;
use crate::store::slots::{Rekeyed, ScopeRows, SlotRow, scope_rows};
use crate::store::{self, state};

/// Derivations at once: each takes 64 MiB and most of a core.
pub(super) const DERIVING: usize = 2;

/// What is to open a scope.
#[derive(Debug)]
pub enum Unlocker {
    /// What was typed: a passphrase or a recovery code.
    Typed(Secret),
    /// An agent's signature for this slot.
    Agent(SlotId, Secret),
}

/// What a new slot is made of.
#[derive(Debug)]
pub enum NewSlot {
    /// A passphrase.
    Passphrase(Secret),
    /// A code that the vault makes.
    Recovery,
    /// An agent's key: two signatures over what [`Vault::ask_agent`] said.
    Agent {
        /// The public key, as in `authorized_keys`.
        key: String,
        /// The slot's id, as it was signed.
        id: SlotId,
        /// The salt, as it was signed.
        salt: Vec<u8>,
        /// The two signatures, one behind the other.
        twice: Secret,
    },
}

/// A recovery code, to be shown once.
pub type Code = Zeroizing<String>;

/// A person's scope in one snapshot that was verified.
struct Verified {
    rows: ScopeRows,
    vault: [u8; 16],
}

/// A slot before the scope's key is in it, and what made it.
struct Made {
    meta: Slot,
    body: Body,
    code: Option<Code>,
}

impl Vault {
    /// Seals a person's scope: a new key that only a passphrase and a recovery code open, with every data key wrapped by it. The rows
    /// are to be written in one change; the scope is locked.
    ///
    /// # Errors
    /// [`Error::Passphrase`], [`Error::AlreadySealed`], [`Error::Tampered`].
    pub async fn seal_scope(&self, user: UserId, passphrase: Secret) -> Result<(ScopeRows, Rekeyed, Code), Error> {
        slots::judge(passphrase.expose()).map_err(Error::Passphrase)?;
        let Verified { rows, vault } = self.verified_scope(user).await?;
        if rows.keks.last().is_some_and(store::credentials::KekRow::is_sealed) {
            return Err(Error::AlreadySealed);
        }
        let first = self.make_slot(user, vault, NewSlot::Passphrase(passphrase)).await?;
        let second = self.make_slot(user, vault, NewSlot::Recovery).await?;
        let code = second.code.ok_or(Error::System("a recovery code"))?;
        let made = vec![(first.meta, first.body), (second.meta, second.body)];
        let (rows, rekeyed) = self
            .keeper
            .ask(move |ring| {
                let rekeyed = ring.seal_anew(&rows, made)?;
                Ok((rows, rekeyed))
            })
            .await?;
        Ok((rows, rekeyed, code))
    }

    /// Puts a person's scope, which is open, under the root key again.
    ///
    /// # Errors
    /// [`Error::ScopeSealed`], [`Error::NotSealed`], [`Error::Tampered`].
    pub async fn unseal_scope(&self, user: UserId) -> Result<(ScopeRows, Rekeyed), Error> {
        let Verified { rows, .. } = self.verified_scope(user).await?;
        self.keeper
            .ask(move |ring| {
                ring.slots_of(&rows)?;
                let rekeyed = ring.unseal(&rows)?;
                Ok((rows, rekeyed))
            })
            .await
    }

    /// Makes one more slot for a scope that is open; its key stays what it is.
    ///
    /// # Errors
    /// [`Error::ScopeSealed`], [`Error::NotSealed`], [`Error::Passphrase`], [`Error::Agent`], [`Error::Tampered`].
    pub async fn add_slot(&self, user: UserId, new: NewSlot) -> Result<(ScopeRows, SlotRow, Option<Code>), Error> {
        if let NewSlot::Passphrase(passphrase) = &new {
            slots::judge(passphrase.expose()).map_err(Error::Passphrase)?;
        }
        let Verified { rows, vault } = self.verified_scope(user).await?;
        let asked = rows.clone();
        // Whether the scope is open, before a derivation is spent.
        self.keeper
            .ask(move |ring| {
                let (kek, _) = ring.slots_of(&asked)?;
                ring.kek(&kek).map(drop)
            })
            .await?;
        let Made { meta, body, code } = self.make_slot(user, vault, new).await?;
        if rows.slots.iter().any(|slot| slot.meta.id == meta.id) {
            return Err(Error::Misused("a slot's id twice"));
        }
        self.keeper
            .ask(move |ring| {
                let slot = ring.another_slot(&rows, meta, body)?;
                Ok((rows, slot, code))
            })
            .await
    }

    /// Takes a slot away from a scope that is open. The scope gets a new key, so that what the slot opened before opens nothing that is
    /// written from now on.
    ///
    /// # Errors
    /// [`Error::ScopeSealed`], [`Error::NotSealed`], [`Error::NoSlot`], [`Error::LastSlots`], [`Error::Tampered`].
    pub async fn remove_slot(&self, user: UserId, slot: SlotId) -> Result<(ScopeRows, Rekeyed), Error> {
        let Verified { rows, .. } = self.verified_scope(user).await?;
        self.keeper
            .ask(move |ring| {
                let (kek, mut slots) = ring.slots_of(&rows)?;
                ring.kek(&kek)?;
                let before = slots.len();
                slots.retain(|(meta, _)| meta.id != slot);
                if slots.len() == before {
                    return Err(Error::NoSlot);
                }
                if slots.len() < crate::model::SLOTS_LEAST {
                    return Err(Error::LastSlots);
                }
                let rekeyed = ring.seal_anew(&rows, slots)?;
                Ok((rows, rekeyed))
            })
            .await
    }

    /// What an agent signs to become a slot with this key.
    ///
    /// # Errors
    /// [`Error::Agent`] if the key can be none; [`Error::NotSealed`].
    pub async fn ask_new_agent(&self, user: UserId, key: String) -> Result<AgentAsk, Error> {
        slots::ed25519(&key).map_err(Error::Agent)?;
        let Verified { vault, .. } = self.verified_scope(user).await?;
        let (slot, salt) = (self.clock.fresh(), system(slots::fresh_salt())?.to_vec());
        let data = slots::signed_data(&vault, user, slot, &salt);
        Ok(AgentAsk { slot, salt, key, data })
    }

    /// What an agent signs to open the scope: one for each of its slots.
    ///
    /// # Errors
    /// [`Error::NotSealed`], [`Error::Tampered`].
    pub async fn ask_agent(&self, user: UserId) -> Result<Vec<AgentAsk>, Error> {
        let Verified { rows, vault } = self.verified_scope(user).await?;
        let (_, slots) = self.keeper.ask(move |ring| ring.slots_of(&rows)).await?;
        let agents = slots.into_iter().filter(|(meta, _)| meta.kind == SlotKind::Agent);
        Ok(agents
            .map(|(meta, body)| {
                let data = slots::signed_data(&vault, user, meta.id, &body.salt);
                AgentAsk { slot: meta.id, salt: body.salt, key: body.agent, data }
            })
            .collect())
    }

    /// Opens a person's scope: its key comes into the keeper. The work for what was typed is the same whether or not it opens anything.
    ///
    /// # Errors
    /// [`Error::OpensNothing`], [`Error::NotSealed`], [`Error::Tampered`].
    pub async fn open_scope(&self, user: UserId, unlocker: Unlocker) -> Result<(SlotId, SlotKind), Error> {
        let Verified { rows, vault } = self.verified_scope(user).await?;
        let (kek, slots) = self.keeper.ask(move |ring| ring.slots_of(&rows)).await?;
        let openers = self.derived(move || openers(&slots, &vault, user, &unlocker)).await?;
        let opened = self
            .keeper
            .ask_mut(move |ring| {
                let slot = ring.open_scope(user, &kek, &openers)?;
                Ok(slot.and_then(|id| openers.iter().find(|o| o.slot.id == id).map(|o| (id, o.slot.kind))))
            })
            .await?;
        opened.ok_or(Error::OpensNothing)
    }

    /// Forgets the key of a person's scope: when this returns it is wiped. `false`: it was not open.
    ///
    /// # Errors
    /// [`Error::KeeperStopped`].
    pub async fn lock_scope(&self, user: UserId) -> Result<bool, Error> {
        self.keeper.ask_mut(move |ring| Ok(ring.lock_scope(user))).await
    }

    async fn verified_scope(&self, user: UserId) -> Result<Verified, Error> {
        let floor = self.keeper.floor();
        let database = self.store.path().to_owned();
        let read = move |c: &rusqlite::Connection| -> Result<_, store::Error> { Ok((state::read(c)?, scope_rows(c, user)?)) };
        let (state, rows) = self.store.read(read).await?;
        self.keeper
            .ask(move |ring: &Ring| {
                ring.verify(&state)?;
                if state.epoch < floor {
                    return Err(Error::Tampered { database, found: Tampering::Rollback });
                }
                Ok(Verified { rows, vault: ring.vault })
            })
            .await
    }

    /// The slot that `new` makes, without the scope's key in it.
    async fn make_slot(&self, user: UserId, vault: [u8; 16], new: NewSlot) -> Result<Made, Error> {
        let (fresh, now) = (self.clock.fresh(), self.clock.now());
        self.derived(move || made(user, &vault, new, fresh, now)).await?
    }

    /// Work with what was typed, on a stack that is wiped; two at a time.
    async fn derived<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let done = self.aside_at(Arc::clone(&self.deriving), work).await?;
        done.ok_or(Error::System("a derivation"))
    }
}

/// The key pairs that what was typed or signed makes for these slots.
fn openers(slots: &[(Slot, Body)], vault: &[u8; 16], user: UserId, unlocker: &Unlocker) -> Vec<Opener> {
    let mut out = Vec::new();
    let mut take = |slot: &Slot, body: &Body, pair: Pair| out.push(Opener { slot: slot.clone(), body: body.clone(), pair });
    match unlocker {
        Unlocker::Typed(text) => {
            let code = code::read(text.expose());
            for (slot, body) in slots {
                let pair = match (slot.kind, &code) {
                    (SlotKind::Recovery, Some(code)) => slots::of_code(code, vault, slot.id, &body.salt),
                    (SlotKind::Passphrase, None) => slots::of_passphrase(text.expose(), vault, slot.id, &body.salt, body.cost),
                    _ => continue,
                };
                if let Ok(pair) = pair {
                    take(slot, body, pair);
                }
            }
        }
        Unlocker::Agent(id, signature) => {
            let of_agent = slots.iter().find(|(slot, _)| slot.id == *id && slot.kind == SlotKind::Agent);
            if let Some((slot, body)) = of_agent
                && let Ok(pair) = slots::of_signature(signature.expose(), vault, user, slot.id, (&body.agent, &body.salt))
            {
                take(slot, body, pair);
            }
        }
    }
    out
}

fn made(user: UserId, vault: &[u8; 16], new: NewSlot, fresh: SlotId, now: Time) -> Result<Made, Error> {
    let empty = |kind, salt: &[u8], agent: String, pair: &Pair| Body {
        kind,
        salt: salt.to_vec(),
        cost: COST,
        agent,
        public: pair.public.clone(),
        version: 0,
        kek: Vec::new(),
    };
    let meta = |id, kind, label| Slot { id, user, kind, label, created_at: now };
    match new {
        NewSlot::Passphrase(passphrase) => {
            let salt = system(slots::fresh_salt())?;
            let pair = system(slots::of_passphrase(passphrase.expose(), vault, fresh, &salt, COST))?;
            let body = empty(SlotKind::Passphrase, &salt, String::new(), &pair);
            Ok(Made { meta: meta(fresh, SlotKind::Passphrase, String::new()), body, code: None })
        }
        NewSlot::Recovery => {
            let salt = system(slots::fresh_salt())?;
            let code: Bytes = system(envelope::random(code::CODE))?;
            let pair = system(slots::of_code(&code, vault, fresh, &salt))?;
            let body = empty(SlotKind::Recovery, &salt, String::new(), &pair);
            Ok(Made { meta: meta(fresh, SlotKind::Recovery, String::new()), body, code: Some(code::write(&code)) })
        }
        NewSlot::Agent { key, id, salt, twice } => {
            let label = slots::fingerprint(&key).map_err(Error::Agent)?;
            let signature = slots::steady(&twice).map_err(Error::Agent)?;
            if salt.len() != 32 {
                return Err(Error::Agent(AgentFault::Wrong));
            }
            let pair = slots::of_signature(signature, vault, user, id, (&key, &salt)).map_err(Error::Agent)?;
            let body = empty(SlotKind::Agent, &salt, key, &pair);
            Ok(Made { meta: meta(id, SlotKind::Agent, label), body, code: None })
        }
    }
}

/// How deep the stack is that a derivation may use: what [`scrub`] wipes.
const _: () = assert!(scrub::DEPTH >= 64 * 1024, "a derivation's frames lie within what is wiped");

#[cfg(test)]
#[path = "tests/personal.rs"]
mod tests;
