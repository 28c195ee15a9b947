//! One-time codes that are asked for after a sign-in without one: of a host that was chosen in the picker, and inside a jump.

use std::process::Command;

use crate::jump_in::{dials, jumps};
use crate::picker::console;
use crate::totp::{PROMPT, UNASKED, at_a_terminal, connects_with, enrol, scene, told};
use crate::world::account::NAME;
use crate::world::broker::Settings;
use crate::world::terminal::Terminal;
use crate::world::{Scene, Way, eventually, run};

/// The picker at a terminal.
fn picking(program: &Command) -> Terminal {
    let mut terminal = Terminal::start(program, 24, 120);
    terminal.until("type to filter");
    eventually("the client's terminal modes", || terminal.is_raw().then_some(()));
    terminal
}

/// Goes back to the hosts from the sentence that says why there is no connection.
fn has_read(terminal: &mut Terminal) {
    eventually("the hosts", || {
        terminal.write("\x1b[D");
        terminal.seen("SIGNS IN AS").then_some(())
    });
}

/// Begins anew with what is answered to the question for a code.
fn answers(terminal: &mut Terminal, code: &str) {
    terminal.until(PROMPT);
    terminal.write(code);
}

/// The client may ask in the jump as well.
fn may_ask_outside(scene: &Scene) {
    let config = std::fs::read_to_string(scene.alice.config()).unwrap();
    assert!(config.contains("BatchMode yes"), "{config}");
    std::fs::write(scene.alice.config(), config.replace("BatchMode yes", "BatchMode no")).unwrap();
}

#[test]
fn a_chosen_host_asks_for_its_code_and_who_gives_none_is_back_at_the_hosts() {
    let scene = scene(Settings::default());
    let (authenticator, _) = enrol(&scene, "");
    let asked_before = told(&scene, "second_factor.asked", "actor", "alice");
    let mut terminal = Terminal::start(&console(&scene), 24, 120);
    terminal.until("web-1");
    terminal.until("code");
    terminal.until("type to filter");
    // What is typed between the choice and the question is no answer.
    terminal.write("web-1\recho never-$((6*7))\n");
    terminal.until("keyward: a code of your authenticator is wanted there (Ctrl-C: back)");
    let wrong = authenticator.wrong();
    answers(&mut terminal, &format!("{wrong}\n"));
    terminal.until("keyward: that is not the code");
    answers(&mut terminal, "12\x03");
    terminal.until("Enter connect");
    assert_eq!(told(&scene, "second_factor.refused", "actor", "alice"), 1);
    // Three tries, as at the sign-in.
    terminal.write("\r");
    for _ in 0..3 {
        answers(&mut terminal, &format!("{wrong}\n"));
    }
    terminal.until("no right one-time code was given");
    terminal.until("no connection to web-1");
    assert_eq!(told(&scene, "second_factor.refused", "actor", "alice"), 4);
    assert_eq!(
        (scene.broker.events("session.permitted").len(), scene.broker.events("session.denied").len()),
        (0, 0),
        "nothing was decided yet"
    );
    has_read(&mut terminal);
    // Nor is it the host's.
    terminal.write("\rtoo early\n");
    let code = authenticator.next();
    // What is typed behind the code is the host's.
    answers(&mut terminal, &format!("{code}\necho seen-$((40+2)); exit 9\n"));
    terminal.until("seen-42");
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(9), "{screen}");
    assert!(
        !screen.contains(&code) && !screen.contains(&wrong) && !screen.contains("never-42") && !screen.contains("too early"),
        "{screen}"
    );
    assert_eq!(told(&scene, "second_factor.asked", "actor", "alice"), asked_before + 3);
    assert_eq!(told(&scene, "second_factor.asked", "host", "web-1"), asked_before + 3);
    assert_eq!(told(&scene, "second_factor.accepted", "by", "code"), 1);

    let mut terminal = picking(&console(&scene));
    terminal.write("\r");
    answers(&mut terminal, &format!("{}\n", authenticator.again()));
    terminal.until("that code was used already");
    answers(&mut terminal, &format!("{}\nexit 5\n", authenticator.next()));
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(5), "{screen}");
    // Elsewhere it is as wrong as here.
    let mut ssh = at_a_terminal(&scene, &["through", "true"]);
    answers(&mut ssh, &format!("{}\n", authenticator.again()));
    ssh.until("that code was used already");
    drop(ssh);
    // Ten wrong ones in an hour, wherever: no right one is looked at.
    let mut terminal = picking(&console(&scene));
    for round in [3, 3] {
        terminal.write("\r");
        for _ in 0..round {
            answers(&mut terminal, &format!("{wrong}\n"));
        }
        terminal.until("no connection to web-1");
        has_read(&mut terminal);
    }
    terminal.write("\r");
    answers(&mut terminal, &format!("{}\n", authenticator.next()));
    terminal.until("keyward: there were too many wrong codes; wait some minutes");
    terminal.until("no connection to web-1");
    assert_eq!((scene.broker.events("session.permitted").len(), told(&scene, "second_factor.accepted", "by", "code")), (2, 2));
}

