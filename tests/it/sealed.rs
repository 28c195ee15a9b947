//! Credentials that their owner sealed: opened by what the owner knows or has, with stock clients, and by nobody else.

use serde_json::Value;

use crate::credentials::refused;
use crate::world::account::NAME;
use crate::world::broker::Settings;
use crate::world::keys::Key;
use crate::world::terminal::Terminal;
use crate::world::{Outcome, Scene, SshAgent, Way, eventually, run};

const PASSPHRASE: &str = "sealed by alice alone";
const PROMPT: &str = "Passphrase for your sealed credentials:";

/// Alice keeps a key of her own for `web-1`, and sealed it. With the recovery code.
fn scene(settings: Settings) -> (Scene, String) {
    let scene = Scene::with(settings);
    scene.keeps();
    let sealed = alice(&scene, "personal seal", PASSPHRASE).ok();
    let code = sealed.text().trim().to_owned();
    assert_eq!(code.split('-').count(), 7, "{sealed:?}");
    (scene, code)
}

fn alice(scene: &Scene, words: &str, stdin: impl Into<Vec<u8>>) -> Outcome {
    scene.alice.verb("alice", words, stdin)
}

/// How often this happened.
fn told(scene: &Scene, event: &str, key: &str, value: &str) -> usize {
    let holds = |e: &Value| e["event"] == event && (e[key] == value || e["detail"][key] == value);
    scene.broker.audit().iter().filter(|e| holds(e)).count()
}

/// Alice's ssh to `web-1`, at a terminal where it may ask.
fn at_a_terminal(scene: &Scene, remote: &str) -> Terminal {
    Terminal::start(&scene.alice.ssh(&["-o", "BatchMode=no", "through", remote]), 24, 120)
}

#[track_caller]
fn connects_after(scene: &Scene, typed: &str) {
    let mut ssh = at_a_terminal(scene, "echo seen-$((40+2))");
    ssh.until(PROMPT);
    ssh.write(&format!("{typed}\n"));
    let (status, screen) = ssh.end();
    assert!(status.success() && screen.contains("seen-42"), "{screen}");
    assert!(!screen.contains(typed), "what is typed is not shown: {screen}");
}

#[test]
fn a_stock_ssh_is_asked_for_the_passphrase_and_connects() {
    let (scene, code) = scene(Settings::default());
    connects_after(&scene, PASSPHRASE);
    assert_eq!(told(&scene, "personal.opened", "kind", "passphrase"), 1);
    eventually("locked with the last connection", || {
        (told(&scene, "personal.locked", "reason", "their last connection has ended") == 1).then_some(())
    });
    connects_after(&scene, &code);
    assert_eq!(told(&scene, "personal.opened", "kind", "recovery"), 1);
    assert_eq!(scene.host.sign_ins(), 2);
}

#[test]
fn a_second_connection_is_not_asked_while_the_first_lives() {
    let (scene, _) = scene(Settings::default());
    let mut first = at_a_terminal(&scene, "echo ready-$((40+2)); exec cat");
    first.until(PROMPT);
    first.write(&format!("{PASSPHRASE}\n"));
    first.until("ready-42");
    scene.alice.exec(Way::Through, "true").ok();
    assert_eq!(told(&scene, "personal.locked", "actor", "keyward"), 0);
    first.write("\x04");
    first.end();
    eventually("locked with the last connection", || (told(&scene, "personal.locked", "actor", "keyward") == 1).then_some(()));
    let refused = scene.alice.exec(Way::Through, "true");
    assert!(refused.status == Some(255) && refused.errors().contains("Permission denied (keyboard-interactive)"), "{refused:?}");
}

#[test]
fn three_wrong_answers_end_it_and_each_is_recorded() {
    let (scene, _) = scene(Settings::default());
    let mut ssh = at_a_terminal(&scene, "true");
    for _ in 0..3 {
        ssh.until(PROMPT);
        ssh.write("not the passphrase\n");
    }
    let (status, screen) = ssh.end();
    assert!(!status.success() && screen.contains("Permission denied"), "{screen}");
    assert_eq!(told(&scene, "personal.refused", "actor", "alice"), 3);
    let recorded = || scene.broker.audit().into_iter().find(|e| e["event"] == "signin.refused");
    let refused = eventually("the sign-in is recorded", recorded);
    assert_eq!(refused["reason"], "what was typed opened nothing of what they sealed", "{refused}\n{screen}");
    assert_eq!(scene.host.sign_ins(), 0);
}

