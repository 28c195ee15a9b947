//! Where ways, forwards and sign-ins meet: what is asked of whom on the way, what is told to a client that has no session channel, and
//! what the log says when a client leaves first.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use serde_json::Value;

use crate::world::account::NAME;
use crate::world::agent;
use crate::world::broker::Settings;
use crate::world::fake::{Deed, Fake};
use crate::world::keys::Key;
use crate::world::process::{Lines, command};
use crate::world::sshd::free_port;
use crate::world::terminal::Terminal;
use crate::world::{Agent, Outcome, PATIENCE, Process, Scene, Sshd, Way, eventually, nonce, peer_script, python, run};

const PASSPHRASE: &str = "sealed by alice alone";
const PROMPT: &str = "Passphrase for your sealed credentials:";

fn may(scene: &Scene, hosts: &str, allow: &str) {
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", hosts, "--allow", allow]);
}

/// What `ssh -N` with these options is told, once it ends.
fn alone(scene: &Scene, host: &str, options: &[&str]) -> Outcome {
    let args: Vec<&str> = ["-N", "-l", host].into_iter().chain(options.iter().copied()).chain(["through"]).collect();
    run(scene.alice.ssh(&args), "")
}

/// A host behind `web-1`, where Alice uses a key of her own that she sealed. With the host behind it.
fn behind_a_sealed_jump() -> (Scene, Sshd) {
    let scene = Scene::new();
    scene.seals(PASSPHRASE);
    let far = scene.another_host("far", &[&scene.deploy]);
    let pin = &far.host_key.public;
    scene.broker.does(&["host", "add", "web-9", &far.address(), "--via", "web-1", "--credential", "deploy", "--host-key", pin]);
    scene.grant("alice", "web-9");
    (scene, far)
}

#[test]
fn a_sealed_credential_of_a_jump_host_is_asked_for_and_used() {
    let (scene, far) = behind_a_sealed_jump();
    let ask = || run(scene.alice.ssh(&["-l", "web-9", "through", "id -un"]), "");
    // Who may not pass is not asked, and told why.
    let refused = ask();
    assert!(refused.errors().contains("`forward-local` on host `web-1`"), "{refused:?}");
    may(&scene, "web-1", "forward-local");
    // A client that cannot be asked is refused before anything is dialled.
    let refused = ask();
    assert!(refused.errors().contains("Permission denied (keyboard-interactive)"), "{refused:?}");
    assert_eq!((scene.host.sign_ins(), far.sign_ins()), (0, 0));
    let mut ssh = Terminal::start(&scene.alice.ssh(&["-o", "BatchMode=no", "-l", "web-9", "through", "echo seen-$((40+2))"]), 24, 120);
    ssh.until(PROMPT);
    ssh.write(&format!("{PASSPHRASE}\n"));
    let (status, screen) = ssh.end();
    assert!(status.success() && screen.contains("seen-42"), "{screen}");
    assert_eq!((scene.host.sign_ins(), far.sign_ins()), (1, 1));
    let lease = scene.broker.events("lease.opened").into_iter().find(|e| e["host"] == "web-1").unwrap();
    assert!(lease["credential"].as_str().is_some_and(|c| c != "deploy"), "{lease}");
}

#[test]
fn a_scan_through_a_jump_host_passes_it_and_leans_on_nobody_there() {
    let (scene, far) = behind_a_sealed_jump();
    may(&scene, "web-1", "forward-local");
    may(&scene, "web-9", "scan");
    // What is sealed opens for its owner, and not for what runs by itself, also while it is open.
    scene.alice.verb("alice", "unlock", PASSPHRASE).ok();
    let scanned = scene.alice.verb("alice", "scan run --hosts web-9", "");
    assert!(scanned.errors().contains("sealed") || scanned.text().contains("sealed"), "{scanned:?}");
    assert_eq!(far.sign_ins(), 0);
    scene.alice.verb("alice", "credential detach zebra --host web-1 --mine", "").ok();
    let scanned = scene.alice.verb("alice", "scan run --hosts web-9", "");
    // 5: without root not everything is answered.
    assert!(matches!(scanned.status, Some(0 | 5)) && scanned.text().contains("packages"), "{scanned:?}");
    assert_eq!((scene.host.sign_ins(), far.sign_ins()), (1, 1));
    let session = scene.broker.sessions().into_iter().find(|s| s["host"] == "web-9" && s["bytes_out"] != 0).unwrap();
    assert_eq!(session["via"], serde_json::json!(["web-1"]));
    assert!(session["client"].as_str().is_some_and(|client| client.starts_with("scn_")), "a scan has no address: {session}");
}

