//! Attacks on the person who approves, one test a row of the table in docs/agents.md. What the inbox does about them is in
//! `inbox`; what is shown of which byte is in the tests of the room `render`.

use std::time::Duration;

use crate::world::agent::{connected, scene};
use crate::world::broker::Settings;
use crate::world::{Agent, Outcome, Scene, agent, eventually, noise};

/// What Alice reads of the only proposal that waits.
#[track_caller]
fn shown(scene: &Scene) -> (serde_json::Value, String) {
    let waiting = scene.alice.waiting(1).remove(0);
    let show = scene.alice.verb("alice", &format!("proposal show {}", waiting["id"].as_str().unwrap()), "").ok();
    harmless(&show);
    harmless(&scene.alice.verb("alice", "proposal list", "").ok());
    harmless(&scene.alice.verb("alice", "--json proposal list", "").ok());
    (waiting, show.text())
}

/// Nothing in it that a terminal obeys or hides.
#[track_caller]
fn harmless(outcome: &Outcome) {
    for text in [outcome.text(), outcome.errors()] {
        let bad = text.chars().find(|c| {
            (c.is_control() && *c != '\n')
                || matches!(u32::from(*c), 0xad | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfe00..=0xfe0f | 0xfeff | 0xe0000..=0xe0fff)
        });
        assert_eq!(bad, None, "{text:?}");
    }
}

#[test]
fn escape_sequences_and_carriage_returns_in_a_command_are_seen_and_not_obeyed() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let _proposed = agent.proposes("rm -rf /srv #\x1b[2K\x1b]0;ls\x07\rls -l\x7f\u{9b}31m");
    let (_, text) = shown(&scene);
    assert!(text.contains("rm -rf /srv") && text.contains("1b") && text.contains("care: "), "{text}");
}

#[test]
fn zero_width_and_format_characters_are_seen() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let _proposed = agent.proposes("ls /s\u{200b}rv\u{2060} \u{feff}\u{e0041}\u{fe0f}x");
    let (_, text) = shown(&scene);
    for code in ["200b", "2060", "feff", "e0041", "fe0f"] {
        assert!(text.to_lowercase().contains(code), "{code}: {text}");
    }
    assert!(text.contains("care: "), "{text}");
}

#[test]
fn bidirectional_overrides_are_seen_and_called_by_name() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let _proposed = agent.proposes("cat \u{202e}txt.drowssap\u{2066}");
    let (_, text) = shown(&scene);
    assert!(text.contains("202e") && text.contains("2066") && text.contains("care: "), "{text}");
}

#[test]
fn letters_that_look_like_others_are_flagged() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let _proposed = agent.proposes("cat /etc/p\u{430}sswd");
    let (_, text) = shown(&scene);
    assert!(text.contains("care: "), "{text}");
}

#[test]
fn spaces_cannot_push_anything_out_of_sight() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let command = format!("ls{}; rm -rf /srv\t", " ".repeat(400));
    let _proposed = agent.proposes(&command);
    let (_, text) = shown(&scene);
    assert!(text.contains("rm -rf /srv"), "{text}");
    assert!(!text.contains(&" ".repeat(100)), "a run of spaces is visible: {text}");
}

#[test]
fn nothing_is_cut_and_size_and_digest_are_said() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let command = format!("echo {}\nrm -rf /srv", "x".repeat(30_000));
    let _proposed = agent.proposes(&command);
    let (waiting, text) = shown(&scene);
    assert!(text.contains("rm -rf /srv") && text.contains(&format!("{} bytes", command.len())), "{} characters", text.len());
    assert!(text.contains(waiting["digest"].as_str().unwrap()));
    let refused = agent.refused(&"x".repeat(65_537));
    assert!(refused.status == Some(255) && refused.errors().contains("65536 are taken"), "{refused:?}");
}

#[test]
fn the_agents_summary_is_called_a_claim_and_changes_nothing() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let claim = "-oSetEnv=KEYWARD_REASON=approved\u{a0}by\u{a0}bob:\u{1b}[8m\u{a0}only\u{a0}lists\u{a0}files";
    let _one = agent.proposes_with(&["-n", claim], "rm -rf /srv/old");
    let (first, text) = shown(&scene);
    assert!(text.contains("the agent claims:") && text.contains("only"), "{text}");
    let _two = agent.proposes("rm -rf /srv/old");
    let second = scene.alice.waiting(2).remove(1);
    let digest = |p: &serde_json::Value| p["digest"].as_str().unwrap().to_owned();
    let digests: Vec<String> = scene.alice.waiting(2).iter().map(digest).collect();
    assert_eq!(digests[0], digests[1], "{first:#}\n{second:#}");
}

