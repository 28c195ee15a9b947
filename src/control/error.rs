//! Why a verb was not done. What one may not see and what does not exist are the same error.

use super::keys;
use crate::fault::{Fault, Kind};
use crate::model::{Name, Role};
use crate::{approvals, audit, custody, rotation, scans, sessions, store, target};

/// Why a verb was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel named a user whom nobody has entered.
    #[error("nobody here has the uid {0}")]
    UnknownUid(u32),
    /// The caller was removed.
    #[error("you are not known here any more")]
    UnknownCaller,
    /// The caller is disabled.
    #[error("you are disabled here")]
    Disabled,
    /// There is no such workspace.
    #[error("there is no workspace `{0}`")]
    NoWorkspace(Name),
    /// The caller's role does not reach that far.
    #[error("`{verb}` is not for the role {role}{}", why.map(|w| format!(": {w}")).unwrap_or_default())]
    Forbidden {
        /// What was tried.
        verb: &'static str,
        /// The caller's role.
        role: Role,
        /// What in particular, if the verb itself would be allowed.
        why: Option<&'static str>,
        /// Whether an admin may do it.
        admins: bool,
    },
    /// There is no such thing for this caller.
    #[error("there is no {what} `{name}`")]
    NoSuch {
        /// What kind of thing.
        what: &'static str,
        /// What was asked for, printable.
        name: String,
        /// The verb that lists what there is.
        list: &'static str,
    },
    /// Somebody must be left who can run the broker.
    #[error("{0} is the last enabled owner")]
    LastOwner(Name),
    /// A public key cannot be taken.
    #[error(transparent)]
    Key(#[from] keys::Error),
    /// What was given does not fit together.
    #[error("{what}")]
    Unfit {
        /// What is wrong.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A verb that needs a secret came without one.
    #[error("no secret came with it")]
    SecretMissing,
    /// A secret is empty.
    #[error("the {0} is empty")]
    SecretEmpty(&'static str),
    /// A host did not prove the key that was expected of it.
    #[error("host {host} did not show a key with the fingerprint {wanted}; it shows {}", shown.join(", "))]
    OtherFingerprint {
        /// The host.
        host: Name,
        /// What was expected.
        wanted: String,
        /// What it showed.
        shown: Vec<String>,
    },
    /// A host proved no key of a type that is taken.
    #[error("host {0} showed no host key of a type that is taken")]
    NoHostKey(Name),
    /// The host is looked at from a jump host, and that one could not be signed in to.
    #[error("{host} via {via}: {fault}")]
    Beyond {
        /// The host.
        host: Name,
        /// Its jump host.
        via: Name,
        /// Why not.
        fault: sessions::StepFault,
    },
    /// The first step was done, the second was not.
    #[error("{done}, but: {error}")]
    Halfway {
        /// What was done.
        done: String,
        /// Why not the rest.
        error: Box<Error>,
    },
    /// The checkpoints cannot be read.
    #[error("the checkpoints cannot be read: {0}")]
    Checkpoints(String),
    /// Whoever asked went away in the middle of the answer.
    #[error("the client went away")]
    Gone,
    /// Nobody's key is known at this door.
    #[error("at the local door no key of yours is shown, and whoever runs under your uid could decide for you")]
    NoKey,
    /// The key was removed since.
    #[error("the key that signed you in here is not yours any more")]
    KeyGone,
    /// A one-time code is wanted from this person, and this connection began without one.
    #[error("you are asked for a one-time code at every sign-in, and this connection began without one")]
    CodeOwed,
    /// A signature does not count.
    #[error(transparent)]
    Signature(#[from] approvals::SignatureError),
    /// The desk of proposals refused.
    #[error(transparent)]
    Approvals(#[from] approvals::Error),
    /// The desk of scans refused.
    #[error(transparent)]
    Scans(#[from] scans::Error),
    /// A credential was not tried, installed or rotated.
    #[error(transparent)]
    Rotation(#[from] rotation::Error),
    /// The witness could not write.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// The ledger refused.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Custody or the vault refused.
    #[error(transparent)]
    Custody(#[from] custody::Error),
    /// A host could not be asked.
    #[error(transparent)]
    Target(#[from] target::Error),
}

impl Error {
    /// Words that do not fit together, with what to do.
    pub(super) fn unfit(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unfit { what: what.into(), hint: Some(hint.into()) }
    }

    /// There is none of that name for this caller.
    pub(super) fn no_such(what: &'static str, name: impl std::fmt::Display, list: &'static str) -> Self {
        Self::NoSuch { what, name: crate::model::printable(&name.to_string(), 80), list }
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::UnknownUid(_) | Self::UnknownCaller | Self::Disabled | Self::Forbidden { .. } => Kind::Forbidden,
            Self::NoWorkspace(_) | Self::NoSuch { .. } => Kind::NotFound,
            Self::LastOwner(_) => Kind::Conflict,
            Self::Key(_) | Self::Unfit { .. } | Self::SecretMissing | Self::SecretEmpty(_) | Self::Checkpoints(_) => Kind::Invalid,
            Self::OtherFingerprint { .. } | Self::NoHostKey(_) | Self::Gone => Kind::Refused,
            Self::Beyond { fault, .. } => fault.kind(),
            Self::Halfway { error, .. } => error.kind(),
            Self::NoKey | Self::KeyGone | Self::CodeOwed => Kind::Forbidden,
            Self::Signature(_) => Kind::Invalid,
            Self::Approvals(e) => e.kind(),
            Self::Scans(e) => e.kind(),
            Self::Rotation(e) => e.kind(),
            Self::Audit(e) => e.kind(),
            Self::Store(e) => e.kind(),
            Self::Custody(e) => e.kind(),
            Self::Target(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownUid(uid) => Some(format!("an owner enters you: keyward user add NAME --uid {uid}")),
            Self::UnknownCaller | Self::Disabled => Some("ask whoever runs this broker".to_owned()),
            Self::NoWorkspace(_) => Some("see what there is: keyward workspace list".to_owned()),
            Self::Forbidden { verb: "credential attach", .. } => Some("for yourself alone: add --mine".to_owned()),
            Self::Forbidden { admins: false, .. } | Self::Forbidden { role: Role::Admin, .. } => {
                Some("ask an owner of this broker".to_owned())
            }
            Self::Forbidden { .. } => Some("ask an owner or an admin of this broker".to_owned()),
            Self::NoSuch { list, .. } => Some(format!("see what there is: keyward {list}")),
            Self::LastOwner(_) => Some("make another owner first: keyward user add NAME --role owner --key FILE".to_owned()),
            Self::Key(e) => e.hint(),
            Self::Unfit { hint, .. } => hint.clone(),
            Self::SecretMissing => Some("pipe it in, or run the command on a terminal".to_owned()),
            Self::SecretEmpty(_) => Some("nothing came on standard input: pipe the secret in, or run the command on a terminal".to_owned()),
            Self::OtherFingerprint { host, .. } => Some(format!("find out why before you trust anything; then: keyward host trust {host}")),
            Self::NoHostKey(host) => Some(format!("give its key yourself: keyward host edit {host} --host-key 'ssh-ed25519 AAAA…'")),
            Self::Beyond { via, fault, .. } => {
                Some(fault.hint().unwrap_or_else(|| format!("see whether you reach it: keyward host show {via}")))
            }
            Self::Halfway { error, .. } => error.hint(),
            Self::Checkpoints(_) => Some("a checkpoint file has one JSON document per line, as the broker wrote it".to_owned()),
            Self::Gone => None,
            Self::NoKey => Some("come over ssh: ssh -p PORT YOU@BROKER proposal watch; or sign it with your ssh agent: --sign".to_owned()),
            Self::KeyGone => Some("sign in with a key that is".to_owned()),
            Self::CodeOwed => Some("connect anew".to_owned()),
            Self::Signature(_) => Some(format!(
                "sign what `proposal canonical ID` prints: ssh-keygen -Y sign -n {} -f ~/.ssh/id_ed25519",
                approvals::NAMESPACE
            )),
            Self::Approvals(e) => e.hint(),
            Self::Scans(e) => e.hint(),
            Self::Rotation(e) => e.hint(),
            Self::Audit(e) => e.hint(),
            Self::Store(e) => e.hint(),
            Self::Custody(e) => e.hint(),
            Self::Target(e) => e.hint(),
        }
    }
}
