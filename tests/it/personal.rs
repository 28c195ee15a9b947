//! Personal credentials: for their owner alone, whatever the role of anybody else.

use crate::credentials::refused;
use crate::world::account::NAME;
use crate::world::keys::Key;
use crate::world::{Scene, run};

/// Alice keeps a key of her own for `web-1`.
fn scene() -> (Scene, Key) {
    let scene = Scene::new();
    let mine = scene.keeps();
    (scene, mine)
}

#[test]
fn a_personal_credential_signs_its_owner_in_and_nobody_else() {
    let (scene, mine) = scene();
    scene.grant("root", "web-1");
    run(scene.alice.ssh(&["-l", "web-1", "through", "true"]), "").ok();
    assert_eq!(scene.host.sign_ins_with(&mine), 1, "her own choice comes before the host's default");
    run(scene.owner.ssh(&["-l", "web-1", "through", "true"]), "").ok();
    assert_eq!((scene.host.sign_ins_with(&mine), scene.host.sign_ins_with(&scene.deploy)), (1, 1));
    // Named by the owner of the broker, it is as if it did not exist.
    let [hidden, missing] =
        ["zebra", "nope"].map(|name| refused(&run(scene.owner.ssh(&["-l", &format!("{name}@web-1"), "through", "true"]), "")));
    assert_eq!(hidden.replace("zebra", "nope"), missing);
    assert_eq!(scene.host.sign_ins(), 2);
}

#[test]
fn the_owner_of_the_broker_cannot_see_a_personal_credential() {
    let (scene, mine) = scene();
    for args in [
        &["credential", "list"][..],
        &["--json", "credential", "list"],
        &["host", "show", "web-1"],
        &["--json", "host", "list"],
        &["audit", "list"],
        &["--json", "audit", "list"],
    ] {
        let shown = scene.broker.does(args);
        assert!(!shown.contains("zebra") && !shown.contains(&mine.fingerprint), "keyward {args:?} shows it:\n{shown}");
    }
    for verb in ["show", "public-key", "delete"] {
        let [hidden, missing] = ["zebra", "nope"].map(|name| scene.broker.refuses(&["credential", verb, name]));
        assert_eq!(hidden.replace("zebra", "nope"), missing, "{verb}");
    }
    let [hidden, missing] = ["zebra", "nope"].map(|name| scene.broker.refuses(&["credential", "edit", name, "--username", "root"]));
    assert_eq!(hidden.replace("zebra", "nope"), missing);
    let listed = scene.alice.verb("alice", "--json credential list", "").ok().text();
    assert!(listed.contains(&mine.fingerprint), "Alice sees it: {listed}");
}

#[test]
fn a_session_with_a_personal_credential_does_not_tell_its_name() {
    let (scene, mine) = scene();
    run(scene.alice.ssh(&["-l", "zebra@web-1", "through", "true"]), "").ok();
    scene.broker.ended_session();
    for args in [&["session", "list"][..], &["--json", "session", "list"], &["--json", "audit", "list"]] {
        let shown = scene.broker.does(args);
        assert!(!shown.contains("zebra") && !shown.contains(&mine.fingerprint), "keyward {args:?} shows it:\n{shown}");
    }
}

#[test]
fn nobody_adds_a_key_to_a_person_who_keeps_a_credential_of_their_own() {
    let scene = Scene::new();
    let [early, late, hers] = ["early", "late", "hers"].map(|name| Key::new(scene.dir().join(name)));
    let at_the_socket = |key: &Key| scene.broker.verb(&["user", "key", "add", "alice", &key.public_file().display().to_string()]);
    // Before she keeps anything, whoever runs the broker may.
    at_the_socket(&early).ok();
    scene.alice.verb("alice", &format!("credential add zebra --username {NAME} --password --scope personal"), "hunter2hunter2").ok();
    let refused = at_the_socket(&late);
    assert_eq!(refused.status, Some(1), "who adds a key to her becomes her: {refused:?}");
    assert!(refused.errors().contains("only alice may add a key"), "{refused:?}");
    let keys = || scene.broker.does(&["user", "key", "list", "alice"]);
    assert!(keys().contains(&early.fingerprint) && !keys().contains(&late.fingerprint));
    // She herself still may, and others may once she keeps nothing.
    scene.alice.verb("alice", "user key add alice -", hers.public.as_bytes()).ok();
    assert!(keys().contains(&hers.fingerprint));
    scene.alice.verb("alice", "credential delete zebra", "").ok();
    at_the_socket(&late).ok();
    assert!(keys().contains(&late.fingerprint));
}

#[test]
fn where_two_credentials_have_one_name_a_change_says_whose_is_meant() {
    let scene = Scene::new();
    for scope in ["personal", "workspace"] {
        scene.broker.does_with(&["credential", "add", "gen", "--scope", scope, "--username", NAME, "--password"], "a secret that is long");
    }
    for (words, told) in [
        (&["edit", "gen", "--rename", "other"][..], "credential edit gen --rename other"),
        (&["attach", "gen", "--host", "web-1", "--mine"], "credential attach gen --host web-1 --mine"),
        (&["detach", "gen", "--host", "web-1"], "credential detach gen --host web-1"),
        (&["rotate", "gen", "--abort", "--yes"], "credential rotate gen --abort"),
        (&["delete", "gen", "--yes"], "credential delete gen"),
    ] {
        let refused = scene.broker.refuses(&[&["credential"], words].concat());
        for scope in ["personal", "workspace"] {
            assert!(refused.contains(&format!("{told} --scope {scope}")), "{words:?}: {refused}");
        }
    }
    // Looked at, the own one is meant; deleted with its scope, the other stays, and then the name is one's alone.
    assert_eq!(scene.broker.json(&["credential", "show", "gen"])["scope"], "personal");
    let said = scene.broker.verb(&["credential", "delete", "gen", "--scope", "personal", "--yes"]).ok().errors();
    assert!(said.contains("personal credential gen deleted"), "{said}");
    let said = scene.broker.verb(&["credential", "delete", "gen", "--yes"]).ok().errors();
    assert!(said.contains("workspace credential gen deleted"), "{said}");
}
