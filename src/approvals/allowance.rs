//! "The same bytes again in this session, so many times, until then": an explicit act of the person, listed, revocable, and on
//! record each time it is used. It lives as long as the session; there is none that outlives it.

use std::time::Duration;

use crate::clock::Time;
use crate::model::{ActDigest, AgentId, AllowanceId, Name, ProposalId, SessionId, UserId};

/// What a person allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// So many times more.
    pub times: u32,
    /// For so long from now.
    pub within: Duration,
}

/// What a person has allowed.
#[derive(Clone, Debug)]
pub struct Allowance {
    /// Its id.
    pub id: AllowanceId,
    /// Whose act it is.
    pub person: UserId,
    /// For which agent.
    pub agent: AgentId,
    /// Its name.
    pub agent_name: Name,
    /// In which session.
    pub session: SessionId,
    /// On which host that is.
    pub host_name: Name,
    /// Which bytes.
    pub digest: ActDigest,
    /// The command of those bytes, to be shown.
    pub command: Vec<u8>,
    /// The proposal on which it was given.
    pub proposal: ProposalId,
    /// So many times more.
    pub left: u32,
    /// Until then.
    pub until: Time,
    /// Whether it was given with a signature.
    pub signed: bool,
}

impl Allowance {
    /// Whether it covers a proposal of `agent` in `session` with this digest, now.
    pub(super) fn covers(&self, agent: AgentId, session: SessionId, digest: &ActDigest, now: Time) -> bool {
        self.left > 0 && now < self.until && self.agent == agent && self.session == session && self.digest == *digest
    }
}
