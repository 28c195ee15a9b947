//! Journey 1: a person connects. One function that reads aloud; what can go wrong on the way is told and recorded here.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use russh::{Disconnect, server};
use tokio::sync::{mpsc, watch};

use super::arrears::Arrears;
use super::chosen::Chosen;
use super::forward::{one_line, prohibited};
use super::gate::{Barred, Gates};
use super::hall::{Arrival, Hall};
use super::hops::{Stage, journey};
use super::learn;
use super::live::{self, Ended};
use super::registry::{Entrance, Registry};
use super::remote::Request;
use super::unlock::Comer;
use crate::audit::Log;
use crate::authz::{Guard, Reach};
use crate::clock::Clock;
use crate::custody::{self, Asked, Custody, LeaseEnd, SessionEnd, StandsOn, Warrant};
use crate::fault::{Calling, Fault, Kind};
use crate::model::{Credential, EndReason, Event, EventName, Host, HostId, HostKey, Name, SessionId, User, UserId};
use crate::relay::{self, Notices};
use crate::ssh_agent;
use crate::target::{self, Connection, Error as TargetError, Prompt};

/// What is said to a client that knows why.
const GOODBYE: &str = "the session has ended";

/// How long a client that must be told something has to open a channel to be told on.
const TELLING: Duration = Duration::from_secs(5);

/// How long a client whose session was ended has to read why and leave by itself.
const FAREWELL: Duration = Duration::from_secs(2);

/// The rooms that a session needs.
#[derive(Clone, Debug)]
pub struct Rooms {
    /// The way to a lease.
    pub custody: Custody,
    /// The witness.
    pub log: Log,
    /// The living sessions.
    pub registry: Registry,
    /// Rings when what is in force changes.
    pub guard: Guard,
    /// The time.
    pub clock: Clock,
    /// Limits of the host side.
    pub target: target::Config,
    /// Ends that could not be recorded yet.
    pub arrears: Arrears,
}

/// A person who signed in and wants to a host.
pub struct Visit {
    /// Who.
    pub user: UserId,
    /// Their name.
    pub user_name: Name,
    /// The fingerprint of the key that signed them in.
    pub key: String,
    /// The workspace.
    pub workspace: Name,
    /// The host.
    pub host: Name,
    /// The credential, if one was named.
    pub credential: Option<Name>,
    /// What the client named as the account on the host, if it came by a jump.
    pub login: Option<String>,
    /// From where.
    pub client: SocketAddr,
    /// How the client calls the broker, for what is to be done.
    pub calling: Calling,
    /// What comes from the client.
    pub arrivals: mpsc::Receiver<Arrival>,
    /// To say goodbye to the client.
    pub handle: server::Handle,
    /// What the client asks for that belongs to no channel.
    pub asked: mpsc::Receiver<Request>,
    /// How the person is told what waits for them while they sit at a shell.
    pub notices: Option<Notices>,
    /// The person, where their agent is to open what they sealed before anything else.
    pub by_agent: Option<User>,
    /// The channel on which they chose the host, and who they are: then the session is this channel's alone, and the client's
    /// connection outlives it.
    pub chosen: Option<(Chosen, User)>,
}

/// What was reached so far, so that an end at any moment is recorded as what it is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) permitted: Option<(User, Host, Credential)>,
    /// Whose lease is open: of the host, or of a jump host on the way.
    pub(super) lease: Option<(User, Host, Credential)>,
    /// How long it took to connect, once the host has proven its key; and when it had.
    pub(super) proven: Option<(Duration, Instant)>,
}

pub(super) type Shared = Arc<Mutex<Progress>>;

/// A connection that is ready to be relayed.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) user: User,
    pub(super) host: Host,
    pub(super) credential: Credential,
    pub(super) reach: Reach,
    /// The jump hosts that the connection passes.
    pub(super) hops: Vec<HostId>,
}

