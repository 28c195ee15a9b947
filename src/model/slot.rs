//! Slots: the ways to open a personal scope that its owner sealed. What stands here is no secret.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{SlotId, UserId};
use crate::clock::Time;

/// The fewest slots of a sealed scope: who loses one way in has another.
pub const SLOTS_LEAST: usize = 2;
/// The most: each passphrase slot costs a derivation at each attempt.
pub const SLOTS_MOST: usize = 8;

/// What opens a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// A passphrase that the person keeps in mind.
    Passphrase,
    /// A code of 128 random bits that was printed once.
    Recovery,
    /// A signature of an ed25519 key in the person's ssh agent.
    Agent,
}

impl SlotKind {
    const ALL: [(Self, &'static str); 3] = [(Self::Passphrase, "passphrase"), (Self::Recovery, "recovery"), (Self::Agent, "agent")];

    /// The word.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }
}

impl fmt::Display for SlotKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SlotKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(_, word)| *word == text).map(|(kind, _)| *kind);
        found.ok_or_else(|| "a slot is one of passphrase, recovery, agent".to_owned())
    }
}

/// A slot as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its id.
    pub id: SlotId,
    /// Whose scope it opens.
    pub user: UserId,
    /// What opens it.
    pub kind: SlotKind,
    /// Of an agent's: the key's fingerprint.
    pub label: String,
    /// Since when.
    pub created_at: Time,
}

/// What an agent is to sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentAsk {
    /// The slot.
    pub slot: SlotId,
    /// Its salt.
    pub salt: Vec<u8>,
    /// The public key, as in `authorized_keys`.
    pub key: String,
    /// The bytes to sign: an SSHSIG of a namespace of this vault's own.
    pub data: Vec<u8>,
}

/// How a personal scope is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeState {
    /// The root key opens it.
    Unsealed,
    /// Only a slot opens it, and none did.
    Locked,
    /// A slot opened it, and its key is in the keeper.
    Open,
}

impl ScopeState {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unsealed => "not sealed",
            Self::Locked => "locked",
            Self::Open => "open",
        }
    }
}
