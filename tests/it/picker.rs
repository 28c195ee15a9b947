//! A person finds their host on a full screen, and the same channel is the host's: real ssh clients, on terminals.

use std::net::TcpListener;
use std::process::Command;

use crate::credentials::asking_for_a_code;
use crate::world::account::NAME;
use crate::world::fake::CODE;
use crate::world::keys::Key;
use crate::world::process::command;
use crate::world::terminal::Terminal;
use crate::world::tmux::Tmux;
use crate::world::{Agent, Scene, SshAgent, agent, eventually, run, tool};

/// Alice's client on the way to the console.
pub(crate) fn console(scene: &Scene) -> Command {
    scene.alice.ssh(&["-l", "alice", "through"])
}

/// Alice's picker in a window.
#[track_caller]
fn window(scene: &Scene) -> Tmux {
    let window = Tmux::start(scene.place("window"), 100, 24, &console(scene));
    window.until("keyward: alice");
    window.until("type to filter");
    window
}

/// Chooses the host whose name was typed; its shell is there when this returns.
#[track_caller]
fn shell(window: &Tmux, host: &str) {
    window.types(host);
    window.until_it("one host", |screen| screen.contains(&format!("/ {host}")));
    window.press(&["Enter"]);
    window.until(&format!("keyward: connecting to {host}"));
    window.types("PS1='at-'work'$ '\r");
    window.until("at-work$");
}

#[test]
fn a_host_is_found_and_the_channel_becomes_its_shell() {
    let scene = Scene::new();
    let db = scene.another_host("db-1", &[&scene.deploy]);
    scene.add_host("db-1", &db, "deploy");
    scene.grant("alice", "db-1");
    let window = window(&scene);
    let screen = window.until("2 hosts");
    assert!(screen.contains("web-1") && screen.contains("db-1") && screen.contains("shell exec sftp"), "{screen}");
    assert_eq!(window.knows("#{alternate_on}"), "1");
    assert_eq!(scene.broker.sessions().len(), 0, "looking opens nothing");
    shell(&window, "web-1");
    assert_eq!(window.knows("#{alternate_on}"), "0", "the picker's screen is left before the host's begins");
    window.types("echo host-$((6*7)) $TERM; stty size; uname\r");
    let screen = window.until("Linux");
    assert!((screen.contains("host-42 tmux") || screen.contains("host-42 screen")) && screen.contains("24 100"), "{screen}");
    window.resize(90, 20);
    window.until_it("the new size", |screen| {
        if !screen.contains("20 90") {
            window.types("stty size\r");
        }
        screen.contains("20 90")
    });
    window.types("sh -c 'trap \"echo cau${x}ght\" INT; echo rea${x}dy; sleep 60'\r");
    window.until("ready");
    window.press(&["C-c"]);
    window.until("caught");
    window.types("exit 7\r");
    assert_eq!(eventually("ssh has ended", || window.ended()), 7, "with the host's status");
    let session = scene.broker.ended_session();
    assert_eq!((session["host"].as_str(), session["exit_status"].as_u64()), (Some("web-1"), Some(7)), "{session}");
    let trail = scene.broker.trail(&session);
    for event in ["session.permitted", "lease.opened", "lease.ended", "session.signed_in", "channel.opened", "session.ended"] {
        assert!(trail.iter().any(|e| e == event), "{event}: {trail:?}");
    }
}

