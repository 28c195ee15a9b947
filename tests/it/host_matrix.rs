//! Hosts of every make, seen by one client straight and through the broker: the same bytes, statuses and words.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::world::account::{NAME, account};
use crate::world::broker::scan;
use crate::world::clients::pattern;
use crate::world::keys::Key;
use crate::world::process::{command, run_open};
use crate::world::sshd::{free_port, listens};
use crate::world::{Outcome, Process, Scene, Sshd, Way, nonce, open_to_all, peer_script, python, run, tool};

/// A command that says which terminal it is in.
const IN_A_TERMINAL: &str = "test -t 0 && test -t 1 && echo $TERM; exit 4";

/// What a client said, without which way it went.
fn plain(way: Way, said: Outcome) -> Outcome {
    let stderr = String::from_utf8_lossy(&said.stderr).replace(way.alias(), "HOST").into_bytes();
    Outcome { stderr, ..said }
}

/// A host beside the scene's own; `web-2` at the broker.
struct Host {
    _process: Option<Process>,
    port: u16,
    known_hosts: PathBuf,
}

impl Host {
    /// Makes a host known to the broker, with the credentials that it takes, and to the client.
    #[track_caller]
    fn joins(scene: &Scene, process: Option<Process>, port: u16, host_key: &str, credentials: &[&str]) -> Self {
        let known_hosts = scene.dir().join("known_hosts");
        std::fs::write(&known_hosts, format!("[127.0.0.1]:{port} {host_key}\n")).unwrap();
        if credentials.contains(&"password") {
            let add = ["credential", "add", "password", "--scope", "workspace", "--username", NAME, "--password"];
            scene.broker.does_with(&add, account().password.as_str());
        }
        let address = format!("127.0.0.1:{port}");
        scene.broker.does(&["host", "add", "web-2", &address, "--credential", credentials[0], "--host-key", host_key]);
        for credential in &credentials[1..] {
            scene.broker.does(&["credential", "attach", credential, "--host", "web-2"]);
        }
        scene.grant("alice", "web-2");
        Self { _process: process, port, known_hosts }
    }

    /// A client's command: straight, or as `selector` through the broker.
    fn run(&self, scene: &Scene, way: Way, selector: &str, program: &str, words: &[&str], stdin: &[u8]) -> Outcome {
        plain(way, run(self.client(scene, way, selector, program, words), stdin))
    }

    fn client(&self, scene: &Scene, way: Way, selector: &str, program: &str, words: &[&str]) -> Command {
        let (port, known) = (self.port.to_string(), format!("UserKnownHostsFile={}", self.known_hosts.display()));
        let user = format!("User={selector}");
        let port = format!("Port={port}");
        let mut args = match way {
            Way::Straight => vec!["-o", &port, "-o", &known],
            Way::Through => vec!["-o", &user],
        };
        args.extend(words.iter().map(|word| if *word == "HOST" { way.alias() } else { word }));
        scene.alice.program(program, &args)
    }

    /// The same both ways.
    #[track_caller]
    fn same(&self, scene: &Scene, selector: &str, program: &str, words: &[&str], stdin: &[u8]) -> Outcome {
        let [straight, through] = Way::BOTH.map(|way| self.run(scene, way, selector, program, words, stdin));
        assert_eq!(straight, through, "{selector}: {program} {words:?}: first straight, then through the broker\n{}", scene.broker.log());
        through
    }

    /// What every host that runs commands can do.
    #[track_caller]
    fn runs_commands(&self, scene: &Scene, credentials: &[&str]) {
        for credential in credentials {
            let selector = format!("{credential}@web-2");
            let ssh = |command: &str, stdin: &[u8]| self.same(scene, &selector, "ssh", &["HOST", command], stdin);
            let said = ssh("cat; echo err >&2; exit 3", &pattern(2_000_001));
            assert_eq!((said.status, said.stdout.len(), said.errors().as_str()), (Some(3), 2_000_001, "err\n"), "{said:?}");
            assert_eq!(ssh("kill -TERM $$", b"").status, Some(255));
            assert_eq!(ssh("head -c 3000000 /dev/zero; exit 255", b"").stdout.len(), 3_000_000);
            assert_eq!(ssh("no-such-command-here 2>/dev/null", b"").status, Some(127));
        }
    }

    /// Input that nobody reads does not hold up the end.
    #[track_caller]
    fn leaves_input_unread(&self, scene: &Scene) {
        let said = self.same(scene, "web-2", "ssh", &["HOST", "echo early; exit 5"], &pattern(3_000_001));
        assert_eq!((said.status, said.text().as_str()), (Some(5), "early\n"), "{said:?}");
    }

    /// A terminal on it.
    #[track_caller]
    fn has_terminals(&self, scene: &Scene) {
        let said = self.same(scene, "web-2", "ssh", &["-tt", "HOST", IN_A_TERMINAL], b"");
        assert_eq!(said.status, Some(4), "{said:?}");
    }

