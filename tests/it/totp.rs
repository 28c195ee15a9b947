//! Second factors with stock clients: who is asked for a one-time code, what a right and a wrong one do, and that no code counts twice.

use std::cell::Cell;
use std::process::Command;

use serde_json::Value;

use crate::credentials::refused;
use crate::world::account::NAME;
use crate::world::broker::Settings;
use crate::world::client::Stay;
use crate::world::codes::{STEP, code, decoded, seconds};
use crate::world::database::{edit, open};
use crate::world::keys::Key;
use crate::world::process::command;
use crate::world::terminal::Terminal;
use crate::world::{Outcome, Scene, Way, eventually, peer_script, python, run};

pub(crate) const PROMPT: &str = "One-time code for alice:";
const ALLOW: &str = "shell,exec,sftp";
/// What a client says that cannot be asked.
pub(crate) const UNASKED: &str = "Permission denied (keyboard-interactive)";

/// What Alice has in her pocket. It never shows the same code twice.
pub(crate) struct Authenticator {
    secret: Vec<u8>,
    last: Cell<u64>,
}

impl Authenticator {
    fn of(base32: &str) -> Self {
        // The first code may be the one of the step before, if that lasts a while yet.
        let back = if seconds() % STEP < STEP / 2 { 2 } else { 1 };
        Self { secret: decoded(base32), last: Cell::new(seconds() / STEP - back) }
    }

    fn code(&self, step: u64) -> String {
        code(&self.secret, step)
    }

    /// The next code, as soon as the broker takes it.
    pub(crate) fn next(&self) -> String {
        let step = (self.last.get() + 1).max(seconds() / STEP - 1);
        eventually("the next time step", || (step <= seconds() / STEP + 1).then_some(()));
        self.last.set(step);
        self.code(step)
    }

    /// The code that was shown last.
    pub(crate) fn again(&self) -> String {
        self.code(self.last.get())
    }

    /// No code of a step that could be meant.
    pub(crate) fn wrong(&self) -> String {
        let now = seconds() / STEP;
        let right: Vec<String> = (now - 3..now + 4).map(|step| self.code(step)).collect();
        (0..).map(|n| format!("{n:06}")).find(|code| !right.contains(code)).unwrap()
    }
}

pub(crate) fn alice(scene: &Scene, words: &str, stdin: impl Into<Vec<u8>>) -> Outcome {
    scene.alice.verb("alice", words, stdin)
}

fn json(outcome: &Outcome) -> Value {
    serde_json::from_slice(&outcome.stdout).unwrap()
}

/// Alice enrols, over ssh; with her recovery codes.
#[track_caller]
pub(crate) fn enrol(scene: &Scene, flags: &str) -> (Authenticator, Vec<String>) {
    let offered = json(&alice(scene, &format!("--json user totp enroll {flags}"), "").ok());
    let secret = offered["secret"].as_str().unwrap();
    assert!(offered["uri"].as_str().unwrap().starts_with("otpauth://totp/Keyward:alice"), "{offered}");
    let authenticator = Authenticator::of(secret);
    let confirmed = alice(scene, "user totp confirm", format!("{}\n", authenticator.next())).ok();
    let codes: Vec<String> = confirmed.text().lines().map(str::to_owned).collect();
    assert_eq!(codes.len(), 8, "{confirmed:?}");
    (authenticator, codes)
}

/// The usual scene, with a grant that wants the second factor in the place of the usual one.
pub(crate) fn scene(settings: Settings) -> Scene {
    let scene = Scene::with(settings);
    let grant = scene.broker.json(&["grant", "list"])[0]["id"].as_str().unwrap().to_owned();
    scene.broker.does(&["grant", "remove", &grant]);
    wants(&scene);
    scene
}

fn wants(scene: &Scene) {
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", ALLOW, "--second-factor"]);
}

