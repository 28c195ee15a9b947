//! Certificate authorities of hosts: whose signature under a host's certificate stands in for a pinned key, and for which
//! hosts. Signs nothing and holds no private key.

use super::{HostKey, Name};
use crate::clock::Time;

/// What the fingerprint of an authority's pin begins with: a key that a host shows itself never equals it.
const MARK: &str = "CA:";
/// What stands before an authority's public key, as in `known_hosts`.
const WORD: &str = "@cert-authority ";

/// An authority that a workspace trusts to sign certificates of hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostCa {
    /// What people call it.
    pub name: Name,
    /// The workspace whose hosts it vouches for.
    pub workspace: Name,
    /// `ssh-ed25519 AAAA…` without a comment.
    pub public_key: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// For which addresses, as a list of patterns of `known_hosts`: `*.example.com,!old.example.com`.
    pub hosts: String,
    /// When it was added.
    pub created_at: Time,
}

impl HostCa {
    /// The pin that a host gets which the authority vouches for. What a credential is bound to holds it like any other pin.
    pub fn pin(&self, pinned_at: Time) -> HostKey {
        HostKey {
            public_key: format!("{WORD}{}", self.public_key),
            fingerprint: authority_pin(&self.fingerprint),
            source: format!("ca:{}", self.name),
            pinned_at,
        }
    }
}

/// How an authority with this fingerprint (`SHA256:…`) stands among a host's pins.
pub fn authority_pin(fingerprint: &str) -> String {
    format!("{MARK}{fingerprint}")
}

impl HostKey {
    /// Whether the pin is of an authority that signs the host's certificates, and not of a key of the host itself.
    pub fn is_authority(&self) -> bool {
        self.fingerprint.starts_with(MARK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pin_of_an_authority_is_never_that_of_a_key() {
        let ca = HostCa {
            name: "corp".parse().unwrap(),
            workspace: "default".parse().unwrap(),
            public_key: "ssh-ed25519 AAAA".to_owned(),
            fingerprint: "SHA256:x".to_owned(),
            hosts: "*".to_owned(),
            created_at: Time::from_millis(0),
        };
        let pin = ca.pin(Time::from_millis(1));
        assert!(pin.is_authority() && pin.fingerprint != ca.fingerprint && pin.source == "ca:corp");
        let bare = HostKey { fingerprint: ca.fingerprint, ..pin };
        assert!(!bare.is_authority());
    }
}
