//! A credential's life as far as its secret is concerned: add, change, attach, detach, delete.

use super::rotation::not_rotating;
use super::{Custody, Error, binding_of};
use crate::model::{
    Credential, CredentialId, CredentialKind, Event, HostId, HostStep, KeyKind, Login, Name, RotationStage, Scope, SessionId, UserId,
    Validity,
};
use crate::secret::Secret;
use crate::store::credentials::{CredentialRow, KekRow};
use crate::store::{self, authorities, credentials, defaults, hosts, rotations, sessions, shreds, sudo};
use crate::vault::{Draft, Form, Held, SealedCredential, Sudo};

/// A secret that came in, with what is needed to read it.
#[derive(Debug)]
pub struct NewSecret {
    /// A password or a private key.
    pub form: Form,
    /// The bytes.
    pub secret: Secret,
    /// The passphrase of an encrypted private key.
    pub passphrase: Option<Secret>,
}

/// What becomes of a sudo password.
#[derive(Debug, Default)]
pub enum SudoEdit {
    /// It stays, also under a new secret.
    #[default]
    Keep,
    /// It is this one.
    Set(Secret),
    /// The credential has none of its own any more.
    Remove,
}

impl From<SudoEdit> for Sudo {
    fn from(edit: SudoEdit) -> Self {
        match edit {
            SudoEdit::Keep => Self::Keep,
            SudoEdit::Set(secret) => Self::Set(secret),
            SudoEdit::Remove => Self::Remove,
        }
    }
}

/// What is to change; `None` leaves it as it is.
#[derive(Debug, Default)]
pub struct Edit {
    /// The new name.
    pub name: Option<Name>,
    /// The new account on the hosts.
    pub username: Option<Login>,
    /// The new secret.
    pub secret: Option<NewSecret>,
    /// What becomes of its sudo password.
    pub sudo: SudoEdit,
    /// For how long its certificates are valid from now on; of a credential of another kind this is refused.
    pub validity: Option<Validity>,
}

/// What is left after a deletion.
#[derive(Clone, Debug)]
pub struct Deleted {
    /// Whether the ciphertext has left the database's files; `false`: a reader holds the write-ahead log, it goes with the next checkpoint.
    pub shredded: bool,
    /// Living sessions that the credential opened.
    pub live: Vec<SessionId>,
    /// Hosts on which nothing signs in any more but what people chose for themselves.
    pub left_bare: Vec<(HostId, Name)>,
    /// The rotation that ended with it, if one stood open.
    pub rotation: Option<Dropped>,
}

/// A rotation that ended because its credential was deleted.
#[derive(Clone, Debug)]
pub struct Dropped {
    /// The public key that it left in between: the new one, or the old one once the new one was in force; `None` for a password.
    pub key: Option<String>,
    /// Hosts that may still have it.
    pub hosts: Vec<(HostId, Name)>,
}

impl Custody {
    /// Seals a new credential. `event` tells of it, made from what was sealed.
    ///
    /// # Errors
    /// The vault's, if the secret cannot be read; [`store::Error::Duplicate`].
    pub async fn add_credential(
        &self,
        name: Name,
        scope: Scope,
        username: Login,
        secret: NewSecret,
        event: impl FnOnce(&Credential) -> Event + Send + 'static,
    ) -> Result<Credential, Error> {
        let _turn = self.turns.read().await;
        let kek = self.room_for(&name, &scope).await?;
        let draft = Draft { id: self.clock.fresh(), name, scope, username, form: secret.form, version: 1 };
        let sealed = self.vault.seal(draft, secret.secret, secret.passphrase, kek, Vec::new()).await?;
        self.keep(sealed, event).await
    }

    /// Makes a new private key inside the vault and seals it. `event` tells of it.
    ///
    /// # Errors
    /// The vault's; [`store::Error::Duplicate`].
    pub async fn generate_credential(
        &self,
        name: Name,
        scope: Scope,
        username: Login,
        kind: KeyKind,
        event: impl FnOnce(&Credential) -> Event + Send + 'static,
    ) -> Result<Credential, Error> {
        let _turn = self.turns.read().await;
        let kek = self.room_for(&name, &scope).await?;
        let draft = Draft { id: self.clock.fresh(), name, scope, username, form: Form::PrivateKey, version: 1 };
        let sealed = self.vault.generate(draft, kind, kek, Vec::new()).await?;
        self.keep(sealed, event).await
    }