#[test]
fn the_code_of_one_session_is_no_other_ones_of_the_connection() {
    let scene = scene(Settings::default());
    let (authenticator, _) = enrol(&scene, "");
    let control = format!("ControlPath={}", scene.place("control").join("s").display());
    let mut first = picking(&scene.alice.ssh(&["-M", "-o", &control, "-l", "alice", "through"]));
    first.write("\r");
    answers(&mut first, &format!("{}\necho ready-$((40+2)); exec cat\n", authenticator.next()));
    first.until("ready-42");
    let shared = |words: &[&str]| scene.alice.ssh(&[&["-o", "ControlMaster=no", "-o", &control, "-l", "alice", "through"], words].concat());
    let mut second = picking(&shared(&[]));
    second.write("\r");
    answers(&mut second, "\x03");
    second.until("type to filter");
    second.write("\x03");
    assert!(second.end().0.success());
    // Nor the connection's: its verbs have none to show.
    scene.broker.does(&["user", "totp", "require", "alice", "always"]);
    let owed = run(shared(&["host list"]), "");
    assert!(owed.status == Some(1) && owed.errors().contains("this connection began without one"), "{owed:?}");
    first.write("still here\n");
    first.until("still here\r\nstill here");
    // The session stands on what was shown.
    scene.broker.does(&["user", "totp", "remove", "alice"]);
    let session = scene.broker.ended_session();
    assert_eq!(session["end_reason"], "withdrawn", "{session}");
    assert_eq!(first.end().0.code(), Some(255));
}

#[test]
fn who_gave_one_at_the_sign_in_is_not_asked_where_they_choose() {
    let scene = scene(Settings::default());
    let (authenticator, _) = enrol(&scene, "--always");
    let mut terminal = at_a_terminal(&scene, &["-l", "alice", "through"]);
    answers(&mut terminal, &format!("{}\n", authenticator.next()));
    terminal.until("type to filter");
    terminal.write("\rexit 6\n");
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(6), "{screen}");
    assert_eq!((screen.matches(PROMPT).count(), scene.broker.events("second_factor.asked").len()), (1, 1), "{screen}");
}

#[test]
fn at_a_chosen_host_the_code_comes_first_and_what_is_typed_too_early_is_no_word_for_the_host() {
    let scene = scene(Settings::default());
    let mine = scene.seals("sealed by alice alone");
    scene.host.authorize(&[&mine]);
    let (authenticator, _) = enrol(&scene, "");
    let mut terminal = picking(&console(&scene));
    terminal.write("\r");
    answers(&mut terminal, &format!("{}\nsealed by alice alone\n", authenticator.next()));
    terminal.until("Passphrase for your sealed credentials: ");
    terminal.write("sealed by alice alone\necho seen-$((40+2)); exit 4\n");
    terminal.until("seen-42");
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(4), "{screen}");
    assert!(!screen.contains("sealed by alice"), "{screen}");
    assert_eq!(scene.host.sign_ins_with(&mine), 1);
}

#[test]
fn who_has_enrolled_none_is_told_how_in_the_picker_and_by_the_jump() {
    let scene = scene(Settings::default());
    let mut terminal = picking(&console(&scene));
    assert!(terminal.screen_text().contains("you have enrolled none"), "{}", terminal.screen_text());
    terminal.write("\r");
    terminal.until("is granted to you with your second factor, and you have enrolled none");
    terminal.until("user totp enroll");
    terminal.until("no connection to web-1");
    assert!(!terminal.seen(PROMPT));
    drop(terminal);
    assert_eq!(scene.broker.events("session.denied").len(), 1);

    jumps(&scene, "alice");
    let refused = dials(&scene, "web-1:22");
    let said = refused.errors();
    assert!(refused.status == Some(255) && said.contains("you have enrolled none") && said.contains("user totp enroll"), "{refused:?}");
    assert_eq!(scene.broker.events("forward.refused").len(), 1);
    // Of what a code would not open either nothing is said.
    scene.add_host("web-2", &scene.host, "deploy");
    let refuses = |host: &str| dials(&scene, &format!("{host}:22")).errors().replace(host, "HOST");
    assert_eq!(refuses("web-2"), refuses("web-9"));
    assert_eq!((scene.host.sign_ins(), scene.broker.events("session.permitted").len()), (0, 0));
}

