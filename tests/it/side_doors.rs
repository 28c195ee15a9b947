//! Every role at every door beside the front one: a role runs the broker, and opens nothing on a host.

use crate::credentials::refused;
use crate::world::keys::Key;
use crate::world::process::command;
use crate::world::terminal::Terminal;
use crate::world::{Client, Outcome, Scene, SshAgent, run};

/// One person of each role, each with a client of their own.
fn roles(scene: &Scene) -> Vec<(&'static str, Client)> {
    ["owner", "admin", "auditor", "member"]
        .into_iter()
        .map(|role| {
            let client = Client::new(&scene.dir().join(format!("of-{role}")));
            client.knows(Some(&scene.host), Some(&scene.broker), "web-1");
            let name = format!("p-{role}");
            scene.broker.does(&["user", "add", &name, "--role", role, "--key", &client.key.public_file().display().to_string()]);
            (role, client)
        })
        .collect()
}

/// Tries one door; whether it led anywhere.
fn opens(client: &Client, door: &str, scene: &Scene) -> (bool, Outcome) {
    let port = scene.host.port;
    let outcome = match door {
        "exec" => run(client.ssh(&["through", "echo in"]), ""),
        "shell" => run(client.ssh(&["-T", "through"]), "echo in\nexit\n"),
        "sftp" => run(client.program("sftp", &["-q", "-b", "-", "through"]), "ls -1 /etc/hostname\n"),
        "forward-local" => run(client.ssh(&["-W", &format!("127.0.0.1:{port}"), "through"]), ""),
        other => panic!("no such door: {other}"),
    };
    let said = outcome.text();
    (said.contains("in\n") || said.contains("/etc/hostname") || said.contains("SSH-2.0"), outcome)
}

const DOORS: [&str; 4] = ["exec", "shell", "sftp", "forward-local"];

#[test]
fn no_role_opens_a_door_on_a_host_without_a_grant() {
    let scene = Scene::new();
    for (role, client) in roles(&scene) {
        for door in DOORS {
            let (opened, outcome) = opens(&client, door, &scene);
            assert!(!opened && outcome.status != Some(0), "{role}, {door}: {outcome:?}");
        }
        refused(&run(client.ssh(&["through", "true"]), ""));
    }
    assert_eq!(scene.host.sign_ins(), 0, "{}", scene.host.log());
}

#[test]
fn a_grant_of_one_thing_opens_that_door_alone_whatever_the_role() {
    let scene = Scene::new();
    let people = roles(&scene);
    for granted in DOORS {
        let ids: Vec<String> = people
            .iter()
            .map(|(role, _)| {
                scene.broker.does(&["grant", "add", "--to", &format!("p-{role}"), "--hosts", "web-1", "--allow", granted]).trim().to_owned()
            })
            .collect();
        for (role, client) in &people {
            for door in DOORS {
                let (opened, outcome) = opens(client, door, &scene);
                assert_eq!(opened, door == granted, "{role} with {granted}, {door}: {outcome:?}");
            }
        }
        for id in ids {
            scene.broker.does(&["grant", "remove", &id]);
        }
    }
}

#[test]
fn no_forward_of_any_kind_is_opened_for_any_role() {
    let scene = Scene::new();
    scene.grant("*", "web-1");
    let agent = Key::new(scene.dir().join("in-the-agent"));
    for (role, client) in roles(&scene) {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let remote = format!("{free}:127.0.0.1:{}", scene.host.port);
        let outcome = run(client.ssh(&["-o", "ExitOnForwardFailure=yes", "-N", "-R", &remote, "through"]), "");
        assert!(outcome.status != Some(0) && outcome.errors().contains("forwarding failed"), "{role}, -R: {outcome:?}");
        assert!(std::net::TcpStream::connect(("127.0.0.1", free)).is_err(), "{role}: the host listens");
        // A forwarded agent would be a way to the person's own keys from the host.
        let lent = SshAgent::with(scene.dir().join(format!("agent-{role}")), &agent);
        let outcome = run(client.ssh(&["-A", "-o", &lent.option(), "through", "echo \"[$SSH_AUTH_SOCK]\""]), "");
        assert!(!outcome.text().contains("agent"), "{role}: the host was given the person's agent: {outcome:?}");
        let outcome = run(client.ssh(&["-X", "through", "echo \"[$DISPLAY]\""]), "");
        assert!(!outcome.text().contains("localhost"), "{role}: the host was given the person's screen: {outcome:?}");
    }
    assert!(!scene.broker.audit().iter().any(|e| e["event"] == "channel.opened" && e.to_string().contains("forward")));
}

