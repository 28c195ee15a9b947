//! Rows of grants.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Error;
use crate::model::{Grant, GrantId, Name, Subject};

const COLUMNS: &str = "id, workspace, subject, hosts, allow, commands, source, until, daily, max_session, created_at, created_by";
/// Whether a grant wants the second factor: a table of its own, so that the seal of a database from before still holds.
const FACTOR: &str = "EXISTS(SELECT 1 FROM grant_factors f WHERE f.id = grants.id)";

fn subject_text(s: &Subject) -> String {
    match s {
        Subject::Everyone => "*".to_owned(),
        Subject::User(id) => id.to_string(),
        Subject::Group(id) => id.to_string(),
    }
}

fn subject(text: &str) -> Option<Subject> {
    if text == "*" {
        return Some(Subject::Everyone);
    }
    text.parse().map(Subject::User).or_else(|_| text.parse().map(Subject::Group)).ok()
}

fn grant(r: &Row<'_>) -> rusqlite::Result<Option<Grant>> {
    let texts: (String, String, String) = (r.get(2)?, r.get(3)?, r.get(4)?);
    let commands: Option<String> = r.get(5)?;
    let (source, daily): (Option<String>, Option<String>) = (r.get(6)?, r.get(8)?);
    let max: Option<i64> = r.get(9)?;
    let parse = || {
        Some(Grant {
            id: r.get(0).ok()?,
            workspace: r.get(1).ok()?,
            to: subject(&texts.0)?,
            hosts: texts.1.parse().ok()?,
            allow: texts.2.parse().ok()?,
            commands: commands.as_deref().map(serde_json::from_str).transpose().ok()?,
            from: source.as_deref().map(str::parse).transpose().ok()?,
            until: r.get(7).ok()?,
            between: daily.as_deref().map(str::parse).transpose().ok()?,
            max_session: max.map(|s| u64::try_from(s).map(Duration::from_secs)).transpose().ok()?,
            second_factor: r.get(12).ok()?,
            created_at: r.get(10).ok()?,
            created_by: r.get(11).ok()?,
        })
    };
    Ok(parse())
}

fn whole(found: Option<Grant>) -> Result<Grant, Error> {
    // A condition that cannot be read must not become "no condition".
    found.ok_or_else(|| Error::Malformed("a grant".to_owned()))
}

/// Adds a grant.
///
/// # Errors
/// What SQLite says.
pub fn insert(c: &Connection, g: &Grant) -> Result<(), Error> {
    let commands = g.commands.as_ref().map(serde_json::to_string).transpose().map_err(|e| Error::Malformed(e.to_string()))?;
    c.execute(
        &format!("INSERT INTO grants({COLUMNS}) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)"),
        params![
            g.id,
            g.workspace,
            subject_text(&g.to),
            g.hosts.to_string(),
            g.allow.to_string(),
            commands,
            g.from.map(|n| n.to_string()),
            g.until,
            g.between.map(|b| b.to_string()),
            g.max_session.map(|d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX)),
            g.created_at,
            g.created_by
        ],
    )?;
    if g.second_factor {
        c.execute("INSERT INTO grant_factors(id) VALUES(?1)", [g.id])?;
    }
    Ok(())
}

/// All grants of a workspace, oldest first.
///
/// # Errors
/// [`Error::Malformed`].
pub fn all(c: &Connection, workspace: &Name) -> Result<Vec<Grant>, Error> {
    let mut s = c.prepare_cached(&format!("SELECT {COLUMNS}, {FACTOR} FROM grants WHERE workspace = ?1 ORDER BY id"))?;
    s.query_map([workspace], grant)?.map(|g| whole(g?)).collect()
}

/// A grant by id.
///
/// # Errors
/// [`Error::Malformed`].
pub fn by_id(c: &Connection, id: GrantId) -> Result<Option<Grant>, Error> {
    let found = c.prepare_cached(&format!("SELECT {COLUMNS}, {FACTOR} FROM grants WHERE id = ?1"))?.query_row([id], grant).optional()?;
    found.map(whole).transpose()
}

/// Removes a grant.
///
/// # Errors
/// [`Error::Missing`].
pub fn remove(c: &Connection, id: GrantId) -> Result<(), Error> {
    match c.execute("DELETE FROM grants WHERE id = ?1", [id])? {
        0 => Err(Error::Missing(format!("grant {id}"))),
        _ => Ok(()),
    }
}

/// Removes all grants to somebody who is being removed.
pub(super) fn remove_of(c: &Connection, to: &Subject) -> Result<(), Error> {
    c.execute("DELETE FROM grants WHERE subject = ?1", [subject_text(to)])?;
    Ok(())
}
