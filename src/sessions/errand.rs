//! An errand: a connection that a scan opens for one host and closes after it – the same journey as a person's, with nobody at the
//! other end. And the connection that a person has open already, seen the same way. Keeps what was permitted, recorded and ended as
//! exact as for a person.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::exec::{self, ExecChannel, ExecInput, Opening};
use super::gate::Gates;
use super::hops::journey;
use super::live::{Counted, Ended};
use super::open::{Halt, Opened, Rooms, Shared, close_lease, note, record_end, still_granted};
use super::registry::{Entrance, Live, LiveConnection, Place};
use crate::audit::Audited;
use crate::authz::Reach;
use crate::custody::{self, Asked, StandsOn, SudoEnd};
use crate::fault::Calling;
use crate::model::{Action, Credential, EndReason, EventName, Host, Name, ProbeAct, ScanId, SessionId, User, UserId};
use crate::relay::Counters;
use crate::target::{self, Connection, Error as TargetError};

/// How long a host may take to take a goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Who wants to scan which host.
#[derive(Clone, Debug)]
pub struct Errand {
    /// The person who started the scan.
    pub user: UserId,
    /// The fingerprint of the key that signed them in; `None` where the kernel vouches for a uid.
    pub key: Option<String>,
    /// The workspace.
    pub workspace: Name,
    /// The host.
    pub host: Name,
    /// The credential, if one was named.
    pub credential: Option<Name>,
    /// From where the person came.
    pub client: SocketAddr,
    /// The scan.
    pub scan: ScanId,
    /// Told to end it.
    pub cancel: CancellationToken,
}

/// Why no connection was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// It was not tried: not granted, no credential, a broker that cannot record, a credential that others refused.
    Skipped(String),
    /// The host did not take the credential, or proved another key.
    Refused(String),
    /// The host could not be reached.
    Unreachable(String),
    /// The scan or the session was ended before.
    Ended(String),
}

/// A host that can be asked: over the scan's own connection or over the person's.
#[derive(Debug)]
pub struct Site {
    /// The session that the connection belongs to.
    pub session: SessionId,
    /// The host as it was when it was permitted.
    pub host: Host,
    /// The credential that signed in.
    pub credential: Credential,
    /// The person.
    pub user: User,
    /// Whether it is the person's own connection.
    pub live: bool,
    /// Cancelled when the connection is about to end: what was answered until then is all there will be.
    pub over: CancellationToken,
    way: Way,
    rooms: Rooms,
    stands_on: StandsOn,
}

#[derive(Debug)]
enum Way {
    Own(Arc<Connection>, Arc<Counters>),
    Live(LiveConnection),
}

impl Site {
    /// Starts a command on a channel of its own.
    ///
    /// # Errors
    /// A sentence: the host or the grant stands in the way.
    pub async fn exec(&self, proof: Audited<ProbeAct>, command: String, terminal: bool) -> Result<ExecChannel, String> {
        match &self.way {
            Way::Own(connection, counters) => exec::open(connection, &proof, &command, terminal, Counted::one(counters)).await,
            Way::Live(live) => {
                let (reply, answer) = oneshot::channel();
                if !live.open(Opening { proof, command, terminal, reply }) {
                    return Err("the person's connection to the host has ended, or is busy".to_owned());
                }
                answer.await.unwrap_or_else(|_| Err("the person's connection to the host has ended".to_owned()))
            }
        }
    }
}

/// What became of the wish to give sudo its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SudoGiven {
    /// It is on its way, and nothing of it is left here.
    Sent,
    /// The credential has none.
    None,
    /// It was not given: the reason.
    Not(String),
}

impl Site {
    /// Whether there is a sudo password that could be given here. Decrypts nothing.
    pub async fn has_sudo_password(&self) -> bool {
        let custody = &self.rooms.custody;
        matches!(custody.elevate(&self.stands_on, &self.user, &self.host, &self.credential).await, Ok(Some(_)))
    }

