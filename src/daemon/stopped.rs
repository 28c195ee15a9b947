//! What is done while no daemon runs in the home: accepting a database that is older than what is known of it, and putting a
//! backup in the place of the database. Holds the home's lock; changes nothing before everything was checked and confirmed.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::anchor::Anchor;
use super::checkpoints::{self, Memory};
use super::place_backup::{self, Placed};
use super::root::Root;
use super::{Error, harden, home, system};
use crate::audit::{self, Checkpoint, Log, Vouchers};
use crate::cli::{Ask, AskSecret, Failure, Stopped, StoppedTask};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::model::{Event, EventName};
use crate::store::{self, Store, audit_log, keys, state};
use crate::vault::Vault;

/// The database's name in a home.
pub(super) const DATABASE: &str = "keyward.db";

/// A home whose daemon is stopped.
pub(super) struct Still<'a> {
    pub(super) home: home::Home,
    pub(super) config: Config,
    pub(super) root: Root,
    /// Asks for the root key's passphrase, where it has one: each opening takes it anew.
    secret: RefCell<AskSecret<'a>>,
    pub(super) memory: Memory,
    pub(super) clock: Clock,
}

/// A database with the vault that it belongs to.
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) vault: Vault,
    pub(super) log: Log,
    signer: Arc<dyn audit::Signer>,
}

/// Does it. What comes back is to be told, line by line.
///
/// # Errors
/// As they are shown; then nothing was changed.
pub fn stopped(task: StoppedTask, ask: Ask<'_>, secret: AskSecret<'_>) -> Result<Vec<String>, Failure> {
    work(task, ask, secret).map_err(|e| Failure::of(&e))
}

fn work(task: StoppedTask, ask: Ask<'_>, secret: AskSecret<'_>) -> Result<Vec<String>, Error> {
    harden::bind_now();
    harden::settle_allocator();
    harden::harden();
    let home = home::Home::take(&task.home).map_err(|e| match e {
        home::Error::Taken(path) => Error::StillRuns(path),
        other => other.into(),
    })?;
    let config = config::load(config::path(task.config.as_deref(), home.path()).as_deref())?;
    let root = Root::of(&config, home.path())?;
    let memory = Memory { checkpoints: home.path().join("checkpoints.jsonl"), anchor: root.anchor.clone() };
    let still = Still { home, config, root, secret: RefCell::new(secret), memory, clock: Clock::System };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(system("the runtime"))?;
    runtime.block_on(async {
        match task.what {
            Stopped::AcceptRollback => still.accept_rollback(ask).await,
            Stopped::Restore { file, accept_rollback } => still.restore(&file, accept_rollback, ask).await,
        }
    })
}

