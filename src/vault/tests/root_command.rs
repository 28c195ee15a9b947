//! A program that prints the root key: which are run, and what they may do.

use std::os::unix::fs::PermissionsExt;
use std::process::Command as Run;

use super::*;
use crate::fault::Fault;
use crate::vault::root::{file, text};

struct Bench {
    dir: tempfile::TempDir,
    line: String,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = crate::vault::envelope::random(crate::vault::envelope::KEY).unwrap();
        let line = String::from_utf8(text::render(&key).unwrap().to_vec()).unwrap();
        Self { dir, line }
    }

    /// A script of this text.
    fn script(&self, body: &str) -> Program {
        let path = self.dir.path().join("program");
        std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Program { path, arguments: Vec::new(), environment: Vec::new(), given_up: GivenUp::default() }
    }

    fn fails(&self, body: &str) -> (Failed, String) {
        match obtain_within(&self.script(body), Duration::from_secs(2)) {
            Err(Error::Command { why, said, .. }) => (why, said),
            other => panic!("{body}: {:?}", other.map(drop)),
        }
    }
}

#[test]
fn it_is_given_its_words_and_nothing_else() {
    let bench = Bench::new();
    let seen = bench.dir.path().join("seen");
    let mut program = bench.script(&format!(
        "{{ for a in \"$@\"; do echo \"[$a]\"; done; /usr/bin/env; pwd; if read x; then echo input; fi; }} > {}\nprintf '%s' '{}'",
        seen.display(),
        bench.line
    ));
    program.arguments = vec!["$(id); x".to_owned(), String::new()];
    program.environment = vec![("ONLY".to_owned(), "this".into())];
    obtain(&program).unwrap();
    let seen = std::fs::read_to_string(seen).unwrap();
    let lines: Vec<&str> = seen.lines().filter(|l| !l.starts_with("PWD=") && !l.starts_with("_=") && !l.starts_with("SHLVL=")).collect();
    assert_eq!(lines, ["[$(id); x]", "[]", "ONLY=this", "/"], "{seen}");
}

#[test]
fn what_fails_is_told_with_its_own_words_masked() {
    let bench = Bench::new();
    let (why, said) = bench.fails("echo 'no token\x1b[31m in the slot' >&2; exit 3");
    assert!(matches!(why, Failed::Status(s) if s.code() == Some(3)));
    assert_eq!(said, "no token\\u{1b}[31m in the slot");
    let (_, said) = bench.fails(&format!("echo 'got {}' >&2; exit 1", bench.line.trim()));
    assert_eq!(said, "got");
    let (_, said) = bench.fails("echo 'password=hunter2hunter2' >&2; exit 1");
    assert!(!said.contains("hunter2"), "{said}");
    let (_, said) = bench.fails("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1");
    assert!(said.chars().count() <= SHOWN + 1, "{}", said.len());
    let (why, _) = bench.fails("kill -9 $$");
    assert!(matches!(why, Failed::Status(_)), "{why}");
}

#[test]
fn rubbish_is_no_key() {
    let bench = Bench::new();
    for body in [
        "true".to_owned(),
        "echo keyward-root-key-1 AAAA".to_owned(),
        format!("echo; printf '%s' '{}'", bench.line),
        format!("printf '%s' '{0}{0}'", bench.line),
        "head -c 4000 /dev/urandom".to_owned(),
    ] {
        assert!(matches!(bench.fails(&body).0, Failed::NoKey), "{body}");
    }
}

#[test]
fn one_that_prints_too_much_is_killed() {
    let bench = Bench::new();
    let begun = Instant::now();
    let (why, _) = bench.fails("yes");
    assert!(matches!(why, Failed::TooMuch), "{why}");
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn one_that_hangs_is_killed_with_all_that_it_started() {
    let bench = Bench::new();
    let mark = format!("{}", 90_000 + std::process::id());
    let (why, _) = bench.fails(&format!("/bin/sleep {mark} & /bin/sleep {mark}"));
    assert!(matches!(why, Failed::Late(_)), "{why}");
    // Also one that closed its output and goes on.
    let (why, _) = bench.fails(&format!("exec >&-; exec /bin/sleep {mark}"));
    assert!(matches!(why, Failed::Late(_)), "{why}");
    let left = Run::new("pgrep").args(["-f", &format!("^/bin/sleep {mark}")]).output().unwrap();
    assert!(left.stdout.is_empty(), "{}", String::from_utf8_lossy(&left.stdout));
}

#[test]
fn programs_that_others_could_change_are_not_run() {
    let bench = Bench::new();
    let refused = |program: &Program| match obtain(program) {
        Err(e @ Error::Program { .. }) => (e.to_string(), e.hint().unwrap()),
        other => panic!("{:?}", other.map(drop)),
    };
    let program = bench.script("exit 0");
    let mode = |path: &Path, mode: u32| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    for bad in [0o757, 0o775, 0o722] {
        mode(&program.path, bad);
        let (said, hint) = refused(&program);
        assert!(said.contains("others may change"), "{said}");
        assert_eq!(hint, format!("chmod go-w {}", program.path.canonicalize().unwrap().display()));
    }
    mode(&program.path, 0o600);
    assert!(refused(&program).0.contains("not executable"));
    mode(&program.path, 0o755);
    mode(bench.dir.path(), 0o777);
    assert!(refused(&program).0.contains("others may change"), "a folder that others can write");
    mode(bench.dir.path(), 0o700);
    let mut folder = program.clone();
    folder.path = bench.dir.path().to_owned();
    assert!(refused(&folder).0.contains("not a regular file"));
    folder.path = bench.dir.path().join("none");
    assert!(refused(&folder).1.contains("broker.toml"));
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&program.path, Some(4711), None).unwrap();
        let (said, hint) = refused(&program);
        assert!(said.contains("belongs to uid 4711") && hint.starts_with("chown root "), "{said}");
    }
    // What is behind a link is judged, not the link.
    let link = bench.dir.path().join("link");
    std::os::unix::fs::symlink("/bin/true", &link).unwrap();
    folder.path = link;
    assert!(matches!(obtain(&folder), Err(Error::Command { why: Failed::NoKey, .. })));
    assert!(!file::exists(&bench.dir.path().join("none")).unwrap());
}