/// How often this happened.
pub(crate) fn told(scene: &Scene, event: &str, key: &str, value: &str) -> usize {
    let holds = |e: &Value| e["event"] == event && (e[key] == value || e["detail"][key] == value);
    scene.broker.audit().iter().filter(|e| holds(e)).count()
}

/// Alice's ssh at a terminal where it may ask.
pub(crate) fn at_a_terminal(scene: &Scene, words: &[&str]) -> Terminal {
    Terminal::start(&scene.alice.ssh(&[&["-o", "BatchMode=no"], words].concat()), 24, 120)
}

/// Connects to `web-1` with what is typed at the question.
#[track_caller]
pub(crate) fn connects_with(scene: &Scene, code: &str) {
    let mut ssh = at_a_terminal(scene, &["through", "echo seen-$((40+2))"]);
    ssh.until(PROMPT);
    ssh.write(&format!("{code}\n"));
    let (status, screen) = ssh.end();
    assert!(status.success() && screen.contains("seen-42"), "{screen}\n{}", scene.broker.log());
    assert!(!screen.contains(code), "what is typed is not shown: {screen}");
}

#[test]
fn a_grant_that_wants_it_denies_without_and_holds_with_a_code_that_counts_once() {
    let mut scene = scene(Settings::default());
    // Nobody is asked who has none: they are told what to do.
    let denied = scene.alice.exec(Way::Through, "true");
    let said = denied.errors();
    assert!(denied.status == Some(255) && said.contains("you have enrolled none") && said.contains("alice@"), "{denied:?}");
    assert!(said.contains("ssh -t -p") && said.contains(" user totp enroll"), "{said}");
    assert_eq!(told(&scene, "session.denied", "actor", "alice"), 1);

    let (authenticator, _) = enrol(&scene, "");
    let unasked = scene.alice.exec(Way::Through, "true");
    assert!(unasked.status == Some(255) && unasked.errors().contains(UNASKED), "{unasked:?}");
    let before = told(&scene, "second_factor.asked", "host", "web-1");
    connects_with(&scene, &authenticator.next());
    assert_eq!(told(&scene, "second_factor.asked", "host", "web-1"), before + 1);
    assert_eq!(told(&scene, "second_factor.accepted", "by", "code"), 1);
    assert_eq!(told(&scene, "signin.accepted", "second_factor", "shown"), 1);

    // The same step again: said, and the next code opens.
    let mut ssh = at_a_terminal(&scene, &["through", "echo seen-$((40+2))"]);
    ssh.until(PROMPT);
    ssh.write(&format!("{}\n", authenticator.again()));
    ssh.until("that code was used already");
    ssh.until(PROMPT);
    ssh.write(&format!("{}\n", authenticator.next()));
    let (status, screen) = ssh.end();
    assert!(status.success() && screen.contains("seen-42"), "{screen}");
    assert_eq!(told(&scene, "second_factor.refused", "reason", "it was used already"), 1);

    // Nor after a restart.
    scene.broker.stop();
    scene.broker.serve();
    let mut ssh = at_a_terminal(&scene, &["through", "true"]);
    ssh.until(PROMPT);
    ssh.write(&format!("{}\n", authenticator.again()));
    ssh.until("that code was used already");
    drop(ssh);
    let shown = json(&alice(&scene, "--json user totp show", "").ok());
    assert_eq!((shown["wanted"].as_str(), shown["recovery_codes_left"].as_u64()), (Some("grants"), Some(8)), "{shown}");
    assert!(shown["last_used_at"].is_string() && shown.get("secret").is_none(), "{shown}");
}

