//! The roof: wires the rooms, starts them in order, watches over them, drains. Holds no rule of its own.

mod anchor;
mod checkpoints;
mod first_run;
mod harden;
mod home;
mod logging;
mod reload;

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use anchor::Anchor;
pub use checkpoints::Rollback;

use crate::approvals::{self, Approvals};
use crate::audit::Log;
use crate::authn::Authn;
use crate::authz::Guard;
use crate::cli::{ServeOptions, place};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::control::{Desk, Facts, Parts};
use crate::custody::Custody;
use crate::fault::{Fault, Kind};
use crate::front::{self, Doorway, Listener, Workers};
use crate::model::{EndReason, Event, EventName};
use crate::scans::{self, Scans};
use crate::sessions::{Arrears, Registry, Rooms};
use crate::store::{self, Store};
use crate::vault::{self, Vault};
use crate::{audit, mcp, socket};

/// How long calls at the control socket have to end.
const SOCKET_WORDS: Duration = Duration::from_secs(2);
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
            Self::RolledBack { .. } => Kind::Tampered,
            Self::Listen { .. } | Self::System { .. } | Self::Anchor { .. } | Self::RootKeyInEnvironment => Kind::Unavailable,
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
            Self::RolledBack { .. } => Some(
                "what was removed or changed since would be in force again. If you put a backup back on purpose, start it once with \
                 --accept-rollback; this is recorded"
                    .to_owned(),
            ),
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
    harden::settle_allocator();
    harden::raise_file_limit();
    let hardened = harden::harden();
    let home = home::Home::take(&options.home)?;
    let config_path = config::path(options.config.as_deref(), home.path());
    let mut config = config::load(config_path.as_deref())?;
    if let Some(listen) = &options.listen {
        config.listen = listen.parse().map_err(|_| Error::Address(crate::model::printable(listen, 80)))?;
    }
    let log_level = logging::start(&config, options.verbose, options.log_json);
    for note in hardened {
        tracing::warn!(target: "keyward::daemon", "{note}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(system("the runtime"))?;
    let reload = reload::Reload { options, config_path, log_level };
    runtime.block_on(run(home, config, reload))
}

/// Everything between an open vault and a closed one.
async fn run(home: home::Home, config: Config, reload: reload::Reload) -> Result<(), Error> {
    let clock = Clock::System;
    let store = Store::open(store::Config { path: home.path().join("keyward.db"), reserve: config.reserve, patience: config.patience })?;
    let root_key = match &config.root_key {
        Some(path) => path.clone(),
        None => home::default_root_key(home.path()),
    };
    let vault = Vault::open(&store, vault::Config { root_key: root_key.clone() }, clock.clone()).await?;
    let log = Log::new(store.clone(), clock.clone());
    let guard = Guard::default();
    let custody = Custody::new(store.clone(), log.clone(), vault.clone(), guard.clone(), clock.clone());
    let checkpoints = home.path().join("checkpoints.jsonl");
    let signer: Arc<dyn audit::Signer> = Arc::from(vault.checkpoint_signer());
    let memory = checkpoints::Memory { checkpoints: checkpoints.clone(), anchor: Anchor::path(&root_key, home.path()) };
    let accepting = reload.options.accept_rollback;
    match checkpoints::compare(&memory, &store, &signer.public_key()).await {
        Ok(()) if accepting => return Err(Error::NoRollback),
        Err(refusal @ Error::RolledBack { .. }) if accepting => checkpoints::accept(&memory, &refusal, &log, &clock).await?,
        compared => compared?,
    }
    let news = first_run::owner(&store, &log, &clock).await?;
    first_run::end_crashed(&store, &custody, &clock).await?;
    approvals::settle_left_behind(&store, &log, &clock).await?;
    scans::settle_left_behind(&store, &log, &clock).await?;

    let keys = front::load_or_make(home.path()).map_err(system("the broker's host keys"))?;
    let listener = Listener::bind(config.listen).await.map_err(|error| Error::Listen { address: config.listen.to_string(), error })?;
    let address = listener.address().map_err(system("the listening socket"))?;
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
    let desk = Desk::new(Parts {
        approvals: approvals.clone(),
        scans: scans.clone(),
        store: store.clone(),
        log: log.clone(),
        custody: custody.clone(),
        guard: guard.clone(),
        clock: clock.clone(),
        sessions: registry.clone(),
        target: config.target.clone(),
        verify_key: signer.public_key(),
        checkpoints: checkpoints.clone(),
        facts: facts(&config, address, &keys.fingerprints, &custody, &clock),
    });
    let authn = Authn::new(&config.authn, store.clone(), log.clone(), clock.clone());
    let tools = mcp::Doorway { approvals: approvals.clone(), scans: scans.clone(), authn: authn.clone(), guard };
    let workspace = crate::model::DEFAULT_WORKSPACE.parse().map_err(|_| Error::Lost("workspace"))?;
    let door = Arc::new(Doorway { authn, rooms, desk: desk.clone(), approvals: approvals.clone(), scans: scans.clone(), workspace });
    let front_config = RwLock::new(Arc::new(front::Config::new(config.front.clone(), &keys.keys)));

    let count = if config.workers == 0 { std::thread::available_parallelism().map_or(2, usize::from) } else { config.workers };
    let workers = Workers::start(count, &door).map_err(system("the worker threads"))?;
    let socket_path = place::socket(home.path());
    let control = bind_control(&socket_path).map_err(system("the control socket"))?;
    log.record(Event::new(EventName::DaemonStarted, "keyward").with("version", env!("CARGO_PKG_VERSION")).with("listen", address)).await?;

    let stop = CancellationToken::new();
    let keeper = checkpoints::Keeper::new(&config, memory, signer, store.clone(), clock.clone());
    if accepting {
        // From now on this database is what is known, also if the daemon is killed before the next checkpoint is due.
        keeper.checkpoint().await;
    }
    #[allow(clippy::disallowed_methods)] // awaited when the daemon stops
    let control_task = tokio::spawn(socket::serve(control, socket::Doorway { desk, tools: tools.clone() }, stop.clone()));
    #[allow(clippy::disallowed_methods)] // awaited when the daemon stops
    let agents_task = agents_listener.map(|listener| tokio::spawn(listener.run(tools, stop.clone())));
    #[allow(clippy::disallowed_methods)] // its end, a panic included, ends the daemon
    let mut watch = tokio::spawn(keeper.clone().run(stop.clone()));
    let (watching, watch_until) = (approvals.clone(), stop.clone());
    #[allow(clippy::disallowed_methods)] // awaited when the daemon stops
    let proposals_task = tokio::spawn(async move { watching.watch(watch_until).await });
    let plain = config.log_format == config::LogFormat::Text && !reload.options.log_json;
    let fingerprint = keys.fingerprints.first().map_or("", String::as_str);
    announce(address, fingerprint, news.as_deref(), &root_key, plain).map_err(system("standard output"))?;

    let verdict = {
        let accepting = listener.run(&front_config, &door, &workers, &stop);
        let until_told = until_told(&reload, &config, &front_config, &keys.keys, &log, &scans);
        tokio::select! {
            () = accepting => Ok(()),
            told = until_told => told,
            () = vault.stopped() => Err(Error::Lost("vault's keeper")),
            lost = &mut watch => Err(lost.unwrap_or(Error::Lost("checkpoint task"))),
        }
    };
    drop(listener);
    // Not drained: a scan that is cut short here is taken up again with `scan resume`.
    scans.halt();
    // Proposals end with the connections that they would run on; their ends are recorded before the log is closed.
    drain(&registry, if verdict.is_ok() { config.drain } else { Duration::ZERO }).await;
    let _ = tokio::time::timeout(LAST_WORDS, scans.close()).await;
    approvals.settled(SOCKET_WORDS).await;
    stop.cancel();
    let _ = tokio::time::timeout(SOCKET_WORDS, proposals_task).await;
    let _ = std::fs::remove_file(&socket_path);
    // A client that says nothing or does not read holds up no stop.
    let _ = tokio::time::timeout(SOCKET_WORDS, control_task).await;
    if let Some(agents_task) = agents_task {
        let _ = tokio::time::timeout(SOCKET_WORDS, agents_task).await;
    }
    let _ = tokio::task::spawn_blocking(move || workers.stop()).await;
    let event = Event::new(EventName::DaemonStopped, "keyward");
    let recorded = log.record(match &verdict {
        Ok(()) => event,
        Err(e) => event.failed(e.to_string()),
    });
    if let Err(error) = recorded.await {
        tracing::error!(target: "keyward::daemon", %error, "the stop was not recorded");
    }
    keeper.checkpoint().await;
    vault.close();
    let closing = store.clone();
    let _ = tokio::task::spawn_blocking(move || closing.close()).await;
    drop(home);
    tracing::info!(target: "keyward::daemon", "stopped");
    verdict
}

fn facts(config: &Config, address: SocketAddr, fingerprints: &[String], custody: &Custody, clock: &Clock) -> Facts {
    Facts {
        started_at: clock.now(),
        listen: address.to_string(),
        public: config.public.clone(),
        host_keys: fingerprints.to_vec(),
        vault: "unsealed".to_owned(),
        leases: custody.leases(),
    }
}

fn bind_control(path: &Path) -> std::io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    // The home is locked by this process: a socket that lies here belongs to a daemon that has died.
    if let Err(e) = std::fs::remove_file(path)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        return Err(e);
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// The readiness line, and on a first run what its operator must know.
fn announce(address: SocketAddr, fingerprint: &str, news: Option<&str>, root_key: &Path, plain: bool) -> std::io::Result<()> {
    if let (Some(news), false) = (news, plain) {
        tracing::info!(target: "keyward::daemon", root_key = %root_key.display(), "{news}; without the root key nothing opens: keep a copy elsewhere");
    } else if let Some(news) = news {
        let mut err = std::io::stderr().lock();
        writeln!(err, "{news}")?;
        writeln!(
            err,
            "the root key is {}: without it nothing opens. Keep a copy elsewhere, never beside a backup of the database:",
            root_key.display()
        )?;
        writeln!(err, "    install -m 600 {} /media/safe/", root_key.display())?;
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "ready: ssh {address} host-key {fingerprint}")?;
    out.flush()?;
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::debug!(target: "keyward::daemon", %error, "systemd was not told");
    }
    Ok(())
}