    /// Whether a new credential may have this name; the scope's newest key. Looked up before anything is sealed: a
    /// duplicate is told without asking for a passphrase first.
    pub(super) async fn room_for(&self, name: &Name, scope: &Scope) -> Result<Option<KekRow>, Error> {
        self.store.room()?;
        let (in_scope, wanted) = (scope.clone(), name.clone());
        let found = self
            .store
            .read(move |c| -> Result<Option<KekRow>, store::Error> {
                if credentials::by_name(c, &in_scope, &wanted)?.is_some() {
                    return Err(store::Error::Duplicate(format!("a {} credential named {wanted}", in_scope.word())));
                }
                credentials::newest_kek(c, &in_scope)
            })
            .await;
        Ok(found?)
    }

    async fn keep(&self, sealed: SealedCredential, event: impl FnOnce(&Credential) -> Event + Send + 'static) -> Result<Credential, Error> {
        let added = self
            .log
            .change_heard(self.guard.bell(), move |c| -> Result<(Credential, Vec<Event>), Error> {
                if let Some(kek) = &sealed.new_kek {
                    credentials::insert_kek(c, kek).map_err(|_| Error::ChangedMeanwhile("the vault".to_owned()))?;
                }
                credentials::insert(c, &sealed.row)?;
                let event = event(&sealed.row.meta);
                Ok((sealed.row.meta, vec![event]))
            })
            .await?;
        Ok(added.into_inner())
    }

    /// Changes a credential. A new secret or user name binds it anew to each of its hosts.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::ChangedMeanwhile`], the vault's.
    pub async fn edit_credential(
        &self,
        id: CredentialId,
        edit: Edit,
        event: impl FnOnce(&Credential) -> Event + Send + 'static,
    ) -> Result<Credential, Error> {
        let _turn = self.turns.read().await;
        self.store.room()?;
        let Some((held, newest, targets)) = self.with_hosts(id).await? else {
            return Err(Error::Missing("such credential".to_owned()));
        };
        let Held { row: before, kek, sudo: sudo_before } = held.clone();
        let name = edit.name.unwrap_or_else(|| before.meta.name.clone());
        let username = edit.username.unwrap_or_else(|| before.meta.username.clone());
        let bound: Vec<_> = targets.iter().map(|host| (host.id, binding_of(host, &username))).collect();
        let moved = username != before.meta.username;
        // With the key that wraps it as it will stand: of a new secret the scope's newest, else its own as before.
        let (mut sealed, wraps) = match edit.secret {
            Some(new) => {
                let draft = Draft {
                    id,
                    name,
                    scope: before.meta.scope.clone(),
                    username,
                    form: new.form,
                    version: before.meta.version.saturating_add(1),
                };
                let sealed = self.vault.seal(draft, new.secret, new.passphrase, newest.clone(), bound).await?;
                let wraps = sealed.new_kek.clone().or(newest).unwrap_or(kek);
                (sealed, wraps)
            }
            None => {
                let mut row = before.clone();
                row.meta.name = name;
                row.meta.username = username;
                let bindings = if moved { self.vault.bind(row.clone(), kek.clone(), bound).await? } else { Vec::new() };
                (SealedCredential { row, new_kek: None, bindings }, kek)
            }
        };
        let sudo_after = self.vault.sudo_for(held, sealed.row.clone(), wraps, edit.sudo.into()).await?;
        sealed.row.meta.created_at = before.meta.created_at;
        sealed.row.meta.updated_at = self.clock.now();
        let edited = self
            .log
            .change_heard(self.guard.bell(), move |c| -> Result<(Credential, Vec<Event>), Error> {
                let meanwhile = || Error::ChangedMeanwhile(format!("credential {}", before.meta.name));
                not_rotating(c, id, &before.meta.name)?;
                let same = credentials::row(c, id)?.is_some_and(|now| {
                    now.sealed == before.sealed
                        && now.wrapped_dek == before.wrapped_dek
                        && now.meta.name == before.meta.name
                        // Of a certificate: what signs was switched meanwhile.
                        && now.meta.public_key == before.meta.public_key
                });
                let hosts_now: Vec<_> =
                    credentials::hosts_of(c, id)?.into_iter().map(|(h, _)| hosts::by_id(c, h)).collect::<Result<_, _>>()?;
                if !same || sudo::sealed(c, id)? != sudo_before || hosts_now.into_iter().flatten().ne(targets) {
                    return Err(meanwhile());
                }
                if let Some(kek) = &sealed.new_kek {
                    credentials::insert_kek(c, kek).map_err(|_| meanwhile())?;
                }
                credentials::update(c, &sealed.row)?;
                shreds::note(c, "a replaced secret", sealed.row.meta.updated_at)?;
                sudo::put(c, id, sudo_after.as_deref())?;
                if let Some(validity) = edit.validity {
                    if sealed.row.meta.kind != CredentialKind::Certificate {
                        return Err(meanwhile());
                    }
                    authorities::set_validity(c, id, validity)?;
                }
                for binding in &sealed.bindings {
                    credentials::bind(c, binding)?;
                }
                let event = event(&sealed.row.meta);
                Ok((sealed.row.meta, vec![event]))
            })
            .await?;
        Ok(edited.into_inner())
    }

