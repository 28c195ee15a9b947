//! Verbs about scans: run, follow, show. The desk of scans does the work; here it is said who may, and what of it is shown.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use super::api::{Door, Reply};
use super::desk::{Call, Output, Piece};
use super::error::Error;
use super::rights::Reach;
use super::view::{
    ChangeView, CheckChangeView, Data, FinishedView, HostDiffView, PlannedHostView, PlannedPolicyView, PlannedProbeView, ProgressView,
    ScanDiffView, ScanPlanView, ScanView, ScannedView,
};
use super::words::{NewScan, OsvWord, PolicyText, ReportWords};
use crate::model::{HostState, Role, ScanId};
use crate::probes::Root;
use crate::report::{self, Document, Format, Style};
use crate::scans::{self, HostDiff, Osv, Progress, Started, Who, Wish};

/// How often whoever waits hears how far it is.
const TICK: Duration = Duration::from_millis(250);
/// The longest piece of a report.
const PIECE: usize = 256 * 1024;
/// Policies in one call.
const POLICIES: usize = 32;

impl Call<'_> {
    fn who(&self) -> Who {
        // At the local door there is no network: a grant that holds only from one sees this machine.
        let client = self.client.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        Who {
            user: self.actor.clone(),
            key: self.key.clone(),
            client,
            workspace: self.workspace.clone(),
            sees_all: self.reach == Reach::All,
        }
    }

    /// A folder of the broker's machine is only for those who could read it anyway.
    fn osv(&self, word: OsvWord) -> Result<Osv, Error> {
        match word {
            OsvWord::No => Ok(Osv::No),
            OsvWord::Default => Ok(Osv::Default),
            OsvWord::Folder(folder) if self.door == Door::Local && matches!(self.actor.role, Role::Owner | Role::Admin) => {
                let folder = PathBuf::from(folder);
                if folder.is_absolute() {
                    Ok(Osv::Folder(folder))
                } else {
                    Err(Error::unfit("the folder with OSV archives is no absolute path", "write it whole: --osv /srv/osv"))
                }
            }
            OsvWord::Folder(_) => Err(scans::Error::Folder.into()),
        }
    }

    fn wish(&self, scan: NewScan) -> Result<Wish, Error> {
        if scan.policies.len() > POLICIES {
            return Err(scans::Error::Limit { what: format!("{} policies", scan.policies.len()), most: POLICIES }.into());
        }
        if scan.parallel == Some(0) {
            return Err(Error::unfit("no host at once is no scan", "leave --parallel out, or write a number from 1"));
        }
        Ok(Wish {
            profiles: scan.profiles,
            policies: scan.policies.into_iter().map(|p| (p.name, p.text)).collect(),
            hosts: scan.hosts,
            credential: scan.credential,
            parallel: scan.parallel,
            osv: self.osv(scan.osv)?,
            digest: scan.digest,
        })
    }

    pub(super) async fn scan_plan(&self, scan: NewScan) -> Result<Reply, Error> {
        let plan = self.parts.scans.plan(&self.who(), &self.wish(scan)?).await?;
        let root = |r: Root| match r {
            Root::Never => "never",
            Root::IfRefused => "if_refused",
            Root::Needed => "needed",
        };
        let view = ScanPlanView {
            profile: plan.profile.clone(),
            digest: plan.digest.clone(),
            parallel: plan.parallel,
            hosts: plan
                .hosts
                .iter()
                .map(|h| PlannedHostView { name: h.host.name.clone(), address: h.host.address.to_string(), skip: h.skip.clone() })
                .collect(),
            policies: plan
                .policies
                .iter()
                .map(|p| PlannedPolicyView {
                    id: p.id.clone(),
                    name: p.name.clone(),
                    sha256: p.sha256.clone(),
                    checks: p.checks.len(),
                    warnings: p.warnings.iter().map(ToString::to_string).collect(),
                })
                .collect(),
            frame: scans::frame(),
            probes: plan
                .probes
                .iter()
                .map(|p| PlannedProbeView {
                    id: p.id.clone(),
                    command: p.command.clone(),
                    sha256: scans::sha256_of(&p.command),
                    root: root(p.root).to_owned(),
                    timeout_s: p.timeout_s,
                    cap: p.cap,
                    read_only: p.read_only,
                })
                .collect(),
        };
        Ok(Reply::of(Data::ScanPlan(view)).note(format!("nothing was asked of any host; to run exactly this: --digest {}", plan.digest)))
    }

    pub(super) async fn scan_run(&self, scan: NewScan, words: ReportWords, out: &Output) -> Result<Reply, Error> {
        // A wrong format is told before hosts are asked.
        format(&words)?;
        let who = self.who();
        let plan = self.parts.scans.plan(&who, &self.wish(scan)?).await?;
        let notes: Vec<String> = plan.policies.iter().flat_map(|p| p.warnings.iter().map(|w| format!("policy {}, {w}", p.id))).collect();
        let started = self.parts.scans.start(who, plan).await?;
        let mut reply = self.follow(started, words, out).await?;
        reply.notes.splice(0..0, notes);
        Ok(reply)
    }

    pub(super) async fn scan_resume(&self, id: ScanId, words: ReportWords, out: &Output) -> Result<Reply, Error> {
        format(&words)?;
        let started = self.parts.scans.resume(self.who(), id).await?;
        self.follow(started, words, out).await
    }

    /// Tells how the scan goes until it has ended, then how it came out. Whoever goes away cancels it.
    async fn follow(&self, started: Started, words: ReportWords, out: &Output) -> Result<Reply, Error> {
        let Started { id, mut progress, cancel } = started;
        let guard = cancel.clone().drop_guard();
        let began = Instant::now();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = 0;
        let mut gone = false;
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = out.closed(), if !gone => {
                    gone = true;
                    cancel.cancel();
                }
            }
            let (view, ended) = {
                let now = progress.borrow_and_update();
                (view(id, &now, told, began.elapsed()), now.ended.is_some())
            };
            told += view.finished.len();
            gone |= out.send(Piece::Progress(view)).await.is_err();
            if gone {
                cancel.cancel();
            }
            if ended {
                break;
            }
            if gone {
                let _ = progress.wait_for(|p| p.ended.is_some()).await;
            }
            // Nobody is left who could tell of an end, and none was told.
            if progress.has_changed().is_err() && progress.borrow().ended.is_none() {
                return Err(scans::Error::State(format!("a defect ended scan {id}; what was answered is kept")).into());
            }
        }
        drop(guard.disarm());
        if gone {
            return Err(Error::Gone);
        }
        self.shown(id, words, out).await
    }

    pub(super) async fn scan_cancel(&self, id: ScanId) -> Result<Reply, Error> {
        self.parts.scans.cancel(&self.who(), id).await?;
        Ok(Reply::done(Data::Nothing, format!("scan {id} cancelled; what was answered is kept")))
    }

    pub(super) async fn scan_list(&self, limit: u32) -> Result<Reply, Error> {
        let listed = self.parts.scans.list(&self.who(), limit.clamp(1, 10_000)).await?;
        let view = listed.into_iter().map(|l| ScanView {
            id: l.row.id,
            state: l.row.state,
            profile: l.row.profile,
            user: l.row.user_name,
            selector: l.row.selector,
            started_at: l.row.started_at,
            ended_at: l.row.ended_at,
            hosts: l.hosts.into_iter().map(|(state, count)| (state.to_string(), count)).collect(),
            digest: l.row.digest,
        });
        Ok(Reply::of(Data::Scans(view.collect())))
    }

    pub(super) async fn scan_show(&self, id: ScanId, words: ReportWords, out: &Output) -> Result<Reply, Error> {
        self.shown(id, words, out).await
    }

    /// A stored run, as it was asked for.
    async fn shown(&self, id: ScanId, words: ReportWords, out: &Output) -> Result<Reply, Error> {
        let (who, form) = (self.who(), format(&words)?);
        let _place = self.parts.scans.place().await?;
        let document = self.parts.scans.show(&who, id, words.host.as_ref(), !form.tells_facts() || form == Format::Json).await?;
        if let (Some(host), true) = (&words.host, document.hosts.is_empty()) {
            return Err(Error::no_such("host in this scan", host, "scan show"));
        }
        if form != Format::Json {
            return report(document, words, out).await;
        }
        // Facts are most of it: one host's at a time.
        let (scans, runtime) = (self.parts.scans.clone(), tokio::runtime::Handle::current());
        write(out, move |to| {
            let view = ScannedView { id: document.id, state: document.state, outcome: document.outcome().as_str().to_owned() };
            let host = |n: usize| -> Result<_, Error> {
                let name = document.hosts.get(n).map(|h| h.name.as_str()).unwrap_or_default();
                Ok(runtime.block_on(scans.host(&who, id, name))?)
            };
            report::write_each(&document, host, to)?;
            Ok(view)
        })
        .await
    }

    pub(super) async fn scan_diff(&self, before: ScanId, after: ScanId) -> Result<Reply, Error> {
        let hosts = self.parts.scans.diff(&self.who(), before, after).await?;
        Ok(Reply::of(Data::ScanDiff(ScanDiffView { before, after, hosts: hosts.into_iter().map(diff).collect() })))
    }

    #[allow(clippy::too_many_arguments)] // the words of one verb
    pub(super) async fn scan_evaluate(
        &self,
        id: ScanId,
        profiles: Vec<String>,
        policies: Vec<PolicyText>,
        osv: OsvWord,
        words: ReportWords,
        out: &Output,
    ) -> Result<Reply, Error> {
        format(&words)?;
        let policies: Vec<(String, String)> = policies.into_iter().map(|p| (p.name, p.text)).collect();
        let osv = self.osv(osv)?;
        let _place = self.parts.scans.place().await?;
        let document = self.parts.scans.evaluate(&self.who(), id, &profiles, &policies, &osv).await?;
        report(document, words, out).await
    }

    pub(super) async fn scan_remove(&self, id: ScanId) -> Result<Reply, Error> {
        self.parts.scans.remove(&self.who(), id).await?;
        Ok(Reply::done(Data::Nothing, format!("scan {id} removed")))
    }

    pub(super) fn scan_profiles() -> Reply {
        Reply::of(Data::Profiles(scans::profiles::names().into_iter().map(str::to_owned).collect()))
    }
}

