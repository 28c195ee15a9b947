//! A person decides: approve exactly these bytes, or others of their own, deny, allow the same again, take that back.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::allowance::{Again, Allowance};
use super::desk::{Approvals, Decided, Entry, Inner, Snapshot};
use super::draft::{CLAIM, Draft};
use super::error::Error;
use super::journey::{self, Ask};
use crate::model::{
    Act, ActDigest, AllowanceId, Approver, Event, EventName, Means, Name, NotApproved, PlanId, Principal, ProposalId, SessionId, Stage,
    UserId, printable,
};

impl Approvals {
    /// Approves exactly the bytes with this digest, or those that the person wrote instead, and lets them run.
    ///
    /// # Errors
    /// Why not; then it waits as before, unless the error says otherwise.
    pub async fn approve(
        &self,
        by: Approver,
        by_name: Name,
        id: ProposalId,
        shown: ActDigest,
        edit: Option<Vec<u8>>,
        again: Option<Again>,
    ) -> Result<Decided, Error> {
        let entry = self.0.for_person(id, by.user())?;
        if let Some(again) = again {
            let config = &self.0.config;
            if again.times == 0 || again.times > config.again || again.within.is_zero() || again.within > config.again_within {
                return Err(Error::Allowance(format!(
                    "the same bytes can be allowed again 1 to {} times, for at most {} minutes",
                    config.again,
                    config.again_within.as_secs() / 60
                )));
            }
        }
        let signed = matches!(by.means(), Means::Signature { .. });
        if entry.needs_signature && !signed {
            return Err(Error::SignatureNeeded(id));
        }
        if let Some(command) = &edit {
            Draft::new(entry.row.host_name.clone(), command.clone()).check(&self.0.config)?;
        }
        let person = by.user();
        let now = ask(&entry, |told| Ask::Approve { by, by_name: by_name.clone(), shown, edit: edit.clone(), told }).await?;
        let allowance = match again {
            Some(again) => {
                let command = edit.unwrap_or_else(|| entry.row.act.command.clone());
                Some(self.0.allow(&entry, person, &by_name, command, again, signed).await?)
            }
            None => None,
        };
        Ok(Decided { now, allowance })
    }

    /// Denies a proposal; the agent reads the reason.
    ///
    /// # Errors
    /// Why not; then it waits as before.
    pub async fn deny(&self, by: Approver, by_name: Name, id: ProposalId, reason: Option<String>) -> Result<Decided, Error> {
        let entry = self.0.for_person(id, by.user())?;
        let reason = reason.map(|r| printable(&r, CLAIM));
        let now = ask(&entry, |told| Ask::Deny { by, by_name, reason, told }).await?;
        Ok(Decided { now, allowance: None })
    }

    /// The steps of a plan that are in memory, in order, and the digest over all of them.
    pub fn plan(&self, person: UserId, plan: PlanId) -> Option<(Vec<ProposalId>, ActDigest)> {
        let mut steps = self.0.all(|e| e.row.plan == Some(plan) && e.row.user == person);
        steps.sort_by_key(|e| e.row.step);
        (!steps.is_empty()).then(|| (steps.iter().map(|e| e.row.id).collect(), plan_digest(steps.iter().map(|e| &e.row.digest))))
    }

    /// Approves every step of a plan whose end was shown, in order; those that were approved before stay so.
    ///
    /// # Errors
    /// The first reason why not; the steps before it stay approved.
    pub async fn approve_plan(&self, by: Approver, by_name: Name, plan: PlanId, shown: ActDigest) -> Result<Vec<Decided>, Error> {
        let (steps, digest) = self.plan(by.user(), plan).ok_or_else(|| Error::NoSuch(plan.to_string()))?;
        let first = steps.first().copied().ok_or_else(|| Error::NoSuch(plan.to_string()))?;
        if digest != shown {
            return Err(Error::NotApproved { id: first, why: NotApproved::OtherDigest });
        }
        let mut decided = Vec::new();
        for id in steps {
            let entry = match self.0.for_person(id, by.user()) {
                Ok(entry) => entry,
                // Approved one by one before: the rest is what is asked for.
                Err(Error::Decided { stage: Stage::Approved | Stage::Running | Stage::Executed, .. }) => continue,
                // One before it has failed already, and took it along.
                Err(Error::Decided { .. }) if !decided.is_empty() => break,
                Err(e) => return Err(e),
            };
            match self.approve(by.clone(), by_name.clone(), id, entry.row.digest, None, None).await {
                Ok(done) => decided.push(done),
                Err(Error::Decided { .. }) if !decided.is_empty() => break,
                Err(e) => return Err(e),
            }
        }
        Ok(decided)
    }

    /// What a person has allowed and is still good.
    pub fn allowances(&self, person: UserId) -> Vec<Allowance> {
        self.0.living_allowances().into_iter().filter(|a| a.person == person).collect()
    }

