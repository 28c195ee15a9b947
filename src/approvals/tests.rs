//! The desk with a real ledger, witness and vault, and a connection that counts what would run on it.

#![allow(clippy::disallowed_methods)] // a test that loses a task fails by what it waits for

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::audit::Log;
use crate::authz::{Guard, Reach};
use crate::clock::{Clock, Time};
use crate::custody::Custody;
use crate::model::{
    ActDigest, Agent, AgentId, AgentLimits, Approver, CredentialId, Event, EventName, Grant, GrantId, Host, HostId, Means, Name,
    NotApproved, Principal, ProposalId, Role, SessionId, Stage, Subject, User, UserId,
};
use crate::sessions::{Entrance, Piece, Place, Registry, RunEnd, turn_away};
use crate::store::{self, Store, agents, grants, hosts, proposals, users};
use crate::vault::Vault;

const ALICE: [u8; 16] = [1; 16];
const BOB: [u8; 16] = [2; 16];
const HELPER: [u8; 16] = [3; 16];
const WEB: [u8; 16] = [4; 16];
const SESSION: [u8; 16] = [5; 16];

struct World {
    dir: tempfile::TempDir,
    store: Store,
    log: Log,
    custody: Custody,
    guard: Guard,
    clock: Clock,
    sessions: Registry,
    desk: Approvals,
    place: Place,
    reach: watch::Sender<Reach>,
    /// How often each proposal ran, and with which bytes.
    ran: Arc<Mutex<HashMap<ProposalId, Vec<Vec<u8>>>>>,
    host: JoinHandle<()>,
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn alice() -> Approver {
    Approver::of(&Principal::Human(UserId::from(ALICE)), Means::SignIn("SHA256:alice".to_owned())).unwrap()
}

fn draft(command: &str) -> Draft {
    Draft::new(name("web-1"), command.as_bytes().to_vec())
}

impl World {
    async fn new(config: Config, limits: AgentLimits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::simulated(Time::parse("2026-11-24T12:00:00Z").unwrap());
        let store = Store::open(store::Config { path: dir.path().join("k.db"), reserve: 0, patience: Duration::from_secs(10) }).unwrap();
        let vault = Vault::open(&store, crate::vault::Config { root_key: dir.path().join("root.key") }, clock.clone()).await.unwrap();
        let log = Log::new(store.clone(), clock.clone());
        let (guard, sessions) = (Guard::default(), Registry::default());
        let custody = Custody::new(store.clone(), log.clone(), vault, guard.clone(), clock.clone());
        let at = clock.now();
        let _ = log
            .change(move |c| -> Result<((), Vec<Event>), store::Error> {
                for (id, who) in [(ALICE, "alice"), (BOB, "bob")] {
                    users::insert(
                        c,
                        &User { id: id.into(), name: name(who), role: Role::Member, uid: None, disabled: false, created_at: at },
                    )?;
                }
                agents::insert(
                    c,
                    &Agent {
                        id: HELPER.into(),
                        name: name("helper"),
                        owner: ALICE.into(),
                        public_key: None,
                        fingerprint: Some("SHA256:helper".to_owned()),
                        has_token: false,
                        require_signature: false,
                        limits,
                        created_at: at,
                    },
                    None,
                )?;
                hosts::insert(
                    c,
                    &Host {
                        id: WEB.into(),
                        name: name("web-1"),
                        workspace: name("default"),
                        address: "192.0.2.7".parse().unwrap(),
                        tags: Default::default(),
                        trust_first_use: false,
                        host_keys: vec![],
                        via: None,
                        legacy: crate::model::Legacy::default(),
                        created_at: at,
                    },
                )?;
                grants::insert(
                    c,
                    &Grant {
                        id: GrantId::from([9; 16]),
                        workspace: name("default"),
                        to: Subject::User(ALICE.into()),
                        hosts: "web-1".parse().unwrap(),
                        allow: "exec,propose".parse().unwrap(),
                        commands: None,
                        from: None,
                        until: None,
                        between: None,
                        max_session: None,
                        second_factor: false,
                        created_at: at,
                        created_by: name("alice"),
                    },
                )?;
                Ok(((), vec![Event::new(EventName::UserAdded, "keyward")]))
            })
            .await
            .unwrap();
        let desk = desk(&config, &store, &log, &custody, &guard, &clock, &sessions);
        let ran = Arc::new(Mutex::new(HashMap::new()));
        let (place, reach, host) = connect(&sessions, SESSION.into(), at, &ran);
        Self { dir, store, log, custody, guard, clock, sessions, desk, place, reach, ran, host }
    }

