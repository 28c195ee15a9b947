//! The desk of scans: plans, starts, cancels, takes up again, shows, compares and evaluates. Starting one is the person's act; nothing
//! here starts by itself. Reaches hosts only through sessions, and the vault not at all.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, RwLock};

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::pack::pack_json;
use super::plan::{Kept, Osv, Plan, PlannedHost, Questions, Who, Wish, choose};
use super::result::{Known, checked, known, untouched};
use super::run::{Progress, Run};
use super::{Config, Error, ledger, profiles};
use crate::advisories;
use crate::audit::{Log, hex};
use crate::clock::{Clock, Time};
use crate::facts::{self, Change, Facts};
use crate::model::{CheckState, Event, EventName, HostId, HostState, Name, RunState, ScanId, UserId};
use crate::probes::Answers;
use crate::report::{Document, HostReport};
use crate::sessions::{Gates, Rooms};
use crate::store::scans::{self, ScanHostRow, ScanRow};
use crate::store::{self, Store, grants, hosts, users};

/// Scans that are thrown away in one go when their time is over.
const SWEEP: u32 = 100;

/// Reports that are put together at once: each holds a whole run in memory.
const SHOWN: usize = 2;

/// What the desk works with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// How connections are opened.
    pub rooms: Rooms,
    /// The ledger.
    pub store: Store,
    /// The witness.
    pub log: Log,
    /// The time.
    pub clock: Clock,
}

#[derive(Debug)]
struct Inner {
    parts: Parts,
    config: RwLock<Config>,
    runs: Mutex<HashMap<ScanId, Running>>,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Where scans run: not on the threads that serve the people who wait for them.
    runtime: Handle,
    shown: Semaphore,
}

#[derive(Clone, Debug)]
struct Running {
    cancel: CancellationToken,
    progress: watch::Receiver<Progress>,
}

/// The desk. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Scans(Arc<Inner>);

/// A scan that was started.
#[derive(Debug)]
pub struct Started {
    /// Its id.
    pub id: ScanId,
    /// How it goes.
    pub progress: watch::Receiver<Progress>,
    /// Cancels it.
    pub cancel: CancellationToken,
}

/// A scan in a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The scan.
    pub row: ScanRow,
    /// How many hosts stand how.
    pub hosts: Vec<(HostState, u64)>,
}

/// What changed on one host between two scans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostDiff {
    /// Its name.
    pub name: String,
    /// Why it cannot be compared.
    pub note: Option<String>,
    /// Facts.
    pub changes: Vec<Change>,
    /// Checks that came out otherwise: policy, id, title, before, after.
    pub checks: Vec<(String, String, String, CheckState, CheckState)>,
    /// Vulnerabilities that are new: `ID PACKAGE`.
    pub vulnerabilities_new: Vec<String>,
    /// Those that are gone.
    pub vulnerabilities_fixed: Vec<String>,
}

impl Scans {
    /// A desk over these parts, whose scans run on this runtime.
    pub fn new(parts: Parts, config: Config, runtime: Handle) -> Self {
        Self(Arc::new(Inner {
            parts,
            config: RwLock::new(config),
            runs: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            runtime,
            shown: Semaphore::new(SHOWN),
        }))
    }

    /// Takes new limits, for scans that are started from now on.
    pub fn reconfigure(&self, config: Config) {
        if let Ok(mut held) = self.0.config.write() {
            *held = config;
        }
    }

    fn config(&self) -> Config {
        self.0.config.read().map(|c| c.clone()).unwrap_or_default()
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.0.runs.lock().map_or(0, |runs| runs.len())
    }

    /// What a scan would do. Asks no host.
    ///
    /// # Errors
    /// [`Error::Policy`], [`Error::NoHost`], [`Error::Digest`] and the other reasons why not.
    pub async fn plan(&self, who: &Who, wish: &Wish) -> Result<Plan, Error> {
        let mut files = profiles::files(&wish.profiles)?;
        files.extend(wish.policies.iter().map(|(name, text)| (name.clone(), text.as_bytes().to_vec())));
        let (names, longest) = (wish.profiles.clone(), self.config().probe_timeout);
        let questions = off(move || Questions::of(files, &names, longest)).await?;
        let hosts = self.choose(who, &wish.hosts).await?;
        Plan::new(questions, hosts, wish, &self.config())
    }

