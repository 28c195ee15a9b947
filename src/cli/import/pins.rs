//! Which keys of a host the person's files of known hosts vouch for. Pure. What they revoke, or say in two ways, is left out.

use std::collections::{BTreeMap, BTreeSet};

use russh::keys::ssh_key::{Algorithm, HashAlg, PublicKey};
use serde::Serialize;

use crate::sshconfig::known_hosts::{KnownHosts, Marker};

/// The smallest RSA modulus, in bits.
const RSA_BITS: u32 = 2048;

/// A key to be pinned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Pin {
    /// `ssh-ed25519`.
    #[serde(rename = "type")]
    pub(in crate::cli) kind: String,
    /// `SHA256:…`.
    pub(in crate::cli) fingerprint: String,
    /// The whole key.
    #[serde(skip)]
    pub(in crate::cli) key: String,
}

/// The fingerprint of a public key; `None` if it is none.
pub(super) fn fingerprint(text: &str) -> Option<String> {
    Some(PublicKey::from_openssh(text.trim()).ok()?.fingerprint(HashAlg::Sha256).to_string())
}

/// The keys of the host that is looked up like this.
pub(super) fn pins(files: &[&KnownHosts], lookup: &str, notes: &mut Vec<String>) -> Vec<Pin> {
    let mut revoked = BTreeSet::new();
    let mut found: BTreeMap<String, Vec<Pin>> = BTreeMap::new();
    for line in files.iter().flat_map(|f| &f.lines).filter(|l| l.marker != Marker::Authority && l.covers(lookup)) {
        let Some(pin) = pin(&line.key) else { continue };
        if line.marker == Marker::Revoked {
            revoked.insert(pin.fingerprint);
            continue;
        }
        let of_kind = found.entry(pin.kind.clone()).or_default();
        if !of_kind.contains(&pin) {
            of_kind.push(pin);
        }
    }
    let mut out = Vec::new();
    for (kind, mut keys) in found {
        let before = keys.len();
        keys.retain(|k| !revoked.contains(&k.fingerprint));
        if keys.len() < before {
            notes.push(format!("a key of type {kind} is revoked, and not pinned"));
        }
        if keys.len() > 1 {
            notes.push(format!("there are {} different keys of type {kind} for it: none is pinned", keys.len()));
        } else {
            out.append(&mut keys);
        }
    }
    out
}

/// A key that a host may be trusted by.
fn pin(text: &str) -> Option<Pin> {
    let key = PublicKey::from_openssh(text).ok()?;
    let taken = match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => true,
        Algorithm::Rsa { .. } => key.key_data().rsa().is_some_and(|rsa| rsa.key_size() >= RSA_BITS),
        _ => false,
    };
    let kind = text.split(' ').next().unwrap_or_default().to_owned();
    taken.then(|| Pin { kind, fingerprint: key.fingerprint(HashAlg::Sha256).to_string(), key: text.to_owned() })
}