    /// Gives sudo, which has asked for it on this channel, the credential's sudo password: decided anew, witnessed, decrypted, sent and
    /// wiped. To be called once per host.
    pub async fn give_sudo_password(&self, input: &ExecInput) -> SudoGiven {
        let custody = &self.rooms.custody;
        let presented = match &self.way {
            Way::Own(connection, _) => connection.key().fingerprint.clone(),
            Way::Live(live) => live.host_key.clone(),
        };
        let warrant = match custody.elevate(&self.stands_on, &self.user, &self.host, &self.credential).await {
            Ok(Some(warrant)) => warrant,
            Ok(None) => return SudoGiven::None,
            Err(e) => return SudoGiven::Not(e.to_string()),
        };
        if self.over.is_cancelled() {
            return SudoGiven::Not("the connection was ended".to_owned());
        }
        let lease = match custody.sudo(warrant, &presented).await {
            Ok(Some(lease)) => lease,
            Ok(None) => return SudoGiven::None,
            Err(e) => return SudoGiven::Not(e.to_string()),
        };
        let sent = target::send_password(input.writer(), lease, &self.rooms.target, &self.host.address).await;
        let end = match &sent {
            Ok(()) => SudoEnd::Sent,
            Err(e) => SudoEnd::Failed(e.to_string()),
        };
        // The lease ends with the secret; what sudo made of it is told by itself.
        match (sent, custody.sudo_returned(self.session, &self.user, &self.host, &self.credential, end).await) {
            (Ok(()), Ok(())) => SudoGiven::Sent,
            (Err(e), _) => SudoGiven::Not(e.to_string()),
            (Ok(()), Err(e)) => SudoGiven::Not(e.to_string()),
        }
    }
}

/// How often a host's turn may come too late before it is given up.
const TURNS: usize = 8;

/// Opens a connection, has `work` done on it, closes it, and records each step as for a person.
///
/// # Errors
/// [`NotOpened`]; then `work` was not begun.
pub async fn errand<T, W>(rooms: &Rooms, wish: Errand, gates: &Gates, work: impl FnOnce(Site) -> W) -> Result<T, NotOpened>
where
    W: Future<Output = T>,
{
    for _ in 0..TURNS {
        if wish.cancel.is_cancelled() {
            return Err(NotOpened::Ended("the scan was ended before its turn came".to_owned()));
        }
        let (id, progress) = (rooms.clock.fresh(), Shared::default());
        match unhurt(journey_of(rooms, &wish, gates, id, &progress)).await {
            Ok(Ok(standing)) => {
                let done = unhurt(standing.live(rooms, &wish, &progress, work)).await;
                return match done {
                    Ok(done) => Ok(done),
                    Err(Panicked) => Err(broken(rooms, id, &progress).await),
                };
            }
            Ok(Err(Halt::TooLate)) => {}
            Ok(Err(Halt::Hop { halt, .. })) if matches!(*halt, Halt::TooLate) => {}
            Ok(Err(halt)) => return Err(not_opened(&halt, &wish.host, id)),
            Err(Panicked) => return Err(broken(rooms, id, &progress).await),
        }
    }
    Err(NotOpened::Skipped("its turn to sign in did not come: others waited for hosts that do not answer".to_owned()))
}

struct Panicked;

/// Awaits, and tells a panic from an end: what was permitted has an end to be recorded all the same.
async fn unhurt<T>(work: impl Future<Output = T>) -> Result<T, Panicked> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|cx| match std::panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

/// A defect ended it: this host's errand alone, and its end is on record.
async fn broken(rooms: &Rooms, id: SessionId, progress: &Shared) -> NotOpened {
    let why = "a defect of the broker ended it";
    tracing::error!(target: "keyward::sessions", session = %id, "an errand failed");
    close_lease(rooms, id, progress, why).await;
    record_end(rooms, id, progress, EventName::SessionEnded, Ended::early(EndReason::Broker), why).await;
    NotOpened::Ended(why.to_owned())
}

/// A connection that stands, with what it stands on.
struct Standing {
    id: SessionId,
    stands_on: StandsOn,
    opened: Opened,
    place: Place,
    bell: watch::Receiver<u64>,
}

