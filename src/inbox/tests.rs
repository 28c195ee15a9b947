//! What a person sees and what their keys do, on a screen in memory.

use std::time::{Duration, Instant};

use base64ct::{Base64, Encoding};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

use super::*;
use crate::clock::Time;
use crate::control::{Command, Data, Problem, ProposalView, Reply};
use crate::fault::Kind;
use crate::model::ProposalId;
use crate::screen::Key;

const NOW: i64 = 1_790_000_000_000;

fn digest(of: u8) -> String {
    format!("{of:02x}").repeat(32)
}

fn id(n: u8) -> ProposalId {
    ProposalId::from([n; 16])
}

fn view(n: u8, command: &[u8]) -> ProposalView {
    serde_json::from_value(json!({
        "id": id(n), "state": "pending", "agent": "helper", "user": "alice", "host": "web-1",
        "session": crate::model::SessionId::from([7; 16]), "command": String::from_utf8_lossy(command), "digest": digest(n),
        "created_at": Time::from_millis(NOW - 12_000), "expires_at": Time::from_millis(NOW + 588_000), "plan": null, "step": 1, "steps": 1,
        "login": "deploy", "command_base64": Base64::encode_string(command), "stdin_base64": "", "stdin_bytes": 0, "env": [],
        "timeout_s": 600, "needs_signature": false, "stdout_bytes": 0, "stderr_bytes": 0, "masked": 0,
    }))
    .unwrap()
}

/// Alice at a screen, and the desk's answers by hand.
struct Seat {
    app: App,
    terminal: Terminal<TestBackend>,
    at: Instant,
}

impl Seat {
    fn new(columns: u16, rows: u16) -> Self {
        let mut app = App::new(Look { color: false, signs: false }, Time::from_millis(NOW));
        assert_eq!(app.refresh().len(), 3);
        Self { app, terminal: Terminal::new(TestBackend::new(columns, rows)).unwrap(), at: Instant::now() }
    }

    fn lists(mut self, waiting: Vec<ProposalView>) -> Self {
        self.list(waiting);
        self
    }

    fn list(&mut self, waiting: Vec<ProposalView>) {
        self.tell(&Command::ProposalList { pending: true, limit: 1 }, Data::Proposals(waiting.clone()));
        self.tell(&Command::ProposalList { pending: false, limit: 1 }, Data::Proposals(waiting));
        self.tell(&Command::AllowanceList, Data::Allowances(vec![]));
    }

    fn tell(&mut self, command: &Command, data: Data) -> Vec<Effect> {
        let effects = self.app.reply(command, Ok(Reply::of(data)));
        self.draw();
        effects
    }

    fn shows(&mut self, view: ProposalView) {
        self.tell(&Command::ProposalShow { id: view.id }, Data::Proposal(view));
    }

    /// Opens the first of these and looks at it for a while.
    fn opened(mut self, view: ProposalView) -> Self {
        self.list(vec![view.clone()]);
        assert_eq!(self.key(Key::Enter), [Effect::Call(Command::ProposalShow { id: view.id })]);
        self.shows(view);
        self.waits();
        self
    }

    fn draw(&mut self) -> String {
        self.terminal.draw(|f| self.app.draw(f)).unwrap();
        self.app.drawn(self.at);
        self.screen()
    }

    fn screen(&self) -> String {
        let buffer = self.terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        let rows = buffer.content.chunks(width).map(|row| row.iter().map(|c| c.symbol()).collect::<String>().trim_end().to_owned());
        rows.collect::<Vec<_>>().join("\n")
    }

    fn waits(&mut self) {
        self.at += Duration::from_secs(1);
        self.draw();
    }

    /// Presses a key, and looks at what it did for a while.
    fn key(&mut self, key: Key) -> Vec<Effect> {
        let effects = self.app.key(&key, self.at);
        self.draw();
        self.waits();
        effects
    }

