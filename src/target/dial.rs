//! From an address to a host whose key is proven. Not a byte of a credential is near here.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use russh::client;
use russh::keys::{Algorithm, PublicKey};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::config::Config;
use super::error::{Error, ProvenKey};
pub use super::handler::Trust;
use super::handler::{HostHandler, Seen};
use crate::buffer::Buffered;
use crate::model::{Address, Host};

/// A host that proved a trusted key and has been told nothing yet.
#[must_use]
pub struct Dialed {
    pub(super) handle: client::Handle<HostHandler>,
    pub(super) address: Address,
    pub(super) config: Config,
    key: ProvenKey,
    peer: SocketAddr,
    local: IpAddr,
    connected: Duration,
}

impl std::fmt::Debug for Dialed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialed").field("address", &self.address).field("key", &self.key.fingerprint).finish_non_exhaustive()
    }
}

impl Dialed {
    /// The key that it proved.
    pub fn key(&self) -> &ProvenKey {
        &self.key
    }
    /// The address from which the host sees this connection, for certificates that are good from there alone. `None`: they are to
    /// be good from anywhere.
    pub fn source(&self) -> Option<IpAddr> {
        self.config.certificate_source_address.then_some(self.local)
    }
    /// How long it took to look up its name and to connect.
    pub fn connect_took(&self) -> Duration {
        self.connected
    }
    /// The address that was connected to.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }
}

/// Connects to a host and lets it prove its key.
///
/// # Errors
/// [`Error::Unreachable`], [`Error::TimedOut`], [`Error::Negotiation`], [`Error::NotPinned`], [`Error::KeyChanged`].
pub async fn dial(config: &Config, host: &Host) -> Result<Dialed, Error> {
    let pins: Vec<String> = host.host_keys.iter().map(|k| k.fingerprint.clone()).collect();
    let kinds: Vec<Algorithm> =
        host.host_keys.iter().filter_map(|k| PublicKey::from_openssh(&k.public_key).ok()).map(|k| k.algorithm()).collect();
    let trust = match (pins.is_empty(), host.trust_first_use) {
        (false, _) => Trust::Pinned(pins.clone()),
        (true, true) => Trust::FirstUse,
        (true, false) => Trust::Look,
    };
    let began = Instant::now();
    let (stream, peer) = connect(config, &host.address).await?;
    let local = stream.local_addr().map_err(|error| Error::Unreachable { address: host.address.clone(), error })?.ip();
    let connected = began.elapsed();
    let seen = Seen::default();
    let handler = HostHandler { trust, seen: seen.clone() };
    let exchange = client::connect_stream(config.client(&kinds, None), Buffered::new(stream), handler);
    let outcome = timeout(config.handshake_timeout, exchange).await;
    match (outcome, seen.get()) {
        (Ok(Ok(handle)), Some(key)) => {
            Ok(Dialed { handle, address: host.address.clone(), config: config.clone(), key, peer, local, connected })
        }
        (Ok(Err(russh::Error::UnknownKey)), Some(presented)) if pins.is_empty() => Err(Error::NotPinned { presented }),
        (Ok(Err(russh::Error::UnknownKey)), Some(presented)) => Err(Error::KeyChanged { presented, pinned: pins }),
        (Ok(Err(e)), _) => Err(Error::Negotiation { address: host.address.clone(), why: e.to_string() }),
        (Ok(Ok(_)), None) => Err(Error::Negotiation { address: host.address.clone(), why: "no key was shown".to_owned() }),
        (Err(_), _) => Err(Error::TimedOut { address: host.address.clone(), step: "key exchange", limit: config.handshake_timeout }),
    }
}

/// Asks a host for the keys that it proves, with one connection per kind of key; signs in nowhere.
///
/// # Errors
/// [`Error::Unreachable`] and the like if no key could be seen at all.
pub async fn probe(config: &Config, address: &Address) -> Result<Vec<ProvenKey>, Error> {
    let mut keys: Vec<ProvenKey> = Vec::new();
    let mut last = None;
    for kind in Config::kinds() {
        let (stream, _) = connect(config, address).await?;
        let seen = Seen::default();
        let handler = HostHandler { trust: Trust::Look, seen: seen.clone() };
        let exchange = client::connect_stream(config.client(&[], Some(kind)), stream, handler);
        let outcome = timeout(config.handshake_timeout, exchange).await;
        match (seen.get(), outcome) {
            (Some(key), _) if !keys.contains(&key) => keys.push(key),
            (Some(_), _) => {}
            // A host without a key of this kind says so by having no common algorithm.
            (None, Ok(Err(russh::Error::NoCommonAlgo { .. }))) => {}
            (None, Ok(Err(e))) => last = Some(Error::Negotiation { address: address.clone(), why: e.to_string() }),
            (None, Err(_)) => {
                return Err(Error::TimedOut { address: address.clone(), step: "key exchange", limit: config.handshake_timeout });
            }
            (None, Ok(Ok(_))) => {}
        }
    }
    match (keys.is_empty(), last) {
        (true, Some(error)) => Err(error),
        (true, None) => Err(Error::Negotiation { address: address.clone(), why: "it has no key of a kind that is accepted".to_owned() }),
        (false, _) => Ok(keys),
    }
}

/// Looks up the name of a host, and connects to nothing.
///
/// # Errors
/// [`Error::Unreachable`], [`Error::TimedOut`].
pub async fn look_up(config: &Config, address: &Address) -> Result<usize, Error> {
    let limit = config.connect_timeout;
    match timeout(limit, lookup_host((address.host.as_str(), address.port))).await {
        Ok(Ok(found)) => Ok(found.count()),
        Ok(Err(error)) => Err(Error::Unreachable { address: address.clone(), error }),
        Err(_) => Err(Error::TimedOut { address: address.clone(), step: "name", limit }),
    }
}

async fn connect(config: &Config, address: &Address) -> Result<(TcpStream, SocketAddr), Error> {
    let unreachable = |error| Error::Unreachable { address: address.clone(), error };
    let attempt = async {
        let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
        for at in lookup_host((address.host.as_str(), address.port)).await? {
            match TcpStream::connect(at).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok((stream, at));
                }
                Err(e) => last = e,
            }
        }
        Err(last)
    };
    match timeout(config.connect_timeout, attempt).await {
        Ok(connected) => connected.map_err(unreachable),
        Err(_) => Err(Error::TimedOut { address: address.clone(), step: "TCP connection", limit: config.connect_timeout }),
    }
}
