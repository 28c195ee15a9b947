//! What a decision that allowed looks like, and what one that did not.

use std::time::Duration;

use crate::clock::Time;
use crate::model::{Action, Actions, CredentialId, GrantId, HostId, Principal, SessionId};

/// How long a permit may be turned into a lease.
pub const PERMIT_LIFE: Duration = Duration::from_secs(30);

/// A decision that allowed. Only authz makes one; it is good for 30 s and for what it names.
#[must_use]
#[derive(Debug)]
pub struct Permit {
    pub(super) principal: Principal,
    pub(super) host: HostId,
    pub(super) credential: CredentialId,
    pub(super) session: SessionId,
    pub(super) scope: Reach,
    pub(super) grants: Vec<GrantId>,
    pub(super) issued_at: Time,
}

/// What a permit reaches: which actions, which commands, until when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// The actions that are granted.
    pub actions: Actions,
    /// If set, `exec` runs only these commands, byte by byte.
    pub commands: Option<Vec<String>>,
    /// Whether no terminal is given, whatever runs.
    pub no_pty: bool,
    /// When the last of it has run out.
    pub ends_at: Option<Time>,
    /// When the first of it runs out: then it is to be decided anew.
    pub recheck_at: Option<Time>,
}

impl Permit {
    /// Who.
    pub fn principal(&self) -> Principal {
        self.principal
    }
    /// Which host.
    pub fn host(&self) -> HostId {
        self.host
    }
    /// Which credential.
    pub fn credential(&self) -> CredentialId {
        self.credential
    }
    /// For which session.
    pub fn session(&self) -> SessionId {
        self.session
    }
    /// What it reaches.
    pub fn reach(&self) -> &Reach {
        &self.scope
    }
    /// The grants that carried it.
    pub fn grants(&self) -> &[GrantId] {
        &self.grants
    }
    /// When it was issued.
    pub fn issued_at(&self) -> Time {
        self.issued_at
    }
    /// Whether it may still be turned into a lease.
    pub fn is_fresh(&self, now: Time) -> bool {
        now >= self.issued_at && now.since(self.issued_at) <= PERMIT_LIFE
    }
}

impl Reach {
    /// Whether `action` is granted.
    pub fn allows(&self, action: Action) -> bool {
        self.actions.has(action)
    }

    /// Whether this command may run. Bytes that are no UTF-8 never equal a listed command.
    pub fn allows_command(&self, command: &[u8]) -> bool {
        self.allows(Action::Exec) && self.commands.as_ref().is_none_or(|list| list.iter().any(|c| c.as_bytes() == command))
    }
}

/// A decision that did not allow. The person reads one sentence that is the same for all; the audit reads this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// The person is disabled.
    #[error("the person is disabled")]
    Disabled,
    /// No grant covers person and host.
    #[error("no grant covers this person and host")]
    NoGrant,
    /// What signed them in takes away all that is granted, or has run out.
    #[error("{0}")]
    Terms(&'static str),
    /// The second factor is wanted and was not shown: by a grant, or – without one – by the person for everything.
    #[error("the second factor is wanted, and was not shown{}", .0.map(|grant| format!(" (grant {grant})")).unwrap_or_default())]
    SecondFactor(Option<GrantId>),
    /// Grants cover them, but a condition does not hold; the last one that was looked at.
    #[error("grant {grant}: {why}")]
    Condition {
        /// The grant.
        grant: GrantId,
        /// The condition.
        why: String,
    },
}

/// Allowed or not.
#[must_use]
#[derive(Debug)]
pub enum Decision {
    /// Allowed.
    Allow(Permit),
    /// Not allowed.
    Deny(Denial),
}
