//! The desk: who may propose what, who decides, and what everybody can look up. The bytes that run live here, in memory, from
//! the proposal to its end; the store only says which step was taken.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::allowance::{Again, Allowance};
use super::draft::{CLAIM, Draft};
use super::error::Error;
use super::journey::{self, Ask};
use super::output::Output;
use super::wanted::{Wanted, Wishes};
use crate::audit::Log;
use crate::authz::{self, Facts, Guard};
use crate::clock::{Clock, Time};
use crate::custody::Custody;
use crate::model::{
    Act, ActDigest, Action, Agent, AgentId, AllowanceId, Approver, DEFAULT_WORKSPACE, Event, EventName, Host, Means, Name, PlanId, Principal,
    Proposal, ProposalId, SessionId, Stage, User, UserId, printable,
};
use crate::sessions::{Live, LiveConnection, Registry, is_granted};
use crate::store::proposals::{self, ProposalRow};
use crate::store::{self, Store, agents, grants, hosts, users};

/// Limits, each a key of `[approvals]` in `broker.toml`.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long a proposal waits for its person.
    pub expires: Duration,
    /// How long a command may run if the agent does not say.
    pub timeout: Duration,
    /// The longest that it may say.
    pub longest: Duration,
    /// The longest command, in bytes.
    pub command: usize,
    /// The longest standard input, in bytes.
    pub stdin: usize,
    /// The most steps of a plan.
    pub steps: usize,
    /// Proposals that may wait for one person at once.
    pub pending_per_person: usize,
    /// How long output can be read after a command has ended.
    pub keep: Duration,
    /// How much output of ended commands is kept, in bytes.
    pub keep_bytes: u64,
    /// The most times in one allowance.
    pub again: u32,
    /// The longest allowance.
    pub again_within: Duration,
    /// Whether every approval needs a signature.
    pub require_signature: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            expires: Duration::from_secs(600),
            timeout: Duration::from_secs(600),
            longest: Duration::from_secs(24 * 3600),
            command: 64 * 1024,
            stdin: 256 * 1024,
            steps: 32,
            pending_per_person: 64,
            keep: Duration::from_secs(900),
            keep_bytes: 64 * 1024 * 1024,
            again: 100,
            again_within: Duration::from_secs(8 * 3600),
            require_signature: false,
        }
    }
}

/// The rooms that the desk works with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The ledger.
    pub store: Store,
    /// The witness.
    pub log: Log,
    /// Verifies that the ledger is what the broker wrote.
    pub custody: Custody,
    /// Rings when what is in force changes.
    pub guard: Guard,
    /// The time.
    pub clock: Clock,
    /// The living sessions.
    pub sessions: Registry,
}

/// Where a proposal stands, for whoever watches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The stage.
    pub stage: Stage,
    /// Why, where there is something to say.
    pub reason: Option<String>,
    /// Who decided.
    pub decided_by: Option<Name>,
    /// The command that the person wrote instead, if they did.
    pub edited: Option<Vec<u8>>,
    /// The command's exit status.
    pub exit_status: Option<u32>,
    /// The signal that ended it.
    pub exit_signal: Option<String>,
    /// When it ended.
    pub ended_at: Option<Time>,
}

impl Snapshot {
    fn pending() -> Self {
        Self { stage: Stage::Pending, reason: None, decided_by: None, edited: None, exit_status: None, exit_signal: None, ended_at: None }
    }
}

/// A proposal while it is in memory.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) row: ProposalRow,
    pub(super) needs_signature: bool,
    pub(super) asks: mpsc::Sender<Ask>,
    pub(super) now: watch::Sender<Snapshot>,
    pub(super) output: Arc<Output>,
    /// The agent withdrew it, or is gone.
    pub(super) withdrawn: CancellationToken,
}

impl Entry {
    fn stage(&self) -> Stage {
        self.now.borrow().stage
    }
}

