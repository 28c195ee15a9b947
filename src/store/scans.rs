//! Rows of scans: what was asked, how each host came out, and the texts that they refer to, each stored once. Texts are packed by
//! whoever writes them; nothing here knows what they mean.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Error;
use crate::clock::Time;
use crate::model::{HostId, HostState, Name, RunState, ScanId, SessionId, UserId};

/// A scan.
#[derive(Clone, Debug)]
pub struct ScanRow {
    /// Its id.
    pub id: ScanId,
    /// Of which workspace.
    pub workspace: Name,
    /// Who started it.
    pub user: UserId,
    /// Their name then.
    pub user_name: Name,
    /// The profile, or the policies' names.
    pub profile: String,
    /// Which hosts were meant.
    pub selector: String,
    /// The SHA-256 of what was asked, as hexadecimal digits.
    pub digest: String,
    /// What was asked, packed.
    pub asked: Vec<u8>,
    /// How it stands.
    pub state: RunState,
    /// When it was started.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
}

/// A host in a scan.
#[derive(Clone, Debug)]
pub struct ScanHostRow {
    /// The host.
    pub host: HostId,
    /// Its name then.
    pub host_name: Name,
    /// Its address then.
    pub address: String,
    /// How it stands.
    pub state: HostState,
    /// The session that it was asked in.
    pub session: Option<SessionId>,
    /// The SHA-256 of its facts' text.
    pub facts: Option<[u8; 32]>,
    /// Its answers, packed.
    pub answers: Option<Vec<u8>>,
    /// Its report, packed.
    pub report: Option<Vec<u8>>,
    /// When it was done.
    pub ended_at: Option<Time>,
}

/// A scan, with how many of its hosts stand how.
pub type Counted = (ScanRow, Vec<(HostState, u64)>);

/// A packed text and the SHA-256 of what it was before.
#[derive(Clone, Debug)]
pub struct Text {
    /// Of the text as it was.
    pub sha256: [u8; 32],
    /// The text, packed.
    pub packed: Vec<u8>,
}

const COLUMNS: &str = "id, workspace, user, user_name, profile, selector, digest, asked, state, started_at, ended_at";

fn scan(r: &Row<'_>) -> rusqlite::Result<ScanRow> {
    Ok(ScanRow {
        id: r.get(0)?,
        workspace: r.get(1)?,
        user: r.get(2)?,
        user_name: r.get(3)?,
        profile: r.get(4)?,
        selector: r.get(5)?,
        digest: r.get(6)?,
        asked: r.get(7)?,
        state: r.get(8)?,
        started_at: r.get(9)?,
        ended_at: r.get(10)?,
    })
}

const HOST_COLUMNS: &str = "host, host_name, address, state, session, facts, answers, report, ended_at";

fn host(r: &Row<'_>) -> rusqlite::Result<ScanHostRow> {
    let facts: Option<Vec<u8>> = r.get(5)?;
    Ok(ScanHostRow {
        host: r.get(0)?,
        host_name: r.get(1)?,
        address: r.get(2)?,
        state: r.get(3)?,
        session: r.get(4)?,
        facts: facts.and_then(|f| f.try_into().ok()),
        answers: r.get(6)?,
        report: r.get(7)?,
        ended_at: r.get(8)?,
    })
}

/// Adds a scan with its hosts.
///
/// # Errors
/// What SQLite says.
pub fn begin(c: &Connection, row: &ScanRow, hosts: &[ScanHostRow]) -> Result<(), Error> {
    c.execute(
        &format!("INSERT INTO scans({COLUMNS}) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11)"),
        params![
            row.id,
            row.workspace,
            row.user,
            row.user_name,
            row.profile,
            row.selector,
            row.digest,
            row.asked,
            row.state,
            row.started_at,
            row.ended_at
        ],
    )?;
    for h in hosts {
        put_host(c, row.id, h, &[])?;
    }
    Ok(())
}

