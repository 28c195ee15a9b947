//! Which advisories concern which host. Each archive is read once for all hosts, record by record; a host for which that was not
//! possible is never said to have none.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use super::archive::Archive;
use super::evaluate::{Verdict, evaluate};
use super::found::{About, Found, FoundOfBuild};
use super::installed::{Unit, units};
use super::module_stream;
use super::record::{Affected, Glance, Record};
use super::release::Release;
use super::severity;
use super::types::{Advised, Coverage, Severity};
use crate::facts::{Facts, PackageKind};

/// Looks up the packages of hosts, given by name, in the archives of a folder: `{dir}/Debian/all.zip`,
/// `{dir}/osv-scanner/Debian/all.zip`, `{dir}/osv-scalibr/Debian/all.zip`, or JSON files in one of these folders.
///
/// Each host has its coverage and what concerns it, sorted by source package, version and id. Findings are only given with
/// [`Coverage::Covered`]. `cancelled` is asked before each record; after a `true`, hosts whose archive was not read to its end
/// have [`Coverage::NoArchive`]. Records that cannot be read are left out and counted. Blocks while it reads: seconds for
/// the largest archives.
pub fn look_up(dir: &Path, hosts: &[(&str, &Facts)], cancelled: &dyn Fn() -> bool) -> BTreeMap<String, (Coverage, Vec<Advised>)> {
    let mut all = BTreeMap::new();
    let mut waiting: BTreeMap<String, Vec<Host>> = BTreeMap::new();
    for (name, facts) in hosts {
        match Host::of(name, facts) {
            Ok(host) => waiting.entry(host.release.archive().to_owned()).or_default().push(host),
            Err(coverage) => {
                all.insert((*name).to_owned(), (coverage, Vec::new()));
            }
        }
    }
    for (ecosystem, hosts) in waiting {
        let names: Vec<String> = hosts.iter().map(|h| h.name.clone()).collect();
        match Archive::open(dir, &ecosystem).and_then(|archive| read(&archive, hosts, cancelled)) {
            Ok(read) => all.extend(read),
            Err(why) => all.extend(names.into_iter().map(|name| (name, (Coverage::NoArchive { why: why.clone() }, Vec::new())))),
        }
    }
    all
}

/// A host whose packages can be looked up.
struct Host {
    name: String,
    release: Release,
    units: Vec<Unit>,
    /// By source package and build.
    found: BTreeMap<(String, String), FoundOfBuild>,
}

impl Host {
    fn of(name: &str, facts: &Facts) -> Result<Self, Coverage> {
        if let Some(why) = facts.missing.get("packages") {
            return Err(Coverage::NoPackages { why: why.clone() });
        }
        if facts.packages.is_empty() {
            return Err(Coverage::NoPackages { why: "no installed packages are known".to_owned() });
        }
        let release = Release::of(&facts.os).map_err(|why| Coverage::Unsupported { why })?;
        let units = units(&release, &facts.packages);
        if units.is_empty() {
            let manager = match release.kind {
                PackageKind::Deb => "dpkg",
                PackageKind::Rpm => "rpm",
                PackageKind::Apk => "apk",
                PackageKind::Pkg | PackageKind::Brew => "this system",
            };
            return Err(Coverage::NoPackages { why: format!("none of the known packages is one of {manager}") });
        }
        Ok(Self { name: name.to_owned(), release, units, found: BTreeMap::new() })
    }
}

/// A release that some hosts run.
struct Asked {
    release: Release,
    /// Host and unit, by the name that records use.
    units: HashMap<String, Vec<(usize, usize)>>,
    /// Records that speak of it, whether or not of an installed package.
    records: u64,
}

impl Asked {
    fn all(hosts: &[Host]) -> Vec<Self> {
        let mut all: BTreeMap<String, Self> = BTreeMap::new();
        for (h, host) in hosts.iter().enumerate() {
            let release = host.release.clone();
            let asked = all.entry(release.name.clone()).or_insert_with(|| Self { release, units: HashMap::new(), records: 0 });
            for (u, unit) in host.units.iter().enumerate() {
                asked.units.entry(unit.name.clone()).or_default().push((h, u));
            }
        }
        all.into_values().collect()
    }
}

/// What an archive was found to hold.
#[derive(Default)]
struct Tally {
    records: u64,
    skipped: u64,
    newest: String,
}

type Looked = Vec<(String, (Coverage, Vec<Advised>))>;

fn read(archive: &Archive, mut hosts: Vec<Host>, cancelled: &dyn Fn() -> bool) -> Result<Looked, String> {
    let mut asked = Asked::all(&hosts);
    let mut tally = Tally::default();
    archive.each(cancelled, &mut |bytes| {
        let read = bytes.is_some_and(|bytes| one(bytes, &mut asked, &mut hosts, &mut tally.newest).is_ok());
        *(if read { &mut tally.records } else { &mut tally.skipped }) += 1;
    })?;
    let records: BTreeMap<String, u64> = asked.into_iter().map(|a| (a.release.name, a.records)).collect();
    Ok(hosts
        .into_iter()
        .map(|host| {
            let Host { name, release, found, .. } = host;
            if records.get(&release.name).is_none_or(|n| *n == 0) {
                let (path, release) = (archive.path().display(), release.name);
                let Tally { records, skipped, .. } = tally;
                let why = format!("{path} has {records} records and {skipped} that cannot be read, and none of them is about {release}");
                return (name, (Coverage::NoArchive { why }, Vec::new()));
            }
            let as_of = Some(tally.newest.clone()).filter(|n| !n.is_empty());
            let coverage = Coverage::Covered { ecosystem: release.name, as_of, skipped: tally.skipped };
            let mut advised: Vec<Advised> =
                found.into_iter().flat_map(|((source, _), found)| found.into_advised(&source, release.kind)).collect();
            advised.sort_by(|a, b| (&a.source, &a.installed, &a.id).cmp(&(&b.source, &b.installed, &b.id)));
            (name, (coverage, advised))
        })
        .collect())
}

