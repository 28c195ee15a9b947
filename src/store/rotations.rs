//! Rows of rotations that stand open, and of their hosts. The next secret itself is a row of credentials that no list shows.

use rusqlite::{Connection, OptionalExtension, params};

use super::Error;
use crate::clock::Time;
use crate::model::{CredentialId, HostId, HostStep, Name, RotationStage};

/// A rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationRow {
    /// Of which credential.
    pub credential: CredentialId,
    /// The credential that keeps the next secret; `None` once that is in force.
    pub next: Option<CredentialId>,
    /// How it stands.
    pub stage: RotationStage,
    /// The public key that goes; `None` for a password.
    pub old_key: Option<String>,
    /// The public key that comes; `None` for a password.
    pub new_key: Option<String>,
    /// Who started it.
    pub started_by: Name,
    /// When.
    pub started_at: Time,
}

/// A host of a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationHostRow {
    /// The host.
    pub host: HostId,
    /// Its name now.
    pub name: Name,
    /// How far it is.
    pub step: HostStep,
    /// Why it is no further, if it was tried.
    pub failure: Option<String>,
    /// Since when.
    pub at: Time,
}

/// The rotation of a credential, if one stands open.
///
/// # Errors
/// What SQLite says.
pub fn of(c: &Connection, credential: CredentialId) -> Result<Option<RotationRow>, Error> {
    let sql = "SELECT credential, next, stage, old_key, new_key, started_by, started_at FROM rotations WHERE credential = ?1";
    let row = |r: &rusqlite::Row<'_>| {
        Ok(RotationRow {
            credential: r.get(0)?,
            next: r.get(1)?,
            stage: r.get(2)?,
            old_key: r.get(3)?,
            new_key: r.get(4)?,
            started_by: r.get(5)?,
            started_at: r.get(6)?,
        })
    };
    Ok(c.prepare_cached(sql)?.query_row([credential], row).optional()?)
}

/// Its hosts, by name.
///
/// # Errors
/// What SQLite says.
pub fn hosts(c: &Connection, credential: CredentialId) -> Result<Vec<RotationHostRow>, Error> {
    let sql = "SELECT r.host, h.name, r.step, r.failure, r.at FROM rotation_hosts r JOIN hosts h ON h.id = r.host \
               WHERE r.credential = ?1 ORDER BY h.name";
    let row = |r: &rusqlite::Row<'_>| {
        Ok(RotationHostRow { host: r.get(0)?, name: r.get(1)?, step: r.get(2)?, failure: r.get(3)?, at: r.get(4)? })
    };
    Ok(c.prepare_cached(sql)?.query_map([credential], row)?.collect::<Result<_, _>>()?)
}

/// The next secret of a credential, and how far a host is with it; `None`: nothing is in between there.
///
/// # Errors
/// What SQLite says.
pub fn between(c: &Connection, credential: CredentialId, host: HostId) -> Result<Option<(CredentialId, HostStep)>, Error> {
    let sql = "SELECT r.next, h.step FROM rotations r JOIN rotation_hosts h ON h.credential = r.credential \
               WHERE r.credential = ?1 AND h.host = ?2 AND r.next IS NOT NULL";
    Ok(c.prepare_cached(sql)?.query_row(params![credential, host], |r| Ok((r.get(0)?, r.get(1)?))).optional()?)
}

/// Begins one.
///
/// # Errors
/// [`Error::Duplicate`] if one stands open.
pub fn begin(c: &Connection, row: &RotationRow, hosts: &[HostId]) -> Result<(), Error> {
    c.execute(
        "INSERT INTO rotations(credential, next, stage, old_key, new_key, started_by, started_at) VALUES(?1,?2,?3,?4,?5,?6,?7)",
        params![row.credential, row.next, row.stage, row.old_key, row.new_key, row.started_by, row.started_at],
    )?;
    for host in hosts {
        set_step(c, row.credential, *host, HostStep::Pending, None, row.started_at)?;
    }
    Ok(())
}

/// Notes how far a host is, and why it is no further.
///
/// # Errors
/// What SQLite says.
pub fn set_step(
    c: &Connection,
    credential: CredentialId,
    host: HostId,
    step: HostStep,
    failure: Option<&str>,
    at: Time,
) -> Result<(), Error> {
    c.execute(
        "INSERT INTO rotation_hosts(credential, host, step, failure, at) VALUES(?1,?2,?3,?4,?5)
         ON CONFLICT(credential, host) DO UPDATE SET step = ?3, failure = ?4, at = ?5",
        params![credential, host, step, failure, at],
    )?;
    Ok(())
}

/// Notes how it stands; `next` is `None` once the next secret is in force.
///
/// # Errors
/// [`Error::Missing`].
pub fn set_stage(c: &Connection, credential: CredentialId, stage: RotationStage, next: Option<CredentialId>) -> Result<(), Error> {
    match c.execute("UPDATE rotations SET stage = ?2, next = ?3 WHERE credential = ?1", params![credential, stage, next])? {
        0 => Err(Error::Missing("such rotation".to_owned())),
        _ => Ok(()),
    }
}

/// Ends one; its hosts go with it.
///
/// # Errors
/// [`Error::Missing`].
pub fn end(c: &Connection, credential: CredentialId) -> Result<(), Error> {
    match c.execute("DELETE FROM rotations WHERE credential = ?1", [credential])? {
        0 => Err(Error::Missing("such rotation".to_owned())),
        _ => Ok(()),
    }
}

/// Whether a credential keeps the next secret of another one: nothing that is shown.
///
/// # Errors
/// What SQLite says.
pub fn is_next(c: &Connection, credential: CredentialId) -> Result<bool, Error> {
    Ok(c.prepare_cached("SELECT EXISTS(SELECT 1 FROM rotations WHERE next = ?1)")?.query_row([credential], |r| r.get(0))?)
}
