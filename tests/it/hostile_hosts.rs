//! Hosts that break the protocol, before, while and after the broker signs in: each costs its own session, and nobody else's.
//! `evil` has the first of them; the table of all is docs/robustness.md.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use crate::hostile_clients::{Bystander, NEVER, SOON, resident};
use crate::world::account::NAME;
use crate::world::broker::Settings;
use crate::world::keys::Key;
use crate::world::process::command;
use crate::world::{PATIENCE, Process, Scene, Way, eventually, nonce, peer_script, python};

/// How much the broker may grow, whatever a host sends.
const MOST_KIB: u64 = 64 * 1024;

/// What somebody is told of a host that was given up for its time alone.
const TOO_LATE: &str = "did not finish";

/// What becomes of whoever connects.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// The broker gives the host up by itself.
    GivenUp,
    /// The host does its deed; the session may go on.
    Done,
}

fn known(scene: &Scene, address: &str, host_key: &Key) {
    scene.broker.does_with(&["credential", "add", "evil", "--scope", "workspace", "--username", NAME, "--password"], nonce(20));
    scene.broker.does(&["host", "add", "web-2", address, "--credential", "evil", "--host-key", &host_key.public]);
    scene.grant("alice", "web-2");
}

fn connects(scene: &Scene) -> (Process, std::sync::mpsc::Receiver<Vec<u8>>) {
    let mut ssh = scene.alice.ssh(&["-l", "web-2", "through", "true"]);
    // What a host sends is not taken: the pipe is full soon.
    ssh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = Process::start(ssh);
    let errors = client.errors();
    (client, errors)
}

/// Nobody else has felt it.
#[track_caller]
fn unharmed(scene: &Scene, mut bystander: Bystander, what: &str, before: u64) {
    bystander.echoes("after");
    eventually("its session has ended", || (scene.broker.live().len() == 1).then_some(()));
    let grown = resident(scene.broker.id()).saturating_sub(before);
    assert!(grown < MOST_KIB, "{what}: the broker grew by {grown} KiB");
    scene.alice.exec(Way::Through, "true").ok();
    assert_eq!(scene.broker.json(&["status"])["leases_open"], 0);
    bystander.leaves();
}

#[track_caller]
fn survives(deed: &str, end: End) {
    let scene = Scene::new();
    let host_key = Key::new(scene.dir().join("hostile_host_key"));
    let mut program = command(python());
    program.arg(peer_script("hostile_host.py")).arg(deed).arg(&host_key.path).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut host = Process::start(program);
    let said = host.lines();
    let port = said.next().expect("it says its port");
    known(&scene, &format!("127.0.0.1:{port}"), &host_key);
    let mut bystander = Bystander::of(&scene);
    let before = resident(scene.broker.id());
    let (mut client, errors) = connects(&scene);
    bystander.echoes("during");
    match end {
        End::GivenUp => {
            assert_eq!(client.wait().code(), Some(255), "{deed}");
            let told = String::from_utf8_lossy(&errors.recv_timeout(PATIENCE).unwrap()).into_owned();
            assert!(told.contains("keyward: ") && !told.contains('\u{1b}') && told.len() < 4096, "{deed}: {told:?}");
            assert!(!told.contains(TOO_LATE), "{deed}: {told:?}");
        }
        End::Done => {}
    }
    assert_eq!(said.next_within(2 * PATIENCE).as_deref(), Some("done"), "{deed}");
    bystander.echoes("done");
    if client.runs() {
        client.signal(Signal::TERM);
        client.wait();
    }
    unharmed(&scene, bystander, deed, before);
    host.signal(Signal::TERM);
    let rest: Vec<String> = std::iter::from_fn(|| said.next()).filter(|line| line != "done").collect();
    assert!(rest.is_empty(), "{deed}: {rest:?}");
}

#[test]
fn a_host_that_asks_for_ever_is_given_up() {
    survives("asks_for_ever", End::GivenUp);
}

#[test]
fn ten_thousand_requests_for_answers_are_not_answered() {
    survives("asks_unheard", End::GivenUp);
}

#[test]
fn ten_thousand_questions_at_once_are_asked_of_nobody() {
    survives("asks_much", End::GivenUp);
}

#[test]
fn a_question_of_two_hundred_kibibytes_draws_on_no_terminal() {
    survives("asks_at_length", End::GivenUp);
}

#[test]
fn banners_of_sixty_mebibytes_fill_no_memory() {
    survives("banners", End::GivenUp);
}

#[test]
fn a_hosts_flood_of_ignored_messages_costs_nothing() {
    survives("idle_messages", End::Done);
}

