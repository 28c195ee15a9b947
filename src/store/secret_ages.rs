//! Since when each credential's secret is the one that it is. A time and nothing of the secret.

use rusqlite::{Connection, OptionalExtension, params};

use super::Error;
use crate::clock::Time;
use crate::model::{Credential, CredentialId};

/// Notes that the secret is new at `at`.
///
/// # Errors
/// What SQLite says.
pub(super) fn note(c: &Connection, id: CredentialId, at: Time) -> Result<(), Error> {
    c.execute(
        "INSERT INTO secret_changes(credential, changed_at) VALUES(?1,?2) ON CONFLICT(credential) DO UPDATE SET changed_at = ?2",
        params![id, at],
    )?;
    Ok(())
}

/// Notes that the secret is new at `at`, if the row that is about to be written has another version than the one that stands.
///
/// # Errors
/// What SQLite says.
pub(super) fn note_if_new(c: &Connection, id: CredentialId, version: u32, at: Time) -> Result<(), Error> {
    let now: Option<u32> = c.query_row("SELECT version FROM credentials WHERE id = ?1", [id], |r| r.get(0)).optional()?;
    if now.is_some_and(|now| now != version) { note(c, id, at) } else { Ok(()) }
}

/// Since when the secret is the one that it is. For a secret from before this was noted: since the credential was added,
/// which is never too young.
///
/// # Errors
/// What SQLite says.
pub fn changed_at(c: &Connection, credential: &Credential) -> Result<Time, Error> {
    let sql = "SELECT changed_at FROM secret_changes WHERE credential = ?1";
    let noted = c.prepare_cached(sql)?.query_row([credential.id], |r| r.get(0)).optional()?;
    Ok(noted.unwrap_or(credential.created_at))
}
