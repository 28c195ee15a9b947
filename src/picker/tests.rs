//! What a person sees of their hosts and what their keys do, on a screen in memory.

use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Modifier;

use super::*;
use crate::clock::Time;
use crate::control::{Choice, Choices, WayIn};
use crate::screen::Key;

const NOW: i64 = 1_790_000_000_000;

fn choice(host: &str, tags: &[&str], ways: &[(&str, &str)]) -> Choice {
    Choice {
        workspace: "default".parse().unwrap(),
        host: host.parse().unwrap(),
        address: "192.0.2.7:22".to_owned(),
        tags: tags.iter().map(|t| (*t).to_owned()).collect(),
        via: None,
        legacy: false,
        pinned: true,
        ways_in: ways.iter().map(|(c, l)| WayIn { credential: c.parse().unwrap(), login: l.parse().unwrap(), own: false }).collect(),
        signs_in: !ways.is_empty(),
        actions: "shell,exec,sftp".parse().unwrap(),
        no_pty: false,
        ends_at: None,
        not_now: None,
        code: false,
        last_used: None,
    }
}

fn web(host: &str) -> Choice {
    choice(host, &["env=prod"], &[("deploy", "root")])
}

fn of(hosts: Vec<Choice>) -> Choices {
    Choices { user: "alice".parse().unwrap(), hosts }
}

/// Alice at a screen.
struct Seat {
    picker: Picker,
    terminal: Terminal<TestBackend>,
    at: Instant,
}

impl Seat {
    fn new(columns: u16, rows: u16, hosts: Vec<Choice>) -> Self {
        let picker = Picker::new(true, Time::from_millis(NOW), of(hosts));
        Self { picker, terminal: Terminal::new(TestBackend::new(columns, rows)).unwrap(), at: Instant::now() }
    }

    fn types(&mut self, text: &str) {
        for c in text.chars() {
            assert_eq!(self.presses(&Key::Char(c)), None, "letters only filter");
        }
    }

    fn presses(&mut self, key: &Key) -> Option<Wish> {
        self.picker.key(key, self.at)
    }

    fn screen(&mut self) -> String {
        self.terminal.draw(|frame| self.picker.draw(frame)).unwrap();
        self.picker.drawn(self.at);
        let buffer = self.terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        buffer.content.chunks(width).map(|row| row.iter().map(|c| c.symbol()).collect::<String>() + "\n").collect()
    }

    /// The row that is chosen, as text.
    fn chosen(&mut self) -> String {
        self.screen();
        let buffer = self.terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        let rows = buffer.content.chunks(width).skip(3);
        let chosen = rows.filter(|row| row.iter().all(|c| c.modifier.contains(Modifier::REVERSED)));
        let text: Vec<String> = chosen.map(|row| row.iter().map(|c| c.symbol()).collect::<String>()).collect();
        assert!(text.len() <= 1, "one at most: {text:?}");
        text.first().map(|row| row.split_whitespace().next().unwrap_or_default().to_owned()).unwrap_or_default()
    }
}

fn host_of(wish: Option<Wish>) -> Option<(String, Option<String>)> {
    match wish {
        Some(Wish::Connect(target)) => Some((target.host.to_string(), target.credential.map(|c| c.to_string()))),
        _ => None,
    }
}

#[test]
fn a_row_says_what_is_to_be_known_and_a_narrow_screen_keeps_the_name() {
    let mut db = choice("db-1", &["env=prod", "role=db"], &[("deploy", "root"), ("mine", "alice")]);
    db.via = Some("jump".parse().unwrap());
    (db.legacy, db.pinned) = (true, false);
    db.ends_at = Some(Time::from_millis(NOW + 12 * 60_000));
    db.last_used = Some(Time::from_millis(NOW - 3 * 3_600_000));
    let mut seat = Seat::new(200, 10, vec![db.clone(), web("web-1")]);
    let screen = seat.screen();
    let row = screen.lines().find(|l| l.contains("db-1")).unwrap();
    for part in [
        "192.0.2.7:22",
        "root (deploy) +1",
        "env=prod role=db",
        "jump",
        "legacy",
        "no key pinned",
        "ends in 12m",
        "shell exec sftp",
        "3h ago",
    ] {
        assert!(row.contains(part), "{part}\n{screen}");
    }
    assert!(screen.starts_with(" keyward: alice") && screen.contains("2 hosts"), "{screen}");
    for (columns, rows) in [(79, 24), (40, 8), (20, 5), (10, 4), (3, 3), (1, 1), (80, 1), (80, 2)] {
        let mut seat = Seat::new(columns, rows, vec![db.clone(), web("web-1")]);
        let screen = seat.screen();
        if columns >= 10 && rows >= 5 {
            assert!(screen.contains("db-1"), "{columns} x {rows}\n{screen}");
        }
        seat.presses(&Key::Tab);
        seat.screen();
        seat.picker.failed(&"db-1".parse().unwrap(), "a sentence that is longer than that screen\nhint: and a hint");
        seat.screen();
    }
}

