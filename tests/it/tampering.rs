//! Somebody can write the database, but has no key: no secret goes where they point, and it is said that something is wrong.

use std::path::Path;

use crate::credentials::refused;
use crate::world::account::NAME;
use crate::world::database::{edit, open};
use crate::world::keys::Key;
use crate::world::{Scene, Sshd, Way, run};

/// The usual scene, a second host with a second credential, and a host of the intruder's that takes any of them.
struct Intrusion {
    attacker: Sshd,
    second: Sshd,
    backup: std::path::PathBuf,
    scene: Scene,
}

impl Intrusion {
    fn new() -> Self {
        let scene = Scene::new();
        let other = Key::new(scene.dir().join("other"));
        let second = scene.another_host("second", &[&other]);
        scene.broker.does_with(&["credential", "add", "other", "--scope", "workspace", "--username", NAME, "--key", "-"], other.private());
        scene.add_host("web-2", &second, "other");
        scene.grant("alice", "web-2");
        let attacker = scene.another_host("attacker", &[&scene.deploy, &other]);
        scene.alice.exec(Way::Through, "true").ok();
        let backup = scene.dir().join("backup.db");
        open(&scene.broker.home()).execute("VACUUM INTO ?1", [backup.display().to_string()]).unwrap();
        Self { attacker, second, backup, scene }
    }

    /// The rows as they were before.
    fn restore(&self) {
        let tables = [
            "users",
            "user_keys",
            "hosts",
            "host_keys",
            "credentials",
            "secret_changes",
            "bindings",
            "choices",
            "grants",
            "keks",
            "meta",
            "state_seal",
        ];
        let copies: String = tables.iter().map(|t| format!("DELETE FROM {t}; INSERT INTO {t} SELECT * FROM b.{t};\n")).collect();
        edit(&self.scene.broker.home(), &format!("ATTACH '{}' AS b; BEGIN; {copies} COMMIT; DETACH b;", self.backup.display()));
    }

    /// How often the broker noticed.
    fn tampered(&self) -> usize {
        self.scene.broker.audit().into_iter().filter(|e| e["event"] == "vault.tampered").count()
    }

    /// After this edit nobody gets a session, and no host sees anybody sign in.
    #[track_caller]
    fn is_noticed(&self, sql: &str) {
        let sign_ins = || self.scene.host.sign_ins() + self.second.sign_ins() + self.attacker.sign_ins();
        let before = sign_ins();
        let tampered_before = self.tampered();
        edit(&self.scene.broker.home(), sql);
        for host in ["web-1", "web-2"] {
            let outcome = run(self.scene.alice.ssh(&["-l", host, "through", "true"]), "");
            assert_ne!(outcome.status, Some(0), "after {sql}");
            if outcome.errors().contains("keyward: ") {
                refused(&outcome);
            } else {
                // Who came in by a forged row is not even heard.
                assert!(outcome.errors().contains("Permission denied"), "after {sql}: {outcome:?}");
            }
        }
        assert_eq!(sign_ins(), before, "somebody was signed in after {sql}");
        let attacker = self.attacker.log();
        assert!(
            !attacker.contains("Failed") && !attacker.contains("Accepted") && !attacker.contains("Postponed"),
            "after {sql}:\n{attacker}"
        );
        self.restore();
        self.scene.alice.exec(Way::Through, "true").ok();
        let tampered = self.tampered();
        assert!(tampered > tampered_before, "it is in the audit log: after {sql}");
    }
}

#[test]
fn a_host_that_was_pointed_elsewhere_gets_nothing() {
    let i = Intrusion::new();
    let port = i.attacker.port;
    i.is_noticed(&format!("UPDATE hosts SET port = {port} WHERE name = 'web-1'"));
    i.is_noticed(&format!("UPDATE hosts SET address = 'localhost', port = {port} WHERE name = 'web-1'"));
    let Key { public, fingerprint, .. } = &i.attacker.host_key;
    i.is_noticed(&format!(
        "UPDATE hosts SET port = {port} WHERE name = 'web-1';
         UPDATE host_keys SET fingerprint = '{fingerprint}', public_key = '{public}' WHERE host = (SELECT id FROM hosts WHERE name = 'web-1')"
    ));
    i.is_noticed(&format!(
        "UPDATE hosts SET port = {port}, trust_first_use = 1 WHERE name = 'web-1';
         DELETE FROM host_keys WHERE host = (SELECT id FROM hosts WHERE name = 'web-1')"
    ));
}

