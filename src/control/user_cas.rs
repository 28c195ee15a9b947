//! Verbs about authorities whose certificates sign people in. Nothing of Keyward's own authorities, which are for hosts: a key that
//! signs for one must not sign for the other.

use std::collections::BTreeMap;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::api::Reply;
use super::desk::Call;
use super::error::Error;
use super::grants::Subjects;
use super::keys;
use super::rights::Verb;
use super::view::{Data, RevocationView, UserCaView};
use crate::model::{Event, EventName, Name, PRINCIPAL_MAX, PrincipalName, Revoked, Role, Subject, UserCa, UserId, Vouch};
use crate::store::user_cas::{self, RevokedRow};
use crate::store::{self, authorities, users};

/// The most mappings, and the most people and groups, of one authority.
const WORDS_MAX: usize = 1000;

/// The words of `user-ca add`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewUserCa {
    /// What it is to be called.
    pub name: Name,
    /// Its public key, a line of OpenSSH.
    pub key: String,
    /// Principals, each with the name of the person that it is. Empty: a principal is a person's name.
    pub principals: BTreeMap<String, Name>,
    /// Names of people and groups. Empty: whoever has one of the roles.
    pub only: Vec<Name>,
    /// Roles. Empty: member and auditor.
    pub roles: Vec<Role>,
}

/// Which certificates are meant to count no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokeWord {
    /// The number.
    Serial(u64),
    /// The name.
    KeyId(String),
    /// The fingerprint of the certified key.
    Fingerprint(String),
}

