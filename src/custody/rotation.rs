//! A rotation as far as secrets are concerned: the next one is made and bound, goes to a host, takes the old one's place, or is
//! forgotten. Every step is one sealed change with its entry in the log. Never decides what is done on a host.

use std::sync::atomic::Ordering;

use rusqlite::Connection;

use super::warrant::{facts_of, not_granted};
use super::{Custody, Error, StandsOn, binding_of};
use crate::authz::{self, Decision, Request};
use crate::model::{
    Action, Credential, CredentialId, Event, EventName, Form, Host, HostId, HostStep, KeyKind, Name, RotationStage, Scope, ScopeState,
    SessionId, User,
};
use crate::store::credentials::{CredentialRow, KekRow};
use crate::store::rotations::{self, RotationRow};
use crate::store::{self, credentials, hosts, shreds, state, sudo};
use crate::vault::{Draft, Held, PasswordLease, Way};

/// A rotation that stands open, with the credential and its hosts.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// The credential as it is in force.
    pub credential: Credential,
    /// How it stands.
    pub row: RotationRow,
    /// Its hosts.
    pub hosts: Vec<(Host, rotations::RotationHostRow)>,
}

/// What became of a password that was to be handed over to a host.
#[derive(Clone, Debug)]
pub enum NewPasswordEnd {
    /// It was sent.
    Sent,
    /// It is not known how much of it arrived.
    Failed(String),
}

/// Refuses while a rotation of the credential stands open.
pub(super) fn not_rotating(c: &Connection, id: CredentialId, name: &Name) -> Result<(), Error> {
    if rotations::of(c, id)?.is_some() { Err(Error::Rotating(name.clone())) } else { Ok(()) }
}

impl Custody {
    /// The rotation of a credential, if one stands open, from a snapshot that verifies.
    ///
    /// # Errors
    /// [`Error::Vault`] if the rows do not verify.
    pub async fn rotation(&self, id: CredentialId) -> Result<Option<Rotation>, Error> {
        let (found, state) = self
            .store
            .read(move |c| -> Result<_, store::Error> {
                let state = state::read(c)?;
                let (Some(row), Some(credential)) = (rotations::of(c, id)?, credentials::by_id(c, id)?) else { return Ok((None, state)) };
                let mut all = Vec::new();
                for at in rotations::hosts(c, id)? {
                    if let Some(host) = hosts::by_id(c, at.host)? {
                        all.push((host, at));
                    }
                }
                Ok((Some(Rotation { credential, row, hosts: all }), state))
            })
            .await?;
        self.holds(&state).await?;
        Ok(found)
    }

    /// Makes the next secret of a credential and binds it to its hosts. From now on the credential is not changed by anything else.
    ///
    /// # Errors
    /// [`Error::Rotating`], [`Error::Missing`], [`Error::ChangedMeanwhile`], the vault's.
    pub async fn begin_rotation(
        &self,
        id: CredentialId,
        kind: Option<KeyKind>,
        left_out: Vec<HostId>,
        actor: &User,
        event: Event,
    ) -> Result<(), Error> {
        let _turn = self.turns.read().await;
        self.store.room()?;
        let Some((held, newest, targets)) = self.with_hosts(id).await? else {
            return Err(Error::Missing("such credential".to_owned()));
        };
        // Told before a row is written: a rotation that nobody can go on with would stand in the way of everything else.
        if let (Scope::Personal(owner), true) = (&held.row.meta.scope, held.kek.is_sealed())
            && self.scope_state(*owner).await? != ScopeState::Open
        {
            return Err(crate::vault::Error::ScopeSealed.into());
        }
        let (before, now) = (held.row.meta.clone(), self.clock.now());
        let next: CredentialId = self.clock.fresh();
        let draft = Draft {
            id: next,
            // A name that leads nowhere: it is unique, and no verb finds it.
            name: format!("next.{next}").parse().map_err(|_| Error::Missing("name for it".to_owned()))?,
            scope: before.scope.clone(),
            username: before.username.clone(),
            form: Form::PrivateKey,
            version: 1,
        };
        let bound: Vec<_> = targets.iter().map(|host| (host.id, binding_of(host, &before.username))).collect();
        let made = self.vault.next_secret(draft, held.clone(), kind, newest, bound).await?;
        let row = RotationRow {
            credential: id,
            next: Some(next),
            stage: RotationStage::Installing,
            old_key: before.public_key.clone(),
            new_key: made.next.row.meta.public_key.clone(),
            started_by: actor.name.clone(),
            started_at: now,
        };
        let begun = self
            .log
            .change(move |c| -> Result<((), Vec<Event>), Error> {
                not_rotating(c, id, &before.name)?;
                unchanged(c, &held, &targets)?;
                if let Some(kek) = &made.next.new_kek {
                    credentials::insert_kek(c, kek).map_err(|_| Error::ChangedMeanwhile("the vault".to_owned()))?;
                }
                credentials::insert(c, &made.next.row)?;
                for binding in &made.next.bindings {
                    credentials::bind(c, binding)?;
                }
                sudo::put(c, next, made.sudo.as_deref())?;
                rotations::begin(c, &row, &targets.iter().map(|h| h.id).collect::<Vec<_>>())?;
                for host in left_out {
                    rotations::set_step(c, id, host, HostStep::Skipped, None, now)?;
                }
                Ok(((), vec![event]))
            })
            .await?;
        begun.into_inner();
        Ok(())
    }

