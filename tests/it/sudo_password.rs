//! The sudo password of a credential, through both doors: set, shown to be there, replaced, taken away; never seen.

use serde_json::Value;

use crate::world::account::NAME;
use crate::world::keys::Key;
use crate::world::terminal::Terminal;
use crate::world::{Scene, Way, database, nonce};

/// What sudo would be given, as every door says it.
#[track_caller]
fn source(scene: &Scene, name: &str) -> String {
    let shown = scene.broker.json(&["credential", "show", name]);
    let listed = scene.broker.json(&["credential", "list"]);
    let in_list = listed.as_array().unwrap().iter().find(|c| c["name"] == name).unwrap();
    assert_eq!(shown["sudo_password"], in_list["sudo_password"], "{listed}");
    let over_ssh = scene.owner.verb("root", &format!("--json credential show {name}"), "").ok().text();
    assert_eq!(serde_json::from_str::<Value>(&over_ssh).unwrap()["sudo_password"], shown["sudo_password"]);
    let word = shown["sudo_password"].as_str().unwrap().to_owned();
    let text = scene.broker.does(&["credential", "show", name]);
    let line = text.lines().find(|l| l.starts_with("sudo password")).unwrap_or_else(|| panic!("{text}"));
    assert!(line.ends_with(&word), "{text}");
    word
}

/// Nothing of it is in any file of the home.
#[track_caller]
fn nowhere(scene: &Scene, secret: &str) {
    for entry in std::fs::read_dir(scene.broker.home()).unwrap().flatten().filter(|e| e.path().is_file()) {
        let bytes = std::fs::read(entry.path()).unwrap();
        for piece in [secret, &secret[..12]] {
            let found = bytes.windows(piece.len()).any(|w| w == piece.as_bytes());
            assert!(!found, "{} holds the sudo password", entry.path().display());
        }
    }
    let audit = scene.broker.does(&["--json", "audit", "list"]);
    assert!(!audit.contains(secret), "the audit log holds the sudo password");
    assert!(!scene.broker.log().contains(secret), "the log holds the sudo password");
}

/// What the last change of a credential is said to have changed.
fn told(scene: &Scene) -> Value {
    let audit = scene.broker.audit();
    audit.iter().rev().find(|e| e["event"] == "credential.edited").unwrap_or_else(|| panic!("{audit:?}"))["detail"].clone()
}

#[test]
fn it_is_set_replaced_and_taken_away_through_both_doors() {
    let scene = Scene::new();
    let [first, second] = [nonce(30), nonce(30)];
    assert_eq!(source(&scene, "deploy"), "none");
    let said = scene.broker.does_with(&["credential", "edit", "deploy", "--sudo-password"], format!("{first}\n"));
    assert!(!said.contains(&first), "{said}");
    assert_eq!(source(&scene, "deploy"), "own");
    assert_eq!(told(&scene), serde_json::json!({ "changed": "sudo_password", "sudo_password": "set" }));
    nowhere(&scene, &first);
    // Over ssh, on top of it.
    scene.owner.verb("root", "credential edit deploy --sudo-password", second.as_str()).ok();
    assert_eq!(source(&scene, "deploy"), "own");
    nowhere(&scene, &second);
    // A new secret leaves it, and it is nothing that signs in.
    let next = Key::new(scene.dir().join("next"));
    scene.host.authorize(&[&next]);
    scene.broker.does_with(&["credential", "edit", "deploy", "--key", "-"], next.private());
    assert_eq!(source(&scene, "deploy"), "own");
    assert_eq!(told(&scene), serde_json::json!({ "changed": "secret" }));
    scene.alice.exec(Way::Through, "true").ok();
    scene.owner.verb("root", "credential edit deploy --no-sudo-password", "").ok();
    assert_eq!(source(&scene, "deploy"), "none");
    assert_eq!(told(&scene), serde_json::json!({ "changed": "sudo_password", "sudo_password": "removed" }));
    // Where a password signs in, it is what sudo is given, unless there is another one.
    scene.broker.does_with(&["credential", "edit", "deploy", "--password"], nonce(20));
    assert_eq!(source(&scene, "deploy"), "sign-in");
    scene.broker.does_with(&["credential", "edit", "deploy", "--sudo-password"], first.as_str());
    assert_eq!(source(&scene, "deploy"), "own");
    scene.broker.does_with(&["credential", "edit", "deploy", "--key", "-", "--no-sudo-password"], next.private());
    assert_eq!(source(&scene, "deploy"), "none");
    assert_eq!(told(&scene)["changed"], "secret,sudo_password");
    scene.alice.exec(Way::Through, "true").ok();
    for secret in [&first, &second] {
        nowhere(&scene, secret);
    }
}

#[test]
fn it_goes_with_its_credential() {
    let scene = Scene::new();
    let secret = nonce(30);
    scene.broker.does_with(&["credential", "edit", "deploy", "--sudo-password"], secret.as_str());
    let rows = || -> i64 { database::open(&scene.broker.home()).query_row("SELECT count(*) FROM sudo_secrets", [], |r| r.get(0)).unwrap() };
    assert_eq!(rows(), 1);
    scene.broker.does(&["credential", "delete", "deploy"]);
    assert_eq!(rows(), 0);
    nowhere(&scene, &secret);
}

