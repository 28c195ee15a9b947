//! Clients that show one key after the other on one connection, each in its own way.

use crate::world::keys::Key;
use crate::world::process::command;
use crate::world::{Scene, Way, peer_script, python, run};

#[test]
fn a_client_whose_first_key_is_unknown_signs_in_with_its_second() {
    let scene = Scene::new();
    let first = Key::new(scene.dir().join("first"));
    let [straight, through] = Way::BOTH.map(|way| {
        let (port, user, key) = match way {
            Way::Straight => (scene.host.port, crate::world::account::NAME, &scene.alice.own),
            Way::Through => (scene.broker.port(), "web-1", &scene.alice.key),
        };
        // paramiko asks for the service before each attempt.
        let mut program = command(python());
        program.arg(peer_script("second_key.py")).args([&port.to_string(), user]).arg(&first.path).arg(&key.path);
        let paramiko = run(program, "").ok();
        let identity = format!("IdentityFile={}", first.path.display());
        let openssh = scene.alice.exec_with(way, &["-o", &identity], "echo here", "").ok();
        (paramiko, openssh)
    });
    assert_eq!(straight, through, "first straight, then through the broker");
    assert_eq!(through.0.text(), "refused 2 here\n");
}
