//! Rows of agents. A token is here only as its SHA-256: it has 256 random bits, so nothing slower is needed.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Error;
use crate::model::{Agent, AgentId, AgentLimits, Name, UserId};

const COLUMNS: &str = "id, name, owner, public_key, fingerprint, token_sha256 IS NOT NULL, require_signature, max_pending, per_minute, max_output, created_at";

fn agent(r: &Row<'_>) -> rusqlite::Result<Agent> {
    Ok(Agent {
        id: r.get(0)?,
        name: r.get(1)?,
        owner: r.get(2)?,
        public_key: r.get(3)?,
        fingerprint: r.get(4)?,
        has_token: r.get(5)?,
        require_signature: r.get(6)?,
        limits: AgentLimits { pending: r.get(7)?, per_minute: r.get(8)?, output: r.get::<_, i64>(9)?.try_into().unwrap_or(0) },
        created_at: r.get(10)?,
    })
}

/// Adds an agent. Its name and its key are nobody else's.
///
/// # Errors
/// [`Error::Duplicate`].
pub fn insert(c: &Connection, a: &Agent, token_sha256: Option<&[u8; 32]>) -> Result<(), Error> {
    super::users::name_is_free(c, &a.name)?;
    if let Some(fingerprint) = &a.fingerprint {
        super::users::key_is_free(c, fingerprint)?;
    }
    c.execute(
        "INSERT INTO agents(id, name, owner, public_key, fingerprint, token_sha256, require_signature, max_pending, per_minute, max_output, created_at) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)",
        params![
            a.id,
            a.name,
            a.owner,
            a.public_key,
            a.fingerprint,
            token_sha256.map(|t| &t[..]),
            a.require_signature,
            a.limits.pending,
            a.limits.per_minute,
            i64::try_from(a.limits.output).unwrap_or(i64::MAX),
            a.created_at
        ],
    )?;
    Ok(())
}

/// All agents, by name.
///
/// # Errors
/// What SQLite says.
pub fn all(c: &Connection) -> Result<Vec<Agent>, Error> {
    Ok(c.prepare_cached(&format!("SELECT {COLUMNS} FROM agents ORDER BY name"))?.query_map([], agent)?.collect::<Result<_, _>>()?)
}

/// An agent by id.
///
/// # Errors
/// What SQLite says.
pub fn by_id(c: &Connection, id: AgentId) -> Result<Option<Agent>, Error> {
    Ok(c.prepare_cached(&format!("SELECT {COLUMNS} FROM agents WHERE id = ?1"))?.query_row([id], agent).optional()?)
}

/// An agent by name.
///
/// # Errors
/// What SQLite says.
pub fn by_name(c: &Connection, name: &Name) -> Result<Option<Agent>, Error> {
    Ok(c.prepare_cached(&format!("SELECT {COLUMNS} FROM agents WHERE name = ?1"))?.query_row([name], agent).optional()?)
}

/// The agent whose key it is.
///
/// # Errors
/// What SQLite says.
pub fn by_fingerprint(c: &Connection, fingerprint: &str) -> Result<Option<Agent>, Error> {
    Ok(c.prepare_cached(&format!("SELECT {COLUMNS} FROM agents WHERE fingerprint = ?1"))?.query_row([fingerprint], agent).optional()?)
}

/// The agent whose token has this SHA-256.
///
/// # Errors
/// What SQLite says.
pub fn by_token(c: &Connection, sha256: &[u8; 32]) -> Result<Option<Agent>, Error> {
    Ok(c.prepare_cached(&format!("SELECT {COLUMNS} FROM agents WHERE token_sha256 = ?1"))?.query_row([&sha256[..]], agent).optional()?)
}

/// How many agents a person has.
///
/// # Errors
/// What SQLite says.
pub fn count_of(c: &Connection, owner: UserId) -> Result<u32, Error> {
    Ok(c.query_row("SELECT count(*) FROM agents WHERE owner = ?1", [owner], |r| r.get(0))?)
}

/// Removes an agent.
///
/// # Errors
/// [`Error::Missing`].
pub fn remove(c: &Connection, id: AgentId) -> Result<(), Error> {
    match c.execute("DELETE FROM agents WHERE id = ?1", [id])? {
        0 => Err(Error::Missing("such agent".to_owned())),
        _ => Ok(()),
    }
}
