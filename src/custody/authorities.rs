//! A workspace's certificate authority through its life, and credentials that stand on it. A new key is trusted by the hosts
//! before it signs; the old one is taken away after. Never lets an authority go that credentials stand on.

use super::{Custody, Error};
use crate::fault::{Fault, Kind};
use crate::model::{Authority, AuthorityStage, Credential, Event, KeyKind, Login, Name, Scope, Validity, is_principal};
use crate::store::credentials::KekRow;
use crate::store::{self, authorities, credentials, shreds};
use crate::vault::{Draft, Form, NewAuthority, SealedAuthority};

/// Why nothing became of it.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// There is none.
    #[error("the workspace has no certificate authority")]
    None,
    /// There is one already.
    #[error("the workspace has a certificate authority already: {0}")]
    Exists(String),
    /// A rotation has begun: its key is there.
    #[error("a rotation has begun already: the next key is {0}")]
    HasNext(String),
    /// A rotation is not over: the old key is still there.
    #[error("the last rotation is not over: the old key {0} is still listed")]
    HasOld(String),
    /// No rotation has begun.
    #[error("there is no next key")]
    NoNext,
    /// There is no old key.
    #[error("there is no old key")]
    NoOld,
    /// Credentials stand on it.
    #[error("credentials stand on it: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))]
    InUse(Vec<Name>),
    /// A certificate for the account would be one for others.
    #[error("the account `{0}` cannot stand in a certificate: it has a comma, a quote or a backslash at its end")]
    Principal(Login),
}

impl Fault for AuthorityError {
    fn kind(&self) -> Kind {
        match self {
            Self::None | Self::NoNext | Self::NoOld => Kind::NotFound,
            Self::Exists(_) | Self::HasNext(_) | Self::HasOld(_) | Self::InUse(_) => Kind::Conflict,
            Self::Principal(_) => Kind::Invalid,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::None => "an owner or admin makes one: keyward ca create".to_owned(),
            Self::Exists(_) => "see it: keyward ca show; replace its key: keyward ca rotate".to_owned(),
            Self::HasNext(_) => "once every host trusts it: keyward ca rotate --switch; or drop it: keyward ca rotate --cancel".to_owned(),
            Self::HasOld(_) => "take it away first: keyward ca retire".to_owned(),
            Self::NoNext => "begin a rotation: keyward ca rotate".to_owned(),
            Self::NoOld => "see what there is: keyward ca show".to_owned(),
            Self::InUse(names) => {
                let first = names.first().map(ToString::to_string).unwrap_or_default();
                format!("delete them first, or give them another secret: keyward credential delete {first}")
            }
            Self::Principal(_) => "give it a key instead: keyward credential generate NAME --username USER".to_owned(),
        })
    }
}

/// Whether an account can be a certificate's.
///
/// # Errors
/// [`AuthorityError::Principal`].
pub fn judge_principal(login: &Login) -> Result<(), AuthorityError> {
    if is_principal(login) { Ok(()) } else { Err(AuthorityError::Principal(login.clone())) }
}

/// What stands in one snapshot.
struct Found {
    keys: Vec<Authority>,
    kek: Option<KekRow>,
}

impl Found {
    fn at(&self, stage: AuthorityStage) -> Option<&Authority> {
        self.keys.iter().find(|key| key.stage == stage)
    }
}

impl Custody {
    /// Makes a workspace's certificate authority. `event` tells of it.
    ///
    /// # Errors
    /// [`AuthorityError::Exists`]; the vault's.
    pub async fn create_authority(
        &self,
        scope: Scope,
        kind: KeyKind,
        event: impl FnOnce(&Authority) -> Event + Send + 'static,
    ) -> Result<Authority, Error> {
        let _turn = self.turns.read().await;
        let found = self.authorities(&scope).await?;
        if let Some(key) = found.keys.first() {
            return Err(AuthorityError::Exists(key.fingerprint.clone()).into());
        }
        self.make(found, scope, AuthorityStage::Signing, kind, event).await
    }

