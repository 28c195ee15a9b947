//! The home: one directory that belongs to one daemon at a time, and where the root key lies outside it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::cli::place;
use crate::fault::{Fault, Kind};

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another daemon has it.
    #[error("another keyward serves {0} already")]
    Taken(PathBuf),
    /// Others can look into it.
    #[error("{path} can be read by others (mode {mode:o})")]
    Open {
        /// The directory.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is somebody else's.
    #[error("{0} belongs to another user")]
    Foreign(PathBuf),
    /// It cannot be made or read.
    #[error("{path}: {error}")]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Taken(_) => Kind::Conflict,
            _ => Kind::Unavailable,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Taken(path) => Some(format!("keyward --home {} status shows it; choose another --home for a second one", path.display())),
            Self::Open { path, .. } => Some(format!("chmod 700 {}", path.display())),
            Self::Foreign(path) => Some(format!("run keyward as its owner: ls -ld {}", path.display())),
            Self::Io { .. } => Some("choose another place with --home DIR".to_owned()),
        }
    }
}

/// A home that this process has locked; the lock goes with it.
#[derive(Debug)]
pub(super) struct Home {
    path: PathBuf,
    _lock: File,
}

impl Home {
    /// Makes the directory (mode 0700) if there is none, and locks it.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) fn take(path: &Path) -> Result<Self, Error> {
        let io = |error| Error::Io { path: path.to_owned(), error };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        let path = fs::canonicalize(path).map_err(io)?;
        let meta = fs::metadata(&path).map_err(io)?;
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(Error::Foreign(path));
        }
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::Open { path, mode });
        }
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|error| Error::Io { path: lock_path.clone(), error })?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::Taken(path)),
            Err(e) => Err(Error::Io { path: lock_path, error: e.into() }),
        }
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Where the root key of a home lies: outside it, so that a copy or backup of the home does not hold it. The default
/// home's is `root.key`; that of another home has a digest of its path in the name.
pub(super) fn default_root_key(home: &Path) -> PathBuf {
    let root = rustix::process::geteuid().is_root();
    let variable = |name| place::var(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let user = variable("HOME").unwrap_or_else(|| PathBuf::from("/"));
    let directory = match variable("XDG_CONFIG_HOME") {
        Some(directory) => directory.join("keyward"),
        None if root => PathBuf::from("/etc/keyward"),
        None => user.join(".config/keyward"),
    };
    let usual = if root {
        PathBuf::from("/var/lib/keyward")
    } else {
        variable("XDG_STATE_HOME").unwrap_or_else(|| user.join(".local/state")).join("keyward")
    };
    if fs::canonicalize(usual).is_ok_and(|usual| usual == home) {
        return directory.join("root.key");
    }
    directory.join(format!("root-{}.key", digest_of(home)))
}

/// A few letters that tell one home's path from another's.
pub(super) fn digest_of(home: &Path) -> String {
    use std::fmt::Write;
    use std::os::unix::ffi::OsStrExt;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, home.as_os_str().as_bytes());
    let mut name = String::new();
    for byte in digest.as_ref().iter().take(4) {
        let _ = write!(name, "{byte:02x}");
    }
    name
}