impl Call<'_> {
    pub(super) async fn user_ca_add(&self, new: NewUserCa) -> Result<Reply, Error> {
        let NewUserCa { name, key, principals, only, roles } = new;
        if principals.len() > WORDS_MAX || only.len() > WORDS_MAX {
            return Err(Error::unfit(
                format!("at most {WORDS_MAX} principals, people and groups"),
                "name a group: keyward user-ca add NAME FILE --only GROUP",
            ));
        }
        let key = match <[_; 1]>::try_from(keys::of_person(&key)?) {
            Ok([key]) => key,
            Err(_) => return Err(Error::unfit("one key makes an authority, and there are several", "give a file with one line")),
        };
        let roles = if roles.is_empty() { vec![Role::Member, Role::Auditor] } else { roles };
        self.may_vouch_for(&roles)?;
        let mut mapped = BTreeMap::new();
        for (principal, person) in principals {
            let principal: PrincipalName = principal.parse().map_err(|e: String| Error::unfit(e, "write --map PRINCIPAL=PERSON"))?;
            mapped.insert(principal.as_str().to_owned(), self.person(person).await?.id);
        }
        let mut limits = Vec::new();
        for name in &only {
            limits.push(self.subject(name.as_str()).await?);
        }
        let ca = UserCa {
            name: name.clone(),
            public_key: key.public_key,
            fingerprint: key.fingerprint,
            principals: (!mapped.is_empty()).then_some(mapped),
            limits: (!limits.is_empty()).then_some(limits),
            roles,
            added_by: self.actor.name.clone(),
            added_at: self.now(),
        };
        let event = self
            .event(EventName::UserCaAdded)
            .with("ca", &name)
            .with("fingerprint", &ca.fingerprint)
            .with("roles", ca.roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
            .count("mapped", ca.principals.as_ref().map_or(0, |m| u64::try_from(m.len()).unwrap_or(u64::MAX)))
            .count("limits", ca.limits.as_ref().map_or(0, |l| u64::try_from(l.len()).unwrap_or(u64::MAX)));
        let said = format!("user CA {name} added: certificates signed by {} sign people in", ca.fingerprint);
        let added = self.parts.log.change_heard(self.parts.guard.bell(), move |c| -> Result<(UserCaView, Vec<Event>), Error> {
            if user_cas::all(c)?.len() >= user_cas::AUTHORITIES_MAX {
                return Err(Error::unfit(
                    format!("there are {} authorities for people already", user_cas::AUTHORITIES_MAX),
                    "remove one: keyward user-ca remove NAME",
                ));
            }
            if authorities::has_key(c, &ca.fingerprint)? {
                return Err(Error::unfit(
                    "this is the key of an authority of this broker, which signs certificates for hosts: whoever leases one of those would be a person here",
                    "make another one for people: ssh-keygen -t ed25519 -f user_ca",
                ));
            }
            // What signs somebody in must not be able to say who others are.
            users::key_is_nobodys(c, &ca.fingerprint).map_err(|_| {
                Error::unfit("this key signs in a person or an agent", "make another one for people: ssh-keygen -t ed25519 -f user_ca")
            })?;
            user_cas::insert(c, &ca)?;
            Ok((view_of(c, &ca, &Subjects::read(c)?, false)?, vec![event]))
        });
        let view = added.await?.into_inner();
        let reply = Reply::done(Data::UserCa(view), said);
        Ok(reply.note("whoever has its private key can be any of these people here: docs/signing-in.md"))
    }

    pub(super) async fn user_ca_list(&self) -> Result<Reply, Error> {
        let read = |c: &Connection| -> Result<Vec<UserCaView>, store::Error> {
            let subjects = Subjects::read(c)?;
            user_cas::all(c)?.iter().map(|ca| view_of(c, ca, &subjects, false)).collect()
        };
        Ok(Reply::of(Data::UserCas(self.parts.store.read(read).await?)))
    }

    pub(super) async fn user_ca_show(&self, name: Name) -> Result<Reply, Error> {
        let wanted = name.clone();
        let read = move |c: &Connection| -> Result<Option<UserCaView>, store::Error> {
            let Some(ca) = user_cas::by_name(c, &wanted)? else { return Ok(None) };
            Ok(Some(view_of(c, &ca, &Subjects::read(c)?, true)?))
        };
        let found = self.parts.store.read(read).await?.ok_or_else(|| no_such(&name))?;
        Ok(Reply::of(Data::UserCa(found)))
    }

    pub(super) async fn user_ca_remove(&self, name: Name) -> Result<Reply, Error> {
        let ca = self.user_ca_to_change(&name).await?;
        let event = self.event(EventName::UserCaRemoved).with("ca", &name).with("fingerprint", &ca.fingerprint);
        let gone = name.clone();
        let removing = self.parts.log.change_heard(self.parts.guard.bell(), move |c| -> Result<((), Vec<Event>), store::Error> {
            user_cas::remove(c, &gone)?;
            Ok(((), vec![event]))
        });
        removing.await?.into_inner();
        let reply = Reply::done(Data::Nothing, format!("authority {name} removed; sessions that stand on its certificates end"));
        Ok(reply.note("what was revoked of it is forgotten: adding it again would let those certificates in"))
    }

    pub(super) async fn user_ca_revoke(&self, name: Name, what: RevokeWord) -> Result<Reply, Error> {
        let revoked = revocation(what)?;
        self.user_ca_to_change(&name).await?;
        let event = self.event(EventName::UserCaRevoked).with("ca", &name).with("kind", revoked.kind()).with("what", revoked.what());
        let said = format!("{revoked} of {name} is revoked; sessions that stand on it end");
        let row = RevokedRow { revoked, by: self.actor.name.clone(), at: self.now() };
        let revoking = self.parts.log.change_heard(self.parts.guard.bell(), move |c| -> Result<(bool, Vec<Event>), Error> {
            if user_cas::count_revoked(c, &name)? >= user_cas::REVOCATIONS_MAX {
                return Err(Error::unfit(
                    format!("{name} has {} revocations, and no more are kept", user_cas::REVOCATIONS_MAX),
                    format!("let it sign with a new key, and remove this one: keyward user-ca remove {name}"),
                ));
            }
            let new = user_cas::revoke(c, &name, &row)?;
            Ok((new, if new { vec![event] } else { Vec::new() }))
        });
        let new = revoking.await?.into_inner();
        Ok(Reply::done(Data::Nothing, if new { said } else { "it was revoked before".to_owned() }))
    }

    /// Whoever came by a certificate gives themselves no way in that outlives it.
    pub(super) fn may_stay(&self, owner: UserId, verb: Verb) -> Result<(), Error> {
        let vouch = self.key.as_deref().and_then(|key| key.parse::<Vouch>().ok());
        if owner == self.actor.id && vouch.is_some_and(|vouch| vouch.certificate.is_some()) {
            return Err(self.forbidden(verb, "a certificate signed you in, and what it opens must not outlive it"));
        }
        Ok(())
    }

    async fn user_ca_to_change(&self, name: &Name) -> Result<UserCa, Error> {
        let wanted = name.clone();
        let ca = self.parts.store.read(move |c| user_cas::by_name(c, &wanted)).await?.ok_or_else(|| no_such(name))?;
        self.may_vouch_for(&ca.roles)?;
        Ok(ca)
    }

    /// Whoever may say that somebody is an owner is one; and nobody whom a certificate signed in says whom certificates sign in.
    fn may_vouch_for(&self, roles: &[Role]) -> Result<(), Error> {
        self.may_stay(self.actor.id, Verb::UserCaChange)?;
        if roles.contains(&Role::Owner) && self.actor.role != Role::Owner {
            return Err(self.forbidden(Verb::UserCaChange, "an authority that signs in owners is an owner's business"));
        }
        Ok(())
    }
}

