//! The rules of a SARIF log: each check, and each vulnerability of a source package, once. Never lists one that has no result.

use std::collections::{BTreeMap, BTreeSet};

use super::super::document::Document;
use super::super::gather;
use super::super::text::{line, some};
use super::layout::{Configuration, FixedMessage, Message, NotificationKind, Rule, RuleNotes, uri_part};
use super::{TEXT, level};
use crate::advisories::Advised;
use crate::checks::Checked;
use crate::model::CheckState;

/// The most fixed versions that a rule names: each distribution has its own.
const FIXED: usize = 6;

pub(super) const HOST_NOT_DONE: &str = "host-not-done";
pub(super) const NOT_ANSWERED: &str = "not-answered";

pub(super) const NOTIFICATIONS: &[NotificationKind] = &[
    NotificationKind { id: HOST_NOT_DONE, short_description: FixedMessage { text: "A host was not scanned, or only in part." } },
    NotificationKind { id: NOT_ANSWERED, short_description: FixedMessage { text: "Something that was asked was not answered." } },
];

/// All of them, and where each stands.
pub(super) struct Rules {
    pub(super) list: Vec<Rule>,
    places: BTreeMap<String, usize>,
}

impl Rules {
    pub(super) fn index(&self, id: &str) -> usize {
        self.places.get(id).copied().unwrap_or(0)
    }

    fn add(&mut self, rule: Rule) {
        self.places.insert(rule.id.clone(), self.list.len());
        self.list.push(rule);
    }
}

/// A check's rule: its policy and its id.
pub(super) fn of_check(check: &Checked) -> String {
    line(&format!("{}/{}", check.policy, check.id), TEXT)
}

/// A vulnerability's rule: OSV's id.
pub(super) fn of_vulnerability(advised: &Advised) -> String {
    if advised.id.trim().is_empty() { "vulnerability".to_owned() } else { line(&advised.id, TEXT) }
}

pub(super) fn of(document: &Document) -> Rules {
    let mut rules = Rules { list: Vec::new(), places: BTreeMap::new() };
    for row in gather::checks(document) {
        let id = of_check(row.about);
        if row.of(CheckState::Failed).next().or(row.of(CheckState::NotRun).next()).is_some() && !rules.places.contains_key(&id) {
            rules.add(check(id, row.about));
        }
    }
    for row in gather::vulnerabilities(document) {
        let id = of_vulnerability(row.about);
        if !rules.places.contains_key(&id) {
            rules.add(vulnerability(id, &row));
        }
    }
    rules
}

/// In their order, each once: the standard wants it so.
fn once(tags: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    tags.filter(|tag| seen.insert(tag.clone())).collect()
}

fn check(id: String, check: &Checked) -> Rule {
    let parts = [&check.description, &check.rationale].into_iter().filter_map(|p| p.as_deref().map(str::trim)).filter(|p| !p.is_empty());
    let full = parts.collect::<Vec<_>>().join("\n\n");
    let help = check.remediation.as_deref().or(check.expected.as_deref()).unwrap_or(&check.title);
    let numbers = check.compliance.iter().flat_map(|(of, numbers)| numbers.iter().map(move |n| line(&format!("{of}:{n}"), 100)));
    Rule {
        id,
        short_description: Message::of(&check.title, TEXT),
        full_description: (!full.is_empty()).then(|| Message::of(&full, TEXT)),
        help: Message::of(help, TEXT),
        help_uri: None,
        default_configuration: Configuration { level: "warning" },
        properties: RuleNotes { tags: once(std::iter::once("configuration".to_owned()).chain(numbers)), security_severity: None },
    }
}

fn vulnerability(id: String, row: &gather::VulnerabilityRow<'_>) -> Rule {
    let about = row.about;
    let aliases = about.aliases.iter().map(|a| line(a, 100));
    let fixed: BTreeSet<&str> = row.places.keys().filter_map(|(_, fixed)| *fixed).collect();
    let fixed = if fixed.is_empty() {
        format!("No version of {} without it is known.", about.source)
    } else {
        format!("Update {}: fixed in {}.", about.source, some(fixed, FIXED))
    };
    let summary = if about.summary.trim().is_empty() { about.id.clone() } else { about.summary.clone() };
    let score = about.severity.as_ref().and_then(|s| s.score).filter(|s| (0.0..=10.0).contains(s));
    Rule {
        short_description: Message::of(&format!("{}: {}", row.name(), about.source), TEXT),
        full_description: Some(Message::of(&summary, TEXT)),
        help: Message::of(&fixed, TEXT),
        help_uri: (!about.id.is_empty()).then(|| format!("https://osv.dev/vulnerability/{}", uri_part(&about.id))),
        default_configuration: Configuration { level: level(row.grade) },
        properties: RuleNotes {
            tags: once(["security".to_owned(), "vulnerability".to_owned()].into_iter().chain(aliases)),
            security_severity: score.map(|s| format!("{s:.1}")),
        },
        id,
    }
}
