//! The ledger: SQLite behind one writer thread with group commit and a few readers. Knows rows, never what they mean;
//! holds no key and sees no plaintext of a secret.
//!
//! Durability: WAL with `synchronous=FULL`; a write has reached the disk when its future resolves. Up to
//! [`GROUP_MAX`] waiting writes share one commit, each in a savepoint of its own.

pub mod agents;
pub mod audit_log;
pub mod authorities;
pub mod backup;
pub mod credentials;
pub mod defaults;
pub mod grants;
pub mod host_cas;
pub mod hosts;
pub mod keys;
mod open;
pub mod proposals;
pub mod rotations;
pub mod scans;
mod schema;
pub mod second_factors;
pub mod secret_ages;
pub mod session_files;
pub mod sessions;
pub mod shreds;
pub mod slots;
pub mod state;
pub mod sudo;
mod types;
pub mod user_cas;
pub mod users;
pub mod ways;
pub mod workspaces;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use crate::fault::{Fault, Kind};

/// The most writes that share one commit.
pub const GROUP_MAX: usize = 256;
/// How many writes may wait; more are refused.
pub const QUEUE_MAX: usize = 4096;
/// Threads that read.
const READERS: usize = 2;

/// What the ledger needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// The database file.
    pub path: PathBuf,
    /// Bytes that must be free on its file system before new work is accepted; running sessions can still be recorded below that.
    pub reserve: u64,
    /// How long a write may take until whoever waits for it gives up.
    pub patience: Duration,
}

/// What can go wrong in the ledger.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk (or the file system's quota) is full.
    #[error("the disk is full: {path} cannot be written")]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// Less is free than the reserve.
    #[error("only {free} bytes are free beside {path}; {reserve} are kept for the audit log")]
    Reserve {
        /// The database.
        path: PathBuf,
        /// What is free.
        free: u64,
        /// What is kept.
        reserve: u64,
    },
    /// A unique name or key exists already.
    #[error("{0} exists already")]
    Duplicate(String),
    /// A key is that of an authority for people: what it signs in must not be able to say who others are.
    #[error("the key {fingerprint} is that of the authority {ca}, whose certificates sign people in")]
    KeyOfAuthority {
        /// The key.
        fingerprint: String,
        /// The authority.
        ca: crate::model::Name,
    },
    /// Something still refers to it.
    #[error("{0} is still in use")]
    InUse(String),
    /// A host cannot be reached the way that is written.
    #[error("host {host} cannot be reached: {why}")]
    Way {
        /// The host.
        host: crate::model::Name,
        /// Why.
        why: String,
    },
    /// There is no such row.
    #[error("there is no {0}")]
    Missing(String),
    /// A row holds what Keyward never writes.
    #[error("the database holds something Keyward did not write: {0}")]
    Malformed(String),
    /// The file is of another version.
    #[error("the database has version {found}, this program knows {known}")]
    Version {
        /// In the file.
        found: i64,
        /// Of this program.
        known: i64,
    },
    /// The write did not finish in time.
    #[error("the database did not answer within {0:?}")]
    Slow(Duration),
    /// Too many writes wait.
    #[error("the database cannot keep up: {QUEUE_MAX} writes wait")]
    Busy,
    /// The writer has stopped.
    #[error("the database is closed")]
    Closed,
    /// The rows are not those that were sealed last: whoever sealed them now would make a forgery genuine.
    #[error("the database was changed behind the broker's back")]
    Tampered,
    /// The state could not be sealed.
    #[error("the vault did not seal the change")]
    Unsealed,
    /// Anything else of SQLite.
    #[error("database: {0}")]
    Sqlite(rusqlite::Error),
    /// The file cannot be opened.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Duplicate(_) | Self::InUse(_) | Self::KeyOfAuthority { .. } => Kind::Conflict,
            Self::Missing(_) => Kind::NotFound,
            Self::Way { .. } => Kind::Invalid,
            Self::Malformed(_) | Self::Tampered => Kind::Tampered,
            Self::Slow(_) => Kind::TimedOut,
            Self::Full { .. }
            | Self::Reserve { .. }
            | Self::Busy
            | Self::Closed
            | Self::Unsealed
            | Self::Version { .. }
            | Self::Io { .. } => Kind::Unavailable,
            Self::Sqlite(_) => Kind::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Full { path } | Self::Reserve { path, .. } => {
                Some(format!("free some space: df -h {}", path.parent().unwrap_or(path).display()))
            }
            Self::Duplicate(_) => Some("choose another one, or change the one that is there".to_owned()),
            Self::KeyOfAuthority { .. } => Some("give a key of their own: ssh-keygen -t ed25519".to_owned()),
            Self::InUse(_) => Some("take it out of use first".to_owned()),
            Self::Way { .. } => Some("see the way to each: keyward host list; take one away: keyward host edit NAME --no-via".to_owned()),
            Self::Missing(_) => Some("see what there is with `list`".to_owned()),
            Self::Busy | Self::Slow(_) => Some("try again in a moment".to_owned()),
            Self::Malformed(_) | Self::Tampered => Some("restore the database from a backup, and find out who wrote to it".to_owned()),
            Self::Version { found, known } if found > known => Some("this home was used by a newer keyward: run that one".to_owned()),
            _ => None,
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(e: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match e.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full { path: PathBuf::new() },
            Some(ErrorCode::ConstraintViolation) => Self::Duplicate("such a row".to_owned()),
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Self::Malformed(e.to_string()),
            _ => match e {
                rusqlite::Error::FromSqlConversionFailure(..) | rusqlite::Error::InvalidColumnType(..) => Self::Malformed(e.to_string()),
                e => Self::Sqlite(e),
            },
        }
    }
}