#[test]
fn a_client_that_cannot_be_asked_is_refused_and_nothing_is_opened() {
    let (scene, _) = scene(Settings::default());
    let refused = scene.alice.exec(Way::Through, "true");
    assert!(refused.status == Some(255) && refused.errors().contains("Permission denied (keyboard-interactive)"), "{refused:?}");
    assert_eq!((told(&scene, "personal.opened", "actor", "alice"), scene.host.sign_ins()), (0, 0));
    // What is not sealed is not asked for.
    scene.broker.does(&["credential", "attach", "deploy", "--host", "web-1"]);
    run(scene.alice.ssh(&["-l", "deploy@web-1", "through", "true"]), "").ok();
}

#[test]
fn who_is_not_granted_is_not_asked() {
    let (scene, _) = scene(Settings::default());
    let grant = scene.broker.json(&["grant", "list"])[0]["id"].as_str().unwrap().to_owned();
    scene.broker.does(&["grant", "remove", &grant]);
    let [mine, other] = ["zebra@web-1", "web-2"].map(|host| refused(&run(scene.alice.ssh(&["-l", host, "through", "true"]), "")));
    assert_eq!(mine.replace("web-1", "web-2"), other, "the sentence for a host that there is not");
}

#[test]
fn unlock_and_lock_at_both_doors() {
    let (scene, code) = scene(Settings { config: "[vault]\npersonal_idle = \"5min\"\n".to_owned(), ..Settings::default() });
    let wrong = alice(&scene, "unlock", "not the passphrase");
    assert!(wrong.status == Some(1) && wrong.errors().contains("that opens none of your slots"), "{wrong:?}");
    alice(&scene, "unlock", format!("{PASSPHRASE}\n")).ok();
    for _ in 0..2 {
        scene.alice.exec(Way::Through, "true").ok();
        scene.broker.does(&["status"]);
    }
    let status: Value = serde_json::from_str(&alice(&scene, "--json status", "").ok().text()).unwrap();
    assert_eq!((status["open_scopes"].as_u64(), status["personal"].as_str()), (Some(1), Some("open")));
    let others = scene.broker.json(&["status"]);
    assert_eq!((others["open_scopes"].as_u64(), others["personal"].as_str()), (Some(1), Some("not sealed")));
    let locked: Value = serde_json::from_str(&alice(&scene, "--json lock", "").ok().text()).unwrap();
    assert_eq!((locked["locked"].as_u64(), locked["personal"].as_str()), (Some(1), Some("locked")), "{locked}");
    assert_eq!(scene.alice.exec(Way::Through, "true").status, Some(255));
    // An owner locks everybody's, and sees nothing by it; a member does not.
    alice(&scene, "unlock", code).ok();
    assert!(alice(&scene, "lock --all", "").errors().contains("`lock --all` is not for the role member"));
    let locked = scene.broker.verb(&["lock", "--all"]).ok();
    assert!(locked.errors().contains("of one person are locked"), "{locked:?}");
    assert_eq!(scene.alice.exec(Way::Through, "true").status, Some(255));
    assert_eq!(told(&scene, "personal.locked", "actor", "root"), 1);
    let listed: Value = serde_json::from_str(&alice(&scene, "--json credential list", "").ok().text()).unwrap();
    let zebra = listed.as_array().unwrap().iter().find(|c| c["name"] == "zebra").unwrap();
    assert_eq!(zebra["sealed"], true);
    // The operator's verbs open nothing.
    let theirs = scene.broker.verb_with(&["unlock"], PASSPHRASE);
    assert!(theirs.status == Some(1) && theirs.errors().contains("are not sealed"), "{theirs:?}");
}

