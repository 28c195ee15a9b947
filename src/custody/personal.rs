//! A person seals their own scope, opens it and locks it. Everything that opens or closes one is witnessed; what cannot be witnessed
//! is closed again.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::scopes::Visiting;
use super::warrant::{Asked, look_up};
use super::{Custody, Error, Purpose};
use crate::model::{Action, AgentAsk, Event, EventName, SLOTS_MOST, Scope, ScopeState, Slot, SlotId, SlotKind, User, UserId};
use crate::secret::Secret;
use crate::store::slots::{self, Rekeyed, ScopeRows};
use crate::store::{self, shreds, users};
use crate::vault::{self, NewSlot, Unlocker};

/// The longest that nothing is looked at while a scope is open.
const LOOK: Duration = Duration::from_secs(3600);
/// When a scope that could not be locked is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// What is to open a scope.
#[derive(Debug)]
pub enum Opens {
    /// What was typed: a passphrase or a recovery code.
    Typed(Secret),
    /// An agent's signature for this slot.
    Agent(SlotId, Secret),
}

impl From<Opens> for Unlocker {
    fn from(opens: Opens) -> Self {
        match opens {
            Opens::Typed(text) => Self::Typed(text),
            Opens::Agent(slot, signature) => Self::Agent(slot, signature),
        }
    }
}

/// One more slot.
#[derive(Debug)]
pub enum AnotherSlot {
    /// A passphrase.
    Passphrase(Secret),
    /// A recovery code, that is made and shown once.
    Recovery,
    /// An agent's key.
    Agent {
        /// What was asked of it.
        ask: AgentAsk,
        /// Its two signatures, one behind the other.
        twice: Secret,
    },
}

impl From<AnotherSlot> for NewSlot {
    fn from(another: AnotherSlot) -> Self {
        match another {
            AnotherSlot::Passphrase(passphrase) => Self::Passphrase(passphrase),
            AnotherSlot::Recovery => Self::Recovery,
            AnotherSlot::Agent { ask, twice } => Self::Agent { key: ask.key, id: ask.slot, salt: ask.salt, twice },
        }
    }
}

impl Error {
    /// Whether what was given to open a scope was wrong, and may be tried again.
    pub fn opens_nothing(&self) -> bool {
        matches!(self, Self::Vault(vault::Error::OpensNothing))
    }
}

/// What must not be left half done, because a key would stay or an entry be missing: whoever asked for it may go away at any moment.
async fn to_its_end<T: Send + 'static>(work: impl Future<Output = Result<T, Error>> + Send + 'static) -> Result<T, Error> {
    #[allow(clippy::disallowed_methods)] // awaited at once; a caller that goes away does not cut it off
    let whole = tokio::spawn(work);
    whole.await.map_err(|_| Error::Store(store::Error::Closed))?
}

impl Custody {
    /// Seals a person's scope. Returns the recovery code, to be shown once, and whether the key that the root key opened has left the
    /// files; `false`: a reader holds the write-ahead log.
    ///
    /// # Errors
    /// The vault's; [`Error::ChangedMeanwhile`].
    pub async fn seal_personal(&self, user: &User, passphrase: Secret, event: Event) -> Result<(Zeroizing<String>, bool), Error> {
        self.store.room()?;
        let (before, to, code) = self.vault.seal_scope(user.id, passphrase).await?;
        Ok((code, self.rekey(before, to, event).await?))
    }

    /// Puts a person's scope under the root key again. It must be open.
    ///
    /// # Errors
    /// The vault's; [`Error::ChangedMeanwhile`].
    pub async fn unseal_personal(&self, user: &User, event: Event) -> Result<(), Error> {
        let (custody, user) = (self.clone(), user.clone());
        let unsealing = async move {
            let (before, to) = custody.vault.unseal_scope(user.id).await?;
            custody.rekey(before, to, event).await?;
            custody.lock_personal(user.id, "it is not sealed any more", user.name.as_str()).await?;
            Ok(())
        };
        to_its_end(unsealing).await
    }

