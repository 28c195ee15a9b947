//! However a channel of the picker ends, its client hears of it, and nothing of it stays behind: real ssh clients, hosts of all kinds.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::world::broker::Settings;
use crate::world::fake::{Deed, Fake};
use crate::world::process::{exists, to_end};
use crate::world::terminal::Terminal;
use crate::world::{Process, Scene, agent, eventually, run};

/// A client whose input is no terminal, and who wants one on the host.
fn piped(scene: &Scene) -> Command {
    let mut ssh = scene.alice.ssh(&["-tt", "-l", "alice", "through"]);
    ssh.env("TERM", "xterm");
    ssh
}

/// A connection of Alice's that clients share: it is over when the last of its channels is.
struct Shared<'a> {
    scene: &'a Scene,
    control: String,
    id: u32,
}

impl<'a> Shared<'a> {
    #[track_caller]
    fn of(scene: &'a Scene) -> Self {
        let control = format!("ControlPath={}", scene.place("control").join("s").display());
        run(scene.alice.ssh(&["-M", "-o", &control, "-o", "ControlPersist=yes", "-l", "alice", "through", "status"]), "").ok();
        let check = run(scene.alice.ssh(&["-o", &control, "-O", "check", "-l", "alice", "through"]), "").ok();
        let said = check.errors() + &check.text();
        let id = said.split_once("pid=").and_then(|(_, rest)| rest.split(')').next()?.parse().ok());
        Self { scene, control, id: id.unwrap_or_else(|| panic!("{check:?}")) }
    }

    /// A client on it, which has chosen this host.
    #[track_caller]
    fn chooses(&self, typed: &str) -> Terminal {
        let mut terminal = Terminal::start(&self.scene.alice.ssh(&["-o", &self.control, "-l", "alice", "through"]), 24, 80);
        terminal.until("type to filter");
        eventually("the client's terminal modes", || terminal.is_raw().then_some(()));
        terminal.write(typed);
        terminal.until("keyward: connecting to");
        terminal
    }

    /// No channel is left on it, on either side.
    #[track_caller]
    fn ends(self) {
        assert!(exists(self.id), "the connection outlives its channels");
        run(self.scene.alice.ssh(&["-o", &self.control, "-O", "stop", "-l", "alice", "through"]), "").ok();
        eventually("the last channel is closed by both", || (!exists(self.id)).then_some(()));
    }
}

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        if exists(self.id) {
            crate::world::process::kill_tree(self.id, rustix::process::Signal::KILL);
        }
    }
}

/// Makes this the host web-2 of Alice's.
fn known(scene: &Scene, fake: &Fake) {
    scene.broker.does(&["host", "add", "web-2", &fake.address(), "--credential", "deploy", "--host-key", &fake.host_key.public]);
    scene.grant("alice", "web-2");
}

#[test]
fn an_end_of_the_input_ends_the_channel_also_where_no_host_is_reached() {
    let scene = Scene::new();
    let gone = scene.another_host("db-1", &[&scene.deploy]);
    scene.add_host("db-1", &gone, "deploy");
    scene.grant("alice", "db-1");
    drop(gone);
    let outcome = run(piped(&scene), "db-1\rls\r");
    assert_eq!(outcome.status, Some(255), "{outcome:?}");
    let screen = outcome.text();
    assert!(screen.contains("keyward: db-1: ") && !screen.contains("Connection closed"), "{screen}");
    assert_eq!(screen.matches("\x1b[?1049h").count(), screen.matches("\x1b[?1049l").count(), "{screen}");
    assert_eq!(scene.broker.events("session.refused").len(), 1);
}

#[test]
fn an_end_of_the_input_at_the_inbox_leaves_the_picker_as_well() {
    let scene = agent::scene();
    let outcome = run(piped(&scene), "\x0f");
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    let screen = outcome.text();
    assert!(screen.contains("keyward inbox"), "{screen}");
    assert_eq!(screen.matches("\x1b[?1049h").count(), screen.matches("\x1b[?1049l").count(), "{screen}");
}

#[test]
fn clients_that_go_while_a_host_is_awaited_leave_no_channel_behind() {
    let scene = Scene::with(Settings { config: "[limits]\nchannels = 3\n".to_owned(), ..Settings::default() });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    scene.broker.does(&["host", "add", "slow-1", &address, "--credential", "deploy", "--host-key", &scene.host.host_key.public]);
    scene.grant("alice", "slow-1");
    let shared = Shared::of(&scene);
    for n in 1..=5 {
        drop(shared.chooses("slow-1\r"));
        eventually("its end is recorded", || (scene.broker.events("session.refused").len() == n).then_some(()));
    }
    shared.ends();
}

#[test]
fn a_client_that_does_not_read_still_ends_with_its_session() {
    let scene = Scene::new();
    let mut ssh = piped(&scene);
    ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut client = Process::start(ssh);
    let mut keyboard = client.stdin().expect("a pipe");
    keyboard.write_all(b"web-1\ryes\r").unwrap();
    let id = eventually("a session", || scene.broker.live().first().and_then(|s| s["id"].as_str().map(str::to_owned)));
    let mut before = (0, 0);
    eventually("the client takes no more", || {
        let now = scene.broker.live()[0]["bytes_out"].as_u64().unwrap_or(0);
        // The same for so many looks: nothing moves.
        before = if now == before.0 { (now, before.1 + 1) } else { (now, 0) };
        (now > 1024 * 1024 && before.1 > 20).then_some(())
    });
    scene.broker.does(&["session", "end", &id]);
    assert_eq!(scene.broker.ended_session()["end_reason"], "ended");
    let _screen = to_end(client.stdout());
    assert_eq!(client.wait().code(), Some(255));
    drop(keyboard);
}

#[test]
fn a_host_that_opens_no_channel_is_given_up() {
    let scene = Scene::new();
    let fake = Fake::start(&scene.place("mute"), Deed::OpenNothing);
    known(&scene, &fake);
    let mut terminal = Terminal::start(&scene.alice.ssh(&["-l", "alice", "through"]), 24, 100);
    terminal.until("type to filter");
    terminal.write("web-2\r");
    terminal.until("keyward: the host does not answer");
    assert_eq!(terminal.end().0.code(), Some(255));
    assert_eq!(scene.broker.ended_session()["exit_status"], 255);
}

#[test]
fn a_session_ends_with_its_client_though_the_host_opens_no_channel() {
    let scene = Scene::new();
    let fake = Fake::start(&scene.place("mute"), Deed::OpenNothing);
    known(&scene, &fake);
    let shared = Shared::of(&scene);
    let client = shared.chooses("web-2\r");
    eventually("it waits for the host", || (scene.broker.events("session.signed_in").len() == 1).then_some(()));
    drop(client);
    assert_eq!(scene.broker.ended_session()["end_reason"], "client_closed");
    shared.ends();
}

#[test]
fn a_session_ends_with_its_client_though_the_host_reads_nothing() {
    let scene = Scene::new();
    let fake = Fake::start(&scene.place("deaf"), Deed::ReadNothing);
    known(&scene, &fake);
    let shared = Shared::of(&scene);
    // More than the host's window, typed ahead.
    let client = shared.chooses(&format!("web-2\r{}", "x".repeat(1000)));
    eventually("it waits for the host", || (scene.broker.events("channel.opened").len() == 1).then_some(()));
    drop(client);
    assert_eq!(scene.broker.ended_session()["end_reason"], "client_closed");
    shared.ends();
}
