//! Copies of the ledger, and a look into a file that is said to be one. A copy is made with `VACUUM INTO`: rows that were
//! deleted are not in it, which SQLite's backup interface does not promise. Nothing here writes to a file that it looks at.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::audit_log::{self, EntryRow};
use super::state::{self, Sealed};
use super::{Error, Store, keys, open, schema};

/// How unfinished copies are called: what a crash left of one is removed at the next start.
const UNFINISHED: &str = ".backup-unfinished";

/// What stands in a database file.
#[derive(Clone, Debug)]
pub struct Look {
    /// Which vault's it is.
    pub vault: [u8; 16],
    /// Its schema's version.
    pub schema: i64,
    /// How many changes were sealed.
    pub epoch: u64,
    /// The newest audit entry.
    pub head: Option<EntryRow>,
    /// The state with its seal; `None` of an older schema, whose state can be read only after its migration.
    pub state: Option<Sealed>,
}

/// A copy beside the database that goes when this is dropped.
#[derive(Debug)]
pub struct Copy(PathBuf);

impl Copy {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Store {
    /// Makes a consistent copy beside the database (mode 0600), synced to the disk. While it is made, a reader holds the
    /// write-ahead log; writes go on.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Io`], what SQLite says.
    pub async fn copy(&self) -> Result<Copy, Error> {
        let database = self.path().to_owned();
        let made = tokio::task::spawn_blocking(move || copy(&database)).await;
        made.map_err(|_| Error::Closed)?
    }
}

fn copy(database: &Path) -> Result<Copy, Error> {
    let path = database.with_file_name(format!("{}-{}", UNFINISHED, random()?));
    let io = |error| Error::Io { path: path.clone(), error };
    // Made first, with its mode: SQLite fills a file that is empty.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(io)?;
    let copy = Copy(path.clone());
    let connection = open::copier(database)?;
    let name = path.to_str().ok_or_else(|| Error::Malformed("a path that is no UTF-8".to_owned()))?;
    connection.execute("VACUUM INTO ?1", [name]).map_err(|e| match Error::from(e) {
        Error::Full { .. } => Error::Full { path: path.clone() },
        other => other,
    })?;
    file.sync_all().map_err(io)?;
    Ok(copy)
}

fn random() -> Result<String, Error> {
    let mut bytes = [0u8; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Malformed("no random numbers".to_owned()))?;
    Ok(format!("{:016x}", u64::from_be_bytes(bytes)))
}

/// Removes what a crash left of copies in this folder.
///
/// # Errors
/// What the file system says.
pub fn remove_unfinished(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A name for a file beside the database, which [`remove_unfinished`] removes.
///
/// # Errors
/// [`Error::Malformed`] if there are no random numbers.
pub fn unfinished(database: &Path) -> Result<PathBuf, Error> {
    Ok(database.with_file_name(format!("{UNFINISHED}-{}", random()?)))
}

/// Writes the log of a database back into it, so that the file alone is the whole of it. Nobody else may have it open.
///
/// # Errors
/// [`Error::Malformed`] if it is no database any more.
pub fn empty_log(database: &Path) -> Result<(), Error> {
    let connection = open::writer(database)?;
    open::truncate_wal(&connection)?;
    Ok(())
}

/// Looks into a file without changing it: whether it is whole, and what it is.
///
/// # Errors
/// [`Error::Malformed`] if it is no whole database of Keyward, [`Error::Version`] if a newer program made it.
pub fn look(path: &Path) -> Result<Look, Error> {
    seen(&open::viewer(path)?)
}

/// As [`look`], into the database of a home whose daemon is stopped: its write-ahead log is a part of it.
///
/// # Errors
/// As [`look`].
pub fn look_at_ours(path: &Path) -> Result<Look, Error> {
    // Not with a viewer, which would leave an empty log behind.
    seen(&open::reader(path)?)
}

fn seen(connection: &Connection) -> Result<Look, Error> {
    let schema: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = schema::known();
    if schema > known {
        return Err(Error::Version { found: schema, known });
    }
    let tables: i64 = connection.query_row(
        "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('meta', 'keks', 'audit', 'state_seal')",
        [],
        |r| r.get(0),
    )?;
    if schema < 1 || tables != 4 {
        return Err(Error::Malformed("it is no database of Keyward".to_owned()));
    }
    let sound: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(Error::Malformed(format!("it is not whole: {sound}")));
    }
    // One snapshot for all that is read.
    let c = connection.unchecked_transaction()?;
    let state = if schema == known { Some(state::read(&c)?) } else { None };
    Ok(Look { vault: keys::vault_id(&c)?, schema, epoch: state::epoch(&c)?, head: audit_log::last(&c)?, state })
}

/// Refuses a file whose schema is not exactly what this program makes: a trigger that somebody put in would act on what is
/// written later. For a file that was migrated to the newest version.
///
/// # Errors
/// [`Error::Malformed`] with the first difference.
pub fn has_our_schema(path: &Path) -> Result<(), Error> {
    schema::is_ours(&open::viewer(path)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::Config;

    fn store(dir: &Path) -> Store {
        Store::open(Config { path: dir.join("k.db"), reserve: 0, patience: Duration::from_secs(20) }).unwrap()
    }

    async fn run(store: &Store, sql: &'static str) {
        store.append(move |c| -> Result<(), Error> { Ok(c.execute_batch(sql)?) }).await.unwrap();
    }

    #[tokio::test]
    async fn a_copy_is_whole_and_has_no_deleted_rows() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        // As a program without secure_delete would leave it.
        run(&store, "PRAGMA secure_delete = 0; INSERT INTO meta VALUES('canary', CAST('canary-in-a-row-that-goes' AS BLOB))").await;
        run(&store, "DELETE FROM meta WHERE key = 'canary'").await;
        let copy = store.copy().await.unwrap();
        assert_eq!(std::fs::metadata(copy.path()).unwrap().permissions().mode() & 0o777, 0o600);
        let bytes = std::fs::read(copy.path()).unwrap();
        assert!(!bytes.windows(25).any(|w| w == b"canary-in-a-row-that-goes"));
        let seen = look(copy.path()).unwrap();
        assert_eq!((seen.schema, seen.epoch, seen.head), (schema::known(), 0, None));
        has_our_schema(copy.path()).unwrap();
        let path = copy.path().to_owned();
        drop(copy);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_is_no_database_of_keyward_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let copy = store.copy().await.unwrap();
        let whole = std::fs::read(copy.path()).unwrap();
        let file = dir.path().join("given");
        let mut cut = whole.clone();
        cut.truncate(whole.len() / 2);
        let mut torn = whole.clone();
        let middle = torn.len() / 2;
        torn[middle..middle + 4096].fill(0xa5);
        for (what, bytes) in [("nothing", vec![]), ("text", b"no database at all".to_vec()), ("cut off", cut), ("torn", torn)] {
            std::fs::write(&file, bytes).unwrap();
            assert!(look(&file).is_err(), "{what}");
        }
        assert!(look(&dir.path().join("absent")).is_err());
        std::fs::write(&file, &whole).unwrap();
        look(&file).unwrap();
        // A newer one, and one with something that acts by itself.
        let edit = |sql: &str| open::writer(&file).unwrap().execute_batch(sql).unwrap();
        edit("CREATE TRIGGER evil AFTER INSERT ON audit BEGIN DELETE FROM grants; END");
        assert!(has_our_schema(&file).unwrap_err().to_string().contains("trigger evil"));
        edit("PRAGMA user_version = 999");
        assert!(matches!(look(&file), Err(Error::Version { found: 999, .. })));
    }

    #[test]
    fn what_a_crash_left_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let left = unfinished(&dir.path().join("k.db")).unwrap();
        std::fs::write(&left, "x").unwrap();
        std::fs::write(dir.path().join("k.db"), "x").unwrap();
        remove_unfinished(dir.path()).unwrap();
        assert!(!left.exists() && dir.path().join("k.db").exists());
    }
}