#[test]
fn three_wrong_codes_end_a_connection_and_ten_an_hour() {
    let scene = scene(Settings::default());
    let (authenticator, codes) = enrol(&scene, "");
    let wrong = authenticator.wrong();
    for tries in [3, 3, 3] {
        let mut ssh = at_a_terminal(&scene, &["-o", "NumberOfPasswordPrompts=1", "through", "true"]);
        for n in 1..=tries {
            ssh.until(PROMPT);
            ssh.write(&format!("{wrong}\n"));
            if n < tries {
                ssh.until("that is not the code");
            }
        }
        let (status, screen) = ssh.end();
        assert!(!status.success() && screen.contains("Permission denied"), "{screen}");
    }
    assert_eq!(told(&scene, "second_factor.refused", "actor", "alice"), 9);
    let recorded = || (told(&scene, "signin.refused", "reason", "no right one-time code was given") == 3).then_some(());
    eventually("the sign-ins are recorded", recorded);
    // The tenth is the last that is looked at: then a right one is not, nor a recovery code, at either place that takes them.
    let mut ssh = at_a_terminal(&scene, &["through", "true"]);
    ssh.until(PROMPT);
    ssh.write(&format!("{wrong}\n"));
    ssh.until(PROMPT);
    ssh.write(&format!("{}\n", authenticator.next()));
    ssh.until("there were too many wrong codes; wait some minutes (Enter) ");
    ssh.write("\n");
    assert!(!ssh.end().0.success());
    let removing = alice(&scene, "user totp remove", codes[0].as_str());
    assert!(removing.status == Some(1) && removing.errors().contains("too many wrong codes"), "{removing:?}");
    assert_eq!((told(&scene, "second_factor.accepted", "actor", "alice"), scene.host.sign_ins()), (0, 0));
}

#[test]
fn a_recovery_code_opens_once() {
    let scene = scene(Settings::default());
    let (authenticator, codes) = enrol(&scene, "");
    connects_with(&scene, &codes[3]);
    let mut ssh = at_a_terminal(&scene, &["through", "true"]);
    ssh.until(PROMPT);
    ssh.write(&format!("{}\n", codes[3]));
    ssh.until("that is not the code");
    ssh.until(PROMPT);
    ssh.write(&format!("{}\n", codes[4].to_lowercase().replace('-', " ")));
    let (status, screen) = ssh.end();
    assert!(status.success(), "{screen}");
    assert_eq!(told(&scene, "second_factor.accepted", "by", "recovery code"), 2);
    let shown = json(&alice(&scene, "--json user totp show", "").ok());
    assert_eq!(shown["recovery_codes_left"], 6, "{shown}");
    // New ones take the place of the old.
    let fresh = alice(&scene, "user totp recovery-codes", authenticator.next()).ok();
    assert_eq!(fresh.text().lines().count(), 8, "{fresh:?}");
    let mut ssh = at_a_terminal(&scene, &["through", "true"]);
    ssh.until(PROMPT);
    ssh.write(&format!("{}\n", codes[0]));
    ssh.until("that is not the code");
    drop(ssh);
    connects_with(&scene, fresh.text().lines().next().unwrap());
}

#[test]
fn only_what_a_code_adds_is_asked_for() {
    let scene = Scene::new();
    let (authenticator, _) = enrol(&scene, "");
    // No grant wants it: nobody is asked.
    scene.alice.exec(Way::Through, "true").ok();
    // One that wants it and adds nothing changes nothing.
    wants(&scene);
    scene.alice.exec(Way::Through, "true").ok();
    assert_eq!(told(&scene, "second_factor.asked", "actor", "alice"), 0);
    // One that adds something does; for somebody else it does not.
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", "forward", "--second-factor"]);
    assert!(scene.alice.exec(Way::Through, "true").errors().contains(UNASKED));
    connects_with(&scene, &authenticator.next());
    scene.grant("root", "web-1");
    run(scene.owner.ssh(&["-l", "web-1", "through", "true"]), "").ok();
    // A host that there is not, and one that is not granted, are not asked about.
    scene.add_host("web-2", &scene.host, "deploy");
    let [none, other] = ["web-9", "web-2"].map(|host| refused(&run(scene.alice.ssh(&["-l", host, "through", "true"]), "")));
    assert_eq!(none.replace("web-9", "web-2"), other);
    let list = scene.broker.does(&["grant", "list"]);
    assert!(list.contains("second factor"), "{list}");
    let explained = scene.broker.does(&["grant", "explain", "alice", "web-1", "forward"]);
    assert!(explained.contains("alice may forward"), "{explained}");
    let explained = scene.broker.verb(&["grant", "explain", "root", "web-1", "forward"]);
    assert!(explained.text().contains("root may NOT"), "{explained:?}");
}

