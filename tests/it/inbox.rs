//! A person decides on a full screen: real ssh clients, in tmux.

use std::process::Stdio;

use crate::world::agent::{connected, example, scene};
use crate::world::broker::KEYWARD;
use crate::world::mcp::{Door, McpScene, python_example};
use crate::world::process::{Process, command};
use crate::world::tmux::Tmux;
use crate::world::{Agent, Scene, eventually};

/// Alice's inbox over ssh, in a window of this size.
#[track_caller]
fn watch(scene: &Scene, name: &str, columns: u16, rows: u16) -> Tmux {
    let ssh = scene.alice.ssh(&["-tt", "-l", "alice", "through", "--", "proposal watch"]);
    Tmux::start(scene.place(name), columns, rows, &ssh)
}

/// Opens what is chosen, and waits until it can be decided.
#[track_caller]
fn open(inbox: &Tmux) {
    inbox.press(&["Enter"]);
    inbox.until("A approve");
    inbox.until("runs for");
}

/// Presses `A` until the inbox asks this: a moment after something came onto the screen it does not take it. Each key is seen to be
/// answered before the next one is pressed, so that none is left over for the question.
#[track_caller]
fn asks_this(inbox: &Tmux, question: &str) {
    let too_quick = ["not yet:", "it is not whole on the screen yet"];
    eventually(question, || {
        inbox.press(&["A"]);
        let screen = inbox.until_it(question, |screen| screen.contains(question) || too_quick.iter().any(|why| screen.contains(why)));
        let asked = screen.contains(question);
        if !asked {
            // A key that changes nothing and has an answer of its own: the next `not yet` is a new one.
            inbox.press(&["r"]);
            inbox.until("what you have allowed");
        }
        asked.then_some(())
    });
}

/// Has the inbox ask for a yes.
#[track_caller]
fn asks(inbox: &Tmux) {
    asks_this(inbox, "y: yes");
}

/// Says yes, once, to the question that is open: a paste answers nothing, and shows when the question can be answered.
#[track_caller]
fn says_yes(inbox: &Tmux) {
    inbox.until_it("a paste approves nothing", |screen| {
        let readable = screen.contains("a paste approves nothing");
        if !readable {
            inbox.pastes("y");
        }
        readable
    });
    inbox.press(&["y"]);
}

/// Says yes, and waits until it is approved.
#[track_caller]
fn yes(inbox: &Tmux) {
    says_yes(inbox);
    inbox.until_it("approved", |screen| screen.contains("approved") && !screen.contains("nothing was approved"));
}

/// How many rows are below the screen, as its header says; `None`: it does not say so, or is being drawn.
fn below(screen: &str) -> Option<usize> {
    let header = screen.lines().next()?;
    match header.split_once(" more rows") {
        Some((before, _)) => before.rsplit(' ').next()?.parse().ok(),
        None => header.contains(" end ").then_some(0),
    }
}

/// Reads on to the end, screen by screen: each was on the screen before the next one is asked for.
#[track_caller]
fn reads_to_its_end(inbox: &Tmux) {
    const END: &str = "end of what would run";
    let mut last = usize::MAX;
    eventually(END, || {
        let before = std::cell::Cell::new(None);
        let screen = inbox.until_it("the next rows", |screen| {
            // Drawn to its end: the next look finds the same.
            let now = below(screen);
            let steady = before.replace(now) == now;
            screen.contains(END) || (steady && now.is_some_and(|now| now < last))
        });
        let there = screen.contains(END);
        last = below(&screen).unwrap_or(0);
        if !there && last > 0 {
            inbox.press(&["PageDown"]);
        } else {
            inbox.until(END);
        }
        there.then_some(())
    });
}

/// Goes back to the list, if it is not on the screen. Whatever was pressed before has been answered.
#[track_caller]
fn goes_back(inbox: &Tmux) {
    if !inbox.screen().contains("waits for you") {
        inbox.press(&["Escape"]);
        inbox.until("waits for you");
    }
}

