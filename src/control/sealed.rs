//! A vault that is sealed: what `status` says of it, and the verb that seals it. Unsealing is not here: without the root key
//! nobody's row can be believed, so the desk is not there to answer.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::api::Reply;
use super::desk::Call;
use super::error::Error;
use super::view::Data;
use crate::model::EventName;

/// The longest that the answer to `seal` waits for the doors to be closed.
const DOORS: Duration = Duration::from_secs(5);

/// How the wish to seal comes from the desk to the daemon, and back that nobody new is let in. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Sealing {
    wanted: CancellationToken,
    at_once: CancellationToken,
    shut: CancellationToken,
}

impl Sealing {
    /// Waits until the vault is to be sealed.
    pub async fn wanted(&self) {
        self.wanted.cancelled().await;
    }

    /// Waits until sessions are not to be given their time.
    pub async fn at_once(&self) {
        self.at_once.cancelled().await;
    }

    /// Says that no new connection is let in.
    pub fn doors_are_shut(&self) {
        self.shut.cancel();
    }

    /// Whether the vault is being sealed.
    pub fn is_on(&self) -> bool {
        self.wanted.is_cancelled()
    }

    /// Wants it.
    fn begin(&self, now: bool) {
        if now {
            self.at_once.cancel();
        }
        self.wanted.cancel();
    }

    /// Returns when nobody new is let in.
    async fn shut(&self) {
        let _ = tokio::time::timeout(DOORS, self.shut.cancelled()).await;
    }
}

/// What somebody has to bring to unseal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wants {
    /// The passphrase.
    Passphrase,
    /// A passphrase of their choice: there is no root key yet.
    NewPassphrase,
    /// Nothing: the source is read again.
    Nothing,
}

/// `status` while the vault is sealed. The keys that the contract names are there; nothing is read from the database.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // the fields are the keys of the contract
pub struct SealedView {
    pub version: String,
    pub uptime_s: u64,
    pub live_connections: usize,
    pub leases_open: u64,
    pub pending_proposals: u64,
    /// Not known.
    pub audit_seq: Option<u64>,
    pub vault: String,
    pub source: String,
    pub wants: Wants,
    pub failed_tries: u32,
    pub last_error: Option<String>,
    pub listen: String,
    pub host_keys: Vec<String>,
}

impl Call<'_> {
    /// Seals the vault: recorded first. When this answers, no new connection is let in; the keys are wiped when sessions have ended.
    pub(super) async fn seal(&self, now: bool) -> Result<Reply, Error> {
        let seal = &self.parts.seal;
        if seal.is_on() {
            seal.begin(now);
        } else {
            // Begun by whoever writes the entry: a caller who leaves meanwhile leaves no vault that stays open behind it.
            let begins = seal.clone();
            self.parts.log.record_then(self.event(EventName::VaultSealed).with("now", now), move || begins.begin(now)).await?;
        }
        seal.shut().await;
        let what = if now { "sessions are ended" } else { "nobody is let in any more, and sessions are given their time to end" };
        Ok(Reply::done(Data::Nothing, format!("the vault is being sealed: {what}"))
            .note("it is sealed when `keyward status` says so; open it again with: keyward unseal"))
    }

    /// How the vault is, in a word.
    pub(super) fn vault_word(&self) -> String {
        if self.parts.seal.is_on() { "sealing".to_owned() } else { self.parts.facts.vault.clone() }
    }

    /// `unseal` where the vault is not sealed.
    pub(super) fn not_sealed(&self) -> Error {
        if self.parts.seal.is_on() {
            Error::unfit("the vault is being sealed, and can be unsealed after that", "wait for `vault: sealed` in: keyward status")
        } else {
            Error::unfit("the vault is unsealed already", "keyward status")
        }
    }
}
