//! A session that lives: channels come and go on one connection, until somebody or something ends it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use russh::{ChannelOpenFailure, server};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use super::exec::{self, Opening};
use super::forward::{self, Ledger};
use super::hall::{Hall, Waiting};
use super::open::{Opened, Rooms};
use super::registry::Place;
use super::remote::{Comes, Remote, Request};
use super::run::{self, Run};
use crate::authz::Reach;
use crate::clock::Time;
use crate::custody::{self, StandsOn};
use crate::fault::{Fault, Kind};
use crate::model::{Action, Destination, EndReason, Event, EventName, SessionId};
use crate::relay::{self, Counters, End, HostChannel, Notices, Outcome, Pipe, Pump, Ways, Witness};
use crate::target::Connection;

/// How often an idle connection to the host is looked after.
const LOOK: Duration = Duration::from_secs(3);
/// How long channels have to tell the person why the session ends.
const FAREWELL: Duration = Duration::from_secs(3);

/// How long a host may take to open the one channel of a session.
const OPENING: Duration = Duration::from_secs(20);

/// How a session ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    pub(super) reason: EndReason,
    pub(super) text: String,
    pub(super) exit_status: Option<u32>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) channels: u64,
    /// Whether a session channel came to an end of its own, and not because what served it was stopped or failed.
    pub(super) came_out: bool,
}

impl Ended {
    /// One that never began.
    pub(super) fn early(reason: EndReason) -> Self {
        Self { reason, text: String::new(), exit_status: None, bytes_in: 0, bytes_out: 0, channels: 0, came_out: false }
    }
}

/// Lives a session to its end.
#[allow(clippy::too_many_arguments)] // each from another owner
pub(super) async fn live(
    rooms: &Rooms,
    id: SessionId,
    stands_on: StandsOn,
    opened: Opened,
    notices: Option<Notices>,
    (client, asked): (server::Handle, mpsc::Receiver<Request>),
    hall: &mut Hall,
    place: &mut Place,
    mut bell: watch::Receiver<u64>,
) -> Ended {
    let Opened { mut connection, user, host, credential, reach, .. } = opened;
    let comes = Comes { asked, opens: connection.take_opens() };
    let base = Event::new(EventName::ChannelOpened, user.name.to_string()).host(&host).credential(&credential).session(id);
    let mut session = Session {
        rooms,
        ledger: Arc::new(Ledger::new(rooms.log.clone(), base.clone())),
        base,
        connection: Arc::new(connection),
        reach: watch::channel(reach).0,
        ending: watch::channel(None).0,
        parting: watch::channel(None).0,
        closing: TaskTracker::new(),
        counters: Arc::clone(&place.counters),
        channels: JoinSet::new(),
        exit_status: None,
        came_out: false,
        alone: hall.alone,
        notices,
        scribes: TaskTracker::new(),
        ways: Arc::default(),
    };
    session.looks_back(client, comes);
    let (mut runs, mut openings) = place.stands(session.reach.subscribe(), session.connection.key().fingerprint.clone());
    for waiting in std::mem::take(&mut hall.waiting) {
        session.start(waiting);
    }
    let (reason, text) = loop {
        let deadline = session.reach.borrow().recheck_at;
        tokio::select! {
            arrived = hall.next() => match arrived {
                Ok(waiting) => session.start(waiting),
                Err(EndReason::ClientClosed) => break (EndReason::ClientClosed, "the client closed the connection".to_owned()),
                Err(why) => break (why, "the client's connection broke off".to_owned()),
            },
            Some(done) = session.channels.join_next() => {
                let was_channel = matches!(&done, Ok(Some(_)));
                if let Some(end) = session.note(done) {
                    break end;
                }
                if hall.alone && was_channel {
                    break (EndReason::ClientClosed, "its one channel ended".to_owned());
                }
            },
            Some(run) = runs.recv() => session.run(run),
            Some(opening) = openings.recv() => session.open(opening),
            why = place.told_to_end() => break (why, words(why).to_owned()),
            Ok(()) = bell.changed() => match rooms.custody.still(stands_on.clone()).await {
                Ok(Some(reach)) => { session.reach.send_replace(reach); }
                Ok(None) => break (EndReason::Withdrawn, words(EndReason::Withdrawn).to_owned()),
                Err(e) => break unchecked(&e),
            },
            () = until(rooms, deadline) => match rooms.custody.still(stands_on.clone()).await {
                Ok(Some(reach)) => { session.reach.send_replace(reach); }
                Ok(None) => break (EndReason::Limit, "the time that is granted for it is over".to_owned()),
                Err(e) => break unchecked(&e),
            },
            () = tokio::time::sleep(LOOK) => if session.connection.is_closed() {
                break (EndReason::HostLost, String::new());
            },
        }
    };
    let text = if reason == EndReason::HostLost { session.connection.lost().await } else { text };
    // Before the farewell: whoever waits for this connection learns at once that it is gone.
    place.falls();
    run::turn_away(runs).await;
    openings.close();
    session.end(&reason, &text).await;
    let counted = |c: &std::sync::atomic::AtomicU64| c.load(Ordering::Relaxed);
    let channels = u64::try_from(session.counters.channels_opened.load(Ordering::Relaxed)).unwrap_or(0);
    Ended {
        reason,
        text,
        exit_status: session.exit_status,
        bytes_in: counted(&session.counters.bytes_in),
        bytes_out: counted(&session.counters.bytes_out),
        channels,
        came_out: session.came_out,
    }
}

