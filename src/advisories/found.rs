//! What was found for one build of a source package, and which of it is the same thing under two names. Reads no archive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::order;
use super::record::Record;
use super::severity;
use super::types::{Advised, Severity};
use crate::facts::PackageKind;

/// The longest summary, in characters.
const SUMMARY_MAX: usize = 300;
/// The longest name.
const NAME_MAX: usize = 100;
/// The most names of one finding.
const NAMES_MAX: usize = 2000;
/// In how many announcements a vulnerability is counted in.
const ANNOUNCED_MAX: usize = 100;

/// What a record says, whatever it concerns; many hosts share it.
#[derive(Debug)]
pub(super) struct About {
    id: String,
    /// The one vulnerability that the record is about, if it is about one: `DEBIAN-CVE-2024-6387` is about `CVE-2024-6387`.
    /// The others announce a fix of one or many.
    single: Option<String>,
    cves: BTreeSet<String>,
    aliases: BTreeSet<String>,
    /// Every record that it refers to, in whatever way.
    refers: BTreeSet<String>,
    summary: String,
    published: Option<String>,
}

impl About {
    /// What is kept of a record.
    pub(super) fn of(record: &Record) -> Self {
        let names = |names: &[String]| names.iter().map(|n| clean(n, NAME_MAX)).take(NAMES_MAX).collect::<BTreeSet<_>>();
        let id = clean(&record.id, NAME_MAX);
        let single = cve(&id).map(str::to_owned);
        let aliases = names(&record.aliases);
        let refers: BTreeSet<String> = [&record.aliases, &record.upstream, &record.related].into_iter().flat_map(|n| names(n)).collect();
        // What is merely related to a vulnerability is another one; what an announcement relates to is what it fixes.
        let cves = if single.is_some() { &aliases } else { &refers };
        let cves = cves.iter().chain([&id]).filter_map(|name| cve(name)).map(str::to_owned).collect();
        let published = record.published.as_deref().map(|p| clean(p, 40));
        Self { id, single, cves, aliases, refers, summary: summary(record), published }
    }
}

/// A record that concerns a build.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The record.
    about: Arc<About>,
    /// Which package's versions the next two are.
    of: String,
    /// The installed version.
    installed: String,
    /// The first version without it.
    fixed: Option<String>,
    /// How bad the record says it is.
    severity: Option<Severity>,
    /// The binary packages that it concerns.
    packages: BTreeSet<String>,
    /// Records that are the same thing.
    others: Vec<Arc<About>>,
}

impl Found {
    /// A record that concerns so many binary packages, of which `of` has this version.
    pub(super) fn new(about: &Arc<About>, of: &str, installed: &str, packages: BTreeSet<String>) -> Self {
        Self {
            about: Arc::clone(about),
            of: of.to_owned(),
            installed: installed.to_owned(),
            fixed: None,
            severity: None,
            packages,
            others: Vec::new(),
        }
    }

    /// With what the record says of that version.
    pub(super) fn said(self, fixed: Option<String>, severity: Option<Severity>) -> Self {
        Self { fixed, severity, ..self }
    }

    /// Takes in another record of the same thing. What is fixed only later is fixed only then.
    fn take(&mut self, other: Self, kind: PackageKind) {
        if self.of == other.of {
            self.fixed = match (self.fixed.take(), other.fixed) {
                (Some(a), Some(b)) => Some(if order::compare(kind, &a, &b).is_lt() { b } else { a }),
                (a, b) => a.or(b),
            };
        }
        self.severity = severity::worse(self.severity.take(), other.severity);
        self.others.extend(other.others);
        if other.about.id == self.about.id {
            self.packages.extend(other.packages);
        } else {
            // Each record lists the packages that it is about; those of the one in front are shown.
            self.others.push(other.about);
        }
    }

    /// The same, but with the record that has a fix in front.
    fn join(&mut self, other: Self, kind: PackageKind) {
        if self.fixed.is_none() && other.fixed.is_some() {
            let first = std::mem::replace(self, other);
            self.take(first, kind);
        } else {
            self.take(other, kind);
        }
    }

