//! The root key's file: who may have it, what it may be.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use super::*;
use crate::fault::Fault;
use crate::vault::envelope::KEY;
use crate::vault::root::refuse_environment;

fn there() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys/of/keyward/root.key");
    (dir, path)
}

#[test]
fn it_is_made_once_for_its_owner_alone_and_read_again() {
    let (_dir, path) = there();
    assert!(!exists(&path).unwrap());
    let made = create(&path).unwrap();
    assert!(exists(&path).unwrap());
    assert_eq!(made.len(), KEY);
    assert_eq!(load(&path).unwrap(), made);
    assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
    assert_eq!(path.parent().unwrap().metadata().unwrap().mode() & 0o7777, 0o700);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("keyward-root-key-1 ") && text.ends_with('\n') && text.lines().count() == 1);
    assert!(matches!(create(&path), Err(Error::Io { .. })), "what is there stays");
    assert_eq!(load(&path).unwrap(), made);
}

#[test]
fn a_file_that_others_may_use_is_refused_with_the_command_that_mends_it() {
    let (_dir, path) = there();
    create(&path).unwrap();
    for mode in [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o666] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let e = load(&path).unwrap_err();
        assert!(matches!(e, Error::Permissions { mode: m, .. } if m == mode));
        assert_eq!(e.hint().unwrap(), format!("chmod 600 {}", path.display()));
    }
    for mode in [0o600, 0o400] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        load(&path).unwrap();
    }
}

#[test]
fn a_file_of_somebody_else_is_refused() {
    let (_dir, path) = there();
    create(&path).unwrap();
    let found = path.metadata().unwrap();
    judge(&path, &found, found.uid()).unwrap();
    let e = judge(&path, &found, found.uid() + 1).unwrap_err();
    assert!(matches!(e, Error::Owner { .. }));
    assert_eq!(e.hint().unwrap(), format!("chown {} {}", found.uid() + 1, path.display()));
}

#[test]
fn links_directories_and_pipes_are_refused() {
    let (dir, path) = there();
    create(&path).unwrap();
    let link = dir.path().join("link");
    symlink(&path, &link).unwrap();
    assert!(matches!(load(&link), Err(Error::Symlink { .. })));
    let dangling = dir.path().join("dangling");
    symlink(dir.path().join("nowhere"), &dangling).unwrap();
    assert!(exists(&dangling).unwrap(), "it counts as there, so nothing is made through it");
    assert!(create(&dangling).is_err());
    assert!(!dir.path().join("nowhere").exists());
    assert!(matches!(load(dir.path()), Err(Error::NotAFile { found: "a directory", .. })));
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert!(matches!(load(&pipe), Err(Error::NotAFile { found: "a pipe", .. })), "and it does not wait for a writer");
    assert!(matches!(load(&dir.path().join("none")), Err(Error::Io { .. })));
}

#[test]
fn anything_but_one_key_is_malformed() {
    let (_dir, path) = there();
    create(&path).unwrap();
    let good = std::fs::read_to_string(&path).unwrap();
    let body = good.trim_end();
    std::fs::write(&path, "").unwrap();
    assert!(matches!(load(&path), Err(Error::Empty { .. })));
    for bad in [
        "x".to_owned(),
        format!("{body}x"),
        format!("{body}\n\n"),
        format!(" {body}"),
        body[..body.len() - 1].to_owned(),
        body.replace("key-1", "key-2"),
        body.replace("keyward-root-key-1 ", ""),
        format!("{}!{}", &body[..30], &body[31..]),
        "a".repeat(1000),
    ] {
        std::fs::write(&path, &bad).unwrap();
        assert!(matches!(load(&path), Err(Error::Malformed { .. })), "{bad}");
    }
    for fine in [body.to_owned(), format!("{body}\n"), format!("{body}\r\n")] {
        std::fs::write(&path, fine).unwrap();
        load(&path).unwrap();
    }
}

#[test]
fn the_environment_is_refused() {
    let e = refuse_environment(["PATH", "KEYWARD_ROOT_KEY"]).unwrap_err();
    assert!(e.to_string().contains("/proc"));
    assert_eq!(e.hint().unwrap(), "unset KEYWARD_ROOT_KEY");
    refuse_environment(["PATH", "KEYWARD_HOME"]).unwrap();
    refuse_environment(Vec::<std::ffi::OsString>::new()).unwrap();
}

#[test]
fn a_file_is_there_whole_or_not_at_all() {
    let (_dir, path) = there();
    let fresh = path.with_file_name("root.key.new");
    create(&path).unwrap();
    assert!(!fresh.exists());
    std::fs::remove_file(&path).unwrap();
    // What a power cut left of a start before this one is in nobody's way, and nothing is read from it.
    std::fs::write(&fresh, "keyward-root-key-1 half").unwrap();
    assert!(!exists(&path).unwrap());
    let made = create(&path).unwrap();
    assert_eq!(load(&path).unwrap(), made);
    assert!(!fresh.exists());
    // What lies in the place stays, and nothing is left beside it.
    assert!(create(&path).is_err());
    assert_eq!(load(&path).unwrap(), made);
    assert!(!fresh.exists());
}

#[test]
fn a_file_that_is_destroyed_is_overwritten_first() {
    let (dir, path) = there();
    create(&path).unwrap();
    let other_name = dir.path().join("other");
    std::fs::hard_link(&path, &other_name).unwrap();
    destroy(&path).unwrap();
    assert!(!path.exists());
    let left = std::fs::read(&other_name).unwrap();
    assert!(!left.is_empty() && left.iter().all(|b| *b == 0));
    symlink(&other_name, &path).unwrap();
    assert!(destroy(&path).is_err(), "a link leads elsewhere");
}
