//! Clients that break the protocol, before and after they signed in: each costs its own connection, and nobody else's.
//! The table of all of them is docs/robustness.md.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::world::broker::Settings;
use crate::world::process::{Lines, command};
use crate::world::{PATIENCE, Process, Scene, Way, eventually, peer_script, python, run};

/// How much the broker may grow, whatever a client sends.
const MOST_KIB: u64 = 64 * 1024;

/// Resident memory in KiB, at its most.
pub(crate) fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    status.lines().find_map(|l| l.strip_prefix("VmHWM:")).and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap()
}

/// Somebody else's session, which must not feel anything.
pub(crate) struct Bystander {
    process: Process,
    lines: Lines,
    types: std::process::ChildStdin,
}

impl Bystander {
    #[track_caller]
    pub(crate) fn of(scene: &Scene) -> Self {
        let stay = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
        let (mut process, lines) = (stay.process, stay.lines);
        assert_eq!(lines.next().as_deref(), Some("ready"));
        let types = process.stdin().unwrap();
        Self { process, lines, types }
    }

    #[track_caller]
    pub(crate) fn echoes(&mut self, when: &str) {
        writeln!(self.types, "{when}").unwrap();
        assert_eq!(self.lines.next().as_deref(), Some(when), "{when}");
    }

    #[track_caller]
    pub(crate) fn leaves(self) {
        let Self { mut process, types, .. } = self;
        drop(types);
        assert_eq!(process.wait().code(), Some(0));
    }
}

/// What a hostile client finds at its end.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// Its connection was ended.
    Ended,
    /// It goes on: what it sent was legal, or harmed nobody.
    Either,
}

/// What a deed came to.
struct Found {
    /// Sign-ins that the broker accepted.
    accepted: usize,
    /// What the client was answered, counted by what it is.
    answers: Value,
}

impl Found {
    fn count(&self, what: &str) -> u64 {
        self.answers[what].as_u64().unwrap()
    }
}

fn accepted(scene: &Scene) -> usize {
    scene.broker.events("signin.accepted").len()
}

#[track_caller]
fn survives(deed: &str, end: End) -> Found {
    survives_at(&Scene::new(), deed, end, || ())
}

/// The same at this broker, with something that is waited for between the deed and the look at who has felt it.
#[track_caller]
fn survives_at(scene: &Scene, deed: &str, end: End, settled: impl FnOnce()) -> Found {
    let mut bystander = Bystander::of(scene);
    bystander.echoes("before");
    let (before, known) = (resident(scene.broker.id()), accepted(scene));
    let mut program = command(python());
    program.arg(peer_script("hostile_client.py")).arg(deed).args([&scene.broker.port().to_string(), "web-1"]).arg(&scene.alice.key.path);
    program.args((end == End::Ended).then_some("ends"));
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut client = Process::start(program);
    let (said, stays) = (client.lines(), client.stdin());
    assert_eq!(said.next().as_deref(), Some("begun"), "{deed}");
    bystander.echoes("during");
    assert_eq!(said.next_within(2 * PATIENCE).as_deref(), Some("done"), "{deed}");
    if deed != "leaves" {
        let found = said.next_within(2 * PATIENCE).unwrap_or_default();
        assert!(found == "ended" || (end == End::Either && found == "open"), "{deed}: {found}");
    }
    settled();
    bystander.echoes("after");
    drop(stays);
    let mut answers = Value::Null;
    if deed != "leaves" {
        // As late as it can be: an answer too many, or a byte, is among them.
        answers = serde_json::from_str(&said.next().unwrap_or_default()).unwrap();
        assert_eq!(answers["twice"], 0, "{deed}: {answers}");
    }
    client.wait();
    assert_eq!(said.next(), None, "{deed}");
    eventually("its sessions have ended", || (scene.broker.live().len() == 1).then_some(()));
    let grown = resident(scene.broker.id()).saturating_sub(before);
    assert!(grown < MOST_KIB, "{deed}: the broker grew by {grown} KiB");
    let accepted = accepted(scene) - known;
    // And a new one is let in.
    scene.alice.exec(Way::Through, "true").ok();
    assert_eq!(scene.broker.json(&["status"])["leases_open"], 0);
    bystander.leaves();
    Found { accepted, answers }
}

/// One that begins before it is signed in: nobody comes in by it, and no channel is opened for it.
#[track_caller]
fn lets_nobody_in(deed: &str, end: End) {
    let found = survives(deed, end);
    assert_eq!((found.accepted, found.count("opened"), found.count("granted")), (0, 0, 0), "{deed}");
}

