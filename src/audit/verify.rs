//! Reads the whole log and names the first entry that lies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::chain::{GENESIS, hash, hex};
use super::checkpoint::Checkpoint;
use super::vouchers::Vouchers;
use crate::store::{self, Store, audit_log};

/// Entries read at a time: no reader lives long.
const BATCH: u32 = 2000;

/// What is wrong with which entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lie {
    /// The entry that lies, or the first that is missing.
    pub seq: u64,
    /// What is wrong with it.
    pub what: String,
}

/// What `audit verify` found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// Entries that hold.
    pub entries: u64,
    /// The hash of the last that holds, in hex.
    pub head: String,
    /// Checkpoints that agree with the log.
    pub checkpoints: u64,
    /// The first lie, if there is one.
    pub lie: Option<Lie>,
}

/// Verifies the chain from the first entry to the last, against the checkpoints.
///
/// # Errors
/// What the store says; a lie is no error but a [`Verdict`].
pub async fn verify(store: &Store, checkpoints: &[Checkpoint], keys: impl Into<Vouchers>) -> Result<Verdict, store::Error> {
    let keys = keys.into();
    let mut verdict = Verdict { entries: 0, head: hex(&GENESIS), checkpoints: 0, lie: None };
    let mut signed: BTreeMap<u64, &Checkpoint> = BTreeMap::new();
    for checkpoint in checkpoints {
        if !keys.vouch_for(checkpoint) {
            verdict.lie =
                Some(Lie { seq: checkpoint.seq, what: "a checkpoint for it has a signature that is not this vault's".to_owned() });
            return Ok(verdict);
        }
        if let Some(other) = signed.insert(checkpoint.seq, checkpoint)
            && other.hash != checkpoint.hash
        {
            verdict.lie = Some(Lie { seq: checkpoint.seq, what: "two signed checkpoints disagree about it".to_owned() });
            return Ok(verdict);
        }
    }
    let mut prev = GENESIS.to_vec();
    let mut seq = 0;
    loop {
        let from = seq;
        let batch = store.read(move |c| audit_log::after(c, from, BATCH)).await?;
        if batch.is_empty() {
            break;
        }
        for entry in batch {
            let expected = seq + 1;
            let lie = if entry.seq != expected {
                Some((expected, "it is missing".to_owned()))
            } else if entry.prev != prev {
                Some((expected, "it does not follow the entry before it: one of the two was changed or moved".to_owned()))
            } else if entry.hash != hash(&prev, expected, entry.at, &entry.body) {
                Some((expected, "its content does not match its hash: it was changed".to_owned()))
            } else if signed.get(&expected).is_some_and(|c| c.hash != hex(&entry.hash)) {
                Some((expected, "a signed checkpoint has another hash for it: the log was rewritten".to_owned()))
            } else {
                None
            };
            if let Some((seq, what)) = lie {
                verdict.lie = Some(Lie { seq, what });
                return Ok(verdict);
            }
            verdict.checkpoints += u64::from(signed.contains_key(&expected));
            verdict.entries = expected;
            verdict.head = hex(&entry.hash);
            prev = entry.hash;
            seq = expected;
        }
    }
    if let Some((last, _)) = signed.last_key_value().filter(|(last, _)| **last > seq) {
        verdict.lie =
            Some(Lie { seq: seq + 1, what: format!("it is missing: a signed checkpoint knows {last} entries, the log has {seq}") });
    }
    Ok(verdict)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::Duration;

    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

    use super::super::checkpoint::Signer;
    use super::super::log::Log;
    use super::*;
    use crate::clock::Clock;
    use crate::model::{Event, EventName};
    use crate::store::{Config, Error};

    struct Key(Ed25519KeyPair);
    impl Signer for Key {
        fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
            Some(self.0.sign(message).as_ref().to_vec())
        }
        fn public_key(&self) -> [u8; 32] {
            self.0.public_key().as_ref().try_into().unwrap()
        }
    }

    fn key(seed: u8) -> Key {
        Key(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    async fn world() -> (tempfile::TempDir, Store, Log) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Config { path: dir.path().join("k.db"), reserve: 0, patience: Duration::from_secs(10) }).unwrap();
        let log = Log::new(store.clone(), Clock::System);
        for i in 0..10 {
            log.record(Event::new(EventName::AuditRead, "alice").count("n", i)).await.unwrap();
        }
        (dir, store, log)
    }

    async fn sql(store: &Store, sql: &'static str) {
        store.append(move |c| -> Result<(), Error> { Ok(c.execute_batch(sql)?) }).await.unwrap();
    }

    async fn head(store: &Store) -> Checkpoint {
        let last = store.read(audit_log::last).await.unwrap().unwrap();
        Checkpoint::sign(&last, Clock::System.now(), &key(1)).unwrap()
    }

    async fn lie(store: &Store, checkpoints: &[Checkpoint]) -> Option<u64> {
        verify(store, checkpoints, &key(1).public_key()).await.unwrap().lie.map(|l| l.seq)
    }

    #[tokio::test]
    async fn an_honest_log_holds() {
        let (_dir, store, _) = world().await;
        let verdict = verify(&store, &[head(&store).await], &key(1).public_key()).await.unwrap();
        assert_eq!((verdict.entries, verdict.checkpoints, verdict.lie), (10, 1, None));
    }

    #[tokio::test]
    async fn the_first_lie_is_named() {
        for (forgery, first) in [
            ("UPDATE audit SET body = replace(body, 'alice', 'mallo') WHERE seq = 4", 4),
            ("UPDATE audit SET at = at + 1 WHERE seq = 7", 7),
            ("DELETE FROM audit WHERE seq = 5", 5),
            (
                "UPDATE audit SET seq = 100 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 100",
                3,
            ),
            ("UPDATE audit SET hash = zeroblob(32) WHERE seq = 10", 10),
            ("DELETE FROM audit WHERE seq = 1", 1),
        ] {
            let (_dir, store, _) = world().await;
            sql(&store, forgery).await;
            assert_eq!(lie(&store, &[]).await, Some(first), "{forgery}");
        }
    }

    #[tokio::test]
    async fn a_log_that_was_cut_off_or_rewritten_is_found_by_a_checkpoint() {
        let (_dir, store, _) = world().await;
        let checkpoint = head(&store).await;
        sql(&store, "DELETE FROM audit WHERE seq > 8").await;
        assert_eq!(lie(&store, &[]).await, None, "without a checkpoint nobody can know");
        assert_eq!(lie(&store, std::slice::from_ref(&checkpoint)).await, Some(9));
        // Two new entries make the number right again, not the hash.
        let log = Log::new(store.clone(), Clock::System);
        for _ in 0..2 {
            log.record(Event::new(EventName::AuditRead, "mallory")).await.unwrap();
        }
        assert_eq!(lie(&store, &[checkpoint]).await, Some(10));
    }

    #[tokio::test]
    async fn a_checkpoint_of_another_key_counts_for_nothing() {
        let (_dir, store, _) = world().await;
        let last = store.read(audit_log::last).await.unwrap().unwrap();
        let forged = Checkpoint::sign(&last, Clock::System.now(), &key(2)).unwrap();
        assert_eq!(lie(&store, &[forged]).await, Some(10));
    }

    #[tokio::test]
    async fn checkpoints_survive_their_file() {
        let (dir, store, _) = world().await;
        let path = dir.path().join("checkpoints");
        let checkpoint = head(&store).await;
        checkpoint.append_to(&path).unwrap();
        checkpoint.append_to(&path).unwrap();
        assert_eq!(Checkpoint::read_all(&path).unwrap(), vec![checkpoint.clone(), checkpoint]);
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"seq\":1").unwrap();
        assert!(Checkpoint::read_all(&path).is_err());
        Checkpoint::mend(&path).unwrap();
        assert_eq!(Checkpoint::read_all(&path).unwrap().len(), 2, "a line that a power failure cut off is dropped, no other");
        std::fs::write(&path, "x\n").unwrap();
        assert!(Checkpoint::read_all(&path).unwrap_err().to_string().contains("line 1"));
    }
}
