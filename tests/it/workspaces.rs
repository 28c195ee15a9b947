//! Workspaces with stock clients: the host's workspace stands before it, and what is not granted is not there.

use crate::credentials::refused;
use crate::world::account::NAME;
use crate::world::keys::Key;
use crate::world::process::run_within;
use crate::world::terminal::Terminal;
use crate::world::{PATIENCE, Scene, Way, database, eventually, run};

/// The usual scene, and a workspace `lab` with another host that is called `web-1`, too, and a credential `deploy` of its own.
fn lab() -> (Scene, crate::world::Sshd, Key) {
    let scene = Scene::new();
    scene.broker.does(&["workspace", "add", "lab"]);
    let key = Key::new(scene.dir().join("lab-deploy"));
    let host = scene.another_host("lab-web-1", &[&key]);
    let lab = |args: &[&str], stdin: Vec<u8>| {
        let mut all = vec!["--workspace", "lab"];
        all.extend_from_slice(args);
        scene.broker.does_with(&all, stdin)
    };
    lab(&["credential", "add", "deploy", "--scope", "workspace", "--username", NAME, "--key", "-"], key.private());
    lab(&["host", "add", "web-1", &host.address(), "--credential", "deploy", "--host-key", &host.host_key.public], Vec::new());
    (scene, host, key)
}

fn through(scene: &Scene, selector: &str) -> crate::world::Outcome {
    run(scene.alice.ssh(&["-l", selector, "through", "true"]), "")
}

#[test]
fn a_workspace_stands_before_its_host_in_every_client() {
    let (scene, host, key) = lab();
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "*", "--allow", "shell,exec,sftp", "--workspace", "lab"]);
    through(&scene, "lab=web-1").ok();
    through(&scene, "deploy@lab=web-1").ok();
    through(&scene, "alice+deploy@lab=web-1").ok();
    assert_eq!((host.sign_ins_with(&key), scene.host.sign_ins()), (3, 0));
    through(&scene, "web-1").ok();
    assert_eq!((host.sign_ins(), scene.host.sign_ins_with(&scene.deploy)), (3, 1));
    // scp and sftp take the name apart themselves.
    let place = scene.open_place("place");
    let mine = scene.dir().join("mine");
    std::fs::write(&mine, "over scp").unwrap();
    let to = format!("lab=web-1@through:{}/theirs", place.display());
    run(scene.alice.program("scp", &["-q", &mine.display().to_string(), &to]), "").ok();
    assert_eq!(std::fs::read_to_string(place.join("theirs")).unwrap(), "over scp");
    let listed = run(scene.alice.program("sftp", &["-q", "-b", "-", "lab=web-1@through"]), format!("ls -1 {}\n", place.display())).ok();
    assert!(listed.text().contains("theirs"), "{listed:?}");
    // The configuration that the broker writes does it, too.
    let config = scene.alice.verb("alice", "ssh-config --workspace lab", "").ok().text();
    assert!(config.contains("Host lab.web-1\n") && config.contains("User \"lab=web-1\"\n"), "{config}");
    let file = scene.dir().join("written");
    let known = std::fs::read_to_string(scene.alice.config()).unwrap();
    let identity = format!("  IdentityFile {}\n", scene.alice.key.path.display());
    std::fs::write(&file, format!("{config}Host lab.*\n{identity}{}", &known[known.find("Host *").unwrap()..])).unwrap();
    let mut ssh = crate::world::process::command("ssh");
    ssh.arg("-F").arg(&file).args(["lab.web-1", "true"]);
    let before = host.sign_ins();
    run(ssh, "").ok();
    assert_eq!(host.sign_ins(), before + 1);
    // Sessions are listed where they were.
    eventually("all have ended", || {
        scene.broker.json(&["session", "list", "--live", "--workspace", "lab"]).as_array().unwrap().is_empty().then_some(())
    });
    assert_eq!(scene.broker.sessions().len(), 1);
    assert_eq!(scene.broker.json(&["session", "list", "--workspace", "lab"]).as_array().unwrap().len(), 6);
}

#[test]
fn what_is_unknown_elsewhere_or_not_granted_gets_one_sentence() {
    let (scene, host, _) = lab();
    // Everywhere something is granted to her, but not this.
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "other-*", "--allow", "exec", "--workspace", "lab"]);
    let sentence = |selector: &str, host: &str| refused(&through(&scene, selector)).replace(host, "HOST");
    let not_granted = sentence("lab=web-1", "web-1");
    for (selector, name) in [
        ("lab=web-9", "web-9"),
        ("nix=web-1", "web-1"),
        ("web-9", "web-9"),
        ("default=web-9", "web-9"),
        ("nix=alice", "alice"),
        ("deploy@lab=web-1", "web-1"),
    ] {
        assert_eq!(sentence(selector, name), not_granted, "{selector}");
    }
    assert_eq!(host.log().matches("Connection from").count(), 0, "{}", host.log());
    // A person's grant in one workspace is none in another.
    through(&scene, "default=web-1").ok();
    // And each of them is in the log.
    let denied = scene.broker.audit().into_iter().filter(|e| e["event"] == "session.denied").count();
    assert_eq!(denied, 7);
}

