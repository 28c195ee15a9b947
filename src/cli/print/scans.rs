//! Scans for people: lists, dry runs, differences, and how one goes. Reports come as they are and are not made here.

use std::time::Duration;

use super::Style;
use super::list::{at, or_dash};
use super::table::table;
use crate::control::{HostDiffView, ProgressView, ScanDiffView, ScanPlanView, ScanView};
use crate::model::printable;

/// The width of a bar, in signs.
const BAR: u64 = 24;
/// How often a line says how far it is where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

pub(super) fn scans(list: &[ScanView], style: &Style) -> String {
    let rows = list.iter().map(|s| {
        let hosts: Vec<String> = s.hosts.iter().map(|(state, n)| format!("{n} {state}")).collect();
        vec![
            s.id.to_string(),
            s.state.to_string(),
            s.profile.clone(),
            s.user.to_string(),
            at(s.started_at),
            or_dash(s.ended_at.map(at).as_ref()),
            hosts.join(", "),
            s.selector.clone(),
        ]
    });
    table(&["ID", "STATE", "PROFILE", "USER", "STARTED", "ENDED", "HOSTS", "SELECTOR"], rows.collect(), style)
}

/// Every command, each whole: what is approved by starting it.
pub(super) fn plan(plan: &ScanPlanView, style: &Style) -> String {
    let mut out = format!("profile  {}\ndigest   {}\nparallel {}\n\n", printable(&plan.profile, 200), plan.digest, plan.parallel);
    let hosts = plan.hosts.iter().map(|h| {
        let what = h.skip.as_ref().map_or_else(|| "will be asked".to_owned(), |why| format!("skipped: {why}"));
        vec![h.name.to_string(), h.address.clone(), what]
    });
    out.push_str(&table(&["HOST", "ADDRESS", "WHAT"], hosts.collect(), style));
    if !plan.policies.is_empty() {
        let policies = plan.policies.iter().map(|p| vec![p.id.clone(), p.checks.to_string(), p.sha256.clone(), p.name.clone()]);
        out.push('\n');
        out.push_str(&table(&["POLICY", "CHECKS", "SHA256", "NAME"], policies.collect(), style));
        for policy in &plan.policies {
            for warning in &policy.warnings {
                out.push_str(&printable(&format!("warning: policy {}, {warning}", policy.id), 1000));
                out.push('\n');
            }
        }
    }
    out.push_str("\n# around the probes, each of which `p` runs; and how root is asked for where a probe needs it\n");
    for line in plan.frame.lines() {
        out.push_str(&printable(line, 100_000));
        out.push('\n');
    }
    for probe in &plan.probes {
        let reads = if probe.read_only { "reads only" } else { "its author's word" };
        let root = match probe.root.as_str() {
            "needed" => "as root",
            "if_refused" => "as root if refused",
            _ => "as the account",
        };
        out.push_str(&format!(
            "\n# {} · {root} · {reads} · {} s · {} bytes · sha256 {}\n",
            printable(&probe.id, 200),
            probe.timeout_s,
            probe.cap,
            probe.sha256
        ));
        for line in probe.command.lines() {
            out.push_str(&printable(line, 100_000));
            out.push('\n');
        }
    }
    out
}

pub(super) fn diff(view: &ScanDiffView) -> String {
    let mut out = String::new();
    for host in view.hosts.iter().filter(|h| !is_empty(h)) {
        out.push_str(&format!("{}\n", printable(&host.name, 100)));
        let mut line = |sign: &str, text: String| out.push_str(&format!("  {sign} {}\n", printable(&text, 300)));
        if let Some(note) = &host.note {
            line("!", note.clone());
        }
        for c in &host.changes {
            match (&c.before, &c.after) {
                (None, Some(now)) => line("+", format!("{} {} {now}", c.kind, c.name)),
                (Some(was), None) => line("-", format!("{} {} {was}", c.kind, c.name)),
                (Some(was), Some(now)) => line("~", format!("{} {}: {was} → {now}", c.kind, c.name)),
                (None, None) => {}
            }
        }
        for c in &host.checks {
            line("~", format!("check {} {}: {} → {}", c.id, c.title, c.before, c.after));
        }
        for v in &host.vulnerabilities_new {
            line("+", format!("vulnerability {v}"));
        }
        for v in &host.vulnerabilities_fixed {
            line("-", format!("vulnerability {v}"));
        }
    }
    if out.is_empty() { "nothing changed\n".to_owned() } else { out }
}

fn is_empty(h: &HostDiffView) -> bool {
    h.note.is_none()
        && h.changes.is_empty()
        && h.checks.is_empty()
        && h.vulnerabilities_new.is_empty()
        && h.vulnerabilities_fixed.is_empty()
}