#[test]
fn a_person_approves_on_a_full_screen_and_sees_what_it_wrote() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let inbox = watch(&scene, "window", 80, 24);
    inbox.until("nothing");
    let proposed = agent.proposes("printf 'one\\033[31m two\\n'; exit 3");
    inbox.until("1 waits");
    open(&inbox);
    let screen = inbox.screen();
    assert!(screen.contains("helper asks on web-1") && screen.contains("expires in "), "{screen}");
    assert!(screen.contains("│ printf 'one\\033[31m two\\n'; exit 3"), "{screen}");
    asks(&inbox);
    let waiting = scene.alice.waiting(1).remove(0);
    assert!(inbox.screen().contains(&waiting["digest"].as_str().unwrap()[..16]), "{}", inbox.screen());
    yes(&inbox);
    let (status, out, errors) = proposed.end();
    assert_eq!((status, out.as_str()), (Some(3), "one\x1b[31m two\n"), "{errors}");
    let screen = inbox.until("ran, exit 3");
    assert!(screen.contains("one⟨\\x1b⟩[31m two"), "{screen}");
    inbox.press(&["Escape"]);
    inbox.until("waits for you");
    let status = eventually("it has left", || {
        let ended = inbox.ended();
        if ended.is_none() {
            // Right behind an escape it would be another key.
            inbox.press(&["q"]);
        }
        ended
    });
    assert_eq!(status, 0);
    assert_eq!(inbox.knows("#{alternate_on}"), "0", "the terminal is as it was");
    assert_eq!(scene.alice.proposal(&waiting)["means"], "key");
}

#[test]
fn it_is_approved_only_after_its_end_was_on_the_screen() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let long: String = (1..=300).map(|n| format!("echo {n}\n")).collect();
    let proposed = agent.proposes(&long);
    scene.alice.waiting(1);
    let inbox = watch(&scene, "window", 80, 24);
    inbox.until("1 waits");
    open(&inbox);
    inbox.press(&["A"]);
    let screen = inbox.until("not yet:");
    assert!(!screen.contains("y: yes"), "{screen}");
    reads_to_its_end(&inbox);
    asks(&inbox);
    yes(&inbox);
    let (status, out, errors) = proposed.end();
    assert_eq!((status, out.lines().count()), (Some(0), 300), "{errors}");
}

#[test]
fn what_is_typed_ahead_or_pasted_approves_nothing() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let _proposed = agent.proposes("echo never");
    let waiting = scene.alice.waiting(1).remove(0);
    let inbox = watch(&scene, "window", 80, 24);
    // Before anything is on the screen, and once more when the list is there.
    inbox.types("\rAyAyAyAyapprove\r");
    inbox.until("helper");
    // Behind all that.
    inbox.press(&["?"]);
    inbox.until("any key goes back");
    inbox.press(&["x"]);
    inbox.until_it("no help", |screen| !screen.contains("any key goes back"));
    goes_back(&inbox);
    inbox.types("\rAyAyAy");
    inbox.until("runs for");
    inbox.pastes("AyAy");
    inbox.press(&["?"]);
    inbox.until("any key goes back");
    assert_eq!(scene.alice.proposal(&waiting)["state"], "pending");
    inbox.press(&["x"]);
    inbox.until("runs for");
    asks(&inbox);
    inbox.until_it("a paste approves nothing", |screen| {
        if !screen.contains("a paste approves nothing") {
            inbox.pastes("y");
        }
        screen.contains("a paste approves nothing")
    });
    assert_eq!(scene.alice.proposal(&waiting)["state"], "pending");
    inbox.press(&["C-c"]);
    inbox.until("nothing was decided");
}

#[test]
fn a_denial_with_its_reason_and_another_command_instead() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let proposed = agent.proposes("rm -rf /srv/old");
    let inbox = watch(&scene, "window", 80, 24);
    inbox.until("1 waits");
    open(&inbox);
    inbox.press(&["d"]);
    inbox.until("deny, and why");
    inbox.types("not on a Friday");
    inbox.press(&["Enter"]);
    inbox.until("denied");
    let (status, _, errors) = proposed.end();
    assert_eq!(status, Some(77));
    assert!(errors.contains("denied by alice: not on a Friday"), "{errors}");

    inbox.press(&["Escape"]);
    inbox.until("waits for you");
    let proposed = agent.proposes("echo the agent; exit 1");
    inbox.until_it("the next one", |screen| screen.contains("1 waits") && screen.contains("echo the agent"));
    inbox.press(&["g"]);
    open(&inbox);
    inbox.press(&["e"]);
    inbox.until("^X done");
    inbox.press(&["C-u"]);
    inbox.types("echo the person");
    inbox.press(&["C-x"]);
    let screen = inbox.until("your command instead, 15 bytes");
    assert!(screen.contains("│ echo the person") && screen.contains("the agent had proposed"), "{screen}");
    asks(&inbox);
    yes(&inbox);
    let (status, out, errors) = proposed.end();
    assert_eq!((status, out.as_str()), (Some(0), "the person\n"));
    assert!(errors.contains("echo the person"), "{errors}");
}

