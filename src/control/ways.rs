//! How a host is reached: through which jump host, and with which old algorithms. Looks a host's keys up along its way; sends nothing
//! to a host itself.

use std::net::IpAddr;

use rusqlite::Connection;

use super::desk::Call;
use super::error::Error;
use super::view::SessionView;
use super::words::{HostChange, WayWords};
use crate::authz;
use crate::clock::Time;
use crate::model::{Action, Event, Host, HostId, Name, SessionId, UserId};
use crate::store::{self, defaults, hosts, ways};
use crate::target::{self, ProvenKey};

impl Call<'_> {
    /// The host that is to be passed.
    pub(super) async fn jump(&self, name: Option<Name>) -> Result<Option<HostId>, Error> {
        match name {
            Some(name) => Ok(Some(self.host(name).await?.id)),
            None => Ok(None),
        }
    }

    /// Changes the way of a host as it is asked for.
    pub(super) async fn reroute(&self, host: &mut Host, change: &HostChange) -> Result<(), Error> {
        if change.no_via {
            host.via = None;
        } else if let Some(via) = self.jump(change.via.clone()).await? {
            host.via = Some(via);
        }
        if let Some(legacy) = &change.legacy {
            host.legacy = legacy.clone();
        }
        Ok(())
    }

    /// Refuses while other hosts are reached through this one.
    pub(super) async fn none_behind(&self, host: &Host) -> Result<(), Error> {
        let id = host.id;
        let behind = self.parts.store.read(move |c| ways::behind(c, id)).await?;
        let Some(first) = behind.first() else { return Ok(()) };
        let names = behind.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
        Err(Error::unfit(
            format!("through {} lies the way to {names}", host.name),
            format!("give each another way first: keyward host edit {first} --no-via"),
        ))
    }

    /// Puts how sessions reached their hosts into their views.
    pub(super) async fn ways_of(&self, views: &mut [SessionView]) -> Result<(), Error> {
        let ids: Vec<SessionId> = views.iter().map(|view| view.id).collect();
        let read = move |c: &Connection| ids.into_iter().map(|id| ways::of_session(c, id)).collect::<Result<Vec<_>, _>>();
        for (view, (via, legacy)) in views.iter_mut().zip(self.parts.store.read(read).await?) {
            (view.via, view.legacy) = (via, legacy);
        }
        Ok(())
    }

    /// The keys that a host proves: seen from here, or from the jump host before it, to which the caller is signed in for that.
    pub(super) async fn keys_of(&self, host: &Host) -> Result<Vec<ProvenKey>, Error> {
        let Some(via) = host.via else { return Ok(target::probe(&self.parts.target, host, None).await?) };
        let jump = self.parts.store.read(move |c| hosts::by_id(c, via)).await?;
        let jump = jump.ok_or_else(|| Error::unfit("its jump host is gone", "give it another: keyward host edit NAME --via HOST"))?;
        let wanted = host.clone();
        let look = move |site: crate::sessions::UpkeepSite| async move { site.keys_of(&wanted).await };
        let (steps, seen) = self.parts.rotations.visit(self.asks(), jump.name.clone(), Action::ForwardLocal, look).await?;
        match (seen, steps.failure()) {
            (Some(seen), _) => Ok(seen?),
            (None, Some((_, fault))) => Err(Error::Beyond { host: host.name.clone(), via: jump.name, fault: fault.clone() }),
            // No step failed, and nothing was seen: the verb was cut off.
            (None, None) => Err(Error::Gone),
        }
    }
}

/// The event of an edit with what it changed of the way; `via` is the jump host's name as it was written.
pub(super) fn rerouted(before: &Host, after: &Host, via: Option<&Name>, event: Event) -> Event {
    let event = match (before.via == after.via, via) {
        (true, _) => event,
        (false, Some(via)) => event.with("via", via),
        (false, None) => event.with("via", "none"),
    };
    if before.legacy == after.legacy { event } else { event.with("old_legacy", &before.legacy).with("legacy", &after.legacy) }
}

/// The way of a host that is added, for the audit log.
pub(super) fn added(way: &WayWords, event: Event) -> Event {
    let event = match &way.via {
        Some(via) => event.with("via", via),
        None => event,
    };
    if way.legacy.is_empty() { event } else { event.with("legacy", &way.legacy) }
}

/// A jump host on a person's way.
#[derive(Debug)]
pub(super) struct Hop {
    pub(super) name: Name,
    facts: Option<authz::Facts>,
    bare: bool,
}

impl Hop {
    /// Why the person does not pass it, if they do not.
    pub(super) fn barred(&self, from: IpAddr, now: Time) -> Option<String> {
        let name = &self.name;
        let judged = self.facts.as_ref().and_then(|facts| authz::explain(facts, from, now, now).result.ok());
        if !judged.is_some_and(|(reach, _)| reach.allows(Action::ForwardLocal)) {
            Some(format!("it is reached through {name}, and no grant that holds allows forward-local there"))
        } else if self.bare {
            Some(format!("it is reached through {name}, and no credential is attached there for this person"))
        } else {
            None
        }
    }
}

/// The jump hosts on a person's way to a host, with what decides about them.
pub(super) fn hops(c: &Connection, user: UserId, host: &Host) -> Result<Vec<Hop>, store::Error> {
    let hop = |jump: Host| {
        let facts = super::sight::facts(c, user, &jump)?;
        Ok(Hop { facts, bare: defaults::taken(c, &jump, user)?.is_none(), name: jump.name })
    };
    ways::route(c, host)?.into_iter().map(hop).collect()
}
