//! The default credential of a whole workspace: bound to each of its hosts, also to those that are added later, because
//! the vault opens nothing that is not bound to the very host. Never a personal one.

use super::rotation::not_rotating;
use super::{Custody, Error, binding_of};
use crate::model::{CredentialId, Event, Host, Name, Scope};
use crate::store::credentials::{BindingRow, CredentialRow, KekRow};
use crate::store::{self, credentials, defaults, host_cas, hosts};

impl Custody {
    /// Makes a credential its workspace's default and binds it to every host there. What was the default before stays
    /// attached where it was chosen otherwise. The number of hosts that it was bound to.
    ///
    /// # Errors
    /// [`Error::PersonalDefault`], [`Error::Missing`], [`Error::ChangedMeanwhile`], the vault's.
    pub async fn attach_to_workspace(&self, credential: CredentialId, event: Event) -> Result<usize, Error> {
        let _turn = self.turns.read().await;
        self.store.room()?;
        type Read = Option<(CredentialRow, KekRow, Vec<Host>)>;
        let found = self
            .store
            .read(move |c| -> Result<Read, store::Error> {
                let Some(row) = credentials::row(c, credential)? else { return Ok(None) };
                let targets = match &row.meta.scope {
                    Scope::Workspace(workspace) => hosts::all(c, workspace)?,
                    Scope::Personal(_) => Vec::new(),
                };
                let kek = credentials::kek(c, &row.meta.scope, row.kek_version)?;
                Ok(Some((row, kek, targets)))
            })
            .await?;
        let Some((row, kek, targets)) = found else { return Err(Error::Missing("such credential".to_owned())) };
        let Scope::Workspace(workspace) = row.meta.scope.clone() else { return Err(Error::PersonalDefault) };
        let bound = targets.iter().map(|host| (host.id, binding_of(host, &row.meta.username))).collect();
        let bindings = self.vault.bind(row.clone(), kek, bound).await?;
        let count = bindings.len();
        let attached = self
            .log
            .change_heard(self.guard.bell(), move |c| -> Result<((), Vec<Event>), Error> {
                not_rotating(c, credential, &row.meta.name)?;
                if !is_same(c, &row)? || hosts::all(c, &workspace)? != targets {
                    return Err(Error::ChangedMeanwhile(format!("credential {} or a host of the workspace", row.meta.name)));
                }
                let before = defaults::of_workspace(c, &workspace)?;
                for binding in &bindings {
                    credentials::bind(c, binding)?;
                }
                defaults::set(c, &workspace, Some(credential))?;
                if let Some(before) = before.filter(|b| b.id != credential) {
                    for host in &targets {
                        credentials::unbind_if_unchosen(c, before.id, host.id)?;
                    }
                }
                Ok(((), vec![event]))
            })
            .await?;
        attached.into_inner();
        Ok(count)
    }

    /// Takes a workspace's default away; it stays attached where it was chosen for a host or by a person.
    ///
    /// # Errors
    /// [`Error::Missing`] if it is not the default.
    pub async fn detach_from_workspace(&self, credential: CredentialId, workspace: Name, event: Event) -> Result<(), Error> {
        let detached = self
            .log
            .change_heard(self.guard.bell(), move |c| -> Result<((), Vec<Event>), Error> {
                if defaults::of_workspace(c, &workspace)?.is_none_or(|found| found.id != credential) {
                    return Err(Error::Missing("such attachment".to_owned()));
                }
                defaults::set(c, &workspace, None)?;
                for host in hosts::all(c, &workspace)? {
                    credentials::unbind_if_unchosen(c, credential, host.id)?;
                }
                Ok(((), vec![event]))
            })
            .await?;
        detached.into_inner();
        Ok(())
    }

    /// Adds a host, with its workspace's default bound to it.
    ///
    /// # Errors
    /// [`store::Error::Duplicate`], [`Error::ChangedMeanwhile`] if the default changed at the same moment, the vault's.
    pub async fn add_host(&self, host: Host, events: Vec<Event>) -> Result<(), Error> {
        let _turn = self.turns.read().await;
        self.store.room()?;
        let workspace = host.workspace.clone();
        let default = self
            .store
            .read(move |c| -> Result<Option<(CredentialRow, KekRow)>, store::Error> {
                let Some(meta) = defaults::of_workspace(c, &workspace)? else { return Ok(None) };
                let Some(row) = credentials::row(c, meta.id)? else { return Ok(None) };
                let kek = credentials::kek(c, &row.meta.scope, row.kek_version)?;
                Ok(Some((row, kek)))
            })
            .await?;
        let bindings: Vec<BindingRow> = match default.clone() {
            Some((row, kek)) => {
                let target = vec![(host.id, binding_of(&host, &row.meta.username))];
                self.vault.bind(row, kek, target).await?
            }
            None => Vec::new(),
        };
        let added = self
            .log
            .change_heard(self.guard.bell(), move |c| -> Result<((), Vec<Event>), Error> {
                let meanwhile = || Error::ChangedMeanwhile("the workspace's default credential".to_owned());
                let expected = default.as_ref().map(|(row, _)| row.meta.id);
                if defaults::of_workspace(c, &host.workspace)?.map(|found| found.id) != expected {
                    return Err(meanwhile());
                }
                if let Some((row, _)) = &default {
                    // A host that comes in between would never hear of the next secret.
                    not_rotating(c, row.meta.id, &row.meta.name)?;
                }
                if let Some((row, _)) = &default
                    && !is_same(c, row)?
                {
                    return Err(meanwhile());
                }
                if !host_cas::vouch(c, None, &host)? {
                    return Err(Error::ChangedMeanwhile("the host CAs".to_owned()));
                }
                hosts::insert(c, &host)?;
                for binding in &bindings {
                    credentials::bind(c, binding)?;
                }
                Ok(((), events))
            })
            .await?;
        added.into_inner();
        Ok(())
    }
}

/// Whether what was bound is still what stands.
fn is_same(c: &rusqlite::Connection, row: &CredentialRow) -> Result<bool, store::Error> {
    Ok(credentials::row(c, row.meta.id)?.is_some_and(|now| now.wrapped_dek == row.wrapped_dek && now.meta.username == row.meta.username))
}
