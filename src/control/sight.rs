//! Which hosts a caller sees, and what of them: all for those who run or audit the broker, else what was granted.

use rusqlite::Connection;

use super::desk::Call;
use super::error::Error;
use super::rights::{Reach, Verb, sees, sees_workspaces};
use super::view::{HostView, PERSONAL};
use crate::authz;
use crate::model::{Credential, Host, HostId, Name, Scope, SecondFactor, Terms, UserId};
use crate::store::second_factors::{self, Enrolment};
use crate::store::{self, credentials, defaults, grants, hosts, users};

impl Call<'_> {
    /// A host that the caller may see; for all others the answer is the one for none.
    pub(super) async fn host(&self, name: Name) -> Result<Host, Error> {
        let (workspace, wanted) = (self.workspace.clone(), name.clone());
        let found = self.parts.store.read(move |c| hosts::by_name(c, &workspace, &wanted)).await?;
        let missing = || Error::no_such("host", &name, "host list");
        let host = found.ok_or_else(missing)?;
        if self.reach_of(Verb::HostSee) == Reach::All || self.granted_hosts().await?.iter().any(|h| h.id == host.id) {
            Ok(host)
        } else {
            Err(missing())
        }
    }

    /// The hosts that the caller may see.
    pub(super) async fn visible_hosts(&self) -> Result<Vec<Host>, Error> {
        if self.reach_of(Verb::HostSee) == Reach::All {
            let workspace = self.workspace.clone();
            return Ok(self.parts.store.read(move |c| hosts::all(c, &workspace)).await?);
        }
        self.granted_hosts().await
    }

    /// The hosts that the caller was granted, also where a condition (network, hour) does not hold just now.
    pub(super) async fn granted_hosts(&self) -> Result<Vec<Host>, Error> {
        self.hosts_granted_to(self.actor.id).await
    }

    /// The hosts that a person was granted.
    pub(super) async fn hosts_granted_to(&self, user: UserId) -> Result<Vec<Host>, Error> {
        let (workspace, now) = (self.workspace.clone(), self.now());
        let granted = self
            .parts
            .store
            .read(move |c| -> Result<Vec<Host>, store::Error> {
                let Some(user) = users::by_id(c, user)? else { return Ok(Vec::new()) };
                let groups = users::groups_of(c, user.id)?;
                let mine: Vec<_> = grants::all(c, &workspace)?
                    .into_iter()
                    .filter(|g| super::grants::is_given_to(g, user.id, &groups) && g.until.is_none_or(|until| now < until))
                    .collect();
                Ok(hosts::all(c, &workspace)?.into_iter().filter(|h| mine.iter().any(|g| g.hosts.covers(&h.name, &h.tags))).collect())
            })
            .await?;
        Ok(granted)
    }

    pub(super) async fn view(&self, host: &Host) -> Result<HostView, Error> {
        let (eyes, host) = (self.eyes().await?, host.clone());
        Ok(self.parts.store.read(move |c| host_view(c, &hosts::by_id(c, host.id)?.unwrap_or(host), &eyes)).await?)
    }

    /// What this call's person may see of hosts and credentials.
    pub(super) async fn eyes(&self) -> Result<Eyes, Error> {
        let seen = self.visible_hosts().await?.iter().map(|h| h.id).collect();
        Ok(Eyes { me: self.actor.id, hosts: self.reach_of(Verb::HostSee), seen })
    }
}

/// Who looks, and how far they see.
#[derive(Clone, Debug)]
pub(super) struct Eyes {
    pub(super) me: UserId,
    hosts: Reach,
    /// The hosts that they may see.
    pub(super) seen: Vec<HostId>,
}

impl Eyes {
    /// Whether they see that this credential exists, and under which account it signs in.
    pub(super) fn see(&self, c: &Connection, credential: &Credential) -> Result<bool, store::Error> {
        if let Scope::Personal(_) = credential.scope {
            return Ok(sees(self.me, &credential.scope));
        }
        let mut attached = false;
        if self.hosts != Reach::All {
            for (host, _) in credentials::hosts_of(c, credential.id)? {
                attached |= self.seen.contains(&host) && self.is_theirs(c, host, credential)?;
            }
        }
        Ok(sees_workspaces(self.hosts, attached))
    }

    /// Whether a workspace's credential is attached to a host for everybody, or for them: what somebody else attached for
    /// themselves alone is nobody else's choice.
    fn is_theirs(&self, c: &Connection, host: HostId, credential: &Credential) -> Result<bool, store::Error> {
        let chosen = |whose| credentials::chosen(c, host, whose).map(|found| found.is_some_and(|f| f.id == credential.id));
        Ok(credentials::is_shared(c, host, credential.id)?
            || chosen(None)?
            || chosen(Some(self.me))?
            || defaults::stands_in(c, host, credential.id)?)
    }
}

pub(super) fn host_view(c: &Connection, host: &Host, eyes: &Eyes) -> Result<HostView, store::Error> {
    let me = eyes.me;
    let mut attached = Vec::new();
    for credential in credentials::bound_to(c, host.id)? {
        if store::rotations::is_next(c, credential.id)? {
            continue;
        }
        let personal = matches!(credential.scope, Scope::Personal(_));
        // Of somebody else's own it is said that there is one; of the workspace's, a member sees what is there for them.
        let all = eyes.hosts == Reach::All && defaults::is_in_use(c, host.id, credential.id)?;
        if personal || all || eyes.is_theirs(c, host.id, &credential)? {
            attached.push(credential);
        }
    }
    // Where the host has a default of its own, the workspace's signs nobody in, and is not shown to who does not see it otherwise.
    let workspace_default = match defaults::of_workspace(c, &host.workspace)? {
        Some(found) if eyes.see(c, &found)? => Some(found),
        _ => None,
    };
    let shown = |cr: &Credential| if sees(me, &cr.scope) { cr.name.to_string() } else { PERSONAL.to_owned() };
    Ok(HostView {
        name: host.name.clone(),
        address: host.address.host.clone(),
        port: host.address.port,
        tags: host.tags.clone(),
        credential: credentials::chosen(c, host.id, None)?.as_ref().map(shown),
        via: match host.via {
            Some(via) => hosts::by_id(c, via)?.map(|jump| jump.name),
            None => None,
        },
        legacy: host.legacy.clone(),
        host_keys: host.host_keys.clone(),
        id: host.id,
        trust_first_use: host.trust_first_use,
        my_credential: credentials::chosen(c, host.id, Some(me))?.as_ref().map(shown),
        workspace_credential: workspace_default.as_ref().map(shown),
        credential_source: defaults::taken(c, host, me)?.map(|(_, chosen)| chosen.as_str().to_owned()),
        attached: attached.iter().map(shown).collect(),
        created_at: host.created_at,
    })
}

/// What the law says about a person on a host, from one snapshot; as if they had shown their second factor, if they have one.
pub(super) fn facts(c: &Connection, user: UserId, host: &Host) -> Result<Option<authz::Facts>, store::Error> {
    let Some(user) = users::by_id(c, user)? else { return Ok(None) };
    let (groups, grants) = (users::groups_of(c, user.id)?, grants::all(c, &host.workspace)?);
    let mut terms = Terms::default();
    if second_factors::of(c, user.id, Enrolment::InForce)?.is_some() {
        terms.second = SecondFactor::Shown;
    }
    Ok(Some(authz::Facts { groups, grants, user, host: host.clone(), terms }))
}
