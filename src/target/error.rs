//! What can go wrong on the way to a host, each with the words a person needs.

use std::time::Duration;

use crate::fault::{Fault, Kind};
use crate::model::{Address, EndReason};

/// A key that a host proved by signing the key exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenKey {
    /// `ssh-ed25519 AAAA…`.
    pub public_key: String,
    /// The pin that it meets: its own fingerprint, `SHA256:…`, or that of the authority that certified it, `CA:SHA256:…`.
    pub fingerprint: String,
    /// Its own fingerprint.
    pub key: String,
}

/// How a certificate is offered.
pub(super) const CERTIFICATE: &str = "certificate";

fn refused(method: &str, login: &str) -> String {
    match method {
        CERTIFICATE => format!("the host did not take the certificate for login {login}"),
        _ => format!("the host refused the credential ({method}) for login {login}"),
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No TCP connection.
    #[error("{address} cannot be reached: {error}")]
    Unreachable {
        /// Where.
        address: Address,
        /// Why.
        error: std::io::Error,
    },
    /// A step took too long.
    #[error("{address} did not finish the {step} within {limit:?}")]
    TimedOut {
        /// Where.
        address: Address,
        /// Which step.
        step: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// It is no SSH server, or no algorithm is common.
    #[error("{address}: the key exchange failed: {why}")]
    Negotiation {
        /// Where.
        address: Address,
        /// Why.
        why: String,
    },
    /// A jump host opened no connection to it.
    #[error("{address} cannot be reached from {jump}: {why}")]
    Beyond {
        /// Where.
        address: Address,
        /// From which host.
        jump: crate::model::Name,
        /// Why.
        why: String,
    },
    /// It speaks none of the algorithms that are open for it.
    #[error("{address} speaks only algorithms that are not open for it; it offers {offers}")]
    TooOld {
        /// Where.
        address: Address,
        /// What it offers, where nothing is common.
        offers: String,
        /// The verb that would open what is needed; `None`: nothing would.
        open: Option<String>,
    },
    /// No key is pinned and nobody allowed trust on first use.
    #[error("no key is pinned for this host; it shows {}", presented.fingerprint)]
    NotPinned {
        /// What it shows.
        presented: ProvenKey,
    },
    /// It shows another key than the pinned ones.
    #[error("THE HOST'S KEY HAS CHANGED: it shows {}, pinned is {}", presented.fingerprint, pinned.join(" or "))]
    KeyChanged {
        /// What it shows.
        presented: ProvenKey,
        /// What is pinned.
        pinned: Vec<String>,
    },
    /// It has to show a certificate, and what it shows does not count as one.
    #[error("the host does not prove who it is: it shows {}, and {why}", presented.key)]
    Uncertified {
        /// What it shows.
        presented: ProvenKey,
        /// Why that does not count.
        why: String,
    },
    /// The host does not take this credential.
    #[error("{}", refused(method, login))]
    Refused {
        /// By which method it was offered.
        method: &'static str,
        /// For which account.
        login: String,
    },
    /// The host offers no method that the credential fits.
    #[error("the host does not accept a {have}; it offers {offered}")]
    NoMethod {
        /// What kind of credential.
        have: &'static str,
        /// What the host offers.
        offered: String,
    },
    /// The host asked something and nobody answered.
    #[error("the host asks for an answer that only you can give ({0}), and there is no terminal to ask on")]
    PromptUnanswered(String),
    /// The connection broke off.
    #[error("the connection to the host broke off: {0}")]
    Lost(String),
    /// The vault would not sign.
    #[error(transparent)]
    Vault(#[from] crate::vault::Error),
}

impl Error {
    /// The reason as it stands in the session's record.
    pub fn end_reason(&self) -> EndReason {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Negotiation { .. } | Self::Beyond { .. } | Self::TooOld { .. } => {
                EndReason::Unreachable
            }
            Self::NotPinned { .. } | Self::KeyChanged { .. } | Self::Uncertified { .. } => EndReason::HostKey,
            Self::Refused { .. } | Self::NoMethod { .. } | Self::PromptUnanswered(_) => EndReason::Refused,
            Self::Lost(_) => EndReason::HostLost,
            Self::Vault(_) => EndReason::Broker,
        }
    }

    /// The hint for a host with this name.
    pub fn hint_for(&self, host: &crate::model::Name) -> Option<String> {
        match self {
            Self::NotPinned { .. } => Some(format!("an admin checks and pins it, with `host trust {host}`")),
            Self::KeyChanged { .. } => {
                Some(format!("nothing was sent to it. If the change is legitimate, an admin pins the new key, with `host trust {host}`"))
            }
            Self::Uncertified { .. } => Some(format!(
                "nothing was sent to it. An admin looks at its certificate and at the host CAs, or pins its key, with `host trust {host}`"
            )),
            Self::Refused { method: CERTIFICATE, .. } => Some("is the workspace's CA trusted there? keyward ca show".to_owned()),
            Self::Refused { .. } => {
                Some("it was tried once and is not tried again: check it with whoever keeps this credential".to_owned())
            }
            Self::PromptUnanswered(_) => {
                Some(format!("connect once with a terminal, and let others share it: ssh -t -o ControlMaster=yes … {host}"))
            }
            _ => self.hint(),
        }
    }
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::TimedOut { .. } => Kind::TimedOut,
            Self::Vault(e) => e.kind(),
            _ => Kind::Refused,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unreachable { address, .. } => {
                Some(format!("is it up, and is the address right? From the broker: nc -z {} {}", address.host, address.port))
            }
            Self::TimedOut { .. } => {
                Some("the limits are connect_timeout, handshake_timeout and login_timeout under [host] in broker.toml".to_owned())
            }
            Self::Beyond { jump, address, .. } => Some(format!(
                "the address is looked up on {jump}, and it must forward there: on {jump}, nc -z {} {}",
                address.host, address.port
            )),
            Self::TooOld { open: Some(verb), .. } => Some(format!("an admin opens what is needed for this host alone: {verb}")),
            Self::TooOld { open: None, .. } => {
                Some("none of what it offers can be opened: give it newer software, or a jump host beside it".to_owned())
            }
            Self::NoMethod { .. } => Some("attach a credential of another kind".to_owned()),
            Self::Vault(e) => e.hint(),
            _ => None,
        }
    }
}
