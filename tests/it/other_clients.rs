//! Clients and hosts that are not OpenSSH: paramiko, asyncssh, PuTTY, dropbear; and what ssh-audit thinks of the door.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::world::account::{NAME, account};
use crate::world::broker::{Settings, scan};
use crate::world::keys::Key;
use crate::world::process::{Process, command};
use crate::world::sshd::{free_port, listens};
use crate::world::{Outcome, Scene, Way, noise, peer_script, python, run, run_within, sha256, tool};

/// Runs a script of `tests/it/peers` with where to go, as whom, with which key, and what else it takes.
#[track_caller]
fn peer(scene: &Scene, way: Way, script: &str, more: &[&str]) -> Outcome {
    let (port, user, key, host_key) = match way {
        Way::Straight => (scene.host.port, NAME, &scene.alice.own, scene.host.host_key.public.as_str()),
        Way::Through => (scene.broker.port(), "web-1", &scene.alice.key, scene.broker.ed25519()),
    };
    let mut python = command(python());
    python.arg(peer_script(script)).args([&port.to_string(), user]).arg(&key.path).arg(host_key).args(more);
    run_within(Duration::from_secs(90), python, "")
}

#[test]
fn paramiko_gets_three_hundred_megabytes_by_sftp() {
    let scene = Scene::new();
    let place = scene.open_place("files");
    let file = place.join("large");
    let sent = noise(300_000_000);
    std::fs::write(&file, &sent).unwrap();
    crate::world::open_to_all(&file, 0o644);
    let got = peer(&scene, Way::Through, "paramiko_get.py", &[file.to_str().unwrap()]);
    assert_eq!((got.status, got.text()), (Some(0), format!("300000000 {}\n", sha256(&sent))), "{got:?}");
}

#[test]
fn asyncssh_sees_the_same_session() {
    let scene = Scene::new();
    let [straight, through] = Way::BOTH.map(|way| peer(&scene, way, "asyncssh_session.py", &[]));
    assert_eq!(straight, through, "first straight, then through the broker");
    let seen: serde_json::Value = serde_json::from_slice(&through.ok().stdout).unwrap();
    assert_eq!(seen["signal"]["name"], "TERM", "a signal arrives by its name: {seen}");
    assert_eq!(seen["status"], 7, "{seen}");
    assert_eq!(seen["both"], serde_json::json!(["out", "err"]), "{seen}");
    assert_eq!(seen["sent_signal"], "INT", "{seen}");
    assert_eq!(seen["terminal"], "50 120", "{seen}");
}

#[test]
fn putty_runs_a_command() {
    let scene = Scene::new();
    let ppk = scene.dir().join("person.ppk");
    let mut convert = command(tool("/usr/bin/puttygen"));
    convert.arg(&scene.alice.key.path).args(["-O", "private", "-o"]).arg(&ppk);
    run(convert, "").ok();
    let input = noise(3_000_000);
    let mut plink = command(tool("/usr/bin/plink"));
    let port = scene.broker.port().to_string();
    plink.env("HOME", scene.dir()).args(["-batch", "-P", &port, "-hostkey", scene.broker.fingerprint(), "-i"]).arg(&ppk);
    plink.args(["web-1@127.0.0.1", "sha256sum; echo err >&2; exit 3"]);
    let outcome = run(plink, input.clone());
    assert_eq!((outcome.status, outcome.text()), (Some(3), format!("{}  -\n", sha256(&input))), "{outcome:?}");
    assert!(outcome.errors().ends_with("err\n"), "{outcome:?}");
}

