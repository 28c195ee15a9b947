//! Agents propose, Alice decides, the exact bytes run on the connection that she opened.

use std::io::Write;
use std::process::Stdio;

use rustix::process::Signal;

use crate::world::agent::{self, connected, scene};
use crate::world::broker::Settings;
use crate::world::keys::Key;
use crate::world::process::command;
use crate::world::{Agent, Client, Process, Scene, SshAgent, Way, account, eventually, run};

#[test]
fn an_agent_with_stock_ssh_proposes_and_gets_what_the_command_said() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let proposed = agent.proposes("echo out; echo err >&2; exit 7");
    let waiting = scene.alice.waiting(1).remove(0);
    assert_eq!(waiting["command"], "echo out; echo err >&2; exit 7");
    assert_eq!((waiting["agent"].as_str(), waiting["host"].as_str()), (Some("helper"), Some("web-1")));
    scene.alice.approves(&waiting);
    let (status, out, errors) = proposed.end();
    assert_eq!((status, out.as_str()), (Some(7), "out\n"), "{errors}");
    assert!(errors.contains("err\n") && errors.contains("waits for its person"), "{errors}");
    let done = scene.alice.proposal(&waiting);
    assert_eq!((done["state"].as_str(), done["exit_status"].as_u64()), (Some("executed"), Some(7)), "{done:#}");
    assert_eq!((done["decided_by"].as_str(), done["means"].as_str()), (Some("alice"), Some("key")));
    assert_eq!(done["signed_by"], scene.alice.key.fingerprint.as_str());
    let log = scene.host.log();
    assert_eq!(log.matches("Accepted publickey").count(), 1, "exactly one sign-in on the host\n{log}");
    let trail: Vec<String> = scene
        .broker
        .audit()
        .iter()
        .filter(|e| e["proposal"] == waiting["id"])
        .filter_map(|e| e["event"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(trail, ["proposal.proposed", "proposal.approved", "proposal.running", "proposal.executed"]);
    assert_eq!(scene.broker.audit().iter().filter(|e| e["event"] == "lease.opened").count(), 1, "nothing is decrypted for it");
}

#[test]
fn a_denial_carries_its_reason_and_has_a_status_of_its_own() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let proposed = agent.proposes("rm -rf /srv/old");
    let waiting = scene.alice.waiting(1).remove(0);
    let id = waiting["id"].as_str().unwrap();
    scene.alice.verb("alice", &format!("proposal deny {id} --reason 'not on a Friday'"), "").ok();
    let (status, out, errors) = proposed.end();
    assert_eq!((status, out.as_str()), (Some(77), ""));
    assert!(errors.contains("keyward: denied by alice: not on a Friday"), "{errors}");
    let late = scene.alice.verb("alice", &format!("proposal approve {id} --digest {}", waiting["digest"].as_str().unwrap()), "");
    assert_eq!(late.status, Some(1));
    assert!(late.errors().contains("is denied already"), "{late:?}");
}

#[test]
fn without_a_connection_the_agent_is_told_what_to_do_and_the_person_that_it_is_wanted() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let outcome = agent.refused("uptime");
    assert_eq!(outcome.status, Some(69), "{outcome:?}");
    assert!(outcome.errors().contains("alice has no open connection to web-1") && outcome.errors().contains("ssh -N"), "{outcome:?}");
    let list = scene.alice.verb("alice", "proposal list", "").ok();
    assert!(list.errors().contains("agent helper would like a connection to web-1"), "{list:?}");
    let _alice = connected(&scene);
    eventually("the wish is gone", || (!scene.alice.verb("alice", "proposal list", "").ok().errors().contains("would like")).then_some(()));
}

#[test]
fn standard_input_variables_and_the_agents_reason_are_shown_and_used() {
    let scene = agent::allow(Scene::at("AcceptEnv DEPLOY_*"));
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let mut ssh = agent.client.ssh(&[
        "-o",
        "SetEnv=DEPLOY_TO=staging KEYWARD_REASON=release KEYWARD_TIMEOUT=60",
        "through",
        "--",
        "cat; echo $DEPLOY_TO",
    ]);
    ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Process::start(ssh);
    process.stdin().unwrap().write_all(b"from the agent\n").unwrap();
    let lines = process.lines();
    let waiting = scene.alice.waiting(1).remove(0);
    let shown = scene.alice.proposal(&waiting);
    assert_eq!((shown["reason"].as_str(), shown["timeout_s"].as_u64()), (Some("release"), Some(60)), "{shown:#}");
    assert_eq!(shown["env"], serde_json::json!([["DEPLOY_TO", "staging"]]), "what the client sends by itself is no part of it");
    assert_eq!(shown["stdin_base64"], "ZnJvbSB0aGUgYWdlbnQK");
    scene.alice.approves(&waiting);
    assert_eq!((lines.next().as_deref(), lines.next().as_deref()), (Some("from the agent"), Some("staging")));
    assert!(process.wait().success());
}

