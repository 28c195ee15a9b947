//! A daemon whose vault is sealed: what it tells, what opens it, what the log keeps of it. And `seal`, which brings it back there.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::Signal;

use crate::world::broker::Settings;
use crate::world::process::Lines;
use crate::world::{Outcome, PATIENCE, Process, Scene, Way, eventually, run, run_within};

/// What every ssh client is told.
const SENTENCE: &str = "keyward: the vault is sealed; an owner has to run: keyward unseal";
/// The passphrase of these tests.
pub(crate) const PHRASE: &str = "correct horse battery staple";

/// A daemon on the home of a scene, with a configuration of its own: the scene's own harness knows only of unsealed ones.
pub(crate) struct Daemon {
    pub(crate) process: Process,
    pub(crate) lines: Lines,
    pub(crate) ready: String,
}

/// Where this configuration is written.
pub(crate) fn config(scene: &Scene, lines: &str) -> PathBuf {
    let path = scene.dir().join("other.toml");
    std::fs::write(&path, format!("[store]\nreserve = \"1MiB\"\n[daemon]\ndrain = \"1s\"\n{lines}\n")).unwrap();
    path
}

/// Where the wrapped root key lies.
pub(crate) fn wrapped(scene: &Scene) -> PathBuf {
    scene.dir().join("keys/root.wrapped")
}

pub(crate) fn with_passphrase(scene: &Scene) -> String {
    format!("[vault]\nroot_key = \"{}\"\n[root_key]\nsource = \"passphrase\"\n", wrapped(scene).display())
}

impl Daemon {
    /// Starts it; it is ready, sealed or not.
    #[track_caller]
    pub(crate) fn start(scene: &Scene, lines: &str, env: &[(&str, &str)]) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(scene.dir().join("other.log")).unwrap();
        let mut serve = Self::command(scene, lines);
        serve.envs(env.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut process = Process::start(serve);
        let out = process.lines();
        let ready = out.next().unwrap_or_else(|| panic!("it ended before it was ready:\n{}", Self::log(scene)));
        assert!(ready.starts_with(&format!("ready: ssh 127.0.0.1:{} host-key ", scene.broker.port())), "{ready}");
        Self { process, lines: out, ready }
    }

    pub(crate) fn command(scene: &Scene, lines: &str) -> std::process::Command {
        let listen = format!("127.0.0.1:{}", scene.broker.port());
        let config = config(scene, lines);
        scene.broker.command(&["serve", "--listen", &listen, "--config", &config.display().to_string()])
    }

    pub(crate) fn log(scene: &Scene) -> String {
        std::fs::read_to_string(scene.dir().join("other.log")).unwrap_or_default()
    }

    /// Stops it in order.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        self.process.signal(Signal::TERM);
        assert_eq!(self.process.wait().code(), Some(0));
    }

    fn is_sealed(&self) -> bool {
        self.ready.ends_with(" sealed")
    }
}

/// The usual scene, its daemon stopped, its root key under the passphrase.
pub(crate) fn under_a_passphrase() -> Scene {
    let mut scene = Scene::new();
    scene.broker.stop();
    let path = wrapped(&scene).display().to_string();
    let args = ["root-key", "move", "--to", "passphrase", "--path", &path, "--config", &scene.broker.config().display().to_string()];
    let moved = patiently(&scene, &args, format!("{PHRASE}\n"));
    assert_eq!(moved.status, Some(0), "{moved:?}");
    scene
}

/// A verb that works out the key of a passphrase, which takes long on a machine that has much to do.
#[track_caller]
pub(crate) fn patiently(scene: &Scene, args: &[&str], stdin: impl Into<Vec<u8>>) -> Outcome {
    run_within(5 * PATIENCE, scene.broker.command(args), stdin)
}

/// Unseals it.
#[track_caller]
pub(crate) fn unseal(scene: &Scene, passphrase: &str) {
    patiently(scene, &["unseal"], format!("{passphrase}\n")).ok();
}

/// A verb that is refused, with a hint; its standard error.
#[track_caller]
pub(crate) fn refused(scene: &Scene, args: &[&str], stdin: &str) -> String {
    let outcome = patiently(scene, args, stdin);
    assert!(outcome.status == Some(1) && outcome.stdout.is_empty(), "{outcome:?}");
    assert!(outcome.errors().starts_with("error: ") && outcome.errors().contains("\nhint: "), "{outcome:?}");
    outcome.errors()
}

