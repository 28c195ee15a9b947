//! Jumping in: `ssh -J NAME@BROKER HOST` and its like with stock clients, beside a direct connection; and whoever misuses it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::world::account::NAME;
use crate::world::agent::Agent;
use crate::world::broker::Settings;
use crate::world::clients::same;
use crate::world::keys::Key;
use crate::world::process::{command, run_within};
use crate::world::sshd::free_port;
use crate::world::terminal::Terminal;
use crate::world::{Outcome, Process, Scene, Way, eventually, noise, peer_script, python, run, sha256};

/// The client's own configuration as somebody has it who is used to jump hosts: `through` is `web-1` behind the jump, `broker` the jump.
pub(crate) fn jumps(scene: &Scene, user: &str) {
    let old = std::fs::read_to_string(scene.alice.config()).unwrap();
    let (straight, rest) = old.split_once("Host through\n").unwrap_or_else(|| old.split_once("Host broker\n").unwrap());
    let all = &rest[rest.find("Host *").unwrap()..];
    let (port, identity) = (scene.broker.port(), scene.alice.key.path.display());
    let mut config = format!("{straight}Host broker\n  Port {port}\n  User alice\n  IdentityFile {identity}\n");
    let _ = write!(config, "Host through\n  HostName web-1\n  Port 22\n  IdentityFile {identity}\n  ProxyJump broker\n");
    if !user.is_empty() {
        let _ = writeln!(config, "  User {user}");
    }
    std::fs::write(scene.alice.config(), config + all).unwrap();
    let mut known = std::fs::read_to_string(known_hosts(scene)).unwrap();
    for key in scene.broker.host_keys() {
        let _ = writeln!(known, "web-1,web-2,localhost {key}");
    }
    std::fs::write(known_hosts(scene), known).unwrap();
}

fn known_hosts(scene: &Scene) -> PathBuf {
    scene.alice.config().with_file_name("known_hosts")
}

fn jumping() -> Scene {
    jumping_with(Settings::default())
}

fn jumping_with(settings: Settings) -> Scene {
    let scene = Scene::with(settings);
    jumps(&scene, "alice");
    scene
}

/// `ssh -W` to there through the jump, with nothing to say; what it is told.
pub(crate) fn dials(scene: &Scene, to: &str) -> Outcome {
    run(scene.alice.ssh(&["-o", "LogLevel=INFO", "-W", to, "broker"]), "")
}

/// Runs a script of `tests/it/peers` with PORT PERSON KEY and so on.
fn peer(scene: &Scene, script: &str, before: &[&str], after: &[&str]) -> Outcome {
    let mut program = command(python());
    program.arg(peer_script(script)).args(before).args([&scene.broker.port().to_string(), "alice"]).arg(&scene.alice.key.path).args(after);
    run_within(Duration::from_secs(240), program, "")
}

fn hostile(scene: &Scene, deed: &str, more: &[&str]) -> String {
    peer(scene, "hostile_jump.py", &[deed], &[&["web-1"], more].concat()).ok().text().trim().to_owned()
}

#[test]
fn a_jump_looks_like_a_direct_connection() {
    let scene = jumping();
    scene.alice.same(&[], "printf out; printf err >&2; exit 7", b"");
    scene.alice.same(&[], "cat; id -un", b"there and back");
    scene.alice.same(&[], "kill -TERM $$", b"");
    scene.alice.same(&["-tt"], "stty size; exit 3", b"");
    scene.alice.same(&[], "cat | wc -c; true", &noise(3_000_000));
    assert_eq!(scene.host.sign_ins_with(&scene.deploy), 5, "the vault's key signed in");
    let sessions = eventually("they have ended", || Some(scene.broker.sessions()).filter(|s| s.iter().all(|s| !s["ended_at"].is_null())));
    assert_eq!(sessions.len(), 5);
    for session in &sessions {
        let permitted = scene.broker.events("session.permitted").into_iter().find(|e| e["session"] == session["id"]).unwrap();
        assert_eq!((permitted["detail"]["way"].as_str(), permitted["actor"].as_str()), (Some("jump"), Some("alice")), "{permitted}");
        // ssh ends the jump without a word when it has said its own goodbye, which may not have arrived then.
        assert!(matches!(session["end_reason"].as_str(), Some("client_closed" | "client_lost")), "{session}");
    }
    let opened = scene.broker.events("forward.opened");
    assert_eq!(opened.len(), 5);
    for e in &opened {
        let detail = &e["detail"];
        assert_eq!(
            (e["host"].as_str(), detail["destination"].as_str(), detail["way"].as_str()),
            (Some("web-1"), Some("web-1:22"), Some("jump"))
        );
    }
    let ended = eventually("their ends are recorded", || Some(scene.broker.events("forward.ended")).filter(|all| all.len() == 5));
    assert!(
        ended.iter().all(|e| e["detail"]["bytes_in"].as_u64() > Some(1000) && e["detail"]["bytes_out"].as_u64() > Some(1000)),
        "{ended:?}"
    );
    assert_eq!(scene.broker.json(&["status"])["leases_open"], 0);
}