    /// A terminal on it, whose input does not end before its command.
    #[track_caller]
    fn has_terminals_with_open_input(&self, scene: &Scene) {
        let [straight, through] = Way::BOTH.map(|way| {
            let client = self.client(scene, way, "web-2", "ssh", &["-tt", "HOST", IN_A_TERMINAL]);
            plain(way, run_open(client))
        });
        assert_eq!(straight, through, "first straight, then through the broker\n{}", scene.broker.log());
        assert_eq!((straight.status, straight.stdout.is_empty()), (Some(4), false), "{straight:?}");
    }

    /// Files on it.
    #[track_caller]
    fn serves_files(&self, scene: &Scene) {
        let (there, back, batch) = (scene.open_place("there"), scene.place("back"), scene.dir().join("batch"));
        let local = scene.dir().join("local");
        std::fs::write(&local, pattern(3_000_001)).unwrap();
        let (local, there) = (local.display(), there.display());
        let lines = format!("cd {there}\nput {local} one\nrename one two\nget two {}\nls -1\nrm two\n-rm none\n", back.display());
        std::fs::write(&batch, lines).unwrap();
        let said = self.same(scene, "web-2", "sftp", &["-q", "-b", &batch.display().to_string(), "HOST"], b"");
        assert_eq!(said.status, Some(0), "{said:?}");
        assert!(std::fs::read(back.join("two")).unwrap() == pattern(3_000_001));
    }
}

#[test]
fn openssh_takes_a_key_and_a_password() {
    let scene = Scene::new();
    let place = scene.place("web-2");
    let host = Sshd::with(&place, &[&scene.deploy, &scene.alice.own], "PasswordAuthentication yes\nUsePAM no\n");
    let credentials = ["deploy", "password"];
    let seen = Host::joins(&scene, None, host.port, &host.host_key.public, &credentials);
    seen.runs_commands(&scene, &credentials);
    seen.has_terminals(&scene);
    seen.leaves_input_unread(&scene);
    seen.serves_files(&scene);
}

#[test]
fn dropbear_takes_a_key_and_a_password() {
    let scene = Scene::new();
    let place = scene.place("web-2");
    let host_key = place.join("host_key");
    let mut keygen = command(tool("/usr/bin/dropbearkey"));
    keygen.args(["-t", "ed25519", "-f"]).arg(&host_key);
    run(keygen, "").ok();
    let port = free_port();
    let server = format!("/usr/sbin/dropbear -F -E -p 127.0.0.1:{port} -P {0}/pid -r {0}/host_key", place.display());
    let process = with_keys(&place, &[&scene.deploy, &scene.alice.own], &server, port);
    let host_key = ed25519(port);
    let credentials = ["deploy", "password"];
    let seen = Host::joins(&scene, Some(process), port, &host_key, &credentials);
    seen.runs_commands(&scene, &credentials);
    seen.has_terminals(&scene);
    seen.leaves_input_unread(&scene);
    seen.serves_files(&scene);
}

#[test]
fn tinysshd_takes_a_key_and_has_no_files() {
    let scene = Scene::new();
    let place = scene.place("web-2");
    let mut keygen = command(tool("/usr/sbin/tinysshd-makekey"));
    keygen.arg("-q").arg(place.join("keys"));
    run(keygen, "").ok();
    let port = free_port();
    let server =
        format!("/usr/bin/socat TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork EXEC:'/usr/sbin/tinysshd {}/keys'", place.display());
    let process = with_keys(&place, &[&scene.deploy, &scene.alice.own], &server, port);
    let host_key = ed25519(port);
    let seen = Host::joins(&scene, Some(process), port, &host_key, &["deploy"]);
    seen.runs_commands(&scene, &["deploy"]);
    // The end of the input closes its terminal, whether or not the command has begun: what comes then is a matter of who is first.
    seen.has_terminals_with_open_input(&scene);
    // Asked for sftp, it breaks off the connection, as it does when nobody reads the input of a command. Who says so is not the same.
    let [straight, through] = Way::BOTH.map(|way| seen.run(&scene, way, "web-2", "sftp", &["-q", "-b", "-", "HOST"], b"ls\n"));
    assert_eq!((straight.status, through.status), (Some(255), Some(255)), "{straight:?} {through:?}");
    assert!(through.errors().contains("keyward: the connection to the host broke off"), "{through:?}");
}

#[test]
fn an_asyncssh_host_takes_a_key_and_a_password() {
    let scene = Scene::new();
    let place = scene.place("web-2");
    let host_key = Key::new(place.join("host_key"));
    let keys = place.join("authorized_keys");
    std::fs::write(&keys, format!("{}\n{}\n", scene.deploy.public, scene.alice.own.public)).unwrap();
    let mut program = command(python());
    program.arg(peer_script("asyncssh_host.py")).arg(&host_key.path).arg(&keys).arg(&account().password);
    let (process, port) = says_its_port(program);
    let credentials = ["deploy", "password"];
    let seen = Host::joins(&scene, Some(process), port, &host_key.public, &credentials);
    seen.runs_commands(&scene, &credentials);
    seen.leaves_input_unread(&scene);
    seen.serves_files(&scene);
}

