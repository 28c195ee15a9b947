//! A connection that a verb about a credential opens: to see whether the host takes it, or to run one command of the broker's own
//! there. The same journey as a person's, with nobody at the other end; each step is told with how long it took. Runs nothing that
//! is not on record.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::exec::{self, ExecChannel, ExecInput};
use super::gate::Gates;
use super::hops::journey;
use super::live::{Counted, Ended};
use super::open::{Halt, Opened, Rooms, Shared, close_lease, note, record_end, still_granted};
use super::registry::{Entrance, Place};
use crate::audit::Audited;
use crate::authz::Reach;
use crate::custody::{self, Asked, NewPasswordEnd, Purpose, StandsOn, SudoEnd};
use crate::fault::{Fault, Kind};
use crate::model::{Action, Credential, EndReason, EventName, Host, HostId, Name, SessionId, UpkeepAct, User, UserId};
use crate::relay::Counters;
use crate::target::{self, Connection, Error as TargetError, ProvenKey};

/// How long a host may take to take a goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Who wants to sign in where, and what for.
#[derive(Clone, Debug)]
pub struct Upkeep {
    /// The person.
    pub user: UserId,
    /// The fingerprint of the key that signed them in; `None` where the kernel vouches for a uid.
    pub key: Option<String>,
    /// The workspace.
    pub workspace: Name,
    /// The host's name.
    pub host: Name,
    /// What for, and with which credential.
    pub purpose: Purpose,
    /// What has to be granted, if something has.
    pub needs: Option<Action>,
    /// From where the person came.
    pub client: SocketAddr,
    /// Told to end it.
    pub cancel: CancellationToken,
}

/// A step of a sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepName {
    /// The host's name becomes an address.
    Name,
    /// The address is connected to.
    Network,
    /// The host proves a pinned key.
    HostKey,
    /// The vault leases the credential.
    Vault,
    /// The host takes it for the account.
    SignIn,
}

impl StepName {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Network => "network",
            Self::HostKey => "host_key",
            Self::Vault => "vault",
            Self::SignIn => "sign_in",
        }
    }
}

/// How a step came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub name: StepName,
    /// How long it took.
    pub took: Duration,
    /// What went wrong.
    pub failed: Option<StepFault>,
}

/// Why a step failed, as the person is told it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct StepFault {
    what: String,
    hint: Option<String>,
    kind: Kind,
}

impl Fault for StepFault {
    fn kind(&self) -> Kind {
        self.kind
    }
    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

impl StepFault {
    fn of(halt: &Halt, host: &Name, session: SessionId) -> Self {
        let kind = halt.kind();
        if matches!(halt, Halt::Barred) {
            let what = "the credential was refused twice already, and is not tried again in this run: no account is to be locked";
            return Self { what: what.to_owned(), hint: None, kind };
        }
        let (what, hint) = halt.told(host, session);
        Self { what, hint, kind }
    }

    /// The first line of it.
    pub fn line(&self) -> &str {
        self.what.lines().next().unwrap_or_default()
    }
}

/// How a sign-in went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    /// The session under which it is recorded.
    pub session: SessionId,
    /// The steps that were taken, in order; after one that failed there is none.
    pub steps: Vec<Step>,
    /// By which method the host took the credential.
    pub method: Option<&'static str>,
    /// Whether the host refused the credential: nothing else was wrong.
    pub refused: bool,
}

impl Steps {
    /// What went wrong, if something did: the step, and why.
    pub fn failure(&self) -> Option<(StepName, &StepFault)> {
        self.steps.iter().find_map(|s| s.failed.as_ref().map(|why| (s.name, why)))
    }
}