    fn into_advised(self, source: &str) -> Advised {
        let abouts = || std::iter::once(&self.about).chain(&self.others);
        let mut cves: Vec<&String> = abouts().flat_map(|a| &a.cves).filter(|cve| **cve != self.about.id).collect();
        cves.sort_by_key(|cve| counted(cve));
        cves.dedup();
        // A record of one CVE adds no name to it.
        let others: BTreeSet<&String> =
            abouts().flat_map(|a| a.aliases.iter().chain([&a.id])).filter(|name| **name != self.about.id && cve(name).is_none()).collect();
        Advised {
            id: self.about.id.clone(),
            aliases: cves.into_iter().chain(others).take(NAMES_MAX).cloned().collect(),
            summary: abouts().map(|a| &a.summary).find(|s| !s.is_empty()).cloned().unwrap_or_default(),
            source: source.to_owned(),
            installed: self.installed,
            packages: self.packages.into_iter().collect(),
            fixed: self.fixed,
            severity: self.severity,
            published: self.about.published.clone(),
            new: false,
        }
    }
}

/// All that was found for one build, by the record's id.
#[derive(Debug, Default)]
pub(super) struct FoundOfBuild(BTreeMap<String, Found>);

impl FoundOfBuild {
    /// Adds a record for some packages of the build. A record that names several of them is still one.
    pub(super) fn add(&mut self, found: Found, source: &str, kind: PackageKind) {
        match self.0.get_mut(&found.about.id) {
            None => {
                self.0.insert(found.about.id.clone(), found);
            }
            // The versions that are shown are those of the package with the source's name, if it is there.
            Some(known) if found.of == source && known.of != source => {
                let first = std::mem::replace(known, found);
                known.take(first, kind);
            }
            Some(known) => known.take(found, kind),
        }
    }

    /// One finding for what is one thing: an announcement and the vulnerabilities that it fixes, or two records of one
    /// vulnerability. Two announcements stay two, even of one vulnerability: the second fixes what the first did not.
    pub(super) fn into_advised(self, source: &str, kind: PackageKind) -> Vec<Advised> {
        let (singles, all): (Vec<Found>, Vec<Found>) = self.0.into_values().partition(|f| f.about.single.is_some());
        let mut announced: Vec<Found> = Vec::new();
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        for one in all {
            let about = Arc::clone(&one.about);
            let names = || about.aliases.iter().chain([&about.id]);
            let index = names().find_map(|name| known.get(name).copied()).unwrap_or(announced.len());
            names().filter(|name| cve(name).is_none()).for_each(|name| {
                known.entry(name.clone()).or_insert(index);
            });
            match announced.get_mut(index) {
                Some(first) => first.join(one, kind),
                None => announced.push(one),
            }
        }
        let mut by_name: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        for (index, one) in announced.iter().enumerate() {
            for about in std::iter::once(&one.about).chain(&one.others) {
                for name in about.refers.iter().chain(&about.cves).chain([&about.id]) {
                    by_name.entry(name.clone()).or_default().insert(index);
                }
            }
        }
        let mut alone: BTreeMap<String, Found> = BTreeMap::new();
        for single in singles {
            // An announcement stands in `refers` by its own id; a CVE there may be merely related.
            let notices = single.about.refers.iter().filter(|name| cve(name).is_none());
            let names = single.about.cves.iter().chain([&single.about.id]).chain(notices);
            let by: BTreeSet<usize> = names.filter_map(|name| by_name.get(name)).flatten().copied().collect();
            for index in by.iter().take(ANNOUNCED_MAX) {
                if let Some(one) = announced.get_mut(*index) {
                    one.take(single.clone(), kind);
                }
            }
            if by.is_empty() {
                let key = single.about.single.clone().unwrap_or_default();
                match alone.get_mut(&key) {
                    Some(known) => known.join(single, kind),
                    None => {
                        alone.insert(key, single);
                    }
                }
            }
        }
        announced.into_iter().chain(alone.into_values()).map(|found| found.into_advised(source)).collect()
    }
}