#[test]
fn a_removed_workspace_ends_its_sessions_and_leaves_no_byte_of_its_key() {
    let (scene, host, key) = lab();
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "*", "--allow", "exec", "--workspace", "lab"]);
    let stay = scene.alice.stay(Way::Through, &["-l", "lab=web-1"], "echo ready; exec cat");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"));
    let refusal = scene.broker.refuses(&["workspace", "remove", "lab"]);
    assert!(refusal.contains("--end-sessions"), "{refusal}");
    let home = scene.broker.home();
    let cells: Vec<Vec<u8>> = {
        let c = database::open(&home);
        ["SELECT wrapped FROM keks WHERE scope = 'workspace/lab'", "SELECT sealed FROM credentials WHERE scope = 'workspace/lab'"]
            .iter()
            .map(|sql| c.query_row(sql, [], |r| r.get(0)).unwrap())
            .collect()
    };
    let held = |cell: &[u8]| {
        let files = std::fs::read_dir(&home).unwrap().flatten().filter(|e| e.path().is_file());
        files.filter(|e| std::fs::read(e.path()).unwrap().windows(24).any(|w| w == &cell[33..57])).count()
    };
    assert!(cells.iter().all(|cell| held(cell) > 0));
    let said = scene.owner.verb("root", "workspace remove lab --end-sessions --yes", "").ok();
    assert!(said.errors().contains("backup"), "what it does not do is said: {said:?}");
    let (status, errors) = stay.end();
    assert_eq!(status, Some(255), "{errors}");
    assert!(cells.iter().all(|cell| held(cell) == 0), "a file of the home still holds it");
    refused(&through(&scene, "lab=web-1"));
    through(&scene, "web-1").ok();
    assert_eq!((host.sign_ins(), host.sign_ins_with(&key)), (1, 1));
    // A workspace of the same name has nothing of it.
    scene.broker.does(&["workspace", "add", "lab"]);
    assert_eq!(scene.broker.json(&["credential", "list", "--workspace", "lab"]), serde_json::json!([]));
    refused(&through(&scene, "lab=web-1"));
}

#[test]
fn an_agent_is_told_that_it_has_one_workspace() {
    let (scene, _, _) = lab();
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "*", "--allow", "exec,propose", "--workspace", "lab"]);
    let agent = Key::new(scene.dir().join("agent"));
    scene.broker.does(&["agent", "add", "helper", "--for", "alice", "--key", &agent.public_file().display().to_string()]);
    let identity = format!("IdentityFile={}", agent.path.display());
    std::fs::remove_file(&scene.alice.key.path).unwrap();
    let outcome = run(scene.alice.ssh(&["-o", &identity, "-l", "lab=web-1", "through", "true"]), "");
    assert_ne!(outcome.status, Some(0), "{outcome:?}");
    assert!(outcome.errors().contains("workspace `default` alone"), "{outcome:?}");
    assert_eq!(scene.broker.json(&["proposal", "list"]), serde_json::json!([]));
}

#[test]
fn a_scan_stays_in_its_workspace() {
    let (scene, host, _) = lab();
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "*", "--allow", "scan", "--workspace", "lab"]);
    let scan = |words: &str| {
        let words = format!("scan {words}");
        run_within(PATIENCE * 3, scene.alice.ssh(&["-l", "alice", "through", "--", &words]), "")
    };
    let before = (host.sign_ins(), scene.host.sign_ins());
    let done = scan("run --hosts '*' --format json --workspace lab");
    let document: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {done:?}"));
    let id = document["id"].as_str().unwrap();
    assert_eq!(document["hosts"].as_array().unwrap().len(), 1, "{document}");
    assert_eq!((host.sign_ins(), scene.host.sign_ins()), (before.0 + 1, before.1));
    assert_eq!(scene.broker.json(&["scan", "list", "--workspace", "lab"])[0]["id"], id);
    assert_eq!(scene.broker.json(&["scan", "list"]), serde_json::json!([]));
    for words in [format!("show {id}"), format!("resume {id}"), format!("cancel {id}"), format!("remove {id}"), format!("diff {id} {id}")] {
        let refused = scan(&words);
        assert_eq!(refused.status, Some(1), "{words}: {refused:?}");
        assert!(refused.errors().contains("no scan") || refused.errors().contains("no such"), "{words}: {refused:?}");
    }
    // What it found goes with the workspace.
    scene.broker.does(&["workspace", "remove", "lab"]);
    let rows = |table: &str| -> i64 {
        database::open(&scene.broker.home()).query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).unwrap()
    };
    for table in ["scans", "scan_hosts", "scan_refs", "scan_texts"] {
        assert_eq!(rows(table), 0, "{table}");
    }
}

#[test]
fn on_a_terminal_the_removal_of_a_workspace_is_asked_about() {
    let (scene, _, _) = lab();
    let there = || scene.broker.json(&["workspace", "list"]).as_array().unwrap().len() == 2;
    for (answer, code) in [("n\n", 1), ("y\n", 0)] {
        let mut terminal = Terminal::start(&scene.broker.command(&["workspace", "remove", "lab"]), 24, 120);
        terminal.until("1 hosts, 1 credentials and 0 grants");
        terminal.until("[y/N]");
        terminal.write(answer);
        let (status, screen) = terminal.end();
        assert_eq!(status.code(), Some(code), "{screen}");
        assert_eq!(there(), code == 1, "{screen}");
    }
}
