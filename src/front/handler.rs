//! russh's callbacks → phases: signing in, then a session or the console. Only translates; nothing here waits for a
//! host, since russh awaits these callbacks inline and a slow one freezes its client.

mod certificates;
mod inside;
mod own_keys;
mod second;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use russh::keys::ssh_key::{Certificate, HashAlg};
use russh::keys::{Algorithm, PublicKey};
use russh::server::{
    self, Auth, CertificateFault, ChannelOpenHandle, Msg, PublicKeyOffer, Session, VerifiedCertificate, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, Disconnect, MethodKind, MethodSet};
use tokio::sync::{mpsc, oneshot};

use super::agents;
use super::config::Config;
use super::crowd::Crowd;
use super::jump::{Gate, Within};
use super::listener::Places;
use super::notices;
use super::picker::{AtConsole, Sitting};
use super::selector::Selector;
use super::verbs;
use crate::approvals::Approvals;
use crate::authn::{Authn, Known, Shown};
use crate::control::{Caller, Desk, Door};
use crate::model::wire::{self, Decision, Sender, Word, look_up};
use crate::model::{Destination, EndReason, Name, User, UserId, printable};
use crate::scans::Scans;
use crate::secret::Secret;
use crate::sessions::{self, Answered, Arrival, Asks, Comer, Rooms, Seats, Visit, Visiting, open};

/// Where the front leads: who people are, sessions, verbs.
#[derive(Clone, Debug)]
pub struct Doorway {
    /// Knows persons by their keys.
    pub authn: Authn,
    /// What sessions need.
    pub rooms: Rooms,
    /// Answers verbs.
    pub desk: Desk,
    /// Takes the proposals of agents.
    pub approvals: Approvals,
    /// What scans found, for agents.
    pub scans: Scans,
    /// The workspace that this front serves.
    pub workspace: Name,
    /// How many connections each agent has.
    pub crowd: Crowd,
}

/// What is known of a connection's sign-in, also after its handler is gone.
#[derive(Debug, Default)]
pub(super) struct SignIn {
    pub(super) tried: bool,
    pub(super) asked_for: String,
    pub(super) person: Option<UserId>,
    pub(super) known: Option<Known>,
    /// Why the certificate that was shown last signs nobody in.
    pub(super) why: Option<String>,
    /// Since the key was accepted, what is sealed waits to be opened: so many answers opened nothing.
    pub(super) asking: Option<usize>,
    /// Since when a one-time code is owed: so many answers were wrong.
    pub(super) owing: Option<usize>,
    arrivals: Option<mpsc::Sender<Arrival>>,
}

impl SignIn {
    /// Tells whoever serves this client that it is gone.
    pub(super) fn left(&mut self, why: EndReason) {
        if let Some(arrivals) = self.arrivals.take() {
            // If the queue is full, dropping the sender says it as well.
            let _ = arrivals.try_send(Arrival::Left(why));
        }
    }
}

/// The handler of one client.
pub(super) struct Handler {
    door: Arc<Doorway>,
    config: Arc<Config>,
    peer: SocketAddr,
    sign_in: Arc<Mutex<SignIn>>,
    signed_in: Option<oneshot::Sender<()>>,
    selector: Option<Selector>,
    key: Option<(String, String)>,
    seats: Seats,
    /// Who has to open what they sealed, and under which name they sign in.
    sealed: Option<(Comer, String)>,
    /// Who owes a one-time code, before that.
    owing: Option<second::Owing>,
    /// Whether their agent is to open it.
    by_agent: bool,
    /// Keeps what they sealed open as long as this connection lives.
    visiting: Option<Visiting>,
    /// Where the requests of somebody who is on the way to a host go.
    asks: Option<Asks>,
    /// What holds if it came inside another connection, and what its client named as the account there.
    within: Option<Within>,
    login: Option<String>,
    /// How often the broker's own keys were to be proved.
    proofs: usize,
    /// Where connections count that come inside this one.
    places: Arc<Places>,
}

impl Handler {
    pub(super) fn new(
        door: Arc<Doorway>,
        config: Arc<Config>,
        peer: SocketAddr,
        sign_in: Arc<Mutex<SignIn>>,
        signed_in: oneshot::Sender<()>,
        (places, within): (Arc<Places>, Option<Within>),
    ) -> Self {
        let seats = Seats::new(config.tuning.channels);
        Self {
            door,
            config,
            peer,
            sign_in,
            signed_in: Some(signed_in),
            selector: None,
            key: None,
            seats,
            sealed: None,
            owing: None,
            by_agent: false,
            visiting: None,
            asks: None,
            within,
            login: None,
            proofs: 0,
            places,
        }
    }

