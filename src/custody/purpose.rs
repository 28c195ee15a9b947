//! What a wish is for, where it is not simply to connect: to try a credential, or to work on a host for it. Such a wish names its
//! credential by id; who runs the broker may mean a workspace's that is not attached yet. Never widens what a grant allows on a host.

use super::Error;
use super::warrant::Asked;
use crate::authz::{self, Decision, Denial, Facts, Reach, Request};
use crate::model::{Credential, CredentialId, Host, Role, Scope, User};
use crate::store::{self, credentials, defaults, rotations};
use crate::vault::Way;

/// What a wish is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To connect.
    Connect,
    /// To connect, by a connection inside the one to the broker.
    Jump,
    /// To look from a host at what stands behind it, for somebody who waits for that. Signs in as they would.
    Look,
    /// To sign in and do nothing else.
    Try(CredentialId),
    /// To run a command of the broker's own for a credential; what it needs is granted like anything else.
    Work(CredentialId),
    /// The same, signed in with the next secret.
    WorkNext(CredentialId),
}

impl Purpose {
    /// Which credential, if it is settled.
    pub(super) fn credential(self) -> Option<CredentialId> {
        match self {
            Self::Connect | Self::Jump | Self::Look => None,
            Self::Try(id) | Self::Work(id) | Self::WorkNext(id) => Some(id),
        }
    }

    /// The word in the audit log.
    pub(super) fn word(self) -> Option<&'static str> {
        match self {
            Self::Connect | Self::Jump | Self::Look => None,
            Self::Try(_) => Some("test"),
            Self::Work(_) => Some("upkeep"),
            Self::WorkNext(_) => Some("upkeep-next"),
        }
    }

    /// Whether somebody waits for it who asked for exactly this: what they may do while they are here, this may.
    pub(super) fn is_own_work(self) -> bool {
        matches!(self, Self::Look | Self::Try(_) | Self::Work(_) | Self::WorkNext(_))
    }

    fn is_trial(self) -> bool {
        matches!(self, Self::Try(_))
    }

    /// How far it reaches, decided without looking at the credential.
    pub(super) fn reach(self, facts: &Facts, asked: &Asked, now: crate::clock::Time) -> Result<Reach, Denial> {
        match authz::explain(facts, asked.client.ip(), now, now).result {
            Err(Denial::NoGrant) if self.is_trial() && runs_the_broker(&facts.user) => Ok(Reach::default()),
            Ok((reach, _)) => Ok(reach),
            Err(why) => Err(why),
        }
    }

    /// The decision.
    pub(super) fn decide(self, facts: &Facts, request: &Request) -> Decision {
        match authz::decide(facts, request) {
            Decision::Deny(Denial::NoGrant) if self.is_trial() => authz::decide_trial(facts, request),
            decided => decided,
        }
    }

    /// The credential that is meant, if this person may mean it here, and by which way it comes to the host.
    pub(super) fn choose(self, c: &rusqlite::Connection, user: &User, host: &Host) -> Result<Option<(Credential, Way)>, store::Error> {
        let Some(id) = self.credential() else { return Ok(None) };
        let Some(found) = credentials::by_id(c, id)? else { return Ok(None) };
        let next = matches!(self, Self::WorkNext(_));
        if next && rotations::between(c, id, host.id)?.is_none() {
            return Ok(None);
        }
        let way = if next { Way::Next } else { Way::Standing };
        if defaults::is_open(c, &found, user.id, host.id)? {
            return Ok(Some((found, way)));
        }
        // Not attached for this person: whoever could attach it may use it so once, where a pinned key says which host that is.
        if !may_attach(&found, user, host) || host.host_keys.is_empty() {
            return Ok(None);
        }
        let bound = credentials::binding(c, id, host.id)?.is_some();
        Ok(Some((found, if next || bound { way } else { Way::Unattached })))
    }

    /// Why the credential that is meant cannot be meant here. Whoever asks was granted the host and sees the credential.
    pub(super) fn why_none(self, credential: Credential, facts: &Facts) -> Error {
        let (host, mine) = (facts.host.name.clone(), matches!(credential.scope, Scope::Personal(_)));
        if may_attach(&credential, &facts.user, &facts.host) && facts.host.host_keys.is_empty() {
            Error::NoPin { credential: credential.name, host }
        } else {
            Error::NotAttached { credential: credential.name, host, mine }
        }
    }
}

/// Whether this person could attach the credential to the host for everybody.
fn may_attach(credential: &Credential, user: &User, host: &Host) -> bool {
    matches!(&credential.scope, Scope::Workspace(workspace) if *workspace == host.workspace) && runs_the_broker(user)
}

fn runs_the_broker(user: &User) -> bool {
    matches!(user.role, Role::Owner | Role::Admin)
}
