//! Whoever goes first: the client, the host, the broker, or the permission. The others are told, and the record says why.

use std::process::Stdio;

use rustix::process::Signal;

use crate::world::client::Stay;
use crate::world::fake::Gate;
use crate::world::keys::Key;
use crate::world::process::{exists, kill_tree};
use crate::world::terminal::Terminal;
use crate::world::{Process, Scene, Way, eventually};

/// A command on the host that says its process id and then lives as long as its channel.
fn stay(scene: &Scene) -> (Stay, u32) {
    let stay = scene.alice.stay(Way::Through, &[], "echo $$; exec cat");
    let id = stay.lines.next().and_then(|l| l.parse().ok()).unwrap_or_else(|| panic!("no process id\n{}", scene.broker.log()));
    assert!(exists(id));
    (stay, id)
}

/// The client was told by the broker, and by nobody else.
#[track_caller]
fn told(stay: Stay) -> String {
    let (status, errors) = stay.end();
    assert_eq!(status, Some(255), "{errors}");
    assert!(errors.lines().any(|l| l.starts_with("keyward: ")), "the broker says why: {errors:?}");
    errors
}

fn gone(what: &str, id: u32) {
    eventually(what, || (!exists(id)).then_some(()));
}

#[test]
fn an_ordinary_end_is_recorded_with_its_status_and_bytes() {
    let scene = Scene::new();
    let outcome = scene.alice.exec_with(Way::Through, &[], "cat; printf 12345 >&2; exit 9", vec![b'x'; 1000]);
    assert_eq!(outcome.status, Some(9));
    let session = scene.broker.ended_session();
    assert_eq!(session["end_reason"], "client_closed", "{session}");
    assert_eq!(session["exit_status"], 9);
    assert_eq!((session["bytes_in"].as_u64(), session["bytes_out"].as_u64()), (Some(1000), Some(1005)));
    assert_eq!((&session["user"], &session["host"], &session["credential"]), (&"alice".into(), &"web-1".into(), &"deploy".into()));
    assert!(session["client"].as_str().unwrap().starts_with("127.0.0.1"), "{session}");
    assert!(session["id"].as_str().unwrap().starts_with("ses_"), "{session}");
}

#[test]
fn a_client_that_dies_takes_its_command_on_the_host_with_it() {
    let scene = Scene::new();
    let (stay, id) = stay(&scene);
    stay.process.signal(Signal::KILL);
    gone("the command on the host has ended", id);
    assert_eq!(scene.broker.ended_session()["end_reason"], "client_lost");
}

#[test]
fn a_client_that_dies_hangs_up_its_terminal_on_the_host() {
    let scene = Scene::new();
    let stay = scene.alice.stay(Way::Through, &["-tt"], "echo pid=$$; exec sleep 1000");
    let id = stay.lines.next().and_then(|l| l.strip_prefix("pid=").and_then(|id| id.parse().ok())).unwrap();
    assert!(exists(id));
    stay.process.signal(Signal::KILL);
    gone("the command on the terminal has ended", id);
    assert_eq!(scene.broker.ended_session()["end_reason"], "client_lost");
}

#[test]
fn a_host_that_dies_is_told_to_the_client() {
    let scene = Scene::new();
    let (stay, _) = stay(&scene);
    kill_tree(scene.host.id(), Signal::KILL);
    told(stay);
    assert_eq!(scene.broker.ended_session()["end_reason"], "host_lost");
}

