//! Verbs about sealing: a person seals their own scope, opens it and locks it. Never somebody else's, but to lock it.

use super::api::{Reply, Secrets};
use super::desk::Call;
use super::error::Error;
use super::view::{Data, LockedView, SealedScopeView, SlotView};
use super::words::SlotWord;
use crate::custody::{AnotherSlot, Opens};
use crate::model::{EventName, Slot, SlotId, SlotKind};
use crate::secret::Secret;

/// What belongs to a code that is shown once.
const ONCE: &str = "this recovery code is shown once: write it down, and keep it where your passphrase is not";

impl Call<'_> {
    pub(super) async fn personal_seal(&self, secrets: Secrets) -> Result<Reply, Error> {
        let passphrase = typed(secrets)?;
        let (code, shredded) = self.parts.custody.seal_personal(&self.actor, passphrase, self.event(EventName::PersonalSealed)).await?;
        let view = SealedScopeView { slots: self.slot_views().await?, recovery_code: Some(code.to_string()) };
        let said = "your personal credentials are sealed: only your passphrase or recovery code opens them";
        let reply = Reply::done(Data::SealedScope(view), said)
            .note(ONCE)
            .note("what an older backup holds still opens with the root key of its time: change those secrets on their hosts");
        Ok(gone(reply, shredded))
    }

    pub(super) async fn personal_unseal(&self) -> Result<Reply, Error> {
        self.parts.custody.unseal_personal(&self.actor, self.event(EventName::PersonalUnsealed)).await?;
        Ok(Reply::done(Data::Nothing, "your personal credentials are not sealed any more: the broker's root key opens them"))
    }

    pub(super) async fn personal_slots(&self) -> Result<Reply, Error> {
        Ok(Reply::of(Data::Slots(self.slot_views().await?)))
    }

    pub(super) async fn personal_ask(&self, key: Option<String>) -> Result<Reply, Error> {
        Ok(Reply::of(Data::AgentAsks(self.parts.custody.ask_agent(self.actor.id, key).await?)))
    }

    pub(super) async fn personal_slot_add(&self, slot: SlotWord, secrets: Secrets) -> Result<Reply, Error> {
        let another = match slot {
            SlotWord::Passphrase => AnotherSlot::Passphrase(typed(secrets)?),
            SlotWord::Recovery => AnotherSlot::Recovery,
            SlotWord::Agent(ask) => AnotherSlot::Agent { ask, twice: typed(secrets)? },
        };
        let event = self.event(EventName::PersonalSlotAdded);
        let told = move |slot: &Slot| {
            let event = event.with("slot", slot.id).with("kind", slot.kind);
            if slot.label.is_empty() { event } else { event.with("key", &slot.label) }
        };
        let (slot, code) = self.parts.custody.add_slot(&self.actor, another, told).await?;
        let said = format!("slot {} added: {}", slot.id, what(slot.kind));
        let once = code.is_some();
        let view = SealedScopeView { slots: self.slot_views().await?, recovery_code: code.map(|code| code.to_string()) };
        let reply = Reply::done(Data::SealedScope(view), said);
        Ok(if once { reply.note(ONCE) } else { reply })
    }

    pub(super) async fn personal_slot_remove(&self, id: SlotId) -> Result<Reply, Error> {
        let event = self.event(EventName::PersonalSlotRemoved).with("slot", id);
        let shredded = self.parts.custody.remove_slot(&self.actor, id, event).await?;
        let said = format!("slot {id} removed; your personal credentials have a new key, and are locked");
        let reply = Reply::done(Data::Slots(self.slot_views().await?), said)
            .note("with an older copy of the database and the root key, what the slot opened opens that copy");
        Ok(gone(reply, shredded))
    }

    pub(super) async fn unlock(&self, agent: Option<SlotId>, secrets: Secrets) -> Result<Reply, Error> {
        let secret = typed(secrets)?;
        let opens = match agent {
            Some(slot) => Opens::Agent(slot, secret),
            None => Opens::Typed(secret),
        };
        let event = self.event(EventName::PersonalOpened).with("by", "unlock");
        let event = match self.client {
            Some(client) => event.with("client", client),
            None => event,
        };
        let kind = self.parts.custody.open_personal(&self.actor, opens, true, event).await?;
        Ok(Reply::done(Data::Nothing, format!("your personal credentials are open: {}", what(kind))).note("lock them again: keyward lock"))
    }

    pub(super) async fn lock(&self, all: bool) -> Result<Reply, Error> {
        let (why, me) = ("it was locked", self.actor.name.as_str());
        let custody = &self.parts.custody;
        let (scope, locked, said) = if all {
            let locked = custody.lock_everybody(why, me).await?;
            let said = match locked {
                0 => "nobody's sealed credentials were open".to_owned(),
                1 => "the sealed credentials of one person are locked".to_owned(),
                n => format!("the sealed credentials of {n} people are locked"),
            };
            ("everybody", locked, said)
        } else if custody.lock_personal(self.actor.id, why, me).await? {
            ("personal", 1, "your personal credentials are locked".to_owned())
        } else {
            ("personal", 0, "your personal credentials were not open".to_owned())
        };
        let view = LockedView {
            scope: scope.to_owned(),
            locked: u64::try_from(locked).unwrap_or(u64::MAX),
            locked_at: (locked > 0).then(|| self.now()),
            personal: custody.scope_state(self.actor.id).await?.as_str().to_owned(),
        };
        Ok(Reply::done(Data::Locked(view), said))
    }

    async fn slot_views(&self) -> Result<Vec<SlotView>, Error> {
        let slots = self.parts.custody.slots(self.actor.id).await?;
        let view = |slot: Slot| SlotView {
            id: slot.id,
            kind: slot.kind.to_string(),
            fingerprint: (!slot.label.is_empty()).then_some(slot.label),
            created_at: slot.created_at,
        };
        Ok(slots.into_iter().map(view).collect())
    }
}

fn what(kind: SlotKind) -> &'static str {
    match kind {
        SlotKind::Passphrase => "by passphrase",
        SlotKind::Recovery => "by recovery code",
        SlotKind::Agent => "by a key in your ssh agent",
    }
}

fn typed(secrets: Secrets) -> Result<Secret, Error> {
    let secret = secrets.material.ok_or(Error::SecretMissing)?;
    if secret.is_empty() { Err(Error::SecretEmpty("passphrase")) } else { Ok(secret) }
}

fn gone(reply: Reply, shredded: bool) -> Reply {
    if shredded { reply } else { reply.note("a reader holds the write-ahead log: the old key leaves the files with the next checkpoint") }
}
