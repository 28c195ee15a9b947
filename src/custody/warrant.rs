//! From a person's wish to a lease and back: decide, witness, lease, and the lease's end.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;

use super::hops::{self, Part};
use super::{Custody, Error, Purpose, Way};
use crate::audit::Audited;
use crate::authz::{self, Decision, Facts, Permit, Reach, Request};
use crate::clock::Time;
use crate::fault::{Fault, Kind};
use crate::model::{
    Action, Credential, CredentialKind, EndReason, Event, EventName, Host, HostId, Name, ScanId, Scope, SecondFactor, Session, SessionId,
    User, UserId,
};
use crate::store::sessions::SessionRow;
use crate::store::{self, credentials, defaults, grants, hosts, sessions, slots, state, user_cas, users, ways};
use crate::vault::{Lease, Mark};

/// A person's wish to connect.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who.
    pub user: UserId,
    /// What signed them in, as [`crate::model::Vouch`] writes it: it must hold in the snapshot that verifies. `None` where the
    /// kernel vouches for the person, and no key does.
    pub key: Option<String>,
    /// What the session is for, if it is for one thing: without it there is no session. `None`: for whatever is granted.
    pub needs: Option<Action>,
    /// To which workspace's host.
    pub workspace: Name,
    /// The host's name, as it was written.
    pub host: Name,
    /// The credential, if one was named.
    pub credential: Option<Name>,
    /// The session that it is for.
    pub session: SessionId,
    /// From where.
    pub client: SocketAddr,
}

/// A permitted and witnessed connection that has not signed in yet.
#[must_use]
#[derive(Debug)]
pub struct Warrant {
    /// The proof that a lease takes.
    pub permit: Audited<Permit>,
    /// The person.
    pub user: User,
    /// The host.
    pub host: Host,
    /// The credential.
    pub credential: Credential,
    /// Which secret of it, and what binds it.
    pub way: Way,
    /// The jump hosts on the way there: first the one that the broker itself connects to.
    pub route: Vec<Host>,
    pub(super) asked: Asked,
    pub(super) purpose: Purpose,
}

/// What a live session stands on.
#[derive(Clone, Debug)]
pub struct StandsOn {
    /// The session.
    pub session: SessionId,
    /// The person.
    pub user: UserId,
    /// The fingerprint of the key that signed them in; `None` where the kernel vouches for them.
    pub key: Option<String>,
    /// The host.
    pub host: HostId,
    /// The jump hosts that its connection passes.
    pub hops: Vec<HostId>,
    /// Where the person comes from.
    pub client: SocketAddr,
    /// When the session began.
    pub began: Time,
}

/// How a lease ended.
#[derive(Clone, Debug)]
pub enum LeaseEnd {
    /// The host took the credential.
    SignedIn,
    /// The host refused it.
    Refused(String),
    /// It did not come to an answer.
    Failed(String),
}

/// How a session ended, and when: it may be recorded later than it happened.
#[derive(Clone, Copy, Debug)]
pub struct SessionEnd {
    /// When.
    pub at: Time,
    /// Why.
    pub reason: EndReason,
    /// The last exit status.
    pub exit_status: Option<u32>,
    /// Bytes from the client to the host.
    pub bytes_in: u64,
    /// Bytes from the host to the client.
    pub bytes_out: u64,
}

/// What one snapshot says about a wish.
pub(super) struct Found {
    user: Option<User>,
    facts: Option<Facts>,
    credential: Option<(Credential, Way)>,
    /// Whether the credential's owner sealed it.
    pub(super) sealed: bool,
    pub(super) route: Result<Vec<Host>, Error>,
    state: state::Sealed,
}

impl Found {
    /// The person and the host, if something is granted there.
    pub(super) fn granted(&self, asked: &Asked, now: Time) -> Option<(&User, &Host)> {
        let facts = self.facts.as_ref().filter(|facts| authz::explain(facts, asked.client.ip(), now, now).result.is_ok())?;
        Some((&facts.user, &facts.host))
    }