#[test]
fn two_who_look_at_the_same_proposal_decide_once() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let proposed = agent.proposes("echo once");
    let (one, two) = (watch(&scene, "one", 80, 24), watch(&scene, "two", 100, 30));
    for inbox in [&one, &two] {
        inbox.until("1 waits");
        open(inbox);
        asks(inbox);
    }
    yes(&one);
    let screen = two.until("meanwhile it changed");
    assert!(screen.contains("nothing was decided here") && !screen.contains("y: yes"), "{screen}");
    two.press(&["y"]);
    two.press(&["A"]);
    two.until("it does not wait any more");
    assert_eq!(proposed.end().1, "once\n");
    let runs = scene.broker.audit().iter().filter(|e| e["event"] == "proposal.running").count();
    assert_eq!(runs, 1);
}

#[test]
fn what_would_deceive_is_shown_and_needs_a_word() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let _proposed = agent.proposes("echo \u{202e}gpj.exe \x1b]2;pwned\x07\x1b[2J\r#");
    let inbox = watch(&scene, "window", 100, 24);
    let screen = inbox.until("1 waits");
    assert!(screen.contains("echo ⟨\\u{202e}⟩gpj.exe"), "{screen}");
    open(&inbox);
    let screen = inbox.until("end of what would run");
    assert!(screen.contains("│ echo ⟨\\u{202e}⟩gpj.exe ⟨\\x1b⟩]2;pwned⟨\\x07⟩⟨\\x1b⟩[2J⟨\\r⟩#"), "{screen}");
    assert!(screen.matches("! care:").count() >= 3, "{screen}");
    assert_ne!(inbox.knows("#{pane_title}"), "pwned");
    asks_this(&inbox, "type approve and Enter");
    inbox.types("y\r");
    inbox.until_it("nothing was approved", |screen| screen.contains("nothing was approved") || screen.contains("read the question first"));
    assert_eq!(scene.alice.waiting(1).len(), 1);
}

#[test]
fn it_follows_the_window_and_works_on_a_small_one() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let proposed = agent.proposes("echo small");
    let inbox = watch(&scene, "window", 80, 24);
    inbox.until("1 waits");
    inbox.resize(120, 40);
    inbox.until_it("a wide header", |s| s.lines().next().is_some_and(|l| l.trim_end().ends_with("1 waits") && l.len() > 100));
    inbox.resize(30, 8);
    inbox.until("too small");
    inbox.resize(40, 10);
    inbox.until("1 waits");
    open(&inbox);
    reads_to_its_end(&inbox);
    asks(&inbox);
    yes(&inbox);
    assert_eq!(proposed.end().1, "small\n");
}

#[test]
fn without_a_terminal_it_says_how_to_get_one() {
    let scene = scene();
    let over_ssh = scene.alice.verb("alice", "proposal watch", "");
    assert_eq!(over_ssh.status, Some(2), "{over_ssh:?}");
    assert!(over_ssh.errors().contains("the inbox needs a terminal") && over_ssh.errors().contains("ssh -t"), "{over_ssh:?}");
    let here = scene.broker.refuses(&["proposal", "watch"]);
    assert!(here.contains("hint: give it one: keyward") && here.contains("proposal watch"), "{here}");
}