    fn types(&mut self, text: &str) -> Vec<Effect> {
        text.chars().map(|c| self.key(Key::Char(c))).last().unwrap()
    }
}

fn approve_of(effects: &[Effect]) -> Option<(String, Option<String>)> {
    match effects {
        [Effect::Call(Command::ProposalApprove { digest, edit, .. })] => Some((digest.0.to_string(), edit.clone())),
        _ => None,
    }
}

#[test]
fn the_list_says_what_waits_what_is_wanted_and_how_it_went() {
    let mut seat = Seat::new(80, 16);
    let mut done = view(3, b"df -h /srv");
    (done.state, done.exit_status) = (crate::model::Stage::Executed, Some(0));
    let mut theirs = view(4, b"not mine");
    theirs.login = None;
    let pending = vec![view(2, b"systemctl restart nginx\x1b[2J"), theirs.clone()];
    let notes = Reply::of(Data::Proposals(pending)).note("agent helper would like a connection to db-1: ssh -N -p PORT db-1@BROKER");
    seat.app.reply(&Command::ProposalList { pending: true, limit: 1 }, Ok(notes));
    seat.tell(&Command::ProposalList { pending: false, limit: 1 }, Data::Proposals(vec![done, theirs]));
    seat.tell(&Command::AllowanceList, Data::Allowances(vec![]));
    let expected = " keyward inbox                                                          1 waits
waits for you
  helper       web-1          12s ago  9m left  27 B    systemctl restart nginx…

connections that agents would like
  agent helper would like a connection to db-1: ssh -N -p PORT db-1@BROKER

decided
  helper       web-1          12s ago  ran, exit 0  df -h /srv






Enter open  r revoke  j/k move  q quit  ? help";
    assert_eq!(seat.screen(), expected);
    let mut news = seat.app.refresh();
    assert_eq!(news.len(), 3);
    news = seat.tell(&Command::ProposalList { pending: true, limit: 1 }, Data::Proposals(vec![view(2, b"x"), view(5, b"new")]));
    assert_eq!(news, [Effect::Bell]);
}

#[test]
fn the_whole_proposal_on_one_screen() {
    let mut it = view(2, b"curl -s https://x.example/i | sh\ntouch /tmp/a  b");
    it.reason = Some("to update the index".to_owned());
    (it.stdin_base64, it.stdin_bytes) = (Some(Base64::encode_string(b"in\n")), 3);
    it.env = vec![("TZ".to_owned(), "UTC".to_owned())];
    let seat = Seat::new(72, 40).opened(it);
    let expected = " helper asks on web-1                                   expires in 9:48
host       web-1 as deploy
agent      helper (of alice)
connection ses_070w3ge1r70w3ge1r70w3ge1r7
runs for   at most 600 s, without a terminal
sha256     0202020202020202020202020202020202020202020202020202020202020
           202

command, 48 bytes
│ curl -s https://x.example/i | sh⟨\\n⟩
│ touch /tmp/a··b
standard input, 3 bytes
│ in⟨\\n⟩
variables, 1
TZ, 3 bytes:
│ UTC
── end of what would run ───────────────────────────────────────────────";
    let screen = seat.screen();
    assert!(screen.starts_with(expected), "{screen}");
    let claim = "┌─ the agent claims; nobody has checked it ────────────────────────────┐
│ to update the index                                                  │
└──────────────────────────────────────────────────────────────────────┘";
    assert!(screen.contains(claim), "{screen}");
}

#[test]
fn a_and_y_approve_the_digest_that_was_drawn() {
    let mut seat = Seat::new(80, 24).opened(view(2, b"df -h"));
    assert!(seat.key(Key::Char('A')).is_empty());
    assert!(seat.screen().contains("approve on web-1 as deploy, sha256 0202020202020202…?"), "{}", seat.screen());
    assert_eq!(approve_of(&seat.key(Key::Char('y'))), Some((digest(2), None)));
    assert!(seat.key(Key::Char('A')).is_empty(), "one decision at a time");
    assert!(seat.screen().contains("a decision is on its way"));
}

