//! The script run for real, in every shell that is here: what it adds, keeps, removes and refuses.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;

const OLD: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOldOldOldOldOldOldOldOldOldOldOldOldOldOldOld+/";
const NEW: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINewNewNewNewNewNewNewNewNewNewNewNewNewNewNew+/";

fn shells() -> Vec<Vec<&'static str>> {
    let known: [&[&str]; 6] = [&["sh"], &["dash"], &["bash"], &["busybox", "sh"], &["ksh"], &["mksh"]];
    let there = |s: &[&str]| Command::new(s[0]).args(&s[1..]).args(["-c", ":"]).status().is_ok_and(|s| s.success());
    known.into_iter().filter(|s| there(s)).map(<[&str]>::to_vec).collect()
}

/// Runs the script for real in this home; its answer.
fn run(shell: &[&str], home: &Path, change: &Change) -> String {
    let nonce = "n0123456789abcdef";
    let text = script(nonce, change);
    let mut child = Command::new(shell[0]);
    child.args(&shell[1..]).arg("-s").env("HOME", home).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let line = said.lines().find_map(|l| l.strip_prefix("n0123456789abcdef R "));
    line.unwrap_or_else(|| panic!("{shell:?}: {said:?} {}", String::from_utf8_lossy(&output.stderr))).to_owned()
}

fn add(line: &str) -> Change {
    Change::Add { lines: vec![Line { text: format!("{line} keyward"), needle: line.to_owned() }] }
}

#[test]
fn of_several_lines_those_are_added_that_are_not_there() {
    each(|shell, home| {
        let line = |key: &str| Line { text: format!("{key} keyward-ca"), needle: key.to_owned() };
        assert_eq!(run(shell, home, &add(OLD)), "done", "{shell:?}");
        let both = Change::Add { lines: vec![line(OLD), line(NEW)] };
        assert_eq!(run(shell, home, &both), "done", "{shell:?}");
        let file = home.join(".ssh/authorized_keys");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{OLD} keyward\n{NEW} keyward-ca\n"));
        assert_eq!(run(shell, home, &both), "already", "{shell:?}");
    });
}