/// Why it did not come to that.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    #[error(transparent)]
    Custody(#[from] custody::Error),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("the client left before it began")]
    Left(EndReason),
    #[error("{}", live::words(*.0))]
    Told(EndReason),
    #[error("its credential was refused by two hosts of this scan: it is not tried again, so that no account is locked")]
    Barred,
    /// A person's agent did not open their sealed scope.
    #[error(transparent)]
    Agent(ssh_agent::Error),
    #[error("its turn to sign in came too late")]
    TooLate,
    #[error("they did not want to wait any longer")]
    GaveUp,
    #[error("your sealed credentials were not opened")]
    NotOpened,
    /// A one-time code was wanted, and none that is right was given.
    #[error("{0}")]
    NoCode(&'static str),
    /// It ended at a jump host on the way.
    #[error("via {hop}: {halt}")]
    Hop { hop: Name, halt: Box<Halt> },
}

impl Halt {
    pub(super) fn end_reason(&self) -> EndReason {
        match self {
            Self::Custody(_) | Self::Agent(_) | Self::NotOpened | Self::NoCode(_) => EndReason::Broker,
            Self::GaveUp => EndReason::ClientClosed,
            Self::Target(e) => e.end_reason(),
            Self::Left(why) | Self::Told(why) => *why,
            Self::Barred => EndReason::Refused,
            Self::TooLate => EndReason::Limit,
            Self::Hop { halt, .. } => halt.end_reason(),
        }
    }

    /// What kind of failure it is.
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Custody(e) => e.kind(),
            Self::Target(e) => e.kind(),
            Self::Agent(e) => e.kind(),
            Self::Left(_) | Self::Told(_) | Self::GaveUp | Self::Barred => Kind::Refused,
            Self::TooLate => Kind::TimedOut,
            Self::NotOpened | Self::NoCode(_) => Kind::Forbidden,
            Self::Hop { halt, .. } => halt.kind(),
        }
    }

    /// The sentence and, on a line of its own, the hint for the person.
    pub(super) fn sentence(&self, host: &Name, session: SessionId, calling: &Calling) -> String {
        let (text, hint) = self.told(host, session);
        match hint {
            Some(hint) => format!("{text}\nhint: {}", calling.pastable(&hint)),
            None => text,
        }
    }

    /// The sentence and the hint for the person.
    pub(super) fn told(&self, host: &Name, session: SessionId) -> (String, Option<String>) {
        let operator = || Some(format!("tell whoever runs this broker; its log knows more under {session}"));
        match self {
            // What is wrong with the broker itself is its operator's to read: the person gets no paths and no figures.
            Self::Custody(e) if matches!(e.kind(), Kind::Tampered) => {
                ("the broker's database does not verify, so nothing is decrypted".to_owned(), operator())
            }
            Self::Custody(custody::Error::Audit(_) | custody::Error::Store(_)) => {
                ("the broker cannot record anything now (is its disk full?), so nothing is decrypted".to_owned(), operator())
            }
            Self::Custody(e) if matches!(e.kind(), Kind::Unavailable | Kind::Bug) => {
                ("the broker's vault does not answer".to_owned(), operator())
            }
            Self::Custody(e) => (e.to_string(), e.hint()),
            Self::Agent(e) => (e.to_string(), e.hint()),
            Self::Target(e) => (format!("{host}: {e}"), e.hint_for(host)),
            Self::Hop { hop, halt } => {
                let (text, hint) = halt.told(hop, session);
                (format!("{host} via {hop}: {text}"), hint)
            }
            Self::Left(_) | Self::Told(_) | Self::Barred | Self::TooLate | Self::GaveUp | Self::NoCode(_) => (self.to_string(), None),
            Self::NotOpened => (self.to_string(), Some("open them: keyward unlock".to_owned())),
        }
    }
}

