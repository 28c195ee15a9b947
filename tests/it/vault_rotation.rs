//! New keys for old in a broker that people use, and in one that is killed meanwhile.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::world::database::{file, open};
use crate::world::{Process, Scene, Way, eventually};

/// The files of root keys, without the anchor.
fn root_keys(scene: &Scene) -> Vec<String> {
    let folder = scene.broker.root_key();
    let mut names: Vec<String> = std::fs::read_dir(folder.parent().unwrap())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.starts_with("root.key") && !n.ends_with(".anchor"))
        .collect();
    names.sort();
    names
}

#[test]
fn people_notice_nothing_of_new_keys() {
    let mut scene = Scene::new();
    let mut stay = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"));
    let before = scene.broker.json(&["vault", "status"]);
    for flags in [&["vault", "rotate"][..], &["vault", "rotate", "--root"], &["vault", "rotate", "--shred", "--yes"]] {
        let done = scene.broker.json(flags);
        assert_eq!((&done["workspaces"], &done["data_keys"], &done["pending_shreds"]), (&1.into(), &2.into(), &0.into()), "{done}");
        scene.alice.exec(Way::Through, "true").ok();
    }
    let after = scene.broker.json(&["vault", "status"]);
    assert_eq!(after["keys"][0]["version"], 4, "{after}");
    assert_ne!(after["root"]["id"], before["root"]["id"]);
    let former = after["former_roots"].as_array().unwrap();
    assert_eq!(former.len(), 2, "{after}");
    assert!(former.iter().all(|r| r["destroyed"] == true), "{after}");
    assert_eq!(root_keys(&scene), ["root.key"]);
    // The session that lived through it is as it was.
    writeln!(stay.process.stdin().unwrap(), "still here").unwrap();
    assert_eq!(stay.lines.next().as_deref(), Some("still here"));
    drop(stay);
    // The checkpoints of three keys count, also after a restart.
    scene.broker.stop();
    scene.broker.serve();
    scene.alice.exec(Way::Through, "true").ok();
    let verdict = scene.broker.json(&["audit", "verify"]);
    assert!(verdict["holds"] == true && verdict["checkpoints"].as_u64().unwrap() > 0, "{verdict}");
    let told: Vec<_> = scene.broker.audit().into_iter().filter(|e| e["event"] == "vault.rotated").collect();
    assert_eq!(told.len(), 5, "three times scopes' keys, twice the root key: {told:#?}");
}

#[test]
fn a_broker_that_is_killed_while_keys_are_replaced_loses_no_credential() {
    let mut scene = Scene::new();
    // Where it is killed: at the first, second … line that says how far it is.
    for lines in [0, 1, 2, 1, 2, 3] {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut rotate = scene.broker.command(&["vault", "rotate", "--root"]);
        rotate.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer);
        let mut client = Process::start(rotate);
        let told: Vec<String> = BufReader::new(reader).lines().take(lines).map(Result::unwrap).collect();
        scene.broker.kill();
        client.wait();
        scene.broker.serve();
        assert!(!root_keys(&scene).contains(&"root.key.next".to_owned()), "after {told:?}: {:?}", root_keys(&scene));
        scene.alice.exec(Way::Through, "true").ok();
    }
    scene.broker.does(&["vault", "rotate"]);
    let status = scene.broker.json(&["vault", "status"]);
    assert_eq!(status["half_done"], false, "{status}");
    scene.alice.exec(Way::Through, "true").ok();
    scene.broker.does(&["audit", "verify"]);
}

#[test]
fn an_owner_alone_replaces_keys_and_is_told_what_a_shred_means() {
    let scene = Scene::new();
    let status = scene.broker.json(&["vault", "status"]);
    let refused = scene.broker.refuses(&["vault", "rotate", "--shred"]);
    assert!(refused.contains("every older copy of the database becomes unreadable") && refused.contains("--yes"), "{refused}");
    assert_eq!(scene.broker.json(&["vault", "status"])["root"], status["root"]);
    for verb in ["vault status", "vault rotate", "backup -"] {
        let outcome = scene.alice.verb("alice", verb, "");
        assert_eq!(outcome.status, Some(1), "{outcome:?}");
        assert!(outcome.errors().contains("is not for the role member") && outcome.stdout.is_empty(), "{outcome:?}");
    }
    // The same verb at the other door.
    let over_ssh = scene.owner.verb("root", "--json vault status", "").ok().text();
    assert_eq!(serde_json::from_str::<serde_json::Value>(&over_ssh).unwrap()["root"], status["root"]);
}

#[test]
fn a_deletion_that_a_reader_holds_up_is_said_to_wait_until_it_is_done() {
    let scene = Scene::new();
    let ciphertext: Vec<u8> = open(&scene.broker.home()).query_row("SELECT sealed FROM credentials", [], |row| row.get(0)).unwrap();
    let left = || {
        std::fs::read_dir(scene.broker.home()).unwrap().flatten().any(|e| {
            let bytes = std::fs::read(e.path()).unwrap_or_default();
            bytes.windows(ciphertext.len()).any(|w| w == ciphertext)
        })
    };
    assert!(left());
    let reader = open(&scene.broker.home());
    reader.execute_batch("BEGIN; SELECT count(*) FROM credentials;").unwrap();
    let deleted = scene.broker.verb(&["credential", "delete", "deploy"]);
    assert!(deleted.status == Some(0) && deleted.errors().contains("vault status"), "{deleted:?}");
    assert!(deleted.errors().contains("shred pending"), "{deleted:?}");
    assert!(scene.broker.verb(&["vault", "status"]).ok().text().contains("shred pending: "));
    let status = scene.broker.json(&["vault", "status"]);
    assert!(status["pending_shreds"]["count"].as_u64().unwrap() > 0 && !status["pending_shreds"]["since"].is_null(), "{status}");
    // Nobody else is held up by whoever reads.
    scene.broker.does(&["group", "add", "ops"]);
    reader.execute_batch("COMMIT").unwrap();
    eventually("what was deleted has left the files", || {
        (scene.broker.json(&["vault", "status"])["pending_shreds"]["count"] == 0).then_some(())
    });
    assert!(!left(), "neither the database nor its log holds it");
    let copy = scene.dir().join("copy.db");
    scene.broker.does(&["backup", copy.to_str().unwrap()]);
    let bytes = std::fs::read(copy).unwrap();
    assert!(!bytes.windows(ciphertext.len()).any(|w| w == ciphertext), "a backup has no deleted rows");
    drop(reader);
    assert!(file(&scene.broker.home()).exists());
}
