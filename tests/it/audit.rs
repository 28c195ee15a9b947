//! The audit log: complete for every connection, and any change to it is named.

use crate::credentials::refused;
use crate::world::database::edit;
use crate::world::{Scene, Way};

#[test]
fn a_connection_leaves_a_complete_trail() {
    let scene = Scene::new();
    scene.alice.exec(Way::Through, "echo hello").ok();
    let session = scene.broker.ended_session();
    assert_eq!(
        scene.broker.trail(&session),
        ["session.permitted", "lease.opened", "lease.ended", "session.signed_in", "channel.opened", "session.ended"]
    );
    let entries = scene.broker.audit();
    for (i, entry) in entries.iter().enumerate() {
        assert_eq!(entry["seq"].as_u64(), Some(i as u64 + 1), "entries are numbered without a gap");
        for key in ["at", "event", "actor", "outcome", "hash"] {
            assert!(entry[key].is_string(), "{key}: {entry}");
        }
        assert!(entry.get("prev").is_some(), "{entry}");
    }
    for entry in entries.iter().filter(|e| e["session"] == session["id"]) {
        assert_eq!((&entry["host"], &entry["actor"]), (&"web-1".into(), &"alice".into()), "{entry}");
    }
    let leased = entries.iter().find(|e| e["event"] == "lease.opened").unwrap();
    assert_eq!(leased["credential"], "deploy");
    let opened = entries.iter().find(|e| e["event"] == "channel.opened").unwrap();
    assert!(opened.to_string().contains("echo hello"), "the command is in the log: {opened}");
    let signed_in = entries.iter().find(|e| e["event"] == "signin.accepted" && e["actor"] == "alice").unwrap();
    assert!(signed_in.to_string().contains(&scene.alice.key.fingerprint), "{signed_in}");
}

#[test]
fn what_was_refused_is_in_the_log_too() {
    let scene = Scene::new();
    scene.broker.does(&[
        "host",
        "add",
        "web-2",
        &scene.host.address(),
        "--credential",
        "deploy",
        "--host-key",
        &scene.host.host_key.public,
    ]);
    refused(&crate::world::run(scene.alice.ssh(&["-l", "web-2", "through", "true"]), ""));
    let entries = scene.broker.audit();
    let denied = entries.iter().find(|e| e["event"] == "session.denied").unwrap_or_else(|| panic!("{entries:#?}"));
    assert_eq!((&denied["actor"], &denied["host"], &denied["outcome"]), (&"alice".into(), &"web-2".into(), &"denied".into()));
    assert!(!denied["reason"].as_str().unwrap().is_empty());
    let outcome = scene.alice.verb("alice", "user disable root", "");
    assert_eq!(outcome.status, Some(1), "{outcome:?}");
    assert!(scene.broker.audit().iter().any(|e| e["event"] == "verb.refused" && e["actor"] == "alice"));
}

#[test]
fn every_change_is_in_the_log_with_who_made_it() {
    let scene = Scene::new();
    let has = |event: &str| scene.broker.audit().iter().any(|e| e["event"] == event && e["actor"] == "root");
    for event in ["user.added", "credential.added", "host.added", "host.key_pinned", "credential.attached", "grant.added"] {
        assert!(has(event), "{event}: {:#?}", scene.broker.audit());
    }
    scene.broker.does(&["user", "disable", "alice"]);
    scene.broker.does(&["credential", "delete", "deploy"]);
    scene.broker.does(&["host", "remove", "web-1"]);
    for event in ["user.disabled", "credential.deleted", "host.removed"] {
        assert!(has(event), "{event}");
    }
}

#[test]
fn the_log_can_be_searched() {
    let scene = Scene::new();
    scene.alice.exec(Way::Through, "true").ok();
    scene.broker.ended_session();
    for (option, value, key) in [("--user", "alice", "actor"), ("--host", "web-1", "host")] {
        let found = scene.broker.json(&["audit", "list", option, value]);
        let found = found.as_array().unwrap();
        assert!(!found.is_empty());
        assert!(found.iter().all(|e| e[key] == value), "{found:#?}");
    }
    let lines = scene.broker.does(&["audit", "export", "--format", "jsonl"]);
    let exported: Vec<serde_json::Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(exported.len() > 10 && exported.iter().any(|e| e["event"] == "lease.opened"));
}

#[test]
fn an_honest_log_is_verified() {
    let scene = Scene::new();
    scene.alice.exec(Way::Through, "true").ok();
    scene.broker.ended_session();
    scene.broker.does(&["audit", "verify"]);
}

#[test]
fn the_first_entry_that_was_changed_is_named() {
    let mut scene = Scene::new();
    scene.alice.exec(Way::Through, "true").ok();
    scene.broker.ended_session();
    // A checkpoint is signed when the daemon stops: from then on also a cut is noticed.
    scene.broker.stop();
    scene.broker.serve();
    let backup = scene.dir().join("backup.db");
    crate::world::database::open(&scene.broker.home()).execute("VACUUM INTO ?1", [backup.display().to_string()]).unwrap();
    let newest = scene.broker.audit().len();
    for (forgery, named) in [
        ("UPDATE audit SET body = replace(body, 'success', 'failure') WHERE seq = 6", 6),
        ("UPDATE audit SET at = at + 1 WHERE seq = 4", 4),
        ("DELETE FROM audit WHERE seq = 5", 5),
        ("DELETE FROM audit WHERE seq <= 2", 1),
        ("DELETE FROM audit WHERE seq > 7", 8),
    ] {
        edit(&scene.broker.home(), forgery);
        let outcome = scene.broker.verb(&["audit", "verify"]);
        assert_eq!(outcome.status, Some(1), "after {forgery} of {newest} entries: {outcome:?}");
        let said = format!("{}{}", outcome.text(), outcome.errors());
        let words: Vec<&str> = said.split(|c: char| !c.is_ascii_digit()).collect();
        assert!(words.contains(&named.to_string().as_str()), "after {forgery} entry {named} is to be named:\n{said}");
        edit(
            &scene.broker.home(),
            &format!(
                "ATTACH '{}' AS b; BEGIN; DELETE FROM audit; INSERT INTO audit SELECT * FROM b.audit; COMMIT; DETACH b;",
                backup.display()
            ),
        );
        scene.broker.does(&["audit", "verify"]);
        edit(
            &scene.broker.home(),
            &format!(
                "ATTACH '{}' AS b; BEGIN; DELETE FROM audit; INSERT INTO audit SELECT * FROM b.audit; COMMIT; DETACH b;",
                backup.display()
            ),
        );
    }
}

#[test]
fn a_log_verifies_against_a_checkpoint_that_was_kept_elsewhere() {
    let mut scene = Scene::new();
    scene.broker.stop();
    let file =
        std::fs::read_dir(scene.broker.home()).unwrap().flatten().map(|e| e.path()).find(|p| p.to_string_lossy().contains("checkpoint"));
    let kept = scene.dir().join("kept");
    std::fs::copy(file.expect("checkpoints lie outside the database"), &kept).unwrap();
    scene.broker.serve();
    let kept = kept.display().to_string();
    scene.broker.does(&["audit", "verify", "--checkpoint", &kept]);
    edit(&scene.broker.home(), "DELETE FROM audit WHERE seq > 3");
    let outcome = scene.broker.verb(&["audit", "verify", "--checkpoint", &kept]);
    assert_eq!(outcome.status, Some(1), "{outcome:?}");
}
