//! A workspace's default credential on real hosts, and the end of a credential while it is in use.

use std::process::Stdio;

use crate::credentials::refused;
use crate::world::account::NAME;
use crate::world::fake::Gate;
use crate::world::keys::Key;
use crate::world::terminal::Terminal;
use crate::world::{Process, Scene, Way, database, nonce, run};

/// The usual scene, with a second host that has no default of its own, and a second key in the vault, `all`.
fn two_hosts() -> (Scene, crate::world::Sshd, Key) {
    let scene = Scene::new();
    let all = Key::new(scene.dir().join("all"));
    let second = scene.another_host("second", &[&all, &scene.deploy]);
    scene.host.authorize(&[&all, &scene.deploy]);
    scene.broker.does_with(&["credential", "add", "all", "--scope", "workspace", "--username", NAME, "--key", "-"], all.private());
    scene.broker.does(&["host", "add", "web-2", &second.address(), "--host-key", &second.host_key.public]);
    scene.grant("alice", "web-*");
    (scene, second, all)
}

fn through(scene: &Scene, selector: &str) -> crate::world::Outcome {
    run(scene.alice.ssh(&["-l", selector, "through", "true"]), "")
}

#[test]
fn a_workspaces_default_signs_in_where_a_host_has_none() {
    let (scene, second, all) = two_hosts();
    refused(&through(&scene, "web-2"));
    scene.broker.does(&["credential", "attach", "all", "--workspace-default"]);
    through(&scene, "web-2").ok();
    through(&scene, "web-1").ok();
    assert_eq!((second.sign_ins_with(&all), scene.host.sign_ins_with(&all), scene.host.sign_ins_with(&scene.deploy)), (1, 0, 1));
    // Where the host has a default of its own, the workspace's is nobody's to name; where it stands in, it is.
    refused(&through(&scene, "all@web-1"));
    through(&scene, "all@web-2").ok();
    // A host that is added later has it at once, over ssh as at the socket.
    let added = format!("host add web-3 {} --host-key '{}'", second.address(), second.host_key.public);
    scene.owner.verb("root", &added, "").ok();
    through(&scene, "web-3").ok();
    let shown = scene.owner.verb("root", "host show web-3", "").ok().text();
    assert!(shown.contains("the workspace's default"), "{shown}");
    let listed = scene.broker.does(&["host", "list"]);
    assert!(listed.contains("all (workspace)"), "{listed}");
    let explained = scene.broker.does(&["grant", "explain", "alice", "web-3", "exec"]);
    assert!(explained.contains("the workspace's default"), "{explained}");
    // And loses it at once.
    scene.owner.verb("root", "credential detach all --workspace-default", "").ok();
    for host in ["web-2", "web-3"] {
        refused(&through(&scene, host));
    }
    assert_eq!(second.sign_ins(), 3);
}

#[test]
fn a_default_that_was_put_into_the_database_signs_nobody_in() {
    let (scene, second, _) = two_hosts();
    let id = scene.broker.json(&["credential", "show", "all"])["id"].as_str().unwrap().to_owned();
    database::edit(&scene.broker.home(), &format!("INSERT INTO workspace_defaults(workspace, credential) VALUES('default', '{id}')"));
    let errors = refused(&through(&scene, "web-2"));
    assert!(errors.contains("changed") || errors.contains("verif") || errors.contains("wrote"), "{errors}");
    assert_eq!(second.sign_ins(), 0);
    // No verb counts either, until somebody has looked at it.
    assert!(scene.broker.refuses(&["credential", "list"]).contains("behind the broker's back"));
}

#[test]
fn a_credential_that_is_deleted_while_the_host_is_dialled_is_not_used() {
    let scene = Scene::new();
    let gate = Gate::before(scene.host.port);
    scene.broker.does(&["host", "add", "web-2", &gate.address(), "--credential", "deploy", "--host-key", &scene.host.host_key.public]);
    scene.grant("alice", "web-2");
    let mut ssh = scene.alice.ssh(&["-l", "web-2", "through", "true"]);
    ssh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = Process::start(ssh);
    gate.arrived();
    // Permitted and recorded, but nothing is decrypted before the host has proved its key.
    scene.broker.does(&["credential", "delete", "deploy"]);
    gate.open();
    assert_eq!(client.wait().code(), Some(255));
    let session = scene.broker.ended_session();
    let trail = scene.broker.trail(&session);
    assert!(trail.iter().any(|e| e == "session.permitted") && !trail.iter().any(|e| e == "session.signed_in"), "{trail:?}");
    assert_eq!(scene.host.sign_ins(), 0, "{}", scene.host.log());
    assert_eq!(scene.broker.json(&["status"])["leases_open"], 0);
}

