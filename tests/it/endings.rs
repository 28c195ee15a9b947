//! Whoever goes first: the client, the host, the broker, or the permission. The others are told, and the record says why.

use rustix::process::Signal;

use crate::world::client::Stay;
use crate::world::process::{exists, kill_tree};
use crate::world::{Scene, Way, eventually};

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
