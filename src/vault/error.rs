//! What can go wrong in the strongroom, whose fault it is and what to do. Never quotes a secret or a stranger's bytes.

use std::path::PathBuf;

use super::import;
use super::root::{self, Source};
use super::slots::{AgentFault, PassphraseFault};
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
    /// A certificate authority's key does not open, or is not that of the row's public key.
    #[error("a certificate authority's key does not open")]
    Authority,
    /// A slot of a sealed scope does not open, or says what no slot says.
    #[error("a slot of a sealed scope does not open")]
    Slot,
    /// A person's second factor does not open.
    #[error("a person's second factor does not open")]
    SecondFactor,
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
        /// Where it came from.
        root_key: Source,
        /// The database.
        database: PathBuf,
    },
    /// The database was sealed with a root key that is not there.
    #[error("the root key of {database} is missing: there is no {root_key}")]
    RootKeyMissing {
        /// Where it should be.
        root_key: Source,
        /// The database.
        database: PathBuf,
    },
    /// The root key is not in a file of Keyward's own: whoever keeps it has to replace it.
    #[error("the root key is not in a file of keyward's own, but {0}: it is not replaced there")]
    RootElsewhere(Source),
    /// The root key's file.
    #[error(transparent)]
    RootKey(#[from] root::Error),
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
    /// Nothing signs certificates for the credential's workspace.
    #[error("the workspace has no certificate authority")]
    NoAuthority,
    /// The account cannot be a certificate's one principal.
    #[error("the account's name cannot stand in a certificate: it has a comma, a quote or a backslash at its end")]
    Principal,
    /// What another vault gave cannot be used.
    #[error("source `{from}` gave something that cannot be used: {fault}")]
    Fetched {
        /// The source.
        from: crate::model::Name,
        /// Why not.
        fault: super::FetchedFault,
    },
    /// A rotation of the root key did not come to its end.
    #[error("an earlier rotation of the root key was cut off: {next} is still there")]
    RotationCutOff {
        /// The file of the next root key.
        next: PathBuf,
    },
    /// A personal scope is sealed, and its owner has not opened it.
    #[error("your personal credentials are sealed")]
    ScopeSealed,
    /// It is not sealed.
    #[error("your personal credentials are not sealed")]
    NotSealed,
    /// It is sealed already.
    #[error("your personal credentials are sealed already")]
    AlreadySealed,
    /// What was typed or signed opens no slot.
    #[error("that opens none of your slots")]
    OpensNothing,
    /// There is no such slot.
    #[error("you have no such slot")]
    NoSlot,
    /// A sealed scope keeps two ways in.
    #[error("a sealed scope keeps at least {} slots", crate::model::SLOTS_LEAST)]
    LastSlots,
    /// What is to be a passphrase.
    #[error("this cannot be a passphrase: {0}")]
    Passphrase(PassphraseFault),
    /// An agent's key.
    #[error("this agent's key cannot be a slot: {0}")]
    Agent(AgentFault),
    /// A sealed credential is not for what runs without its owner.
    #[error("the credential is sealed by its owner: nothing but their own connections may use it")]
    SealedForOwner,
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
            Self::Password(_) | Self::NotForSudo(_) | Self::Principal => Kind::Invalid,
            Self::StalePermit => Kind::TimedOut,
            Self::HostKeyNotPinned { .. } | Self::Disconnected | Self::Fetched { .. } => Kind::Refused,
            Self::NoCredential | Self::NoHost | Self::NotTheirs | Self::NotBound | Self::NoAuthority | Self::NoSlot => Kind::NotFound,
            Self::ScopeSealed | Self::NotSealed | Self::AlreadySealed | Self::LastSlots => Kind::Conflict,
            Self::OpensNothing | Self::SealedForOwner => Kind::Forbidden,
            Self::Passphrase(_) | Self::Agent(_) => Kind::Invalid,
            Self::Sign(SignFault::Late) => Kind::TimedOut,
            Self::Sign(_) => Kind::Forbidden,
            Self::RotationCutOff { .. } | Self::RootElsewhere(_) => Kind::Conflict,
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
            Self::WrongRootKey { root_key, .. } | Self::RootKeyMissing { root_key, .. } => Some(match root_key.own_file() {
                Some(path) => format!("put your copy of the root key back: install -m 600 COPY {}", path.display()),
                None => format!("is `source = \"{}\"` in broker.toml where this vault's root key is?", root_key.word()),
            }),
            Self::RootKey(e) => e.hint(),
            Self::Key(e) => e.hint(),
            Self::Store(e) => e.hint(),
            Self::RootElsewhere(_) => Some(
                "new keys for workspaces and people: keyward vault rotate. For the root key stop the daemon, move it into a file with \
                 keyward root-key move --to file, rotate, and move it back: docs/root-key.md, \"A new root key\""
                    .to_owned(),
            ),
            Self::RotationCutOff { .. } => Some("restart keyward: its start finishes that rotation, or undoes it".to_owned()),
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
            Self::Fetched { from, fault } => Some(super::fetched::hint(from, fault)),
            Self::NoHost => Some("see what there is: keyward host list".to_owned()),
            Self::NoAuthority => Some("an owner or admin makes one: keyward ca create".to_owned()),
            Self::Principal => Some("give the credential a key instead: keyward credential generate NAME --username USER".to_owned()),
            Self::ScopeSealed => Some("open them: keyward unlock".to_owned()),
            Self::NotSealed => Some("seal them: keyward personal seal".to_owned()),
            Self::AlreadySealed | Self::NoSlot => Some("see your slots: keyward personal slots".to_owned()),
            Self::OpensNothing => {
                Some("type the passphrase or the recovery code; see which slots there are: keyward personal slots".to_owned())
            }
            Self::LastSlots => {
                Some("add another first: keyward personal slot add recovery; or give sealing up: keyward personal unseal".to_owned())
            }
            Self::Passphrase(_) => Some(format!("take {} bytes or more, for instance five random words", super::MIN_PASSPHRASE)),
            Self::Agent(_) => Some("make a key for it: ssh-keygen -t ed25519; ssh-add".to_owned()),
            Self::SealedForOwner => Some("attach a credential that is not sealed, for instance one of the workspace".to_owned()),
            Self::Sign(_) | Self::System(_) | Self::Misused(_) => None,
        }
    }
}

impl From<russh::SendError> for Error {
    fn from(_: russh::SendError) -> Self {
        Self::Disconnected
    }
}
