//! Verbs about a workspace's certificate authority and about credentials that stand on it. Only public halves pass here.

use serde::{Deserialize, Serialize};

use super::api::Reply;
use super::desk::Call;
use super::error::Error;
use super::generate::KeyWord;
use super::view::{AuthorityKeyView, AuthorityView, Data, TrustLinesView};
use super::words::ScopeWord;
use crate::custody::{self, judge_principal};
use crate::model::{Authority, AuthorityStage, Credential, EventName, Login, Name, Validity};
use crate::store::{self, authorities};

/// The file on hosts that the lines for sshd name.
const FILE: &str = "/etc/ssh/keyward_user_ca.pub";

/// A step of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotateStep {
    /// The next key is made; of this type, or of the same as the one that signs.
    Begin(Option<KeyWord>),
    /// The next key signs from now on.
    Switch,
    /// The next key is dropped.
    Cancel,
}

impl Call<'_> {
    pub(super) async fn ca_create(&self, kind: KeyWord) -> Result<Reply, Error> {
        let made = self.parts.custody.create_authority(self.shared(), kind.into(), self.told(EventName::CaCreated)).await?;
        let said = format!("certificate authority {} created", made.fingerprint);
        let note = "have the hosts trust it (keyward ca show says how), then: keyward credential add NAME --username USER --certificate";
        Ok(Reply::done(Data::Authority(self.ca_view().await?), said).note(note))
    }

    pub(super) async fn ca_show(&self) -> Result<Reply, Error> {
        Ok(Reply::of(Data::Authority(self.ca_view().await?)))
    }

    pub(super) async fn ca_public_key(&self, login: Option<Login>) -> Result<Reply, Error> {
        if let Some(login) = &login {
            judge_principal(login).map_err(custody::Error::from)?;
        }
        let view = self.ca_view().await?;
        let lines = view.keys.into_iter().map(|key| match &login {
            Some(login) => trust_line(login, &key.public_key),
            None => key.public_key,
        });
        Ok(Reply::of(Data::TrustLines(TrustLinesView { lines: lines.collect() })))
    }

    pub(super) async fn ca_rotate(&self, step: RotateStep) -> Result<Reply, Error> {
        let (custody, scope) = (&self.parts.custody, self.shared());
        let (said, note) = match step {
            RotateStep::Begin(kind) => {
                let next = custody.next_authority(scope, kind.map(Into::into), self.told(EventName::CaNextCreated)).await?;
                (
                    format!("next key {} created; it signs nothing yet", next.fingerprint),
                    "have every host trust both keys (keyward ca public-key prints them), then: keyward ca rotate --switch",
                )
            }
            RotateStep::Switch => {
                let signing = custody.switch_authority(scope, self.told(EventName::CaSwitched)).await?;
                (
                    format!("certificates are signed with {} from now on", signing.fingerprint),
                    "if hosts refuse it, they do not trust it yet; once all do: keyward ca retire",
                )
            }
            RotateStep::Cancel => {
                let next = custody.drop_authority(scope, AuthorityStage::Next, self.told(EventName::CaNextDropped)).await?;
                (format!("next key {} dropped", next.fingerprint), "take it off the hosts that trust it already")
            }
        };
        Ok(Reply::done(Data::Authority(self.ca_view().await?), said).note(note))
    }

    pub(super) async fn ca_retire(&self) -> Result<Reply, Error> {
        let old = self.parts.custody.drop_authority(self.shared(), AuthorityStage::Old, self.told(EventName::CaRetired)).await?;
        let said = format!("old key {} retired", old.fingerprint);
        Ok(Reply::done(Data::Authority(self.ca_view().await?), said)
            .note("take it off the hosts: whoever finds a copy of it could sign in"))
    }

    pub(super) async fn ca_remove(&self) -> Result<Reply, Error> {
        let event = self.event(EventName::CaRemoved);
        let told = move |keys: &[Authority]| {
            let all: Vec<&str> = keys.iter().map(|key| key.fingerprint.as_str()).collect();
            event.with("fingerprints", all.join(" "))
        };
        let removed = self.parts.custody.remove_authority(self.shared(), told).await?;
        let all: Vec<String> = removed.into_iter().map(|key| key.fingerprint).collect();
        let said = format!("certificate authority {} removed", all.join(" "));
        Ok(Reply::done(Data::Nothing, said).note("take it off the hosts that trust it"))
    }

    pub(super) async fn credential_add_certificate(
        &self,
        name: Name,
        username: Login,
        validity: Validity,
        scope: ScopeWord,
    ) -> Result<Reply, Error> {
        // With one of their own a person could have certificates signed for any account on every host that they may use.
        if scope == ScopeWord::Personal {
            return Err(Error::unfit(
                "a certificate is signed by the workspace, so its credential is the workspace's",
                format!("keyward credential add {name} --username {username} --certificate --scope workspace"),
            ));
        }
        let event = self.event(EventName::CredentialAdded);
        let told = move |c: &Credential| {
            event.credential(c).with("scope", &c.scope).with("kind", c.kind).count("validity_s", u64::from(validity.seconds()))
        };
        let added = self.parts.custody.add_certificate(name, self.shared(), username, validity, told).await?;
        let said = format!("{} credential {} added", added.scope, added.name);
        let hint = format!("attach it to a host that trusts the authority: keyward credential attach {} --host HOST", added.name);
        Ok(Reply::done(Data::Credential(self.credential_view(&added).await?), said).note(hint))
    }

    fn told(&self, name: EventName) -> impl FnOnce(&Authority) -> crate::model::Event + Send + 'static {
        let event = self.event(name);
        |key: &Authority| {
            let kind = crate::model::CredentialKind::Key(key.kind);
            event.with("fingerprint", &key.fingerprint).with("kind", kind).count("generation", u64::from(key.generation))
        }
    }

    async fn ca_view(&self) -> Result<AuthorityView, Error> {
        let (scope, eyes) = (self.shared(), self.eyes().await?);
        let (keys, credentials) = self
            .parts
            .store
            .read(move |c| -> Result<_, store::Error> {
                let mut seen = Vec::new();
                for credential in authorities::standing(c, &scope)? {
                    if eyes.see(c, &credential)? {
                        seen.push(credential.name);
                    }
                }
                Ok((authorities::of(c, &scope)?, seen))
            })
            .await?;
        if keys.is_empty() {
            return Err(custody::Error::from(custody::AuthorityError::None).into());
        }
        let mut keys: Vec<Authority> = keys.into_iter().map(|row| row.meta).collect();
        keys.sort_by_key(|key| key.stage);
        let workspace = self.workspace.clone();
        let view = |key: Authority| AuthorityKeyView {
            stage: key.stage.to_string(),
            kind: crate::model::CredentialKind::Key(key.kind).to_string(),
            public_key: format!("{} keyward-ca-{workspace}-{}-{}", key.public_key, key.generation, key.stage),
            fingerprint: key.fingerprint,
            created_at: key.created_at,
        };
        Ok(AuthorityView {
            workspace: self.workspace.clone(),
            keys: keys.into_iter().map(view).collect(),
            credentials,
            sshd_config: vec![format!("TrustedUserCAKeys {FILE}")],
        })
    }
}

/// The line of authorized_keys that trusts an authority for one account.
pub(super) fn trust_line(login: &Login, public_key: &str) -> String {
    format!("cert-authority,principals=\"{login}\" {public_key}")
}
