//! A person's ssh agent, as what opens sealed credentials: which of its keys may serve, and signatures that are secrets. Never reads a
//! private key, and shows no signature to anybody but whoever asked for it.

use std::time::Duration;

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::{AgentClient, AgentStream};
use russh::keys::{Algorithm, PublicKey};

use crate::fault::{Fault, Kind};
use crate::model::AgentAsk;
use crate::secret::Secret;

/// How long the agent has: a key may wait for a person to confirm.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest signature that is taken, in bytes.
const SIGNATURE: usize = 64;

/// Why an agent did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is none.
    #[error("there is no ssh agent (SSH_AUTH_SOCK is not set)")]
    None,
    /// The client does not let the broker reach it.
    #[error("your ssh agent is not forwarded")]
    NotForwarded,
    /// It does not answer, or not as an agent does.
    #[error("the ssh agent cannot be used: {0}")]
    Silent(String),
    /// It shows no key at all.
    #[error("your ssh agent shows no key here")]
    Empty,
    /// It does not show the key that is wanted.
    #[error("your ssh agent shows none of the keys of your slots here")]
    OtherKeys,
    /// There are several keys that fit.
    #[error("your ssh agent has several ed25519 keys")]
    Several,
    /// It has the key and does not sign.
    #[error("the ssh agent refused to sign")]
    Refused,
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Several => Kind::Usage,
            Self::None | Self::NotForwarded | Self::Empty | Self::OtherKeys => Kind::NotFound,
            Self::Silent(_) => Kind::Unavailable,
            Self::Refused => Kind::Refused,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::None => "start one: eval $(ssh-agent); ssh-add",
                Self::NotForwarded => "forward it: ssh -A …; it is asked for this and nothing else",
                Self::Silent(_) => "see what it holds: ssh-add -l; or type the passphrase: unlock --typed",
                Self::Empty | Self::OtherKeys => {
                    "see what it holds: ssh-add -l; a key that was added with `ssh-add -h` is not shown over a forwarded agent"
                }
                Self::Several => "say which: --key 'ssh-ed25519 AAAA…'",
                Self::Refused => {
                    "a key that was added with `ssh-add -c` asks you on your own screen first; or type the passphrase: unlock --typed"
                }
            }
            .to_owned(),
        )
    }
}

/// An agent and the keys that it shows.
pub struct Agent<S: AgentStream> {
    client: AgentClient<S>,
    keys: Vec<PublicKey>,
}

impl<S: AgentStream + Unpin + Send> Agent<S> {
    /// Asks an agent for its keys.
    ///
    /// # Errors
    /// [`Error::Silent`].
    pub async fn meet(stream: S) -> Result<Self, Error> {
        let mut client = AgentClient::connect(stream);
        let shown = in_time(async { client.request_identities().await.map_err(|e| Error::Silent(e.to_string())) }).await?;
        let keys = shown.into_iter().filter_map(|identity| match identity {
            AgentIdentity::PublicKey { key, .. } => Some(key),
            AgentIdentity::Certificate { .. } => None,
        });
        Ok(Self { keys: keys.collect(), client })
    }

    /// The first of these that the agent has the key of.
    pub fn holds<'a>(&self, asks: &'a [AgentAsk]) -> Option<&'a AgentAsk> {
        asks.iter().find(|ask| self.key_of(ask).is_some())
    }

    fn key_of(&self, ask: &AgentAsk) -> Option<&PublicKey> {
        let wanted = PublicKey::from_openssh(&ask.key).ok()?;
        self.keys.iter().find(|key| key.key_data() == wanted.key_data())
    }

    /// The key to make a slot of, where none was named: the only ed25519 key. One that cannot serve is given where there is no other,
    /// so that the vault says why.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::Several`].
    pub fn only_key(&self) -> Result<String, Error> {
        let fits: Vec<&PublicKey> = self.keys.iter().filter(|key| key.algorithm() == Algorithm::Ed25519).collect();
        let key = match (fits.as_slice(), self.keys.as_slice()) {
            ([one], _) => *one,
            ([], [other, ..]) => other,
            ([], []) => return Err(Error::Empty),
            _ => return Err(Error::Several),
        };
        key.to_openssh().map_err(|e| Error::Silent(e.to_string()))
    }

    /// Has what is asked signed so many times; the signatures, one behind the other.
    ///
    /// # Errors
    /// [`Error::OtherKeys`], [`Error::Refused`], [`Error::Silent`].
    pub async fn sign(&mut self, ask: &AgentAsk, times: usize) -> Result<Secret, Error> {
        let key = self.key_of(ask).cloned().ok_or(Error::OtherKeys)?;
        let mut out = zeroize::Zeroizing::new(Vec::with_capacity(times.saturating_mul(SIGNATURE)));
        for _ in 0..times {
            let signed = self.client.sign_request_signature(&key, None, &ask.data);
            let signature = in_time(async { signed.await.map_err(|_| Error::Refused) }).await?;
            if out.len().saturating_add(signature.as_bytes().len()) > out.capacity() {
                return Err(Error::Silent("a signature is too long".to_owned()));
            }
            out.extend_from_slice(signature.as_bytes());
        }
        Ok(Secret::from_zeroizing(out))
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let late = || Error::Silent("it did not answer in time; does a key wait to be confirmed?".to_owned());
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(late()))
}
