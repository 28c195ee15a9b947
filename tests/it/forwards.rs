//! Connections through a host: `-L`, `-D`, `-W`, straight and through the broker, and what is not granted.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::world::account::NAME;
use crate::world::broker::Settings;
use crate::world::fake::Gate;
use crate::world::process::{command, run_within};
use crate::world::sshd::free_port;
use crate::world::{Outcome, PATIENCE, Process, Scene, Way, eventually, noise, open_to_all, peer_script, python, run, sha256};

/// Serves every connection in a thread of its own, for as long as the test runs.
fn serve(with: fn(TcpStream)) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || with(stream));
        }
    });
    port
}

/// Gives back what comes, to its end.
fn echo(mut stream: TcpStream) {
    let mut back = stream.try_clone().unwrap();
    let _ = std::io::copy(&mut stream, &mut back);
    let _ = back.shutdown(Shutdown::Write);
}

/// Alice may forward, too; the grant's id.
fn granted(scene: &Scene) -> String {
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "*", "--allow", "forward-local"]).trim().to_owned()
}

/// `ssh -N` with these options, which stays.
fn stays(scene: &Scene, way: Way, options: &[&str]) -> Process {
    let mut args = vec!["-N", "-o", "ExitOnForwardFailure=yes"];
    args.extend(options);
    args.push(way.alias());
    let mut ssh = scene.alice.ssh(&args);
    ssh.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    Process::start(ssh)
}

/// Connects once somebody listens there.
fn dial(port: u16) -> TcpStream {
    let stream = eventually("the client listens", || TcpStream::connect(("127.0.0.1", port)).ok());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A local port that leads to `to`.
fn led(scene: &Scene, way: Way, to: &str) -> (Process, u16) {
    let port = free_port();
    let ssh = stays(scene, way, &["-L", &format!("{port}:{to}")]);
    (ssh, port)
}

fn all(mut stream: &TcpStream) -> Vec<u8> {
    let mut out = Vec::new();
    stream.read_to_end(&mut out).unwrap();
    out
}

#[test]
fn a_port_and_a_socket_are_reached_without_a_session_channel() {
    let scene = Scene::new();
    granted(&scene);
    let echoes = serve(echo);
    let path = scene.open_place("socket").join("echo");
    let listener = UnixListener::bind(&path).unwrap();
    open_to_all(&path, 0o777);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut back = stream.try_clone().unwrap();
            let _ = std::io::copy(&mut stream, &mut back);
            let _ = back.shutdown(Shutdown::Write);
        }
    });
    for way in Way::BOTH {
        for to in [format!("127.0.0.1:{echoes}"), format!("localhost:{echoes}"), path.display().to_string()] {
            let (_ssh, port) = led(&scene, way, &to);
            let mut stream = dial(port);
            stream.write_all(b"there and back").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!(all(&stream), b"there and back", "{way:?} {to}");
        }
    }
    eventually("its sessions end with their clients", || scene.broker.live().is_empty().then_some(()));
    for session in scene.broker.sessions() {
        assert_eq!((session["bytes_in"].as_u64(), session["bytes_out"].as_u64()), (Some(14), Some(14)), "{session}");
    }
    let audit = scene.broker.audit();
    let of = |name: &str| audit.iter().filter(|e| e["event"] == name).collect::<Vec<_>>();
    let destinations: Vec<&str> = of("forward.opened").iter().map(|e| e["detail"]["destination"].as_str().unwrap()).collect();
    for to in [format!("127.0.0.1:{echoes}"), format!("localhost:{echoes}"), path.display().to_string()] {
        assert!(destinations.contains(&to.as_str()), "{to}: {destinations:?}");
    }
    let tcp = of("forward.opened").into_iter().find(|e| e["detail"]["kind"] == "direct-tcpip").unwrap();
    assert!(tcp["detail"]["originator"].as_str().is_some_and(|o| o.contains("127.0.0.1") || o.contains("::1")), "{tcp}");
    assert!(tcp["host"] == "web-1" && tcp["actor"] == "alice" && tcp["session"].is_string(), "{tcp}");
    assert!(of("forward.ended").iter().all(|e| e["detail"]["bytes_in"] == 14 && e["detail"]["bytes_out"] == 14));
}

