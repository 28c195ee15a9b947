//! The roof: wires the rooms, starts them in order, watches over them, drains. Holds no rule of its own.

mod anchor;
mod checkpoints;
mod doors;
mod first_run;
mod harden;
mod home;
mod logging;
mod place_backup;
mod reload;
mod root;
mod root_key;
mod sealed;
mod stopped;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

pub use checkpoints::Rollback;
use doors::{Doors, Signals, Told};
use root::Root;
pub use root_key::root_key;
use sealed::{Opened, Opening};
pub use stopped::stopped;

use crate::approvals::{self, Approvals};
use crate::audit::Log;
use crate::authn::Authn;
use crate::authz::Guard;
use crate::cli::{ServeOptions, place};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::control::{Desk, Facts, Parts, Sealing};
use crate::custody::Custody;
use crate::fault::{Fault, Kind};
use crate::front::{self, Doorway, Workers};
use crate::model::{EndReason, Event, EventName};
use crate::rotation;
use crate::scans::{self, Scans};
use crate::sessions::{Arrears, Registry, Rooms};
use crate::sources::Sources;
use crate::store;
use crate::vault;
use crate::{audit, mcp, socket};

/// How long calls at the control socket have to end.
const SOCKET_WORDS: Duration = Duration::from_secs(2);
/// How long the answer to `seal` has to reach whoever asked for it.
const ANSWER: Duration = Duration::from_millis(300);
/// After the drain, how long sessions have to end and be recorded.
const LAST_WORDS: Duration = Duration::from_secs(8);

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] home::Error),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The vault cannot be opened.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// The audit log cannot be written.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// The end of an old session could not be recorded.
    #[error(transparent)]
    Custody(#[from] crate::custody::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        error: std::io::Error,
    },
    /// `--listen` is no address.
    #[error("`{0}` is no address to listen on: write ADDRESS:PORT, for instance 127.0.0.1:2222 or [::]:2222")]
    Address(String),
    /// The root key stands in the environment.
    #[error("the environment variable KEYWARD_ROOT_KEY is set: a root key is never read from the environment")]
    RootKeyInEnvironment,
    /// The root key is to be a credential, and nobody gave any.
    #[error("the root key is to come from a credential of systemd, and CREDENTIALS_DIRECTORY is not set: this is no such service")]
    NoCredentials,
    /// Something of the system failed.
    #[error("{what}: {error}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why.
        error: std::io::Error,
    },
    /// The database is not the one that is known from before.
    #[error("the database is older than {told_by} says, or was rewritten: {what}")]
    RolledBack {
        /// What tells of it: the file of checkpoints, or the anchor beside the root key.
        told_by: std::path::PathBuf,
        /// How it differs.
        what: Rollback,
    },
    /// `--accept-rollback` where there is none.
    #[error("--accept-rollback was given, and the database is not older than what is known of it")]
    NoRollback,
    /// The anchor cannot be read.
    #[error("{path}: {error}")]
    Anchor {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Something is to be done while the daemon is stopped, and it runs.
    #[error("keyward runs in {0}, and this is done while it is stopped")]
    StillRuns(std::path::PathBuf),
    /// There is no database.
    #[error("there is no database {0}")]
    NoDatabase(std::path::PathBuf),
    /// `vault accept-rollback` where there is none.
    #[error("the database is not older than what is known of it: there is nothing to accept")]
    NothingToAccept,
    /// Nobody said yes.
    #[error("{0}, because nobody said yes")]
    NotConfirmed(&'static str),
    /// The file is no backup that can be used.
    #[error("{file} is no backup that can be restored: {why}; nothing was changed")]
    BadBackup {
        /// The file.
        file: std::path::PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The backup is another vault's.
    #[error("{0} is the backup of another vault than the one that lives here; nothing was changed")]
    OtherVault(std::path::PathBuf),
    /// The backup hangs on another root key.
    #[error("{root_key} is not the root key that opens {file}; nothing was changed")]
    OtherRootKey {
        /// The backup.
        file: std::path::PathBuf,
        /// The root key that is here.
        root_key: vault::root::Source,
    },
    /// A room that must not fail has failed while running.
    #[error("the {0} has stopped: nothing more can be witnessed or decrypted")]
    Lost(&'static str),
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Config(e) => e.kind(),
            Self::Home(e) => e.kind(),
            Self::Store(e) => e.kind(),
            Self::Vault(e) => e.kind(),
            Self::Audit(e) => e.kind(),
            Self::Custody(e) => e.kind(),
            Self::Address(_) | Self::NoRollback => Kind::Usage,
            Self::StillRuns(_) | Self::NothingToAccept | Self::OtherVault(_) => Kind::Conflict,
            Self::NoDatabase(_) => Kind::NotFound,
            Self::NotConfirmed(_) | Self::BadBackup { .. } => Kind::Invalid,
            Self::OtherRootKey { .. } => Kind::Unavailable,
            Self::RolledBack { .. } => Kind::Tampered,
            Self::Listen { .. } | Self::System { .. } | Self::Anchor { .. } | Self::RootKeyInEnvironment | Self::NoCredentials => {
                Kind::Unavailable
            }
            Self::Lost(_) => Kind::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Config(e) => e.hint(),
            Self::Home(e) => e.hint(),
            Self::Store(e) => e.hint(),
            Self::Vault(e) => e.hint(),
            Self::Audit(e) => e.hint(),
            Self::Custody(e) => e.hint(),
            Self::Listen { address, .. } => {
                Some(format!("is something listening there already? ss -ltnp | grep '{}'", address.rsplit(':').next().unwrap_or(address)))
            }
            Self::RootKeyInEnvironment => {
                Some("other processes can read it there; unset KEYWARD_ROOT_KEY and keep the key in its file".to_owned())
            }
            Self::NoCredentials => Some("keyward systemd-unit --source credential prints a unit that gives it one".to_owned()),
            Self::RolledBack { .. } => Some(
                "what was removed or changed since would be in force again. If you put a backup back on purpose, start it once with \
                 --accept-rollback, or first: keyward vault accept-rollback; this is recorded"
                    .to_owned(),
            ),
            Self::StillRuns(_) => Some("stop it first: systemctl stop keyward, or Ctrl-C where it runs".to_owned()),
            Self::NoDatabase(_) => Some("name the home: --home DIR".to_owned()),
            Self::NothingToAccept => Some("start it: keyward serve".to_owned()),
            Self::NotConfirmed(_) => Some("without a terminal, say it with --yes".to_owned()),
            Self::BadBackup { .. } => Some("take another backup: ls -l with its FILE.json; sha256sum FILE".to_owned()),
            Self::OtherVault(_) => Some("restore it into a home of its own: --home DIR".to_owned()),
            Self::OtherRootKey { root_key, .. } => Some(place_backup::other_root_key(root_key)),
            Self::NoRollback => Some("leave it out: it is for one start, after a backup was put back".to_owned()),
            Self::Anchor { path, .. } => Some(format!(
                "it is written beside the root key with each checkpoint. Find out who changed it; then: mv {0} {0}.unreadable",
                path.display()
            )),
            Self::Lost(_) => Some("read the log above, then start the daemon again".to_owned()),
            Self::Address(_) | Self::System { .. } => None,
        }
    }
}

fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    move |error| Error::System { what, error }
}

