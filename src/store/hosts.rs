//! Rows of hosts, their tags and pinned keys.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Error;
use crate::model::{Address, Host, HostId, HostKey, Name};

const COLUMNS: &str = "id, workspace, name, address, port, trust_first_use, created_at";

fn bare(row: &Row<'_>) -> rusqlite::Result<Host> {
    Ok(Host {
        id: row.get(0)?,
        workspace: row.get(1)?,
        name: row.get(2)?,
        address: Address { host: row.get(3)?, port: row.get(4)? },
        tags: BTreeMap::new(),
        trust_first_use: row.get(5)?,
        host_keys: Vec::new(),
        via: None,
        legacy: crate::model::Legacy::default(),
        created_at: row.get(6)?,
    })
}

fn complete(c: &Connection, mut host: Host) -> Result<Host, Error> {
    let mut tags = c.prepare_cached("SELECT key, value FROM host_tags WHERE host = ?1")?;
    host.tags = tags.query_map([host.id], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut keys = c.prepare_cached(
        "SELECT public_key, fingerprint, source, pinned_at FROM host_keys WHERE host = ?1 ORDER BY pinned_at, fingerprint",
    )?;
    host.host_keys = keys
        .query_map([host.id], |r| Ok(HostKey { public_key: r.get(0)?, fingerprint: r.get(1)?, source: r.get(2)?, pinned_at: r.get(3)? }))?
        .collect::<Result<_, _>>()?;
    (host.via, host.legacy) = super::ways::read(c, host.id)?;
    Ok(host)
}

/// Refuses a name that another host of the workspace has, or a person, an agent or a group.
fn name_is_free(c: &Connection, workspace: &Name, name: &Name) -> Result<(), Error> {
    super::users::name_is_nobodys(c, name)?;
    if by_name(c, workspace, name)?.is_some() { Err(Error::Duplicate(format!("a host named {name}"))) } else { Ok(()) }
}

/// Adds a host with its tags and keys. No user or group has its name.
///
/// # Errors
/// [`Error::Duplicate`].
pub fn insert(c: &Connection, h: &Host) -> Result<(), Error> {
    name_is_free(c, &h.workspace, &h.name)?;
    c.execute(
        &format!("INSERT INTO hosts({COLUMNS}) VALUES(?1,?2,?3,?4,?5,?6,?7)"),
        params![h.id, h.workspace, h.name, h.address.host, h.address.port, h.trust_first_use, h.created_at],
    )?;
    set_tags(c, h.id, &h.tags)?;
    for key in &h.host_keys {
        pin(c, h.id, key)?;
    }
    super::ways::write(c, h)
}

/// Writes name, address, first-use policy and way of a host that exists. Bindings must be wrapped anew in the same change.
///
/// # Errors
/// [`Error::Missing`], [`Error::Duplicate`].
pub fn update(c: &Connection, h: &Host) -> Result<(), Error> {
    let old: Name = c
        .query_row("SELECT name FROM hosts WHERE id = ?1", [h.id], |r| r.get(0))
        .optional()?
        .ok_or_else(|| Error::Missing("such host".to_owned()))?;
    if old != h.name {
        name_is_free(c, &h.workspace, &h.name)?;
    }
    c.execute(
        "UPDATE hosts SET name = ?2, address = ?3, port = ?4, trust_first_use = ?5 WHERE id = ?1",
        params![h.id, h.name, h.address.host, h.address.port, h.trust_first_use],
    )?;
    super::ways::write(c, h)
}

/// Replaces the tags.
///
/// # Errors
/// What SQLite says.
pub fn set_tags(c: &Connection, id: HostId, tags: &BTreeMap<String, String>) -> Result<(), Error> {
    c.execute("DELETE FROM host_tags WHERE host = ?1", [id])?;
    for (key, value) in tags {
        c.execute("INSERT INTO host_tags(host, key, value) VALUES(?1,?2,?3)", params![id, key, value])?;
    }
    Ok(())
}

/// Pins a key; pinning it again changes nothing.
///
/// # Errors
/// What SQLite says.
pub fn pin(c: &Connection, id: HostId, key: &HostKey) -> Result<(), Error> {
    c.execute(
        "INSERT OR IGNORE INTO host_keys(host, fingerprint, public_key, source, pinned_at) VALUES(?1,?2,?3,?4,?5)",
        params![id, key.fingerprint, key.public_key, key.source, key.pinned_at],
    )?;
    Ok(())
}

/// Removes every pin of a host.
///
/// # Errors
/// What SQLite says.
pub fn unpin_all(c: &Connection, id: HostId) -> Result<(), Error> {
    c.execute("DELETE FROM host_keys WHERE host = ?1", [id])?;
    Ok(())
}

/// Removes a host with all that hangs on it.
///
/// # Errors
/// What SQLite says.
pub fn remove(c: &Connection, id: HostId) -> Result<(), Error> {
    c.execute("DELETE FROM hosts WHERE id = ?1", [id])?;
    Ok(())
}

/// A host of a workspace by name.
///
/// # Errors
/// What SQLite says.
pub fn by_name(c: &Connection, workspace: &Name, name: &Name) -> Result<Option<Host>, Error> {
    let found = c
        .prepare_cached(&format!("SELECT {COLUMNS} FROM hosts WHERE workspace = ?1 AND name = ?2"))?
        .query_row([workspace, name], bare)
        .optional()?;
    found.map(|h| complete(c, h)).transpose()
}

/// A host by id.
///
/// # Errors
/// What SQLite says.
pub fn by_id(c: &Connection, id: HostId) -> Result<Option<Host>, Error> {
    let found = c.prepare_cached(&format!("SELECT {COLUMNS} FROM hosts WHERE id = ?1"))?.query_row([id], bare).optional()?;
    found.map(|h| complete(c, h)).transpose()
}

/// All hosts of a workspace, by name.
///
/// # Errors
/// What SQLite says.
pub fn all(c: &Connection, workspace: &Name) -> Result<Vec<Host>, Error> {
    let bares: Vec<Host> = c
        .prepare_cached(&format!("SELECT {COLUMNS} FROM hosts WHERE workspace = ?1 ORDER BY name"))?
        .query_map([workspace], bare)?
        .collect::<Result<_, _>>()?;
    bares.into_iter().map(|h| complete(c, h)).collect()
}