#[test]
fn each_side_can_end_first_and_still_hear_the_other() {
    let scene = Scene::new();
    granted(&scene);
    static HEARD: AtomicUsize = AtomicUsize::new(0);
    // Says its own end at once, and hears on.
    let speaks_first = serve(|mut stream| {
        stream.write_all(b"all that I have").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        HEARD.fetch_add(heard.len(), Ordering::SeqCst);
    });
    let hears_first = serve(|mut stream| {
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        stream.write_all(sha256(&heard).as_bytes()).unwrap();
    });
    let sent = noise(3_000_000);
    for way in Way::BOTH {
        let (_ssh, port) = led(&scene, way, &format!("127.0.0.1:{hears_first}"));
        let mut stream = dial(port);
        stream.write_all(&sent).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(all(&stream), sha256(&sent).as_bytes(), "{way:?}");

        let (_ssh, port) = led(&scene, way, &format!("127.0.0.1:{speaks_first}"));
        let mut stream = dial(port);
        assert_eq!(all(&stream), b"all that I have", "{way:?}");
        // The host has said its end, and still takes what comes.
        stream.write_all(&sent).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let before = if way == Way::Straight { 0 } else { sent.len() };
        eventually("all of it arrives", || (HEARD.load(Ordering::SeqCst) == before + sent.len()).then_some(()));
    }
    eventually("what was sent after the host's end arrived", || {
        let arrived = |e: &serde_json::Value| e["event"] == "forward.ended" && e["detail"]["bytes_out"] == 15;
        scene.broker.audit().iter().any(|e| arrived(e) && e["detail"]["bytes_in"] == 3_000_000).then_some(())
    });
}

#[test]
fn a_hundred_megabytes_go_both_ways_at_once_unchanged() {
    let scene = Scene::new();
    granted(&scene);
    let echoes = serve(echo);
    let sent = noise(100 << 20);
    for way in Way::BOTH {
        let (_ssh, port) = led(&scene, way, &format!("127.0.0.1:{echoes}"));
        let stream = dial(port);
        stream.set_read_timeout(None).unwrap();
        stream.set_write_timeout(None).unwrap();
        let (mut up, bytes) = (stream.try_clone().unwrap(), sent.clone());
        let writer = thread::spawn(move || {
            up.write_all(&bytes).unwrap();
            up.shutdown(Shutdown::Write).unwrap();
        });
        let back = all(&stream);
        writer.join().unwrap();
        assert_eq!((back.len(), sha256(&back)), (sent.len(), sha256(&sent)), "{way:?}");
    }
}

#[test]
fn fifty_at_once_share_one_connection_and_one_that_nobody_reads_holds_up_none() {
    let scene = Scene::new();
    granted(&scene);
    let echoes = serve(echo);
    for way in Way::BOTH {
        let (_ssh, port) = led(&scene, way, &format!("127.0.0.1:{echoes}"));
        let stalled = dial(port);
        let mut flood = stalled.try_clone().unwrap();
        thread::spawn(move || {
            let _ = flood.write_all(&vec![7; 64 << 20]);
        });
        let mut open: Vec<TcpStream> = (0..50).map(|_| dial(port)).collect();
        for (i, stream) in open.iter_mut().enumerate() {
            stream.write_all(format!("number {i}").as_bytes()).unwrap();
        }
        for (i, stream) in open.iter().enumerate() {
            stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!(all(stream), format!("number {i}").as_bytes(), "{way:?}");
        }
        stalled.shutdown(Shutdown::Both).unwrap();
    }
    assert_eq!(scene.broker.sessions().len(), 1);
}

/// `ssh -W` to the end, as somebody sees it.
fn through(scene: &Scene, way: Way, to: &str) -> Outcome {
    run_within(PATIENCE * 2, scene.alice.ssh(&["-o", "LogLevel=INFO", "-W", to, way.alias()]), "")
}

