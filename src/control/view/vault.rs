//! How the vault's keys stand, what a rotation did, and what a backup is, with the JSON keys of the contract.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::model::Name;

/// `vault status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VaultView {
    /// The root key in force.
    pub root: RootView,
    /// Root keys before it, oldest first.
    pub former_roots: Vec<FormerRootView>,
    /// Workspaces' keys.
    pub keys: Vec<KekView>,
    /// Persons' keys, counted and not named.
    pub people: PeopleView,
    /// Whether a rotation was cut off; the next one goes on with it.
    pub half_done: bool,
    /// How many changes were sealed.
    pub epoch: u64,
    /// What is known of the database outside it; `null` before the first checkpoint.
    pub anchor: Option<AnchorView>,
    /// Deletions that may still lie in the write-ahead log.
    pub pending_shreds: PendingView,
}

/// The root key in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootView {
    /// Its id, derived from the key.
    pub id: String,
    /// Where it lies.
    pub path: String,
    /// When it was made.
    pub made_at: Option<Time>,
}

/// A root key that was in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerRootView {
    /// Its id.
    pub id: String,
    /// When the next one took its place.
    pub retired_at: Option<Time>,
    /// Whether its file was destroyed.
    pub destroyed: bool,
}

/// A workspace's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KekView {
    /// The workspace.
    pub workspace: Name,
    /// The newest version of its key.
    pub version: u32,
    /// Since when there is this version; `null` if it is older than the record of that.
    pub made_at: Option<Time>,
}

/// Persons' keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeopleView {
    /// How many there are.
    pub count: u64,
    /// When the oldest was made, as far as that is known.
    pub oldest_made_at: Option<Time>,
}

/// What is known of the database outside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchorView {
    /// The file.
    pub path: String,
    /// The epoch.
    pub epoch: u64,
    /// The audit entry.
    pub seq: u64,
    /// When that was written.
    pub at: Time,
}

/// Deletions that wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingView {
    /// How many.
    pub count: u64,
    /// Since when the oldest waits.
    pub since: Option<Time>,
}

/// What a rotation did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatedView {
    /// Workspaces that have a new key.
    pub workspaces: u64,
    /// Persons who have a new key.
    pub people: u64,
    /// Persons whose key was left as it is, because they sealed their credentials.
    #[serde(default)]
    pub people_sealed: u64,
    /// Data keys that were wrapped anew.
    pub data_keys: u64,
    /// The new root key's id, if there is one.
    pub root: Option<String>,
    /// Files of former root keys that were destroyed.
    pub destroyed: u64,
    /// Deletions that still wait to leave the write-ahead log.
    pub pending_shreds: u64,
}

/// A backup: what is in it, and how to know it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupView {
    /// Which vault's it is, in hex.
    pub vault: String,
    /// The root key that opens it. It is not in the backup.
    pub root_key: String,
    /// How many changes had been sealed.
    pub epoch: u64,
    /// The newest audit entry in it.
    pub audit_seq: u64,
    /// That entry's hash, in hex.
    pub audit_hash: String,
    /// The program that made it.
    pub version: String,
    /// The version of its schema.
    pub schema: i64,
    /// When it was made.
    pub made_at: Time,
    /// Its length.
    pub bytes: u64,
    /// The file's SHA-256, in hex.
    pub sha256: String,
}