#[test]
fn offers_of_other_keys_during_a_sealed_sign_in_lead_nowhere_else() {
    let scene = Scene::new();
    let mine = scene.seals(PASSPHRASE);
    scene.host.authorize(&[&mine]);
    let other = scene.another_host("other", &[&scene.deploy]);
    scene.add_host("web-2", &other, "deploy");
    scene.grant("alice", "web-2");
    let mut peer = command(python());
    let port = scene.broker.port().to_string();
    peer.arg(peer_script("redirecting_client.py")).arg(port).arg(&scene.alice.key.path).args(["web-1", "web-2", PASSPHRASE]);
    let said = run(peer, "").ok().text();
    assert_eq!(said, "status 0\n");
    assert_eq!((scene.host.sign_ins_with(&mine), other.sign_ins()), (1, 0), "the answer was for web-1");
}

#[test]
fn a_forward_whose_client_leaves_first_has_its_end_with_its_bytes() {
    let scene = Scene::new();
    may(&scene, "*", "forward-local,forward-remote");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let echo = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut stream.try_clone().unwrap(), &mut stream));
        }
    });
    let (local, remote) = (free_port(), free_port());
    let mut ssh = scene.alice.ssh(&[
        "-N",
        "-o",
        "ExitOnForwardFailure=yes",
        "-L",
        &format!("{local}:127.0.0.1:{echo}"),
        "-R",
        &format!("{remote}:127.0.0.1:{echo}"),
        "through",
    ]);
    ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    let mut client = Process::start(ssh);
    let open: Vec<TcpStream> = [local, remote]
        .into_iter()
        .map(|port| {
            let mut stream = eventually("it listens", || TcpStream::connect(("127.0.0.1", port)).ok());
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(b"five!").unwrap();
            let mut back = [0; 5];
            stream.read_exact(&mut back).unwrap();
            stream
        })
        .collect();
    client.signal(rustix::process::Signal::KILL);
    client.wait();
    let session = scene.broker.ended_session();
    drop(open);
    let trail = scene.broker.trail(&session);
    let ends = trail.iter().filter(|e| *e == "forward.ended").count();
    assert_eq!((ends, trail.last().map(String::as_str)), (2, Some("session.ended")), "{trail:?}");
    for ended in scene.broker.events("forward.ended") {
        assert_eq!((ended["detail"]["bytes_in"].as_u64(), ended["detail"]["bytes_out"].as_u64()), (Some(5), Some(5)), "{ended}");
    }
}

