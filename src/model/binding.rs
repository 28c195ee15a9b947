//! What a credential is bound to: the one place where a host's identity becomes bytes.

use super::{Address, Login};

/// The host that a wrapped key may be used for. It is associated data of the wrapping, so whoever edits one of these
/// in the database gets an error instead of a password sent to his server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostBinding {
    /// Where the host is.
    pub address: Address,
    /// The account there.
    pub login: Login,
    /// The pinned host keys' fingerprints, sorted; empty while a host that trusts on first use was never reached.
    pub pins: Vec<String>,
}

impl HostBinding {
    /// Sorts the pins, so that their order in the database means nothing.
    pub fn new(address: Address, login: Login, mut pins: Vec<String>) -> Self {
        pins.sort();
        pins.dedup();
        Self { address, login, pins }
    }

    /// Each field with its length in front (u32, big endian): no two bindings have the same bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut field = |bytes: &[u8]| {
            out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(bytes);
        };
        field(self.address.host.as_bytes());
        field(&self.address.port.to_be_bytes());
        field(self.login.as_str().as_bytes());
        for pin in &self.pins {
            field(pin.as_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_changes_the_bytes() {
        let make = |address: &str, login: &str, pins: &[&str]| {
            HostBinding::new(address.parse().unwrap(), login.parse().unwrap(), pins.iter().map(|p| (*p).to_owned()).collect()).encode()
        };
        let base = make("h:22", "root", &["SHA256:a"]);
        for other in [
            make("i:22", "root", &["SHA256:a"]),
            make("h:23", "root", &["SHA256:a"]),
            make("h:22", "toor", &["SHA256:a"]),
            make("h:22", "root", &[]),
            make("h:22", "root", &["SHA256:a", "SHA256:b"]),
        ] {
            assert_ne!(base, other);
        }
        assert_eq!(make("h:22", "root", &["b", "a"]), make("h:22", "root", &["a", "b", "a"]));
    }
}
