//! Rows of the audit log: bytes in, bytes out. What they mean, and the chain, is the audit room's.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Error;
use crate::clock::Time;

/// One entry as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// Its number; the first is 1.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// The event as JSON, exactly the bytes that were hashed.
    pub body: String,
    /// The hash of the entry before.
    pub prev: Vec<u8>,
    /// This entry's hash.
    pub hash: Vec<u8>,
}

fn entry(r: &Row<'_>) -> rusqlite::Result<EntryRow> {
    Ok(EntryRow { seq: r.get::<_, i64>(0)?.try_into().unwrap_or(0), at: r.get(1)?, body: r.get(2)?, prev: r.get(3)?, hash: r.get(4)? })
}

/// Writes an entry.
///
/// # Errors
/// What SQLite says.
pub fn insert(c: &Connection, e: &EntryRow) -> Result<(), Error> {
    c.prepare_cached("INSERT INTO audit(seq, at, body, prev, hash) VALUES(?1,?2,?3,?4,?5)")?.execute(params![
        i64::try_from(e.seq).unwrap_or(i64::MAX),
        e.at,
        e.body,
        e.prev,
        e.hash
    ])?;
    Ok(())
}

/// The newest entry.
///
/// # Errors
/// What SQLite says.
pub fn last(c: &Connection) -> Result<Option<EntryRow>, Error> {
    Ok(c.prepare_cached("SELECT seq, at, body, prev, hash FROM audit ORDER BY seq DESC LIMIT 1")?.query_row([], entry).optional()?)
}

/// Entries after `after`, oldest first, at most `most`.
///
/// # Errors
/// What SQLite says.
pub fn after(c: &Connection, after: u64, most: u32) -> Result<Vec<EntryRow>, Error> {
    let mut s = c.prepare_cached("SELECT seq, at, body, prev, hash FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    Ok(s.query_map(params![i64::try_from(after).unwrap_or(i64::MAX), most], entry)?.collect::<Result<_, _>>()?)
}

/// Entries before `before`, newest first, at most `most`.
///
/// # Errors
/// What SQLite says.
pub fn before(c: &Connection, before: u64, most: u32) -> Result<Vec<EntryRow>, Error> {
    let mut s = c.prepare_cached("SELECT seq, at, body, prev, hash FROM audit WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2")?;
    Ok(s.query_map(params![i64::try_from(before).unwrap_or(i64::MAX), most], entry)?.collect::<Result<_, _>>()?)
}
