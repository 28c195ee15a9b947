//! An agent proposes: what is checked before a proposal waits, and what it waits with.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::desk::{Approvals, Entry, Inner, Known, PlanTicket, Snapshot, Ticket, may_propose, ticket, workspace};
use super::draft::{CLAIM, Draft};
use super::error::Error;
use super::journey;
use super::output::Output;
use super::wanted::Wanted;
use crate::authz::Facts;
use crate::clock::Time;
use crate::model::{Act, AgentId, Event, EventName, PlanId, Proposal, Stage, Terms, printable};
use crate::sessions::{Live, LiveConnection, is_granted};
use crate::store::proposals::{self, ProposalRow};
use crate::store::{self, grants, hosts, users};

/// What one agent may add to the database in a minute, in bytes, beyond its first proposal.
const BYTES_PER_MINUTE: usize = 2 * 1024 * 1024;

/// Attempts to propose in a minute, taken or not.
const ATTEMPTS_PER_MINUTE: u32 = 1200;
/// Refusals of one agent in a minute that are recorded.
const REFUSALS_PER_MINUTE: u32 = 20;

/// What an agent tried in the minute that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tries {
    since: Time,
    attempts: u32,
    refusals: u32,
}

impl Approvals {
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
        let inner = Arc::clone(&self.0);
        inner.may_try(agent)?;
        // In a task of its own: whoever asked may go away in the middle, and what was written must not wait for nobody.
        let taken = self.0.runtime.spawn(async move {
            inner.parts.store.room()?;
            let known = inner.known(agent).await?;
            let taken = inner.take(&known, drafts, plan).await;
            if let Err(why) = &taken {
                inner.refused(&known, from, why).await;
            }
            taken
        });
        taken.await.map_err(|_| Error::Closing)?
    }
}

impl Inner {
    /// Checks everything, writes the rows, and lets the proposals live.
    async fn take(self: &Arc<Self>, known: &Known, drafts: Vec<Draft>, plan: Option<PlanId>) -> Result<Vec<Ticket>, Error> {
        for draft in &drafts {
            draft.check(&self.config)?;
        }
        let now = self.parts.clock.now();
        // One after the other: what is counted below must not change until it is written.
        let _turn = self.turn.lock().await;
        let sizes: Vec<usize> = drafts.iter().map(|d| d.size()).collect();
        self.within_limits(known, &sizes, now)?;
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
        let event = |row: &ProposalRow| {
            journey::event(EventName::ProposalProposed, &row.agent_name, row)
                .with("for", &row.user_name)
                .with("command", String::from_utf8_lossy(&row.act.command))
                .count("length", u64::try_from(row.act.command.len()).unwrap_or(u64::MAX))
                .count("stdin", u64::try_from(row.act.stdin.len()).unwrap_or(u64::MAX))
        };
        let events = made.iter().map(|(_, row, _)| event(row)).collect();
        let rows: Vec<ProposalRow> = made.iter().map(|(_, row, _)| row.clone()).collect();
        // All steps of a plan, or none of them.
        let written = move |c: &rusqlite::Connection| rows.iter().try_for_each(|row| proposals::insert(c, row));
        self.parts.log.commit_all(events, (), written).await?.into_inner();
        let mut tickets = Vec::new();
        let mut entries = Vec::new();
        let mut before: Option<watch::Receiver<Snapshot>> = None;
        for (proposal, row, connection) in made {
            let (asks, asked) = mpsc::channel(4);
            let entry = Arc::new(Entry {
                needs_signature: known.agent.require_signature || self.config.require_signature,
                asks,
                now: watch::channel(Snapshot::pending()).0,
                output: Arc::new(Output::new(known.agent.limits.output)),
                withdrawn: CancellationToken::new(),
                allowed_by: OnceLock::new(),
                row,
            });
            self.keep(&entry);
            tickets.push(ticket(&entry));
            let after = before.replace(entry.now.subscribe());
            // It sees its own panics.
            self.runtime.spawn(journey::guarded(Arc::clone(self), proposal, Arc::clone(&entry), asked, connection, after));
            entries.push(entry);
        }
        self.ring(known.person.id);
        // Only the first: by the time that a later step runs, what was allowed may be over.
        if let Some(first) = entries.first() {
            self.use_allowance(first);
        }
        Ok(tickets)
    }