    /// Takes an allowance back.
    ///
    /// # Errors
    /// [`Error::NoSuch`]; the witness's, and then it is gone all the same.
    pub async fn revoke(&self, person: UserId, by_name: Name, id: AllowanceId) -> Result<Allowance, Error> {
        let is_theirs = |a: &Allowance| a.id == id && a.person == person;
        // Looked for first: a word about nothing must not hold up what others start.
        if !self.0.allowances.lock().is_ok_and(|all| all.iter().any(is_theirs)) {
            return Err(Error::NoSuch(id.to_string()));
        }
        // What it has let run is on record as running by now; what it has approved and what comes later is not started. From here on
        // nothing waits until it stands among those that were taken back: whoever leaves takes back all of it, or nothing.
        let mut taken_back = self.0.taken_back.write().await;
        let found = self
            .0
            .allowances
            .lock()
            .ok()
            .and_then(|mut all| all.iter().position(is_theirs).map(|at| all.remove(at)))
            .ok_or_else(|| Error::NoSuch(id.to_string()))?;
        taken_back.note(person, id);
        drop(taken_back);
        self.0.ring(person);
        let event = Event::new(EventName::AllowanceRevoked, by_name.to_string())
            .session(found.session)
            .proposal(found.proposal)
            .with("allowance", id)
            .with("agent", &found.agent_name)
            .with("sha256", found.digest)
            .count("left", u64::from(found.left));
        self.0.parts.log.record(event).await?;
        Ok(found)
    }
}

/// The digest over a plan: over the digests of its steps, in their order.
pub(super) fn plan_digest<'a>(steps: impl Iterator<Item = &'a ActDigest>) -> ActDigest {
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    hash.update(b"keyward plan 1");
    for step in steps {
        hash.update(step.bytes());
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.finish().as_ref());
    bytes.into()
}

/// Puts a decision to a proposal's own task, which takes one after the other.
async fn ask(entry: &Entry, ask: impl FnOnce(oneshot::Sender<Result<Snapshot, Error>>) -> Ask) -> Result<Snapshot, Error> {
    let (tell, told) = oneshot::channel();
    let decided = || Error::Decided { id: entry.row.id, stage: entry.stage() };
    entry.asks.send(ask(tell)).await.map_err(|_| decided())?;
    told.await.map_err(|_| decided())?
}

impl Inner {
    /// A proposal that waits for this person; for everybody else it does not exist.
    fn for_person(&self, id: ProposalId, person: UserId) -> Result<Arc<Entry>, Error> {
        let entry = self.entry(id).filter(|e| e.row.user == person).ok_or_else(|| Error::NoSuch(id.to_string()))?;
        match entry.stage() {
            Stage::Pending => Ok(entry),
            stage => Err(Error::Decided { id, stage }),
        }
    }

    async fn allow(
        self: &Arc<Self>,
        entry: &Entry,
        person: UserId,
        by_name: &Name,
        command: Vec<u8>,
        again: Again,
        signed: bool,
    ) -> Result<AllowanceId, Error> {
        let digest = Act { command: command.clone(), ..entry.row.act.clone() }.digest();
        let allowance = Allowance {
            id: self.parts.clock.fresh(),
            person,
            agent: entry.row.act.agent,
            agent_name: entry.row.agent_name.clone(),
            session: entry.row.act.session,
            host_name: entry.row.host_name.clone(),
            digest,
            command,
            proposal: entry.row.id,
            left: again.times,
            until: self.parts.clock.now().plus(again.within),
            signed,
        };
        let event = journey::event(EventName::AllowanceGiven, by_name, &entry.row)
            .with("allowance", allowance.id)
            .count("times", u64::from(again.times))
            .with("until", allowance.until);
        let (id, inner) = (allowance.id, Arc::clone(self));
        // Given by whoever writes the entry: what stands there as given is there to be used, and to be taken back.
        let give = move || {
            if let Ok(mut all) = inner.allowances.lock() {
                all.push(allowance);
            }
            inner.ring(person);
        };
        self.parts.log.record_then(event, give).await?;
        Ok(id)
    }

    pub(super) fn living_allowances(&self) -> Vec<Allowance> {
        let now = self.parts.clock.now();
        let live: Vec<SessionId> = self.parts.sessions.live().iter().filter(|l| l.connection.is_some()).map(|l| l.id).collect();
        let Ok(mut all) = self.allowances.lock() else { return Vec::new() };
        all.retain(|a| a.left > 0 && now < a.until && live.contains(&a.session));
        all.clone()
    }

    /// Approves by what the person has allowed for the same bytes, if they have.
    pub(super) fn use_allowance(self: &Arc<Self>, entry: &Arc<Entry>) {
        self.living_allowances();
        let now = self.parts.clock.now();
        let act = &entry.row.act;
        let found = self.allowances.lock().ok().and_then(|mut all| {
            let found = all
                .iter_mut()
                .find(|a| a.covers(act.agent, act.session, &entry.row.digest, now) && (a.signed || !entry.needs_signature))?;
            found.left -= 1;
            Some(found.clone())
        });
        let Some(found) = found else { return };
        let Some(by) = Approver::of(&Principal::Human(found.person), Means::Allowance(found.id)) else { return };
        let (told, _) = oneshot::channel();
        // The queue of a proposal that was made just now is empty.
        let _ = entry.asks.try_send(Ask::Approve { by, by_name: entry.row.user_name.clone(), shown: entry.row.digest, edit: None, told });
    }
}
