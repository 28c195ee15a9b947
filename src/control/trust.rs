//! `host trust`: asks a host for the keys that it proves, and pins them once somebody said that they are right.

use super::api::Reply;
use super::desk::Call;
use super::error::Error;
use super::hosts::detached_note;
use super::view::{Data, ProbedKey, ProbedView};
use crate::model::{Host, HostKey, Name};
use crate::target::ProvenKey;

impl Call<'_> {
    pub(super) async fn host_probe(&self, name: Name) -> Result<Reply, Error> {
        let host = self.host(name).await?;
        let proven = self.prove(&host).await?;
        let is_pinned = |key: &ProvenKey| host.host_keys.iter().any(|k| k.fingerprint == key.fingerprint);
        let keys = proven
            .iter()
            .map(|k| ProbedKey { fingerprint: k.fingerprint.clone(), public_key: k.public_key.clone(), pinned: is_pinned(k) })
            .collect();
        // What an authority vouches for is no key that the host would show.
        let pinned = host.host_keys.iter().filter(|k| !k.is_authority()).map(|k| k.fingerprint.clone()).collect();
        Ok(Reply::of(Data::Probed(ProbedView { host: host.name, address: host.address.to_string(), keys, pinned })))
    }

    /// Asks once more: what is pinned is what the host proves now, and only what the caller named.
    pub(super) async fn host_trust(&self, name: Name, fingerprints: Vec<String>) -> Result<Reply, Error> {
        let before = self.host(name).await?;
        if fingerprints.is_empty() {
            return Err(Error::unfit("no fingerprint was given", format!("see what the host shows: keyward host trust {}", before.name)));
        }
        let proven = self.prove(&before).await?;
        let mut pins: Vec<HostKey> = Vec::new();
        for wanted in &fingerprints {
            let Some(key) = proven.iter().find(|k| k.fingerprint == *wanted) else {
                return Err(Error::OtherFingerprint {
                    host: before.name,
                    wanted: crate::model::printable(wanted, 80),
                    shown: proven.into_iter().map(|k| k.fingerprint).collect(),
                });
            };
            let known = before.host_keys.iter().find(|k| k.fingerprint == key.fingerprint);
            pins.push(known.cloned().unwrap_or_else(|| HostKey {
                public_key: key.public_key.clone(),
                fingerprint: key.fingerprint.clone(),
                source: "confirmed".to_owned(),
                pinned_at: self.now(),
            }));
        }
        pins.dedup_by(|a, b| a.fingerprint == b.fingerprint);
        let count = pins.len();
        let after = self.certified(Some(&before), Host { host_keys: pins, ..before.clone() }).await?;
        let events = self.edit_events(&before, &after, None);
        let changed = self.parts.custody.change_host(before, after, events).await?;
        let said = format!("{count} {} of {} pinned", if count == 1 { "key" } else { "keys" }, changed.host.name);
        let mut reply = Reply::done(Data::Host(self.view(&changed.host).await?), said);
        reply.notes.extend(detached_note(changed.personal_detached));
        Ok(reply)
    }

    async fn prove(&self, host: &Host) -> Result<Vec<ProvenKey>, Error> {
        let proven = self.keys_of(host).await?;
        if proven.is_empty() { Err(Error::NoHostKey(host.name.clone())) } else { Ok(proven) }
    }
}