#[test]
fn a_variable_that_the_host_does_not_take_runs_nothing() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let place = scene.open_place("made");
    let proposed = agent.proposes_with(&["-n", "-o", "SetEnv=MODE=dry"], &format!("touch {}/file", place.display()));
    let waiting = scene.alice.waiting(1).remove(0);
    scene.alice.approves(&waiting);
    let (status, _, errors) = proposed.end();
    assert_eq!(status, Some(69), "{errors}");
    assert!(errors.contains("approved by alice, but it did not run: the host does not take the variable MODE"), "{errors}");
    assert!(!place.join("file").exists());
}

#[test]
fn the_person_leaves_and_within_a_second_the_agents_channels_are_closed() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let alice = connected(&scene);
    let runs = agent.proposes("echo begun; exec sleep 600");
    let first = scene.alice.waiting(1).remove(0);
    scene.alice.approves(&first);
    assert_eq!(runs.lines.next().as_deref(), Some("begun"));
    let waits = agent.proposes("uptime");
    let second = scene.alice.waiting(1).remove(0);
    drop(alice);
    let (status, _, errors) = runs.end();
    assert_eq!(status, Some(74), "{errors}");
    assert!(errors.contains("keyward: interrupted; it may have run in part: the person's connection ended"), "{errors}");
    let (status, _, errors) = waits.end();
    assert_eq!(status, Some(75), "{errors}");
    assert!(errors.contains("keyward: expired, and did not run: the person's connection ended"), "{errors}");
    let audit = eventually("the end of the session is recorded", || {
        let audit = scene.broker.audit();
        audit.iter().any(|e| e["event"] == "session.ended").then_some(audit)
    });
    let at = |event: &str| {
        let text = audit.iter().find(|e| e["event"] == event).unwrap_or_else(|| panic!("no {event}"))["at"].as_str().unwrap().to_owned();
        keyward::clock::Time::parse(&text).unwrap().millis()
    };
    let ended = at("session.ended");
    for event in ["proposal.interrupted", "proposal.expired"] {
        assert!((at(event) - ended).abs() < 1000, "{event} {} ms beside the end of the session", at(event) - ended);
    }
    assert_eq!(scene.alice.proposal(&first)["state"], "interrupted");
    assert_eq!(scene.alice.proposal(&second)["state"], "expired");
}

#[test]
fn the_agent_leaves_and_its_command_is_ended() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let waits = agent.proposes("uptime");
    let first = scene.alice.waiting(1).remove(0);
    waits.process.signal(Signal::KILL);
    eventually("it has expired", || (scene.alice.proposal(&first)["state"] == "expired").then_some(()));
    let runs = agent.proposes("echo begun; exec sleep 600");
    let second = scene.alice.waiting(1).remove(0);
    scene.alice.approves(&second);
    assert_eq!(runs.lines.next().as_deref(), Some("begun"));
    runs.process.signal(Signal::KILL);
    eventually("it was interrupted", || (scene.alice.proposal(&second)["state"] == "interrupted").then_some(()));
    assert_eq!(scene.broker.live().len(), 1, "Alice's own session goes on");
}

#[test]
fn an_agent_that_is_removed_is_gone_at_once() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let runs = agent.proposes("echo begun; exec sleep 600");
    let first = scene.alice.waiting(1).remove(0);
    scene.alice.approves(&first);
    assert_eq!(runs.lines.next().as_deref(), Some("begun"));
    let waits = agent.proposes("uptime");
    let second = scene.alice.waiting(1).remove(0);
    scene.alice.verb("alice", "agent remove helper", "").ok();
    for proposed in [runs, waits] {
        let (status, ..) = proposed.end();
        assert_ne!(status, Some(0));
    }
    eventually("both have their end", || {
        let states = [&first, &second].map(|p| scene.alice.proposal(p)["state"].clone());
        (states == ["interrupted", "expired"]).then_some(())
    });
    let outcome = agent.refused("uptime");
    assert_eq!(outcome.status, Some(255), "{outcome:?}");
    assert!(outcome.errors().contains("Permission denied"), "{outcome:?}");
}

