//! Whom the broker trusts, and what it tells those whom it does not know.

use crate::credentials::{attempts, refused};
use crate::world::account::NAME;
use crate::world::broker::Settings;
use crate::world::fake::Silent;
use crate::world::keys::Key;
use crate::world::{Scene, Way, eventually, run};

#[test]
fn a_host_with_another_key_is_sent_nothing() {
    let scene = Scene::new();
    let impostor = scene.another_host("impostor", &[&scene.deploy]);
    // The same name and address as far as the broker knows, another key: somebody is in between.
    scene.broker.does(&["host", "add", "web-2", &impostor.address(), "--credential", "deploy", "--host-key", &scene.host.host_key.public]);
    scene.grant("alice", "web-2");
    let errors = refused(&run(scene.alice.ssh(&["-l", "web-2", "through", "true"]), ""));
    assert!(
        errors.contains(&impostor.host_key.fingerprint) && errors.contains(&scene.host.host_key.fingerprint),
        "both keys are named: {errors}"
    );
    let log = eventually("the impostor saw the end", || {
        Some(impostor.log()).filter(|l| l.contains("preauth") || l.contains("Connection closed"))
    });
    assert!(
        !log.contains("Accepted") && !log.contains("Failed") && !log.contains("Postponed") && !log.contains(NAME),
        "a sign-in was begun:\n{log}"
    );
    let session = scene.broker.ended_session();
    assert_eq!(session["end_reason"], "host_key");
    let trail = scene.broker.trail(&session);
    assert!(!trail.iter().any(|e| e.starts_with("lease.")), "nothing was decrypted: {trail:?}");
    assert!(trail.iter().any(|e| e == "host.key_mismatch"), "{trail:?}");
}

#[test]
fn a_host_whose_key_is_not_known_is_sent_nothing() {
    let scene = Scene::new();
    scene.broker.does(&["host", "add", "web-2", &scene.host.address(), "--credential", "deploy"]);
    scene.grant("alice", "web-2");
    let errors = refused(&run(scene.alice.ssh(&["-l", "web-2", "through", "true"]), ""));
    assert!(errors.contains("host trust web-2"), "{errors}");
    assert_eq!(attempts(&scene), 0, "{}", scene.host.log());
    // Only the right fingerprint is taken.
    scene.broker.refuses(&["host", "trust", "web-2", "--fingerprint", &scene.deploy.fingerprint]);
    refused(&run(scene.alice.ssh(&["-l", "web-2", "through", "true"]), ""));
    scene.broker.does(&["host", "trust", "web-2", "--fingerprint", &scene.host.host_key.fingerprint]);
    run(scene.alice.ssh(&["-l", "web-2", "through", "true"]), "").ok();
    assert_eq!(scene.host.sign_ins(), 1);
}

#[test]
fn trust_on_first_use_holds_from_then_on() {
    let scene = Scene::bare(Settings::default(), None);
    scene
        .broker
        .does_with(&["credential", "add", "deploy", "--scope", "workspace", "--username", NAME, "--key", "-"], scene.deploy.private());
    scene.broker.does(&["host", "add", "web-1", &scene.host.address(), "--credential", "deploy", "--trust-first-use"]);
    scene.grant("alice", "web-1");
    scene.alice.exec(Way::Through, "true").ok();
    let keys = scene.broker.json(&["host", "show", "web-1"])["host_keys"].clone();
    assert!(keys.to_string().contains(&scene.host.host_key.fingerprint), "{keys}");
    assert!(scene.broker.audit().iter().any(|e| e["event"] == "host.key_pinned"));
    // Another key from now on.
    let impostor = scene.another_host("impostor", &[&scene.deploy]);
    scene.broker.does(&["host", "edit", "web-1", "--address", &impostor.address()]);
    let errors = refused(&scene.alice.exec(Way::Through, "true"));
    assert!(errors.contains(&impostor.host_key.fingerprint), "{errors}");
    assert_eq!(impostor.sign_ins(), 0);
}

#[test]
fn an_unknown_host_and_one_without_a_grant_get_the_same_answer() {
    let scene = Scene::new();
    let hidden = scene.another_host("hidden", &[&scene.deploy]);
    scene.add_host("web-2", &hidden, "deploy");
    let ask = |selector: &str| run(scene.alice.ssh(&["-l", selector, "through", "true"]), "");
    let [granted, missing] = ["web-2", "web-3"].map(|host| {
        let outcome = ask(host);
        refused(&outcome);
        (outcome.status, outcome.errors().replace(host, "HOST"))
    });
    assert_eq!(granted, missing, "who may not use a host cannot tell that it exists");
    // Also with a credential that exists, and with one that does not.
    let [granted, missing] = ["deploy@web-2", "nope@web-3"].map(|s| refused(&ask(s)).replace(s.split('@').nth(1).unwrap(), "HOST"));
    assert_eq!(granted, missing);
    assert_eq!(hidden.log().matches("Connection from").count(), 0, "{}", hidden.log());
}