/// Runs the broker in the foreground until it is told to stop.
///
/// # Errors
/// [`Error`], each with a hint.
pub fn serve(options: ServeOptions) -> Result<(), Error> {
    if place::var("KEYWARD_ROOT_KEY").is_some() {
        return Err(Error::RootKeyInEnvironment);
    }
    let late = harden::bind_now();
    harden::settle_allocator();
    harden::raise_file_limit();
    let mut hardened = harden::harden();
    hardened.extend(late);
    let home = home::Home::take(&options.home)?;
    let config_path = config::path(options.config.as_deref(), home.path());
    let mut config = config::load(config_path.as_deref())?;
    if let Some(listen) = &options.listen {
        config.listen = listen.parse().map_err(|_| Error::Address(crate::model::printable(listen, 80)))?;
    }
    let log_level = logging::start(&config, options.verbose, options.log_json);
    reload::tells_of_tcp(&config);
    for note in hardened {
        tracing::warn!(target: "keyward::daemon", "{note}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(system("the runtime"))?;
    let reload = reload::Reload { options, config_path, log_level };
    runtime.block_on(run(home, config, reload))
}

/// Everything between the doors' opening and their closing: the vault is opened, and as often as it is sealed, opened again.
async fn run(home: home::Home, config: Config, mut reload: reload::Reload) -> Result<(), Error> {
    let clock = Clock::System;
    store::backup::remove_unfinished(home.path()).map_err(system("what is left of an unfinished backup"))?;
    let root = Root::of(&config, home.path())?;
    let mut signals = Signals::listen()?;
    let doors = Doors::open(&home, &config).await?;
    let announce = || announce(&doors, &root, None, true, true).map_err(system("standard output"));
    let opening = Opening { home: &home, config: &config, root: &root, doors: &doors, clock: &clock, announce: &announce };
    let mut sealed = root.source.wants_passphrase();
    while let Some(opened) = opening.open(&mut signals, sealed).await? {
        match unsealed(&opening, &reload, &mut signals, opened).await? {
            End::Stopped => break,
            End::Sealed => sealed = true,
        }
        // It was for the start; what is found from now on was not looked at by anybody.
        reload.options.accept_rollback = false;
    }
    drop(doors);
    drop(home);
    tracing::info!(target: "keyward::daemon", "stopped");
    Ok(())
}

/// Why an open vault was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The daemon was told to stop.
    Stopped,
    /// An owner sealed the vault.
    Sealed,
}

/// Everything between an open vault and a closed one.
async fn unsealed(opening: &Opening<'_>, reload: &reload::Reload, signals: &mut Signals, opened: Opened) -> Result<End, Error> {
    let Opening { home, config, root, doors, .. } = *opening;
    let clock = opening.clock.clone();
    let Opened { store, vault, by } = opened;
    let address = doors.address;
    let log = Log::new(store.clone(), clock.clone());
    let guard = Guard::default();
    let custody = Custody::new(store.clone(), log.clone(), vault.clone(), guard.clone(), clock.clone())
        .with_sources(Sources::new(config.sources.clone(), place::var));
    custody.keep_open_for(config.personal_idle);
    custody.second_factor_valid_for(config.second_factor_valid_for);
    let checkpoints = home.path().join("checkpoints.jsonl");
    let signer: Arc<dyn audit::Signer> = Arc::from(vault.checkpoint_signer());
    let memory = checkpoints::Memory { checkpoints: checkpoints.clone(), anchor: root.anchor.clone() };
    let accepting = reload.options.accept_rollback;
    match checkpoints::compare(&memory, &store, &custody.vouchers().await?).await {
        Ok(()) if accepting => return Err(Error::NoRollback),
        Err(refusal @ Error::RolledBack { .. }) if accepting => checkpoints::accept(&memory, &refusal, &log, &clock).await?,
        compared => compared?,
    }
    let news = first_run::owner(&store, &log, &clock).await?;
    first_run::end_crashed(&store, &custody, &clock).await?;
    approvals::settle_left_behind(&store, &log, &clock).await?;
    scans::settle_left_behind(&store, &log, &clock).await?;

    if let Some(folder) = root.anchor.parent() {
        // Where it cannot be made, each checkpoint says that its anchor was not written.
        let _ = std::os::unix::fs::DirBuilderExt::mode(std::fs::DirBuilder::new().recursive(true), 0o700).create(folder);
    }
    let agents_listener = match config.mcp.listen {
        Some(at) => Some(mcp::Listener::bind(at).await.map_err(|error| Error::Listen { address: at.to_string(), error })?),
        None => None,
    };
    let registry = Registry::default();
    let approvals = Approvals::new(
        config.approvals.clone(),
        approvals::Parts {
            store: store.clone(),
            log: log.clone(),
            custody: custody.clone(),
            guard: guard.clone(),
            clock: clock.clone(),
            sessions: registry.clone(),
        },
        tokio::runtime::Handle::current(),
    );
    let rooms = Rooms {
        custody: custody.clone(),
        log: log.clone(),
        registry: registry.clone(),
        guard: guard.clone(),
        clock: clock.clone(),
        target: config.target.clone(),
        arrears: Arrears::default(),
    };
    let scan_parts = scans::Parts { rooms: rooms.clone(), store: store.clone(), log: log.clone(), clock: clock.clone() };
    let scans = Scans::new(scan_parts, config.scans.clone(), tokio::runtime::Handle::current());
    let rotation_parts =
        rotation::Parts { rooms: rooms.clone(), store: store.clone(), log: log.clone(), custody: custody.clone(), clock: clock.clone() };
    let rotations = rotation::Rotations::new(rotation_parts, tokio::runtime::Handle::current());
    let seal = Sealing::default();
    let desk = Desk::new(Parts {
        rotations: rotations.clone(),
        approvals: approvals.clone(),
        scans: scans.clone(),
        store: store.clone(),
        log: log.clone(),
        custody: custody.clone(),
        guard: guard.clone(),
        clock: clock.clone(),
        sessions: registry.clone(),
        target: config.target.clone(),
        checkpoints: checkpoints.clone(),
        facts: facts(config, address, &doors.keys.fingerprints, &custody, &clock, &memory),
        seal: seal.clone(),
    });
    let authn = Authn::new(&config.authn, store.clone(), log.clone(), clock.clone());
    let tools = mcp::Doorway { approvals: approvals.clone(), scans: scans.clone(), authn: authn.clone(), guard };
    let workspace = crate::model::DEFAULT_WORKSPACE.parse().map_err(|_| Error::Lost("workspace"))?;
    let crowd = front::Crowd::default();
    let door = Arc::new(Doorway { authn, rooms, desk: desk.clone(), approvals: approvals.clone(), scans: scans.clone(), workspace, crowd });
    let front_config = RwLock::new(Arc::new(front::Config::new(config.front.clone(), &doors.keys.keys)));

    let count = if config.workers == 0 { std::thread::available_parallelism().map_or(2, usize::from) } else { config.workers };
    let workers = Workers::start(count, &door).map_err(system("the worker threads"))?;
    log.record(Event::new(EventName::DaemonStarted, "keyward").with("version", env!("CARGO_PKG_VERSION")).with("listen", address)).await?;

    let unsealer = match by {
        Some(by) => root_key::record_unsealing(by, root, &store, &log).await?,
        None => None,
    };

    let stop = CancellationToken::new();
    let keeper = checkpoints::Keeper::new(config, memory, signer, store.clone(), clock.clone());
    if accepting {
        // From now on this database is what is known, also if the daemon is killed before the next checkpoint is due.
        keeper.checkpoint().await;
    }
    #[allow(clippy::disallowed_methods)] // awaited when the daemon stops
    let control_task =
        tokio::spawn(socket::serve(Arc::clone(&doors.control), socket::Doorway { desk, tools: tools.clone() }, stop.clone()));
    #[allow(clippy::disallowed_methods)] // awaited when the daemon stops
    let agents_task = agents_listener.map(|listener| tokio::spawn(listener.run(tools, stop.clone())));
    #[allow(clippy::disallowed_methods)] // its end, a panic included, ends the daemon
    let mut watch = tokio::spawn(keeper.clone().run(stop.clone()));
    let (watching, watch_until) = (approvals.clone(), stop.clone());
    #[allow(clippy::disallowed_methods)] // awaited when the daemon stops
    let proposals_task = tokio::spawn(async move { watching.watch(watch_until).await });
    let (minding, mind_until) = (custody.clone(), stop.clone());
    #[allow(clippy::disallowed_methods)] // awaited when the daemon stops
    let scopes_task = tokio::spawn(async move { minding.mind_scopes(mind_until).await });
    let plain = config.log_format == config::LogFormat::Text && !reload.options.log_json;
    announce(doors, root, news.as_deref(), plain, false).map_err(system("standard output"))?;
    if let Some(unsealer) = unsealer {
        let _ = unsealer.send(Ok(()));
    }

    let verdict = {
        let accepting = doors.listener.run(&front_config, &door, &workers, &stop);
        let until_told = until_told(reload, config, signals, &front_config, &doors.keys.keys, &log, &scans);
        tokio::select! {
            () = accepting => Ok(End::Stopped),
            told = until_told => told.map(|()| End::Stopped),
            () = seal.wanted() => Ok(End::Sealed),
            () = vault.stopped() => Err(Error::Lost("vault's keeper")),
            lost = &mut watch => Err(lost.unwrap_or(Error::Lost("checkpoint task"))),
        }
    };
    // Not drained: a scan that is cut short here is taken up again with `scan resume`.
    scans.halt();
    rotations.halt();
    // Proposals end with the connections that they would run on; their ends are recorded before the log is closed.
    let sealing = matches!(verdict, Ok(End::Sealed));
    let ending = async {
        drain(&registry, if verdict.is_ok() { config.drain } else { Duration::ZERO }, sealing.then_some(&seal)).await;
        let _ = tokio::time::timeout(LAST_WORDS, scans.close()).await;
        let _ = tokio::time::timeout(LAST_WORDS, rotations.stop()).await;
        approvals.settled(SOCKET_WORDS).await;
    };
    if sealing {
        seal.doors_are_shut();
        tokio::select! {
            // Whoever asked for it over ssh hears the answer before the workers stop.
            _ = async { tokio::join!(ending, tokio::time::sleep(ANSWER)) } => {}
            () = doors.listener.turn_away(sealed::CLOSING) => {}
        }
    } else {
        ending.await;
    }
    stop.cancel();
    let _ = tokio::time::timeout(SOCKET_WORDS, proposals_task).await;
    let _ = tokio::time::timeout(SOCKET_WORDS, scopes_task).await;
    // A client that says nothing or does not read holds up no stop.
    let _ = tokio::time::timeout(SOCKET_WORDS, control_task).await;
    if let Some(agents_task) = agents_task {
        let _ = tokio::time::timeout(SOCKET_WORDS, agents_task).await;
    }
    let _ = tokio::task::spawn_blocking(move || workers.stop()).await;
    if let Err(error) = custody.lock_everybody("the daemon stops", "keyward").await {
        tracing::error!(target: "keyward::daemon", %error, "that sealed scopes were locked was not recorded");
    }
    let event = Event::new(EventName::DaemonStopped, "keyward");
    let recorded = log.record(match &verdict {
        Ok(End::Stopped) => event,
        Ok(End::Sealed) => event.because("the vault was sealed"),
        Err(e) => event.failed(e.to_string()),
    });
    if let Err(error) = recorded.await {
        tracing::error!(target: "keyward::daemon", %error, "the stop was not recorded");
    }
    keeper.checkpoint().await;
    vault.close();
    let closing = store.clone();
    let _ = tokio::task::spawn_blocking(move || closing.close()).await;
    verdict
}

fn facts(
    config: &Config,
    address: SocketAddr,
    fingerprints: &[String],
    custody: &Custody,
    clock: &Clock,
    memory: &checkpoints::Memory,
) -> Facts {
    Facts {
        started_at: clock.now(),
        listen: address.to_string(),
        public: config.public.clone(),
        host_keys: fingerprints.to_vec(),
        vault: "unsealed".to_owned(),
        leases: custody.leases(),
        anchor: memory.anchor.clone(),
    }
}

/// The readiness line, and on a first run what its operator must know.
fn announce(doors: &Doors, root: &Root, news: Option<&str>, plain: bool, sealed: bool) -> std::io::Result<()> {
    let own = root.source.own_file();
    let source = &root.source;
    if let (Some(news), false) = (news, plain) {
        tracing::info!(target: "keyward::daemon", root_key = %source, "{news}; without the root key nothing opens: keep a copy elsewhere");
    } else if let Some(news) = news {
        let mut err = std::io::stderr().lock();
        writeln!(err, "{news}")?;
        writeln!(err, "the root key is {source}: without it nothing opens. Keep a copy elsewhere, never beside a backup of the database:")?;
        match own {
            Some(file) => writeln!(err, "    install -m 600 {} /media/safe/", file.display())?,
            None => writeln!(err, "    keyward root-key print > /media/safe/root.key")?,
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready: ssh {} host-key {}{}", doors.address, doors.fingerprint(), if sealed { " sealed" } else { "" })?;
    out.flush()?;
    let status = sd_notify::NotifyState::Status(if sealed { "sealed: keyward unseal" } else { "serving" });
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready, status]) {
        tracing::debug!(target: "keyward::daemon", %error, "systemd was not told");
    }
    Ok(())
}

/// Waits for SIGTERM or SIGINT; SIGHUP reads the configuration again.
async fn until_told(
    reload: &reload::Reload,
    config: &Config,
    signals: &mut Signals,
    front_config: &RwLock<Arc<front::Config>>,
    keys: &[russh::keys::PrivateKey],
    log: &Log,
    scans: &Scans,
) -> Result<(), Error> {
    while signals.next().await == Told::Reload {
        if let Some(fresh) = reload.again(config) {
            scans.reconfigure(fresh.scans);
            if let Ok(mut current) = front_config.write() {
                *current = Arc::new(front::Config::new(fresh.front, keys));
            }
            log.record(Event::new(EventName::DaemonReloaded, "keyward")).await?;
        }
    }
    Ok(())
}

/// Lets sessions go on for `time`, then ends those that are left and waits until they are recorded.
async fn drain(registry: &Registry, time: Duration, sealing: Option<&Sealing>) {
    if sealing.is_none() {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    }
    let live = registry.count();
    if live > 0 {
        tracing::info!(target: "keyward::daemon", live, seconds = time.as_secs(), "sessions have this long to end");
    }
    let mut again = signal(SignalKind::terminate()).ok();
    let told_again = async {
        match again.as_mut() {
            Some(signal) => signal.recv().await,
            None => std::future::pending().await,
        }
    };
    let at_once = async {
        match sealing {
            Some(sealing) => sealing.at_once().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = registry.empty() => {}
        () = tokio::time::sleep(time) => {}
        _ = told_again => {}
        () = at_once => {}
    }
    registry.end_all(if sealing.is_some() { EndReason::Sealed } else { EndReason::Shutdown });
    if tokio::time::timeout(LAST_WORDS, registry.empty()).await.is_err() {
        tracing::warn!(target: "keyward::daemon", left = registry.count(), "sessions did not end in time");
    }
}