#[test]
fn all_words_filter_whatever_they_are_found_in() {
    let hosts =
        vec![web("web-1"), web("web-10"), choice("db-1", &["env=test"], &[("deploy", "root"), ("backup", "dumper")]), web("a-web-1")];
    let mut seat = Seat::new(100, 12, hosts);
    seat.types("WEB-1");
    assert_eq!(seat.chosen(), "web-1", "a whole name stands before what begins with it");
    let screen = seat.screen();
    assert!(screen.contains("3 of 4 hosts") && !screen.contains("db-1"), "{screen}");
    let buffer = seat.terminal.backend().buffer();
    let found: String = buffer
        .content
        .chunks(100)
        .nth(4)
        .unwrap()
        .iter()
        .filter(|c| c.modifier.contains(Modifier::UNDERLINED))
        .map(|c| c.symbol())
        .collect();
    assert_eq!(found, "web-1", "what was found is marked, and nothing else of web-10");
    seat.presses(&Key::Control('u'));
    seat.types("test dump");
    assert_eq!(seat.chosen(), "db-1", "by a tag and an account");
    seat.types("x");
    assert!(seat.screen().contains("no host has all of these words"));
    assert_eq!(seat.presses(&Key::Enter), None);
    seat.presses(&Key::Control('w'));
    assert_eq!(seat.chosen(), "db-1");
    seat.presses(&Key::Backspace);
    for _ in 0..10 {
        seat.presses(&Key::Backspace);
    }
    assert!(seat.screen().contains("4 hosts"));
    assert_eq!(seat.presses(&Key::Escape), Some(Wish::Leave), "with no filter left");
}

