//! CycloneDX 1.6: each host as a device with what is installed on it, and the vulnerabilities with what they affect. Never calls a
//! host's list complete whose packages are not known.

mod layout;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::ser::{Serialize, SerializeSeq, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Error;
use super::document::{Document, HostReport, PolicyUsed};
use super::gather::{self, VulnerabilityRow};
use super::grade::Grade;
use super::purl;
use super::text::{Harmless, fingerprint, line, lines, slug};
use crate::advisories::{Coverage, Severity};
use crate::facts::{Facts, Package, PackageKind};
use layout::{Affects, Bom, Component, Composition, Metadata, Named, Note, Rating, Reference, Vulnerability};

/// The longest text, in characters.
const TEXT: usize = 2000;
/// The longest name, version or part of a reference, in bytes; the standard has 1024 for a version.
const NAME: usize = 900;

pub(super) fn write(document: &Document, out: &mut dyn fmt::Write) -> Result<(), Error> {
    let summary = document.summary();
    let note = |name: &'static str, value: String| Note { name, value };
    let mut properties = vec![
        note("keyward:scan", document.id.to_string()),
        note("keyward:profile", lines(&document.profile, TEXT)),
        note("keyward:selector", lines(&document.selector, TEXT)),
        note("keyward:outcome", summary.outcome.to_string()),
    ];
    // Those of the hosts stand with the hosts.
    properties.extend(summary.gaps.into_iter().filter(|g| g.host.is_none()).map(|g| note("keyward:gap", g.why)));
    let bom = Bom {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: serial(document.id.bytes()),
        version: 1,
        metadata: Metadata {
            timestamp: instant(document.ended_at.as_deref().unwrap_or(&document.started_at)),
            lifecycles: [layout::Lifecycle { phase: "operations" }],
            tools: layout::Tools {
                components: [layout::ToolUsed { kind: "application", name: "keyward", version: env!("CARGO_PKG_VERSION") }],
            },
            properties,
        },
        components: Hosts(document),
        compositions: compositions(document),
        vulnerabilities: vulnerabilities(document),
    };
    serde_json::to_writer(Harmless::new(out), &bom)?;
    out.write_char('\n')?;
    Ok(())
}

/// The scan's id in the form of a UUID, version 8: the same run has the same number, whenever it is written.
fn serial(id: &[u8; 16]) -> String {
    let mut value = u128::from_be_bytes(*id);
    value = (value & !(0xf << 76)) | (0x8 << 76);
    value = (value & !(0x3 << 62)) | (0x2 << 62);
    let hex = format!("{value:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("urn:uuid:{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

/// A time, if it is one: the standard takes no other text.
fn instant(text: &str) -> Option<&str> {
    OffsetDateTime::parse(text, &Rfc3339).is_ok().then_some(text)
}

/// Written one by one: a large run has many.
pub(super) struct Hosts<'a>(&'a Document);

impl Serialize for Hosts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.hosts.len()))?;
        for host in &self.0.hosts {
            seq.serialize_element(&device(host, &self.0.policies))?;
        }
        seq.end()
    }
}

fn host_ref(host: &HostReport) -> String {
    format!("host/{}", part(&host.name))
}

fn device<'a>(host: &'a HostReport, policies: &[PolicyUsed]) -> layout::Device<'a> {
    let mut properties = vec![
        Note { name: "keyward:address", value: lines(&host.address, TEXT) },
        Note { name: "keyward:state", value: host.state.to_string() },
    ];
    properties.extend(host.summary(policies).gaps.into_iter().map(|value| Note { name: "keyward:gap", value }));
    if let Some(facts) = &host.facts {
        properties.push(Note { name: "keyward:kernel", value: lines(&format!("{} {}", facts.system.kernel, facts.system.release), TEXT) });
        properties.push(Note { name: "keyward:machine", value: lines(&facts.system.machine, TEXT) });
    }
    if let Coverage::Covered { ecosystem, as_of, .. } = &host.vulnerability_coverage {
        properties.push(Note { name: "keyward:advisories", value: lines(ecosystem, TEXT) });
        properties.extend(as_of.iter().map(|at| Note { name: "keyward:advisories-as-of", value: lines(at, TEXT) }));
    }
    layout::Device {
        kind: "device",
        bom_ref: host_ref(host),
        name: lines(&host.name, TEXT),
        properties,
        components: host.facts.as_ref().map(|facts| Packages { host, facts, seen: RefCell::new(BTreeSet::new()) }),
    }
}

/// The operating system and the packages of a host; each once.
pub(super) struct Packages<'a> {
    host: &'a HostReport,
    facts: &'a Facts,
    seen: RefCell<BTreeSet<String>>,
}

impl Serialize for Packages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        let os = &self.facts.os;
        if !os.id.is_empty() {
            seq.serialize_element(&Component {
                kind: "operating-system",
                bom_ref: &format!("{}/os", host_ref(self.host)),
                name: name(&os.id),
                version: Some(name(&os.version)),
                description: (!os.name.is_empty()).then(|| lines(&os.name, TEXT)),
                purl: None,
                properties: Vec::new(),
            })?;
        }
        for package in &self.facts.packages {
            let bom_ref = package_ref(self.host, package);
            if !self.seen.borrow_mut().insert(bom_ref.clone()) {
                continue;
            }
            seq.serialize_element(&Component {
                kind: "library",
                bom_ref: &bom_ref,
                name: name(&package.name),
                version: Some(name(&package.version)),
                description: None,
                purl: purl::of(package, os).as_deref(),
                properties: source(package).into_iter().collect(),
            })?;
        }
        seq.end()
    }
}