#[test]
fn hosts_that_are_odd_but_honest_look_the_same() {
    let deeds = [
        ("status_first", 5, "after the status\n"),
        ("no_status", 255, "no status\n"),
        ("no_eof", 6, "no end of output\n"),
        ("only_close", 255, ""),
        ("status_after_eof", 7, "out\n"),
        ("two_statuses", 9, ""),
        ("odd_extended", 0, "before after\n"),
        ("nothing_often", 0, "something\n"),
        ("errors_flood", 1, "done\n"),
        ("asks", 0, "asked\n"),
        ("banner", 6, "no end of output\n"),
        ("late", 0, "late, but here\n"),
    ];
    odd(&deeds.map(|(deed, status, out)| (deed, status, out.to_owned())), b"");
}

#[test]
fn hosts_that_talk_in_crumbs_look_the_same() {
    let crumbs: String = (0..3000).filter(|n| n % 3 != 0).map(|n| (n % 10).to_string()).collect();
    odd(&[("crumbs", 0, crumbs)], b"");
    let input = pattern(2001);
    let total: u64 = input.iter().map(|b| u64::from(*b)).sum();
    let taken = format!("2001 {total}\n");
    odd(&[("window_of_one", 0, taken.clone()), ("packets_of_one", 0, taken)], &input);
}

/// Each deed on a host of its own, one broker for all.
#[track_caller]
fn odd(deeds: &[(&str, i32, String)], input: &[u8]) {
    let scene = Scene::new();
    scene.broker.does_with(&["credential", "add", "any", "--scope", "workspace", "--username", NAME, "--password"], nonce(20));
    let host_key = Key::new(scene.dir().join("odd_host_key"));
    scene.grant("alice", "odd-*");
    for (deed, status, out) in deeds {
        let mut program = command(python());
        program.arg(peer_script("odd_host.py")).arg(deed).arg(&host_key.path);
        let (process, port) = says_its_port(program);
        let name = format!("odd-{}", deed.replace('_', "-"));
        let address = format!("127.0.0.1:{port}");
        scene.broker.does(&["host", "add", &name, &address, "--credential", "any", "--host-key", &host_key.public]);
        let known_hosts = scene.dir().join("known_hosts");
        std::fs::write(&known_hosts, format!("[127.0.0.1]:{port} {}\n", host_key.public)).unwrap();
        let host = Host { _process: Some(process), port, known_hosts };
        let said = host.same(&scene, &name, "ssh", &["HOST", "anything"], input);
        assert_eq!((said.status, said.text()), (Some(*status), out.clone()), "{deed}: {said:?}");
    }
    // The broker has nothing left of any of them.
    crate::world::eventually("all sessions have ended", || scene.broker.live().is_empty().then_some(()));
    assert_eq!(scene.broker.json(&["status"])["leases_open"], 0);
}

/// Starts a server that looks for keys only in the account's home: it sees another `.ssh` there, and nobody else does.
#[track_caller]
fn with_keys(place: &Path, keys: &[&Key], server: &str, port: u16) -> Process {
    let (home, ssh) = (account().home.join(".ssh"), place.join("dot-ssh"));
    for folder in [&home, &ssh] {
        std::fs::create_dir_all(folder).unwrap();
        std::os::unix::fs::chown(folder, Some(account().uid), Some(account().gid)).unwrap();
        open_to_all(folder, 0o700);
    }
    let file = ssh.join("authorized_keys");
    std::fs::write(&file, keys.iter().map(|k| format!("{}\n", k.public)).collect::<String>()).unwrap();
    std::os::unix::fs::chown(&file, Some(account().uid), Some(account().gid)).unwrap();
    open_to_all(&file, 0o600);
    let log = std::fs::File::create(place.join("log")).unwrap();
    let mut own = command(tool("/usr/bin/unshare"));
    let script = format!("mount --bind {} {} && exec {server}", ssh.display(), home.display());
    own.args(["--mount", "--propagation", "private", "/bin/sh", "-c", &script]);
    own.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let mut process = Process::start(own);
    let told = || std::fs::read_to_string(place.join("log")).unwrap_or_default();
    assert!(listens(&mut process, port), "{server}: {}", told());
    process
}

/// The server's ed25519 key.
#[track_caller]
fn ed25519(port: u16) -> String {
    scan(port).into_iter().find(|k| k.starts_with("ssh-ed25519 ")).unwrap()
}

/// Starts a server that prints its port.
#[track_caller]
fn says_its_port(mut program: std::process::Command) -> (Process, u16) {
    program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = Process::start(program);
    let port = process.lines().next().and_then(|line| line.parse().ok()).expect("it says its port");
    (process, port)
}
