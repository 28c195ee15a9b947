//! A run for a terminal: what it comes to, a row per host, what failed, what is vulnerable. Colours only repeat what words say.

use std::fmt;

use comfy_table::{ContentArrangement, Table, presets};

use super::document::{Document, HostReport, SCHEMA};
use super::gather::{self, VulnerabilityRow};
use super::grade::Grade;
use super::summary::{GradeCounts, HostSummary, Outcome, Summary};
use super::text::{line, many, some};
use super::{Error, Style};
use crate::checks::Checked;
use crate::model::{CheckState, HostState};

/// The longest cell, in characters.
const CELL: usize = 300;
/// The longest note in the table of hosts, in characters.
const NOTE: usize = 100;
/// The longest advice: it is the one thing that is to be read whole.
const ADVICE: usize = 1000;
/// The most gaps that the summary lists.
const GAPS: usize = 20;
/// The most hosts that a row names.
const HOSTS: usize = 5;

pub(super) fn write(document: &Document, style: &Style, out: &mut dyn fmt::Write) -> Result<(), Error> {
    let summary = document.summary();
    top(document, &summary, style, out)?;
    let hosts: Vec<(&HostReport, HostSummary)> = document.hosts.iter().map(|h| (h, h.summary(&document.policies))).collect();
    hosts_table(&hosts, style, out)?;
    for (host, summary) in &hosts {
        host_checks(host, summary, style, out)?;
    }
    vulnerabilities(document, style, out)
}

/// What the run comes to.
fn top(document: &Document, summary: &Summary, style: &Style, out: &mut dyn fmt::Write) -> Result<(), Error> {
    let verdict = match summary.outcome {
        Outcome::Clean => format!("{} clean: everything was answered, nothing is wrong", sign(style, Sign::Good)),
        Outcome::Findings => format!("{} findings: everything was answered", sign(style, Sign::Bad)),
        Outcome::Incomplete => format!("{} incomplete: not everything was answered", sign(style, Sign::Open)),
    };
    let hosts = HostState::ALL.iter().filter(|s| summary.hosts.of(**s) > 0).map(|s| format!("{} {s}", summary.hosts.of(*s)));
    let checks = [CheckState::Failed, CheckState::NotRun, CheckState::Passed, CheckState::NotApplicable];
    let checks = checks.iter().filter(|s| summary.checks.of(**s) > 0).map(|s| format!("{} {}", summary.checks.of(*s), words(*s)));
    let mut found = counted(summary.vulnerabilities.total(), summary.vulnerabilities.present().map(|(g, n)| format!("{n} {g}")));
    match summary.looked_up {
        0 if summary.vulnerabilities.total() == 0 => "not looked up".clone_into(&mut found),
        hosts => found.push_str(&format!("; looked up for {hosts} of {}", many(summary.hosts.total, "host"))),
    }
    if summary.vulnerabilities_new > 0 {
        found.push_str(&format!("; {} new", summary.vulnerabilities_new));
    }
    if summary.vulnerabilities_fixed > 0 {
        found.push_str(&format!("; {} fixed since", summary.vulnerabilities_fixed));
    }
    let ended = document.ended_at.as_deref().unwrap_or("it still runs");
    let rows = vec![
        ("outcome", verdict),
        ("scan", format!("{} ({SCHEMA})", document.id)),
        ("profile", document.profile.clone()),
        ("of", document.selector.clone()),
        ("by", document.user.to_string()),
        ("time", format!("{} to {ended}", document.started_at)),
        ("hosts", counted(summary.hosts.total, hosts)),
        ("checks", counted(summary.checks.total(), checks)),
        ("vulnerable", found),
        ("packages", summary.packages.to_string()),
    ];
    let rows = rows.into_iter().map(|(key, value)| vec![key.to_owned(), line(&value, CELL)]).collect();
    put(&lay_out(None, rows, style), style, out)?;
    if !summary.gaps.is_empty() {
        heading(&format!("What is missing: {}", many(summary.gaps.len(), "gap")), style, out)?;
        let mut rows: Vec<Vec<String>> = Vec::new();
        for gap in summary.gaps.iter().take(GAPS) {
            let of = gap.host.as_deref().map_or_else(|| "the scan".to_owned(), |h| line(h, CELL));
            rows.push(vec![format!("{} {of}", sign(style, Sign::Open)), line(&gap.why, ADVICE)]);
        }
        if summary.gaps.len() > GAPS {
            rows.push(vec![String::new(), format!("and {} more", summary.gaps.len() - GAPS)]);
        }
        put(&lay_out(None, rows, style), style, out)?;
    }
    Ok(())
}