    /// Binds a credential to a host and makes it the host's default (`chooser` `None`) or one person's choice. A default
    /// that it replaces stays open to everybody who names it, until it is detached.
    ///
    /// # Errors
    /// [`Error::PersonalDefault`], [`Error::Missing`], [`Error::ChangedMeanwhile`].
    pub async fn attach(&self, credential: CredentialId, host: HostId, chooser: Option<UserId>, event: Event) -> Result<(), Error> {
        let _turn = self.turns.read().await;
        self.store.room()?;
        type Read = Option<(CredentialRow, KekRow, crate::model::Host)>;
        let found = self
            .store
            .read(move |c| -> Result<Read, store::Error> {
                let (Some(row), Some(host)) = (credentials::row(c, credential)?, hosts::by_id(c, host)?) else { return Ok(None) };
                let kek = credentials::kek(c, &row.meta.scope, row.kek_version)?;
                Ok(Some((row, kek, host)))
            })
            .await?;
        let Some((row, kek, target)) = found else { return Err(Error::Missing("such credential or host".to_owned())) };
        if let Scope::Personal(owner) = &row.meta.scope
            && chooser != Some(*owner)
        {
            return Err(Error::PersonalDefault);
        }
        let bindings = self.vault.bind(row.clone(), kek, vec![(target.id, binding_of(&target, &row.meta.username))]).await?;
        let attached = self
            .log
            .change_heard(self.guard.bell(), move |c| -> Result<((), Vec<Event>), Error> {
                not_rotating(c, credential, &row.meta.name)?;
                let same = credentials::row(c, credential)?
                    .is_some_and(|now| now.wrapped_dek == row.wrapped_dek && now.meta.username == row.meta.username);
                if !same || hosts::by_id(c, host)?.as_ref() != Some(&target) {
                    return Err(Error::ChangedMeanwhile(format!("credential {} or host {}", row.meta.name, target.name)));
                }
                for binding in &bindings {
                    credentials::bind(c, binding)?;
                }
                let before = credentials::chosen(c, host, chooser)?;
                credentials::choose(c, host, chooser, credential)?;
                if chooser.is_none() {
                    credentials::share(c, host, credential, true)?;
                }
                if let Some(before) = before.filter(|b| b.id != credential) {
                    not_rotating(c, before.id, &before.name)?;
                    credentials::unbind_if_unchosen(c, before.id, host)?;
                }
                Ok(((), vec![event]))
            })
            .await?;
        attached.into_inner();
        Ok(())
    }