#[test]
fn the_live_view_of_sessions_shows_a_member_their_own_and_ends_no_other() {
    let scene = Scene::new();
    let stay = scene.alice.stay(crate::world::Way::Through, &[], "echo ready; exec cat");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"));
    let id = scene.broker.only_session()["id"].as_str().unwrap().to_owned();
    for (role, client) in roles(&scene) {
        let person = format!("p-{role}");
        let listed = client.verb(&person, "--json session list --live", "").ok().text();
        let shown = client.verb(&person, &format!("session show {id}"), "");
        let sees = role != "member";
        assert_eq!((listed.contains(&id), shown.status == Some(0)), (sees, sees), "{role}: {listed}");
        if !matches!(role, "owner" | "admin") {
            assert_ne!(client.verb(&person, &format!("session end {id}"), "").status, Some(0), "{role}");
        }
        // What an agent asks of Alice is hers to decide, whoever looks on.
        let mut terminal = Terminal::start(&client.ssh(&["-tt", "-l", &person, "through", "proposal watch"]), 24, 80);
        terminal.until("inbox");
        terminal.write("q");
        terminal.end();
    }
    assert_eq!(scene.broker.live().len(), 1, "nobody has ended it");
    drop(stay);
}

#[test]
fn nothing_but_a_key_with_its_signature_signs_in() {
    let scene = Scene::new();
    let with = |options: &[&str]| {
        let mut args = options.to_vec();
        args.extend(["through", "true"]);
        run(scene.alice.ssh(&args), "")
    };
    for methods in ["none", "password", "keyboard-interactive", "hostbased", "password,keyboard-interactive,none"] {
        let outcome = with(&["-o", &format!("PreferredAuthentications={methods}"), "-o", "NumberOfPasswordPrompts=1"]);
        assert_eq!(outcome.status, Some(255), "{methods}: {outcome:?}");
        assert!(outcome.errors().contains("Permission denied (publickey)"), "only keys are offered: {outcome:?}");
    }
    // A certificate is not the person, whomever it names: nobody, everybody, a list, or a name with a comma or a new line in it.
    let authority = Key::new(scene.dir().join("authority"));
    let stranger = Key::new(scene.dir().join("stranger"));
    let certificate = format!("{}-cert.pub", stranger.path.display());
    std::fs::remove_file(&scene.alice.key.path).unwrap();
    for principals in
        [&[][..], &["-n", "alice"], &["-n", "alice,root,web-1"], &["-n", "*"], &["-n", "alice\nroot"], &["-n", "alice\\,root"]]
    {
        let mut sign = command("ssh-keygen");
        sign.args(["-q", "-s"]).arg(&authority.path).args(["-I", "id"]).args(principals).arg(stranger.public_file());
        run(sign, "").ok();
        let outcome = with(&["-o", &format!("IdentityFile={}", stranger.path.display()), "-o", &format!("CertificateFile={certificate}")]);
        assert_eq!(outcome.status, Some(255), "{principals:?}: {outcome:?}");
        assert!(outcome.errors().contains("Permission denied (publickey)"), "{principals:?}: {outcome:?}");
    }
    assert_eq!(scene.host.sign_ins(), 0);
    assert!(scene.broker.sessions().is_empty());
}