/// Writes a host's row, new or again, with the texts that it refers to.
///
/// # Errors
/// What SQLite says.
pub fn put_host(c: &Connection, scan: ScanId, row: &ScanHostRow, texts: &[Text]) -> Result<(), Error> {
    c.prepare_cached(&format!("INSERT OR REPLACE INTO scan_hosts(scan, {HOST_COLUMNS}) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)"))?.execute(
        params![
            scan,
            row.host,
            row.host_name,
            row.address,
            row.state,
            row.session,
            row.facts.as_ref().map(|f| &f[..]),
            row.answers,
            row.report,
            row.ended_at
        ],
    )?;
    for text in texts {
        c.prepare_cached("INSERT OR IGNORE INTO scan_texts(sha256, packed) VALUES(?1,?2)")?
            .execute(params![&text.sha256[..], text.packed])?;
        c.prepare_cached("INSERT OR IGNORE INTO scan_refs(scan, host, sha256) VALUES(?1,?2,?3)")?.execute(params![
            scan,
            row.host,
            &text.sha256[..]
        ])?;
    }
    Ok(())
}

/// Changes only how a host stands. The session that it was asked in, once there is one, stays.
///
/// # Errors
/// What SQLite says.
pub fn set_host_state(c: &Connection, scan: ScanId, host: HostId, state: HostState, session: Option<SessionId>) -> Result<(), Error> {
    c.prepare_cached("UPDATE scan_hosts SET state=?3, session=coalesce(?4, session) WHERE scan=?1 AND host=?2")?
        .execute(params![scan, host, state, session])?;
    Ok(())
}

/// A host has come to its end with what is there.
///
/// # Errors
/// What SQLite says.
pub fn end_host(c: &Connection, scan: ScanId, host: HostId, state: HostState, ended_at: Option<Time>) -> Result<(), Error> {
    c.prepare_cached("UPDATE scan_hosts SET state=?3, ended_at=?4 WHERE scan=?1 AND host=?2")?
        .execute(params![scan, host, state, ended_at])?;
    Ok(())
}

/// A scan that was interrupted or cancelled runs again. `false`: it is not, or somebody was faster.
///
/// # Errors
/// What SQLite says.
pub fn take_up(c: &Connection, id: ScanId) -> Result<bool, Error> {
    let sql = "UPDATE scans SET state=?2, ended_at=NULL WHERE id=?1 AND state IN (?3, ?4)";
    Ok(c.execute(sql, params![id, RunState::Running, RunState::Interrupted, RunState::Cancelled])? == 1)
}

/// A host of a scan.
///
/// # Errors
/// What SQLite says.
pub fn host_row(c: &Connection, scan: ScanId, of: HostId) -> Result<Option<ScanHostRow>, Error> {
    let sql = format!("SELECT {HOST_COLUMNS} FROM scan_hosts WHERE scan = ?1 AND host = ?2");
    Ok(c.prepare_cached(&sql)?.query_row(params![scan, of], host).optional()?)
}

/// Changes how a scan stands.
///
/// # Errors
/// [`Error::Missing`].
pub fn set_state(c: &Connection, id: ScanId, state: RunState, ended_at: Option<Time>) -> Result<(), Error> {
    match c.execute("UPDATE scans SET state=?2, ended_at=?3 WHERE id=?1", params![id, state, ended_at])? {
        0 => Err(Error::Missing("such scan".to_owned())),
        _ => Ok(()),
    }
}

/// A scan by id.
///
/// # Errors
/// What SQLite says.
pub fn by_id(c: &Connection, id: ScanId) -> Result<Option<ScanRow>, Error> {
    Ok(c.query_row(&format!("SELECT {COLUMNS} FROM scans WHERE id = ?1"), [id], scan).optional()?)
}

/// The newest scans of a workspace, newest first; only one person's, if one is named. With how many hosts each has, by state.
///
/// # Errors
/// What SQLite says.
pub fn newest(c: &Connection, workspace: &Name, user: Option<UserId>, limit: u32) -> Result<Vec<Counted>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM scans WHERE workspace = ?1 AND (?2 IS NULL OR user = ?2) ORDER BY started_at DESC, id DESC LIMIT ?3"
    );
    let rows: Vec<ScanRow> = c.prepare_cached(&sql)?.query_map(params![workspace, user, limit], scan)?.collect::<Result<_, _>>()?;
    let mut counted = c.prepare_cached("SELECT state, count(*) FROM scan_hosts WHERE scan = ?1 GROUP BY state ORDER BY state")?;
    rows.into_iter()
        .map(|row| {
            let counts = counted
                .query_map([row.id], |r| Ok((r.get(0)?, u64::try_from(r.get::<_, i64>(1)?).unwrap_or(0))))?
                .collect::<Result<Vec<_>, _>>()?;
            Ok((row, counts))
        })
        .collect()
}

