//! The ways back from a host to the person: ports and sockets that it listens on for them, their agent, their screen. Nothing is
//! opened that this session did not ask for, and nothing that is not granted at that moment; each is recorded before it is opened.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use russh::{ChannelOpenFailure, client, server};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::listens::{Listens, Wish};
use super::live::Counted;
use crate::audit::{self, Log};
use crate::authz::Reach;
use crate::model::{Action, Event, EventName, printable};
use crate::relay::{self, ClientChannel, Counters, End, Outcome, Pipe, Ways};
use crate::target::{AtDoor, Connection, HostChannel, HostOpens};

/// How many requests of one client wait until the host is there, or has answered earlier ones; more are refused.
const WAITING: usize = 64;
/// On how many ports and sockets a host listens for one session.
const MOST_LISTENING: usize = 64;
/// How many channels of one session a host has open at a time.
const MOST_OPEN: usize = 256;
/// The longest request; the longest path of a socket and the longest name of a host are shorter.
const MOST_BYTES: usize = 4096;
/// How long a host has to say whether it listens. The client's requests are answered in their order (RFC 4254 §4), so behind one that is
/// never answered its keepalives would wait, and it would take the broker for dead.
const ANSWERS: Duration = Duration::from_secs(15);
/// How many refusals are recorded for one session; a host that asks for more is not helped by more entries.
const MOST_REFUSALS: usize = 64;

/// A request of the client that belongs to no channel (RFC 4254 §4). Dropped, it is refused.
#[derive(Debug)]
pub struct Request {
    name: String,
    data: Vec<u8>,
    reply: server::GlobalReplyHandle,
}

/// Where the requests of one connection go.
#[derive(Debug)]
pub struct Asks(mpsc::Sender<Request>);

impl Asks {
    /// Both ends.
    pub fn new() -> (Self, mpsc::Receiver<Request>) {
        let (ask, asked) = mpsc::channel(WAITING);
        (Self(ask), asked)
    }

    /// Takes one; never waits. What is too long, and what has no place to wait, is refused.
    pub fn ask(&self, name: &str, data: &[u8], reply: server::GlobalReplyHandle) {
        if data.len() <= MOST_BYTES {
            let _ = self.0.try_send(Request { name: name.to_owned(), data: data.to_vec(), reply });
        }
    }
}

/// What comes in from both sides.
pub(super) struct Comes {
    pub(super) asked: mpsc::Receiver<Request>,
    pub(super) opens: Option<mpsc::Receiver<AtDoor>>,
}

/// Looks after the ways back of one session.
pub(super) struct Remote {
    pub(super) client: server::Handle,
    pub(super) connection: Arc<Connection>,
    pub(super) log: Log,
    pub(super) base: Event,
    pub(super) reach: watch::Receiver<Reach>,
    pub(super) ending: watch::Receiver<Option<String>>,
    pub(super) counters: Arc<Counters>,
    pub(super) ways: Arc<Ways>,
}

/// What the host answered; an error: it was not asked, since that could not be recorded.
type Answer = (Wish, server::GlobalReplyHandle, Result<Heard, audit::Error>);
/// A host's answer that is still to come.
type Late = Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>>;

/// What was heard of a host in time.
enum Heard {
    /// Its answer.
    Answer(Option<Vec<u8>>),
    /// Nothing.
    Nothing(Late),
}
type UnderWay = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// One session's desk.
struct Desk {
    remote: Remote,
    listening: Vec<Listens>,
    open: JoinSet<Result<(), audit::Error>>,
    refusals: usize,
    /// To how many requests the host gave no answer in time.
    unanswered: usize,
}

impl Remote {
    /// Serves until the session ends. An outcome ends it: it could not be recorded what happens.
    pub(super) async fn serve(self, comes: Comes) -> Option<Outcome> {
        let mut ending = self.ending.clone();
        let mut desk = Desk { remote: self, listening: Vec::new(), open: JoinSet::new(), refusals: 0, unanswered: 0 };
        let served = tokio::select! {
            served = desk.serve(comes) => served,
            _ = ending.wait_for(Option::is_some) => Ok(()),
        };
        // The pipes end by themselves when the session does.
        while served.is_ok() && desk.open.join_next().await.is_some() {}
        served.err().map(|error| Outcome { end: End::Unwitnessed(error.to_string()), exit_status: None })
    }

