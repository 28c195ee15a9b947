//! Hosts: where they are, and which keys prove it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{HostId, Name, printable};
use crate::clock::Time;

/// A host's name or IP address, and its port (22 unless given).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// An IPv4 or IPv6 address without brackets, or a DNS name in lower case.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl FromStr for Address {
    type Err = String;

    /// `name`, `name:port`, `192.0.2.7`, `192.0.2.7:22`, `2001:db8::7`, `[2001:db8::7]:22`.
    fn from_str(text: &str) -> Result<Self, String> {
        let shown = || printable(text, 80);
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (inside, after) = rest.split_once(']').ok_or_else(|| format!("`{}` has `[` without `]`", shown()))?;
            inside.parse::<Ipv6Addr>().map_err(|_| format!("`{}`: between `[` and `]` stands an IPv6 address", shown()))?;
            (inside, after.strip_prefix(':').or(after.is_empty().then_some("22")))
        } else if text.parse::<Ipv6Addr>().is_ok() {
            (text, Some("22"))
        } else {
            match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, Some("22")),
            }
        };
        let port = port
            .and_then(|p| p.parse::<u16>().ok())
            .filter(|p| *p != 0)
            .ok_or_else(|| format!("`{}` has no usable port: a port is a number from 1 to 65535", shown()))?;
        let name = || {
            let labels = host.strip_suffix('.').unwrap_or(host);
            let numeric = labels.split('.').all(|l| l.bytes().all(|b| b.is_ascii_digit()));
            !labels.is_empty()
                && labels.len() <= 253
                && !numeric
                && labels.split('.').all(|l| {
                    !l.is_empty()
                        && l.len() <= 63
                        && !l.starts_with('-')
                        && !l.ends_with('-')
                        && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                })
        };
        if host.parse::<std::net::IpAddr>().is_ok() || name() {
            Ok(Self { host: host.to_ascii_lowercase(), port })
        } else {
            Err(format!("`{}` is no address: write a DNS name, 192.0.2.7 or [2001:db8::7], with :PORT if it is not 22", shown()))
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) };
        f.pad(&text)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// A pinned host key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostKey {
    /// `ssh-ed25519 AAAA…` without a comment.
    pub public_key: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// How it came to be trusted: `given`, `confirmed`, `first-use`, `known_hosts`, `ca:NAME`, `rotation from SHA256:…`.
    pub source: String,
    /// When it was pinned.
    pub pinned_at: Time,
}

/// A host as the store has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Its id.
    pub id: HostId,
    /// What people call it; users, groups and hosts: a host may not have a user's name (the selector would be ambiguous).
    pub name: Name,
    /// The workspace that it belongs to.
    pub workspace: Name,
    /// Where it is.
    pub address: Address,
    /// Tags, for grants.
    pub tags: BTreeMap<String, String>,
    /// Pin the key of the first contact (audited) while there is none.
    pub trust_first_use: bool,
    /// The keys that prove it. None: no connection, unless `trust_first_use`.
    pub host_keys: Vec<HostKey>,
    /// The host through which it is reached; its address is looked up there. `None`: the broker connects to it.
    #[serde(default)]
    pub via: Option<HostId>,
    /// The old algorithms that are open for it.
    #[serde(default)]
    pub legacy: super::Legacy,
    /// When it was added.
    pub created_at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_and_print() {
        for (text, shown) in [
            ("web-1.example.org", "web-1.example.org:22"),
            ("WEB:2222", "web:2222"),
            ("192.0.2.7", "192.0.2.7:22"),
            ("2001:db8::7", "[2001:db8::7]:22"),
            ("[2001:db8::7]:2022", "[2001:db8::7]:2022"),
        ] {
            let a: Address = text.parse().unwrap();
            assert_eq!(a.to_string(), shown);
            assert_eq!(shown.parse::<Address>().unwrap(), a);
        }
        for bad in [
            "",
            ":22",
            "web:",
            "web:0",
            "web:65536",
            "a b",
            "a\x1b[0m",
            "-x",
            "192.0.2.300",
            "1.2.3",
            "[::1",
            "[web]:22",
            "http://x",
            "a/b",
            "user@host",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad:?}");
        }
    }
}