    /// Whether the person is granted what they need here – anything, if it is nothing in particular.
    pub(super) fn is_granted(&self, asked: &Asked, now: Time) -> bool {
        let judged = |facts: &Facts| authz::explain(facts, asked.client.ip(), now, now).result;
        let reach = self.facts.as_ref().and_then(|facts| judged(facts).ok());
        reach.is_some_and(|(reach, _)| asked.needs.is_none_or(|action| reach.allows(action)))
    }

    /// Whether the person reaches more, on the host or on a jump host on the way there, once they gave a one-time code.
    pub(super) fn gains_by_a_code(&self, asked: &Asked, now: Time) -> bool {
        let (Some(facts), Ok(route)) = (&self.facts, &self.route) else { return false };
        authz::gains_by_a_code(facts, route, asked.client.ip(), now)
    }
}

impl Custody {
    /// Decides, and has the decision witnessed. An unknown host and one that is not granted take the same steps: the same
    /// reads, the same verification, one durable entry, the same answer.
    ///
    /// # Errors
    /// [`Error::NoSuchHost`] and the other reasons why not; [`Error::Audit`] if it could not be witnessed.
    pub async fn warrant(&self, asked: Asked) -> Result<Warrant, Error> {
        self.warrant_for(asked, Purpose::Connect).await
    }

    /// As [`Custody::warrant`], for a scan: the session's record names that, and not from where the person came who started it.
    ///
    /// # Errors
    /// As [`Custody::warrant`].
    pub async fn warrant_of_scan(&self, asked: Asked, scan: ScanId) -> Result<Warrant, Error> {
        self.warranted(asked, Purpose::Connect, Part::Scan(scan)).await
    }

    /// As [`Custody::warrant`], for a purpose.
    ///
    /// # Errors
    /// As [`Custody::warrant`].
    pub async fn warrant_for(&self, asked: Asked, purpose: Purpose) -> Result<Warrant, Error> {
        self.warranted(asked, purpose, Part::Whole).await
    }

