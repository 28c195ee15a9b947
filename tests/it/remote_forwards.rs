//! The ways back from a host: remote forwards, the agent, the screen. Straight and through the broker, and the same for the client.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Stdio;
use std::thread;

use serde_json::Value;

use crate::world::client::Stay;
use crate::world::keys::Key;
use crate::world::process::command;
use crate::world::sshd::free_port;
use crate::world::{Client, Outcome, Process, Scene, SshAgent, Way, eventually, noise, run, sha256};

const ALL: &str = "shell,exec,forward-remote,forward-agent,x11";

/// The usual scene; Alice may also do this.
fn scene(allow: &str) -> Scene {
    let scene =
        Scene::at("PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nX11Forwarding yes\nX11UseLocalhost yes\n");
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", allow]);
    scene
}

/// A port of the person that gives back what it is sent, and then its own end.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut back = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut stream, &mut back);
                let _ = back.shutdown(Shutdown::Write);
            });
        }
    });
    port
}

/// Sends this to a port of the host, then the end; what comes back until its end.
fn through(port: u16, sent: Vec<u8>) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut to = stream.try_clone().unwrap();
    let sender = thread::spawn(move || {
        let _ = to.write_all(&sent);
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut back = Vec::new();
    let _ = stream.read_to_end(&mut back);
    sender.join().unwrap();
    back
}

/// A client that forwards this and says `ready` once the host listens: requests are answered before a command runs.
fn forwards(client: &Client, way: Way, options: &[&str]) -> Stay {
    let mut args = vec!["-o", "ExitOnForwardFailure=yes"];
    args.extend(options);
    let stay = client.stay(way, &args, "echo ready; exec cat");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"), "{way:?} {options:?}");
    stay
}

fn events(scene: &Scene, name: &str, kind: &str) -> Vec<Value> {
    scene.broker.events(name).into_iter().filter(|e| e["detail"]["kind"] == kind).collect()
}

#[test]
fn a_port_of_the_host_leads_to_the_person() {
    let scene = scene(ALL);
    let echo = echo();
    for way in Way::BOTH {
        let port = free_port();
        let stay = forwards(&scene.alice, way, &["-R", &format!("{port}:127.0.0.1:{echo}")]);
        assert_eq!(through(port, b"there and back".to_vec()), b"there and back", "{way:?}");
        // Each way at once, and half-closed: what comes back comes after the end of what was sent.
        let all = noise(10 << 20);
        assert_eq!(sha256(&through(port, all.clone())), sha256(&all), "{way:?}");
        let many: Vec<_> = (0..20).map(|n: u32| (n, thread::spawn(move || through(port, n.to_string().into_bytes())))).collect();
        for (n, back) in many {
            assert_eq!(back.join().unwrap(), n.to_string().into_bytes(), "{way:?}");
        }
        drop(stay);
        eventually("the host listens no more", || TcpStream::connect(("127.0.0.1", port)).is_err().then_some(()));
    }
    eventually("the session has ended", || scene.broker.live().is_empty().then_some(()));
    assert_eq!(events(&scene, "forward.opened", "tcpip-forward").len(), 1);
    assert_eq!(events(&scene, "forward.listening", "tcpip-forward").len(), 1);
    let connections = events(&scene, "forward.opened", "forwarded-tcpip");
    assert!(connections.len() >= 22, "{connections:?}");
    assert!(connections.iter().all(|e| e["detail"]["from"].as_str().is_some_and(|from| from.starts_with("127.0.0.1:"))));
}

#[test]
fn a_port_that_the_host_chooses_is_told_and_a_client_without_a_channel_forwards() {
    let scene = scene(ALL);
    let echo = echo();
    for way in Way::BOTH {
        let mut ssh = scene.alice.ssh(&["-v", "-N", "-R", &format!("0:127.0.0.1:{echo}"), way.alias()]);
        ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = ssh.spawn().unwrap();
        let errors = std::io::BufReader::new(child.stderr.take().unwrap());
        let line = std::io::BufRead::lines(errors).map_while(Result::ok).find(|line| line.contains("llocated port")).expect("it is told");
        let port: u16 = line.split("llocated port ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        assert_eq!(through(port, b"chosen".to_vec()), b"chosen", "{way:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn a_socket_of_the_host_leads_to_the_person() {
    let scene = scene(ALL);
    let echo = echo();
    for way in Way::BOTH {
        let path = scene.open_place(way.alias()).join("socket");
        let stay = forwards(&scene.alice, way, &["-R", &format!("{}:127.0.0.1:{echo}", path.display())]);
        let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
        stream.write_all(b"by path").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut back = String::new();
        stream.read_to_string(&mut back).unwrap();
        assert_eq!(back, "by path", "{way:?}");
        drop(stay);
    }
}

#[test]
fn a_cancelled_forward_is_gone_and_the_connection_stays() {
    let scene = scene(ALL);
    let echo = echo();
    for way in Way::BOTH {
        let port = free_port();
        let forward = format!("{port}:127.0.0.1:{echo}");
        let stay = forwards(&scene.alice, way, &["-M"]);
        let control = |what: &str| run(scene.alice.ssh(&["-O", what, "-R", &forward, way.alias()]), "");
        control("forward").ok();
        assert_eq!(through(port, b"on".to_vec()), b"on", "{way:?}");
        control("cancel").ok();
        eventually("the host listens no more", || TcpStream::connect(("127.0.0.1", port)).is_err().then_some(()));
        drop(stay);
    }
    assert_eq!(events(&scene, "forward.cancelled", "cancel-tcpip-forward").len(), 1);
}

#[test]
fn what_the_host_refuses_and_what_is_not_granted_look_the_same_and_the_session_goes_on() {
    let refusing = Scene::at("PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nAllowTcpForwarding no\n");
    refusing.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", ALL]);
    let port = free_port();
    let forward = format!("{port}:127.0.0.1:1");
    let said = |scene: &Scene, way: Way| -> Outcome { scene.alice.exec_with(way, &["-o", "LogLevel=INFO", "-R", &forward], "echo on", "") };
    let straight = said(&refusing, Way::Straight);
    assert!(straight.errors().contains("forwarding failed"), "{straight:?}");
    assert_eq!(straight, said(&refusing, Way::Through));
    let ungranted = scene("shell,exec");
    let through = said(&ungranted, Way::Through);
    assert_eq!((through.status, through.text().as_str()), (Some(0), "on\n"));
    assert!(through.errors().contains("forwarding failed"), "{through:?}");
    assert_eq!(events(&ungranted, "forward.refused", "tcpip-forward").len(), 1);
    assert!(events(&ungranted, "forward.opened", "tcpip-forward").is_empty());
}

#[test]
fn a_withdrawn_grant_ends_what_runs_and_the_host_listens_no_more() {
    let scene = scene("shell,exec");
    let id = scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", "forward-remote"]);
    let echo = echo();
    let port = free_port();
    let mut stay = forwards(&scene.alice, Way::Through, &["-R", &format!("{port}:127.0.0.1:{echo}")]);
    let mut running = TcpStream::connect(("127.0.0.1", port)).unwrap();
    running.write_all(b"x").unwrap();
    let mut back = [0; 1];
    running.read_exact(&mut back).unwrap();
    scene.broker.does(&["grant", "remove", id.trim()]);
    assert!(matches!(running.read(&mut back), Ok(0) | Err(_)), "it has ended");
    eventually("the host listens no more", || TcpStream::connect(("127.0.0.1", port)).is_err().then_some(()));
    // What is still granted goes on.
    let mut types = stay.process.stdin().unwrap();
    writeln!(types, "still here").unwrap();
    assert_eq!(stay.lines.next().as_deref(), Some("still here"));
    assert_eq!(events(&scene, "forward.cancelled", "cancel-tcpip-forward").len(), 1);
}

#[test]
fn a_host_asks_the_agent_where_it_is_granted_and_nowhere_else() {
    let other = scene("shell,exec");
    let scene = scene(ALL);
    let lists = |scene: &Scene, way: Way| {
        let key = Key::new(scene.dir().join(format!("lent-{}", way.alias())));
        let agent = SshAgent::with(scene.dir().join(format!("agent-{}", way.alias())), &key);
        let listed = scene.alice.exec_with(way, &["-A", "-o", &agent.option()], "ssh-add -l", "");
        (listed.text().contains(&key.fingerprint), listed)
    };
    for way in Way::BOTH {
        let (listed, outcome) = lists(&scene, way);
        assert!(listed, "{way:?}: {outcome:?}");
    }
    assert_eq!(events(&scene, "forward.opened", "auth-agent@openssh.com").len(), 1);
    let (listed, outcome) = lists(&other, Way::Through);
    assert!(!listed, "{outcome:?}");
    assert!(events(&other, "forward.opened", "auth-agent@openssh.com").is_empty());
}

#[test]
fn a_window_reaches_the_persons_screen_with_the_cookie_of_that_screen() {
    let scene = scene(ALL);
    for way in Way::BOTH {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let display = listener.local_addr().unwrap().port() - 6000;
        let home = scene.dir().join(format!("x-{}", way.alias()));
        std::fs::create_dir(&home).unwrap();
        let authority = home.join("authority");
        let cookie = "00112233445566778899aabbccddeeff";
        let mut xauth = command("xauth");
        xauth.arg("-f").arg(&authority).args(["add", &format!("127.0.0.1:{display}"), "MIT-MAGIC-COOKIE-1", cookie]);
        run(xauth, "").ok();
        let screen = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Byte order, version 11.0, the lengths of name and cookie, both padded to four (X protocol, "Connection setup").
            let mut setup = [0; 12 + 20 + 16];
            stream.read_exact(&mut setup).unwrap();
            stream.write_all(b"no").unwrap();
            setup.to_vec()
        });
        let script = "import os,socket,subprocess,sys\n\
            d=os.environ['DISPLAY'].split(':')[1].split('.')[0]\n\
            c=bytes.fromhex(subprocess.run(['xauth','list',os.environ['DISPLAY']],capture_output=True,text=True).stdout.split()[2])\n\
            s=socket.create_connection(('127.0.0.1',6000+int(d)))\n\
            s.sendall(b'l\\0\\x0b\\0\\0\\0\\x12\\0\\x10\\0\\0\\0MIT-MAGIC-COOKIE-1\\0\\0'+c)\n\
            print(s.recv(2).decode())\n";
        let mut ssh = scene.alice.ssh(&["-Y", way.alias(), "python3 -"]);
        ssh.env("DISPLAY", format!("127.0.0.1:{display}")).env("XAUTHORITY", &authority);
        let outcome = run(ssh, script);
        assert_eq!(outcome.text(), "no\n", "{way:?}: {outcome:?}");
        let setup = screen.join().unwrap();
        assert_eq!(crate::world::hex(&setup[32..]), cookie, "{way:?}: the screen's own cookie");
    }
    assert_eq!(events(&scene, "forward.opened", "x11").len(), 1);
}

#[test]
fn what_a_host_opens_unasked_is_refused_and_recorded() {
    let scene = scene(ALL);
    let evil = crate::evil::Evil::joins(&scene, "unasked");
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-2", "--allow", ALL]);
    let mut ssh = scene.alice.ssh(&["-l", "web-2", "through", "true"]);
    ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _client = Process::start(ssh);
    assert_eq!(evil.said.next().as_deref(), Some("refused 1800"), "an open that was accepted would be told first");
    assert_eq!(evil.said.next().as_deref(), Some("done"));
    for kind in ["x11", "forwarded-tcpip", "auth-agent@openssh.com", "forwarded-streamlocal@openssh.com", "session", "direct-tcpip"] {
        eventually(kind, || (!events(&scene, "forward.refused", kind).is_empty()).then_some(()));
    }
    let refused = scene.broker.events("forward.refused").len();
    assert!(refused <= 64, "{refused}");
}
