//! Rows about keys: which root keys there were, which keys the scopes have, and how old all of them are. Wrapped keys and
//! public halves; nothing here opens anything.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Error;
use super::credentials::KekRow;
use crate::clock::Time;
use crate::model::Scope;

/// A root key that is or was in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootRow {
    /// Its id, derived from the key.
    pub id: String,
    /// The public half of what it signed checkpoints with.
    pub checkpoint_key: [u8; 32],
    /// When it was made, if that is known.
    pub made_at: Option<Time>,
    /// When the next one took its place; `None`: it is in use.
    pub retired_at: Option<Time>,
    /// The newest audit entry that its checkpoints may tell of: the one that handed over.
    pub last_seq: Option<u64>,
    /// Its file is to be destroyed.
    pub doomed: bool,
}

fn root(r: &Row<'_>) -> rusqlite::Result<RootRow> {
    Ok(RootRow {
        id: r.get(0)?,
        checkpoint_key: r.get(1)?,
        made_at: r.get(2)?,
        retired_at: r.get(3)?,
        last_seq: r.get::<_, Option<i64>>(4)?.and_then(|seq| u64::try_from(seq).ok()),
        doomed: r.get(5)?,
    })
}

/// Every root key that was replaced, and the one that replaced the last; none before the first rotation.
///
/// # Errors
/// What SQLite says.
pub fn roots(c: &Connection) -> Result<Vec<RootRow>, Error> {
    let sql = "SELECT id, checkpoint_key, made_at, retired_at, last_seq, doomed FROM roots ORDER BY made_at, id";
    Ok(c.prepare_cached(sql)?.query_map([], root)?.collect::<Result<_, _>>()?)
}

/// Writes a root key, new or changed. When it was made stays as it is known.
///
/// # Errors
/// What SQLite says.
pub fn put_root(c: &Connection, r: &RootRow) -> Result<(), Error> {
    let last_seq = r.last_seq.map(|seq| i64::try_from(seq).unwrap_or(i64::MAX));
    c.execute(
        "INSERT INTO roots(id, checkpoint_key, made_at, retired_at, last_seq, doomed) VALUES(?1,?2,?3,?4,?5,?6)
         ON CONFLICT(id) DO UPDATE SET checkpoint_key = ?2, made_at = coalesce(made_at, ?3), retired_at = ?4, last_seq = ?5, doomed = ?6",
        params![r.id, &r.checkpoint_key[..], r.made_at, r.retired_at, last_seq, r.doomed],
    )?;
    Ok(())
}

/// Dooms every root key that is not in use any more.
///
/// # Errors
/// What SQLite says.
pub fn doom_former_roots(c: &Connection) -> Result<(), Error> {
    c.execute("UPDATE roots SET doomed = 1 WHERE retired_at IS NOT NULL", [])?;
    Ok(())
}

/// The scopes that have a key.
///
/// # Errors
/// What SQLite says.
pub fn scopes(c: &Connection) -> Result<Vec<Scope>, Error> {
    Ok(c.prepare_cached("SELECT DISTINCT scope FROM keks WHERE substr(wrapped, 1, 1) <> x'02' ORDER BY scope")?
        .query_map([], |r| r.get(0))?
        .collect::<Result<_, _>>()?)
}

/// Every version of a scope's key, oldest first. More than one: a rotation of it has begun and is not done.
///
/// # Errors
/// What SQLite says.
pub fn versions(c: &Connection, scope: &Scope) -> Result<Vec<KekRow>, Error> {
    let row = |r: &Row<'_>| Ok(KekRow { scope: r.get(0)?, version: r.get(1)?, wrapped: r.get(2)? });
    let sql = "SELECT scope, version, wrapped FROM keks WHERE scope = ?1 ORDER BY version";
    Ok(c.prepare_cached(sql)?.query_map([scope], row)?.collect::<Result<_, _>>()?)
}

/// Deletes the versions of a scope's key before `newest`. The caller has made sure that they wrap nothing any more.
///
/// # Errors
/// What SQLite says.
pub fn forget_before(c: &Connection, scope: &Scope, newest: u32) -> Result<usize, Error> {
    Ok(c.execute("DELETE FROM keks WHERE scope = ?1 AND version < ?2", params![scope, newest])?)
}

/// How a scope's key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KekAge {
    /// Whose key.
    pub scope: Scope,
    /// Its newest version.
    pub version: u32,
    /// Since when there is this version, if that is known.
    pub made_at: Option<Time>,
    /// Whether older versions are there, too.
    pub half_done: bool,
}

/// The newest key of every scope, and its age.
///
/// # Errors
/// What SQLite says.
pub fn ages(c: &Connection) -> Result<Vec<KekAge>, Error> {
    let sql = "SELECT k.scope, max(k.version), a.made_at, count(*) FROM keks k
               LEFT JOIN kek_ages a ON a.scope = k.scope AND a.version = (SELECT max(version) FROM keks WHERE scope = k.scope)
               GROUP BY k.scope ORDER BY k.scope";
    let row = |r: &Row<'_>| Ok(KekAge { scope: r.get(0)?, version: r.get(1)?, made_at: r.get(2)?, half_done: r.get::<_, i64>(3)? > 1 });
    Ok(c.prepare_cached(sql)?.query_map([], row)?.collect::<Result<_, _>>()?)
}

/// Which vault this database is.
///
/// # Errors
/// [`Error::Malformed`] if it does not say.
pub fn vault_id(c: &Connection) -> Result<[u8; 16], Error> {
    let id: Option<Vec<u8>> = c.query_row("SELECT value FROM meta WHERE key = 'vault_id'", [], |r| r.get(0)).optional()?;
    id.and_then(|id| id.try_into().ok()).ok_or_else(|| Error::Malformed("no vault id".to_owned()))
}
