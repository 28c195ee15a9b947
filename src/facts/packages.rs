//! Installed packages, from the answers of dpkg, rpm, apk, FreeBSD's pkg and Homebrew's folders. Compares no versions.

use super::inventory::id;
use super::reading::{Bounds, Heard, Reading, Section, pair, words};
use super::types::{Package, PackageKind};

const GROUP: &str = "packages";

/// Reads the packages, sorted by name, architecture and version.
pub(super) fn read(reading: &mut Reading<'_>) -> Vec<Package> {
    let mut packages = Vec::new();
    let mut bounds = Bounds::default();
    if let Heard::Absent = reading.heard(id::PACKAGES) {
        reading.lack(GROUP, "no package database that is known");
        return packages;
    }
    let Some(sections) = reading.sections(GROUP, id::PACKAGES) else { return packages };
    for section in &sections {
        match section.head {
            b"dpkg" => each(section, &mut packages, &mut bounds, dpkg),
            b"dpkg-status" => dpkg_status(section, &mut packages, &mut bounds),
            b"rpm" => each(section, &mut packages, &mut bounds, rpm),
            b"apk" => apk(section, &mut packages, &mut bounds),
            b"pkg" => each(section, &mut packages, &mut bounds, pkg),
            b"brew" => each(section, &mut packages, &mut bounds, brew),
            _ => bounds.strange(),
        }
    }
    bounds.close(reading, GROUP, packages.len());
    packages.sort_by(|a, b| (&a.name, &a.arch, &a.version, &a.source).cmp(&(&b.name, &b.arch, &b.version, &b.source)));
    packages.dedup();
    packages
}

/// What a line says.
enum Line {
    /// An installed package.
    Package(Package),
    /// Nothing that counts.
    Passed,
    /// It is not understood.
    Strange,
}

fn each(section: &Section<'_>, packages: &mut Vec<Package>, bounds: &mut Bounds, read: fn(&[u8], &mut Bounds) -> Line) {
    for line in section.lines.iter().filter(|l| !l.trim_ascii().is_empty()) {
        match read(line, bounds) {
            Line::Package(p) => bounds.push(packages, p),
            Line::Passed => {}
            Line::Strange => bounds.strange(),
        }
    }
}

/// `binary:Package`, `db:Status-Abbrev`, `Version`, `Architecture`, `source:Package`, `source:Version`, divided by tabs.
fn dpkg(line: &[u8], bounds: &mut Bounds) -> Line {
    let mut fields = line.split(|b| *b == b'\t');
    let (Some(name), Some(status), Some(version), Some(arch)) = (fields.next(), fields.next(), fields.next(), fields.next()) else {
        return Line::Strange;
    };
    // The second letter is the state: of `n` nothing is there, of `c` only its configuration.
    match status.get(1) {
        Some(b'n' | b'c') => return Line::Passed,
        Some(b'i' | b'U' | b'F' | b'H' | b'W' | b't') => {}
        _ => return Line::Strange,
    }
    deb(name, version, arch, fields.next().unwrap_or_default(), fields.next().unwrap_or_default(), bounds)
}

/// A package of dpkg. An empty source is the package itself; an empty source version is its own, without the mark of a rebuild.
fn deb(name: &[u8], version: &[u8], arch: &[u8], source: &[u8], source_version: &[u8], bounds: &mut Bounds) -> Line {
    let name = bounds.text(pair(name, b":").map_or(name, |(name, _)| name));
    let version = bounds.text(version);
    if name.is_empty() || version.is_empty() {
        return Line::Strange;
    }
    let source = Some(bounds.text(source)).filter(|s| !s.is_empty()).unwrap_or_else(|| name.clone());
    let source_version = Some(bounds.text(source_version)).filter(|s| !s.is_empty()).unwrap_or_else(|| not_rebuilt(&version).to_owned());
    let arch = bounds.text(arch);
    Line::Package(Package { name, version, arch, source, source_version, kind: PackageKind::Deb, module: None })
}

/// `1.2-3+b1` was built again from the source `1.2-3`.
fn not_rebuilt(version: &str) -> &str {
    match version.rsplit_once("+b") {
        Some((source, n)) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => source,
        _ => version,
    }
}