#[test]
fn a_grant_with_it_carries_no_scan() {
    let scene = scene(Settings::default());
    let said = scene.broker.refuses(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", "exec,scan", "--second-factor"]);
    assert!(said.contains("carries no scan"), "{said}");
    enrol(&scene, "");
    let planned = alice(&scene, "scan run --profile inventory --hosts web-1 --dry-run", "");
    assert!(format!("{}{}", planned.text(), planned.errors()).contains("carries no scan"), "{planned:?}");
}

#[test]
fn the_code_comes_first_and_then_what_was_sealed() {
    let scene = scene(Settings::default());
    let mine = scene.seals("sealed by alice alone");
    let (authenticator, _) = enrol(&scene, "");
    let mut ssh = at_a_terminal(&scene, &["through", "echo seen-$((40+2))"]);
    ssh.until(PROMPT);
    ssh.write(&format!("{}\n", authenticator.next()));
    ssh.until("Passphrase for your sealed credentials:");
    ssh.write("sealed by alice alone\n");
    let (status, screen) = ssh.end();
    assert!(status.success() && screen.contains("seen-42"), "{screen}\n{}", scene.broker.log());
    assert_eq!(scene.host.sign_ins_with(&mine), 1);
}

#[test]
fn a_certificate_is_followed_by_a_code_like_a_key() {
    let scene = scene(Settings::default());
    let (ca, laptop) = (Key::new(scene.dir().join("user_ca")), Key::new(scene.dir().join("laptop")));
    scene.broker.does(&["user-ca", "add", "office", &ca.public_file().display().to_string()]);
    let (authenticator, _) = enrol(&scene, "");
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-I", "alice@laptop", "-n", "alice", "-V", "+10m", "-s"]).arg(&ca.path).arg(laptop.public_file());
    run(keygen, "").ok();
    let config = std::fs::read_to_string(scene.alice.config()).unwrap();
    let own = scene.dir().join("config-without-keys");
    let kept: String = config.lines().filter(|l| !l.trim().to_lowercase().starts_with("identityfile")).map(|l| format!("{l}\n")).collect();
    std::fs::write(&own, kept).unwrap();
    let ssh = |batch: &str| {
        let mut ssh = command("ssh");
        ssh.arg("-F").arg(&own).args(["-o", batch, "-o", "IdentitiesOnly=yes", "-o", &format!("IdentityFile={}", laptop.path.display())]);
        ssh.args(["through", "echo seen-$((40+2))"]).env_remove("SSH_AUTH_SOCK");
        ssh
    };
    assert!(run(ssh("BatchMode=yes"), "").errors().contains(UNASKED));
    let mut terminal = Terminal::start(&ssh("BatchMode=no"), 24, 120);
    terminal.until(PROMPT);
    terminal.write(&format!("{}\n", authenticator.next()));
    let (status, screen) = terminal.end();
    assert!(status.success() && screen.contains("seen-42"), "{screen}\n{}", scene.broker.log());
    let accepted = scene.broker.audit().into_iter().rfind(|e| e["event"] == "signin.accepted").unwrap();
    assert_eq!((&accepted["detail"]["key_id"], &accepted["detail"]["second_factor"]), (&"alice@laptop".into(), &"shown".into()));
}

#[test]
fn always_means_verbs_too() {
    let scene = Scene::new();
    // At a terminal it is one step: the code, then the question.
    let mut enrolling = at_a_terminal(&scene, &["-t", "-l", "alice", "through", "user totp enroll --always"]);
    enrolling.until("secret=");
    enrolling.until("to type");
    let shown = enrolling.screen_text();
    let secret = shown.split("secret=").nth(1).unwrap().split('&').next().unwrap();
    let authenticator = Authenticator::of(secret);
    enrolling.until("one-time code: ");
    enrolling.write(&format!("{}\r", authenticator.next()));
    enrolling.until("you are asked for a code at every sign-in");
    assert!(enrolling.end().0.success());
    assert!(shown.contains('█'), "with a code for a camera: {shown}");

    for words in [&["-l", "alice", "through", "host list"][..], &["through", "true"]] {
        let unasked = run(scene.alice.ssh(words), "");
        assert!(unasked.status == Some(255) && unasked.errors().contains(UNASKED), "{unasked:?}");
    }
    let mut console = at_a_terminal(&scene, &["-l", "alice", "through", "host list"]);
    console.until(PROMPT);
    console.write(&format!("{}\n", authenticator.next()));
    let (status, screen) = console.end();
    assert!(status.success() && screen.contains("web-1"), "{screen}");

    // A member changes nobody else's, an owner does.
    assert!(scene.broker.refuses(&["user", "totp", "require", "root", "always"]).contains("no second factor is enrolled"));
    scene.broker.does(&["user", "totp", "require", "alice", "grants"]);
    assert!(alice(&scene, "user totp require root always", "").errors().contains("error:"));
    scene.alice.exec(Way::Through, "true").ok();
    alice(&scene, "host list", "").ok();

    // On a connection that began before, it counts for the next verb.
    let master = scene.alice.ssh(&["-N", "-o", "ControlMaster=yes", "-l", "alice", "through"]);
    let _master = crate::world::Process::start(master);
    let shared = || {
        let outcome = run(scene.alice.ssh(&["-o", "ControlMaster=no", "-O", "check", "-l", "alice", "through"]), "");
        (outcome.status == Some(0)).then_some(())
    };
    eventually("the shared connection is there", shared);
    scene.broker.does(&["user", "totp", "require", "alice", "always"]);
    let owed = alice(&scene, "host list", "");
    assert!(owed.status == Some(1) && owed.errors().contains("this connection began without one"), "{owed:?}");
}

#[test]
fn who_is_rid_of_it_and_how() {
    let scene = scene(Settings::default());
    let (authenticator, codes) = enrol(&scene, "");
    // The key alone is not enough, whichever way.
    for (words, stdin, says) in [
        ("user totp remove", "", "that is not the code"),
        ("user totp remove", "123", "that is not the code"),
        ("user totp remove alice", "", "with a code of it"),
        ("user totp recovery-codes", "nonsense", "that is not the code"),
        ("user totp enroll", "", "enrolled a second factor already"),
        ("user totp enroll root", "", "they enrol it themselves"),
        ("user totp remove root", "", "error:"),
    ] {
        let outcome = alice(&scene, words, stdin);
        assert!(outcome.status == Some(1) && outcome.errors().contains(says), "{words}: {outcome:?}");
    }
    assert!(scene.broker.refuses(&["user", "totp", "enroll", "alice"]).contains("they enrol it themselves"));
    // What lives on it ends with it.
    let mut shell = at_a_terminal(&scene, &["through", "echo ready-$((40+2)); exec cat"]);
    shell.until(PROMPT);
    shell.write(&format!("{}\n", authenticator.next()));
    shell.until("ready-42");
    alice(&scene, "user totp remove", codes[0].as_str()).ok();
    let (status, screen) = shell.end();
    assert!(!status.success(), "{screen}");
    assert!(scene.alice.exec(Way::Through, "true").errors().contains("you have enrolled none"));
    assert_eq!(told(&scene, "second_factor.removed", "user", "alice"), 1);
    // Another one is another one; the old codes are no codes of it.
    let (second, _) = enrol(&scene, "");
    let removed = alice(&scene, "user totp remove", codes[1].as_str());
    assert!(removed.errors().contains("that is not the code"), "{removed:?}");
    connects_with(&scene, &second.next());
    // Whoever runs the broker helps somebody who has lost theirs.
    scene.broker.does(&["user", "totp", "remove", "alice"]);
    assert_eq!(told(&scene, "second_factor.removed", "actor", "root"), 1);
    // An offer that was never confirmed counts for nothing, and a wrong code does not confirm it.
    let offered = json(&alice(&scene, "--json user totp enroll", "").ok());
    let third = Authenticator::of(offered["secret"].as_str().unwrap());
    assert!(alice(&scene, "user totp confirm", third.wrong()).errors().contains("that is not the code"));
    assert!(scene.alice.exec(Way::Through, "true").errors().contains("you have enrolled none"));
}

#[test]
fn rows_that_were_changed_or_taken_away_open_nothing() {
    for sql in
        ["UPDATE second_factors SET last_step = 0", "DELETE FROM recovery_codes", "DELETE FROM grant_factors", "DELETE FROM second_factors"]
    {
        let scene = scene(Settings::default());
        let (authenticator, _) = enrol(&scene, "");
        edit(&scene.broker.home(), sql);
        let mut ssh = at_a_terminal(&scene, &["through", "true"]);
        if !sql.contains("DELETE FROM second_factors") && !sql.contains("grant_factors") {
            ssh.until(PROMPT);
            ssh.write(&format!("{}\n", authenticator.next()));
            ssh.until("cannot check codes now");
            ssh.write("\n");
        }
        let (status, screen) = ssh.end();
        assert!(!status.success(), "{sql}: {screen}");
        assert_eq!(scene.host.sign_ins(), 0, "{sql}");
        // The verb that reads the log believes no row now.
        let count = "SELECT count(*) FROM audit WHERE body LIKE '%vault.tampered%'";
        let told = || open(&scene.broker.home()).query_row(count, [], |r| r.get::<_, i64>(0)).unwrap();
        eventually("it is in the log", || (told() > 0).then_some(()));
    }
}

#[test]
fn channels_of_one_connection_are_not_asked_again() {
    let scene = scene(Settings::default());
    let (authenticator, _) = enrol(&scene, "");
    let mut master = at_a_terminal(&scene, &["-o", "ControlMaster=yes", "through", "echo ready-$((40+2)); exec cat"]);
    master.until(PROMPT);
    master.write(&format!("{}\n", authenticator.next()));
    master.until("ready-42");
    let channels: Vec<Stay> = (0..3).map(|n| scene.alice.stay(Way::Through, &[], &format!("echo open {n}"))).collect();
    for (n, channel) in channels.into_iter().enumerate() {
        assert_eq!(channel.lines.next(), Some(format!("open {n}")));
        assert_eq!(channel.end().0, Some(0));
    }
    assert_eq!(told(&scene, "second_factor.asked", "actor", "alice"), 1);
    master.write("\x04");
    master.end();
}

#[test]
fn a_code_serves_for_a_while_where_that_is_configured() {
    let scene = scene(Settings { config: "[ssh]\nsecond_factor_valid_for = \"1h\"\n".to_owned(), ..Settings::default() });
    let (authenticator, _) = enrol(&scene, "");
    assert!(scene.alice.exec(Way::Through, "true").errors().contains(UNASKED));
    connects_with(&scene, &authenticator.next());
    for _ in 0..2 {
        scene.alice.exec(Way::Through, "true").ok();
    }
    assert_eq!(told(&scene, "second_factor.accepted", "by", "a code that was given from there before"), 2);
    // Another key of hers is asked.
    let other = Key::new(scene.dir().join("other"));
    scene.broker.does(&["user", "key", "add", "alice", &other.public_file().display().to_string()]);
    // ssh offers the keys of its configuration too: the other one alone is what a client without any shows.
    let mut python = command(python());
    python.arg(peer_script("paramiko_second.py")).args([&scene.broker.port().to_string(), "web-1"]).arg(&other.path);
    python.args([scene.broker.ed25519(), &authenticator.wrong(), &authenticator.next()]);
    let paramiko = run(python, "").ok();
    assert_eq!(
        paramiko.text(),
        "One-time code for alice:|keyward: that is not the code. One-time code for alice:|seen-42\n",
        "{paramiko:?}"
    );
}

#[test]
fn a_jump_host_and_another_workspace_are_asked_about_too() {
    let scene = Scene::new();
    let (authenticator, codes) = enrol(&scene, "");
    // The host itself wants none, the one on the way does.
    let inner = scene.another_host("inner", &[&scene.deploy]);
    let pin = inner.host_key.public.clone();
    let address = inner.address();
    scene.broker.does(&["host", "add", "web-7", &address, "--via", "web-1", "--credential", "deploy", "--host-key", &pin]);
    scene.grant("alice", "web-7");
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", "forward", "--second-factor"]);
    let unasked = run(scene.alice.ssh(&["-l", "web-7", "through", "true"]), "");
    assert!(unasked.errors().contains(UNASKED), "{unasked:?}");
    let mut ssh = at_a_terminal(&scene, &["-l", "web-7", "through", "echo seen-$((40+2))"]);
    ssh.until(PROMPT);
    ssh.write(&format!("{}\n", authenticator.next()));
    let (status, screen) = ssh.end();
    assert!(status.success() && screen.contains("seen-42"), "{screen}\n{}", scene.broker.log());

    scene.broker.does(&["workspace", "add", "lab"]);
    let lab = |args: &[&str], stdin: Vec<u8>| scene.broker.does_with(&[&["--workspace", "lab"], args].concat(), stdin);
    lab(&["credential", "add", "deploy", "--scope", "workspace", "--username", NAME, "--key", "-"], scene.deploy.private());
    lab(&["host", "add", "web-1", &address, "--credential", "deploy", "--host-key", &pin], Vec::new());
    lab(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", ALLOW, "--second-factor"], Vec::new());
    let mut ssh = at_a_terminal(&scene, &["-l", "lab=web-1", "through", "echo seen-$((40+2))"]);
    ssh.until(PROMPT);
    ssh.write(&format!("{}\n", codes[0]));
    let (status, screen) = ssh.end();
    assert!(status.success() && screen.contains("seen-42"), "{screen}\n{}", scene.broker.log());
}

#[test]
fn an_agent_proposes_on_a_connection_that_showed_it_and_whoever_approves_is_not_asked_again() {
    let scene = scene(Settings::default());
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", "propose", "--second-factor"]);
    let agent = crate::world::Agent::of_alice(&scene);
    let (authenticator, _) = enrol(&scene, "");
    let none = agent.refused("uptime");
    assert!(none.errors().contains("alice has no open connection to web-1"), "{none:?}");
    let mut shell = at_a_terminal(&scene, &["through", "echo ready-$((40+2)); exec cat"]);
    shell.until(PROMPT);
    shell.write(&format!("{}\n", authenticator.next()));
    shell.until("ready-42");
    let proposed = agent.proposes("echo from the agent");
    let waiting = scene.alice.waiting(1).remove(0);
    scene.alice.approves(&waiting);
    let (status, out, errors) = proposed.end();
    assert_eq!((status, out.as_str()), (Some(0), "from the agent\n"), "{errors}");
    assert_eq!(told(&scene, "second_factor.asked", "actor", "alice"), 1);
    shell.write("\x04");
    shell.end();
}

#[test]
fn a_new_root_key_changes_nothing_for_it() {
    let mut scene = scene(Settings::default());
    let (authenticator, codes) = enrol(&scene, "");
    scene.broker.does(&["vault", "rotate", "--root"]);
    connects_with(&scene, &codes[0]);
    scene.broker.stop();
    scene.broker.serve();
    connects_with(&scene, &authenticator.next());
    connects_with(&scene, &codes[7]);
}
