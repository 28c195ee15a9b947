//! The daemon itself: its home, its door, its configuration, its signals.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::world::broker::{KEYWARD, Settings};
use crate::world::{Broker, Client, Scene, Way, eventually, folder, process, run};

#[test]
fn the_first_start_makes_a_home_that_nobody_else_can_read() {
    let scene = Scene::bare(Settings::default(), None);
    let mode = |path: std::path::PathBuf| {
        std::fs::metadata(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).permissions().mode() & 0o7777
    };
    assert_eq!(mode(scene.broker.home()), 0o700);
    assert_eq!(mode(scene.broker.root_key()), 0o600);
    for entry in std::fs::read_dir(scene.broker.home()).unwrap().flatten() {
        let allowed = mode(entry.path());
        assert_eq!(allowed & 0o077, 0, "{}: {allowed:o}", entry.path().display());
    }
    assert_eq!(mode(scene.broker.home().join("control.sock")), 0o600);
    // Whoever ran it is its owner, with the keys of ~/.ssh.
    let owner = scene.broker.json(&["user", "show", "root"]);
    assert_eq!(owner["role"], "owner", "{owner}");
    assert!(owner.to_string().contains(&scene.owner.key.fingerprint), "{owner}");
}

#[test]
fn the_line_that_it_prints_names_the_key_that_it_shows() {
    let scene = Scene::bare(Settings::default(), None);
    let file = scene.dir().join("shown.pub");
    let shown: Vec<String> = scene
        .broker
        .host_keys()
        .iter()
        .map(|key| {
            std::fs::write(&file, key).unwrap();
            crate::world::keys::Key::of(&scene.dir().join("shown")).fingerprint
        })
        .collect();
    assert!(shown.iter().any(|f| f == scene.broker.fingerprint()), "{shown:?} {}", scene.broker.fingerprint());
}