    fn event(&self, name: EventName, kind: &str) -> Event {
        Event { name, ..self.base.clone() }.with("kind", kind)
    }

    async fn record(&self, event: Event) -> Result<(), audit::Error> {
        self.log.record(event).await.map(drop)
    }

    fn allows(&self, action: Action) -> bool {
        self.reach.borrow().allows(action)
    }
}

impl Desk {
    async fn serve(&mut self, mut comes: Comes) -> Result<(), audit::Error> {
        let mut reach = self.remote.reach.clone();
        // One at a time: the host sees them in the client's order, and so does the client the answers.
        let mut under_way: Option<UnderWay> = None;
        let (_unused, nothing) = mpsc::channel(1);
        let mut opens = comes.opens.take().unwrap_or(nothing);
        loop {
            tokio::select! {
                // An answer before what came behind it: a connection to a port is no stranger's once the host has told the port.
                biased;
                answer = async {
                    match &mut under_way {
                        Some(answer) => answer.await,
                        None => std::future::pending().await,
                    }
                } => {
                    under_way = None;
                    self.answered(answer).await?;
                }
                Ok(()) = reach.changed() => self.withdrawn().await?,
                Some(at_door) = opens.recv() => self.at_door(at_door).await?,
                Some(done) = self.open.join_next() => match done {
                    Ok(recorded) => recorded?,
                    Err(error) => tracing::error!(target: "keyward::sessions", %error, "a forwarded connection failed"),
                },
                Some(asked) = comes.asked.recv(), if under_way.is_none() => under_way = self.asked(asked).await?,
                else => return Ok(()),
            }
        }
    }

    /// A request of the client: refused, or on its way to the host.
    async fn asked(&mut self, asked: Request) -> Result<Option<UnderWay>, audit::Error> {
        let Request { name, data, reply } = asked;
        let Some(wish) = Wish::read(&name, &data) else { return Ok(None) };
        let why = match &wish {
            _ if !self.remote.allows(Action::ForwardRemote) => "forward-remote is not granted here".to_owned(),
            Wish::Listen(_) if self.listening.len().saturating_add(self.unanswered) >= MOST_LISTENING => {
                format!("a host listens on {MOST_LISTENING} at most")
            }
            _ => String::new(),
        };
        if !why.is_empty() {
            self.refused(&name, &wish.listens().to_string(), &why).await?;
            return Ok(None);
        }
        let opened = match wish {
            Wish::Listen(_) => EventName::ForwardOpened,
            Wish::Cancel(_) => EventName::ForwardCancelled,
        };
        let event = self.remote.event(opened, &name).with("listen", wish.listens());
        let (log, connection) = (self.remote.log.clone(), Arc::clone(&self.remote.connection));
        Ok(Some(Box::pin(async move {
            let answer = match log.record(event).await {
                Ok(_) => {
                    let mut answer: Late = Box::pin(async move { connection.ask(&name, &data).await });
                    Ok(match timeout(ANSWERS, &mut answer).await {
                        Ok(answer) => Heard::Answer(answer),
                        Err(_) => Heard::Nothing(answer),
                    })
                }
                Err(error) => Err(error),
            };
            (wish, reply, answer)
        })))
    }

    /// The host has answered: the client hears it, and what the host opens from now on is judged by it.
    async fn answered(&mut self, (wish, reply, answer): Answer) -> Result<(), audit::Error> {
        let answer = match answer? {
            Heard::Answer(answer) => answer,
            Heard::Nothing(late) => return self.given_up(wish, reply, late).await,
        };
        match (wish, answer) {
            (Wish::Listen(listens), Some(told)) => {
                // Of what a host may say here, only the port that it chose is anything to the client.
                let told = told.get(..4).filter(|_| matches!(listens, Listens::Port { port: 0, .. })).unwrap_or_default();
                let listens = listens.chosen(told);
                let event = self.remote.event(EventName::ForwardListening, listens.kind()).with("listen", &listens);
                let recorded = self.remote.record(event).await;
                if recorded.is_ok() && self.remote.allows(Action::ForwardRemote) {
                    self.listening.push(listens);
                    reply.success(told);
                } else {
                    self.cancel(&listens).await?;
                }
                recorded
            }
            (Wish::Listen(listens), None) => {
                let event = self.remote.event(EventName::ForwardListening, listens.kind()).with("listen", &listens);
                self.remote.record(event.failed("the host does not listen there")).await
            }
            (Wish::Cancel(listens), Some(_)) => {
                self.listening.retain(|l| *l != listens);
                reply.success(&[]);
                Ok(())
            }
            (Wish::Cancel(_), None) => Ok(()),
        }
    }

