//! A key in PuTTY's format, with its passphrase and without: once it is imported, nothing of either is in the broker's memory.

use std::path::Path;

use crate::scan::Scanner;
use crate::secrets;
use crate::world::account::NAME;
use crate::world::broker::Settings;
use crate::world::process::command;
use crate::world::{Scene, nonce, run};

/// The same key as PuTTY keeps it.
fn putty(key: &Path, to: &Path, passphrase: &str, version: &str) {
    let words = to.with_extension("words");
    std::fs::write(&words, passphrase).unwrap();
    let mut puttygen = command("puttygen");
    puttygen.arg(key).args(["-O", "private", "--random-device", "/dev/urandom", "--ppk-param", version, "-o"]).arg(to);
    puttygen.arg("--new-passphrase").arg(&words);
    run(puttygen, "").ok();
}

#[test]
fn a_putty_key_and_its_passphrase_are_gone_once_it_is_imported() {
    assert!(!cfg!(debug_assertions), "a debug build keeps pieces of secrets on its stacks\nhint: cargo test --release, or make test");
    let scene = Scene::bare(Settings::default(), None);
    let (broker, passphrase) = (&scene.broker, nonce(40));
    let (v2, id, d) = ("version=2", "version=3,memory=1024,passes=2", "version=3,kdf=argon2d,memory=8192,passes=1");
    for (kind, flags, versions) in [
        ("ed25519", &["-t", "ed25519"][..], &[v2, id][..]),
        ("ecdsa", &["-t", "ecdsa", "-b", "384"], &[d]),
        ("rsa", &["-t", "rsa", "-b", "2048"], &[id]),
    ] {
        let key = secrets::key(scene.dir(), &format!("{kind}-key"), flags);
        let mut needles = secrets::of_key(kind, &key);
        needles.extend(secrets::of_text("the passphrase", &passphrase));
        let scanner = Scanner::new(needles);
        let clean = |when: &str| {
            let hits: Vec<String> = scanner.search(broker.id()).iter().take(12).map(ToString::to_string).collect();
            assert!(hits.is_empty(), "{kind}, {when}:\n{}", hits.join("\n"));
        };
        clean("before it was given");
        for (at, version) in versions.iter().enumerate() {
            let file = scene.dir().join(format!("{kind}-{at}.ppk"));
            let path = file.display().to_string();
            let name = format!("{kind}-{at}");
            let add = |name: &str| ["credential", "add", name, "--username", NAME, "--key", &path].map(str::to_owned);
            putty(&key.path, &file, &passphrase, version);
            let words = add(&name);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            broker.refuses_with(&words, "not the passphrase\n");
            clean("after a wrong passphrase");
            broker.does_with(&words, format!("{passphrase}\n"));
            clean("after it was imported with its passphrase");
            putty(&key.path, &file, "", version);
            let words = add(&format!("{name}-plain"));
            broker.does(&words.iter().map(String::as_str).collect::<Vec<_>>());
            clean("after it was imported without one");
        }
        scene.host.authorize(&[&key]);
        if kind == "ed25519" {
            broker.does(&["host", "add", "web-1", &scene.host.address(), "--host-key", &scene.host.host_key.public]);
            scene.grant("root", "web-1");
        }
        broker.does(&["credential", "attach", &format!("{kind}-0"), "--host", "web-1", "--mine"]);
        let outcome = run(scene.owner.ssh(&["through", "id -un"]), "").ok();
        assert_eq!(outcome.text(), format!("{NAME}\n"));
        clean("after it signed in");
    }
}