#[test]
fn the_host_key_and_all_else_survives_a_restart() {
    let mut scene = Scene::new();
    let before = scene.broker.fingerprint().to_owned();
    scene.broker.stop();
    scene.broker.serve();
    assert_eq!(scene.broker.fingerprint(), before);
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn a_second_daemon_on_one_home_is_refused() {
    let mut scene = Scene::new();
    let second =
        run(scene.broker.command(&["serve", "--listen", "127.0.0.1:0", "--config", &scene.broker.config().display().to_string()]), "");
    assert_eq!(second.status, Some(1), "{second:?}");
    assert!(second.errors().starts_with("error: ") && second.errors().contains("\nhint: "), "{second:?}");
    assert!(second.stdout.is_empty());
    assert!(scene.broker.runs());
    scene.alice.exec(Way::Through, "true").ok();
    // One that was killed leaves nothing that holds up the next.
    scene.broker.kill();
    scene.broker.serve();
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn a_verb_without_a_daemon_says_so() {
    let mut scene = Scene::new();
    scene.broker.stop();
    let outcome = scene.broker.verb(&["host", "list"]);
    assert_eq!(outcome.status, Some(3), "{outcome:?}");
    assert!(outcome.errors().starts_with("error: ") && outcome.errors().contains("keyward"), "{outcome:?}");
    assert!(outcome.errors().contains("\nhint: ") && outcome.errors().contains("serve"), "{outcome:?}");
}

#[test]
fn a_mistake_in_the_configuration_is_named_with_file_and_line() {
    let dir = folder();
    let file = dir.path().join("broker.toml");
    for (text, line) in [
        ("[vault]\nroot_key = \"/tmp/x\"\nno_such_key = 1\n", 3),
        ("[log]\n\n\nlevel = 7\n", 4),
        ("[store]\nreserve = \"lots\"\n", 2),
        ("[listen\n", 1),
        ("[no_such_section]\na = 1\n", 1),
    ] {
        std::fs::write(&file, text).unwrap();
        let mut serve = process::command(KEYWARD);
        serve
            .env("HOME", dir.path())
            .arg("--home")
            .arg(dir.path().join("home"))
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&file);
        let outcome = run(serve, "");
        assert!(matches!(outcome.status, Some(1 | 2)), "{text}: {outcome:?}");
        assert!(outcome.errors().starts_with("error: "), "{text}: {outcome:?}");
        assert!(
            outcome.errors().contains(&format!("broker.toml:{line}")) || outcome.errors().contains(&format!("line {line}")),
            "{text}: {outcome:?}"
        );
        assert!(outcome.errors().contains("broker.toml"), "{text}: {outcome:?}");
        assert!(outcome.errors().contains("hint: "), "{text}: {outcome:?}");
        assert!(!dir.path().join("home/keyward.db").exists(), "a database was made with a configuration that is wrong: {text}");
    }
    let mut serve = process::command(KEYWARD);
    serve.env("HOME", dir.path()).arg("--home").arg(dir.path().join("home")).args(["serve", "--config", "/no/such/file.toml"]);
    let outcome = run(serve, "");
    assert!(matches!(outcome.status, Some(1 | 2)) && outcome.errors().contains("/no/such/file.toml"), "{outcome:?}");
}

#[test]
fn sighup_reads_the_configuration_again_and_keeps_what_runs() {
    let scene = Scene::new();
    let stay = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"));
    let reloads = || scene.broker.audit().iter().filter(|e| e["event"] == "daemon.reloaded").count();
    scene.broker.configure("[log]\nlevel = \"debug\"\n");
    scene.broker.signal(Signal::HUP);
    eventually("the configuration was read again", || (reloads() == 1).then_some(()));
    // A configuration that is wrong is said and changes nothing.
    scene.broker.configure("[log]\nlevel = 7\n");
    scene.broker.signal(Signal::HUP);
    eventually("the mistake is in the log", || scene.broker.log().contains("broker.toml").then_some(()));
    assert_eq!(reloads(), 1);
    scene.alice.exec(Way::Through, "true").ok();
    eventually("the new session has ended, and what ran goes on", || (scene.broker.live().len() == 1).then_some(()));
    stay.process.signal(Signal::TERM);
}

#[test]
fn an_interrupt_stops_it_in_order() {
    let mut scene = Scene::new();
    scene.broker.signal(Signal::INT);
    assert_eq!(scene.broker.wait().code(), Some(0), "{}", scene.broker.log());
    scene.broker.serve();
    let events: Vec<_> = scene
        .broker
        .audit()
        .into_iter()
        .filter_map(|e| e["event"].as_str().map(str::to_owned))
        .filter(|e| e.starts_with("daemon."))
        .collect();
    assert_eq!(events, ["daemon.started", "daemon.stopped", "daemon.started"]);
}

#[test]
fn a_client_of_the_local_door_that_says_nothing_holds_up_no_stop() {
    let mut scene = Scene::new();
    let silent = std::os::unix::net::UnixStream::connect(scene.broker.home().join("control.sock")).unwrap();
    // And one that began to say something.
    let mut halfway = std::os::unix::net::UnixStream::connect(scene.broker.home().join("control.sock")).unwrap();
    std::io::Write::write_all(&mut halfway, b"H\0\0").unwrap();
    // A verb that came after them is answered: the door has let both in.
    scene.broker.does(&["status"]);
    let told = std::time::Instant::now();
    scene.broker.signal(Signal::TERM);
    assert_eq!(scene.broker.wait().code(), Some(0), "{}", scene.broker.log());
    // They would have half a minute to say what they want.
    assert!(told.elapsed() < std::time::Duration::from_secs(20), "{:?}", told.elapsed());
    drop((silent, halfway));
    scene.broker.serve();
    assert!(scene.broker.audit().iter().any(|e| e["event"] == "daemon.stopped"));
}

#[test]
fn two_brokers_live_side_by_side() {
    let dir = folder();
    let owner = Client::new(&dir.path().join("owner"));
    let brokers = ["one", "two"].map(|name| {
        let place = dir.path().join(name);
        std::fs::create_dir(&place).unwrap();
        Broker::start(&place, &owner.key)
    });
    assert_ne!(brokers[0].fingerprint(), brokers[1].fingerprint());
    for broker in &brokers {
        assert_eq!(broker.json(&["status"])["live_connections"], 0);
    }
}

#[test]
fn a_root_key_that_others_can_read_is_not_taken() {
    let mut scene = Scene::new();
    scene.broker.stop();
    let key = scene.broker.root_key();
    let serve =
        || run(scene.broker.command(&["serve", "--listen", "127.0.0.1:0", "--config", &scene.broker.config().display().to_string()]), "");
    crate::world::open_to_all(&key, 0o644);
    let outcome = serve();
    assert_eq!(outcome.status, Some(1), "{outcome:?}");
    assert!(outcome.errors().contains("root.key") && outcome.errors().contains("hint: "), "{outcome:?}");
    crate::world::open_to_all(&key, 0o600);
    let elsewhere = scene.dir().join("elsewhere");
    std::fs::rename(&key, &elsewhere).unwrap();
    // Gone: a new one would not open what the old one sealed.
    let outcome = serve();
    assert_eq!(outcome.status, Some(1), "{outcome:?}");
    assert!(!key.exists(), "a new root key was made over a home that the old one sealed");
    std::os::unix::fs::symlink(&elsewhere, &key).unwrap();
    assert_eq!(serve().status, Some(1), "a symbolic link was followed");
    std::fs::remove_file(&key).unwrap();
    std::fs::rename(&elsewhere, &key).unwrap();
    scene.broker.serve();
    scene.alice.exec(Way::Through, "true").ok();
}