#[test]
fn a_host_of_another_workspace_and_another_credential_are_chosen() {
    let scene = Scene::new();
    scene.broker.does(&["workspace", "add", "lab"]);
    for (name, key) in [("first", &scene.deploy), ("second", &scene.deploy)] {
        let args = ["credential", "add", name, "--scope", "workspace", "--username", NAME, "--key", "-", "--workspace", "lab"];
        scene.broker.does_with(&args, key.private());
    }
    let key = &scene.host.host_key.public;
    scene.broker.does(&["host", "add", "web-9", &scene.host.address(), "--host-key", key, "--workspace", "lab"]);
    for name in ["second", "first"] {
        scene.broker.does(&["credential", "attach", name, "--host", "web-9", "--workspace", "lab"]);
    }
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "*", "--allow", "shell", "--workspace", "lab"]);
    let window = window(&scene);
    window.types("lab 9");
    window.until("1 of 2 hosts");
    let screen = window.until("lab=web-9");
    assert!(screen.contains("(first) +1"), "{screen}");
    window.press(&["Tab"]);
    window.until("web-9 as");
    window.press(&["Down", "Enter"]);
    window.until("keyward: connecting to web-9 with second");
    window.types("exit 8\r");
    assert_eq!(eventually("ssh has ended", || window.ended()), 8);
    let entry = scene.broker.audit().into_iter().find(|e| e["event"] == "session.permitted").expect("it is in the log");
    assert_eq!((&entry["host"], &entry["credential"]), (&"web-9".into(), &"second".into()), "{entry}");
}

#[test]
fn its_session_looks_in_the_log_as_one_that_was_named() {
    let scene = Scene::new();
    let mut named = Terminal::start(&scene.alice.ssh(&["through"]), 24, 80);
    named.write("exit 5\n");
    assert_eq!(named.end().0.code(), Some(5));
    let first = scene.broker.ended_session();
    let mut chosen = Terminal::start(&console(&scene), 24, 80);
    chosen.until("type to filter");
    chosen.write("\rexit 5\n");
    assert_eq!(chosen.end().0.code(), Some(5));
    let sessions = eventually("both are over", || {
        let all = scene.broker.sessions();
        (all.len() == 2 && all.iter().all(|s| !s["ended_at"].is_null())).then_some(all)
    });
    let second = sessions.iter().find(|s| s["id"] != first["id"]).unwrap();
    assert_eq!(scene.broker.trail(&first), scene.broker.trail(second));
    for key in ["host", "user", "credential", "exit_status", "end_reason"] {
        assert_eq!(first[key], second[key], "{key}");
    }
}

#[test]
fn what_is_typed_behind_the_choice_is_the_hosts_and_runs_once() {
    let scene = Scene::new();
    let place = scene.open_place("typed");
    let mut terminal = Terminal::start(&console(&scene), 24, 80);
    // In one piece, before the picker is there.
    terminal.write(&format!("web-1\recho once >>{0}/file; echo done-$((6*7))\nexit 3\n", place.display()));
    terminal.until("done-42");
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(3), "{screen}");
    assert_eq!(std::fs::read_to_string(place.join("file")).unwrap(), "once\n");
    assert_eq!(screen.matches("\x1b[?1049h").count(), screen.matches("\x1b[?1049l").count(), "{screen}");
}

#[test]
fn leaving_gives_the_terminal_back() {
    let scene = Scene::new();
    for keys in ["\x1b", "\x03", "\x04", "x\x03"] {
        let mut terminal = Terminal::start(&console(&scene), 24, 80);
        terminal.until("type to filter");
        terminal.write(keys);
        let (status, screen) = terminal.end();
        assert_eq!(status.code(), Some(0), "{keys:?}: {screen}");
        let left = screen.rfind("\x1b[0m\x1b[?2004l\x1b[?25h\x1b[?1049l").expect("the terminal is as it was");
        assert!(!screen[left..].contains("1049h"), "{keys:?}: {screen}");
    }
    assert_eq!(scene.broker.events("session.permitted").len(), 0);
}

#[test]
fn a_host_that_is_not_reached_is_told_and_the_picker_stands_again() {
    let scene = Scene::new();
    let gone = scene.another_host("db-1", &[&scene.deploy]);
    scene.add_host("db-1", &gone, "deploy");
    scene.grant("alice", "db-1");
    drop(gone);
    let window = window(&scene);
    window.types("db-1\rweb-1\rtouch never\r");
    let screen = window.until("no connection to db-1");
    assert!(screen.contains("hint:") || screen.contains("db-1:"), "{screen}");
    assert_eq!(window.knows("#{alternate_on}"), "1");
    assert_eq!(scene.broker.events("session.refused").len(), 1);
    // Once it is read, and not before.
    window.until_it("the hosts", |screen| {
        if screen.contains("no connection") {
            window.press(&["Left"]);
        }
        screen.contains("/ db-1") && screen.contains("Enter connect")
    });
    assert_eq!(scene.broker.events("session.permitted").len(), 1, "what was typed for one host chose no other");
    window.press(&["C-u"]);
    shell(&window, "web-1");
    window.types("exit\r");
    assert_eq!(eventually("ssh has ended", || window.ended()), 0);
}