fn counted(total: usize, parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { total.to_string() } else { format!("{total}: {}", parts.join(", ")) }
}

fn hosts_table(hosts: &[(&HostReport, HostSummary)], style: &Style, out: &mut dyn fmt::Write) -> Result<(), Error> {
    if hosts.is_empty() {
        return Ok(());
    }
    heading("Hosts", style, out)?;
    let rows = hosts.iter().map(|(host, summary)| {
        let state = match (host.state, summary.gaps.is_empty()) {
            (HostState::Done, true) if summary.checks.failed + summary.vulnerabilities.total() == 0 => Sign::Good,
            (HostState::Done, true) => Sign::Bad,
            _ => Sign::Open,
        };
        // Where nothing was checked, nothing failed either: a zero would be misread.
        let count = |state| if summary.checks.total() == 0 { "-".to_owned() } else { summary.checks.of(state).to_string() };
        let note = host.error.as_deref().into_iter().chain(host.warnings.iter().map(String::as_str));
        vec![
            format!("{} {}", sign(style, state), line(&host.name, CELL)),
            host.state.to_string(),
            count(CheckState::Failed),
            count(CheckState::NotRun),
            count(CheckState::Passed),
            count(CheckState::NotApplicable),
            grades(&summary.vulnerabilities, summary.looked_up),
            summary.packages.map_or_else(|| "-".to_owned(), |n| n.to_string()),
            line(&note.collect::<Vec<_>>().join("; "), NOTE),
        ]
    });
    let header = ["HOST", "STATE", "FAILED", "NOT RUN", "PASSED", "N/A", "VULNERABLE", "PACKAGES", "NOTE"];
    put(&lay_out(Some(&header), rows.collect(), style), style, out)
}

/// Zero only where they were looked up.
fn grades(counts: &GradeCounts, looked_up: bool) -> String {
    let parts: Vec<String> = counts.present().map(|(g, n)| format!("{n} {g}")).collect();
    match (parts.is_empty(), looked_up) {
        (false, _) => parts.join(", "),
        (true, true) => "0".to_owned(),
        (true, false) => "not known".to_owned(),
    }
}

/// What failed on a host and what was not run there, the failed ones first.
fn host_checks(host: &HostReport, summary: &HostSummary, style: &Style, out: &mut dyn fmt::Write) -> Result<(), Error> {
    if summary.checks.failed + summary.checks.not_run == 0 {
        return Ok(());
    }
    let mut parts = Vec::new();
    if summary.checks.failed > 0 {
        parts.push(format!("{} failed", many(summary.checks.failed, "check")));
    }
    if summary.checks.not_run > 0 {
        parts.push(format!("{} not run", many(summary.checks.not_run, "check")));
    }
    heading(&format!("{}: {}", line(&host.name, CELL), parts.join(", ")), style, out)?;
    let mut rows = Vec::new();
    for state in [CheckState::Failed, CheckState::NotRun] {
        let mut of: Vec<&Checked> = host.checks.iter().filter(|c| c.state == state).collect();
        of.sort_by(|a, b| (&a.policy, gather::natural(&a.id)).cmp(&(&b.policy, gather::natural(&b.id))));
        for check in of {
            let shown = if state == CheckState::Failed { Sign::Bad } else { Sign::Open };
            rows.push(vec![format!("{} {}", sign(style, shown), words(state)), line(&format!("{}  {}", check.id, check.title), CELL)]);
            let facts = [
                ("expected", &check.expected, CELL),
                ("actual", &check.actual, CELL),
                ("reason", &check.reason, CELL),
                ("to do", &check.remediation, ADVICE),
            ];
            for (name, value, most) in facts {
                if let Some(value) = value.as_deref().filter(|v| !v.trim().is_empty()) {
                    rows.push(vec![format!("  {name}"), line(value, most)]);
                }
            }
            if let Some(last) = check.last_known {
                rows.push(vec!["  before".to_owned(), words(last).to_owned()]);
            }
        }
    }
    put(&lay_out(None, rows, style), style, out)
}

