//! Which entries of the audit log tell of a session's files. Holds their numbers, nothing of what they say.

use rusqlite::{Connection, params};

use super::Error;
use super::audit_log::{self, EntryRow};
use crate::model::SessionId;

/// Notes that the entries from `first` on, so many, are about files of this session.
///
/// # Errors
/// What SQLite says.
pub fn note(c: &Connection, session: SessionId, first: u64, count: u64) -> Result<(), Error> {
    let mut insert = c.prepare_cached("INSERT INTO session_files(session, seq) VALUES(?1, ?2)")?;
    for seq in first..first.saturating_add(count) {
        insert.execute(params![session, i64::try_from(seq).unwrap_or(i64::MAX)])?;
    }
    Ok(())
}

/// The newest entries about files of a session, oldest first, at most `most`; and how many there are in all.
///
/// # Errors
/// What SQLite says.
pub fn of(c: &Connection, session: SessionId, most: u32) -> Result<(Vec<EntryRow>, u64), Error> {
    let all: i64 = c.prepare_cached("SELECT count(*) FROM session_files WHERE session = ?1")?.query_row([session], |r| r.get(0))?;
    let mut newest = c.prepare_cached("SELECT seq FROM session_files WHERE session = ?1 ORDER BY seq DESC LIMIT ?2")?;
    let seqs: Vec<i64> = newest.query_map(params![session, most], |r| r.get(0))?.collect::<Result<_, _>>()?;
    let mut rows = Vec::new();
    for seq in seqs.iter().rev().filter_map(|seq| u64::try_from(*seq).ok()) {
        rows.extend(audit_log::after(c, seq.saturating_sub(1), 1)?.into_iter().filter(|row| row.seq == seq));
    }
    Ok((rows, u64::try_from(all).unwrap_or(0)))
}
