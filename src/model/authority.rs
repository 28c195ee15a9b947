//! A workspace's certificate authority as everybody may see it: public halves, where each stands in a rotation, and what
//! a certificate may say. Never a private key.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{KeyKind, Login, Scope};
use crate::clock::Time;

/// Where a key of a certificate authority stands. A scope has at most one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AuthorityStage {
    /// It signs.
    Signing,
    /// It will sign, once the hosts trust it.
    Next,
    /// It has signed before the last rotation, and signs no more.
    Old,
}

impl AuthorityStage {
    const WORDS: [(Self, &'static str); 3] = [(Self::Signing, "signing"), (Self::Next, "next"), (Self::Old, "old")];

    /// The word for lists, JSON and rows.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(stage, _)| *stage == self).map_or("signing", |(_, word)| word)
    }
}

impl fmt::Display for AuthorityStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for AuthorityStage {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::WORDS
            .iter()
            .find(|(_, word)| *word == text)
            .map(|(stage, _)| *stage)
            .ok_or_else(|| format!("`{}` is no stage of a certificate authority", super::printable(text, 40)))
    }
}

/// A key of a certificate authority without its private half.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Whose: a workspace's.
    pub scope: Scope,
    /// Counts up with every rotation; bound into the sealed data.
    pub generation: u32,
    /// Where it stands.
    pub stage: AuthorityStage,
    /// What kind of key.
    pub kind: KeyKind,
    /// `ssh-ed25519 AAAA…`.
    pub public_key: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// When it was made.
    pub created_at: Time,
}

/// How long a certificate is valid from the moment of its lease: 60 to 300 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity(u16);

impl Validity {
    /// The shortest, in seconds: a slow host must be able to take it.
    pub const SHORTEST: u16 = 60;
    /// The longest, in seconds.
    pub const LONGEST: u16 = 300;

    /// Of so many seconds; `None` outside of the limits.
    pub fn of_seconds(seconds: u64) -> Option<Self> {
        u16::try_from(seconds).ok().filter(|s| (Self::SHORTEST..=Self::LONGEST).contains(s)).map(Self)
    }

    /// In seconds.
    pub fn seconds(self) -> u16 {
        self.0
    }

    /// As a span of time.
    pub fn span(self) -> Duration {
        Duration::from_secs(u64::from(self.0))
    }
}

impl Default for Validity {
    fn default() -> Self {
        Self(120)
    }
}

impl Serialize for Validity {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_u16(self.0)
    }
}

impl<'de> Deserialize<'de> for Validity {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::of_seconds(u64::deserialize(d)?).ok_or_else(|| de::Error::custom("a validity is of 60 to 300 seconds"))
    }
}

/// Whether an account can be a certificate's one principal. Hosts read lists of principals divided by commas, in quotes: an
/// account with one of those would be another account, or several.
pub fn is_principal(login: &Login) -> bool {
    let text = login.as_str();
    !text.is_empty() && !text.ends_with('\\') && !text.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, ',' | '"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_one_account() {
        for good in ["root", "deploy", "DOMAIN\\user", "user@example.org", "svc$"] {
            assert!(is_principal(&good.parse().unwrap()), "{good}");
        }
        for bad in ["root,admin", ",", "a\"b", "root\\"] {
            assert!(!is_principal(&bad.parse().unwrap()), "{bad}");
        }
        // These are no account in the first place.
        for none in ["", "a\nb", "a\0b", "a b"] {
            assert!(none.parse::<Login>().is_err(), "{none:?}");
        }
    }

    #[test]
    fn a_validity_has_its_limits() {
        for (seconds, taken) in [(0, false), (59, false), (60, true), (120, true), (300, true), (301, false), (u64::MAX, false)] {
            assert_eq!(Validity::of_seconds(seconds).is_some(), taken, "{seconds}");
        }
        assert_eq!(Validity::default().seconds(), 120);
        assert!(serde_json::from_str::<Validity>("59").is_err() && serde_json::from_str::<Validity>("-1").is_err());
        assert_eq!(serde_json::to_string(&Validity::default()).unwrap(), "120");
    }

    #[test]
    fn stages_keep_their_words() {
        for (stage, word) in AuthorityStage::WORDS {
            assert_eq!((stage.as_str(), word.parse().unwrap()), (word, stage));
        }
        assert!("".parse::<AuthorityStage>().is_err());
    }
}