    /// The host has not answered in time: the client is refused. Should it listen after all, it is told not to.
    async fn given_up(&mut self, wish: Wish, reply: server::GlobalReplyHandle, late: Late) -> Result<(), audit::Error> {
        drop(reply);
        self.unanswered = self.unanswered.saturating_add(1);
        let Wish::Listen(listens) = wish else { return Ok(()) };
        let event = self.remote.event(EventName::ForwardListening, listens.kind()).with("listen", &listens);
        self.remote.record(event.failed("the host does not answer")).await?;
        let (connection, mut ending) = (Arc::clone(&self.remote.connection), self.remote.ending.clone());
        self.open.spawn(async move {
            let told = tokio::select! {
                told = late => told,
                _ = ending.wait_for(Option::is_some) => None,
            };
            if let Some(told) = told {
                let (name, data) = listens.chosen(told.get(..4).unwrap_or_default()).cancel();
                connection.tell(name, &data).await;
            }
            Ok(())
        });
        Ok(())
    }

    /// Something changed in what is granted. What is open ends by itself.
    async fn withdrawn(&mut self) -> Result<(), audit::Error> {
        if !self.remote.allows(Action::ForwardRemote) {
            for listens in std::mem::take(&mut self.listening) {
                self.cancel(&listens).await?;
            }
        }
        Ok(())
    }

    /// Makes the host listen there no more; it is told whatever becomes of the record.
    async fn cancel(&self, listens: &Listens) -> Result<(), audit::Error> {
        let (name, data) = listens.cancel();
        let event = self.remote.event(EventName::ForwardCancelled, name).with("listen", listens).because("it is not granted any more");
        let recorded = self.remote.record(event).await;
        self.remote.connection.tell(name, &data).await;
        recorded
    }

    /// The host wants to open something.
    async fn at_door(&mut self, AtDoor { opens, door }: AtDoor) -> Result<(), audit::Error> {
        let (judged, from) = self.judge(&opens);
        let Some((channel, reply)) = door else {
            return self.refused(opens.name(), &from, "a host opens no such channel").await;
        };
        let action = match judged {
            Ok(action) if self.open.len() < MOST_OPEN => action,
            Ok(_) => {
                let why = format!("a host has {MOST_OPEN} channels open at most");
                // 4: SSH_OPEN_RESOURCE_SHORTAGE (RFC 4254 §5.1).
                reply.reject(ChannelOpenFailure::Other { code: 4, reason: format!("keyward: {why}") }).await;
                return self.refused(opens.name(), &from, &why).await;
            }
            Err(why) => {
                reply.reject(ChannelOpenFailure::Other { code: 1, reason: format!("keyward: {why}") }).await;
                return self.refused(opens.name(), &from, &why).await;
            }
        };
        let way = Way {
            opened: self.remote.event(EventName::ForwardOpened, opens.name()).with("from", &from),
            ended: self.remote.event(EventName::ForwardEnded, opens.name()).with("from", &from),
            opens,
            log: self.remote.log.clone(),
            client: self.remote.client.clone(),
            ending: self.remote.ending.clone(),
            pipe: Pipe {
                reach: self.remote.reach.clone(),
                needs: action,
                counters: Arc::clone(&self.remote.counters),
                // What the client has closed is seen in its queue; what a host never takes ends with the session.
                client_closed: CancellationToken::new(),
                ending: self.remote.ending.clone(),
            },
        };
        let counted = Counted::one(&self.remote.counters);
        self.open.spawn(async move {
            let _counted = counted;
            way.lead(channel, reply).await
        });
        Ok(())
    }

