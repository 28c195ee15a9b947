//! Who acts: persons, and the roles that decide which verbs they may use.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{GroupId, Name, UserId};
use crate::clock::Time;

/// Whoever signed in. Agents and services get variants of their own, so that nothing made for persons takes them by accident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A person.
    Human(UserId),
}

/// A person who may approve. Made only of a human principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approver(UserId);

impl Approver {
    /// `Some` only for a human.
    pub fn of(principal: &Principal) -> Option<Self> {
        match principal {
            Principal::Human(id) => Some(Self(*id)),
        }
    }

    /// The person.
    pub fn user(&self) -> UserId {
        self.0
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