/// From the wish to a connection; what goes wrong on the way is recorded.
async fn journey_of(rooms: &Rooms, wish: &Errand, gates: &Gates, id: SessionId, progress: &Shared) -> Result<Standing, Halt> {
    let Errand { user, key, workspace, host, credential, client, scan, cancel } = wish.clone();
    let mut bell = rooms.guard.listen();
    let began = rooms.clock.now();
    let asked = Asked { user, key: key.clone(), workspace, host, credential, session: id, client, needs: Some(Action::Scan) };
    let warrant = rooms.custody.warrant_of_scan(asked, scan).await?;
    note(progress, |p| p.permitted = Some((warrant.user.clone(), warrant.host.clone(), warrant.credential.clone())));
    let entrance = Entrance {
        id,
        user,
        host: warrant.host.id,
        host_name: warrant.host.name.clone(),
        credential: warrant.credential.id,
        login: warrant.credential.username.clone(),
        client: scan.to_string(),
        started_at: rooms.clock.now(),
    };
    let mut place = rooms.registry.enter(entrance);
    // Nobody is there to be asked anything.
    let (prompts, nobody) = mpsc::channel(1);
    drop(nobody);
    let outcome = tokio::select! {
        outcome = journey(rooms, warrant, prompts, progress, Some(gates)) => outcome,
        why = place.told_to_end() => Err(Halt::Told(why)),
        () = cancel.cancelled() => Err(Halt::Told(EndReason::Ended)),
    };
    let opened = match outcome {
        Ok(opened) => {
            let stands_on = StandsOn { session: id, user, key, host: opened.host.id, hops: opened.hops.clone(), client, began };
            still_granted(rooms, stands_on.clone(), &mut bell, opened).await.map(|opened| (stands_on, opened))
        }
        Err(halt) => Err(halt),
    };
    match opened {
        Ok((stands_on, opened)) => Ok(Standing { id, stands_on, opened, place, bell }),
        Err(halt) => {
            let text = halt.to_string();
            close_lease(rooms, id, progress, &text).await;
            record_end(rooms, id, progress, EventName::SessionRefused, Ended::early(halt.end_reason()), &text).await;
            Err(halt)
        }
    }
}

impl Standing {
    /// Has the work done while the connection may stand, closes it and records its end.
    async fn live<T, W>(self, rooms: &Rooms, wish: &Errand, progress: &Shared, work: impl FnOnce(Site) -> W) -> T
    where
        W: Future<Output = T>,
    {
        let Self { id, stands_on, mut opened, mut place, mut bell } = self;
        // Nothing that the host wants to open is for anybody: it is refused.
        drop(opened.connection.take_opens());
        let connection = Arc::new(opened.connection);
        let over = CancellationToken::new();
        let site = Site {
            session: id,
            host: opened.host,
            credential: opened.credential,
            user: opened.user,
            live: false,
            over: over.clone(),
            way: Way::Own(Arc::clone(&connection), Arc::clone(&place.counters)),
            rooms: rooms.clone(),
            stands_on: stands_on.clone(),
        };
        let work = work(site);
        tokio::pin!(work);
        let (mut reach, mut told) = (opened.reach, None);
        let done = loop {
            let watching = watching(rooms, &stands_on, &mut place, &mut bell, &wish.cancel, &mut reach);
            tokio::select! {
                done = &mut work => break done,
                why = watching, if told.is_none() => {
                    // The work gives back what it has; nothing new is begun.
                    told = Some(why);
                    over.cancel();
                    let _ = timeout(GOODBYE, connection.close()).await;
                }
            }
        };
        let _ = timeout(GOODBYE, connection.close()).await;
        let (reason, text) = told.unwrap_or_else(|| (EndReason::Done, format!("{} is done here", wish.scan)));
        let counters = &place.counters;
        let ended = Ended {
            reason,
            text: text.clone(),
            exit_status: None,
            bytes_in: counters.bytes_in.load(Ordering::Relaxed),
            bytes_out: counters.bytes_out.load(Ordering::Relaxed),
            channels: u64::try_from(counters.channels_opened.load(Ordering::Relaxed)).unwrap_or(0),
            came_out: false,
        };
        record_end(rooms, id, progress, EventName::SessionEnded, ended, &text).await;
        done
    }
}

