//! Verbs about credentials: everything but the secret, which passes through to custody unseen. Somebody else's personal
//! credential does not exist here, for no role.

use rusqlite::Connection;

use super::api::{Reply, Secrets};
use super::authority::trust_line;
use super::defaults::left_note;
use super::desk::Call;
use super::error::Error;
use super::inventory::days;
use super::rights::{Reach, Verb, change_of};
use super::upkeep::open_rotation;
use super::view::{CredentialView, Data, DeletedView, PublicKeyView, SudoSource};
use super::words::{CredentialRef, ScopeWord, SecretForm, SudoChange};
use crate::clock::Time;
use crate::custody::{Edit, NewSecret, SudoEdit, judge_principal};
use crate::model::{Credential, CredentialKind, EndReason, EventName, Form, Host, HostId, Login, Name, Scope, SessionId, UserId, Validity};
use crate::rotation::CA_COMMENT;
use crate::secret::Secret;
use crate::store::{self, authorities, credentials, defaults, secret_ages, sudo};

/// What is to become of a credential; `None` leaves it as it is.
pub(super) struct Change {
    pub(super) username: Option<Login>,
    pub(super) form: Option<SecretForm>,
    pub(super) rename: Option<Name>,
    pub(super) sudo: Option<SudoChange>,
    pub(super) validity: Option<Validity>,
}

impl Change {
    /// The options that say it; a file is not known here.
    fn words(&self) -> String {
        let mut words = String::new();
        if let Some(login) = &self.username {
            words.push_str(&format!(" --username {login}"));
        }
        if let Some(name) = &self.rename {
            words.push_str(&format!(" --rename {name}"));
        }
        if let Some(validity) = &self.validity {
            words.push_str(&format!(" --validity {}s", validity.seconds()));
        }
        words.push_str(match self.form {
            Some(SecretForm::Password) => " --password",
            Some(SecretForm::Key) => " --key FILE",
            None => "",
        });
        words.push_str(match self.sudo {
            Some(SudoChange::Set) => " --sudo-password",
            Some(SudoChange::Remove) => " --no-sudo-password",
            None => "",
        });
        words
    }
}

