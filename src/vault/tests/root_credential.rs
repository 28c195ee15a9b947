//! The root key as systemd hands it over: which directory and which file are taken.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use super::*;
use crate::fault::Fault;

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// A directory as systemd makes it, with the credential in it.
fn there() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("credentials/keyward-root-key");
    file::create(&path).unwrap();
    mode(&path, 0o400);
    mode(path.parent().unwrap(), 0o500);
    (dir, path)
}

#[test]
fn a_credential_of_systemd_is_read() {
    let (_dir, path) = there();
    load(&path).unwrap();
    // Root's with an access control list: the group's bits are its mask.
    let found = path.metadata().unwrap();
    if found.uid() == 0 {
        mode(&path, 0o440);
        load(&path).unwrap();
        judge(&path, &path.metadata().unwrap(), 1000).unwrap();
    }
}

#[test]
fn modes_that_systemd_does_not_make_are_refused() {
    let (_dir, path) = there();
    for bad in [0o444, 0o404, 0o420, 0o460, 0o410] {
        mode(&path, bad);
        assert!(matches!(load(&path), Err(Error::Permissions { mode, .. }) if mode == bad), "{bad:o}");
    }
    mode(&path, 0o400);
    for bad in [0o720, 0o702, 0o777] {
        mode(path.parent().unwrap(), bad);
        let e = load(&path).unwrap_err();
        assert!(matches!(e, Error::CredentialDirectory { mode, .. } if mode == bad), "{bad:o}");
        assert!(e.hint().unwrap().contains("keyward systemd-unit"));
    }
}

#[test]
fn a_credential_of_somebody_else_is_refused() {
    let (_dir, path) = there();
    let found = path.metadata().unwrap();
    if found.uid() == 0 {
        std::os::unix::fs::chown(&path, Some(4711), None).unwrap();
        assert!(matches!(load(&path), Err(Error::Owner { owner: 4711, .. })));
    } else {
        assert!(matches!(judge(&path, &found, found.uid() + 1), Err(Error::Owner { .. })));
    }
}

#[test]
fn links_other_things_and_rubbish_are_refused_and_none_is_named() {
    let (dir, path) = there();
    let directory = path.parent().unwrap();
    mode(directory, 0o700);
    let link = directory.join("link");
    symlink(&path, &link).unwrap();
    assert!(matches!(load(&link), Err(Error::Symlink { .. })));
    std::fs::create_dir(directory.join("folder")).unwrap();
    assert!(matches!(load(&directory.join("folder")), Err(Error::NotAFile { .. })));
    let none = load(&directory.join("none")).unwrap_err();
    assert!(matches!(none, Error::NoCredential { .. }) && none.hint().unwrap().contains("LoadCredentialEncrypted="), "{none}");
    std::fs::write(directory.join("rubbish"), "x").unwrap();
    mode(&directory.join("rubbish"), 0o400);
    assert!(matches!(load(&directory.join("rubbish")), Err(Error::Malformed { .. })));
    assert!(matches!(load(Path::new("relative/keyward-root-key")), Err(Error::NoCredential { .. })));
    drop(dir);
}