/// Opens a session and lives it to its end. A panic on the way ends this session alone, and is recorded as its end.
pub async fn open(rooms: Rooms, visit: Visit) {
    let id: SessionId = rooms.clock.fresh();
    let progress = Shared::default();
    let handle = visit.handle.clone();
    #[allow(clippy::disallowed_methods)] // awaited here, so that a panic is seen
    let lived = tokio::spawn(visit_of(rooms.clone(), visit, id, Arc::clone(&progress))).await;
    if let Err(failed) = lived {
        tracing::error!(target: "keyward::sessions", session = %id, error = %failed, "a session failed");
        let why = "a defect of the broker ended it";
        close_lease(&rooms, id, &progress, why).await;
        record_end(&rooms, id, &progress, EventName::SessionEnded, Ended::early(EndReason::Broker), why).await;
        let _ = handle.disconnect(Disconnect::ByApplication, why.to_owned(), "en".to_owned()).await;
    }
}

async fn visit_of(rooms: Rooms, visit: Visit, id: SessionId, progress: Shared) {
    let Visit {
        user,
        user_name,
        key,
        workspace,
        host,
        credential,
        client,
        calling,
        arrivals,
        handle,
        asked: asks,
        notices,
        by_agent,
        chosen,
        login,
    } = visit;
    let asked = Asked { user, key: Some(key.clone()), needs: None, workspace, host: host.clone(), credential, session: id, client };
    let mut hall = Hall::new(arrivals);
    let (mut way_back, person) = chosen.map(|(chosen, person)| (hall.seats(chosen), person)).unzip();
    // Listened to before the decision: what is withdrawn while the host is dialled counts as soon as it lives.
    let mut bell = rooms.guard.listen();
    let began = rooms.clock.now();
    // Not raced with the client's leaving: a permit that is being witnessed gets its end recorded, too.
    let vouched = match (&by_agent, person) {
        (Some(person), _) => super::unlock::by_agent(&rooms, &mut hall, &handle, person, client).await.map(|()| key),
        (None, Some(user)) => super::chosen::opens(&rooms, &mut hall, &handle, Comer::of(user, &asked)).await,
        (None, None) => Ok(key),
    };
    let warranted = match vouched {
        Ok(key) => {
            let asked = Asked { key: Some(key.clone()), ..asked };
            let warrant = super::jump::warrant(&rooms, &user_name, asked, login.as_deref()).await;
            warrant.map(|warrant| (warrant, key)).map_err(Halt::from)
        }
        Err(halt) => Err(halt),
    };
    let (warrant, key) = match warranted {
        Ok(warranted) => warranted,
        Err(halt) => {
            tracing::info!(target: "keyward::sessions", session = %id, user = %user_name, host = %host, "not connected: {halt}");
            if let Some(way_back) = way_back {
                return way_back.give(hall, &halt, (&host, id, &calling));
            }
            let (goodbye, unanswered) = tell(&mut hall, asks, &halt.sentence(&host, id, &calling)).await;
            let _ = handle.disconnect(Disconnect::ByApplication, goodbye, "en".to_owned()).await;
            return refuse_after(unanswered, &mut hall).await;
        }
    };
    note(&progress, |p| p.permitted = Some((warrant.user.clone(), warrant.host.clone(), warrant.credential.clone())));
    let entrance = Entrance {
        id,
        user,
        host: warrant.host.id,
        host_name: warrant.host.name.clone(),
        credential: warrant.credential.id,
        login: warrant.credential.username.clone(),
        client: client.to_string(),
        started_at: rooms.clock.now(),
    };
    let mut place = rooms.registry.enter(entrance);
    let (prompts, mut questions) = mpsc::channel(1);
    let outcome = tokio::select! {
        // Boxed: what it needs on the way is free again while the session lives.
        outcome = Box::pin(journey(&rooms, warrant, prompts, &progress, None)) => outcome,
        // The journey is dropped where it stands, and with it whatever it held.
        stopped = hall.keep(&mut questions) => Err(stopped),
        why = place.told_to_end() => Err(Halt::Told(why)),
    };
    let stands_on = |o: &Opened| StandsOn { session: id, user, key: Some(key), host: o.host.id, hops: o.hops.clone(), client, began };
    let outcome = match outcome {
        Ok(opened) => {
            let stands_on = stands_on(&opened);
            still_granted(&rooms, stands_on.clone(), &mut bell, opened).await.map(|opened| (stands_on, opened))
        }
        Err(halt) => Err(halt),
    };
    let (mut goodbye, mut unanswered) = (GOODBYE.to_owned(), None);
    match outcome {
        Ok((stands_on, opened)) => {
            let ended = live::live(&rooms, id, stands_on, opened, notices, (handle.clone(), asks), &mut hall, &mut place, bell).await;
            let (text, reason, came_out) = (ended.text.clone(), ended.reason, ended.came_out);
            record_end(&rooms, id, &progress, EventName::SessionEnded, ended, &text).await;
            if let Some(way_back) = way_back.take() {
                // Only now: whoever waits for the session's end finds it recorded.
                drop(place);
                if !came_out {
                    way_back.ends(&handle).await;
                }
                return;
            }
            if !matches!(reason, EndReason::ClientClosed | EndReason::ClientLost) {
                // Its channels were told why. A goodbye at once would overtake what the client has yet to print.
                gone(&mut hall, FAREWELL).await;
                goodbye = format!("keyward: {text}");
            }
        }
        Err(halt) => {
            tracing::info!(target: "keyward::sessions", session = %id, user = %user_name, host = %host, "not connected: {halt}");
            close_lease(&rooms, id, &progress, &halt.to_string()).await;
            record_end(&rooms, id, &progress, EventName::SessionRefused, Ended::early(halt.end_reason()), &halt.to_string()).await;
            if let Some(way_back) = way_back.take() {
                drop(place);
                return way_back.give(hall, &halt, (&host, id, &calling));
            }
            if !matches!(halt, Halt::Left(_)) {
                (goodbye, unanswered) = tell(&mut hall, asks, &halt.sentence(&host, id, &calling)).await;
            }
        }
    }
    // Only now: whoever waits for the session's end finds it recorded.
    drop(place);
    let _ = handle.disconnect(Disconnect::ByApplication, goodbye, "en".to_owned()).await;
    refuse_after(unanswered, &mut hall).await;
}