fn format(words: &ReportWords) -> Result<Format, Error> {
    words
        .format
        .as_deref()
        .unwrap_or(Format::Table.as_str())
        .parse()
        .map_err(|e: String| Error::unfit(e, "for instance: keyward scan show scn_… --format html > report.html"))
}

/// Writes a document as it was asked for, piece by piece.
async fn report(mut document: Document, words: ReportWords, out: &Output) -> Result<Reply, Error> {
    let format = format(&words)?;
    if let Some(host) = &words.host {
        document.hosts.retain(|h| h.name == host.as_str());
        if document.hosts.is_empty() {
            return Err(Error::no_such("host in this scan", host, "scan show"));
        }
    }
    write(out, move |to| {
        let style = Style { colour: words.colour, width: words.width, unicode: true };
        report::write_to(&document, format, &style, to)?;
        Ok(ScannedView { id: document.id, state: document.state, outcome: document.outcome().as_str().to_owned() })
    })
    .await
}

/// Has a report written on a thread of its own, and sent as it comes.
async fn write(out: &Output, work: impl FnOnce(&mut Pieces) -> Result<ScannedView, Error> + Send + 'static) -> Result<Reply, Error> {
    let mut pieces = Pieces { held: String::new(), out: out.clone(), gone: false };
    let written = tokio::task::spawn_blocking(move || {
        let view = work(&mut pieces).and_then(|view| pieces.send().map(|()| view).map_err(|_| Error::Gone));
        // Nobody is there to read: why the writing stopped is no defect.
        if pieces.gone { Err(Error::Gone) } else { view }
    });
    let view = written.await.map_err(|e| Error::from(scans::Error::Report(e.to_string())))??;
    Ok(Reply::of(Data::Scanned(view)))
}

