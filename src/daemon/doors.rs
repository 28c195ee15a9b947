//! What the daemon opens once and keeps, sealed or not: the ssh port, the local door, the broker's host keys. And the signals
//! that it hears meanwhile.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Error, home, system};
use crate::cli::place;
use crate::config::Config;
use crate::front::{self, HostKeys, Listener};

/// The doors. The local one's name goes with them.
pub(super) struct Doors {
    pub(super) listener: Listener,
    pub(super) address: SocketAddr,
    pub(super) control: Arc<UnixListener>,
    pub(super) keys: HostKeys,
    socket_path: PathBuf,
}

impl Doors {
    /// Opens them. Nobody is attended to yet.
    pub(super) async fn open(home: &home::Home, config: &Config) -> Result<Self, Error> {
        let keys = front::load_or_make(home.path()).map_err(system("the broker's host keys"))?;
        let listener = Listener::bind(config.listen).await.map_err(|error| Error::Listen { address: config.listen.to_string(), error })?;
        let address = listener.address().map_err(system("the listening socket"))?;
        let socket_path = place::socket(home.path());
        let control = Arc::new(bind_control(&socket_path).map_err(system("the control socket"))?);
        Ok(Self { listener, address, control, keys, socket_path })
    }

    /// The fingerprint of the key that is shown first.
    pub(super) fn fingerprint(&self) -> &str {
        self.keys.fingerprints.first().map_or("", String::as_str)
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.socket_path);
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

/// The signals that the daemon hears. Kept from the start to the end, so that none falls between two who wait.
pub(super) struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

impl Signals {
    pub(super) fn listen() -> Result<Self, Error> {
        let hear = |kind| signal(kind).map_err(system("signals"));
        Ok(Self { term: hear(SignalKind::terminate())?, int: hear(SignalKind::interrupt())?, hup: hear(SignalKind::hangup())? })
    }

    /// The next.
    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.term.recv() => Told::Stop,
            _ = self.int.recv() => Told::Stop,
            _ = self.hup.recv() => Told::Reload,
        }
    }

    /// Resolves when the daemon is told to stop; what else is heard is noted in the log.
    pub(super) async fn stop(&mut self) {
        while self.next().await != Told::Stop {
            tracing::warn!(target: "keyward::daemon", "the configuration is not read again now: the vault is not open");
        }
    }
}
