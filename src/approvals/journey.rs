//! The life of one proposal, from waiting to its end, in one task: whoever decides asks here, one after the other, and each step
//! is durable before the next one is taken.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::desk::{Entry, Inner, Snapshot};
use super::error::Error;
use super::output::Stream;
use super::owed::{Owed, ending};
use crate::audit::Audited;
use crate::clock::Time;
use crate::model::{Act, ActDigest, Approved, Approver, Event, EventName, Means, Name, Pending, Proposal, Stage};
use crate::sessions::{LiveConnection, Piece, Run, RunEnd};
use crate::store::proposals::{self, Decided, Ended, ProposalRow};

/// How many pieces of output may wait between the session and here.
const PIECES: usize = 16;
/// How often the end of a run is tried to be recorded.
const TRIES: u32 = 5;

/// How soon a clock that was set is noticed.
const TICK: std::time::Duration = std::time::Duration::from_millis(250);

type Told = oneshot::Sender<Result<Snapshot, Error>>;

/// What is asked of a proposal that waits.
#[derive(Debug)]
pub(super) enum Ask {
    /// Approve it.
    Approve {
        /// Who.
        by: Approver,
        /// Their name.
        by_name: Name,
        /// The digest of what they looked at.
        shown: ActDigest,
        /// What they wrote instead.
        edit: Option<Vec<u8>>,
        /// Told how it went.
        told: Told,
    },
    /// Deny it.
    Deny {
        /// Who.
        by: Approver,
        /// Their name.
        by_name: Name,
        /// Why.
        reason: Option<String>,
        /// Told how it went.
        told: Told,
    },
}

/// [`life`] in a task of its own: a panic in it leaves the proposal with an end that is true.
pub(super) async fn guarded(
    desk: Arc<Inner>,
    proposal: Proposal<Pending>,
    entry: Arc<Entry>,
    asks: mpsc::Receiver<Ask>,
    connection: LiveConnection,
    before: Option<watch::Receiver<Snapshot>>,
) {
    let lived = life(Arc::clone(&desk), proposal, Arc::clone(&entry), asks, connection.clone(), before);
    #[allow(clippy::disallowed_methods)] // awaited here, so that a panic is seen
    if let Err(failed) = tokio::spawn(lived).await {
        tracing::error!(target: "keyward::approvals", proposal = %entry.row.id, error = %failed, "a proposal's task failed");
        let from = entry.now.borrow().stage;
        let (to, name) = match from {
            Stage::Pending => (Stage::Expired, EventName::ProposalExpired),
            Stage::Approved => (Stage::Failed, EventName::ProposalFailed),
            _ => (Stage::Interrupted, EventName::ProposalInterrupted),
        };
        let ended = Ended { reason: Some("a defect of the broker ended it".to_owned()), ..Ended::default() };
        Life { desk: &desk, entry: &entry, connection: &connection }.end(from, to, name, ended).await;
    }
}

/// Lives a proposal to its end: decided, started, run, recorded. Whatever happens in between, it gets an end that is true.
async fn life(
    desk: Arc<Inner>,
    proposal: Proposal<Pending>,
    entry: Arc<Entry>,
    mut asks: mpsc::Receiver<Ask>,
    connection: LiveConnection,
    mut before: Option<watch::Receiver<Snapshot>>,
) {
    let life = Life { desk: &desk, entry: &entry, connection: &connection };
    let Some(approved) = life.decided(proposal, &mut asks, &mut before).await else { return };
    // Dropped and not only closed: whoever still asks is answered now, and not when the command has ended.
    drop(asks);
    let Some(approved) = life.turn(approved, &mut before).await else { return };
    life.run(approved).await;
}

/// An event about a proposal, by `actor`. The bytes are in `proposal.proposed` and `proposal.approved`; the digest is in all.
pub(super) fn event(name: EventName, actor: &Name, row: &ProposalRow) -> Event {
    let mut event = Event::new(name, actor.to_string()).session(row.act.session).proposal(row.id);
    event.host = Some(row.host_name.to_string());
    event.host_id = Some(row.act.host);
    let event = event.with("agent", &row.agent_name).with("sha256", row.digest);
    match row.plan {
        Some(plan) => event.with("plan", plan).count("step", u64::from(row.step)),
        None => event,
    }
}

struct Life<'a> {
    desk: &'a Arc<Inner>,
    entry: &'a Arc<Entry>,
    connection: &'a LiveConnection,
}

