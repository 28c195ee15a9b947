//! Jump hosts on the way to a host: each is decided about, witnessed and leased like any host, for the person who is on the way. A
//! jump is a forwarding: `forward-local` must be granted on the jump host. Never lets a permit for one host stand for another.

use super::warrant::{Asked, StandsOn, Warrant, facts_of};
use super::{Custody, Error, Purpose};
use crate::authz::{self, Reach};
use crate::clock::Time;
use crate::model::{Action, EventName, Host, HostId, Name, ScanId};
use crate::store;

/// What a warrant is for, within its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The host that the session is about: the session begins with it.
    Whole,
    /// The same, for a scan: it has no client of its own.
    Scan(ScanId),
    /// A jump host on the way to this one.
    Hop(Name),
    /// The same, where what passes runs by itself and not for somebody who is there.
    HopUnattended(Name),
    /// The host that the session is about, once more: the way there took longer than a permit lives.
    Again,
}

impl Part {
    pub(super) fn permitted(&self) -> EventName {
        match self {
            Self::Whole | Self::Scan(_) | Self::Again => EventName::SessionPermitted,
            Self::Hop(_) | Self::HopUnattended(_) => EventName::HopPermitted,
        }
    }

    pub(super) fn denied(&self) -> EventName {
        match self {
            Self::Whole | Self::Scan(_) | Self::Again => EventName::SessionDenied,
            Self::Hop(_) | Self::HopUnattended(_) => EventName::HopDenied,
        }
    }

    /// Where a jump host's way leads.
    pub(super) fn to(&self) -> Option<&Name> {
        match self {
            Self::Hop(to) | Self::HopUnattended(to) => Some(to),
            Self::Whole | Self::Scan(_) | Self::Again => None,
        }
    }

    /// Whether the session begins with it.
    pub(super) fn begins(&self) -> bool {
        matches!(self, Self::Whole | Self::Scan(_))
    }

    /// Whether this is for one thing alone, which runs without anybody's presence. A person's jump needs `forward-local` and is
    /// their own all the same, and so is what they have the broker do for them while they wait.
    pub(super) fn is_unattended(&self, asked: &Asked, purpose: Purpose) -> bool {
        match self {
            Self::Whole | Self::Scan(_) | Self::Again => runs_by_itself(asked, purpose),
            Self::Hop(_) => false,
            Self::HopUnattended(_) => true,
        }
    }
}

