//! What a run comes to: counts, what is missing from it, and the outcome that a script acts on. Fails closed: what is not known to be
//! complete is incomplete.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::document::{Asked, Document, HostReport, PolicyUsed};
use super::grade::Grade;
use super::text::{line, many, some};
use crate::advisories::Coverage;
use crate::checks::Checked;
use crate::model::{CheckState, HostState, RunState};
use crate::probes::NEEDS_ROOT;

/// The most names that a gap lists.
const NAMES: usize = 3;
/// The longest text of a host in a gap, in characters.
const TEXT: usize = 200;

/// What a run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Everything was answered, and nothing is wrong.
    Clean,
    /// Everything was answered, and a check failed or a vulnerability was found.
    Findings,
    /// Not everything was answered; there may be findings, too.
    Incomplete,
}

impl Outcome {
    /// The exit status of `scan`.
    pub fn exit_status(self) -> u8 {
        match self {
            Self::Clean => 0,
            Self::Findings => 4,
            Self::Incomplete => 5,
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Findings => "findings",
            Self::Incomplete => "incomplete",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that the run was to learn and did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Of which host; `None`: of the run.
    pub host: Option<String>,
    /// What is missing, and why.
    pub why: String,
}

/// A run in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// What it comes to.
    pub outcome: Outcome,
    /// What is missing: the run's gaps, then each host's, by name. Empty: it is complete.
    pub gaps: Vec<Gap>,
    /// Hosts by state.
    pub hosts: HostCounts,
    /// Results of checks by state, over all hosts.
    pub checks: CheckCounts,
    /// Vulnerabilities by grade, over all hosts: one on two hosts counts twice.
    pub vulnerabilities: GradeCounts,
    /// On how many hosts they could be looked up: of the others nothing is known.
    pub looked_up: usize,
    /// Those that the run before had not.
    pub vulnerabilities_new: usize,
    /// Those that the run before had, and this one has not.
    pub vulnerabilities_fixed: usize,
    /// Installed packages, over all hosts.
    pub packages: usize,
}

/// A host in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSummary {
    /// What is missing, and why. Empty: it is complete.
    pub gaps: Vec<String>,
    /// Results of checks by state.
    pub checks: CheckCounts,
    /// Vulnerabilities by grade.
    pub vulnerabilities: GradeCounts,
    /// Whether they could be looked up; if not, that there are none says nothing.
    pub looked_up: bool,
    /// Installed packages; `None`: not known.
    pub packages: Option<usize>,
}

/// Hosts by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the words are those of `HostState`")]
pub struct HostCounts {
    /// All of them.
    pub total: usize,
    pub waiting: usize,
    pub running: usize,
    pub done: usize,
    pub partial: usize,
    pub unreachable: usize,
    pub refused: usize,
    pub skipped: usize,
}

impl HostCounts {
    fn add(&mut self, state: HostState) {
        self.total += 1;
        let count = match state {
            HostState::Waiting => &mut self.waiting,
            HostState::Running => &mut self.running,
            HostState::Done => &mut self.done,
            HostState::Partial => &mut self.partial,
            HostState::Unreachable => &mut self.unreachable,
            HostState::Refused => &mut self.refused,
            HostState::Skipped => &mut self.skipped,
        };
        *count += 1;
    }

    /// How many are in this state.
    pub fn of(&self, state: HostState) -> usize {
        match state {
            HostState::Waiting => self.waiting,
            HostState::Running => self.running,
            HostState::Done => self.done,
            HostState::Partial => self.partial,
            HostState::Unreachable => self.unreachable,
            HostState::Refused => self.refused,
            HostState::Skipped => self.skipped,
        }
    }
}

/// Results of checks by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the words are those of `CheckState`")]
pub struct CheckCounts {
    pub passed: usize,
    pub failed: usize,
    pub not_applicable: usize,
    pub not_run: usize,
}

impl CheckCounts {
    pub(super) fn add(&mut self, state: CheckState) {
        let count = match state {
            CheckState::Passed => &mut self.passed,
            CheckState::Failed => &mut self.failed,
            CheckState::NotApplicable => &mut self.not_applicable,
            CheckState::NotRun => &mut self.not_run,
        };
        *count += 1;
    }

