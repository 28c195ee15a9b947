//! Verbs about persons and the keys that sign them in.

use rusqlite::Connection;

use super::api::Reply;
use super::desk::Call;
use super::error::Error;
use super::keys;
use super::rights::{Verb, may_change_person, reaches};
use super::view::{Data, KeyView, UserView};
use crate::model::{Event, EventName, Name, Role, Scope, User, UserKey};
use crate::store::{self, credentials, users};

impl Call<'_> {
    pub(super) async fn user_add(&self, name: Name, texts: &[String], role: Role, uid: Option<u32>) -> Result<Reply, Error> {
        if !may_change_person(&self.actor, self.actor.id, role) || (role == Role::Owner && self.actor.role != Role::Owner) {
            return Err(self.forbidden(Verb::UserAdd, "only an owner makes owners"));
        }
        let user = User { id: self.parts.clock.fresh(), name, role, uid, disabled: false, created_at: self.now() };
        let keys = self.read_keys(&user, texts)?;
        let mut events = vec![self.event(EventName::UserAdded).with("user", &user.name).with("role", role)];
        events.extend(keys.iter().map(|k| self.key_event(EventName::UserKeyAdded, &user.name, &k.fingerprint)));
        let locked_out = keys.is_empty() && uid.is_none();
        let view = self
            .parts
            .log
            .change_heard(self.parts.guard.bell(), move |c| -> Result<(UserView, Vec<Event>), Error> {
                users::insert(c, &user)?;
                for key in &keys {
                    users::insert_key(c, key)?;
                }
                Ok((user_view(c, &user)?, events))
            })
            .await?
            .into_inner();
        let name = view.name.clone();
        let reply = Reply::done(Data::User(view), format!("user {name} added"));
        Ok(if locked_out {
            reply.note(format!("{name} has no key yet and cannot sign in: keyward user key add {name} FILE"))
        } else {
            reply
        })
    }

    pub(super) async fn user_list(&self) -> Result<Reply, Error> {
        let (actor, reach) = (self.actor.clone(), self.reach);
        let list = self
            .parts
            .store
            .read(move |c| -> Result<Vec<UserView>, store::Error> {
                users::all(c)?.iter().filter(|u| reaches(reach, &actor, u.id)).map(|u| user_view(c, u)).collect()
            })
            .await?;
        Ok(Reply::of(Data::Users(list)))
    }

    pub(super) async fn user_show(&self, name: Name) -> Result<Reply, Error> {
        let user = self.person(name).await?;
        Ok(Reply::of(Data::User(self.parts.store.read(move |c| user_view(c, &user)).await?)))
    }

    pub(super) async fn user_set_disabled(&self, name: Name, disabled: bool) -> Result<Reply, Error> {
        let user = self.person_to_change(name, Verb::UserDisable).await?;
        let (word, event) = if disabled { ("disabled", EventName::UserDisabled) } else { ("enabled", EventName::UserEnabled) };
        if user.disabled == disabled {
            let said = format!("user {} is {word} already", user.name);
            let view = self.parts.store.read(move |c| user_view(c, &user)).await?;
            return Ok(Reply::done(Data::User(view), said));
        }
        let event = self.event(event).with("user", &user.name);
        let view = self
            .parts
            .log
            .change_heard(self.parts.guard.bell(), move |c| -> Result<(UserView, Vec<Event>), Error> {
                if disabled {
                    keep_an_owner(c, &user)?;
                }
                users::set_disabled(c, user.id, disabled)?;
                Ok((user_view(c, &User { disabled, ..user })?, vec![event]))
            })
            .await?
            .into_inner();
        let said = format!("user {} {word}", view.name);
        Ok(Reply::done(Data::User(view), said))
    }

    pub(super) async fn user_remove(&self, name: Name) -> Result<Reply, Error> {
        let user = self.person_to_change(name, Verb::UserRemove).await?;
        let event = self.event(EventName::UserRemoved).with("user", &user.name);
        let said = format!("user {} removed, with their keys, grants and personal credentials", user.name);
        let at = self.now();
        let removed = self
            .parts
            .log
            .change_heard(self.parts.guard.bell(), move |c| -> Result<((), Vec<Event>), Error> {
                keep_an_owner(c, &user)?;
                users::remove(c, user.id)?;
                crate::store::shreds::note(c, "a removed person", at)?;
                Ok(((), vec![event]))
            })
            .await?;
        removed.into_inner();
        // Their personal credentials' ciphertext leaves the files now, not some day.
        let shredded = crate::store::shreds::settle(&self.parts.store).await?.count == 0;
        let reply = Reply::done(Data::Nothing, said);
        Ok(if shredded {
            reply
        } else {
            reply.note("something reads the database: their sealed credentials leave the write-ahead log when it has ended, see keyward vault status")
        })
    }

    pub(super) async fn user_key_add(&self, name: Name, text: &str) -> Result<Reply, Error> {
        let user = self.person_to_change(name, Verb::UserKeyChange).await?;
        self.may_stay(user.id, Verb::UserKeyChange)?;
        if user.id != self.actor.id {
            // Whoever adds a key to somebody becomes them, and their personal credentials with it.
            let scope = Scope::Personal(user.id);
            if self.parts.store.read(move |c| credentials::any_in(c, &scope)).await? {
                return Err(Error::unfit(
                    format!("{} has personal credentials: only {} may add a key", user.name, user.name),
                    format!(
                        "they add it themselves, over ssh: user key add {0} -; or remove {0} with those credentials: keyward user remove {0}",
                        user.name
                    ),
                ));
            }
        }
        let keys = self.read_keys(&user, &[text.to_owned()])?;
        let events: Vec<Event> = keys.iter().map(|k| self.key_event(EventName::UserKeyAdded, &user.name, &k.fingerprint)).collect();
        let said = format!("{} added to {}", keys.iter().map(|k| k.fingerprint.as_str()).collect::<Vec<_>>().join(" and "), user.name);
        let id = user.id;
        let now = self
            .parts
            .log
            .change_heard(self.parts.guard.bell(), move |c| -> Result<(Vec<KeyView>, Vec<Event>), Error> {
                for key in &keys {
                    users::insert_key(c, key)?;
                }
                Ok((users::keys_of(c, id)?.iter().map(key_view).collect(), events))
            })
            .await?
            .into_inner();
        Ok(Reply::done(Data::Keys(now), said))
    }

    pub(super) async fn user_key_list(&self, name: Name) -> Result<Reply, Error> {
        let user = self.person(name).await?;
        let keys = self.parts.store.read(move |c| users::keys_of(c, user.id)).await?;
        Ok(Reply::of(Data::Keys(keys.iter().map(key_view).collect())))
    }

    pub(super) async fn user_key_remove(&self, name: Name, fingerprint: String) -> Result<Reply, Error> {
        let user = self.person_to_change(name, Verb::UserKeyChange).await?;
        let event = self.key_event(EventName::UserKeyRemoved, &user.name, &fingerprint);
        let shown = crate::model::printable(&fingerprint, 80);
        let said = format!("{shown} removed from {}", user.name);
        let left = self
            .parts
            .log
            .change_heard(self.parts.guard.bell(), move |c| -> Result<(Vec<KeyView>, Vec<Event>), Error> {
                users::remove_key(c, user.id, &fingerprint).map_err(|e| match e {
                    store::Error::Missing(_) => Error::no_such("key", &fingerprint, "user key list NAME"),
                    e => e.into(),
                })?;
                Ok((users::keys_of(c, user.id)?.iter().map(key_view).collect(), vec![event]))
            })
            .await?
            .into_inner();
        Ok(Reply::done(Data::Keys(left), said))
    }

    /// A person whom the caller may see; for all others the answer is the one for nobody.
    pub(super) async fn person(&self, name: Name) -> Result<User, Error> {
        let reach = self.reach_of(Verb::UserSee);
        let wanted = name.clone();
        let found = self.parts.store.read(move |c| users::by_name(c, &wanted)).await?;
        found.filter(|u| reaches(reach, &self.actor, u.id)).ok_or_else(|| Error::no_such("user", name, "user list"))
    }

    /// A person whom the caller may change with this verb.
    pub(super) async fn person_to_change(&self, name: Name, verb: Verb) -> Result<User, Error> {
        let user = self.person(name).await?;
        if !reaches(self.reach, &self.actor, user.id) {
            return Err(self.forbidden(verb, "you may change only what is yours"));
        }
        if !may_change_person(&self.actor, user.id, user.role) {
            return Err(self.forbidden(verb, "only an owner changes an owner"));
        }
        Ok(user)
    }

    fn read_keys(&self, user: &User, texts: &[String]) -> Result<Vec<UserKey>, Error> {
        let mut out: Vec<UserKey> = Vec::new();
        for text in texts {
            for key in keys::of_person(text)? {
                if !out.iter().any(|k| k.fingerprint == key.fingerprint) {
                    out.push(UserKey {
                        user: user.id,
                        fingerprint: key.fingerprint,
                        public_key: key.public_key,
                        comment: key.comment,
                        added_at: self.now(),
                    });
                }
            }
        }
        Ok(out)
    }

    fn key_event(&self, name: EventName, user: &Name, fingerprint: &str) -> Event {
        self.event(name).with("user", user).with("fingerprint", fingerprint)
    }
}

/// Somebody must be left who can run the broker.
fn keep_an_owner(c: &Connection, user: &User) -> Result<(), Error> {
    if user.role == Role::Owner && !user.disabled && !users::has_other_owner(c, user.id)? {
        return Err(Error::LastOwner(user.name.clone()));
    }
    Ok(())
}

fn user_view(c: &Connection, user: &User) -> Result<UserView, store::Error> {
    let groups = users::groups(c)?.into_iter().filter(|g| g.members.contains(&user.name)).map(|g| g.name).collect();
    let keys = users::keys_of(c, user.id)?.iter().map(key_view).collect();
    Ok(UserView {
        id: user.id,
        name: user.name.clone(),
        role: user.role,
        uid: user.uid,
        disabled: user.disabled,
        groups,
        keys,
        created_at: user.created_at,
    })
}

fn key_view(key: &UserKey) -> KeyView {
    KeyView {
        fingerprint: key.fingerprint.clone(),
        kind: key.public_key.split(' ').next().unwrap_or_default().to_owned(),
        comment: key.comment.clone(),
        added_at: key.added_at,
        public_key: key.public_key.clone(),
    }
}
