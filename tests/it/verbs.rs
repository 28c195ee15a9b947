//! One grammar, two doors: a verb says the same over ssh and over the local socket.

use crate::world::{Scene, Way, run};

#[test]
fn verbs_say_the_same_over_ssh_and_over_the_socket() {
    let scene = Scene::new();
    scene.alice.exec(Way::Through, "true").ok();
    scene.broker.ended_session();
    for words in [
        "host list",
        "--json host list",
        "host show web-1",
        "--json host show web-1",
        "user list",
        "--json user list",
        "user show alice",
        "user key list alice",
        "credential list",
        "--json credential list",
        "credential show deploy",
        "credential public-key deploy",
        "grant list",
        "--json grant list",
        "grant explain alice web-1",
        "group list",
        "session list",
        "--json session list",
        "--help",
        "host --help",
        "host show nothing",
        "host",
        "no-such-verb",
        "user add a\u{202e}b",
        "host list --no-such-option",
    ] {
        let args: Vec<&str> = words.split(' ').collect();
        let local = scene.broker.verb(&args);
        let remote = scene.owner.verb("root", words, "");
        assert_eq!(local.status, remote.status, "`{words}`: first at the socket, then over ssh\n{local:?}\n{remote:?}");
        assert_eq!(local.text(), remote.text(), "`{words}`: first at the socket, then over ssh");
        // But for how the program is called there, so that what is to be done can be pasted.
        let here = local.errors().replace(&format!("keyward --home {} ", scene.broker.home().display()), "CALL ");
        let there = remote.errors().replace(&format!("ssh -p {} root@BROKER ", scene.broker.port()), "CALL ");
        assert_eq!(here, there, "`{words}`: first at the socket, then over ssh");
    }
}

/// What the line that begins with `hint:` says after its last colon.
fn hinted(errors: &str) -> String {
    let hint = errors.lines().find(|l| l.contains("hint: ")).unwrap_or_else(|| panic!("no hint: {errors}"));
    hint.rsplit(": ").next().unwrap().trim().to_owned()
}

#[test]
fn a_hint_can_be_pasted_at_the_door_where_it_is_read() {
    let scene = Scene::new();
    let port = scene.broker.port();
    // At the local door: with the home that was named.
    let local = hinted(&scene.broker.refuses(&["host", "show", "nothing"]));
    assert_eq!(local, format!("keyward --home {} host list", scene.broker.home().display()));
    let mut pasted = crate::world::process::command("sh");
    let bin = std::path::Path::new(crate::world::broker::KEYWARD).parent().unwrap().display().to_string();
    pasted.env("PATH", format!("{bin}:{}", crate::world::process::PATH)).args(["-c", &local]);
    assert!(run(pasted, "").ok().text().contains("web-1"));
    // Over ssh, from a verb.
    let there = hinted(&scene.alice.verb("alice", "host show nothing", "").errors());
    assert_eq!(there, format!("ssh -p {port} alice@BROKER host list"));
    let usage = hinted(&scene.alice.verb("alice", "host show", "").errors());
    assert_eq!(usage, format!("ssh -p {port} alice@BROKER host show --help"));
    let mut pasted = crate::world::process::command("sh");
    let words = there.replace("ssh ", &format!("ssh -F {} -i {} ", scene.alice.config().display(), scene.alice.key.path.display()));
    pasted.args(["-c", &words.replace("alice@BROKER", "alice@127.0.0.1")]);
    assert!(run(pasted, "").ok().text().contains("web-1"));
    // Over ssh, on the way to a host.
    scene.broker.does(&["host", "add", "web-2", "192.0.2.1", "--host-key", &scene.host.host_key.public]);
    scene.grant("alice", "web-2");
    let errors = crate::credentials::refused(&run(scene.alice.ssh(&["-l", "web-2", "through", "true"]), ""));
    assert!(errors.contains(&format!("hint: attach one: ssh -p {port} alice@BROKER credential attach NAME --host web-2")), "{errors}");
}

#[test]
fn a_change_over_ssh_is_one() {
    let scene = Scene::new();
    let added = scene.owner.verb("root", "host add web-9 192.0.2.9:2022 --tag env=test", "");
    assert_eq!(added.status, Some(0), "{added:?}");
    let hosts = scene.broker.json(&["host", "list"]);
    let host = hosts.as_array().unwrap().iter().find(|h| h["name"] == "web-9").unwrap();
    assert_eq!((&host["address"], &host["port"], &host["tags"]["env"]), (&"192.0.2.9".into(), &2022.into(), &"test".into()), "{host}");
    let secret = scene.owner.verb("root", "credential add pass --username x --password", "a secret\n");
    assert_eq!(secret.status, Some(0), "{secret:?}");
    assert_eq!(scene.broker.json(&["credential", "show", "pass"])["kind"], "password");
}

#[test]
fn a_member_does_what_a_member_may() {
    let scene = Scene::new();
    scene.broker.does(&["host", "add", "hidden", "192.0.2.9"]);
    let hosts = scene.alice.verb("alice", "--json host list", "").ok().text();
    assert!(hosts.contains("web-1") && !hosts.contains("hidden"), "{hosts}");
    let before = scene.broker.does(&["--json", "user", "list"]);
    for words in [
        "user add mallory --role owner",
        "user disable root",
        "grant add --to alice --hosts * --allow shell,exec",
        "host add web-7 192.0.2.7",
        "host remove web-1",
        "credential delete deploy",
        "credential edit deploy --username root",
        "audit list",
        "session end ses_0",
    ] {
        let outcome = scene.alice.verb("alice", words, "");
        assert!(matches!(outcome.status, Some(1 | 2)), "`{words}` by a member: {outcome:?}");
        assert!(outcome.stdout.is_empty() && outcome.errors().starts_with("error: "), "`{words}`: {outcome:?}");
    }
    assert_eq!(scene.broker.does(&["--json", "user", "list"]), before);
    scene.alice.exec(Way::Through, "true").ok();
    // A key is a person's: nobody speaks as somebody else.
    let outcome = scene.alice.verb("root", "user list", "");
    assert!(outcome.status != Some(0) && outcome.stdout.is_empty(), "{outcome:?}");
}

#[test]
fn the_socket_is_for_whoever_owns_the_home_alone() {
    let scene = Scene::new();
    // Even if the files were open to all, the kernel says who asks.
    crate::world::open_to_all(&scene.broker.home(), 0o755);
    crate::world::open_to_all(&scene.broker.home().join("control.sock"), 0o777);
    let binary = scene.dir().join("keyward");
    // By another program: a descriptor for writing that a neighbour's child inherits would make the copy "busy" for a moment.
    let mut copy = std::process::Command::new("cp");
    assert!(copy.arg(crate::world::broker::KEYWARD).arg(&binary).status().unwrap().success());
    let account = crate::world::account::account();
    let mut keyward = crate::world::process::command(&binary);
    use std::os::unix::process::CommandExt;
    keyward.env("HOME", &account.home).uid(account.uid).gid(account.gid).arg("--home").arg(scene.broker.home()).args(["user", "list"]);
    let outcome = run(keyward, "");
    assert!(matches!(outcome.status, Some(1 | 3)), "{outcome:?}");
    assert!(outcome.stdout.is_empty() && !outcome.errors().contains("alice"), "{outcome:?}");
}