    /// What has to be granted for it, or why it is refused; and who came, for the record.
    fn judge(&self, opens: &HostOpens) -> (Result<Action, String>, String) {
        let unasked = || "nobody asked this host for it".to_owned();
        let (action, asked_for, from) = match opens {
            HostOpens::Tcp { address, port, originator, originator_port } => {
                // By the port: hosts name the address as it was asked for, as it was connected to, or not at all.
                let asked_for = self.listening.iter().any(|l| matches!(l, Listens::Port { port: p, .. } if p == port));
                let from = format!("{originator}:{originator_port} to {address}:{port}");
                (Action::ForwardRemote, asked_for, from)
            }
            HostOpens::Socket { path } => {
                let asked_for = self.listening.iter().any(|l| matches!(l, Listens::Socket { path: p } if p == path));
                (Action::ForwardRemote, asked_for, path.clone())
            }
            HostOpens::Agent => (Action::ForwardAgent, self.remote.ways.is_open(Action::ForwardAgent), String::new()),
            HostOpens::Screen { originator, originator_port } => {
                (Action::X11, self.remote.ways.is_open(Action::X11), format!("{originator}:{originator_port}"))
            }
            HostOpens::Other(_) => return (Err(unasked()), String::new()),
        };
        let judged = match (asked_for, self.remote.allows(action)) {
            (true, true) => Ok(action),
            (true, false) => Err(format!("{action} is not granted here any more")),
            (false, _) => Err(unasked()),
        };
        (judged, printable(&from, 300))
    }

    async fn refused(&mut self, kind: &str, what: &str, why: &str) -> Result<(), audit::Error> {
        self.refusals = self.refusals.saturating_add(1);
        if self.refusals > MOST_REFUSALS {
            return Ok(());
        }
        self.remote.record(self.remote.event(EventName::ForwardRefused, kind).with("what", what).denied(why)).await
    }
}

/// One connection on its way from the host to the client.
struct Way {
    opens: HostOpens,
    opened: Event,
    ended: Event,
    log: Log,
    client: server::Handle,
    ending: watch::Receiver<Option<String>>,
    pipe: Pipe,
}

impl Way {
    /// Records it, opens the same at the client, and pumps between the two.
    async fn lead(self, host: HostChannel, reply: client::ChannelOpenHandle) -> Result<(), audit::Error> {
        self.log.record(self.opened.clone()).await?;
        let mut ending = self.ending.clone();
        let opened = tokio::select! {
            opened = self.at_client() => opened,
            _ = ending.wait_for(Option::is_some) => Err(ChannelOpenFailure::ConnectFailed),
        };
        let ended = match opened {
            Ok(client) => {
                reply.accept().await;
                let piped = relay::pipe(client, host, self.pipe).await;
                self.ended.because(piped.why()).count("bytes_in", piped.bytes_in).count("bytes_out", piped.bytes_out)
            }
            Err(reason) => {
                let ended = self.ended.failed("the client does not open it");
                // In the client's own words: the host may pass them on.
                reply.reject(reason).await;
                ended
            }
        };
        self.log.record(ended).await.map(drop)
    }

    async fn at_client(&self) -> Result<ClientChannel, ChannelOpenFailure> {
        let opened = match &self.opens {
            HostOpens::Tcp { address, port, originator, originator_port } => {
                self.client.channel_open_forwarded_tcpip(address, *port, originator, *originator_port).await
            }
            HostOpens::Socket { path } => self.client.channel_open_forwarded_streamlocal(path).await,
            HostOpens::Agent => self.client.channel_open_agent().await,
            HostOpens::Screen { originator, originator_port } => self.client.channel_open_x11(originator, *originator_port).await,
            HostOpens::Other(_) => return Err(ChannelOpenFailure::UnknownChannelType),
        };
        opened.map_err(|error| match error {
            russh::Error::ChannelOpenFailure(reason) => reason,
            _ => ChannelOpenFailure::ConnectFailed,
        })
    }
}