fn vulnerabilities(document: &Document, style: &Style, out: &mut dyn fmt::Write) -> Result<(), Error> {
    let rows = gather::vulnerabilities(document);
    if rows.is_empty() {
        return Ok(());
    }
    heading(&format!("Vulnerabilities: {}", rows.len()), style, out)?;
    let cells = rows.iter().flat_map(|row| vulnerability(row, style)).collect();
    put(&lay_out(Some(&["SEVERITY", "ID", "PACKAGE", "INSTALLED", "FIXED", "HOSTS"]), cells, style), style, out)
}

/// One row for each installed version.
fn vulnerability(row: &VulnerabilityRow<'_>, style: &Style) -> Vec<Vec<String>> {
    let id = [Some(row.name()), row.other_name()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let new = if row.new { " (new)" } else { "" };
    let arrow = if style.unicode { "→ " } else { "-> " };
    let mut out = Vec::new();
    for ((installed, fixed), hosts) in &row.places {
        let names: Vec<String> = hosts.iter().map(|(h, _)| line(&h.name, CELL)).collect();
        out.push(vec![
            format!("{} {}", sign(style, sign_of(row.grade)), row.grade),
            format!("{}{new}", line(&id, CELL)),
            line(&row.about.source, CELL),
            line(installed, CELL),
            fixed.map_or_else(|| "no fix known".to_owned(), |f| format!("{arrow}{}", line(f, CELL))),
            format!("{}: {}", hosts.len(), some(names, HOSTS)),
        ]);
    }
    out
}

fn words(state: CheckState) -> &'static str {
    match state {
        CheckState::Passed => "passed",
        CheckState::Failed => "failed",
        CheckState::NotApplicable => "not applicable",
        CheckState::NotRun => "not run",
    }
}

/// What stands before a word, and decides its colour.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    Good,
    Bad,
    Open,
    Mild,
}

impl Sign {
    const ALL: [Self; 4] = [Self::Good, Self::Bad, Self::Open, Self::Mild];

    /// Red, green, yellow, or as it is.
    fn colour(self) -> &'static str {
        match self {
            Self::Good => "\x1b[32m",
            Self::Bad => "\x1b[31m",
            Self::Open => "\x1b[33m",
            Self::Mild => "\x1b[0m",
        }
    }
}

fn sign_of(grade: Grade) -> Sign {
    match grade {
        Grade::Critical | Grade::High => Sign::Bad,
        Grade::Unknown | Grade::Medium => Sign::Open,
        Grade::Low | Grade::None => Sign::Mild,
    }
}

fn sign(style: &Style, sign: Sign) -> &'static str {
    match (sign, style.unicode) {
        (Sign::Good, true) => "✓",
        (Sign::Good, false) => "+",
        (Sign::Bad, true) => "✗",
        (Sign::Bad, false) => "x",
        (Sign::Open, true) => "◐",
        (Sign::Open, false) => "?",
        (Sign::Mild, true) => "·",
        (Sign::Mild, false) => "-",
    }
}

fn heading(text: &str, style: &Style, out: &mut dyn fmt::Write) -> Result<(), Error> {
    if style.colour {
        writeln!(out, "\n\x1b[1m{text}\x1b[0m")?
    } else {
        writeln!(out, "\n{text}")?
    }
    Ok(())
}

fn lay_out(header: Option<&[&str]>, rows: Vec<Vec<String>>, style: &Style) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    match style.width {
        Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.max(40)),
        None => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    if let Some(header) = header {
        table.set_header(header.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>());
    }
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.to_string()
}

/// Line by line, without blanks at the ends. Colours come last: they have no width, and no cell can bring its own.
fn put(text: &str, style: &Style, out: &mut dyn fmt::Write) -> Result<(), Error> {
    for row in text.lines() {
        let row = row.trim_end();
        let first = Sign::ALL.into_iter().find(|s| row.strip_prefix(sign(style, *s)).is_some_and(|rest| rest.starts_with(' ')));
        match first.filter(|_| style.colour) {
            Some(found) => {
                let mark = sign(style, found);
                let rest = row.strip_prefix(mark).unwrap_or_default();
                let (word, rest) = rest.split_at(rest.find("  ").unwrap_or(rest.len()));
                writeln!(out, "{}{mark}{word}\x1b[0m{rest}", found.colour())?;
            }
            None => writeln!(out, "{row}")?,
        }
    }
    Ok(())
}
