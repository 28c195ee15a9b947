//! The hosts: a row each, those with findings first, and all that is known of one when its row is unfolded.

use std::cmp::Reverse;
use std::fmt;

use maud::{Markup, html};

use super::super::Error;
use super::super::document::HostReport;
use super::super::gather::{name_of, natural};
use super::super::grade::Grade;
use super::super::summary::HostSummary;
use super::super::text::{line, many, some, thousands};
use super::Page;
use super::parts::{
    BRIEF, END, NAME, anchor, badge, begin, check_class, check_word, code, fact, grade_class, grades, host_anchor, host_class, item,
    number, weight,
};
use crate::advisories::{Advised, Coverage};
use crate::checks::Checked;
use crate::facts::{Facts, Password};
use crate::model::{CheckState, HostState};

const COLUMNS: [&str; 9] = ["Host", "State", "Failed", "Not run", "Passed", "n/a", "Vulnerabilities", "Packages", "System"];
/// The longest name of an operating system, in characters.
const SYSTEM: usize = 60;
/// So many of a list are shown.
const MANY: usize = 60;
/// So many vulnerabilities of a host are shown where there is not room for all.
const WORST: usize = 20;

pub(super) fn section(page: &Page<'_>, out: &mut dyn fmt::Write) -> Result<(), Error> {
    out.write_str(&begin("hosts", "Hosts", "Those with findings come first, then those that were not scanned whole.", "host", &COLUMNS))?;
    let mut hosts: Vec<&(&HostReport, HostSummary)> = page.hosts.iter().collect();
    hosts.sort_by_key(|(host, summary)| {
        let found = summary.checks.failed + summary.vulnerabilities.total() > 0;
        (
            Reverse(found),
            Reverse(!summary.gaps.is_empty()),
            Reverse(weight(&summary.vulnerabilities)),
            Reverse(summary.checks.failed),
            &host.name,
        )
    });
    for (host, summary) in hosts {
        out.write_str(&row(page, host, summary).into_string())?;
    }
    out.write_str(END)?;
    Ok(())
}

fn row(page: &Page<'_>, host: &HostReport, summary: &HostSummary) -> Markup {
    let problem = !summary.gaps.is_empty() || summary.checks.failed + summary.vulnerabilities.total() > 0;
    let system = host.facts.as_ref().map(system_name).unwrap_or_default();
    let whole = host.state == HostState::Done && summary.gaps.is_empty();
    let (class, word) = match (host.state, whole, problem) {
        (HostState::Done, false, _) => ("c-open", "done, with gaps"),
        // Green is for a host that has nothing wrong.
        (HostState::Done, true, true) => ("c-none", "done"),
        (state, ..) => (host_class(state), state.as_str()),
    };
    // Where nothing was checked, nothing failed either: a zero would be misread.
    let count = |state, class| match summary.checks.total() {
        0 => html! { td.n data-v="-1" { span.zero { "–" } } },
        _ => number(summary.checks.of(state), class),
    };
    let cells = html! {
        td { (badge(class, word)) }
        (count(CheckState::Failed, "t-failed"))
        (count(CheckState::NotRun, "t-open"))
        (count(CheckState::Passed, ""))
        (count(CheckState::NotApplicable, ""))
        td data-v=(weight(&summary.vulnerabilities)) { (grades(&summary.vulnerabilities, summary.looked_up)) }
        td.n data-v=(summary.packages.unwrap_or(0)) {
            @match summary.packages { Some(n) => (thousands(n)), None => span.unknown { "not known" } }
        }
        td.soft { (system) }
    };
    item(&host_anchor(host), problem, &html! { (line(&host.name, NAME)) }, &cells, COLUMNS.len(), &detail(page, host, summary))
}

fn system_name(facts: &Facts) -> String {
    let os = &facts.os;
    if os.name.is_empty() { line(&format!("{} {}", os.id, os.version), SYSTEM) } else { line(&os.name, SYSTEM) }
}

fn detail(page: &Page<'_>, host: &HostReport, summary: &HostSummary) -> Markup {
    let took = host.took_ms.map(|ms| format!("{}.{} s", ms / 1000, ms % 1000 / 100));
    let coverage = match &host.vulnerability_coverage {
        Coverage::NotAsked => "not asked for".to_owned(),
        Coverage::Covered { ecosystem, as_of: None, .. } => format!("looked up in {ecosystem}"),
        Coverage::Covered { ecosystem, as_of: Some(at), .. } => format!("looked up in {ecosystem}, as of {at}"),
        Coverage::Unsupported { why } => format!("not covered: {why}"),
        Coverage::NoArchive { why } => format!("no archive: {why}"),
        Coverage::NoPackages { why } => format!("no packages: {why}"),
    };
    html! {
        @if !summary.gaps.is_empty() || !host.warnings.is_empty() {
            ul.missing {
                @for gap in &summary.gaps { li { (line(gap, BRIEF * 2)) } }
                @for warning in &host.warnings { li { (line(warning, BRIEF)) } }
            }
        }
        dl.facts {
            (fact("Address", Some(&host.address), BRIEF))
            (fact("Ran as", host.ran_as.as_deref(), BRIEF))
            (fact("Took", took.as_deref(), BRIEF))
            (fact("Vulnerabilities", Some(&coverage), BRIEF))
            @if let Some(facts) = &host.facts { (system(facts)) }
        }
        (checks(page, host, CheckState::Failed))
        (checks(page, host, CheckState::NotRun))
        (vulnerabilities(page, host))
        @if let Some(facts) = &host.facts { (known(facts)) }
    }
}

