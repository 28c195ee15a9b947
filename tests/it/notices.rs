//! A person at a shell is told what waits, looks at it over the shell, and finds the shell as it was.

use crate::world::agent::scene;
use crate::world::broker::Settings;
use crate::world::terminal::Terminal;
use crate::world::tmux::Tmux;
use crate::world::{Agent, Scene, agent};

const LINE: &str = "keyward: helper asks to run a command on web-1; press ^] then i to look";
const TITLE: &str = "keyward: 1 command waits";

/// Alice's shell on the host, in a window; its prompt is there.
#[track_caller]
fn shell(scene: &Scene) -> Tmux {
    let window = Tmux::start(scene.place("window"), 90, 24, &scene.alice.ssh(&["-tt", "through"]));
    window.types("PS1='at-'work'$ '\r");
    window.until("at-work$");
    window
}

/// The inbox over the shell, once it is there.
#[track_caller]
fn look(window: &Tmux) {
    window.press(&["C-]"]);
    window.types("i");
    window.until("waits for you");
}

/// A screen without its last line: a program says there what it likes, and need not say it again.
fn body(screen: &str) -> &str {
    screen.trim_end_matches('\n').rsplit_once('\n').map_or(screen, |(body, _)| body)
}

/// Leaves the inbox; the screen is what it was.
#[track_caller]
fn leave(window: &Tmux, before: &str) {
    window.press(&["q"]);
    window.until_it("the screen as it was", |screen| screen == before);
}

#[test]
fn a_person_at_a_shell_is_told_decides_over_it_and_is_back() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let window = shell(&scene);
    window.types("printf 'ü\\n\\033[32mgreen\\033[0m\\n'\r");
    window.until("green");
    let screen = window.screen();
    let proposed = agent.proposes("echo from the agent");
    window.until_known("#{pane_title}", TITLE);
    assert_eq!(window.screen(), screen, "a prompt that waits is not disturbed");
    window.press(&["Enter"]);
    let told = window.until(LINE);
    let line = told.lines().position(|l| l.trim_end() == LINE).unwrap_or_else(|| panic!("a line of its own:\n{told}"));
    assert!(told.lines().nth(line + 1).is_some_and(|l| l.starts_with("at-work$")), "and then the prompt\n{told}");
    window.types("typed so far");
    let before = window.until("typed so far");
    look(&window);
    assert_eq!(window.knows("#{alternate_on}"), "1");
    window.press(&["Enter"]);
    window.until("runs for");
    window.until_it("y: yes", |screen| {
        if !screen.contains("y: yes") {
            window.press(&["A"]);
        }
        screen.contains("y: yes")
    });
    window.until_it("approved", |screen| {
        if screen.contains("y: yes") {
            window.press(&["y"]);
        }
        screen.contains("approved")
    });
    let (status, out, errors) = proposed.end();
    assert_eq!((status, out.as_str()), (Some(0), "from the agent\n"), "{errors}");
    leave(&window, &before);
    assert_eq!(window.knows("#{alternate_on} #{cursor_flag}"), "0 1");
    window.until_it("the title is given back", |_| window.knows("#{pane_title}") != TITLE);
    window.types("\x15echo $((6*7))-$(stty size)\r");
    window.until("42-24 90");
    // Nothing waits any more, so the key is the host's again.
    window.types("cat -v\r\x1di\r");
    window.until("^]i");
}

#[test]
fn the_screen_of_a_program_is_drawn_anew() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let text = scene.open_place("files").join("text");
    std::fs::write(&text, (1..=200).map(|n| format!("line {n} ok\n")).collect::<String>()).unwrap();
    let window = shell(&scene);
    let _proposed = agent.proposes("echo later");
    window.until_known("#{pane_title}", TITLE);
    for (program, keys, end) in [("less", "10j", "q"), ("vi", "10Gx", ":q!\r")] {
        window.types(&format!("{program} {}\r", text.display()));
        window.until("line 3 ok");
        window.until_known("#{alternate_on}", "1");
        window.types(keys);
        let shown = if program == "less" { "line 33 ok" } else { "ine 10 ok" };
        window.until_it(shown, |s| s.contains(shown) && (program == "less" || !s.contains("line 10 ok")));
        let before = window.until_it("a screen that stands", |s| s.contains(shown) && s == window.screen());
        look(&window);
        window.press(&["q"]);
        window.until_it("the screen of the program as it was", |screen| body(screen) == body(&before));
        assert_eq!(window.knows("#{alternate_on}"), "1", "{program}");
        window.types(end);
        window.until_known("#{alternate_on}", "0");
    }
    window.press(&["Enter"]);
    window.until(LINE);
}