/// What an agent holds of its proposal.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// Its id.
    pub id: ProposalId,
    /// The digest of what was proposed.
    pub digest: ActDigest,
    /// On which host.
    pub host: Name,
    /// Who decides.
    pub person: Name,
    /// Until when it can be decided.
    pub expires_at: Time,
    /// Where it stands.
    pub now: watch::Receiver<Snapshot>,
    /// What it writes.
    pub output: Arc<Output>,
}

/// A plan's tickets.
#[derive(Clone, Debug)]
pub struct PlanTicket {
    /// Its id.
    pub id: PlanId,
    /// Its steps, in order.
    pub steps: Vec<Ticket>,
}

/// What a decision came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// Where the proposal stands now.
    pub now: Snapshot,
    /// What was allowed besides.
    pub allowance: Option<AllowanceId>,
}

/// The desk. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Approvals(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) config: Config,
    pub(super) parts: Parts,
    runtime: Handle,
    entries: Mutex<HashMap<ProposalId, Arc<Entry>>>,
    recent: Mutex<HashMap<AgentId, VecDeque<Time>>>,
    allowances: Mutex<Vec<Allowance>>,
    wishes: Mutex<Wishes>,
    inboxes: Mutex<HashMap<UserId, watch::Sender<u64>>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Approvals").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What the store knows of an agent: itself, and its person if they may sign in.
struct Known {
    agent: Agent,
    person: User,
}

impl Approvals {
    /// A desk. `runtime` carries the proposals: they outlive the connection of whoever proposed them.
    pub fn new(config: Config, parts: Parts, runtime: Handle) -> Self {
        Self(Arc::new(Inner {
            config,
            parts,
            runtime,
            entries: Mutex::default(),
            recent: Mutex::default(),
            allowances: Mutex::default(),
            wishes: Mutex::default(),
            inboxes: Mutex::default(),
        }))
    }

    /// The limits.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Takes a proposal. It waits on its own from here on; the ticket tells how it goes.
    ///
    /// # Errors
    /// Why it was not taken; then nothing waits.
    pub async fn propose(&self, agent: AgentId, from: Option<SocketAddr>, draft: Draft) -> Result<Ticket, Error> {
        let plan = self.propose_all(agent, from, vec![draft], None).await?;
        plan.into_iter().next().ok_or(Error::Closing)
    }

    /// Takes several that run one after the other, each only if the one before ended with status 0.
    ///
    /// # Errors
    /// As [`Approvals::propose`]; then none of them waits.
    pub async fn propose_plan(&self, agent: AgentId, from: Option<SocketAddr>, drafts: Vec<Draft>) -> Result<PlanTicket, Error> {
        let most = self.0.config.steps;
        if drafts.is_empty() {
            return Err(Error::Unfit("a plan has at least one step"));
        }
        if drafts.len() > most {
            return Err(Error::TooLong { what: "plan", length: drafts.len(), most });
        }
        let id = self.0.parts.clock.fresh();
        Ok(PlanTicket { id, steps: self.propose_all(agent, from, drafts, Some(id)).await? })
    }

    async fn propose_all(
        &self,
        agent: AgentId,
        from: Option<SocketAddr>,
        drafts: Vec<Draft>,
        plan: Option<PlanId>,
    ) -> Result<Vec<Ticket>, Error> {
        let inner = &self.0;
        inner.parts.custody.verify().await?;
        let known = inner.known(agent).await?;
        let taken = inner.take(&known, drafts, plan).await;
        if let Err(why) = &taken {
            inner.refused(&known, from, why).await;
        }
        taken
    }

    /// The proposals of an agent that are in memory, oldest first.
    pub fn of_agent(&self, agent: AgentId) -> Vec<Ticket> {
        let mut all: Vec<Ticket> = self.0.all(|e| e.row.act.agent == agent).iter().map(|e| ticket(e)).collect();
        all.sort_by_key(|t| t.id);
        all
    }

    /// One of an agent's proposals; only its own.
    pub fn ticket(&self, agent: AgentId, id: ProposalId) -> Option<Ticket> {
        self.0.entry(id).filter(|e| e.row.act.agent == agent).map(|e| ticket(&e))
    }

