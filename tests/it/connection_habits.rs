//! Habits of people at a client: connections that persist, questions whether the other side lives, and what follows a tilde.

use crate::world::clients::pattern;
use crate::world::terminal::Terminal;
use crate::world::{Scene, Way, eventually, run};

#[test]
fn a_connection_that_persists_is_shared_and_ends_when_it_is_told_to() {
    let scene = Scene::new();
    let [straight, through] = Way::BOTH.map(|way| {
        let persist = ["-o", "ControlMaster=auto", "-o", "ControlPersist=60"];
        let before = scene.host.sign_ins();
        let said = [
            scene.alice.exec_with(way, &persist, "cat; exit 3", pattern(200_001)),
            scene.alice.exec_with(way, &persist, "echo err >&2; exit 4", ""),
            run(scene.alice.program("scp", &["-q", &format!("{}:/etc/hostname", way.alias()), "/dev/null"]), ""),
            run(scene.alice.ssh(&["-O", "check", way.alias()]), ""),
        ];
        let statuses: Vec<Option<i32>> = said.iter().map(|o| o.status).collect();
        assert_eq!(statuses, [Some(3), Some(4), Some(0), Some(0)], "{way:?}: {said:#?}");
        assert_eq!(scene.host.sign_ins() - before, 1, "{way:?}: one sign-in for all");
        run(scene.alice.ssh(&["-O", "exit", way.alias()]), "").ok();
        eventually("the master has ended", || (run(scene.alice.ssh(&["-O", "check", way.alias()]), "").status == Some(255)).then_some(()));
        said.map(|o| (o.status, o.stdout)).into_iter().take(3).collect::<Vec<_>>()
    });
    assert_eq!(straight, through, "first straight, then through the broker");
    assert_eq!(scene.broker.ended_session()["end_reason"], "client_closed");
}

#[test]
fn questions_whether_the_other_side_lives_are_answered_on_both_legs() {
    // The host asks whoever connects, the client asks whom it connects to, each second, and gives up after one silence.
    let scene =
        Scene::at("ClientAliveInterval 1\nClientAliveCountMax 1\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n");
    let options = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"];
    let said = scene.alice.same(&options, "sleep 5; echo alive; exit 7", b"");
    assert_eq!((said.status, said.text().as_str()), (Some(7), "alive\n"), "{said:?}");
}

#[test]
fn a_tilde_asks_for_new_keys_and_ends_the_connection() {
    let scene = Scene::new();
    for way in Way::BOTH {
        let mut terminal = Terminal::start(&scene.alice.ssh(&["-tt", way.alias()]), 24, 80);
        terminal.write("echo $((6*7))-before\n");
        terminal.until("42-before");
        terminal.write("\r~R");
        terminal.write("\recho $((6*7))-after\n");
        terminal.until("42-after");
        terminal.write("\r~?");
        terminal.until("Supported escape sequences");
        terminal.write("\r~.");
        let (status, screen) = terminal.end();
        assert_eq!(status.code(), Some(255), "{way:?}: {screen}");
        assert!(!screen.contains("keyward"), "{way:?}: {screen}");
    }
    eventually("the session has ended", || scene.broker.live().is_empty().then_some(()));
}