fn system(facts: &Facts) -> Markup {
    let system = &facts.system;
    let kernel = format!("{} {} {}", system.kernel, system.release, system.machine);
    let reboot = match (system.reboot_pending, system.reboot_reasons.is_empty()) {
        (Some(true), false) => Some(format!("pending: {}", some(system.reboot_reasons.iter().map(|r| line(r, 80)), 6))),
        (Some(true), true) => Some("pending".to_owned()),
        (Some(false), _) => Some("not needed".to_owned()),
        (None, _) => None,
    };
    let clock = system.time_synchronised.map(|s| match (s, &system.time_source) {
        (true, Some(source)) => format!("synchronised by {source}"),
        (true, None) => "synchronised".to_owned(),
        (false, _) => "not synchronised".to_owned(),
    });
    let machine = [&system.virtualisation, &system.hardware].into_iter().flatten().map(|t| line(t, 100)).collect::<Vec<_>>().join(", ");
    html! {
        (fact("System", Some(&system_name(facts)), BRIEF))
        (fact("Kernel", Some(kernel.trim()), BRIEF))
        (fact("Calls itself", Some(&system.hostname), BRIEF))
        (fact("Machine", Some(&machine), BRIEF))
        (fact("Reboot", reboot.as_deref(), BRIEF))
        (fact("Clock", clock.as_deref(), BRIEF))
    }
}

/// The checks of a host that came out so.
fn checks(page: &Page<'_>, host: &HostReport, state: CheckState) -> Markup {
    let mut of: Vec<&Checked> = host.checks.iter().filter(|c| c.state == state).collect();
    of.sort_by(|a, b| (&a.policy, natural(&a.id)).cmp(&(&b.policy, natural(&b.id))));
    html! {
        @if !of.is_empty() {
            h3 { (badge(check_class(state), check_word(state))) " " (many(of.len(), "check")) }
            ul.found {
                @for check in of {
                    li {
                        a href={ "#" (anchor("check", &format!("{}/{}", check.policy, check.id))) } { (line(&check.id, NAME)) " " (line(&check.title, NAME)) }
                        @if state == CheckState::Failed {
                            dl {
                                @if page.roomy { (code("expected", check.expected.as_deref(), BRIEF)) }
                                (code("actual", check.actual.as_deref(), if page.roomy { BRIEF } else { BRIEF / 3 }))
                            }
                        } @else {
                            dl {
                                (fact("why", check.reason.as_deref(), BRIEF))
                                (fact("before", check.last_known.map(check_word), BRIEF))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn vulnerabilities(page: &Page<'_>, host: &HostReport) -> Markup {
    let mut of: Vec<(Grade, &Advised)> = host.vulnerabilities.iter().map(|v| (Grade::of(v.severity.as_ref()), v)).collect();
    of.sort_by(|(a, x), (b, y)| a.cmp(b).then_with(|| x.source.cmp(&y.source)).then_with(|| natural(&y.id).cmp(&natural(&x.id))));
    let shown = if page.roomy { of.len() } else { WORST };
    html! {
        @if !of.is_empty() {
            h3 { (many(of.len(), "vulnerability")) }
            ul.found.tight {
                @for (grade, advised) in of.iter().take(shown) {
                    li {
                        (badge(grade_class(*grade), grade.as_str())) " "
                        a href={ "#" (anchor("vuln", &format!("{}/{}", advised.id, advised.source))) } { (line(name_of(advised), NAME)) }
                        " " (line(&advised.source, NAME)) " " code { (line(&advised.installed, NAME)) }
                        @match &advised.fixed {
                            Some(fixed) => { " → " code { (line(fixed, NAME)) } }
                            None => span.soft { " no fix known" }
                        }
                        @if advised.new { " " (badge("c-new", "new")) }
                    }
                }
                @if of.len() > shown { li.soft { "and " (of.len() - shown) " more: they stand in the table of vulnerabilities" } }
            }
        }
        @if !host.vulnerabilities_fixed.is_empty() {
            h3 { "Fixed since the run before" }
            p { (some(host.vulnerabilities_fixed.iter().map(|v| line(v, NAME)), MANY)) }
        }
    }
}

/// What else is known: who may sign in, and what listens.
fn known(facts: &Facts) -> Markup {
    let listening = facts.listening.iter().map(|l| {
        let address = if l.address.contains(':') { format!("[{}]", l.address) } else { l.address.clone() };
        let by = if l.processes.is_empty() { String::new() } else { format!(" {}", l.processes.join(" ")) };
        line(&format!("{} {address}:{}{by}", l.protocol, l.port), 120)
    });
    let with_password = facts.users.iter().filter_map(|u| match &u.password {
        Some(Password::Empty) => Some(format!("{} (empty password!)", line(&u.name, 64))),
        Some(Password::Hashed(how)) => Some(format!("{} (password, {})", line(&u.name, 64), line(how, 20))),
        Some(Password::Locked) | None => None,
    });
    let keys = facts.authorized_keys.iter().map(|k| line(&format!("{} {} {} {}", k.user, k.kind, k.fingerprint, k.comment), 160));
    html! {
        dl.facts.wide {
            (code("Listens", Some(&listed(listening)), usize::MAX))
            (fact("Passwords", Some(&some(with_password, MANY)), usize::MAX))
            (code("Keys", Some(&listed(keys)), usize::MAX))
        }
    }
}

/// One a line, and how many more there are.
fn listed(mut all: impl Iterator<Item = String>) -> String {
    let mut rows: Vec<String> = all.by_ref().take(MANY).collect();
    let more = all.count();
    if more > 0 {
        rows.push(format!("and {more} more"));
    }
    rows.join("\n")
}
