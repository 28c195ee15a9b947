//! The one place that opens the database: `secure_delete` and `synchronous` are settings of each connection.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::Error;

/// How long a connection waits for another one's lock.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the writer waits for readers when it empties the log.
const TRUNCATE_PATIENCE: Duration = Duration::from_millis(50);

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    #[allow(clippy::disallowed_methods)] // the one place
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(PATIENCE)?;
    // ON and not FAST: FAST leaves the overflow pages of a long row in the file.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // No table or function that a forged schema names may run.
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

/// The writer's connection; makes the file (mode 0600) if there is none.
pub(super) fn writer(path: &Path) -> Result<Connection, Error> {
    use std::os::unix::fs::OpenOptionsExt;
    if !path.exists() {
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| Error::Io { path: path.to_owned(), error })?;
    }
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL and not NORMAL: a permit that a power cut takes back would be a lease without a witness.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 1000)?;
    Ok(connection)
}

/// A reader's connection.
pub(super) fn reader(path: &Path) -> Result<Connection, Error> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// A connection that copies: it reads the database, and writes to the copy alone.
pub(super) fn copier(path: &Path) -> Result<Connection, Error> {
    open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

/// A connection that changes nothing at all, for a file that may be anybody's.
pub(super) fn viewer(path: &Path) -> Result<Connection, Error> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// A database in memory.
pub(super) fn memory() -> Result<Connection, Error> {
    open(Path::new(":memory:"), OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
}

/// Writes the log back and cuts it to nothing. `false`: a reader held it up.
pub(super) fn truncate_wal(connection: &Connection) -> rusqlite::Result<bool> {
    // Whoever reads for long is not waited for: every write would wait, too. It is tried again later.
    connection.busy_timeout(TRUNCATE_PATIENCE)?;
    let done = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)).map(|busy| busy == 0);
    connection.busy_timeout(PATIENCE)?;
    done
}
