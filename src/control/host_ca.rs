//! `host-ca`: which certificate authorities vouch for which hosts. Each host that one covers gets a pin of it, the way of
//! `host trust`, so that what credentials are bound to says who may prove the host. Signs nothing.

use super::api::Reply;
use super::desk::Call;
use super::error::Error;
use super::hosts::{detached_note, shut_to_the_first};
use super::keys;
use super::view::{Data, HostCaView};
use crate::model::{Address, Event, EventName, Host, HostCa, Name, printable};
use crate::sshconfig::known_hosts;
use crate::store::{self, host_cas, hosts};

/// The longest list of patterns, in bytes.
const MOST_PATTERN: usize = 1024;

impl Call<'_> {
    pub(super) async fn host_ca_add(&self, name: Name, text: &str, patterns: Option<String>) -> Result<Reply, Error> {
        let (ca, detached) = self.trust_authority(name, text, patterns).await?;
        let view = view_of(&ca, &self.every_host().await?);
        let covers = match view.covers {
            1 => "1 host".to_owned(),
            n => format!("{n} hosts"),
        };
        let mut reply = Reply::done(Data::HostCas(vec![view]), format!("host CA {} vouches for {covers}", ca.name));
        reply.notes.extend(detached_note(detached));
        Ok(reply)
    }

    /// Trusts an authority. The same words again finish what was interrupted. Returns it, and how many personal credentials lost their
    /// binding.
    pub(super) async fn trust_authority(&self, name: Name, text: &str, patterns: Option<String>) -> Result<(HostCa, usize), Error> {
        let (text, found) = marked(text);
        let patterns = patterns.or(found).ok_or_else(|| {
            Error::unfit("nothing says for which hosts", "name them: keyward host-ca add NAME FILE --hosts '*.example.com'")
        })?;
        check(&patterns)?;
        let mut read = keys::of_host(&text)?;
        let (Some(key), true) = (read.pop(), read.is_empty()) else {
            return Err(Error::unfit("it holds more than one key", "give the public key of one CA: the file that ends in .pub"));
        };
        let ca = HostCa {
            name,
            workspace: self.workspace.clone(),
            public_key: key.public_key,
            fingerprint: key.fingerprint,
            hosts: patterns,
            created_at: self.now(),
        };
        let known = self.host_cas().await?;
        let again = known.iter().any(|k| (&k.name, &k.fingerprint, &k.hosts) == (&ca.name, &ca.fingerprint, &ca.hosts));
        if !again {
            if known.len() >= host_cas::MOST {
                return Err(Error::unfit(
                    format!("a workspace has at most {} host CAs", host_cas::MOST),
                    "remove one: keyward host-ca list",
                ));
            }
            let event = self
                .event(EventName::HostCaAdded)
                .with("name", &ca.name)
                .with("fingerprint", &ca.fingerprint)
                .with("hosts", &ca.hosts)
                .with("workspace", &ca.workspace);
            let row = ca.clone();
            let added = self.parts.log.change(move |c| -> Result<((), Vec<Event>), store::Error> {
                host_cas::insert(c, &row)?;
                Ok(((), vec![event]))
            });
            added.await?.into_inner();
        }
        let detached = self
            .settle_authorities(None)
            .await
            .map_err(|e| Error::Halfway { done: format!("host CA {} was added", ca.name), error: Box::new(e) })?;
        Ok((ca, detached))
    }

    pub(super) async fn host_ca_list(&self) -> Result<Reply, Error> {
        let hosts = self.every_host().await?;
        Ok(Reply::of(Data::HostCas(self.host_cas().await?.iter().map(|ca| view_of(ca, &hosts)).collect())))
    }

    pub(super) async fn host_ca_remove(&self, name: Name) -> Result<Reply, Error> {
        let said = format!("host CA {name} removed");
        let detached = self.withdraw_authority(name).await?;
        let mut reply = Reply::done(Data::Nothing, said);
        reply.notes.extend(detached_note(detached));
        Ok(reply)
    }

    /// Trusts it no more: its row goes, and its pin of every host. Returns how many personal credentials lost their binding.
    pub(super) async fn withdraw_authority(&self, name: Name) -> Result<usize, Error> {
        let known = self.host_cas().await?;
        let Some(ca) = known.into_iter().find(|ca| ca.name == name) else {
            return Err(Error::no_such("host CA", name, "host-ca list"));
        };
        let event = self.event(EventName::HostCaRemoved).with("name", &ca.name).with("fingerprint", &ca.fingerprint);
        let event = event.with("workspace", &ca.workspace);
        // First the hosts: what is interrupted here is done again by the same words.
        let halfway = |e| Error::Halfway { done: format!("host CA {} vouches for some hosts no more", ca.name), error: Box::new(e) };
        let mut detached = self.settle_authorities(Some(&ca.name)).await.map_err(halfway)?;
        let gone = ca.clone();
        let removed = self.parts.log.change(move |c| -> Result<((), Vec<Event>), store::Error> {
            host_cas::remove(c, &gone.workspace, &gone.name)?;
            Ok(((), vec![event]))
        });
        removed.await?.into_inner();
        // And once more: a host may have been added meanwhile.
        detached += self.settle_authorities(Some(&ca.name)).await.map_err(halfway)?;
        Ok(detached)
    }

    /// The authorities of the workspace.
    pub(super) async fn host_cas(&self) -> Result<Vec<HostCa>, Error> {
        let workspace = self.workspace.clone();
        Ok(self.parts.store.read(move |c| host_cas::all(c, &workspace)).await?)
    }

    async fn every_host(&self) -> Result<Vec<Host>, Error> {
        let workspace = self.workspace.clone();
        Ok(self.parts.store.read(move |c| hosts::all(c, &workspace)).await?)
    }

    /// The host with the pins of the authorities that cover it, and of no other; the pins of its own keys stay. `before` is
    /// what it was.
    pub(super) async fn certified(&self, before: Option<&Host>, after: Host) -> Result<Host, Error> {
        Ok(with_authorities(&self.host_cas().await?, before, after, self.now()))
    }

    /// Brings the pins of every host of the workspace to what its authorities say, `without` one. Returns how many personal credentials lost
    /// their binding.
    async fn settle_authorities(&self, without: Option<&Name>) -> Result<usize, Error> {
        let (mut cas, mut detached) = (self.host_cas().await?, 0);
        cas.retain(|ca| Some(&ca.name) != without);
        for before in self.every_host().await? {
            let mut after = with_authorities(&cas, Some(&before), before.clone(), self.now());
            shut_to_the_first(&before, &mut after);
            if after != before {
                let events = self.edit_events(&before, &after, None);
                detached += self.parts.custody.change_host(before, after, events).await?.personal_detached;
            }
        }
        Ok(detached)
    }
}