#[test]
fn a_jump_asks_for_the_code_inside() {
    let scene = scene(Settings::default());
    let (authenticator, codes) = enrol(&scene, "");
    jumps(&scene, "alice");
    let asked_before = scene.broker.events("second_factor.asked").len();
    let unasked = scene.alice.exec(Way::Through, "true");
    assert!(unasked.status == Some(255) && unasked.errors().contains(UNASKED), "{unasked:?}");
    // Whatever account is named inside.
    for (user, code) in [("alice", authenticator.next()), ("deploy", codes[0].clone()), (NAME, codes[1].clone())] {
        let mut ssh = at_a_terminal(&scene, &["-l", user, "through", "echo seen-$((40+2)); id -un"]);
        answers(&mut ssh, &format!("{}\n", authenticator.wrong()));
        ssh.until("that is not the code");
        answers(&mut ssh, &format!("{code}\n"));
        let (status, screen) = ssh.end();
        assert!(status.success() && screen.contains("seen-42") && screen.contains(NAME), "{user}: {screen}\n{}", scene.broker.log());
    }
    let permitted = scene.broker.events("session.permitted");
    assert!(permitted.len() == 3 && permitted.iter().all(|e| e["detail"]["way"] == "jump" && e["host"] == "web-1"), "{permitted:?}");
    assert_eq!(scene.broker.events("second_factor.asked").len(), asked_before + 4, "inside alone");
    // What fits no account is refused with the code as well.
    let mut ssh = at_a_terminal(&scene, &["-l", "web-1", "through", "true"]);
    answers(&mut ssh, &format!("{}\n", codes[2]));
    ssh.until("`web-1` is no login that you can use on web-1");
    assert!(!ssh.end().0.success());
    let mut ssh = at_a_terminal(&scene, &["through", "true"]);
    for _ in 0..3 {
        answers(&mut ssh, &format!("{}\n", authenticator.wrong()));
    }
    assert!(!ssh.end().0.success());
    let refused = eventually("it is recorded", || {
        scene.broker.events("signin.refused").into_iter().find(|e| e["reason"] == "no right one-time code was given")
    });
    assert_eq!(refused["detail"]["asked_for"], "alice on web-1, inside a connection of alice", "{refused}");
    // What lives on it ends with it.
    let mut ssh = at_a_terminal(&scene, &["through", "echo ready-$((40+2)); exec cat"]);
    answers(&mut ssh, &format!("{}\n", codes[3]));
    ssh.until("ready-42");
    scene.broker.does(&["user", "totp", "remove", "alice"]);
    assert!(!ssh.end().0.success());
}

#[test]
fn a_code_serves_both_connections_of_a_jump_where_one_serves_for_a_while() {
    for (config, asked) in [("", 2), ("[ssh]\nsecond_factor_valid_for = \"1h\"\n", 1)] {
        let scene = scene(Settings { config: config.to_owned(), ..Settings::default() });
        let (authenticator, _) = enrol(&scene, "--always");
        jumps(&scene, "alice");
        may_ask_outside(&scene);
        let mut ssh = at_a_terminal(&scene, &["through", "echo seen-$((40+2))"]);
        for _ in 0..asked {
            answers(&mut ssh, &format!("{}\n", authenticator.next()));
        }
        let (status, screen) = ssh.end();
        assert!(status.success() && screen.contains("seen-42"), "{screen}\n{}", scene.broker.log());
        assert_eq!(screen.matches(PROMPT).count(), asked, "{screen}");
        assert_eq!(scene.broker.events("second_factor.asked").len(), asked);
        if asked == 1 {
            // From then on neither a jump nor the picker asks.
            scene.alice.exec(Way::Through, "true").ok();
            connects_with_none(&scene);
        } else {
            scene.broker.does(&["user", "totp", "require", "alice", "grants"]);
            connects_with(&scene, &authenticator.next());
        }
    }
}

/// The picker's host, where nobody is asked.
fn connects_with_none(scene: &Scene) {
    let mut terminal = picking(&scene.alice.ssh(&["broker"]));
    terminal.write("\rexit 8\n");
    let (status, screen) = terminal.end();
    assert!(status.code() == Some(8) && !screen.contains(PROMPT), "{screen}");
}