#[test]
fn what_the_host_says_of_a_destination_is_passed_on() {
    let scene = Scene::new();
    granted(&scene);
    let banner = serve(|mut stream| stream.write_all(b"hello from behind the host\n").unwrap());
    let closed = free_port();
    for to in [format!("127.0.0.1:{banner}"), format!("127.0.0.1:{closed}"), "no-such-name.invalid:80".to_owned()] {
        let [straight, through] = Way::BOTH.map(|way| through(&scene, way, &to));
        assert_eq!(straight, through, "{to}");
    }
    assert_eq!(through(&scene, Way::Through, &format!("127.0.0.1:{banner}")).text(), "hello from behind the host\n");
    let failed = scene.broker.audit();
    let failed = failed.iter().find(|e| e["event"] == "forward.ended" && e["outcome"] == "failure").unwrap();
    assert_eq!(failed["detail"]["destination"], format!("127.0.0.1:{closed}"));
    assert!(failed["reason"].as_str().unwrap().contains("refused"), "{failed}");
}

#[test]
fn a_host_that_lets_nobody_forward_refuses_it_as_ever() {
    let scene = Scene::at("PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nAllowTcpForwarding no\n");
    granted(&scene);
    let echoes = serve(echo);
    let [straight, through] = Way::BOTH.map(|way| through(&scene, way, &format!("127.0.0.1:{echoes}")));
    assert_eq!(straight, through);
    assert!(through.errors().contains("administratively prohibited"), "{through:?}");
}

#[test]
fn what_is_not_granted_is_refused_by_name_and_recorded() {
    let scene = Scene::new();
    let echoes = serve(echo);
    for to in [format!("127.0.0.1:{echoes}"), "web-9.example:5432".to_owned()] {
        let outcome = through(&scene, Way::Through, &to);
        assert_ne!(outcome.status, Some(0));
        assert!(outcome.errors().contains("keyward: forward-local is not granted to you here; granted: shell,exec,sftp"), "{outcome:?}");
        let audit = scene.broker.audit();
        let refused = audit.iter().rfind(|e| e["event"] == "forward.refused").unwrap();
        assert!(refused["outcome"] == "denied" && refused["detail"]["destination"] == to.as_str(), "{refused}");
        assert!(!audit.iter().any(|e| e["event"] == "forward.opened"));
    }
    // The session itself lives on: what is refused is the channel alone.
    let (mut ssh, port) = led(&scene, Way::Through, &format!("127.0.0.1:{echoes}"));
    assert_eq!(all(&dial(port)), b"");
    assert_eq!(all(&dial(port)), b"");
    assert!(ssh.runs());
    // On a host that is not theirs, whether it is there or not, they read the same.
    let said = |host: &str| {
        let ssh = scene.alice.ssh(&["-o", "LogLevel=INFO", "-l", host, "-W", &format!("127.0.0.1:{echoes}"), "through"]);
        run(ssh, "").errors().replace(host, "HOST")
    };
    scene.broker.does(&["host", "add", "web-2", &scene.host.address(), "--host-key", &scene.host.host_key.public]);
    assert_eq!(said("web-2"), said("web-3"));
    assert!(said("web-2").contains("open failed: administratively prohibited: keyward: "), "{}", said("web-2"));
}

#[test]
fn a_grant_that_is_withdrawn_ends_what_it_opened_and_nothing_else() {
    let scene = Scene::new();
    let grant = granted(&scene);
    let echoes = serve(echo);
    let port = free_port();
    let way = ["-L", &format!("{port}:127.0.0.1:{echoes}")];
    let stay = scene.alice.stay(Way::Through, &way, "echo ready; read line; echo \"$line\"");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"));
    let mut stream = dial(port);
    stream.write_all(b"x").unwrap();
    stream.read_exact(&mut [0]).unwrap();
    scene.broker.does(&["grant", "remove", &grant]);
    assert_eq!(all(&stream), b"", "the forward ends");
    let ended = eventually("its end is recorded", || scene.broker.audit().into_iter().find(|e| e["event"] == "forward.ended"));
    assert_eq!(ended["reason"], "forward-local is not granted to you here any more");
    assert_eq!(all(&dial(port)), b"", "no other one is opened");
    let mut stay = stay;
    stay.process.stdin().unwrap().write_all(b"still here\n").unwrap();
    assert_eq!(stay.lines.next().as_deref(), Some("still here"));
    assert_eq!(stay.end().0, Some(0), "its neighbour ended as it wanted to");
}

