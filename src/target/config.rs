//! What an operator may set of the host side, and the algorithms it speaks.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::legacy;
use crate::model::{Legacy, LegacyKind};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, SshId, cipher, client, compression, kex, mac};

/// Limits of the host side; each is a key of `[host]` in `broker.toml`.
#[derive(Clone, Debug)]
pub struct Config {
    /// For a TCP connection, all addresses of a name together.
    pub connect_timeout: Duration,
    /// For the key exchange, until the host's key is proven.
    pub handshake_timeout: Duration,
    /// For the host's answers while signing in; a person's answer to a prompt has its own time.
    pub login_timeout: Duration,
    /// For a person's answer to a prompt of the host.
    pub prompt_timeout: Duration,
    /// A keepalive is sent after this much silence of the host.
    pub keepalive_interval: Duration,
    /// So many unanswered keepalives end the connection.
    pub keepalive_max: usize,
    /// Bytes that the host may send on a channel before the client took them, at the most: the memory a slow reader costs. A channel
    /// begins with [`WINDOW_AT_FIRST`] of them, which is enough for hosts nearby; its window grows where the host is far away.
    pub window: u32,
    /// The largest packet accepted, in bytes.
    pub max_packet: u32,
    /// Certificates are good only from the address that this broker connects from.
    pub certificate_source_address: bool,
    /// Keys that a host announces and proves over a connection that a pinned key proved are pinned, too.
    pub learn_host_keys: bool,
    /// The congestion control of TCP connections to hosts; empty: as the system says.
    pub congestion_control: String,
}

/// What a channel's window begins with, in bytes. What lies in larger ones of hosts nearby only leaves the processor's caches.
const WINDOW_AT_FIRST: u32 = 2 * 1024 * 1024;

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(15),
            login_timeout: Duration::from_secs(30),
            prompt_timeout: Duration::from_secs(120),
            keepalive_interval: Duration::from_secs(30),
            keepalive_max: 4,
            window: 12 * 1024 * 1024,
            max_packet: 32 * 1024,
            certificate_source_address: true,
            learn_host_keys: true,
            congestion_control: String::new(),
        }
    }
}

const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G14_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];
// AES-128-GCM first: the fastest with AES instructions, and both ends of it are this program's choice.
const CIPHERS: &[cipher::Name] =
    &[cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305, cipher::AES_256_CTR, cipher::AES_192_CTR, cipher::AES_128_CTR];
const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512];
// No SHA-1 (`ssh-rsa`), no DSA.
const KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// The key algorithms in the order in which they are asked for: those of pinned keys first, as OpenSSH does, so that a
/// host which has several keys shows the one that is known.
fn key_order(pinned: &[Algorithm]) -> Vec<Algorithm> {
    let same = |a: &Algorithm, b: &Algorithm| a == b || matches!((a, b), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }));
    let (first, rest): (Vec<_>, Vec<_>) = KEYS.iter().cloned().partition(|k| pinned.iter().any(|p| same(p, k)));
    first.into_iter().chain(rest).collect()
}

impl Config {
    /// russh's configuration for a host with these pins; `only` restricts the key algorithms to these. What is open for the host alone
    /// comes after everything else. `certified`: certificates are asked for before bare keys.
    pub(super) fn client(&self, pinned: &[Algorithm], only: Option<Vec<Algorithm>>, old: &Legacy, certified: bool) -> Arc<client::Config> {
        Arc::new(client::Config {
            // As at the front: OpenSSH's server says `eow@openssh.com` only to clients that are like its own.
            client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-OpenSSH_compatible_Keyward_", env!("CARGO_PKG_VERSION")))),
            window_size: self.window.min(WINDOW_AT_FIRST),
            maximum_window_size: self.window,
            maximum_packet_size: self.max_packet,
            preferred: Preferred {
                kex: legacy::with_kex(KEX, old),
                key: Cow::Owned(only.unwrap_or_else(|| legacy::with_keys(key_order(pinned), old))),
                host_key_certificates: Cow::Borrowed(if certified { KEYS } else { &[] }),
                cipher: legacy::with_ciphers(CIPHERS, old),
                mac: legacy::with_macs(MACS, old),
                compression: Cow::Borrowed(&[compression::NONE]),
            },
            inactivity_timeout: None,
            keepalive_interval: Some(self.keepalive_interval),
            keepalive_max: self.keepalive_max,
            nodelay: true,
            ..client::Config::default()
        })
    }

    /// The names that are offered to a host for which these old ones are open.
    pub(super) fn offered(&self, kind: LegacyKind, old: &Legacy) -> Vec<String> {
        let preferred = &self.client(&[], None, old, false).preferred;
        match kind {
            LegacyKind::KeyExchange => preferred.kex.iter().map(|n| n.as_ref().to_owned()).collect(),
            LegacyKind::HostKey => preferred.key.iter().map(ToString::to_string).collect(),
            LegacyKind::Cipher => preferred.cipher.iter().map(|n| n.as_ref().to_owned()).collect(),
            LegacyKind::Mac => preferred.mac.iter().map(|n| n.as_ref().to_owned()).collect(),
        }
    }

    /// One list of algorithms per kind of key, to ask a host for each.
    pub(super) fn kinds(old: &Legacy) -> Vec<Vec<Algorithm>> {
        let (rsa, others): (Vec<_>, Vec<_>) =
            legacy::with_keys(KEYS.to_vec(), old).into_iter().partition(|k| matches!(k, Algorithm::Rsa { .. }));
        others.into_iter().map(|k| vec![k]).chain([rsa]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinned_kinds_are_asked_for_first_and_none_is_lost() {
        let order = key_order(&[Algorithm::Rsa { hash: None }]);
        assert!(matches!(order.first(), Some(Algorithm::Rsa { hash: Some(HashAlg::Sha512) })));
        assert_eq!(order.len(), KEYS.len());
        assert!(!order.contains(&Algorithm::Rsa { hash: None }), "ssh-rsa signs with SHA-1");
    }
}
