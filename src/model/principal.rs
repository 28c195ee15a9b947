//! Who acts: persons, and the roles that decide which verbs they may use.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{AgentId, AllowanceId, GroupId, Name, UserId};
use crate::clock::Time;

/// Whoever signed in. Each kind has a variant of its own, so that nothing made for persons takes another by accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A program that proposes commands.
    Agent(AgentId),
    /// A person.
    Human(UserId),
}

/// What shows that a decision is the person's own act: a key of theirs, used just now. That somebody has the person's uid on
/// the broker's machine, or a terminal, shows nothing: a program can have both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// The key that signed in the connection over which the decision came: its fingerprint.
    SignIn(String),
    /// A signature over the canonical proposal.
    Signature {
        /// The fingerprint of the key.
        key: String,
        /// The armored SSHSIG, as it is stored.
        armored: String,
    },
    /// What the same person had allowed for these very bytes in this session.
    Allowance(AllowanceId),
}

impl Means {
    /// The word for lists and the audit log.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::SignIn(_) => "key",
            Self::Signature { .. } => "signature",
            Self::Allowance(_) => "allowance",
        }
    }
}

/// A person who may approve, and by which means they do. Made only of a human principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approver {
    user: UserId,
    means: Means,
}

impl Approver {
    /// `Some` only for a human.
    pub fn of(principal: &Principal, means: Means) -> Option<Self> {
        match principal {
            Principal::Human(user) => Some(Self { user: *user, means }),
            Principal::Agent(_) => None,
        }
    }

    /// The person.
    pub fn user(&self) -> UserId {
        self.user
    }

    /// How they decide.
    pub fn means(&self) -> &Means {
        &self.means
    }
}

/// An agent as the store has it, without its token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// What it is called; agents, users, groups and hosts share one name space.
    pub name: Name,
    /// The person it belongs to: it may use what they may, and they alone decide.
    pub owner: UserId,
    /// `ssh-ed25519 AAAA…`, if it signs in with a key.
    pub public_key: Option<String>,
    /// The key's `SHA256:…`.
    pub fingerprint: Option<String>,
    /// Whether it has a token.
    pub has_token: bool,
    /// Whether an approval needs a signature over the proposal.
    pub require_signature: bool,
    /// What bounds it.
    pub limits: AgentLimits,
    /// When it was added.
    pub created_at: Time,
}

/// What bounds an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentLimits {
    /// Proposals that may wait at once.
    pub pending: u32,
    /// Proposals in a minute.
    pub per_minute: u32,
    /// Bytes of output, of each of the two streams, that are kept and delivered of one command.
    pub output: u64,
}

impl Default for AgentLimits {
    fn default() -> Self {
        Self { pending: 16, per_minute: 60, output: 1024 * 1024 }
    }
}

/// What a person may do with the broker itself; what they may do on hosts is decided by grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the broker: everything but other people's personal credentials.
    Owner,
    /// As the owner, but cannot change owners.
    Admin,
    /// Uses what is granted to them; keeps personal credentials.
    Member,
    /// Reads everything that is not personal, changes nothing.
    Auditor,
}

impl Role {
    /// All, as the command line lists them.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Member, Self::Auditor];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Auditor => "auditor",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|r| r.as_str() == text).ok_or_else(|| "a role is owner, admin, member or auditor".to_owned())
    }
}

/// A person as the store has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Their id.
    pub id: UserId,
    /// What they are called in selectors and lists.
    pub name: Name,
    /// What they may do with the broker.
    pub role: Role,
    /// The operating system's user that the local door takes for them.
    pub uid: Option<u32>,
    /// A disabled person cannot sign in, and their sessions end.
    pub disabled: bool,
    /// When they were added.
    pub created_at: Time,
}

/// A public key that signs a person in. A key belongs to one person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserKey {
    /// Whose it is.
    pub user: UserId,
    /// `SHA256:…` as OpenSSH prints it: unpadded base64 of the SHA-256 of the key blob.
    pub fingerprint: String,
    /// `ssh-ed25519 AAAA…` without a comment.
    pub public_key: String,
    /// The comment that came with it, printable.
    pub comment: String,
    /// When it was added.
    pub added_at: Time,
}

/// A group of persons, for grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its name; users and groups share one name space.
    pub name: Name,
    /// Its members' names.
    pub members: Vec<Name>,
}