#[test]
fn what_is_withdrawn_goes_while_the_picker_stands_and_is_refused() {
    let scene = Scene::new();
    let db = scene.another_host("db-1", &[&scene.deploy]);
    scene.add_host("db-1", &db, "deploy");
    let out = scene.broker.json(&["grant", "add", "--to", "alice", "--hosts", "db-1", "--allow", "shell"]);
    let grant = out["id"].as_str().unwrap_or_else(|| panic!("{out}")).to_owned();
    let window = window(&scene);
    window.until("2 hosts");
    window.types("db-1");
    window.until("1 of 2 hosts");
    scene.broker.does(&["grant", "remove", &grant]);
    let screen = window.until("db-1 is not yours to use any more");
    assert!(screen.contains("0 of 1 hosts"), "{screen}");
    window.press(&["Enter"]);
    window.until("no host is chosen");
    scene.grant("alice", "db-1");
    window.until("1 of 2 hosts");
    window.press(&["C-c"]);
    assert_eq!(eventually("ssh has ended", || window.ended()), 0);
    assert_eq!(scene.broker.events("session.permitted").len(), 0);
}

#[test]
fn a_session_that_is_killed_at_its_host_is_told_and_recorded_as_lost() {
    let scene = Scene::new();
    let window = window(&scene);
    shell(&window, "web-1");
    window.types("kill -9 $PPID; kill -9 $$\r");
    assert_eq!(eventually("ssh has ended", || window.ended()), 255);
    window.until("keyward: the connection to the host broke off");
    let session = scene.broker.ended_session();
    assert_eq!(session["end_reason"], "host_lost", "{session}");
}

#[test]
fn another_channel_of_the_connection_outlives_the_session() {
    let scene = Scene::new();
    let control = scene.place("control").join("s");
    let control = format!("ControlPath={}", control.display());
    let window = Tmux::start(
        scene.place("window"),
        100,
        24,
        &scene.alice.ssh(&["-M", "-o", &control, "-o", "ControlPersist=yes", "-l", "alice", "through"]),
    );
    window.until("type to filter");
    shell(&window, "web-1");
    let verb = |words: &str| run(scene.alice.ssh(&["-o", &control, "-l", "alice", "through", words]), "");
    assert!(verb("status").text().contains("alice"), "verbs run beside it");
    window.types("exit 4\r");
    assert_eq!(eventually("ssh has ended", || window.ended()), 4);
    let session = scene.broker.ended_session();
    assert_eq!(session["exit_status"], 4, "over with its channel, though the connection stays: {session}");
    assert!(verb("status").text().contains("alice"), "and after it");
    run(scene.alice.ssh(&["-o", &control, "-O", "exit", "-l", "alice", "through"]), "");
}

#[test]
fn without_a_terminal_that_can_place_a_cursor_it_is_a_list() {
    let scene = Scene::new();
    let list = "Hello alice. You may use:\n  web-1\n";
    let outcome = run(scene.alice.ssh(&["-T", "-l", "alice", "through"]), "");
    assert!(outcome.status == Some(0) && outcome.text().starts_with(list), "{outcome:?}");
    let mut dumb = console(&scene);
    dumb.env("TERM", "dumb");
    let (status, screen) = Terminal::start(&dumb, 24, 80).end();
    assert!(status.success() && screen.contains("You may use:") && !screen.contains('\x1b'), "{screen}");
}

#[test]
fn who_may_use_nothing_is_told_whom_to_ask() {
    let scene = Scene::new();
    let grants = scene.broker.json(&["grant", "list"]);
    for grant in grants.as_array().unwrap() {
        scene.broker.does(&["grant", "remove", grant["id"].as_str().unwrap()]);
    }
    let (status, screen) = Terminal::start(&console(&scene), 24, 80).end();
    assert!(status.success() && screen.contains("ask an owner or an admin of this broker") && !screen.contains("1049"), "{screen}");
}

