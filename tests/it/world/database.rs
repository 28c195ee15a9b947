//! Somebody who can write the broker's database, but has no key.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

/// The database file of a home.
pub(crate) fn file(home: &Path) -> PathBuf {
    let mut found: Vec<PathBuf> = std::fs::read_dir(home)
        .expect("the home")
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "db"))
        .collect();
    assert_eq!(found.len(), 1, "one database in {}: {found:?}", home.display());
    found.remove(0)
}

/// Opens it behind the broker's back.
#[allow(clippy::disallowed_methods)] // the intruder keeps no house rules
pub(crate) fn open(home: &Path) -> Connection {
    let connection = Connection::open(file(home)).expect("the database");
    connection.busy_timeout(super::PATIENCE).expect("busy_timeout");
    connection
}

/// Runs statements behind the broker's back.
#[track_caller]
pub(crate) fn edit(home: &Path, sql: &str) {
    open(home).execute_batch(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
}

/// Whether SQLite finds the file whole.
pub(crate) fn whole(home: &Path) -> bool {
    open(home).query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).is_ok_and(|verdict| verdict == "ok")
}