fn no_such(name: &Name) -> Error {
    Error::no_such("authority for people", name, "user-ca list")
}

fn revocation(what: RevokeWord) -> Result<Revoked, Error> {
    match what {
        RevokeWord::Serial(serial) => Ok(Revoked::Serial(serial)),
        RevokeWord::KeyId(text) if !text.is_empty() && text.chars().count() <= PRINCIPAL_MAX => Ok(Revoked::KeyId(text)),
        RevokeWord::KeyId(_) => Err(Error::unfit(
            format!("a certificate's name has 1 to {PRINCIPAL_MAX} characters here"),
            "revoke it by its number: keyward user-ca revoke NAME --serial N",
        )),
        RevokeWord::Fingerprint(text) if text.strip_prefix("SHA256:").is_some_and(|rest| rest.len() == 43) => Ok(Revoked::Key(text)),
        RevokeWord::Fingerprint(_) => {
            Err(Error::unfit("a fingerprint is SHA256: and 43 characters", "see it: ssh-keygen -L -f id_ed25519-cert.pub"))
        }
    }
}

fn view_of(c: &Connection, ca: &UserCa, subjects: &Subjects, whole: bool) -> Result<UserCaView, store::Error> {
    let person = |id: &UserId| subjects.name(&Subject::User(*id));
    let mut revocations = None;
    if whole {
        let rows = user_cas::revoked(c, &ca.name)?.into_iter();
        let view = |row: RevokedRow| RevocationView {
            kind: row.revoked.kind().to_owned(),
            what: row.revoked.what(),
            revoked_by: row.by,
            revoked_at: row.at,
        };
        revocations = Some(rows.map(view).collect());
    }
    Ok(UserCaView {
        name: ca.name.clone(),
        fingerprint: ca.fingerprint.clone(),
        public_key: ca.public_key.clone(),
        principals: ca.principals.as_ref().map(|m| m.iter().map(|(principal, id)| (principal.clone(), person(id))).collect()),
        only: ca.limits.as_ref().map(|limits| limits.iter().map(|limit| subjects.name(limit)).collect()),
        roles: ca.roles.clone(),
        revoked: user_cas::count_revoked(c, &ca.name)?,
        revocations,
        added_by: ca.added_by.clone(),
        added_at: ca.added_at,
    })
}
