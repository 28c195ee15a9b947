//! A workspace's default credential, and what hangs on a credential before it is deleted. Decides nothing: the order of
//! choices is the store's, and who may do what is in the table of rights.

use super::api::Reply;
use super::desk::Call;
use super::error::Error;
use super::view::{Data, UsesView};
use super::words::CredentialRef;
use crate::model::{EventName, HostId, Name, Scope};
use crate::store::{self, defaults, sessions};

/// How many names a sentence lists.
const NAMED: usize = 10;

impl Call<'_> {
    pub(super) async fn credential_workspace_default(&self, wanted: CredentialRef, attach: bool) -> Result<Reply, Error> {
        self.one_is_meant(&wanted, if attach { "attach" } else { "detach" }, " --workspace-default").await?;
        let credential = self.credential(wanted).await?;
        if attach && matches!(credential.scope, Scope::Personal(_)) {
            return Err(Error::unfit(
                format!("{} is personal: a workspace's default signs in everybody", credential.name),
                "add one for all: keyward credential add NAME --username USER --password --scope workspace",
            ));
        }
        let name = if attach { EventName::CredentialAttached } else { EventName::CredentialDetached };
        let event = self.event(name).credential(&credential).with("for", "the workspace").with("workspace", &self.workspace);
        let said = if attach {
            let count = self.parts.custody.attach_to_workspace(credential.id, event).await?;
            let hosts = if count == 1 { "1 host is".to_owned() } else { format!("{count} hosts are") };
            format!(
                "credential {} is the default of workspace {}: it signs in where a host has none of its own; {hosts} bound to it, and those that are added later",
                credential.name, self.workspace
            )
        } else {
            self.parts.custody.detach_from_workspace(credential.id, self.workspace.clone(), event).await.map_err(|e| match e {
                crate::custody::Error::Missing(_) => Error::unfit(
                    format!("credential {} is not the default of workspace {}", credential.name, self.workspace),
                    "see which one is: keyward credential list",
                ),
                e => e.into(),
            })?;
            format!("credential {} is not the default of workspace {} any more", credential.name, self.workspace)
        };
        Ok(Reply::done(Data::Credential(self.credential_view(&credential).await?), said))
    }

    /// What a deletion would take away: asked for before somebody is asked whether they are sure.
    pub(super) async fn credential_uses(&self, wanted: CredentialRef) -> Result<Reply, Error> {
        self.one_is_meant(&wanted, "delete", "").await?;
        let credential = self.credential_to_change(wanted).await?;
        let view = self.credential_view(&credential).await?;
        let id = credential.id;
        let asked = credential.clone();
        let (bare, live) = self
            .parts
            .store
            .read(move |c| -> Result<_, store::Error> { Ok((defaults::left_bare(c, &asked)?, sessions::live_with(c, id)?)) })
            .await?;
        let left_bare = self.names_of_seen(&bare).await?;
        let question = question(&view.name, &view.default_on, view.workspace_default, &left_bare);
        Ok(Reply::of(Data::Uses(UsesView {
            name: view.name,
            default_on: view.default_on,
            workspace_default: view.workspace_default,
            left_bare,
            live_sessions: live,
            question,
        })))
    }

    /// The names of those hosts that the caller may see.
    pub(super) async fn names_of_seen(&self, hosts: &[(HostId, Name)]) -> Result<Vec<Name>, Error> {
        if hosts.is_empty() {
            return Ok(Vec::new());
        }
        let seen: Vec<HostId> = self.visible_hosts().await?.iter().map(|host| host.id).collect();
        Ok(hosts.iter().filter(|(id, _)| seen.contains(id)).map(|(_, name)| name.clone()).collect())
    }
}

/// What somebody at a terminal is asked before a credential goes; `None`: no host stands on it.
fn question(name: &Name, default_on: &[Name], workspace_default: bool, left_bare: &[Name]) -> Option<String> {
    let stands = match (default_on, workspace_default) {
        ([], false) => return None,
        ([], true) => "the default of the workspace".to_owned(),
        (hosts, false) => format!("the default of {}", named(hosts)),
        (hosts, true) => format!("the default of the workspace and of {}", named(hosts)),
    };
    let left = if left_bare.is_empty() { String::new() } else { format!("; {} will have no credential", named(left_bare)) };
    Some(format!("{name} is {stands}{left}. Delete it?"))
}

/// What is said about hosts that a deletion left without a credential.
pub(super) fn left_note(hosts: &[Name]) -> Option<String> {
    let verb = if hosts.len() == 1 { "has" } else { "have" };
    (!hosts.is_empty()).then(|| format!("{} {verb} no credential any more: keyward credential attach NAME --host HOST", named(hosts)))
}

/// The first names, and how many more there are.
fn named(hosts: &[Name]) -> String {
    let shown = hosts.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match hosts.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