#[test]
fn an_idle_scope_is_locked_and_so_is_a_disabled_persons() {
    let (scene, _) = scene(Settings { config: "[vault]\npersonal_idle = \"1s\"\n".to_owned(), ..Settings::default() });
    alice(&scene, "unlock", PASSPHRASE).ok();
    eventually("locked when idle", || (told(&scene, "personal.locked", "reason", "it was not used for long") == 1).then_some(()));
    scene.broker.configure("[vault]\npersonal_idle = \"5min\"\n");
    let mut scene = scene;
    scene.broker.stop();
    scene.broker.serve();
    scene.alice.knows(Some(&scene.host), Some(&scene.broker), "web-1");
    alice(&scene, "unlock", PASSPHRASE).ok();
    scene.broker.does(&["user", "disable", "alice"]);
    eventually("locked when disabled", || {
        (told(&scene, "personal.locked", "reason", "its owner was disabled or removed") == 1).then_some(())
    });
    scene.broker.does(&["user", "enable", "alice"]);
    alice(&scene, "unlock", PASSPHRASE).ok();
    scene.broker.stop();
    scene.broker.serve();
    assert_eq!(told(&scene, "personal.locked", "reason", "the daemon stops"), 1);
}

#[test]
fn slots_are_added_and_removed_and_two_stay() {
    let (scene, code) = scene(Settings::default());
    let slots = || -> Vec<Value> { serde_json::from_str(&alice(&scene, "--json personal slots", "").ok().text()).unwrap() };
    let id = |kind: &str| slots().iter().find(|s| s["kind"] == kind).unwrap()["id"].as_str().unwrap().to_owned();
    let locked = alice(&scene, "personal slot add recovery", "");
    assert!(locked.errors().contains("are sealed") && locked.errors().contains("unlock"), "{locked:?}");
    alice(&scene, "unlock", PASSPHRASE).ok();
    let last = alice(&scene, &format!("personal slot remove {}", id("recovery")), "");
    assert!(last.status == Some(1) && last.errors().contains("at least 2 slots"), "{last:?}");
    let first = id("passphrase");
    alice(&scene, "personal slot add passphrase", "another passphrase of hers").ok();
    alice(&scene, &format!("personal slot remove {first}"), "").ok();
    assert_eq!(alice(&scene, "unlock", PASSPHRASE).status, Some(1), "removed");
    connects_after(&scene, "another passphrase of hers");
    alice(&scene, "unlock", code).ok();
    alice(&scene, "personal unseal", "").ok();
    assert!(slots().is_empty());
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn a_secret_is_added_while_locked_and_attached_when_its_owner_is_there() {
    let (scene, _) = scene(Settings::default());
    let late = Key::new(scene.dir().join("late"));
    scene.host.authorize(&[&scene.deploy, &late]);
    alice(&scene, &format!("credential add late --username {NAME} --key - --scope personal"), late.private()).ok();
    let attach = "credential attach late --host web-1 --mine";
    let locked = alice(&scene, attach, "");
    assert!(locked.status == Some(1) && locked.errors().contains("unlock"), "{locked:?}");
    alice(&scene, "unlock", PASSPHRASE).ok();
    alice(&scene, attach, "").ok();
    run(scene.alice.ssh(&["-l", "late@web-1", "through", "true"]), "").ok();
    assert_eq!(scene.host.sign_ins_with(&late), 1);
}

#[test]
fn a_scan_skips_what_is_sealed_also_while_it_is_open() {
    let (scene, _) = scene(Settings::default());
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", "scan"]);
    alice(&scene, "unlock", PASSPHRASE).ok();
    let scanned = alice(&scene, "scan run --hosts web-1 --format json", "");
    let document: Value = serde_json::from_str(&scanned.text()).unwrap();
    let host = &document["hosts"][0];
    assert_eq!(host["state"], "skipped", "{host}");
    assert!(host["error"].as_str().unwrap().contains("sealed by its owner"), "{host}");
    assert_eq!(scene.host.sign_ins(), 0);
}

#[test]
fn a_forwarded_agent_opens_it() {
    let (scene, _) = scene(Settings::default());
    let agent = SshAgent::start(scene.dir().join("a.sock"));
    let key = Key::new(scene.dir().join("for-sealing"));
    agent.add(&[], &key);
    alice(&scene, "unlock", PASSPHRASE).ok();
    let unseen = alice(&scene, "personal slot add agent", "");
    assert!(unseen.errors().contains("not forwarded"), "{unseen:?}");
    agent.verb(&scene, "personal slot add agent", "").ok();
    // A key has one slot, and what somebody knows always has one.
    let twice = agent.verb(&scene, "personal slot add agent", "");
    assert!(twice.status == Some(1) && twice.errors().contains("has a slot already"), "{twice:?}");
    alice(&scene, "lock", "").ok();
    let opened = agent.verb(&scene, "unlock", "").ok();
    assert!(opened.errors().contains("by a key in your ssh agent"), "{opened:?}");
    assert_eq!(told(&scene, "personal.opened", "kind", "agent"), 1);
    scene.alice.exec(Way::Through, "true").ok();
    alice(&scene, "lock", "").ok();
    // On the way to a host: an empty answer means the agent.
    let mut ssh = Terminal::start(&agent.ssh(&scene, &["-o", "BatchMode=no", "through", "echo seen-$((40+2))"]), 24, 120);
    ssh.until(PROMPT);
    ssh.write("\n");
    let (status, screen) = ssh.end();
    assert!(status.success() && screen.contains("seen-42"), "{screen}");
    eventually("locked with the last connection", || {
        (told(&scene, "personal.locked", "reason", "their last connection has ended") == 1).then_some(())
    });
    // Without an agent it says so.
    let mut ssh = at_a_terminal(&scene, "true");
    ssh.until(PROMPT);
    ssh.write("\n");
    let (status, screen) = ssh.end();
    assert!(!status.success() && screen.contains("your ssh agent is not forwarded"), "{screen}");
    assert_eq!(told(&scene, "personal.opened", "kind", "agent"), 2);
}

#[test]
fn an_agents_key_that_cannot_serve_gets_a_clear_answer() {
    let (scene, _) = scene(Settings::default());
    let agent = SshAgent::start(scene.dir().join("a.sock"));
    alice(&scene, "unlock", PASSPHRASE).ok();
    let add = "personal slot add agent";
    let empty = agent.verb(&scene, add, "");
    assert!(empty.errors().contains("shows no key here") && empty.errors().contains("ssh-add -h"), "{empty:?}");
    let ecdsa = Key::make(scene.dir().join("ecdsa"), &["-t", "ecdsa"], "");
    agent.add(&[], &ecdsa);
    let random = agent.verb(&scene, add, "");
    assert!(random.errors().contains("its signatures are random"), "{random:?}");
    agent.remove_all();
    // Asked on a screen that is not there: refused.
    let asking = Key::new(scene.dir().join("asking"));
    agent.add(&["-c"], &asking);
    let refused = agent.verb(&scene, add, "");
    assert!(refused.errors().contains("refused to sign") && refused.errors().contains("ssh-add -c"), "{refused:?}");
    agent.remove_all();
    // Bound to another host than the broker: not shown.
    let bound = Key::new(scene.dir().join("bound"));
    let known = scene.dir().join("known");
    std::fs::write(&known, format!("elsewhere {}\n", scene.host.host_key.public)).unwrap();
    agent.add(&["-h", "elsewhere", "-H", &known.display().to_string()], &bound);
    let hidden = agent.verb(&scene, add, "");
    assert!(hidden.status == Some(1) && hidden.errors().contains("ssh-add -h"), "{hidden:?}");
    assert_eq!(told(&scene, "personal.slot_added", "actor", "alice"), 0);
}

#[test]
fn the_local_door_uses_the_agent_of_its_own_side() {
    let scene = Scene::new();
    let key = Key::new(scene.dir().join("for-sealing"));
    let agent = SshAgent::with(scene.dir().join("a.sock"), &key);
    let with_agent = |args: &[&str]| agent.beside(scene.broker.command(args));
    scene.broker.does_with(&["personal", "seal"], "the operators own passphrase");
    scene.broker.does_with(&["unlock"], "the operators own passphrase");
    run(with_agent(&["personal", "slot", "add", "agent", "--key", &key.public_file().display().to_string()]), "").ok();
    scene.broker.does(&["lock"]);
    let opened = run(with_agent(&["unlock"]), "").ok();
    assert!(opened.errors().contains("by a key in your ssh agent"), "{opened:?}");
    assert_eq!(scene.broker.json(&["personal", "slots"]).as_array().unwrap().len(), 3);
}
