//! JUnit's XML, as build servers read it: what failed is a failure, what was not answered an error. A run that learned nothing can
//! never look green: each host has a case that says whether it was scanned whole.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::Error;
use super::document::{Document, HostReport};
use super::gather::name_of;
use super::grade::Grade;
use super::text::{line, lines};
use crate::advisories::{Advised, Coverage};
use crate::checks::Checked;
use crate::model::CheckState;

/// The longest name or message, in characters.
const SHORT: usize = 300;
/// The longest text, in characters.
const LONG: usize = 4000;

pub(super) fn write(document: &Document, out: &mut dyn fmt::Write) -> Result<(), Error> {
    let mut report = Report::new(line(&format!("keyward scan {} of {}", document.profile, document.selector), SHORT));
    let mut run = TestSuite::new("scan");
    let gaps = document.summary().gaps.into_iter().filter(|g| g.host.is_none()).map(|g| g.why);
    whole(&mut run, "scan", gaps.collect());
    report.add_test_suite(run);
    for host in &document.hosts {
        add_host(host, document, &mut report);
    }
    out.write_str(&report.to_string()?)?;
    Ok(())
}

fn add_host(host: &HostReport, document: &Document, report: &mut Report) {
    let name = line(&host.name, SHORT);
    let mut suite = TestSuite::new(format!("{name} / scan"));
    suite.set_time(Duration::from_millis(host.took_ms.unwrap_or(0)));
    suite.add_property(("state", host.state.as_str()));
    whole(&mut suite, &name, host.summary(&document.policies).gaps);
    report.add_test_suite(suite);

    let mut policies: BTreeMap<&str, Vec<&Checked>> = BTreeMap::new();
    host.checks.iter().for_each(|c| policies.entry(&c.policy).or_default().push(c));
    for (policy, checks) in policies {
        let policy = line(policy, SHORT);
        let mut suite = TestSuite::new(format!("{name} / {policy}"));
        suite.add_test_cases(checks.iter().map(|c| {
            let mut case = TestCase::new(line(&format!("{} {}", c.id, c.title), SHORT), status(c));
            case.set_classname(format!("{name}.{policy}"));
            case
        }));
        report.add_test_suite(suite);
    }
    if host.vulnerability_coverage != Coverage::NotAsked || !host.vulnerabilities.is_empty() {
        report.add_test_suite(vulnerabilities(host, &name));
    }
}

/// A case that passes if nothing is missing; else an error for each thing that is.
fn whole(suite: &mut TestSuite, class: &str, gaps: Vec<String>) {
    if gaps.is_empty() {
        let mut case = TestCase::new("everything was answered", TestCaseStatus::success());
        case.set_classname(class);
        suite.add_test_case(case);
    }
    for gap in gaps {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type("incomplete").set_message(line(&gap, SHORT));
        let mut case = TestCase::new(line(&gap, SHORT), status);
        case.set_classname(class);
        suite.add_test_case(case);
    }
}

fn status(check: &Checked) -> TestCaseStatus {
    let reason = || line(check.reason.as_deref().unwrap_or(check.state.as_str()), SHORT);
    match check.state {
        CheckState::Passed => TestCaseStatus::success(),
        CheckState::NotApplicable => {
            let mut status = TestCaseStatus::skipped();
            status.set_type("not_applicable").set_message(reason());
            status
        }
        CheckState::NotRun => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_type("not_run").set_message(reason());
            status
        }
        CheckState::Failed => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let told = check.actual.as_deref().or(check.reason.as_deref()).unwrap_or("it is not as expected");
            status.set_type("failed").set_message(line(told, SHORT));
            let parts = [
                ("expected", &check.expected),
                ("actual", &check.actual),
                ("why it matters", &check.rationale),
                ("what to do", &check.remediation),
            ];
            let text: Vec<String> =
                parts.iter().filter_map(|(what, value)| Some(format!("{what}: {}", lines(value.as_deref()?, LONG)))).collect();
            status.set_description(text.join("\n"));
            status
        }
    }
}

fn vulnerabilities(host: &HostReport, name: &str) -> TestSuite {
    let mut suite = TestSuite::new(format!("{name} / vulnerabilities"));
    if let Coverage::Covered { ecosystem, as_of, .. } = &host.vulnerability_coverage {
        suite.add_property(("ecosystem", line(ecosystem, SHORT).as_str()));
        suite.add_property(("as_of", line(as_of.as_deref().unwrap_or("not known"), SHORT).as_str()));
    }
    for advised in &host.vulnerabilities {
        let mut case = TestCase::new(line(&format!("{} {}", name_of(advised), advised.source), SHORT), vulnerability(advised));
        case.set_classname(format!("{name}.vulnerabilities"));
        suite.add_test_case(case);
    }
    if host.vulnerabilities.is_empty() {
        let status = match &host.vulnerability_coverage {
            Coverage::Covered { .. } | Coverage::NotAsked => TestCaseStatus::success(),
            Coverage::Unsupported { why } | Coverage::NoArchive { why } | Coverage::NoPackages { why } => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_type("not_covered").set_message(line(why, SHORT));
                status
            }
        };
        let mut case = TestCase::new("no package has a known vulnerability", status);
        case.set_classname(format!("{name}.vulnerabilities"));
        suite.add_test_case(case);
    }
    suite
}

fn vulnerability(advised: &Advised) -> TestCaseStatus {
    let fixed = advised.fixed.as_deref().map_or_else(|| "no fixed version is known".to_owned(), |f| format!("fixed in {f}"));
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_type(Grade::of(advised.severity.as_ref()).as_str());
    status.set_message(line(&format!("{} {}: {fixed}", advised.source, advised.installed), SHORT));
    let packages = advised.packages.join(", ");
    let aliases = advised.aliases.join(", ");
    let text = format!("{}\nid: {}\naliases: {aliases}\npackages: {packages}", advised.summary, advised.id);
    status.set_description(lines(&text, LONG));
    status
}