    /// How many are in this state.
    pub fn of(&self, state: CheckState) -> usize {
        match state {
            CheckState::Passed => self.passed,
            CheckState::Failed => self.failed,
            CheckState::NotApplicable => self.not_applicable,
            CheckState::NotRun => self.not_run,
        }
    }

    /// All of them.
    pub fn total(&self) -> usize {
        self.passed + self.failed + self.not_applicable + self.not_run
    }
}

/// Vulnerabilities by grade.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the words are those of `Grade`")]
pub struct GradeCounts {
    pub critical: usize,
    pub high: usize,
    pub medium: usize,
    pub low: usize,
    pub none: usize,
    pub unknown: usize,
}

impl GradeCounts {
    pub(super) fn add(&mut self, grade: Grade) {
        let count = match grade {
            Grade::Critical => &mut self.critical,
            Grade::High => &mut self.high,
            Grade::Unknown => &mut self.unknown,
            Grade::Medium => &mut self.medium,
            Grade::Low => &mut self.low,
            Grade::None => &mut self.none,
        };
        *count += 1;
    }

    /// How many are of this grade.
    pub fn of(&self, grade: Grade) -> usize {
        match grade {
            Grade::Critical => self.critical,
            Grade::High => self.high,
            Grade::Unknown => self.unknown,
            Grade::Medium => self.medium,
            Grade::Low => self.low,
            Grade::None => self.none,
        }
    }

    /// All of them.
    pub fn total(&self) -> usize {
        Grade::ALL.iter().map(|g| self.of(*g)).sum()
    }

    /// Those that there are, the worst first.
    pub fn present(&self) -> impl Iterator<Item = (Grade, usize)> {
        let counts = *self;
        Grade::ALL.iter().map(move |g| (*g, counts.of(*g))).filter(|(_, n)| *n > 0)
    }
}

impl Document {
    /// The run in numbers. Takes time in proportion to it.
    pub fn summary(&self) -> Summary {
        let mut gaps: Vec<Gap> = self.gaps().into_iter().map(|why| Gap { host: None, why }).collect();
        let mut summary = Summary {
            outcome: Outcome::Clean,
            gaps: Vec::new(),
            hosts: HostCounts::default(),
            checks: CheckCounts::default(),
            vulnerabilities: GradeCounts::default(),
            looked_up: 0,
            vulnerabilities_new: 0,
            vulnerabilities_fixed: 0,
            packages: 0,
        };
        for host in &self.hosts {
            summary.hosts.add(host.state);
            host.checks.iter().for_each(|c| summary.checks.add(c.state));
            host.vulnerabilities.iter().for_each(|v| summary.vulnerabilities.add(Grade::of(v.severity.as_ref())));
            summary.looked_up += usize::from(host.looked_up());
            summary.vulnerabilities_new += host.vulnerabilities.iter().filter(|v| v.new).count();
            summary.vulnerabilities_fixed += host.vulnerabilities_fixed.len();
            summary.packages += host.packages.or_else(|| host.facts.as_ref().map(|f| f.packages.len())).unwrap_or(0);
            gaps.extend(host.gaps(&self.policies).into_iter().map(|why| Gap { host: Some(host.name.clone()), why }));
        }
        summary.gaps = gaps;
        summary.outcome = match (summary.gaps.is_empty(), summary.checks.failed + summary.vulnerabilities.total()) {
            (false, _) => Outcome::Incomplete,
            (true, 0) => Outcome::Clean,
            (true, _) => Outcome::Findings,
        };
        summary
    }

    /// What the run comes to: the outcome of [`Document::summary`].
    pub fn outcome(&self) -> Outcome {
        self.summary().outcome
    }

    /// What is missing from the run as a whole.
    fn gaps(&self) -> Vec<String> {
        let mut gaps = Vec::new();
        match self.state {
            RunState::Done => {}
            RunState::Running => gaps.push("the scan still runs".to_owned()),
            RunState::Cancelled => gaps.push("the scan was cancelled".to_owned()),
            RunState::Interrupted => gaps.push("the scan was interrupted: the broker stopped, or could not keep a result".to_owned()),
        }
        if self.hosts.is_empty() {
            gaps.push("no host was scanned".to_owned());
        }
        gaps
    }
}

