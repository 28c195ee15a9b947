//! Hosts that let the broker in and then break the protocol. Each costs its own session and nobody else's, and no memory.

use std::io::Write as _;
use std::process::Stdio;

use rustix::process::Signal;

use crate::world::account::NAME;
use crate::world::keys::Key;
use crate::world::{PATIENCE, Process, Scene, Way, eventually, nonce, peer_script, python};

/// How much the broker may grow, whatever a host sends.
const MOST_KIB: u64 = 64 * 1024;

/// A host that does one thing wrong; `web-2` at the broker.
pub(crate) struct Evil {
    process: Process,
    pub(crate) said: crate::world::process::Lines,
}

impl Evil {
    #[track_caller]
    pub(crate) fn joins(scene: &Scene, deed: &str) -> Self {
        let host_key = Key::new(scene.dir().join("evil_host_key"));
        let mut program = crate::world::process::command(python());
        program.arg(peer_script("evil_host.py")).arg(deed).arg(&host_key.path).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Process::start(program);
        let said = process.lines();
        let port = said.next().expect("it says its port");
        scene.broker.does_with(&["credential", "add", "evil", "--scope", "workspace", "--username", NAME, "--password"], nonce(20));
        let address = format!("127.0.0.1:{port}");
        scene.broker.does(&["host", "add", "web-2", &address, "--credential", "evil", "--host-key", &host_key.public]);
        scene.grant("alice", "web-2");
        Self { process, said }
    }
}

/// Connects to a host that does this deed while another session lives; then nobody else has felt it.
#[track_caller]
fn survives(deed: &str, until: impl FnOnce(&Evil, &mut Process)) {
    let scene = Scene::new();
    let mut other = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
    assert_eq!(other.lines.next().as_deref(), Some("ready"));
    let mut other_types = other.process.stdin().unwrap();
    let evil = Evil::joins(&scene, deed);
    let before = resident(scene.broker.id());
    let mut ssh = scene.alice.ssh(&["-l", "web-2", "through", "true"]);
    ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut client = Process::start(ssh);
    until(&evil, &mut client);
    // The other session has neither ended nor stopped.
    writeln!(other_types, "still here").unwrap();
    assert_eq!(other.lines.next().as_deref(), Some("still here"), "{deed}");
    if client.runs() {
        client.signal(Signal::TERM);
        client.wait();
    }
    // Whatever was answered has arrived by then.
    eventually("its session has ended", || (scene.broker.live().len() == 1).then_some(()));
    evil.process.signal(Signal::TERM);
    let rest: Vec<String> = std::iter::from_fn(|| evil.said.next()).collect();
    // Nothing was let in, nothing went unanswered, and no deed broke.
    assert!(rest.iter().all(|line| line == "done" || line == "asked"), "{deed}: {rest:?}");
    let grown = resident(scene.broker.id()).saturating_sub(before);
    assert!(grown < MOST_KIB, "{deed}: the broker grew by {grown} KiB");
    // And a new one is let in.
    scene.alice.exec(Way::Through, "true").ok();
    assert_eq!(scene.broker.json(&["status"])["leases_open"], 0);
}

/// Resident memory in KiB, at its most.
fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    status.lines().find_map(|l| l.strip_prefix("VmHWM:")).and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap()
}

#[test]
fn a_host_that_announces_four_thousand_million_questions_is_given_up() {
    survives("prompts", |_, client| assert_eq!(client.wait().code(), Some(255)));
}

#[test]
fn a_flood_of_extensions_fills_no_memory() {
    survives("ext_info", |evil, _| assert_eq!(evil.said.next().as_deref(), Some("done")));
}

#[test]
fn a_channel_for_packets_of_no_bytes_holds_up_nothing() {
    survives("zero_packet", |_, _| {});
}

#[test]
fn messages_for_channels_that_were_never_opened_do_nothing() {
    survives("channels", |evil, _| assert_eq!(evil.said.next().as_deref(), Some("done")));
}

#[test]
fn an_open_that_is_never_answered_holds_up_nobody_else() {
    survives("no_answer", |evil, _| assert_eq!(evil.said.next().as_deref(), Some("asked")));
}

#[test]
fn a_host_opens_no_channel_back() {
    survives("back", |evil, client| {
        assert_eq!(evil.said.next_within(2 * PATIENCE).as_deref(), Some("refused 2100"), "an open that was accepted would be told first");
        assert_eq!(evil.said.next().as_deref(), Some("done"));
        assert_eq!(client.wait().code(), Some(3), "what is run there has gone on to its own end");
    });
}

#[test]
fn a_malformed_open_of_a_host_ends_its_connection() {
    survives("malformed", |evil, client| {
        assert_eq!(client.wait().code(), Some(255));
        assert_eq!(evil.said.next_within(2 * PATIENCE).as_deref(), Some("done"), "a connection that has not ended would be told first");
    });
}