#[test]
fn what_cannot_be_one_is_refused_with_what_to_do() {
    let scene = Scene::new();
    let set = ["credential", "edit", "deploy", "--sudo-password"];
    for (stdin, says) in [
        ("".to_owned(), "sudo password is empty"),
        ("\n".to_owned(), "sudo password is empty"),
        ("two\nlines\n".to_owned(), "line break"),
        ("carriage\rreturn".to_owned(), "line break"),
        ("x".repeat(256), "longer than 255 bytes"),
        ("x".repeat(70_000), "longer than 64 KiB"),
        ("a\0b".to_owned(), "zero byte"),
    ] {
        let refused = scene.broker.refuses_with(&set, stdin.as_str());
        assert!(refused.contains(says) && refused.contains("hint: "), "{stdin:.20?}: {refused}");
    }
    let refused = scene.broker.refuses_with(&set, vec![0xff, 0xfe]);
    assert!(refused.contains("not UTF-8"), "{refused}");
    let over_ssh = scene.owner.verb("root", "credential edit deploy --sudo-password", "two\nlines");
    assert!(over_ssh.status == Some(1) && over_ssh.errors().contains("line break"), "{over_ssh:?}");
    let refused = scene.broker.refuses(&["credential", "edit", "deploy", "--no-sudo-password"]);
    assert!(refused.contains("no sudo password of its own") && refused.contains("credential edit deploy --sudo-password"), "{refused}");
    assert_eq!(source(&scene, "deploy"), "none");
    // One secret a call, and the first call takes the one that signs in.
    for words in [
        &["credential", "edit", "deploy", "--sudo-password", "--password"][..],
        &["credential", "edit", "deploy", "--sudo-password", "--key", "-"],
        &["credential", "edit", "deploy", "--sudo-password", "--no-sudo-password"],
        &["credential", "edit", "deploy", "--sudo-password", "hunter2"],
        &["credential", "add", "more", "--username", NAME, "--password", "--sudo-password"],
    ] {
        let outcome = scene.broker.verb_with(words, "x");
        assert_eq!(outcome.status, Some(2), "{words:?}: {outcome:?}");
    }
    let words = "credential add more --username deploy --password --sudo-password";
    let outcome = scene.owner.verb("root", words, "x");
    assert!(outcome.status == Some(2) && outcome.errors().contains("credential edit more --sudo-password"), "{outcome:?}");
    assert_eq!(scene.broker.json(&["credential", "list"]).as_array().unwrap().len(), 1);
}

#[test]
fn whoever_may_change_a_credential_may_set_it_and_nobody_else() {
    let scene = Scene::new();
    // Alice sees the workspace's, and may not change it; her own she may, and only she sees it.
    let refused = scene.alice.verb("alice", "credential edit deploy --sudo-password", "hunter22");
    assert!(refused.status == Some(1) && refused.errors().contains("hint: "), "{refused:?}");
    assert_eq!(source(&scene, "deploy"), "none");
    scene.alice.verb("alice", &format!("credential add mine --username {NAME} --password"), "signs in").ok();
    scene.alice.verb("alice", "credential edit mine --sudo-password", "lifts").ok();
    let shown: Value = serde_json::from_str(&scene.alice.verb("alice", "--json credential show mine", "").ok().text()).unwrap();
    assert_eq!(shown["sudo_password"], "own", "{shown}");
    let [hidden, missing] =
        ["mine", "nope"].map(|name| scene.broker.refuses_with(&["credential", "edit", name, "--sudo-password"], "hunter22"));
    assert_eq!(hidden.replace("mine", "nope"), missing);
}

#[test]
fn on_a_terminal_it_is_asked_for_twice_and_not_shown() {
    let scene = Scene::new();
    let words = ["-tt", "-l", "root", "through", "--", "credential edit deploy --sudo-password"];
    for (again, sets) in [("another-one", false), ("lifts-the-lid", true)] {
        let mut terminal = Terminal::start(&scene.owner.ssh(&words), 24, 100);
        terminal.until("sudo password of deploy: ");
        terminal.write("lifts-the-lid\r");
        terminal.until("sudo password of deploy, again: ");
        terminal.write(&format!("{again}\r"));
        let (status, shown) = terminal.end();
        assert_eq!(status.success(), sets, "{shown}");
        assert!(!shown.contains("lifts-the-lid") && !shown.contains("another-one"), "{shown}");
        assert_eq!(source(&scene, "deploy"), if sets { "own" } else { "none" }, "{shown}");
    }
    // The local program asks the same.
    let mut terminal = Terminal::start(&scene.broker.command(&["credential", "edit", "deploy", "--sudo-password"]), 24, 100);
    terminal.until("sudo password of deploy: ");
    terminal.write("lifts-the-lid\r");
    terminal.until("sudo password of deploy, again: ");
    terminal.write("lifts-the-lid\r");
    let (status, shown) = terminal.end();
    assert!(status.success() && !shown.contains("lifts-the-lid"), "{shown}");
}

#[test]
fn a_row_that_somebody_else_wrote_stops_everything() {
    for edit in ["DELETE FROM sudo_secrets", "UPDATE sudo_secrets SET sealed = (SELECT sealed FROM credentials)"] {
        let scene = Scene::new();
        scene.broker.does_with(&["credential", "edit", "deploy", "--sudo-password"], nonce(20));
        scene.alice.exec(Way::Through, "true").ok();
        database::edit(&scene.broker.home(), edit);
        let refused = scene.broker.refuses(&["credential", "list"]);
        assert!(refused.contains("changed behind the broker's back"), "{edit}: {refused}");
        let outcome = scene.alice.exec(Way::Through, "true");
        assert_eq!(outcome.status, Some(255), "{edit}: {outcome:?}");
    }
}
