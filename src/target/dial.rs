//! From an address to a host whose key is proven. Not a byte of a credential is near here.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use russh::client;
use russh::keys::{Algorithm, PublicKey};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::config::Config;
use super::connection::Connection;
use super::error::{Error, ProvenKey};
pub use super::handler::Trust;
use super::handler::{HostHandler, Seen};
use super::offers;
use super::opens::{AtDoor, Doorbell};
use super::through::{Wire, wire};
use crate::model::{Address, Host, Name};

/// A host that proved a trusted key and has been told nothing yet.
#[must_use]
pub struct Dialed {
    pub(super) handle: client::Handle<HostHandler>,
    pub(super) address: Address,
    pub(super) config: Config,
    pub(super) host: Name,
    pub(super) algorithms: String,
    pub(super) jump: Option<Box<Connection>>,
    key: ProvenKey,
    peer: Option<SocketAddr>,
    local: Option<IpAddr>,
    connected: Duration,
    pub(super) announced: oneshot::Receiver<Vec<PublicKey>>,
    pub(super) opens: mpsc::Receiver<AtDoor>,
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
    /// be good from anywhere, or the host sees a jump host's address, which the broker does not know.
    pub fn source(&self) -> Option<IpAddr> {
        self.local.filter(|_| self.config.certificate_source_address)
    }
    /// How long it took to look up its name and to connect.
    pub fn connect_took(&self) -> Duration {
        self.connected
    }
    /// The address that was connected to; `None` behind a jump host, which looks it up itself.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }
}

/// Connects to a host, through a connection to a jump host if one is given, and lets it prove its key. The jump host's connection
/// belongs to this one from then on. `now` is in seconds since the epoch, for certificates.
///
/// # Errors
/// [`Error::Unreachable`], [`Error::Beyond`], [`Error::TimedOut`], [`Error::Negotiation`], [`Error::TooOld`], [`Error::NotPinned`],
/// [`Error::KeyChanged`], [`Error::Uncertified`].
pub async fn dial(config: &Config, host: &Host, mut jump: Option<Connection>, now: u64) -> Result<Dialed, Error> {
    let authorities = host.host_keys.iter().filter(|k| k.is_authority()).count();
    match meet(config, host, &mut jump, now, authorities > 0).await {
        // Its certificate is by an authority that says nothing here, good or bad: what is pinned of its own keys may still prove it. One
        // that an authority of this host signed and that does not count stays refused.
        Err(Unmet { strange: true, .. }) if authorities < host.host_keys.len() => meet(config, host, &mut jump, now, false).await,
        met => met,
    }
    .map_err(|unmet| unmet.error)
}

/// Why a host was not met.
struct Unmet {
    error: Error,
    /// It showed a certificate of an authority that was not named for it.
    strange: bool,
}

impl From<Error> for Unmet {
    fn from(error: Error) -> Self {
        Self { error, strange: false }
    }
}

/// One connection to it. `certified`: it is asked for certificates before bare keys.
async fn meet(config: &Config, host: &Host, jump: &mut Option<Connection>, now: u64, certified: bool) -> Result<Dialed, Unmet> {
    let pins: Vec<String> = host.host_keys.iter().map(|k| k.fingerprint.clone()).collect();
    let kinds: Vec<Algorithm> =
        host.host_keys.iter().filter_map(|k| PublicKey::from_openssh(&k.public_key).ok()).map(|k| k.algorithm()).collect();
    let trust = match (pins.is_empty(), host.trust_first_use) {
        (false, _) => Trust::Pinned(pins.clone()),
        // Behind a jump host "first" says little: whoever moves the jump host moves this one, too.
        (true, true) if jump.is_none() => Trust::FirstUse,
        (true, _) => Trust::Look,
    };
    let began = Instant::now();
    let Wire { line, peer, local } = wire(config, &host.address, jump.as_ref()).await?;
    let connected = began.elapsed();
    let seen = Seen::default();
    let (tell, announced) = oneshot::channel();
    let (door, opens) = Doorbell::new();
    let handler = HostHandler { trust, seen: seen.clone(), name: host.address.host.clone(), now, announced: Some(tell), door };
    let authorities = host.host_keys.iter().filter(|k| k.is_authority()).count();
    let client = config.client(&kinds, None, &host.legacy, certified);
    let exchange = client::connect_stream(client, line, handler);
    let outcome = timeout(config.handshake_timeout, exchange).await;
    match (outcome, seen.get()) {
        (Ok(Ok(handle)), Some(key)) => {
            let (address, config, jump) = (host.address.clone(), config.clone(), jump.take().map(Box::new));
            Ok(Dialed {
                handle,
                address,
                config,
                host: host.name.clone(),
                algorithms: seen.algorithms(),
                jump,
                key,
                peer,
                local,
                connected,
                announced,
                opens,
            })
        }
        (Ok(Err(russh::Error::UnknownKey)), Some(presented)) if pins.is_empty() => Err(Error::NotPinned { presented }.into()),
        (Ok(Err(russh::Error::UnknownKey)), Some(presented)) if seen.uncertified().is_some() || authorities == pins.len() => {
            let found = seen.uncertified();
            let strange = found.as_ref().is_some_and(|found| found.strange);
            let why = found.map_or_else(|| "it has no certificate".to_owned(), |found| found.why);
            Err(Unmet { error: Error::Uncertified { presented, why }, strange })
        }
        (Ok(Err(russh::Error::UnknownKey)), Some(presented)) => Err(Error::KeyChanged { presented, pinned: pins }.into()),
        (Ok(Err(e @ russh::Error::NoCommonAlgo { .. })), _) => Err(offers::why(config, host, jump.as_ref(), &e).await.into()),
        (Ok(Err(e)), _) => Err(Error::Negotiation { address: host.address.clone(), why: e.to_string() }.into()),
        (Ok(Ok(_)), None) => Err(Error::Negotiation { address: host.address.clone(), why: "no key was shown".to_owned() }.into()),
        (Err(_), _) => {
            let (address, limit) = (host.address.clone(), config.handshake_timeout);
            Err(Error::TimedOut { address, step: "key exchange", limit }.into())
        }
    }
}