#[test]
fn what_waits_is_told_and_the_inbox_opens_over_the_picker() {
    let scene = agent::scene();
    let helper = Agent::of_alice(&scene);
    let _alice = agent::connected(&scene);
    let window = window(&scene);
    let _proposed = helper.proposes("echo from the agent");
    window.until("1 command of an agent waits for you: Ctrl-O");
    window.press(&["C-o"]);
    window.until("waits for you");
    window.until("keyward inbox");
    window.press(&["q"]);
    window.until("type to filter");
    shell(&window, "web-1");
    window.types("exit\r");
    assert_eq!(eventually("ssh has ended", || window.ended()), 0);
}

#[test]
fn putty_finds_its_host() {
    let scene = Scene::new();
    let ppk = scene.dir().join("alice.ppk");
    let mut convert = command(tool("/usr/bin/puttygen"));
    convert.arg(&scene.alice.key.path).args(["-O", "private", "-o"]).arg(&ppk);
    run(convert, "").ok();
    let mut plink = command(tool("/usr/bin/plink"));
    let port = scene.broker.port().to_string();
    plink.env("HOME", scene.dir()).args(["-t", "-no-antispoof", "-P", &port, "-hostkey", scene.broker.fingerprint(), "-i"]).arg(&ppk);
    plink.arg("alice@127.0.0.1");
    let mut terminal = Terminal::start(&plink, 24, 80);
    terminal.until("type to filter");
    terminal.write("web\r");
    terminal.until("connecting to web-1");
    terminal.write("echo host-$((6*7))\rexit 6\r");
    terminal.until("host-42");
    assert_eq!(terminal.end().0.code(), Some(6));
}

/// A listener that takes connections and says nothing.
fn silent(scene: &Scene, name: &str) -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    scene.broker.does(&["host", "add", name, &address, "--credential", "deploy", "--host-key", &scene.host.host_key.public]);
    scene.grant("alice", name);
    listener
}

#[test]
fn who_does_not_want_to_wait_for_a_host_goes_back() {
    let scene = Scene::new();
    let _listener = silent(&scene, "slow-1");
    let window = window(&scene);
    window.types("slow-1\rls -la\r");
    window.until("keyward: connecting to slow-1 (Ctrl-C: back)");
    window.press(&["C-c"]);
    let screen = window.until("Enter connect");
    assert!(screen.contains("/ slow-1") && !screen.contains("no connection"), "{screen}");
    let refused = eventually("its end is recorded", || scene.broker.audit().into_iter().find(|e| e["event"] == "session.refused"));
    assert_eq!(refused["reason"], "they did not want to wait any longer", "{refused}");
    window.press(&["C-u"]);
    shell(&window, "web-1");
    window.types("exit\r");
    assert_eq!(eventually("ssh has ended", || window.ended()), 0);
}

#[test]
fn who_leaves_while_a_host_is_awaited_leaves_an_end_in_the_log() {
    let scene = Scene::new();
    let _listener = silent(&scene, "slow-1");
    let mut terminal = Terminal::start(&console(&scene), 24, 80);
    terminal.until("type to filter");
    terminal.write("slow-1\r");
    terminal.until("connecting to slow-1");
    // That is said before it is on record.
    eventually("the session", || scene.broker.sessions().pop());
    // The client's own escape, at the beginning of a line.
    terminal.write("\r~.");
    assert_eq!(terminal.end().0.code(), Some(255));
    let session = scene.broker.ended_session();
    assert!(session["end_reason"].as_str().is_some_and(|r| r.starts_with("client")), "{session}");
}