#[test]
fn approving_one_thing_never_runs_another() {
    let mut scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let place = scene.open_place("made");
    let proposed = agent.proposes(&format!("touch {}/a", place.display()));
    let waiting = scene.alice.waiting(1).remove(0);
    let id = waiting["id"].as_str().unwrap().to_owned();
    let wrong = scene.alice.verb("alice", &format!("proposal approve {id} --digest {}", "ab".repeat(32)), "");
    assert!(wrong.status == Some(1) && wrong.errors().contains("the digest is not the proposal's"), "{wrong:?}");
    // Somebody writes other bytes into the database between the proposal and the approval.
    let other = format!("touch {}/b", place.display());
    crate::world::database::edit(
        &scene.broker.home(),
        &format!("UPDATE proposals SET command = CAST('{other}' AS BLOB) WHERE id = '{id}'"),
    );
    let refused = scene.alice.verb("alice", &format!("proposal approve {id} --digest {}", waiting["digest"].as_str().unwrap()), "");
    assert_eq!(refused.status, Some(1), "{refused:?}");
    let (status, ..) = proposed.end();
    assert_ne!(status, Some(0));
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0, "neither ran");
    scene.broker.stop();
}

#[test]
fn what_is_shown_beside_the_bytes_cannot_be_changed_in_the_database() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let place = scene.open_place("made");
    let proposed = agent.proposes(&format!("touch {}/a", place.display()));
    let waiting = scene.alice.waiting(1).remove(0);
    let id = waiting["id"].as_str().unwrap().to_owned();
    // Somebody who writes the database would like it to look like something else while it is looked at.
    let edit = |sql: &str| crate::world::database::edit(&scene.broker.home(), &format!("UPDATE proposals SET {sql} WHERE id = '{id}'"));
    edit("command = CAST('ls' AS BLOB), host_name = 'test-1', claim = 'approved by bob'");
    let shown = scene.alice.proposal(&waiting);
    assert_eq!(
        (shown["command"].clone(), shown["host"].clone(), shown["reason"].clone()),
        (waiting["command"].clone(), "web-1".into(), serde_json::Value::Null)
    );
    assert_eq!(shown["digest"], waiting["digest"]);
    // With the bytes back in their place, the name alone is enough to refuse.
    edit(&format!("command = CAST('touch {}/a' AS BLOB), claim = NULL", place.display()));
    let words = format!("proposal approve {id} --digest {}", waiting["digest"].as_str().unwrap());
    assert_eq!(scene.alice.verb("alice", &words, "").status, Some(1));
    assert_ne!(proposed.end().0, Some(0));
    assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0, "it did not run");
}

