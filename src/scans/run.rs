//! Journey 3: a scan. Bounded and cancellable; per host, at that moment: a fresh permit, the person's live connection or one lease,
//! all probes at once, facts, the row. Nothing of a host waits for another one.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::asking::{Answered, Asking};
use super::desk::Parts;
use super::plan::{PlannedHost, Who};
use super::result::{self, Known};
use super::{Error, ledger};
use crate::advisories::{self, Advised, Coverage};
use crate::checks::Policy;
use crate::facts::Facts;
use crate::model::{Event, EventName, Host, HostId, HostState, Name, ProbeAct, RunState, ScanId, SessionId};
use crate::probes::{Answer, Answers, Probe, Status};
use crate::report::HostReport;
use crate::sessions::{Errand, Gates, NotOpened, Site, errand, on_live};
use crate::store::scans::{self, ScanHostRow};
use crate::store::{self, credentials};

/// A host that has its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLine {
    /// Its name.
    pub name: String,
    /// How it came out.
    pub state: HostState,
    /// Why not better.
    pub error: Option<String>,
    /// Checks that failed.
    pub failed: usize,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// How a scan goes.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Hosts that are or will be asked.
    pub total: usize,
    /// Hosts that are being asked.
    pub running: usize,
    /// Hosts with a result, in the order in which they came.
    pub finished: Vec<HostLine>,
    /// Whether all that is left is to look up vulnerabilities.
    pub looking_up: bool,
    /// How it ended, once it has.
    pub ended: Option<RunState>,
}

/// A scan that runs.
pub(super) struct Run {
    pub(super) parts: Parts,
    pub(super) id: ScanId,
    pub(super) who: Who,
    pub(super) digest: String,
    pub(super) policies: Arc<Vec<Policy>>,
    pub(super) probes: Vec<Probe>,
    pub(super) credential: Option<Name>,
    pub(super) parallel: usize,
    pub(super) host_timeout: Duration,
    pub(super) osv: Option<PathBuf>,
    pub(super) gates: Gates,
    pub(super) sudo_gates: Gates,
    pub(super) cancel: CancellationToken,
    pub(super) stop: CancellationToken,
    pub(super) progress: watch::Sender<Progress>,
}

/// What came of a host.
struct Outcome {
    session: Option<SessionId>,
    answered: Result<Answered, (HostState, String)>,
    took: Duration,
    /// The end of the scan cut it short: it can be taken up again.
    cut: bool,
}

impl Run {
    /// Runs to the end, and records it. Gives how it ended.
    pub(super) async fn run(self: Arc<Self>, hosts: Vec<PlannedHost>) -> RunState {
        self.progress.send_modify(|p| p.total = hosts.iter().filter(|h| h.skip.is_none()).count());
        let places = Arc::new(Semaphore::new(self.parallel));
        let mut asked: JoinSet<bool> = JoinSet::new();
        let mut failed = false;
        for planned in hosts.into_iter().filter(|h| h.skip.is_none()) {
            let place = tokio::select! {
                biased;
                () = self.cancel.cancelled() => break,
                place = Arc::clone(&places).acquire_owned() => place,
            };
            let Ok(place) = place else { break };
            let run = Arc::clone(&self);
            asked.spawn(async move {
                let _place = place;
                run.host(planned).await
            });
            while let Some(done) = asked.try_join_next() {
                failed |= is_lost(&done);
            }
        }
        while let Some(done) = asked.join_next().await {
            failed |= is_lost(&done);
        }
        if let Some(folder) = self.osv.clone().filter(|_| !self.cancel.is_cancelled()) {
            self.progress.send_modify(|p| p.looking_up = true);
            if let Err(error) = self.look_up(folder).await {
                tracing::error!(target: "keyward::scans", scan = %self.id, %error, "vulnerabilities were not looked up");
                failed = true;
            }
        }
        let state = match (self.stop.is_cancelled() || failed, self.cancel.is_cancelled()) {
            (true, _) => RunState::Interrupted,
            (false, true) => RunState::Cancelled,
            (false, false) => RunState::Done,
        };
        if let Err(error) = self.end(state, failed).await {
            tracing::error!(target: "keyward::scans", scan = %self.id, %error, "the end of a scan was not recorded; the next start makes it good");
        }
        state
    }

