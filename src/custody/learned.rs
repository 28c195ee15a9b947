//! Keys that a host proved beside the one that was pinned: they are pinned, too, and every secret of the host is bound anew in
//! the same transaction. Detaches nobody's credential: what cannot be bound anew puts the whole change off.

use std::collections::BTreeSet;

use super::hosts::Personal;
use super::{Custody, Error};
use crate::model::{Event, EventName, Host, HostId, HostKey, Scope, UserId};
use crate::store::hosts;
use crate::vault;

/// The most keys of a host that are pinned by themselves.
const MOST_PINS: usize = 32;

/// What became of keys that a host proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Learned {
    /// There was nothing new.
    Nothing,
    /// They are pinned.
    Pinned,
    /// Credentials of so many people there are sealed, and they are not here: the next connection tries again.
    PutOff(usize),
}

impl Custody {
    /// Pins what a host proved over a connection that its pinned key `used` proved, and lets `replaced` go. `event` begins
    /// each entry.
    ///
    /// # Errors
    /// [`Error::ChangedMeanwhile`] if the host or a credential changed beside it; the next connection tries again.
    pub async fn learn_host_keys(
        &self,
        host: HostId,
        used: &str,
        fresh: Vec<HostKey>,
        replaced: Option<&str>,
        event: impl Fn(EventName) -> Event,
    ) -> Result<Learned, Error> {
        if fresh.is_empty() && replaced.is_none() {
            return Ok(Learned::Nothing);
        }
        let Some(before) = self.store.read(move |c| hosts::by_id(c, host)).await? else { return Ok(Learned::Nothing) };
        // What vouches must still be trusted.
        let is_pinned = |host: &Host, fingerprint: &str| host.host_keys.iter().any(|k| k.fingerprint == fingerprint);
        if !is_pinned(&before, used) {
            return Ok(Learned::Nothing);
        }
        let mut after = before.clone();
        let mut events = Vec::new();
        for key in fresh {
            if !is_pinned(&after, &key.fingerprint) && after.host_keys.len() < MOST_PINS {
                events.push(event(EventName::HostKeyPinned).with("fingerprint", &key.fingerprint).with("source", &key.source));
                after.host_keys.push(key);
            }
        }
        if let Some(old) = replaced.filter(|old| *old != used && is_pinned(&before, old)) {
            after.host_keys.retain(|key| key.fingerprint != old);
            events.push(event(EventName::HostKeyUnpinned).with("fingerprint", old).with("host_key", used));
        }
        if events.is_empty() {
            return Ok(Learned::Nothing);
        }
        match self.rebind(before.clone(), after, events, Personal::MustFollow).await {
            Ok(_) => Ok(Learned::Pinned),
            Err(Error::Vault(vault::Error::ScopeSealed)) => Ok(Learned::PutOff(self.owners_of(&before).await?)),
            Err(e) => Err(e),
        }
    }

    /// How many people's sealed credentials are bound to a host.
    async fn owners_of(&self, host: &Host) -> Result<usize, Error> {
        let rows = self.bound_rows(host).await?;
        let owner = |scope: &Scope| match scope {
            Scope::Personal(owner) => Some(*owner),
            Scope::Workspace(_) => None,
        };
        let sealed = rows.iter().filter(|(_, kek)| kek.is_sealed()).filter_map(|(row, _)| owner(&row.meta.scope));
        Ok(sealed.collect::<BTreeSet<UserId>>().len())
    }
}