#[test]
fn an_agent_gets_no_shell_no_files_no_verbs_and_no_other_host() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    for (args, sentence) in [
        (&["-n", "through"][..], "an agent gets no shell"),
        (&["-n", "-s", "through", "sftp"][..], "an agent gets no file transfer"),
        (&["-n", "-l", "helper", "through", "--", "host list"][..], "verbs are for people"),
        (&["-n", "-l", "alice", "through", "--", "proposal list"][..], "no host `alice` for you here"),
        (&["-n", "-l", "db-1", "through", "--", "uptime"][..], "no host `db-1` for you here"),
    ] {
        let outcome = run(agent.client.ssh(args), "");
        assert_eq!(outcome.status, Some(255), "{args:?}: {outcome:?}");
        assert!(outcome.errors().contains(sentence), "{args:?}: {outcome:?}");
    }
    let hello = run(agent.client.ssh(&["-n", "-l", "helper", "through"]), "").ok();
    assert!(hello.text().contains("web-1 (connection open)"), "{hello:?}");
    // Without `propose` in a grant the host is no host for it.
    let grant = scene.broker.json(&["grant", "list"]);
    let id =
        grant.as_array().unwrap().iter().find(|g| g["allow"] == serde_json::json!(["propose"])).unwrap()["id"].as_str().unwrap().to_owned();
    scene.broker.does(&["grant", "remove", &id]);
    let outcome = agent.refused("uptime");
    assert!(outcome.errors().contains("no host `web-1` for you here"), "{outcome:?}");
}