#[test]
fn a_broker_that_is_stopped_tells_its_clients_and_records_it() {
    let mut scene = Scene::new();
    let (stay, id) = stay(&scene);
    scene.broker.signal(Signal::TERM);
    let errors = told(stay);
    let status = scene.broker.wait();
    assert_eq!(status.code(), Some(0), "{errors}\n{}", scene.broker.log());
    gone("the command on the host has ended", id);
    scene.broker.serve();
    assert_eq!(scene.broker.only_session()["end_reason"], "shutdown");
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn a_broker_that_was_killed_finds_its_sessions_at_the_next_start() {
    let mut scene = Scene::new();
    let (stay, id) = stay(&scene);
    scene.broker.kill();
    assert_eq!(stay.end().0, Some(255));
    gone("the command on the host has ended", id);
    scene.broker.serve();
    assert_eq!(scene.broker.only_session()["end_reason"], "crashed");
    assert!(scene.broker.live().is_empty());
    scene.broker.does(&["audit", "verify"]);
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn a_session_ends_when_an_admin_ends_it() {
    let scene = Scene::new();
    let (stay, id) = stay(&scene);
    let live = scene.broker.live();
    let [session] = &live[..] else { panic!("{live:#?}") };
    let session = session["id"].as_str().unwrap();
    scene.broker.does(&["session", "end", session]);
    told(stay);
    gone("the command on the host has ended", id);
    assert_eq!(scene.broker.ended_session()["end_reason"], "ended");
    assert!(scene.broker.live().is_empty());
    let shown = scene.broker.json(&["session", "show", session]);
    assert_eq!((&shown["id"], &shown["end_reason"]), (&session.into(), &"ended".into()));
    scene.broker.refuses(&["session", "end", session]);
    scene.broker.refuses(&["session", "show", "ses_nothing"]);
}

#[test]
fn a_session_ends_when_its_grant_is_removed() {
    let scene = Scene::new();
    let (stay, id) = stay(&scene);
    let grants = scene.broker.json(&["grant", "list"]);
    let grant = grants[0]["id"].as_str().unwrap();
    scene.broker.does(&["grant", "remove", grant]);
    told(stay);
    gone("the command on the host has ended", id);
    assert_eq!(scene.broker.ended_session()["end_reason"], "withdrawn");
}

#[test]
fn a_session_goes_on_when_another_grant_still_allows_it() {
    let scene = Scene::new();
    scene.grant("alice", "web-*");
    let (mut stay, _) = stay(&scene);
    let grants = scene.broker.json(&["grant", "list"]);
    scene.broker.does(&["grant", "remove", grants[0]["id"].as_str().unwrap()]);
    use std::io::Write as _;
    writeln!(stay.process.stdin().unwrap(), "still here").unwrap();
    assert_eq!(stay.lines.next().as_deref(), Some("still here"));
    assert_eq!(stay.end().0, Some(0));
}

#[test]
fn a_disabled_person_is_out_at_once_and_stays_out() {
    let scene = Scene::new();
    let (stay, id) = stay(&scene);
    scene.broker.does(&["user", "disable", "alice"]);
    told(stay);
    gone("the command on the host has ended", id);
    assert_eq!(scene.broker.ended_session()["end_reason"], "withdrawn");
    let sign_ins = scene.host.sign_ins();
    let outcome = scene.alice.exec(Way::Through, "true");
    assert_eq!(outcome.status, Some(255), "{outcome:?}");
    assert_eq!(scene.host.sign_ins(), sign_ins);
    scene.broker.does(&["user", "enable", "alice"]);
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn a_removed_person_is_out_at_once_and_stays_out() {
    let scene = Scene::new();
    let (stay, id) = stay(&scene);
    scene.broker.does(&["user", "remove", "alice"]);
    told(stay);
    gone("the command on the host has ended", id);
    assert_eq!(scene.alice.exec(Way::Through, "true").status, Some(255));
}

#[test]
fn a_session_is_listed_while_it_lives() {
    let scene = Scene::new();
    assert!(scene.broker.live().is_empty());
    let (stay, _) = stay(&scene);
    let live = scene.broker.live();
    assert_eq!(live.len(), 1, "{live:#?}");
    assert!(live[0]["ended_at"].is_null() && live[0]["end_reason"].is_null(), "{live:#?}");
    let status = scene.broker.json(&["status"]);
    assert_eq!(status["live_connections"], 1, "{status}");
    assert_eq!(status["leases_open"], 0, "signed in: the lease has ended\n{status}");
    stay.process.signal(Signal::TERM);
    scene.broker.ended_session();
    assert!(scene.broker.live().is_empty());
    assert_eq!(scene.broker.json(&["status"])["live_connections"], 0);
}

#[test]
fn what_is_withdrawn_while_the_host_is_dialled_starts_nothing() {
    let scene = Scene::new();
    // The same host behind a gate that a test opens.
    let gate = Gate::before(scene.host.port);
    scene.broker.does(&["host", "add", "web-2", &gate.address(), "--credential", "deploy", "--host-key", &scene.host.host_key.public]);
    scene.grant("alice", "web-2");
    let mark = scene.open_place("place").join("mark");
    let remote = format!("touch {}", mark.display());
    let mut ssh = scene.alice.ssh(&["-l", "web-2", "through", &remote]);
    ssh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = Process::start(ssh);
    let errors = client.errors();
    gate.arrived();
    let grants = scene.broker.json(&["grant", "list"]);
    let grant = grants.as_array().unwrap().iter().find(|g| g["hosts"] == "web-2").unwrap();
    scene.broker.does(&["grant", "remove", grant["id"].as_str().unwrap()]);
    gate.open();
    assert_eq!(client.wait().code(), Some(255));
    let errors = String::from_utf8(errors.recv().unwrap()).unwrap();
    assert!(errors.contains("keyward: your access to this host was withdrawn"), "{errors}");
    let session = scene.broker.ended_session();
    assert_eq!(session["end_reason"], "withdrawn");
    let trail = scene.broker.trail(&session);
    assert!(!trail.iter().any(|e| e == "channel.opened"), "{trail:?}");
    assert!(!mark.exists(), "a command ran for whom nothing was granted any more");
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn a_running_command_ends_when_its_own_grant_goes_and_the_session_stays() {
    let scene = Scene::new();
    let grants = scene.broker.json(&["grant", "list"]);
    scene.broker.does(&["grant", "remove", grants[0]["id"].as_str().unwrap()]);
    let allow = |what: &str| {
        scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", what]);
        let grants = scene.broker.json(&["grant", "list"]);
        grants.as_array().unwrap().iter().find(|g| g["allow"].to_string().contains(what)).unwrap()["id"].as_str().unwrap().to_owned()
    };
    allow("sftp");
    let exec = allow("exec");
    let (stay, id) = stay(&scene);
    scene.broker.does(&["grant", "remove", &exec]);
    assert!(told(stay).contains("keyward: exec is not granted to you here any more"));
    gone("the command on the host has ended", id);
    assert_eq!(scene.broker.ended_session()["end_reason"], "client_closed", "what is left of the grants still holds the session");
    let shell = allow("shell");
    let mut terminal = Terminal::start(&scene.alice.ssh(&["-tt", "through"]), 24, 80);
    terminal.write("echo $((6*7))-typed\n");
    terminal.until("42-typed");
    scene.broker.does(&["grant", "remove", &shell]);
    terminal.until("keyward: shell is not granted to you here any more");
    assert_eq!(terminal.end().0.code(), Some(255));
}

#[test]
fn a_removed_key_ends_the_sessions_that_it_signed_in() {
    let scene = Scene::new();
    let second = Key::new(scene.dir().join("second"));
    scene.broker.does(&["user", "key", "add", "alice", &second.public_file().display().to_string()]);
    let (first, id) = stay(&scene);
    let identity = format!("IdentityFile={}", second.path.display());
    // Offered before the one that the configuration names.
    let mut other = scene.alice.stay(Way::Through, &["-o", &identity], "echo ready; exec cat");
    assert_eq!(other.lines.next().as_deref(), Some("ready"));
    scene.broker.does(&["user", "key", "remove", "alice", &scene.alice.key.fingerprint]);
    assert!(told(first).contains("withdrawn"));
    gone("the command on the host has ended", id);
    // What another key of hers opened goes on.
    use std::io::Write as _;
    writeln!(other.process.stdin().unwrap(), "still here").unwrap();
    assert_eq!(other.lines.next().as_deref(), Some("still here"));
    assert_eq!(other.end().0, Some(0));
}