impl Call<'_> {
    pub(super) async fn credential_add(
        &self,
        name: Name,
        username: Login,
        form: SecretForm,
        scope: ScopeWord,
        secrets: Secrets,
    ) -> Result<Reply, Error> {
        let scope = self.scope(scope);
        let secret = new_secret(form, secrets)?;
        let event = self.event(EventName::CredentialAdded);
        let told = move |c: &Credential| event.credential(c).with("scope", &c.scope).with("kind", c.kind);
        let added = self.parts.custody.add_credential(name, scope, username, secret, told).await?;
        let said = format!("{} credential {} added", added.scope, added.name);
        let hint = format!("attach it to a host: keyward credential attach {} --host HOST{}", added.name, mine_flag(&added.scope));
        Ok(Reply::done(Data::Credential(self.credential_view(&added).await?), said).note(hint))
    }

    pub(super) async fn credential_show(&self, wanted: CredentialRef) -> Result<Reply, Error> {
        let credential = self.credential(wanted).await?;
        Ok(Reply::of(Data::Credential(self.credential_view(&credential).await?)))
    }

    pub(super) async fn credential_public_key(&self, wanted: CredentialRef) -> Result<Reply, Error> {
        let credential = self.credential(wanted).await?;
        let line = |key: String| match credential.kind {
            CredentialKind::Certificate => format!("{} {CA_COMMENT}", trust_line(&credential.username, &key)),
            _ => format!("{key} {}", credential.name),
        };
        match (credential.public_key.map(line), credential.fingerprint) {
            (Some(public_key), Some(fingerprint)) => {
                Ok(Reply::of(Data::PublicKey(PublicKeyView { name: credential.name, fingerprint, public_key })))
            }
            _ => Err(Error::unfit(
                format!("credential {} is of the kind {} and has no public key that stands", credential.name, credential.kind),
                "see which are keys: keyward credential list",
            )),
        }
    }

    pub(super) async fn credential_edit(&self, wanted: CredentialRef, change: Change, secrets: Secrets) -> Result<Reply, Error> {
        self.one_is_meant(&wanted, "edit", &change.words()).await?;
        let credential = self.credential_to_change(wanted).await?;
        if let (CredentialKind::Certificate, Some(login)) = (credential.kind, &change.username) {
            judge_principal(login).map_err(crate::custody::Error::from)?;
        }
        if change.validity.is_some() && credential.kind != CredentialKind::Certificate {
            return Err(Error::unfit(
                format!("credential {} is of the kind {}, and the broker signs no certificates for it", credential.name, credential.kind),
                "a certificate has a validity: keyward credential add NAME --username USER --certificate",
            ));
        }
        let Change { username, form, rename, sudo: sudo_change, validity } = change;
        let (secret, sudo) = match (form, sudo_change) {
            (None, None) if username.is_none() && rename.is_none() && validity.is_none() => {
                return Err(Error::unfit("nothing to change was given", "see what can be changed: keyward credential edit --help"));
            }
            (Some(_), Some(SudoChange::Set)) => {
                return Err(Error::unfit("one secret at a time", "change the sudo password with a second `credential edit`"));
            }
            (None, Some(SudoChange::Set)) => (None, SudoEdit::Set(material(secrets, "sudo password")?.0)),
            (form, gone) => {
                let secret = form.map(|form| new_secret(form, secrets)).transpose()?;
                (secret, if gone.is_some() { SudoEdit::Remove } else { SudoEdit::Keep })
            }
        };
        if matches!(sudo, SudoEdit::Remove) {
            let id = credential.id;
            if !self.parts.store.read(move |c| sudo::has(c, id)).await? {
                return Err(Error::unfit(
                    format!("credential {} has no sudo password of its own", credential.name),
                    format!("give it one: keyward credential edit {} --sudo-password", credential.name),
                ));
            }
        }
        let sudo_word = match sudo {
            SudoEdit::Keep => None,
            SudoEdit::Set(_) => Some("set"),
            SudoEdit::Remove => Some("removed"),
        };
        let changed: Vec<&str> = [
            (rename.is_some(), "name"),
            (username.is_some(), "username"),
            (secret.is_some(), "secret"),
            (sudo_word.is_some(), "sudo_password"),
            (validity.is_some(), "validity"),
        ]
        .into_iter()
        .filter_map(|(is, word)| is.then_some(word))
        .collect();
        let mut event = self.event(EventName::CredentialEdited).with("changed", changed.join(","));
        if let Some(word) = sudo_word {
            event = event.with("sudo_password", word);
        }
        if let Some(validity) = validity {
            event = event.count("validity_s", u64::from(validity.seconds()));
        }
        let edit = Edit { name: rename, username, secret, sudo, validity };
        let edited = self.parts.custody.edit_credential(credential.id, edit, move |c| event.credential(c)).await?;
        let said = format!("{} credential {} changed", edited.scope, edited.name);
        Ok(Reply::done(Data::Credential(self.credential_view(&edited).await?), said))
    }

    pub(super) async fn credential_delete(&self, wanted: CredentialRef, end_sessions: bool) -> Result<Reply, Error> {
        self.one_is_meant(&wanted, "delete", if end_sessions { " --end-sessions" } else { "" }).await?;
        let credential = self.credential_to_change(wanted).await?;
        let event = self.event(EventName::CredentialDeleted).credential(&credential);
        let ended = self.event(EventName::RotationEnded).credential(&credential).because("the credential was deleted");
        let sessions = self.parts.sessions.clone();
        let end = move |live: &[SessionId]| {
            for session in live.iter().filter(|_| end_sessions) {
                sessions.end(*session, EndReason::Ended);
            }
        };
        let deleted = self.parts.custody.delete_credential(credential.id, (event, ended), end).await?;
        let name = credential.name.clone();
        let said = format!("{} credential {name} deleted", credential.scope);
        let left_bare = self.names_of_seen(&deleted.left_bare).await?;
        let bare = left_note(&left_bare);
        let view = DeletedView { name, shredded: deleted.shredded, live_sessions: deleted.live, ended: end_sessions, left_bare };
        let live = view.live_sessions.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut reply = Reply::done(Data::Deleted(view), said);
        reply.notes.extend(bare);
        if let Some(dropped) = &deleted.rotation {
            let hosts = self.names_of_seen(&dropped.hosts).await?;
            reply = reply.note(dropped_note(&credential, dropped.key.as_deref(), &hosts));
        }
        if !deleted.shredded {
            reply = reply.note(
                "shred pending: something reads the database, and the sealed bytes leave the write-ahead log when it has ended, see keyward vault status",
            );
        }
        Ok(match (live.as_slice(), end_sessions) {
            ([], _) => reply,
            (_, true) => reply.note(format!("ended the sessions that it opened: {}", live.join(" "))),
            (_, false) => reply.note(format!("sessions that it opened still live: {}; end one: keyward session end ID", live.join(" "))),
        })
    }

    pub(super) async fn credential_attach(&self, wanted: CredentialRef, host: Name, mine: bool) -> Result<Reply, Error> {
        let host = self.host(host).await?;
        self.one_is_meant(&wanted, "attach", &format!(" --host {}{}", host.name, if mine { " --mine" } else { "" })).await?;
        let credential = self.credential(wanted).await?;
        // Whoever may bind a workspace's secret to a machine of their choice would get to read it there.
        if mine && matches!(credential.scope, Scope::Workspace(_)) && self.reach_of(Verb::CredentialAttach) != Reach::All {
            let (id, at) = (credential.id, host.id);
            if !self.parts.store.read(move |c| credentials::is_shared(c, at, id)).await? {
                return Err(
                    self.forbidden(Verb::CredentialAttachMine, "a workspace credential is brought to a host by an owner or admin first")
                );
            }
        }
        self.attach(&credential, &host, mine).await?;
        let said = format!("{} credential {} attached to {} {}", credential.scope, credential.name, host.name, whom(mine));
        Ok(Reply::done(Data::Host(self.view(&host).await?), said))
    }

    pub(super) async fn credential_detach(&self, wanted: CredentialRef, host: Name, mine: bool) -> Result<Reply, Error> {
        let host = self.host(host).await?;
        self.one_is_meant(&wanted, "detach", &format!(" --host {}{}", host.name, if mine { " --mine" } else { "" })).await?;
        let credential = self.credential(wanted).await?;
        self.detach(&credential, &host, mine).await?;
        let said = format!("{} credential {} detached from {} {}", credential.scope, credential.name, host.name, whom(mine));
        Ok(Reply::done(Data::Host(self.view(&host).await?), said))
    }

    pub(super) async fn attach(&self, credential: &Credential, host: &Host, mine: bool) -> Result<(), Error> {
        let event = self.event(EventName::CredentialAttached).host(host).credential(credential).with("for", self.chooser_word(mine));
        Ok(self.parts.custody.attach(credential.id, host.id, self.chooser(mine), event).await?)
    }

    pub(super) async fn detach(&self, credential: &Credential, host: &Host, mine: bool) -> Result<(), Error> {
        let event = self.event(EventName::CredentialDetached).host(host).credential(credential).with("for", self.chooser_word(mine));
        self.parts.custody.detach(credential.id, host.id, self.chooser(mine), event).await.map_err(|e| match e {
            crate::custody::Error::Missing(_) => Error::unfit(
                format!("credential {} is not attached to {} {}", credential.name, host.name, whom(mine)),
                format!("see what is attached: keyward host show {}", host.name),
            ),
            e => e.into(),
        })
    }

    /// A credential that the caller may see: their own hides the workspace's of the same name.
    pub(super) async fn credential(&self, wanted: CredentialRef) -> Result<Credential, Error> {
        let scopes = match wanted.scope {
            Some(word) => vec![self.scope(word)],
            None => vec![self.own(), self.shared()],
        };
        let (name, eyes) = (wanted.name.clone(), self.eyes().await?);
        let found = self
            .parts
            .store
            .read(move |c| -> Result<Option<Credential>, store::Error> {
                for scope in &scopes {
                    if let Some(found) = credentials::by_name(c, scope, &name)? {
                        return Ok(if eyes.see(c, &found)? { Some(found) } else { None });
                    }
                }
                Ok(None)
            })
            .await?;
        found.ok_or_else(|| Error::no_such("credential", wanted.name, "credential list"))
    }

    /// Refuses a name that the caller's own credential and the workspace's both have, unless it was said whose is meant: what takes
    /// away or changes the one must not hit the other the next time. `verb` and `more` stand around the name in what can be pasted.
    pub(super) async fn one_is_meant(&self, wanted: &CredentialRef, verb: &str, more: &str) -> Result<(), Error> {
        if wanted.scope.is_some() {
            return Ok(());
        }
        let (own, shared, name, eyes) = (self.own(), self.shared(), wanted.name.clone(), self.eyes().await?);
        let both = self
            .parts
            .store
            .read(move |c| -> Result<bool, store::Error> {
                match (credentials::by_name(c, &own, &name)?, credentials::by_name(c, &shared, &name)?) {
                    (Some(_), Some(shared)) => eyes.see(c, &shared),
                    _ => Ok(false),
                }
            })
            .await?;
        if !both {
            return Ok(());
        }
        let name = &wanted.name;
        let words = |scope: ScopeWord| format!("keyward credential {verb} {name}{more}{}", scope.flag());
        Err(Error::unfit(
            format!("you have a credential named {name}, and so has the workspace: say which is meant"),
            format!("yours: {}; the workspace's: {}", words(ScopeWord::Personal), words(ScopeWord::Workspace)),
        ))
    }

    pub(super) async fn credential_to_change(&self, wanted: CredentialRef) -> Result<Credential, Error> {
        let credential = self.credential(wanted).await?;
        let verb = change_of(&credential);
        if self.reach_of(verb) == Reach::No {
            return Err(self.forbidden(verb, "owners and admins change what is the workspace's"));
        }
        Ok(credential)
    }

    pub(super) async fn credential_view(&self, credential: &Credential) -> Result<CredentialView, Error> {
        let seen: Vec<HostId> = self.visible_hosts().await?.iter().map(|h| h.id).collect();
        let (asked, now) = (credential.clone(), self.now());
        let view = self.parts.store.read(move |c| credential_view(c, &asked, &seen, now)).await?;
        let shown = self.with_places(vec![view], std::slice::from_ref(credential)).await?;
        shown.into_iter().next().ok_or_else(|| Error::no_such("credential", &credential.name, "credential list"))
    }

    pub(super) fn scope(&self, word: ScopeWord) -> Scope {
        match word {
            ScopeWord::Personal => self.own(),
            ScopeWord::Workspace => self.shared(),
        }
    }

    fn chooser(&self, mine: bool) -> Option<UserId> {
        mine.then_some(self.actor.id)
    }

    fn chooser_word(&self, mine: bool) -> String {
        if mine { self.actor.name.to_string() } else { "everybody".to_owned() }
    }
}

