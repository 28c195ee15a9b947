//! How hosts prove who they are beyond one pinned key: certificates that a host CA signed, and keys that a host announces
//! and proves after the sign-in.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::credentials::refused;
use crate::world::account::NAME;
use crate::world::broker::Settings;
use crate::world::keys::Key;
use crate::world::process::command;
use crate::world::{Process, Scene, Sshd, eventually, nonce, peer_script, python, run};

const LOCKED: &str = "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n";

/// Signs a host's key with `ssh-keygen` and these options; the lines that have sshd show the certificate.
#[track_caller]
fn certified(ca: &Key, host_key: &Key, options: &[&str]) -> String {
    let mut keygen = command("ssh-keygen");
    keygen.args(["-q", "-I", "a-host", "-s"]).arg(&ca.path).args(options).arg(host_key.public_file());
    run(keygen, "").ok();
    format!("{LOCKED}HostCertificate {}-cert.pub\n", host_key.path.display())
}

/// A broker without hosts, whose workspace has the credential `deploy`; Alice may use every host.
#[track_caller]
fn empty(lines: &str) -> Scene {
    let scene = Scene::bare(Settings { config: lines.to_owned(), ..Settings::default() }, None);
    scene
        .broker
        .does_with(&["credential", "add", "deploy", "--scope", "workspace", "--username", NAME, "--key", "-"], scene.deploy.private());
    scene.grant("alice", "*");
    scene
}

/// A host whose certificate was made like this, known to the broker by its address alone.
#[track_caller]
fn joins(scene: &Scene, name: &str, kind: &[&str], certificate: impl FnOnce(&Key) -> String) -> Sshd {
    let place = scene.place(name);
    let host_key = Key::make(place.join("host_key"), kind, "");
    let lines = certificate(&host_key);
    let host = Sshd::with_host_key(&place, &[&scene.deploy, &scene.alice.own], &lines, host_key);
    scene.broker.does(&["host", "add", name, &host.address(), "--credential", "deploy"]);
    host
}

#[track_caller]
fn works(scene: &Scene, host: &str) {
    let outcome = run(scene.alice.ssh(&["-l", host, "through", "id -un"]), "");
    assert_eq!((outcome.status, outcome.text()), (Some(0), format!("{NAME}\n")), "{outcome:?}");
}

#[track_caller]
fn fails(scene: &Scene, host: &str) -> String {
    refused(&run(scene.alice.ssh(&["-l", host, "through", "id -un"]), ""))
}

fn pins(scene: &Scene, host: &str) -> Vec<Value> {
    scene.broker.json(&["host", "show", host])["host_keys"].as_array().unwrap().clone()
}

fn pinned(scene: &Scene, host: &str) -> Vec<String> {
    pins(scene, host).iter().map(|pin| pin["fingerprint"].as_str().unwrap().to_owned()).collect()
}

const ED25519: &[&str] = &["-t", "ed25519"];
const ECDSA: &[&str] = &["-t", "ecdsa"];
const GOOD: &[&str] = &["-h", "-n", "web.example.com,127.0.0.1", "-V", "-1h:+1h"];

#[test]
fn a_certificate_of_a_trusted_ca_stands_in_for_a_pin() {
    let scene = empty("");
    let kinds: [(&[&str], &[&str]); 3] = [(ED25519, ED25519), (ECDSA, &["-t", "rsa", "-b", "2048"]), (&["-t", "rsa", "-b", "3072"], ECDSA)];
    for (number, (ca_kind, host_kind)) in kinds.into_iter().enumerate() {
        let name = format!("web-{number}0");
        let ca = Key::make(scene.dir().join(format!("ca-{number}")), ca_kind, "");
        let host = joins(&scene, &name, host_kind, |key| certified(&ca, key, GOOD));
        assert!(fails(&scene, &name).contains("no key is pinned"), "nobody vouches for it yet");
        let ca_name = format!("ca-{number}");
        // As a line of known_hosts, and over the other door.
        let line = format!("@cert-authority [127.0.0.*]:{} {} a comment\n", host.port, ca.public);
        scene.owner.verb("root", &format!("host-ca add {ca_name} -"), line).ok();
        works(&scene, &name);
        assert_eq!(pinned(&scene, &name), [format!("CA:{}", ca.fingerprint)]);
        let signed_in = scene.broker.events("session.signed_in").pop().unwrap();
        assert_eq!(signed_in["detail"]["host_key"], host.host_key.fingerprint.as_str(), "{signed_in}");
        assert_eq!(signed_in["detail"]["host_ca"], format!("CA:{}", ca.fingerprint).as_str());
        let tried = scene.broker.verb(&["credential", "test", "deploy", "--host", &name]);
        assert_eq!(tried.status, Some(0), "{tried:?}");
        // Whoever vouches no more is believed no more.
        scene.broker.does(&["host-ca", "remove", &ca_name]);
        assert!(fails(&scene, &name).contains("no key is pinned"));
        assert!(pinned(&scene, &name).is_empty());
    }
    assert_eq!(scene.broker.events("host_ca.added").len(), 3);
    assert_eq!(scene.broker.events("host_ca.removed").len(), 3);
}