/// The file of dpkg itself, where its tool is not there: paragraphs, one a package.
fn dpkg_status(section: &Section<'_>, packages: &mut Vec<Package>, bounds: &mut Bounds) {
    for fields in paragraphs(section) {
        let field = |name: &[u8]| fields.iter().find_map(|l| l.strip_prefix(name)).unwrap_or_default().trim_ascii();
        if matches!(words(field(b"Status: ")).next_back(), None | Some(b"not-installed" | b"config-files")) {
            continue;
        }
        let (source, source_version) = match pair(field(b"Source: "), b" (") {
            Some((source, version)) => (source, version.strip_suffix(b")").unwrap_or(version)),
            None => (field(b"Source: "), &b""[..]),
        };
        match deb(field(b"Package: "), field(b"Version: "), field(b"Architecture: "), source, source_version, bounds) {
            Line::Package(p) => bounds.push(packages, p),
            _ => bounds.strange(),
        }
    }
}

/// Name, epoch, version, release, architecture, source rpm and, where it is known, the module.
fn rpm(line: &[u8], bounds: &mut Bounds) -> Line {
    let fields: Vec<&[u8]> = line.splitn(8, |b| *b == b'\t').collect();
    let [name, epoch, version, release, arch, source_rpm, rest @ ..] = fields.as_slice() else { return Line::Strange };
    // Keys that rpm trusts stand in its database as packages.
    if *name == b"gpg-pubkey" {
        return Line::Passed;
    }
    let mut field = |f: &[u8]| Some(bounds.text(f)).filter(|f| !f.is_empty() && f != "(none)");
    let (Some(name), Some(version), Some(release)) = (field(name), field(version), field(release)) else { return Line::Strange };
    let epoch = field(epoch).filter(|e| e != "0").map(|e| format!("{e}:")).unwrap_or_default();
    let (source, source_version) = match field(source_rpm).as_deref().and_then(from_source_rpm) {
        Some((source, version)) => (source, format!("{epoch}{version}")),
        None => (name.clone(), format!("{epoch}{version}-{release}")),
    };
    let version = format!("{epoch}{version}-{release}");
    let module = rest.first().and_then(|m| field(m));
    Line::Package(Package { name, version, arch: field(arch).unwrap_or_default(), source, source_version, kind: PackageKind::Rpm, module })
}

/// `openssh-8.7p1-38.el9.src.rpm` → `openssh`, `8.7p1-38.el9`.
fn from_source_rpm(file: &str) -> Option<(String, String)> {
    let file = file.strip_suffix(".rpm")?;
    let file = file.strip_suffix(".src").or_else(|| file.strip_suffix(".nosrc"))?;
    let (rest, release) = file.rsplit_once('-')?;
    let (name, version) = rest.rsplit_once('-')?;
    (!name.is_empty()).then(|| (name.to_owned(), format!("{version}-{release}")))
}

/// The database of apk: paragraphs of `P:` name, `V:` version, `A:` architecture, `o:` origin.
fn apk(section: &Section<'_>, packages: &mut Vec<Package>, bounds: &mut Bounds) {
    for fields in paragraphs(section) {
        let mut field = |name: &[u8]| bounds.text(fields.iter().find_map(|l| l.strip_prefix(name)).unwrap_or_default());
        let (name, version, arch, origin) = (field(b"P:"), field(b"V:"), field(b"A:"), field(b"o:"));
        if name.is_empty() || version.is_empty() {
            bounds.strange();
            continue;
        }
        let source = if origin.is_empty() { name.clone() } else { origin };
        let source_version = version.clone();
        bounds.push(packages, Package { name, version, arch, source, source_version, kind: PackageKind::Apk, module: None });
    }
}

/// Name, version, ABI and origin of FreeBSD's pkg.
fn pkg(line: &[u8], bounds: &mut Bounds) -> Line {
    let mut fields = line.split(|b| *b == b'|').map(|f| bounds.text(f)).collect::<Vec<_>>().into_iter();
    let (Some(name), Some(version)) = (fields.next(), fields.next()) else { return Line::Strange };
    let (arch, origin) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
    if name.is_empty() || version.is_empty() {
        return Line::Strange;
    }
    let source = if origin.is_empty() { name.clone() } else { origin };
    Line::Package(Package { source_version: version.clone(), name, version, arch, source, kind: PackageKind::Pkg, module: None })
}

/// Name and version of a folder in Homebrew's cellar.
fn brew(line: &[u8], bounds: &mut Bounds) -> Line {
    let Some((name, version)) = pair(line, b"|") else { return Line::Strange };
    let (name, version) = (bounds.text(name), bounds.text(version));
    Line::Package(Package {
        source: name.clone(),
        source_version: version.clone(),
        name,
        version,
        arch: String::new(),
        kind: PackageKind::Brew,
        module: None,
    })
}

/// Paragraphs of a section, divided by empty lines.
fn paragraphs<'s, 'a>(section: &'s Section<'a>) -> impl Iterator<Item = &'s [&'a [u8]]> {
    section.lines.split(|l| l.is_empty()).filter(|p| !p.is_empty())
}
