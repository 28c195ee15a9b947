//! A key that was never outside: made in the vault, sealed there; what comes back is its public half. Never sees the private one.

use serde::{Deserialize, Serialize};

use super::api::Reply;
use super::desk::Call;
use super::error::Error;
use super::view::{Data, GeneratedView};
use super::words::ScopeWord;
use crate::model::{Credential, EventName, KeyKind, Login, Name, Scope};

/// The types of keys that are made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyWord {
    /// Ed25519.
    Ed25519,
    /// ECDSA on P-256.
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// ECDSA on P-384.
    #[serde(rename = "ecdsa-p384")]
    EcdsaP384,
    /// ECDSA on P-521.
    #[serde(rename = "ecdsa-p521")]
    EcdsaP521,
    /// RSA of 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

impl From<KeyWord> for KeyKind {
    fn from(word: KeyWord) -> Self {
        match word {
            KeyWord::Ed25519 => Self::Ed25519,
            KeyWord::EcdsaP256 => Self::EcdsaP256,
            KeyWord::EcdsaP384 => Self::EcdsaP384,
            KeyWord::EcdsaP521 => Self::EcdsaP521,
            KeyWord::Rsa4096 => Self::Rsa,
        }
    }
}

impl Call<'_> {
    pub(super) async fn credential_generate(&self, name: Name, username: Login, kind: KeyWord, scope: ScopeWord) -> Result<Reply, Error> {
        let scope = match scope {
            ScopeWord::Personal => self.own(),
            ScopeWord::Workspace => self.shared(),
        };
        let event = self.event(EventName::CredentialGenerated);
        let told = move |c: &Credential| {
            let event = event.credential(c).with("scope", &c.scope).with("kind", c.kind);
            // Whose key this is on the hosts is its owner's business, like its name.
            match (&c.scope, &c.fingerprint) {
                (Scope::Workspace(_), Some(fingerprint)) => event.with("fingerprint", fingerprint),
                _ => event,
            }
        };
        let made = self.parts.custody.generate_credential(name, scope, username, kind.into(), told).await?;
        let (Some(public_key), Some(fingerprint)) = (made.public_key, made.fingerprint) else {
            return Err(Error::unfit("the new key has no public half", "this is a defect; delete the credential and report it"));
        };
        let mine = match made.scope {
            Scope::Personal(_) => " --mine",
            Scope::Workspace(_) => "",
        };
        let said = format!("{} credential {} generated", made.scope, made.name);
        let note = format!(
            "put that line into ~{}/.ssh/authorized_keys on the host, then: keyward credential attach {} --host HOST{mine}",
            made.username, made.name
        );
        let view = GeneratedView {
            id: made.id,
            scope: made.scope.word().to_owned(),
            username: made.username,
            kind: made.kind.to_string(),
            fingerprint,
            public_key: format!("{public_key} {}", made.name),
            name: made.name,
        };
        Ok(Reply::done(Data::Generated(view), said).note(note))
    }
}