    /// Notes how far a host of a rotation is; `event` tells of it. What signs in there hangs on it: it is sealed, and durable when
    /// this returns.
    ///
    /// # Errors
    /// [`Error::Missing`] if no rotation stands open; the store's.
    pub async fn rotation_step(
        &self,
        id: CredentialId,
        host: HostId,
        step: HostStep,
        failure: Option<String>,
        event: Event,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let noted = self
            .log
            .change(move |c| -> Result<((), Vec<Event>), Error> {
                if rotations::of(c, id)?.is_none() {
                    return Err(Error::Missing("such rotation".to_owned()));
                }
                rotations::set_step(c, id, host, step, failure.as_deref(), now)?;
                Ok(((), vec![event]))
            })
            .await?;
        noted.into_inner();
        Ok(())
    }

    /// Puts the next secret in force: one change, after which the old one is gone from the vault. Only when every host has it, or
    /// was left out.
    ///
    /// # Errors
    /// [`Error::ChangedMeanwhile`] if a host is not that far or something else changed; the vault's.
    pub async fn switch_rotation(&self, id: CredentialId, event: Event) -> Result<Credential, Error> {
        let _turn = self.turns.read().await;
        self.store.room()?;
        let Some(rotation) = self.rotation(id).await? else { return Err(Error::Missing("such rotation".to_owned())) };
        let Some(next) = rotation.row.next else { return Err(Error::ChangedMeanwhile("the rotation".to_owned())) };
        let (Some((before, _, targets)), Some((after, ..))) = (self.with_hosts(id).await?, self.with_hosts(next).await?) else {
            return Err(Error::Missing("such credential".to_owned()));
        };
        let username = before.row.meta.username.clone();
        let bound: Vec<_> = targets.iter().map(|host| (host.id, binding_of(host, &username))).collect();
        let (mut sealed, sudo_after) = self.vault.succeed(before.clone(), after, bound).await?;
        let now = self.clock.now();
        sealed.row.meta.updated_at = now;
        let switched = self
            .log
            .change_heard(self.guard.bell(), move |c| -> Result<(Credential, Vec<Event>), Error> {
                unchanged(c, &before, &targets)?;
                let standing = rotations::of(c, id)?;
                if standing.is_none_or(|r| r.next != Some(next) || r.stage != RotationStage::Installing) {
                    return Err(Error::ChangedMeanwhile("the rotation".to_owned()));
                }
                let all = rotations::hosts(c, id)?;
                if all.iter().any(|h| !matches!(h.step, HostStep::Verified | HostStep::Skipped)) {
                    return Err(Error::ChangedMeanwhile("a host of the rotation".to_owned()));
                }
                // A host that is bound and not among them would keep a secret that nobody has any more.
                if credentials::hosts_of(c, id)?.iter().any(|(bound, _)| all.iter().all(|h| h.host != *bound)) {
                    return Err(Error::ChangedMeanwhile("a host of the credential".to_owned()));
                }
                shreds::note(c, "a replaced secret", now)?;
                rotations::set_stage(c, id, RotationStage::Cleaning, None)?;
                credentials::remove(c, next)?;
                credentials::update(c, &sealed.row)?;
                sudo::put(c, id, sudo_after.as_deref())?;
                for binding in &sealed.bindings {
                    credentials::bind(c, binding)?;
                }
                for host in all.iter().filter(|h| h.step == HostStep::Verified) {
                    rotations::set_step(c, id, host.host, HostStep::Switched, None, now)?;
                }
                Ok((sealed.row.meta, vec![event]))
            })
            .await?
            .into_inner();
        // The old secret leaves the files, too; what a reader holds up is tried again.
        let _ = shreds::settle(&self.store).await;
        Ok(switched)
    }

    /// Turns a rotation back: from now on the hosts get rid of the next secret.
    ///
    /// # Errors
    /// [`Error::ChangedMeanwhile`] if the next secret is in force already.
    pub async fn abort_rotation(&self, id: CredentialId, event: Event) -> Result<(), Error> {
        let turned = self
            .log
            .change(move |c| -> Result<((), Vec<Event>), Error> {
                let Some(row) = rotations::of(c, id)? else { return Err(Error::Missing("such rotation".to_owned())) };
                if row.next.is_none() {
                    return Err(Error::ChangedMeanwhile("the rotation".to_owned()));
                }
                rotations::set_stage(c, id, RotationStage::Aborting, row.next)?;
                Ok(((), vec![event]))
            })
            .await?;
        turned.into_inner();
        Ok(())
    }