    async fn choose(&self, who: &Who, selector: &str) -> Result<Vec<PlannedHost>, Error> {
        let (workspace, user) = (who.workspace.clone(), who.user.id);
        let read = move |c: &rusqlite::Connection| -> Result<_, store::Error> {
            Ok((hosts::all(c, &workspace)?, users::groups_of(c, user)?, grants::all(c, &workspace)?))
        };
        let (hosts, groups, grants) = self.0.parts.store.read(read).await?;
        choose(who, hosts, &groups, &grants, selector, self.0.parts.clock.now())
    }

    /// A place for a scan among those that run.
    fn reserve(&self, id: ScanId) -> Result<Reserved, Error> {
        let most = self.config().runs;
        let (told, progress) = watch::channel(Progress::default());
        let cancel = self.0.stop.child_token();
        let mut runs = self.0.runs.lock().map_err(|_| Error::State("the desk of scans has failed".to_owned()))?;
        if self.0.stop.is_cancelled() {
            return Err(Error::State("the broker is stopping".to_owned()));
        }
        if runs.contains_key(&id) {
            return Err(Error::State(format!("scan {id} runs")));
        }
        if runs.len() >= most {
            return Err(Error::Limit { what: "as many scans run as may at once".to_owned(), most });
        }
        runs.insert(id, Running { cancel: cancel.clone(), progress: progress.clone() });
        Ok(Reserved { inner: Arc::clone(&self.0), id, cancel, told, progress })
    }

    /// Starts a scan: with this the person approves its digest, and that is on record before a host is asked.
    ///
    /// # Errors
    /// [`Error::Limit`]; what the witness says.
    pub async fn start(&self, who: Who, plan: Plan) -> Result<Started, Error> {
        self.sweep().await?;
        let parts = &self.0.parts;
        let id: ScanId = parts.clock.fresh();
        let reserved = self.reserve(id)?;
        let utf8 = |(name, text): &(String, Vec<u8>)| (name.clone(), String::from_utf8_lossy(text).into_owned());
        let kept = Kept {
            files: plan.files.iter().map(utf8).collect(),
            credential: plan.credential.clone(),
            parallel: plan.parallel,
            osv: plan.osv.clone(),
        };
        let row = ScanRow {
            id,
            workspace: who.workspace.clone(),
            user: who.user.id,
            user_name: who.user.name.clone(),
            profile: plan.profile.clone(),
            selector: plan.selector.clone(),
            digest: plan.digest.clone(),
            asked: pack_json(&kept)?,
            state: RunState::Running,
            started_at: parts.clock.now(),
            ended_at: None,
        };
        let rows: Vec<ScanHostRow> = plan.hosts.iter().map(|h| self.host_row(h)).collect::<Result<_, _>>()?;
        let event = started(&who, id, &plan);
        let begin = move |c: &rusqlite::Connection| -> Result<(), store::Error> { scans::begin(c, &row, &rows) };
        self.launch(reserved, who, plan, event, begin).await
    }

    fn host_row(&self, planned: &PlannedHost) -> Result<ScanHostRow, Error> {
        let (name, address) = (planned.host.name.to_string(), planned.host.address.to_string());
        let skipped = planned.skip.as_ref().map(|why| untouched(&name, &address, HostState::Skipped, Some(why.clone())));
        Ok(ScanHostRow {
            host: planned.host.id,
            host_name: planned.host.name.clone(),
            address,
            state: if skipped.is_some() { HostState::Skipped } else { HostState::Waiting },
            session: None,
            facts: None,
            answers: None,
            ended_at: skipped.as_ref().map(|_| self.0.parts.clock.now()),
            report: skipped.as_ref().map(pack_json).transpose()?,
        })
    }

