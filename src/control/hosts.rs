//! Verbs about hosts. Changes of address and pins go through custody, which binds secrets anew or lets them go.

use std::collections::BTreeMap;

use super::api::Reply;
use super::desk::Call;
use super::error::Error;
use super::keys;
use super::sight::host_view;
use super::view::{Data, HostView};
use super::words::{CredentialRef, HostChange, ScopeWord, WayWords};
use crate::model::{Address, Credential, Event, EventName, Host, HostKey, Name, Scope};
use crate::store::{self, credentials, grants, hosts};

/// The most tags of a host, and the longest key or value.
const TAGS: usize = 64;
const TAG_LENGTH: usize = 128;

/// A host as it is to be added.
pub(super) struct NewHost {
    pub(super) name: Name,
    pub(super) address: Address,
    pub(super) credential: Option<Name>,
    pub(super) tags: BTreeMap<String, String>,
    pub(super) host_keys: Vec<String>,
    pub(super) trust_first_use: bool,
    pub(super) way: WayWords,
    /// Where its keys come from: `given`, `known_hosts`.
    pub(super) source: &'static str,
}

impl Call<'_> {
    pub(super) async fn host_add(&self, new: NewHost) -> Result<Reply, Error> {
        check_tags(&new.tags)?;
        let pins = self.pins(&new.host_keys, new.source)?;
        // Looked up before the host is made: a wrong name changes nothing.
        let credential = match new.credential {
            Some(name) => Some(self.default_credential(name).await?),
            None => None,
        };
        let host = Host {
            id: self.parts.clock.fresh(),
            name: new.name,
            workspace: self.workspace.clone(),
            address: new.address,
            tags: new.tags,
            trust_first_use: new.trust_first_use,
            host_keys: pins,
            via: self.jump(new.way.via.clone()).await?,
            legacy: new.way.legacy.clone(),
            created_at: self.now(),
        };
        let host = self.certified(None, host).await?;
        let added = self.event(EventName::HostAdded).host(&host).with("address", &host.address);
        let mut events = vec![super::ways::added(&new.way, added.with("trust_first_use", host.trust_first_use))];
        events.extend(host.host_keys.iter().map(|k| self.pin_event(&host, k)));
        self.parts.custody.add_host(host.clone(), events).await?;
        if let Some(credential) = &credential {
            self.attach(credential, &host, is_personal(credential))
                .await
                .map_err(|e| Error::Halfway { done: format!("host {} was added", host.name), error: Box::new(e) })?;
        }
        let mut reply = Reply::done(Data::Host(self.view(&host).await?), format!("host {} added", host.name));
        reply.notes.extend(credential.as_ref().and_then(alone_note));
        reply.notes.extend(unpinned_note(&host));
        Ok(reply)
    }

    pub(super) async fn host_list(&self) -> Result<Reply, Error> {
        let (seen, eyes) = (self.visible_hosts().await?, self.eyes().await?);
        let list = self
            .parts
            .store
            .read(move |c| -> Result<Vec<HostView>, store::Error> { seen.iter().map(|h| host_view(c, h, &eyes)).collect() })
            .await?;
        Ok(Reply::of(Data::Hosts(list)))
    }

    pub(super) async fn host_show(&self, name: Name) -> Result<Reply, Error> {
        let host = self.host(name).await?;
        Ok(Reply::of(Data::Host(self.view(&host).await?)))
    }

    pub(super) async fn host_edit(&self, name: Name, change: HostChange) -> Result<Reply, Error> {
        let before = self.host(name).await?;
        check_tags(&change.tags)?;
        if change == HostChange::default() {
            return Err(Error::unfit("nothing to change was given", "see what can be changed: keyward host edit --help"));
        }
        let mut after = before.clone();
        self.reroute(&mut after, &change).await?;
        let credential = match change.credential {
            Some(name) => Some(self.default_credential(name).await?),
            None => None,
        };
        after.address = change.address.unwrap_or(after.address);
        after.name = change.rename.unwrap_or(after.name);
        after.trust_first_use = change.trust_first_use.unwrap_or(after.trust_first_use);
        after.tags.retain(|key, _| !change.untags.contains(key));
        after.tags.extend(change.tags);
        check_tags(&after.tags)?;
        if !change.host_keys.is_empty() {
            after.host_keys = self.pins(&change.host_keys, "given")?;
        }
        let mut after = self.certified(Some(&before), after).await?;
        if change.trust_first_use.is_none() {
            shut_to_the_first(&before, &mut after);
        }
        let mut notes = Vec::new();
        let renamed = before.name != after.name;
        if after != before {
            let events = self.edit_events(&before, &after, change.via.as_ref());
            let changed = self.parts.custody.change_host(before.clone(), after.clone(), events).await?;
            notes.extend(detached_note(changed.personal_detached));
            after = changed.host;
        }
        let halfway = |error: Error| Error::Halfway { done: format!("host {} was changed", after.name), error: Box::new(error) };
        if let Some(credential) = &credential {
            self.attach(credential, &after, is_personal(credential)).await.map_err(halfway)?;
            notes.extend(alone_note(credential));
        } else if change.no_credential {
            let id = after.id;
            let chosen = self.parts.store.read(move |c| credentials::chosen(c, id, None)).await?;
            if let Some(credential) = chosen {
                self.detach(&credential, &after, false).await.map_err(halfway)?;
            }
        }
        if before.address != after.address && !after.host_keys.is_empty() && change.host_keys.is_empty() {
            notes.push(format!("the pinned keys stay; if the new address is another machine: keyward host trust {}", after.name));
        }
        notes.extend(unpinned_note(&after));
        if renamed {
            notes.push(format!("grants that name {} do not cover {}: keyward grant list", before.name, after.name));
        }
        let mut reply = Reply::done(Data::Host(self.view(&after).await?), format!("host {} changed", after.name));
        reply.notes = notes;
        Ok(reply)
    }

    pub(super) async fn host_remove(&self, name: Name) -> Result<Reply, Error> {
        let host = self.host(name).await?;
        self.none_behind(&host).await?;
        let event = self.event(EventName::HostRemoved).host(&host).with("address", &host.address);
        let said = format!("host {} removed", host.name);
        let id = host.id;
        let removed = self
            .parts
            .log
            .change_heard(self.parts.guard.bell(), move |c| -> Result<((), Vec<Event>), store::Error> {
                hosts::remove(c, id)?;
                Ok(((), vec![event]))
            })
            .await?;
        removed.into_inner();
        let (workspace, name) = (self.workspace.clone(), host.name);
        let named = self.parts.store.read(move |c| grants::all(c, &workspace)).await?;
        let left = named.iter().filter(|g| g.hosts.literal().as_ref() == Some(&name)).count();
        let reply = Reply::done(Data::Nothing, said);
        Ok(if left > 0 { reply.note(format!("{left} grants still name {name}: keyward grant list")) } else { reply })
    }

    /// Pins from texts of public keys.
    pub(super) fn pins(&self, texts: &[String], source: &str) -> Result<Vec<HostKey>, Error> {
        let mut pins: Vec<HostKey> = Vec::new();
        for text in texts {
            for key in keys::of_host(text)? {
                if !pins.iter().any(|p| p.fingerprint == key.fingerprint) {
                    pins.push(HostKey {
                        public_key: key.public_key,
                        fingerprint: key.fingerprint,
                        source: source.to_owned(),
                        pinned_at: self.now(),
                    });
                }
            }
        }
        Ok(pins)
    }

    pub(super) fn pin_event(&self, host: &Host, key: &HostKey) -> Event {
        self.event(EventName::HostKeyPinned).host(host).with("fingerprint", &key.fingerprint).with("source", &key.source)
    }

    /// What an edit tells the audit log: the change, and each pin that is new, with the old ones beside it. `via`: the jump host that
    /// was named for it.
    pub(super) fn edit_events(&self, before: &Host, after: &Host, via: Option<&Name>) -> Vec<Event> {
        let mut edited = self.event(EventName::HostEdited).host(after);
        if before.name != after.name {
            edited = edited.with("old_name", &before.name);
        }
        if before.address != after.address {
            edited = edited.with("old_address", &before.address).with("address", &after.address);
        }
        if before.trust_first_use != after.trust_first_use {
            edited = edited.with("trust_first_use", after.trust_first_use);
        }
        if before.tags != after.tags {
            edited = edited.with("tags", after.tags.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(","));
        }
        edited = super::ways::rerouted(before, after, via, edited);
        let fingerprints = |h: &Host| h.host_keys.iter().map(|k| k.fingerprint.clone()).collect::<Vec<_>>().join(" ");
        if fingerprints(before) == fingerprints(after) {
            return vec![edited];
        }
        edited = edited.with("old_host_keys", fingerprints(before)).with("host_keys", fingerprints(after));
        let fresh = after.host_keys.iter().filter(|k| before.host_keys.iter().all(|old| old.fingerprint != k.fingerprint));
        std::iter::once(edited).chain(fresh.map(|k| self.pin_event(after, k))).collect()
    }

    /// The credential that a host is given: the workspace's where there is one of that name, else the caller's own.
    async fn default_credential(&self, name: Name) -> Result<Credential, Error> {
        match self.credential(CredentialRef { name: name.clone(), scope: Some(ScopeWord::Workspace) }).await {
            Err(Error::NoSuch { .. }) => self.credential(CredentialRef { name, scope: Some(ScopeWord::Personal) }).await,
            found => found,
        }
    }
}