#[test]
fn a_proxy_command_an_address_and_the_hosts_own_port_lead_there_too() {
    let scene = jumping();
    let proxy = format!("ProxyCommand=ssh -F {} -W %h:%p broker", scene.alice.config().display());
    run(scene.alice.ssh(&["-o", "ProxyJump=none", "-o", &proxy, "through", "true"]), "").ok();
    let port = scene.host.port.to_string();
    run(scene.alice.ssh(&["-p", &port, "-o", "HostKeyAlias=web-1", "through", "true"]), "").ok();
    run(scene.alice.ssh(&["-o", "HostName=127.0.0.1", "-o", "HostKeyAlias=web-1", "-p", &port, "through", "true"]), "").ok();
    // The workspace may stand before it, as everywhere.
    let proxy = format!("ProxyCommand=ssh -F {} -W default=web-1:22 broker", scene.alice.config().display());
    run(scene.alice.ssh(&["-o", "ProxyJump=none", "-o", &proxy, "through", "true"]), "").ok();
    assert_eq!(scene.host.sign_ins_with(&scene.deploy), 4);
}

#[test]
fn files_go_both_ways_with_scp_sftp_and_rsync() {
    let scene = jumping();
    same(&scene, |desk| {
        desk.files("some", &[("small", 100, 0o644), ("large", 3_000_000, 0o600), ("deep/er", 5000, 0o755)]);
        let rsh = desk.rsh();
        let rsync = |from: &str, to: &str| desk.run("/usr/bin/rsync", &["-a", "-e", &rsh, from, to]);
        let scp = |args: &[&str]| run(desk.openssh("scp", args), "");
        let batch = desk.words("put some/large THERE/put\nget THERE/put got\nls -1 THERE\n");
        vec![
            scp(&["-q", "-r", "-p", "some", "HOST:THERE/scp"]),
            scp(&["-q", "-O", "-p", "some/large", "HOST:THERE/old"]),
            scp(&["-q", "-r", "-p", "HOST:THERE/scp", "back"]),
            rsync("some/", "HOST:THERE/rsync/"),
            rsync("HOST:THERE/rsync/", "again/"),
            run(desk.openssh("sftp", &["-q", "-b", "-", "HOST"]), batch).ok(),
        ]
    });
    let inside = scene.broker.events("session.permitted");
    assert!(inside.len() >= 6 && inside.iter().all(|e| e["detail"]["way"] == "jump"), "{inside:?}");
}

#[test]
fn paramiko_and_asyncssh_jump_and_many_jump_at_once() {
    let scene = jumping();
    let seen: Value = serde_json::from_str(&peer(&scene, "jumping.py", &[], &[scene.broker.ed25519(), "web-1"]).ok().text()).unwrap();
    let many: Vec<Value> = (0..8).map(|n| serde_json::json!([n.to_string(), n])).collect();
    assert_eq!(seen["paramiko"], serde_json::json!({"many": many, "sftp": true, "bulk": true, "still": "still"}));
    let said = serde_json::json!({"said": ["out", "err", 7], "echoed": 3_000_000, "beside": true});
    assert_eq!(seen["asyncssh"], said);
    eventually("all have ended", || scene.broker.live().is_empty().then_some(()));
}