struct Session<'a> {
    rooms: &'a Rooms,
    base: Event,
    ledger: Arc<Ledger>,
    connection: Arc<Connection>,
    reach: watch::Sender<Reach>,
    ending: watch::Sender<Option<String>>,
    /// Becomes a sentence when the session ends, also if there is nobody left to be told: what has to close does.
    parting: watch::Sender<Option<String>>,
    /// What has something to do at its end, whoever left: what is forwarded is recorded, what runs for an agent is told.
    closing: TaskTracker,
    counters: Arc<Counters>,
    channels: JoinSet<Option<Outcome>>,
    exit_status: Option<u32>,
    came_out: bool,
    /// Whether it is the session of one channel, whose client's connection outlives it.
    alone: bool,
    notices: Option<Notices>,
    scribes: TaskTracker,
    ways: Arc<Ways>,
}

impl Session<'_> {
    /// Opens the same channel on the host and pumps between the two, in a task of its own.
    fn start(&mut self, mut waiting: Waiting) {
        if let Some(to) = waiting.forward.take() {
            return self.forward(waiting, to);
        }
        let connection = Arc::clone(&self.connection);
        let pump = Pump {
            reach: self.reach.subscribe(),
            counters: Arc::clone(&self.counters),
            witness: Witness::new(self.rooms.log.clone(), self.base.clone()),
            client_closed: waiting.seat.closed().clone(),
            ending: self.ending.subscribe(),
            ways: Arc::clone(&self.ways),
            notices: self.notices.clone(),
            scribes: self.scribes.clone(),
            alone: self.alone,
        };
        let counted = Counted::one(&self.counters);
        self.channels.spawn(async move {
            let _counted = counted;
            let Waiting { channel, reply, held, seat, .. } = waiting;
            let opened = tokio::select! {
                opened = opens(&connection, &pump, reply.is_none()) => opened,
                // It was accepted to ask something, or chosen on: its client can leave it before the host opens one.
                () = seat.closed().cancelled(), if reply.is_none() => {
                    let _ = channel.close().await;
                    return Some(Outcome { end: End::ByClient, exit_status: None });
                }
            };
            match (opened, reply) {
                (Ok(host), reply) => {
                    if let Some(reply) = reply {
                        reply.accept().await;
                    }
                    Some(relay::pump(channel, held, host, pump, connection.lost()).await)
                }
                (Err((reason, _)), Some(reply)) => {
                    reply.reject(reason).await;
                    None
                }
                (Err((_, why)), None) => {
                    relay::say(channel, held, &why, seat.closed()).await;
                    Some(Outcome { end: End::Refused(why), exit_status: None })
                }
            }
        });
    }

    /// Opens what the person's client asks for through the host, and pumps it, in a task of its own.
    fn forward(&mut self, waiting: Waiting, to: Destination) {
        let pipe = Pipe {
            reach: self.reach.subscribe(),
            needs: Action::ForwardLocal,
            counters: Arc::clone(&self.counters),
            client_closed: waiting.seat.closed().clone(),
            ending: self.parting.subscribe(),
        };
        let (connection, ledger, counted) = (Arc::clone(&self.connection), Arc::clone(&self.ledger), Counted::one(&self.counters));
        self.channels.spawn(self.closing.track_future(forward::forward(connection, waiting, to, ledger, pipe, counted)));
    }

    /// Looks after what the host may open at the person's client, in a task of its own.
    fn looks_back(&mut self, client: server::Handle, comes: Comes) {
        let remote = Remote {
            client,
            connection: Arc::clone(&self.connection),
            log: self.rooms.log.clone(),
            base: self.base.clone(),
            reach: self.reach.subscribe(),
            ending: self.parting.subscribe(),
            counters: Arc::clone(&self.counters),
            ways: Arc::clone(&self.ways),
        };
        self.channels.spawn(self.closing.track_future(remote.serve(comes)));
    }

    /// Runs an approved command on a channel of its own beside the person's.
    fn run(&mut self, run: Run) {
        let connection = Arc::clone(&self.connection);
        let counted = Counted::one(&self.counters);
        let (reach, counters, ending) = (self.reach.subscribe(), Arc::clone(&self.counters), self.parting.subscribe());
        self.channels.spawn(self.closing.track_future(async move {
            let _counted = counted;
            run::run(&connection, run, reach, &counters, ending).await;
            None
        }));
    }

    /// Opens a channel of a scan, beside the person's.
    fn open(&mut self, opening: Opening) {
        let connection = Arc::clone(&self.connection);
        let counted = Counted::one(&self.counters);
        let reach = self.reach.subscribe();
        self.channels.spawn(async move {
            exec::open_on(&connection, opening, &reach, counted).await;
            None
        });
    }

    /// Notes how a channel ended; `Some` if the session ends with it.
    fn note(&mut self, done: Result<Option<Outcome>, tokio::task::JoinError>) -> Option<(EndReason, String)> {
        match done {
            Ok(Some(outcome)) => {
                // A way beside it that could not be witnessed ends the session, and says nothing of a chosen channel. That one has its
                // own end yet to come; a second end is not sent.
                self.came_out |= !matches!(outcome.end, End::Unwitnessed(_));
                self.exit_status = outcome.exit_status.or(self.exit_status);
                match outcome.end {
                    End::HostLost => Some((EndReason::HostLost, String::new())),
                    End::Unwitnessed(why) => Some((EndReason::Broker, format!("the audit log cannot be written: {why}"))),
                    End::Refused(_) => {
                        self.exit_status = Some(255);
                        None
                    }
                    End::Closed | End::ByClient | End::Told(_) => None,
                }
            }
            Ok(None) => None,
            Err(e) => {
                tracing::error!(target: "keyward::sessions", error = %e, "a channel's task failed");
                Some((EndReason::Broker, "a defect of the broker ended a channel".to_owned()))
            }
        }
    }

    /// Ends every channel, tells the person why where somebody is left to be told, and says goodbye to the host.
    async fn end(&mut self, reason: &EndReason, text: &str) {
        self.parting.send_replace(Some(text.to_owned()));
        if !matches!(reason, EndReason::ClientClosed | EndReason::ClientLost) {
            self.ending.send_replace(Some(text.to_owned()));
            let _ = tokio::time::timeout(FAREWELL, async {
                while let Some(done) = self.channels.join_next().await {
                    let _ = self.note(done);
                }
            })
            .await;
        }
        // A client that left first takes them along; what became of each stands in the log before the end of the session does.
        self.closing.close();
        let _ = tokio::time::timeout(FAREWELL, self.closing.wait()).await;
        // Outcomes that came in with the client's goodbye.
        while let Some(done) = self.channels.try_join_next() {
            let _ = self.note(done);
        }
        self.channels.shutdown().await;
        // What was seen of transfers stands in the log before the end of their session does.
        self.scribes.close();
        let _ = tokio::time::timeout(FAREWELL, self.scribes.wait()).await;
        self.connection.close().await;
    }
}