#[test]
fn a_certificate_of_a_stranger_spoils_no_pinned_key() {
    let lines = "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n";
    let scene = Scene::bare(Settings::default(), None);
    let key = scene.deploy.private();
    scene.broker.does_with(&["credential", "add", "deploy", "--scope", "workspace", "--username", NAME, "--key", "-"], key);
    scene.grant("alice", "*");
    let (ours, theirs) = (Key::new(scene.dir().join("ca")), Key::new(scene.dir().join("their-ca")));
    scene.broker.does(&["host-ca", "add", "corp", &ours.public, "--hosts", "*"]);
    let host = |name: &str, ca: &Key, options: &[&str]| {
        let place = scene.place(name);
        let (certified, plain) = (Key::new(place.join("host_key")), Key::make(place.join("plain"), &["-t", "ecdsa"], ""));
        let mut keygen = command("ssh-keygen");
        keygen.args(["-q", "-I", "a-host", "-h", "-s"]).arg(&ca.path).args(options).arg(certified.public_file());
        run(keygen, "").ok();
        let more = format!("{lines}HostKey {}\nHostCertificate {}-cert.pub\n", plain.path.display(), certified.path.display());
        let host = Sshd::with_host_key(&place, &[&scene.deploy], &more, certified);
        scene.broker.does(&["host", "add", name, &host.address(), "--credential", "deploy", "--host-key", &plain.public]);
        host
    };
    let ask = |name: &str| run(scene.alice.ssh(&["-l", name, "through", "id -un"]), "");
    // The authority says nothing about this host; the key that is pinned does.
    let strange = host("strange", &theirs, &["-n", "127.0.0.1"]);
    assert_eq!(ask("strange").ok().text(), format!("{NAME}\n"));
    assert_eq!(strange.sign_ins(), 1);
    // One that the authority of this host signed, and that does not count, is never passed over.
    let expired = host("expired", &ours, &["-n", "127.0.0.1", "-V", "-2h:-1h"]);
    let refused = ask("expired");
    assert!(refused.errors().contains("has expired"), "{refused:?}");
    assert_eq!(expired.sign_ins(), 0);
    // And a key that is not the pinned one is refused either way.
    scene.broker.does(&["host", "edit", "strange", "--host-key", &theirs.public]);
    let refused = ask("strange");
    assert!(refused.errors().contains("KEY HAS CHANGED"), "{refused:?}");
    assert_eq!(strange.sign_ins(), 1);
}

#[test]
fn a_client_of_forwards_alone_hears_that_nobody_can_be_asked() {
    let scene = Scene::new();
    may(&scene, "*", "forward-local,forward-remote");
    let fake = Fake::asking(&scene.place("asks"), Deed::AskCode);
    scene.broker.does_with(&["credential", "add", "pass", "--scope", "workspace", "--username", NAME, "--password"], nonce(20));
    scene.broker.does(&["host", "add", "asks", &fake.address(), "--credential", "pass", "--host-key", &fake.host_key.public]);
    scene.grant("alice", "asks");
    let (port, remote) = (free_port().to_string(), free_port().to_string());
    for options in [["-L", &format!("{port}:127.0.0.1:1")], ["-R", &format!("{remote}:127.0.0.1:1")]] {
        let told = alone(&scene, "asks", &options);
        assert_eq!(told.status, Some(255), "{told:?}");
        assert!(told.errors().contains("keyward: asks: the host asks for an answer that only you can give"), "{told:?}");
    }
}

#[test]
fn a_client_of_remote_forwards_alone_hears_why_there_is_no_host() {
    let scene = Scene::new();
    may(&scene, "*", "forward-remote");
    let stranger = Key::new(scene.dir().join("stranger"));
    scene.broker.does_with(&["credential", "add", "wrong", "--scope", "workspace", "--username", NAME, "--key", "-"], stranger.private());
    scene.broker.does(&["host", "edit", "web-1", "--credential", "wrong"]);
    let forward = format!("{}:127.0.0.1:1", free_port());
    for strict in ["yes", "no"] {
        let told = alone(&scene, "web-1", &["-o", &format!("ExitOnForwardFailure={strict}"), "-R", &forward]);
        assert_eq!(told.status, Some(255), "{told:?}");
        assert!(told.errors().contains("keyward: web-1: the host refused the credential"), "{strict}: {told:?}");
    }
}