    /// Records the beginning and runs. Both or neither, also where whoever asked for it goes away in the middle.
    async fn launch(
        &self,
        reserved: Reserved,
        who: Who,
        plan: Plan,
        event: Event,
        begin: impl FnOnce(&rusqlite::Connection) -> Result<(), store::Error> + Send + 'static,
    ) -> Result<Started, Error> {
        let (tell, told) = oneshot::channel();
        let started = Started { id: reserved.id, progress: reserved.progress.clone(), cancel: reserved.cancel.clone() };
        let run = Run {
            parts: self.0.parts.clone(),
            id: reserved.id,
            who,
            digest: plan.digest,
            policies: Arc::new(plan.policies),
            probes: plan.probes,
            credential: plan.credential,
            parallel: plan.parallel,
            host_timeout: self.config().host_timeout,
            osv: plan.osv,
            gates: Gates::default(),
            sudo_gates: Gates::default(),
            cancel: reserved.cancel.clone(),
            stop: self.0.stop.clone(),
            progress: reserved.told.clone(),
        };
        let log = self.0.parts.log.clone();
        let work = async move {
            let begun = log.commit_with(event, (), begin).await.map(|audited| audited.into_inner());
            let failed = begun.is_err();
            let _ = tell.send(begun);
            if failed {
                return;
            }
            let (id, told) = (run.id, reserved.told.clone());
            let state = Arc::new(run).run(plan.hosts).await;
            tracing::info!(target: "keyward::scans", scan = %id, %state, "a scan has ended");
            // First its place is free, then whoever waits learns of it.
            drop(reserved);
            told.send_modify(|p| p.ended = Some(state));
        };
        self.0.tasks.spawn_on(work, &self.0.runtime);
        told.await.map_err(|_| Error::State("the scan was not begun".to_owned()))??;
        Ok(started)
    }

    /// Takes up a scan that was interrupted or cancelled: only hosts without a result are asked, and those that were being asked then get
    /// only the probes that read.
    ///
    /// # Errors
    /// [`Error::State`] if it is not to be taken up, or the probes are no longer those that were approved.
    pub async fn resume(&self, who: Who, id: ScanId) -> Result<Started, Error> {
        if self.own(&who, id).await?.0.user != who.user.id {
            return Err(Error::State("a scan is taken up by the person who started it".to_owned()));
        }
        let reserved = self.reserve(id)?;
        // Read with the place in hand: a run that ended a moment ago has answered hosts, and what may change something runs once.
        let (row, rows) = self.own(&who, id).await?;
        if !matches!(row.state, RunState::Interrupted | RunState::Cancelled) {
            return Err(Error::State(format!("scan {id} is {}: only one that was interrupted or cancelled is taken up", row.state)));
        }
        let (longest, asked) = (self.config().probe_timeout, row.clone());
        let (kept, questions) = off(move || ledger::questions(&asked, longest)).await?;
        if questions.digest != row.digest {
            return Err(Error::State(
                "the probes are other ones than those that were approved (a newer keyward, or another `probe_timeout`): start a new scan"
                    .to_owned(),
            ));
        }
        let open: BTreeMap<HostId, bool> =
            rows.iter().filter(|h| ledger::is_open(h)).map(|h| (h.host, h.session.is_some() || h.state == HostState::Partial)).collect();
        if open.is_empty() && kept.osv.is_none() {
            return Err(Error::State(format!("every host of scan {id} has its result")));
        }
        let mut hosts = self.choose(&who, &row.selector).await?;
        hosts.retain(|h| open.contains_key(&h.host.id));
        for host in &mut hosts {
            host.again = open.get(&host.host.id).copied().unwrap_or(false);
        }
        // What is not granted any more, and was not asked before, is skipped with the reason.
        let refused: Vec<ScanHostRow> =
            hosts.iter().filter(|h| h.skip.is_some() && !h.again).map(|h| self.host_row(h)).collect::<Result<_, _>>()?;
        let wish = Wish {
            profiles: Vec::new(),
            policies: Vec::new(),
            hosts: row.selector.clone(),
            credential: kept.credential,
            parallel: Some(kept.parallel),
            osv: kept.osv.map_or(Osv::No, Osv::Folder),
            digest: None,
        };
        let plan = Plan::new(questions, hosts, &wish, &self.config())?;
        let event = started(&who, id, &plan).because("taken up again").with("profile", &row.profile);
        let begin = move |c: &rusqlite::Connection| -> Result<(), store::Error> {
            if !scans::take_up(c, id)? {
                return Err(store::Error::Missing("such scan that could be taken up".to_owned()));
            }
            refused.iter().try_for_each(|row| scans::put_host(c, id, row, &[]))
        };
        self.launch(reserved, who, plan, event, begin).await
    }

    /// Cancels a scan that runs: its leases and connections end at once.
    ///
    /// # Errors
    /// [`Error::NoSuch`]; [`Error::State`] if it does not run.
    pub async fn cancel(&self, who: &Who, id: ScanId) -> Result<(), Error> {
        self.own(who, id).await?;
        let running = self.0.runs.lock().ok().and_then(|runs| runs.get(&id).cloned());
        let Some(mut running) = running else { return Err(Error::State(format!("scan {id} does not run"))) };
        let event = Event::new(EventName::ScanCancelAsked, who.user.name.to_string()).with("scan", id).with("client", who.client);
        let cancel = running.cancel.clone();
        self.0.parts.log.record_then(event, move || cancel.cancel()).await?;
        let _ = running.progress.wait_for(|p| p.ended.is_some()).await;
        Ok(())
    }