    fn note(&self, change: impl FnOnce(&mut SignIn)) {
        if let Ok(mut sign_in) = self.sign_in.lock() {
            change(&mut sign_in);
        }
    }

    /// The enabled person, or their agent, whose key it is and who is the one that the user name names, if it names one.
    async fn person(&mut self, user: &str, key: &PublicKey, algorithm: &Algorithm) -> Option<Known> {
        let asked_for = self.asked_for(user);
        self.note(|s| {
            s.tried = true;
            s.asked_for = asked_for;
        });
        // SHA-1 signatures are refused (RFC 8332); DSA is gone.
        if matches!(algorithm, Algorithm::Rsa { hash: None } | Algorithm::Dsa) {
            return None;
        }
        let selector = self.selector_of(user)?;
        let found = match self.door.authn.by_key(key.fingerprint(HashAlg::Sha256).to_string()).await {
            Ok(found) => found?,
            Err(error) => {
                tracing::error!(target: "keyward::front", %error, "nobody can sign in");
                return None;
            }
        };
        if selector.person.as_ref().is_some_and(|person| person != found.name()) {
            return None;
        }
        self.goes(user, selector, &found)?;
        Some(found)
    }

    /// The person on the way to a host; `None`: they come to the console.
    fn comer(&self, person: &User) -> Option<Comer> {
        let (selector, (key, _)) = self.selector.as_ref().zip(self.key.as_ref())?;
        (!selector.is_console(&person.name)).then(|| Comer {
            user: person.clone(),
            key: key.clone(),
            workspace: selector.workspace.clone().unwrap_or_else(|| self.door.workspace.clone()),
            host: selector.host.clone(),
            credential: selector.credential.clone(),
            login: self.login.clone(),
            client: self.peer,
        })
    }

    /// A connection through a host: whoever serves this client decides about it, and waits with it if it must.
    async fn forward(&mut self, channel: Channel<Msg>, to: Destination, reply: ChannelOpenHandle) {
        let most = self.config.tuning.channels;
        if to.is_too_long() {
            reply.reject(refusal(1, "keyward: no destination is that long".to_owned())).await;
        } else if let Some(seat) = self.seats.take(channel.id().into()) {
            self.arrive(Arrival::Forward { channel, reply, seat, to });
        } else {
            reply.reject(refusal(4, format!("keyward: at most {most} channels on one connection"))).await;
        }
    }

    fn arrive(&self, arrival: Arrival) {
        self.note(|s| {
            if let Some(arrivals) = &s.arrivals {
                // A full queue drops the arrival, and a dropped channel is a rejected one.
                let _ = arrivals.try_send(arrival);
            }
        });
    }
}

impl server::Handler for Handler {
    type Error = russh::Error;

