//! Which of OSV's releases a host runs, which records speak of it, and how its records name packages. Knows no packages
//! and reads nothing.

use crate::facts::{Os, PackageKind};

/// The names that a distribution's records file their versions under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// The source package's, with its version.
    Source,
    /// Those of the binary packages, each with its own version, or the source package's. The schema says that AlmaLinux and
    /// Rocky Linux name sources, and Red Hat either; AlmaLinux lists the binary packages, and Rocky Linux did the one first and
    /// does the other now.
    Either,
}

/// Which ecosystems of a record are this release.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scope {
    /// This one string.
    Exact,
    /// The string, and what follows it after `:` or `.`: one RPM repository each (`…:9::baseos`, `…:9::appstream`).
    Repositories,
    /// Any product of SUSE's for this service pack, because the packages of an enterprise server are filed under the
    /// module that ships them. `15 SP5`.
    ServicePack(String),
}

/// A release of a distribution, as OSV names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Release {
    /// `Debian:12`.
    pub(super) name: String,
    /// How it names packages.
    pub(super) named: Named,
    /// Whose packages they are, and so how versions are compared.
    pub(super) kind: PackageKind,
    scope: Scope,
}

impl Release {
    /// Which release this is; `Err`: why it cannot be looked up, as a sentence.
    pub(super) fn of(os: &Os) -> Result<Self, String> {
        let exact = |name: String, kind| Ok(Self { name, named: Named::Source, kind, scope: Scope::Exact });
        match os.id.as_str() {
            "debian" => match number(&os.version, 1) {
                Some(version) => exact(format!("Debian:{version}"), PackageKind::Deb),
                None => Err(format!(
                    "{} is no numbered release of Debian, and testing and sid have no fixed versions to compare with",
                    said(os)
                )),
            },
            "ubuntu" => match number(&os.version, 2) {
                Some(version) => exact(format!("Ubuntu:{version}{}", long_term(&version)), PackageKind::Deb),
                None => Err(format!("{} has no version of the form 24.04", said(os))),
            },
            "alpine" => match number(&os.version, 3).filter(|v| v.contains('.')) {
                // `3.20.1` is of the branch v3.20; `3.21_alpha20240807` is edge, which is filed nowhere.
                Some(version) => exact(format!("Alpine:v{}", branch(&version)), PackageKind::Apk),
                None => Err(format!("{} is no numbered branch of Alpine, and edge has no fixed versions to compare with", said(os))),
            },
            "rocky" => match number(&os.version, 3) {
                Some(version) => {
                    let name = format!("Rocky Linux:{}", major(&version));
                    Ok(Self { name, named: Named::Either, kind: PackageKind::Rpm, scope: Scope::Exact })
                }
                None => Err(format!("{} has no version of the form 9.4", said(os))),
            },
            "almalinux" => match number(&os.version, 3) {
                Some(version) => {
                    let name = format!("AlmaLinux:{}", major(&version));
                    Ok(Self { name, named: Named::Either, kind: PackageKind::Rpm, scope: Scope::Exact })
                }
                None => Err(format!("{} has no version of the form 9.4", said(os))),
            },
            "rhel" => match number(&os.version, 3) {
                Some(version) => {
                    let name = format!("Red Hat:enterprise_linux:{}", major(&version));
                    Ok(Self { name, named: Named::Either, kind: PackageKind::Rpm, scope: Scope::Repositories })
                }
                None => Err(format!("{} has no version of the form 9.4", said(os))),
            },
            "opensuse-leap" => match number(&os.version, 2).filter(|v| v.contains('.')) {
                Some(version) => exact(format!("openSUSE:Leap {version}"), PackageKind::Rpm),
                None => Err(format!("{} has no version of the form 15.6", said(os))),
            },
            "opensuse-tumbleweed" => exact("openSUSE:Tumbleweed".to_owned(), PackageKind::Rpm),
            "sles" | "sled" | "sles_sap" | "sle_hpc" => suse(os),
            "sle-micro" => match number(&os.version, 2).filter(|v| v.contains('.')) {
                Some(version) => exact(format!("SUSE:Linux Enterprise Micro {version}"), PackageKind::Rpm),
                None => Err(format!("{} has no version of the form 5.5", said(os))),
            },
            _ => Err(unsupported(os)),
        }
    }

    /// The folder that OSV files its records in: the part before the first colon.
    pub(super) fn archive(&self) -> &str {
        self.name.split_once(':').map_or(self.name.as_str(), |(archive, _)| archive)
    }

