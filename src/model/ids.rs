//! Ids: a prefix that says what it names, then 26 characters of Crockford's base32 (128 bits, sortable by age).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A text that is no id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no id: one begins with `{prefix}_` and has 26 more characters")]
pub struct IdError {
    text: String,
    prefix: &'static str,
}

fn encode(bytes: [u8; 16]) -> String {
    let value = u128::from_be_bytes(bytes);
    (0..26).rev().map(|i| ALPHABET.get(usize::try_from((value >> (i * 5)) & 31).unwrap_or(0)).map_or('0', |c| char::from(*c))).collect()
}

fn decode(text: &str) -> Option<[u8; 16]> {
    if text.len() != 26 {
        return None;
    }
    let mut value: u128 = 0;
    for (i, c) in text.bytes().enumerate() {
        let digit = ALPHABET.iter().position(|a| *a == c)?;
        if i == 0 && digit > 7 {
            return None;
        }
        value = (value << 5) | u128::try_from(digit).ok()?;
    }
    Some(value.to_be_bytes())
}

macro_rules! id {
    ($name:ident, $prefix:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The 16 bytes, as they are bound into sealed data.
            pub fn bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl From<[u8; 16]> for $name {
            fn from(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .and_then(decode)
                    .map(Self)
                    .ok_or_else(|| IdError { text: super::printable(text, 64), prefix: $prefix })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

id!(UserId, "usr", "A person.");
id!(GroupId, "grp", "A group of persons.");
id!(HostId, "hst", "A host.");
id!(CredentialId, "crd", "A credential.");
id!(GrantId, "grt", "A grant.");
id!(SessionId, "ses", "A session: what one person opened, owning one connection.");
id!(AgentId, "agt", "An agent: an identity of its own that belongs to one person.");
id!(ProposalId, "prp", "A command that an agent asks to run.");
id!(PlanId, "pln", "Several proposals that run one after the other.");
id!(AllowanceId, "alw", "A person's word that the same bytes may run again in one session.");
id!(ScanId, "scn", "A scan: one run of probes over several hosts.");
id!(SlotId, "slt", "A slot: one way to open a sealed scope.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_keep_their_kind() {
        for seed in [0u8, 1, 0x7f, 0xff] {
            let id = HostId::from([seed; 16]);
            assert_eq!(id.to_string().parse::<HostId>().unwrap(), id);
            assert_eq!(id.to_string().len(), 30);
            assert!(id.to_string().parse::<UserId>().is_err());
        }
        assert!("hst_".parse::<HostId>().is_err());
        assert!("hst_zzzzzzzzzzzzzzzzzzzzzzzzzz".parse::<HostId>().is_err());
    }
}
