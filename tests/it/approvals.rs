//! Agents propose, Alice decides, the exact bytes run on the connection that she opened.

use crate::world::agent::{connected, scene};
use crate::world::{Agent, eventually};

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
    eventually("the wish is gone", || {
        (!scene.alice.verb("alice", "proposal list", "").ok().errors().contains("would like")).then_some(())
    });
}