/// Refuses requests once the client has its goodbye: one that hears first that a port is refused may leave without the reason.
async fn refuse_after(unanswered: Option<mpsc::Receiver<Request>>, hall: &mut Hall) {
    if let Some(unanswered) = unanswered {
        gone(hall, FAREWELL).await;
        drop(unanswered);
    }
}

/// What was withdrawn or narrowed while the host was dialled counts before anything is started there.
pub(super) async fn still_granted(
    rooms: &Rooms,
    stands_on: StandsOn,
    bell: &mut watch::Receiver<u64>,
    mut opened: Opened,
) -> Result<Opened, Halt> {
    if !bell.has_changed().unwrap_or(false) {
        return Ok(opened);
    }
    bell.mark_unchanged();
    match rooms.custody.still(stands_on).await {
        Ok(Some(reach)) => {
            opened.reach = reach;
            Ok(opened)
        }
        Ok(None) => {
            opened.connection.close().await;
            Err(Halt::Told(EndReason::Withdrawn))
        }
        Err(e) => {
            opened.connection.close().await;
            Err(e.into())
        }
    }
}

/// One leg of a journey: to the host, or to a jump host on the way.
pub(super) async fn leg(
    rooms: &Rooms,
    warrant: Warrant,
    prompts: &mpsc::Sender<Prompt>,
    progress: &Shared,
    gates: Option<&Gates>,
    stage: Stage,
) -> Result<Opened, Halt> {
    let Warrant { permit, user, host, credential, way, .. } = warrant;
    let Stage { jump, to, passed } = stage;
    let session = permit.get().session();
    let reach = permit.get().reach().clone();

    // Nobody is called who would not be signed in to: some hosts count such calls.
    if gates.is_some_and(|gates| gates.is_barred(credential.id)) {
        return Err(Halt::Barred);
    }

    // A dead or wrong host never costs a decryption.
    let now = u64::try_from(rooms.clock.now().millis() / 1000).unwrap_or(0);
    let dialed = match target::dial(&rooms.target, &host, jump, now).await {
        Ok(dialed) => dialed,
        Err(e) => {
            if let TargetError::KeyChanged { presented, .. }
            | TargetError::NotPinned { presented }
            | TargetError::Uncertified { presented, .. } = &e
            {
                let event =
                    Event::new(EventName::HostKeyMismatch, user.name.to_string()).host(&host).session(session).denied(e.to_string());
                rooms.log.record(event.with("presented", &presented.key)).await.map_err(custody::Error::from)?;
            }
            return Err(e.into());
        }
    };
    if to.is_none() {
        note(progress, |p| p.proven = Some((passed + dialed.connect_took(), Instant::now())));
    }
    // A key that is trusted from this moment on vouches for no other yet.
    let was_pinned = !host.host_keys.is_empty();
    let host = if host.host_keys.is_empty() { pin(rooms, &user, &host, &dialed, session).await? } else { host };

    let turn = match gates {
        Some(gates) => Some(gates.enter(credential.id).await.map_err(|Barred| Halt::Barred)?),
        None => None,
    };
    if turn.is_some() && !permit.get().is_fresh(rooms.clock.now()) {
        return Err(Halt::TooLate);
    }

    // Noted before it is asked for: if this is dropped on the way, its end is still recorded.
    note(progress, |p| p.lease = Some((user.clone(), host.clone(), credential.clone())));
    let lease = match rooms.custody.lease(permit, &user, &host, (&credential, way), &dialed.key().fingerprint, dialed.source()).await {
        Ok(lease) => lease,
        Err(e) => {
            note(progress, |p| p.lease = None);
            return Err(e.into());
        }
    };
    let peer = dialed.peer();
    let signed_in = dialed.login(lease, prompts).await;

    // The lease is spent, whatever came of it: this is recorded before anything is relayed.
    note(progress, |p| p.lease = None);
    match (&signed_in, turn) {
        (Ok(_), Some(turn)) => turn.taken(),
        (Err(TargetError::Refused { .. } | TargetError::NoMethod { .. } | TargetError::PromptUnanswered(_)), Some(turn)) => turn.refused(),
        _ => {}
    }
    let end = match &signed_in {
        Ok(_) => LeaseEnd::SignedIn,
        Err(e @ (TargetError::Refused { .. } | TargetError::NoMethod { .. })) => LeaseEnd::Refused(e.to_string()),
        Err(e) => LeaseEnd::Failed(e.to_string()),
    };
    rooms.custody.returned(session, &user, &host, &credential, end).await?;
    let mut connection = signed_in?;
    let name = if to.is_some() { EventName::HopSignedIn } else { EventName::SessionSignedIn };
    let event = Event::new(name, user.name.to_string()).host(&host).credential(&credential).session(session);
    let event = event.with("method", connection.method()).with("host_key", &connection.key().key);
    let event = event.with("algorithms", connection.algorithms());
    let event = match (peer, connection.through()) {
        (Some(peer), _) => event.with("peer", peer),
        (None, Some(jump)) => event.with("via", jump),
        (None, None) => event,
    };
    let event = if let Some(to) = &to { event.with("to", to) } else { event };
    let certified = connection.key().fingerprint != connection.key().key;
    let event = if certified { event.with("host_ca", &connection.key().fingerprint) } else { event };
    rooms.log.record(event).await.map_err(custody::Error::from)?;
    if was_pinned && !certified && rooms.target.learn_host_keys {
        learn::learn(rooms, session, &user, &host, &mut connection);
    }
    Ok(Opened { connection, user, host, credential, reach, hops: Vec::new() })
}