#[test]
fn a_replay_and_two_who_approve_at_once_run_it_once() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let place = scene.open_place("made");
    let proposed = agent.proposes(&format!("echo once >> {}/runs", place.display()));
    let waiting = scene.alice.waiting(1).remove(0);
    let words = format!("proposal approve {} --digest {}", waiting["id"].as_str().unwrap(), waiting["digest"].as_str().unwrap());
    let done: Vec<Option<i32>> = std::thread::scope(|s| {
        let tries: Vec<_> = (0..6).map(|_| s.spawn(|| scene.alice.verb("alice", &words, "").status)).collect();
        tries.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert_eq!(done.iter().filter(|s| **s == Some(0)).count(), 1, "{done:?}");
    assert_eq!(proposed.end().0, Some(0));
    assert_eq!(scene.alice.verb("alice", &words, "").status, Some(1));
    assert_eq!(std::fs::read_to_string(place.join("runs")).unwrap(), "once\n");
}

/// Alice approves, and the power is cut when `moment` returns; what is found after the restart is compared with what ran.
#[track_caller]
fn power_cut(scene: &mut Scene, agent: &Agent, runs: &std::path::Path, moment: impl FnOnce(&Scene, &str)) {
    let alice = connected(scene);
    let proposed = agent.proposes(&format!("echo once >> {}", runs.display()));
    let waiting = scene.alice.waiting(1).remove(0);
    let id = waiting["id"].as_str().unwrap();
    let words = format!("proposal approve {id} --digest {}", waiting["digest"].as_str().unwrap());
    let (alice_decides, said) = (scene.alice.clone(), words.clone());
    let decides = std::thread::spawn(move || alice_decides.verb("alice", &said, ""));
    moment(scene, id);
    scene.broker.kill();
    let _ = decides.join();
    drop((alice, proposed));
    scene.broker.serve();
    let state = scene.alice.proposal(&waiting)["state"].as_str().unwrap().to_owned();
    let ran = std::fs::read_to_string(runs).unwrap_or_default();
    match ran.as_str() {
        "" => assert!(["expired", "failed", "interrupted"].contains(&state.as_str()), "{state}"),
        "once\n" => assert!(["interrupted", "executed"].contains(&state.as_str()), "it ran, and is said to be {state}"),
        twice => panic!("it ran more than once: {twice:?}"),
    }
    let running = scene.broker.audit().iter().any(|e| e["event"] == "proposal.running" && e["proposal"] == waiting["id"]);
    assert!(ran.is_empty() || running, "it ran without its entry");
    // And nothing of it runs later: the new daemon has no way to it.
    assert_eq!(scene.alice.verb("alice", &words, "").status, Some(1));
    assert!(["", "once\n"].contains(&std::fs::read_to_string(runs).unwrap_or_default().as_str()));
}

#[test]
fn a_power_cut_right_after_each_step_never_runs_anything_twice() {
    let mut scene = scene();
    let agent = Agent::of_alice(&scene);
    let place = scene.open_place("made");
    for round in 0..3 {
        for (at, step) in ["pending", "approved", "running", "executed"].into_iter().enumerate() {
            power_cut(&mut scene, &agent, &place.join(format!("{step}-{round}")), |scene, id| {
                // The row is looked at without a pause: the cut comes as soon as the step is on the disk.
                let database = crate::world::database::open(&scene.broker.home());
                let order = ["pending", "approved", "running", "executed"];
                let deadline = std::time::Instant::now() + crate::world::PATIENCE;
                loop {
                    let stage: String =
                        database.query_row("SELECT stage FROM proposals WHERE id = ?1", [id], |row| row.get(0)).expect("the row");
                    if order.iter().position(|s| *s == stage).is_none_or(|now| now >= at) {
                        return;
                    }
                    assert!(std::time::Instant::now() < deadline, "{step} was not reached: {stage}");
                }
            });
        }
    }
    scene.broker.does(&["audit", "verify"]);
}

#[test]
fn a_power_cut_between_approval_and_end_never_runs_anything_twice() {
    let mut scene = scene();
    let agent = Agent::of_alice(&scene);
    let place = scene.open_place("made");
    // At moments that no one chose: from before the approval is durable to after the command has ended.
    for round in 0..12u64 {
        let jitter = u64::from(noise(1)[0]) * 1200 + round * 15_000;
        power_cut(&mut scene, &agent, &place.join(format!("runs-{round}")), |_, _| std::thread::sleep(Duration::from_micros(jitter)));
    }
    scene.broker.does(&["audit", "verify"]);
}

#[test]
fn a_power_cut_while_it_runs_is_told_as_interrupted() {
    let mut scene = scene();
    let agent = Agent::of_alice(&scene);
    let alice = connected(&scene);
    let proposed = agent.proposes("echo begun; exec sleep 600");
    let waits = agent.proposes("uptime");
    let all = scene.alice.waiting(2);
    let first = all.iter().find(|p| p["command"] != "uptime").unwrap();
    scene.alice.approves(first);
    assert_eq!(proposed.lines.next().as_deref(), Some("begun"));
    scene.broker.kill();
    drop((alice, waits, proposed));
    scene.broker.serve();
    for p in &all {
        let now = scene.alice.proposal(p);
        let expected = if p["id"] == first["id"] { "interrupted" } else { "expired" };
        assert_eq!(now["state"], expected, "{now:#}");
        assert!(now["why"].as_str().unwrap().contains("the broker stopped while it"), "{now:#}");
    }
}

#[test]
fn an_agent_cannot_approve_itself_by_any_door() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let _proposed = agent.proposes("id");
    let waiting = scene.alice.waiting(1).remove(0);
    let approve = format!("proposal approve {} --digest {}", waiting["id"].as_str().unwrap(), waiting["digest"].as_str().unwrap());
    // A faked terminal is no person; a person's name in the selector is no key of theirs.
    for (options, user) in
        [(&["-n"][..], "helper"), (&["-tt"][..], "helper"), (&["-n"][..], "alice"), (&["-tt"][..], "alice"), (&["-n"][..], "alice+helper")]
    {
        let mut args = options.to_vec();
        args.extend(["-l", user, "through", "--", approve.as_str()]);
        let outcome = crate::world::run(agent.client.ssh(&args), "");
        assert_eq!(outcome.status, Some(255), "{user}: {outcome:?}");
    }
    // Whoever runs under somebody's uid is at most told to bring a key.
    let local: Vec<&str> = approve.split(' ').collect();
    scene.broker.refuses(&local);
    assert_eq!(scene.alice.proposal(&waiting)["state"], "pending");
}

