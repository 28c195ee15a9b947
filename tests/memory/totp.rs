//! A second factor: its secret is shown once, while it is enrolled, and is nowhere after that; nor is it after a code was judged by it.
//! Recovery codes are shown once, too.

use crate::scan::{Needle, Scanner, needles, text};
use crate::world::broker::Settings;
use crate::world::codes::{STEP, code, decoded, seconds};
use crate::world::terminal::Terminal;
use crate::world::{Scene, eventually};

#[test]
fn the_secret_of_a_second_factor_is_gone_once_it_was_shown_and_once_it_was_used() {
    assert!(!cfg!(debug_assertions), "a debug build keeps pieces of secrets on its stacks\nhint: cargo test --release, or make test");
    let scene = Scene::with(Settings::default());
    let grant = scene.broker.json(&["grant", "list"])[0]["id"].as_str().unwrap().to_owned();
    scene.broker.does(&["grant", "remove", &grant]);
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", "exec", "--second-factor"]);
    let offered = scene.alice.verb("alice", "user totp enroll", "").ok().text();
    let base32 = offered.split("secret=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let secret = decoded(&base32);
    let mut planted: Vec<Needle> = needles("the secret", &secret);
    planted.extend(text("the secret as it was shown", &base32));
    // What HMAC makes of the key before it hashes anything.
    for (name, pad) in [("the inner key", 0x36), ("the outer key", 0x5c)] {
        planted.extend(needles(name, &secret.iter().map(|b| b ^ pad).collect::<Vec<u8>>()));
    }
    let shown = Scanner::new(planted);
    let clean = |scanner: &Scanner, when: &str| {
        eventually(when, || scanner.search(scene.broker.id()).is_empty().then_some(()));
    };
    clean(&shown, "after the offer was shown, nothing of it is there");
    let confirmed = scene.alice.verb("alice", "user totp confirm", code(&secret, seconds() / STEP)).ok().text();
    clean(&shown, "after it was confirmed");
    let recovery = Scanner::new(confirmed.lines().flat_map(|code| text("a recovery code", code)));
    clean(&recovery, "after the recovery codes were shown");
    let code = confirmed.lines().next().unwrap().to_owned();
    let ssh = scene.alice.ssh(&["-o", "BatchMode=no", "through", "echo ready-$((40+2)); read line"]);
    let mut ssh = Terminal::start(&ssh, 24, 120);
    ssh.until("One-time code for alice:");
    ssh.write("000000\n");
    ssh.until("One-time code for alice:");
    clean(&shown, "after a wrong code was judged");
    ssh.write(&format!("{code}\n"));
    ssh.until("ready-42");
    clean(&shown, "while the session lives");
    clean(&recovery, "after a recovery code was taken");
    ssh.write("\n");
    ssh.end();
    scene.broker.does(&["user", "totp", "remove", "alice"]);
    clean(&shown, "after it was removed");
}