#[test]
fn what_the_person_may_not_run_the_agent_may_not_propose() {
    let scene = Scene::bare(Settings::default(), None);
    scene.broker.does_with(
        &["credential", "add", "deploy", "--scope", "workspace", "--username", account::NAME, "--key", "-"],
        scene.deploy.private(),
    );
    scene.add_host("web-1", &scene.host, "deploy");
    scene
        .broker
        .does_with(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", "exec,propose", "--commands", "-"], "uptime\ndf -h\n");
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let outcome = agent.refused("uptime; id");
    assert_eq!(outcome.status, Some(255), "{outcome:?}");
    assert!(outcome.errors().contains("alice may not run this command on web-1"), "{outcome:?}");
    let proposed = agent.proposes("uptime");
    scene.alice.approves(&scene.alice.waiting(1).remove(0));
    assert_eq!(proposed.end().0, Some(0));
}

#[test]
fn a_long_output_is_cut_and_it_is_said_how_much() {
    let scene = scene();
    let agent = Agent::named(&scene, "helper", &["--output", "100000"]);
    let _alice = connected(&scene);
    let proposed = agent.proposes("head -c 3000000 /dev/zero | tr '\\0' x; echo; echo done >&2");
    let waiting = scene.alice.waiting(1).remove(0);
    scene.alice.approves(&waiting);
    let (status, out, errors) = proposed.end();
    assert_eq!((status, out.trim_end().len()), (Some(0), 100_000));
    assert!(errors.contains("done\n"), "{errors}");
    assert!(errors.contains("keyward: 2900001 bytes of standard output were left out: at most 100000 are delivered"), "{errors}");
    assert_eq!(scene.alice.proposal(&waiting)["stdout_bytes"], 3_000_001);
}

#[test]
fn an_approval_can_need_a_signature_that_anybody_can_verify_later() {
    let scene = scene();
    let agent = Agent::named(&scene, "helper", &["--require-signature"]);
    let _alice = connected(&scene);
    let proposed = agent.proposes("echo signed");
    let waiting = scene.alice.waiting(1).remove(0);
    let (id, digest) = (waiting["id"].as_str().unwrap(), waiting["digest"].as_str().unwrap());
    let plain = scene.alice.verb("alice", &format!("proposal approve {id} --digest {digest}"), "");
    assert_eq!(plain.status, Some(1));
    assert!(plain.errors().contains("needs a signature") && plain.errors().contains("ssh-keygen -Y sign"), "{plain:?}");
    let text = scene.alice.verb("alice", &format!("proposal canonical {id}"), "").ok().stdout;
    let sign = |key: &Key, namespace: &str| {
        let mut keygen = command("ssh-keygen");
        keygen.args(["-Y", "sign", "-n", namespace, "-f"]).arg(&key.path);
        run(keygen, text.clone()).ok().stdout
    };
    let approve =
        |signature: Vec<u8>| scene.alice.verb("alice", &format!("proposal approve {id} --digest {digest} --signature -"), signature);
    for (signature, why) in [
        (sign(&agent.client.key, "approval@keyward"), "by a key that is not yours"),
        (sign(&scene.alice.key, "git"), "not made in the namespace"),
        (b"nonsense".to_vec(), "no armored ssh signature"),
    ] {
        let outcome = approve(signature);
        assert_eq!(outcome.status, Some(1));
        assert!(outcome.errors().contains(why), "{outcome:?}");
    }
    approve(sign(&scene.alice.key, "approval@keyward")).ok();
    assert_eq!(proposed.end().0, Some(0));
    // Offline, with nothing but ssh-keygen, from what is stored.
    let done = scene.alice.proposal(&waiting);
    assert_eq!((done["means"].as_str(), done["signed_by"].as_str()), (Some("signature"), Some(scene.alice.key.fingerprint.as_str())));
    let (signers, signature) = (scene.dir().join("signers"), scene.dir().join("signature"));
    std::fs::write(&signers, format!("alice {}\n", scene.alice.key.public)).unwrap();
    std::fs::write(&signature, done["signature"].as_str().unwrap()).unwrap();
    let mut verify = command("ssh-keygen");
    verify.args(["-Y", "verify", "-I", "alice", "-n", "approval@keyward", "-f"]).arg(&signers).arg("-s").arg(&signature);
    run(verify, text).ok();
}

#[test]
fn the_local_door_takes_no_uid_for_a_decision_but_a_signature_of_the_ssh_agent() {
    let scene = scene();
    let client = Client::new(&scene.dir().join("mate"));
    scene.broker.does(&["agent", "add", "mate", "--key", &client.key.public_file().display().to_string()]);
    scene.broker.does(&["grant", "add", "--to", "root", "--hosts", "web-1", "--allow", "exec,propose"]);
    client.knows(None, Some(&scene.broker), "web-1");
    let agent = Agent { client, name: "mate" };
    let _owner = scene.owner.stay(Way::Through, &["-N"], "");
    eventually("the owner's connection stands", || scene.broker.audit().iter().any(|e| e["event"] == "session.signed_in").then_some(()));
    let proposed = agent.proposes("echo at the local door");
    let waiting = eventually("it waits", || scene.broker.json(&["proposal", "list", "--pending"]).as_array().unwrap().first().cloned());
    let (id, digest) = (waiting["id"].as_str().unwrap(), waiting["digest"].as_str().unwrap());
    let refused = scene.broker.refuses(&["proposal", "approve", id, "--digest", digest]);
    assert!(refused.contains("at the local door no key of yours is shown"), "{refused}");
    assert!(scene.broker.refuses(&["proposal", "deny", id]).contains("no key of yours"));
    let ssh_agent = SshAgent::start(scene.dir().join("agent.sock"));
    let empty = run(ssh_agent.beside(scene.broker.command(&["proposal", "approve", id, "--digest", digest, "--sign"])), "");
    assert!(empty.status == Some(1) && empty.errors().contains("none of your keys"), "{empty:?}");
    ssh_agent.add(&[], &scene.owner.key);
    let wrong = "0".repeat(64);
    let wrong = run(ssh_agent.beside(scene.broker.command(&["proposal", "approve", id, "--digest", &wrong, "--sign"])), "");
    assert!(wrong.status == Some(1) && wrong.errors().contains("nothing was signed"), "{wrong:?}");
    run(ssh_agent.beside(scene.broker.command(&["proposal", "approve", id, "--digest", digest, "--sign"])), "").ok();
    let (status, out, errors) = proposed.end();
    assert_eq!((status, out.as_str()), (Some(0), "at the local door\n"), "{errors}");
}

#[test]
fn verbs_of_agents_and_proposals_tell_what_is_wrong() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let key = agent.client.key.public_file().display().to_string();
    let alice = scene.alice.key.public_file().display().to_string();
    for (args, why) in [
        (&["agent", "add", "helper", "--for", "alice"][..], "an agent named helper exists already"),
        (&["agent", "add", "alice"][..], "a user named alice exists already"),
        (&["agent", "add", "other", "--key", &key][..], "exists already"),
        (&["agent", "add", "other", "--key", &alice][..], "exists already"),
        (&["user", "key", "add", "alice", &key][..], "exists already"),
        (&["agent", "add", "other", "--for", "nobody"][..], "there is no user `nobody`"),
        (&["agent", "add", "other", "--pending", "0"][..], "--pending must lie between"),
        (&["agent", "remove", "nobody"][..], "there is no agent `nobody`"),
        (&["proposal", "approve", "prp_x", "--digest", "00"][..], ""),
        (&["proposal", "show", "prp_00000000000000000000000000"][..], "there is no proposal"),
    ] {
        assert!(scene.broker.refuses(args).contains(why), "{args:?}");
    }
    // Members add agents for themselves only, and see their own.
    let bob = Client::new(&scene.dir().join("bob"));
    scene.broker.does(&["user", "add", "bob", "--key", &bob.key.public_file().display().to_string()]);
    bob.knows(None, Some(&scene.broker), "web-1");
    let refused = bob.verb("bob", "agent add mine --for alice", "");
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert_eq!(bob.verb("bob", "--json agent list", "").ok().text().trim(), "[]");
    assert_eq!(bob.verb("bob", "agent remove helper", "").status, Some(1));
    let added = bob.verb("bob", "agent add mine", "").ok();
    assert!(added.text().starts_with("kwa_") && added.text().trim().len() == 47, "a token, alone: {added:?}");
    assert!(!scene.broker.does(&["--json", "agent", "list"]).contains("kwa_"), "shown once");
}

