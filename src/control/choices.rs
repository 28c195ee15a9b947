//! The hosts that a person may choose from, with what a glance needs to know of each: as whom, which way, what is granted. Shows what
//! the law says now and decides nothing: whoever connects is decided about then.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, Weak};

use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::api::Caller;
use super::command::Command;
use super::desk::Desk;
use super::error::Error;
use crate::authz::{self, Denial};
use crate::clock::Time;
use crate::model::{Actions, Credential, Host, Login, Name, Scope, User, UserId};
use crate::store::second_factors::{self, Enrolment};
use crate::store::{self, credentials, defaults, grants, hosts, rotations, sessions, user_cas, users, ways, workspaces};

/// A host that somebody may choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its workspace.
    pub workspace: Name,
    /// Its name.
    pub host: Name,
    /// Where it is, as people write it.
    pub address: String,
    /// Its tags, `key=value`.
    pub tags: Vec<String>,
    /// The jump host before it.
    pub via: Option<Name>,
    /// Whether old algorithms are open for it.
    pub legacy: bool,
    /// Whether a key is pinned that it can prove.
    pub pinned: bool,
    /// What the person may sign in with. The first is taken where none is named, if `signs_in`.
    pub ways_in: Vec<WayIn>,
    /// Whether one of them is taken where none is named.
    pub signs_in: bool,
    /// What is granted now.
    pub actions: Actions,
    /// Whether no terminal is given to whoever came as they did.
    pub no_pty: bool,
    /// When the last of it has run out, if it does.
    pub ends_at: Option<Time>,
    /// Why nothing is granted just now, where only a condition does not hold.
    pub not_now: Option<String>,
    /// Whether a one-time code is asked for on the way there; what is granted counts it as given.
    pub code: bool,
    /// When the person last opened a session there.
    pub last_used: Option<Time>,
}

/// A credential that may be used on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayIn {
    /// Its name.
    pub credential: Name,
    /// The account on the host.
    pub login: Login,
    /// Whether it is the person's own.
    pub own: bool,
}

/// Who chooses, and from what.
#[derive(Clone, Debug)]
pub struct Choices {
    /// Who.
    pub user: Name,
    /// The hosts, by workspace and name; those of `default` first.
    pub hosts: Vec<Choice>,
}

/// One list is read at a time, and one person waits for one: whoever has a thousand screens is one among those who wait.
#[derive(Debug)]
pub(super) struct Turns {
    all: Arc<Semaphore>,
    persons: Mutex<HashMap<UserId, Weak<Semaphore>>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(1)), persons: Mutex::default() }
    }
}

/// A turn, and this person's place among those who wait for one.
pub(super) struct Turn {
    _all: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
}

impl Turns {
    pub(super) async fn take(&self, user: UserId) -> Result<Turn, Error> {
        let own = {
            let mut persons = self.persons.lock().map_err(|_| Error::Gone)?;
            persons.retain(|_, own| own.strong_count() > 0);
            let own = persons.get(&user).and_then(Weak::upgrade).unwrap_or_else(|| Arc::new(Semaphore::new(1)));
            persons.insert(user, Arc::downgrade(&own));
            own
        };
        let gone = |_| Error::Gone;
        let own = own.acquire_owned().await.map_err(gone)?;
        Ok(Turn { _all: Arc::clone(&self.all).acquire_owned().await.map_err(gone)?, _own: own })
    }
}

impl Desk {
    /// The hosts that this caller may use, in all workspaces, also where a condition does not hold just now.
    ///
    /// # Errors
    /// As for every verb: the database does not verify, or what signed the caller in does so no more.
    pub async fn choices(&self, caller: &Caller) -> Result<Choices, Error> {
        // Readers of the store are few, and serve sign-ins too: all screens together take one. Kept until the reading is over, also where
        // nobody waits for it any more.
        let turn = self.1.take(caller.user).await?;
        // Who asks, and whether what signed them in still does, is settled like for a verb.
        let command = Command::SshConfig { user: None };
        let (user, call) = self.settle(caller, &command).await?;
        if let Err(refused) = call {
            // Whoever is refused reads no list, and holds up nobody who does while that is put on record.
            drop(turn);
            return self.recorded(Err(refused), &user, caller, command.verb()).await;
        }
        let (id, key, first) = (caller.user, caller.key.clone(), caller.workspace.clone());
        let from = caller.client.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |client| client.ip());
        let now = self.0.clock.now();
        let enrol = self.over_ssh(&user).pastable("it wants a one-time code, and you have enrolled none: keyward user totp enroll");
        let hosts = self
            .0
            .store
            .read(move |c| -> Result<_, store::Error> {
                let _turn = turn;
                let Some((person, terms)) = user_cas::person(c, id, key.as_deref())? else { return Ok(Vec::new()) };
                let seen = sessions::last_of(c, id)?;
                let enrolled = second_factors::of(c, id, Enrolment::InForce)?.is_some();
                let asked = Asked { groups: users::groups_of(c, id)?, person, terms, enrolled, enrol, from, now };
                let mut all = Vec::new();
                let mut names: Vec<Name> = workspaces::all(c)?.into_iter().map(|(name, _)| name).collect();
                names.sort_by_key(|name| (*name != first, name.clone()));
                for workspace in &names {
                    asked.choices(c, workspace, &mut all)?;
                }
                for (choice, host) in &mut all {
                    choice.last_used = seen.get(host).copied();
                }
                Ok(all.into_iter().map(|(choice, _)| choice).collect())
            })
            .await?;
        Ok(Choices { user, hosts })
    }
}