fn refused_by_ssh(outcome: &Outcome) {
    assert_eq!(outcome.status, Some(255), "{outcome:?}");
    assert!(outcome.errors().contains(SENTENCE), "{outcome:?}");
    assert!(outcome.stdout.is_empty());
}

#[test]
fn a_sealed_start_tells_everybody_and_the_passphrase_opens_it() {
    let scene = under_a_passphrase();
    let daemon = Daemon::start(&scene, &with_passphrase(&scene), &[]);
    assert!(daemon.is_sealed(), "{}", daemon.ready);

    let status = scene.broker.json(&["status"]);
    assert_eq!((&status["vault"], &status["source"], &status["wants"]), (&"sealed".into(), &"passphrase".into(), &"passphrase".into()));
    assert_eq!(
        (&status["live_connections"], &status["leases_open"], &status["audit_seq"]),
        (&0.into(), &0.into(), &serde_json::Value::Null)
    );
    assert!(scene.broker.does(&["status"]).contains("unseal asks for the passphrase"));
    // Every other verb, agents and ssh, by whatever name and key.
    for words in [&["host", "list"][..], &["audit", "verify"], &["seal"]] {
        let outcome = scene.broker.verb(words);
        assert_eq!(outcome.status, Some(1), "{words:?}: {outcome:?}");
        assert!(outcome.errors().contains("error: the vault is sealed\nhint: keyward --home "), "{words:?}: {outcome:?}");
        assert!(outcome.errors().contains(" unseal\n"), "{words:?}: {outcome:?}");
    }
    refused_by_ssh(&scene.alice.exec(Way::Through, "true"));
    refused_by_ssh(&scene.owner.verb("root", "status", ""));
    refused_by_ssh(&scene.owner.verb("root", "unseal", PHRASE));
    let mut dropbear = crate::world::process::command("dbclient");
    dropbear.args(["-y", "-y", "-p", &scene.broker.port().to_string(), "web-1@127.0.0.1", "true"]).env("HOME", scene.dir());
    assert!(run(dropbear, "").errors().contains("Disconnect received"), "dropbear's client knows the packet, too");

    let outcome = patiently(&scene, &["unseal"], format!("{PHRASE}\n"));
    assert_eq!((outcome.status, outcome.errors().as_str()), (Some(0), "the vault is unsealed\n"), "{outcome:?}");
    assert_eq!(daemon.lines.next(), Some(daemon.ready.trim_end_matches(" sealed").to_owned()), "the line without `sealed`");
    scene.alice.exec(Way::Through, "true").ok();
    assert_eq!(scene.broker.json(&["status"])["vault"], "unsealed");
    let unsealed: Vec<_> = scene.broker.audit().into_iter().filter(|e| e["event"] == "vault.unsealed").collect();
    assert_eq!(unsealed.len(), 1);
    assert_eq!((&unsealed[0]["actor"], &unsealed[0]["detail"]["source"]), (&"root".into(), &"passphrase".into()), "{}", unsealed[0]);
    assert_eq!((&unsealed[0]["detail"]["failed_tries"], &unsealed[0]["detail"]["uid"]), (&0.into(), &0.into()), "{}", unsealed[0]);
    assert!(scene.broker.verb(&["audit", "verify"]).status == Some(0));
    // Once more is no harm.
    assert_eq!(scene.broker.does_with(&["unseal"], ""), "");
}

#[test]
fn a_first_start_with_a_passphrase_makes_the_root_key_at_the_first_unseal() {
    let mut scene = Scene::bare(Settings::default(), None);
    scene.broker.stop();
    std::fs::remove_dir_all(scene.broker.home()).unwrap();
    let lines = with_passphrase(&scene);
    let _daemon = Daemon::start(&scene, &lines, &[]);
    assert_eq!(scene.broker.json(&["status"])["wants"], "new_passphrase");
    let short = refused(&scene, &["unseal"], "too short\n");
    assert!(short.contains("12 to 1024 bytes"), "{short}");
    assert!(!wrapped(&scene).exists());
    assert!(refused(&scene, &["unseal"], "").contains("no passphrase"), "nothing came");
    unseal(&scene, PHRASE);
    assert!(std::fs::read_to_string(wrapped(&scene)).unwrap().starts_with("keyward-root-key-wrapped-1 argon2id m=262144,t=3,p=4 "));
    assert_eq!(scene.broker.json(&["user", "show", "root"])["role"], "owner");
    scene.broker.does(&["status"]);
}

