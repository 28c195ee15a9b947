//! What is wrong with a root key's source, and what to do. Never quotes a key, a passphrase, or what a program printed.

use std::io;
use std::path::PathBuf;

use super::command::{Failed, Unfit};
use super::{MAX_PASSPHRASE, MIN_PASSPHRASE, VARIABLE};
use crate::fault::{Fault, Kind};

/// What is wrong with the root key's source.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Others may read or write it.
    #[error("{path} holds the root key and others may use it (mode {mode:04o})")]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is somebody else's.
    #[error("{path} holds the root key and belongs to uid {owner}; keyward runs as uid {us}")]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs.
        us: u32,
    },
    /// It is a symbolic link.
    #[error("{path} is a symbolic link; the root key has to be a file")]
    Symlink {
        /// The file.
        path: PathBuf,
    },
    /// It is a directory, a pipe, a device.
    #[error("{path} is not a regular file ({found})")]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// It has nothing in it.
    #[error("{path} is empty: it was not written to the end")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It holds something else.
    #[error("{path} does not hold a root key")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The environment holds a root key.
    #[error(
        "{VARIABLE} is set: a root key in the environment is inherited by children and shown in /proc, in unit files and in crash reports"
    )]
    Environment,
    /// The place where the key in use is to be kept under its id is taken.
    #[error("{path} is in the way: the root key is to be kept there when the next one takes its place")]
    InTheWay {
        /// The file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What was to be printed could not be.
    #[error("standard output: {0}")]
    Output(io::Error),
    /// The system gave no random numbers.
    #[error("no random numbers for a root key")]
    NoRandom,
    /// systemd gave the service no such credential.
    #[error("systemd gave this service no credential `{}`: there is no {path}", super::CREDENTIAL)]
    NoCredential {
        /// Where it should be.
        path: PathBuf,
    },
    /// The directory of credentials is not as systemd makes it.
    #[error("{path} is no directory of credentials as systemd makes them: others may write there (uid {owner}, mode {mode:04o})")]
    CredentialDirectory {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// A passphrase is needed and nobody gave one.
    #[error("the root key is wrapped with a passphrase, and none was given")]
    Sealed,
    /// The passphrase does not open the file.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// A new passphrase is too short or too long.
    #[error("a passphrase for the root key has {MIN_PASSPHRASE} to {MAX_PASSPHRASE} bytes")]
    PassphraseLength,
    /// The wrapped root key was changed or cut.
    #[error("{path} is damaged: it holds no wrapped root key as keyward writes it")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The cost of a guess was lowered, or raised beyond what a machine can do.
    #[error("{path} asks for an Argon2id that is not done here ({asked}): at least {least}, at most {most}")]
    Cost {
        /// The file.
        path: PathBuf,
        /// What it asks for.
        asked: String,
        /// What is written.
        least: String,
        /// The most.
        most: String,
    },
    /// There is not enough memory for Argon2id.
    #[error("there are not {0} MiB of memory to work out the key of the passphrase")]
    NoMemory(u32),
    /// The program cannot be run as it lies there.
    #[error("{path} is not run for the root key: {why}")]
    Program {
        /// The program.
        path: PathBuf,
        /// Why not.
        why: Unfit,
    },
    /// The program ran and gave no root key.
    #[error("{path} gave no root key: {why}{}", if said.is_empty() { String::new() } else { format!("; it said: {said}") })]
    Command {
        /// The program.
        path: PathBuf,
        /// How it failed.
        why: Failed,
        /// What it wrote on standard error, cut and masked.
        said: String,
    },
    /// Keyward does not write to this source.
    #[error("keyward does not write the root key to a {0}")]
    NotOurs(&'static str),
    /// There is a root key in the new place, and it is another one.
    #[error("{0} holds another root key")]
    Other(String),
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Environment => Kind::Usage,
            Self::WrongPassphrase => Kind::Forbidden,
            Self::PassphraseLength => Kind::Invalid,
            Self::Other(_) => Kind::Conflict,
            _ => Kind::Unavailable,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Permissions { path, .. } => format!("chmod 600 {}", path.display()),
            Self::Owner { path, us, .. } => format!("chown {us} {}", path.display()),
            Self::Symlink { path } => format!("mv -f \"$(readlink -f {0})\" {0}", path.display()),
            Self::NotAFile { path, .. } => format!("set `root_key` in broker.toml to a file; {} is none", path.display()),
            Self::Empty { path } => format!("restore it from your copy; on a first start that was interrupted: rm {}", path.display()),
            Self::Malformed { path } => format!("restore {} from your copy of the root key", path.display()),
            Self::Environment => format!("unset {VARIABLE}"),
            Self::NoCredential { .. } => format!(
                "put it into the unit: LoadCredentialEncrypted={0}:/etc/credstore.encrypted/{0}; keyward systemd-unit prints one",
                super::CREDENTIAL
            ),
            Self::CredentialDirectory { .. } => "start keyward as a service of systemd; keyward systemd-unit prints its unit".to_owned(),
            Self::Sealed | Self::WrongPassphrase => "keyward unseal".to_owned(),
            Self::PassphraseLength => "six words that were chosen by dice are long enough".to_owned(),
            Self::InTheWay { path } => format!("move it away: mv -n {0} {0}.copy", path.display()),
            Self::Damaged { path } => format!("restore {} from your copy", path.display()),
            Self::Cost { path, .. } => format!("somebody changed it: restore {} from your copy", path.display()),
            Self::NoMemory(_) => "give the service more memory: MemoryMax= and LimitMEMLOCK= in its unit".to_owned(),
            Self::Program { path, why } => why.hint(path),
            Self::Command { path, .. } => format!("run it by hand as the user that keyward runs as: {}", path.display()),
            Self::Other(_) => "name a place where nothing is: --path FILE".to_owned(),
            Self::Io { .. } | Self::Output(_) | Self::NoRandom | Self::NotOurs(_) => return None,
        })
    }
}