#[test]
fn a_person_without_a_key_that_the_broker_knows_does_not_come_in() {
    let scene = Scene::new();
    let stranger = Key::new(scene.dir().join("stranger"));
    let identity = format!("IdentityFile={}", stranger.path.display());
    let mut ssh = scene.alice.ssh(&["-o", &identity, "through", "true"]);
    // The configuration names Alice's key, too.
    std::fs::remove_file(&scene.alice.key.path).unwrap();
    ssh.env("SSH_AUTH_SOCK", "/nonexistent");
    let outcome = run(ssh, "");
    assert_eq!(outcome.status, Some(255), "{outcome:?}");
    assert!(outcome.errors().contains("Permission denied (publickey"), "{outcome:?}");
    assert_eq!(scene.host.sign_ins(), 0);
    assert!(scene.broker.sessions().is_empty());
}

#[test]
fn a_person_comes_in_with_any_of_their_keys_until_it_is_removed() {
    let scene = Scene::new();
    let second = Key::make(scene.dir().join("second"), &["-t", "ecdsa", "-b", "256"], "");
    std::fs::remove_file(&scene.alice.key.path).unwrap();
    let identity = format!("IdentityFile={}", second.path.display());
    let connect = || run(scene.alice.ssh(&["-o", &identity, "through", "true"]), "");
    assert_eq!(connect().status, Some(255));
    scene.broker.does(&["user", "key", "add", "alice", &second.public_file().display().to_string()]);
    assert_eq!(connect().status, Some(0));
    scene.broker.does(&["user", "key", "remove", "alice", &second.fingerprint]);
    assert_eq!(connect().status, Some(255));
    // A key belongs to one person.
    scene.broker.refuses(&["user", "add", "bob", "--key", &scene.alice.key.public_file().display().to_string()]);
}

#[test]
fn offering_somebodys_public_key_locks_nobody_out() {
    let limits = "[limits]\nfailures_per_person = \"2/h\"\nfailures_per_address = \"1000/s\"\n".to_owned();
    let scene = Scene::with(Settings { config: limits, ..Settings::default() });
    // Whoever has seen a public key can offer it; only its owner can sign.
    let shown = scene.dir().join("shown.pub");
    std::fs::copy(scene.alice.key.public_file(), &shown).unwrap();
    let config = scene.dir().join("stranger");
    let known = std::fs::read_to_string(scene.alice.config()).unwrap();
    std::fs::write(&config, known.replace(&scene.alice.key.path.display().to_string(), &shown.display().to_string())).unwrap();
    for _ in 0..5 {
        let mut ssh = crate::world::process::command("ssh");
        ssh.arg("-v").arg("-F").arg(&config).args(["-o", "LogLevel=DEBUG1", "through", "true"]);
        let outcome = run(ssh, "");
        assert!(outcome.status == Some(255) && outcome.errors().contains("Permission denied (publickey"), "{outcome:?}");
        assert!(outcome.errors().contains("Server accepts key"), "it was offered, and taken for known: {outcome:?}");
    }
    let refused = || scene.broker.audit().iter().filter(|e| e["event"] == "signin.refused").count();
    eventually("all five are recorded", || (refused() == 5).then_some(()));
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn a_grant_allows_what_it_names_and_no_more() {
    let scene = Scene::new();
    let grants = scene.broker.json(&["grant", "list"]);
    scene.broker.does(&["grant", "remove", grants[0]["id"].as_str().unwrap()]);
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", "sftp"]);
    let outcome = scene.alice.exec(Way::Through, "echo no");
    assert!(outcome.status != Some(0) && outcome.stdout.is_empty(), "{outcome:?}");
    let listed = run(scene.alice.program("sftp", &["-q", "-b", "-", "through"]), "ls -1 /etc/hostname\n").ok();
    assert!(listed.text().ends_with("\n/etc/hostname\n"), "{listed:?}");
    let forward = scene.alice.ssh(&["-W", &format!("127.0.0.1:{}", scene.host.port), "through"]);
    let outcome = run(forward, "");
    assert!(outcome.status != Some(0) && !outcome.text().contains("SSH-2.0"), "a way out was given: {outcome:?}");
    assert!(scene.broker.audit().iter().any(|e| e["event"] == "channel.refused"));
}

#[test]
fn a_host_that_says_nothing_is_given_up() {
    let scene = Scene::with(Settings { config: "[host]\nhandshake_timeout = \"1s\"\n".to_owned(), ..Settings::default() });
    let silent = Silent::start();
    scene.broker.does(&["host", "add", "web-2", &silent.address(), "--credential", "deploy", "--host-key", &scene.host.host_key.public]);
    scene.grant("alice", "web-2");
    let errors = refused(&run(scene.alice.ssh(&["-l", "web-2", "through", "true"]), ""));
    assert!(errors.contains("within"), "{errors}");
    let session = scene.broker.ended_session();
    assert_eq!(session["end_reason"], "unreachable");
    assert!(!scene.broker.trail(&session).iter().any(|e| e.starts_with("lease.")));
}

#[test]
fn a_host_that_is_down_is_said_to_be() {
    let scene = Scene::new();
    let port = crate::world::sshd::free_port();
    scene.broker.does(&[
        "host",
        "add",
        "web-2",
        &format!("127.0.0.1:{port}"),
        "--credential",
        "deploy",
        "--host-key",
        &scene.host.host_key.public,
    ]);
    scene.grant("alice", "web-2");
    let errors = refused(&run(scene.alice.ssh(&["-l", "web-2", "through", "true"]), ""));
    assert!(errors.contains(&format!("127.0.0.1:{port}")), "{errors}");
    assert_eq!(scene.broker.ended_session()["end_reason"], "unreachable");
}