    /// Begins a rotation: makes the next key, of the same kind unless another is wanted. It signs nothing yet.
    ///
    /// # Errors
    /// [`AuthorityError::None`], [`AuthorityError::HasNext`], [`AuthorityError::HasOld`]; the vault's.
    pub async fn next_authority(
        &self,
        scope: Scope,
        kind: Option<KeyKind>,
        event: impl FnOnce(&Authority) -> Event + Send + 'static,
    ) -> Result<Authority, Error> {
        let _turn = self.turns.read().await;
        let found = self.authorities(&scope).await?;
        let signing = found.at(AuthorityStage::Signing).ok_or(AuthorityError::None)?;
        if let Some(next) = found.at(AuthorityStage::Next) {
            return Err(AuthorityError::HasNext(next.fingerprint.clone()).into());
        }
        if let Some(old) = found.at(AuthorityStage::Old) {
            return Err(AuthorityError::HasOld(old.fingerprint.clone()).into());
        }
        let kind = kind.unwrap_or(signing.kind);
        self.make(found, scope, AuthorityStage::Next, kind, event).await
    }

    /// Has the next key sign from now on. Credentials stand on it then; the old key signs no more and stays listed.
    ///
    /// # Errors
    /// [`AuthorityError::NoNext`].
    pub async fn switch_authority(
        &self,
        scope: Scope,
        event: impl FnOnce(&Authority) -> Event + Send + 'static,
    ) -> Result<Authority, Error> {
        self.store.room()?;
        let switched = self
            .log
            .change_heard(self.guard.bell(), move |c| -> Result<(Authority, Vec<Event>), Error> {
                let next = authorities::at(c, &scope, AuthorityStage::Next)?.ok_or(AuthorityError::NoNext)?.meta;
                authorities::advance(c, &scope, AuthorityStage::Signing, AuthorityStage::Old)?;
                authorities::advance(c, &scope, AuthorityStage::Next, AuthorityStage::Signing)?;
                let signing = Authority { stage: AuthorityStage::Signing, ..next };
                authorities::stand_on(c, &signing)?;
                let event = event(&signing);
                Ok((signing, vec![event]))
            })
            .await?;
        Ok(switched.into_inner())
    }

    /// Drops the next key, which never signed, or the old one, which signs no more. Its ciphertext leaves the files.
    ///
    /// # Errors
    /// [`AuthorityError::NoNext`], [`AuthorityError::NoOld`].
    pub async fn drop_authority(
        &self,
        scope: Scope,
        stage: AuthorityStage,
        event: impl FnOnce(&Authority) -> Event + Send + 'static,
    ) -> Result<Authority, Error> {
        let at = self.clock.now();
        let dropped = self
            .log
            .change(move |c| -> Result<(Authority, Vec<Event>), Error> {
                let missing = match stage {
                    AuthorityStage::Signing => AuthorityError::None,
                    AuthorityStage::Next => AuthorityError::NoNext,
                    AuthorityStage::Old => AuthorityError::NoOld,
                };
                let key = authorities::at(c, &scope, stage)?.ok_or(missing)?.meta;
                unused(c, &scope, stage)?;
                authorities::remove(c, &scope, stage)?;
                shreds::note(c, "a dropped authority", at)?;
                let event = event(&key);
                Ok((key, vec![event]))
            })
            .await?
            .into_inner();
        shreds::settle(&self.store).await?;
        Ok(dropped)
    }

    /// Removes a certificate authority with all its keys.
    ///
    /// # Errors
    /// [`AuthorityError::None`]; [`AuthorityError::InUse`] while credentials stand on it.
    pub async fn remove_authority(
        &self,
        scope: Scope,
        event: impl FnOnce(&[Authority]) -> Event + Send + 'static,
    ) -> Result<Vec<Authority>, Error> {
        let at = self.clock.now();
        let removed = self
            .log
            .change(move |c| -> Result<(Vec<Authority>, Vec<Event>), Error> {
                let keys: Vec<Authority> = authorities::of(c, &scope)?.into_iter().map(|row| row.meta).collect();
                if keys.is_empty() {
                    return Err(AuthorityError::None.into());
                }
                unused(c, &scope, AuthorityStage::Signing)?;
                for key in &keys {
                    authorities::remove(c, &scope, key.stage)?;
                }
                shreds::note(c, "a removed authority", at)?;
                let event = event(&keys);
                Ok((keys, vec![event]))
            })
            .await?
            .into_inner();
        shreds::settle(&self.store).await?;
        Ok(removed)
    }