#[test]
fn wrong_passphrases_wait_longer_each_time_and_their_number_is_recorded() {
    let scene = under_a_passphrase();
    let _daemon = Daemon::start(&scene, &with_passphrase(&scene), &[]);
    let wrong = || refused(&scene, &["unseal"], "a wrong passphrase\n");
    let first = wrong();
    assert!(first.contains("the passphrase is wrong") && first.contains("taken in 1 s"), "{first}");
    // At once again: not looked at, so the right one is not, either.
    let early = patiently(&scene, &["unseal"], format!("{PHRASE}\n"));
    assert!(early.status == Some(0) || early.errors().contains("the next one is taken in "), "{early:?}");
    if early.status != Some(0) {
        let second = eventually("the next is taken", || Some(wrong()).filter(|e| e.contains("is wrong")));
        assert!(second.contains("taken in 2 s"), "{second}");
        let status = scene.broker.json(&["status"]);
        assert_eq!((&status["failed_tries"], &status["last_error"]), (&2.into(), &"the passphrase is wrong".into()), "{status}");
        eventually("the right one is taken", || (patiently(&scene, &["unseal"], format!("{PHRASE}\n")).status == Some(0)).then_some(()));
        let unsealed = scene.broker.audit().into_iter().find(|e| e["event"] == "vault.unsealed").unwrap();
        assert_eq!(unsealed["detail"]["failed_tries"], 2, "{unsealed}");
    }
    let log = Daemon::log(&scene);
    assert!(log.contains("a wrong passphrase for the root key") && !log.contains(PHRASE) && !log.contains("a wrong passphrase\n"), "{log}");
}

#[test]
fn a_sealed_daemon_stops_at_once_and_one_that_was_killed_is_sealed_again() {
    let scene = under_a_passphrase();
    let lines = with_passphrase(&scene);
    let before = std::fs::read(scene.broker.home().join("keyward.db")).unwrap();
    let mut daemon = Daemon::start(&scene, &lines, &[]);
    // A second one on this home is refused, sealed or not.
    let second = run(Daemon::command(&scene, &lines), "");
    assert!(second.status == Some(1) && second.errors().contains("another keyward serves"), "{second:?}");
    daemon.process.signal(Signal::HUP);
    eventually("it was heard", || Daemon::log(&scene).contains("not read again now").then_some(()));
    let told = std::time::Instant::now();
    daemon.process.signal(Signal::TERM);
    assert_eq!(daemon.process.wait().code(), Some(0));
    assert!(told.elapsed() < std::time::Duration::from_secs(2), "{:?}", told.elapsed());
    assert!(!scene.broker.home().join("control.sock").exists());

    let mut daemon = Daemon::start(&scene, &lines, &[]);
    // In the middle of a guess.
    let mut guess = scene.broker.command(&["unseal"]);
    guess.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut guess = Process::start(guess);
    writeln!(guess.stdin().unwrap(), "a wrong passphrase").unwrap();
    daemon.process.signal(Signal::KILL);
    daemon.process.wait();
    assert_ne!(guess.wait().code(), Some(0));
    drop(daemon);
    let daemon = Daemon::start(&scene, &lines, &[]);
    assert!(daemon.is_sealed());
    assert_eq!(std::fs::read(scene.broker.home().join("keyward.db")).unwrap(), before, "a sealed daemon writes nothing into the database");
    unseal(&scene, PHRASE);
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn strangers_cost_a_sealed_daemon_nothing() {
    let scene = under_a_passphrase();
    let _daemon = Daemon::start(&scene, &with_passphrase(&scene), &[]);
    let at = ("127.0.0.1", scene.broker.port());
    let mut silent: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(at).unwrap()).collect();
    // More than are attended to at once; those that were come to their end.
    silent.truncate(200);
    let mut loud = TcpStream::connect(at).unwrap();
    let _ = loud.write_all(&[0xff; 200_000]);
    let mut heard = Vec::new();
    let _ = loud.read_to_end(&mut heard);
    drop(silent);
    eventually("a client is told again", || scene.alice.exec(Way::Through, "true").errors().contains(SENTENCE).then_some(()));
    unseal(&scene, PHRASE);
}

