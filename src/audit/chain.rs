//! The chain: how an event becomes an entry, and how entries hold each other. Pure.
//!
//! `hash = SHA-256("keyward audit v1\0" ‖ prev ‖ seq ‖ at ‖ body)`, numbers as 8 bytes big endian, `prev` of the first
//! entry is [`GENESIS`]. Why a chain and no Merkle tree: `docs/adr/0003-a-hash-chain.md`.

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::{Map, Value};

use crate::clock::Time;
use crate::model::Event;
use crate::store::audit_log::EntryRow;

/// What stands before the first entry.
pub const GENESIS: [u8; 32] = [0; 32];

/// An entry, read back.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    /// Its number; the first is 1, none is left out.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// The event: `event actor host credential session proposal outcome reason detail`.
    #[serde(flatten)]
    pub body: Map<String, Value>,
    /// The hash of the entry before, in hex.
    pub prev: String,
    /// This entry's hash, in hex.
    pub hash: String,
}

/// The event as the JSON that is hashed. Every key of the contract is there, also where it is null.
pub(super) fn body(event: &Event) -> String {
    let mut body = Map::new();
    let text = |t: &Option<String>| t.clone().map_or(Value::Null, Value::String);
    body.insert("event".to_owned(), Value::from(event.name.as_str()));
    body.insert("actor".to_owned(), Value::from(event.actor.clone()));
    body.insert("host".to_owned(), text(&event.host));
    body.insert("credential".to_owned(), text(&event.credential));
    body.insert("session".to_owned(), event.session.map_or(Value::Null, |s| Value::String(s.to_string())));
    body.insert("proposal".to_owned(), event.proposal.map_or(Value::Null, |p| Value::String(p.to_string())));
    body.insert("outcome".to_owned(), serde_json::to_value(event.outcome).unwrap_or(Value::Null));
    body.insert("reason".to_owned(), text(&event.reason));
    if let Some(id) = event.host_id {
        body.insert("host_id".to_owned(), Value::String(id.to_string()));
    }
    if let Some(id) = event.credential_id {
        body.insert("credential_id".to_owned(), Value::String(id.to_string()));
    }
    if !event.detail.is_empty() {
        body.insert("detail".to_owned(), Value::Object(event.detail.clone()));
    }
    Value::Object(body).to_string()
}

/// The hash of an entry.
pub(super) fn hash(prev: &[u8], seq: u64, at: Time, body: &str) -> [u8; 32] {
    let mut h = Context::new(&SHA256);
    h.update(b"keyward audit v1\0");
    h.update(prev);
    h.update(&seq.to_be_bytes());
    h.update(&at.millis().to_be_bytes());
    h.update(body.as_bytes());
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(h.finish().as_ref()) {
        *to = *from;
    }
    out
}

/// The entry that follows `last`.
pub(super) fn next(last: Option<&EntryRow>, at: Time, body: String) -> EntryRow {
    let (seq, prev) = last.map_or((1, GENESIS.to_vec()), |l| (l.seq + 1, l.hash.clone()));
    let hash = hash(&prev, seq, at, &body).to_vec();
    EntryRow { seq, at, body, prev, hash }
}

impl From<EntryRow> for Entry {
    fn from(row: EntryRow) -> Self {
        // A body that is no JSON object any more was tampered with: show it as it stands, `verify` will name it.
        let body = serde_json::from_str(&row.body)
            .unwrap_or_else(|_| Map::from_iter([("unreadable".to_owned(), Value::String(row.body.clone()))]));
        Self { seq: row.seq, at: row.at, body, prev: hex(&row.prev), hash: hex(&row.hash) }
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}
