//! Rows of workspaces, and what belongs to one. `default` has no row: every home has it.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, scans};
use crate::clock::Time;
use crate::model::{CredentialId, DEFAULT_WORKSPACE, Name, ScanId, Scope, SessionId};

/// The workspace of sessions whose own was removed. No name is written like this.
const REMOVED: &str = "(removed)";

/// How much is in a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Hosts.
    pub hosts: u64,
    /// The workspace's own credentials.
    pub credentials: u64,
    /// Grants.
    pub grants: u64,
    /// Sessions that live.
    pub live_sessions: u64,
}

/// Whether there is such a workspace.
///
/// # Errors
/// What SQLite says.
pub fn exists(c: &Connection, name: &Name) -> Result<bool, Error> {
    if name.as_str() == DEFAULT_WORKSPACE {
        return Ok(true);
    }
    Ok(c.prepare_cached("SELECT EXISTS(SELECT 1 FROM workspaces WHERE name = ?1)")?.query_row([name], |r| r.get(0))?)
}

/// All workspaces by name, `default` among them, each with when it was added.
///
/// # Errors
/// What SQLite says.
pub fn all(c: &Connection) -> Result<Vec<(Name, Option<Time>)>, Error> {
    let mut found: Vec<(Name, Option<Time>)> = c
        .prepare_cached("SELECT name, created_at FROM workspaces")?
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<Result<_, _>>()?;
    found.push((DEFAULT_WORKSPACE.parse().map_err(|_| Error::Malformed("the default workspace".to_owned()))?, None));
    found.sort();
    Ok(found)
}

/// Adds a workspace.
///
/// # Errors
/// [`Error::Duplicate`].
pub fn insert(c: &Connection, name: &Name, at: Time) -> Result<(), Error> {
    if exists(c, name)? {
        return Err(Error::Duplicate(format!("a workspace named {name}")));
    }
    c.execute("INSERT INTO workspaces(name, created_at) VALUES(?1,?2)", params![name, at])?;
    Ok(())
}

/// How much is in a workspace.
///
/// # Errors
/// What SQLite says.
pub fn counts(c: &Connection, name: &Name) -> Result<Counts, Error> {
    let count = |sql: &str, key: String| -> Result<u64, Error> {
        let found: i64 = c.prepare_cached(sql)?.query_row([key], |r| r.get(0))?;
        Ok(u64::try_from(found).unwrap_or(0))
    };
    Ok(Counts {
        hosts: count("SELECT count(*) FROM hosts WHERE workspace = ?1", name.to_string())?,
        credentials: count("SELECT count(*) FROM credentials WHERE scope = ?1", Scope::Workspace(name.clone()).key())?,
        grants: count("SELECT count(*) FROM grants WHERE workspace = ?1", name.to_string())?,
        live_sessions: count("SELECT count(*) FROM sessions WHERE workspace = ?1 AND ended_at IS NULL", name.to_string())?,
    })
}

/// The sessions that live in a workspace.
///
/// # Errors
/// What SQLite says.
pub fn live_sessions(c: &Connection, name: &Name) -> Result<Vec<SessionId>, Error> {
    let sql = "SELECT id FROM sessions WHERE workspace = ?1 AND ended_at IS NULL ORDER BY id";
    Ok(c.prepare_cached(sql)?.query_map([name], |r| r.get(0))?.collect::<Result<_, _>>()?)
}

/// Whether a session was opened to a host of this workspace.
///
/// # Errors
/// What SQLite says.
pub fn has_session(c: &Connection, name: &Name, session: SessionId) -> Result<bool, Error> {
    let sql = "SELECT EXISTS(SELECT 1 FROM sessions WHERE id = ?1 AND workspace = ?2)";
    Ok(c.prepare_cached(sql)?.query_row(params![session, name], |r| r.get(0))?)
}

/// A scan of the workspace that runs.
///
/// # Errors
/// What SQLite says.
pub fn running_scan(c: &Connection, name: &Name) -> Result<Option<ScanId>, Error> {
    let sql = "SELECT id FROM scans WHERE workspace = ?1 AND state = 'running' LIMIT 1";
    Ok(c.prepare_cached(sql)?.query_row([name], |r| r.get(0)).optional()?)
}

/// Removes a workspace with all that is in it: grants, hosts, credentials, results of scans, and every version of its key.
/// Without the key no copy of a row opens any more. What is recorded of its sessions stays, under no workspace's name.
///
/// # Errors
/// [`Error::Missing`].
pub fn remove(c: &Connection, name: &Name) -> Result<(), Error> {
    let scope = Scope::Workspace(name.clone());
    // Before the credentials: a rotation that stands open points at two of them.
    c.execute("DELETE FROM rotations WHERE credential IN (SELECT id FROM credentials WHERE scope = ?1)", [&scope])?;
    let credentials: Vec<CredentialId> =
        c.prepare("SELECT id FROM credentials WHERE scope = ?1")?.query_map([&scope], |r| r.get(0))?.collect::<Result<_, _>>()?;
    for credential in credentials {
        super::credentials::remove(c, credential)?;
    }
    c.execute("DELETE FROM keks WHERE scope = ?1", [&scope])?;
    c.execute("DELETE FROM workspace_defaults WHERE workspace = ?1", [name])?;
    c.execute("DELETE FROM grants WHERE workspace = ?1", [name])?;
    c.execute("DELETE FROM hosts WHERE workspace = ?1", [name])?;
    c.execute("DELETE FROM host_cas WHERE workspace = ?1", [name])?;
    let scanned: Vec<ScanId> =
        c.prepare("SELECT id FROM scans WHERE workspace = ?1")?.query_map([name], |r| r.get(0))?.collect::<Result<_, _>>()?;
    for scan in scanned {
        scans::remove(c, scan)?;
    }
    c.execute("UPDATE sessions SET workspace = ?2 WHERE workspace = ?1", params![name, REMOVED])?;
    match c.execute("DELETE FROM workspaces WHERE name = ?1", [name])? {
        0 => Err(Error::Missing(format!("workspace {name}"))),
        _ => Ok(()),
    }
}