/// Waits for SIGTERM or SIGINT; SIGHUP reads the configuration again.
async fn until_told(
    reload: &reload::Reload,
    config: &Config,
    front_config: &RwLock<Arc<front::Config>>,
    keys: &[russh::keys::PrivateKey],
    log: &Log,
    scans: &Scans,
) -> Result<(), Error> {
    let mut term = signal(SignalKind::terminate()).map_err(system("signals"))?;
    let mut int = signal(SignalKind::interrupt()).map_err(system("signals"))?;
    let mut hup = signal(SignalKind::hangup()).map_err(system("signals"))?;
    loop {
        tokio::select! {
            _ = term.recv() => return Ok(()),
            _ = int.recv() => return Ok(()),
            _ = hup.recv() => {
                if let Some(fresh) = reload.again(config) {
                    scans.reconfigure(fresh.scans);
                    if let Ok(mut current) = front_config.write() {
                        *current = Arc::new(front::Config::new(fresh.front, keys));
                    }
                    log.record(Event::new(EventName::DaemonReloaded, "keyward")).await?;
                }
            }
        }
    }
}

/// Lets sessions go on for `time`, then ends those that are left and waits until they are recorded.
async fn drain(registry: &Registry, time: Duration) {
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    let live = registry.count();
    if live > 0 {
        tracing::info!(target: "keyward::daemon", live, seconds = time.as_secs(), "stopping: sessions have this long to end");
    }
    let mut again = signal(SignalKind::terminate()).ok();
    let told_again = async {
        match again.as_mut() {
            Some(signal) => signal.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = registry.empty() => {}
        () = tokio::time::sleep(time) => {}
        _ = told_again => {}
    }
    registry.end_all(EndReason::Shutdown);
    if tokio::time::timeout(LAST_WORDS, registry.empty()).await.is_err() {
        tracing::warn!(target: "keyward::daemon", left = registry.count(), "sessions did not end in time");
    }
}