impl HostReport {
    /// The host in numbers; `policies` are those of its document.
    pub fn summary(&self, policies: &[PolicyUsed]) -> HostSummary {
        let mut summary = HostSummary {
            gaps: self.gaps(policies),
            packages: self
                .facts
                .as_ref()
                .filter(|f| !f.missing.contains_key("packages"))
                .map(|f| self.packages.unwrap_or(f.packages.len())),
            looked_up: self.looked_up(),
            ..HostSummary::default()
        };
        self.checks.iter().for_each(|c| summary.checks.add(c.state));
        self.vulnerabilities.iter().for_each(|v| summary.vulnerabilities.add(Grade::of(v.severity.as_ref())));
        summary
    }

    fn looked_up(&self) -> bool {
        matches!(self.vulnerability_coverage, Coverage::Covered { .. })
    }

    /// What was to be learned of it and was not.
    fn gaps(&self, policies: &[PolicyUsed]) -> Vec<String> {
        let mut gaps = Vec::new();
        if self.state != HostState::Done {
            let why = self.error.as_deref().map(|e| format!(": {}", line(e, TEXT))).unwrap_or_default();
            gaps.push(format!("{}{why}", self.state));
        }
        if !matches!(self.state, HostState::Done | HostState::Partial) {
            // Nothing was learned of it; to list all of that would hide why.
            return gaps;
        }
        gaps.extend(unanswered(&self.probes, self.ran_as.as_deref()));
        match &self.facts {
            None => gaps.push("nothing is known of it: there are no facts".to_owned()),
            Some(facts) => {
                gaps.extend(facts.missing.iter().map(|(group, why)| format!("not known: {} ({})", line(group, TEXT), line(why, TEXT))));
            }
        }
        gaps.extend(checks_missing(&self.checks, policies));
        gaps.extend(lookup_missing(&self.vulnerability_coverage));
        gaps
    }
}

/// Probes whose answer is not there, not whole, or that they may not see.
fn unanswered(probes: &[Asked], ran_as: Option<&str>) -> Option<String> {
    let why = |p: &Asked| match (p.status.as_str(), p.cut) {
        ("ended", true) => Some("answered more than is kept".to_owned()),
        ("ended", false) if p.exit == Some(NEEDS_ROOT) && !p.as_root && ran_as != Some("root") => Some("needs root".to_owned()),
        ("ended", false) => None,
        (status, _) => Some(p.reason.as_deref().map_or_else(|| status.replace('_', " "), |r| line(r, TEXT))),
    };
    let named: Vec<String> = probes.iter().filter_map(|p| Some(format!("{} ({})", line(&p.id, 60), why(p)?))).collect();
    let verb = if named.len() == 1 { "was" } else { "were" };
    (!named.is_empty()).then(|| format!("{} {verb} not answered: {}", many(named.len(), "probe"), some(&named, NAMES)))
}

/// Checks that were not run, and checks of the policies that have no result at all.
fn checks_missing(checks: &[Checked], policies: &[PolicyUsed]) -> Vec<String> {
    let mut gaps = Vec::new();
    let not_run: Vec<&Checked> = checks.iter().filter(|c| c.state == CheckState::NotRun).collect();
    if !not_run.is_empty() {
        let verb = if not_run.len() == 1 { "was" } else { "were" };
        let ids = some(not_run.iter().map(|c| line(&c.id, 60)), NAMES);
        gaps.push(format!("{} {verb} not run: {ids}", many(not_run.len(), "check")));
    }
    let mut results: BTreeMap<&str, usize> = BTreeMap::new();
    checks.iter().for_each(|c| *results.entry(&c.policy).or_default() += 1);
    for policy in policies {
        let there = results.get(policy.id.as_str()).copied().unwrap_or(0);
        if there < policy.checks {
            gaps.push(format!(
                "the policy {} has {}, and {there} of them have a result",
                line(&policy.id, 60),
                many(policy.checks, "check")
            ));
        }
    }
    gaps
}

/// Why its vulnerabilities are not known, where somebody asked for them.
fn lookup_missing(coverage: &Coverage) -> Option<String> {
    match coverage {
        Coverage::NotAsked | Coverage::Covered { .. } => None,
        Coverage::Unsupported { why } => Some(format!("vulnerabilities are not known: not covered: {}", line(why, TEXT))),
        Coverage::NoArchive { why } => Some(format!("vulnerabilities are not known: no archive: {}", line(why, TEXT))),
        Coverage::NoPackages { why } => Some(format!("vulnerabilities are not known: no packages: {}", line(why, TEXT))),
    }
}
