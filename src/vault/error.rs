//! What can go wrong in the strongroom, whose fault it is and what to do. Never quotes a secret or a stranger's bytes.

use std::path::PathBuf;

use super::{import, root_key};
use crate::fault::{Fault, Kind};
use crate::store;

/// What did not verify. For the audit and the operator's log; all of them mean the same to everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Tampering {
    /// There are rows and no seal.
    #[error("it has rows but no seal")]
    NoSeal,
    /// Rows and seal do not fit together.
    #[error("its rows do not fit its seal")]
    State,
    /// An older state with its older seal was put back while the broker ran.
    #[error("it was set back to an older state")]
    Rollback,
    /// A scope's key does not open.
    #[error("a scope's key does not open")]
    Kek,
    /// A credential's data key does not open for this credential and host.
    #[error("a credential's key does not open for this credential and host")]
    DataKey,
    /// A secret does not open, or is no secret of its kind.
    #[error("a credential does not open")]
    Secret,
    /// A sudo password does not open.
    #[error("a credential's sudo password does not open")]
    Sudo,
    /// The private key is not that of the row's public key.
    #[error("a credential's private and public key do not fit together")]
    PublicKey,
}

/// Why a password cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// Nothing was given.
    #[error("it is empty")]
    Empty,
    /// Longer than [`super::MAX_PASSWORD`].
    #[error("it is longer than {} bytes", super::MAX_PASSWORD)]
    TooLong,
    /// It has a zero byte.
    #[error("it has a zero byte")]
    Nul,
    /// Not UTF-8, which SSH demands.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// sudo reads one line: what stands behind its end would be read by the script that runs as root.
    #[error("it has a line break, and sudo reads one line")]
    LineBreak,
    /// Longer than [`super::MAX_SUDO_PASSWORD`]: what sudo does not read would be read by the script that runs as root.
    #[error("it is longer than {} bytes, and not every sudo reads more", super::MAX_SUDO_PASSWORD)]
    TooLongForSudo,
}

/// Why the keeper did not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignFault {
    /// A lease signs once.
    #[error("the lease has signed already")]
    Spent,
    /// The lease is too old.
    #[error("the lease is too old")]
    Late,
    /// What is to be signed is no sign-in request.
    #[error("what is to be signed is no sign-in with a public key")]
    NotASignIn,
    /// The request is another account's.
    #[error("the sign-in is for another account than the credential's")]
    OtherUser,
    /// The request is another key's.
    #[error("the sign-in is with another key than the credential's")]
    OtherKey,
    /// An algorithm that the key does not sign with; RSA signs with SHA-2 only.
    #[error("the sign-in asks for a signature that this key does not make")]
    Algorithm,
}