    async fn end(&self, state: RunState, failed: bool) -> Result<(), Error> {
        let (id, at) = (self.id, self.parts.clock.now());
        let mut event = self.event(EventName::ScanEnded).with("state", state);
        if failed {
            event = event.failed("some of its results could not be kept; the log knows more");
        }
        let cut = state != RunState::Done;
        let rows = move |c: &rusqlite::Connection| -> Result<(), store::Error> {
            if cut {
                ledger::settle(c, id)?;
            }
            scans::set_state(c, id, state, Some(at))
        };
        self.parts.log.commit_with(event, (), rows).await?.into_inner();
        Ok(())
    }

    pub(super) fn event(&self, name: EventName) -> Event {
        Event::new(name, self.who.user.name.to_string()).with("scan", self.id)
    }

    /// One host, from its permit to its row. `false`: its result could not be kept.
    async fn host(&self, planned: PlannedHost) -> bool {
        let PlannedHost { host, again, .. } = planned;
        self.progress.send_modify(|p| p.running += 1);
        let id = self.id;
        let (host_id, began) = (host.id, Instant::now());
        let kept = async {
            self.parts.store.append(move |c| scans::set_host_state(c, id, host_id, HostState::Running, None)).await?;
            let outcome = self.ask(&host, again).await;
            self.keep(&host, outcome, again).await
        };
        let kept = kept.await;
        let is_kept = kept.is_ok();
        let line = kept.unwrap_or_else(|error| {
            tracing::error!(target: "keyward::scans", scan = %id, host = %host.name, %error, "a host's result was not kept");
            let took_ms = millis(began.elapsed());
            HostLine { name: host.name.to_string(), state: HostState::Partial, error: Some(error.to_string()), failed: 0, took_ms }
        });
        self.progress.send_modify(|p| {
            p.running -= 1;
            p.finished.push(line);
        });
        is_kept
    }

    /// Asks a host, over the person's own connection if they have one, else over one of the scan's.
    async fn ask(&self, host: &Host, again: bool) -> Outcome {
        let began = Instant::now();
        let probes: Vec<Probe> = self.probes.iter().filter(|p| !again || p.read_only).cloned().collect();
        let wish = Errand {
            user: self.who.user.id,
            key: self.who.key.clone(),
            workspace: self.who.workspace.clone(),
            host: host.name.clone(),
            credential: self.credential.clone(),
            client: self.who.client,
            scan: self.id,
            cancel: self.cancel.clone(),
        };
        let answered = match self.on_live(host, &wish, &probes).await {
            Ok(Some(answered)) => Ok(answered),
            Ok(None) => errand(&self.parts.rooms, wish, &self.gates, |site| self.ask_at(site, &probes)).await,
            Err(e) => Err(NotOpened::Skipped(e.to_string())),
        };
        let took = began.elapsed();
        match answered {
            Ok((session, mut answered, over)) => {
                for probe in self.probes.iter().filter(|p| again && !p.read_only) {
                    let why = "not asked again after an interruption: it may change something";
                    answered.answers.insert(probe.id.clone(), Answer::not_run(why));
                }
                Outcome { session: Some(session), answered: Ok(answered), took, cut: over && self.cancel.is_cancelled() }
            }
            Err(not) => {
                let cut = matches!(not, NotOpened::Ended(_)) && self.cancel.is_cancelled();
                let answered = Err(match not {
                    NotOpened::Skipped(why) | NotOpened::Ended(why) => (HostState::Skipped, why),
                    NotOpened::Refused(why) => (HostState::Refused, why),
                    NotOpened::Unreachable(why) => (HostState::Unreachable, why),
                });
                Outcome { session: None, answered, took, cut }
            }
        }
    }

    /// Asks at a site. Gives its session, what was answered, and whether the connection was ended on the way.
    async fn ask_at(&self, site: Site, probes: &[Probe]) -> (SessionId, Answered, bool) {
        let act = ProbeAct { scan: self.id, host: site.host.id, digest: self.digest.clone() };
        let asking = Asking {
            site: &site,
            log: &self.parts.log,
            clock: &self.parts.clock,
            act,
            probes,
            deadline: Instant::now() + self.host_timeout,
            sudo_gates: &self.sudo_gates,
        };
        let mut answered = asking.ask().await;
        answered.ended = site.over.is_cancelled();
        let over = answered.ended;
        (site.session, answered, over)
    }

