//! The tables and how an older file becomes a newer one. Migrations are appended, never edited.

use rusqlite::Connection;

use super::Error;

const MIGRATIONS: &[&str] = &[
    include_str!("schema_1.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_3.sql"),
    include_str!("schema_4.sql"),
    include_str!("schema_5.sql"),
    include_str!("schema_6.sql"),
    include_str!("schema_7.sql"),
    include_str!("schema_8.sql"),
    include_str!("schema_9.sql"),
    include_str!("schema_10.sql"),
];

/// The version that this program makes and reads.
pub(super) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Brings the file to the newest version, in one transaction.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let known = known();
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

/// A new database in memory, to compare others with.
pub(super) fn fresh() -> Result<Connection, Error> {
    let mut connection = super::open::memory()?;
    migrate(&mut connection)?;
    Ok(connection)
}

/// What stands in a database's schema, by kind and name; what SQLite adds by itself is left out.
pub(super) fn objects(c: &Connection) -> Result<Vec<(String, String)>, Error> {
    let sql = "SELECT type || ' ' || name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 1";
    Ok(c.prepare(sql)?.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?.collect::<Result<_, _>>()?)
}

/// Whether a schema is that of Keyward: a trigger that somebody else made would have the broker itself write – and seal – what it says.
///
/// # Errors
/// [`Error::Malformed`] with the first difference.
pub(super) fn is_ours(c: &Connection) -> Result<(), Error> {
    let (ours, theirs) = (objects(&fresh()?)?, objects(c)?);
    let odd = theirs.iter().find(|t| !ours.contains(t)).or_else(|| ours.iter().find(|o| !theirs.contains(o)));
    odd.map_or(Ok(()), |(name, _)| Err(Error::Malformed(format!("its schema is not that of Keyward: {name}"))))
}

/// The schema that was last found to be Keyward's, by the number that SQLite counts up with each change of one.
#[derive(Debug, Default)]
pub(super) struct Known(Option<i64>);

impl Known {
    /// Looks again if the schema has changed since.
    ///
    /// # Errors
    /// As [`is_ours`].
    pub(super) fn check(&mut self, c: &Connection) -> Result<(), Error> {
        let now: i64 = c.pragma_query_value(None, "schema_version", |r| r.get(0))?;
        if self.0 != Some(now) {
            is_ours(c)?;
            self.0 = Some(now);
        }
        Ok(())
    }
}
