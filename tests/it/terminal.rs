//! Shells on a terminal: sizes, ctrl-C, and what is typed.

use crate::world::terminal::Terminal;
use crate::world::{Scene, Way};

fn on_terminal(scene: &Scene, way: Way, command: &str) -> Terminal {
    Terminal::start(&scene.alice.ssh(&["-tt", way.alias(), command]), 33, 111)
}

#[test]
fn the_terminals_size_and_kind_arrive() {
    let scene = Scene::new();
    let [straight, through] =
        Way::BOTH.map(|way| on_terminal(&scene, way, "stty size; echo $TERM; stty -a | grep -o 'erase = [^;]*'; exit 3").end());
    assert_eq!(straight, through, "first straight, then through the broker");
    assert!(through.1.starts_with("33 111\r\nxterm\r\n"), "{}", through.1);
    assert_eq!(through.0.code(), Some(3));
}

#[test]
fn a_changed_size_arrives_while_the_session_runs() {
    let scene = Scene::new();
    for way in Way::BOTH {
        // It looks again and again: a shell may miss a signal that comes while it handles the one before.
        let look =
            "echo ready; while ! read -r -t 0.05; do new=$(stty size); [ \"$new\" = \"$old\" ] || echo \"$new\"; old=$new; done; exit 0";
        let mut terminal = on_terminal(&scene, way, look);
        terminal.until("ready");
        for (rows, columns) in [(40, 132), (1, 1), (200, 500)] {
            terminal.resize(rows, columns);
            terminal.until(&format!("{rows} {columns}"));
        }
        terminal.write("\n");
        assert_eq!(terminal.end().0.code(), Some(0), "{way:?}");
    }
}

#[test]
fn ctrl_c_interrupts_the_hosts_command_and_not_the_session() {
    let scene = Scene::new();
    for way in Way::BOTH {
        let mut terminal = on_terminal(
            &scene,
            way,
            "trap 'echo caught; stop=1' INT; echo ready; while [ -z \"$stop\" ]; do sleep 0.05; done; echo after; exit 7",
        );
        terminal.until("ready");
        terminal.write("\x03");
        terminal.until("caught");
        terminal.until("after");
        assert_eq!(terminal.end().0.code(), Some(7), "{way:?}");
    }
}

#[test]
fn a_shell_takes_what_is_typed_and_ends_with_its_own_status() {
    let scene = Scene::new();
    for way in Way::BOTH {
        let mut terminal = Terminal::start(&scene.alice.ssh(&[way.alias()]), 24, 80);
        terminal.write("echo $((6*7))-typed\n");
        terminal.until("42-typed");
        terminal.write("tty\n");
        terminal.until("/dev/pts/");
        terminal.write("exit 5\n");
        let (status, screen) = terminal.end();
        assert_eq!(status.code(), Some(5), "{way:?}: {screen}");
        assert!(!screen.contains("keyward"), "{way:?}: the broker has nothing to say here: {screen}");
    }
}

#[test]
fn output_on_a_terminal_is_the_same_to_the_byte() {
    let scene = Scene::new();
    let command = "seq 20000; printf '\\033[31mred\\033[0m\\a'; head -c 100000 /dev/zero | tr '\\0' x; echo; echo err >&2; exit 1";
    let [straight, through] = Way::BOTH.map(|way| on_terminal(&scene, way, command).end());
    assert_eq!(straight.1.len(), through.1.len());
    assert!(straight == through, "the screens differ");
    assert_eq!(through.0.code(), Some(1));
}