    /// A warrant for a part of a session.
    pub(super) async fn warranted(&self, asked: Asked, purpose: Purpose, part: Part) -> Result<Warrant, Error> {
        self.store.room()?;
        let wish = asked.clone();
        let found = self.store.read(move |c| look_up(c, &wish, purpose)).await?;
        self.verified(asked.session, &found.state).await?;
        let Some(user) = found.user else { return Err(Error::NoSuchPerson) };
        let denied = |why: &str| {
            let mut event =
                Event::new(part.denied(), user.name.to_string()).session(asked.session).with("client", asked.client).denied(why);
            event.host = Some(asked.host.to_string());
            let event = if purpose == Purpose::Jump { event.with("way", "jump") } else { event };
            if let Some(to) = part.to() { event.with("to", to) } else { event }
        };
        let Some(facts) = found.facts else {
            self.log.record(denied("there is no such host")).await?;
            return Err(Error::NoSuchHost(asked.host));
        };
        let now = self.clock.now();
        // Decided before the credential is looked at: who is not granted learns nothing of credentials.
        let reach = match purpose.reach(&facts, &asked, now) {
            Ok(reach) => reach,
            Err(why) => {
                self.log.record(denied(&why.to_string())).await?;
                if matches!(why, authz::Denial::SecondFactor(_)) {
                    return Err(self.no_second_factor(user.id, &asked).await);
                }
                return Err(if matches!(why, authz::Denial::Disabled) { Error::NoSuchPerson } else { Error::NoSuchHost(asked.host) });
            }
        };
        if let Some(action) = asked.needs.filter(|action| !reach.allows(*action)) {
            self.log.record(denied(&not_granted(action))).await?;
            return Err(Error::NotGranted { action, host: asked.host });
        }
        let route = match found.route {
            Ok(route) => route,
            Err(why) => {
                self.log.record(denied(&why.to_string())).await?;
                return Err(why);
            }
        };
        let Some((credential, way)) = found.credential else {
            self.log.record(denied("no credential is attached for this person")).await?;
            if let Some(id) = purpose.credential()
                && let Some(meant) = self.store.read(move |c| credentials::by_id(c, id)).await?
            {
                return Err(purpose.why_none(meant, &facts));
            }
            return Err(match asked.credential {
                Some(credential) => Error::NoSuchCredential { credential, host: asked.host },
                None => Error::NoCredential(asked.host),
            });
        };
        if found.sealed
            && let Err(e) = self.openable(&user, part.is_unattended(&asked, purpose))
        {
            self.log.record(denied(&e.to_string()).credential(&credential)).await?;
            return Err(e.into());
        }
        let request = Request { credential: credential.id, session: asked.session, client: asked.client.ip(), now, began: now };
        let permit = match purpose.decide(&facts, &request) {
            Decision::Allow(permit) => permit,
            Decision::Deny(why) => {
                self.log.record(denied(&why.to_string())).await?;
                return Err(Error::NoSuchHost(asked.host));
            }
        };
        let event = Event::new(part.permitted(), user.name.to_string())
            .host(&facts.host)
            .credential(&credential)
            .session(asked.session)
            .with("client", asked.client)
            .with("address", &facts.host.address)
            .with("allow", permit.reach().actions)
            .with("grants", permit.grants().iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        // The account of a personal credential is its owner's business, like its name.
        let event = match credential.scope {
            Scope::Workspace(_) => event.with("login", &credential.username),
            Scope::Personal(_) => event,
        };
        let event = match purpose.word() {
            Some(word) => event.with("purpose", word),
            None => event,
        };
        let event = if purpose == Purpose::Jump { event.with("way", "jump") } else { event };
        let event = match &part {
            Part::Hop(to) | Part::HopUnattended(to) => event.with("to", to),
            Part::Again => event.with("again", "the way there took longer than a permit lives"),
            Part::Whole | Part::Scan(_) => event,
        };
        let event = if route.is_empty() { event } else { event.with("via", hops::written(&route)) };
        let event = if way == Way::Unattached { event.with("binding", "for this use alone") } else { event };
        let row = SessionRow {
            user_name: user.name.clone(),
            host_name: facts.host.name.clone(),
            credential: Some((credential.name.clone(), credential.scope.clone())),
            session: Session {
                id: asked.session,
                user: user.id,
                host: facts.host.id,
                credential: Some(credential.id),
                client: match &part {
                    Part::Scan(scan) => scan.to_string(),
                    _ => asked.client.to_string(),
                },
                started_at: now,
                ended_at: None,
                end_reason: None,
                exit_status: None,
                bytes_in: 0,
                bytes_out: 0,
            },
        };
        let (names, legacy) = (route.iter().map(|hop| hop.name.clone()).collect::<Vec<_>>(), facts.host.legacy.clone());
        let begins = part.begins();
        let begin = move |c: &rusqlite::Connection| -> Result<(), store::Error> {
            if begins {
                sessions::begin(c, &row)?;
                ways::note(c, row.session.id, &names, &legacy)?;
            }
            Ok(())
        };
        let permit = self.log.commit_with(event, permit, begin).await?;
        Ok(Warrant { permit, user, host: facts.host, credential, way, route, asked, purpose })
    }

    /// Turns a witnessed permit into a lease. `presented` is the fingerprint of the key that the host proved just now, `source` the
    /// address that a certificate is good from; `None`: from any.
    ///
    /// # Errors
    /// [`Error::Audit`]: nothing was decrypted. [`Error::Vault`]: the vault refused. [`Error::Source`]: another vault did.
    pub async fn lease(
        &self,
        permit: Audited<Permit>,
        user: &User,
        host: &Host,
        (credential, way): (&Credential, Way),
        presented: &str,
        source: Option<IpAddr>,
    ) -> Result<Lease, Error> {
        let session = permit.get().session();
        let event = Event::new(EventName::LeaseOpened, user.name.to_string())
            .host(host)
            .credential(credential)
            .session(session)
            .with("host_key", presented);
        let mark = match credential.kind {
            CredentialKind::Certificate => Some(Mark::new(session, &user.name, &credential.name)?),
            _ => None,
        };
        let event = match &mark {
            Some(mark) => {
                let event = event.with("serial", mark.serial()).with("key_id", mark.key_id());
                match source {
                    Some(source) => event.with("source_address", source.to_canonical()),
                    None => event,
                }
            }
            None => event,
        };
        // The permit goes in and comes out of the witness: without the entry there is nothing to give the vault.
        let permit = self.opened(event, permit).await?.into_inner();
        let leased = match (credential.kind, mark) {
            (CredentialKind::Reference(_), _) => Box::pin(self.fetched(permit, user, host, (credential, way), presented)).await,
            (_, Some(mark)) => self.vault.certify(permit, presented, way, source, mark).await.map_err(Error::from),
            (_, None) => self.vault.lease_by(permit, presented, way).await.map_err(Error::from),
        };
        match leased {
            Ok(lease) => {
                if matches!(credential.scope, Scope::Personal(_)) {
                    self.scopes.used(user.id, self.clock.now());
                }
                Ok(lease)
            }
            Err(e) => {
                self.leases.fetch_sub(1, Ordering::Relaxed);
                let event = Event::new(EventName::LeaseEnded, user.name.to_string())
                    .host(host)
                    .credential(credential)
                    .session(session)
                    .failed(e.to_string());
                self.log.record(event).await?;
                Err(e)
            }
        }
    }

    /// Has the opening of a lease witnessed, and counts it.
    pub(super) async fn opened<T: Send + 'static>(&self, event: Event, permit: T) -> Result<Audited<T>, Error> {
        self.leases.fetch_add(1, Ordering::Relaxed);
        self.log.commit(event, permit).await.map_err(|e| {
            self.leases.fetch_sub(1, Ordering::Relaxed);
            e.into()
        })
    }

