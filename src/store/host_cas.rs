//! Rows of certificate authorities of hosts. Which host has which pin of one stands in the rows of the hosts.

use rusqlite::{Connection, Row, params};

use super::Error;
use crate::model::{HostCa, Name};

/// The most authorities of a workspace.
pub const MOST: usize = 64;

const COLUMNS: &str = "name, workspace, public_key, fingerprint, hosts, created_at";

fn one(row: &Row<'_>) -> rusqlite::Result<HostCa> {
    Ok(HostCa {
        name: row.get(0)?,
        workspace: row.get(1)?,
        public_key: row.get(2)?,
        fingerprint: row.get(3)?,
        hosts: row.get(4)?,
        created_at: row.get(5)?,
    })
}

/// All authorities of a workspace, by name.
///
/// # Errors
/// What SQLite says.
pub fn all(c: &Connection, workspace: &Name) -> Result<Vec<HostCa>, Error> {
    let mut find = c.prepare_cached(&format!("SELECT {COLUMNS} FROM host_cas WHERE workspace = ?1 ORDER BY name"))?;
    Ok(find.query_map([workspace], one)?.collect::<Result<_, _>>()?)
}

/// Adds one.
///
/// # Errors
/// [`Error::Duplicate`] if the workspace has one of this name or with this key.
pub fn insert(c: &Connection, ca: &HostCa) -> Result<(), Error> {
    for known in all(c, &ca.workspace)? {
        if known.name == ca.name {
            return Err(Error::Duplicate(format!("a host CA named {}", ca.name)));
        }
        if known.fingerprint == ca.fingerprint {
            return Err(Error::Duplicate(format!("a host CA with this key, {},", known.name)));
        }
    }
    c.execute(
        &format!("INSERT INTO host_cas({COLUMNS}) VALUES(?1,?2,?3,?4,?5,?6)"),
        params![ca.name, ca.workspace, ca.public_key, ca.fingerprint, ca.hosts, ca.created_at],
    )?;
    Ok(())
}

/// Removes one; the pins of hosts are the caller's business.
///
/// # Errors
/// What SQLite says.
pub fn remove(c: &Connection, workspace: &Name, name: &Name) -> Result<(), Error> {
    c.execute("DELETE FROM host_cas WHERE workspace = ?1 AND name = ?2", params![workspace, name])?;
    Ok(())
}