/// Looks at one record; most are about nothing that is installed. `Err`: it is no record.
fn one(bytes: &[u8], asked: &mut [Asked], hosts: &mut [Host], newest: &mut String) -> Result<(), ()> {
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(());
    }
    let glance: Glance = serde_json::from_slice(bytes).map_err(|_| ())?;
    if is_time(&glance.modified) && glance.modified.trim_end_matches('Z') > newest.trim_end_matches('Z') {
        newest.clear();
        newest.push_str(&glance.modified);
    }
    let mut touched = Vec::new();
    for (index, asked) in asked.iter_mut().enumerate() {
        let mut covers = glance.affected.iter().filter(|a| asked.release.covers(&a.package.ecosystem)).peekable();
        if covers.peek().is_some() {
            asked.records += 1;
        }
        if covers.any(|a| asked.units.contains_key(&a.package.name)) {
            touched.push(index);
        }
    }
    if touched.is_empty() {
        return Ok(());
    }
    let record: Record = serde_json::from_slice(bytes).map_err(|_| ())?;
    if record.withdrawn.is_some() {
        return Ok(());
    }
    let about = Arc::new(About::of(&record));
    for asked in touched.into_iter().filter_map(|index| asked.get(index)) {
        let covers = || record.affected.iter().filter(|a| asked.release.covers(&a.package.ecosystem));
        // Builds of which the record names a binary package: it says about each package what it has to say, and the name of the
        // source among them is that of a binary package, too.
        let mut named = HashSet::new();
        for by_source in [false, true] {
            for affected in covers() {
                let units = asked.units.get(&affected.package.name).map(Vec::as_slice).unwrap_or_default();
                let concern = Concern { record: &record, about: &about, affected, kind: asked.release.kind, by_source };
                concern.add(units, hosts, &mut named);
            }
        }
    }
    Ok(())
}

/// Host, source package and build.
type Build = (usize, String, String);

/// What a record says of one package.
struct Concern<'a> {
    record: &'a Record,
    about: &'a Arc<About>,
    affected: &'a Affected,
    kind: PackageKind,
    by_source: bool,
}

impl Concern<'_> {
    /// Adds it to every host on which the package is affected.
    fn add(&self, units: &[(usize, usize)], hosts: &mut [Host], named: &mut HashSet<Build>) {
        let Self { record, about, affected, kind, by_source } = *self;
        let mut said: Option<(Option<Severity>, Vec<&str>)> = None;
        // Many hosts have the same version.
        let mut verdicts: HashMap<String, Option<Verdict>> = HashMap::new();
        for (index, unit) in units {
            let Some(Host { units, found, .. }) = hosts.get_mut(*index) else { continue };
            let Some(unit) = units.get(*unit).filter(|u| u.by_source == by_source) else { continue };
            let build = (*index, unit.source.clone(), unit.build.clone());
            if !by_source {
                named.insert(build);
            } else if named.contains(&build) {
                continue;
            }
            let verdict = match verdicts.get(&unit.version) {
                Some(known) => known.clone(),
                None => {
                    let verdict = evaluate(kind, &unit.version, affected);
                    verdicts.insert(unit.version.clone(), verdict.clone());
                    verdict
                }
            };
            let Some(Verdict { fixed }) = verdict else { continue };
            if kind == PackageKind::Rpm && !module_stream::same(record, affected, &unit.version, unit.module.as_deref()) {
                continue;
            }
            let (severity, binaries) = said.get_or_insert_with(|| (severity::of(record, affected), affected.binaries()));
            // The list says which packages to name. It is the list of the fixed build, in which a kernel or a library may have
            // another name: where none of them is installed, the source is affected all the same.
            let mut packages: BTreeSet<String> = unit.packages.iter().filter(|p| binaries.contains(&p.as_str())).cloned().collect();
            if packages.is_empty() {
                packages.clone_from(&unit.packages);
            }
            let new = Found::new(about, &unit.name, &unit.version, packages).said(fixed, severity.clone());
            found.entry((unit.source.clone(), unit.build.clone())).or_default().add(new, &unit.source, kind);
        }
    }
}

/// Whether it looks like `2024-07-01T12:00:00Z`; what does not cannot be the newest of anything.
fn is_time(text: &str) -> bool {
    let shape = b"0000-00-00T00:00:00";
    text.len() <= 40
        && text.ends_with('Z')
        && text.len() > shape.len()
        && text.bytes().zip(shape).all(|(have, want)| if *want == b'0' { have.is_ascii_digit() } else { have == *want })
}