/// Shows how a scan goes: a bar that stays in its line on a terminal, else plain lines.
#[derive(Debug)]
pub struct Gauge {
    terminal: bool,
    drawn: bool,
    begun: bool,
    told: Option<Duration>,
}

impl Gauge {
    /// For a terminal, or for a file.
    pub fn new(terminal: bool) -> Self {
        Self { terminal, drawn: false, begun: false, told: None }
    }

    /// What is to be written on standard error.
    pub fn feed(&mut self, now: &ProgressView) -> String {
        let mut out = self.clear();
        if !std::mem::replace(&mut self.begun, true) {
            // Whoever ends it here takes it up again by this name.
            out.push_str(&format!("{} has begun\n", now.id));
        }
        for host in &now.finished {
            let seconds = format!("{}.{} s", host.took_ms / 1000, host.took_ms % 1000 / 100);
            let failed = if host.failed_checks > 0 { format!(", {} failed", some(host.failed_checks, "check")) } else { String::new() };
            let why = host.error.as_ref().map(|e| format!(": {}", printable(e, 200))).unwrap_or_default();
            out.push_str(&format!("{} {}{failed} ({seconds}){why}\n", printable(&host.host, 80), host.state));
        }
        let elapsed = Duration::from_millis(now.elapsed_ms);
        if self.terminal {
            out.push_str(&bar(now));
            self.drawn = true;
        } else if self.told.is_none_or(|told| elapsed.saturating_sub(told) >= EVERY) {
            self.told = Some(elapsed);
            out.push_str(&format!("{}\n", words(now)));
        }
        out
    }

    /// Takes the bar away.
    pub fn clear(&mut self) -> String {
        if std::mem::take(&mut self.drawn) { "\r\x1b[2K".to_owned() } else { String::new() }
    }
}

fn bar(now: &ProgressView) -> String {
    let count = |n: usize| u64::try_from(n).unwrap_or(0);
    let full = BAR.saturating_mul(count(now.done)).checked_div(count(now.total)).unwrap_or(BAR).min(BAR);
    let signs = |sign: &str, n: u64| sign.repeat(usize::try_from(n).unwrap_or(0));
    format!("[{}{}] {}", signs("#", full), signs("·", BAR - full), words(now))
}

fn words(now: &ProgressView) -> String {
    if now.looking_up {
        return format!("{}/{} hosts done; looking up vulnerabilities", now.done, now.total);
    }
    let left = now.left_ms.filter(|_| now.done < now.total).map(|ms| format!(", about {} left", span(ms / 1000))).unwrap_or_default();
    format!("{}/{} hosts done, {} failed, {} running{left}", now.done, now.total, now.failed, now.running)
}

fn some(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

fn span(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds} s") } else { format!("{} min {} s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::FinishedView;

    fn view(done: usize, elapsed_ms: u64, finished: Vec<FinishedView>) -> ProgressView {
        ProgressView {
            id: crate::model::ScanId::from([1; 16]),
            total: 4,
            done,
            failed: 1,
            running: 2,
            elapsed_ms,
            left_ms: Some(90_000),
            looking_up: false,
            finished,
        }
    }

    #[test]
    fn a_bar_stays_in_its_line_and_hosts_pass_above_it() {
        let host = FinishedView {
            host: "web-1".to_owned(),
            state: "unreachable".to_owned(),
            error: Some("no\x1b[2J".to_owned()),
            failed_checks: 0,
            took_ms: 1250,
        };
        let mut gauge = Gauge::new(true);
        let first = gauge.feed(&view(2, 0, vec![]));
        assert!(
            first.ends_with(" has begun\n[############············] 2/4 hosts done, 1 failed, 2 running, about 1 min 30 s left"),
            "{first}"
        );
        let next = gauge.feed(&view(4, 0, vec![host]));
        assert!(next.starts_with("\r\x1b[2Kweb-1 unreachable (1.2 s): no\\u{1b}[2J\n[####"), "{next:?}");
        assert_eq!((gauge.clear().as_str(), gauge.clear().as_str()), ("\r\x1b[2K", ""));
    }

    #[test]
    fn without_a_terminal_there_are_lines_now_and_then() {
        let mut gauge = Gauge::new(false);
        assert!(gauge.feed(&view(0, 0, vec![])).ends_with("has begun\n0/4 hosts done, 1 failed, 2 running, about 1 min 30 s left\n"));
        assert_eq!(gauge.feed(&view(1, 5_000, vec![])), "");
        assert!(gauge.feed(&view(1, 12_000, vec![])).starts_with("1/4 hosts"));
    }
}
