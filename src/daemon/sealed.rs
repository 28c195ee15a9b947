//! From a daemon with its doors open to an open vault: at once, or – sealed – when somebody brings the passphrase, or when a
//! source that failed answers. Nothing of the database is believed before.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::doors::{Doors, Signals};
use super::root::Root;
use super::{Error, home};
use crate::clock::Clock;
use crate::config::Config;
use crate::control::{Problem, SealedView, Wants};
use crate::fault::{Fault, Kind};
use crate::secret::Secret;
use crate::socket::sealed::{self as socket, Ask};
use crate::store::{self, Store};
use crate::vault::{self, Vault, root};

/// What an ssh client is told.
pub(super) const SENTENCE: &str = "keyward: the vault is sealed; an owner has to run: keyward unseal";
/// What an ssh client is told while sessions end.
pub(super) const CLOSING: &str = "keyward: the vault is being sealed; an owner has to run: keyward unseal";
/// The longest that a passphrase waits after a wrong one.
const LONGEST: Duration = Duration::from_secs(60);
/// How long a program has to be killed in.
const LAST_WORD: Duration = Duration::from_millis(200);
/// Calls that may wait for the one that is looked at.
const WAITING: usize = 4;

/// An open vault and its ledger.
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) vault: Vault,
    /// Who unsealed it, if somebody had to, and waits for the answer.
    pub(super) by: Option<Unsealer>,
}

/// Who unsealed the vault.
pub(super) struct Unsealer {
    /// The kernel's word for who it was; `None`: the source answered by itself.
    pub(super) uid: Option<u32>,
    /// Wrong passphrases before.
    pub(super) failed: u32,
    /// Waits until the daemon serves.
    pub(super) answer: Option<oneshot::Sender<Result<(), Problem>>>,
}

/// How a sealed daemon is, for `status`.
#[derive(Default)]
struct State {
    failed: u32,
    last_error: Option<String>,
}

/// What is needed to open the vault.
pub(super) struct Opening<'a> {
    pub(super) home: &'a home::Home,
    pub(super) config: &'a Config,
    pub(super) root: &'a Root,
    pub(super) doors: &'a Doors,
    pub(super) clock: &'a Clock,
    /// Says once that the daemon is ready, and sealed.
    pub(super) announce: &'a dyn Fn() -> Result<(), Error>,
}