#[test]
fn a_certificate_that_does_not_fit_is_sent_nothing() {
    let scene = empty("");
    let (ca, other) = (Key::new(scene.dir().join("ca")), Key::new(scene.dir().join("other-ca")));
    let rsa = Key::make(scene.dir().join("rsa-ca"), &["-t", "rsa", "-b", "3072"], "");
    scene.broker.does(&["host-ca", "add", "corp", &ca.public, "--hosts", "127.0.0.1"]);
    scene.broker.does(&["host-ca", "add", "old", &rsa.public, "--hosts", "127.0.0.1"]);
    let cases: [(&str, &Key, &[&str], &str); 7] = [
        ("expired", &ca, &["-h", "-n", "127.0.0.1", "-V", "-2h:-1h"], "has expired"),
        ("early", &ca, &["-h", "-n", "127.0.0.1", "-V", "+1h:+2h"], "not valid yet"),
        ("elsewhere", &ca, &["-h", "-n", "127.0.0.2,localhost"], "is for 127.0.0.2 localhost"),
        ("anywhere", &ca, &["-h"], "names no host"),
        ("stranger", &other, &["-h", "-n", "127.0.0.1"], "is no CA of this host"),
        ("person", &ca, &["-n", "127.0.0.1"], "one of a person"),
        ("sha1", &rsa, &["-h", "-n", "127.0.0.1", "-t", "ssh-rsa"], "not safe any more"),
    ];
    for (name, ca, options, why) in cases {
        let host = joins(&scene, name, ED25519, |key| certified(ca, key, options));
        let errors = fails(&scene, name);
        assert!(errors.contains(why) && errors.contains(&host.host_key.fingerprint), "{name}: {errors}");
        assert_eq!((host.sign_ins(), host.refusals()), (0, 0), "{name}: {}", host.log());
        let session = scene.broker.sessions().into_iter().find(|s| s["host"] == name).unwrap();
        assert_eq!(session["end_reason"], "host_key");
        let trail = scene.broker.trail(&session);
        assert!(trail.iter().any(|e| e == "host.key_mismatch") && !trail.iter().any(|e| e.starts_with("lease.")), "{trail:?}");
    }
    // No certificate at all; and a pin of the key is as good as a certificate.
    let host = joins(&scene, "bare", ED25519, |_| LOCKED.to_owned());
    assert!(fails(&scene, "bare").contains("it has no certificate"));
    scene.broker.does(&["host", "trust", "bare", "--fingerprint", &host.host_key.fingerprint]);
    works(&scene, "bare");
    assert_eq!(pins(&scene, "bare").len(), 3, "its key, and both authorities");
}

#[test]
fn who_may_name_a_ca_and_what_is_taken_for_one() {
    let scene = empty("");
    let ca = Key::new(scene.dir().join("ca"));
    let refused = scene.alice.verb("alice", "host-ca add corp - --hosts x", format!("{}\n", ca.public));
    assert!(refused.errors().contains("host-ca add"), "{refused:?}");
    scene.broker.refuses(&["host-ca", "add", "corp", &ca.public]);
    scene.broker.refuses(&["host-ca", "add", "corp", &ca.public, "--hosts", "a b"]);
    scene.broker.refuses(&["host-ca", "add", "corp", &ca.public, "--hosts", "!web"]);
    scene.broker.refuses(&["host-ca", "remove", "corp"]);
    assert!(scene.broker.json(&["host-ca", "list"]).as_array().unwrap().is_empty());
    scene.broker.does(&["host-ca", "add", "corp", &ca.public, "--hosts", "*.example.com"]);
    scene.broker.does(&["host-ca", "add", "corp", &ca.public, "--hosts", "*.example.com"]);
    scene.broker.refuses(&["host-ca", "add", "more", &ca.public, "--hosts", "*"]);
    // What is added later, or moves, is covered as well; and what moves away is not.
    scene.broker.does(&["host", "add", "web-2", "web-2.example.com"]);
    assert_eq!(pinned(&scene, "web-2"), [format!("CA:{}", ca.fingerprint)]);
    scene.broker.does(&["host", "edit", "web-2", "--address", "192.0.2.7"]);
    assert!(pinned(&scene, "web-2").is_empty());
    scene.broker.does(&["host", "edit", "web-2", "--address", "web-3.example.com:2222"]);
    assert_eq!(scene.broker.json(&["host-ca", "list"])[0]["covers"], 1);
    assert_eq!(scene.broker.events("host_ca.added").len(), 1);
}