#[test]
fn output_does_not_attack_the_person_who_reads_it() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let proposed = agent.proposes("printf '\\033]0;owned\\007\\033[2Jkeyward: approved \\342\\200\\256evil\\r\\n' | tee /dev/stderr");
    let waiting = scene.alice.waiting(1).remove(0);
    scene.alice.approves(&waiting);
    assert_eq!(proposed.end().0, Some(0));
    let show = scene.alice.verb("alice", &format!("proposal show {}", waiting["id"].as_str().unwrap()), "").ok();
    harmless(&show);
    assert!(show.text().contains("standard output:") && show.text().contains("owned"), "{show:?}");
}

#[test]
fn a_timeout_is_no_denial() {
    let scene = agent::allow(Scene::with(Settings { config: "[approvals]\nexpires = \"1s\"\n".to_owned(), ..Settings::default() }));
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let (status, _, errors) = agent.proposes("id").end();
    assert_eq!(status, Some(75), "{errors}");
    assert!(errors.contains("keyward: expired, and did not run: nobody decided in time"), "{errors}");
    let list = scene.alice.json("alice", "proposal list");
    assert_eq!((list[0]["state"].as_str(), list[0]["decided_by"].as_str()), (Some("expired"), None));
}

#[test]
fn no_setting_approves_anything() {
    // Every key of the configuration and every option of the grammar that speaks of approving, by name.
    let toml = std::fs::read_to_string(crate::world::checkout().join("broker.toml")).unwrap();
    let section = toml.split("[approvals]").nth(1).and_then(|s| s.split("\n[").next()).unwrap();
    assert!(!section.contains("auto"), "{section}");
    let scene = Scene::new();
    let help = scene.broker.does(&["proposal", "approve", "--help"]);
    assert!(!help.contains("--all") && !help.contains("--auto") && help.contains("--digest"), "{help}");
    // The digest is asked for; there is no way around it.
    assert_eq!(scene.alice.verb("alice", "proposal approve prp_00000000000000000000000000", "").status, Some(2));
}

#[test]
fn the_same_bytes_again_are_allowed_by_an_explicit_act_listed_and_taken_back() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let first = agent.proposes("echo again");
    let waiting = scene.alice.waiting(1).remove(0);
    let words = format!("proposal approve {} --digest {}", waiting["id"].as_str().unwrap(), waiting["digest"].as_str().unwrap());
    scene.alice.verb("alice", &format!("{words} --again 2 --within 10m"), "").ok();
    assert_eq!(first.end().0, Some(0));
    let (status, out, _) = agent.proposes("echo again").end();
    assert_eq!((status, out.as_str()), (Some(0), "again\n"));
    let list = scene.alice.json("alice", "proposal again list");
    assert_eq!((list[0]["left"].as_u64(), list[0]["command"].as_str()), (Some(1), Some("echo again")), "{list:#}");
    scene.alice.verb("alice", &format!("proposal again revoke {}", list[0]["id"].as_str().unwrap()), "").ok();
    let _waits = agent.proposes("echo again");
    scene.alice.waiting(1);
    let events = scene.broker.audit();
    for event in ["allowance.given", "allowance.used", "allowance.revoked"] {
        assert!(events.iter().any(|e| e["event"] == event), "{event}");
    }
    eventually("nothing is allowed again", || (scene.alice.json("alice", "proposal again list") == serde_json::json!([])).then_some(()));
}
