//! Changes of a host: whatever its secrets are bound to is wrapped anew in the same transaction.

use super::{Custody, Error, binding_of};
use crate::audit::Audited;
use crate::model::{Event, EventName, Host, HostKey, Scope};
use crate::store::credentials::{BindingRow, CredentialRow, KekRow};
use crate::store::{self, credentials, host_cas, hosts};
use crate::vault;

/// What a change of a host did to credentials.
#[derive(Clone, Debug)]
pub struct Changed {
    /// The host as it is now.
    pub host: Host,
    /// Personal credentials that lost their binding: their owners attach them again, once they trust the new address or key.
    pub personal_detached: usize,
}

/// What becomes of personal credentials when what they are bound to changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Personal {
    /// They lose their binding.
    Detach,
    /// They are bound anew where that is possible without their owner, and else lose their binding.
    Follow,
    /// They are bound anew, or nothing is changed.
    MustFollow,
}

impl Custody {
    /// Changes a host from `before` to `after`. If its address or pinned keys change, workspace credentials are bound
    /// anew, and personal ones are detached: nobody but their owner may point them at another machine.
    ///
    /// # Errors
    /// [`Error::ChangedMeanwhile`] if the host is not `before` any more, or a credential changed beside it.
    pub async fn change_host(&self, before: Host, after: Host, events: Vec<Event>) -> Result<Changed, Error> {
        self.rebind(before, after, events, Personal::Detach).await
    }

    /// Pins the key of the first contact, where the host's owner allowed that. Bindings made while there was none carry over.
    ///
    /// # Errors
    /// [`Error::ChangedMeanwhile`] if it was pinned or changed by somebody else.
    pub async fn pin_first_use(&self, host: &Host, key: HostKey, event: Event) -> Result<Host, Error> {
        if !host.trust_first_use || !host.host_keys.is_empty() {
            return Err(Error::ChangedMeanwhile(format!("host {}", host.name)));
        }
        let after = Host { host_keys: vec![key], ..host.clone() };
        Ok(self.rebind(host.clone(), after, vec![event], Personal::Follow).await?.host)
    }

    pub(super) async fn rebind(&self, before: Host, after: Host, mut events: Vec<Event>, personal: Personal) -> Result<Changed, Error> {
        let _turn = self.turns.read().await;
        let pins = |h: &Host| h.host_keys.iter().map(|k| k.fingerprint.clone()).collect::<std::collections::BTreeSet<_>>();
        // To trust whatever answers first is a change of which machine is meant, while no key is pinned.
        let loosened = after.trust_first_use && !before.trust_first_use && before.host_keys.is_empty();
        // While no key is pinned, another way may lead to another machine of the same address; a pinned key says which is meant.
        let rerouted = before.via != after.via && before.host_keys.is_empty();
        let moved = before.address != after.address || pins(&before) != pins(&after) || loosened || rerouted;
        let bound = if moved { self.bound_rows(&before).await? } else { Vec::new() };
        let mut fresh: Vec<(CredentialRow, BindingRow)> = Vec::new();
        let mut detached: Vec<CredentialRow> = Vec::new();
        for (row, kek) in bound {
            if matches!(row.meta.scope, Scope::Personal(_)) && personal == Personal::Detach {
                detached.push(row);
                continue;
            }
            let target = vec![(after.id, binding_of(&after, &row.meta.username))];
            match self.vault.bind(row.clone(), kek, target).await {
                Ok(bindings) => fresh.extend(bindings.into_iter().map(|binding| (row.clone(), binding))),
                // Sealed, and its owner is not here: nobody else can bind it, so its owner attaches it again.
                Err(vault::Error::ScopeSealed) if personal != Personal::MustFollow => detached.push(row),
                Err(e) => return Err(e.into()),
            }
        }
        let personal_detached = detached.len();
        for row in &detached {
            events.push(
                Event::new(EventName::CredentialDetached, "keyward")
                    .host(&after)
                    .credential(&row.meta)
                    .because("the host's address or key changed"),
            );
        }
        let host = after.clone();
        let changed: Audited<()> = self
            .log
            .change_heard(self.guard.bell(), move |c| -> Result<((), Vec<Event>), Error> {
                let meanwhile = || Error::ChangedMeanwhile(format!("host {}", before.name));
                if hosts::by_id(c, before.id)?.as_ref() != Some(&before) || !host_cas::vouch(c, Some(&before), &after)? {
                    return Err(meanwhile());
                }
                let now_bound = credentials::bound_to(c, before.id)?.len();
                if moved && now_bound != fresh.len() + detached.len() {
                    return Err(meanwhile());
                }
                hosts::update(c, &after)?;
                hosts::set_tags(c, after.id, &after.tags)?;
                if pins(&before) != pins(&after) {
                    hosts::unpin_all(c, after.id)?;
                    for key in &after.host_keys {
                        hosts::pin(c, after.id, key)?;
                    }
                }
                for row in &detached {
                    credentials::unbind(c, row.meta.id, after.id)?;
                }
                for (row, binding) in &fresh {
                    if credentials::row(c, row.meta.id)?
                        .is_none_or(|now| now.wrapped_dek != row.wrapped_dek || now.meta.username != row.meta.username)
                    {
                        return Err(meanwhile());
                    }
                    credentials::bind(c, binding)?;
                }
                Ok(((), events))
            })
            .await?;
        changed.into_inner();
        Ok(Changed { host, personal_detached })
    }

    pub(super) async fn bound_rows(&self, host: &Host) -> Result<Vec<(CredentialRow, KekRow)>, Error> {
        let id = host.id;
        let rows = self
            .store
            .read(move |c| -> Result<Vec<(CredentialRow, KekRow)>, store::Error> {
                let mut out = Vec::new();
                for meta in credentials::bound_to(c, id)? {
                    if let Some(row) = credentials::row(c, meta.id)? {
                        let kek = credentials::kek(c, &row.meta.scope, row.kek_version)?;
                        out.push((row, kek));
                    }
                }
                Ok(out)
            })
            .await?;
        Ok(rows)
    }
}