#[test]
fn a_credential_that_was_changed_opens_nothing() {
    let i = Intrusion::new();
    i.is_noticed("UPDATE credentials SET username = 'root' WHERE name = 'deploy'");
    i.is_noticed("UPDATE credentials SET sealed = (SELECT sealed FROM credentials WHERE name = 'other') WHERE name = 'deploy'");
    i.is_noticed("UPDATE credentials SET sealed = CAST('plaintext' AS BLOB) WHERE name = 'deploy'");
    i.is_noticed("UPDATE credentials SET scope = scope || 'x' WHERE name = 'deploy'");
}

#[test]
fn bindings_that_were_swapped_open_nothing() {
    let i = Intrusion::new();
    i.is_noticed(
        "CREATE TEMP TABLE s AS SELECT * FROM bindings;
         UPDATE bindings SET wrapped_dek = (SELECT wrapped_dek FROM s WHERE s.credential <> bindings.credential)",
    );
    // The second host's door with the first host's credential.
    i.is_noticed(
        "PRAGMA foreign_keys = OFF;
         INSERT INTO bindings SELECT b.credential, h.id, b.wrapped_dek, b.kek_version FROM bindings b JOIN credentials c ON c.id = b.credential, hosts h
           WHERE c.name = 'deploy' AND h.name = 'web-2';
         UPDATE choices SET credential = (SELECT id FROM credentials WHERE name = 'deploy') WHERE host = (SELECT id FROM hosts WHERE name = 'web-2')",
    );
}

#[test]
fn a_right_that_was_forged_is_none() {
    let i = Intrusion::new();
    i.is_noticed("DELETE FROM grants WHERE id = (SELECT min(id) FROM grants)");
    i.is_noticed("UPDATE grants SET allow = 'shell,exec,sftp,forward'");
    i.is_noticed("UPDATE grants SET until = 4102444800000000000");
    i.is_noticed("UPDATE users SET role = 'owner' WHERE name = 'alice'");
    let Key { public, fingerprint, .. } = &i.attacker.host_key;
    i.is_noticed(&format!("INSERT INTO user_keys SELECT '{fingerprint}', id, '{public}', '', 0 FROM users WHERE name = 'alice'"));
}

#[test]
fn rows_from_an_older_state_are_noticed() {
    let i = Intrusion::new();
    // Alice loses her grant; somebody puts the old rows back, their old seal with them.
    let grants = i.scene.broker.json(&["grant", "list"]);
    for grant in grants.as_array().unwrap() {
        i.scene.broker.does(&["grant", "remove", grant["id"].as_str().unwrap()]);
    }
    refused(&i.scene.alice.exec(Way::Through, "true"));
    let sign_ins = i.scene.host.sign_ins();
    edit(&i.scene.broker.home(), &format!("ATTACH '{}' AS b; INSERT INTO grants SELECT * FROM b.grants; DETACH b;", i.backup.display()));
    refused(&i.scene.alice.exec(Way::Through, "true"));
    edit(&i.scene.broker.home(), "DELETE FROM grants");
    i.restore();
    refused(&i.scene.alice.exec(Way::Through, "true"));
    assert_eq!(i.scene.host.sign_ins(), sign_ins, "the state of before her grant was removed was taken for the present one");
}

#[test]
fn a_whole_database_from_before_is_noticed_at_the_next_start() {
    let mut scene = Scene::new();
    let file = crate::world::database::file(&scene.broker.home());
    scene.broker.stop();
    let old = std::fs::read(&file).unwrap();
    scene.broker.serve();
    let grants = scene.broker.json(&["grant", "list"]);
    scene.broker.does(&["grant", "remove", grants[0]["id"].as_str().unwrap()]);
    scene.broker.stop();
    put_back(&file, &old);
    is_refused(&scene, &[], "is older than");
    assert_eq!(scene.host.sign_ins(), 0);
}

fn put_back(file: &Path, old: &[u8]) {
    std::fs::write(file, old).unwrap();
    for name in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(Path::new(&format!("{}{name}", file.display())));
    }
}

/// The broker does not start on this home, and says why and what to do.
#[track_caller]
fn is_refused(scene: &Scene, flags: &[&str], why: &str) -> String {
    let config = scene.broker.config().display().to_string();
    let mut args = vec!["serve", "--listen", "127.0.0.1:0", "--config", &config];
    args.extend_from_slice(flags);
    let outcome = run(scene.broker.command(&args), "");
    assert!(matches!(outcome.status, Some(1..)), "an older database was taken for the present one\n{outcome:?}");
    let errors = outcome.errors();
    assert!(errors.contains("error: ") && errors.contains("hint: ") && errors.contains(why), "{outcome:?}");
    errors
}