#[test]
fn what_is_sealed_is_opened_on_the_terminal_before_the_host_is_called() {
    let scene = Scene::new();
    let mine = scene.seals("sealed by alice alone");
    scene.host.authorize(&[&mine]);
    let mut terminal = Terminal::start(&console(&scene), 24, 100);
    terminal.until("type to filter");
    // What is typed between the choice and the question is no answer to it.
    terminal.write("web-1\recho host-$((6*7))\n");
    terminal.until("Passphrase for your sealed credentials: ");
    for _ in 0..2 {
        terminal.write("wrong answer\n");
        terminal.until("this opens nothing");
        terminal.until("Passphrase for your sealed credentials: ");
    }
    terminal.write("wrong again\n");
    terminal.until("your sealed credentials were not opened");
    terminal.until("no connection to web-1");
    assert_eq!(scene.host.sign_ins(), 0);
    assert_eq!(scene.broker.events("session.permitted").len(), 0, "nothing was decided yet");
    // Once it is read, and not before.
    eventually("the hosts", || {
        terminal.write("\x1b[D");
        terminal.seen("SIGNS IN AS").then_some(())
    });
    // Nor is it the host's, which gets what is typed behind the answer.
    terminal.write("\rsealed too early\n");
    terminal.until("Passphrase for your sealed credentials: ");
    terminal.write("sealed by alice alone\necho other-$((6*8)); exit 9\n");
    terminal.until("other-48");
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(9), "{screen}");
    assert!(!screen.contains("sealed by alice alone") && !screen.contains("host-42") && !screen.contains("too early"), "{screen}");
    assert_eq!(scene.broker.events("personal.opened").len(), 1);
    eventually("locked with the last connection", || (scene.broker.events("personal.locked").len() == 1).then_some(()));
}

#[test]
fn a_hosts_question_is_asked_on_the_same_terminal_and_what_it_refuses_is_told() {
    let (scene, _fake) = asking_for_a_code();
    let mut terminal = Terminal::start(&console(&scene), 24, 100);
    terminal.until("type to filter");
    terminal.write("web-2\r");
    terminal.until("keyward: the host asks:");
    terminal.until("One-time code: ");
    terminal.write("\x03");
    terminal.until("no connection to web-2");
    eventually("the hosts", || {
        terminal.write("\x1b[D");
        terminal.seen("SIGNS IN AS").then_some(())
    });
    terminal.write("\r");
    terminal.until("One-time code: ");
    terminal.write(&format!("{CODE}\r"));
    // The client was told that it has a shell.
    terminal.until("keyward: the host refused a shell");
    assert_eq!(terminal.end().0.code(), Some(255));
    assert_eq!(scene.broker.events("session.signed_in").len(), 1);
}

#[test]
fn the_agent_reaches_the_chosen_host_where_it_is_granted() {
    let scene = Scene::new();
    let key = Key::new(scene.dir().join("lent"));
    let agent = SshAgent::with(scene.dir().join("agent"), &key);
    let listed = || {
        let mut terminal = Terminal::start(&agent.ssh(&scene, &["-l", "alice", "through"]), 24, 100);
        terminal.until("type to filter");
        terminal.write("\rssh-add -l; exit 3\r");
        let (status, screen) = terminal.end();
        assert_eq!(status.code(), Some(3), "{screen}");
        screen.contains(&key.fingerprint)
    };
    assert!(!listed(), "it is not granted");
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", "forward-agent"]);
    assert!(listed(), "it is");
}

#[test]
fn what_is_withdrawn_ends_the_chosen_session_and_no_other_channel() {
    let scene = Scene::new();
    let control = format!("ControlPath={}", scene.place("control").join("s").display());
    let shared = ["-M", "-o", &control, "-o", "ControlPersist=yes", "-l", "alice", "through"];
    let window = Tmux::start(scene.place("window"), 100, 24, &scene.alice.ssh(&shared));
    window.until("type to filter");
    shell(&window, "web-1");
    let grants = scene.broker.json(&["grant", "list"]);
    scene.broker.does(&["grant", "remove", grants[0]["id"].as_str().unwrap()]);
    assert_eq!(eventually("ssh has ended", || window.ended()), 255);
    assert_eq!(scene.broker.ended_session()["end_reason"], "withdrawn");
    let verb = run(scene.alice.ssh(&["-o", &control, "-l", "alice", "through", "status"]), "");
    assert!(verb.text().contains("alice"), "{verb:?}");
    run(scene.alice.ssh(&["-o", &control, "-O", "exit", "-l", "alice", "through"]), "");
}