    /// A person's slots, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn slots(&self, user: UserId) -> Result<Vec<Slot>, Error> {
        let rows = self.store.read(move |c| slots::of_user(c, user)).await?;
        Ok(rows.into_iter().map(|row| row.meta).collect())
    }

    /// What an agent signs: for a new slot with this key, or – without one – to open each slot of an agent.
    ///
    /// # Errors
    /// The vault's.
    pub async fn ask_agent(&self, user: UserId, key: Option<String>) -> Result<Vec<AgentAsk>, Error> {
        Ok(match key {
            Some(key) => vec![self.vault.ask_new_agent(user, key).await?],
            None => self.vault.ask_agent(user).await?,
        })
    }

    /// Adds a slot to a scope that is open. Returns it, and of a recovery slot its code, to be shown once.
    ///
    /// # Errors
    /// The vault's; [`Error::TooManySlots`], [`Error::KeyHasSlot`], [`Error::ChangedMeanwhile`].
    pub async fn add_slot(
        &self,
        user: &User,
        another: AnotherSlot,
        event: impl FnOnce(&Slot) -> Event + Send + 'static,
    ) -> Result<(Slot, Option<Zeroizing<String>>), Error> {
        let _turn = self.turns.read().await;
        self.store.room()?;
        let id = user.id;
        if self.slots(id).await?.len() >= SLOTS_MOST {
            return Err(Error::TooManySlots);
        }
        let (before, slot, code) = self.vault.add_slot(id, another.into()).await?;
        if slot.meta.kind == SlotKind::Agent && before.slots.iter().any(|other| other.meta.label == slot.meta.label) {
            return Err(Error::KeyHasSlot(slot.meta.label));
        }
        let added = self
            .log
            .change(move |c| -> Result<(Slot, Vec<Event>), Error> {
                if slots::scope_rows(c, id)? != before {
                    return Err(meanwhile());
                }
                slots::put(c, &slot)?;
                let event = event(&slot.meta);
                Ok((slot.meta, vec![event]))
            })
            .await?;
        self.scopes.used(id, self.clock.now());
        Ok((added.into_inner(), code))
    }

    /// Takes a slot away; the scope gets a new key and is locked. Whether the old one has left the files is returned.
    ///
    /// # Errors
    /// The vault's; [`Error::LastKnown`], [`Error::ChangedMeanwhile`].
    pub async fn remove_slot(&self, user: &User, slot: SlotId, event: Event) -> Result<bool, Error> {
        let (custody, user) = (self.clone(), user.clone());
        let removing = async move {
            let (before, to) = custody.vault.remove_slot(user.id, slot).await?;
            if !before.slots.iter().any(|other| other.meta.id != slot && other.meta.kind != SlotKind::Agent) {
                return Err(Error::LastKnown);
            }
            let shredded = custody.rekey(before, to, event).await?;
            custody.lock_personal(user.id, "it has a new key", user.name.as_str()).await?;
            Ok(shredded)
        };
        to_its_end(removing).await
    }

    async fn rekey(&self, before: ScopeRows, to: Rekeyed, event: Event) -> Result<bool, Error> {
        // Alone: what somebody seals meanwhile would be wrapped by a key that is gone. Until it is committed, whoever has left by then.
        let (turn, bell) = (self.alone().await, self.guard.bell());
        let committed = move |changed: &()| {
            bell(changed);
            drop(turn);
        };
        let at = self.clock.now();
        let change = move |c: &rusqlite::Connection| -> Result<((), Vec<Event>), Error> {
            if !slots::rekey(c, &before, &to)? {
                return Err(meanwhile());
            }
            shreds::note(c, "replaced keys", at)?;
            Ok(((), vec![event]))
        };
        self.log.change_heard(committed, change).await?.into_inner();
        Ok(shreds::settle(&self.store).await?.count == 0)
    }

    /// Opens a person's scope. `stays`: until it is locked or not used for long, whether or not they are connected. `event` is the
    /// person's own, of [`EventName::PersonalOpened`].
    ///
    /// # Errors
    /// [`Error::TooManyTries`]; the vault's, [`vault::Error::OpensNothing`] above all; [`Error::Audit`]: it stays locked.
    pub async fn open_personal(&self, user: &User, opens: Opens, stays: bool, event: Event) -> Result<SlotKind, Error> {
        // What is open must stand in the list of what is open.
        let (custody, user) = (self.clone(), user.clone());
        to_its_end(async move { custody.open_scope(&user, opens, stays, event).await }).await
    }

    async fn open_scope(&self, user: &User, opens: Opens, stays: bool, event: Event) -> Result<SlotKind, Error> {
        if !self.scopes.may_try(user.id, self.clock.now()) {
            return Err(Error::TooManyTries);
        }
        let (slot, kind) = match self.vault.open_scope(user.id, opens.into()).await {
            Ok(opened) => opened,
            Err(e) => {
                if matches!(e, vault::Error::OpensNothing) {
                    let refused = Event { name: EventName::PersonalRefused, ..event };
                    self.log.record(refused.denied(e.to_string())).await?;
                }
                return Err(e.into());
            }
        };
        if let Err(e) = self.log.record(event.with("slot", slot).with("kind", kind)).await {
            self.vault.lock_scope(user.id).await?;
            return Err(e.into());
        }
        self.scopes.opened(user.id, stays, self.clock.now());
        Ok(kind)
    }

    /// Locks a person's scope: when this returns, its key is wiped. `false`: it was not open. It is done to its end, also if whoever asked
    /// does not wait for it: what was locked is on record.
    ///
    /// # Errors
    /// [`Error::Audit`]: it is locked, and that could not be recorded.
    pub async fn lock_personal(&self, user: UserId, why: &str, actor: &str) -> Result<bool, Error> {
        let (custody, why, actor) = (self.clone(), why.to_owned(), actor.to_owned());
        to_its_end(async move { custody.lock_scope(user, &why, &actor).await }).await
    }

    async fn lock_scope(&self, user: UserId, why: &str, actor: &str) -> Result<bool, Error> {
        // First the list: a scope that is opened meanwhile stands in it again.
        self.scopes.locked(user);
        match self.vault.lock_scope(user).await {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(e) => {
                // The keeper had no place for it, and nobody tries again what stands in no list. One that has stopped holds no keys.
                if matches!(e, vault::Error::Busy) {
                    self.scopes.opened(user, false, self.clock.now());
                }
                return Err(e.into());
            }
        }
        let person = self.store.read(move |c| users::by_id(c, user)).await.ok().flatten();
        let name = person.map_or_else(|| user.to_string(), |user| user.name.to_string());
        self.log.record(Event::new(EventName::PersonalLocked, actor).because(why).with("user", name)).await?;
        Ok(true)
    }

    /// Locks every scope that is open; how many there were. It is done to its end, also if whoever asked does not wait for it.
    ///
    /// # Errors
    /// The first that [`Custody::lock_personal`] had; the others are locked all the same.
    pub async fn lock_everybody(&self, why: &str, actor: &str) -> Result<usize, Error> {
        let (custody, why, actor) = (self.clone(), why.to_owned(), actor.to_owned());
        let locking = async move {
            let (mut locked, mut failed) = (0, None);
            for user in custody.scopes.open() {
                match custody.lock_scope(user, &why, &actor).await {
                    Ok(was_open) => locked += usize::from(was_open),
                    Err(e) => failed = failed.or(Some(e)),
                }
            }
            failed.map_or(Ok(locked), Err)
        };
        to_its_end(locking).await
    }

    /// How many scopes are open.
    pub fn open_scopes(&self) -> usize {
        self.scopes.open().len()
    }

    /// How a person's scope is.
    ///
    /// # Errors
    /// The store's.
    pub async fn scope_state(&self, user: UserId) -> Result<ScopeState, Error> {
        Ok(match self.store.read(move |c| slots::is_sealed(c, &Scope::Personal(user))).await? {
            false => ScopeState::Unsealed,
            true if self.scopes.is_open(user) => ScopeState::Open,
            true => ScopeState::Locked,
        })
    }

    /// How long a scope stays open without being used.
    pub fn keep_open_for(&self, idle: Duration) {
        self.scopes.keep_open_for(idle);
    }

    /// Says that a person is connected, until what is returned is dropped.
    pub fn visiting(&self, user: UserId) -> Visiting {
        self.scopes.visiting(user)
    }

    /// Whether a wish needs a scope that its owner has to open first, for the host or for a jump host on the way. Of a wish that is
    /// not granted this says nothing: it takes the same reads and is answered as one that needs nothing.
    ///
    /// # Errors
    /// The store's.
    pub async fn asks_first(&self, asked: Asked) -> Result<bool, Error> {
        let (user, now) = (asked.user, self.clock.now());
        let needs_it = move |c: &rusqlite::Connection| -> Result<bool, store::Error> {
            let found = look_up(c, &asked, Purpose::Connect)?;
            let (mut granted, mut sealed) = (found.is_granted(&asked, now), found.sealed);
            for hop in found.route.unwrap_or_default() {
                let needs = Some(Action::ForwardLocal);
                let there = Asked { host: hop.name, credential: None, needs, ..asked.clone() };
                let passed = look_up(c, &there, Purpose::Connect)?;
                granted &= passed.is_granted(&there, now);
                sealed |= passed.sealed;
            }
            Ok(granted && sealed)
        };
        Ok(self.store.read(needs_it).await? && !self.scopes.is_open(user))
    }

    /// Whether a sealed credential of this person may be used now.
    pub(super) fn openable(&self, user: &User, unattended: bool) -> Result<(), vault::Error> {
        if unattended {
            // Also while it is open: what runs by itself does not lean on somebody's presence.
            Err(vault::Error::SealedForOwner)
        } else if self.scopes.is_open(user.id) {
            Ok(())
        } else {
            Err(vault::Error::ScopeSealed)
        }
    }

    /// Locks scopes when their time has come, until `stop`: nobody used them for long, their owner's last connection has ended, or
    /// their owner was disabled or removed.
    pub async fn mind_scopes(&self, stop: CancellationToken) {
        let mut bell = self.guard.listen();
        loop {
            let wait = self.scopes.until_due(self.clock.now()).unwrap_or(LOOK).min(LOOK);
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.scopes.changed() => {}
                _ = bell.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
            let mut due = self.scopes.due(self.clock.now());
            let open = self.scopes.open();
            let gone = self
                .store
                .read(move |c| -> Result<Vec<UserId>, store::Error> {
                    let mut gone = Vec::new();
                    for user in open {
                        if users::by_id(c, user)?.is_none_or(|user| user.disabled) {
                            gone.push(user);
                        }
                    }
                    Ok(gone)
                })
                .await;
            match gone {
                Ok(gone) => due.extend(gone.into_iter().map(|user| (user, "its owner was disabled or removed"))),
                Err(error) => {
                    tracing::error!(target: "keyward::custody", %error, "who is there cannot be read: every scope is locked");
                    due.extend(self.scopes.open().into_iter().map(|user| (user, "who is there could not be read")));
                }
            }
            let mut failed = false;
            for (user, why) in due {
                if let Err(error) = self.lock_personal(user, why, "keyward").await {
                    failed = true;
                    tracing::error!(target: "keyward::custody", %error, "a scope was not locked, or that it was could not be recorded");
                }
            }
            // What stands in the list again rings at once: not before its time.
            if failed {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(AGAIN) => {}
                }
            }
        }
    }
}

fn meanwhile() -> Error {
    Error::ChangedMeanwhile("your personal scope".to_owned())
}