/// Whether a wish is for one thing alone, and nobody waits for it: a scan.
fn runs_by_itself(asked: &Asked, purpose: Purpose) -> bool {
    asked.needs.is_some() && !purpose.is_own_work()
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
        let to = warrant.host.name.clone();
        let part = if runs_by_itself(&warrant.asked, warrant.purpose) { Part::HopUnattended(to) } else { Part::Hop(to) };
        let hop = self.warranted(asked, Purpose::Connect, part).await.map_err(|e| match e {
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

    /// A warrant decided and witnessed anew, for the same host and credential. `proven` are the fingerprints that vouched for the
    /// jump hosts, in order: they must be pinned still. What decides nothing – a tag, another pinned key – may have changed.
    ///
    /// # Errors
    /// As [`Custody::warrant_for`]; [`Error::ChangedMeanwhile`] if host, way or credential are others now.
    pub async fn again(&self, warrant: Warrant, proven: &[String]) -> Result<Warrant, Error> {
        let now = self.warranted(warrant.asked.clone(), warrant.purpose, Part::Again).await?;
        let credential = |w: &Warrant| (w.credential.id, w.way);
        let is_same = is_same_place(&now.host, &warrant.host)
            && credential(&now) == credential(&warrant)
            && is_same_way(&now.route, &warrant.route, proven);
        if is_same { Ok(now) } else { Err(Error::ChangedMeanwhile(format!("host {}", warrant.host.name))) }
    }
}

/// Whether two readings of a host mean the same machine on the same way.
fn is_same_place(now: &Host, before: &Host) -> bool {
    now.id == before.id && now.address == before.address && now.via == before.via
}

/// Whether the jump hosts are the machines that were passed, and are trusted as they were.
fn is_same_way(now: &[Host], before: &[Host], proven: &[String]) -> bool {
    let is_trusted = |hop: &Host, proven: &String| hop.host_keys.iter().any(|key| key.fingerprint == *proven);
    now.len() == before.len()
        && now.len() == proven.len()
        && now.iter().zip(before).zip(proven).all(|((now, before), proven)| is_same_place(now, before) && is_trusted(now, proven))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HostKey;

    fn host(id: u128, port: u16, keys: &[&str]) -> Host {
        let key = |of: &&str| HostKey {
            public_key: String::new(),
            fingerprint: (*of).to_owned(),
            source: "given".to_owned(),
            pinned_at: Time::from_millis(0),
        };
        Host {
            id: HostId::from(id.to_be_bytes()),
            name: "jump".parse().unwrap(),
            workspace: "default".parse().unwrap(),
            address: format!("192.0.2.7:{port}").parse().unwrap(),
            tags: std::collections::BTreeMap::new(),
            trust_first_use: false,
            host_keys: keys.iter().map(key).collect(),
            via: None,
            legacy: crate::model::Legacy::default(),
            created_at: Time::from_millis(0),
        }
    }

    #[test]
    fn what_somebody_waits_for_is_attended_on_each_part_of_the_way_and_a_scan_is_not() {
        let asked = |needs| Asked {
            user: crate::model::UserId::from([1; 16]),
            key: None,
            needs,
            workspace: "default".parse().unwrap(),
            host: "web-1".parse().unwrap(),
            credential: None,
            session: crate::model::SessionId::from([2; 16]),
            client: "192.0.2.9:1".parse().unwrap(),
        };
        let id = crate::model::CredentialId::from([3; 16]);
        for part in [Part::Whole, Part::Again, Part::Scan(ScanId::from([4; 16]))] {
            assert!(part.is_unattended(&asked(Some(Action::Scan)), Purpose::Connect));
            assert!(!part.is_unattended(&asked(None), Purpose::Connect), "a person who connects");
            for (needs, purpose) in [
                (Some(Action::ForwardLocal), Purpose::Look),
                (None, Purpose::Try(id)),
                (Some(Action::Exec), Purpose::Work(id)),
                (Some(Action::Exec), Purpose::WorkNext(id)),
            ] {
                assert!(!part.is_unattended(&asked(needs), purpose), "{purpose:?}");
            }
        }
        let there = asked(Some(Action::ForwardLocal));
        let to = || "web-1".parse().unwrap();
        assert!(!Part::Hop(to()).is_unattended(&there, Purpose::Connect));
        assert!(Part::HopUnattended(to()).is_unattended(&there, Purpose::Connect));
    }

    #[test]
    fn what_decides_nothing_may_change_on_the_way_and_what_decides_may_not() {
        let (before, proven) = ([host(1, 22, &["a"])], ["a".to_owned()]);
        let is_same = |now: Host| is_same_way(&[now], &before, &proven);
        assert!(is_same(host(1, 22, &["a"])));
        let mut tagged = host(1, 22, &["b", "a"]);
        tagged.tags.insert("env".to_owned(), "prod".to_owned());
        assert!(is_same(tagged), "a tag, and a key that was learned beside the one that vouched");
        assert!(is_same_way(&[host(1, 22, &["a"])], &[host(1, 22, &[])], &proven), "pinned at this very contact");
        assert!(!is_same(host(1, 22, &["b"])), "what vouched is trusted no more");
        assert!(!is_same(host(2, 22, &["a"])) && !is_same(host(1, 23, &["a"])));
        let mut behind = host(1, 22, &["a"]);
        behind.via = Some(HostId::from(9u128.to_be_bytes()));
        assert!(!is_same(behind));
        assert!(!is_same_way(&[], &before, &proven) && !is_same_way(&before, &before, &[]));
    }
}