impl Still<'_> {
    pub(super) fn database(&self) -> PathBuf {
        self.home.path().join(DATABASE)
    }

    /// Opens a database that is there, with the root key that is there: neither is made.
    pub(super) async fn open(&self, path: &Path) -> Result<Opened, Error> {
        if !path.exists() {
            return Err(Error::NoDatabase(path.to_owned()));
        }
        let config = store::Config { path: path.to_owned(), reserve: self.config.reserve, patience: self.config.patience };
        let store = Store::open(config)?;
        let passphrase = match self.root.source.wants_passphrase() {
            true => Some((self.secret.borrow_mut())("the root key", false).map_err(|_| Error::NotConfirmed("nothing was opened"))?),
            false => None,
        };
        let vault = Vault::open_from(&store, self.root.source.clone(), passphrase, self.clock.clone()).await?;
        let log = Log::new(store.clone(), self.clock.clone());
        let signer = Arc::from(vault.checkpoint_signer());
        Ok(Opened { store, vault, log, signer })
    }

    async fn accept_rollback(&self, ask: Ask<'_>) -> Result<Vec<String>, Error> {
        let opened = self.open(&self.database()).await?;
        let done = match opened.compare(&self.memory).await {
            Ok(()) => Err(Error::NothingToAccept),
            Err(refusal @ Error::RolledBack { .. }) => {
                let lost = self.lost(&opened.store).await?;
                let question = format!("{refusal}.\n{lost}\nWhat was removed or changed since is in force again. Go on with it?");
                if ask(&question) { self.accept(&opened, &refusal).await } else { Err(Error::NotConfirmed("nothing was accepted")) }
            }
            Err(other) => Err(other),
        };
        opened.close().await;
        done.map(|()| vec!["accepted, and recorded in the audit log; start it: keyward serve".to_owned()])
    }

    /// Records that it was accepted, and makes this database the one that is known.
    pub(super) async fn accept(&self, opened: &Opened, refusal: &Error) -> Result<(), Error> {
        checkpoints::accept(&self.memory, refusal, &opened.log, &self.clock).await?;
        let signer = Arc::clone(&opened.signer);
        let keeper = checkpoints::Keeper::new(&self.config, self.memory.clone(), signer, opened.store.clone(), self.clock.clone());
        if keeper.checkpoint().await { Ok(()) } else { Err(Error::Lost("vault's keeper")) }
    }

    /// What is known of the database, and what it knows itself.
    async fn lost(&self, store: &Store) -> Result<String, Error> {
        let (known_epoch, known_seq) = self.known();
        let read =
            |c: &rusqlite::Connection| -> Result<_, store::Error> { Ok((state::epoch(c)?, audit_log::last(c)?.map_or(0, |e| e.seq))) };
        let (epoch, seq) = store.read(read).await?;
        Ok(lost(known_epoch, known_seq, epoch, seq))
    }

    /// The newest epoch and audit entry that the checkpoints and the anchor tell of.
    fn known(&self) -> (u64, u64) {
        let anchor = Anchor::read(&self.memory.anchor).ok().flatten();
        let signed = Checkpoint::read_all(&self.memory.checkpoints).unwrap_or_default().into_iter().map(|c| c.seq).max();
        let seq = anchor.as_ref().map(|a| a.checkpoint.seq).max(signed).unwrap_or(0);
        (anchor.map_or(0, |a| a.epoch), seq)
    }

    async fn restore(&self, file: &Path, accept: bool, ask: Ask<'_>) -> Result<Vec<String>, Error> {
        let checked = place_backup::check(self, file).await?;
        let mut question = format!("{} holds epoch {} and {} audit entries.\n", file.display(), checked.epoch, checked.seq);
        // The database that is here may itself be older than what is known.
        let (known_epoch, known_seq) = self.known();
        let (epoch, seq) = checked.current.unwrap_or((0, 0));
        if (known_epoch, known_seq) != (0, 0) || checked.current.is_some() {
            let lost = match &checked.older {
                Some(older) if known_epoch.max(epoch) <= checked.epoch && known_seq.max(seq) <= checked.seq => format!("{older}."),
                _ => lost(known_epoch.max(epoch), known_seq.max(seq), checked.epoch, checked.seq),
            };
            question.push_str(&format!("{lost}\n"));
        }
        question.push_str(match checked.current {
            Some(_) => "The database that is here is kept beside it. ",
            None => "There is no database here that could be read. ",
        });
        question.push_str("Put the backup in its place?");
        if !ask(&question) {
            return Err(Error::NotConfirmed("nothing was restored"));
        }
        let sha256 = checked.sha256.clone();
        let Placed { aside } = place_backup::place(self, checked)?;
        let mut told = vec![format!("restored: {}", self.database().display())];
        told.extend(aside.map(|path| format!("the database that was here: {}", path.display())));
        let opened = self.open(&self.database()).await?;
        let compared = opened.compare(&self.memory).await;
        let recorded = opened.log.record(Event::new(EventName::VaultRestored, "keyward").with("sha256", sha256)).await;
        let outcome = match (recorded, compared) {
            (Err(e), _) => Err(e.into()),
            (Ok(_), Ok(())) => Ok("start it: keyward serve".to_owned()),
            (Ok(_), Err(refusal @ Error::RolledBack { .. })) if accept => self
                .accept(&opened, &refusal)
                .await
                .map(|()| "that it is older was accepted and recorded; start it: keyward serve".to_owned()),
            (Ok(_), Err(Error::RolledBack { .. })) => {
                Ok("it is older than what is known: it starts after keyward vault accept-rollback".to_owned())
            }
            (Ok(_), Err(other)) => Err(other),
        };
        opened.close().await;
        told.push(outcome?);
        Ok(told)
    }
}

impl Opened {
    /// Whose signatures count here.
    async fn vouchers(&self) -> Result<Vouchers, Error> {
        Ok(Vouchers::new(self.signer.public_key(), &self.store.read(keys::roots).await?))
    }

    pub(super) async fn compare(&self, memory: &Memory) -> Result<(), Error> {
        checkpoints::compare(memory, &self.store, &self.vouchers().await?).await
    }

    pub(super) async fn close(self) {
        self.vault.close();
        let store = self.store.clone();
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
    }
}

fn lost(known_epoch: u64, known_seq: u64, epoch: u64, seq: u64) -> String {
    let changes = known_epoch.saturating_sub(epoch);
    let entries = known_seq.saturating_sub(seq);
    if entries == 0 && changes == 0 {
        return "Nothing that is known is lost.".to_owned();
    }
    format!(
        "Lost: {} and {} (epoch {known_epoch} back to {epoch}), as far as is known.",
        match entries {
            0 => "no audit entry".to_owned(),
            1 => format!("1 audit entry ({known_seq})"),
            _ => format!("{entries} audit entries ({} to {known_seq})", seq.saturating_add(1)),
        },
        match changes {
            1 => "1 change".to_owned(),
            _ => format!("{changes} changes"),
        }
    )
}

#[cfg(test)]
mod tests {
    use super::lost;

    #[test]
    fn what_is_lost_is_counted_in_words_that_fit() {
        assert_eq!(lost(3, 9, 3, 9), "Nothing that is known is lost.");
        assert_eq!(lost(4, 10, 3, 9), "Lost: 1 audit entry (10) and 1 change (epoch 4 back to 3), as far as is known.");
        assert_eq!(lost(5, 12, 3, 9), "Lost: 3 audit entries (10 to 12) and 2 changes (epoch 5 back to 3), as far as is known.");
        assert_eq!(lost(5, 9, 3, 9), "Lost: no audit entry and 2 changes (epoch 5 back to 3), as far as is known.");
    }
}
