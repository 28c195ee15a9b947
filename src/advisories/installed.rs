//! What is installed on a host, by the names that its distribution's records use. Compares nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::release::{Named, Release};
use crate::facts::{Package, PackageKind};

/// Something installed that a record may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    /// The name that records use.
    pub(super) name: String,
    /// The version that they compare.
    pub(super) version: String,
    /// Whether these are the source package's, and not those of a binary package.
    pub(super) by_source: bool,
    /// The source package, under which it is shown.
    pub(super) source: String,
    /// The source package's version: packages of one build belong together.
    pub(super) build: String,
    /// The binary packages.
    pub(super) packages: BTreeSet<String>,
    /// The module stream: `nodejs:18:…`.
    pub(super) module: Option<String>,
}

/// Takes together what is one for the records of the release, sorted. Packages of another package manager are not.
pub(super) fn units(release: &Release, packages: &[Package]) -> Vec<Unit> {
    let packages = packages.iter().filter(|p| p.kind == release.kind && !p.name.is_empty() && !p.version.is_empty());
    let built: Vec<Built<'_>> = packages.map(|package| Built::of(release, package)).collect();
    let epochs = epochs(&built);
    let mut units: BTreeMap<(bool, String, String, String, Option<String>), Unit> = BTreeMap::new();
    for Built { package, source, version } in &built {
        let build = match epochs.get(&(source.as_str(), version.as_str())) {
            Some(epoch) if epoch.bytes().any(|b| b != b'0') => format!("{epoch}:{version}"),
            _ => version.clone(),
        };
        let module = package.module.clone().filter(|m| !m.is_empty() && m != "(none)");
        let mut add = |by_source: bool, name: &str, version: &str| {
            let key = (by_source, name.to_owned(), version.to_owned(), build.clone(), module.clone());
            let unit = units.entry(key).or_insert_with(|| Unit {
                name: name.to_owned(),
                version: version.to_owned(),
                by_source,
                source: source.clone(),
                build: build.clone(),
                packages: BTreeSet::new(),
                module: module.clone(),
            });
            unit.packages.insert(package.name.clone());
        };
        add(true, source, &build);
        if release.named == Named::Either {
            add(false, &package.name, &package.version);
        }
    }
    units.into_values().collect()
}

/// A package and what it was built from.
struct Built<'a> {
    package: &'a Package,
    source: String,
    version: String,
}

impl<'a> Built<'a> {
    fn of(release: &Release, package: &'a Package) -> Self {
        let known = |text: &'a str| Some(text).filter(|t| !t.is_empty() && *t != "(none)");
        let source = known(&package.source).unwrap_or(&package.name);
        let version = known(&package.source_version).unwrap_or_else(|| without_rebuild(release.kind, &package.version));
        let (source, version) = signed(release, package, source, version);
        Self { package, source, version: version.to_owned() }
    }
}

/// Signed kernels are built from a package of their own, which no record names: they are the kernel. Debian counts its
/// versions otherwise (`6.1.90+1`), but the binary package has the kernel's.
fn signed<'a>(release: &Release, package: &'a Package, source: &str, version: &'a str) -> (String, &'a str) {
    match (release.archive(), source.strip_prefix("linux-signed")) {
        ("Debian", Some(_)) => ("linux".to_owned(), without_rebuild(release.kind, &package.version)),
        ("Ubuntu", Some(flavour)) => (format!("linux{flavour}"), version),
        _ => (source.to_owned(), version),
    }
}

/// A rebuild without changes adds `+b1` to the binary package only.
fn without_rebuild(kind: PackageKind, version: &str) -> &str {
    match version.rsplit_once("+b") {
        Some((front, number)) if kind == PackageKind::Deb && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => front,
        _ => version,
    }
}