#[test]
fn extensions_by_the_ten_thousand_are_not_kept() {
    survives("extensions", End::Done);
}

#[test]
fn a_hosts_global_requests_are_refused_and_kept_nowhere() {
    survives("global_requests", End::Done);
}

#[test]
fn answers_that_the_host_does_not_read_are_not_kept() {
    survives("answers_unread", End::Done);
}

#[test]
fn a_hosts_window_that_grows_beyond_its_number_overflows_nothing() {
    survives("windows", End::Done);
}

#[test]
fn a_hosts_data_beyond_the_window_is_not_kept() {
    survives("beyond_the_window", End::Done);
}

#[test]
fn one_exit_status_after_the_other_fills_nothing() {
    survives("requests", End::Done);
}

#[test]
fn requests_with_long_names_fill_nothing() {
    survives("strange_requests", End::Done);
}

#[test]
fn what_a_host_sends_after_the_end_does_nothing() {
    survives("after_the_end", End::Done);
}

#[test]
fn a_host_that_changes_keys_all_the_time_harms_nobody_else() {
    survives("key_exchanges", End::Done);
}

#[test]
fn a_hosts_data_within_a_key_exchange_ends_its_connection() {
    survives("half_an_exchange", End::GivenUp);
}

#[test]
fn a_hosts_packet_that_is_too_large_ends_its_connection() {
    survives("too_large", End::GivenUp);
}

#[test]
fn a_long_goodbye_draws_on_no_terminal() {
    survives("a_long_goodbye", End::GivenUp);
}

#[test]
fn a_host_that_vanishes_is_told() {
    survives("vanishes", End::GivenUp);
}

/// A host that sends this before anything is encrypted, and has this time for the key exchange; the broker gives it up.
#[track_caller]
fn given_up(what: &str, time: &str, send: impl FnOnce(&mut TcpStream) -> std::io::Result<()> + Send + 'static) {
    let scene = Scene::with(Settings { config: format!("[host]\nhandshake_timeout = \"{time}\"\n"), ..Settings::default() });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host_key = Key::new(scene.dir().join("hostile_host_key"));
    known(&scene, &listener.local_addr().unwrap().to_string(), &host_key);
    let mut bystander = Bystander::of(&scene);
    let before = resident(scene.broker.id());
    let (mut client, errors) = connects(&scene);
    let (mut stream, _) = listener.accept().unwrap();
    let sends = std::thread::spawn(move || {
        let sent = send(&mut stream).is_ok();
        (stream, sent)
    });
    bystander.echoes("during");
    assert_eq!(client.wait().code(), Some(255), "{what}");
    let told = String::from_utf8_lossy(&errors.recv_timeout(PATIENCE).unwrap()).into_owned();
    assert!(told.contains("keyward: ") && told.len() < 4096, "{what}: {told:?}");
    assert_eq!(told.contains(TOO_LATE), time == SOON, "{what}: {told:?}");
    drop(sends.join());
    unharmed(&scene, bystander, what, before);
}

#[test]
fn a_host_that_says_nothing_is_given_up() {
    given_up("nothing", SOON, |_| Ok(()));
}

#[test]
fn a_host_that_says_half_a_version_is_given_up() {
    given_up("half a version", SOON, |stream| stream.write_all(b"SSH-2.0-Open"));
}

#[test]
fn a_host_that_says_a_byte_at_a_time_is_given_up() {
    given_up("drops", SOON, |stream| {
        // Its slowness is the attack: nothing is waited for.
        for byte in b"SSH-2.0-".iter().chain([b'x'; 200].iter()) {
            stream.write_all(&[*byte])?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    });
}

#[test]
fn a_hosts_version_of_ten_mebibytes_is_not_read() {
    given_up("a long version", NEVER, |stream| {
        stream.write_all(b"SSH-2.0-")?;
        (0..160).try_for_each(|_| stream.write_all(&[b'x'; 65536]))
    });
}

#[test]
fn a_million_lines_before_a_hosts_version_are_not_read() {
    given_up("lines", NEVER, |stream| (0..1000).try_for_each(|_| stream.write_all(&b"hello\r\n".repeat(1000))));
}

#[test]
fn a_hosts_packet_of_four_gibibytes_is_not_waited_for() {
    given_up("a length", NEVER, |stream| stream.write_all(b"SSH-2.0-x\r\n\xff\xff\xff\xff\x04\x14"));
}

#[test]
fn noise_instead_of_a_hosts_key_exchange_is_given_up() {
    given_up("noise", NEVER, |stream| {
        stream.write_all(b"SSH-2.0-x\r\n")?;
        stream.write_all(&crate::world::noise(1 << 20))
    });
}
