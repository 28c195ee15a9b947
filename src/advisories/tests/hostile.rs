//! Archives that are damaged or made to do harm.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;

use super::super::Coverage;
use super::making::{Zip, host, ids, look, no_archive, record};
use crate::facts::Facts;

fn debian() -> Facts {
    host("debian", "12", &[("bash", "5", "bash", "5")])
}

fn good(id: &str) -> Vec<u8> {
    record(id, "Debian:12", "bash", "9").to_string().into_bytes()
}

/// One good record, and what else is done to the file.
fn made(make: impl FnOnce(&mut Zip)) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut zip = Zip::default();
    zip.add("DSA-1-1.json", &good("DSA-1-1"));
    make(&mut zip);
    zip.write(&dir.path().join("Debian"));
    dir
}

/// That the good record is found and so many are skipped.
fn skips(dir: &Path, count: u64) {
    let (coverage, advised) = look(dir, &debian());
    assert!(matches!(coverage, Coverage::Covered { skipped, .. } if skipped == count), "{coverage:?}");
    assert_eq!(ids(&advised), ["DSA-1-1"]);
}

#[test]
fn records_that_are_no_records_are_counted() {
    let dir = made(|zip| {
        zip.add("a.json", b"");
        zip.add("b.json", b"[]");
        zip.add("c.json", b"{\"affected\":[");
        zip.add("d.json", b"\xff\xfe{}");
        zip.add("e.json", &b"[".repeat(100_000));
        zip.add("f.json", br#"{"affected":[{"package":{"ecosystem":"Debian:12","name":"bash"},"ranges":"all"}],"id":"X"}"#);
        zip.add("g.json", br#"{"affected":[{"package":{"ecosystem":"Debian:12","name":"bash"}}]}"#);
        zip.add("note.txt", b"no record");
        zip.add("folder/", b"");
    });
    skips(dir.path(), 7);
}

#[test]
fn damaged_entries_are_counted() {
    let data = good("DSA-9-9");
    let packed = miniz_oxide::deflate::compress_to_vec(&data, 1);
    let (length, crc) = (data.len() as u32, crc32fast::hash(&data));
    let dir = made(|zip| {
        zip.raw("crc.json", 8, &packed, length, crc ^ 1);
        zip.raw("cut.json", 8, &packed[..packed.len() / 2], length, crc);
        zip.raw("longer.json", 8, &packed, length - 1, crc);
        zip.raw("shorter.json", 8, &packed, length + 1, crc);
        zip.raw("method.json", 99, &packed, length, crc);
        zip.raw("stored.json", 0, &packed, length, crc);
        zip.row.insert(8, 1);
        zip.raw("secret.json", 8, &packed, length, crc);
        zip.row.clear();
        zip.row.insert(44, 0x7f);
        zip.raw("nowhere.json", 8, &packed, length, crc);
    });
    skips(dir.path(), 8);
    let dir = made(|zip| zip.raw("stored.json", 0, &data, length, crc));
    assert_eq!(ids(&look(dir.path(), &debian()).1), ["DSA-1-1", "DSA-9-9"]);
}

#[test]
fn bombs_do_not_go_off() {
    let zeros = vec![b' '; 40 << 20];
    let packed = miniz_oxide::deflate::compress_to_vec(&zeros, 9);
    let crc = crc32fast::hash(&zeros);
    let dir = made(|zip| {
        // Says what it has, and says less than it has.
        zip.raw("honest.json", 8, &packed, zeros.len() as u32, crc);
        zip.raw("liar.json", 8, &packed, 1000, crc);
        zip.raw("huge.json", 8, &packed, u32::MAX, crc);
    });
    skips(dir.path(), 3);
}

#[test]
fn entries_that_share_bytes_are_refused() {
    let mut zip = Zip::default();
    zip.add("DSA-1-1.json", &good("DSA-1-1"));
    let mut bytes = zip.bytes();
    // The table's one row, a hundred times.
    let end = bytes.len() - 22;
    let start = bytes.windows(4).rposition(|w| w == b"PK\x01\x02").unwrap();
    let row = bytes[start..end].to_vec();
    let tail = bytes.split_off(end);
    (0..99).for_each(|_| bytes.extend(&row));
    let length = (row.len() * 100) as u32;
    let at = bytes.len();
    bytes.extend(tail);
    bytes[at + 8..at + 12].copy_from_slice(&[100, 0, 100, 0]);
    bytes[at + 12..at + 16].copy_from_slice(&length.to_le_bytes());
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("Debian")).unwrap();
    fs::write(dir.path().join("Debian/all.zip"), bytes).unwrap();
    assert!(no_archive(dir.path(), &debian()).contains("overlap"));
}

#[test]
fn names_are_never_paths() {
    let dir = made(|zip| {
        zip.add("../../../../tmp/keyward-escaped.json", &good("DSA-2-1"));
        zip.add("/etc/keyward-escaped.json", &good("DSA-3-1"));
        zip.add("a\0b\u{1b}[31m.json", &good("DSA-4-1"));
    });
    assert_eq!(ids(&look(dir.path(), &debian()).1), ["DSA-1-1", "DSA-2-1", "DSA-3-1", "DSA-4-1"]);
    assert!(!Path::new("/tmp/keyward-escaped.json").exists());
}

#[test]
fn tables_that_lie_are_refused() {
    for claimed in [0, 2, 4464, 0xffff] {
        let dir = made(|zip| zip.claimed = Some(claimed));
        let why = no_archive(dir.path(), &debian());
        assert!(why.contains("table"), "{claimed}: {why}");
    }
    let dir = made(|zip| {
        zip.row.insert(0, b'X');
        zip.add("DSA-2-1.json", &good("DSA-2-1"));
    });
    assert!(no_archive(dir.path(), &debian()).contains("damaged"));
}

#[test]
fn a_wide_archive_and_one_with_a_comment_are_read() {
    skips(made(|zip| zip.wide = true).path(), 0);
    skips(made(|zip| zip.comment = b"PK and more".to_vec()).path(), 0);
    skips(made(|zip| zip.comment = vec![b'x'; 0xffff]).path(), 0);
}

#[test]
fn what_is_no_zip_file_is_refused() {
    let dir = made(|_| {});
    let path = dir.path().join("Debian/all.zip");
    let whole = fs::read(&path).unwrap();
    for bytes in [&b""[..], b"PK", b"PK\x05\x06", b"<html>404</html>", &whole[..whole.len() - 1], &whole[..whole.len() / 2], &whole[10..]] {
        fs::write(&path, bytes).unwrap();
        let (coverage, advised) = look(dir.path(), &debian());
        assert!(matches!(coverage, Coverage::NoArchive { .. }) && advised.is_empty(), "{} bytes: {coverage:?}", bytes.len());
    }
}

#[test]
fn an_archive_written_to_while_it_is_read_is_refused() {
    let dir = made(|zip| zip.add("DSA-2-1.json", &good("DSA-2-1")));
    let path = dir.path().join("Debian/all.zip");
    let host = debian();
    let append = || {
        let mut bytes = fs::read(&path).unwrap();
        bytes.push(0);
        fs::write(&path, bytes).unwrap();
        false
    };
    let all = super::super::look_up(dir.path(), &[("h", &host)], &append);
    assert!(matches!(&all["h"].0, Coverage::NoArchive { why } if why.contains("written to")), "{:?}", all["h"].0);
    // One put in its place does not matter: the one that was opened is read.
    let dir = made(|_| {});
    let path = dir.path().join("Debian/all.zip");
    let replace = || {
        fs::write(dir.path().join("new"), b"other").unwrap();
        fs::rename(dir.path().join("new"), &path).unwrap();
        false
    };
    let all = super::super::look_up(dir.path(), &[("h", &host)], &replace);
    assert_eq!(ids(&all["h"].1), ["DSA-1-1"]);
}

#[test]
fn records_say_what_they_like_about_versions_and_times() {
    let odd = json!({"id": "DSA-2-1", "modified": "9999-tomorrow", "published": "\u{1b}[2J".repeat(1000),
        "affected": [{"package": {"ecosystem": "Debian:12", "name": "bash"}, "versions": ["", "9".repeat(100_000), "\u{0}"],
            "ranges": [{"type": "ECOSYSTEM", "events": [{}, {"introduced": ""}, {"fixed": "é:~~-"}, {"limit": "*"}]}]}]});
    let dir = made(|zip| zip.add("DSA-2-1.json", odd.to_string().as_bytes()));
    let (coverage, advised) = look(dir.path(), &debian());
    assert!(matches!(coverage, Coverage::Covered { as_of: Some(at), skipped: 0, .. } if at == "2026-09-12T03:30:10Z"));
    assert!(advised.iter().all(|a| a.published.as_ref().is_none_or(|p| p.len() < 100 && !p.contains('\u{1b}'))));
}

#[test]
fn a_record_of_nothing_but_events_is_read_within_bounds() {
    let events: String = (1..8_000).map(|n| format!(r#"{{"introduced":"{n}"}},{{"fixed":"{n}.5"}},"#)).collect();
    let long = format!(
        r#"{{"id":"DSA-2-1","affected":[{{"package":{{"ecosystem":"Debian:12","name":"bash"}},"ranges":[
        {{"type":"ECOSYSTEM","events":[{events}{{"introduced":"0"}}]}},{{"type":"ECOSYSTEM","events":[{{"introduced":"0"}}]}}]}}]}}"#
    );
    let dir = made(|zip| zip.add("DSA-2-1.json", long.as_bytes()));
    let (_, advised) = look(dir.path(), &debian());
    assert_eq!(ids(&advised), ["DSA-1-1", "DSA-2-1"]);
    assert_eq!(advised[1].fixed, None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_byte_is_never_a_clean_answer(at in 0.0..1.0_f64, value in any::<u8>()) {
        let dir = made(|_| {});
        let path = dir.path().join("Debian/all.zip");
        let mut bytes = fs::read(&path).unwrap();
        let at = (at * bytes.len() as f64) as usize;
        bytes[at] = value;
        fs::write(&path, bytes).unwrap();
        let (coverage, advised) = look(dir.path(), &debian());
        match coverage {
            Coverage::Covered { .. } => prop_assert_eq!(ids(&advised), ["DSA-1-1"]),
            Coverage::NoArchive { .. } => prop_assert!(advised.is_empty()),
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