    /// Whether a record's ecosystem is this release.
    pub(super) fn covers(&self, ecosystem: &str) -> bool {
        match &self.scope {
            Scope::Exact => ecosystem == self.name,
            Scope::Repositories => ecosystem.strip_prefix(&self.name).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '.'])),
            Scope::ServicePack(pack) => ecosystem.strip_prefix("SUSE:").is_some_and(|product| {
                // `Linux Enterprise Module for Basesystem 15 SP5`, `Linux Enterprise Server 15 SP5-LTSS`.
                product.starts_with("Linux Enterprise ")
                    && !product.starts_with("Linux Enterprise Micro ")
                    && product.match_indices(pack.as_str()).any(|(at, found)| {
                        product[..at].ends_with(' ') && matches!(product[at + found.len()..].chars().next(), None | Some('-'))
                    })
            }),
        }
    }
}

/// OSV's name of a host's release: `Debian:12`, `Ubuntu:24.04:LTS`, `Red Hat:enterprise_linux:9`. Red Hat and SUSE file a
/// release's packages under several names, one for each repository or module; for those it is what they have in common.
///
/// # Errors
/// A sentence that says why the packages of this system cannot be looked up.
pub fn ecosystem(os: &Os) -> Result<String, String> {
    Release::of(os).map(|release| release.name)
}

fn suse(os: &Os) -> Result<Release, String> {
    let version = number(&os.version, 2).ok_or_else(|| format!("{} has no version of the form 15.5", said(os)))?;
    let (big, small) = version.split_once('.').unwrap_or((version.as_str(), "0"));
    // Up to 15 there were service packs; 16 counts as others do.
    let pack = match big.parse::<u32>() {
        Ok(16..) => format!("{big}.{small}"),
        _ if small == "0" => big.to_owned(),
        _ => format!("{big} SP{small}"),
    };
    Ok(Release {
        name: format!("SUSE:Linux Enterprise Server {pack}"),
        named: Named::Source,
        kind: PackageKind::Rpm,
        scope: Scope::ServicePack(pack),
    })
}

/// `:LTS` for April of even years.
fn long_term(version: &str) -> &'static str {
    match version.split_once('.') {
        Some((year, "04")) if year.parse::<u32>().is_ok_and(|year| year % 2 == 0) => ":LTS",
        _ => "",
    }
}

fn unsupported(os: &Os) -> String {
    let why = match os.id.as_str() {
        "" => return "the operating system is not known".to_owned(),
        "amzn" => "OSV has no records of Amazon Linux".to_owned(),
        "ol" => "OSV has no records of Oracle Linux".to_owned(),
        "fedora" => "OSV has no records of Fedora".to_owned(),
        "arch" => "OSV has no records of Arch Linux".to_owned(),
        "centos" => "OSV has no records of CentOS, and those of Red Hat do not hold for it".to_owned(),
        "macos" => "OSV has no records of macOS".to_owned(),
        "freebsd" => "records of FreeBSD follow the version order of pkg, which is not compared here".to_owned(),
        "sid" => "Debian sid has no release".to_owned(),
        id if os.id_like.is_empty() => format!("no records of `{}` are matched", printable(id)),
        id => {
            let like = os.id_like.iter().map(|l| printable(l)).collect::<Vec<_>>().join(" and ");
            format!("`{}` is built from {like}, but ships packages of its own, and no records of them are matched", printable(id))
        }
    };
    format!("{} is not covered: {why}", said(os))
}

/// How the host calls its system, or its id and version.
fn said(os: &Os) -> String {
    match (os.name.is_empty(), os.version.is_empty()) {
        (false, _) => printable(&os.name),
        (true, false) => format!("{} {}", printable(&os.id), printable(&os.version)),
        (true, true) => printable(&os.id),
    }
}

/// Hosts say what they like: no controls, and no more than fits in a sentence.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

/// A version of at most so many numbers with points between them, as it stands there.
fn number(version: &str, parts: usize) -> Option<String> {
    let all = version.split('.').all(|part| !part.is_empty() && part.len() <= 6 && part.bytes().all(|b| b.is_ascii_digit()));
    (all && version.split('.').count() <= parts).then(|| version.to_owned())
}

fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or(version)
}

