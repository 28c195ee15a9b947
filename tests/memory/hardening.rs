//! What others on the machine can see of the daemon: nothing. It runs as an ordinary account here.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::world::account::account;
use crate::world::broker::KEYWARD;
use crate::world::process::command;
use crate::world::{Outcome, Process, folder, open_to_all, run, tool};

/// A command as `kw-peer`, with core files of any size allowed.
fn as_peer(dir: &Path, args: &[&str]) -> Command {
    let mut all = command(tool("/usr/bin/prlimit"));
    let (uid, gid) = (account().uid.to_string(), account().gid.to_string());
    // Whoever runs the tests may ignore SIGQUIT, and children inherit that.
    all.args(["--core=unlimited", "env", "--default-signal", "setpriv", "--reuid", &uid, "--regid", &gid, "--clear-groups", "--"]);
    all.args(args).env("HOME", dir).current_dir(dir);
    all
}

/// A daemon of `kw-peer` in a folder of its own.
fn daemon(dir: &Path) -> Process {
    open_to_all(dir, 0o777);
    let binary = dir.join("keyward");
    std::fs::copy(KEYWARD, &binary).unwrap();
    open_to_all(&binary, 0o755);
    let config = dir.join("broker.toml");
    std::fs::write(&config, format!("[vault]\nroot_key = \"{}\"\n[store]\nreserve = \"1MiB\"\n", dir.join("keys/root.key").display()))
        .unwrap();
    std::fs::create_dir(dir.join("keys")).unwrap();
    std::os::unix::fs::chown(dir.join("keys"), Some(account().uid), Some(account().gid)).unwrap();
    open_to_all(&dir.join("keys"), 0o700);
    let path = |p: &Path| p.display().to_string();
    let mut serve =
        as_peer(dir, &[&path(&binary), "--home", &path(&dir.join("home")), "serve", "--config", &path(&config), "--listen", "127.0.0.1:0"]);
    let log = std::fs::File::create(dir.join("log")).unwrap();
    serve.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    let mut process = Process::start(serve);
    let ready = process.lines().next();
    assert!(ready.is_some_and(|line| line.starts_with("ready: ssh ")), "{}", std::fs::read_to_string(dir.join("log")).unwrap());
    process
}

fn read_as_peer(dir: &Path, file: &str) -> Outcome {
    run(as_peer(dir, &["head", "-c", "1", file]), "")
}

#[test]
fn the_same_account_cannot_read_the_daemons_memory() {
    let dir = folder();
    let daemon = daemon(dir.path());
    let mut sleep = as_peer(dir.path(), &["sleep", "1000"]);
    sleep.stdin(Stdio::null()).stdout(Stdio::null());
    let other = Process::start(sleep);
    // The control: an ordinary process of the same account can be looked into.
    crate::world::eventually("the helper runs", || {
        std::fs::read_to_string(format!("/proc/{}/comm", other.id())).is_ok_and(|c| c == "sleep\n").then_some(())
    });
    for file in ["maps", "environ"] {
        let control = read_as_peer(dir.path(), &format!("/proc/{}/{file}", other.id()));
        assert_eq!(control.status, Some(0), "the control failed: {control:?}");
    }
    for file in ["maps", "environ", "mem", "auxv"] {
        let outcome = read_as_peer(dir.path(), &format!("/proc/{}/{file}", daemon.id()));
        assert!(outcome.status == Some(1) && outcome.errors().contains("Permission denied"), "{file}: {outcome:?}");
    }
    use std::os::unix::fs::MetadataExt;
    let owner = std::fs::metadata(format!("/proc/{}/environ", daemon.id())).unwrap().uid();
    assert_eq!(owner, 0, "the kernel gives what is not dumpable to root");
}

#[test]
fn a_daemon_that_is_killed_leaves_no_core_file() {
    for signal in [Signal::QUIT, Signal::ABORT] {
        let dir = folder();
        let mut daemon = daemon(dir.path());
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.id())).unwrap();
        let core = limits.lines().find(|l| l.starts_with("Max core file size")).unwrap();
        let values: Vec<&str> = core.split_whitespace().skip(4).take(2).collect();
        assert_eq!(values, ["0", "0"], "{core}");
        daemon.signal(signal);
        let status = daemon.wait();
        assert!(!status.core_dumped(), "{signal:?}: {status:?}");
        let left: Vec<String> = std::fs::read_dir(dir.path())
            .unwrap()
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .filter(|n| n.starts_with("core"))
            .collect();
        assert!(left.is_empty(), "{signal:?}: {left:?}");
    }
}