/// Asks a host for the keys that it proves, with one connection per kind of key, through a jump host if one is given; signs in
/// nowhere.
///
/// # Errors
/// [`Error::Unreachable`] and the like if no key could be seen at all.
pub async fn probe(config: &Config, host: &Host, jump: Option<&Connection>) -> Result<Vec<ProvenKey>, Error> {
    let address = &host.address;
    let mut keys: Vec<ProvenKey> = Vec::new();
    let (mut last, mut strange) = (None, None);
    for kind in Config::kinds(&host.legacy) {
        let line = wire(config, address, jump).await?.line;
        let seen = Seen::default();
        let (name, door) = (address.host.clone(), Doorbell::new().0);
        let handler = HostHandler { trust: Trust::Look, seen: seen.clone(), name, now: 0, announced: None, door };
        let exchange = client::connect_stream(config.client(&[], Some(kind), &host.legacy, false), line, handler);
        let outcome = timeout(config.handshake_timeout, exchange).await;
        match (seen.get(), outcome) {
            (Some(key), _) if !keys.contains(&key) => keys.push(key),
            (Some(_), _) => {}
            // A host without a key of this kind says so by having no common algorithm.
            (None, Ok(Err(e @ russh::Error::NoCommonAlgo { .. }))) => strange = Some(e),
            (None, Ok(Err(e))) => last = Some(Error::Negotiation { address: address.clone(), why: e.to_string() }),
            (None, Err(_)) => {
                return Err(Error::TimedOut { address: address.clone(), step: "key exchange", limit: config.handshake_timeout });
            }
            (None, Ok(Ok(_))) => {}
        }
    }
    match (keys.is_empty(), last, strange) {
        (true, Some(error), _) => Err(error),
        (true, None, Some(strange)) => Err(offers::why(config, host, jump, &strange).await),
        (true, None, None) => {
            Err(Error::Negotiation { address: address.clone(), why: "it has no key of a kind that is accepted".to_owned() })
        }
        (false, ..) => Ok(keys),
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

/// Connects to the address, or to the addresses of the name in turn: each gets its share of the time that is left, so that one which
/// does not answer keeps nobody from the next.
pub(super) async fn connect(config: &Config, address: &Address) -> Result<(TcpStream, SocketAddr), Error> {
    let attempt = async {
        let found: Vec<SocketAddr> = lookup_host((address.host.as_str(), address.port)).await?.collect();
        first_of(&found, config.connect_timeout).await
    };
    match timeout(config.connect_timeout, attempt).await {
        Ok(Err(e)) if e.kind() != std::io::ErrorKind::TimedOut => Err(Error::Unreachable { address: address.clone(), error: e }),
        Ok(Ok(connected)) => {
            // As at the front.
            let _ = crate::tcp::set(&connected.0, &config.congestion_control);
            Ok(connected)
        }
        Ok(Err(_)) | Err(_) => Err(Error::TimedOut { address: address.clone(), step: "TCP connection", limit: config.connect_timeout }),
    }
}

/// The first of these addresses that answers.
async fn first_of(addresses: &[SocketAddr], limit: Duration) -> std::io::Result<(TcpStream, SocketAddr)> {
    let until = Instant::now() + limit;
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for (at, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        let share = until.saturating_duration_since(Instant::now()) / left;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok((stream, *address)),
            Ok(Err(e)) => last = e,
            Err(_) => last = std::io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_addresses_of_a_name_are_tried_in_turn() {
        let here = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = here.local_addr().unwrap().port();
        let refused: SocketAddr = format!("127.0.0.2:{port}").parse().unwrap();
        let open: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
        // Its queue is full: it answers nobody.
        let full = socket_that_answers_nobody();
        let limit = Duration::from_secs(8);
        assert_eq!(first_of(&[refused, full.1, open], limit).await.unwrap().1, open);
        assert_eq!(first_of(&[refused], limit).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        assert_eq!(first_of(&[], limit).await.unwrap_err().kind(), std::io::ErrorKind::NotFound);
    }

    /// A listener whose queue is full, with what fills it.
    fn socket_that_answers_nobody() -> ((tokio::net::TcpListener, Vec<std::net::TcpStream>), SocketAddr) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut held = Vec::new();
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            held.push(stream);
        }
        ((listener, held), address)
    }
}