#[test]
fn a_private_key_in_the_output_is_masked_and_it_is_said() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let place = scene.open_place("files");
    let key = Key::new(scene.dir().join("found"));
    std::fs::write(place.join("id"), key.private()).unwrap();
    crate::world::open_to_all(&place.join("id"), 0o644);
    let proposed = agent.proposes(&format!("echo before; cat {}/id; echo after", place.display()));
    let waiting = scene.alice.waiting(1).remove(0);
    scene.alice.approves(&waiting);
    let (status, out, errors) = proposed.end();
    assert_eq!(status, Some(0), "{errors}");
    assert!(out.starts_with("before\n[masked: ") && out.ends_with("after\n"), "{out}");
    let body = String::from_utf8(key.private()).unwrap();
    assert!(body.lines().filter(|l| l.len() > 40).all(|l| !out.contains(l)), "{out}");
    assert!(errors.contains("secrets were masked on standard output"), "{errors}");
    let done = scene.alice.proposal(&waiting);
    assert!(done["masked"].as_u64().unwrap() > 0, "{done:#}");
    let shown = scene.alice.verb("alice", &format!("proposal show {}", waiting["id"].as_str().unwrap()), "").ok().text();
    assert!(shown.contains("[masked: ") && body.lines().filter(|l| l.len() > 40).all(|l| !shown.contains(l)), "{shown}");
}

#[test]
fn the_person_writes_another_command_and_the_agent_learns_which_one_ran() {
    let scene = scene();
    let agent = Agent::of_alice(&scene);
    let _alice = connected(&scene);
    let proposed = agent.proposes("rm -rf /srv/old");
    let waiting = scene.alice.waiting(1).remove(0);
    let words = format!("proposal approve {} --digest {} --edit", waiting["id"].as_str().unwrap(), waiting["digest"].as_str().unwrap());
    scene.alice.verb("alice", &words, "echo edited\n").ok();
    let (status, out, errors) = proposed.end();
    assert_eq!((status, out.as_str()), (Some(0), "edited\n"));
    assert!(errors.contains("keyward: your person wrote another command, and that one ran: echo edited"), "{errors}");
    let done = scene.alice.proposal(&waiting);
    assert_eq!((done["command"].as_str(), done["proposed_command_base64"].as_str()), (Some("echo edited"), Some("cm0gLXJmIC9zcnYvb2xk")));
    assert_ne!(done["digest"], waiting["digest"]);
}
