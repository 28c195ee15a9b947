//! Backups: what is in one, who gets one, and that what `docs/backup.md` tells an operator to do brings a broker back.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::account;
use crate::world::broker::{KEYWARD, Settings};
use crate::world::{Outcome, Scene, Way, run, sha256};

/// A verb of a stopped home.
fn still(scene: &Scene, args: &[&str]) -> Outcome {
    let config = scene.broker.config().display().to_string();
    let mut all = args.to_vec();
    all.extend(["--config", &config]);
    run(scene.broker.command(&all), "")
}

/// It is refused, says what to do, and the home is as it was.
#[track_caller]
fn refused(scene: &Scene, args: &[&str], why: &str) {
    let before = home(scene);
    let outcome = still(scene, args);
    let errors = outcome.errors();
    assert_eq!(outcome.status, Some(1), "{args:?}: {outcome:?}");
    assert!(errors.contains(why), "{args:?}: {errors}");
    assert!(errors.lines().any(|l| l.starts_with("hint: ")), "{args:?}: {errors}");
    assert_eq!(home(scene), before, "{args:?}: something was changed");
}

/// Every file of the home with its digest; without what SQLite shares between those who read and an empty write-ahead log, which a
/// process that ended at once may leave to the next: they are no data.
fn home(scene: &Scene) -> Vec<(PathBuf, String)> {
    let is_data = |p: &Path| {
        let name = p.display().to_string();
        p.is_file() && !name.ends_with("-shm") && !(name.ends_with("-wal") && p.metadata().unwrap().len() == 0)
    };
    let mut files: Vec<_> = std::fs::read_dir(scene.broker.home())
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| is_data(p))
        .map(|p| (p.clone(), sha256(&std::fs::read(&p).unwrap())))
        .collect();
    files.sort();
    files
}

#[track_caller]
fn backup(scene: &Scene, name: &str) -> String {
    let path = scene.dir().join(name).display().to_string();
    scene.broker.does(&["backup", &path]);
    path
}