    async fn authentication_banner(&mut self) -> Result<Option<String>, Self::Error> {
        let banner = &self.config.tuning.banner;
        Ok((!banner.is_empty()).then(|| format!("{}\r\n", banner.trim_end())))
    }

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        if let Some(certificate) = offer.certificate {
            let shown = Shown { algorithm: offer.algorithm, verified: None };
            let known = self.certified(user, certificate, shown).await;
            return Ok(if known.is_some() { Auth::Accept } else { Auth::reject() });
        }
        let known = self.person(user, offer.public_key, offer.algorithm).await;
        Ok(if known.is_some() { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let Some(person) = self.person(user, key.public_key, key.algorithm).await else {
            // Only here is it known that the key was in somebody's hand: an offer alone, which anybody can make of a
            // public key, is not counted against its owner.
            let owner = self.door.authn.owner_of(key.public_key.fingerprint(HashAlg::Sha256).to_string()).await;
            self.note(|s| s.person = owner);
            return Ok(Auth::reject());
        };
        self.key = Some((key.public_key.fingerprint(HashAlg::Sha256).to_string(), key.algorithm.to_string()));
        Ok(self.let_in(user, person).await)
    }

    async fn auth_certificate(&mut self, user: &str, verified: VerifiedCertificate<'_>) -> Result<Auth, Self::Error> {
        let touched = verified.security_key.is_some_and(|used| used.user_verified());
        let shown = Shown { algorithm: verified.algorithm, verified: Some(touched) };
        let Some((person, vouch)) = self.certified(user, verified.certificate, shown).await else { return Ok(Auth::reject()) };
        self.key = Some((vouch.to_string(), verified.algorithm.to_string()));
        Ok(self.let_in(user, Known::Person(person)).await)
    }

    async fn auth_certificate_unfit(&mut self, user: &str, certificate: &Certificate, fault: CertificateFault) -> Result<(), Self::Error> {
        self.unfit(user, certificate, fault);
        Ok(())
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _: &str,
        response: Option<server::Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        if self.owes(user) {
            return Ok(self.code_answered(response).await);
        }
        // Only for somebody whose key was accepted just now, under the same name.
        let comer = match &self.sealed {
            Some((comer, name)) if name == user => comer.clone(),
            _ => return Ok(Auth::reject()),
        };
        let Some(mut answers) = response else { return Ok(question()) };
        let Some(answer) = answers.next() else { return Ok(question()) };
        if answer.is_empty() {
            // Nobody's scope is opened by nothing: it is the word for "ask my agent", once it can be reached.
            self.by_agent = true;
        } else {
            let mut exact = zeroize::Zeroizing::new(Vec::with_capacity(answer.len()));
            exact.extend_from_slice(&answer);
            drop(answer);
            let answered = sessions::open_with(&self.door.rooms, &comer.user, self.peer, Secret::from_zeroizing(exact)).await;
            if answered != Answered::Open {
                let mut tries = 0;
                self.note(|s| {
                    tries = s.asking.map_or(1, |n| n + 1);
                    (s.asking, s.person) = (Some(tries), Some(comer.user.id));
                });
                let again = answered == Answered::Wrong && tries < ANSWERS;
                self.sealed = self.sealed.take().filter(|_| again);
                // The method stays on the list: with none left, OpenSSH's client would begin with its key again.
                return Ok(Auth::reject());
            }
        }
        self.sealed = None;
        // Where they go is what the accepted key was shown for, whatever was offered meanwhile.
        self.heads_for(user);
        self.note(|s| (s.known, s.asking, s.person) = (Some(Known::Person(comer.user)), None, None));
        Ok(Auth::Accept)
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), Self::Error> {
        let known = self.sign_in.lock().ok().and_then(|s| s.known.clone());
        // Inside another connection it is settled where this one leads, whatever names were offered on the way.
        let selector = self.within.as_ref().map(Within::selector).or_else(|| self.selector.clone());
        let (Some(known), Some(selector), Some((fingerprint, algorithm))) = (known, selector, self.key.clone()) else {
            return Err(russh::Error::NotAuthenticated);
        };
        if let Some(tell) = self.signed_in.take() {
            let _ = tell.send(());
        }
        let version = printable(&String::from_utf8_lossy(session.remote_sshid()), 200);
        self.door.authn.accepted(known.name(), self.peer, &fingerprint, &version, &algorithm).await;
        self.announce(session)?;
        // Every channel may come, end, and come again before somebody looks.
        let (arrive, arrivals) = mpsc::channel(self.config.tuning.channels.saturating_mul(4).max(16));
        self.note(|s| s.arrivals = Some(arrive));
        let handle = session.handle();
        let user = match known {
            Known::Person(user) => user,
            Known::Agent(agent) => {
                let most = self.config.tuning.connections_per_agent;
                let Some(among) = self.door.crowd.enter(agent.id, most) else {
                    let why = format!("keyward: an agent has at most {most} connections at once (limits.connections_per_agent)");
                    return session.disconnect(Disconnect::TooManyConnections, &why, "en");
                };
                let visit = agents::Visit { agent, selector, client: self.peer, arrivals, handle, among };
                #[allow(clippy::disallowed_methods)] // it looks after its own tasks; a panic closes the channels
                tokio::spawn(agents::serve(Arc::clone(&self.door), visit));
                return Ok(());
            }
        };
        let calling = self.door.desk.over_ssh(&user.name);
        if selector.is_console(&user.name) {
            let key = Some(fingerprint.clone());
            let caller = Caller { user: user.id, key, door: Door::Ssh, client: Some(self.peer), workspace: self.door.workspace.clone() };
            let (door, config) = (Arc::clone(&self.door), Arc::clone(&self.config));
            let gate = self.gate(&user, &fingerprint, &calling);
            let (key, client, sitting) = (fingerprint, self.peer, Sitting::default());
            let guest = AtConsole { door, config, caller, user, key, client, calling, handle, sitting };
            #[allow(clippy::disallowed_methods)] // it looks after its own tasks; a panic closes the channels
            tokio::spawn(verbs::serve(guest, arrivals, gate));
        } else {
            let key = Some(fingerprint.clone());
            let caller = Caller { user: user.id, key, door: Door::Ssh, client: Some(self.peer), workspace: self.door.workspace.clone() };
            let notices = notices::begin(&self.door, caller, &self.config.tuning);
            let (asks, asked) = Asks::new();
            self.asks = Some(asks);
            let visit = Visit {
                asked,
                by_agent: self.by_agent.then(|| user.clone()),
                chosen: None,
                notices,
                user: user.id,
                user_name: user.name,
                key: fingerprint,
                workspace: selector.workspace.unwrap_or_else(|| self.door.workspace.clone()),
                host: selector.host,
                credential: selector.credential,
                login: self.login.take(),
                client: self.peer,
                calling,
                arrivals,
                handle,
            };
            #[allow(clippy::disallowed_methods)] // `open` sees the panics of the session
            tokio::spawn(open(self.door.rooms.clone(), visit));
        }
        Ok(())
    }

    async fn channel_open_session(&mut self, channel: Channel<Msg>, reply: ChannelOpenHandle, _: &mut Session) -> Result<(), Self::Error> {
        match self.seats.take(channel.id().into()) {
            Some(seat) => self.arrive(Arrival::Channel { channel, reply, seat }),
            None => {
                let most = self.config.tuning.channels;
                reply.reject(refusal(4, format!("keyward: at most {most} channels on one connection"))).await;
            }
        }
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        originator: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let to = Destination::Address { host: host.to_owned(), port, originator: originator.to_owned(), originator_port };
        self.forward(channel, to, reply).await;
        Ok(())
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.forward(channel, Destination::Socket { path: path.to_owned() }, reply).await;
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.seats.closed(channel.into());
        Ok(())
    }

    async fn channel_request(&mut self, _: ChannelId, _: &str, _: bool, _: &[u8], _: &mut Session) -> Result<bool, Self::Error> {
        // Whoever serves the channel decides about it by name, and answers.
        Ok(true)
    }

    async fn agent_request(&mut self, _: ChannelId, _: &mut Session) -> Result<bool, Self::Error> {
        // Verbs may ask the agent to open what its owner sealed; hosts never get at it.
        let known = self.sign_in.lock().ok().and_then(|s| s.known.clone());
        Ok(known.zip(self.selector.as_ref()).is_some_and(|(known, selector)| selector.is_console(known.name())))
    }

    fn consumer_answers_agent_request(&mut self, _: ChannelId) -> bool {
        // On the way to a host it is decided like the request for a shell.
        self.asks.is_some()
    }

    async fn global_request_later(
        &mut self,
        name: &str,
        data: &[u8],
        reply: server::GlobalReplyHandle,
        session: &mut Session,
    ) -> Result<Option<server::GlobalReplyHandle>, Self::Error> {
        if name == own_keys::PROVE {
            self.prove(data, reply, session);
            return Ok(None);
        }
        match &self.asks {
            Some(asks) if look_up(Word::Global, name).relayed_from_client() => {
                asks.ask(name, data, reply);
                Ok(None)
            }
            // At the console there is no host that could listen.
            _ => Ok(Some(reply)),
        }
    }

    async fn global_request(&mut self, name: &str, _: &[u8], _: &mut Session) -> Result<bool, Self::Error> {
        // What a client promises with `no-more-sessions@openssh.com` is held against it by nobody here.
        let row = wire::look_up(Word::Global, name);
        Ok(row.decision == Decision::Answer && row.from != Sender::Host)
    }
}

/// How many answers a person may give before the connection is refused.
const ANSWERS: usize = 3;

/// What a person is asked who has to open what they sealed.
fn question() -> Auth {
    let prompt = (Cow::Borrowed("Passphrase for your sealed credentials: "), false);
    Auth::Partial { name: Cow::Borrowed(""), instructions: Cow::Borrowed(""), prompts: Cow::Owned(vec![prompt]) }
}

fn only(method: MethodKind) -> MethodSet {
    MethodSet::from(&[method][..])
}

/// A refusal with a reason code of RFC 4254 §5.1 and words that clients print.
fn refusal(code: u32, reason: String) -> ChannelOpenFailure {
    ChannelOpenFailure::Other { code, reason }
}