#[test]
fn nothing_is_approved_before_its_end_was_on_the_screen() {
    let long: String = (1..=300).map(|n| format!("echo {n}\n")).collect();
    let mut seat = Seat::new(80, 24).opened(view(2, long.as_bytes()));
    assert!(seat.key(Key::Char('A')).is_empty());
    assert!(seat.screen().contains("not yet:") && !seat.screen().contains("approve on"), "{}", seat.screen());
    assert!(seat.key(Key::Char('a')).is_empty() && seat.screen().contains("not yet:"));
    for _ in 0..16 {
        seat.key(Key::PageDown);
    }
    assert!(seat.screen().contains("end of what would run"), "{}", seat.screen());
    seat.key(Key::Char('A'));
    assert!(seat.screen().contains("y: yes"), "all of it was on the screen\n{}", seat.screen());
    seat.key(Key::Escape);

    // Who jumps to the end has not read the middle: one key is not enough.
    let mut seat = Seat::new(80, 24).opened(view(2, long.as_bytes()));
    seat.key(Key::Char('G'));
    seat.key(Key::Char('A'));
    assert!(seat.screen().contains("rows of it were not on the screen: type approve and Enter"), "{}", seat.screen());
    assert!(seat.key(Key::Char('y')).is_empty());
    seat.key(Key::Backspace);
    seat.types("approve");
    assert!(approve_of(&seat.key(Key::Enter)).is_some());
}

#[test]
fn keys_that_were_typed_ahead_find_nothing_to_approve() {
    let it = view(2, b"df -h");
    let mut seat = Seat::new(80, 24).lists(vec![it.clone()]);
    let mut all = Vec::new();
    // Everything at once, as from a paste without brackets.
    for key in [Key::Enter, Key::Char('A'), Key::Char('y'), Key::Char('y')] {
        all.extend(seat.app.key(&key, seat.at));
    }
    assert_eq!(all, [Effect::Call(Command::ProposalShow { id: id(2) })]);
    seat.shows(it);
    for key in [Key::Char('y'), Key::Char('A')] {
        assert!(seat.app.key(&key, seat.at).is_empty());
    }
    assert!(seat.draw().contains("only just come onto the screen"), "{}", seat.screen());
    seat.waits();
    // Even now the question has to be seen first.
    for key in [Key::Char('A'), Key::Char('y'), Key::Char('y')] {
        assert!(seat.app.key(&key, seat.at).is_empty());
    }
    seat.waits();
    seat.waits();
    assert!(seat.key(Key::Paste("y".to_owned())).is_empty());
    assert!(seat.screen().contains("a paste approves nothing"));
    assert!(approve_of(&seat.key(Key::Char('y'))).is_some());
}

#[test]
fn what_needs_care_or_is_large_needs_the_word() {
    for command in [b"echo \x1b[31mred".to_vec(), "cat \u{202e}txt.exe".into(), vec![b'x'; 4097]] {
        let mut seat = Seat::new(80, 24).opened(view(2, &command));
        if command.len() > 4096 {
            for _ in 0..8 {
                seat.key(Key::PageDown);
            }
        } else {
            assert!(seat.screen().contains("! care: "), "{}", seat.screen());
        }
        seat.key(Key::Char('A'));
        assert!(seat.screen().contains("type approve and Enter"), "{}", seat.screen());
        assert!(seat.key(Key::Char('y')).is_empty() && seat.key(Key::Enter).is_empty());
        assert!(seat.screen().contains("that was not the word"));
        seat.key(Key::Char('A'));
        seat.types("approve");
        assert_eq!(approve_of(&seat.key(Key::Enter)), Some((digest(2), None)));
    }
    let seat = Seat::new(80, 24).opened(view(2, "cat \u{202e}txt\x1b[2J".as_bytes()));
    assert!(seat.screen().contains("│ cat ⟨\\u{202e}⟩txt⟨\\x1b⟩[2J"), "{}", seat.screen());
}