    /// Asks over the person's own connection to the host, if there is one that fits and opens a channel.
    async fn on_live(&self, host: &Host, wish: &Errand, probes: &[Probe]) -> Result<Option<(SessionId, Answered, bool)>, Error> {
        let rooms = &self.parts.rooms;
        let mine = |l: &crate::sessions::Live| l.user == self.who.user.id && l.host == host.id && l.connection.is_some();
        for live in rooms.registry.live().into_iter().filter(mine) {
            let id = live.credential;
            let Some(credential) = self.parts.store.read(move |c| credentials::by_id(c, id)).await? else { continue };
            if self.credential.as_ref().is_some_and(|name| *name != credential.name) {
                continue;
            }
            let at = (self.who.user.clone(), host.clone(), credential);
            let answered = on_live(rooms, wish, live, at, |site| self.ask_at(site, probes)).await?;
            // A connection that takes no further channel is no reason not to open another one.
            if let Some(answered) = answered.filter(|(_, answered, _)| !answered.unopened || self.cancel.is_cancelled()) {
                return Ok(Some(answered));
            }
        }
        Ok(None)
    }

    /// Turns what was answered into the host's row. What an interrupted run had answered before stays where nothing better came.
    async fn keep(&self, host: &Host, outcome: Outcome, again: bool) -> Result<HostLine, Error> {
        let Outcome { session, mut answered, took, cut } = outcome;
        let (name, address, took_ms) = (host.name.to_string(), host.address.to_string(), millis(took));
        let ended_at = (!cut).then(|| self.parts.clock.now());
        let (id, host_id) = (self.id, host.id);
        let earlier = if again { self.earlier(host_id).await? } else { Answers::new() };
        if !earlier.is_empty()
            && let Err((_, why)) = &answered
        {
            // Nothing came of it this time: what there was is what there is.
            let event = self.event(EventName::ScanHostDone).host(host).with("state", HostState::Partial).failed(why);
            let rows = move |c: &rusqlite::Connection| scans::end_host(c, id, host_id, HostState::Partial, ended_at);
            self.parts.log.commit_with(event, (), rows).await?.into_inner();
            return Ok(HostLine { name, state: HostState::Partial, error: Some(why.clone()), failed: 0, took_ms });
        }
        if let Ok(answered) = &mut answered {
            for (probe, old) in earlier.into_iter().filter(|(_, old)| old.status == Status::Ended) {
                let better = answered.answers.get(&probe).is_some_and(|new| matches!(new.status, Status::Ended | Status::TimedOut));
                if !better {
                    answered.answers.insert(probe, old);
                }
            }
        }
        let mut row = ScanHostRow {
            host: host_id,
            host_name: host.name.clone(),
            address: address.clone(),
            state: HostState::Skipped,
            session,
            facts: None,
            answers: None,
            report: None,
            ended_at,
        };
        let (mut report, texts) = match answered {
            Err((state, why)) => (result::untouched(&name, &address, state, Some(why)), Vec::new()),
            Ok(answered) => {
                let known = self.known(host_id).await?;
                let policies = Arc::clone(&self.policies);
                // Hundreds of expressions over megabytes: not on a thread that others wait for.
                let judged = tokio::task::spawn_blocking(move || result::judge(&name, &address, answered, took_ms, &policies, &known));
                let judged = judged.await.map_err(|_| Error::Damaged("what the host answered".to_owned()))??;
                (row.facts, row.answers) = (judged.facts_sha256, Some(judged.answers));
                (judged.report, judged.texts)
            }
        };
        if self.osv.is_some() && row.facts.is_some() {
            // Until it is done: what was wanted and not looked up is no "nothing found".
            report.vulnerability_coverage = Coverage::NoArchive { why: "they were not looked up: the scan ended before".to_owned() };
        }
        row.state = report.state;
        row.report = Some(super::pack::pack_json(&report)?);
        let mut event = self.event(EventName::ScanHostDone).host(host).with("state", report.state);
        if let Some(session) = session {
            event = event.session(session);
        }
        if let Some(sha256) = &row.facts {
            event = event.with("facts_sha256", crate::audit::hex(sha256));
        }
        match (&report.error, report.state) {
            (Some(why), HostState::Done) => event = event.because(why),
            (Some(why), _) => event = event.failed(why),
            (None, _) => {}
        }
        self.parts.log.commit_with(event, (), move |c| scans::put_host(c, id, &row, &texts)).await?.into_inner();
        let failed = report.checks.iter().filter(|c| c.state == crate::model::CheckState::Failed).count();
        Ok(HostLine { name: report.name, state: report.state, error: report.error, failed, took_ms })
    }