/// Has work done on the person's own connection to a host, if they have one on which scanning is granted now: nothing is decrypted for
/// it, and nothing signs in. `None`: there is none.
///
/// # Errors
/// What custody says of rows that do not verify.
pub async fn on_live<T, W>(
    rooms: &Rooms,
    wish: &Errand,
    live: Live,
    (user, host, credential): (User, Host, Credential),
    work: impl FnOnce(Site) -> W,
) -> Result<Option<T>, custody::Error>
where
    W: Future<Output = T>,
{
    let Some(connection) = live.connection.filter(|_| live.user == user.id && live.host == host.id) else { return Ok(None) };
    // Its jump hosts are its session's to look after.
    let stands_on = StandsOn {
        session: live.id,
        user: user.id,
        key: wish.key.clone(),
        host: host.id,
        hops: Vec::new(),
        client: wish.client,
        began: live.started_at,
    };
    if !rooms.custody.still(stands_on.clone()).await?.is_some_and(|reach| reach.allows(Action::Scan)) {
        return Ok(None);
    }
    let over = connection.over.child_token();
    let mut reach = connection.reach.clone();
    let site = Site {
        session: live.id,
        host,
        credential,
        user,
        live: true,
        over: over.clone(),
        way: Way::Live(connection),
        rooms: rooms.clone(),
        stands_on,
    };
    let work = work(site);
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(Some(done)),
            () = wish.cancel.cancelled(), if !over.is_cancelled() => over.cancel(),
            // The session goes on without scans, or has ended.
            lost = reach.wait_for(|reach| !reach.allows(Action::Scan)), if !over.is_cancelled() => {
                drop(lost);
                over.cancel();
            }
        }
    }
}

/// Waits until the connection must end, and says why.
async fn watching(
    rooms: &Rooms,
    stands_on: &StandsOn,
    place: &mut Place,
    bell: &mut watch::Receiver<u64>,
    cancel: &CancellationToken,
    reach: &mut Reach,
) -> (EndReason, String) {
    loop {
        let deadline = reach.recheck_at;
        tokio::select! {
            () = cancel.cancelled() => return (EndReason::Ended, "the scan was ended".to_owned()),
            why = place.told_to_end() => return (why, super::live::words(why).to_owned()),
            Ok(()) = bell.changed() => {}
            () = super::live::until(rooms, deadline) => {}
        }
        match rooms.custody.still(stands_on.clone()).await {
            Ok(Some(now)) if now.allows(Action::Scan) => *reach = now,
            Ok(_) => return (EndReason::Withdrawn, super::live::words(EndReason::Withdrawn).to_owned()),
            Err(e) => return super::live::unchecked(&e),
        }
    }
}

/// One line of a table, in which stands no name that is somebody's own.
fn not_opened(halt: &Halt, host: &Name, session: SessionId) -> NotOpened {
    if let Halt::Hop { hop, halt } = halt {
        let via = |why: String| format!("via {hop}: {why}");
        return match not_opened(halt, hop, session) {
            NotOpened::Skipped(why) => NotOpened::Skipped(via(why)),
            NotOpened::Refused(why) => NotOpened::Refused(via(why)),
            NotOpened::Unreachable(why) => NotOpened::Unreachable(via(why)),
            NotOpened::Ended(why) => NotOpened::Ended(via(why)),
        };
    }
    let sentence = match halt {
        Halt::Custody(custody::Error::NoSuchCredential { .. }) => "the credential that was named is not attached to it".to_owned(),
        Halt::Custody(custody::Error::NoCredential(_)) => "it has no credential that this person can use".to_owned(),
        Halt::Custody(custody::Error::NoSuchHost(_)) => "it is not granted any more".to_owned(),
        Halt::Target(TargetError::Refused { method, .. }) => format!("it refused the credential ({method})"),
        _ => halt.sentence(host, session, &Calling::Local).lines().next().unwrap_or_default().to_owned(),
    };
    match halt {
        Halt::Custody(_) | Halt::Agent(_) | Halt::Barred | Halt::TooLate => NotOpened::Skipped(sentence),
        Halt::Target(e) => match e.end_reason() {
            EndReason::Refused | EndReason::HostKey => NotOpened::Refused(sentence),
            EndReason::Broker => NotOpened::Skipped(sentence),
            _ => NotOpened::Unreachable(sentence),
        },
        Halt::Left(_) | Halt::Told(_) | Halt::GaveUp | Halt::NotOpened | Halt::NoCode(_) | Halt::Hop { .. } => NotOpened::Ended(sentence),
    }
}