/// Opens a session channel on the host; `Err`: the host's reason, and a sentence. `told`: the client was told that it has the channel,
/// so that it is told as well when the session ends first. One that is `alone` waits for a limited time: nobody else hears its person.
async fn opens(connection: &Connection, pump: &Pump, told: bool) -> Result<HostChannel, (ChannelOpenFailure, String)> {
    let failed = |why: &str| Err((ChannelOpenFailure::ConnectFailed, why.to_owned()));
    let mut ending = pump.ending.clone();
    tokio::select! {
        opened = connection.open_session() => opened.map_err(|reason| (reason, "the host opens no channel".to_owned())),
        Ok(sentence) = ending.wait_for(Option::is_some), if told => failed(sentence.as_deref().unwrap_or_default()),
        () = tokio::time::sleep(OPENING), if pump.alone => failed("the host does not answer that a shell is wanted there"),
    }
}

/// Counts a channel while it is open.
#[derive(Debug)]
pub(super) struct Counted(Arc<Counters>);

impl Counted {
    pub(super) fn one(counters: &Arc<Counters>) -> Self {
        counters.channels.fetch_add(1, Ordering::Relaxed);
        counters.channels_opened.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counters))
    }

    /// Where it counts.
    pub(super) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.channels.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a session ends of which it is not known whether it is still allowed. What is wrong with the broker's database in
/// particular is its operator's to read.
pub(super) fn unchecked(e: &custody::Error) -> (EndReason, String) {
    let text = match e.kind() {
        Kind::Tampered => "the broker's database does not verify, so the session ends".to_owned(),
        _ => format!("it could not be checked whether this is still allowed: {e}"),
    };
    (EndReason::Broker, text)
}

/// What the person reads.
pub(super) fn words(reason: EndReason) -> &'static str {
    match reason {
        EndReason::Withdrawn => "your access to this host was withdrawn",
        EndReason::Ended => "this session was ended by an administrator of the broker",
        EndReason::Shutdown => "the broker is shutting down",
        EndReason::Sealed => "the broker's vault is being sealed",
        _ => "the session has ended",
    }
}

/// Sleeps until `deadline`; for ever without one. Wakes now and then, since a clock may be set.
pub(super) async fn until(rooms: &Rooms, deadline: Option<Time>) {
    let Some(deadline) = deadline else { return std::future::pending().await };
    loop {
        let left = deadline.since(rooms.clock.now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(Duration::from_secs(30))).await;
    }
}