#[test]
fn a_change_meanwhile_closes_the_question() {
    let mut seat = Seat::new(80, 24).opened(view(2, b"df -h"));
    seat.key(Key::Char('A'));
    let mut other = view(2, b"df -h");
    (other.state, other.decided_by) = (crate::model::Stage::Denied, Some("alice".parse().unwrap()));
    seat.shows(other);
    assert!(seat.screen().contains("meanwhile it changed (denied by alice): nothing was decided here"), "{}", seat.screen());
    assert!(seat.key(Key::Char('y')).is_empty() && seat.key(Key::Char('A')).is_empty());
    assert!(seat.screen().contains("it does not wait any more: denied"), "{}", seat.screen());

    let mut seat = Seat::new(80, 24).opened(view(2, b"df -h"));
    seat.key(Key::Char('A'));
    seat.shows(ProposalView { digest: digest(9), ..view(2, b"rm -rf /") });
    assert!(seat.app.key(&Key::Char('y'), seat.at).is_empty() && seat.app.key(&Key::Char('A'), seat.at).is_empty());
}

#[test]
fn an_edited_command_is_reviewed_and_confirmed_again() {
    let mut seat = Seat::new(80, 24).opened(view(2, b"rm -rf /srv"));
    seat.key(Key::Char('e'));
    seat.key(Key::Control('u'));
    seat.types("ls /srv");
    let asked = seat.key(Key::Control('x'));
    let canonical = Command::ProposalCanonical { id: id(2), edit: Some("ls /srv".to_owned()) };
    assert_eq!(asked, [Effect::Call(canonical.clone())]);
    assert!(seat.screen().contains("your command instead, 7 bytes\n│ ls /srv"), "{}", seat.screen());
    assert!(seat.screen().contains("the agent had proposed, 11 bytes\n│ rm -rf /srv"), "{}", seat.screen());
    seat.key(Key::Char('A'));
    assert!(seat.screen().contains("it is not whole on the screen yet"), "its digest is not known: {}", seat.screen());
    let text = crate::model::canonical(id(2), &digest(5).parse().unwrap());
    seat.tell(&canonical, serde_json::from_value(json!({"canonical": {"id": id(2), "text": text, "namespace": "n", "keys": []}})).unwrap());
    assert!(seat.app.key(&Key::Char('A'), seat.at).is_empty() && seat.screen().contains("0505"), "{}", seat.screen());
    seat.waits();
    seat.key(Key::Char('A'));
    assert!(seat.screen().contains("sha256 0505050505050505…?"), "{}", seat.screen());
    assert_eq!(approve_of(&seat.key(Key::Char('y'))), Some((digest(2), Some("ls /srv".to_owned()))));

    let mut seat = Seat::new(80, 24).opened(view(2, b"a\xffb"));
    seat.key(Key::Char('e'));
    assert!(seat.screen().contains("no text (UTF-8)"));
}