#[test]
fn a_browser_goes_through_the_host() {
    let scene = Scene::new();
    granted(&scene);
    let page = serve(|mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\na page");
    });
    for way in Way::BOTH {
        let port = free_port();
        let _ssh = stays(&scene, way, &["-D", &port.to_string()]);
        drop(dial(port));
        for url in [format!("http://localhost:{page}/"), format!("http://127.0.0.1:{page}/")] {
            let mut curl = command("curl");
            curl.args(["-sS", "--max-time", "60", "--noproxy", "", "--socks5-hostname", &format!("127.0.0.1:{port}"), &url]);
            assert_eq!(run_within(Duration::from_secs(90), curl, "").ok().text(), "a page", "{way:?} {url}");
        }
    }
}

#[test]
fn a_shared_connection_takes_forwards_later() {
    let scene = Scene::new();
    granted(&scene);
    let echoes = serve(echo);
    for way in Way::BOTH {
        let master = scene.alice.stay(way, &["-o", "ControlMaster=yes"], "echo ready; cat");
        assert_eq!(master.lines.next().as_deref(), Some("ready"));
        let port = free_port();
        let to = format!("{port}:127.0.0.1:{echoes}");
        run(scene.alice.ssh(&["-O", "forward", "-L", &to, way.alias()]), "").ok();
        let mut stream = dial(port);
        stream.write_all(b"later").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(all(&stream), b"later", "{way:?}");
        run(scene.alice.ssh(&["-O", "cancel", "-L", &to, way.alias()]), "").ok();
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "{way:?}");
    }
    assert_eq!(scene.broker.sessions().len(), 1);
}

#[test]
fn a_forward_waits_for_a_host_that_is_still_dialled() {
    let scene = Scene::new();
    granted(&scene);
    let banner = serve(|mut stream| stream.write_all(b"at last\n").unwrap());
    let gate = Gate::before(scene.host.port);
    scene.broker.does(&["host", "add", "slow", &gate.address(), "--credential", "deploy", "--host-key", &scene.host.host_key.public]);
    let mut ssh = scene.alice.ssh(&["-l", "slow", "-W", &format!("127.0.0.1:{banner}"), "through"]);
    ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut ssh = Process::start(ssh);
    let lines = ssh.lines();
    gate.arrived();
    gate.open();
    assert_eq!(lines.next().as_deref(), Some("at last"));
}

#[test]
fn without_a_host_there_is_nothing_to_go_through() {
    let scene = Scene::new();
    granted(&scene);
    let outcome = run(scene.alice.ssh(&["-o", "LogLevel=INFO", "-l", "alice", "-W", "192.0.2.1:9", "through"]), "");
    assert!(
        outcome.status != Some(0) && outcome.errors().contains("keyward: a connection under your own name leads to a host"),
        "{outcome:?}"
    );
}

#[test]
fn they_take_places_among_the_channels_of_their_connection() {
    let scene = Scene::with(Settings { config: "[limits]\nchannels = 2\n".to_owned(), ..Settings::default() });
    granted(&scene);
    let (_ssh, port) = led(&scene, Way::Through, &format!("127.0.0.1:{}", serve(echo)));
    let mut open: Vec<TcpStream> = (0..2).map(|_| dial(port)).collect();
    for stream in &mut open {
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
    }
    assert_eq!(all(&dial(port)), b"", "there is no third place");
    drop(open);
    eventually("the places are free again", || {
        let mut stream = dial(port);
        stream.write_all(b"y").ok()?;
        stream.read_exact(&mut [0]).ok()
    });
}

#[test]
fn a_tunnel_is_refused_once_and_the_session_beside_it_goes_on() {
    let scene = Scene::new();
    // `ssh -w` makes a device of its own for it, which not every machine has, and takes a second refusal for the end of the connection.
    for way in Way::BOTH {
        let (port, user, key) = match way {
            Way::Straight => (scene.host.port, NAME, &scene.alice.own),
            Way::Through => (scene.broker.port(), "web-1", &scene.alice.key),
        };
        let mut program = command(python());
        program.arg(peer_script("tunnel_asked.py")).args([&port.to_string(), user]).arg(&key.path);
        assert_eq!(run(program, "").ok().text(), "['refused'] goes on 3\n", "{way:?}");
    }
}