/// What ends a proposal that waits.
enum Over {
    Ask(Ask),
    Why(&'static str),
}

impl Life<'_> {
    /// Waits until the person decides. `None`: it has its end.
    async fn decided(
        &self,
        mut proposal: Proposal<Pending>,
        asks: &mut mpsc::Receiver<Ask>,
        before: &mut Option<watch::Receiver<Snapshot>>,
    ) -> Option<Proposal<Approved>> {
        loop {
            match self.waited(&proposal, asks, before).await {
                Over::Why(why) => {
                    self.end(
                        Stage::Pending,
                        Stage::Expired,
                        EventName::ProposalExpired,
                        Ended { reason: Some(why.to_owned()), ..Ended::default() },
                    )
                    .await;
                    return None;
                }
                Over::Ask(Ask::Approve { by, by_name, shown, edit, told }) => {
                    let (old, result) = self.approve(proposal, by, by_name, shown, edit).await;
                    match (old, result) {
                        (_, Ok(approved)) => {
                            let _ = told.send(Ok(self.entry.now.borrow().clone()));
                            return Some(approved);
                        }
                        (Some(old), Err(e)) => {
                            let _ = told.send(Err(e));
                            proposal = old;
                        }
                        (None, Err(e)) => {
                            let _ = told.send(Err(e));
                            return None;
                        }
                    }
                }
                Over::Ask(Ask::Deny { by, by_name, reason, told }) => {
                    let result = self.deny(&by, by_name, reason).await;
                    let denied = result.is_ok();
                    let _ = told.send(result);
                    if denied {
                        return None;
                    }
                }
            }
        }
    }

    async fn waited(
        &self,
        proposal: &Proposal<Pending>,
        asks: &mut mpsc::Receiver<Ask>,
        before: &mut Option<watch::Receiver<Snapshot>>,
    ) -> Over {
        tokio::select! {
            biased;
            () = self.connection.over.cancelled() => Over::Why("the person's connection ended"),
            () = self.entry.withdrawn.cancelled() => Over::Why("the agent withdrew it or went away"),
            () = stopped(before) => Over::Why("a step before it did not end with status 0"),
            () = until(&self.desk.parts.clock, proposal.expires_at()) => Over::Why("nobody decided in time"),
            ask = asks.recv() => match ask {
                Some(ask) => Over::Ask(ask),
                None => Over::Why("the broker is stopping"),
            },
        }
    }

    /// Approves; the proof comes back only when it is on the disk. The old state comes back where it still waits.
    async fn approve(
        &self,
        proposal: Proposal<Pending>,
        by: Approver,
        by_name: Name,
        shown: ActDigest,
        edit: Option<Vec<u8>>,
    ) -> (Option<Proposal<Pending>>, Result<Proposal<Approved>, Error>) {
        let id = proposal.id();
        let now = self.desk.parts.clock.now();
        if shown != *proposal.digest() {
            let why = crate::model::NotApproved::OtherDigest;
            return (Some(proposal), Err(Error::NotApproved { id, why }));
        }
        // What the person wrote is theirs: its digest is taken from it, and recorded beside what was proposed.
        let edited = edit.filter(|command| *command != proposal.act().command);
        let original = proposal.act().command.clone();
        let (proposal, shown) = match edited.clone() {
            Some(command) => {
                let proposal = proposal.edited(command);
                let digest = *proposal.digest();
                (proposal, digest)
            }
            None => (proposal, shown),
        };
        let decided = decided(&by, by_name.clone(), now);
        let means = by.means().clone();
        let approved = match proposal.approve(by, &shown, now) {
            Ok(approved) => approved,
            Err((old, why)) => {
                let old = if edited.is_some() { old.edited(original) } else { old };
                return (Some(old), Err(Error::NotApproved { id, why }));
            }
        };
        let (act, digest) = (approved.act().clone(), *approved.digest());
        let mut event = event(EventName::ProposalApproved, &by_name, &self.entry.row)
            .with("means", decided.means)
            .with("sha256", digest)
            .with("command", String::from_utf8_lossy(&act.command));
        if let Some(key) = &decided.signed_by {
            event = event.with("key", key);
        }
        if let Means::Allowance(allowance) = &means {
            event = event.with("allowance", allowance);
        }
        if edited.is_some() {
            event = event.with("proposed_sha256", self.entry.row.digest).with("edited", true);
        }
        let is_edited = edited.is_some();
        let proposed = self.entry.row.clone();
        let written = move |c: &rusqlite::Connection| proposals::approve(c, &proposed, &act, &digest, is_edited, &decided);
        match self.desk.parts.log.commit_with(event, approved, written).await {
            Ok(audited) => {
                self.entry.now.send_modify(|n| {
                    n.stage = Stage::Approved;
                    n.decided_by = Some(by_name);
                    n.edited = edited;
                });
                if let Means::Allowance(allowance) = means {
                    let _ = self.entry.allowed_by.set(allowance);
                    let event =
                        self::event(EventName::AllowanceUsed, &self.entry.row.user_name, &self.entry.row).with("allowance", allowance);
                    if let Err(e) = self.desk.parts.log.record(event).await {
                        self.lose(&format!("its approval could not be recorded: {e}")).await;
                        return (None, Err(e.into()));
                    }
                }
                self.desk.ring(self.entry.row.user);
                (None, Ok(audited.into_inner()))
            }
            Err(e) => {
                // The approved value is gone, and nothing can make another one: it ends here.
                self.lose(&format!("its approval could not be recorded: {e}")).await;
                (None, Err(e.into()))
            }
        }
    }