/// The CVE number in a name: `CVE-2024-6387`, and so `DEBIAN-CVE-2024-6387`.
pub(super) fn cve(name: &str) -> Option<&str> {
    let number = ["DEBIAN-", "UBUNTU-", "ALPINE-"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
    let (year, count) = number.strip_prefix("CVE-")?.split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.len() <= 19 && text.bytes().all(|b| b.is_ascii_digit());
    (digits(year) && digits(count)).then_some(number)
}

/// Sorts CVE-2024-999 before CVE-2024-1000.
fn counted(cve: &str) -> (u64, u64) {
    let mut parts = cve.split('-').skip(1).map(|n| n.parse().unwrap_or(u64::MAX));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// The record's summary, or the first sentence of its details.
fn summary(record: &Record) -> String {
    let summary = clean(&record.summary, SUMMARY_MAX);
    if !summary.is_empty() {
        return summary;
    }
    let details = clean(&record.details, SUMMARY_MAX);
    match details.split_once(". ") {
        Some((first, _)) => format!("{first}."),
        None => details,
    }
}

/// On one line, without controls, and no longer than that.
fn clean(text: &str, max: usize) -> String {
    // So much is enough to fill it even if most is blank.
    let seen = text.chars().take(max * 8).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    let folded = seen.split_whitespace().collect::<Vec<_>>().join(" ");
    match folded.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", folded.get(..end).unwrap_or_default().trim_end()),
        None => folded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(record: serde_json::Value, fixed: Option<&str>, level: Option<&str>) -> Found {
        let record: Record = serde_json::from_value(record).unwrap();
        let about = Arc::new(About::of(&record));
        let severity = level.map(|l| Severity { level: l.into(), score: None, vector: None });
        Found::new(&about, "curl", "1.0", BTreeSet::from(["libcurl4".to_owned()])).said(fixed.map(str::to_owned), severity)
    }

    fn advised(all: Vec<Found>) -> Vec<Advised> {
        let mut build = FoundOfBuild::default();
        all.into_iter().for_each(|f| build.add(f, "curl", PackageKind::Deb));
        build.into_advised("curl", PackageKind::Deb)
    }

    #[test]
    fn an_announcement_takes_in_what_it_fixes() {
        let all = advised(vec![
            found(serde_json::json!({"id": "DEBIAN-CVE-2024-1000", "upstream": ["CVE-2024-1000"]}), None, Some("high")),
            found(serde_json::json!({"id": "DEBIAN-CVE-2024-999", "aliases": ["CVE-2024-999"]}), Some("1.1"), Some("low")),
            found(
                serde_json::json!({"id": "DSA-1-1", "upstream": ["CVE-2024-1000", "CVE-2024-999"], "summary": "curl - security update"}),
                Some("1.1"),
                None,
            ),
            found(serde_json::json!({"id": "DEBIAN-CVE-2024-7"}), None, None),
        ]);
        assert_eq!(all.len(), 2, "{all:#?}");
        assert_eq!((all[0].id.as_str(), all[0].fixed.as_deref()), ("DSA-1-1", Some("1.1")));
        assert_eq!(all[0].aliases, ["CVE-2024-999", "CVE-2024-1000"]);
        assert_eq!(all[0].severity.as_ref().unwrap().level, "high");
        assert_eq!((all[1].id.as_str(), &*all[1].aliases), ("DEBIAN-CVE-2024-7", &["CVE-2024-7".to_owned()][..]));
    }

    #[test]
    fn what_the_announcement_did_not_fix_is_fixed_later() {
        let all = advised(vec![
            found(serde_json::json!({"id": "DSA-1-1", "upstream": ["CVE-2024-1"]}), Some("1.1"), None),
            found(serde_json::json!({"id": "DEBIAN-CVE-2024-1"}), Some("1.2"), None),
        ]);
        assert_eq!((all.len(), all[0].fixed.as_deref()), (1, Some("1.2")));
    }

    #[test]
    fn two_announcements_are_two() {
        let all = advised(vec![
            found(serde_json::json!({"id": "DSA-1-1", "upstream": ["CVE-2024-1"]}), Some("1.1"), None),
            found(serde_json::json!({"id": "DSA-2-1", "upstream": ["CVE-2024-1", "CVE-2024-2"]}), Some("1.2"), None),
            found(serde_json::json!({"id": "DEBIAN-CVE-2024-1"}), Some("1.2"), None),
        ]);
        assert_eq!(all.iter().map(|a| a.id.as_str()).collect::<Vec<_>>(), ["DSA-1-1", "DSA-2-1"]);
    }

    #[test]
    fn two_records_of_one_vulnerability_are_one_with_the_fix() {
        let all = advised(vec![
            found(serde_json::json!({"id": "CVE-2024-1"}), None, Some("low")),
            found(serde_json::json!({"id": "DEBIAN-CVE-2024-1", "details": "A flaw. More of it."}), Some("1.1"), None),
        ]);
        assert_eq!((all.len(), all[0].id.as_str(), all[0].summary.as_str()), (1, "DEBIAN-CVE-2024-1", "A flaw."));
        assert_eq!(all[0].severity.as_ref().unwrap().level, "low");
        let aliases = advised(vec![
            found(serde_json::json!({"id": "ALSA-1", "aliases": ["RHSA-1"]}), None, None),
            found(serde_json::json!({"id": "RHSA-1"}), Some("1.1"), None),
        ]);
        assert_eq!((aliases.len(), aliases[0].id.as_str(), aliases[0].aliases.as_slice()), (1, "RHSA-1", &["ALSA-1".to_owned()][..]));
    }

    #[test]
    fn a_notice_that_only_the_vulnerability_knows_takes_it_in() {
        let all = advised(vec![
            found(serde_json::json!({"id": "UBUNTU-CVE-2024-1", "related": ["USN-1-1"]}), Some("1.1"), None),
            found(serde_json::json!({"id": "USN-1-1"}), Some("1.1"), None),
        ]);
        assert_eq!((all.len(), all[0].id.as_str(), all[0].aliases.as_slice()), (1, "USN-1-1", &["CVE-2024-1".to_owned()][..]));
    }

    #[test]
    fn related_vulnerabilities_are_not_one() {
        let all = advised(vec![
            found(serde_json::json!({"id": "DEBIAN-CVE-2024-1", "related": ["CVE-2024-2"]}), None, None),
            found(serde_json::json!({"id": "DEBIAN-CVE-2024-2"}), None, None),
        ]);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].aliases, ["CVE-2024-1"]);
        let announced = advised(vec![
            found(serde_json::json!({"id": "DEBIAN-CVE-2024-1", "related": ["CVE-2024-2"]}), None, None),
            found(serde_json::json!({"id": "DSA-1-1", "upstream": ["CVE-2024-2"]}), Some("1.1"), None),
        ]);
        assert_eq!(announced.len(), 2);
    }

    #[test]
    fn names_and_summaries_are_on_one_line_and_bounded() {
        let all = advised(vec![found(
            serde_json::json!({"id": format!("X-\u{1b}[31m{}", "9".repeat(5000)), "summary": "a\n\u{7}b ".repeat(9000),
                               "aliases": (0..5000).map(|n| format!("GHSA-{n}")).collect::<Vec<_>>()}),
            None,
            None,
        )]);
        let one = &all[0];
        assert!(one.id.chars().count() <= NAME_MAX + 1 && !one.id.contains('\u{1b}'));
        assert!(one.summary.chars().count() <= SUMMARY_MAX + 1 && one.summary.starts_with("a b a b"));
        assert!(one.aliases.len() <= NAMES_MAX);
    }

    #[test]
    fn cve_numbers_are_seen_in_names() {
        assert_eq!(cve("UBUNTU-CVE-2024-6387"), Some("CVE-2024-6387"));
        for none in ["DSA-1-1", "CVE-2024", "CVE-2024-", "CVE-x-1", "GHSA-CVE-2024-1", ""] {
            assert_eq!(cve(none), None, "{none}");
        }
    }
}