#[test]
fn a_backup_is_whole_private_and_described() {
    let scene = Scene::new();
    let path = backup(&scene, "one.db");
    let bytes = std::fs::read(&path).unwrap();
    let about: serde_json::Value = serde_json::from_slice(&std::fs::read(format!("{path}.json")).unwrap()).unwrap();
    assert_eq!(about["sha256"], sha256(&bytes), "{about}");
    assert_eq!(about["bytes"], bytes.len());
    assert_eq!(about["root_key"], scene.broker.json(&["vault", "status"])["root"]["id"]);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let root_key = std::fs::read(scene.broker.root_key()).unwrap();
    assert!(!bytes.windows(root_key.len()).any(|w| w == root_key));
    // Nothing is overwritten, and nothing is left of it in the home.
    let again = scene.broker.refuses(&["backup", &path]);
    assert!(again.contains("exists already"), "{again}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert!(!home(&scene).iter().any(|(p, _)| p.display().to_string().contains("unfinished")));
    // Over ssh it is the standard output, byte for byte a database.
    let streamed = scene.owner.verb("root", "backup -", "").ok();
    assert!(streamed.stdout.starts_with(b"SQLite format 3\0"));
    let named = scene.owner.verb("root", "backup /tmp/x", "");
    assert!(named.status == Some(2) && named.errors().contains("backup - > FILE"), "{named:?}");
    let entries: Vec<_> = scene.broker.audit().into_iter().filter(|e| e["event"] == "vault.backed_up").collect();
    assert_eq!(entries.len(), 2, "{entries:#?}");
    assert_eq!(entries[0]["detail"]["sha256"], about["sha256"]);
    assert_eq!(entries[1]["detail"]["sha256"], sha256(&streamed.stdout));
}

#[test]
fn what_is_no_backup_of_this_vault_changes_nothing() {
    let mut scene = Scene::new();
    let path = backup(&scene, "good.db");
    refused(&scene, &["restore", &path, "--yes"], "keyward runs in");
    refused(&scene, &["vault", "accept-rollback", "--yes"], "keyward runs in");
    scene.broker.stop();
    let bad = scene.dir().join("bad.db");
    let whole = std::fs::read(&path).unwrap();
    let mut torn = whole.clone();
    torn[40_960..46_000].fill(0xaa);
    for (bytes, why) in [
        (Vec::new(), "no database of Keyward"),
        (b"hello".to_vec(), "not a database"),
        (whole[..whole.len() / 2].to_vec(), "malformed"),
        (torn, "not whole"),
    ] {
        std::fs::write(&bad, bytes).unwrap();
        refused(&scene, &["restore", bad.to_str().unwrap(), "--yes"], why);
    }
    for (sql, why) in [
        ("UPDATE grants SET allow = 'shell,exec,sftp,forward'", "changed by something else than Keyward"),
        ("UPDATE audit SET body = replace(body, 'alice', 'mallo') WHERE seq = (SELECT max(seq) FROM audit)", "audit log does not hold"),
        ("CREATE TRIGGER evil AFTER INSERT ON audit BEGIN DELETE FROM grants; END", "trigger evil"),
        ("PRAGMA user_version = 999", "has version 999"),
        ("DELETE FROM state_seal", "nothing was ever recorded"),
    ] {
        std::fs::write(&bad, &whole).unwrap();
        #[allow(clippy::disallowed_methods)] // the forger keeps no house rules
        rusqlite::Connection::open(&bad).unwrap().execute_batch(sql).unwrap();
        refused(&scene, &["restore", bad.to_str().unwrap(), "--yes"], why);
    }
    std::fs::write(&bad, &whole).unwrap();
    std::fs::write(format!("{}.json", bad.display()), r#"{"sha256":"00"}"#).unwrap();
    refused(&scene, &["restore", bad.to_str().unwrap(), "--yes"], "SHA-256");
    refused(&scene, &["restore", "/nowhere/at/all", "--yes"], "No such file");
    refused(&scene, &["restore", &path], "nobody said yes");
    // That one opens the database as a start does.
    let nothing = still(&scene, &["vault", "accept-rollback", "--yes"]);
    assert!(nothing.status == Some(1) && nothing.errors().contains("nothing to accept"), "{nothing:?}");
    // Another vault's, and one that hangs on another root key.
    let stranger = Scene::new();
    let theirs = backup(&stranger, "theirs.db");
    refused(&scene, &["restore", &theirs, "--yes"], "another vault");
    scene.broker.serve();
    scene.broker.does(&["vault", "rotate", "--root"]);
    scene.broker.stop();
    refused(&scene, &["restore", &path, "--yes"], "is not the root key that opens");
    scene.broker.serve();
    scene.alice.exec(Way::Through, "true").ok();
    scene.broker.stop();
    // With the root key that it hangs on, which was kept, it is taken; and that key can be replaced again.
    let root_key = scene.broker.root_key();
    let about: serde_json::Value = serde_json::from_slice(&std::fs::read(format!("{path}.json")).unwrap()).unwrap();
    std::fs::rename(&root_key, root_key.with_file_name("root.key.kept")).unwrap();
    let kept = format!("root.key.old-{}", about["root_key"].as_str().unwrap());
    std::fs::rename(root_key.with_file_name(kept), &root_key).unwrap();
    still(&scene, &["restore", &path, "--yes", "--accept-rollback"]).ok();
    scene.broker.serve();
    scene.alice.exec(Way::Through, "true").ok();
    scene.broker.does(&["vault", "rotate", "--root"]);
    scene.broker.does(&["audit", "verify"]);
}

#[test]
fn a_backup_takes_the_place_of_the_database_and_that_is_told() {
    let mut scene = Scene::new();
    let path = backup(&scene, "good.db");
    scene.broker.does(&["user", "add", "bob", "--role", "member"]);
    scene.broker.stop();
    let outcome = still(&scene, &["restore", &path, "--yes"]);
    assert!(outcome.status == Some(0) && outcome.errors().contains("Lost: "), "{outcome:?}");
    // The database that is here is the backup's now; what is known is still more than that.
    let again = still(&scene, &["restore", &path]);
    assert!(again.status == Some(1) && !again.errors().contains("Nothing that is known is lost"), "{again:?}");
    assert!(again.errors().contains("Lost: "), "{again:?}");
    let aside: Vec<_> = home(&scene).into_iter().filter(|(p, _)| p.display().to_string().contains("keyward.db.before-")).collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    // It is older than what is known: not before somebody says so.
    let config = scene.broker.config().display().to_string();
    let serve = run(scene.broker.command(&["serve", "--config", &config, "--listen", "127.0.0.1:0"]), "");
    assert!(serve.status == Some(1) && serve.errors().contains("accept-rollback"), "{serve:?}");
    let question = still(&scene, &["vault", "accept-rollback"]);
    assert!(question.status == Some(1) && question.errors().contains("Lost: "), "{question:?}");
    still(&scene, &["vault", "accept-rollback", "--yes"]).ok();
    scene.broker.serve();
    scene.alice.exec(Way::Through, "true").ok();
    scene.broker.refuses(&["user", "show", "bob"]);
    scene.broker.does(&["audit", "verify"]);
    let events: Vec<_> = scene.broker.audit().iter().filter_map(|e| e["event"].as_str().map(str::to_owned)).collect();
    for event in ["vault.restored", "daemon.rollback_accepted"] {
        assert!(events.iter().any(|e| e == event), "{event}: {events:?}");
    }
    // And what was laid aside can be put back the same way.
    scene.broker.stop();
    let back = aside[0].0.display().to_string();
    still(&scene, &["restore", &back, "--yes", "--accept-rollback"]).ok();
    scene.broker.serve();
    scene.broker.does(&["user", "show", "bob"]);
    scene.broker.does(&["audit", "verify"]);
}

/// The drill of docs/backup.md, as it stands there.
fn drill() -> String {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/backup.md")).unwrap();
    let (_, rest) = text.split_once("```sh drill\n").expect("the drill in docs/backup.md");
    rest.split_once("```").unwrap().0.to_owned()
}

#[test]
fn the_drill_of_the_document_brings_a_broker_back_in_another_home() {
    let scene = Scene::with(Settings::default());
    // What the document calls by name.
    let path = scene.dir().join("drill.sh");
    std::fs::write(&path, drill()).unwrap();
    let (from, to) = (scene.broker.home(), scene.dir().join("second"));
    let mut sh = Command::new("/bin/sh");
    sh.arg("-eu").arg(&path).current_dir(scene.dir());
    sh.env_clear().env("PATH", format!("{}:{}", Path::new(KEYWARD).parent().unwrap().display(), crate::world::process::PATH));
    sh.env("HOME", scene.dir()).env("FROM", &from).env("TO", &to).env("ROOT_KEY", scene.broker.root_key());
    sh.env("BACKUP", scene.dir().join("keyward-backup"));
    let outcome = run(sh, "").ok();
    assert!(outcome.text().contains("the drill is done"), "{outcome:?}");
    let mut scene = scene;
    // What was added and removed after the backup is told as what it is by the broker that is left.
    scene.broker.does_with(&["credential", "add", "later", "--scope", "workspace", "--username", account::NAME, "--password"], "x");
    scene.broker.does(&["credential", "delete", "later"]);
    scene.broker.stop();
    // The second home serves, people get through it, and its log holds.
    let second = crate::world::Broker::with(
        scene.broker.home().parent().unwrap(),
        &scene.owner.key,
        Settings { home: Some(to), ..Settings::default() },
    );
    scene.alice.knows(Some(&scene.host), Some(&second), "web-1");
    scene.alice.exec(Way::Through, "true").ok();
    let verdict = second.json(&["audit", "verify"]);
    assert_eq!(verdict["holds"], true, "{verdict}");
    let known = second.json(&["credential", "list"]);
    assert!(known.as_array().unwrap().iter().all(|c| c["name"] != "later"), "{known}");
    assert!(second.audit().iter().any(|e| e["event"] == "vault.restored"));
}
