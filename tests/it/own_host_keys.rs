//! The broker's own host keys: clients with `UpdateHostKeys` learn them, a new one is rolled in, and no other client is told.

use std::path::PathBuf;

use crate::world::keys::Key;
use crate::world::process::command;
use crate::world::{Client, Scene, Way, eventually, python, run};

const LEARNS: [&str; 2] = ["-o", "UpdateHostKeys=yes"];

fn file(client: &Client) -> PathBuf {
    client.config().with_file_name("known_hosts")
}

/// The keys that a client knows the broker by.
fn known(scene: &Scene, client: &Client) -> Vec<String> {
    let place = format!("[127.0.0.1]:{} ", scene.broker.port());
    let text = std::fs::read_to_string(file(client)).unwrap_or_default();
    let mut keys: Vec<String> = text.lines().filter_map(|l| l.strip_prefix(&place)).map(str::to_owned).collect();
    keys.sort();
    keys
}

/// The client knows the broker by these keys alone.
fn knows(scene: &Scene, client: &Client, keys: &[&str]) {
    let lines: Vec<String> = keys.iter().map(|key| format!("[127.0.0.1]:{} {key}\n", scene.broker.port())).collect();
    std::fs::write(file(client), lines.concat()).unwrap();
}

/// A connection that stays until the client knows these keys.
#[track_caller]
fn learns(scene: &Scene, client: &Client, options: &[&str], mut keys: Vec<&str>) {
    keys.sort_unstable();
    let mut stay = client.stay(Way::Through, &[&LEARNS[..], options].concat(), "cat");
    eventually("the client has learned the keys", || (known(scene, client) == keys).then_some(()));
    drop(stay.process.stdin());
    assert_eq!(stay.end(), (Some(0), String::new()));
}

#[test]
fn a_new_host_key_is_rolled_in_and_clients_go_on() {
    let mut scene = Scene::new();
    let of = |kind: &str| scene.broker.host_keys().iter().find(|k| k.starts_with(kind)).unwrap().clone();
    let (old, rsa) = (of("ssh-ed25519 "), of("ssh-rsa "));
    let bob = Client::new(&scene.dir().join("bob"));
    scene.broker.does(&["user", "add", "bob", "--role", "member", "--key", &bob.key.public_file().display().to_string()]);
    scene.grant("bob", "web-1");
    bob.knows(None, Some(&scene.broker), "web-1");
    // Each learns the key that the other knows, whichever proved the broker, with either hash.
    knows(&scene, &scene.alice, &[&old]);
    learns(&scene, &scene.alice, &[], vec![&old, &rsa]);
    for hash in ["rsa-sha2-256", "rsa-sha2-512"] {
        knows(&scene, &bob, &[&rsa]);
        learns(&scene, &bob, &["-o", &format!("HostKeyAlgorithms={hash},ssh-ed25519")], vec![&old, &rsa]);
    }
    // The next key lies beside the other: announced, and not used.
    let place = scene.broker.home().join("ssh_host_ed25519_next_key");
    let next = Key::new(&place);
    scene.broker.stop();
    scene.broker.serve();
    assert_eq!(
        crate::world::broker::scan(scene.broker.port()).iter().filter(|k| k.starts_with("ssh-ed25519 ")).collect::<Vec<_>>(),
        [&old]
    );
    learns(&scene, &scene.alice, &[], vec![&old, &rsa, &next.public]);
    // It takes the other's place. Who learned it goes on and forgets the old one; who did not is protected as ever.
    std::fs::rename(&place, scene.broker.home().join("ssh_host_ed25519_key")).unwrap();
    scene.broker.stop();
    scene.broker.serve();
    assert_eq!(scene.broker.fingerprint(), next.fingerprint);
    learns(&scene, &scene.alice, &[], vec![&rsa, &next.public]);
    knows(&scene, &bob, &[&old]);
    let refused = bob.exec_with(Way::Through, &["-o", "HostKeyAlgorithms=ssh-ed25519"], "true", "");
    assert_eq!(refused.status, Some(255), "{refused:?}");
    assert!(refused.errors().contains("Host key verification failed"), "{refused:?}");
}

#[test]
fn a_client_that_is_not_opensshs_is_told_nothing_and_may_ask_for_what_is_there() {
    let scene = Scene::new();
    let mut program = command(python());
    program
        .arg(crate::world::peer_script("host_keys_asked.py"))
        .args([&scene.broker.port().to_string(), "web-1"])
        .arg(&scene.alice.key.path);
    let said = run(program, "").ok().text();
    assert_eq!(said.trim(), "told-none proved refused refused bounded alive", "{said}");
}
