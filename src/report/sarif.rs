//! SARIF 2.1.0: what failed, what was not run, and what is vulnerable. What passed is counted and not listed: viewers would show it as
//! an alert. Never claims that a run that lacks answers was executed successfully.

mod layout;
mod rules;

use std::collections::BTreeMap;
use std::fmt;

use serde::ser::{Serialize, SerializeSeq, Serializer};

use super::Error;
use super::document::{Document, HostReport};
use super::gather::name_of;
use super::grade::Grade;
use super::summary::Summary;
use super::text::{Harmless, fingerprint, line, lines, slug};
use crate::advisories::Advised;
use crate::checks::Checked;
use crate::model::{CheckState, HostState};
use layout::{Artifact, Automation, Driver, Invocation, Location, Log, Message, Notification, Numbers, ResultRow, Run, Tool};
use rules::Rules;

/// The longest text, in characters.
const TEXT: usize = 2000;

pub(super) fn write(document: &Document, out: &mut dyn fmt::Write) -> Result<(), Error> {
    let summary = document.summary();
    let rules = rules::of(document);
    let log = Log {
        schema: "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json",
        version: "2.1.0",
        runs: [Run {
            tool: Tool {
                driver: Driver {
                    name: "keyward",
                    semantic_version: env!("CARGO_PKG_VERSION"),
                    rules: &rules.list,
                    notifications: rules::NOTIFICATIONS,
                },
            },
            automation_details: Automation { id: format!("keyward/{}/{}", slug(&document.profile), document.id) },
            invocations: [invocation(document, &summary)],
            artifacts: document
                .hosts
                .iter()
                .map(|h| Artifact { location: address(&h.name, None), description: Message::of(&h.address, TEXT) })
                .collect(),
            results: Results { document, rules: &rules },
            column_kind: "unicodeCodePoints",
            properties: Numbers { summary: &summary },
        }],
    };
    serde_json::to_writer_pretty(Harmless::new(out), &log)?;
    out.write_char('\n')?;
    Ok(())
}

/// A host as the address of an artifact; with its place in the list of artifacts, if it is known.
fn address(host: &str, index: Option<usize>) -> layout::ArtifactLocation {
    layout::ArtifactLocation { uri: format!("ssh://{}", layout::uri_part(host)), index }
}

fn place(host: &str, index: usize) -> Location {
    Location {
        physical_location: layout::PhysicalLocation { artifact_location: address(host, Some(index)) },
        logical_locations: [layout::LogicalLocation { name: line(host, TEXT), fully_qualified_name: line(host, TEXT), kind: "resource" }],
    }
}

fn invocation(document: &Document, summary: &Summary) -> Invocation {
    let hosts: BTreeMap<&str, (usize, &HostReport)> = document.hosts.iter().enumerate().map(|(at, h)| (h.name.as_str(), (at, h))).collect();
    let notifications = summary.gaps.iter().map(|gap| {
        let found = gap.host.as_deref().and_then(|name| hosts.get(name).copied());
        let not_done = found.is_some_and(|(_, h)| h.state != HostState::Done);
        let text = gap.host.as_deref().map_or_else(|| gap.why.clone(), |host| format!("{host}: {}", gap.why));
        Notification {
            descriptor: layout::Descriptor { id: if not_done { rules::HOST_NOT_DONE } else { rules::NOT_ANSWERED } },
            level: if not_done || found.is_none() { "error" } else { "warning" },
            message: Message::of(&text, TEXT),
            locations: found.map(|(at, h)| place(&h.name, at)).into_iter().collect(),
        }
    });
    Invocation {
        execution_successful: summary.gaps.is_empty(),
        exit_code: summary.outcome.exit_status(),
        start_time_utc: line(&document.started_at, 40),
        end_time_utc: document.ended_at.as_deref().map(|at| line(at, 40)),
        account: line(document.user.as_str(), TEXT),
        tool_execution_notifications: notifications.collect(),
    }
}

/// Written one by one: a large run has many.
pub(super) struct Results<'a> {
    document: &'a Document,
    rules: &'a Rules,
}

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for (at, host) in self.document.hosts.iter().enumerate() {
            for check in &host.checks {
                if let Some(row) = self.check(at, host, check) {
                    seq.serialize_element(&row)?;
                }
            }
            for advised in &host.vulnerabilities {
                seq.serialize_element(&self.vulnerability(at, host, advised))?;
            }
        }
        seq.end()
    }
}

impl Results<'_> {
    fn check(&self, at: usize, host: &HostReport, check: &Checked) -> Option<ResultRow> {
        let (kind, level, said) = match check.state {
            CheckState::Failed => ("fail", "warning", said_of_failure(check)),
            CheckState::NotRun => ("open", "none", format!("was not run: {}", check.reason.as_deref().unwrap_or("no reason is known"))),
            CheckState::Passed | CheckState::NotApplicable => return None,
        };
        let id = rules::of_check(check);
        Some(ResultRow {
            rule_index: self.rules.index(&id),
            kind,
            level,
            message: Message::of(&format!("{}: {} ({})\n{said}", host.name, check.title, check.id), TEXT),
            locations: [place(&host.name, at)],
            partial_fingerprints: layout::Fingerprints { finding: fingerprint(&["check", &host.name, &check.policy, &check.id]) },
            properties: None,
            rule_id: id,
        })
    }

    fn vulnerability(&self, at: usize, host: &HostReport, advised: &Advised) -> ResultRow {
        let id = rules::of_vulnerability(advised);
        let fixed = advised.fixed.as_deref().map_or_else(|| "no fixed version is known".to_owned(), |f| format!("fixed in {f}"));
        let packages = advised.packages.join(", ");
        let text = format!(
            "{}: {} {} has {} ({}); {fixed}\ninstalled packages of it: {packages}",
            host.name,
            advised.source,
            advised.installed,
            name_of(advised),
            advised.id
        );
        ResultRow {
            rule_index: self.rules.index(&id),
            kind: "fail",
            level: level(Grade::of(advised.severity.as_ref())),
            message: Message::of(&text, TEXT),
            locations: [place(&host.name, at)],
            // Without the version: an update that does not help leaves it the same finding.
            partial_fingerprints: layout::Fingerprints {
                finding: fingerprint(&["vulnerability", &host.name, &advised.id, &advised.source]),
            },
            properties: Some(layout::FindingNotes {
                source: lines(&advised.source, TEXT),
                installed: lines(&advised.installed, TEXT),
                fixed: advised.fixed.as_deref().map(|f| lines(f, TEXT)),
                new: advised.new,
            }),
            rule_id: id,
        }
    }
}

fn said_of_failure(check: &Checked) -> String {
    let parts = [("expected", &check.expected), ("actual", &check.actual), ("what to do", &check.remediation)];
    let said: Vec<String> = parts.iter().filter_map(|(what, value)| Some(format!("{what}: {}", value.as_deref()?.trim()))).collect();
    said.join("\n")
}

pub(super) fn level(grade: Grade) -> &'static str {
    match grade {
        Grade::Critical | Grade::High => "error",
        Grade::Unknown | Grade::Medium => "warning",
        Grade::Low | Grade::None => "note",
    }
}