#[test]
fn dropbears_client_runs_a_command() {
    let scene = Scene::new();
    let key = scene.dir().join("dropbear-key");
    let mut convert = command(tool("/usr/bin/dropbearconvert"));
    convert.args(["openssh", "dropbear"]).arg(&scene.alice.key.path).arg(&key);
    run(convert, "").ok();
    let home = scene.place("home");
    std::fs::create_dir(home.join(".ssh")).unwrap();
    let known = format!("[127.0.0.1]:{} {}\n", scene.broker.port(), scene.broker.ed25519());
    std::fs::write(home.join(".ssh/known_hosts"), known.replace(['[', ']'], "").replace(&format!(":{} ", scene.broker.port()), " "))
        .unwrap();
    let input = noise(3_000_000);
    let mut client = command(tool("/usr/bin/dbclient"));
    client.env("HOME", &home).arg("-y").arg("-i").arg(&key).args([
        "-p",
        &scene.broker.port().to_string(),
        "web-1@127.0.0.1",
        "sha256sum; exit 3",
    ]);
    let outcome = run(client, input.clone());
    assert_eq!((outcome.status, outcome.text()), (Some(3), format!("{}  -\n", sha256(&input))), "{outcome:?}");
}

#[test]
fn a_dropbear_host_is_reached_by_key_and_by_password() {
    let scene = Scene::bare(Settings::default(), None);
    let rsa = Key::make(scene.dir().join("rsa"), &["-t", "rsa", "-b", "3072"], "");
    let dropbear = Dropbear::start(&scene.place("dropbear"), &[&scene.deploy, &rsa]);
    scene
        .broker
        .does_with(&["credential", "add", "deploy", "--scope", "workspace", "--username", NAME, "--key", "-"], scene.deploy.private());
    scene.broker.does_with(&["credential", "add", "rsa", "--scope", "workspace", "--username", NAME, "--key", "-"], rsa.private());
    scene.broker.does_with(
        &["credential", "add", "password", "--scope", "workspace", "--username", NAME, "--password"],
        account().password.as_str(),
    );
    scene.broker.does(&[
        "host",
        "add",
        "web-1",
        &format!("127.0.0.1:{}", dropbear.port),
        "--credential",
        "deploy",
        "--host-key",
        &dropbear.host_key,
    ]);
    scene.grant("alice", "web-1");
    let sent = noise(10_000_000);
    for credential in ["deploy", "rsa", "password"] {
        scene.broker.does(&["credential", "attach", credential, "--host", "web-1"]);
        let outcome = run(scene.alice.ssh(&["-l", &format!("{credential}@web-1"), "through", "cat; exit 3"]), sent.clone());
        assert_eq!(
            (outcome.status, sha256(&outcome.stdout)),
            (Some(3), sha256(&sent)),
            "{credential}: {}\n{}",
            outcome.errors(),
            dropbear.log()
        );
    }
}

#[test]
fn a_dropbear_host_takes_no_certificate_and_the_person_is_told() {
    let scene = Scene::bare(Settings::default(), None);
    let dropbear = Dropbear::start(&scene.place("dropbear"), &[]);
    scene.broker.does(&["ca", "create"]);
    scene.broker.does(&["credential", "add", "deploy", "--username", NAME, "--certificate"]);
    let address = format!("127.0.0.1:{}", dropbear.port);
    scene.broker.does(&["host", "add", "web-1", &address, "--credential", "deploy", "--host-key", &dropbear.host_key]);
    scene.grant("alice", "web-1");
    let errors = crate::credentials::refused(&run(scene.alice.ssh(&["-l", "web-1", "through", "true"]), ""));
    assert!(errors.contains("the host did not take the certificate") && errors.contains(" ca show"), "{errors}\n{}", dropbear.log());
}