/// The host `web-1` once more, on a port of its own, with these keys; the broker is told where it is.
#[track_caller]
fn again(scene: &Scene, place: &Path, first: &Key, more: &[&Key]) -> Sshd {
    let more: String = more.iter().map(|key| format!("HostKey {}\n", key.path.display())).collect();
    let host = Sshd::with_host_key(place, &[&scene.deploy, &scene.alice.own], &format!("{LOCKED}{more}"), first.clone());
    scene.broker.does(&["host", "edit", "web-1", "--address", &host.address()]);
    host
}

#[test]
fn a_key_that_the_host_proves_is_pinned_and_the_one_before_it_goes() {
    let scene = Scene::new();
    let place = scene.place("again");
    let old = scene.host.host_key.clone();
    let new = Key::make(scene.dir().join("new_host_key"), &["-t", "rsa", "-b", "2048"], "");
    let both = again(&scene, &place, &old, &[&new]);
    // Alice's own credential there follows by itself.
    scene.alice.verb("alice", &format!("credential add mine --username {NAME} --key -"), scene.alice.own.private()).ok();
    scene.alice.verb("alice", "credential attach mine --host web-1 --mine", "").ok();
    works(&scene, "web-1");
    eventually("the new key is pinned", || pinned(&scene, "web-1").contains(&new.fingerprint).then_some(()));
    let found = pins(&scene, "web-1");
    let pin = found.iter().find(|pin| pin["fingerprint"] == new.fingerprint.as_str()).unwrap();
    assert_eq!(pin["source"], format!("rotation from {}", old.fingerprint).as_str());
    assert_eq!(found.len(), 2, "{found:?}");
    let event =
        scene.broker.events("host.key_pinned").into_iter().find(|e| e["detail"]["fingerprint"] == new.fingerprint.as_str()).unwrap();
    assert!(event["session"].is_string(), "{event}");
    assert!(scene.broker.events("credential.detached").is_empty());
    works(&scene, "web-1");
    drop(both);
    // The old key is gone from the host: the new one proves it, and the old one is let go.
    let only = again(&scene, &place, &new, &[]);
    scene.alice.verb("alice", "credential attach mine --host web-1 --mine", "").ok();
    works(&scene, "web-1");
    eventually("the old key is let go", || (pinned(&scene, "web-1") == [new.fingerprint.clone()]).then_some(()));
    assert_eq!(scene.broker.events("host.key_unpinned").len(), 1);
    works(&scene, "web-1");
    drop(only);
    let _imposter = again(&scene, &place, &old, &[]);
    assert!(fails(&scene, "web-1").contains("HAS CHANGED"));
}

#[test]
fn a_key_that_the_host_cannot_prove_is_not_pinned() {
    let scene = Scene::new();
    let (own, other) = (Key::new(scene.dir().join("own")), Key::make(scene.dir().join("other"), ECDSA, ""));
    let mut program = command(python());
    program.arg(peer_script("forged_hostkeys.py")).arg(&own.path).arg(&other.path).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = Process::start(program);
    let port = process.lines().next().expect("it says its port");
    scene.broker.does_with(&["credential", "add", "any", "--scope", "workspace", "--username", NAME, "--password"], nonce(20));
    let address = format!("127.0.0.1:{port}");
    scene.broker.does(&["host", "add", "web-2", &address, "--credential", "any", "--host-key", &own.public]);
    scene.grant("alice", "web-2");
    run(scene.alice.ssh(&["-l", "web-2", "through", "true"]), "").ok();
    let found = eventually("the forgery is recorded", || scene.broker.events("host.key_unproved").pop());
    assert_eq!(found["detail"]["fingerprint"], other.fingerprint.as_str(), "{found}");
    assert_eq!(found["outcome"], "denied");
    assert_eq!(pinned(&scene, "web-2"), std::slice::from_ref(&own.fingerprint));
}

#[test]
fn nothing_is_learned_where_that_is_switched_off() {
    let scene = empty("[host]\nlearn_host_keys = false\n");
    let place = scene.place("two-keys");
    let more = Key::make(scene.dir().join("more"), ECDSA, "");
    let lines = format!("{LOCKED}HostKey {}\n", more.path.display());
    let host = Sshd::with(&place, &[&scene.deploy], &lines);
    scene.broker.does(&["host", "add", "web-1", &host.address(), "--credential", "deploy", "--host-key", &host.host_key.public]);
    works(&scene, "web-1");
    works(&scene, "web-1");
    assert_eq!(pinned(&scene, "web-1"), std::slice::from_ref(&host.host_key.fingerprint));
}