#[test]
fn what_is_shown_comes_between_whole_characters_and_sequences() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let mut terminal = Terminal::start(&scene.alice.ssh(&["-tt", "through"]), 24, 80);
    terminal.write("stty -echo; PS1=; echo rea''dy\n");
    terminal.until("ready");
    terminal.write("echo BEG''IN; while [ ! -e /tmp/none ] && [ $((n+=1)) -le 4000 ]; do printf 'é\\033[38;5;196m€\\033]8;;x\\033\\\\😀\\033[0m\\n'; done; echo EN''D; exit\n");
    terminal.until("BEGIN\r\n");
    let proposed: Vec<_> = (0..3).map(|n| agent.proposes(&format!("echo {n}"))).collect();
    terminal.until("END\r\n");
    let (_, screen) = terminal.end();
    let body = screen.split_once("BEGIN\r\n").unwrap().1.split_once("END\r\n").unwrap().0;
    let one = "é\x1b[38;5;196m€\x1b]8;;x\x1b\\😀\x1b[0m\r\n";
    // Everything of the broker's own is taken out as a whole, and what is left is what the host wrote.
    let mut rest = String::new();
    let mut told = 0;
    let mut left = body;
    while let Some(at) = left.find("\x1b[22;2t").into_iter().chain(left.find("\x1b]2;keyward")).chain(left.find("keyward: ")).min() {
        let own = &left[at..];
        let length = if own.starts_with("\x1b[22;2t") {
            "\x1b[22;2t".len()
        } else if own.starts_with("keyward: ") {
            told += 1;
            own.find("\r\n").unwrap() + 2
        } else {
            let title = own.find('\x07').unwrap() + 1;
            title + usize::from(own[title..].starts_with('\x07'))
        };
        rest.push_str(&left[..at]);
        left = &own[length..];
    }
    rest.push_str(left);
    assert_eq!(rest.len(), one.len() * 4000, "{}", &rest[..400.min(rest.len())]);
    assert!(rest == one.repeat(4000), "a byte is another one");
    assert!(told <= 3, "{told}");
    drop(proposed);
}

#[test]
fn the_escape_twice_is_once_and_before_another_key_is_both() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let window = shell(&scene);
    let _proposed = agent.proposes("echo later");
    window.until_known("#{pane_title}", TITLE);
    window.types("echo rea''dy; cat -v\r");
    window.until("\nready");
    window.types("one\x1d\x1dend\r");
    window.until("\none^]end\none^]end");
    window.types("two\x1d");
    window.types("xend\r");
    window.until("\ntwo^]xend\ntwo^]xend");
}

#[test]
fn an_inbox_over_a_session_ends_with_it_and_leaves_a_usable_terminal() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let window = shell(&scene);
    let _proposed = agent.proposes("echo later");
    window.until_known("#{pane_title}", TITLE);
    look(&window);
    let live = scene.broker.does(&["--json", "session", "list", "--live"]);
    let live: serde_json::Value = serde_json::from_str(&live).unwrap();
    scene.broker.does(&["session", "end", live[0]["id"].as_str().unwrap()]);
    window.until("keyward: this session was ended");
    window.until_known("#{alternate_on}", "0");
}

#[test]
fn an_operator_can_switch_it_off() {
    let config = "[approvals]\nnotices = false\n".to_owned();
    let scene = agent::allow(Scene::with(Settings { config, ..Settings::default() }));
    let agent = Agent::of_alice(&scene);
    let window = shell(&scene);
    let _proposed = agent.proposes("echo later");
    scene.alice.waiting(1);
    window.types("cat -v\r\x1di\r");
    let screen = window.until("^]i");
    assert!(!screen.contains("keyward"), "{screen}");
    assert_ne!(window.knows("#{pane_title}"), TITLE);
}