    /// Whether a snapshot is what the broker wrote; if not, that is recorded for the session that met it.
    pub(super) async fn verified(&self, session: SessionId, state: &state::Sealed) -> Result<(), Error> {
        match self.vault.verify(state).await {
            Ok(()) => Ok(()),
            Err(e) => {
                // A keeper that could not be asked says nothing about the rows.
                if e.kind() == Kind::Tampered {
                    self.log.record(Event::new(EventName::VaultTampered, "keyward").session(session).failed(e.to_string())).await?;
                }
                Err(e.into())
            }
        }
    }

    /// Takes back a lease: how the sign-in came out, durable before anything is relayed.
    ///
    /// # Errors
    /// [`Error::Audit`]: the session must end.
    pub async fn returned(
        &self,
        session: SessionId,
        user: &User,
        host: &Host,
        credential: &Credential,
        end: LeaseEnd,
    ) -> Result<(), Error> {
        self.leases.fetch_sub(1, Ordering::Relaxed);
        let base = Event::new(EventName::LeaseEnded, user.name.to_string()).host(host).credential(credential).session(session);
        let event = match end {
            LeaseEnd::SignedIn => base.because("signed in"),
            LeaseEnd::Refused(why) => base.denied(why),
            LeaseEnd::Failed(why) => base.failed(why),
        };
        let (id, at) = (credential.id, self.clock.now());
        self.log.commit_with(event, (), move |c| credentials::used(c, id, at)).await?.into_inner();
        Ok(())
    }

    /// Records the end of a session: its row and its entry, in one transaction.
    ///
    /// # Errors
    /// [`Error::Audit`].
    pub async fn ended(&self, session: SessionId, event: Event, end: SessionEnd) -> Result<(), Error> {
        let SessionEnd { at, reason, exit_status, bytes_in, bytes_out } = end;
        let end = sessions::End { at, reason, exit_status, bytes_in, bytes_out };
        self.log.commit_with(event, (), move |c| sessions::end(c, session, end)).await?.into_inner();
        Ok(())
    }

