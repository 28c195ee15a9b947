//! Authorities whose certificates sign people in. Nothing of Keyward's own keys: those for hosts are in `authority`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{Name, Role, Subject, UserId, printable};
use crate::clock::Time;

/// The most characters of a principal or of a certificate's name.
pub const PRINCIPAL_MAX: usize = 255;

/// An authority that is trusted to say who somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCa {
    /// What it is called here.
    pub name: Name,
    /// `ssh-ed25519 AAAA…` without a comment.
    pub public_key: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// Whose certificate one with this principal is. `None`: a principal is the name of a person.
    pub principals: Option<BTreeMap<String, UserId>>,
    /// Only these people and members of these groups. `None`: whoever has one of the roles.
    pub limits: Option<Vec<Subject>>,
    /// Only people with one of these roles.
    pub roles: Vec<Role>,
    /// Who added it.
    pub added_by: Name,
    /// When.
    pub added_at: Time,
}

/// Which certificates of an authority do not count any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// The one with this number; all of them, if the authority gives several the same.
    Serial(u64),
    /// Those with this name.
    KeyId(String),
    /// Those over the key with this fingerprint.
    Key(String),
}

impl Revoked {
    /// The kind's word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Serial(_) => "serial",
            Self::KeyId(_) => "key-id",
            Self::Key(_) => "key",
        }
    }

    /// What of the kind, as text.
    pub fn what(&self) -> String {
        match self {
            Self::Serial(serial) => serial.to_string(),
            Self::KeyId(text) | Self::Key(text) => text.clone(),
        }
    }
}

impl fmt::Display for Revoked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), printable(&self.what(), PRINCIPAL_MAX))
    }
}

/// A principal that is one: `sshd` and `ssh-keygen` split lists at commas and lines at their ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrincipalName(String);

impl PrincipalName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PrincipalName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let fits = !text.is_empty() && text.chars().count() <= PRINCIPAL_MAX;
        if !fits || text.chars().any(|c| c == ',' || c.is_control()) || printable(text, PRINCIPAL_MAX) != text {
            return Err(format!("`{}` is no principal: 1 to {PRINCIPAL_MAX} printable characters and no comma", printable(text, 40)));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_one_word_of_a_list() {
        for good in ["alice", "alice@example.org", "role: dba", "w\u{e9}b"] {
            assert!(good.parse::<PrincipalName>().is_ok(), "{good}");
        }
        for bad in ["", "a,b", "alice\n", "\nroot", "a\0", "a\u{1b}[2J", "a\u{202e}b", &"x".repeat(256)] {
            assert!(bad.parse::<PrincipalName>().is_err(), "{bad:?}");
        }
    }
}
