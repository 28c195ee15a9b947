//! Old algorithms with which one host alone may still be spoken to, because an admin named them for it. Never opens anything itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::printable;

/// What an algorithm is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegacyKind {
    /// The key exchange (RFC 4253 §8).
    KeyExchange,
    /// The signature of the host's key.
    HostKey,
    /// Encryption (RFC 4253 §6.3).
    Cipher,
    /// Integrity (RFC 4253 §6.4).
    Mac,
}

/// Every old algorithm that can be opened; of each kind the better one first.
pub const LEGACY: &[(&str, LegacyKind)] = &[
    ("diffie-hellman-group14-sha1", LegacyKind::KeyExchange),
    ("diffie-hellman-group-exchange-sha1", LegacyKind::KeyExchange),
    ("diffie-hellman-group1-sha1", LegacyKind::KeyExchange),
    ("ssh-rsa", LegacyKind::HostKey),
    ("aes256-cbc", LegacyKind::Cipher),
    ("aes192-cbc", LegacyKind::Cipher),
    ("aes128-cbc", LegacyKind::Cipher),
    ("3des-cbc", LegacyKind::Cipher),
    ("hmac-sha1-etm@openssh.com", LegacyKind::Mac),
    ("hmac-sha1", LegacyKind::Mac),
];

/// The old algorithms that are open for a host, in the order of [`LEGACY`]. As text: their names with commas, or `none`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Legacy(Vec<&'static str>);

impl Legacy {
    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their names.
    pub fn names(&self) -> &[&'static str] {
        &self.0
    }

    /// Those of one kind, the better one first.
    pub fn of(&self, kind: LegacyKind) -> impl Iterator<Item = &'static str> {
        LEGACY.iter().filter(move |(name, of)| *of == kind && self.0.contains(name)).map(|(name, _)| *name)
    }

    /// These and one more.
    #[must_use]
    pub fn and(mut self, name: &'static str) -> Self {
        self.0.push(name);
        LEGACY.iter().map(|(known, _)| *known).filter(|known| self.0.contains(known)).collect::<Vec<_>>().into()
    }
}

impl From<Vec<&'static str>> for Legacy {
    fn from(names: Vec<&'static str>) -> Self {
        Self(names)
    }
}

impl FromStr for Legacy {
    type Err = String;

    /// `ssh-rsa,hmac-sha1`, or `none`.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text == "none" {
            return Ok(Self::default());
        }
        let mut all = Self::default();
        for word in text.split(',').map(str::trim) {
            let Some((name, _)) = LEGACY.iter().find(|(name, _)| *name == word) else {
                let known = LEGACY.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
                return Err(format!("`{}` is no old algorithm that can be opened: there are {known}; or write none", printable(word, 60)));
            };
            all = all.and(name);
        }
        Ok(all)
    }
}

impl fmt::Display for Legacy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&if self.0.is_empty() { "none".to_owned() } else { self.0.join(",") })
    }
}

impl Serialize for Legacy {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(&self.0)
    }
}

impl<'de> Deserialize<'de> for Legacy {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let words = Vec::<String>::deserialize(d)?;
        if words.is_empty() { Ok(Self::default()) } else { words.join(",").parse().map_err(de::Error::custom) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kept_once_and_in_order_and_others_are_refused() {
        let some: Legacy = "hmac-sha1, ssh-rsa,hmac-sha1,3des-cbc,aes128-cbc".parse().unwrap();
        assert_eq!(some.to_string(), "ssh-rsa,aes128-cbc,3des-cbc,hmac-sha1");
        assert_eq!(some.of(LegacyKind::Cipher).collect::<Vec<_>>(), ["aes128-cbc", "3des-cbc"]);
        assert_eq!("none".parse::<Legacy>().unwrap(), Legacy::default());
        assert_eq!(serde_json::from_str::<Legacy>(&serde_json::to_string(&some).unwrap()).unwrap(), some);
        for bad in ["", "ssh-dss", "arcfour", "ssh-rsa,", "SSH-RSA", "none,ssh-rsa", "hmac-md5"] {
            let why = bad.parse::<Legacy>().unwrap_err();
            assert!(why.contains("ssh-rsa") && why.contains("none"), "{bad}: {why}");
        }
    }
}
