//! russh's callbacks of the host side: decides about the host's key and refuses whatever the host wants to open.

use std::sync::{Arc, Mutex};

use russh::client;
use russh::keys::ssh_key::HashAlg;
use russh::keys::{PublicKey, PublicKeyOrCertificate};

use super::error::ProvenKey;

/// Which keys are accepted.
#[derive(Clone, Debug)]
pub enum Trust {
    /// One of these fingerprints.
    Pinned(Vec<String>),
    /// Whatever is shown: the caller pins it before anything else is sent.
    FirstUse,
    /// None: the connection serves only to see the key.
    Look,
}

/// What the key exchange showed.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Mutex<Option<ProvenKey>>>);

impl Seen {
    pub(super) fn get(&self) -> Option<ProvenKey> {
        self.0.lock().ok().and_then(|seen| seen.clone())
    }
}

/// The handler of one connection to a host.
#[derive(Debug)]
pub(super) struct HostHandler {
    pub(super) trust: Trust,
    pub(super) seen: Seen,
}

pub(super) fn proven(key: &PublicKey) -> ProvenKey {
    let mut bare = key.clone();
    bare.set_comment("");
    ProvenKey {
        public_key: bare.to_openssh().unwrap_or_default().trim().to_owned(),
        fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
    }
}

impl client::Handler for HostHandler {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        // Certificates are not asked for, so none may come.
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        let shown = proven(key);
        let accepted = match &self.trust {
            Trust::Pinned(pins) => pins.contains(&shown.fingerprint),
            Trust::FirstUse => true,
            Trust::Look => false,
        };
        if let Ok(mut seen) = self.seen.0.lock() {
            *seen = Some(shown);
        }
        Ok(accepted)
    }
}