    async fn deny(&self, by: &Approver, by_name: Name, reason: Option<String>) -> Result<Snapshot, Error> {
        let row = &self.entry.row;
        let decided = decided(by, by_name.clone(), self.desk.parts.clock.now());
        let mut event = event(EventName::ProposalDenied, &by_name, row).with("means", decided.means);
        event = event.denied(reason.as_deref().unwrap_or("no reason given"));
        let (id, why, at) = (row.id, reason.clone(), decided.at);
        let written = move |c: &rusqlite::Connection| proposals::deny(c, id, why.as_deref(), &decided);
        self.desk.parts.log.commit_with(event, (), written).await?.into_inner();
        self.told(|n| {
            n.stage = Stage::Denied;
            n.decided_by = Some(by_name);
            n.reason = reason;
            n.ended_at = Some(at);
        });
        Ok(self.entry.now.borrow().clone())
    }

    /// Waits until the steps before it have ended with status 0. `None`: one has not.
    async fn turn(&self, approved: Proposal<Approved>, before: &mut Option<watch::Receiver<Snapshot>>) -> Option<Proposal<Approved>> {
        let Some(before) = before else { return Some(approved) };
        let why = tokio::select! {
            biased;
            () = self.connection.over.cancelled() => "the person's connection ended before it ran",
            () = self.entry.withdrawn.cancelled() => "the agent withdrew it or went away before it ran",
            ended = before.wait_for(|n| n.stage.is_final()) => match ended {
                Ok(now) if succeeded(&now) => return Some(approved),
                _ => "a step before it did not end with status 0",
            },
        };
        self.end(Stage::Approved, Stage::Failed, EventName::ProposalFailed, Ended { reason: Some(why.to_owned()), ..Ended::default() })
            .await;
        None
    }

    /// Starts it: on record as running first, then on the person's connection; then its end.
    async fn run(&self, approved: Proposal<Approved>) {
        let row = &self.entry.row;
        let at = self.desk.parts.clock.now();
        let failed = |why: String| Ended { reason: Some(why), ..Ended::default() };
        let running = match approved.start() {
            Ok(running) => running,
            Err(why) => {
                self.end(Stage::Approved, Stage::Failed, EventName::ProposalFailed, failed(why.to_string())).await;
                return;
            }
        };
        // From here until it is on record as running nobody takes back what allowed it; what was taken back before starts nothing.
        let taken_back = self.desk.taken_back.read().await;
        if self.entry.allowed_by.get().is_some_and(|allowance| taken_back.holds(row.user, *allowance)) {
            drop(taken_back);
            let why = "what allowed it was taken back".to_owned();
            self.end(Stage::Approved, Stage::Failed, EventName::ProposalFailed, failed(why)).await;
            return;
        }
        let (act, digest): (Act, ActDigest) = (running.act().clone(), *running.digest());
        let event = event(EventName::ProposalRunning, &row.user_name, row).with("sha256", digest);
        let proposed = row.clone();
        let written = move |c: &rusqlite::Connection| proposals::start(c, &proposed, &act, &digest, at);
        let running: Audited<_> = match self.desk.parts.log.commit_with(event, running, written).await {
            Ok(running) => running,
            Err(e) => {
                drop(taken_back);
                self.lose(&format!("it could not be recorded that it runs, so it did not: {e}")).await;
                return;
            }
        };
        drop(taken_back);
        self.told(|n| n.stage = Stage::Running);
        let (output, mut pieces) = mpsc::channel(PIECES);
        let (end, ended) = oneshot::channel();
        let run = Run { proposal: Box::new(running), output, stop: self.entry.withdrawn.clone(), end };
        if self.connection.run(run).is_err() {
            self.end(
                Stage::Running,
                Stage::Failed,
                EventName::ProposalFailed,
                failed("the person's connection ended before it ran".to_owned()),
            )
            .await;
            return;
        }
        while let Some(piece) = pieces.recv().await {
            match piece {
                Piece::Out(data) => self.entry.output.write(Stream::Out, &data),
                Piece::Err(data) => self.entry.output.write(Stream::Err, &data),
            }
        }
        self.entry.output.finish();
        let output = self.entry.output.row();
        let (to, name, ended) = match ended.await {
            Ok(RunEnd::Exited { status, signal }) => {
                let ended = Ended { reason: None, exit_status: status, exit_signal: signal, output };
                (Stage::Executed, EventName::ProposalExecuted, ended)
            }
            Ok(RunEnd::NotBegun(why)) => (Stage::Failed, EventName::ProposalFailed, Ended { output, ..failed(why) }),
            Ok(RunEnd::Cut(why)) => (Stage::Interrupted, EventName::ProposalInterrupted, Ended { output, ..failed(why) }),
            Err(_) => {
                (Stage::Interrupted, EventName::ProposalInterrupted, Ended { output, ..failed("the person's connection ended".to_owned()) })
            }
        };
        self.end(Stage::Running, to, name, ended).await;
    }