    /// The output of a person's proposal, while it is kept.
    pub fn output(&self, person: UserId, id: ProposalId) -> Option<Arc<Output>> {
        self.0.entry(id).filter(|e| e.row.user == person).map(|e| Arc::clone(&e.output))
    }

    /// The agent does not want it any more: what waits expires, what runs is ended.
    pub fn withdraw(&self, agent: AgentId, id: ProposalId) -> bool {
        let found = self.0.entry(id).filter(|e| e.row.act.agent == agent && !e.stage().is_final());
        if let Some(entry) = &found {
            entry.withdrawn.cancel();
        }
        found.is_some()
    }

    /// The hosts on which an agent may propose, each with the connections of its person.
    ///
    /// # Errors
    /// [`Error::NoAgent`], the store's.
    pub async fn hosts(&self, agent: AgentId) -> Result<Vec<(Host, Vec<Live>)>, Error> {
        let inner = &self.0;
        inner.parts.custody.verify().await?;
        let known = inner.known(agent).await?;
        let person = known.person.clone();
        let workspace = workspace()?;
        let now = inner.parts.clock.now();
        let all: Vec<(Host, bool)> = inner
            .parts
            .store
            .read(move |c| -> Result<_, store::Error> {
                let grants = grants::all(c, &workspace)?;
                let groups = users::groups_of(c, person.id)?;
                Ok(hosts::all(c, &workspace)?
                    .into_iter()
                    .map(|host| {
                        let facts = Facts { user: person.clone(), groups: groups.clone(), host, grants: grants.clone() };
                        let may = may_propose(&facts, now);
                        (facts.host, may)
                    })
                    .collect())
            })
            .await?;
        let live = inner.connections(known.person.id);
        Ok(all
            .into_iter()
            .filter(|(_, may)| *may)
            .map(|(host, _)| {
                let there = live.iter().filter(|l| l.host == host.id && proposes(l)).cloned().collect();
                (host, there)
            })
            .collect())
    }

    /// Approves exactly the bytes with this digest, or those that the person wrote instead, and lets them run.
    ///
    /// # Errors
    /// Why not; then it waits as before, unless the error says otherwise.
    pub async fn approve(
        &self,
        by: Approver,
        by_name: Name,
        id: ProposalId,
        shown: ActDigest,
        edit: Option<Vec<u8>>,
        again: Option<Again>,
    ) -> Result<Decided, Error> {
        let entry = self.0.for_person(id, by.user())?;
        if let Some(again) = again {
            let config = &self.0.config;
            if again.times == 0 || again.times > config.again || again.within.is_zero() || again.within > config.again_within {
                return Err(Error::Allowance(format!(
                    "the same bytes can be allowed again 1 to {} times, for at most {} minutes",
                    config.again,
                    config.again_within.as_secs() / 60
                )));
            }
        }
        let signed = matches!(by.means(), Means::Signature { .. });
        if entry.needs_signature && !signed {
            return Err(Error::SignatureNeeded(id));
        }
        if let Some(command) = &edit {
            Draft::new(entry.row.host_name.clone(), command.clone()).check(&self.0.config)?;
        }
        let person = by.user();
        let now = ask(&entry, |told| Ask::Approve { by, by_name: by_name.clone(), shown, edit: edit.clone(), told }).await?;
        let allowance = match again {
            Some(again) => {
                let command = edit.unwrap_or_else(|| entry.row.act.command.clone());
                Some(self.0.allow(&entry, person, &by_name, command, again, signed).await?)
            }
            None => None,
        };
        Ok(Decided { now, allowance })
    }

    /// Denies a proposal; the agent reads the reason.
    ///
    /// # Errors
    /// Why not; then it waits as before.
    pub async fn deny(&self, by: Approver, by_name: Name, id: ProposalId, reason: Option<String>) -> Result<Decided, Error> {
        let entry = self.0.for_person(id, by.user())?;
        let reason = reason.map(|r| printable(&r, CLAIM));
        let now = ask(&entry, |told| Ask::Deny { by, by_name, reason, told }).await?;
        Ok(Decided { now, allowance: None })
    }