#[test]
fn a_deletion_takes_every_row_of_the_credential_and_its_bytes() {
    let scene = Scene::new();
    scene.broker.does_with(&["credential", "edit", "deploy", "--sudo-password"], nonce(30));
    scene.broker.does(&["credential", "attach", "deploy", "--workspace-default"]);
    scene.alice.verb("alice", "credential attach deploy --host web-1 --mine", "").ok();
    let home = scene.broker.home();
    let cells: Vec<Vec<u8>> = {
        let c = database::open(&home);
        let mut found = Vec::new();
        for sql in [
            "SELECT sealed FROM credentials",
            "SELECT wrapped_dek FROM credentials",
            "SELECT wrapped_dek FROM bindings",
            "SELECT sealed FROM sudo_secrets",
        ] {
            found.extend(c.prepare(sql).unwrap().query_map([], |r| r.get(0)).unwrap().map(Result::unwrap));
        }
        found
    };
    assert_eq!(cells.len(), 4);
    let held = |cell: &[u8]| {
        let files = std::fs::read_dir(&home).unwrap().flatten().filter(|e| e.path().is_file());
        files.filter(|e| std::fs::read(e.path()).unwrap().windows(24).any(|w| cell.windows(24).any(|c| c == w))).count()
    };
    assert!(held(&cells[0]) > 0, "what is looked for is there before");
    let said = scene.broker.json(&["credential", "delete", "deploy"]);
    assert_eq!((&said["shredded"], &said["left_bare"]), (&true.into(), &serde_json::json!(["web-1"])), "{said}");
    for cell in &cells {
        assert_eq!(held(cell), 0, "a file of the home still holds the ciphertext");
    }
    let c = database::open(&home);
    for table in ["credentials", "bindings", "choices", "sudo_secrets", "secret_changes", "workspace_defaults"] {
        let rows: i64 = c.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[test]
fn a_person_who_is_removed_takes_their_key_and_credentials_along() {
    let scene = Scene::new();
    scene.alice.verb("alice", &format!("credential add mine --username {NAME} --password"), nonce(20)).ok();
    let home = scene.broker.home();
    let personal = |sql: &str| -> i64 { database::open(&home).query_row(sql, [], |r| r.get(0)).unwrap() };
    let kek: Vec<u8> = database::open(&home).query_row("SELECT wrapped FROM keks WHERE scope LIKE 'person/%'", [], |r| r.get(0)).unwrap();
    scene.broker.does(&["user", "remove", "alice"]);
    assert_eq!(personal("SELECT count(*) FROM keks WHERE scope LIKE 'person/%'"), 0);
    assert_eq!(personal("SELECT count(*) FROM credentials WHERE scope LIKE 'person/%'"), 0);
    for entry in std::fs::read_dir(&home).unwrap().flatten().filter(|e| e.path().is_file()) {
        let bytes = std::fs::read(entry.path()).unwrap();
        assert!(!bytes.windows(24).any(|w| w == &kek[33..57]), "{} holds the key's ciphertext", entry.path().display());
    }
}

#[test]
fn on_a_terminal_a_deletion_that_hosts_stand_on_is_asked_about() {
    let (scene, _second, _) = two_hosts();
    let exists = |name: &str| scene.broker.json(&["credential", "list"]).as_array().unwrap().iter().any(|c| c["name"] == name);
    // Local, and a no.
    let mut terminal = Terminal::start(&scene.broker.command(&["credential", "delete", "deploy"]), 24, 120);
    terminal.until("deploy is the default of web-1; web-1 will have no credential. Delete it? [y/N]");
    terminal.write("n\n");
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(1), "{screen}");
    assert!(screen.contains("nothing was taken away") && exists("deploy"), "{screen}");
    // What no host stands on goes without a question.
    let (status, screen) = Terminal::start(&scene.broker.command(&["credential", "delete", "all"]), 24, 120).end();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(!screen.contains("[y/N]") && !exists("all"), "{screen}");
    // Over ssh, a no and then a yes; --yes asks nothing.
    for (answer, code) in [("\r", 1), ("y\r", 0)] {
        let ssh = scene.owner.ssh(&["-tt", "-l", "root", "through", "--", "credential delete deploy"]);
        let mut terminal = Terminal::start(&ssh, 24, 120);
        terminal.until("Delete it? [y/N]");
        terminal.write(answer);
        let (status, screen) = terminal.end();
        assert_eq!(status.code(), Some(code), "{screen}");
        assert_eq!(exists("deploy"), code == 1, "{screen}");
    }
    let again = scene.deploy.private();
    scene.broker.does_with(&["credential", "add", "deploy", "--scope", "workspace", "--username", NAME, "--key", "-"], again);
    scene.broker.does(&["credential", "attach", "deploy", "--host", "web-1"]);
    let (status, screen) = Terminal::start(&scene.broker.command(&["credential", "delete", "deploy", "--yes"]), 24, 120).end();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert!(screen.contains("web-1 has no credential any more"), "{screen}");
}

#[test]
fn a_list_says_who_uses_what_and_how_old_it_is() {
    let (scene, _second, _) = two_hosts();
    through(&scene, "web-1").ok();
    scene.broker.ended_session();
    let listed = scene.broker.json(&["credential", "list", "--sort", "last-used"]);
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["all", "deploy"], "never used comes first");
    let deploy = &listed[1];
    assert_eq!((&deploy["age_days"], &deploy["default_on"]), (&0.into(), &serde_json::json!(["web-1"])), "{deploy}");
    assert_eq!(deploy["secret_changed_at"], deploy["created_at"]);
    assert_eq!(scene.broker.json(&["credential", "list", "--host", "web-2"]), serde_json::json!([]));
    assert_eq!(scene.broker.json(&["credential", "list", "--unused-for", "0s", "--host", "web-1"])[0]["name"], "deploy");
    assert_eq!(scene.broker.json(&["credential", "list", "--unused-for", "90d"]), serde_json::json!([]));
    let table = scene.owner.verb("root", "credential list --older-than 0s", "").ok().text();
    assert!(table.lines().next().unwrap().contains("AGE") && table.contains("0 d"), "{table}");
    for wrong in [
        &["credential", "list", "--unused-for", "soon"][..],
        &["credential", "list", "--sort", "size"],
        &["credential", "list", "--host", "nope"],
    ] {
        scene.broker.refuses(wrong);
    }
    // Only sign-ins count as use.
    let before = scene.broker.json(&["credential", "show", "deploy"])["last_used_at"].clone();
    scene.broker.does(&["credential", "edit", "deploy", "--username", NAME]);
    assert_eq!(scene.broker.json(&["credential", "show", "deploy"])["last_used_at"], before, "an edit is no use");
    assert_eq!(scene.alice.exec(Way::Through, "true").status, Some(0));
}
