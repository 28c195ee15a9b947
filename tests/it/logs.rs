//! What the broker logs: no secret, no word of its libraries, and nothing that a terminal would obey.

use std::path::Path;

use crate::credentials::refused;
use crate::world::account::{NAME, account};
use crate::world::broker::Settings;
use crate::world::keys::Key;
use crate::world::{Scene, Way, nonce};

/// Everything that lies in the broker's home and log.
fn everything(scene: &Scene) -> Vec<(String, Vec<u8>)> {
    let mut found = vec![("the log".to_owned(), scene.broker.log().into_bytes())];
    collect(&scene.broker.home(), &mut found);
    found
}

fn collect(dir: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), found);
        } else if let Ok(bytes) = std::fs::read(entry.path()) {
            found.push((entry.path().display().to_string(), bytes));
        }
    }
}

#[test]
fn neither_log_nor_files_hold_a_secret_or_a_librarys_words() {
    const SSHD: &str = "PasswordAuthentication yes\nKbdInteractiveAuthentication no\nUsePAM yes\n";
    for format in ["text", "json"] {
        let config = format!("[log]\nlevel = \"debug\"\nformat = \"{format}\"\n");
        let settings = Settings { config, env: vec![("RUST_LOG", "trace")], ..Settings::default() };
        let scene = Scene::bare(settings, Some(SSHD));
        let passphrase = nonce(30);
        let wrong = nonce(30);
        let locked = Key::make(scene.dir().join("locked"), &["-t", "ed25519"], &passphrase);
        let file = locked.path.display().to_string();
        scene.broker.does_with(
            &["credential", "add", "password", "--scope", "workspace", "--username", NAME, "--password"],
            account().password.as_str(),
        );
        scene.broker.does_with(&["credential", "add", "wrong", "--scope", "workspace", "--username", NAME, "--password"], wrong.as_str());
        scene.broker.does_with(
            &["credential", "add", "locked", "--scope", "workspace", "--username", NAME, "--key", &file],
            format!("{passphrase}\n"),
        );
        scene
            .broker
            .refuses_with(&["credential", "add", "bad", "--scope", "workspace", "--username", NAME, "--key", &file], format!("{wrong}\n"));
        scene
            .broker
            .does_with(&["credential", "add", "deploy", "--scope", "workspace", "--username", NAME, "--key", "-"], scene.deploy.private());
        scene.add_host("web-1", &scene.host, "password");
        scene.grant("alice", "web-1");
        for name in ["wrong", "locked", "deploy"] {
            scene.broker.does(&["credential", "attach", name, "--host", "web-1"]);
        }
        scene.alice.exec(Way::Through, "true").ok();
        crate::world::run(scene.alice.ssh(&["-l", "deploy@web-1", "through", "true"]), "").ok();
        for name in ["wrong", "locked"] {
            refused(&crate::world::run(scene.alice.ssh(&["-l", &format!("{name}@web-1"), "through", "true"]), ""));
        }
        // What somebody typed for a verb is not for the log either.
        let typed = nonce(30);
        scene.alice.verb("alice", "credential add mine --username x --password --scope personal", typed.as_str()).ok();

        let pem: String = String::from_utf8(scene.deploy.private()).unwrap();
        let line = pem.lines().rev().nth(2).unwrap();
        for secret in [account().password.as_str(), &wrong, &passphrase, &typed, line] {
            for (place, bytes) in everything(&scene) {
                assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "a secret lies in {place}");
            }
        }
        let log = scene.broker.log();
        assert!(!log.is_empty(), "nothing is logged at all");
        for word in ["russh", "rustls", "rusqlite", "mio::", "tokio"] {
            assert!(!log.contains(word), "a library speaks in the log ({word}):\n{}", log.lines().find(|l| l.contains(word)).unwrap());
        }
        if format == "json" {
            for line in log.lines() {
                serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            }
        }
    }
}

#[test]
fn what_a_stranger_writes_is_harmless_in_the_log() {
    let scene = Scene::with(Settings { config: "[log]\nlevel = \"debug\"\n".to_owned(), ..Settings::default() });
    for user in ["\x1b]0;title\x07\x1b[2Jweb-1", "web-1\u{202e}", "a\nfaked line", "\u{9b}31m"] {
        let outcome = crate::world::run(scene.alice.ssh(&["-o", &format!("User={user}"), "through", "true"]), "");
        assert_ne!(outcome.status, Some(0));
    }
    scene.alice.exec(Way::Through, "printf '\\033[31m' '\u{202e}'; true").ok();
    for text in [scene.broker.log(), scene.broker.does(&["audit", "list"]), scene.broker.does(&["session", "list"])] {
        let bad = text.chars().find(|c| (c.is_control() && *c != '\n') || matches!(c, '\u{202a}'..='\u{202e}'));
        assert_eq!(bad, None, "{text:?}");
        assert!(!text.lines().any(|l| l.starts_with("faked line")), "{text}");
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_kept_nowhere() {
    let scene = Scene::with(Settings { config: "[log]\nlevel = \"debug\"\n".to_owned(), ..Settings::default() });
    let pem = String::from_utf8(scene.deploy.private()).unwrap();
    let line = pem.lines().nth(2).unwrap();
    let [typed, piped, refused_one, broken] = [nonce(30), nonce(30), nonce(30), nonce(30)];
    // A private key where a public one is wanted, from standard input and as an argument.
    scene.broker.refuses_with(&["user", "add", "bob", "--key", "-"], pem.as_str());
    scene.broker.refuses(&["user", "add", "bob", "--key", &pem]);
    scene.broker.refuses_with(&["host", "add", "web-3", "192.0.2.1", "--host-key", "-"], pem.as_str());
    // A password as an account, where it is refused for its form; as standard input of what reads none; for a verb that is refused.
    scene.broker.refuses(&["credential", "add", "x", "--password", "--username", &format!("{typed} with a space")]);
    scene.broker.verb_with(&["host", "list"], piped.as_str()).ok();
    let forbidden = scene.alice.verb("alice", "credential add x --scope workspace --username root --password", refused_one.as_str());
    assert_eq!(forbidden.status, Some(1), "{forbidden:?}");
    // A request at the socket that breaks off in the middle of a secret, or is no request at all.
    for request in [format!("{{\"secret\": \"{broken}\"}}\n"), format!("\u{1}\u{0}\u{0}\u{0}{broken}")] {
        let mut socket = std::os::unix::net::UnixStream::connect(scene.broker.home().join("control.sock")).unwrap();
        std::io::Write::write_all(&mut socket, request.as_bytes()).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = std::io::Read::read_to_end(&mut socket, &mut answer);
        assert!(!answer.windows(12).any(|w| broken.as_bytes().windows(12).any(|b| b == w)), "it is said back");
    }
    let exported = scene.broker.does(&["audit", "export", "--format", "jsonl"]);
    for secret in [line, &typed, &piped, &refused_one, &broken] {
        assert!(!exported.contains(secret), "an export holds it");
        for (place, bytes) in everything(&scene) {
            assert!(!bytes.windows(16).any(|w| secret.as_bytes().windows(16).any(|s| s == w)), "a secret lies in {place}");
        }
    }
}
