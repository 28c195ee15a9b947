//! Package URLs: how other tools name an installed package. Says nothing of packages that have no such name.

use packageurl::PackageUrl;

use crate::facts::{Os, Package, PackageKind};

/// The longest part, in bytes.
const LONGEST: usize = 300;

/// The package URL of an installed package; `None` where its parts make none.
pub(super) fn of(package: &Package, os: &Os) -> Option<String> {
    let kind = match package.kind {
        PackageKind::Deb => "deb",
        PackageKind::Rpm => "rpm",
        PackageKind::Apk => "apk",
        // The specification has no types for these.
        PackageKind::Pkg | PackageKind::Brew => "generic",
    };
    // No package manager has other names; readers of package URLs strip and fold what does not belong there.
    let plain = |text: &str| text.len() <= LONGEST && text.chars().all(|c| c.is_ascii_graphic() && c != '/');
    if ![&package.name, &package.version, &package.arch, &os.id, &os.version].into_iter().all(|t| plain(t)) {
        return None;
    }
    let mut purl = PackageUrl::new(kind, package.name.as_str()).ok()?;
    if !os.id.is_empty() {
        purl.with_namespace(os.id.as_str()).ok()?;
    }
    let (epoch, version) = match (package.kind, package.version.split_once(':')) {
        // An rpm's epoch is a qualifier of its own; a Debian package's is part of its version.
        (PackageKind::Rpm, Some((epoch, rest))) => (Some(epoch), rest),
        _ => (None, package.version.as_str()),
    };
    if !version.is_empty() {
        purl.with_version(version).ok()?;
    }
    let distro = if os.version.is_empty() { os.id.clone() } else { format!("{}-{}", os.id, os.version) };
    let qualifiers = [("arch", Some(package.arch.as_str())), ("epoch", epoch), ("distro", Some(distro.as_str()))];
    for (key, value) in qualifiers {
        if let Some(value) = value.filter(|v| !v.is_empty() && *v != "-") {
            purl.add_qualifier(key, value.to_owned()).ok()?;
        }
    }
    Some(purl.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(kind: PackageKind, name: &str, version: &str, arch: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            arch: arch.to_owned(),
            source: name.to_owned(),
            source_version: version.to_owned(),
            kind,
            module: None,
        }
    }

    fn os(id: &str, version: &str) -> Os {
        Os { id: id.to_owned(), version: version.to_owned(), ..Os::default() }
    }

    #[test]
    fn packages_are_named_as_the_specification_says() {
        let cases = [
            (
                package(PackageKind::Deb, "openssh-server", "1:9.2p1-2+deb12u3", "amd64"),
                os("debian", "12"),
                "pkg:deb/debian/openssh-server@1:9.2p1-2%2Bdeb12u3?arch=amd64&distro=debian-12",
            ),
            (
                package(PackageKind::Deb, "libstdc++6", "12.2.0-14~bpo", "amd64"),
                os("ubuntu", "24.04"),
                "pkg:deb/ubuntu/libstdc%2B%2B6@12.2.0-14~bpo?arch=amd64&distro=ubuntu-24.04",
            ),
            (
                package(PackageKind::Rpm, "openssl", "1:3.0.7-24.el9", "x86_64"),
                os("rocky", "9.4"),
                "pkg:rpm/rocky/openssl@3.0.7-24.el9?arch=x86_64&distro=rocky-9.4&epoch=1",
            ),
            (
                package(PackageKind::Apk, "curl", "8.5.0-r0", "x86_64"),
                os("alpine", ""),
                "pkg:apk/alpine/curl@8.5.0-r0?arch=x86_64&distro=alpine",
            ),
            (package(PackageKind::Pkg, "bash", "5.2", ""), os("freebsd", "14.1"), "pkg:generic/freebsd/bash@5.2?distro=freebsd-14.1"),
        ];
        for (package, os, purl) in cases {
            assert_eq!(of(&package, &os).as_deref(), Some(purl));
        }
    }

    #[test]
    fn hostile_parts_stay_inside_of_their_place() {
        let purl = of(&package(PackageKind::Deb, "a%b?x=1#y@2", "1&arch=z?#", "amd64&q=1"), &os("debian", "12")).unwrap();
        assert_eq!(purl, "pkg:deb/debian/a%25b%3Fx%3D1%23y%402@1&arch%3Dz%3F%23?arch=amd64%26q%3D1&distro=debian-12");
    }

    #[test]
    fn what_is_no_package_has_no_url() {
        for name in ["", " ", "a/b", "../x", "a b", "a\0", "ü", &"x".repeat(301)] {
            assert_eq!(of(&package(PackageKind::Deb, name, "1", "amd64"), &os("debian", "12")), None, "{name}");
        }
        assert_eq!(of(&package(PackageKind::Deb, "a", "1 2", "amd64"), &os("debian", "12")), None);
        assert_eq!(of(&package(PackageKind::Deb, "a", "1", "amd64"), &os("de/bian", "12")), None);
    }
}