/// The source package, where it is another one.
fn source(package: &Package) -> Option<Note> {
    let other = package.source != package.name || package.source_version != package.version;
    (other && !package.source.is_empty())
        .then(|| Note { name: "keyward:source", value: lines(&format!("{} {}", package.source, package.source_version), TEXT) })
}

/// As it is, unless it is so long that it is no name and no version.
fn name(text: &str) -> Cow<'_, str> {
    if text.len() <= NAME { Cow::Borrowed(text) } else { Cow::Owned(line(text, NAME / 4)) }
}

/// As a part of a reference.
fn part(text: &str) -> String {
    let slug = slug(text);
    if slug.len() <= NAME { slug } else { fingerprint(&[text]) }
}

/// Not made of the package URL, which folds what is different.
fn package_ref(host: &HostReport, package: &Package) -> String {
    let kind = match package.kind {
        PackageKind::Deb => "deb",
        PackageKind::Rpm => "rpm",
        PackageKind::Apk => "apk",
        PackageKind::Pkg => "pkg",
        PackageKind::Brew => "brew",
    };
    format!("{}/{kind}/{}/{}/{}", host_ref(host), part(&package.name), part(&package.version), part(&package.arch))
}

/// Whose list of packages is whole, and whose is not.
fn compositions(document: &Document) -> Vec<Composition> {
    let whole = |h: &HostReport| h.facts.as_ref().is_some_and(|f| !f.packages.is_empty() && !f.missing.contains_key("packages"));
    let refs = |wanted: bool| document.hosts.iter().filter(|h| whole(h) == wanted).map(host_ref).collect::<Vec<_>>();
    [("complete", refs(true)), ("unknown", refs(false))]
        .into_iter()
        .filter(|(_, assemblies)| !assemblies.is_empty())
        .map(|(aggregate, assemblies)| Composition { aggregate, assemblies })
        .collect()
}

fn vulnerabilities(document: &Document) -> Vec<Vulnerability<'_>> {
    let mut affects: BTreeMap<(&str, &str), Vec<Affects>> = BTreeMap::new();
    for host in &document.hosts {
        let mut installed: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
        host.facts.iter().flat_map(|f| &f.packages).for_each(|p| installed.entry(&p.name).or_default().push(p));
        for advised in &host.vulnerabilities {
            let refs = affects.entry((&advised.id, &advised.source)).or_default();
            let before = refs.len();
            let found = advised.packages.iter().filter_map(|p| installed.get(p.as_str())).flatten();
            for package in found.filter(|p| p.source == advised.source && p.source_version == advised.installed) {
                refs.push(Affects::of(package_ref(host, package), &name(&package.version)));
            }
            if refs.len() == before {
                refs.push(Affects::of(host_ref(host), &name(&advised.installed)));
            }
        }
    }
    gather::vulnerabilities(document)
        .iter()
        .map(|row| {
            let mut refs = affects.remove(&(row.about.id.as_str(), row.about.source.as_str())).unwrap_or_default();
            refs.dedup_by(|a, b| a.bom_ref == b.bom_ref);
            vulnerability(row, refs)
        })
        .collect()
}

fn vulnerability<'a>(row: &VulnerabilityRow<'a>, affects: Vec<Affects>) -> Vulnerability<'a> {
    let about = row.about;
    let severity = about.severity.as_ref().filter(|s| Grade::of(Some(s)) == row.grade);
    let fixed: BTreeSet<&str> = row.places.keys().filter_map(|(_, fixed)| *fixed).collect();
    let recommendation = (!fixed.is_empty()).then(|| {
        let fixed = fixed.into_iter().collect::<Vec<_>>().join(", ");
        lines(&format!("update {}: fixed in {fixed}", about.source), TEXT)
    });
    Vulnerability {
        bom_ref: format!("vulnerability/{}/{}", part(&about.id), part(&about.source)),
        id: name(&about.id),
        source: Named { name: "OSV", url: Some("https://osv.dev") },
        references: about
            .aliases
            .iter()
            .map(|alias| Reference { id: name(alias), source: Named { name: base(alias), url: None } })
            .collect(),
        ratings: [rating(severity, row.grade)],
        description: (!about.summary.is_empty()).then(|| lines(&about.summary, TEXT)),
        recommendation,
        published: about.published.as_deref().and_then(instant),
        affects,
        properties: vec![Note { name: "keyward:new", value: row.new.to_string() }],
    }
}

/// In which list an id stands.
fn base(id: &str) -> &'static str {
    match id.split('-').next() {
        Some("CVE") => "CVE",
        Some("GHSA") => "GitHub Advisory Database",
        _ => "OSV",
    }
}

fn rating(severity: Option<&Severity>, grade: Grade) -> Rating<'_> {
    let vector = severity.and_then(|s| s.vector.as_deref());
    Rating {
        score: severity.and_then(|s| s.score).filter(|s| s.is_finite()),
        severity: grade.as_str(),
        method: vector.map(|v| match v {
            v if v.starts_with("CVSS:4.") => "CVSSv4",
            v if v.starts_with("CVSS:3.1/") => "CVSSv31",
            v if v.starts_with("CVSS:3.0/") => "CVSSv3",
            v if v.starts_with("AV:") => "CVSSv2",
            _ => "other",
        }),
        vector: vector.map(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_one_serial_number_for_ever() {
        assert_eq!(serial(&[0xff; 16]), "urn:uuid:ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert_eq!(serial(&[0; 16]), "urn:uuid:00000000-0000-8000-8000-000000000000");
    }

    #[test]
    fn what_is_no_time_is_left_out() {
        assert_eq!(instant("2026-11-26T01:02:03Z"), Some("2026-11-26T01:02:03Z"));
        assert_eq!(instant("yesterday"), None);
    }
}
