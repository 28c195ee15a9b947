//! Records in the shape of each distribution's, and hosts that they concern or do not.

use serde_json::json;

use super::super::{Coverage, Severity, look_up};
use super::making::{archive, covered, folder, host, ids, look, record};

#[test]
fn debian_is_looked_up_by_source_package() {
    let dir = folder(
        "Debian",
        &[
            json!({"id": "DSA-5724-1", "modified": "2024-07-01T10:00:00Z", "published": "2024-07-01T00:00:00Z", "summary": "openssh - security update",
                "upstream": ["CVE-2024-6387", "CVE-2024-1"],
                "affected": [{"package": {"ecosystem": "Debian:12", "name": "openssh", "purl": "pkg:deb/debian/openssh?arch=source"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1:9.2p1-2+deb12u3"}]}],
                    "versions": ["1:9.2p1-2", "1:9.2p1-2+deb12u2"], "ecosystem_specific": {"urgency": "not yet assigned"}}]}),
            json!({"id": "DEBIAN-CVE-2024-6387", "modified": "2026-01-02T03:04:05.678Z", "upstream": ["CVE-2024-6387"], "details": "A race in sshd. It is bad.",
                "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
                "affected": [
                    {"package": {"ecosystem": "Debian:11", "name": "openssh"}, "ranges": []},
                    {"package": {"ecosystem": "Debian:12", "name": "openssh"},
                     "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1:9.2p1-2+deb12u3"}]}]},
                    {"package": {"ecosystem": "Debian:13", "name": "openssh"},
                     "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1:9.7p1-7"}]}]}]}),
            json!({"id": "DEBIAN-CVE-2007-2768", "modified": "2025-01-01T00:00:00Z", "upstream": ["CVE-2007-2768"],
                "affected": [{"package": {"ecosystem": "Debian:12", "name": "openssh"}, "ecosystem_specific": {"urgency": "unimportant"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]}),
            record("DEBIAN-CVE-2024-9999", "Debian:12", "openssh-server", "99"),
        ],
    );
    let host = host(
        "debian",
        "12",
        &[
            ("openssh-server", "1:9.2p1-2+deb12u2", "openssh", "1:9.2p1-2+deb12u2"),
            ("openssh-client", "1:9.2p1-2+deb12u2", "openssh", "1:9.2p1-2+deb12u2"),
        ],
    );
    let (coverage, advised) = look(dir.path(), &host);
    assert_eq!(coverage, Coverage::Covered { ecosystem: "Debian:12".into(), as_of: Some("2026-09-12T03:30:10Z".into()), skipped: 0 });
    assert_eq!(ids(&advised), ["DEBIAN-CVE-2007-2768", "DSA-5724-1"]);
    assert_eq!(advised[0].severity.as_ref().unwrap().level, "unimportant");
    assert_eq!((advised[0].fixed.as_deref(), advised[0].aliases.as_slice()), (None, &["CVE-2007-2768".to_owned()][..]));
    let dsa = &advised[1];
    assert_eq!(dsa.aliases, ["CVE-2024-1", "CVE-2024-6387"]);
    assert_eq!(dsa.packages, ["openssh-client", "openssh-server"]);
    assert_eq!((dsa.source.as_str(), dsa.installed.as_str()), ("openssh", "1:9.2p1-2+deb12u2"));
    assert_eq!((dsa.fixed.as_deref(), dsa.summary.as_str()), (Some("1:9.2p1-2+deb12u3"), "openssh - security update"));
    let severity = dsa.severity.clone().unwrap();
    assert_eq!((severity.level.as_str(), severity.score), ("high", Some(8.1)));
    assert!(!dsa.new);
}

#[test]
fn a_fixed_package_is_clean_and_a_rebuild_of_it_too() {
    let dir = folder("Debian", &[record("DSA-1-1", "Debian:12", "acl", "2.3.1-3")]);
    for (version, source_version, concerned) in [
        ("2.3.1-3", "2.3.1-3", false),
        ("2.3.1-3+b1", "2.3.1-3", false),
        ("2.3.1-2+b9", "2.3.1-2", true),
        ("2.3.1-3~bpo11+1", "2.3.1-3~bpo11+1", true),
    ] {
        let host = host("debian", "12", &[("libacl1", version, "acl", source_version)]);
        assert_eq!(!covered(dir.path(), &host).is_empty(), concerned, "{version}");
    }
}