/// What is said of a rotation that ended because its credential was deleted.
fn dropped_note(credential: &Credential, key: Option<&str>, hosts: &[Name]) -> String {
    let login = &credential.username;
    let ended = "the rotation that stood open ended with it";
    match (hosts, key) {
        ([], _) => format!("{ended}: no host has anything of it"),
        (hosts, Some(key)) => {
            format!(
                "{ended}; take the line of this key out of ~{login}/.ssh/authorized_keys where it still is, on {}: {key}",
                listed(hosts)
            )
        }
        (hosts, None) => format!("{ended}; login {login} may have the password that it made, which nobody has, on {}", listed(hosts)),
    }
}

pub(super) fn listed(names: &[Name]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn whom(mine: bool) -> &'static str {
    if mine { "for you" } else { "for everybody" }
}

pub(super) fn mine_flag(scope: &Scope) -> &'static str {
    match scope {
        Scope::Personal(_) => " --mine",
        Scope::Workspace(_) => "",
    }
}

fn new_secret(form: SecretForm, secrets: Secrets) -> Result<NewSecret, Error> {
    let (form, word) = match form {
        SecretForm::Password => (Form::Password, "password"),
        SecretForm::Key => (Form::PrivateKey, "key"),
    };
    let (secret, passphrase) = material(secrets, word)?;
    Ok(NewSecret { form, secret, passphrase })
}