fn view_of(ca: &HostCa, hosts: &[Host]) -> HostCaView {
    HostCaView {
        name: ca.name.clone(),
        hosts: ca.hosts.clone(),
        fingerprint: ca.fingerprint.clone(),
        public_key: ca.public_key.clone(),
        covers: hosts.iter().filter(|host| covers(ca, &host.address)).count(),
        created_at: ca.created_at,
    }
}

pub(super) fn covers(ca: &HostCa, address: &Address) -> bool {
    known_hosts::covers(&ca.hosts, &address.host, address.port)
}

fn with_authorities(cas: &[HostCa], before: Option<&Host>, mut after: Host, now: crate::clock::Time) -> Host {
    let wanted: Vec<_> = cas.iter().filter(|ca| covers(ca, &after.address)).map(|ca| ca.pin(now)).collect();
    let same = |a: &crate::model::HostKey, b: &crate::model::HostKey| a.fingerprint == b.fingerprint && a.source == b.source;
    after.host_keys.retain(|key| !key.is_authority() || wanted.iter().any(|pin| same(pin, key)));
    for pin in wanted {
        if !after.host_keys.iter().any(|key| key.fingerprint == pin.fingerprint) {
            let known = before.and_then(|host| host.host_keys.iter().find(|key| same(key, &pin)));
            after.host_keys.push(known.cloned().unwrap_or(pin));
        }
    }
    after
}

/// A line `@cert-authority PATTERNS KEY` of known_hosts as key and patterns; another text as it is.
fn marked(text: &str) -> (String, Option<String>) {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (Some(line), None) = (lines.next(), lines.next()) else { return (text.to_owned(), None) };
    let Some(rest) = line.strip_prefix("@cert-authority") else { return (text.to_owned(), None) };
    match rest.trim_start().split_once(char::is_whitespace) {
        Some((patterns, key)) => (key.trim_start().to_owned(), Some(patterns.to_owned())),
        None => (text.to_owned(), None),
    }
}

pub(super) fn check(patterns: &str) -> Result<(), Error> {
    let hint = "write it as in known_hosts: '*.example.com', '*.example.com,!old.example.com' or '[*.example.com]:2222'";
    if patterns.starts_with('|') {
        return Err(Error::unfit("a hashed name cannot say for which hosts a CA is", hint));
    }
    let plain = printable(patterns, MOST_PATTERN) == patterns && !patterns.contains(char::is_whitespace);
    let positive = patterns.split(',').any(|item| !item.is_empty() && !item.starts_with('!'));
    if patterns.len() <= MOST_PATTERN && plain && positive {
        return Ok(());
    }
    Err(Error::unfit(format!("`{}` is no list of patterns of hosts", printable(patterns, 80)), hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_known_hosts_brings_its_patterns() {
        let (key, patterns) = marked("# ours\n@cert-authority *.example.com,10.0.0.* ssh-ed25519 AAAA corp\n");
        assert_eq!((key.as_str(), patterns.as_deref()), ("ssh-ed25519 AAAA corp", Some("*.example.com,10.0.0.*")));
        assert_eq!(marked("ssh-ed25519 AAAA corp").1, None);
        for bad in ["", "!a", "a b", "|1|x|y", "a\x1b"] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
        assert!(check("*").is_ok() && check("*.example.com,!x.example.com").is_ok());
    }
}