    /// Ends a rotation; a next secret that is not in force is forgotten.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn end_rotation(&self, id: CredentialId, event: Event) -> Result<(), Error> {
        let at = self.clock.now();
        let ended = self
            .log
            .change(move |c| -> Result<((), Vec<Event>), Error> {
                let Some(row) = rotations::of(c, id)? else { return Err(Error::Missing("such rotation".to_owned())) };
                rotations::end(c, id)?;
                if let Some(next) = row.next {
                    credentials::remove(c, next)?;
                }
                shreds::note(c, "a dropped secret", at)?;
                Ok(((), vec![event]))
            })
            .await?;
        ended.into_inner();
        let _ = shreds::settle(&self.store).await;
        Ok(())
    }

    /// Leases a password for its handing over to the host of a living session, decided anew and witnessed: the next one, or with
    /// `back` the one in force. Its end has to be recorded with [`Custody::password_returned`].
    ///
    /// # Errors
    /// As [`Custody::elevate`]; in every case nothing is left open.
    pub async fn new_password(
        &self,
        stands_on: &StandsOn,
        (user, host, credential): (&User, &Host, &Credential),
        presented: &str,
        back: bool,
    ) -> Result<PasswordLease, Error> {
        self.store.room()?;
        let asked = stands_on.clone();
        let (facts, state) = self.store.read(move |c| -> Result<_, store::Error> { Ok((facts_of(c, &asked)?, state::read(c)?)) }).await?;
        self.verified(stands_on.session, &state).await?;
        let session = stands_on.session;
        let denied = |why: &str| {
            let event = Event::new(EventName::SessionDenied, user.name.to_string()).host(host).session(session);
            event.with("client", stands_on.client).with("purpose", "new-password").denied(why)
        };
        let Some(facts) = facts else {
            self.log.record(denied("the person, their key or the host is gone")).await?;
            return Err(Error::NoSuchHost(host.name.clone()));
        };
        let (now, began) = (self.clock.now(), stands_on.began);
        let request = Request { credential: credential.id, session, client: stands_on.client.ip(), now, began };
        let permit = match authz::decide(&facts, &request) {
            Decision::Allow(permit) if permit.reach().allows(Action::Exec) => permit,
            Decision::Allow(_) => {
                self.log.record(denied(&not_granted(Action::Exec))).await?;
                return Err(Error::NotGranted { action: Action::Exec, host: host.name.clone() });
            }
            Decision::Deny(why) => {
                self.log.record(denied(&why.to_string())).await?;
                return Err(Error::NoSuchHost(host.name.clone()));
            }
        };
        let event = told(EventName::LeaseOpened, session, user, host, credential).with("host_key", presented);
        let permit = self.opened(event, permit).await?;
        // Back: the one in force is bound to the host like the next one, and asked for by the way that takes no notice of steps.
        let way = if back { Way::Unattached } else { Way::Next };
        match self.vault.hand_over(permit, presented, way).await {
            Ok(lease) => Ok(lease),
            Err(e) => {
                self.password_returned(session, (user, host, credential), NewPasswordEnd::Failed(e.to_string())).await?;
                Err(e.into())
            }
        }
    }

    /// Takes back the lease of a password that was handed over.
    ///
    /// # Errors
    /// [`Error::Audit`].
    pub async fn password_returned(
        &self,
        session: SessionId,
        (user, host, credential): (&User, &Host, &Credential),
        end: NewPasswordEnd,
    ) -> Result<(), Error> {
        self.leases.fetch_sub(1, Ordering::Relaxed);
        let base = told(EventName::LeaseEnded, session, user, host, credential);
        let event = match end {
            NewPasswordEnd::Sent => base.because("sent"),
            NewPasswordEnd::Failed(why) => base.failed(why),
        };
        self.log.record(event).await?;
        Ok(())
    }
}

fn told(name: EventName, session: SessionId, user: &User, host: &Host, credential: &Credential) -> Event {
    Event::new(name, user.name.to_string()).host(host).credential(credential).session(session).with("purpose", "new-password")
}

/// Whether a credential and its hosts are as they were read.
fn unchanged(c: &Connection, held: &Held, targets: &[Host]) -> Result<(), Error> {
    let id = held.row.meta.id;
    let key = |row: &CredentialRow| (row.sealed.clone(), row.wrapped_dek.clone(), row.meta.name.clone(), row.meta.username.clone());
    let same = credentials::row(c, id)?.is_some_and(|now| key(&now) == key(&held.row));
    let now: Vec<Option<Host>> = credentials::hosts_of(c, id)?.into_iter().map(|(h, _)| hosts::by_id(c, h)).collect::<Result<_, _>>()?;
    let kek: Result<KekRow, store::Error> = credentials::kek(c, &held.row.meta.scope, held.row.kek_version);
    if !same || kek? != held.kek || sudo::sealed(c, id)? != held.sudo || now.into_iter().flatten().ne(targets.iter().cloned()) {
        return Err(Error::ChangedMeanwhile(format!("credential {}", held.row.meta.name)));
    }
    Ok(())
}
