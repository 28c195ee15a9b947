//! What somebody gets wrong is said, with what to do, and changes nothing.

use crate::world::account::NAME;
use crate::world::keys::Key;
use crate::world::{Scene, nonce};

/// Everything that a list can show.
fn all(scene: &Scene) -> Vec<String> {
    ["user", "host", "credential", "grant", "group"].iter().map(|noun| scene.broker.does(&["--json", noun, "list"])).collect()
}

#[test]
fn a_key_that_cannot_be_taken_is_refused_and_nothing_is_changed() {
    let scene = Scene::new();
    let before = all(&scene);
    let passphrase = nonce(20);
    let locked = Key::make(scene.dir().join("locked"), &["-t", "ed25519"], &passphrase);
    let add = |key: &str| {
        vec![
            "credential".to_owned(),
            "add".to_owned(),
            "new".to_owned(),
            "--scope".to_owned(),
            "workspace".to_owned(),
            "--username".to_owned(),
            NAME.to_owned(),
            "--key".to_owned(),
            key.to_owned(),
        ]
    };
    let refuses = |key: &str, stdin: &[u8]| {
        let args = add(key);
        scene.broker.refuses_with(&args.iter().map(String::as_str).collect::<Vec<_>>(), stdin)
    };
    let wrong = refuses(&locked.path.display().to_string(), b"not the passphrase\n");
    assert!(wrong.contains("passphrase"), "{wrong}");
    let public = refuses(&locked.public_file().display().to_string(), b"");
    assert!(public.contains("public key"), "{public}");
    refuses("-", locked.public.as_bytes());
    refuses("-", b"");
    refuses("-", b"not a key at all\n");
    refuses("-", &scene.deploy.private()[..200]);
    refuses("/no/such/file", b"");
    refuses("-", &[0xff; 100]);
    assert_eq!(all(&scene), before);
    // With the right one it is taken.
    let args = add(&locked.path.display().to_string());
    scene.broker.does_with(&args.iter().map(String::as_str).collect::<Vec<_>>(), format!("{passphrase}\n"));
    assert_eq!(scene.broker.json(&["credential", "show", "new"])["fingerprint"], locked.fingerprint.as_str());
}

#[test]
fn an_empty_password_is_none() {
    let scene = Scene::new();
    let before = all(&scene);
    for stdin in ["", "\n"] {
        scene.broker.refuses_with(&["credential", "add", "new", "--scope", "workspace", "--username", NAME, "--password"], stdin);
    }
    assert_eq!(all(&scene), before);
}

#[test]
fn names_are_checked_and_unique() {
    let scene = Scene::new();
    let before = all(&scene);
    for bad in ["a b", "a@b", "a+b", "-a", "", "a\x1b[31mb", "a\nb", "a\u{202e}b", "a/b", "é", &"x".repeat(65)] {
        scene.broker.refuses(&["host", "add", "--", bad, "192.0.2.1"]);
        scene.broker.refuses(&["user", "add", "--", bad]);
        scene.broker.refuses_with(&["credential", "add", "--scope", "workspace", "--username", NAME, "--password", "--", bad], "x");
        scene.broker.refuses(&["group", "add", "--", bad]);
    }
    scene.broker.refuses(&["host", "add", "web-1", "192.0.2.1"]);
    scene.broker.refuses(&["user", "add", "alice"]);
    scene.broker.refuses_with(&["credential", "add", "deploy", "--scope", "workspace", "--username", NAME, "--password"], "x");
    // A selector would not know which one is meant.
    scene.broker.refuses(&["host", "add", "alice", "192.0.2.1"]);
    scene.broker.refuses(&["user", "add", "web-1"]);
    assert_eq!(all(&scene), before);
}