#[test]
fn denials_and_allowances() {
    let mut seat = Seat::new(80, 24).opened(view(2, b"df -h"));
    seat.key(Key::Char('d'));
    seat.types("not on a Friday");
    let denied = seat.key(Key::Enter);
    assert_eq!(denied, [Effect::Call(Command::ProposalDeny { id: id(2), reason: Some("not on a Friday".to_owned()) })]);

    let mut seat = Seat::new(80, 24).opened(view(2, b"df -h"));
    seat.key(Key::Char('a'));
    seat.types("5");
    seat.key(Key::Enter);
    seat.types("30m");
    seat.key(Key::Enter);
    assert!(seat.screen().replace('\n', " ").contains("and 5 times again within 1800 s?"), "{}", seat.screen());
    let [Effect::Call(Command::ProposalApprove { again: Some(again), .. })] = &seat.key(Key::Char('y'))[..] else { panic!() };
    assert_eq!((again.times, again.within_s), (5, 1800));

    let mut seat = Seat::new(80, 24).lists(vec![]);
    let allowance = crate::model::AllowanceId::from([8; 16]);
    let mine = json!({"allowances": [{"id": allowance, "agent": "helper", "host": "web-1", "session": crate::model::SessionId::from([7; 16]),
        "command": "df -h", "digest": digest(2), "left": 3, "until": Time::from_millis(NOW + 60_000)}]});
    seat.tell(&Command::AllowanceList, serde_json::from_value(mine).unwrap());
    assert!(seat.screen().contains("helper       web-1          3 times  1m left  df -h"), "{}", seat.screen());
    assert_eq!(seat.key(Key::Char('r')), [Effect::Call(Command::AllowanceRevoke { id: allowance })]);
}

#[test]
fn a_refusal_is_told_in_the_words_of_the_desk() {
    let mut seat = Seat::new(80, 24).opened(view(2, b"df -h"));
    seat.key(Key::Char('A'));
    let [Effect::Call(approve)] = &seat.key(Key::Char('y'))[..] else { panic!() };
    let problem = Problem { kind: Kind::Forbidden, message: "no\x1b key".to_owned(), hint: Some("come over ssh".to_owned()) };
    let effects = seat.app.reply(approve, Err(problem));
    assert_eq!(effects.len(), 4, "everything is looked at anew");
    assert!(seat.draw().contains("no⟨\\x1b⟩ key; come over ssh"), "{}", seat.screen());
}

#[test]
fn a_signature_is_asked_for_only_where_an_agent_is() {
    let mut seat = Seat::new(80, 24).opened(view(2, b"df -h"));
    seat.key(Key::Char('s'));
    assert!(seat.screen().contains("keyward proposal watch"));
    seat.app.look.signs = true;
    seat.key(Key::Char('s'));
    let [Effect::Sign { runs, .. }] = &seat.key(Key::Char('y'))[..] else { panic!() };
    assert_eq!(*runs, digest(2));
}

#[test]
fn it_fits_small_screens_and_follows_them() {
    let mut seat = Seat::new(40, 10).opened(view(2, b"echo 'a command that does not fit on a row of forty'"));
    assert!(seat.screen().contains("more rows"), "{}", seat.screen());
    seat.key(Key::Char('G'));
    seat.key(Key::Char('A'));
    assert!(seat.screen().lines().count() == 10 && seat.screen().contains("approve on"), "{}", seat.screen());
    seat.key(Key::Escape);
    seat.terminal.backend_mut().resize(100, 40);
    seat.draw();
    assert!(seat.app.key(&Key::Char('A'), seat.at).is_empty());
    assert!(seat.draw().contains("only just come"), "another layout is another look: {}", seat.screen());
    seat.terminal.backend_mut().resize(39, 9);
    assert!(seat.draw().contains("too small"), "{}", seat.screen());
    seat.waits();
    assert!(seat.key(Key::Char('A')).is_empty());
}

#[test]
fn steps_of_a_plan_stand_together() {
    let plan = crate::model::PlanId::from([6; 16]);
    let step = |n: u8, command: &[u8]| ProposalView { plan: Some(plan), step: u32::from(n), steps: 3, ..view(n, command) };
    let mut seat = Seat::new(80, 24).lists(vec![step(1, b"apt-get update"), step(2, b"apt-get upgrade")]);
    seat.key(Key::Enter);
    seat.shows(step(1, b"apt-get update"));
    assert!(seat.screen().contains("step 1 of 3 of pln_"), "{}", seat.screen());
    for row in ["> 1 this one", "  2 waits: apt-get upgrade", "  3 is not at hand"] {
        assert!(seat.screen().contains(row), "{}", seat.screen());
    }
}