    /// The steps of a plan that are in memory, in order, and the digest over all of them.
    pub fn plan(&self, person: UserId, plan: PlanId) -> Option<(Vec<ProposalId>, ActDigest)> {
        let mut steps = self.0.all(|e| e.row.plan == Some(plan) && e.row.user == person);
        steps.sort_by_key(|e| e.row.step);
        (!steps.is_empty()).then(|| (steps.iter().map(|e| e.row.id).collect(), plan_digest(steps.iter().map(|e| &e.row.digest))))
    }

    /// Approves every step of a plan whose end was shown, in order.
    ///
    /// # Errors
    /// The first reason why not; the steps before it stay approved.
    pub async fn approve_plan(&self, by: Approver, by_name: Name, plan: PlanId, shown: ActDigest) -> Result<Vec<Decided>, Error> {
        let (steps, digest) = self.plan(by.user(), plan).ok_or_else(|| Error::NoSuch(plan.to_string()))?;
        let first = steps.first().copied().ok_or_else(|| Error::NoSuch(plan.to_string()))?;
        if digest != shown {
            return Err(Error::NotApproved { id: first, why: crate::model::NotApproved::OtherDigest });
        }
        let mut decided = Vec::new();
        for id in steps {
            let digest = self.0.for_person(id, by.user())?.row.digest;
            decided.push(self.approve(by.clone(), by_name.clone(), id, digest, None, None).await?);
        }
        Ok(decided)
    }

    /// A proposal as it waits for its person.
    pub fn waiting(&self, person: UserId) -> Vec<ProposalId> {
        let mut all: Vec<ProposalId> =
            self.0.all(|e| e.row.user == person && e.stage() == Stage::Pending).iter().map(|e| e.row.id).collect();
        all.sort_unstable();
        all
    }

    /// How many wait for anybody.
    pub fn pending(&self) -> usize {
        self.0.all(|e| e.stage() == Stage::Pending).len()
    }

    /// Changes whenever something in this person's inbox does.
    pub fn inbox(&self, person: UserId) -> watch::Receiver<u64> {
        self.0.bell(person).subscribe()
    }

    /// The hosts to which agents of this person would like a connection.
    pub fn wanted(&self, person: UserId) -> Vec<Wanted> {
        let now = self.0.parts.clock.now();
        self.0.wishes.lock().map_or_else(|_| Vec::new(), |mut w| w.of(person, now))
    }

    /// Whether a proposal needs a signature.
    pub fn needs_signature(&self, id: ProposalId) -> bool {
        self.0.entry(id).is_some_and(|e| e.needs_signature)
    }

    /// What a person has allowed and is still good.
    pub fn allowances(&self, person: UserId) -> Vec<Allowance> {
        self.0.living_allowances().into_iter().filter(|a| a.person == person).collect()
    }

    /// Takes an allowance back.
    ///
    /// # Errors
    /// [`Error::NoSuch`]; the witness's, and then it is gone all the same.
    pub async fn revoke(&self, person: UserId, by_name: Name, id: AllowanceId) -> Result<Allowance, Error> {
        let found = self
            .0
            .allowances
            .lock()
            .ok()
            .and_then(|mut all| all.iter().position(|a| a.id == id && a.person == person).map(|at| all.remove(at)))
            .ok_or_else(|| Error::NoSuch(id.to_string()))?;
        let event = Event::new(EventName::AllowanceRevoked, by_name.to_string())
            .session(found.session)
            .proposal(found.proposal)
            .with("allowance", id)
            .with("agent", &found.agent_name)
            .with("sha256", found.digest)
            .count("left", u64::from(found.left));
        self.0.parts.log.record(event).await?;
        self.0.ring(person);
        Ok(found)
    }

