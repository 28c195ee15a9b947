//! The way to a sudo password: decided anew, witnessed, leased for one sending, and its end. Never gives one to a session
//! that may not scan, and never relies on the permit that signed it in: that one is spent, and too old by then.

use std::sync::atomic::Ordering;

use super::warrant::{facts_of, not_granted};
use super::{Custody, Error, StandsOn};
use crate::authz::{self, Decision, Denial, Permit, Request};
use crate::model::{Action, Credential, CredentialKind, Event, EventName, Host, SessionId, User};
use crate::store::{self, credentials, defaults, state, sudo};
use crate::vault::SudoLease;

/// A decision that a session that lives may have a sudo password sent to its host, once. Good for as long as a permit is.
#[must_use]
#[derive(Debug)]
pub struct SudoWarrant {
    permit: Permit,
    needs: Action,
    user: User,
    host: Host,
    credential: Credential,
}

/// What became of a sudo password.
#[derive(Clone, Debug)]
pub enum SudoEnd {
    /// It was sent. What sudo made of it is told by whoever asked for it.
    Sent,
    /// sudo did not ask for it; it was not sent.
    NotNeeded,
    /// It was sent, and sudo refused it or asked again.
    Refused(String),
    /// It did not come to an answer.
    Failed(String),
}

impl Custody {
    /// Decides, from one verified snapshot, whether the session may still scan its host and may use the credential's sudo
    /// password there. `None`: the credential is a key without one, and nothing is recorded.
    ///
    /// # Errors
    /// [`Error::NoSuchPerson`], [`Error::NoSuchHost`], [`Error::NotGranted`], [`Error::NoSuchCredential`]: recorded as denied;
    /// [`Error::Audit`], [`Error::Vault`] if the rows do not verify.
    pub async fn elevate(
        &self,
        stands_on: &StandsOn,
        user: &User,
        host: &Host,
        credential: &Credential,
    ) -> Result<Option<SudoWarrant>, Error> {
        self.elevate_for(Action::Scan, stands_on, (user, host, credential)).await
    }

    /// As [`Custody::elevate`], for a session that needs another action than to scan.
    ///
    /// # Errors
    /// As [`Custody::elevate`].
    pub async fn elevate_for(
        &self,
        needs: Action,
        stands_on: &StandsOn,
        (user, host, credential): (&User, &Host, &Credential),
    ) -> Result<Option<SudoWarrant>, Error> {
        self.store.room()?;
        let (asked, id) = (stands_on.clone(), credential.id);
        let (facts, found, own, state) = self
            .store
            .read(move |c| -> Result<_, store::Error> {
                let state = state::read(c)?;
                let facts = facts_of(c, &asked)?;
                let found = match (&facts, credentials::by_id(c, id)?) {
                    (Some(facts), Some(credential)) if defaults::is_open(c, &credential, facts.user.id, facts.host.id)? => Some(credential),
                    _ => None,
                };
                Ok((facts, found, sudo::has(c, id)?, state))
            })
            .await?;
        self.verified(stands_on.session, &state).await?;
        let denied = |why: &str| {
            Event::new(EventName::SessionDenied, user.name.to_string())
                .host(host)
                .session(stands_on.session)
                .with("client", stands_on.client)
                .with("purpose", "sudo")
                .denied(why)
        };
        let Some(facts) = facts else {
            self.log.record(denied("the person, their key or the host is gone")).await?;
            return Err(Error::NoSuchHost(host.name.clone()));
        };
        let request = Request {
            credential: credential.id,
            session: stands_on.session,
            client: stands_on.client.ip(),
            now: self.clock.now(),
            began: stands_on.began,
        };
        let permit = match authz::decide(&facts, &request) {
            Decision::Allow(permit) => permit,
            Decision::Deny(why) => {
                self.log.record(denied(&why.to_string())).await?;
                return Err(if why == Denial::Disabled { Error::NoSuchPerson } else { Error::NoSuchHost(host.name.clone()) });
            }
        };
        if !permit.reach().allows(needs) {
            self.log.record(denied(&not_granted(needs))).await?;
            return Err(Error::NotGranted { action: needs, host: host.name.clone() });
        }
        let Some(credential) = found else {
            self.log.record(denied("the credential is not attached for this person any more")).await?;
            return Err(Error::NoSuchCredential { credential: credential.name.clone(), host: host.name.clone() });
        };
        if !own && credential.kind != CredentialKind::Password {
            return Ok(None);
        }
        Ok(Some(SudoWarrant { permit, needs, user: facts.user, host: facts.host, credential }))
    }

    /// Turns the decision into a lease, once that is witnessed. `presented` is the fingerprint of the key that the host of
    /// the living connection proved. Whoever calls this notes before that a lease is open: if the future is dropped, the
    /// end has to be recorded with [`Custody::sudo_returned`] all the same. `None`: there is no such password any more, and
    /// its end is recorded.
    ///
    /// # Errors
    /// [`Error::Audit`]: nothing was decrypted. [`Error::Vault`]: the vault refused. In both cases no lease is open.
    pub async fn sudo(&self, warrant: SudoWarrant, presented: &str) -> Result<Option<SudoLease>, Error> {
        let SudoWarrant { permit, needs, user, host, credential } = warrant;
        let session = permit.session();
        let grants = permit.grants().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let event = told(EventName::LeaseOpened, session, &user, &host, &credential).with("host_key", presented).with("grants", grants);
        // The permit goes in and comes out of the witness, as for signing in.
        let permit = self.opened(event, permit).await?;
        match self.vault.sudo_for_action(permit, presented, needs).await {
            Ok(Some(lease)) => Ok(Some(lease)),
            Ok(None) => {
                let why = "the credential has no sudo password any more".to_owned();
                self.sudo_returned(session, &user, &host, &credential, SudoEnd::Failed(why)).await?;
                Ok(None)
            }
            Err(e) => {
                self.sudo_returned(session, &user, &host, &credential, SudoEnd::Failed(e.to_string())).await?;
                Err(e.into())
            }
        }
    }

    /// Takes back the lease of a sudo password: what became of it.
    ///
    /// # Errors
    /// [`Error::Audit`]: the session must end.
    pub async fn sudo_returned(
        &self,
        session: SessionId,
        user: &User,
        host: &Host,
        credential: &Credential,
        end: SudoEnd,
    ) -> Result<(), Error> {
        self.leases.fetch_sub(1, Ordering::Relaxed);
        let base = told(EventName::LeaseEnded, session, user, host, credential);
        let event = match end {
            SudoEnd::Sent => base.because("sent"),
            SudoEnd::NotNeeded => base.because("not needed"),
            SudoEnd::Refused(why) => base.denied(why),
            SudoEnd::Failed(why) => base.failed(why),
        };
        self.log.record(event).await?;
        Ok(())
    }
}

fn told(name: EventName, session: SessionId, user: &User, host: &Host, credential: &Credential) -> Event {
    Event::new(name, user.name.to_string()).host(host).credential(credential).session(session).with("purpose", "sudo")
}

#[cfg(test)]
#[path = "tests/sudo.rs"]
mod tests;