#[test]
fn bulk_in_both_directions_survives_new_keys_in_both_layers() {
    let scene = jumping();
    let sent = noise(96 << 20);
    for limits in [&["-o", "RekeyLimit=1M"][..], &[]] {
        let outcome = scene.alice.exec_within(Duration::from_secs(300), Way::Through, limits, "cat", sent.clone()).ok();
        assert_eq!(sha256(&outcome.stdout), sha256(&sent));
    }
    // The jump reads the same configuration, and changes its keys as often then.
    let config = std::fs::read_to_string(scene.alice.config()).unwrap();
    std::fs::write(scene.alice.config(), config.replace("Host broker\n", "Host broker\n  RekeyLimit 1M\n")).unwrap();
    let outcome = scene.alice.exec_within(Duration::from_secs(300), Way::Through, &["-o", "RekeyLimit=1M"], "cat", sent.clone()).ok();
    assert_eq!(sha256(&outcome.stdout), sha256(&sent));
}

#[test]
fn a_reader_inside_that_takes_nothing_holds_up_nobody_and_costs_little() {
    let scene = jumping();
    scene.alice.exec(Way::Through, "head -c 50000000 /dev/zero").ok();
    let before = crate::hostile_clients::resident(scene.broker.id());
    assert_eq!(hostile(&scene, "unread", &[]), "left");
    eventually("its session has ended", || scene.broker.live().is_empty().then_some(()));
    let grown = crate::hostile_clients::resident(scene.broker.id()).saturating_sub(before);
    assert!(grown < 64 * 1024, "the broker grew by {grown} KiB");
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn the_user_name_inside_is_an_account_and_what_fits_none_is_refused_with_what_does() {
    let scene = jumping();
    let second = Key::new(scene.dir().join("second"));
    scene.host.authorize(&[&scene.deploy, &second]);
    let ssh = |user: &str| run(scene.alice.ssh(&["-l", user, "through", "id -un"]), "");
    for user in ["alice", "deploy", NAME] {
        assert_eq!(ssh(user).ok().text(), format!("{NAME}\n"), "{user}");
    }
    // What a client sends that was told nothing: the name of the person at their own machine.
    let said = crate::credentials::refused(&ssh("robert"));
    assert!(said.contains("`robert` is no login that you can use on web-1; you can use: deploy (as kw-peer)"), "{said}");
    assert!(said.contains("hint: ") && said.contains("`User alice` under `Host web-1`"), "{said}");
    for strange in ["alice+web-1", "deploy@web-1", "web-1", "root"] {
        let said = crate::credentials::refused(&ssh(strange));
        assert!(said.contains("is no login that you can use on web-1"), "{strange}: {said}");
    }
    let denied = scene.broker.events("session.denied");
    assert_eq!(denied.len(), 5);
    assert!(denied.iter().all(|e| e["detail"]["way"] == "jump" && e["host"] == "web-1"), "{denied:?}");
    // Two sign in to one account.
    scene.broker.does_with(&["credential", "add", "other", "--scope", "workspace", "--username", NAME, "--key", "-"], second.private());
    scene.broker.does(&["credential", "attach", "other", "--host", "web-1"]);
    let said = crate::credentials::refused(&ssh(NAME));
    assert!(said.contains("is not the only login of that name"), "{said}");
    assert_eq!(ssh("other").ok().text(), format!("{NAME}\n"));
    assert_eq!(scene.host.sign_ins_with(&second), 1);
    // With the line that the hint names, nothing has to be typed.
    jumps(&scene, "alice");
    run(scene.alice.ssh(&["through", "true"]), "").ok();
}

#[test]
fn a_forward_inside_goes_to_the_host_and_needs_its_grant_and_there_is_no_third_level() {
    let scene = jumping();
    let ask = |to: &str| run(scene.alice.ssh(&["-o", "LogLevel=INFO", "-W", to, "through"]), "");
    let refused = ask("web-1:22");
    assert!(refused.errors().contains("forward-local is not granted to you here"), "{refused:?}");
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", "forward-local"]);
    // Now it is what the host calls so: it knows no web-1, but it knows itself.
    let beyond = ask("web-1:22");
    assert!(beyond.status != Some(0) && !beyond.text().starts_with("SSH-2.0"), "{beyond:?}");
    let own = run(scene.alice.ssh(&["-W", &format!("127.0.0.1:{}", scene.host.port), "through"]), "");
    assert!(own.text().starts_with("SSH-2.0-OpenSSH"), "{own:?}");
    // A port of the client's that leads through both.
    let port = free_port();
    let mut ssh = scene.alice.ssh(&["-N", "-L", &format!("{port}:127.0.0.1:{}", scene.host.port), "through"]);
    ssh.stdin(Stdio::null());
    let _stays = Process::start(ssh);
    let mut stream = eventually("the client listens", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    let mut hello = [0; 8];
    std::io::Read::read_exact(&mut stream, &mut hello).unwrap();
    assert_eq!(&hello, b"SSH-2.0-");
    // Inside there are no verbs: what is sent is the host's.
    let said = run(scene.alice.ssh(&["through", "host list"]), "");
    assert!(said.status == Some(127) && !said.text().contains("web-1"), "{said:?}");
}

#[test]
fn whoever_shows_another_key_inside_is_a_stranger() {
    let scene = jumping();
    let bob = Key::new(scene.dir().join("bob"));
    scene.broker.does(&["user", "add", "bob", "--role", "member", "--key", &bob.public_file().display().to_string()]);
    scene.grant("bob", "web-1");
    let helper = Agent::of_alice(&scene);
    let stranger = Key::new(scene.dir().join("stranger"));
    let inside = |key: &Key, user: &str| {
        let identity = format!("IdentityFile={}", key.path.display());
        // The jump is made with Alice's key, as its part of the configuration says.
        let mut words = vec!["-F", "CONFIG", "-o", identity.as_str(), "-l", user, "through", "true"];
        let only = scene.dir().join("config-inside");
        let config = std::fs::read_to_string(scene.alice.config()).unwrap();
        let own = format!("Host through\n  HostName web-1\n  Port 22\n  IdentityFile {}\n", scene.alice.key.path.display());
        assert!(config.contains(&own), "{config}");
        std::fs::write(&only, config.replace(&own, "Host through\n  HostName web-1\n  Port 22\n")).unwrap();
        let file = only.display().to_string();
        words[1] = &file;
        // `ssh` gives -F to the jump, and no -o.
        let mut ssh = Command::new("ssh");
        ssh.args(words).env_remove("SSH_AUTH_SOCK");
        run(ssh, "")
    };
    inside(&scene.alice.key, "alice").ok();
    let as_stranger = inside(&stranger, "alice");
    assert!(as_stranger.errors().contains("Permission denied (publickey)"), "{as_stranger:?}");
    for (key, user) in [(&bob, "alice"), (&bob, "bob"), (&bob, NAME), (&helper.client.key, "alice"), (&helper.client.key, "helper")] {
        let refused = inside(key, user);
        let plain = refused.errors().replace(&format!("{user}@"), "alice@");
        assert_eq!((refused.status, plain), (as_stranger.status, as_stranger.errors()), "{user}");
    }
    let refused = eventually("all are recorded", || Some(scene.broker.events("signin.refused")).filter(|all| all.len() == 6));
    assert!(
        refused.iter().all(|e| e["detail"]["asked_for"].as_str().unwrap().ends_with(" on web-1, inside a connection of alice")),
        "{refused:?}"
    );
    assert_eq!(scene.broker.events("session.permitted").len(), 1);
}

#[test]
fn a_certificate_signs_in_inside_as_a_key_does_and_only_its_own_person() {
    let scene = jumping();
    let (ca, laptop) = (Key::new(scene.dir().join("user_ca")), Key::new(scene.dir().join("laptop")));
    scene.broker.does(&["user-ca", "add", "office", &ca.public_file().display().to_string()]);
    scene.broker.does(&["user", "add", "bob", "--role", "member"]);
    scene.grant("bob", "web-1");
    let inside = |principal: &str| {
        let _ = std::fs::remove_file(scene.dir().join("laptop-cert.pub"));
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-I", "x", "-n", principal, "-V", "+10m", "-s"]).arg(&ca.path).arg(laptop.public_file());
        run(keygen, "").ok();
        let config = std::fs::read_to_string(scene.alice.config()).unwrap();
        let own = format!("Port 22\n  IdentityFile {}\n", scene.alice.key.path.display());
        assert!(config.contains(&own), "{config}");
        let file = scene.dir().join("config-certificate");
        std::fs::write(&file, config.replace(&own, &format!("Port 22\n  IdentityFile {}\n", laptop.path.display()))).unwrap();
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(&file).args(["-l", "alice", "through", "true"]).env_remove("SSH_AUTH_SOCK");
        run(ssh, "")
    };
    inside("alice").ok();
    let refused = inside("bob");
    assert!(refused.errors().contains("Permission denied (publickey)"), "{refused:?}");
    let permitted = scene.broker.events("session.permitted");
    assert!(permitted.len() == 1 && permitted[0]["detail"]["way"] == "jump", "{permitted:?}");
}

#[test]
fn an_agent_jumps_nowhere() {
    let scene = jumping();
    let helper = Agent::of_alice(&scene);
    for name in ["helper", "web-1"] {
        let said = run(helper.client.ssh(&["-o", "LogLevel=INFO", "-l", name, "-W", "web-1:22", "through"]), "");
        assert!(said.errors().contains("keyward: an agent opens no connection through a host"), "{said:?}");
        assert!(said.stdout.is_empty(), "{said:?}");
    }
    assert_eq!(scene.broker.events("forward.opened").len(), 0);
}

#[test]
fn a_destination_that_is_no_granted_host_gets_one_sentence() {
    let scene = jumping();
    // There, and not granted.
    let other = scene.another_host("db", &[&scene.deploy]);
    scene.add_host("db-1", &other, "deploy");
    let sentence = |to: &str| {
        let said = dials(&scene, to);
        assert!(said.status != Some(0) && said.stdout.is_empty(), "{said:?}");
        said.errors()
    };
    let unknown = sentence("db-9:22");
    assert!(
        unknown.contains("keyward: a connection under your own name leads to a host that you may use, and `db-9` is none"),
        "{unknown}"
    );
    for (to, name) in [
        ("db-1:22", "db-1"),
        ("192.0.2.9:22", "192.0.2.9"),
        ("localhost:22", "localhost"),
        ("nix=web-1:22", "nix=web-1"),
        ("db-1:9999", "db-1"),
    ] {
        assert_eq!(sentence(to).replace(name, "db-9"), unknown, "{to}");
    }
    // At the address of a granted host what is not granted says no more than what does not exist.
    assert_eq!(sentence(&format!("127.0.0.1:{}", other.port)), sentence("127.0.0.1:9"));
    // A host that is granted says on which port.
    let port = sentence("web-1:80");
    assert!(port.contains(&format!("host `web-1` is reached on its own port, {}, or on 22", scene.host.port)), "{port}");
    let refused = scene.broker.events("forward.refused");
    assert_eq!(refused.len(), 9);
    assert!(refused.iter().all(|e| e["outcome"] == "denied" && e["actor"] == "alice" && e["detail"]["way"] == "jump"), "{refused:?}");
    assert_eq!(scene.broker.events("forward.opened").len(), 0);
    // A socket is nobody's there.
    let port = free_port();
    let mut ssh = scene.alice.ssh(&["-N", "-L", &format!("{port}:/run/x"), "broker"]);
    ssh.stdin(Stdio::null()).stderr(Stdio::null());
    let listens = Process::start(ssh);
    let mut stream = eventually("the client listens", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    assert_eq!(std::io::Read::read(&mut stream, &mut [0; 8]).unwrap_or(0), 0);
    let socket = |e: &&Value| e["detail"]["kind"] == "direct-streamlocal@openssh.com" && e["detail"]["destination"] == "/run/x";
    assert_eq!(scene.broker.events("forward.refused").iter().filter(socket).count(), 1);
    drop(listens);
    // What is withdrawn leads nowhere from then on.
    dials(&scene, "web-1:22");
    let grants = scene.broker.json(&["grant", "list"]);
    scene.broker.does(&["grant", "remove", grants[0]["id"].as_str().unwrap()]);
    assert_eq!(sentence("web-1:22").replace("web-1", "db-9"), unknown);
}

#[test]
fn noise_silence_and_half_a_sentence_inside_end_the_inside_alone() {
    let config = "[limits]\nsign_in_time = \"2s\"\nfailures_per_address = \"1000/s\"\n".to_owned();
    let scene = jumping_with(Settings { config, ..Settings::default() });
    for deed in ["garbage", "silence", "half"] {
        assert_eq!(hostile(&scene, deed, &[]), "ended", "{deed}");
    }
    eventually("every end is recorded", || {
        (scene.broker.events("forward.ended").len() == scene.broker.events("forward.opened").len()).then_some(())
    });
    assert_eq!(scene.broker.events("forward.opened").len(), 10);
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn keys_by_the_dozen_inside_count_like_those_outside() {
    let config = "[limits]\nattempts = 4\nfailures_per_address = \"5/min\"\n".to_owned();
    let scene = jumping_with(Settings { config, ..Settings::default() });
    let stranger = Key::new(scene.dir().join("stranger"));
    assert_eq!(hostile(&scene, "flood", &[&stranger.path.display().to_string()]), "refused 4");
    let failed = scene.broker.events("signin.refused").len();
    assert!((4..=6).contains(&failed), "{failed}");
}

#[test]
fn a_connection_inside_takes_a_place_like_one_outside() {
    let config = "[limits]\nconnections_per_address = 8\n".to_owned();
    let scene = jumping_with(Settings { config, ..Settings::default() });
    assert_eq!(hostile(&scene, "many", &[]), "7 4");
    // And it is free again.
    eventually("every end is recorded", || (scene.broker.events("forward.ended").len() == 7).then_some(()));
    scene.alice.exec(Way::Through, "true").ok();
    let config = "[limits]\nchannels = 5\n".to_owned();
    let scene = jumping_with(Settings { config, ..Settings::default() });
    assert_eq!(hostile(&scene, "many", &[]), "5 4");
}

#[test]
fn it_ends_with_the_connection_around_it_with_its_grant_and_with_the_broker() {
    let mut scene = jumping();
    // The jump's own process is killed: the inside is gone with it.
    let mut stay = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"));
    for id in crate::world::process::tree(stay.process.id()).into_iter().filter(|id| *id != stay.process.id()) {
        let _ = rustix::process::kill_process(crate::world::process::pid(id), rustix::process::Signal::KILL);
    }
    assert_eq!(stay.process.wait().code(), Some(255));
    let session = scene.broker.ended_session();
    assert!(matches!(session["end_reason"].as_str(), Some("client_lost" | "client_closed")), "{session}");
    // Its grant is withdrawn.
    let stay = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"));
    let grants = scene.broker.json(&["grant", "list"]);
    scene.broker.does(&["grant", "remove", grants[0]["id"].as_str().unwrap()]);
    let (status, errors) = stay.end();
    assert!(status == Some(255) && errors.contains("keyward: your access to this host was withdrawn"), "{status:?} {errors}");
    scene.grant("alice", "web-1");
    // The broker stops.
    let stay = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"));
    scene.broker.stop();
    let (status, errors) = stay.end();
    assert!(status == Some(255) && errors.contains("keyward: the broker is shutting down"), "{status:?} {errors}");
}

#[test]
fn what_its_owner_sealed_is_asked_for_inside() {
    let scene = jumping();
    let mine = Key::new(scene.dir().join("mine"));
    scene.host.authorize(&[&scene.deploy, &mine]);
    let verb = |words: &str, stdin: Vec<u8>| run(scene.alice.ssh(&["broker", "--", words]), stdin).ok();
    verb(&format!("credential add zebra --username {NAME} --key - --scope personal"), mine.private());
    verb("credential attach zebra --host web-1 --mine", Vec::new());
    verb("personal seal", b"sealed by alice alone".to_vec());
    // The client asks for it at the terminal; so it does when the credential is named by its name.
    for (times, user) in [(1, "alice"), (2, "zebra")] {
        let mut ssh = Terminal::start(&scene.alice.ssh(&["-o", "BatchMode=no", "-l", user, "through", "echo seen-$((40+2))"]), 24, 120);
        ssh.until("Passphrase for your sealed credentials:");
        ssh.write("sealed by alice alone\n");
        let (status, screen) = ssh.end();
        assert!(status.success() && screen.contains("seen-42"), "{user}: {screen}");
        eventually("its session has ended", || scene.broker.live().is_empty().then_some(()));
        let locked = |e: &&Value| e["reason"] == "their last connection has ended";
        eventually("the scope is locked again", || {
            (scene.broker.events("personal.locked").iter().filter(locked).count() == times).then_some(())
        });
    }
    assert_eq!(scene.host.sign_ins_with(&mine), 2);
    // Without a terminal nobody can be asked; another account needs nothing.
    run(scene.alice.ssh(&["-l", "deploy", "through", "true"]), "").ok();
}