#[test]
fn only_the_release_of_the_host_counts() {
    let dir = folder(
        "Debian",
        &[record("DSA-11", "Debian:11", "bash", "9"), record("DSA-12", "Debian:12", "bash", "9"), record("DSA-0", "Debian", "bash", "9")],
    );
    let hosts = [host("debian", "11", &[("bash", "5", "bash", "5")]), host("debian", "12", &[("bash", "5", "bash", "5")])];
    let both = look_up(dir.path(), &[("old", &hosts[0]), ("new", &hosts[1])], &|| false);
    assert_eq!(ids(&both["old"].1), ["DSA-11"]);
    assert_eq!(ids(&both["new"].1), ["DSA-12"]);
}

#[test]
fn ubuntu_names_the_binaries_and_its_own_priority() {
    let binaries = json!([{"binary_name": "libssl3", "binary_version": "3.0.2-0ubuntu1.16"}, {"binary_name": "openssl", "binary_version": "3.0.2-0ubuntu1.16"}]);
    let dir = folder(
        "Ubuntu",
        &[
            json!({"id": "USN-6854-1", "modified": "2024-07-01T10:00:00Z", "summary": "openssl vulnerability", "related": ["UBUNTU-CVE-2022-40735"], "upstream": ["CVE-2022-40735"],
                "affected": [
                    {"package": {"ecosystem": "Ubuntu:22.04:LTS", "name": "openssl"}, "ecosystem_specific": {"binaries": binaries},
                     "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.2-0ubuntu1.16"}]}]},
                    {"package": {"ecosystem": "Ubuntu:Pro:18.04:LTS", "name": "openssl"},
                     "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1.1-1ubuntu2.1~18.04.23+esm5"}]}]}]}),
            json!({"id": "UBUNTU-CVE-2022-40735", "modified": "2025-09-20T01:02:03Z", "upstream": ["CVE-2022-40735"], "severity": [{"type": "Ubuntu", "score": "low"}],
                "affected": [{"package": {"ecosystem": "Ubuntu:22.04:LTS", "name": "openssl"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.2-0ubuntu1.16"}]}]}]}),
            json!({"id": "UBUNTU-CVE-2024-2", "modified": "2025-09-20T01:02:03Z",
                "affected": [{"package": {"ecosystem": "Ubuntu:22.04:LTS", "name": "linux"},
                    "ecosystem_specific": {"binaries": [{"binary_name": "linux-image-5.15.0-105-generic"}]},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "5.15.0-105.115"}]}]}]}),
        ],
    );
    let host = host(
        "ubuntu",
        "22.04",
        &[
            ("libssl3", "3.0.2-0ubuntu1.15", "openssl", "3.0.2-0ubuntu1.15"),
            ("libssl-doc", "3.0.2-0ubuntu1.15", "openssl", "3.0.2-0ubuntu1.15"),
            ("linux-image-5.15.0-100-generic", "5.15.0-100.110", "linux-signed", "5.15.0-100.110"),
        ],
    );
    let advised = covered(dir.path(), &host);
    assert_eq!(ids(&advised), ["UBUNTU-CVE-2024-2", "USN-6854-1"]);
    assert_eq!(advised[0].packages, ["linux-image-5.15.0-100-generic"]);
    assert_eq!(advised[1].packages, ["libssl3"]);
    assert_eq!(advised[1].aliases, ["CVE-2022-40735"]);
    assert_eq!(advised[1].severity, Some(Severity { level: "low".into(), score: None, vector: None }));
    assert!(
        covered(dir.path(), &super::making::host("ubuntu", "22.04", &[("libssl3", "3.0.2-0ubuntu1.16", "openssl", "3.0.2-0ubuntu1.16")]))
            .is_empty()
    );
}