/// First contact with a host whose owner allowed to trust it: the key is pinned before a credential is near.
async fn pin(rooms: &Rooms, user: &User, host: &Host, dialed: &target::Dialed, session: SessionId) -> Result<Host, Halt> {
    let proven = dialed.key();
    let key = HostKey {
        public_key: proven.public_key.clone(),
        fingerprint: proven.fingerprint.clone(),
        source: "first-use".to_owned(),
        pinned_at: rooms.clock.now(),
    };
    let event = Event::new(EventName::HostKeyPinned, user.name.to_string())
        .host(host)
        .session(session)
        .because("trusted on first use")
        .with("fingerprint", &key.fingerprint);
    Ok(rooms.custody.pin_first_use(host, key, event).await?)
}

pub(super) fn note(progress: &Shared, change: impl FnOnce(&mut Progress)) {
    if let Ok(mut progress) = progress.lock() {
        change(&mut progress);
    }
}

pub(super) async fn close_lease(rooms: &Rooms, session: SessionId, progress: &Shared, why: &str) {
    let open = progress.lock().ok().and_then(|p| p.lease.clone());
    if let Some((user, host, credential)) = open
        && let Err(error) = rooms.custody.returned(session, &user, &host, &credential, LeaseEnd::Failed(why.to_owned())).await
    {
        tracing::error!(target: "keyward::sessions", %session, %error, "the end of a lease was not recorded");
    }
}

