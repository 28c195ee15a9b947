//! Rows of sudo passwords: ciphertext only, one a credential that has one of its own. They go with their credential.

use rusqlite::{Connection, OptionalExtension, params};

use super::Error;
use crate::model::CredentialId;

/// The sealed sudo password of a credential, if it has one of its own.
///
/// # Errors
/// What SQLite says.
pub fn sealed(c: &Connection, credential: CredentialId) -> Result<Option<Vec<u8>>, Error> {
    Ok(c.prepare_cached("SELECT sealed FROM sudo_secrets WHERE credential = ?1")?.query_row([credential], |r| r.get(0)).optional()?)
}

/// Whether a credential has a sudo password of its own.
///
/// # Errors
/// What SQLite says.
pub fn has(c: &Connection, credential: CredentialId) -> Result<bool, Error> {
    Ok(c.prepare_cached("SELECT EXISTS(SELECT 1 FROM sudo_secrets WHERE credential = ?1)")?.query_row([credential], |r| r.get(0))?)
}

/// Writes it (`Some`) or takes it away (`None`).
///
/// # Errors
/// What SQLite says, for instance that there is no such credential.
pub fn put(c: &Connection, credential: CredentialId, sealed: Option<&[u8]>) -> Result<(), Error> {
    match sealed {
        Some(sealed) => c.execute(
            "INSERT INTO sudo_secrets(credential, sealed) VALUES(?1,?2) ON CONFLICT(credential) DO UPDATE SET sealed = ?2",
            params![credential, sealed],
        )?,
        None => c.execute("DELETE FROM sudo_secrets WHERE credential = ?1", [credential])?,
    };
    Ok(())
}
