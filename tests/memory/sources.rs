//! What was fetched from somebody else's vault, and what the broker showed there: none of it is in the broker's memory while the
//! session lives that was opened with it, nor after failures. Tokens are not kept by design: AppRole signs in for each use.

use serde_json::json;

use crate::scan::{Needle, Scanner};
use crate::secrets;
use crate::world::account::{NAME, account};
use crate::world::broker::Settings;
use crate::world::vault::Vault;
use crate::world::{Scene, Way, eventually, folder, open_to_all};

const SSHD: &str = "PasswordAuthentication yes\nKbdInteractiveAuthentication no\nUsePAM yes\n";

#[track_caller]
fn clean(scene: &Scene, scanner: &Scanner, when: &str) {
    let hits = scanner.search(scene.broker.id());
    let shown: Vec<String> = hits.iter().take(12).map(ToString::to_string).collect();
    assert!(hits.is_empty(), "{when}: {} pieces are in the broker's memory:\n{}", hits.len(), shown.join("\n"));
}

#[test]
fn nothing_that_was_fetched_or_shown_is_left_while_the_session_lives() {
    assert!(!cfg!(debug_assertions), "a debug build keeps pieces of secrets on its stacks\nhint: cargo test --release, or make test");
    let dir = folder();
    let mut vault = Vault::start(dir.path());
    let config = format!("{}{}", vault.source("role", "approle", ""), vault.source("corp", "token", ""));
    let program = dir.path().join("program");
    std::fs::write(&program, format!("#!/bin/sh\ncat {}/$1\n", dir.path().display())).unwrap();
    open_to_all(&program, 0o755);
    let config = format!("{config}[sources.exec]\ntype = \"exec\"\nargv = [\"{}\", \"{{path}}\"]\n", program.display());
    let sshd = format!("{SSHD}TrustedUserCAKeys {}\n", vault.file("ssh-ca.pub").display());
    let scene = Scene::bare(Settings { config, ..Settings::default() }, Some(&sshd));
    let key = String::from_utf8(scene.deploy.private()).unwrap();
    // The key has line breaks, so its text comes in escapes: it is decoded into a buffer of its own.
    vault.put("pw", json!({ "password": account().password }));
    vault.put("key", json!({ "private_key": key }));
    vault.state["roles"]["ops"] = json!({ "users": [NAME] });
    vault.store();
    std::fs::write(dir.path().join("pw"), &account().password).unwrap();
    std::fs::write(dir.path().join("key"), &key).unwrap();

    let mut needles: Vec<Needle> = secrets::of_text("the password", &account().password);
    needles.extend(secrets::of_key("the key", &scene.deploy));
    needles.extend(secrets::of_text("the token", vault.token.trim_start_matches("hvs.")));
    needles.extend(secrets::of_text("the secret id", &vault.secret_id));
    let scanner = Scanner::new(needles);
    clean(&scene, &scanner, "before anything was fetched");

    let credential = |name: &str, words: &[&str]| {
        let mut all = vec!["credential", "add", name, "--username", NAME, "--scope", "workspace"];
        all.extend_from_slice(words);
        scene.broker.does(&all);
    };
    let mut names = Vec::new();
    for source in ["role", "corp", "exec"] {
        for kind in ["pw", "key", "cert"] {
            let name = format!("{kind}-{source}");
            match kind {
                "pw" => credential(&name, &["--password", "--from", source, "--path", "pw"]),
                "key" => credential(&name, &["--key", "--from", source, "--path", "key"]),
                _ if source == "exec" => continue,
                _ => credential(&name, &["--certificate", "--from", source, "--path", "ops"]),
            }
            names.push(name);
        }
    }
    scene.add_host("web-1", &scene.host, &names[0]);
    scene.grant("alice", "web-1");
    for name in &names {
        scene.broker.does(&["credential", "attach", name, "--host", "web-1"]);
        let mut stay = scene.alice.stay(Way::Through, &[], "echo in; cat");
        assert_eq!(stay.lines.next().as_deref(), Some("in"), "{name}");
        clean(&scene, &scanner, &format!("{name}: while the session lives"));
        drop(stay.process.stdin());
        stay.end();
        clean(&scene, &scanner, &format!("{name}: after the session"));
    }
    // Failures, after the secret was read: another kind than the credential's, and a vault that breaks off.
    vault.put("key", json!({ "private_key": account().password }));
    vault.put("pw", json!({ "password": format!("{}\u{0}", account().password) }));
    for name in ["pw-role", "key-role"] {
        scene.broker.does(&["credential", "attach", name, "--host", "web-1"]);
        let outcome = scene.alice.exec(Way::Through, "true");
        assert!(outcome.status == Some(255) && outcome.errors().contains("cannot be used"), "{name}: {outcome:?}");
        eventually("nothing is left of what could not be used", || scanner.search(scene.broker.id()).is_empty().then_some(()));
    }
}
