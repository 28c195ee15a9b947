//! Credentials as everybody may see them: everything but the secret.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{CredentialId, Login, Name, UserId};
use crate::clock::Time;

/// Who may see and use a credential, and under which key it is encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One person's: invisible to everybody else.
    Personal(UserId),
    /// A workspace's: its members see that it exists, grants decide who uses it.
    Workspace(Name),
}

impl Scope {
    /// The form that is stored and bound into sealed data: `person/usr_…` or `workspace/NAME`.
    pub fn key(&self) -> String {
        match self {
            Self::Personal(user) => format!("person/{user}"),
            Self::Workspace(name) => format!("workspace/{name}"),
        }
    }

    /// The inverse of [`Scope::key`].
    pub fn from_key(text: &str) -> Option<Self> {
        match text.split_once('/')? {
            ("person", id) => id.parse().ok().map(Self::Personal),
            ("workspace", name) => name.parse().ok().map(Self::Workspace),
            _ => None,
        }
    }

    /// `personal` or `workspace`, as people write it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Personal(_) => "personal",
            Self::Workspace(_) => "workspace",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The key types that can be stored. The signing algorithm follows; RSA signs with SHA-2 only (RFC 8332).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Ed25519 (RFC 8709).
    Ed25519,
    /// ECDSA on P-256 (RFC 5656).
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// ECDSA on P-521.
    EcdsaP521,
    /// RSA of 2048 to 8192 bits.
    Rsa,
}

/// What kind of secret a credential has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A password, for the password or keyboard-interactive method.
    Password,
    /// A private key. It never leaves the keeper.
    Key(KeyKind),
    /// Nothing that stands: the workspace's certificate authority signs a certificate for each connection.
    Certificate,
    /// Kept in somebody else's vault and fetched at the moment of use; what is sealed here is where it lies.
    Reference(Fetched),
}

/// What is fetched from somebody else's vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fetched {
    /// A password.
    Password,
    /// The file of a private key.
    Key,
    /// A certificate that the other vault signs for a key of this connection alone.
    Certificate,
}

impl CredentialKind {
    const WORDS: [(Self, &'static str); 10] = [
        (Self::Password, "password"),
        (Self::Key(KeyKind::Ed25519), "key:ed25519"),
        (Self::Key(KeyKind::EcdsaP256), "key:ecdsa-p256"),
        (Self::Key(KeyKind::EcdsaP384), "key:ecdsa-p384"),
        (Self::Key(KeyKind::EcdsaP521), "key:ecdsa-p521"),
        (Self::Key(KeyKind::Rsa), "key:rsa"),
        (Self::Certificate, "certificate"),
        (Self::Reference(Fetched::Password), "reference:password"),
        (Self::Reference(Fetched::Key), "reference:key"),
        (Self::Reference(Fetched::Certificate), "reference:certificate"),
    ];

    /// The word for lists, JSON and sealed data.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(kind, _)| *kind == self).map_or("password", |(_, word)| word)
    }
}

impl fmt::Display for CredentialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for CredentialKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::WORDS
            .iter()
            .find(|(_, word)| *word == text)
            .map(|(kind, _)| *kind)
            .ok_or_else(|| format!("`{}` is no kind of credential", super::printable(text, 40)))
    }
}

impl Serialize for CredentialKind {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for CredentialKind {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

/// What a secret is, as it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Form {
    /// A password.
    Password,
    /// The file of a private key, in any format that is read.
    PrivateKey,
    /// No secret: where one lies, as [`super::Reference::encode`] writes it.
    Reference(Fetched),
}

/// A credential without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its id.
    pub id: CredentialId,
    /// Its name: unique in its scope. A personal one hides a workspace's of the same name from its owner.
    pub name: Name,
    /// Whose it is.
    pub scope: Scope,
    /// The account on the hosts.
    pub username: Login,
    /// What kind of secret.
    pub kind: CredentialKind,
    /// Counts up with every new secret; bound into the sealed data.
    pub version: u32,
    /// `ssh-ed25519 AAAA…` of a key; `None` for a password.
    pub public_key: Option<String>,
    /// `SHA256:…` of a key; `None` for a password.
    pub fingerprint: Option<String>,
    /// When it was added.
    pub created_at: Time,
    /// When its secret, user name or name changed last.
    pub updated_at: Time,
    /// When it last signed in somewhere.
    pub last_used_at: Option<Time>,
}
