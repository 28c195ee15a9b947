//! What was deleted or replaced and may still lie in the write-ahead log: noted with the deletion, and struck out when the
//! log was emptied. Says nothing of disks: a file system may keep what a file no longer holds.

use rusqlite::{Connection, params};

use super::{Error, Store};
use crate::clock::Time;

/// What waits to leave the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// How many deletions.
    pub count: u64,
    /// Since when the oldest waits.
    pub since: Option<Time>,
    /// The newest of them.
    newest: i64,
}

/// Notes that ciphertext was deleted or replaced, in the transaction that does it.
///
/// # Errors
/// What SQLite says.
pub fn note(c: &Connection, what: &str, at: Time) -> Result<(), Error> {
    c.prepare_cached("INSERT INTO shreds(what, since) VALUES(?1, ?2)")?.execute(params![what, at])?;
    Ok(())
}

/// What waits.
///
/// # Errors
/// What SQLite says.
pub fn pending(c: &Connection) -> Result<Pending, Error> {
    let sql = "SELECT count(*), min(since), coalesce(max(id), 0) FROM shreds";
    Ok(c.prepare_cached(sql)?
        .query_row([], |r| Ok(Pending { count: r.get::<_, i64>(0)?.try_into().unwrap_or(0), since: r.get(1)?, newest: r.get(2)? }))?)
}

/// Empties the write-ahead log if anything waits for that. What is returned still waits: a reader holds the log.
///
/// # Errors
/// What the store says.
pub async fn settle(store: &Store) -> Result<Pending, Error> {
    let before = store.read(pending).await?;
    if before.count == 0 || !store.checkpoint().await? {
        return Ok(before);
    }
    // What was noted since then waits for the next time.
    store.append(move |c| -> Result<(), Error> { Ok(c.execute("DELETE FROM shreds WHERE id <= ?1", [before.newest]).map(drop)?) }).await?;
    store.read(pending).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::{Config, open};

    #[tokio::test]
    async fn with_an_open_reader_the_state_says_pending_and_afterwards_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k.db");
        let store = Store::open(Config { path: path.clone(), reserve: 0, patience: Duration::from_secs(20) }).unwrap();
        let canary = "canary-that-is-deleted";
        let put = |sql: &'static str| store.append(move |c| -> Result<(), Error> { Ok(c.execute(sql, []).map(drop)?) });
        put("INSERT INTO meta VALUES('canary', CAST('canary-that-is-deleted' AS BLOB))").await.unwrap();
        let reader = open::reader(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT count(*) FROM meta;").unwrap();
        store
            .append(|c| -> Result<(), Error> {
                c.execute("DELETE FROM meta WHERE key = 'canary'", [])?;
                note(c, "test", Time::from_millis(7))
            })
            .await
            .unwrap();
        let held = settle(&store).await.unwrap();
        assert_eq!((held.count, held.since), (1, Some(Time::from_millis(7))));
        let found = |dir: &std::path::Path| {
            std::fs::read_dir(dir).unwrap().flatten().any(|e| {
                let bytes = std::fs::read(e.path()).unwrap();
                bytes.windows(canary.len()).any(|w| w == canary.as_bytes())
            })
        };
        assert!(found(dir.path()), "the reader keeps it in the log, and that is what is said");
        reader.execute_batch("COMMIT").unwrap();
        assert_eq!(settle(&store).await.unwrap().count, 0);
        assert!(!found(dir.path()), "it is in no file any more");
    }
}
