//! `docs/credentials.md`, followed from the top: what stands there in blocks of the console is run, in that order, against a real
//! host, with the real binary and a stock `ssh`.

use std::collections::BTreeMap;

use crate::world::account::account;
use crate::world::broker::Settings;
use crate::world::{Outcome, Scene, checkout, run};

/// The commands of the document's blocks.
fn commands() -> Vec<String> {
    let text = std::fs::read_to_string(checkout().join("docs/credentials.md")).expect("the document");
    let mut inside = false;
    let mut out = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside {
            out.extend(line.strip_prefix("$ ").map(str::to_owned));
        }
    }
    out
}

/// One that uses the account of the test hosts, whose home it writes, and ends with it as it was.
struct AuthorizedKeys {
    path: std::path::PathBuf,
    before: Option<Vec<u8>>,
}

impl AuthorizedKeys {
    fn take(home: &std::path::Path) -> Self {
        let path = home.join(".ssh/authorized_keys");
        Self { before: std::fs::read(&path).ok(), path }
    }
}

impl Drop for AuthorizedKeys {
    fn drop(&mut self) {
        match &self.before {
            Some(bytes) => drop(std::fs::write(&self.path, bytes)),
            None => drop(std::fs::remove_file(&self.path)),
        }
    }
}

#[test]
fn the_document_can_be_followed_from_the_top() {
    // The host takes passwords, and keys from where the account keeps them, as hosts do.
    let keys = account().home.join(".ssh/authorized_keys");
    let _restored = AuthorizedKeys::take(&account().home);
    let lines = "PasswordAuthentication yes\nKbdInteractiveAuthentication no\nUsePAM yes\nAuthorizedKeysFile .ssh/authorized_keys\n";
    let scene = Scene::bare(Settings::default(), Some(lines));
    let _ = std::fs::remove_file(&keys);
    let fingerprint = &scene.host.host_key.fingerprint;
    // What is the reader's own: names of machines, the account, the answer to a question.
    let own: BTreeMap<&str, String> = BTreeMap::from([
        ("10.0.0.11", scene.host.address()),
        ("--username deploy", format!("--username {}", crate::world::account::NAME)),
        ("host trust web-1", format!("host trust web-1 --fingerprint {fingerprint}")),
    ]);
    let commands = commands();
    assert!(commands.len() > 15, "{commands:?}");
    for verb in ["add", "test", "generate", "install", "rotate", "delete"] {
        assert!(commands.iter().any(|c| c.contains(&format!("keyward credential {verb} "))), "the document has no `credential {verb}`");
    }
    for shown in commands {
        let mut command = shown.clone();
        for (theirs, ours) in &own {
            command = command.replace(theirs, ours);
        }
        let words: Vec<&str> = command.split_whitespace().collect();
        let outcome: Outcome = match words.as_slice() {
            ["keyward", words @ ..] => {
                let stdin = if words.contains(&"--password") { account().password.clone() } else { String::new() };
                scene.broker.verb_with(words, stdin)
            }
            ["ssh", "-p", "2222", target, remote @ ..] => {
                let selector = target.strip_suffix("@broker").expect("a broker");
                run(scene.alice.ssh(&["-l", selector, "through", &remote.join(" ")]), "")
            }
            other => panic!("the test does not know what to make of {other:?}"),
        };
        assert_eq!(outcome.status, Some(0), "$ {shown}\n{outcome:?}\n{}", scene.host.log());
        match words.as_slice() {
            ["ssh", .., "id", "-un"] => assert_eq!(outcome.text().trim(), crate::world::account::NAME, "{shown}"),
            ["keyward", "credential", "install", ..] => {
                assert_eq!(std::fs::read_to_string(&keys).expect("authorized_keys").lines().count(), 1, "{shown}");
            }
            ["keyward", "credential", "rotate", ..] => {
                let kept = std::fs::read_to_string(&keys).expect("authorized_keys");
                let public = scene.broker.does(&["credential", "public-key", "deploy"]);
                assert_eq!(kept.lines().count(), 1, "the old key is gone: {kept}");
                assert_eq!(kept.split_whitespace().nth(1), public.split_whitespace().nth(1), "{kept}\n{public}");
            }
            _ => {}
        }
    }
    // At the end nothing opens the host any more, and the list is empty.
    let refused = run(scene.alice.ssh(&["-l", "web-1", "through", "id -un"]), "");
    assert_eq!(refused.status, Some(255), "{refused:?}");
    assert_eq!(scene.broker.json(&["credential", "list"]).as_array().map(Vec::len), Some(0));
    scene.broker.does(&["audit", "verify"]);
}
