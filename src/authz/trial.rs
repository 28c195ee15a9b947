//! Decides about a sign-in that is tried and does nothing else. Never gives a permit with which anything could be started.

use super::permit::{Decision, Denial, Permit, Reach};
use super::policy::{Facts, Request};
use crate::model::{Principal, Role};

/// Whether an owner or admin may try a credential on a host without a grant. The permit reaches to nothing: it signs in, once.
pub fn decide_trial(facts: &Facts, request: &Request) -> Decision {
    if facts.user.disabled {
        return Decision::Deny(Denial::Disabled);
    }
    match facts.user.role {
        Role::Owner | Role::Admin => Decision::Allow(Permit {
            principal: Principal::Human(facts.user.id),
            host: facts.host.id,
            credential: request.credential,
            session: request.session,
            scope: Reach::default(),
            grants: Vec::new(),
            issued_at: request.now,
        }),
        Role::Auditor | Role::Member => Decision::Deny(Denial::NoGrant),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Time;
    use crate::model::{Action, CredentialId, Host, HostId, SessionId, User, UserId};

    #[test]
    fn a_trial_reaches_to_nothing_and_is_for_those_who_run_the_broker() {
        let now = Time::from_millis(1);
        for role in Role::ALL {
            for disabled in [false, true] {
                let user = User { id: UserId::from([1; 16]), name: "x".parse().unwrap(), role, uid: None, disabled, created_at: now };
                let host = Host {
                    id: HostId::from([2; 16]),
                    workspace: "default".parse().unwrap(),
                    name: "web-1".parse().unwrap(),
                    address: "web-1:22".parse().unwrap(),
                    tags: std::collections::BTreeMap::default(),
                    host_keys: Vec::new(),
                    trust_first_use: false,
                    via: None,
                    legacy: crate::model::Legacy::default(),
                    created_at: now,
                };
                let facts = Facts { user, groups: Vec::new(), host, grants: Vec::new(), terms: crate::model::Terms::default() };
                let request = Request {
                    credential: CredentialId::from([3; 16]),
                    session: SessionId::from([4; 16]),
                    client: std::net::Ipv4Addr::LOCALHOST.into(),
                    now,
                    began: now,
                };
                match decide_trial(&facts, &request) {
                    Decision::Allow(permit) => {
                        assert!(!disabled && matches!(role, Role::Owner | Role::Admin));
                        assert!(Action::ALL.iter().all(|action| !permit.reach().allows(*action)));
                    }
                    Decision::Deny(_) => assert!(disabled || matches!(role, Role::Auditor | Role::Member)),
                }
            }
        }
    }
}