/// A signed-in connection on which a command may be run.
pub struct Site {
    /// The session.
    pub session: SessionId,
    /// The host as it was when it was permitted.
    pub host: Host,
    /// The credential that signed in.
    pub credential: Credential,
    /// The person.
    pub user: User,
    /// What is granted to them here.
    pub reach: Reach,
    connection: Arc<Connection>,
    counters: Arc<Counters>,
    rooms: Rooms,
    stands_on: StandsOn,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").field("session", &self.session).finish_non_exhaustive()
    }
}

impl Site {
    /// Starts a command on a channel of its own.
    ///
    /// # Errors
    /// A sentence: the host or the grant stands in the way.
    pub async fn exec(&self, proof: Audited<UpkeepAct>, command: &str) -> Result<ExecChannel, String> {
        if proof.get().host != self.host.id {
            return Err("it was approved for another host".to_owned());
        }
        // Asked where it counts: the grant may have changed since the sign-in.
        let now = self.rooms.custody.still(self.stands_on.clone()).await.map_err(|e| e.to_string())?;
        if !now.is_some_and(|reach| reach.allows(Action::Exec)) {
            return Err("commands are not granted any more".to_owned());
        }
        exec::open_kept(&self.connection, command, false, Counted::one(&self.counters)).await
    }

    /// The keys that another host proves, reached from here: a forwarding, which `forward-local` must allow. Signs in nowhere.
    ///
    /// # Errors
    /// As [`target::probe`].
    pub async fn keys_of(&self, host: &Host) -> Result<Vec<ProvenKey>, TargetError> {
        target::probe(&self.rooms.target, host, Some(&self.connection)).await
    }

    /// Whether there is a sudo password that could be given here. Decrypts nothing.
    pub async fn has_sudo_password(&self) -> bool {
        matches!(self.elevate().await, Ok(Some(_)))
    }

    async fn elevate(&self) -> Result<Option<custody::SudoWarrant>, custody::Error> {
        self.rooms.custody.elevate_for(Action::Exec, &self.stands_on, (&self.user, &self.host, &self.credential)).await
    }

    /// Gives sudo, which has asked for it on this channel, the credential's sudo password.
    ///
    /// # Errors
    /// A sentence: it was not given, or it is not known how much of it arrived.
    pub async fn give_sudo_password(&self, input: &ExecInput) -> Result<(), String> {
        let custody = &self.rooms.custody;
        let none = || "the credential has no sudo password".to_owned();
        let warrant = self.elevate().await.map_err(|e| e.to_string())?.ok_or_else(none)?;
        let lease = custody.sudo(warrant, &self.connection.key().fingerprint).await.map_err(|e| e.to_string())?.ok_or_else(none)?;
        let sent = target::send_password(input.writer(), lease, &self.rooms.target, &self.host.address).await;
        let end = match &sent {
            Ok(()) => SudoEnd::Sent,
            Err(e) => SudoEnd::Failed(e.to_string()),
        };
        let recorded = custody.sudo_returned(self.session, &self.user, &self.host, &self.credential, end).await;
        sent.map_err(|e| e.to_string()).and(recorded.map_err(|e| e.to_string()))
    }

    /// Gives the command on this channel, which reads it, the next password of the credential that signed in; with `back` the one
    /// in force.
    ///
    /// # Errors
    /// A sentence, and whether anything of it may have arrived.
    pub async fn give_new_password(&self, input: &ExecInput, back: bool) -> Result<(), (String, bool)> {
        let custody = &self.rooms.custody;
        let whom = (&self.user, &self.host, &self.credential);
        let presented = &self.connection.key().fingerprint;
        let lease = custody.new_password(&self.stands_on, whom, presented, back).await.map_err(|e| (e.to_string(), false))?;
        let sent = target::send_new_password(input.writer(), lease, &self.rooms.target, &self.host.address).await;
        let end = match &sent {
            Ok(()) => NewPasswordEnd::Sent,
            Err(e) => NewPasswordEnd::Failed(e.to_string()),
        };
        let recorded = custody.password_returned(self.session, whom, end).await;
        sent.map_err(|e| (e.to_string(), true)).and(recorded.map_err(|e| (e.to_string(), true)))
    }
}

