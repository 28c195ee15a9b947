//! The same check, vulnerability or package of many hosts, brought together. Only borrows from the document.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Document, HostReport};
use super::grade::Grade;
use super::summary::CheckCounts;
use crate::advisories::Advised;
use crate::checks::Checked;
use crate::facts::PackageKind;
use crate::model::CheckState;

/// A check, and how it came out wherever it was asked.
pub(super) struct CheckRow<'a> {
    /// What it says: as the first host has it.
    pub(super) about: &'a Checked,
    pub(super) counts: CheckCounts,
    /// By host.
    pub(super) results: Vec<(&'a HostReport, &'a Checked)>,
}

impl CheckRow<'_> {
    /// Those that came out so.
    pub(super) fn of(&self, state: CheckState) -> impl Iterator<Item = &(&HostReport, &Checked)> {
        self.results.iter().filter(move |(_, c)| c.state == state)
    }
}

/// Every check, in the order of the policies, then of their ids.
pub(super) fn checks(document: &Document) -> Vec<CheckRow<'_>> {
    let order: BTreeMap<&str, usize> = document.policies.iter().enumerate().map(|(at, p)| (p.id.as_str(), at)).collect();
    let mut rows: BTreeMap<_, CheckRow<'_>> = BTreeMap::new();
    for host in &document.hosts {
        for check in &host.checks {
            let place = order.get(check.policy.as_str()).copied().unwrap_or(usize::MAX);
            let key = (place, check.policy.as_str(), natural(&check.id));
            let row = rows.entry(key).or_insert_with(|| CheckRow { about: check, counts: CheckCounts::default(), results: Vec::new() });
            row.counts.add(check.state);
            row.results.push((host, check));
        }
    }
    rows.into_values().collect()
}

/// Orders `5.2.8` before `5.2.10`: numbers by their value, the rest by its characters.
pub(super) fn natural(id: &str) -> (Vec<(u64, &str)>, &str) {
    let parts = id.split(['.', '-', '_']).map(|part| part.parse().map_or((u64::MAX, part), |n| (n, ""))).collect();
    (parts, id)
}

/// A vulnerability of one source package, wherever it was found.
pub(super) struct VulnerabilityRow<'a> {
    /// As the first host has it.
    pub(super) about: &'a Advised,
    /// The worst that a host says.
    pub(super) grade: Grade,
    /// Whether it is new on a host.
    pub(super) new: bool,
    /// By the installed version and the one that is fixed.
    pub(super) places: BTreeMap<Versions<'a>, Vec<(&'a HostReport, &'a Advised)>>,
}

/// The installed version, and the first that is fixed.
pub(super) type Versions<'a> = (&'a str, Option<&'a str>);

impl VulnerabilityRow<'_> {
    pub(super) fn hosts(&self) -> usize {
        self.places.values().map(Vec::len).sum()
    }

    /// Its usual name: the CVE number, if it has one.
    pub(super) fn name(&self) -> &str {
        name_of(self.about)
    }

    /// OSV's id, where it says more than the name: `DEBIAN-CVE-2024-6387` does not.
    pub(super) fn other_name(&self) -> Option<&str> {
        (!self.about.id.ends_with(self.name())).then_some(&self.about.id)
    }
}

/// The CVE number, if it has just one; else OSV's id.
pub(super) fn name_of(advised: &Advised) -> &str {
    let mut cves = advised.aliases.iter().filter(|a| a.starts_with("CVE-"));
    match (cves.next(), cves.next()) {
        (Some(one), None) => one,
        _ => &advised.id,
    }
}

/// Every vulnerability, the worst first, then by its name.
pub(super) fn vulnerabilities(document: &Document) -> Vec<VulnerabilityRow<'_>> {
    let mut rows: BTreeMap<(&str, &str), VulnerabilityRow<'_>> = BTreeMap::new();
    for host in &document.hosts {
        for advised in &host.vulnerabilities {
            let grade = Grade::of(advised.severity.as_ref());
            let row = rows.entry((&advised.id, &advised.source)).or_insert_with(|| VulnerabilityRow {
                about: advised,
                grade,
                new: false,
                places: BTreeMap::new(),
            });
            row.grade = row.grade.min(grade);
            row.new |= advised.new;
            row.places.entry((&advised.installed, advised.fixed.as_deref())).or_default().push((host, advised));
        }
    }
    let mut rows: Vec<_> = rows.into_values().collect();
    rows.sort_by(|a, b| {
        let by = |r: &VulnerabilityRow<'_>| r.grade;
        by(a).cmp(&by(b)).then_with(|| natural(b.name()).cmp(&natural(a.name()))).then_with(|| a.about.source.cmp(&b.about.source))
    });
    rows
}

/// A package in one version, wherever it is installed.
pub(super) struct PackageRow<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    pub(super) source: &'a str,
    pub(super) archs: BTreeSet<&'a str>,
    /// By name; each once.
    pub(super) hosts: Vec<&'a HostReport>,
    /// The worst vulnerability that it has anywhere, and how many different ones.
    pub(super) worst: Option<Grade>,
    pub(super) vulnerabilities: usize,
}

/// Every package in every version, by name.
pub(super) fn packages(document: &Document) -> Vec<PackageRow<'_>> {
    let mut rows: BTreeMap<(&str, &str, u8), (PackageRow<'_>, BTreeSet<&str>)> = BTreeMap::new();
    for host in &document.hosts {
        let Some(facts) = &host.facts else { continue };
        let mut hurt: BTreeMap<(&str, &str), Vec<&Advised>> = BTreeMap::new();
        for advised in &host.vulnerabilities {
            advised.packages.iter().for_each(|p| hurt.entry((p.as_str(), advised.installed.as_str())).or_default().push(advised));
        }
        for package in &facts.packages {
            let key = (package.name.as_str(), package.version.as_str(), kind(package.kind));
            let (row, ids) = rows.entry(key).or_insert_with(|| {
                let row = PackageRow {
                    name: &package.name,
                    version: &package.version,
                    source: &package.source,
                    archs: BTreeSet::new(),
                    hosts: Vec::new(),
                    worst: None,
                    vulnerabilities: 0,
                };
                (row, BTreeSet::new())
            });
            row.archs.insert(&package.arch);
            if row.hosts.last().is_none_or(|last| last.name != host.name) {
                row.hosts.push(host);
            }
            for advised in hurt.get(&(package.name.as_str(), package.source_version.as_str())).into_iter().flatten() {
                let grade = Grade::of(advised.severity.as_ref());
                row.worst = Some(row.worst.map_or(grade, |w| w.min(grade)));
                ids.insert(&advised.id);
            }
        }
    }
    rows.into_values()
        .map(|(mut row, ids)| {
            row.vulnerabilities = ids.len();
            row
        })
        .collect()
}

fn kind(kind: PackageKind) -> u8 {
    match kind {
        PackageKind::Deb => 0,
        PackageKind::Rpm => 1,
        PackageKind::Apk => 2,
        PackageKind::Pkg => 3,
        PackageKind::Brew => 4,
    }
}