    /// What the run that was interrupted had of this host.
    async fn earlier(&self, host: HostId) -> Result<Answers, Error> {
        let id = self.id;
        let packed = self.parts.store.read(move |c| ledger::packed_answers(c, id, host)).await?;
        packed.map_or(Ok(Answers::new()), ledger::Packed::unpack)
    }

    /// What an earlier scan knew of this host's checks.
    async fn known(&self, host: HostId) -> Result<Known, Error> {
        let (workspace, id) = (self.who.workspace.clone(), self.id);
        let found = self.parts.store.read(move |c| scans::last_known(c, &workspace, host, Some(id), None)).await?;
        Ok(match found.and_then(|(_, row)| row.report) {
            Some(packed) => result::known(&super::pack::unpack_json::<HostReport>(&packed)?),
            None => Known::new(),
        })
    }

    /// Looks up the packages of all hosts of the scan that were not looked up yet, at once: the archives are read only once.
    async fn look_up(&self, folder: PathBuf) -> Result<(), Error> {
        let id = self.id;
        let rows = self.parts.store.read(move |c| scans::hosts(c, id)).await?;
        let mut hosts: Vec<(HostId, String, Facts)> = Vec::new();
        for row in rows {
            let Some(packed) = &row.report else { continue };
            let report: HostReport = super::pack::unpack_json(packed)?;
            if matches!(report.vulnerability_coverage, Coverage::Covered { .. }) {
                continue;
            }
            let (host, name) = (row.host, report.name);
            let Some(packed) = self.parts.store.read(move |c| ledger::packed_facts(c, &row)).await? else { continue };
            let Facts { os, packages, missing, .. } = super::pack::unpack_json(&packed)?;
            hosts.push((host, name, Facts { os, packages, missing, ..Facts::default() }));
        }
        let cancel = self.cancel.clone();
        let work = move || {
            let with: Vec<(&str, &Facts)> = hosts.iter().map(|(_, name, facts)| (name.as_str(), facts)).collect();
            let found = advisories::look_up(&folder, &with, &|| cancel.is_cancelled());
            (hosts.into_iter().map(|(host, name, _)| (host, name)).collect::<Vec<_>>(), found)
        };
        let (hosts, mut found) = tokio::task::spawn_blocking(work).await.map_err(|_| Error::Damaged("the archives".to_owned()))?;
        for (host, name) in hosts {
            let Some((coverage, advised)) = found.remove(&name) else { continue };
            self.keep_vulnerabilities(host, coverage, advised).await?;
        }
        Ok(())
    }

    async fn keep_vulnerabilities(&self, host: HostId, coverage: Coverage, mut advised: Vec<Advised>) -> Result<(), Error> {
        let (id, workspace) = (self.id, self.who.workspace.clone());
        let read = move |c: &rusqlite::Connection| -> Result<_, store::Error> {
            let row = scans::host_row(c, id, host)?;
            Ok((row, scans::last_known(c, &workspace, host, Some(id), None)?))
        };
        let (row, before) = self.parts.store.read(read).await?;
        let Some(mut row) = row else { return Ok(()) };
        let Some(packed) = &row.report else { return Ok(()) };
        let mut report: HostReport = super::pack::unpack_json(packed)?;
        if let Some(packed) = before.and_then(|(_, row)| row.report) {
            let before: HostReport = super::pack::unpack_json(&packed)?;
            // What was never looked up is no news.
            if matches!(before.vulnerability_coverage, Coverage::Covered { .. }) && matches!(coverage, Coverage::Covered { .. }) {
                report.vulnerabilities_fixed = advisories::compare(&mut advised, &before.vulnerabilities);
            }
        }
        (report.vulnerability_coverage, report.vulnerabilities) = (coverage, advised);
        row.report = Some(super::pack::pack_json(&report)?);
        self.parts.store.append(move |c| scans::put_host(c, id, &row, &[])).await?;
        Ok(())
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// Whether a host's result was lost.
fn is_lost(done: &Result<bool, tokio::task::JoinError>) -> bool {
    if let Err(error) = done {
        tracing::error!(target: "keyward::scans", %error, "a host's task failed");
    }
    !matches!(done, Ok(true))
}