    /// Seals a new credential without a secret: for each of its sign-ins the workspace's authority signs a certificate.
    ///
    /// # Errors
    /// [`AuthorityError::None`], [`AuthorityError::Principal`]; [`store::Error::Duplicate`]; the vault's.
    pub async fn add_certificate(
        &self,
        name: Name,
        scope: Scope,
        username: Login,
        validity: Validity,
        event: impl FnOnce(&Credential) -> Event + Send + 'static,
    ) -> Result<Credential, Error> {
        judge_principal(&username)?;
        let _turn = self.turns.read().await;
        let kek = self.room_for(&name, &scope).await?;
        let found = self.authorities(&scope).await?;
        let authority = found.at(AuthorityStage::Signing).ok_or(AuthorityError::None)?.clone();
        let draft = Draft { id: self.clock.fresh(), name, scope: scope.clone(), username, form: Form::PrivateKey, version: 1 };
        let sealed = self.vault.seal_certificate(draft, &authority, kek).await?;
        let added = self
            .log
            .change_heard(self.guard.bell(), move |c| -> Result<(Credential, Vec<Event>), Error> {
                let still = authorities::at(c, &scope, AuthorityStage::Signing)?.is_some_and(|now| now.meta == authority);
                if !still {
                    return Err(Error::ChangedMeanwhile("the certificate authority".to_owned()));
                }
                if let Some(kek) = &sealed.new_kek {
                    credentials::insert_kek(c, kek).map_err(|_| Error::ChangedMeanwhile("the vault".to_owned()))?;
                }
                credentials::insert(c, &sealed.row)?;
                authorities::set_validity(c, sealed.row.meta.id, validity)?;
                let event = event(&sealed.row.meta);
                Ok((sealed.row.meta, vec![event]))
            })
            .await?;
        Ok(added.into_inner())
    }

    async fn authorities(&self, scope: &Scope) -> Result<Found, Error> {
        self.store.room()?;
        let of = scope.clone();
        let read = move |c: &rusqlite::Connection| -> Result<Found, store::Error> {
            let keys = authorities::of(c, &of)?.into_iter().map(|row| row.meta).collect();
            Ok(Found { keys, kek: credentials::newest_kek(c, &of)? })
        };
        Ok(self.store.read(read).await?)
    }

    async fn make(
        &self,
        found: Found,
        scope: Scope,
        stage: AuthorityStage,
        kind: KeyKind,
        event: impl FnOnce(&Authority) -> Event + Send + 'static,
    ) -> Result<Authority, Error> {
        let generation = found.keys.iter().map(|key| key.generation).max().unwrap_or(0).saturating_add(1);
        let new = NewAuthority { scope: scope.clone(), generation, stage, kind };
        let SealedAuthority { row, new_kek } = self.vault.generate_authority(new, found.kek).await?;
        let before = found.keys;
        let made = self
            .log
            .change(move |c| -> Result<(Authority, Vec<Event>), Error> {
                let now = authorities::of(c, &scope)?.into_iter().map(|row| row.meta);
                if now.ne(before) {
                    return Err(Error::ChangedMeanwhile("the certificate authority".to_owned()));
                }
                if let Some(kek) = &new_kek {
                    credentials::insert_kek(c, kek).map_err(|_| Error::ChangedMeanwhile("the vault".to_owned()))?;
                }
                authorities::insert(c, &row)?;
                let event = event(&row.meta);
                Ok((row.meta, vec![event]))
            })
            .await?;
        Ok(made.into_inner())
    }
}

/// Whether nothing stands on a key: credentials stand on the one that signs.
fn unused(c: &rusqlite::Connection, scope: &Scope, stage: AuthorityStage) -> Result<(), Error> {
    if stage != AuthorityStage::Signing {
        return Ok(());
    }
    let standing: Vec<Name> = authorities::standing(c, scope)?.into_iter().map(|credential| credential.name).collect();
    if standing.is_empty() { Ok(()) } else { Err(AuthorityError::InUse(standing).into()) }
}