    /// Watches what proposals stand on: agents and persons that go away take their proposals with them, connections that come
    /// are no longer wanted. Runs until `stop`.
    pub async fn watch(&self, stop: CancellationToken) {
        let mut bell = self.0.parts.guard.listen();
        let mut standing = self.0.parts.sessions.standing();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                changed = bell.changed() => match changed {
                    Ok(()) => self.0.look_after_agents().await,
                    Err(_) => return,
                },
                changed = standing.changed() => match changed {
                    Ok(()) => self.0.look_after_wishes(),
                    Err(_) => return,
                },
            }
        }
    }

    /// Waits until every proposal has its end on record, at most `limit`.
    pub async fn settled(&self, limit: Duration) {
        let all = self.0.all(|e| !e.stage().is_final());
        let every = async {
            for entry in all {
                let mut now = entry.now.subscribe();
                let _ = now.wait_for(|n| n.stage.is_final()).await;
            }
        };
        let _ = tokio::time::timeout(limit, every).await;
    }
}

/// The digest over a plan: over the digests of its steps, in their order.
pub(super) fn plan_digest<'a>(steps: impl Iterator<Item = &'a ActDigest>) -> ActDigest {
    let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    hash.update(b"keyward plan 1");
    for step in steps {
        hash.update(step.bytes());
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(hash.finish().as_ref());
    bytes.into()
}

fn ticket(entry: &Entry) -> Ticket {
    Ticket {
        id: entry.row.id,
        digest: entry.row.digest,
        host: entry.row.host_name.clone(),
        person: entry.row.user_name.clone(),
        expires_at: entry.row.expires_at,
        now: entry.now.subscribe(),
        output: Arc::clone(&entry.output),
    }
}

/// Puts a decision to a proposal's own task, which takes one after the other.
async fn ask(entry: &Entry, ask: impl FnOnce(oneshot::Sender<Result<Snapshot, Error>>) -> Ask) -> Result<Snapshot, Error> {
    let (tell, told) = oneshot::channel();
    let decided = || Error::Decided { id: entry.row.id, stage: entry.stage() };
    entry.asks.send(ask(tell)).await.map_err(|_| decided())?;
    told.await.map_err(|_| decided())?
}

fn workspace() -> Result<Name, Error> {
    DEFAULT_WORKSPACE.parse().map_err(|_| Error::Store(store::Error::Malformed("the default workspace".to_owned())))
}

/// Whether the person may let agents propose on this host from anywhere: the network that a grant demands is that of the
/// person's own connection, which is not there yet.
fn may_propose(facts: &Facts, now: Time) -> bool {
    let anywhere = Facts { grants: facts.grants.iter().map(|g| authz_anywhere(g.clone())).collect(), ..facts.clone() };
    let nowhere = std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    authz::explain(&anywhere, nowhere, now, now).result.is_ok_and(|(reach, _)| reach.allows(Action::Propose))
}

fn authz_anywhere(grant: crate::model::Grant) -> crate::model::Grant {
    crate::model::Grant { from: None, ..grant }
}

fn proposes(live: &Live) -> bool {
    live.connection.as_ref().is_some_and(|c| c.reach.borrow().allows(Action::Propose))
}

impl Inner {
    fn all(&self, which: impl Fn(&Entry) -> bool) -> Vec<Arc<Entry>> {
        self.entries.lock().map_or_else(|_| Vec::new(), |all| all.values().filter(|e| which(e)).cloned().collect())
    }

    fn entry(&self, id: ProposalId) -> Option<Arc<Entry>> {
        self.entries.lock().ok().and_then(|all| all.get(&id).cloned())
    }

    /// A proposal that waits for this person; for everybody else it does not exist.
    fn for_person(&self, id: ProposalId, person: UserId) -> Result<Arc<Entry>, Error> {
        let entry = self.entry(id).filter(|e| e.row.user == person).ok_or_else(|| Error::NoSuch(id.to_string()))?;
        match entry.stage() {
            Stage::Pending => Ok(entry),
            stage => Err(Error::Decided { id, stage }),
        }
    }

    fn bell(&self, person: UserId) -> watch::Sender<u64> {
        let Ok(mut all) = self.inboxes.lock() else { return watch::channel(0).0 };
        all.entry(person).or_insert_with(|| watch::channel(0).0).clone()
    }

    pub(super) fn ring(&self, person: UserId) {
        self.bell(person).send_modify(|n| *n = n.wrapping_add(1));
    }

    fn connections(&self, person: UserId) -> Vec<Live> {
        self.parts.sessions.live().into_iter().filter(|l| l.user == person && l.connection.is_some()).collect()
    }

    async fn known(&self, agent: AgentId) -> Result<Known, Error> {
        let found = self
            .parts
            .store
            .read(move |c| -> Result<Option<Known>, store::Error> {
                let Some(agent) = agents::by_id(c, agent)? else { return Ok(None) };
                Ok(users::by_id(c, agent.owner)?.filter(|p| !p.disabled).map(|person| Known { agent, person }))
            })
            .await?;
        found.ok_or(Error::NoAgent)
    }

    /// Checks everything, writes the rows, and lets the proposals live.
    async fn take(self: &Arc<Self>, known: &Known, drafts: Vec<Draft>, plan: Option<PlanId>) -> Result<Vec<Ticket>, Error> {
        for draft in &drafts {
            draft.check(&self.config)?;
        }
        let now = self.parts.clock.now();
        self.within_limits(known, drafts.len(), now)?;
        let steps = u32::try_from(drafts.len()).unwrap_or(u32::MAX);
        let mut made = Vec::new();
        for (draft, step) in drafts.into_iter().zip(1..) {
            let (live, connection) = self.connection_for(known, &draft, now).await?;
            if !is_granted(&connection.reach.borrow(), &draft.command) {
                return Err(Error::NotGranted { person: known.person.name.clone(), host: live.host_name });
            }
            let act = Act {
                agent: known.agent.id,
                session: live.id,
                host: live.host,
                login: live.login.clone(),
                command: draft.command,
                stdin: draft.stdin,
                env: draft.env,
                timeout: draft.timeout.unwrap_or(self.config.timeout),
            };
            let expires_at = now.plus(self.config.expires);
            let proposal = Proposal::new(self.parts.clock.fresh(), known.person.id, act.clone(), expires_at);
            let row = ProposalRow {
                id: proposal.id(),
                plan,
                step,
                steps,
                digest: *proposal.digest(),
                act,
                agent_name: known.agent.name.clone(),
                user: known.person.id,
                user_name: known.person.name.clone(),
                host_name: live.host_name.clone(),
                claim: draft.claim.map(|c| printable(&c, CLAIM)),
                proposed_command: None,
                stage: Stage::Pending,
                created_at: now,
                expires_at,
                decided_at: None,
                decided_by: None,
                means: None,
                signed_by: None,
                signature: None,
                reason: None,
                started_at: None,
                ended_at: None,
                exit_status: None,
                exit_signal: None,
                output: proposals::OutputRow::default(),
            };
            made.push((proposal, row, connection));
        }
        let mut tickets = Vec::new();
        let mut before: Option<watch::Receiver<Snapshot>> = None;
        for (proposal, row, connection) in made {
            let event = journey::event(EventName::ProposalProposed, &row.agent_name, &row)
                .with("for", &row.user_name)
                .with("command", String::from_utf8_lossy(&row.act.command))
                .count("length", u64::try_from(row.act.command.len()).unwrap_or(u64::MAX))
                .count("stdin", u64::try_from(row.act.stdin.len()).unwrap_or(u64::MAX));
            let stored = row.clone();
            self.parts.log.commit_with(event, (), move |c| proposals::insert(c, &stored)).await?.into_inner();
            let (asks, asked) = mpsc::channel(4);
            let entry = Arc::new(Entry {
                needs_signature: known.agent.require_signature || self.config.require_signature,
                asks,
                now: watch::channel(Snapshot::pending()).0,
                output: Arc::new(Output::new(known.agent.limits.output)),
                withdrawn: CancellationToken::new(),
                row,
            });
            self.keep(&entry);
            tickets.push(ticket(&entry));
            let after = std::mem::replace(&mut before, Some(entry.now.subscribe()));
            let person = entry.row.user;
            // It sees its own panics.
            self.runtime.spawn(journey::guarded(Arc::clone(self), proposal, Arc::clone(&entry), asked, connection, after));
            self.ring(person);
            self.use_allowance(&entry);
        }
        Ok(tickets)
    }

    fn within_limits(&self, known: &Known, more: usize, now: Time) -> Result<(), Error> {
        let waiting = |which: &dyn Fn(&Entry) -> bool| self.all(|e| which(e) && !e.stage().is_final()).len() + more;
        let limits = &known.agent.limits;
        if waiting(&|e| e.row.act.agent == known.agent.id) > usize::try_from(limits.pending).unwrap_or(usize::MAX) {
            return Err(Error::Limit(format!("at most {} proposals of this agent may wait or run at once", limits.pending)));
        }
        if waiting(&|e| e.row.user == known.person.id) > self.config.pending_per_person {
            return Err(Error::Limit(format!("at most {} proposals may wait for {} at once", self.config.pending_per_person, known.person.name)));
        }
        let mut recent = self.recent.lock().map_err(|_| Error::Closing)?;
        recent.retain(|_, times| times.back().is_some_and(|last| now.since(*last) < Duration::from_secs(60)));
        let times = recent.entry(known.agent.id).or_default();
        while times.front().is_some_and(|first| now.since(*first) >= Duration::from_secs(60)) {
            times.pop_front();
        }
        if times.len() + more > usize::try_from(limits.per_minute).unwrap_or(usize::MAX) {
            return Err(Error::Limit(format!("at most {} proposals of this agent in a minute", limits.per_minute)));
        }
        times.extend(std::iter::repeat_n(now, more));
        Ok(())
    }

    /// The connection that a draft would run on. A host without one is noted as wanted.
    async fn connection_for(&self, known: &Known, draft: &Draft, now: Time) -> Result<(Live, LiveConnection), Error> {
        let (workspace, wanted, person) = (workspace()?, draft.host.clone(), known.person.clone());
        let facts = self
            .parts
            .store
            .read(move |c| -> Result<Option<Facts>, store::Error> {
                let Some(host) = hosts::by_name(c, &workspace, &wanted)? else { return Ok(None) };
                Ok(Some(Facts { groups: users::groups_of(c, person.id)?, grants: grants::all(c, &workspace)?, user: person, host }))
            })
            .await?;
        let Some(facts) = facts.filter(|f| may_propose(f, now)) else { return Err(Error::NoSuchHost(draft.host.clone())) };
        let mut there: Vec<Live> = self.connections(known.person.id).into_iter().filter(|l| l.host == facts.host.id).collect();
        if let Some(session) = draft.session {
            there.retain(|l| l.id == session);
        }
        // Ids sort by age: the newest is the one that the person has in front of them.
        let newest = there.into_iter().max_by_key(|l| l.id);
        match newest.and_then(|l| l.connection.clone().map(|c| (l, c))) {
            Some(found) => Ok(found),
            None => {
                if let Ok(mut wishes) = self.wishes.lock() {
                    wishes.note(Wanted {
                        person: known.person.id,
                        agent: known.agent.id,
                        agent_name: known.agent.name.clone(),
                        host: facts.host.id,
                        host_name: facts.host.name.clone(),
                        at: now,
                        times: 1,
                    });
                }
                self.ring(known.person.id);
                Err(Error::NoConnection { person: known.person.name.clone(), host: facts.host.name })
            }
        }
    }

    async fn refused(&self, known: &Known, from: Option<SocketAddr>, why: &Error) {
        if matches!(why, Error::Audit(_) | Error::Store(_) | Error::Custody(_)) {
            return;
        }
        let mut event = Event::new(EventName::AgentRefused, known.agent.name.to_string()).denied(why.to_string()).with("for", &known.person.name);
        if let Some(from) = from {
            event = event.with("client", from);
        }
        if let Err(error) = self.parts.log.record(event).await {
            tracing::error!(target: "keyward::approvals", %error, "a refusal was not recorded");
        }
    }

    /// Keeps an entry, and lets go of old ones: those that ended long ago, then the oldest beyond what is kept of output.
    fn keep(&self, entry: &Arc<Entry>) {
        let now = self.parts.clock.now();
        let Ok(mut all) = self.entries.lock() else { return };
        all.retain(|_, e| e.now.borrow().ended_at.is_none_or(|at| now.since(at) < self.config.keep));
        let size = |e: &Entry| e.output.tally(super::Stream::Out).kept + e.output.tally(super::Stream::Err).kept;
        let mut ended: Vec<(ProposalId, u64)> = all.values().filter(|e| e.stage().is_final()).map(|e| (e.row.id, size(e))).collect();
        ended.sort_unstable();
        let mut total: u64 = ended.iter().map(|(_, s)| s).sum();
        for (id, size) in ended {
            if total <= self.config.keep_bytes {
                break;
            }
            all.remove(&id);
            total -= size;
        }
        all.insert(entry.row.id, Arc::clone(entry));
    }

    async fn allow(
        &self,
        entry: &Entry,
        person: UserId,
        by_name: &Name,
        command: Vec<u8>,
        again: Again,
        signed: bool,
    ) -> Result<AllowanceId, Error> {
        let digest = Act { command: command.clone(), ..entry.row.act.clone() }.digest();
        let allowance = Allowance {
            id: self.parts.clock.fresh(),
            person,
            agent: entry.row.act.agent,
            agent_name: entry.row.agent_name.clone(),
            session: entry.row.act.session,
            host_name: entry.row.host_name.clone(),
            digest,
            command,
            proposal: entry.row.id,
            left: again.times,
            until: self.parts.clock.now().plus(again.within),
            signed,
        };
        let event = journey::event(EventName::AllowanceGiven, by_name, &entry.row)
            .with("allowance", allowance.id)
            .count("times", u64::from(again.times))
            .with("until", allowance.until);
        self.parts.log.record(event).await?;
        let id = allowance.id;
        if let Ok(mut all) = self.allowances.lock() {
            all.push(allowance);
        }
        self.ring(person);
        Ok(id)
    }

    fn living_allowances(&self) -> Vec<Allowance> {
        let now = self.parts.clock.now();
        let live: Vec<SessionId> = self.parts.sessions.live().iter().filter(|l| l.connection.is_some()).map(|l| l.id).collect();
        let Ok(mut all) = self.allowances.lock() else { return Vec::new() };
        all.retain(|a| a.left > 0 && now < a.until && live.contains(&a.session));
        all.clone()
    }

    /// Approves by what the person has allowed for the same bytes, if they have.
    fn use_allowance(self: &Arc<Self>, entry: &Arc<Entry>) {
        self.living_allowances();
        let now = self.parts.clock.now();
        let act = &entry.row.act;
        let found = self.allowances.lock().ok().and_then(|mut all| {
            let found = all
                .iter_mut()
                .find(|a| a.covers(act.agent, act.session, &entry.row.digest, now) && (a.signed || !entry.needs_signature))?;
            found.left -= 1;
            Some(found.clone())
        });
        let Some(found) = found else { return };
        let Some(by) = Approver::of(&Principal::Human(found.person), Means::Allowance(found.id)) else { return };
        let (told, _) = oneshot::channel();
        // The queue of a proposal that was made just now is empty.
        let _ = entry.asks.try_send(Ask::Approve { by, by_name: entry.row.user_name.clone(), shown: entry.row.digest, edit: None, told });
    }

    async fn look_after_agents(&self) {
        let open = self.all(|e| !e.stage().is_final());
        let mut agents: Vec<AgentId> = open.iter().map(|e| e.row.act.agent).collect();
        agents.sort_unstable();
        agents.dedup();
        for agent in agents {
            // What cannot be looked up is as good as gone.
            if self.known(agent).await.is_err() {
                for entry in open.iter().filter(|e| e.row.act.agent == agent) {
                    entry.withdrawn.cancel();
                }
                if let Ok(mut all) = self.allowances.lock() {
                    all.retain(|a| a.agent != agent);
                }
            }
        }
    }

    fn look_after_wishes(&self) {
        for live in self.parts.sessions.live().iter().filter(|l| l.connection.is_some()) {
            if self.wishes.lock().is_ok_and(|mut w| w.granted(live.user, live.host)) {
                self.ring(live.user);
            }
        }
    }
}