fn branch(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(id: &str, version: &str) -> Os {
        Os { id: id.into(), version: version.into(), ..Os::default() }
    }

    #[test]
    fn releases_are_named_as_osv_names_them() {
        for (id, version, name) in [
            ("debian", "12", "Debian:12"),
            ("ubuntu", "24.04", "Ubuntu:24.04:LTS"),
            ("ubuntu", "22.04", "Ubuntu:22.04:LTS"),
            ("ubuntu", "23.04", "Ubuntu:23.04"),
            ("ubuntu", "23.10", "Ubuntu:23.10"),
            ("ubuntu", "24.10", "Ubuntu:24.10"),
            ("rocky", "9.4", "Rocky Linux:9"),
            ("rocky", "10", "Rocky Linux:10"),
            ("almalinux", "8.10", "AlmaLinux:8"),
            ("rhel", "9.2", "Red Hat:enterprise_linux:9"),
            ("alpine", "3.20.1", "Alpine:v3.20"),
            ("alpine", "3.9", "Alpine:v3.9"),
            ("opensuse-leap", "15.6", "openSUSE:Leap 15.6"),
            ("opensuse-tumbleweed", "20260101", "openSUSE:Tumbleweed"),
            ("sles", "15.5", "SUSE:Linux Enterprise Server 15 SP5"),
            ("sles", "12", "SUSE:Linux Enterprise Server 12"),
            ("sles", "16.0", "SUSE:Linux Enterprise Server 16.0"),
            ("sle-micro", "5.5", "SUSE:Linux Enterprise Micro 5.5"),
        ] {
            assert_eq!(ecosystem(&os(id, version)).as_deref(), Ok(name), "{id} {version}");
        }
    }

    #[test]
    fn what_is_not_covered_says_why() {
        for (id, version) in [
            ("", ""),
            ("amzn", "2023"),
            ("ol", "9.4"),
            ("fedora", "40"),
            ("arch", ""),
            ("centos", "9"),
            ("macos", "15.1"),
            ("freebsd", "14.1"),
            ("debian", ""),
            ("debian", "trixie/sid"),
            ("debian", "12.5"),
            ("ubuntu", ""),
            ("ubuntu", "24.04.1.2"),
            ("alpine", "3.21_alpha20240807"),
            ("alpine", "edge"),
            ("rocky", "9..4"),
            ("rhel", "9/../../etc"),
            ("raspbian", "12"),
            ("sles", "15-SP5"),
        ] {
            let why = ecosystem(&os(id, version)).unwrap_err();
            assert!(why.len() > 20 && why.contains(' '), "{id} {version}: {why}");
        }
        let mint = Os { id: "linuxmint".into(), version: "22".into(), id_like: vec!["ubuntu".into()], ..Os::default() };
        assert!(ecosystem(&mint).unwrap_err().contains("built from ubuntu"));
        let hostile = Os { id: "x\u{1b}[31m".into(), name: "\u{1b}]0;owned\u{7}".repeat(100), ..Os::default() };
        let why = ecosystem(&hostile).unwrap_err();
        assert!(!why.contains('\u{1b}') && why.len() < 300, "{why}");
    }

    #[test]
    fn only_the_repositories_of_the_release_are_it() {
        let nine = Release::of(&os("rhel", "9.4")).unwrap();
        for (ecosystem, covered) in [
            ("Red Hat:enterprise_linux:9::baseos", true),
            ("Red Hat:enterprise_linux:9::appstream", true),
            ("Red Hat:enterprise_linux:9", true),
            ("Red Hat:enterprise_linux:9.2", true),
            ("Red Hat:enterprise_linux:90::baseos", false),
            ("Red Hat:enterprise_linux:8::baseos", false),
            ("Red Hat:rhel_eus:9.2::baseos", false),
            ("Red Hat", false),
            ("", false),
        ] {
            assert_eq!(nine.covers(ecosystem), covered, "{ecosystem}");
        }
        assert_eq!(nine.archive(), "Red Hat");
    }

    #[test]
    fn an_enterprise_server_is_also_its_modules() {
        let sp5 = Release::of(&os("sles", "15.5")).unwrap();
        for (ecosystem, covered) in [
            ("SUSE:Linux Enterprise Server 15 SP5", true),
            ("SUSE:Linux Enterprise Module for Basesystem 15 SP5", true),
            ("SUSE:Linux Enterprise Server 15 SP5-LTSS", true),
            ("SUSE:Linux Enterprise Server 15 SP6", false),
            ("SUSE:Linux Enterprise Server 15 SP50", false),
            ("SUSE:Linux Enterprise Server 115 SP5", false),
            ("SUSE:Linux Enterprise Server 15", false),
            ("SUSE:Linux Enterprise Micro 5.5", false),
            ("openSUSE:Leap 15.5", false),
        ] {
            assert_eq!(sp5.covers(ecosystem), covered, "{ecosystem}");
        }
        let first = Release::of(&os("sles", "15")).unwrap();
        assert!(first.covers("SUSE:Linux Enterprise Server 15-LTSS") && !first.covers("SUSE:Linux Enterprise Server 15 SP5"));
    }

    #[test]
    fn pro_and_plain_names_are_not_the_release() {
        let noble = Release::of(&os("ubuntu", "24.04")).unwrap();
        assert!(noble.covers("Ubuntu:24.04:LTS"));
        for other in ["Ubuntu:24.04", "Ubuntu:Pro:24.04:LTS", "Ubuntu", "Ubuntu:22.04:LTS"] {
            assert!(!noble.covers(other), "{other}");
        }
    }
}