impl Opening<'_> {
    /// Opens the vault. `None`: the daemon was told to stop before. `sealed`: only when somebody asks for it.
    pub(super) async fn open(&self, signals: &mut Signals, sealed: bool) -> Result<Option<Opened>, Error> {
        let mut why = None;
        if !sealed {
            tokio::select! {
                tried = self.attempt(None) => match tried {
                    Ok((store, vault)) => return Ok(Some(Opened { store, vault, by: None })),
                    Err(e) if self.is_tried_again(&e) => why = Some(told(&e)),
                    Err(e) => return Err(e),
                },
                () = signals.stop() => return Ok(self.give_up().await),
            }
        }
        self.wait(signals, why).await
    }

    /// Sealed: everybody is told so, until the vault is open.
    async fn wait(&self, signals: &mut Signals, why: Option<String>) -> Result<Option<Opened>, Error> {
        if let Some(why) = &why {
            tracing::error!(target: "keyward::daemon", "the vault stays sealed, and its source is tried again: {why}");
        }
        // Without somebody's word a source is tried again only where it failed by itself.
        let retry = if why.is_some() { self.root.retry } else { Duration::ZERO };
        let state = Arc::new(Mutex::new(State { failed: 0, last_error: why }));
        let (asks, mut asked) = mpsc::channel(WAITING);
        let stop = CancellationToken::new();
        let _stopped = stop.clone().drop_guard();
        let us = rustix::process::geteuid().as_raw();
        let door = socket::Doorway { view: self.view(Arc::clone(&state)), asks, us };
        let control = Arc::clone(&self.doors.control);
        let until = stop.clone();
        #[allow(clippy::disallowed_methods)] // awaited before the local door is served by somebody else
        let local = tokio::spawn(async move { socket::serve(&control, door, until).await });
        let turning = self.doors.listener.turn_away(SENTENCE);
        tokio::pin!(turning);
        (self.announce)()?;
        let mut throttle = Throttle::default();
        let opened = loop {
            let ask: Option<Ask> = tokio::select! {
                () = &mut turning => return Ok(None),
                () = signals.stop() => return Ok(None),
                () = pause(retry) => None,
                Some(ask) = asked.recv() => Some(ask),
            };
            let ask = match ask.map(|ask| self.admit(ask, &throttle)) {
                Some(None) => continue,
                Some(Some(ask)) => Some(ask),
                None => None,
            };
            let (passphrase, uid, answer) = match ask {
                Some(Ask { passphrase, uid, answer, .. }) => (passphrase, Some(uid), Some(answer)),
                None => (None, None, None),
            };
            let tried = tokio::select! {
                tried = self.attempt(passphrase) => tried,
                () = &mut turning => return Ok(None),
                () = signals.stop() => return Ok(self.give_up().await),
            };
            match tried {
                Ok((store, vault)) => break Opened { store, vault, by: Some(Unsealer { uid, failed: throttle.failed, answer }) },
                Err(e) => self.refused(&e, uid, answer, &mut throttle, &state),
            }
        };
        stop.cancel();
        let _ = local.await;
        Ok(Some(opened))
    }

    /// Whether a call is looked at; else it is answered.
    fn admit(&self, ask: Ask, throttle: &Throttle) -> Option<Ask> {
        let exists = self.root.source.exists().unwrap_or(true);
        let wants = wants(&self.root.source, exists);
        let refusal = if let Some(wait) = throttle.left(Instant::now()) {
            let seconds = wait.as_secs() + 1;
            Some((Kind::Limit, format!("after wrong passphrases the next one is taken in {seconds} s"), "try again then"))
        } else if ask.new && wants != Wants::NewPassphrase {
            Some((Kind::Conflict, "there is a root key already: its passphrase is wanted, not a new one".to_owned(), "keyward unseal"))
        } else if !ask.new && wants == Wants::NewPassphrase {
            Some((Kind::Invalid, "there is no root key yet: a new passphrase is wanted".to_owned(), "keyward unseal"))
        } else {
            None
        };
        match refusal {
            None => Some(ask),
            Some((kind, message, hint)) => {
                let _ = ask.answer.send(Err(Problem { kind, message, hint: Some(hint.to_owned()) }));
                None
            }
        }
    }

    /// An attempt that failed: counted if it was a guess, noted in the log, answered.
    fn refused(
        &self,
        e: &Error,
        uid: Option<u32>,
        answer: Option<oneshot::Sender<Result<(), Problem>>>,
        throttle: &mut Throttle,
        state: &Mutex<State>,
    ) {
        let mut hint = e.hint();
        if matches!(e, Error::Vault(vault::Error::RootKey(root::Error::WrongPassphrase))) {
            let wait = throttle.fail(Instant::now());
            hint = Some(format!("the next one is taken in {} s: keyward unseal", wait.as_secs()));
            tracing::warn!(target: "keyward::daemon", uid, failed = throttle.failed, "a wrong passphrase for the root key");
        } else {
            tracing::error!(target: "keyward::daemon", uid, "the vault stays sealed: {e}");
        }
        if let Ok(mut state) = state.lock() {
            state.failed = throttle.failed;
            state.last_error = Some(told(e));
        }
        if let Some(answer) = answer {
            let _ = answer.send(Err(Problem { kind: e.kind(), message: e.to_string(), hint }));
        }
    }

    /// Told to stop in the middle of an attempt: what runs for it is ended.
    async fn give_up(&self) -> Option<Opened> {
        self.root.source.give_up();
        if matches!(self.root.source, root::Source::Command(_)) {
            tokio::time::sleep(LAST_WORD).await;
        }
        None
    }

    async fn attempt(&self, passphrase: Option<Secret>) -> Result<(Store, Vault), Error> {
        let path = self.home.path().join("keyward.db");
        let store = Store::open(store::Config { path, reserve: self.config.reserve, patience: self.config.patience })?;
        match Vault::open_from(&store, self.root.source.clone(), passphrase, self.clock.clone()).await {
            Ok(vault) => Ok((store, vault)),
            Err(e) => {
                let _ = tokio::task::spawn_blocking(move || store.close()).await;
                Err(e.into())
            }
        }
    }

    /// Whether it is the source that failed, and may answer later.
    fn is_tried_again(&self, e: &Error) -> bool {
        !self.root.retry.is_zero()
            && matches!(self.root.source, root::Source::Command(_) | root::Source::Credential(_))
            && matches!(e, Error::Vault(vault::Error::RootKey(_)))
    }

    fn view(&self, state: Arc<Mutex<State>>) -> Arc<dyn Fn() -> SealedView + Send + Sync> {
        let (clock, source) = (self.clock.clone(), self.root.source.clone());
        let (listen, host_keys, since) = (self.doors.address.to_string(), self.doors.keys.fingerprints.clone(), self.clock.now());
        Arc::new(move || {
            let (failed_tries, last_error) = state.lock().map(|s| (s.failed, s.last_error.clone())).unwrap_or_default();
            SealedView {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                uptime_s: clock.now().since(since).as_secs(),
                live_connections: 0,
                leases_open: 0,
                pending_proposals: 0,
                audit_seq: None,
                vault: "sealed".to_owned(),
                source: source.word().to_owned(),
                wants: wants(&source, source.exists().unwrap_or(true)),
                failed_tries,
                last_error,
                listen: listen.clone(),
                host_keys: host_keys.clone(),
            }
        })
    }
}

fn wants(source: &root::Source, exists: bool) -> Wants {
    match (source.wants_passphrase(), exists) {
        (true, true) => Wants::Passphrase,
        (true, false) => Wants::NewPassphrase,
        (false, _) => Wants::Nothing,
    }
}

fn told(e: &Error) -> String {
    crate::model::printable(&e.to_string(), 1000)
}

/// Waits so long; for ever if it is zero.
async fn pause(time: Duration) {
    if time.is_zero() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(time).await;
}

/// Wrong passphrases: after each the next is taken later, twice as late each time.
#[derive(Default)]
struct Throttle {
    failed: u32,
    until: Option<Instant>,
}

impl Throttle {
    fn fail(&mut self, now: Instant) -> Duration {
        let wait = Duration::from_secs(1u64.checked_shl(self.failed).unwrap_or(u64::MAX)).min(LONGEST);
        self.failed = self.failed.saturating_add(1);
        self.until = Some(now + wait);
        wait
    }

    /// How long still; `None`: the next is taken.
    fn left(&self, now: Instant) -> Option<Duration> {
        self.until.and_then(|until| until.checked_duration_since(now)).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_passphrase_makes_the_next_one_wait_twice_as_long_up_to_a_minute() {
        let mut throttle = Throttle::default();
        let now = Instant::now();
        assert_eq!(throttle.left(now), None);
        for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(throttle.fail(now), Duration::from_secs(expected));
            assert_eq!(throttle.left(now), Some(Duration::from_secs(expected)));
            assert_eq!(throttle.left(now + Duration::from_secs(expected)), None);
        }
        for _ in 0..100 {
            assert_eq!(throttle.fail(now), LONGEST);
        }
    }
}
