//! People, groups and the conditions of their grants, as a client meets them.

use crate::credentials::refused;
use crate::world::{Scene, Way};

/// The scene without Alice's grant.
fn scene() -> Scene {
    let scene = Scene::new();
    let grants = scene.broker.json(&["grant", "list"]);
    scene.broker.does(&["grant", "remove", grants[0]["id"].as_str().unwrap()]);
    refused(&scene.alice.exec(Way::Through, "true"));
    scene
}

#[test]
fn a_group_passes_its_grants_on_as_long_as_one_is_in_it() {
    let scene = scene();
    scene.broker.does(&["group", "add", "ops"]);
    scene.broker.does(&["grant", "add", "--to", "ops", "--hosts", "tag:env=test", "--allow", "exec"]);
    refused(&scene.alice.exec(Way::Through, "true"));
    scene.broker.does(&["group", "join", "ops", "alice"]);
    refused(&scene.alice.exec(Way::Through, "true"));
    scene.broker.does(&["host", "edit", "web-1", "--tag", "env=test"]);
    scene.alice.exec(Way::Through, "true").ok();
    let stay = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"));
    scene.broker.does(&["group", "leave", "ops", "alice"]);
    let (status, errors) = stay.end();
    assert_eq!(status, Some(255));
    assert!(errors.contains("keyward: "), "leaving the group ends what it allowed: {errors}");
    refused(&scene.alice.exec(Way::Through, "true"));
}

#[test]
fn a_grants_conditions_hold() {
    let scene = scene();
    let add = |condition: &[&str]| {
        let mut args = vec!["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", "exec"];
        args.extend_from_slice(condition);
        scene.broker.does(&args);
        let listed = scene.broker.json(&["grant", "list"]);
        listed[0]["id"].as_str().unwrap().to_owned()
    };
    for (condition, allowed) in [
        (&["--from", "192.0.2.0/24"][..], false),
        (&["--from", "127.0.0.0/8"], true),
        (&["--until", "2099-01-01T00:00:00Z"], true),
        (&["--between", "00:00-23:59"], true),
    ] {
        let grant = add(condition);
        let outcome = scene.alice.exec(Way::Through, "true");
        if allowed {
            assert_eq!(outcome.status, Some(0), "{condition:?}: {outcome:?}");
        } else {
            refused(&outcome);
        }
        scene.broker.does(&["grant", "remove", &grant]);
    }
    // A shell takes more than `exec`.
    add(&[]);
    let outcome = crate::world::run(scene.alice.ssh(&["-tt", "through"]), "exit\n");
    assert_eq!(outcome.status, Some(255), "{outcome:?}");
}

#[test]
fn a_session_ends_when_its_longest_time_is_over() {
    let scene = scene();
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", "exec", "--max-session", "2s"]);
    let stay = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"));
    let (status, errors) = stay.end();
    assert_eq!(status, Some(255));
    assert!(errors.contains("keyward: "), "{errors}");
    assert_eq!(scene.broker.ended_session()["end_reason"], "limit");
}

#[test]
fn it_can_be_asked_which_grant_decides() {
    let scene = Scene::new();
    let yes = scene.broker.does(&["grant", "explain", "alice", "web-1", "exec"]);
    let grant = scene.broker.json(&["grant", "list"])[0]["id"].as_str().unwrap().to_owned();
    assert!(yes.contains(&grant), "{yes}");
    let no = scene.broker.verb(&["grant", "explain", "alice", "web-1", "forward"]);
    assert!(!no.text().contains(&grant) || no.text() != yes, "{no:?}");
}