#[test]
fn at_the_local_door_it_asks_for_a_signature_and_puts_the_terminal_back() {
    let scene = scene();
    let owner = scene.owner.clone();
    let agent = {
        let client = crate::world::Client::new(&scene.dir().join("local"));
        let key = client.key.public_file().display().to_string();
        scene.broker.does(&["agent", "add", "local", "--for", "root", "--key", &key]);
        client.knows(None, Some(&scene.broker), "web-1");
        Agent { client, name: "local" }
    };
    scene.broker.does(&["grant", "add", "--to", "root", "--hosts", "web-1", "--allow", "shell,exec,propose"]);
    let _session = owner.stay(crate::world::Way::Through, &["-N"], "");
    crate::world::eventually("the owner's connection stands", || {
        scene.broker.audit().iter().any(|e| e["event"] == "session.signed_in").then_some(())
    });
    let _proposed = agent.proposes("echo local");
    let mut here = scene.broker.command(&["proposal", "watch"]);
    here.env("TERM", "tmux-256color");
    let shell = {
        let mut shell = crate::world::process::command("sh");
        let words: Vec<String> =
            std::iter::once(KEYWARD.to_owned()).chain(here.get_args().map(|a| a.to_string_lossy().into_owned())).collect();
        shell.arg("-c").arg(format!(
            "stty -a > {0}/before; {1}; stty -a > {0}/after; echo the shell again; read -r line",
            scene.dir().display(),
            words.join(" ")
        ));
        for (k, v) in here.get_envs() {
            shell.env(k, v.unwrap_or_default());
        }
        shell
    };
    let inbox = Tmux::start(scene.place("window"), 80, 24, &shell);
    inbox.until("1 waits");
    open(&inbox);
    asks(&inbox);
    says_yes(&inbox);
    inbox.until("at the local door no key of yours is shown");
    inbox.press(&["s"]);
    inbox.until("needs your ssh agent");
    inbox.press(&["q"]);
    inbox.until("the shell again");
    assert_eq!(inbox.knows("#{alternate_on} #{cursor_flag}"), "0 1");
    let settings = |name: &str| std::fs::read_to_string(scene.dir().join(name)).unwrap();
    assert_eq!(settings("before"), settings("after"));
}

/// Opens what waits, from wherever the inbox is: its list may still show the one before.
#[track_caller]
fn opens(inbox: &Tmux, digest: &str) {
    eventually("what waits is open", || {
        goes_back(inbox);
        inbox.until("1 waits");
        inbox.press(&["g", "Enter"]);
        let screen = inbox.until_it("one that is open", |screen| screen.contains("A approve") && screen.contains("runs for"));
        screen.contains(digest).then_some(())
    });
}

/// Decides in the inbox: whatever comes is opened, read to its end, and approved.
#[track_caller]
fn decides_ten(scene: &Scene, inbox: &Tmux) {
    let mut last = String::new();
    for _ in 0..10 {
        let digest = eventually("another one waits", || {
            let digest = scene.alice.waiting(1).remove(0)["digest"].as_str().unwrap().to_owned();
            Some(digest).filter(|digest| *digest != last)
        });
        opens(inbox, &digest);
        asks(inbox);
        yes(inbox);
        last = digest;
    }
}

#[test]
fn an_agent_with_mcp_and_one_with_ssh_finish_ten_steps_while_a_person_decides_in_the_inbox() {
    let m = McpScene::new();
    let _alice = connected(&m.scene);
    let inbox = watch(&m.scene, "window", 110, 50);
    inbox.until("nothing");
    let mut words = vec!["web-1".to_owned(), "--".to_owned()];
    words.extend(m.words(Door::Ssh));
    let mcp = python_example(&words);
    let options: Vec<String> = m.helper.client.ssh(&[]).get_args().map(|a| a.to_string_lossy().into_owned()).collect();
    let mut ssh = command("/bin/sh");
    ssh.env("HOME", m.scene.dir()).arg(example("agent_ssh.sh")).arg("through").args(options);
    for (mut agent, last) in [(mcp, r#"{"executed": 10, "of": 10}"#), (ssh, "10 of 10 executed")] {
        agent.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut agent = Process::start(agent);
        let (lines, errors) = (agent.lines(), agent.errors());
        decides_ten(&m.scene, &inbox);
        let status = agent.wait().code();
        let errors = String::from_utf8_lossy(&errors.recv().unwrap()).into_owned();
        let said: Vec<String> = std::iter::from_fn(|| lines.next()).collect();
        assert_eq!((status, said.last().map(String::as_str)), (Some(0), Some(last)), "{said:#?}\n{errors}");
    }
    assert_eq!(m.scene.host.sign_ins(), 1, "exactly one sign-in on the host\n{}", m.scene.host.log());
    let audit = m.scene.broker.audit();
    let count = |event: &str| audit.iter().filter(|e| e["event"] == event).count();
    assert_eq!((count("proposal.approved"), count("proposal.executed"), count("lease.opened")), (20, 20, 1));
}