/// Signs the state of everything that decides (see [`state`]). The vault's keeper does; called on the writer thread.
pub trait StateSeal: Send {
    /// The MAC over this epoch and digest; `None` if the keeper has stopped.
    fn seal(&self, epoch: u64, digest: &[u8; 32]) -> Option<[u8; 32]>;
    /// Whether this state is the one that was sealed last; `None` if the keeper has stopped.
    fn holds(&self, state: &state::Sealed) -> Option<bool>;
}

/// Runs a write inside its savepoint. `Ok(true)`: keep it; `Ok(false)`: the caller's own error, roll it back.
type Run = Box<dyn FnOnce(&Connection) -> Result<bool, Error> + Send>;
/// Tells the waiter how the commit came out.
type Told = Box<dyn FnOnce(Option<Error>) + Send>;

/// Somebody who waits, and what befell their write alone.
type Waiter = (Told, Option<Error>);

enum Job {
    Write { sealed: bool, run: Run, told: Told },
    SealWith(Box<dyn StateSeal>),
    Checkpoint(oneshot::Sender<Result<bool, Error>>),
}

type ReadJob = Box<dyn FnOnce(&mut Connection) + Send>;

/// The ledger. Clones share the same threads; they end when the last clone is dropped.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    config: Config,
    writes: Mutex<Option<mpsc::SyncSender<Job>>>,
    reads: Mutex<Option<mpsc::SyncSender<ReadJob>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.0.config.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database, makes it if there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Version`], [`Error::Malformed`].
    pub fn open(config: Config) -> Result<Self, Error> {
        let mut writer = open::writer(&config.path)?;
        schema::migrate(&mut writer)?;
        schema::is_ours(&writer)?;
        let (writes, jobs) = mpsc::sync_channel(QUEUE_MAX);
        let (reads, read_jobs) = mpsc::sync_channel::<ReadJob>(QUEUE_MAX);
        let path = config.path.clone();
        let mut threads = Vec::new();
        threads.push(spawn("store-writer", move || write_loop(writer, &jobs, &path))?);
        let read_jobs = Arc::new(Mutex::new(read_jobs));
        for _ in 0..READERS {
            let mut reader = open::reader(&config.path)?;
            let jobs = Arc::clone(&read_jobs);
            threads.push(spawn("store-reader", move || {
                loop {
                    let next = match jobs.lock() {
                        Ok(jobs) => jobs.recv(),
                        Err(_) => return,
                    };
                    match next {
                        Ok(job) => job(&mut reader),
                        Err(_) => return,
                    }
                }
            })?);
        }
        Ok(Self(Arc::new(Inner { config, writes: Mutex::new(Some(writes)), reads: Mutex::new(Some(reads)), threads: Mutex::new(threads) })))
    }

    /// From now on changes of the state are sealed by `seal`; before, they are refused.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn seal_with(&self, seal: Box<dyn StateSeal>) -> Result<(), Error> {
        self.send(Job::SealWith(seal))
    }

    /// A write that touches nothing that is sealed: audit entries, sessions, times of use.
    /// When it resolves with `Ok`, it is on the disk. `f`'s own error rolls back only `f`.
    ///
    /// # Errors
    /// `f`'s error, or the commit's.
    pub async fn append<T, E>(&self, f: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.append_heard(f, |_| ()).await
    }

    /// As [`Store::append`]. `committed` is called with what `f` returned once that is on the disk, by the writer itself: whether or
    /// not anybody waits still. It must not block.
    ///
    /// # Errors
    /// As [`Store::append`]; then `committed` is not called.
    pub async fn append_heard<T, E>(
        &self,
        f: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.write(false, f, committed).await
    }

    /// A write that changes what is sealed (persons, hosts, credentials, grants …): the new state is sealed in the same commit.
    ///
    /// # Errors
    /// `f`'s error, or the commit's; [`Error::Unsealed`] if there is no keeper.
    pub async fn change<T, E>(&self, f: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.change_heard(f, |_| ()).await
    }

    /// As [`Store::change`]. `committed` is called with what `f` returned once that is on the disk, by the writer itself: whether or
    /// not anybody waits still. It must not block.
    ///
    /// # Errors
    /// As [`Store::change`]; then `committed` is not called.
    pub async fn change_heard<T, E>(
        &self,
        f: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.write(true, f, committed).await
    }

    async fn write<T, E>(
        &self,
        sealed: bool,
        f: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
        committed: impl FnOnce(&T) + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let outcome = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&outcome);
        // Whoever gave up waiting was told that nothing happened: then nothing may happen.
        let given_up = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let gone = Arc::clone(&given_up);
        let run: Run = Box::new(move |connection| {
            if gone.load(std::sync::atomic::Ordering::SeqCst) {
                return Ok(false);
            }
            let result = f(connection);
            let keep = result.is_ok();
            if let Ok(mut slot) = kept.lock() {
                *slot = Some(result);
            }
            Ok(keep)
        });
        let told_after: Told = Box::new(move |commit_error| {
            let result = outcome.lock().ok().and_then(|mut slot| slot.take());
            if let (Some(Ok(value)), None) = (&result, &commit_error) {
                committed(value);
            }
            let _ = tell.send(match (result, commit_error) {
                (Some(Err(e)), _) => Err(e),
                (_, Some(e)) => Err(E::from(e)),
                (Some(Ok(value)), None) => Ok(value),
                (None, None) => Err(E::from(Error::Closed)),
            });
        });
        self.send(Job::Write { sealed, run, told: told_after })?;
        match tokio::time::timeout(self.0.config.patience, told).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(E::from(Error::Closed)),
            Err(_) => {
                given_up.store(true, std::sync::atomic::Ordering::SeqCst);
                Err(E::from(Error::Slow(self.0.config.patience)))
            }
        }
    }

    /// Reads in one snapshot. No reader lives longer than `f`, so that deleted rows leave the file soon.
    ///
    /// # Errors
    /// `f`'s error; [`Error::Closed`].
    pub async fn read<T, E>(&self, f: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let job: ReadJob = Box::new(move |connection| {
            let result = match connection.transaction() {
                Ok(snapshot) => f(&snapshot),
                Err(e) => Err(E::from(Error::from(e))),
            };
            let _ = tell.send(result);
        });
        {
            let reads = self.0.reads.lock().map_err(|_| Error::Closed)?;
            reads
                .as_ref()
                .ok_or(Error::Closed)?
                .try_send(job)
                .map_err(|e| if matches!(e, mpsc::TrySendError::Full(_)) { Error::Busy } else { Error::Closed })?;
        }
        told.await.map_err(|_| Error::Closed)?
    }

    /// Empties the write-ahead log, so that overwritten pages leave the disk's files. `false`: a reader held it up.
    ///
    /// # Errors
    /// [`Error::Closed`], or what SQLite says.
    pub async fn checkpoint(&self) -> Result<bool, Error> {
        let (tell, told) = oneshot::channel();
        self.send(Job::Checkpoint(tell))?;
        told.await.map_err(|_| Error::Closed)?
    }

    /// Whether there is room for new work: see [`Config::reserve`].
    ///
    /// # Errors
    /// [`Error::Reserve`].
    pub fn room(&self) -> Result<(), Error> {
        let Config { path, reserve, .. } = &self.0.config;
        let free = match rustix::fs::statvfs(path.parent().unwrap_or(Path::new("."))) {
            Ok(fs) => fs.f_bavail.saturating_mul(fs.f_frsize),
            Err(e) => return Err(Error::Io { path: path.clone(), error: e.into() }),
        };
        if free < *reserve { Err(Error::Reserve { path: path.clone(), free, reserve: *reserve }) } else { Ok(()) }
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.0.config.path
    }

    /// Finishes every write that waits and closes the files. Later calls get [`Error::Closed`].
    pub fn close(&self) {
        if let Ok(mut writes) = self.0.writes.lock() {
            writes.take();
        }
        if let Ok(mut reads) = self.0.reads.lock() {
            reads.take();
        }
        let threads = self.0.threads.lock().map(|mut t| std::mem::take(&mut *t)).unwrap_or_default();
        for thread in threads {
            let _ = thread.join();
        }
    }

    fn send(&self, job: Job) -> Result<(), Error> {
        let writes = self.0.writes.lock().map_err(|_| Error::Closed)?;
        writes
            .as_ref()
            .ok_or(Error::Closed)?
            .try_send(job)
            .map_err(|e| if matches!(e, mpsc::TrySendError::Full(_)) { Error::Busy } else { Error::Closed })
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(1024 * 1024)
        .spawn(run)
        .map_err(|error| Error::Io { path: PathBuf::from(name), error })
}

fn write_loop(mut connection: Connection, jobs: &mpsc::Receiver<Job>, path: &Path) {
    let mut known = schema::Known::default();
    let mut seal: Option<Box<dyn StateSeal>> = None;
    let mut carried = None;
    while let Some(first) = carried.take().or_else(|| jobs.recv().ok()) {
        let mut group = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next.take() {
            match job {
                Job::Write { sealed, run, told } => group.push((sealed, run, told)),
                other if group.is_empty() => match other {
                    Job::SealWith(new) => seal = Some(new),
                    Job::Checkpoint(tell) => {
                        let _ = tell.send(open::truncate_wal(&connection).map_err(Error::from));
                    }
                    Job::Write { .. } => {}
                },
                other => {
                    carried = Some(other);
                    break;
                }
            }
            if group.len() < GROUP_MAX {
                next = jobs.try_recv().ok();
            }
        }
        if !group.is_empty() {
            commit_group(&mut connection, &mut known, group, seal.as_deref(), path);
        }
    }
    let _ = open::truncate_wal(&connection);
}

/// Runs each job in a savepoint, seals the state if one changed it, commits once, then tells every waiter.
fn commit_group(
    connection: &mut Connection,
    known: &mut schema::Known,
    group: Vec<(bool, Run, Told)>,
    seal: Option<&dyn StateSeal>,
    path: &Path,
) {
    let name_path = |e: Error| if let Error::Full { .. } = e { Error::Full { path: path.to_owned() } } else { e };
    // Everybody who waits is entered first: whatever fails below, they are told what it was.
    let (jobs, mut waiters): (Vec<_>, Vec<Waiter>) = group.into_iter().map(|(sealed, run, told)| ((sealed, run), (told, None))).unzip();
    let work = || -> Result<(), Error> {
        let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut changed = false;
        let mut held = None;
        for ((sealed, run), (_, refused)) in jobs.into_iter().zip(&mut waiters) {
            if sealed && held.is_none() {
                let ours = known.check(&transaction);
                held = Some(ours.and_then(|()| seal.ok_or(Error::Unsealed)).and_then(|seal| state::check(&transaction, seal)));
            }
            if let (true, Some(Err(refusal))) = (sealed, &held) {
                *refused = Some(again(refusal));
                continue;
            }
            let savepoint = transaction.savepoint()?;
            if run(&savepoint)? {
                savepoint.commit()?;
                changed |= sealed;
            } else {
                let mut savepoint = savepoint;
                savepoint.rollback()?;
                savepoint.commit()?;
            }
        }
        if changed {
            state::seal(&transaction, seal.ok_or(Error::Unsealed)?)?;
        }
        transaction.commit()?;
        Ok(())
    };
    let failed = work().err().map(name_path);
    if let Some(error) = &failed {
        tracing::error!(target: "keyward::store", %error, "a commit failed");
    }
    for (told, own) in waiters {
        told(own.or_else(|| failed.as_ref().map(again)));
    }
}

/// The same error for another waiter of the same commit.
fn again(e: &Error) -> Error {
    match e {
        Error::Full { path } => Error::Full { path: path.clone() },
        Error::Unsealed => Error::Unsealed,
        Error::Tampered => Error::Tampered,
        Error::Malformed(text) => Error::Malformed(text.clone()),
        Error::Sqlite(rusqlite::Error::SqliteFailure(code, text)) => Error::Sqlite(rusqlite::Error::SqliteFailure(*code, text.clone())),
        other => Error::Malformed(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;
    impl StateSeal for Fixed {
        fn seal(&self, _: u64, digest: &[u8; 32]) -> Option<[u8; 32]> {
            Some(*digest)
        }
        fn holds(&self, state: &state::Sealed) -> Option<bool> {
            Some(state.mac.is_none_or(|mac| mac == state.digest))
        }
    }

    fn temporary() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Config { path: dir.path().join("k.db"), reserve: 0, patience: Duration::from_secs(10) }).unwrap();
        (dir, store)
    }

    /// A future's first step.
    async fn begin<F: Future + Unpin>(future: &mut F) {
        std::future::poll_fn(|cx| {
            assert!(std::pin::Pin::new(&mut *future).poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    }

    #[tokio::test]
    async fn what_is_committed_is_heard_of_though_whoever_asked_for_it_has_left() {
        let (_dir, store) = temporary();
        store.seal_with(Box::new(Fixed)).unwrap();
        let (go, held_up) = mpsc::channel::<()>();
        let mut holds_up = Box::pin(store.append(move |_| -> Result<(), Error> {
            let _ = held_up.recv();
            Ok(())
        }));
        begin(&mut holds_up).await;
        let (heard, hears) = oneshot::channel();
        let (unheard, hears_not) = oneshot::channel();
        let insert = |c: &Connection| -> Result<(), Error> { Ok(c.execute("INSERT INTO meta VALUES('left', x'01')", []).map(drop)?) };
        let mut leaves = Box::pin(store.change_heard(insert, move |()| {
            let _ = heard.send(());
        }));
        begin(&mut leaves).await;
        drop(leaves);
        // The same row again: this one fails, and there is nothing to hear of.
        let mut fails = Box::pin(store.change_heard(insert, move |()| {
            let _ = unheard.send(());
        }));
        begin(&mut fails).await;
        go.send(()).unwrap();
        holds_up.await.unwrap();
        hears.await.unwrap();
        assert!(matches!(fails.await, Err(Error::Duplicate(_))));
        assert!(hears_not.await.is_err());
        let n: i64 = store
            .read(|c| -> Result<i64, Error> { Ok(c.query_row("SELECT count(*) FROM meta WHERE key = 'left'", [], |r| r.get(0))?) })
            .await
            .unwrap();
        assert_eq!(n, 1);
    }

    #[tokio::test]
    async fn one_failing_write_takes_nothing_from_its_neighbours() {
        let (_dir, store) = temporary();
        let good = store.append(|c| -> Result<(), Error> { Ok(c.execute("INSERT INTO meta VALUES('a', x'01')", []).map(drop)?) });
        let bad = store.append(|c| -> Result<(), Error> {
            c.execute("INSERT INTO meta VALUES('b', x'01')", [])?;
            Err(Error::Missing("x".to_owned()))
        });
        let (good, bad) = tokio::join!(good, bad);
        good.unwrap();
        assert!(matches!(bad, Err(Error::Missing(_))));
        let n: i64 = store
            .read(|c| -> Result<i64, Error> { Ok(c.query_row("SELECT count(*) FROM meta WHERE key IN ('a','b')", [], |r| r.get(0))?) })
            .await
            .unwrap();
        assert_eq!(n, 1);
    }

    #[tokio::test]
    async fn a_change_without_a_keeper_is_refused() {
        let (_dir, store) = temporary();
        let refused = store.change(|_| -> Result<(), Error> { Ok(()) }).await;
        assert!(matches!(refused, Err(Error::Unsealed)));
        store.seal_with(Box::new(Fixed)).unwrap();
        store.change(|_| -> Result<(), Error> { Ok(()) }).await.unwrap();
        let sealed = store.read(state::read).await.unwrap();
        assert_eq!(sealed.epoch, 1);
        assert_eq!(sealed.mac, Some(sealed.digest));
    }

    /// A trigger of somebody else's would have the broker itself write, and seal, what it says.
    #[tokio::test]
    async fn a_trigger_that_somebody_made_stops_every_change_and_the_next_start() {
        let (dir, store) = temporary();
        store.seal_with(Box::new(Fixed)).unwrap();
        let group = |name: &'static str| {
            let sql = format!("INSERT INTO groups(id, name) VALUES('grp_{name}', '{name}')");
            store.change(move |c| -> Result<(), Error> { Ok(c.execute(&sql, []).map(drop)?) })
        };
        group("one").await.unwrap();
        #[allow(clippy::disallowed_methods)] // somebody else
        let other = rusqlite::Connection::open(dir.path().join("k.db")).unwrap();
        other.execute_batch("CREATE TRIGGER evil AFTER INSERT ON groups BEGIN INSERT INTO meta VALUES('evil', x'01'); END").unwrap();
        let refused = group("two").await;
        assert!(matches!(&refused, Err(Error::Malformed(text)) if text.contains("trigger evil")), "{refused:?}");
        let count = |c: &Connection| -> Result<i64, Error> {
            Ok(c.query_row("SELECT (SELECT count(*) FROM groups) + (SELECT count(*) FROM meta WHERE key = 'evil')", [], |r| r.get(0))?)
        };
        assert_eq!(store.read(count).await.unwrap(), 1);
        store.close();
        let again = Store::open(Config { path: dir.path().join("k.db"), reserve: 0, patience: Duration::from_secs(10) });
        assert!(matches!(&again, Err(Error::Malformed(text)) if text.contains("trigger evil")), "{again:?}");
        other.execute_batch("DROP TRIGGER evil").unwrap();
        Store::open(Config { path: dir.path().join("k.db"), reserve: 0, patience: Duration::from_secs(10) }).unwrap();
    }

    /// What was sealed while its scope's key was replaced is not written: it would never open again.
    #[tokio::test]
    async fn nothing_is_written_under_a_key_that_is_gone() {
        let (_dir, store) = temporary();
        let scope = crate::model::Scope::Workspace("default".parse().unwrap());
        let found = store.read(move |c| credentials::has_kek(c, &scope, 1)).await;
        assert!(matches!(found, Err(Error::Missing(_))), "{found:?}");
    }

    #[tokio::test]
    async fn a_forged_row_is_not_sealed_by_the_next_change() {
        let (_dir, store) = temporary();
        store.seal_with(Box::new(Fixed)).unwrap();
        store.change(|_| -> Result<(), Error> { Ok(()) }).await.unwrap();
        // As somebody with another connection would: a write that no seal covers.
        store.append(|c| -> Result<(), Error> { Ok(c.execute("INSERT INTO groups VALUES('g', 'wheel')", []).map(drop)?) }).await.unwrap();
        assert!(matches!(store.change(|_| -> Result<(), Error> { Ok(()) }).await, Err(Error::Tampered)));
        store.append(|c| -> Result<(), Error> { Ok(c.execute("DELETE FROM groups", []).map(drop)?) }).await.unwrap();
        store.change(|_| -> Result<(), Error> { Ok(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn a_write_that_was_given_up_is_not_done_later() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Config { path: dir.path().join("k.db"), reserve: 0, patience: Duration::from_millis(50) }).unwrap();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (began, begins) = oneshot::channel();
        // The disk is slow: this write holds up all others until the test lets it go on.
        let slow = store.append(move |c| -> Result<(), Error> {
            let _ = began.send(());
            let _ = wait.recv();
            Ok(c.execute("INSERT INTO meta VALUES('slow', x'01')", []).map(drop)?)
        });
        let given_up = async {
            begins.await.unwrap();
            store.append(|c| -> Result<(), Error> { Ok(c.execute("INSERT INTO meta VALUES('late', x'01')", []).map(drop)?) }).await
        };
        let (slow, given_up) = tokio::join!(slow, given_up);
        assert!(matches!(given_up, Err(Error::Slow(_))), "whoever waited was told that nothing happened");
        assert!(matches!(slow, Err(Error::Slow(_))));
        go.send(()).unwrap();
        // When the writer has worked off what waited, the one that it had begun is there, and the other one is not.
        store.checkpoint().await.unwrap();
        let found: Vec<String> = store
            .read(|c| -> Result<Vec<String>, Error> {
                Ok(c.prepare("SELECT key FROM meta WHERE key IN ('slow', 'late')")?
                    .query_map([], |row| row.get(0))?
                    .collect::<Result<_, _>>()?)
            })
            .await
            .unwrap();
        assert_eq!(found, ["slow"]);
    }

    #[tokio::test]
    async fn a_closed_store_says_so() {
        let (_dir, store) = temporary();
        store.close();
        assert!(matches!(store.append(|_| -> Result<(), Error> { Ok(()) }).await, Err(Error::Closed)));
    }
}