    /// Writes an end and tells it. A witness that cannot write is asked again; those who wait learn the truth in any case.
    async fn end(&self, from: Stage, to: Stage, name: EventName, ended: Ended) {
        self.end_from(&[from], to, name, ended).await;
    }

    /// The same, where the row may stand at any of these stages; the first is where it is known to have stood.
    async fn end_from(&self, from: &[Stage], to: Stage, name: EventName, ended: Ended) {
        let row = &self.entry.row;
        let at = self.desk.parts.clock.now();
        let actor = if from.first() == Some(&Stage::Pending) { &row.agent_name } else { &row.user_name };
        let event = ending(event(name, actor, row), &ended);
        let owed = Owed { id: row.id, from: from.to_vec(), to, at, ended: ended.clone(), event };
        let mut written = false;
        for attempt in 1..=TRIES {
            written = owed.write(&self.desk.parts, attempt).await;
            if written {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(200) * attempt).await;
        }
        if !written {
            let parts = self.desk.parts.clone();
            self.desk.runtime.spawn(async move { owed.settle(&parts).await });
        }
        self.told(|n| {
            n.stage = to;
            n.reason = ended.reason;
            n.exit_status = ended.exit_status;
            n.exit_signal = ended.exit_signal;
            n.ended_at = Some(at);
        });
    }

    /// The witness failed in the middle of a step: nothing runs. It may have written all the same, so that the row stands one step
    /// further than is known here.
    async fn lose(&self, why: &str) {
        let from = self.entry.now.borrow().stage;
        let further = if from == Stage::Pending { Stage::Approved } else { Stage::Running };
        let ended = Ended { reason: Some(why.to_owned()), ..Ended::default() };
        self.end_from(&[from, further], Stage::Failed, EventName::ProposalFailed, ended).await;
    }

    fn told(&self, change: impl FnOnce(&mut Snapshot)) {
        self.entry.now.send_modify(change);
        self.desk.ring(self.entry.row.user);
    }
}

fn decided(by: &Approver, by_name: Name, at: Time) -> Decided {
    let (signed_by, signature) = match by.means() {
        Means::SignIn(key) => (Some(key.clone()), None),
        Means::Signature { key, armored } => (Some(key.clone()), Some(armored.clone())),
        Means::Allowance(_) => (None, None),
    };
    Decided { at, by: by_name, means: by.means().as_str(), signed_by, signature }
}

fn succeeded(now: &Snapshot) -> bool {
    now.stage == Stage::Executed && now.exit_status == Some(0) && now.exit_signal.is_none()
}

/// Resolves when a step before has ended in any other way than with status 0.
async fn stopped(before: &mut Option<watch::Receiver<Snapshot>>) {
    let Some(before) = before else { return std::future::pending().await };
    let failed = before.wait_for(|n| n.stage.is_final() && !succeeded(n)).await.is_ok();
    if !failed {
        std::future::pending::<()>().await;
    }
}

/// Sleeps until `deadline`. Wakes now and then, since a clock may be set.
async fn until(clock: &crate::clock::Clock, deadline: Time) {
    loop {
        let left = deadline.since(clock.now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(TICK)).await;
    }
}