/// A way to a port that says `before` first, for as long as the test runs.
fn talkative(port: u16, before: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let (mut host, before) = (TcpStream::connect(("127.0.0.1", port)).unwrap(), before.clone());
            let (mut from_client, mut to_host) = (client.try_clone().unwrap(), host.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut from_client, &mut to_host));
            std::thread::spawn(move || {
                let _ = client.write_all(&before);
                let _ = std::io::copy(&mut host, &mut client);
                let _ = client.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    at
}

#[test]
fn a_host_that_says_a_lot_before_its_version_is_used_like_any_other() {
    let scene = Scene::new();
    let port: u16 = scene.host.address().rsplit(':').next().unwrap().parse().unwrap();
    let talks = [format!("{}\r\n", "Legal notice. ".repeat(500)), "a line\n".repeat(900)].concat();
    let at = talkative(port, talks.into_bytes());
    scene.broker.does(&["host", "edit", "web-1", "--address", &format!("127.0.0.1:{at}")]);
    let place = format!("Port={at}");
    let straight = ["-o", &place, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"];
    assert_eq!(scene.alice.exec_with(Way::Straight, &straight, "id -un", "").ok().text(), format!("{NAME}\n"));
    assert_eq!(scene.alice.exec(Way::Through, "id -un").ok().text(), format!("{NAME}\n"));
    let too_much = talkative(port, "a line\n".repeat(1100).into_bytes());
    scene.broker.does(&["host", "edit", "web-1", "--address", &format!("127.0.0.1:{too_much}")]);
    let refused = scene.alice.exec(Way::Through, "true");
    assert!(refused.errors().contains("before its version it says more than 1024 lines"), "{refused:?}");
}

/// A host that is odd about `tcpip-forward`; `web-2` at the broker.
fn listening_host(scene: &Scene, deed: &str) -> (Process, Lines) {
    let host_key = Key::new(scene.dir().join("listening_host_key"));
    let mut program = command(python());
    program.arg(peer_script("listening_host.py")).arg(deed).arg(&host_key.path).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = Process::start(program);
    let said = process.lines();
    let address = format!("127.0.0.1:{}", said.next().expect("it says its port"));
    scene.broker.does_with(&["credential", "add", "pass", "--scope", "workspace", "--username", NAME, "--password"], nonce(20));
    scene.broker.does(&["host", "add", "web-2", &address, "--credential", "pass", "--host-key", &host_key.public]);
    may(scene, "web-2", "shell,exec,forward-remote");
    (process, said)
}

#[test]
fn a_client_is_not_taken_for_dead_while_a_host_says_nothing_of_a_port() {
    let scene = Scene::new();
    let (_host, said) = listening_host(&scene, "late");
    // Two keepalives may be unanswered: behind a request that is never answered there would be more.
    let mut ssh = scene.alice.ssh(&[
        "-N",
        "-M",
        "-o",
        "LogLevel=INFO",
        "-o",
        "ServerAliveInterval=10",
        "-o",
        "ServerAliveCountMax=2",
        "-R",
        "7001:127.0.0.1:1",
        "-l",
        "web-2",
        "through",
    ]);
    ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut client = Process::start(ssh);
    assert_eq!(said.next().as_deref(), Some("asked tcpip-forward"));
    let errors = client.error_lines();
    let refused = std::iter::from_fn(|| errors.next()).find(|line| line.contains("forwarding failed")).expect("it is refused");
    assert!(refused.contains("7001"), "{refused}");
    let ended = scene.broker.events("forward.listening");
    assert_eq!((ended.len(), &ended[0]["reason"]), (1, &Value::from("the host does not answer")));
    // It lives, and a host that listens after all is told not to.
    run(scene.alice.ssh(&["-l", "web-2", "through", "now"]), "").ok();
    let told = eventually("the host is told", || said.next().filter(|line| line == "asked cancel-tcpip-forward"));
    assert_eq!(told, "asked cancel-tcpip-forward");
    assert!(client.runs(), "the client is still there");
}

#[test]
fn a_thousand_connections_of_a_host_at_once_are_bounded() {
    let scene = Scene::new();
    let (_host, said) = listening_host(&scene, "many");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().flatten().collect::<Vec<_>>());
    let forward = format!("7002:127.0.0.1:{to}");
    let mut ssh = scene.alice.ssh(&["-N", "-R", &forward, "-l", "web-2", "through"]);
    ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _client = Process::start(ssh);
    let counts = eventually("every one is answered", || said.next().filter(|line| line.starts_with("taken ")));
    let number = |at: usize| counts.split(' ').nth(at).unwrap().parse::<usize>().unwrap();
    assert!(number(1) <= 256 && number(1) + number(3) == 1000, "{counts}");
    assert!(number(1) > 0, "{counts}");
    let refused = scene.broker.events("forward.refused").len();
    assert!(refused <= 64, "{refused}");
    // Nobody else has felt it.
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn a_proxy_of_the_person_and_an_open_port_are_what_they_are_straight() {
    let scene = Scene::at("PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nGatewayPorts clientspecified\n");
    may(&scene, "web-1", "forward-remote");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"hello");
        }
    });
    for way in Way::BOTH {
        // Remote SOCKS (`-R PORT`): the client itself connects to what is asked for.
        let (socks, open) = (free_port(), free_port());
        let (proxied, bound) = (socks.to_string(), format!("*:{open}:127.0.0.1:{to}"));
        let options = ["-o", "ExitOnForwardFailure=yes", "-R", &proxied, "-R", &bound];
        let stay = scene.alice.stay(way, &options, "echo ready; exec cat");
        assert_eq!(stay.lines.next().as_deref(), Some("ready"), "{way:?}");
        let mut stream = TcpStream::connect(("127.0.0.1", socks)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&[5, 1, 0]).unwrap();
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [5, 0], "{way:?}");
        let [high, low] = to.to_be_bytes();
        stream.write_all(&[5, 1, 0, 1, 127, 0, 0, 1, high, low]).unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!((answer[1], &answer[10..]), (0, &b"hello"[..]), "{way:?}");
        // GatewayPorts: whoever reaches the host reaches the port, at every address of it.
        let mut stream = TcpStream::connect(("127.0.0.2", open)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello", "{way:?}");
        drop(stay);
    }
}