    /// A scan that this person may see.
    async fn own(&self, who: &Who, id: ScanId) -> Result<(ScanRow, Vec<ScanHostRow>), Error> {
        let (row, hosts) = self.0.parts.store.read(move |c| ledger::load(c, id)).await?;
        if row.workspace == who.workspace && (who.sees_all || row.user == who.user.id) { Ok((row, hosts)) } else { Err(Error::NoSuch(id)) }
    }

    /// The newest scans.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list(&self, who: &Who, limit: u32) -> Result<Vec<Listed>, Error> {
        let (workspace, user) = (who.workspace.clone(), (!who.sees_all).then_some(who.user.id));
        let rows = self.0.parts.store.read(move |c| scans::newest(c, &workspace, user, limit)).await?;
        Ok(rows.into_iter().map(|(row, hosts)| Listed { row, hosts }).collect())
    }

    /// A run as one document, of one host alone if one is named. `lean`: with how many packages there are and what is missing of the
    /// facts, and without the facts.
    ///
    /// # Errors
    /// [`Error::NoSuch`], [`Error::Damaged`].
    pub async fn show(&self, who: &Who, id: ScanId, host: Option<&Name>, lean: bool) -> Result<Document, Error> {
        let (row, mut hosts) = self.own(who, id).await?;
        hosts.retain(|h| host.is_none_or(|name| h.host_name == *name));
        self.document(row, hosts, lean).await
    }

    /// One host of a run, by its name, with its facts.
    ///
    /// # Errors
    /// [`Error::NoSuch`], [`Error::Damaged`].
    pub async fn host(&self, who: &Who, id: ScanId, host: &str) -> Result<HostReport, Error> {
        let name: Name = host.parse().map_err(|_| Error::Damaged("the name of a host".to_owned()))?;
        let document = self.show(who, id, Some(&name), false).await?;
        document.hosts.into_iter().next().ok_or(Error::NoSuch(id))
    }

    /// A place to put a report together: few at once, because each may hold a run in memory.
    ///
    /// # Errors
    /// The broker is stopping.
    pub async fn place(&self) -> Result<SemaphorePermit<'_>, Error> {
        self.0.shown.acquire().await.map_err(|_| Error::State("the broker is stopping".to_owned()))
    }

    /// Puts a run together. The ledger's readers are many people's: each host is read by itself, and unpacked elsewhere.
    async fn document(&self, row: ScanRow, hosts: Vec<ScanHostRow>, lean: bool) -> Result<Document, Error> {
        let mut reports = Vec::with_capacity(hosts.len());
        for host in hosts {
            let packed = self.0.parts.store.read(move |c| ledger::packed_host(c, host)).await?;
            reports.push(off(move || packed.unpack(lean)).await?);
        }
        off(move || ledger::document(&row, reports)).await
    }

    /// What changed from one scan to another, on hosts that are in both.
    ///
    /// # Errors
    /// [`Error::NoSuch`], [`Error::Damaged`].
    pub async fn diff(&self, who: &Who, before: ScanId, after: ScanId) -> Result<Vec<HostDiff>, Error> {
        let _place = self.place().await?;
        let (before, after) = (self.show(who, before, None, false).await?, self.show(who, after, None, false).await?);
        let compare = move || {
            let mut known: BTreeMap<String, _> = before.hosts.into_iter().map(|h| (h.name.clone(), h)).collect();
            let mut out = Vec::new();
            for later in &after.hosts {
                let Some(was) = known.remove(&later.name) else {
                    out.push(HostDiff {
                        name: later.name.clone(),
                        note: Some("only in the second scan".to_owned()),
                        ..HostDiff::default()
                    });
                    continue;
                };
                let mut diff = HostDiff { name: later.name.clone(), ..HostDiff::default() };
                match (&was.facts, &later.facts) {
                    (Some(was), Some(now)) => diff.changes = facts::diff(was, now),
                    (None, _) => diff.note = Some("the first scan has no facts of it".to_owned()),
                    (_, None) => diff.note = Some("the second scan has no facts of it".to_owned()),
                }
                let states = crate::scans::result::known(&was);
                for check in later.checks.iter().filter(|c| c.state != CheckState::NotRun) {
                    if let Some(state) = states.get(&(check.policy.clone(), check.id.clone())).filter(|s| **s != check.state) {
                        diff.checks.push((check.policy.clone(), check.id.clone(), check.title.clone(), *state, check.state));
                    }
                }
                let covered = |h: &crate::report::HostReport| matches!(h.vulnerability_coverage, advisories::Coverage::Covered { .. });
                if covered(&was) && covered(later) {
                    let mut found = later.vulnerabilities.clone();
                    diff.vulnerabilities_fixed = advisories::compare(&mut found, &was.vulnerabilities);
                    diff.vulnerabilities_new = found.iter().filter(|v| v.new).map(|v| format!("{} {}", v.id, v.source)).collect();
                }
                out.push(diff);
            }
            out.extend(known.into_keys().map(|name| HostDiff {
                name,
                note: Some("only in the first scan".to_owned()),
                ..HostDiff::default()
            }));
            out
        };
        off(move || Ok(compare())).await
    }

    /// Stored answers, evaluated with other policies. Asks no host, and changes nothing of what is stored.
    ///
    /// # Errors
    /// [`Error::NoSuch`], [`Error::Policy`], [`Error::Damaged`].
    pub async fn evaluate(
        &self,
        who: &Who,
        id: ScanId,
        profiles_: &[String],
        policies: &[(String, String)],
        osv: &Osv,
    ) -> Result<Document, Error> {
        let (row, rows) = self.own(who, id).await?;
        let mut files = profiles::files(profiles_)?;
        files.extend(policies.iter().map(|(name, text)| (name.clone(), text.as_bytes().to_vec())));
        let (names, longest) = (profiles_.to_vec(), self.config().probe_timeout);
        let questions = off(move || Questions::of(files, &names, longest)).await?;
        let folder = match osv {
            Osv::No => None,
            Osv::Default => Some(self.config().osv.ok_or(Error::NoArchives)?),
            Osv::Folder(folder) => Some(folder.clone()),
        };
        let used = questions.policies.iter().map(|p| format!("{}@{}", p.id, p.sha256)).collect::<Vec<_>>().join(" ");
        let event = Event::new(EventName::ScanEvaluated, who.user.name.to_string()).with("scan", id).with("policies", used);
        self.0.parts.log.record(event).await?;
        let mut packed = Vec::with_capacity(rows.len());
        for host in rows.iter().map(|h| h.host) {
            packed.push(self.0.parts.store.read(move |c| ledger::packed_answers(c, id, host)).await?);
        }
        let mut document = self.document(row, rows, false).await?;
        let work = move || {
            // One host's answers at a time.
            for (host, packed) in document.hosts.iter_mut().zip(packed) {
                let before: Known = known(host);
                let answers = packed.map_or(Ok(Answers::new()), ledger::Packed::unpack)?;
                host.checks = questions.policies.iter().flat_map(|p| checked(p, &answers, &before)).collect();
            }
            if let Some(folder) = folder {
                let with: Vec<(&str, &Facts)> = document.hosts.iter().filter_map(|h| Some((h.name.as_str(), h.facts.as_ref()?))).collect();
                let mut found = advisories::look_up(&folder, &with, &|| false);
                for host in &mut document.hosts {
                    if let Some((coverage, advised)) = found.remove(&host.name) {
                        (host.vulnerability_coverage, host.vulnerabilities) = (coverage, advised);
                    }
                }
            }
            document.profile = questions.profile;
            document.policies = questions.policies.iter().map(ledger::used).collect();
            Ok(document)
        };
        off(work).await
    }

    /// Deletes the results of a scan.
    ///
    /// # Errors
    /// [`Error::NoSuch`]; [`Error::State`] if it runs.
    pub async fn remove(&self, who: &Who, id: ScanId) -> Result<(), Error> {
        self.own(who, id).await?;
        if self.0.runs.lock().is_ok_and(|runs| runs.contains_key(&id)) {
            return Err(Error::State(format!("scan {id} runs: cancel it first: keyward scan cancel {id}")));
        }
        let event = Event::new(EventName::ScanRemoved, who.user.name.to_string()).with("scan", id);
        self.0.parts.log.commit_with(event, (), move |c| scans::remove(c, id)).await?.into_inner();
        Ok(())
    }

    /// The newest facts of a host that this person's scans gathered: with the time, and by which scan.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub async fn latest(&self, user: UserId, workspace: &Name, host: HostId) -> Result<Option<(ScanId, Time, Facts)>, Error> {
        let workspace = workspace.clone();
        let read = move |c: &rusqlite::Connection| -> Result<_, Error> {
            let Some((scan, row)) = scans::last_known(c, &workspace, host, None, Some(user))? else { return Ok(None) };
            Ok(ledger::packed_facts(c, &row)?.map(|packed| (scan.id, scan.started_at, packed, row.facts)))
        };
        let Some((scan, at, packed, sha256)) = self.0.parts.store.read(read).await? else { return Ok(None) };
        Ok(Some((scan, at, off(move || ledger::genuine_json(&packed, sha256)).await?)))
    }

    /// Throws away what is older than is kept.
    async fn sweep(&self) -> Result<(), Error> {
        let keep = self.config().keep;
        let now = self.0.parts.clock.now();
        let before = Time::from_millis(now.millis() - i64::try_from(keep.as_millis()).unwrap_or(i64::MAX / 2));
        let old = self.0.parts.store.read(move |c| scans::ended_before(c, before, SWEEP)).await?;
        for id in old {
            let event = Event::new(EventName::ScanRemoved, "keyward").because("it is older than is kept").with("scan", id);
            // Somebody else may sweep at the same time.
            let gone = |e: store::Error| if matches!(e, store::Error::Missing(_)) { Ok(()) } else { Err(e) };
            self.0.parts.log.commit_with(event, (), move |c| scans::remove(c, id).or_else(gone)).await?.into_inner();
        }
        Ok(())
    }

    /// No scan begins any more, and those that run end, as interrupted.
    pub fn halt(&self) {
        self.0.stop.cancel();
    }

    /// Ends every scan, as interrupted, and waits until that is recorded.
    pub async fn close(&self) {
        self.0.stop.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

/// What is on record of a beginning: with it the person approves the digest.
fn started(who: &Who, id: ScanId, plan: &Plan) -> Event {
    let policies = plan.policies.iter().map(|p| format!("{}@{}", p.id, p.sha256)).collect::<Vec<_>>().join(" ");
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    Event::new(EventName::ScanStarted, who.user.name.to_string())
        .with("scan", id)
        .with("sha256", &plan.digest)
        .with("profile", &plan.profile)
        .with("policies", policies)
        .with("selector", &plan.selector)
        .with("client", who.client)
        .count("hosts", count(plan.asked()))
        .count("probes", count(plan.probes.len()))
}

/// Work that takes long, off the threads that others wait for.
async fn off<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Damaged("a defect ended the work on it".to_owned()))?
}