#[test]
fn a_flood_of_ignored_messages_costs_nothing() {
    survives("idle_messages", End::Either);
}

#[test]
fn global_requests_by_the_hundred_thousand_are_refused_and_kept_nowhere() {
    let found = survives("global_requests", End::Either);
    assert_eq!((found.count("granted"), found.count("denied")), (0, 100_000), "{}", found.answers);
}

#[test]
fn answers_that_nobody_reads_are_not_kept() {
    survives("answers_unread", End::Either);
}

#[test]
fn a_clients_messages_for_channels_that_were_never_opened_do_nothing() {
    survives("never_opened", End::Either);
}

#[test]
fn channels_that_take_nothing_hold_up_nobody() {
    // What the host has sent and the client does not take is held: this much of each channel, and no more.
    let scene = Scene::with(Settings { config: "[host]\nwindow = \"2MiB\"\n".to_owned(), ..Settings::default() });
    let found = survives_at(&scene, "nothing_taken", End::Either, || {
        let (mut most, mut still) = (0, 0);
        eventually("it holds as much as it will", || {
            let now = resident(scene.broker.id()) / 1024;
            still = if now == std::mem::replace(&mut most, now) { still + 1 } else { 0 };
            (still == 50).then_some(())
        });
    });
    // Each is answered, and nothing is sent beyond a window.
    assert_eq!((found.count("opened") + found.count("refused"), found.count("bytes")), (21, 10), "{}", found.answers);
}

#[test]
fn an_open_that_is_malformed_ends_its_connection() {
    for deed in ["packets_of_none", "more_than_its_kind_has", "a_kind_that_is_no_text"] {
        let found = survives(deed, End::Ended);
        // It had one before.
        assert_eq!(found.count("opened"), 1, "{deed}");
    }
}

#[test]
fn a_window_that_grows_beyond_its_number_overflows_nothing() {
    survives("windows", End::Either);
}

#[test]
fn channels_by_the_thousand_are_counted() {
    let found = survives("opens", End::Either);
    // The limit counts the one that it had before.
    assert!((1..=64).contains(&found.count("opened")), "{}", found.answers);
    assert_eq!(found.count("opened") + found.count("refused"), 3001, "{}", found.answers);
}

#[test]
fn channels_of_no_known_kind_are_refused() {
    let found = survives("strange_opens", End::Either);
    // It had one before.
    assert_eq!((found.count("opened"), found.count("refused")), (1, 3000), "{}", found.answers);
}

#[test]
fn what_comes_for_a_channel_after_its_end_does_nothing() {
    survives("after_the_end", End::Either);
}

#[test]
fn a_command_of_a_mebibyte_ends_its_connection() {
    survives("long_command", End::Ended);
}

#[test]
fn variables_without_end_are_counted() {
    survives("environment", End::Either);
}

#[test]
fn a_terminal_that_changes_its_size_for_ever_fills_nothing() {
    survives("sizes", End::Either);
}

#[test]
fn signals_with_long_names_fill_nothing() {
    survives("signals", End::Either);
}

#[test]
fn terminals_with_thousands_of_modes_fill_nothing() {
    survives("modes", End::Either);
}

#[test]
fn one_key_exchange_after_the_other_harms_nobody_else() {
    survives("key_exchanges", End::Either);
}

#[test]
fn data_within_a_key_exchange_ends_its_connection() {
    survives("half_an_exchange", End::Ended);
}

#[test]
fn data_beyond_the_window_is_not_kept() {
    survives("beyond_the_window", End::Either);
}

#[test]
fn a_packet_that_is_too_large_ends_its_connection() {
    survives("too_large", End::Ended);
}

#[test]
fn a_packet_that_is_larger_than_agreed_harms_nobody_else() {
    survives("larger_than_agreed", End::Either);
}

#[test]
fn sign_ins_by_the_ten_thousand_on_one_connection_are_cut_off() {
    lets_nobody_in("knocks", End::Ended);
}

#[test]
fn answers_to_questions_that_were_not_asked_sign_nobody_in() {
    lets_nobody_in("answers_to_no_question", End::Either);
}

#[test]
fn one_service_after_the_other_is_no_way_in() {
    lets_nobody_in("services", End::Either);
}

#[test]
fn a_channel_before_the_sign_in_ends_its_connection() {
    lets_nobody_in("channels_without_a_sign_in", End::Ended);
}

#[test]
fn clients_that_vanish_in_each_phase_leave_nothing_behind() {
    // Half of the times it was in before it went.
    assert_eq!(survives("leaves", End::Either).accepted, 24);
}