#[test]
fn alpine_is_looked_up_by_origin() {
    let dir = folder(
        "Alpine",
        &[
            record("ALPINE-CVE-2024-9143", "Alpine:v3.20", "openssl", "3.3.2-r1"),
            record("ALPINE-CVE-2024-9143", "Alpine:v3.19", "openssl", "3.1.7-r1"),
            record("ALPINE-CVE-2000-1", "Alpine:v3.20", "openssl", "0"),
        ],
    );
    for (version, concerned) in [("3.3.2-r0", true), ("3.3.2-r1", false), ("3.3.2_rc1-r4", true), ("3.3.10-r0", false)] {
        let host = host("alpine", "3.20.3", &[("libcrypto3", version, "openssl", version)]);
        let advised = covered(dir.path(), &host);
        assert_eq!(ids(&advised), if concerned { vec!["ALPINE-CVE-2024-9143"] } else { vec![] }, "{version}");
        assert!(advised.iter().all(|a| a.fixed.as_deref() == Some("3.3.2-r1") && a.aliases == ["CVE-2024-9143"]));
    }
}

#[test]
fn rocky_names_sources_with_epochs() {
    let dir = folder(
        "Rocky Linux",
        &[
            json!({"id": "RLSA-2024:4312", "modified": "2024-07-03T00:00:00Z", "summary": "Important: openssh security update", "upstream": ["CVE-2024-6387"],
                "affected": [{"package": {"ecosystem": "Rocky Linux:9", "name": "openssh", "purl": "pkg:rpm/rocky-linux/openssh?distro=rocky-linux-9&epoch=0"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "0:8.7p1-38.el9_4.1"}]}]}]}),
            record("RLSA-2024:2", "Rocky Linux:9", "openssl", "1:3.0.7-27.el9"),
        ],
    );
    let at = |openssh: &str, openssl: &str| {
        let packages = [("openssh-server", openssh, "openssh", openssh), ("openssl-libs", &*format!("1:{openssl}"), "openssl", openssl)];
        ids(&covered(dir.path(), &host("rocky", "9.4", &packages))).iter().map(|i| (*i).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(at("8.7p1-38.el9", "3.0.7-25.el9_3"), ["RLSA-2024:4312", "RLSA-2024:2"]);
    assert_eq!(at("8.7p1-38.el9_4.1", "3.0.7-27.el9"), [""; 0]);
    assert_eq!(at("8.7p1-38.el9_4.2", "3.0.7-28.el9_4"), [""; 0]);
    let advised = covered(dir.path(), &host("rocky", "9.4", &[("openssh", "8.7p1-38.el9", "openssh", "8.7p1-38.el9")]));
    assert_eq!(advised[0].severity.as_ref().unwrap().level, "important");
}

#[test]
fn rocky_names_binaries_too() {
    let affected = |name: &str, fixed: &str| json!({"package": {"ecosystem": "Rocky Linux:9", "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]});
    let dir = folder(
        "Rocky Linux",
        &[
            json!({"id": "RLSA-2026:1", "modified": "2026-01-01T00:00:00Z", "summary": "Important: httpd security update",
                "affected": [affected("httpd", "0:2.4.62-7.el9"), affected("httpd-core", "0:2.4.62-7.el9"), affected("mod_ssl", "1:2.4.62-7.el9")]}),
            // The source's name alone, as older records have it.
            json!({"id": "RLSA-2024:1", "modified": "2024-01-01T00:00:00Z", "affected": [affected("httpd", "0:2.4.57-9.el9")]}),
        ],
    );
    let at = |version: &str| {
        let one = |name: &'static str, epoch: &str| (name, format!("{epoch}{version}"));
        let all = [one("httpd-core", ""), one("mod_ssl", "1:")];
        let packages: Vec<_> = all.iter().map(|(name, v)| (*name, v.as_str(), "httpd", version)).collect();
        covered(dir.path(), &host("rocky", "9.4", &packages))
    };
    let old = at("2.4.57-8.el9");
    assert_eq!(ids(&old), ["RLSA-2024:1", "RLSA-2026:1"]);
    assert!(old.iter().all(|a| a.packages == ["httpd-core", "mod_ssl"]), "{old:#?}");
    assert_eq!(ids(&at("2.4.57-9.el9")), ["RLSA-2026:1"]);
    assert_eq!(ids(&at("2.4.62-7.el9")), [""; 0]);
}

#[test]
fn almalinux_names_binaries_and_an_advisory_is_one_finding() {
    let affected = |name: &str, fixed: &str| json!({"package": {"ecosystem": "AlmaLinux:9", "name": name}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]});
    let dir = folder(
        "AlmaLinux",
        &[
            json!({"id": "ALSA-2024:1", "modified": "2024-07-03T00:00:00Z", "summary": "Moderate: perl security update", "related": ["CVE-2023-47038", "RHSA-2024:1"],
            "affected": [affected("perl-libs", "4:5.32.1-481.1.el9"), affected("perl-Errno", "1.30-481.1.el9"), affected("perl", "4:5.32.1-481.1.el9"), affected("perl-doc", "1")]}),
        ],
    );
    let source = "5.32.1-480.el9";
    let host =
        host("almalinux", "9.4", &[("perl-Errno", "1.30-480.el9", "perl", source), ("perl-libs", "4:5.32.1-480.el9", "perl", source)]);
    let advised = covered(dir.path(), &host);
    assert_eq!(ids(&advised), ["ALSA-2024:1"]);
    assert_eq!(advised[0].packages, ["perl-Errno", "perl-libs"]);
    assert_eq!(advised[0].aliases, ["CVE-2023-47038"]);
    assert_eq!(advised[0].source, "perl");
    // The two versions that are shown are of one package.
    assert!(matches!(
        (advised[0].installed.as_str(), advised[0].fixed.as_deref()),
        ("1.30-480.el9", Some("1.30-481.1.el9")) | ("4:5.32.1-480.el9", Some("4:5.32.1-481.1.el9"))
    ));
}

#[test]
fn red_hat_counts_each_repository_of_the_release() {
    let affected = |ecosystem: &str, name: &str, fixed: &str| {
        json!({"package": {"ecosystem": ecosystem, "name": name, "purl": format!("pkg:rpm/redhat/{name}")},
               "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]})
    };
    let dir = folder(
        "Red Hat",
        &[
            json!({"id": "RHSA-2025:9978", "modified": "2026-03-18T11:30:33Z", "summary": "Red Hat Security Advisory: sudo security update", "upstream": ["CVE-2025-32462"],
                "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H"}],
                "affected": [affected("Red Hat:enterprise_linux:9::appstream", "sudo", "0:1.9.5p2-10.el9_6.1"),
                             affected("Red Hat:enterprise_linux:9::baseos", "sudo", "0:1.9.5p2-10.el9_6.1")]}),
            json!({"id": "RHSA-2025:1", "modified": "2026-03-18T11:30:33Z", "affected": [affected("Red Hat:rhel_eus:9.2::baseos", "sudo", "0:9-9.el9_2")]}),
        ],
    );
    let at = |version: &str| host("rhel", "9.6", &[("sudo", version, "sudo", version)]);
    let advised = covered(dir.path(), &at("1.9.5p2-10.el9"));
    assert_eq!(ids(&advised), ["RHSA-2025:9978"]);
    assert_eq!(advised[0].severity.as_ref().unwrap().score, Some(7.8));
    assert!(covered(dir.path(), &at("1.9.5p2-10.el9_6.1")).is_empty());
}

#[test]
fn a_module_stream_is_not_another() {
    let affected = json!([{"package": {"ecosystem": "Rocky Linux:8", "name": "nodejs"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1:20.16.0-1.module+el8.10.0+1"}]}]}]);
    let dir = folder(
        "Rocky Linux",
        &[
            json!({"id": "RLSA-2024:5", "modified": "2024-08-01T00:00:00Z", "summary": "Important: nodejs:20 security update", "affected": affected}),
        ],
    );
    for (version, module, concerned) in [
        ("1:20.12.2-2.module+el8.9.0+1", Some("nodejs:20:8090020240:a"), true),
        ("1:18.20.4-1.module+el8.10.0+1", Some("nodejs:18:8100020240:a"), false),
        ("1:18.20.4-1.el8", None, false),
    ] {
        let mut host = host("rocky", "8.10", &[("nodejs", version, "nodejs", version)]);
        host.packages[0].module = module.map(str::to_owned);
        assert_eq!(!covered(dir.path(), &host).is_empty(), concerned, "{version}");
    }
}

#[test]
fn suse_files_under_modules() {
    let affected = |ecosystem: &str, name: &str, fixed: &str, binaries: serde_json::Value| {
        json!({"package": {"ecosystem": ecosystem, "name": name}, "ecosystem_specific": {"binaries": [binaries]},
               "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]})
    };
    let fixed = "1.1.1l-150500.17.31.1";
    let dir = folder(
        "SUSE",
        &[
            json!({"id": "SUSE-SU-2024:2051-1", "modified": "2024-06-18T00:00:00Z", "summary": "Security update for openssl-1_1", "upstream": ["CVE-2024-4741"],
            "affected": [affected("SUSE:Linux Enterprise Module for Basesystem 15 SP5", "openssl-1_1", fixed, json!({"libopenssl1_1": fixed, "openssl-1_1": fixed})),
                         affected("SUSE:Linux Enterprise Micro 5.5", "openssl-1_1", fixed, json!({"libopenssl1_1": fixed}))]}),
        ],
    );
    archive(dir.path(), "openSUSE", &[record("openSUSE-SU-2024:1-1", "openSUSE:Leap 15.5", "openssl-1_1", "1.1.1l-150500.17.31.1")]);
    let old = "1.1.1l-150500.17.28.2";
    let packages = [("libopenssl1_1", old, "openssl-1_1", old), ("libopenssl1_1-hmac", old, "openssl-1_1", old)];
    let advised = covered(dir.path(), &host("sles", "15.5", &packages));
    assert_eq!(ids(&advised), ["SUSE-SU-2024:2051-1"]);
    assert_eq!((advised[0].packages.as_slice(), advised[0].fixed.as_deref()), (&["libopenssl1_1".to_owned()][..], Some(fixed)));
    assert_eq!(ids(&covered(dir.path(), &host("sle-micro", "5.5", &packages))), ["SUSE-SU-2024:2051-1"]);
    assert_eq!(ids(&covered(dir.path(), &host("opensuse-leap", "15.5", &packages))), ["openSUSE-SU-2024:1-1"]);
    let patched = [("libopenssl1_1", fixed, "openssl-1_1", fixed)];
    assert!(covered(dir.path(), &host("sles", "15.5", &patched)).is_empty());
}

#[test]
fn two_kernels_are_two_builds() {
    let dir = folder("Debian", &[record("DSA-1-1", "Debian:12", "linux", "6.1.99-1")]);
    let host = host(
        "debian",
        "12",
        &[
            ("linux-image-6.1.0-21-amd64", "6.1.90-1", "linux-signed-amd64", "6.1.90+1"),
            ("linux-image-6.1.0-22-amd64", "6.1.94-1", "linux-signed-amd64", "6.1.94+1"),
            ("linux-image-6.1.0-23-amd64", "6.1.99-1", "linux-signed-amd64", "6.1.99+1"),
        ],
    );
    let advised = covered(dir.path(), &host);
    assert_eq!(advised.iter().map(|a| a.installed.as_str()).collect::<Vec<_>>(), ["6.1.90-1", "6.1.94-1"]);
}

#[test]
fn withdrawn_records_concern_nobody() {
    let mut withdrawn = record("DSA-1-1", "Debian:12", "bash", "9");
    withdrawn["withdrawn"] = json!("2024-01-01T00:00:00Z");
    let dir = folder("Debian", &[withdrawn]);
    assert!(covered(dir.path(), &host("debian", "12", &[("bash", "5", "bash", "5")])).is_empty());
}