/// Records the end of a session that was permitted; one that was not has no beginning to end.
pub(super) async fn record_end(rooms: &Rooms, session: SessionId, progress: &Shared, name: EventName, ended: Ended, text: &str) {
    let Some((user, host, credential)) = progress.lock().ok().and_then(|p| p.permitted.clone()) else { return };
    let mut event = Event::new(name, user.name.to_string())
        .host(&host)
        .credential(&credential)
        .session(session)
        .because(text)
        .with("end_reason", ended.reason)
        .count("bytes_in", ended.bytes_in)
        .count("bytes_out", ended.bytes_out)
        .count("channels", ended.channels);
    if let Some(status) = ended.exit_status {
        event = event.count("exit_status", u64::from(status));
    }
    if name == EventName::SessionRefused {
        event.outcome = crate::model::Outcome::Failure;
    }
    let end = SessionEnd {
        at: rooms.clock.now(),
        reason: ended.reason,
        exit_status: ended.exit_status,
        bytes_in: ended.bytes_in,
        bytes_out: ended.bytes_out,
    };
    if let Err(error) = rooms.custody.ended(session, event.clone(), end).await {
        tracing::error!(target: "keyward::sessions", %session, %error, "the end of a session was not recorded");
        rooms.arrears.owe(rooms.custody.clone(), session, event, end);
    }
}

/// Tells the person on every channel that waits, or on the first that comes. What is left to say with the goodbye: the sentence, if
/// no session channel came (`ssh -N`). Of such a client the requests are given back, to be dropped after the goodbye: one that hears
/// that a port is refused may leave at once, and would never learn why.
async fn tell(hall: &mut Hall, asks: mpsc::Receiver<Request>, sentence: &str) -> (String, Option<mpsc::Receiver<Request>>) {
    let goodbye = || format!("keyward: {}", one_line(sentence));
    if hall.waiting.is_empty() {
        match tokio::time::timeout(TELLING, hall.next()).await {
            Ok(Ok(first)) => hall.waiting.push(first),
            Ok(Err(_)) | Err(_) => return (goodbye(), Some(asks)),
        }
    }
    let forwards_alone = hall.waiting.iter().all(|waiting| waiting.forward.is_some());
    let asks = forwards_alone.then_some(asks);
    for waiting in hall.waiting.drain(..) {
        if let Some(reply) = waiting.reply {
            if waiting.forward.is_some() {
                reply.reject(prohibited(sentence)).await;
                continue;
            }
            reply.accept().await;
        }
        relay::say(waiting.channel, waiting.held, sentence, waiting.seat.closed()).await;
    }
    // The client reads the sentence and leaves; if it does not, it is shown the door.
    gone(hall, TELLING).await;
    (if forwards_alone { goodbye() } else { GOODBYE.to_owned() }, asks)
}

/// Waits until the client has gone, at most for `limit`.
async fn gone(hall: &mut Hall, limit: Duration) {
    let _ = tokio::time::timeout(limit, async { while hall.next().await.is_ok() {} }).await;
}