/// A limit of time that a test waits for: shorter than its patience, and long enough for the others, who have no more of it, on a loaded machine.
pub(crate) const SOON: &str = "10s";
/// One that no test waits for: what is hung up by then is hung up for what it sent.
pub(crate) const NEVER: &str = "1h";

/// What a stranger sends before anything is encrypted, who has this time for signing in; the broker hangs up.
#[track_caller]
fn hung_up(what: &str, time: &str, send: impl FnOnce(&mut TcpStream) -> std::io::Result<()> + Send + 'static) {
    let scene = Scene::with(Settings { config: format!("[limits]\nsign_in_time = \"{time}\"\n"), ..Settings::default() });
    let mut bystander = Bystander::of(&scene);
    let before = resident(scene.broker.id());
    let mut stream = TcpStream::connect(("127.0.0.1", scene.broker.port())).unwrap();
    let mut writes = stream.try_clone().unwrap();
    let sends = std::thread::spawn(move || send(&mut writes).is_ok());
    bystander.echoes("during");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut piece = [0; 4096];
    // Until the broker ends it, by a close or a reset.
    loop {
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(_) => {}
            Err(e) => {
                assert!(!matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{what}: not hung up");
                break;
            }
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
    let _ = sends.join();
    bystander.echoes("after");
    let grown = resident(scene.broker.id()).saturating_sub(before);
    assert!(grown < MOST_KIB, "{what}: the broker grew by {grown} KiB");
    scene.alice.exec(Way::Through, "true").ok();
    bystander.leaves();
}

#[test]
fn a_client_that_says_nothing_is_hung_up() {
    hung_up("nothing", SOON, |_| Ok(()));
}

#[test]
fn a_client_that_says_half_a_version_is_hung_up() {
    hung_up("half a version", SOON, |stream| stream.write_all(b"SSH-2.0-Open"));
}

#[test]
fn a_client_that_closes_its_half_is_hung_up() {
    hung_up("half a socket", NEVER, |stream| {
        stream.write_all(b"SSH-2.0-half\r\n")?;
        stream.shutdown(Shutdown::Write)
    });
}

#[test]
fn a_byte_at_a_time_is_no_way_to_stay() {
    hung_up("drops", SOON, |stream| {
        // Its slowness is the attack: nothing is waited for.
        for byte in b"SSH-2.0-".iter().chain([b'x'; 200].iter()) {
            stream.write_all(&[*byte])?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    });
}

#[test]
fn a_version_of_ten_mebibytes_is_not_read() {
    hung_up("a long version", NEVER, |stream| {
        stream.write_all(b"SSH-2.0-")?;
        (0..160).try_for_each(|_| stream.write_all(&[b'x'; 65536]))
    });
}

#[test]
fn a_million_lines_before_the_version_are_not_read() {
    hung_up("lines", NEVER, |stream| (0..1000).try_for_each(|_| stream.write_all(&b"hello\r\n".repeat(1000))));
}

#[test]
fn a_packet_of_four_gibibytes_is_not_waited_for() {
    hung_up("a length", NEVER, |stream| stream.write_all(b"SSH-2.0-x\r\n\xff\xff\xff\xff\x04\x14"));
}

#[test]
fn noise_instead_of_a_key_exchange_is_hung_up() {
    hung_up("noise", NEVER, |stream| {
        stream.write_all(b"SSH-2.0-x\r\n")?;
        stream.write_all(&crate::world::noise(1 << 20))
    });
}

#[test]
fn nothing_is_ever_compressed() {
    let scene = Scene::new();
    let outcome = run(scene.alice.ssh(&["-C", "-v", "-o", "LogLevel=DEBUG1", "through", "true"]), "").ok();
    let chosen: Vec<String> = outcome.errors().lines().filter(|l| l.contains("compression: ")).map(str::to_owned).collect();
    assert!(chosen.len() == 2 && chosen.iter().all(|l| l.trim_end().ends_with("compression: none")), "{chosen:?}");
    // And whoever insists is not let in.
    let mut program = command(python());
    program.args(["-c", ONLY_ZLIB, &scene.broker.port().to_string()]);
    assert_eq!(run(program, "").ok().text().trim(), "refused");
}

/// Offers compression and nothing else.
const ONLY_ZLIB: &str = "
import sys, socket, paramiko
t = paramiko.Transport(socket.create_connection(('127.0.0.1', int(sys.argv[1]))))
t._preferred_compression = ('zlib@openssh.com', 'zlib')
try:
    t.start_client(timeout=30)
    print('agreed')
except paramiko.SSHException as e:
    print('refused' if 'no acceptable compression' in str(e) else e)
";
