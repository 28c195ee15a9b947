//! The lines of certificate authorities in `import known-hosts`: which become host CAs, and which that are trusted here the file revokes.
//! Takes nothing that was not shown, and never widens what an authority that is known already vouches for.

use super::desk::Call;
use super::error::Error;
use super::host_ca::{check, covers};
use super::keys;
use super::view::{KnownAuthorityAction, KnownAuthorityStep};
use crate::model::{Host, HostCa, Name};
use crate::sshconfig::known_hosts::{self, KnownHosts, Line, Marker};
use crate::sshconfig::valid_name;
use crate::store::host_cas;

/// An authority that the file names, with what becomes of it.
pub(super) struct Authority {
    pub(super) step: KnownAuthorityStep,
    public_key: String,
}

impl Call<'_> {
    /// What becomes of the authorities of a file. `hosts`: those that are here, and those that the import would add.
    pub(super) async fn authorities(&self, file: &KnownHosts, hosts: &[&Host]) -> Result<Vec<Authority>, Error> {
        let known = self.host_cas().await?;
        let revoked: Vec<(&Line, String)> = file.lines.iter().filter(|l| l.marker == Marker::Revoked).filter_map(keyed).collect();
        let mut out: Vec<Authority> = Vec::new();
        for line in file.lines.iter().filter(|l| l.marker == Marker::Authority) {
            take(line, &mut out);
        }
        let mut names: Vec<String> = known.iter().map(|ca| ca.name.to_string()).collect();
        let mut left = host_cas::MOST.saturating_sub(known.len());
        for authority in out.iter_mut().filter(|a| a.step.action == KnownAuthorityAction::Add) {
            let step = &mut authority.step;
            if let Err(e) = check(&step.hosts) {
                (step.action, step.why) = (KnownAuthorityAction::NotTaken, Some(e.to_string()));
            } else if let Some(ca) = known.iter().find(|ca| ca.fingerprint == step.fingerprint) {
                step.name = Some(ca.name.clone());
                (step.action, step.why) = match ca.hosts == step.hosts {
                    true => (KnownAuthorityAction::Known, None),
                    false => (KnownAuthorityAction::Conflict, Some(format!("it is trusted for {}", ca.hosts))),
                };
            } else if let Some((line, _)) = revoked.iter().find(|(_, fingerprint)| *fingerprint == step.fingerprint) {
                (step.action, step.why) = (KnownAuthorityAction::Revoked, Some(format!("line {} revokes it", line.number)));
            } else if left == 0 {
                let why = format!("a workspace has at most {} host CAs", host_cas::MOST);
                (step.action, step.why) = (KnownAuthorityAction::NotTaken, Some(why));
            } else {
                left -= 1;
                step.name = name_of(&step.hosts, &names);
                names.extend(step.name.iter().map(ToString::to_string));
                let ca = self.authority(authority);
                authority.step.covers = ca.map_or(0, |ca| hosts.iter().filter(|host| covers(&ca, &host.address)).count());
            }
        }
        for (line, fingerprint) in revoked {
            out.extend(known.iter().filter(|ca| ca.fingerprint == fingerprint).map(|ca| withdrawn(line, ca, hosts)));
        }
        Ok(out)
    }

    /// Does with the authorities what was shown. Returns how many personal credentials lost their binding.
    pub(super) async fn settle(&self, authorities: Vec<Authority>) -> Result<usize, Error> {
        let mut detached = 0;
        for authority in authorities {
            let Some(name) = authority.step.name.clone() else { continue };
            let halfway = |error| Error::Halfway { done: "the keys of hosts were pinned".to_owned(), error: Box::new(error) };
            match authority.step.action {
                KnownAuthorityAction::Add => {
                    let trusting = self.trust_authority(name, &authority.public_key, Some(authority.step.hosts));
                    detached += trusting.await.map_err(halfway)?.1;
                }
                KnownAuthorityAction::Remove => detached += self.withdraw_authority(name).await.map_err(halfway)?,
                _ => {}
            }
        }
        Ok(detached)
    }

    fn authority(&self, authority: &Authority) -> Option<HostCa> {
        Some(HostCa {
            name: authority.step.name.clone()?,
            workspace: self.workspace.clone(),
            public_key: authority.public_key.clone(),
            fingerprint: authority.step.fingerprint.clone(),
            hosts: authority.step.hosts.clone(),
            created_at: self.now(),
        })
    }
}

