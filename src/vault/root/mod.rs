//! Where the root key comes from: one enum, one file for each source. Everywhere it is the same line of text. Never taken from
//! the environment, never printed by the daemon, never made anew where a vault exists.

mod command;
mod credential;
mod error;
pub(super) mod file;
mod passphrase;
mod text;
mod transfer;

use std::ffi::OsStr;
use std::path::PathBuf;

pub use command::{GivenUp, MAX_OUTPUT, Program, TIME_LIMIT};
pub use credential::{decrypting, encrypt};
pub use error::Error;
pub use passphrase::{MAX_PASSPHRASE, MIN_PASSPHRASE};
pub use transfer::{Moved, forget, is_root_key, print, print_new, transfer};

use super::envelope::Bytes;
use crate::secret::Secret;

/// The variable that people set who expect the key to come from the environment.
pub const VARIABLE: &str = "KEYWARD_ROOT_KEY";
/// What the root key is called among the credentials of a systemd service.
pub const CREDENTIAL: &str = "keyward-root-key";

/// Where the root key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// It stands in this file, which is made on the first run.
    File(PathBuf),
    /// systemd put it into this file, in the directory of the service's credentials.
    Credential(PathBuf),
    /// It stands in this file, wrapped with a passphrase that somebody gives at each start.
    Passphrase(PathBuf),
    /// A program prints it.
    Command(Program),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) | Self::Credential(path) | Self::Passphrase(path) => write!(f, "{}", path.display()),
            Self::Command(program) => write!(f, "what {} prints", program.path.display()),
        }
    }
}

impl Source {
    /// Its word in `broker.toml`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Credential(_) => "credential",
            Self::Passphrase(_) => "passphrase",
            Self::Command(_) => "command",
        }
    }

    /// Nobody waits for it any more: a program that runs for it is killed.
    pub fn give_up(&self) {
        if let Self::Command(program) = self {
            program.given_up.ring();
        }
    }

    /// Whether somebody has to give a passphrase.
    pub fn wants_passphrase(&self) -> bool {
        matches!(self, Self::Passphrase(_))
    }

    /// The file that Keyward itself makes, if it makes one.
    pub fn own_file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(path) | Self::Passphrase(path) => Some(path),
            Self::Credential(_) | Self::Command(_) => None,
        }
    }

    /// Whether there is a root key already. What Keyward cannot make counts as there.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn exists(&self) -> Result<bool, Error> {
        self.own_file().map_or(Ok(true), |path| file::exists(path))
    }

    /// Reads it. A command takes up to [`TIME_LIMIT`], a passphrase about a second and 256 MiB. To be called on a thread whose
    /// stack is wiped.
    pub(super) fn obtain(&self, passphrase: Option<&Secret>) -> Result<Bytes, Error> {
        match self {
            Self::File(path) => file::load(path),
            Self::Credential(path) => credential::load(path),
            Self::Passphrase(path) => passphrase::load(path, passphrase.ok_or(Error::Sealed)?.expose()),
            Self::Command(program) => command::obtain(program),
        }
    }

    /// Makes a new one where there is none.
    pub(super) fn make(&self, passphrase: Option<&Secret>) -> Result<Bytes, Error> {
        let key = super::envelope::random(super::envelope::KEY).map_err(|_| Error::NoRandom)?;
        self.put(&key, passphrase)?;
        Ok(key)
    }

    /// Writes this key to a place where nothing is.
    fn put(&self, key: &Bytes, passphrase: Option<&Secret>) -> Result<(), Error> {
        match self {
            Self::File(path) => file::put(path, &text::render(key)?),
            Self::Passphrase(path) => file::put(path, &passphrase::wrap(key, passphrase.ok_or(Error::Sealed)?.expose())?),
            Self::Credential(_) | Self::Command(_) => Err(Error::NotOurs(self.word())),
        }
    }
}

/// Refuses an environment that holds a root key. The caller reads the environment and gives the variables' names.
///
/// # Errors
/// [`Error::Environment`].
pub fn refuse_environment<N: AsRef<OsStr>>(names: impl IntoIterator<Item = N>) -> Result<(), Error> {
    if names.into_iter().any(|name| name.as_ref() == VARIABLE) { Err(Error::Environment) } else { Ok(()) }
}