    /// Whether a session that runs may go on, and what it may do now. `None`: what it stood on is gone. Like at its
    /// beginning, rows count only if they are those that were sealed, in the snapshot that is decided from.
    ///
    /// # Errors
    /// [`Error::Vault`] if the rows do not verify, else what the store says; then the session must end.
    pub async fn still(&self, stands_on: StandsOn) -> Result<Option<Reach>, Error> {
        let session = stands_on.session;
        // A change is heard by every session at once: they take turns, so that none finds the keeper's queue full.
        let _turn = self.deciding.acquire().await;
        let now = self.clock.now();
        let read = self.store.read(move |c| -> Result<_, store::Error> { Ok((reach_now(c, &stands_on, now)?, state::read(c)?)) }).await;
        let checked = match read {
            Ok((reach, state)) => self.vault.verify(&state).await.map(|()| reach).map_err(Error::from),
            Err(e) => Err(e.into()),
        };
        if let Err(e) = &checked
            && e.kind() == Kind::Tampered
        {
            self.log.record(Event::new(EventName::VaultTampered, "keyward").session(session).failed(e.to_string())).await?;
        }
        checked
    }
}

fn reach_now(c: &rusqlite::Connection, stands_on: &StandsOn, now: Time) -> Result<Option<Reach>, store::Error> {
    let Some(facts) = facts_of(c, stands_on)? else { return Ok(None) };
    match authz::explain(&facts, stands_on.client.ip(), now, stands_on.began).result {
        Ok((reach, _)) => hops::narrowed(c, stands_on, reach, now),
        Err(_) => Ok(None),
    }
}

/// What decides about a session that lives; `None`: the person, their key or the host is gone.
pub(super) fn facts_of(c: &rusqlite::Connection, stands_on: &StandsOn) -> Result<Option<Facts>, store::Error> {
    let (Some((user, mut terms)), Some(host)) =
        (user_cas::person(c, stands_on.user, stands_on.key.as_deref())?, hosts::by_id(c, stands_on.host)?)
    else {
        return Ok(None);
    };
    if terms.second == SecondFactor::Owed {
        // That it is wanted at every sign-in counts from the next one on; what a grant wants counts at once.
        terms.second = SecondFactor::NotShown;
    }
    Ok(Some(Facts { groups: users::groups_of(c, user.id)?, grants: grants::all(c, &host.workspace)?, user, host, terms }))
}

/// What the log says of a host that is granted, but not for this.
pub(super) fn not_granted(action: Action) -> String {
    format!("no grant allows `{action}` here")
}

pub(super) fn look_up(c: &rusqlite::Connection, asked: &Asked, purpose: Purpose) -> Result<Found, store::Error> {
    let state = state::read(c)?;
    let (user, terms) = user_cas::person(c, asked.user, asked.key.as_deref())?.unzip();
    let host = hosts::by_name(c, &asked.workspace, &asked.host)?;
    let (Some(user), Some(host)) = (user.clone(), host) else {
        return Ok(Found { user, facts: None, credential: None, sealed: false, route: Ok(Vec::new()), state });
    };
    let credential = match purpose {
        Purpose::Connect | Purpose::Jump | Purpose::Look => choose(c, asked, &user, &host)?.map(|found| (found, Way::Standing)),
        _ => purpose.choose(c, &user, &host)?,
    };
    let facts = Facts {
        groups: users::groups_of(c, user.id)?,
        grants: grants::all(c, &asked.workspace)?,
        user: user.clone(),
        host,
        terms: terms.unwrap_or_default(),
    };
    let sealed = match &credential {
        Some((Credential { scope: scope @ Scope::Personal(_), .. }, _)) => slots::is_sealed(c, scope)?,
        _ => false,
    };
    let route = match ways::route(c, &facts.host) {
        Err(store::Error::Way { host, why }) => Err(Error::Way { host, why }),
        other => Ok(other?),
    };
    Ok(Found { user: Some(user), facts: Some(facts), credential, sealed, route, state })
}

/// The credential: the one that was named, else the person's own choice, else the host's default, else the workspace's.
fn choose(c: &rusqlite::Connection, asked: &Asked, user: &User, host: &Host) -> Result<Option<Credential>, store::Error> {
    if let Some(name) = &asked.credential {
        for scope in [Scope::Personal(user.id), Scope::Workspace(asked.workspace.clone())] {
            let Some(credential) = credentials::by_name(c, &scope, name)? else { continue };
            if defaults::is_open(c, &credential, user.id, host.id)? {
                return Ok(Some(credential));
            }
        }
        return Ok(None);
    }
    Ok(defaults::taken(c, host, user.id)?.map(|(credential, _)| credential))
}