    /// Takes a choice back; a binding that nobody chose any more goes, too.
    ///
    /// # Errors
    /// [`Error::Missing`] if it was not attached so.
    pub async fn detach(&self, credential: CredentialId, host: HostId, chooser: Option<UserId>, event: Event) -> Result<(), Error> {
        let detached = self
            .log
            .change_heard(self.guard.bell(), move |c| -> Result<((), Vec<Event>), Error> {
                if let Some(found) = credentials::by_id(c, credential)? {
                    not_rotating(c, credential, &found.name)?;
                }
                let unshared = chooser.is_none() && credentials::share(c, host, credential, false)?;
                if !credentials::unchoose(c, host, chooser, credential)? && !unshared {
                    return Err(Error::Missing("such attachment".to_owned()));
                }
                credentials::unbind_if_unchosen(c, credential, host)?;
                Ok(((), vec![event]))
            })
            .await?;
        detached.into_inner();
        Ok(())
    }

    /// Deletes a credential: from now on no lease opens it, and its ciphertext leaves the files. A rotation that stands open ends with
    /// it, and its next secret goes, too; `ended` tells of that. `living` is called with the sessions that it opened and that live, once
    /// it is gone: whether or not the caller is still there. It must not block.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn delete_credential(
        &self,
        id: CredentialId,
        (event, ended): (Event, Event),
        living: impl FnOnce(&[SessionId]) + Send + 'static,
    ) -> Result<Deleted, Error> {
        let (at, bell) = (self.clock.now(), self.guard.bell());
        let committed = move |(live, _, _): &(Vec<SessionId>, Vec<(HostId, Name)>, Option<Dropped>)| {
            // Told to end before they hear that what they stand on is gone: that is why they end.
            living(live);
            bell(&());
        };
        let (live, left_bare, rotation) = self
            .log
            .change_heard(committed, move |c| -> Result<_, Error> {
                let live = sessions::live_with(c, id)?;
                let credential = credentials::by_id(c, id)?.ok_or_else(|| Error::Missing("such credential".to_owned()))?;
                let left_bare = defaults::left_bare(c, &credential)?;
                let rotation = drop_rotation(c, id)?;
                credentials::remove(c, id)?;
                shreds::note(c, "a deleted credential", at)?;
                let events = if rotation.is_some() { vec![ended, event] } else { vec![event] };
                Ok(((live, left_bare, rotation), events))
            })
            .await?
            .into_inner();
        // What a reader holds up is tried again every second, and `vault status` says so.
        let shredded = shreds::settle(&self.store).await?.count == 0;
        Ok(Deleted { shredded, live, left_bare, rotation })
    }

    #[allow(clippy::type_complexity)] // one snapshot, taken apart at once
    pub(super) async fn with_hosts(&self, id: CredentialId) -> Result<Option<(Held, Option<KekRow>, Vec<crate::model::Host>)>, Error> {
        let found = self
            .store
            .read(move |c| -> Result<_, store::Error> {
                let Some(row) = credentials::row(c, id)? else { return Ok(None) };
                let kek = credentials::kek(c, &row.meta.scope, row.kek_version)?;
                let newest = credentials::newest_kek(c, &row.meta.scope)?;
                let targets = credentials::hosts_of(c, id)?.into_iter().map(|(h, _)| hosts::by_id(c, h)).collect::<Result<Vec<_>, _>>()?;
                Ok(Some((Held { row, kek, sudo: sudo::sealed(c, id)? }, newest, targets.into_iter().flatten().collect())))
            })
            .await?;
        Ok(found)
    }
}

/// Ends the rotation of a credential that is about to go, if one stands open, and forgets its next secret.
fn drop_rotation(c: &rusqlite::Connection, id: CredentialId) -> Result<Option<Dropped>, Error> {
    let Some(row) = rotations::of(c, id)? else { return Ok(None) };
    let touched = |step: HostStep| match row.stage {
        RotationStage::Installing | RotationStage::Aborting => step != HostStep::Pending,
        RotationStage::Cleaning => step != HostStep::Cleaned,
    };
    let hosts = rotations::hosts(c, id)?.into_iter().filter(|h| touched(h.step)).map(|h| (h.host, h.name)).collect();
    rotations::end(c, id)?;
    if let Some(next) = row.next {
        credentials::remove(c, next)?;
    }
    let key = if row.stage == RotationStage::Cleaning { row.old_key } else { row.new_key };
    Ok(Some(Dropped { key, hosts }))
}
