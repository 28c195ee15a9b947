//! The same tools over HTTP, for agents on this machine: each request shows the agent's token and stands for itself, so there
//! is no session that another could take over. No TLS: it listens on loopback alone. Never takes a browser's request.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::places::Places;
use super::server::Server;
use super::{Doorway, MESSAGE};
use crate::model::{Agent, AgentId};

/// Where the tools are.
const PATH: &str = "/mcp";
/// Connections at once; more are closed at once.
const CONNECTIONS: usize = 128;
/// How long a client may take to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// The longest head of a request.
const HEAD: usize = 16 * 1024;
/// What a token can be at most.
const TOKEN: usize = 256;

/// Where to listen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// An address of this machine's loopback; `None`: nowhere.
    pub listen: Option<SocketAddr>,
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// The HTTP door.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
}

/// What all connections share.
struct Hall {
    door: Doorway,
    /// Names under which this door can be addressed.
    hosts: Vec<String>,
    places: Mutex<HashMap<AgentId, Places>>,
}

impl Listener {
    /// Begins to listen.
    ///
    /// # Errors
    /// What the system says, or that the address is not of loopback.
    pub async fn bind(address: SocketAddr) -> io::Result<Self> {
        if !address.ip().to_canonical().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it has no TLS, so it listens on loopback alone"));
        }
        Ok(Self { socket: TcpListener::bind(address).await? })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stop`; then every connection is closed.
    pub async fn run(self, door: Doorway, stop: CancellationToken) {
        let mut hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        hosts.extend(self.address().map(|a| a.ip().to_string()));
        let hall = Arc::new(Hall { door, hosts, places: Mutex::default() });
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(done) = connections.join_next() => if let Err(error) = done {
                    tracing::error!(target: "keyward::mcp", %error, "a connection failed");
                },
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, from)) => if let Ok(place) = Arc::clone(&places).try_acquire_owned() {
                        let hall = Arc::clone(&hall);
                        connections.spawn(async move {
                            let _place = place;
                            attend(hall, stream, from).await;
                        });
                    },
                    Err(error) => {
                        // Out of file descriptors, most likely: waiting lets some be closed.
                        tracing::warn!(target: "keyward::mcp", %error, "the HTTP door could not let somebody in");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        connections.shutdown().await;
    }
}

/// One connection, until it ends or its agent may not sign in any more.
async fn attend(hall: Arc<Hall>, stream: TcpStream, from: SocketAddr) {
    let mut bell = hall.door.guard.listen();
    // Whatever a request of this connection does ends with it.
    let cut = CancellationToken::new();
    let _cut = cut.clone().drop_guard();
    let who: Mutex<Option<AgentId>> = Mutex::default();
    let service = service_fn(|request| {
        let (hall, who, cut) = (&hall, &who, &cut);
        async move { Ok::<_, Infallible>(answer(hall, request, from, who, cut).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    loop {
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(target: "keyward::mcp", %error, "an HTTP client left");
                }
                return;
            }
            Ok(()) = bell.changed() => {
                let known = who.lock().ok().and_then(|who| *who);
                if let Some(agent) = known && !hall.door.authn.agent_is_there(agent).await {
                    return;
                }
            }
        }
    }
}

async fn answer(
    hall: &Hall,
    mut request: Request<Incoming>,
    from: SocketAddr,
    who: &Mutex<Option<AgentId>>,
    cut: &CancellationToken,
) -> Answer {
    if request.uri().path() != PATH {
        return told(StatusCode::NOT_FOUND, "there is nothing here: the tools are at /mcp");
    }
    let agent = match sign_in(hall, &request, from).await {
        Ok(agent) => agent,
        Err(refused) => return *refused,
    };
    // The token has done its work: nothing behind this line can see it.
    request.headers_mut().remove(AUTHORIZATION);
    // Written down once for each connection and agent, as a sign-in over ssh is.
    let new = who.lock().is_ok_and(|mut who| who.replace(agent.id) != Some(agent.id));
    if new {
        hall.door.authn.agent_accepted(&agent.name, "token", "mcp", Some(from)).await;
    }
    let places = hall.places_of(agent.id);
    let Some(place) = places.request() else {
        return told(StatusCode::TOO_MANY_REQUESTS, "too many requests of this agent are under way");
    };
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_allowed_hosts(hall.hosts.iter().cloned())
        // No page has business here: a request with an Origin is a browser's.
        .enforce_origin_validation()
        .with_max_request_body_bytes(MESSAGE)
        .with_cancellation_token(cut.clone());
    let server = Server::new(&hall.door, agent, Some(from), places, cut.clone());
    let service = StreamableHttpService::new(move || Ok(server.clone()), Arc::new(NeverSessionManager::default()), config);
    let answer = service.handle(request).await;
    // The place is taken until the answer was read, or nobody is there to read it.
    answer.map(|body| {
        body.map_frame(move |frame| {
            let _ = &place;
            frame
        })
        .boxed()
    })
}

/// The agent whose token the request shows.
async fn sign_in(hall: &Hall, request: &Request<Incoming>, from: SocketAddr) -> Result<Agent, Box<Answer>> {
    let authn = &hall.door.authn;
    if !authn.may_try(from.ip()) {
        return Err(Box::new(told(StatusCode::TOO_MANY_REQUESTS, "too many sign-ins from this address failed")));
    }
    let refused = || {
        let mut answer = told(StatusCode::UNAUTHORIZED, "no agent has this token: send `Authorization: Bearer kwa_…`");
        answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        Box::new(answer)
    };
    let Some(token) = request.headers().get(AUTHORIZATION).and_then(bearer) else {
        // Clients look first whether a token is needed: no token is no failed one.
        return Err(refused());
    };
    match authn.by_token(token).await {
        Ok(Some(agent)) => Ok(agent),
        Ok(None) => {
            authn.refused(from, None, PATH, "no agent has this token").await;
            Err(refused())
        }
        Err(error) => {
            tracing::error!(target: "keyward::mcp", %error, "a token could not be looked up");
            Err(Box::new(told(StatusCode::SERVICE_UNAVAILABLE, "the broker cannot look up tokens now")))
        }
    }
}

fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= TOKEN).then_some(token)
}

fn told(status: StatusCode, sentence: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(format!("{sentence}\n"))).boxed());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

impl Hall {
    /// The places of an agent, whatever connection it uses.
    fn places_of(&self, agent: AgentId) -> Places {
        let Ok(mut all) = self.places.lock() else { return Places::new() };
        if !all.contains_key(&agent) {
            all.retain(|_, places| places.in_use());
        }
        all.entry(agent).or_insert_with(Places::new).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bearer_token_is_one() {
        let of = |text: &str| bearer(&HeaderValue::from_str(text).unwrap()).map(str::to_owned);
        assert_eq!(of("Bearer kwa_x"), Some("kwa_x".to_owned()));
        assert_eq!(of("bearer  kwa_x "), Some("kwa_x".to_owned()));
        for bad in ["", "Bearer", "Bearer ", "Basic kwa_x", "kwa_x"] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
        assert_eq!(of(&format!("Bearer {}", "x".repeat(TOKEN + 1))), None);
    }

    #[tokio::test]
    async fn it_listens_on_loopback_alone() {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            assert!(Listener::bind(address.parse().unwrap()).await.is_err(), "{address}");
        }
        assert!(Listener::bind("127.0.0.1:0".parse().unwrap()).await.is_ok());
    }
}