#[test]
fn sftp_on_a_channel_with_a_terminal_is_what_it_is_straight() {
    let scene = Scene::new();
    let [straight, through] = Way::BOTH.map(|way| {
        let mut ssh = scene.alice.ssh(&["-tt", "-s", way.alias(), "sftp"]);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = ssh.spawn().unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        // The terminal says it back, and the interrupt that is typed there ends what runs.
        stdin.write_all(b"x\n").unwrap();
        let mut echo = [0; 3];
        stdout.read_exact(&mut echo).unwrap();
        // The terminal answers before it is anybody's: an interrupt that comes so early interrupts nobody.
        let status = eventually("the interrupt ends it", || {
            let _ = stdin.write_all(b"\x03");
            child.try_wait().unwrap()
        });
        (status.code(), echo)
    });
    assert_eq!(&straight.1, b"x\r\n");
    assert_eq!(straight, through);
}

#[test]
fn an_agent_takes_no_more_connections_than_it_may_have() {
    let scene = agent::allow(Scene::with(Settings { config: "[limits]\nconnections_per_agent = 2\n".to_owned(), ..Settings::default() }));
    let helper = Agent::of_alice(&scene);
    let _alice = agent::connected(&scene);
    let held = [helper.proposes("echo one"), helper.proposes("echo two")];
    let waiting = scene.alice.waiting(2);
    let refused = helper.refused("echo three");
    assert!(refused.status == Some(255) && refused.errors().contains("an agent has at most 2 connections at once"), "{refused:?}");
    // People are not meant, nor other agents.
    scene.alice.exec(Way::Through, "true").ok();
    for proposal in &waiting {
        scene.alice.approves(proposal);
    }
    assert!(held.map(|proposed| proposed.end().0).iter().all(|status| *status == Some(0)));
    eventually("there is room again", || (run(helper.client.ssh(&["-l", "helper", "through"]), "").status == Some(0)).then_some(()));
}