    /// Counts an attempt, before anything is read for it: one that never gets through must not cost everybody else.
    fn may_try(&self, agent: AgentId) -> Result<(), Error> {
        if self.counted(agent, |tries| &mut tries.attempts) > ATTEMPTS_PER_MINUTE {
            return Err(Error::Limit(format!("at most {ATTEMPTS_PER_MINUTE} attempts of this agent in a minute")));
        }
        Ok(())
    }

    /// Whether one more refusal of this agent is recorded; beyond that they are the same story.
    fn may_record(&self, agent: AgentId) -> bool {
        self.counted(agent, |tries| &mut tries.refusals) <= REFUSALS_PER_MINUTE
    }

    /// Counts in the minute that runs.
    fn counted(&self, agent: AgentId, which: impl FnOnce(&mut Tries) -> &mut u32) -> u32 {
        let now = self.parts.clock.now();
        let Ok(mut all) = self.tries.lock() else { return u32::MAX };
        all.retain(|_, tries| now.since(tries.since) < Duration::from_secs(60));
        let tries = all.entry(agent).or_insert(Tries { since: now, attempts: 0, refusals: 0 });
        let count = which(tries);
        *count = count.saturating_add(1);
        *count
    }

    fn within_limits(&self, known: &Known, sizes: &[usize], now: Time) -> Result<(), Error> {
        let more = sizes.len();
        let waiting = |which: &dyn Fn(&Entry) -> bool| self.all(|e| which(e) && !e.stage().is_final()).len() + more;
        let limits = &known.agent.limits;
        if waiting(&|e| e.row.act.agent == known.agent.id) > usize::try_from(limits.pending).unwrap_or(usize::MAX) {
            return Err(Error::Limit(format!("at most {} proposals of this agent may wait or run at once", limits.pending)));
        }
        if waiting(&|e| e.row.user == known.person.id) > self.config.pending_per_person {
            return Err(Error::Limit(format!(
                "at most {} proposals may wait for {} at once",
                self.config.pending_per_person, known.person.name
            )));
        }
        let mut recent = self.recent.lock().map_err(|_| Error::Closing)?;
        recent.retain(|_, times| times.back().is_some_and(|(last, _)| now.since(*last) < Duration::from_secs(60)));
        let times = recent.entry(known.agent.id).or_default();
        while times.front().is_some_and(|(first, _)| now.since(*first) >= Duration::from_secs(60)) {
            times.pop_front();
        }
        if times.len() + more > usize::try_from(limits.per_minute).unwrap_or(usize::MAX) {
            return Err(Error::Limit(format!("at most {} proposals of this agent in a minute", limits.per_minute)));
        }
        // Every proposal is kept in the database for good: its size is bounded in time, too.
        let bytes: usize = times.iter().map(|(_, size)| size).sum::<usize>() + sizes.iter().sum::<usize>();
        if !times.is_empty() && bytes > BYTES_PER_MINUTE {
            return Err(Error::Limit(format!("at most {BYTES_PER_MINUTE} bytes of proposals of this agent in a minute")));
        }
        times.extend(sizes.iter().map(|size| (now, *size)));
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
                Ok(Some(Facts {
                    groups: users::groups_of(c, person.id)?,
                    grants: grants::all(c, &workspace)?,
                    user: person,
                    host,
                    terms: Terms::default(),
                }))
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
        if matches!(why, Error::Audit(_) | Error::Store(_) | Error::Custody(_)) || !self.may_record(known.agent.id) {
            return;
        }
        let mut event =
            Event::new(EventName::AgentRefused, known.agent.name.to_string()).denied(why.to_string()).with("for", &known.person.name);
        if let Some(from) = from {
            event = event.with("client", from);
        }
        if let Err(error) = self.parts.log.record(event).await {
            tracing::error!(target: "keyward::approvals", %error, "a refusal was not recorded");
        }
    }
}