/// A line and the fingerprint of its key.
pub(super) fn keyed(line: &Line) -> Option<(&Line, String)> {
    keys::of_host(&line.key).ok().and_then(|mut keys| keys.pop()).map(|key| (line, key.fingerprint))
}

/// Adds a line to what the file has. An authority stands once: what its lines say is one list, unless one of them takes something out.
fn take(line: &Line, all: &mut Vec<Authority>) {
    let kind = line.key.split(' ').next().unwrap_or_default().to_owned();
    let mut step = KnownAuthorityStep {
        lines: vec![line.number],
        name: None,
        hosts: line.patterns().unwrap_or_default().to_owned(),
        covers: 0,
        kind,
        fingerprint: String::new(),
        action: KnownAuthorityAction::NotTaken,
        why: None,
    };
    let key = match keys::of_host(&line.key).map(|mut keys| keys.pop()) {
        Ok(Some(key)) => key,
        Ok(None) | Err(_) => {
            step.why = Some("it is no key that signs certificates of hosts here".to_owned());
            return all.push(Authority { step, public_key: String::new() });
        }
    };
    step.fingerprint.clone_from(&key.fingerprint);
    if line.is_hashed() {
        step.why = Some("a hashed name cannot say for which hosts".to_owned());
    } else if let Some(first) =
        all.iter_mut().map(|a| &mut a.step).find(|s| s.fingerprint == key.fingerprint && s.action == KnownAuthorityAction::Add)
    {
        if !first.hosts.contains('!') && !step.hosts.contains('!') {
            if !first.hosts.split(',').eq(step.hosts.split(',')) {
                first.hosts = format!("{},{}", first.hosts, step.hosts);
            }
            first.lines.push(line.number);
            return;
        }
        let number = first.lines.first().copied().unwrap_or_default();
        step.why = Some(format!("line {number} has the same key, and lists with `!` cannot be put together"));
    } else {
        step.action = KnownAuthorityAction::Add;
    }
    all.push(Authority { step, public_key: key.public_key });
}

/// What becomes of an authority that is trusted here and that a line revokes: removed, if that is for every host that it vouches for.
fn withdrawn(line: &Line, ca: &HostCa, hosts: &[&Host]) -> Authority {
    let vouched: Vec<&&Host> = hosts.iter().filter(|host| covers(ca, &host.address)).collect();
    let all = !vouched.is_empty() && vouched.iter().all(|h| line.covers(&known_hosts::lookup(&h.address.host, h.address.port)));
    let (action, why) = match all {
        true => (KnownAuthorityAction::Remove, "the file revokes it"),
        false if vouched.is_empty() => {
            (KnownAuthorityAction::RevokedButTrusted, "the file revokes it, and it vouches for no host here yet")
        }
        false => (KnownAuthorityAction::RevokedButTrusted, "the file revokes it, and not for every host that it vouches for"),
    };
    let step = KnownAuthorityStep {
        lines: vec![line.number],
        name: Some(ca.name.clone()),
        hosts: ca.hosts.clone(),
        covers: vouched.len(),
        kind: ca.public_key.split(' ').next().unwrap_or_default().to_owned(),
        fingerprint: ca.fingerprint.clone(),
        action,
        why: Some(why.to_owned()),
    };
    Authority { step, public_key: ca.public_key.clone() }
}

/// A name that is free, after the first pattern.
fn name_of(patterns: &str, taken: &[String]) -> Option<Name> {
    let first = patterns.split(',').find(|p| !p.starts_with('!')).unwrap_or_default();
    let free = |name: &str| taken.iter().any(|other| other == name);
    let name = valid_name(&first.replace(['*', '?', '[', ']'], ""), free).or_else(|| valid_name("known-hosts", free));
    name.and_then(|name| name.parse().ok())
}