#[test]
fn addresses_logins_and_keys_of_hosts_are_checked() {
    let scene = Scene::new();
    let before = all(&scene);
    for bad in ["", "192.0.2.300", "host:0", "host:65536", "host:x", "a b", "user@host", "http://host", "[::1", "host\x1b[2J", "host\n"] {
        scene.broker.refuses(&["host", "add", "--", "new", bad]);
        scene.broker.refuses(&["host", "edit", "web-1", "--address", bad]);
    }
    for bad in ["nonsense", "ssh-ed25519 AAAA", "/no/such/file"] {
        scene.broker.refuses(&["host", "add", "new", "192.0.2.1", "--host-key", bad]);
    }
    for bad in ["", "a b", "a:b", "a\tb"] {
        scene.broker.refuses_with(&["credential", "add", "new", "--username", bad, "--password"], "x");
    }
    for bad in ["env", "=x", "a b=c"] {
        scene.broker.refuses(&["host", "add", "new", "192.0.2.1", "--tag", bad]);
    }
    assert_eq!(all(&scene), before);
}

#[test]
fn what_does_not_exist_is_said_not_to() {
    let scene = Scene::new();
    let before = all(&scene);
    for args in [
        &["host", "show", "nothing"][..],
        &["host", "remove", "nothing"],
        &["host", "edit", "nothing", "--address", "192.0.2.1"],
        &["host", "add", "new", "192.0.2.1", "--credential", "nothing"],
        &["user", "show", "nobody"],
        &["user", "disable", "nobody"],
        &["user", "key", "remove", "alice", "SHA256:nothing"],
        &["credential", "show", "nothing"],
        &["credential", "delete", "nothing"],
        &["credential", "attach", "deploy", "--host", "nothing"],
        &["credential", "attach", "nothing", "--host", "web-1"],
        &["grant", "remove", "grt_nothing"],
        &["grant", "add", "--to", "nobody", "--hosts", "web-1", "--allow", "exec"],
        &["group", "join", "nothing", "alice"],
    ] {
        let errors = scene.broker.refuses(args);
        assert!(!errors.contains("panicked"), "{args:?}: {errors}");
    }
    assert_eq!(all(&scene), before);
}

#[test]
fn grants_are_checked() {
    let scene = Scene::new();
    let before = all(&scene);
    for wrong in [
        &["--hosts", "web-1", "--allow", "fly"][..],
        &["--hosts", "web-1", "--allow", ""],
        &["--hosts", "[", "--allow", "exec"],
        &["--hosts", "tag:env", "--allow", "exec"],
        &["--hosts", "web-1", "--allow", "exec", "--from", "300.0.0.0/8"],
        &["--hosts", "web-1", "--allow", "exec", "--until", "tomorrow or so"],
        &["--hosts", "web-1", "--allow", "exec", "--between", "25:00-26:00"],
        &["--hosts", "web-1", "--allow", "exec", "--max-session", "long"],
    ] {
        let mut args = vec!["grant", "add", "--to", "alice"];
        args.extend_from_slice(wrong);
        scene.broker.refuses(&args);
    }
    assert_eq!(all(&scene), before);
}

#[test]
fn the_last_owner_stays() {
    let scene = Scene::new();
    let before = all(&scene);
    for verb in ["disable", "remove"] {
        scene.broker.refuses(&["user", verb, "root"]);
    }
    assert_eq!(all(&scene), before);
}

#[test]
fn selectors_that_make_no_sense_are_refused() {
    let scene = Scene::new();
    for selector in ["", "@", "a@b@c@d", "+web-1", "bob+web-1", "we\u{202e}b-1", "web-1;id", "../web-1", &"x".repeat(300)] {
        let outcome = crate::world::run(scene.alice.ssh(&["-o", &format!("User={selector}"), "through", "true"]), "");
        assert!(outcome.status != Some(0) && outcome.stdout.is_empty(), "{selector:?}: {outcome:?}");
        assert!(!outcome.errors().chars().any(|c| c.is_control() && !"\r\n".contains(c)), "{selector:?}: {outcome:?}");
    }
    assert_eq!(scene.host.sign_ins(), 0);
    scene.broker.does(&["audit", "verify"]);
}
