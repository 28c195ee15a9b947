//! Rows of sessions. Names are kept beside ids: a session outlives the host and the person it is about.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Error;
use crate::clock::Time;
use crate::model::{CredentialId, EndReason, HostId, Name, Scope, Session, SessionId, UserId};

/// How many sessions are looked at for when somebody was where.
const LOOKED_AT: u32 = 20_000;

/// A session with the names it was opened under.
#[derive(Clone, Debug)]
pub struct SessionRow {
    /// What is recorded.
    pub session: Session,
    /// The person's name then.
    pub user_name: Name,
    /// The host's name then.
    pub host_name: Name,
    /// The credential's name and scope then.
    pub credential: Option<(Name, Scope)>,
}

/// How a session ended.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// When.
    pub at: Time,
    /// Why.
    pub reason: EndReason,
    /// The last exit status.
    pub exit_status: Option<u32>,
    /// Bytes from the client to the host.
    pub bytes_in: u64,
    /// Bytes from the host to the client.
    pub bytes_out: u64,
}

const COLUMNS: &str = "id, user, user_name, host, host_name, credential, credential_name, credential_scope, client, started_at, ended_at, end_reason, exit_status, bytes_in, bytes_out";

fn session(r: &Row<'_>) -> rusqlite::Result<SessionRow> {
    let named: (Option<Name>, Option<Scope>) = (r.get(6)?, r.get(7)?);
    Ok(SessionRow {
        user_name: r.get(2)?,
        host_name: r.get(4)?,
        credential: named.0.zip(named.1),
        session: Session {
            id: r.get(0)?,
            user: r.get(1)?,
            host: r.get(3)?,
            credential: r.get(5)?,
            client: r.get(8)?,
            started_at: r.get(9)?,
            ended_at: r.get(10)?,
            end_reason: r.get(11)?,
            exit_status: r.get(12)?,
            bytes_in: r.get::<_, i64>(13)?.try_into().unwrap_or(0),
            bytes_out: r.get::<_, i64>(14)?.try_into().unwrap_or(0),
        },
    })
}

/// Adds a session that begins.
///
/// # Errors
/// What SQLite says.
pub fn begin(c: &Connection, row: &SessionRow) -> Result<(), Error> {
    let s = &row.session;
    let (name, scope) = row.credential.clone().unzip();
    c.execute(
        "INSERT INTO sessions(id, user, user_name, host, host_name, credential, credential_name, credential_scope, client, started_at, workspace)
         VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10, coalesce((SELECT workspace FROM hosts WHERE id = ?4), 'default'))",
        params![s.id, s.user, row.user_name, s.host, row.host_name, s.credential, name, scope, s.client, s.started_at],
    )?;
    Ok(())
}

/// Writes the end of a session, once.
///
/// # Errors
/// What SQLite says.
pub fn end(c: &Connection, id: SessionId, end: End) -> Result<(), Error> {
    c.execute(
        "UPDATE sessions SET ended_at=?2, end_reason=?3, exit_status=?4, bytes_in=?5, bytes_out=?6 WHERE id=?1 AND ended_at IS NULL",
        params![
            id,
            end.at,
            end.reason,
            end.exit_status,
            i64::try_from(end.bytes_in).unwrap_or(i64::MAX),
            i64::try_from(end.bytes_out).unwrap_or(i64::MAX)
        ],
    )?;
    Ok(())
}

/// Sessions, newest first: of one person or all, only living ones or all, at most `most`, of a workspace or all.
///
/// # Errors
/// What SQLite says.
pub fn list(c: &Connection, workspace: Option<&Name>, of: Option<UserId>, live: bool, most: u32) -> Result<Vec<SessionRow>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM sessions WHERE (?1 IS NULL OR user = ?1) AND (?2 = 0 OR ended_at IS NULL) AND (?4 IS NULL OR workspace = ?4) ORDER BY id DESC LIMIT ?3"
    );
    Ok(c.prepare_cached(&sql)?.query_map(params![of, live, most, workspace], session)?.collect::<Result<_, _>>()?)
}

/// A session by id.
///
/// # Errors
/// What SQLite says.
pub fn by_id(c: &Connection, id: SessionId) -> Result<Option<SessionRow>, Error> {
    Ok(c.prepare_cached(&format!("SELECT {COLUMNS} FROM sessions WHERE id = ?1"))?.query_row([id], session).optional()?)
}

/// When a person last opened a session on each host, as far as the broker's newest sessions tell.
///
/// # Errors
/// What SQLite says.
pub fn last_of(c: &Connection, user: UserId) -> Result<BTreeMap<HostId, Time>, Error> {
    let sql = "SELECT host, max(started_at) FROM (SELECT host, user, started_at FROM sessions ORDER BY id DESC LIMIT ?2) WHERE user = ?1 GROUP BY host";
    Ok(c.prepare_cached(sql)?.query_map(params![user, LOOKED_AT], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// The living sessions that a credential opened.
///
/// # Errors
/// What SQLite says.
pub fn live_with(c: &Connection, credential: CredentialId) -> Result<Vec<SessionId>, Error> {
    Ok(c.prepare_cached("SELECT id FROM sessions WHERE ended_at IS NULL AND credential = ?1")?
        .query_map([credential], |r| r.get(0))?
        .collect::<Result<_, _>>()?)
}