#[test]
fn text_of_any_script_filters_and_what_a_terminal_obeys_is_never_drawn() {
    let mut hostile = choice("web-1", &["ort=Zürich", "x=\x1b]0;evil\x07", "bidi=\u{202e}gpj"], &[("deploy", "root")]);
    hostile.address = "a\x1b[2Jb:22".to_owned();
    hostile.not_now = Some("holds only\x1b[31m at night".to_owned());
    let mut seat = Seat::new(160, 12, vec![hostile, web("web-2")]);
    let screen = seat.screen();
    assert!(!screen.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{screen:?}");
    assert!(screen.contains("ort=Zürich") && screen.contains("not now"), "{screen}");
    seat.types("zÜRICH");
    assert!(seat.screen().contains("1 of 2 hosts"));
    seat.presses(&Key::Escape);
    seat.presses(&Key::Paste("web-2\nrm -rf /\r".to_owned()));
    assert_eq!(seat.chosen(), "web-2", "a paste only filters, with its first line");
    seat.presses(&Key::Paste("😀".repeat(1000)));
    let screen = seat.screen();
    assert!(screen.contains('😀') && screen.contains("no host has"), "{screen}");
    seat.presses(&Key::Escape);
    assert_eq!(host_of(seat.presses(&Key::Enter)), Some(("web-1".to_owned(), None)), "what does not hold now is for the broker to say");
}

#[test]
fn ten_thousand_hosts_are_listed_and_found() {
    let hosts: Vec<Choice> = (0..10_000).map(|n| web(&format!("web-{n}"))).collect();
    let mut seat = Seat::new(120, 40, hosts);
    assert!(seat.screen().contains("10000 hosts"));
    seat.presses(&Key::End);
    assert_eq!(seat.chosen(), "web-9999");
    seat.presses(&Key::PageUp);
    seat.presses(&Key::Up);
    assert_ne!(seat.chosen(), "web-9999");
    seat.presses(&Key::Control('p'));
    seat.presses(&Key::Control('n'));
    seat.presses(&Key::Home);
    assert_eq!(seat.chosen(), "web-0");
    seat.types("7777");
    assert_eq!(seat.chosen(), "web-7777");
    assert_eq!(host_of(seat.presses(&Key::Enter)), Some(("web-7777".to_owned(), None)));
}

#[test]
fn another_credential_is_chosen_in_a_list_of_its_own() {
    let two = choice("db-1", &[], &[("deploy", "root"), ("backup", "dumper")]);
    let mut bare = two.clone();
    (bare.host, bare.signs_in) = ("db-2".parse().unwrap(), false);
    let mut seat = Seat::new(80, 12, vec![two, bare, web("web-1")]);
    seat.presses(&Key::Tab);
    let screen = seat.screen();
    assert!(screen.contains("db-1 as") && screen.contains("root (deploy)  (usual)") && screen.contains("dumper (backup)"), "{screen}");
    seat.presses(&Key::Down);
    assert_eq!(host_of(seat.presses(&Key::Enter)), Some(("db-1".to_owned(), Some("backup".to_owned()))));
    seat.presses(&Key::Down);
    assert_eq!(seat.presses(&Key::Enter), None, "where none is taken by itself one has to be chosen");
    assert!(seat.screen().contains("db-2 as"));
    assert_eq!(host_of(seat.presses(&Key::Enter)), Some(("db-2".to_owned(), Some("deploy".to_owned()))));
    seat.presses(&Key::End);
    seat.presses(&Key::Tab);
    assert!(seat.screen().contains("web-1 has no other credential"));
}

#[test]
fn what_is_withdrawn_under_the_hand_chooses_nothing_else() {
    let mut seat = Seat::new(80, 12, vec![web("web-1"), web("web-2"), web("web-3")]);
    seat.presses(&Key::Down);
    assert_eq!(seat.chosen(), "web-2");
    seat.picker.changed(of(vec![web("a-new-one"), web("web-1"), web("web-2")]));
    assert_eq!(seat.chosen(), "web-2", "rows that come change nothing");
    seat.presses(&Key::Tab);
    seat.picker.changed(of(vec![web("a-new-one"), web("web-1")]));
    let screen = seat.screen();
    assert!(screen.contains("web-2 is not yours to use any more"), "{screen}");
    assert_eq!((seat.chosen(), seat.presses(&Key::Enter)), (String::new(), None));
    seat.presses(&Key::Down);
    assert!(host_of(seat.presses(&Key::Enter)).is_some());
    seat.picker.changed(of(vec![]));
    assert!(seat.screen().contains("no host is granted to you any more: ask an owner or an admin"));
}

#[test]
fn what_was_typed_for_a_host_that_was_not_reached_chooses_no_other() {
    let mut seat = Seat::new(80, 12, vec![web("web-1"), web("web-2")]);
    seat.picker.failed(&"web-1".parse().unwrap(), "web-1: nobody answers\nhint: look\x1b[2J");
    seat.types("ls");
    assert_eq!(seat.presses(&Key::Enter), None, "before it is on the screen");
    let screen = seat.screen();
    assert!(screen.contains("no connection to web-1") && screen.contains("nobody answers") && screen.contains("hint: look"), "{screen}");
    seat.at += Duration::from_millis(400);
    assert_eq!(seat.presses(&Key::Escape), None);
    assert!(seat.screen().contains("nobody answers"), "too quick");
    seat.at += Duration::from_millis(200);
    seat.types("web-2");
    assert!(seat.screen().contains("nobody answers"), "only a key that means it");
    seat.presses(&Key::Escape);
    assert_eq!(seat.chosen(), "web-1", "and it stands where it stood");
    seat.picker.failed(&"web-1".parse().unwrap(), "again");
    assert_eq!(seat.presses(&Key::Control('c')), Some(Wish::Leave));
}

#[test]
fn what_is_refused_for_certain_is_said_and_what_waits_is_told() {
    let mut files = web("files");
    files.actions = "sftp".parse().unwrap();
    let mut shown = web("shown");
    shown.no_pty = true;
    let mut seat = Seat::new(80, 12, vec![files, shown]);
    assert_eq!(seat.presses(&Key::Enter), None);
    assert!(seat.screen().contains("a shell is not granted to you on files; granted: sftp"));
    seat.presses(&Key::Down);
    assert_eq!(seat.presses(&Key::Enter), None);
    assert!(seat.screen().contains("permits no terminal"));
    seat.picker.tick(Time::from_millis(NOW), 2);
    assert!(seat.screen().contains("2 commands of agents wait for you: Ctrl-O"));
    assert_eq!(seat.presses(&Key::Control('o')), Some(Wish::Inbox));
    assert_eq!(seat.presses(&Key::Control('d')), Some(Wish::Leave));
}
