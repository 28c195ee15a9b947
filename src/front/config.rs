//! What an operator may set of the front, and the algorithms it speaks.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey};
use russh::{MethodKind, MethodSet, Preferred, SshId, cipher, compression, kex, mac, server};

/// Limits of the front; each is a key of `[limits]` or `[ssh]` in `broker.toml`.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// Connections at once, signed in or not.
    pub connections: usize,
    /// Connections at once from one address.
    pub connections_per_address: usize,
    /// Connections at once of one agent.
    pub connections_per_agent: usize,
    /// From the TCP connection to the sign-in.
    pub sign_in_time: Duration,
    /// Keys that a client may offer before it is disconnected.
    pub attempts: usize,
    /// Channels at once on one connection.
    pub channels: usize,
    /// Bytes that a client may send on a channel before the host took them: the memory a slow host costs.
    pub window: u32,
    /// The largest packet accepted, in bytes.
    pub max_packet: u32,
    /// A keepalive is sent after this much silence of the client.
    pub keepalive_interval: Duration,
    /// So many unanswered keepalives end the connection.
    pub keepalive_max: usize,
    /// Refuse key exchanges without post-quantum protection.
    pub post_quantum_only: bool,
    /// Shown to clients before they sign in; empty: nothing.
    pub banner: String,
    /// The congestion control of their TCP connections; empty: as the system says.
    pub congestion_control: String,
    /// Whether people at a shell are told what waits for them.
    pub notices: bool,
    /// The key that, with `i` behind it, opens their inbox there.
    pub escape: Escape,
}

/// A key with control, as `^]`, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Escape(Option<u8>);

impl Escape {
    /// Its byte.
    pub fn byte(self) -> Option<u8> {
        self.0
    }
}

impl Default for Escape {
    fn default() -> Self {
        Self(Some(0x1d))
    }
}

impl fmt::Display for Escape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |byte| write!(f, "^{}", char::from(byte ^ 0x40)))
    }
}

impl FromStr for Escape {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text.as_bytes() {
            [] => Ok(Self(None)),
            // Not ^[, with which every key of a keyboard's upper row begins, and not what ends a line.
            [b'^', key @ (b'A'..=b'L' | b'N'..=b'Z' | b'\\'..=b'_')] if *key != b'J' => Ok(Self(Some(key ^ 0x40))),
            _ => Err("an escape is `^` and a capital letter or one of \\ ] ^ _, as in ^]; empty for none".to_owned()),
        }
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            connections: 2000,
            connections_per_address: 512,
            connections_per_agent: 64,
            sign_in_time: Duration::from_secs(30),
            attempts: 10,
            channels: 64,
            window: 2 * 1024 * 1024,
            max_packet: 32 * 1024,
            keepalive_interval: Duration::from_secs(30),
            keepalive_max: 4,
            post_quantum_only: false,
            banner: String::new(),
            congestion_control: String::new(),
            notices: true,
            escape: Escape::default(),
        }
    }
}

/// What the front runs with: tuning and the keys that prove the broker.
pub struct Config {
    /// The limits.
    pub tuning: Tuning,
    /// russh's form of it, for clients that speak AES-GCM.
    pub(super) gcm: Arc<server::Config>,
    /// For every other client.
    pub(super) whole: Arc<server::Config>,
}

/// The broker's identification (RFC 4253 §4.2), without the line's end. It begins with `OpenSSH` because OpenSSH's clients
/// say `eow@openssh.com` to such servers only; to others `ssh host 'tail -f log' | grep -m1 x` would never end.
const IDENTIFICATION: &str = concat!("SSH-2.0-OpenSSH_compatible_Keyward_", env!("CARGO_PKG_VERSION"));
/// The same as it is sent.
pub(super) const IDENTIFICATION_LINE: &str = concat!("SSH-2.0-OpenSSH_compatible_Keyward_", env!("CARGO_PKG_VERSION"), "\r\n");

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("tuning", &self.tuning).finish_non_exhaustive()
    }
}

const KEX_POST_QUANTUM: &[kex::Name] =
    &[kex::MLKEM768X25519_SHA256, kex::EXTENSION_SUPPORT_AS_SERVER, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER];
const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];
const GCM: &[cipher::Name] = &[cipher::AES_128_GCM, cipher::AES_256_GCM];
const CIPHERS: &[cipher::Name] =
    &[cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305, cipher::AES_256_CTR, cipher::AES_192_CTR, cipher::AES_128_CTR];
const MACS_ETM: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM];
// The last two for clients that know no other and no cipher that brings its own: libssh2 before 1.11 (curl, PHP), older Java.
const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM, mac::HMAC_SHA256, mac::HMAC_SHA512];
// Two uses: which of the broker's own keys it proves itself with, and – as `server-sig-algs` (RFC 8308) – what people may
// sign in with. No SHA-1.
const KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::SkEd25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::SkEcdsaSha2NistP256,
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

impl Config {
    /// For these host keys.
    pub fn new(tuning: Tuning, keys: &[PrivateKey]) -> Self {
        let gcm = Arc::new(russh(&tuning, keys.to_vec(), GCM));
        let whole = Arc::new(russh(&tuning, keys.to_vec(), CIPHERS));
        Self { tuning, gcm, whole }
    }
}

fn russh(tuning: &Tuning, keys: Vec<PrivateKey>, ciphers: &'static [cipher::Name]) -> server::Config {
    server::Config {
        server_id: SshId::Standard(Cow::Borrowed(IDENTIFICATION)),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        // Our own throttle slows those down who fail; a constant pause of a second per offered key only annoys the others.
        auth_rejection_time: Duration::from_millis(20),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys,
        window_size: tuning.window,
        maximum_packet_size: tuning.max_packet,
        preferred: Preferred {
            kex: Cow::Borrowed(if tuning.post_quantum_only { KEX_POST_QUANTUM } else { KEX }),
            key: Cow::Borrowed(KEYS),
            host_key_certificates: Cow::Borrowed(&[]),
            cipher: Cow::Borrowed(ciphers),
            mac: Cow::Borrowed(if tuning.post_quantum_only { MACS_ETM } else { MACS }),
            compression: Cow::Borrowed(&[compression::NONE]),
        },
        max_auth_attempts: tuning.attempts,
        inactivity_timeout: None,
        keepalive_interval: Some(tuning.keepalive_interval),
        keepalive_max: tuning.keepalive_max,
        nodelay: true,
        // The relay answers a close when the exit status is out.
        consumer_answers_close: true,
        ..server::Config::default()
    }
}