/// Signs in for an upkeep, has `work` done on the connection, closes it, and records each step as for a person.
///
/// # Errors
/// What custody says before anything is dialled: not granted, no such credential, a broker that cannot record.
pub async fn upkeep<T, W>(
    rooms: &Rooms,
    wish: &Upkeep,
    gates: &Gates,
    work: impl FnOnce(Site) -> W,
) -> Result<(Steps, Option<T>), custody::Error>
where
    W: Future<Output = T>,
{
    let id: SessionId = rooms.clock.fresh();
    let progress = Shared::default();
    let mut bell = rooms.guard.listen();
    let began = rooms.clock.now();
    let asked = Asked {
        user: wish.user,
        key: wish.key.clone(),
        workspace: wish.workspace.clone(),
        host: wish.host.clone(),
        credential: None,
        session: id,
        client: wish.client,
        needs: wish.needs,
    };
    let warrant = rooms.custody.warrant_for(asked, wish.purpose).await?;
    note(&progress, |p| p.permitted = Some((warrant.user.clone(), warrant.host.clone(), warrant.credential.clone())));
    let mut place = rooms.registry.enter(Entrance {
        id,
        user: wish.user,
        host: warrant.host.id,
        host_name: warrant.host.name.clone(),
        credential: warrant.credential.id,
        login: warrant.credential.username.clone(),
        client: wish.client.to_string(),
        started_at: began,
    });
    // What the broker itself looks up: behind a jump host, that one's address.
    let (address, host) = (warrant.route.first().unwrap_or(&warrant.host).address.clone(), warrant.host.id);
    let mut told = Steps { session: id, steps: Vec::new(), method: None, refused: false };
    let asked_name = Instant::now();
    let named = target::look_up(&rooms.target, &address).await;
    let took = asked_name.elapsed();
    let outcome = match named {
        Err(e) => {
            told.steps.push(Step { name: StepName::Name, took, failed: Some(StepFault::of(&Halt::from(e), &wish.host, id)) });
            Err(Halt::Told(EndReason::Unreachable))
        }
        Ok(_) => {
            told.steps.push(Step { name: StepName::Name, took, failed: None });
            let (prompts, nobody) = mpsc::channel(1);
            drop(nobody);
            let dialling = Instant::now();
            let outcome = tokio::select! {
                outcome = journey(rooms, warrant, prompts, &progress, Some(gates)) => outcome,
                why = place.told_to_end() => Err(Halt::Told(why)),
                () = wish.cancel.cancelled() => Err(Halt::Told(EndReason::Ended)),
            };
            told.tell(&outcome, dialling, &progress, (&wish.host, id));
            outcome
        }
    };
    let hops = outcome.as_ref().map(|opened| opened.hops.clone()).unwrap_or_default();
    let stands_on = StandsOn { session: id, user: wish.user, key: wish.key.clone(), host, hops, client: wish.client, began };
    let opened = match outcome {
        // A trial begins nothing: there is nothing that a grant could have been taken from.
        Ok(opened) if wish.needs.is_some() => still_granted(rooms, stands_on.clone(), &mut bell, opened).await,
        outcome => outcome,
    };
    match opened {
        Ok(opened) => Ok((told, Some(stand(rooms, id, &progress, stands_on, opened, &mut place, work).await))),
        Err(halt) => {
            let text = told.failure().map_or_else(|| halt.to_string(), |(step, why)| format!("{}: {}", step.as_str(), why.line()));
            if told.failure().is_none() {
                told.steps.push(Step { name: StepName::SignIn, took: Duration::ZERO, failed: Some(StepFault::of(&halt, &wish.host, id)) });
            }
            close_lease(rooms, id, &progress, &text).await;
            record_end(rooms, id, &progress, EventName::SessionRefused, Ended::early(halt.end_reason()), &text).await;
            Ok((told, None))
        }
    }
}