#[test]
fn an_owner_seals_over_ssh_and_nobody_else_does() {
    let scene = under_a_passphrase();
    let daemon = Daemon::start(&scene, &with_passphrase(&scene), &[]);
    unseal(&scene, PHRASE);
    assert!(daemon.lines.next().is_some());
    let denied = scene.alice.verb("alice", "seal", "");
    assert!(denied.status == Some(1) && denied.errors().contains("`seal` is not for the role member"), "{denied:?}");
    // What runs is given its time, which is a second here.
    let stay = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"));
    let sealed = scene.owner.verb("root", "seal", "").ok();
    assert!(sealed.errors().contains("the vault is being sealed"), "{sealed:?}");
    // From the answer on nobody is let in, whether sessions have ended yet or not.
    let late = scene.alice.exec(Way::Through, "echo let-in");
    assert!(late.status == Some(255) && !late.text().contains("let-in"), "{late:?}");
    assert!(late.errors().contains("keyward: the vault is being sealed") || late.errors().contains(SENTENCE), "{late:?}");
    assert_eq!(stay.end().0, Some(255));
    assert!(daemon.lines.next().is_some_and(|line| line.ends_with(" sealed")));
    refused_by_ssh(&scene.alice.exec(Way::Through, "true"));
    assert_eq!(scene.broker.json(&["status"])["vault"], "sealed");
    unseal(&scene, PHRASE);
    scene.alice.exec(Way::Through, "true").ok();
    let events: Vec<String> = scene
        .broker
        .audit()
        .iter()
        .filter_map(|e| e["event"].as_str())
        .filter(|e| e.starts_with("daemon.") || *e == "vault.sealed" || *e == "vault.unsealed" || *e == "verb.refused")
        .map(str::to_owned)
        .skip(2)
        .collect();
    assert_eq!(
        events,
        ["daemon.started", "vault.unsealed", "verb.refused", "vault.sealed", "daemon.stopped", "daemon.started", "vault.unsealed"]
    );
    let ended = scene.broker.sessions().into_iter().find(|s| s["end_reason"] == "sealed");
    assert!(ended.is_some(), "the session's end is recorded");
}

#[test]
fn while_sessions_have_their_time_the_vault_is_sealing_and_now_ends_them() {
    let mut scene = Scene::new();
    scene.broker.stop();
    let config = std::fs::read_to_string(scene.broker.config()).unwrap();
    std::fs::write(scene.broker.config(), config.replace("drain = \"1s\"", "drain = \"60s\"")).unwrap();
    scene.broker.serve();
    let stay = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"));
    scene.broker.does(&["seal"]);
    assert_eq!(scene.broker.json(&["status"])["vault"], "sealing");
    assert!(refused(&scene, &["unseal"], "").contains("is being sealed"));
    let late = scene.alice.exec(Way::Through, "true");
    assert!(late.status == Some(255) && late.errors().contains("keyward: the vault is being sealed"), "{late:?}");
    scene.broker.does(&["seal", "--now"]);
    let (status, errors) = stay.end();
    assert!(status == Some(255) && errors.contains("the broker's vault is being sealed"), "{errors}");
    eventually("it is sealed", || (scene.broker.json(&["status"])["vault"] == "sealed").then_some(()));
}

#[test]
fn a_vault_with_its_key_in_a_file_is_sealed_and_unsealed_without_a_passphrase() {
    let scene = Scene::new();
    scene.broker.does(&["seal"]);
    eventually("it is sealed", || (scene.broker.json(&["status"])["vault"] == "sealed").then_some(()));
    assert_eq!(scene.broker.json(&["status"])["wants"], "nothing");
    // Its file is away, and then it is there again.
    let away = scene.dir().join("away");
    std::fs::rename(scene.broker.root_key(), &away).unwrap();
    assert!(refused(&scene, &["unseal"], "").contains("root key"));
    assert!(!scene.broker.root_key().exists(), "a new one was made");
    std::fs::rename(&away, scene.broker.root_key()).unwrap();
    scene.broker.does(&["unseal"]);
    scene.alice.exec(Way::Through, "true").ok();
}