/// A source RPM's file name has no epoch, and the records' versions have. The epoch of a build is that of the package with the
/// source's name; if that is not installed, the lowest of the packages that have the source's version: httpd's mod_ssl has one
/// of its own. Perl's modules, which count by themselves, do not tell. Where nothing does, it is none. The lower it is taken,
/// the more is reported.
fn epochs<'a>(built: &'a [Built<'_>]) -> BTreeMap<(&'a str, &'a str), &'a str> {
    let mut epochs: BTreeMap<(&str, &str), (bool, u64, &str)> = BTreeMap::new();
    for Built { package, source, version } in built {
        if package.kind != PackageKind::Rpm || version.contains(':') {
            continue;
        }
        let (epoch, rest) = package.version.split_once(':').unwrap_or(("", &package.version));
        if rest != version || epoch.len() > 10 || !epoch.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let found = (package.name != *source, epoch.parse().unwrap_or(0), epoch);
        let known = epochs.entry((source, version)).or_insert(found);
        *known = found.min(*known);
    }
    epochs.into_iter().map(|(build, (.., epoch))| (build, epoch)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Os;

    fn release(id: &str, version: &str) -> Release {
        Release::of(&Os { id: id.into(), version: version.into(), ..Os::default() }).unwrap()
    }

    fn package(kind: PackageKind, name: &str, version: &str, source: &str, source_version: &str) -> Package {
        Package {
            name: name.into(),
            version: version.into(),
            arch: "amd64".into(),
            source: source.into(),
            source_version: source_version.into(),
            kind,
            module: None,
        }
    }

    fn seen(units: &[Unit]) -> Vec<(&str, &str, Vec<&str>)> {
        units.iter().map(|u| (u.name.as_str(), u.version.as_str(), u.packages.iter().map(String::as_str).collect())).collect()
    }

    #[test]
    fn binary_packages_of_one_build_are_one() {
        let deb = |name, version, source, source_version| package(PackageKind::Deb, name, version, source, source_version);
        let packages = [
            deb("openssh-server", "1:9.2p1-2+deb12u2", "openssh", "1:9.2p1-2+deb12u2"),
            deb("openssh-client", "1:9.2p1-2+deb12u2", "openssh", "1:9.2p1-2+deb12u2"),
            deb("libacl1", "2.3.1-3+b1", "acl", "2.3.1-3"),
            deb("bash", "5.2.15-2+b7", "", ""),
            package(PackageKind::Brew, "openssl", "3", "openssl", "3"),
        ];
        assert_eq!(
            seen(&units(&release("debian", "12"), &packages)),
            [
                ("acl", "2.3.1-3", vec!["libacl1"]),
                ("bash", "5.2.15-2", vec!["bash"]),
                ("openssh", "1:9.2p1-2+deb12u2", vec!["openssh-client", "openssh-server"]),
            ]
        );
    }

    #[test]
    fn signed_kernels_are_kernels() {
        let debian = [package(PackageKind::Deb, "linux-image-6.1.0-21-amd64", "6.1.90-1", "linux-signed-amd64", "6.1.90+1")];
        assert_eq!(seen(&units(&release("debian", "12"), &debian)), [("linux", "6.1.90-1", vec!["linux-image-6.1.0-21-amd64"])]);
        let ubuntu = [
            package(PackageKind::Deb, "linux-image-6.8.0-31-generic", "6.8.0-31.31", "linux-signed", "6.8.0-31.31"),
            package(PackageKind::Deb, "linux-image-6.8.0-40-generic", "6.8.0-40.40~22.04.3", "linux-signed-hwe-6.8", "6.8.0-40.40~22.04.3"),
        ];
        let units = units(&release("ubuntu", "22.04"), &ubuntu);
        assert_eq!(units.iter().map(|u| u.name.as_str()).collect::<Vec<_>>(), ["linux", "linux-hwe-6.8"]);
    }

    #[test]
    fn a_source_rpm_gets_its_epoch_from_its_packages() {
        let rpm = |name, version, source, source_version| package(PackageKind::Rpm, name, version, source, source_version);
        let packages = [
            rpm("openssl-libs", "1:3.0.7-25.el9_3", "openssl", "3.0.7-25.el9_3"),
            rpm("perl-libs", "4:5.32.1-481.el9", "perl", "5.32.1-481.el9"),
            rpm("perl-Errno", "1.30-481.el9", "perl", "5.32.1-481.el9"),
            rpm("perl-B", "0:1.80-481.el9", "perl", "5.32.1-481.el9"),
            rpm("odd", "1.0-1.el9", "odd", "1.0-1.el9"),
            rpm("odd-tools", "7:1.0-1.el9", "odd", "1.0-1.el9"),
            rpm("httpd-core", "2.4.57-8.el9", "httpd", "2.4.57-8.el9"),
            rpm("mod_ssl", "1:2.4.57-8.el9", "httpd", "2.4.57-8.el9"),
            rpm("sub", "2:9-9", "nowhere", "1-1"),
            rpm("said", "5:1-1", "said", "5:1-1"),
        ];
        let found = units(&release("rocky", "9.4"), &packages);
        let versions: Vec<_> = found.iter().filter(|u| u.by_source).map(|u| (u.name.as_str(), u.version.as_str())).collect();
        assert_eq!(
            versions,
            [
                ("httpd", "2.4.57-8.el9"),
                ("nowhere", "1-1"),
                ("odd", "1.0-1.el9"),
                ("openssl", "1:3.0.7-25.el9_3"),
                ("perl", "4:5.32.1-481.el9"),
                ("said", "5:1-1")
            ]
        );
    }

    #[test]
    fn where_records_may_name_binary_packages_each_is_also_by_itself() {
        let rpm = |name, version| package(PackageKind::Rpm, name, version, "openssl", "3.0.7-25.el9_3");
        let packages =
            [rpm("openssl", "1:3.0.7-25.el9_3"), rpm("openssl-libs", "1:3.0.7-25.el9_3"), rpm("openssl-libs", "1:3.0.7-25.el9_3")];
        let found = units(&release("almalinux", "9.3"), &packages);
        let version = "1:3.0.7-25.el9_3";
        assert_eq!(
            seen(&found),
            [
                ("openssl", version, vec!["openssl"]),
                ("openssl-libs", version, vec!["openssl-libs"]),
                ("openssl", version, vec!["openssl", "openssl-libs"])
            ]
        );
        assert_eq!(found.iter().map(|u| u.by_source).collect::<Vec<_>>(), [false, false, true]);
        assert!(found.iter().all(|u| u.source == "openssl" && u.build == version));
    }
}