/// Has the work done, closes the connection and records its end.
async fn stand<T, W>(
    rooms: &Rooms,
    id: SessionId,
    progress: &Shared,
    stands_on: StandsOn,
    mut opened: Opened,
    place: &mut Place,
    work: impl FnOnce(Site) -> W,
) -> T
where
    W: Future<Output = T>,
{
    // Nothing that the host wants to open is for anybody: it is refused.
    drop(opened.connection.take_opens());
    let connection = Arc::new(opened.connection);
    let site = Site {
        session: id,
        host: opened.host,
        credential: opened.credential,
        user: opened.user,
        reach: opened.reach,
        connection: Arc::clone(&connection),
        counters: Arc::clone(&place.counters),
        rooms: rooms.clone(),
        stands_on,
    };
    let work = work(site);
    tokio::pin!(work);
    let (done, reason, text) = tokio::select! {
        done = &mut work => (done, EndReason::Done, "what it was opened for is done"),
        why = place.told_to_end() => {
            // The work learns it by the end of the connection, and gives back what it has.
            let _ = timeout(GOODBYE, connection.close()).await;
            (work.await, why, super::live::words(why))
        }
    };
    let _ = timeout(GOODBYE, connection.close()).await;
    let counters = &place.counters;
    let ended = Ended {
        reason,
        text: text.to_owned(),
        exit_status: None,
        bytes_in: counters.bytes_in.load(Ordering::Relaxed),
        bytes_out: counters.bytes_out.load(Ordering::Relaxed),
        channels: u64::try_from(counters.channels_opened.load(Ordering::Relaxed)).unwrap_or(0),
        came_out: false,
    };
    record_end(rooms, id, progress, EventName::SessionEnded, ended, text).await;
    done
}

impl Steps {
    /// What a journey came to, step by step.
    fn tell(&mut self, outcome: &Result<Opened, Halt>, began: Instant, progress: &Shared, (host, id): (&Name, SessionId)) {
        let total = began.elapsed();
        let proven = progress.lock().ok().and_then(|p| p.proven);
        let mut step = |name, took, failed| self.steps.push(Step { name, took, failed });
        let Some((connected, at)) = proven else {
            let Err(halt) = outcome else { return };
            let name = match halt {
                Halt::Target(
                    TargetError::Unreachable { .. } | TargetError::Beyond { .. } | TargetError::TimedOut { step: "TCP connection", .. },
                )
                | Halt::Hop { .. } => StepName::Network,
                Halt::Target(_) => StepName::HostKey,
                Halt::Custody(_)
                | Halt::Agent(_)
                | Halt::Left(_)
                | Halt::Told(_)
                | Halt::Barred
                | Halt::TooLate
                | Halt::GaveUp
                | Halt::NotOpened
                | Halt::NoCode(_) => StepName::SignIn,
            };
            if name == StepName::HostKey {
                step(StepName::Network, Duration::ZERO, None);
            }
            return step(name, total, Some(StepFault::of(halt, host, id)));
        };
        let shaken = at.saturating_duration_since(began);
        step(StepName::Network, connected, None);
        step(StepName::HostKey, shaken.saturating_sub(connected), None);
        let rest = total.saturating_sub(shaken);
        match outcome {
            Ok(opened) => {
                step(StepName::SignIn, rest, None);
                self.method = Some(opened.connection.method());
            }
            Err(halt) => {
                let name = if matches!(halt, Halt::Custody(_)) { StepName::Vault } else { StepName::SignIn };
                step(name, rest, Some(StepFault::of(halt, host, id)));
                self.refused = matches!(halt, Halt::Target(TargetError::Refused { .. }));
            }
        }
    }
}

/// The act that has to be on record before a command is run: for which credential, on which host.
pub fn act(credential: &Credential, host: HostId) -> UpkeepAct {
    UpkeepAct { credential: credential.id, host }
}