#[test]
fn ssh_audit_finds_nothing_to_fail_at_the_door() {
    let scene = Scene::bare(Settings::default(), None);
    let mut audit = command(tool(crate::world::checkout().join(".tools/venv/bin/ssh-audit")));
    audit.args(["--json", "--skip-rate-test", "-p", &scene.broker.port().to_string(), "127.0.0.1"]);
    let outcome = run(audit, "");
    let report: serde_json::Value = serde_json::from_slice(&outcome.stdout).unwrap_or_else(|e| panic!("{e}\n{outcome:?}"));
    let mut warnings = Vec::new();
    let mut checked = 0;
    for kind in ["kex", "key", "enc", "mac"] {
        for algorithm in report[kind].as_array().unwrap_or_else(|| panic!("{report:#}")) {
            checked += 1;
            let name = algorithm["algorithm"].as_str().unwrap();
            assert!(algorithm["notes"]["fail"].is_null(), "{name}: {}", algorithm["notes"]);
            for warning in algorithm["notes"]["warn"].as_array().into_iter().flatten() {
                warnings.push(format!("{name}: {}", warning.as_str().unwrap()));
            }
        }
    }
    assert!(checked > 8, "{report:#}");
    assert!(report["cves"].as_array().is_none_or(Vec::is_empty), "{:#}", report["cves"]);
    // Key exchanges that a quantum computer could undo later are offered to clients that know no other.
    // So are two MACs over the plain text, last: docs/adr/0018-macs-of-older-clients.md.
    let known = ["post-quantum", "2048-bit modulus only provides 112-bits"];
    let macs = ["hmac-sha2-256: using encrypt-and-MAC mode", "hmac-sha2-512: using encrypt-and-MAC mode"];
    let expected = |warning: &str| macs.contains(&warning) || known.iter().any(|known| warning.contains(known));
    let unexpected: Vec<&String> = warnings.iter().filter(|w| !expected(w)).collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}

/// A dropbear server that lets `kw-peer` in.
struct Dropbear {
    _process: Process,
    _keys: Authorized,
    port: u16,
    host_key: String,
    log: std::path::PathBuf,
}

impl Dropbear {
    fn start(dir: &Path, keys: &[&Key]) -> Self {
        let host_key = dir.join("host_key");
        let mut keygen = command(tool("/usr/bin/dropbearkey"));
        keygen.args(["-t", "ed25519", "-f"]).arg(&host_key);
        run(keygen, "").ok();
        let keys = Authorized::new(keys);
        let log = dir.join("dropbear.log");
        let port = free_port();
        let mut dropbear = command(tool("/usr/sbin/dropbear"));
        let file = std::fs::File::create(&log).unwrap();
        dropbear.args(["-F", "-E", "-p", &format!("127.0.0.1:{port}"), "-P"]).arg(dir.join("pid")).arg("-r").arg(&host_key);
        dropbear.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        let mut process = Process::start(dropbear);
        assert!(listens(&mut process, port), "{}", std::fs::read_to_string(&log).unwrap());
        let host_key = scan(port).into_iter().find(|k| k.starts_with("ssh-ed25519 ")).unwrap();
        Self { _process: process, _keys: keys, port, host_key, log }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// Keys in the account's own file, because dropbear looks nowhere else. Others may stand there; these go with the test.
struct Authorized(Vec<String>);

impl Authorized {
    fn new(keys: &[&Key]) -> Self {
        let folder = account().home.join(".ssh");
        std::fs::create_dir_all(&folder).unwrap();
        crate::world::open_to_all(&folder, 0o700);
        let lines = keys.iter().map(|k| format!("{}\n", k.public)).collect();
        let this = Self(lines);
        this.write(&(Self::present() + &this.0.concat()));
        std::os::unix::fs::chown(&folder, Some(account().uid), Some(account().gid)).unwrap();
        this
    }

    fn file() -> std::path::PathBuf {
        account().home.join(".ssh/authorized_keys")
    }

    fn present() -> String {
        std::fs::read_to_string(Self::file()).unwrap_or_default()
    }

    fn write(&self, text: &str) {
        std::fs::write(Self::file(), text).unwrap();
        crate::world::open_to_all(&Self::file(), 0o600);
        std::os::unix::fs::chown(Self::file(), Some(account().uid), Some(account().gid)).unwrap();
    }
}

impl Drop for Authorized {
    fn drop(&mut self) {
        let rest = self.0.iter().fold(Self::present(), |text, line| text.replacen(line, "", 1));
        self.write(&rest);
    }
}
