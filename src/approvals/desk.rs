//! The desk: who may propose what, who decides, and what everybody can look up. The bytes that run live here, in memory, from
//! the proposal to its end; the store only says which step was taken.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::allowance::Allowance;
use super::config::Config;
use super::error::Error;
use super::journey::Ask;
use super::output::Output;
use super::taken_back::TakenBack;
use super::wanted::{Wanted, Wishes};
use crate::audit::Log;
use crate::authz::{self, Facts, Guard};
use crate::clock::{Clock, Time};
use crate::custody::Custody;
use crate::model::{
    ActDigest, Action, Agent, AgentId, AllowanceId, DEFAULT_WORKSPACE, Host, Name, PlanId, ProposalId, Stage, Terms, User, UserId,
};
use crate::sessions::{Live, Registry};
use crate::store::proposals::ProposalRow;
use crate::store::{self, Store, agents, grants, hosts, state, users};

/// How often what is no longer kept is let go of.
const SWEEP: Duration = Duration::from_secs(30);

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
    pub(super) fn pending() -> Self {
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
    /// What approved it, if nobody looked at it.
    pub(super) allowed_by: OnceLock<AllowanceId>,
}

impl Entry {
    pub(super) fn stage(&self) -> Stage {
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
    pub(super) runtime: Handle,
    /// Held while a proposal is taken.
    pub(super) turn: tokio::sync::Mutex<()>,
    pub(super) entries: Mutex<HashMap<ProposalId, Arc<Entry>>>,
    pub(super) tries: Mutex<HashMap<AgentId, super::propose::Tries>>,
    pub(super) recent: Mutex<HashMap<AgentId, VecDeque<(Time, usize)>>>,
    pub(super) allowances: Mutex<Vec<Allowance>>,
    /// What was taken back; held while a command that an allowance let run is put on record as running.
    pub(super) taken_back: tokio::sync::RwLock<TakenBack>,
    pub(super) wishes: Mutex<Wishes>,
    pub(super) inboxes: Mutex<HashMap<UserId, watch::Sender<u64>>>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Approvals").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What the store knows of an agent: itself, and its person if they may sign in.
pub(super) struct Known {
    pub(super) agent: Agent,
    pub(super) person: User,
}

impl Approvals {
    /// A desk. `runtime` carries the proposals: they outlive the connection of whoever proposed them.
    pub fn new(config: Config, parts: Parts, runtime: Handle) -> Self {
        Self(Arc::new(Inner {
            config,
            parts,
            runtime,
            turn: tokio::sync::Mutex::default(),
            entries: Mutex::default(),
            tries: Mutex::default(),
            recent: Mutex::default(),
            allowances: Mutex::default(),
            taken_back: tokio::sync::RwLock::default(),
            wishes: Mutex::default(),
            inboxes: Mutex::default(),
        }))
    }

    /// The limits.
    pub fn config(&self) -> &Config {
        &self.0.config
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

    /// A proposal as it was taken, while it is in memory: what is shown to be decided comes from here and not from the database.
    pub fn as_taken(&self, id: ProposalId) -> Option<ProposalRow> {
        self.0.entry(id).map(|e| e.row.clone())
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
                        let facts =
                            Facts { user: person.clone(), groups: groups.clone(), host, grants: grants.clone(), terms: Terms::default() };
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

    /// Watches what proposals stand on: agents and persons that go away take their proposals with them, connections that come
    /// are no longer wanted. Runs until `stop`.
    pub async fn watch(&self, stop: CancellationToken) {
        let mut bell = self.0.parts.guard.listen();
        let mut standing = self.0.parts.sessions.standing();
        let mut tick = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                _ = tick.tick() => self.0.sweep(),
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

pub(super) fn ticket(entry: &Entry) -> Ticket {
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

pub(super) fn workspace() -> Result<Name, Error> {
    DEFAULT_WORKSPACE.parse().map_err(|_| Error::Store(store::Error::Malformed("the default workspace".to_owned())))
}

/// Whether the person may let agents propose on this host from anywhere: the network and the second factor that a grant demands are
/// those of the person's own connection, which is not there yet.
pub(super) fn may_propose(facts: &Facts, now: Time) -> bool {
    let anywhere = Facts { grants: facts.grants.iter().map(|g| authz_anywhere(g.clone())).collect(), ..facts.clone() };
    let nowhere = std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    authz::explain(&anywhere, nowhere, now, now).result.is_ok_and(|(reach, _)| reach.allows(Action::Propose))
}

fn authz_anywhere(grant: crate::model::Grant) -> crate::model::Grant {
    crate::model::Grant { from: None, second_factor: false, ..grant }
}

fn proposes(live: &Live) -> bool {
    live.connection.as_ref().is_some_and(|c| c.reach.borrow().allows(Action::Propose))
}

impl Inner {
    pub(super) fn all(&self, which: impl Fn(&Entry) -> bool) -> Vec<Arc<Entry>> {
        self.entries.lock().map_or_else(|_| Vec::new(), |all| all.values().filter(|e| which(e)).cloned().collect())
    }

    pub(super) fn entry(&self, id: ProposalId) -> Option<Arc<Entry>> {
        self.entries.lock().ok().and_then(|all| all.get(&id).cloned())
    }

    fn bell(&self, person: UserId) -> watch::Sender<u64> {
        let Ok(mut all) = self.inboxes.lock() else { return watch::channel(0).0 };
        all.entry(person).or_insert_with(|| watch::channel(0).0).clone()
    }

    pub(super) fn ring(&self, person: UserId) {
        self.bell(person).send_modify(|n| *n = n.wrapping_add(1));
    }

    pub(super) fn connections(&self, person: UserId) -> Vec<Live> {
        self.parts.sessions.live().into_iter().filter(|l| l.user == person && l.connection.is_some()).collect()
    }

    /// The agent and its person, from one snapshot that verifies: a row that somebody else wrote, and takes away again before it
    /// is looked for, must not count.
    pub(super) async fn known(&self, agent: AgentId) -> Result<Known, Error> {
        let (state, found) = self
            .parts
            .store
            .read(move |c| -> Result<(state::Sealed, Option<Known>), store::Error> {
                let state = state::read(c)?;
                let Some(agent) = agents::by_id(c, agent)? else { return Ok((state, None)) };
                Ok((state, users::by_id(c, agent.owner)?.filter(|p| !p.disabled).map(|person| Known { agent, person })))
            })
            .await?;
        self.parts.custody.holds(&state).await?;
        found.ok_or(Error::NoAgent)
    }

    /// Keeps an entry, and lets go of old ones.
    pub(super) fn keep(&self, entry: &Arc<Entry>) {
        if let Ok(mut all) = self.entries.lock() {
            all.insert(entry.row.id, Arc::clone(entry));
        }
        self.sweep();
    }

    /// Lets go of proposals that ended long ago, and of the oldest of them beyond what is kept of output.
    fn sweep(&self) {
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
