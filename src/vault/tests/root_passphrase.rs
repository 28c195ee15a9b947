//! The root key under a passphrase: what opens it, what is refused before any work is done. One guess costs a second, so each
//! test makes few.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use super::*;
use crate::fault::Fault;
use crate::secret::Secret;
use crate::vault::root::Source;

const RIGHT: &[u8] = b"correct horse battery staple";

fn there() -> (tempfile::TempDir, PathBuf, Bytes) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys/root.key");
    let made = Source::Passphrase(path.clone()).make(Some(&Secret::new(RIGHT.to_vec()))).unwrap();
    (dir, path, made)
}

/// The file's line with another cost, and a digest that fits again: as somebody would write it who can write the file.
fn with_cost(text: &str, cost: &str) -> String {
    let line = text.trim_end().rsplit_once(' ').unwrap().0.replace(&COST.to_string(), cost);
    format!("{line} {}\n", check(&line))
}

#[test]
fn the_right_passphrase_opens_it_and_a_wrong_one_does_not() {
    let (_dir, path, made) = there();
    assert_eq!(load(&path, RIGHT).unwrap(), made);
    let e = load(&path, b"correct horse battery stapler").unwrap_err();
    assert!(matches!(e, Error::WrongPassphrase) && e.hint().as_deref() == Some("keyward unseal"));
    assert!(matches!(load(&path, &[b'x'; MAX_PASSPHRASE + 1]), Err(Error::WrongPassphrase)));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("keyward-root-key-wrapped-1 argon2id m=262144,t=3,p=4 ") && text.lines().count() == 1, "{text}");
    assert!(matches!(Source::Passphrase(path.clone()).obtain(None), Err(Error::Sealed)));
    // What is there stays.
    assert!(Source::Passphrase(path).make(Some(&Secret::new(RIGHT.to_vec()))).is_err());
}

#[test]
fn a_short_passphrase_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("root.key");
    for bad in [&b""[..], b"eleven byte", &[b'x'; MAX_PASSPHRASE + 1]] {
        let made = Source::Passphrase(path.clone()).make(Some(&Secret::new(bad.to_vec())));
        assert!(matches!(made, Err(Error::PassphraseLength)));
    }
    assert!(matches!(Source::Passphrase(path.clone()).make(None), Err(Error::Sealed)));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_cost_below_the_floor_or_out_of_reach_is_refused_without_work() {
    let (_dir, path, _) = there();
    let good = std::fs::read_to_string(&path).unwrap();
    let begun = std::time::Instant::now();
    for cost in [
        "m=262143,t=3,p=4",
        "m=8,t=1,p=1",
        "m=0,t=0,p=0",
        "m=262144,t=2,p=4",
        "m=262144,t=3,p=0",
        "m=262144,t=3,p=17",
        "m=2097153,t=3,p=4",
        "m=4294967295,t=3,p=4",
        "m=262144,t=4294967295,p=4",
        "m=262144,t=11,p=4",
    ] {
        std::fs::write(&path, with_cost(&good, cost)).unwrap();
        let e = load(&path, RIGHT).unwrap_err();
        assert!(matches!(&e, Error::Cost { asked, .. } if asked == cost), "{cost}: {e}");
        assert!(e.hint().unwrap().contains("somebody changed it"));
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(1), "a guess was worked out");
    // One that is allowed, but is not the one that the key was sealed with, opens nothing.
    std::fs::write(&path, with_cost(&good, "m=262144,t=3,p=1")).unwrap();
    assert!(matches!(load(&path, RIGHT), Err(Error::WrongPassphrase)));
}

#[test]
fn a_damaged_file_is_told_from_a_wrong_passphrase() {
    let (_dir, path, _) = there();
    let good = std::fs::read_to_string(&path).unwrap();
    let mut bad: Vec<String> = (0..good.len() - 1)
        .map(|at| {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).unwrap()
        })
        .collect();
    bad.extend((1..good.len() - 1).map(|cut| good[..cut].to_owned()));
    bad.push(format!("{good}{good}"));
    bad.push(good.replace("argon2id", "argon2i"));
    bad.push(with_cost(&good, "m=262144,t=3,p=4,x=1"));
    bad.push(with_cost(&good, "m=0262144,t=3,p=4"));
    bad.push(with_cost(&good, "t=3,m=262144,p=4"));
    bad.push(with_cost(&good, "m=-1,t=3,p=4"));
    bad.push("keyward-root-key-1 AAAA".to_owned());
    bad.push("x".repeat(600));
    for text in bad {
        std::fs::write(&path, &text).unwrap();
        assert!(matches!(load(&path, RIGHT), Err(Error::Damaged { .. })), "{text}");
    }
    std::fs::write(&path, "").unwrap();
    assert!(matches!(load(&path, RIGHT), Err(Error::Empty { .. })));
}

#[test]
fn the_file_keeps_the_rules_of_a_root_key() {
    let (dir, path, _) = there();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(load(&path, RIGHT), Err(Error::Permissions { mode: 0o640, .. })));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(matches!(load(&link, RIGHT), Err(Error::Symlink { .. })));
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(4711), None).unwrap();
        assert!(matches!(load(&path, RIGHT), Err(Error::Owner { owner: 4711, .. })));
    }
}