/// What can go wrong in the vault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Stored data does not verify. Nothing was decrypted for anybody.
    #[error("the database was changed behind the broker's back: {found} ({database})")]
    Tampered {
        /// The database.
        database: PathBuf,
        /// What did not verify.
        found: Tampering,
    },
    /// The root key is another vault's.
    #[error("{root_key} is not the root key of {database}")]
    WrongRootKey {
        /// The file.
        root_key: PathBuf,
        /// The database.
        database: PathBuf,
    },
    /// The database was sealed with a root key that is not there.
    #[error("the root key of {database} is missing: there is no {root_key}")]
    RootKeyMissing {
        /// Where it should be.
        root_key: PathBuf,
        /// The database.
        database: PathBuf,
    },
    /// The root key's file.
    #[error(transparent)]
    RootKey(#[from] root_key::Error),
    /// The private key that was given.
    #[error(transparent)]
    Key(#[from] import::Error),
    /// The password that was given.
    #[error("this password cannot be kept: {0}")]
    Password(PasswordFault),
    /// The sign-in password, which sudo would be given, is nothing that sudo reads as one line.
    #[error("the sign-in password cannot be given to sudo: {0}")]
    NotForSudo(PasswordFault),
    /// The permit is older than 30 s, or from the future.
    #[error("the permit is no longer fresh")]
    StalePermit,
    /// The host showed a key that is not pinned.
    #[error("the host key {presented} is not pinned for this host")]
    HostKeyNotPinned {
        /// Its fingerprint.
        presented: String,
    },
    /// The credential is gone.
    #[error("there is no such credential")]
    NoCredential,
    /// The host is gone.
    #[error("there is no such host")]
    NoHost,
    /// A personal credential of somebody else.
    #[error("the credential is another person's")]
    NotTheirs,
    /// The credential is not attached to the host.
    #[error("the credential is not attached to this host")]
    NotBound,
    /// The keeper did not sign.
    #[error("not signed: {0}")]
    Sign(SignFault),
    /// The connection ended before the signature was sent.
    #[error("the connection ended during the sign-in")]
    Disconnected,
    /// The keeper has stopped.
    #[error("the vault is closed")]
    KeeperStopped,
    /// Too many wait for the keeper.
    #[error("the vault cannot keep up: {} requests wait", super::keeper::QUEUE_MAX)]
    Busy,
    /// The system refused what never fails: random numbers, a thread, a cipher.
    #[error("the system cannot do cryptography: {0}")]
    System(&'static str),
    /// A caller broke the contract.
    #[error("the vault was called wrongly: {0}")]
    Misused(&'static str),
    /// The ledger's.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Tampered { .. } => Kind::Tampered,
            Self::RootKey(e) => e.kind(),
            Self::Key(e) => e.kind(),
            Self::Store(e) => e.kind(),
            Self::Password(_) | Self::NotForSudo(_) => Kind::Invalid,
            Self::StalePermit => Kind::TimedOut,
            Self::HostKeyNotPinned { .. } | Self::Disconnected => Kind::Refused,
            Self::NoCredential | Self::NoHost | Self::NotTheirs | Self::NotBound => Kind::NotFound,
            Self::Sign(SignFault::Late) => Kind::TimedOut,
            Self::Sign(_) => Kind::Forbidden,
            Self::WrongRootKey { .. } | Self::RootKeyMissing { .. } | Self::KeeperStopped | Self::Busy | Self::System(_) => {
                Kind::Unavailable
            }
            Self::Misused(_) => Kind::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Tampered { database, .. } => Some(format!(
                "stop keyward, restore {} from a backup, and find out since when with: keyward audit verify",
                database.display()
            )),
            Self::WrongRootKey { root_key, .. } | Self::RootKeyMissing { root_key, .. } => {
                Some(format!("put your copy of the root key back: install -m 600 COPY {}", root_key.display()))
            }
            Self::RootKey(e) => e.hint(),
            Self::Key(e) => e.hint(),
            Self::Store(e) => e.hint(),
            Self::KeeperStopped => Some("restart keyward".to_owned()),
            Self::Password(PasswordFault::LineBreak | PasswordFault::TooLongForSudo) => {
                Some(format!("a sudo password is one line of at most {} bytes", super::MAX_SUDO_PASSWORD))
            }
            Self::NotForSudo(_) => Some("give the credential a sudo password: keyward credential edit NAME --sudo-password".to_owned()),
            Self::Password(_) => Some("a password is text of at most 1024 bytes, without NUL".to_owned()),
            Self::StalePermit | Self::Busy | Self::Disconnected | Self::Sign(SignFault::Late) => Some("connect again".to_owned()),
            Self::NotBound => Some("attach it: keyward credential attach NAME --host HOST".to_owned()),
            Self::HostKeyNotPinned { .. } => Some("an admin checks and pins it, with `host trust HOST`".to_owned()),
            Self::NoCredential | Self::NotTheirs => Some("see what there is: keyward credential list".to_owned()),
            Self::NoHost => Some("see what there is: keyward host list".to_owned()),
            Self::Sign(_) | Self::System(_) | Self::Misused(_) => None,
        }
    }
}

impl From<russh::SendError> for Error {
    fn from(_: russh::SendError) -> Self {
        Self::Disconnected
    }
}
