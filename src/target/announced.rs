//! The keys that a host announces after the sign-in (`hostkeys-00@openssh.com`, PROTOCOL of OpenSSH §2.5): has each new one
//! proved with `hostkeys-prove-00@openssh.com`. Pins nothing, and believes nothing that was not proved.

use std::collections::BTreeSet;
use std::sync::Weak;
use std::time::Duration;

use russh::client;
use russh::keys::PublicKey;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::certificate::is_taken;
use super::error::ProvenKey;
use super::handler::{HostHandler, proven};

/// The most keys that a host may announce; an announcement of more is passed over.
pub const MOST_HOST_KEYS: usize = 32;

/// What a host will announce, if it does; it is listened to once per connection. Does not keep the connection open.
pub struct Announced {
    pub(super) keys: oneshot::Receiver<Vec<PublicKey>>,
    pub(super) handle: Weak<client::Handle<HostHandler>>,
    pub(super) limit: Duration,
}

impl std::fmt::Debug for Announced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Announced").finish_non_exhaustive()
    }
}

/// What a host announced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcement {
    /// The fingerprints of all keys of a kind that is accepted.
    pub all: BTreeSet<String>,
    /// Those that were not known before, and that the host proved to have.
    pub proved: Vec<ProvenKey>,
    /// Those that it did not prove, each with why.
    pub unproved: Vec<(ProvenKey, String)>,
}

impl Announced {
    /// Waits for the announcement, and has the host prove the keys that are not `known` by their fingerprints; each by itself, so that
    /// one that it does not have spoils no other. `None`: nothing was announced while the connection stood.
    pub async fn proved(self, known: &[String]) -> Option<Announcement> {
        let keys = self.keys.await.ok()?;
        let mut out = Announcement::default();
        let mut fresh: Vec<PublicKey> = Vec::new();
        for key in keys.into_iter().filter(|key| is_taken(key.key_data())) {
            let fingerprint = proven(&key).fingerprint;
            if out.all.insert(fingerprint.clone()) && !known.contains(&fingerprint) {
                fresh.push(key);
            }
        }
        // One limit for all of them: a host that answers none holds nothing up for long.
        let _ = timeout(self.limit, async {
            for key in fresh {
                let Some(handle) = self.handle.upgrade() else { return };
                let shown = proven(&key);
                match handle.hostkeys_prove(vec![key]).await {
                    Ok(()) => out.proved.push(shown),
                    Err(e @ (russh::Error::WrongServerSig | russh::Error::RequestDenied)) => out.unproved.push((shown, e.to_string())),
                    Err(e) if handle.is_closed() => {
                        tracing::debug!(target: "keyward::target", error = %e, "the connection ended before a key was proved");
                        return;
                    }
                    Err(e) => out.unproved.push((shown, e.to_string())),
                }
            }
        })
        .await;
        Some(out)
    }
}