/// Collects a text and sends it in pieces.
struct Pieces {
    held: String,
    out: Output,
    gone: bool,
}

impl Pieces {
    fn send(&mut self) -> std::fmt::Result {
        if self.held.is_empty() {
            return Ok(());
        }
        self.out.blocking_send(Piece::Report(std::mem::take(&mut self.held))).map_err(|_| {
            self.gone = true;
            std::fmt::Error
        })
    }
}

impl std::fmt::Write for Pieces {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.held.push_str(text);
        if self.held.len() >= PIECE { self.send() } else { Ok(()) }
    }
}

impl From<report::Error> for Error {
    fn from(e: report::Error) -> Self {
        scans::Error::Report(e.to_string()).into()
    }
}

fn view(id: ScanId, now: &Progress, told: usize, elapsed: Duration) -> ProgressView {
    let bad = |s: HostState| matches!(s, HostState::Unreachable | HostState::Refused | HostState::Skipped);
    let done = now.finished.len();
    let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let elapsed_ms = millis(elapsed);
    let left = now.total.saturating_sub(done);
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    ProgressView {
        id,
        total: now.total,
        done,
        failed: now.finished.iter().filter(|h| bad(h.state)).count(),
        running: now.running,
        elapsed_ms,
        // Guessed from how it went so far; before the first host is done there is nothing to go by.
        left_ms: (done > 0).then(|| elapsed_ms.saturating_mul(count(left)) / count(done)),
        looking_up: now.looking_up,
        finished: now
            .finished
            .iter()
            .skip(told)
            .map(|h| FinishedView {
                host: h.name.clone(),
                state: h.state.to_string(),
                error: h.error.clone(),
                failed_checks: h.failed,
                took_ms: h.took_ms,
            })
            .collect(),
    }
}

fn diff(host: HostDiff) -> HostDiffView {
    let HostDiff { name, note, changes, checks, vulnerabilities_new, vulnerabilities_fixed } = host;
    HostDiffView {
        name,
        note,
        changes: changes.into_iter().map(|c| ChangeView { kind: c.kind, name: c.name, before: c.before, after: c.after }).collect(),
        checks: checks
            .into_iter()
            .map(|(policy, id, title, before, after)| CheckChangeView {
                policy,
                id,
                title,
                before: before.to_string(),
                after: after.to_string(),
            })
            .collect(),
        vulnerabilities_new,
        vulnerabilities_fixed,
    }
}
