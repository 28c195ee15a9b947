//! Which credential is taken on a host where none is named: the order, and the default of a whole workspace.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, credentials};
use crate::model::{Credential, CredentialId, Host, HostId, Name, Scope, UserId};

/// Why a credential is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// The person chose it for themselves.
    Own,
    /// It is the host's default.
    Host,
    /// It is the workspace's default, and the host has none of its own.
    Workspace,
}

impl Chosen {
    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Host => "host",
            Self::Workspace => "workspace",
        }
    }
}

/// The credential that signs a person in on a host when they name none: their own choice, else the host's default, else
/// the workspace's.
///
/// # Errors
/// What SQLite says.
pub fn taken(c: &Connection, host: &Host, user: UserId) -> Result<Option<(Credential, Chosen)>, Error> {
    if let Some(own) = credentials::chosen(c, host.id, Some(user))? {
        return Ok(Some((own, Chosen::Own)));
    }
    for_everybody(c, host)
}

/// The credential that signs everybody in who has no choice of their own: the host's default, else the workspace's.
///
/// # Errors
/// What SQLite says.
pub fn for_everybody(c: &Connection, host: &Host) -> Result<Option<(Credential, Chosen)>, Error> {
    if let Some(own) = credentials::chosen(c, host.id, None)? {
        return Ok(Some((own, Chosen::Host)));
    }
    Ok(of_workspace(c, &host.workspace)?.map(|found| (found, Chosen::Workspace)))
}

/// The default of a workspace.
///
/// # Errors
/// What SQLite says.
pub fn of_workspace(c: &Connection, workspace: &Name) -> Result<Option<Credential>, Error> {
    let sql = "SELECT credential FROM workspace_defaults WHERE workspace = ?1";
    let id: Option<CredentialId> = c.prepare_cached(sql)?.query_row([workspace], |r| r.get(0)).optional()?;
    id.map_or(Ok(None), |id| credentials::by_id(c, id))
}

/// Whether a credential stands in for a host's default: it is the workspace's, and the host has none of its own.
///
/// # Errors
/// What SQLite says.
pub fn stands_in(c: &Connection, host: HostId, credential: CredentialId) -> Result<bool, Error> {
    Ok(is_of_workspace_of(c, host, credential)? && credentials::chosen(c, host, None)?.is_none())
}

/// Whether somebody who is granted the host may use this credential there by its name. What somebody bound for themselves alone is
/// nobody else's choice.
///
/// # Errors
/// What SQLite says.
pub fn is_open(c: &Connection, credential: &Credential, user: UserId, host: HostId) -> Result<bool, Error> {
    Ok(match &credential.scope {
        Scope::Personal(owner) => *owner == user && credentials::binding(c, credential.id, host)?.is_some(),
        Scope::Workspace(_) => {
            credentials::is_shared(c, host, credential.id)?
                || stands_in(c, host, credential.id)?
                || credentials::chosen(c, host, Some(user))?.is_some_and(|own| own.id == credential.id)
        }
    })
}

/// Whether somebody signs in on a host with a credential that is bound to it: it was chosen there, or stands in. One that is
/// bound only because the host may lose its own default some day is not in use.
///
/// # Errors
/// What SQLite says.
pub fn is_in_use(c: &Connection, host: HostId, credential: CredentialId) -> Result<bool, Error> {
    let sql = "SELECT EXISTS(SELECT 1 FROM choices WHERE host = ?1 AND credential = ?2)";
    let chosen: bool = c.prepare_cached(sql)?.query_row(params![host, credential], |r| r.get(0))?;
    Ok(chosen || stands_in(c, host, credential)?)
}

/// The hosts that nothing signs in on any more, but what people chose for themselves, once this credential is gone.
///
/// # Errors
/// What SQLite says.
pub fn left_bare(c: &Connection, credential: &Credential) -> Result<Vec<(HostId, Name)>, Error> {
    let Scope::Workspace(workspace) = &credential.scope else { return Ok(Vec::new()) };
    let of_all = of_workspace(c, workspace)?;
    let mut bare = Vec::new();
    if of_all.as_ref().is_some_and(|other| other.id != credential.id) {
        return Ok(bare);
    }
    for (host, name) in credentials::hosts_of(c, credential.id)? {
        let gone = match credentials::chosen(c, host, None)? {
            Some(default) => default.id == credential.id,
            None => of_all.is_some(),
        };
        if gone {
            bare.push((host, name));
        }
    }
    Ok(bare)
}

/// Whether a credential is the default of the workspace that this host belongs to.
///
/// # Errors
/// What SQLite says.
pub fn is_of_workspace_of(c: &Connection, host: HostId, credential: CredentialId) -> Result<bool, Error> {
    let sql =
        "SELECT EXISTS(SELECT 1 FROM workspace_defaults d JOIN hosts h ON h.workspace = d.workspace WHERE h.id = ?1 AND d.credential = ?2)";
    Ok(c.prepare_cached(sql)?.query_row(params![host, credential], |r| r.get(0))?)
}

/// Makes a credential a workspace's default, or takes the default away. It must be bound to the workspace's hosts in the
/// same change.
///
/// # Errors
/// What SQLite says.
pub fn set(c: &Connection, workspace: &Name, credential: Option<CredentialId>) -> Result<(), Error> {
    match credential {
        Some(credential) => c.execute(
            "INSERT INTO workspace_defaults(workspace, credential) VALUES(?1,?2) ON CONFLICT(workspace) DO UPDATE SET credential = ?2",
            params![workspace, credential],
        )?,
        None => c.execute("DELETE FROM workspace_defaults WHERE workspace = ?1", [workspace])?,
    };
    Ok(())
}