/// The secret that came, and the passphrase that came with it.
fn material(secrets: Secrets, word: &'static str) -> Result<(Secret, Option<Secret>), Error> {
    let secret = secrets.material.ok_or(Error::SecretMissing)?;
    if secret.is_empty() { Err(Error::SecretEmpty(word)) } else { Ok((secret, secrets.passphrase)) }
}

fn sudo_source(c: &Connection, credential: &Credential) -> Result<SudoSource, store::Error> {
    Ok(match credential.kind {
        _ if sudo::has(c, credential.id)? => SudoSource::Own,
        CredentialKind::Password => SudoSource::SignIn,
        CredentialKind::Key(_) | CredentialKind::Certificate | CredentialKind::Reference(_) => SudoSource::None,
    })
}

/// A member reads of a credential only the hosts that they may see.
pub(super) fn credential_view(c: &Connection, credential: &Credential, seen: &[HostId], now: Time) -> Result<CredentialView, store::Error> {
    let (mut hosts, mut default_on) = (Vec::new(), Vec::new());
    for (host, name) in &credentials::hosts_of(c, credential.id)? {
        if !seen.contains(host) || !defaults::is_in_use(c, *host, credential.id)? {
            continue;
        }
        hosts.push(name.clone());
        if credentials::chosen(c, *host, None)?.is_some_and(|chosen| chosen.id == credential.id) {
            default_on.push(name.clone());
        }
    }
    let workspace_default = match &credential.scope {
        Scope::Workspace(workspace) => defaults::of_workspace(c, workspace)?.is_some_and(|found| found.id == credential.id),
        Scope::Personal(_) => false,
    };
    let secret_changed_at = secret_ages::changed_at(c, credential)?;
    Ok(CredentialView {
        id: credential.id,
        name: credential.name.clone(),
        scope: credential.scope.word().to_owned(),
        username: credential.username.clone(),
        kind: credential.kind.to_string(),
        fingerprint: credential.fingerprint.clone(),
        sudo_password: sudo_source(c, credential)?,
        validity_s: match credential.kind {
            CredentialKind::Certificate => authorities::validity(c, credential.id)?.map(Validity::seconds),
            _ => None,
        },
        reference: None,
        sealed: store::slots::is_sealed(c, &credential.scope)?,
        hosts,
        updated_at: credential.updated_at,
        last_used_at: credential.last_used_at,
        created_at: credential.created_at,
        rotation: open_rotation(c, credential.id, Some(seen))?,
        secret_changed_at,
        age_days: days(secret_changed_at, now),
        default_on,
        workspace_default,
    })
}