fn each(test: impl Fn(&[&str], &Path) + Sync) {
    std::thread::scope(|all| {
        for shell in shells() {
            let test = &test;
            all.spawn(move || {
                let home = tempfile::tempdir().unwrap();
                test(&shell, home.path());
            });
        }
    });
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_key_is_added_once_and_what_was_there_stays_byte_for_byte() {
    each(|shell, home| {
        let file = home.join(".ssh/authorized_keys");
        assert_eq!(run(shell, home, &add(NEW)), "done", "{shell:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("{NEW} keyward\n"));
        assert_eq!((mode(&home.join(".ssh")), mode(&file)), (0o700, 0o600));
        assert_eq!(run(shell, home, &add(NEW)), "already");
        // A last line without its end, other line ends, bytes that are no text, comments.
        for before in [
            &b"# no end"[..],
            b"ssh-rsa AAAA x\r\n\r\n  # y\r\n",
            b"\xff\xfe\xc3\n\n",
            b"",
            b"\n",
            format!("# {NEW}\n").as_bytes(),
            format!("from=\"10.0.0.0/8\" {OLD} a'b$`c\\").as_bytes(),
        ] {
            std::fs::write(&file, before).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
            assert_eq!(run(shell, home, &add(NEW)), "done", "{shell:?} {before:?}");
            let after = std::fs::read(&file).unwrap();
            assert!(after.starts_with(before), "{shell:?} {before:?} {after:?}");
            let end = if before.is_empty() || before.ends_with(b"\n") { "" } else { "\n" };
            assert_eq!(String::from_utf8_lossy(&after[before.len()..]), format!("{end}{NEW} keyward\n"), "{shell:?}");
            assert_eq!(mode(&file), 0o640, "{shell:?}");
        }
        assert_eq!(std::fs::read_dir(home.join(".ssh")).unwrap().count(), 1, "nothing is left beside it");
    });
}

#[test]
fn a_rotation_keeps_options_and_removes_only_the_old_key() {
    each(|shell, home| {
        let file = home.join(".ssh/authorized_keys");
        std::fs::create_dir(home.join(".ssh")).unwrap();
        let other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOther other";
        let options = "from=\"10.0.0.0/8\",command=\"echo | x\"";
        let before = format!("# {OLD} retired\n{options} {OLD} me\r\n{other}\n{OLD}");
        std::fs::write(&file, &before).unwrap();
        let beside = Change::Beside { old: OLD.to_owned(), new: NEW.to_owned() };
        // Without the new key the old one is not touched.
        let gone = Change::Remove { key: OLD.to_owned(), keep: Some(NEW.to_owned()) };
        assert!(run(shell, home, &gone).starts_with("refused "), "{shell:?}");
        assert_eq!(run(shell, home, &beside), "done", "{shell:?}");
        let after = std::fs::read_to_string(&file).unwrap();
        assert_eq!(after, format!("{before}\n{options} {NEW} me\r\n{NEW}\n"), "{shell:?}");
        assert_eq!(run(shell, home, &beside), "already");
        assert_eq!(run(shell, home, &gone), "done", "{shell:?}");
        let cleaned = std::fs::read_to_string(&file).unwrap();
        assert_eq!(cleaned, format!("# {OLD} retired\n{other}\n{options} {NEW} me\r\n{NEW}\n"), "{shell:?}");
        assert_eq!(run(shell, home, &gone), "already");
        assert_eq!(run(shell, home, &Change::Remove { key: NEW.to_owned(), keep: None }), "done");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), format!("# {OLD} retired\n{other}\n"), "{shell:?}");
        // Where the old key is not, the new one is added bare.
        assert_eq!(run(shell, home, &beside), "done");
        assert!(std::fs::read_to_string(&file).unwrap().ends_with(&format!("other\n{NEW}\n")), "{shell:?}");
    });
}

#[test]
fn odd_files_are_refused_and_not_touched() {
    each(|shell, home| {
        let elsewhere = home.join("elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        std::fs::write(elsewhere.join("keys"), "# mine\n").unwrap();
        let ssh = home.join(".ssh");
        symlink(&elsewhere, &ssh).unwrap();
        assert!(run(shell, home, &add(NEW)).contains("symbolic link"), "{shell:?}");
        std::fs::remove_file(&ssh).unwrap();
        std::fs::create_dir(&ssh).unwrap();
        symlink(elsewhere.join("keys"), ssh.join("authorized_keys")).unwrap();
        assert!(run(shell, home, &add(NEW)).contains("symbolic link"), "{shell:?}");
        std::fs::remove_file(ssh.join("authorized_keys")).unwrap();
        std::fs::create_dir(ssh.join("authorized_keys")).unwrap();
        assert!(run(shell, home, &add(NEW)).contains("no regular file"), "{shell:?}");
        std::fs::remove_dir_all(&ssh).unwrap();
        std::fs::write(&ssh, "").unwrap();
        assert!(run(shell, home, &add(NEW)).contains("no folder"), "{shell:?}");
        assert_eq!(std::fs::read_to_string(elsewhere.join("keys")).unwrap(), "# mine\n");
        let nowhere = home.join("nowhere");
        assert!(run(shell, &nowhere, &add(NEW)).starts_with("refused "), "{shell:?}");
    });
}

#[test]
fn an_account_whose_name_a_shell_would_obey_is_no_argument() {
    let login = |text: &str| text.parse::<Login>().unwrap();
    assert_eq!(command(&login("a;b"), &login("a;b")).unwrap(), "sh -s");
    assert_eq!(command(&login("root"), &login("deploy")).unwrap(), "su -s /bin/sh -c 'sh -s' deploy");
    for (from, to) in [("root", "a;b"), ("root", "$(x)"), ("root", "-x"), ("root", "a'b"), ("alice", "deploy")] {
        assert!(command(&login(from), &login(to)).is_err(), "{from} {to}");
    }
}