/// Every scan that has no end.
///
/// # Errors
/// What SQLite says.
pub fn running(c: &Connection) -> Result<Vec<ScanRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM scans WHERE state = ?1 ORDER BY id");
    Ok(c.prepare(&sql)?.query_map([RunState::Running], scan)?.collect::<Result<_, _>>()?)
}

/// The hosts of a scan, by name.
///
/// # Errors
/// What SQLite says.
pub fn hosts(c: &Connection, id: ScanId) -> Result<Vec<ScanHostRow>, Error> {
    let sql = format!("SELECT {HOST_COLUMNS} FROM scan_hosts WHERE scan = ?1 ORDER BY host_name");
    Ok(c.prepare_cached(&sql)?.query_map([id], host)?.collect::<Result<_, _>>()?)
}

/// The newest row of a host that has facts: not of this scan, and only of this person's, where they are named.
///
/// # Errors
/// What SQLite says.
pub fn last_known(
    c: &Connection,
    workspace: &Name,
    of: HostId,
    before: Option<ScanId>,
    user: Option<UserId>,
) -> Result<Option<(ScanRow, ScanHostRow)>, Error> {
    let sql = format!(
        "SELECT scan, {HOST_COLUMNS} FROM scan_hosts WHERE host = ?1 AND facts IS NOT NULL AND ended_at IS NOT NULL
           AND (?2 IS NULL OR scan <> ?2) AND (?3 IS NULL OR scan IN (SELECT id FROM scans WHERE user = ?3)) ORDER BY ended_at DESC LIMIT 1"
    );
    let found = c
        .prepare_cached(&sql)?
        .query_row(params![of, before, user], |r| {
            let scan: ScanId = r.get(0)?;
            let facts: Option<Vec<u8>> = r.get(6)?;
            let row = ScanHostRow {
                host: r.get(1)?,
                host_name: r.get(2)?,
                address: r.get(3)?,
                state: r.get(4)?,
                session: r.get(5)?,
                facts: facts.and_then(|f| f.try_into().ok()),
                answers: r.get(7)?,
                report: r.get(8)?,
                ended_at: r.get(9)?,
            };
            Ok((scan, row))
        })
        .optional()?;
    let Some((id, row)) = found else { return Ok(None) };
    Ok(by_id(c, id)?.filter(|scan| scan.workspace == *workspace).map(|scan| (scan, row)))
}

/// A packed text.
///
/// # Errors
/// What SQLite says.
pub fn text(c: &Connection, sha256: &[u8; 32]) -> Result<Option<Vec<u8>>, Error> {
    Ok(c.prepare_cached("SELECT packed FROM scan_texts WHERE sha256 = ?1")?.query_row([&sha256[..]], |r| r.get(0)).optional()?)
}

/// Deletes a scan, and the texts that nothing else refers to.
///
/// # Errors
/// [`Error::Missing`].
pub fn remove(c: &Connection, id: ScanId) -> Result<(), Error> {
    let texts: Vec<Vec<u8>> =
        c.prepare("SELECT DISTINCT sha256 FROM scan_refs WHERE scan = ?1")?.query_map([id], |r| r.get(0))?.collect::<Result<_, _>>()?;
    c.execute("DELETE FROM scan_refs WHERE scan = ?1", [id])?;
    for sha256 in texts {
        c.prepare_cached("DELETE FROM scan_texts WHERE sha256 = ?1 AND NOT EXISTS(SELECT 1 FROM scan_refs r WHERE r.sha256 = ?1)")?
            .execute([sha256])?;
    }
    match c.execute("DELETE FROM scans WHERE id = ?1", [id])? {
        0 => Err(Error::Missing("such scan".to_owned())),
        _ => Ok(()),
    }
}

/// Scans that ended before this time, oldest first.
///
/// # Errors
/// What SQLite says.
pub fn ended_before(c: &Connection, time: Time, limit: u32) -> Result<Vec<ScanId>, Error> {
    let sql = "SELECT id FROM scans WHERE ended_at IS NOT NULL AND ended_at < ?1 ORDER BY ended_at LIMIT ?2";
    Ok(c.prepare_cached(sql)?.query_map(params![time, limit], |r| r.get(0))?.collect::<Result<_, _>>()?)
}
