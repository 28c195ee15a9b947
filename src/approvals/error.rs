//! Why something was not proposed, or not decided.

use std::time::Duration;

use crate::fault::{Fault, Kind};
use crate::model::{Name, NotApproved, ProposalId, Stage};
use crate::{audit, custody, store};

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The agent was removed, or its person is not there or disabled.
    #[error("this agent may not propose any more")]
    NoAgent,
    /// There is no such host where this agent may propose: unknown, not granted to its person, or granted without `propose`.
    #[error("no host `{0}` for you here")]
    NoSuchHost(Name),
    /// Its person may let agents propose there, but not this command.
    #[error("{person} may not run this command on {host}")]
    NotGranted {
        /// The person.
        person: Name,
        /// The host.
        host: Name,
    },
    /// Its person has no connection to that host.
    #[error("{person} has no open connection to {host}; nothing was proposed")]
    NoConnection {
        /// The person.
        person: Name,
        /// The host.
        host: Name,
    },
    /// It is no command.
    #[error("{0}")]
    Unfit(&'static str),
    /// Too long.
    #[error("the {what} has {length} bytes or entries; {most} are taken")]
    TooLong {
        /// What.
        what: &'static str,
        /// How long it is.
        length: usize,
        /// What is taken.
        most: usize,
    },
    /// No such time.
    #[error("a timeout is whole seconds, at most {}", most.as_secs())]
    Timeout {
        /// The longest.
        most: Duration,
    },
    /// A limit of the agent or its person.
    #[error("{0}")]
    Limit(String),
    /// There is no such proposal for the caller.
    #[error("there is no proposal `{0}` that waits for you")]
    NoSuch(String),
    /// It was decided already.
    #[error("proposal {id} is {stage} already")]
    Decided {
        /// Which.
        id: ProposalId,
        /// Where it stands.
        stage: Stage,
    },
    /// It cannot be approved so.
    #[error("proposal {id}: {why}")]
    NotApproved {
        /// Which.
        id: ProposalId,
        /// Why.
        why: NotApproved,
    },
    /// An approval needs a signature.
    #[error("an approval of proposal {0} needs a signature over it")]
    SignatureNeeded(ProposalId),
    /// An allowance is too large.
    #[error("{0}")]
    Allowance(String),
    /// The desk is closing.
    #[error("the broker is stopping")]
    Closing,
    /// The witness could not write.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// The ledger failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The database does not verify.
    #[error(transparent)]
    Custody(#[from] custody::Error),
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NoAgent | Self::NotGranted { .. } | Self::SignatureNeeded(_) => Kind::Forbidden,
            Self::NoSuchHost(_) | Self::NoSuch(_) => Kind::NotFound,
            Self::NoConnection { .. } | Self::Closing => Kind::Unavailable,
            Self::Unfit(_) | Self::TooLong { .. } | Self::Timeout { .. } | Self::Allowance(_) => Kind::Invalid,
            Self::Limit(_) => Kind::Limit,
            Self::Decided { .. } | Self::NotApproved { .. } => Kind::Conflict,
            Self::Audit(e) => e.kind(),
            Self::Store(e) => e.kind(),
            Self::Custody(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoAgent => Some("its person adds it again: agent add NAME --for PERSON".to_owned()),
            Self::NoSuchHost(_) => Some("ask for the hosts that you may propose on; a grant needs `propose`".to_owned()),
            Self::NotGranted { host, .. } => Some(format!("ask for another command, or for a grant on {host} that covers it")),
            Self::NoConnection { person, host } => {
                Some(format!("{person} opens one and leaves it open: ssh -N -p PORT {host}@BROKER; then propose again"))
            }
            Self::Limit(_) => Some("wait until some are decided".to_owned()),
            Self::NoSuch(_) => Some("see what waits: keyward proposal list --pending".to_owned()),
            Self::NotApproved { why: NotApproved::OtherDigest, id } => Some(format!("look at it again: keyward proposal show {id}")),
            Self::SignatureNeeded(id) => Some(format!(
                "on a machine with your ssh agent: keyward proposal approve {id} --digest HEX --sign; or sign what `proposal canonical {id}` prints with ssh-keygen -Y sign -n {} and give it with --signature",
                super::NAMESPACE
            )),
            Self::Unfit(_)
            | Self::TooLong { .. }
            | Self::Timeout { .. }
            | Self::Allowance(_)
            | Self::Decided { .. }
            | Self::NotApproved { .. }
            | Self::Closing => None,
            Self::Audit(e) => e.hint(),
            Self::Store(e) => e.hint(),
            Self::Custody(e) => e.hint(),
        }
    }
}
