//! The tables and how an older file becomes a newer one. Migrations are appended, never edited.

use rusqlite::Connection;

use super::Error;

const MIGRATIONS: &[&str] =
    &[include_str!("schema_1.sql"), include_str!("schema_2.sql"), include_str!("schema_3.sql"), include_str!("schema_4.sql")];

/// Brings the file to the newest version, in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let transaction = connection.transaction()?;
    let found: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(Error::Version { found, known });
    }
    for step in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    if found == 0 {
        let mut vault_id = [0u8; 16];
        aws_lc_rs::rand::fill(&mut vault_id).map_err(|_| Error::Malformed("no random numbers".to_owned()))?;
        transaction.execute("INSERT INTO meta(key, value) VALUES('vault_id', ?1)", [&vault_id[..]])?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}
