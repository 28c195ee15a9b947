//! Keys that are made inside: generated ones, those of certificate authorities, and those that live for one sign-in. None of
//! them is ever anywhere but in the keeper's hands.

use crate::opened::Opened;
use crate::scan::{Needle, Scanner};
use crate::world::account::NAME;
use crate::world::broker::Settings;
use crate::world::{Scene, Sshd, Way, run};
use crate::{secrets, seeds};

const KEYS: &str = "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n";

/// Nothing of what these needles were made of is in the broker's memory.
#[track_caller]
fn clean(scene: &Scene, scanner: &Scanner, when: &str) {
    let hits = scanner.search(scene.broker.id());
    let shown: Vec<String> = hits.iter().take(12).map(ToString::to_string).collect();
    assert!(hits.is_empty(), "{when}: {} pieces of the secret are in the broker's memory:\n{}", hits.len(), shown.join("\n"));
}

/// Waits until no session lives.
fn ended(scene: &Scene) {
    crate::world::eventually("the session has ended", || scene.broker.live().is_empty().then_some(()));
}

fn bare() -> Scene {
    assert!(!cfg!(debug_assertions), "a debug build keeps pieces of secrets on its stacks\nhint: cargo test --release, or make test");
    Scene::bare(Settings::default(), Some(KEYS))
}

fn generated(kind: &str) {
    let scene = bare();
    let generate =
        |name: &str| scene.broker.does(&["credential", "generate", name, "--type", kind, "--scope", "workspace", "--username", NAME]);
    let line = generate("deploy");
    let (stored, raw) = Opened::of(&scene.broker).credential("deploy");
    let scanner = Scanner::new(secrets::of_raw("the generated key", &stored, &raw));
    clean(&scene, &scanner, "after it was generated");
    std::fs::write(scene.dir().join("web-1/authorized_keys"), line).unwrap();
    scene.add_host("web-1", &scene.host, "deploy");
    scene.grant("alice", "web-1");
    clean(&scene, &scanner, "after it was bound to a host");
    let stay = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"), "{}", scene.host.log());
    clean(&scene, &scanner, "while the session lives");
    drop(stay);
    ended(&scene);
    clean(&scene, &scanner, "after the session");
    scene.host.authorize(&[]);
    assert_eq!(run(scene.alice.ssh(&["through", "true"]), "").status, Some(255));
    clean(&scene, &scanner, "after the host refused it");
    scene.broker.refuses(&["credential", "generate", "deploy", "--type", kind, "--scope", "workspace", "--username", NAME]);
    generate("another");
    clean(&scene, &scanner, "after others were generated");
    let (stored, raw) = Opened::of(&scene.broker).credential("another");
    clean(&scene, &Scanner::new(secrets::of_raw("the other key", &stored, &raw)), "after it was generated as the second");
    scene.broker.does(&["credential", "delete", "deploy"]);
    clean(&scene, &scanner, "after it was deleted");
}

#[test]
fn a_generated_ed25519_key_leaves_nothing() {
    generated("ed25519");
}

#[test]
fn a_generated_ecdsa_key_leaves_nothing() {
    generated("ecdsa-p256");
    generated("ecdsa-p521");
}

#[test]
fn a_generated_rsa_key_leaves_nothing() {
    generated("rsa-4096");
}

/// The fingerprints of the keys that certificates were shown for, as the host's log has them.
fn shown(host: &Sshd) -> Vec<String> {
    let log = host.log();
    let of = |line: &str| line.split("ED25519-CERT ").nth(1).and_then(|rest| rest.split(' ').next()).map(str::to_owned);
    log.lines().filter(|l| l.starts_with("Accepted publickey") || l.starts_with("Failed publickey")).filter_map(of).collect()
}

fn certified(kind: &str) {
    let scene = bare();
    scene.broker.does(&["ca", "create", "--type", kind]);
    let needles = |stage: &str| -> Vec<Needle> {
        let (stored, raw) = Opened::of(&scene.broker).authority(stage);
        secrets::of_raw("the authority's key", &stored, &raw)
    };
    let scanner = Scanner::new(needles("signing"));
    clean(&scene, &scanner, "after it was made");
    let place = scene.place("ca-host");
    let trusted = place.join("trusted");
    let host = Sshd::with(&place, &[], &format!("{KEYS}TrustedUserCAKeys {}\n", trusted.display()));
    let trust = || std::fs::write(&trusted, scene.broker.does(&["ca", "public-key"])).unwrap();
    trust();
    scene.broker.does(&["credential", "add", "deploy", "--username", NAME, "--certificate"]);
    scene.add_host("web-1", &host, "deploy");
    scene.grant("alice", "web-1");
    let gone = |count: usize, when: &str| {
        let keys = shown(&host);
        assert_eq!(keys.len(), count, "{}", host.log());
        let (found, tried) = seeds::search(scene.broker.id(), &keys);
        assert!(tried > 1000, "only {tried} places could have held a seed: this is no whole process");
        assert_eq!(found, 0, "{when}: the key of a certificate is in the broker's memory");
    };

    let stay = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"), "{}", host.log());
    clean(&scene, &scanner, "while the session lives");
    gone(1, "while the session lives");
    drop(stay);
    ended(&scene);
    clean(&scene, &scanner, "after the session");
    gone(1, "after the session");

    std::fs::write(&trusted, "").unwrap();
    assert_eq!(run(scene.alice.ssh(&["through", "true"]), "").status, Some(255));
    clean(&scene, &scanner, "after the host refused a certificate");
    gone(2, "after the host refused a certificate");

    scene.broker.does(&["ca", "rotate"]);
    let next = Scanner::new(needles("next"));
    clean(&scene, &next, "after the next key was made");
    scene.broker.does(&["ca", "rotate", "--switch"]);
    trust();
    run(scene.alice.ssh(&["through", "true"]), "").ok();
    clean(&scene, &next, "after a sign-in with the next key's certificate");
    clean(&scene, &scanner, "after a sign-in with the next key's certificate, of the old one");
    scene.broker.does(&["ca", "retire"]);
    clean(&scene, &scanner, "after the old key was retired");
}

#[test]
fn an_ed25519_authority_and_the_keys_of_its_certificates_leave_nothing() {
    certified("ed25519");
}

#[test]
fn an_ecdsa_authority_and_the_keys_of_its_certificates_leave_nothing() {
    certified("ecdsa-p256");
}

#[test]
fn an_rsa_authority_and_the_keys_of_its_certificates_leave_nothing() {
    certified("rsa-4096");
}
