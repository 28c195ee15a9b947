//! Where archives lie, which hosts can be looked up, and what is said of the others.

use std::fs::{self, File, FileTimes};
use std::time::{Duration, UNIX_EPOCH};

use super::super::{Coverage, look_up};
use super::making::{archive, covered, folder, host, ids, look, no_archive, record};
use crate::facts::Facts;

fn debian() -> Facts {
    host("debian", "12", &[("bash", "5", "bash", "5")])
}

#[test]
fn an_archive_lies_in_one_of_three_places() {
    for place in ["", "osv-scanner", "osv-scalibr"] {
        let dir = tempfile::tempdir().unwrap();
        archive(&dir.path().join(place), "Debian", &[record("DSA-1-1", "Debian:12", "bash", "9")]);
        assert_eq!(ids(&covered(dir.path(), &debian())), ["DSA-1-1"], "{place}");
    }
}

#[test]
fn the_archive_that_was_written_last_counts() {
    let dir = tempfile::tempdir().unwrap();
    for (place, id, written) in [("", "DSA-1", 100), ("osv-scanner", "DSA-3", 300), ("osv-scalibr", "DSA-2", 200)] {
        let folder = dir.path().join(place);
        archive(&folder, "Debian", &[record(id, "Debian:12", "bash", "9")]);
        let file = File::options().write(true).open(folder.join("Debian/all.zip")).unwrap();
        file.set_times(FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(written))).unwrap();
    }
    assert_eq!(ids(&covered(dir.path(), &debian())), ["DSA-3"]);
}

#[test]
fn a_folder_of_json_files_is_an_archive() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("osv-scanner/Debian");
    fs::create_dir_all(folder.join("sub.json")).unwrap();
    fs::write(folder.join("DSA-1-1.json"), record("DSA-1-1", "Debian:12", "bash", "9").to_string()).unwrap();
    fs::write(folder.join("DSA-2-1.json"), "{").unwrap();
    fs::write(folder.join("README"), "no record").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("link.json")).unwrap();
    let (coverage, advised) = look(dir.path(), &debian());
    assert_eq!(ids(&advised), ["DSA-1-1"]);
    assert!(matches!(coverage, Coverage::Covered { skipped: 3, .. }), "{coverage:?}");
}

#[test]
fn without_an_archive_the_paths_are_said() {
    let dir = tempfile::tempdir().unwrap();
    let why = no_archive(dir.path(), &debian());
    for place in ["/Debian/all.zip", "/osv-scanner/Debian/all.zip", "/osv-scalibr/Debian/all.zip"] {
        assert!(why.contains(place), "{why}");
    }
    fs::create_dir_all(dir.path().join("Debian")).unwrap();
    assert!(no_archive(dir.path(), &debian()).contains("JSON"));
}

#[test]
fn a_link_or_a_folder_in_place_of_the_file_is_refused() {
    let dir = folder("Debian", &[record("DSA-1-1", "Debian:12", "bash", "9")]);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::create_dir_all(elsewhere.path().join("Debian")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("Debian/all.zip"), elsewhere.path().join("Debian/all.zip")).unwrap();
    assert!(no_archive(elsewhere.path(), &debian()).contains("symbolic link"));
    let odd = tempfile::tempdir().unwrap();
    fs::create_dir_all(odd.path().join("Debian/all.zip")).unwrap();
    assert!(no_archive(odd.path(), &debian()).contains("not a plain file"));
    // A pipe that nobody writes to keeps nobody waiting.
    let pipe = tempfile::tempdir().unwrap();
    fs::create_dir_all(pipe.path().join("Debian")).unwrap();
    let path = pipe.path().join("Debian/all.zip");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert!(no_archive(pipe.path(), &debian()).contains("not a plain file"));
}

#[test]
fn an_archive_without_the_release_is_no_clean_answer() {
    let dir = folder("Debian", &[record("DSA-1-1", "Debian:11", "bash", "9")]);
    let why = no_archive(dir.path(), &debian());
    assert!(why.contains("1 records") && why.contains("none of them is about Debian:12"), "{why}");
    let other = folder("Debian", &[record("DSA-1-1", "Debian:12", "zsh", "9")]);
    assert!(covered(other.path(), &debian()).is_empty());
}

#[test]
fn hosts_without_packages_or_release_say_so() {
    let dir = folder("Debian", &[record("DSA-1-1", "Debian:12", "bash", "9")]);
    let no_packages = |facts: &Facts| match look(dir.path(), facts) {
        (Coverage::NoPackages { why }, advised) if advised.is_empty() => why,
        other => panic!("{other:?}"),
    };
    assert!(!no_packages(&host("debian", "12", &[])).is_empty());
    let mut missing = debian();
    missing.missing.insert("packages".into(), "no package database that is known".into());
    assert_eq!(no_packages(&missing), "no package database that is known");
    let mut foreign = debian();
    foreign.packages[0].kind = crate::facts::PackageKind::Brew;
    assert!(no_packages(&foreign).contains("dpkg"));
    assert!(!no_packages(&Facts::default()).is_empty());
    let amazon = host("amzn", "2023", &[("bash", "5", "bash", "5")]);
    assert!(matches!(look(dir.path(), &amazon), (Coverage::Unsupported { why }, _) if why.contains("Amazon")));
}

#[test]
fn hosts_of_every_kind_are_answered_at_once() {
    let dir = folder("Debian", &[record("DSA-1-1", "Debian:12", "bash", "9")]);
    archive(dir.path(), "Alpine", &[record("ALPINE-CVE-2024-1", "Alpine:v3.20", "bash", "9-r0")]);
    let (one, two) = (debian(), host("alpine", "3.20.0", &[("bash", "5-r0", "bash", "5-r0")]));
    let (three, four) = (host("rocky", "9.4", &[("bash", "5-1", "bash", "5-1")]), host("fedora", "40", &[("bash", "5-1", "bash", "5-1")]));
    let all = look_up(dir.path(), &[("a", &one), ("b", &two), ("c", &three), ("d", &four), ("e", &one)], &|| false);
    assert_eq!(all.len(), 5);
    assert_eq!((ids(&all["a"].1), ids(&all["b"].1), ids(&all["e"].1)), (vec!["DSA-1-1"], vec!["ALPINE-CVE-2024-1"], vec!["DSA-1-1"]));
    assert!(matches!(all["c"].0, Coverage::NoArchive { .. }) && matches!(all["d"].0, Coverage::Unsupported { .. }));
}

#[test]
fn a_cancelled_look_up_is_no_answer() {
    let dir = folder("Debian", &[record("DSA-1-1", "Debian:12", "bash", "9"), record("DSA-2-1", "Debian:12", "bash", "9")]);
    let host = debian();
    let asked = std::cell::Cell::new(0);
    let cancelled = || {
        asked.set(asked.get() + 1);
        asked.get() > 1
    };
    let all = look_up(dir.path(), &[("h", &host)], &cancelled);
    assert!(matches!(&all["h"], (Coverage::NoArchive { why }, advised) if why.contains("cancelled") && advised.is_empty()));
}

#[test]
fn an_old_document_without_skipped_is_still_read() {
    let text = r#"{"coverage":"covered","ecosystem":"Debian:12","as_of":null}"#;
    let coverage: Coverage = serde_json::from_str(text).unwrap();
    assert_eq!(coverage, Coverage::Covered { ecosystem: "Debian:12".into(), as_of: None, skipped: 0 });
}
