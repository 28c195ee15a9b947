//! The keys that a host announces after the sign-in (`hostkeys-00@openssh.com`, PROTOCOL of OpenSSH §2.5): has each new one
//! proved with `hostkeys-prove-00@openssh.com`. Pins nothing, and believes nothing that was not proved.

use std::collections::BTreeSet;
use std::sync::Weak;
use std::time::Duration;

use russh::client;
use russh::keys::PublicKey;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

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
    /// Cancelled when the connection is closed or nobody's any more.
    pub(super) over: CancellationToken,
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
        // One limit for all of them: a host that answers none holds nothing up for long, and nothing at all once its session is over.
        let over = self.over.clone();
        let asking = async {
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
        };
        let _ = timeout(self.limit, over.run_until_cancelled(asking)).await;
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use russh::keys::PrivateKey;
    use russh::keys::ssh_key::private::Ed25519Keypair;
    use russh::server::{self, GlobalReplyHandle};
    use tokio::sync::mpsc;

    use super::*;
    use crate::target::handler::{Seen, Trust};
    use crate::target::opens::Doorbell;

    /// A host that keeps every request to itself.
    struct Silent(mpsc::UnboundedSender<GlobalReplyHandle>);

    impl server::Handler for Silent {
        type Error = russh::Error;

        async fn auth_none(&mut self, _: &str) -> Result<server::Auth, Self::Error> {
            Ok(server::Auth::Accept)
        }

        async fn global_request_later(
            &mut self,
            _: &str,
            _: &[u8],
            reply: GlobalReplyHandle,
            _: &mut server::Session,
        ) -> Result<Option<GlobalReplyHandle>, Self::Error> {
            let _ = self.0.send(reply);
            Ok(None)
        }
    }

    #[tokio::test]
    async fn a_host_that_proves_nothing_keeps_no_connection_longer_than_its_session() {
        let key = |seed: u8| PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]));
        let (near, far) = tokio::io::duplex(64 * 1024);
        let (kept, mut asked) = mpsc::unbounded_channel();
        let config = Arc::new(server::Config { keys: vec![key(1)], ..server::Config::default() });
        let (name, door) = ("web-1".to_owned(), Doorbell::new().0);
        let handler = HostHandler { trust: Trust::FirstUse, seen: Seen::default(), name, now: 0, announced: None, door };
        let (host, handle) = tokio::join!(
            server::run_stream(config, far, Silent(kept)),
            client::connect_stream(Arc::new(client::Config::default()), near, handler)
        );
        let (_host, mut handle) = (host.unwrap(), handle.unwrap());
        assert!(handle.authenticate_none("somebody").await.unwrap().success());
        let (handle, (tell, keys), over) = (Arc::new(handle), oneshot::channel(), CancellationToken::new());
        let limit = Duration::from_secs(24 * 3600);
        let announced = Announced { keys, handle: Arc::downgrade(&handle), limit, over: over.clone() };
        tell.send(vec![key(2).public_key().clone()]).unwrap();
        let session = async {
            let _unanswered = asked.recv().await.unwrap();
            assert_eq!(Arc::strong_count(&handle), 2, "it is asking");
            over.cancel();
            asked.recv().await
        };
        let found = tokio::select! {
            found = announced.proved(&[]) => found.unwrap(),
            _ = session => unreachable!("nothing more is asked"),
        };
        assert_eq!((found.proved.len(), Arc::strong_count(&handle)), (0, 1));
    }
}