/// A place among the scans that run; it is free again when this is dropped.
struct Reserved {
    inner: Arc<Inner>,
    id: ScanId,
    cancel: CancellationToken,
    told: watch::Sender<Progress>,
    progress: watch::Receiver<Progress>,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Ok(mut runs) = self.inner.runs.lock() {
            runs.remove(&self.id);
        }
    }
}

/// What a daemon that died left running is interrupted. Nothing of it runs again by itself.
///
/// # Errors
/// What the store or the witness says.
pub async fn settle_left_behind(store: &Store, log: &Log, clock: &Clock) -> Result<usize, crate::audit::Error> {
    let left = store.read(|c| -> Result<Vec<ScanRow>, store::Error> { scans::running(c) }).await?;
    let count = left.len();
    for row in left {
        let (id, at) = (row.id, clock.now());
        let event = Event::new(EventName::ScanEnded, "keyward")
            .failed("the broker stopped while it ran")
            .with("scan", id)
            .with("state", RunState::Interrupted);
        let rows = move |c: &rusqlite::Connection| -> Result<(), store::Error> {
            ledger::settle(c, id)?;
            scans::set_state(c, id, RunState::Interrupted, Some(at))
        };
        log.commit_with(event, (), rows).await?.into_inner();
    }
    Ok(count)
}

/// A digest in words, for the dry run.
pub fn sha256_of(text: &str) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref())
}

#[cfg(test)]
impl Scans {
    /// As if a scan ran that is in the ledger: what cancels it, for the tests of those who do.
    pub(crate) fn runs_for_a_test(&self, id: ScanId) -> CancellationToken {
        let (cancel, progress) = (CancellationToken::new(), watch::channel(Progress::default()).1);
        if let Ok(mut runs) = self.0.runs.lock() {
            runs.insert(id, Running { cancel: cancel.clone(), progress });
        }
        cancel
    }
}