fn is_personal(credential: &Credential) -> bool {
    matches!(credential.scope, Scope::Personal(_))
}

/// A personal credential cannot be a host's default; it is attached for its owner alone, and that is said.
fn alone_note(credential: &Credential) -> Option<String> {
    is_personal(credential)
        .then(|| format!("{} is personal: it signs in for you alone; for everybody, add one with --scope workspace", credential.name))
}

/// Where the last key that was trusted goes, whoever comes first is not trusted in its place, unless that is asked for.
pub(super) fn shut_to_the_first(before: &Host, after: &mut Host) {
    after.trust_first_use &= !after.host_keys.is_empty() || before.host_keys.is_empty();
}

/// What is said of a host to which nobody can connect. First use counts for what the broker itself connects to alone.
fn unpinned_note(host: &Host) -> Option<String> {
    let nobody = host.host_keys.is_empty() && (!host.trust_first_use || host.via.is_some());
    nobody.then(|| format!("no host key is pinned, so nobody can connect yet: keyward host trust {}", host.name))
}

/// What a changed host did to personal credentials.
pub(super) fn detached_note(count: usize) -> Option<String> {
    let what = if count == 1 { "1 personal credential is".to_owned() } else { format!("{count} personal credentials are") };
    (count > 0).then(|| format!("{what} attached no more, because the host's address or key changed; their owners attach them again"))
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Error> {
    let plain = |text: &str| text.len() <= TAG_LENGTH && crate::model::printable(text, TAG_LENGTH) == text;
    if tags.len() > TAGS {
        return Err(Error::unfit(format!("a host has at most {TAGS} tags"), "take some away: keyward host edit NAME --untag KEY"));
    }
    match tags.iter().find(|(key, value)| key.is_empty() || key.contains(char::is_whitespace) || !plain(key) || !plain(value)) {
        Some((key, _)) => Err(Error::unfit(
            format!("the tag `{}` cannot be taken", crate::model::printable(key, 40)),
            format!("a tag is KEY=VALUE, printable, each at most {TAG_LENGTH} bytes, and the key has no spaces"),
        )),
        None => Ok(()),
    }
}
