//! Jump hosts on the way to a host: each is decided about, witnessed and leased like any host, for the person who is on the way. A
//! jump is a forwarding: `forward-local` must be granted on the jump host. Never lets a permit for one host stand for another.

use super::warrant::{Asked, StandsOn, Warrant, facts_of};
use super::{Custody, Error, Purpose};
use crate::authz::{self, Reach};
use crate::clock::Time;
use crate::model::{Action, EventName, Host, HostId, Name};
use crate::store;

/// What a warrant is for, within its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The host that the session is about: the session begins with it.
    Whole,
    /// A jump host on the way to this one.
    Hop(Name),
    /// The host that the session is about, once more: the way there took longer than a permit lives.
    Again,
}

impl Part {
    pub(super) fn permitted(&self) -> EventName {
        match self {
            Self::Whole | Self::Again => EventName::SessionPermitted,
            Self::Hop(_) => EventName::HopPermitted,
        }
    }

    pub(super) fn denied(&self) -> EventName {
        match self {
            Self::Whole | Self::Again => EventName::SessionDenied,
            Self::Hop(_) => EventName::HopDenied,
        }
    }
}

impl Custody {
    /// The warrant for a jump host on the way of `warrant`, counted from the broker. Its credential is the one that the person would
    /// sign in with there.
    ///
    /// # Errors
    /// As [`Custody::warrant`]; [`Error::NotGranted`] without `forward-local` there; [`Error::ChangedMeanwhile`] if the way is
    /// another one now.
    pub async fn hop(&self, warrant: &Warrant, at: usize) -> Result<Warrant, Error> {
        let Some(host) = warrant.route.get(at) else { return Err(Error::ChangedMeanwhile(format!("host {}", warrant.host.name))) };
        let action = Action::ForwardLocal;
        let asked = Asked { host: host.name.clone(), credential: None, needs: Some(action), ..warrant.asked.clone() };
        let hop = self.warranted(asked, Purpose::Connect, Part::Hop(warrant.host.name.clone())).await.map_err(|e| match e {
            // That it is on the way is no secret: whoever is granted a host sees how it is reached.
            Error::NoSuchHost(host) => Error::NotGranted { action, host },
            other => other,
        })?;
        let ids = |hosts: &[Host]| hosts.iter().map(|h| h.id).collect::<Vec<HostId>>();
        if hop.host.id != host.id || ids(&hop.route) != ids(warrant.route.get(..at).unwrap_or_default()) {
            return Err(Error::ChangedMeanwhile(format!("the way to host {}", warrant.host.name)));
        }
        Ok(hop)
    }

    /// A warrant decided and witnessed anew, for the same host and credential.
    ///
    /// # Errors
    /// As [`Custody::warrant_for`]; [`Error::ChangedMeanwhile`] if host, way or credential are others now.
    pub async fn again(&self, warrant: Warrant) -> Result<Warrant, Error> {
        let now = self.warranted(warrant.asked.clone(), warrant.purpose, Part::Again).await?;
        if now.host != warrant.host || now.route != warrant.route || now.credential.id != warrant.credential.id || now.way != warrant.way {
            return Err(Error::ChangedMeanwhile(format!("host {}", warrant.host.name)));
        }
        Ok(now)
    }
}

/// What stays of a reach when the jump hosts that a session passes are looked at as well; `None`: the way is not granted any more.
pub(super) fn narrowed(c: &rusqlite::Connection, stands_on: &StandsOn, mut reach: Reach, now: Time) -> Result<Option<Reach>, store::Error> {
    for hop in &stands_on.hops {
        let Some(facts) = facts_of(c, &StandsOn { host: *hop, ..stands_on.clone() })? else { return Ok(None) };
        let judged = authz::explain(&facts, stands_on.client.ip(), now, stands_on.began).result;
        let Some((there, _)) = judged.ok().filter(|(there, _)| there.allows(Action::ForwardLocal)) else { return Ok(None) };
        let first = |a: Option<Time>, b: Option<Time>| a.into_iter().chain(b).min();
        reach.ends_at = first(reach.ends_at, there.ends_at);
        reach.recheck_at = first(reach.recheck_at, there.recheck_at);
    }
    Ok(Some(reach))
}

/// How a way is written in the audit log: the jump hosts in order.
pub(super) fn written(route: &[Host]) -> String {
    route.iter().map(|hop| hop.name.to_string()).collect::<Vec<_>>().join(" ")
}