#[test]
fn a_whole_database_from_before_is_noticed_without_the_homes_own_checkpoints() {
    let mut scene = Scene::new();
    let file = crate::world::database::file(&scene.broker.home());
    let checkpoints = scene.broker.home().join("checkpoints.jsonl");
    scene.broker.stop();
    let (old, old_checkpoints) = (std::fs::read(&file).unwrap(), std::fs::read(&checkpoints).unwrap());
    scene.broker.serve();
    let grants = scene.broker.json(&["grant", "list"]);
    scene.broker.does(&["grant", "remove", grants[0]["id"].as_str().unwrap()]);
    scene.broker.stop();
    // All of the home is as it was before; what lies beside the root key is not.
    put_back(&file, &old);
    std::fs::write(&checkpoints, &old_checkpoints).unwrap();
    let errors = is_refused(&scene, &[], ".anchor says");
    assert!(errors.contains("--accept-rollback"), "{errors}");
    std::fs::remove_file(&checkpoints).unwrap();
    is_refused(&scene, &[], ".anchor says");
    // A home of nothing at all is older, too.
    std::fs::remove_file(&file).unwrap();
    put_back(&file, b"");
    std::fs::remove_file(&file).unwrap();
    is_refused(&scene, &[], "another vault");
    put_back(&file, &old);
    // An operator who means it says so, once, and it is in the log.
    scene.broker.serve_with(&["--accept-rollback"]);
    let accepted: Vec<_> = scene.broker.audit().into_iter().filter(|e| e["event"] == "daemon.rollback_accepted").collect();
    assert_eq!(accepted.len(), 1, "{accepted:#?}");
    assert!(accepted[0]["reason"].as_str().unwrap().contains("is older than"), "{accepted:#?}");
    scene.alice.exec(Way::Through, "true").ok();
    // Killed at once: what was accepted is what is known from now on.
    scene.broker.kill();
    scene.broker.serve();
    scene.broker.does(&["audit", "verify"]);
    scene.broker.stop();
    let errors = is_refused(&scene, &["--accept-rollback"], "is not older");
    assert!(errors.contains("leave it out"), "{errors}");
    scene.broker.serve();
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn a_rollback_that_is_accepted_leaves_a_log_that_verifies() {
    let mut scene = Scene::new();
    let file = crate::world::database::file(&scene.broker.home());
    scene.broker.stop();
    let old = std::fs::read(&file).unwrap();
    scene.broker.serve();
    scene.alice.exec(Way::Through, "true").ok();
    scene.broker.stop();
    put_back(&file, &old);
    // The home's own checkpoints tell of it here: they are laid aside, not lost.
    is_refused(&scene, &[], "checkpoints.jsonl says");
    scene.broker.serve_with(&["--accept-rollback"]);
    scene.broker.does(&["audit", "verify"]);
    let aside = std::fs::read_dir(scene.broker.home())
        .unwrap()
        .flatten()
        .filter(|e| e.file_name().to_string_lossy().starts_with("checkpoints.jsonl.before-"))
        .count();
    assert_eq!(aside, 1);
    scene.broker.stop();
    scene.broker.serve();
    scene.broker.does(&["audit", "verify"]);
}

#[test]
fn a_forged_row_keeps_no_session_alive() {
    let scene = Scene::new();
    let grants = scene.broker.json(&["grant", "list"]);
    scene.broker.does(&["grant", "remove", grants[0]["id"].as_str().unwrap()]);
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", "exec", "--max-session", "3s"]);
    let stay = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"));
    let most: i64 = open(&scene.broker.home()).query_row("SELECT max_session FROM grants", [], |row| row.get(0)).unwrap();
    edit(&scene.broker.home(), "UPDATE grants SET max_session = NULL");
    let (status, errors) = stay.end();
    assert_eq!(status, Some(255), "{errors}");
    assert!(errors.contains("keyward: the broker's database does not verify"), "{errors}");
    assert!(!errors.contains(&scene.broker.home().display().to_string()), "the broker's folders are nobody's business: {errors}");
    edit(&scene.broker.home(), &format!("UPDATE grants SET max_session = {most}"));
    let session = scene.broker.ended_session();
    assert_eq!(session["end_reason"], "broker", "{session}");
    assert!(scene.broker.trail(&session).iter().any(|e| e == "vault.tampered"), "{:?}", scene.broker.trail(&session));
}