    async fn usual() -> Self {
        Self::new(Config::default(), AgentLimits::default()).await
    }

    async fn approve(&self, ticket: &Ticket) -> Result<Decided, Error> {
        self.desk.approve(alice(), name("alice"), ticket.id, ticket.digest, None, None).await
    }

    async fn propose(&self, command: &str) -> Ticket {
        self.desk.propose(HELPER.into(), None, draft(command)).await.unwrap()
    }

    fn ran(&self, id: ProposalId) -> Vec<Vec<u8>> {
        self.ran.lock().unwrap().get(&id).cloned().unwrap_or_default()
    }

    async fn row(&self, id: ProposalId) -> proposals::ProposalRow {
        self.store.read(move |c| proposals::by_id(c, id)).await.unwrap().unwrap()
    }

    async fn events(&self, id: ProposalId) -> Vec<String> {
        let rows = self.store.read(|c| store::audit_log::after(c, 0, 10_000)).await.unwrap();
        let of = |body: &str| serde_json::from_str::<serde_json::Value>(body).unwrap();
        rows.iter()
            .map(|r| of(&r.body))
            .filter(|b| b["proposal"] == id.to_string())
            .map(|b| b["event"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn desk(config: &Config, store: &Store, log: &Log, custody: &Custody, guard: &Guard, clock: &Clock, sessions: &Registry) -> Approvals {
    let parts = Parts {
        store: store.clone(),
        log: log.clone(),
        custody: custody.clone(),
        guard: guard.clone(),
        clock: clock.clone(),
        sessions: sessions.clone(),
    };
    Approvals::new(config.clone(), parts, tokio::runtime::Handle::current())
}

type Ran = Arc<Mutex<HashMap<ProposalId, Vec<Vec<u8>>>>>;

/// Alice's connection: a host that counts. `fail` in a command makes it end with status 1, `hang` waits until it is stopped.
fn connect(sessions: &Registry, id: SessionId, at: Time, ran: &Ran) -> (Place, watch::Sender<Reach>, JoinHandle<()>) {
    let entrance = Entrance {
        id,
        user: ALICE.into(),
        host: HostId::from(WEB),
        host_name: name("web-1"),
        credential: CredentialId::from([8; 16]),
        login: "deploy".parse().unwrap(),
        client: "192.0.2.1:5".to_owned(),
        started_at: at,
    };
    let place = sessions.enter(entrance);
    let (reach, reached) = watch::channel(Reach { actions: "exec,propose".parse().unwrap(), ..Reach::default() });
    let mut runs = place.stands_for_a_test(reached);
    let ran = Arc::clone(ran);
    let host = tokio::spawn(async move {
        while let Some(run) = runs.recv().await {
            let proposal = run.proposal.into_inner();
            let act = proposal.bytes().unwrap().clone();
            ran.lock().unwrap().entry(proposal.id()).or_default().push(act.command.clone());
            tokio::spawn(async move {
                let text = String::from_utf8_lossy(&act.command).into_owned();
                if text.contains("hang") {
                    let _ = run.output.send(Piece::Out(bytes::Bytes::from_static(b"begun\n"))).await;
                    run.stop.cancelled().await;
                    let _ = run.end.send(RunEnd::Cut("stopped".to_owned()));
                    return;
                }
                let _ = run.output.send(Piece::Out(bytes::Bytes::from(format!("ran {text}\n")))).await;
                let status = Some(u32::from(text.contains("fail")));
                let _ = run.end.send(RunEnd::Exited { status, signal: None });
            });
        }
    });
    (place, reach, host)
}

async fn ended(ticket: &Ticket) -> Snapshot {
    let mut now = ticket.now.clone();
    tokio::time::timeout(Duration::from_secs(20), now.wait_for(|n| n.stage.is_final())).await.unwrap().unwrap().clone()
}

async fn reaches(ticket: &Ticket, stage: Stage) {
    let mut now = ticket.now.clone();
    let _ = tokio::time::timeout(Duration::from_secs(20), now.wait_for(|n| n.stage == stage)).await.unwrap().unwrap();
}

/// Waits until the host has it and it has written something.
async fn begins(ticket: &Ticket) {
    let mut changes = ticket.output.changes();
    let wrote = changes.wait_for(|_| ticket.output.tally(Stream::Out).written > 0);
    let _ = tokio::time::timeout(Duration::from_secs(20), wrote).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_approved_runs_once_and_everything_is_on_record() {
    let w = World::usual().await;
    let ticket = w.propose("df -h").await;
    assert_eq!(w.desk.waiting(ALICE.into()), [ticket.id]);
    assert!(w.desk.waiting(BOB.into()).is_empty());
    w.approve(&ticket).await.unwrap();
    let end = ended(&ticket).await;
    assert_eq!((end.stage, end.exit_status), (Stage::Executed, Some(0)));
    assert_eq!(w.ran(ticket.id), [b"df -h"]);
    assert_eq!(ticket.output.read(Stream::Out, 0, 100).bytes, b"ran df -h\n");
    assert_eq!(w.events(ticket.id).await, ["proposal.proposed", "proposal.approved", "proposal.running", "proposal.executed"]);
    // A replay of the approval finds it done.
    assert!(matches!(w.approve(&ticket).await, Err(Error::Decided { stage: Stage::Executed, .. })));
    assert_eq!(w.ran(ticket.id).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn approve_a_run_b_is_not_possible() {
    let w = World::usual().await;
    let (a, b) = (w.propose("df -h").await, w.propose("rm -rf /").await);
    // The digest of one approves nothing of the other.
    let wrong = w.desk.approve(alice(), name("alice"), b.id, a.digest, None, None).await;
    assert!(matches!(wrong, Err(Error::NotApproved { why: NotApproved::OtherDigest, .. })), "{wrong:?}");
    // Whoever writes other bytes into the database gets an error, not a command.
    for (ticket, what) in [(&a, "command"), (&b, "digest")] {
        let (id, column) = (ticket.id, what.to_owned());
        let edit = move |c: &rusqlite::Connection| -> Result<(), store::Error> {
            c.execute(&format!("UPDATE proposals SET {column} = x'6d6b6673' WHERE id = ?1"), [id.to_string()])?;
            Ok(())
        };
        w.store.append(edit).await.unwrap();
        assert!(w.approve(ticket).await.is_err(), "{what}");
        assert_eq!(ended(ticket).await.stage, Stage::Failed);
        assert!(w.ran(ticket.id).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_it_cannot_be_changed_either() {
    let w = World::usual().await;
    for what in ["host_name = 'test-1'", "agent_name = 'other'", "claim = 'harmless'", "step = 2", "user_name = 'bob'"] {
        let ticket = w.propose("df -h").await;
        let id = ticket.id;
        let edit = move |c: &rusqlite::Connection| -> Result<(), store::Error> {
            c.execute(&format!("UPDATE proposals SET {what} WHERE id = ?1"), [id.to_string()])?;
            Ok(())
        };
        w.store.append(edit).await.unwrap();
        // What is shown comes from memory; and a row that says something else approves nothing.
        assert_eq!(w.desk.as_taken(id).unwrap().host_name, name("web-1"));
        assert!(w.approve(&ticket).await.is_err(), "{what}");
        assert_eq!(ended(&ticket).await.stage, Stage::Failed);
        assert!(w.ran(id).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_decides_second_is_answered_at_once() {
    let w = World::usual().await;
    let ticket = w.propose("hang").await;
    let tries: Vec<_> = (0..4)
        .map(|_| {
            let (desk, ticket) = (w.desk.clone(), ticket.clone());
            tokio::spawn(async move { desk.approve(alice(), name("alice"), ticket.id, ticket.digest, None, None).await.is_ok() })
        })
        .collect();
    let mut approved = 0;
    for tried in tries {
        approved += u32::from(tokio::time::timeout(Duration::from_secs(20), tried).await.expect("an answer").unwrap());
    }
    assert_eq!(approved, 1);
    // They were answered while it runs, and not by its end.
    reaches(&ticket, Stage::Running).await;
    w.desk.withdraw(HELPER.into(), ticket.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_removed_in_between_starts_nothing() {
    let w = World::usual().await;
    let ticket = w.propose("df -h").await;
    let removed = w
        .log
        .change(|c| -> Result<((), Vec<Event>), store::Error> {
            agents::remove(c, HELPER.into())?;
            Ok(((), vec![Event::new(EventName::AgentRemoved, "alice")]))
        })
        .await;
    removed.unwrap().into_inner();
    // Nobody has rung yet: the step itself looks.
    assert!(w.approve(&ticket).await.is_err());
    assert!(w.ran(ticket.id).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_own_words_are_no_part_of_what_is_approved() {
    let w = World::usual().await;
    let with = |claim: &str| Draft { claim: Some(claim.to_owned()), ..draft("df -h") };
    let one = w.desk.propose(HELPER.into(), None, with("shows free space")).await.unwrap();
    let other = w.desk.propose(HELPER.into(), None, with("harmless, approved by bob\u{202e}")).await.unwrap();
    assert_eq!(one.digest, other.digest);
    assert!(!w.row(other.id).await.claim.unwrap().contains('\u{202e}'));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_decides_and_nobody_else_sees_it() {
    let w = World::usual().await;
    let ticket = w.propose("df -h").await;
    let bob = Approver::of(&Principal::Human(BOB.into()), Means::SignIn("SHA256:bob".to_owned())).unwrap();
    let tried = w.desk.approve(bob.clone(), name("bob"), ticket.id, ticket.digest, None, None).await;
    assert!(matches!(tried, Err(Error::NoSuch(_))), "{tried:?}");
    assert!(matches!(w.desk.deny(bob, name("bob"), ticket.id, None).await, Err(Error::NoSuch(_))));
    assert!(w.desk.ticket(AgentId::from([77; 16]), ticket.id).is_none());
    assert!(!w.desk.withdraw(AgentId::from([77; 16]), ticket.id));
    assert!(w.desk.output(BOB.into(), ticket.id).is_none());
    assert_eq!(ticket.now.borrow().stage, Stage::Pending);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expiry_is_its_own_outcome() {
    let w = World::usual().await;
    let ticket = w.propose("df -h").await;
    w.clock.advance(w.desk.config().expires);
    // Late by the clock, even if the timer has not woken yet.
    let late = w.approve(&ticket).await;
    assert!(
        matches!(late, Err(Error::NotApproved { why: NotApproved::Expired, .. } | Error::Decided { stage: Stage::Expired, .. })),
        "{late:?}"
    );
    let end = ended(&ticket).await;
    assert_eq!((end.stage, end.decided_by), (Stage::Expired, None));
    assert_eq!(w.events(ticket.id).await, ["proposal.proposed", "proposal.expired"]);
    assert!(w.ran(ticket.id).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_person_leaves_and_everything_on_their_connection_ends() {
    let w = World::usual().await;
    let (waits, runs) = (w.propose("df -h").await, w.propose("hang").await);
    w.approve(&runs).await.unwrap();
    begins(&runs).await;
    w.place.falls_for_a_test();
    w.host.abort();
    assert_eq!(ended(&waits).await.stage, Stage::Expired);
    // The host of this test goes on by itself; the agent's side is told to stop.
    w.desk.withdraw(HELPER.into(), runs.id);
    assert_eq!(ended(&runs).await.stage, Stage::Interrupted);
    let again = w.desk.propose(HELPER.into(), None, draft("df -h")).await;
    assert!(matches!(again, Err(Error::NoConnection { .. })), "{again:?}");
    assert_eq!(w.desk.wanted(ALICE.into()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_connection_took_up_has_not_begun() {
    // The connection falls while the command waits for it.
    let w = World::usual().await;
    let runs = w.place.stands_for_a_test(w.reach.subscribe());
    let ticket = w.propose("df -h").await;
    w.approve(&ticket).await.unwrap();
    let handed_over = async {
        while runs.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), handed_over).await.unwrap();
    w.place.falls_for_a_test();
    turn_away(runs).await;
    let end = ended(&ticket).await;
    assert_eq!((end.stage, end.reason.as_deref()), (Stage::Failed, Some("the person's connection ended before it ran")));
    // And before it is handed over.
    let w = World::usual().await;
    let runs = w.place.stands_for_a_test(w.reach.subscribe());
    let ticket = w.propose("df -h").await;
    turn_away(runs).await;
    w.approve(&ticket).await.unwrap();
    let end = ended(&ticket).await;
    assert_eq!((end.stage, end.reason.as_deref()), (Stage::Failed, Some("the person's connection ended before it ran")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_command_runs_as_it_was_written_and_the_agent_learns_it() {
    let w = World::usual().await;
    let ticket = w.propose("rm -rf /srv/old").await;
    let edit = Some(b"ls /srv/old".to_vec());
    w.desk.approve(alice(), name("alice"), ticket.id, ticket.digest, edit.clone(), None).await.unwrap();
    let end = ended(&ticket).await;
    assert_eq!((end.stage, end.edited), (Stage::Executed, edit));
    assert_eq!(w.ran(ticket.id), [b"ls /srv/old"]);
    let row = w.row(ticket.id).await;
    assert_eq!(row.proposed_command.as_deref(), Some(&b"rm -rf /srv/old"[..]));
    assert_eq!(row.act.digest(), row.digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_step_stops_the_plan() {
    let w = World::usual().await;
    let drafts = || vec![draft("echo one"), draft("fail two"), draft("echo three"), draft("echo four")];
    let plan = w.desk.propose_plan(HELPER.into(), None, drafts()).await.unwrap();
    let (ids, digest) = w.desk.plan(ALICE.into(), plan.id).unwrap();
    assert_eq!(ids, plan.steps.iter().map(|t| t.id).collect::<Vec<_>>());
    let wrong = w.desk.approve_plan(alice(), name("alice"), plan.id, ActDigest::from([0; 32])).await;
    assert!(matches!(wrong, Err(Error::NotApproved { .. })));
    assert_eq!(w.desk.approve_plan(alice(), name("alice"), plan.id, digest).await.unwrap().len(), 4);
    let stages: Vec<Stage> = futures_of(&plan).await;
    assert_eq!(stages, [Stage::Executed, Stage::Executed, Stage::Failed, Stage::Failed]);
    assert!(w.ran(plan.steps[2].id).is_empty() && w.ran(plan.steps[3].id).is_empty());
    // One by one, in any order: a step that is approved waits for those before it; one that is denied stops the rest.
    let plan = w.desk.propose_plan(HELPER.into(), None, drafts()).await.unwrap();
    w.approve(&plan.steps[3]).await.unwrap();
    assert!(w.ran(plan.steps[3].id).is_empty());
    w.approve(&plan.steps[0]).await.unwrap();
    assert_eq!(ended(&plan.steps[0]).await.stage, Stage::Executed);
    w.desk.deny(alice(), name("alice"), plan.steps[1].id, None).await.unwrap();
    let stages: Vec<Stage> = futures_of(&plan).await;
    assert_eq!(stages, [Stage::Executed, Stage::Denied, Stage::Expired, Stage::Failed]);
    assert!(w.ran(plan.steps[3].id).is_empty());
}

async fn futures_of(plan: &PlanTicket) -> Vec<Stage> {
    let mut stages = Vec::new();
    for step in &plan.steps {
        stages.push(ended(step).await.stage);
    }
    stages
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_again_are_an_explicit_act_that_runs_out() {
    let w = World::usual().await;
    let first = w.propose("df -h").await;
    let again = |times, secs| Some(Again { times, within: Duration::from_secs(secs) });
    for bad in [again(0, 60), again(1, 0), again(w.desk.config().again + 1, 60), again(1, 365 * 24 * 3600)] {
        let tried = w.desk.approve(alice(), name("alice"), first.id, first.digest, None, bad).await;
        assert!(matches!(tried, Err(Error::Allowance(_))), "{tried:?}");
    }
    let decided = w.desk.approve(alice(), name("alice"), first.id, first.digest, None, again(2, 60)).await.unwrap();
    assert!(decided.allowance.is_some());
    assert_eq!(ended(&first).await.stage, Stage::Executed);
    let other = w.propose("df  -h").await;
    let mut used = Vec::new();
    for left in [1, 0] {
        let ticket = w.propose("df -h").await;
        assert_eq!(ended(&ticket).await.stage, Stage::Executed);
        assert!(w.events(ticket.id).await.contains(&"allowance.used".to_owned()));
        assert_eq!(w.row(ticket.id).await.means.as_deref(), Some("allowance"));
        assert_eq!(w.desk.allowances(ALICE.into()).first().map_or(0, |a| a.left), left);
        used.push(ticket);
    }
    let third = w.propose("df -h").await;
    // Denied by hand: what had been approved by itself could not be.
    w.desk.deny(alice(), name("alice"), other.id, None).await.unwrap();
    assert!(!w.events(third.id).await.contains(&"allowance.used".to_owned()), "used up");
    // Taken back, and over with time.
    let decided = w.desk.approve(alice(), name("alice"), third.id, third.digest, None, again(5, 60)).await.unwrap();
    w.desk.revoke(ALICE.into(), name("alice"), decided.allowance.unwrap()).await.unwrap();
    let fourth = w.propose("df -h").await;
    w.desk.approve(alice(), name("alice"), fourth.id, fourth.digest, None, again(5, 60)).await.unwrap();
    w.clock.advance(Duration::from_secs(60));
    assert!(w.desk.allowances(ALICE.into()).is_empty());
    let late = w.propose("df -h").await;
    w.desk.deny(alice(), name("alice"), late.id, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_back_starts_nothing_that_it_has_approved_before() {
    let w = World::usual().await;
    let first = w.propose("df -h").await;
    let again = Some(Again { times: 2, within: Duration::from_secs(60) });
    let decided = w.desk.approve(alice(), name("alice"), first.id, first.digest, None, again).await.unwrap();
    let allowance = decided.allowance.unwrap();
    ended(&first).await;
    // Between its approval and its start: what takes the allowance back waits for neither, and counts.
    let mut starting = w.desk.0.taken_back.write().await;
    let second = w.propose("df -h").await;
    reaches(&second, Stage::Approved).await;
    starting.note(ALICE.into(), allowance);
    drop(starting);
    let end = ended(&second).await;
    assert_eq!((end.stage, end.reason.as_deref()), (Stage::Failed, Some("what allowed it was taken back")));
    assert!(w.ran(second.id).is_empty());
    assert_eq!(w.row(second.id).await.stage, Stage::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_while_they_take_something_back_takes_it_back_or_does_not() {
    let w = World::usual().await;
    let first = w.propose("df -h").await;
    let again = Some(Again { times: 2, within: Duration::from_secs(60) });
    let decided = w.desk.approve(alice(), name("alice"), first.id, first.digest, None, again).await.unwrap();
    let allowance = decided.allowance.unwrap();
    ended(&first).await;
    // Something is being started just now, which taking back waits for.
    let starting = w.desk.0.taken_back.read().await;
    {
        let mut leaves = Box::pin(w.desk.revoke(ALICE.into(), name("alice"), allowance));
        std::future::poll_fn(|cx| {
            assert!(leaves.as_mut().poll(cx).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
    }
    drop(starting);
    assert_eq!(w.desk.allowances(ALICE.into()).len(), 1, "it is there still, to be taken back");
    assert_eq!(w.desk.revoke(ALICE.into(), name("alice"), allowance).await.unwrap().left, 2);
    assert!(w.desk.0.taken_back.read().await.holds(ALICE.into(), allowance));
    assert!(matches!(w.desk.revoke(ALICE.into(), name("alice"), allowance).await, Err(Error::NoSuch(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_record_as_allowed_is_allowed_though_whoever_allowed_it_has_left() {
    let w = World::usual().await;
    let again = Some(Again { times: 2, within: Duration::from_secs(60) });
    let mut given = 0;
    // More than once: the writer may have been faster than whoever leaves.
    for steps in (1..10).cycle().take(27) {
        let ticket = w.propose("df -h").await;
        {
            let mut leaves = Box::pin(w.desk.approve(alice(), name("alice"), ticket.id, ticket.digest, None, again));
            let mut done = 0;
            std::future::poll_fn(|cx| {
                done += 1;
                let ready = leaves.as_mut().poll(cx).is_ready();
                if ready || done >= steps { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
            })
            .await;
        }
        w.store.checkpoint().await.unwrap();
        let recorded = w.events(ticket.id).await.contains(&"allowance.given".to_owned());
        let allowed = w.desk.allowances(ALICE.into());
        assert_eq!(allowed.len(), usize::from(recorded), "after {steps} steps");
        for allowance in allowed {
            w.desk.revoke(ALICE.into(), name("alice"), allowance.id).await.unwrap();
            given += 1;
        }
        ended(&ticket).await;
        w.clock.advance(Duration::from_secs(10));
    }
    assert!(given > 0, "nothing was ever allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_came_through_unseen_leaves_no_row_without_an_end() {
    let w = World::usual().await;
    for stands in ["approved", "running"] {
        let ticket = w.propose("df -h").await;
        let id = ticket.id;
        // Of what is approved the write of the start is lost, of what waits that of the approval.
        let starting = w.desk.0.taken_back.write().await;
        if stands == "running" {
            w.approve(&ticket).await.unwrap();
        }
        let edit = move |c: &rusqlite::Connection| -> Result<(), store::Error> {
            c.execute("UPDATE proposals SET stage = ?2 WHERE id = ?1", rusqlite::params![id, stands])?;
            Ok(())
        };
        w.store.append(edit).await.unwrap();
        drop(starting);
        if stands == "approved" {
            assert!(w.approve(&ticket).await.is_err());
        }
        assert_eq!(ended(&ticket).await.stage, Stage::Failed, "{stands}");
        assert!(w.ran(ticket.id).is_empty(), "{stands}");
        assert_eq!(w.row(ticket.id).await.stage, Stage::Failed, "{stands}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_have_names() {
    let w = World::new(Config { pending_per_person: 3, ..Config::default() }, AgentLimits { pending: 2, per_minute: 4, output: 4 }).await;
    let (one, _two) = (w.propose("echo 1").await, w.propose("echo 2").await);
    let third = w.desk.propose(HELPER.into(), None, draft("echo 3")).await;
    assert!(matches!(&third, Err(Error::Limit(why)) if why.contains("of this agent may wait")), "{third:?}");
    w.approve(&one).await.unwrap();
    assert_eq!(ended(&one).await.stage, Stage::Executed);
    assert_eq!(one.output.tally(Stream::Out), Tally { written: 11, kept: 4, left_out: 7, masked: 0 });
    let four = w.propose("echo 4").await;
    let plan = w.desk.propose_plan(HELPER.into(), None, vec![draft("a"), draft("b")]).await;
    assert!(matches!(plan, Err(Error::Limit(_))));
    assert!(w.desk.withdraw(HELPER.into(), four.id));
    assert_eq!(ended(&four).await.stage, Stage::Expired);
    let five = w.propose("echo 5").await;
    w.desk.withdraw(HELPER.into(), five.id);
    assert_eq!(ended(&five).await.stage, Stage::Expired);
    let often = w.desk.propose(HELPER.into(), None, draft("echo 6")).await;
    assert!(matches!(&often, Err(Error::Limit(why)) if why.contains("in a minute")), "{often:?}");
    w.clock.advance(Duration::from_secs(60));
    w.propose("echo 7").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_grant_and_a_removed_agent_count_at_once() {
    let w = World::usual().await;
    let stop = tokio_util::sync::CancellationToken::new();
    let watching = tokio::spawn({
        let (desk, stop) = (w.desk.clone(), stop.clone());
        async move { desk.watch(stop).await }
    });
    w.reach.send_replace(Reach { actions: "exec".parse().unwrap(), ..Reach::default() });
    let tried = w.desk.propose(HELPER.into(), None, draft("df -h")).await;
    assert!(matches!(tried, Err(Error::NotGranted { .. })), "{tried:?}");
    w.reach.send_replace(Reach { actions: "exec,propose".parse().unwrap(), commands: Some(vec!["df -h".to_owned()]), ..Reach::default() });
    let ticket = w.propose("df -h").await;
    assert!(matches!(w.desk.propose(HELPER.into(), None, draft("df")).await, Err(Error::NotGranted { .. })));
    let removed = w
        .log
        .change(|c| -> Result<((), Vec<Event>), store::Error> {
            agents::remove(c, HELPER.into())?;
            Ok(((), vec![Event::new(EventName::AgentRemoved, "alice")]))
        })
        .await;
    removed.unwrap().into_inner();
    // The watcher may not listen yet: it is rung until it hears.
    let rings = async {
        loop {
            w.guard.bell()(&());
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = rings => {}
        end = ended(&ticket) => assert_eq!(end.stage, Stage::Expired),
    }
    assert!(matches!(w.desk.propose(HELPER.into(), None, draft("df -h")).await, Err(Error::NoAgent)));
    stop.cancel();
    watching.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_died_leaves_honest_ends() {
    let w = World::usual().await;
    let pending = w.propose("echo waits").await;
    let plan = w.desk.propose_plan(HELPER.into(), None, vec![draft("hang"), draft("echo approved")]).await.unwrap();
    w.approve(&plan.steps[1]).await.unwrap();
    w.approve(&plan.steps[0]).await.unwrap();
    reaches(&plan.steps[0], Stage::Running).await;
    // What a daemon finds that starts on the rows as they are now.
    let copy = w.dir.path().join("copy.db");
    let to = copy.display().to_string();
    w.store.checkpoint().await.unwrap();
    std::fs::copy(w.store.path(), &to).unwrap();
    let store = Store::open(store::Config { path: copy, reserve: 0, patience: Duration::from_secs(10) }).unwrap();
    let log = Log::new(store.clone(), w.clock.clone());
    assert_eq!(settle_left_behind(&store, &log, &w.clock).await.unwrap(), 3);
    for (id, stage) in [(pending.id, Stage::Expired), (plan.steps[0].id, Stage::Interrupted), (plan.steps[1].id, Stage::Failed)] {
        let row = store.read(move |c| proposals::by_id(c, id)).await.unwrap().unwrap();
        assert_eq!(row.stage, stage);
        assert!(row.ended_at.is_some() && row.reason.is_some());
    }
    assert_eq!(settle_left_behind(&store, &log, &w.clock).await.unwrap(), 0);
}

/// What somebody does to a proposal.
#[derive(Clone, Copy, Debug)]
enum Doing {
    Approve,
    ApproveEdited,
    Deny,
    Withdraw,
    Expire,
    Fall,
    /// The daemon dies: everything in memory is lost, and a new one starts on the same rows.
    Crash,
}

fn doing() -> impl Strategy<Value = Doing> {
    prop_oneof![
        4 => Just(Doing::Approve),
        1 => Just(Doing::ApproveEdited),
        1 => Just(Doing::Deny),
        1 => Just(Doing::Withdraw),
        1 => Just(Doing::Expire),
        1 => Just(Doing::Fall),
        1 => Just(Doing::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Two approvers, a denial, the agent, the clock, the connection and a crash, all at once and in any order: at most once, and
    /// never without its entries.
    #[test]
    fn any_interleaving_runs_a_proposal_at_most_once(doings in proptest::collection::vec((doing(), 0u8..4), 2..8)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let w = World::usual().await;
            let ticket = w.propose("echo once").await;
            let mut tasks = Vec::new();
            for (doing, yields) in doings {
                let (desk, clock, ticket, place) = (w.desk.clone(), w.clock.clone(), ticket.clone(), &w.place);
                for _ in 0..yields {
                    tokio::task::yield_now().await;
                }
                match doing {
                    Doing::Fall => place.falls_for_a_test(),
                    Doing::Expire => clock.advance(desk.config().expires),
                    Doing::Withdraw => { desk.withdraw(HELPER.into(), ticket.id); }
                    Doing::Crash => {
                        // Harder than a crash: the old desk goes on, and the rows are settled under it. One of the two finds
                        // its step taken.
                        let _ = settle_left_behind(&w.store, &w.log, &w.clock).await;
                        let after = self::desk(desk.config(), &w.store, &w.log, &w.custody, &w.guard, &w.clock, &w.sessions);
                        let replay = after.approve(alice(), name("alice"), ticket.id, ticket.digest, None, None).await;
                        assert!(replay.is_err(), "a new daemon knows no proposal of an old one");
                    }
                    Doing::Deny => tasks.push(tokio::spawn(async move { drop(desk.deny(alice(), name("alice"), ticket.id, None).await) })),
                    Doing::Approve | Doing::ApproveEdited => tasks.push(tokio::spawn(async move {
                        let edit = matches!(doing, Doing::ApproveEdited).then(|| b"echo edited".to_vec());
                        drop(desk.approve(alice(), name("alice"), ticket.id, ticket.digest, edit, None).await);
                    })),
                }
            }
            for task in tasks {
                task.await.unwrap();
            }
            w.place.falls_for_a_test();
            let end = ended(&ticket).await;
            let (ran, events) = (w.ran(ticket.id), w.events(ticket.id).await);
            let count = |name: &str| events.iter().filter(|e| *e == name).count();
            prop_assert!(ran.len() <= 1, "{ran:?}");
            prop_assert!(ran.len() <= count("proposal.running"), "it ran without its entry: {events:?}");
            prop_assert!(count("proposal.running") <= count("proposal.approved"), "{events:?}");
            prop_assert!(count("proposal.approved") <= 1, "{events:?}");
            prop_assert_eq!(!ran.is_empty(), matches!(end.stage, Stage::Executed | Stage::Interrupted) && count("proposal.running") == 1);
            let row = w.row(ticket.id).await;
            prop_assert!(row.stage.is_final());
            if ran.is_empty() {
                prop_assert!(!matches!(row.stage, Stage::Executed), "{row:?}");
            }
            Ok(())
        })?;
    }
}