/// What is the same for every host.
struct Asked {
    person: User,
    groups: Vec<crate::model::GroupId>,
    terms: crate::model::Terms,
    /// Whether they have a second factor, and what they are told who have none.
    enrolled: bool,
    enrol: String,
    from: IpAddr,
    now: Time,
}

impl Asked {
    fn choices(&self, c: &Connection, workspace: &Name, into: &mut Vec<(Choice, crate::model::HostId)>) -> Result<(), store::Error> {
        let mut mine = grants::all(c, workspace)?;
        mine.retain(|g| super::grants::is_given_to(g, self.person.id, &self.groups) && g.until.is_none_or(|until| self.now < until));
        if mine.is_empty() {
            return Ok(());
        }
        // Most have no grant that a code could change anything about.
        let coded = self.enrolled && mine.iter().any(|g| g.second_factor);
        let mut facts: Option<authz::Facts> = None;
        for host in hosts::all(c, workspace)? {
            let facts = match &mut facts {
                Some(facts) => {
                    facts.host = host.clone();
                    facts
                }
                none => none.insert(authz::Facts {
                    user: self.person.clone(),
                    groups: self.groups.clone(),
                    host: host.clone(),
                    grants: mine.clone(),
                    terms: self.terms.clone(),
                }),
            };
            let with_a_code = coded.then(|| authz::with_second(facts, self.from, self.now)).flatten();
            let (reach, not_now) = match (with_a_code, authz::explain(facts, self.from, self.now, self.now).result) {
                (Some((reach, _)), _) | (None, Ok((reach, _))) => (reach, None),
                (None, Err(Denial::NoGrant)) => continue,
                (None, Err(Denial::SecondFactor(_))) => (authz::Reach::default(), Some(self.enrol.clone())),
                (None, Err(why)) => (authz::Reach::default(), Some(why.to_string())),
            };
            let code = coded && not_now.is_none() && self.is_asked(c, facts)?;
            let (ways_in, signs_in) = ways_in(c, &host, self.person.id)?;
            let id = host.id;
            let choice = Choice {
                address: host.address.to_string(),
                tags: host.tags.iter().map(|(key, value)| format!("{key}={value}")).collect(),
                via: match host.via {
                    Some(via) => hosts::by_id(c, via)?.map(|jump| jump.name),
                    None => None,
                },
                legacy: !host.legacy.is_empty(),
                pinned: !host.host_keys.is_empty(),
                ways_in,
                signs_in,
                actions: reach.actions,
                no_pty: reach.no_pty,
                ends_at: reach.ends_at,
                not_now,
                code,
                last_used: None,
                workspace: host.workspace,
                host: host.name,
            };
            into.push((choice, id));
        }
        Ok(())
    }
}

impl Asked {
    /// Whether they are asked for a one-time code on the way to a host.
    fn is_asked(&self, c: &Connection, facts: &authz::Facts) -> Result<bool, store::Error> {
        match ways::route(c, &facts.host) {
            // It leads nowhere, which whoever connects is told.
            Err(store::Error::Way { .. }) => Ok(false),
            route => Ok(authz::gains_by_a_code(facts, &route?, self.from, self.now)),
        }
    }
}

/// The credentials that a person may use on a host, the one first that is taken where none is named; and whether one is.
fn ways_in(c: &Connection, host: &Host, me: UserId) -> Result<(Vec<WayIn>, bool), store::Error> {
    let taken = defaults::taken(c, host, me)?.map(|(credential, _)| credential);
    let mut found: Vec<Credential> = taken.iter().cloned().collect();
    for credential in credentials::bound_to(c, host.id)? {
        if found.iter().any(|known| known.id == credential.id) || rotations::is_next(c, credential.id)? {
            continue;
        }
        // By name a person's own comes first: what they hide by it is not theirs to name.
        let hidden = found.iter().any(|known| known.name == credential.name);
        if !hidden && defaults::is_open(c, &credential, me, host.id)? {
            found.push(credential);
        }
    }
    let way = |credential: Credential| WayIn {
        own: matches!(credential.scope, Scope::Personal(_)),
        credential: credential.name,
        login: credential.username,
    };
    Ok((found.into_iter().map(way).collect(), taken.is_some()))
}
