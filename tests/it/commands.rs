//! Commands: what a client sees is what the host said, byte for byte.

use std::io::Read;
use std::process::Stdio;
use std::time::Duration;

use crate::world::{Outcome, Process, Scene, Way, eventually, noise, nonce, sha256};

const MIB: usize = 1024 * 1024;

#[test]
fn exit_statuses_are_the_hosts_own() {
    let scene = Scene::new();
    for status in [0, 1, 2, 126, 254, 255] {
        let outcome = scene.alice.same(&[], &format!("exit {status}"), b"");
        assert_eq!(outcome.status, Some(status), "{outcome:?}");
        assert!(outcome.stderr.is_empty(), "a status of 255 is the host's own here: {outcome:?}");
    }
    let unknown = scene.alice.same(&[], "no-such-command-here", b"");
    assert_eq!(unknown.status, Some(127), "{unknown:?}");
}

#[test]
fn a_command_that_closes_its_output_long_before_it_exits_keeps_its_status() {
    let scene = Scene::new();
    // The client has nothing more to say or to hear and closes the channel; what the command exits with comes after that.
    let outcome = scene.alice.same(&[], "exec >&- 2>&-; sleep 0.4; exit 3", b"");
    assert_eq!(outcome.status, Some(3), "{outcome:?}");
}

#[test]
fn a_command_that_a_signal_ends_looks_the_same() {
    let scene = Scene::new();
    for signal in ["TERM", "KILL", "SEGV", "HUP"] {
        let outcome = scene.alice.same(&[], &format!("kill -{signal} $$"), b"");
        assert_eq!(outcome.status, Some(255), "{signal}: {outcome:?}");
    }
}

#[test]
fn standard_error_is_kept_apart() {
    let scene = Scene::new();
    let outcome = scene.alice.same(&[], "printf out; printf err >&2; printf ' more'; printf ' more' >&2; exit 3", b"");
    assert_eq!(outcome, Outcome { status: Some(3), signal: None, stdout: b"out more".to_vec(), stderr: b"err more".to_vec() });
    // Enough of both that each needs its window more than once.
    let outcome = scene.alice.same(&[], "head -c 6000000 /dev/zero & head -c 6000000 /dev/zero | tr '\\0' e >&2; wait", b"");
    assert_eq!((outcome.stdout.len(), outcome.stderr.len()), (6_000_000, 6_000_000));
    assert!(outcome.stderr.iter().all(|b| *b == b'e'));
}

#[test]
fn the_command_arrives_as_it_was_written() {
    let scene = Scene::new();
    let outcome = scene.alice.same(&[], "printf '%s|' 'a b' \"$HOME\" \\\\ '*' \"'\" \u{e9} \"$(echo hi)\" '; exit 9'", b"");
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    assert!(outcome.text().starts_with("a b|/"), "{outcome:?}");
}

#[test]
fn binary_data_arrives_whole_in_both_directions_at_once() {
    let scene = Scene::new();
    let sent = noise(64 * MIB);
    let digest = sha256(&sent);
    for way in Way::BOTH {
        let outcome = scene.alice.exec_within(Duration::from_secs(120), way, &[], "cat", sent.clone());
        assert_eq!((outcome.status, outcome.stdout.len()), (Some(0), sent.len()), "{way:?}");
        assert_eq!(sha256(&outcome.stdout), digest, "{way:?}: the bytes came back changed");
        assert!(outcome.stderr.is_empty());
    }
}

#[test]
fn binary_data_arrives_whole_up_and_down() {
    let scene = Scene::new();
    let sent = noise(64 * MIB);
    let digest = sha256(&sent);
    let place = scene.open_place("files");
    let file = place.join("down");
    std::fs::write(&file, &sent).unwrap();
    crate::world::open_to_all(&file, 0o644);
    for way in Way::BOTH {
        let up = scene.alice.exec_with(way, &[], "sha256sum", sent.clone()).ok();
        assert_eq!(up.text(), format!("{digest}  -\n"), "{way:?}");
        let down = scene.alice.exec(way, &format!("cat {}", file.display())).ok();
        assert_eq!(sha256(&down.stdout), digest, "{way:?}");
    }
}

#[test]
fn the_end_of_input_arrives_and_output_still_comes() {
    let scene = Scene::new();
    let outcome = scene.alice.same(&[], "cat; echo after the end; exit 4", b"x\n");
    assert_eq!((outcome.status, outcome.text().as_str()), (Some(4), "x\nafter the end\n"));
    let outcome = scene.alice.same(&[], "wc -c", b"");
    assert_eq!(outcome.text().trim(), "0");
}

#[test]
fn a_host_that_closes_its_output_still_takes_input() {
    let scene = Scene::new();
    let input = noise(3 * MIB);
    let outcome = scene.alice.same(&[], "echo out; exec >&-; cat | sha256sum >&2; exit 6", &input);
    assert_eq!((outcome.status, outcome.text().as_str()), (Some(6), "out\n"));
    assert_eq!(outcome.errors(), format!("{}  -\n", sha256(&input)));
}

#[test]
fn input_that_nobody_reads_does_not_hold_up_the_end() {
    let scene = Scene::new();
    // More than every window and buffer on the way together.
    let outcome = scene.alice.same(&[], "echo done; exit 5", &noise(48 * MIB));
    assert_eq!((outcome.status, outcome.text().as_str()), (Some(5), "done\n"));
}

#[test]
fn a_client_that_stops_reading_stops_the_host() {
    let scene = Scene::new();
    for way in Way::BOTH {
        let mark = nonce(20);
        let mut ssh = scene.alice.ssh(&[way.alias(), &format!("exec yes {mark}")]);
        ssh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut client = Process::start(ssh);
        let mut output = client.stdout();
        let mut first = vec![0; 1000];
        output.read_exact(&mut first).unwrap();
        assert_eq!(running(&mark), 1, "{way:?}");
        // As `ssh host yes | head` does.
        drop(output);
        eventually(&format!("{way:?}: the host's command has ended"), || (running(&mark) == 0).then_some(()));
        let _ = client.wait();
    }
}

#[test]
fn the_environment_that_the_host_accepts_arrives_and_no_other() {
    let scene = Scene::new();
    let options = ["-o", "SetEnv=LC_KEYWARD=\"a b\" KEYWARD_TEST=yes NOT_ACCEPTED=1"];
    let outcome = scene.alice.same(&options, "printf '%s|%s|%s' \"$LC_KEYWARD\" \"$KEYWARD_TEST\" \"$NOT_ACCEPTED\"", b"");
    assert_eq!(outcome.text(), "a b|yes|", "{outcome:?}");
}

#[test]
fn three_hundred_megabytes_pass_a_fast_reader_and_a_slow_one() {
    let scene = Scene::new();
    let file = scene.dir().join("noise");
    let sent = noise(300_000_000);
    let digest = sha256(&sent);
    std::fs::write(&file, &sent).unwrap();
    drop(sent);
    // A slow reader takes a piece at a time and rests, so that every buffer on the way is full.
    for rest in [Duration::ZERO, Duration::from_micros(1500)] {
        let mut ssh = scene.alice.ssh(&["through", "cat"]);
        ssh.stdin(std::fs::File::open(&file).unwrap()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut client = Process::start(ssh);
        let mut output = client.stdout();
        let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        let (mut piece, mut taken) = (vec![0; 64 * 1024], 0);
        loop {
            match output.read(&mut piece).unwrap() {
                0 => break,
                n => {
                    hash.update(&piece[..n]);
                    taken += n;
                }
            }
            std::thread::sleep(rest);
        }
        assert_eq!(
            (taken, crate::world::hex(hash.finish().as_ref())),
            (300_000_000, digest.clone()),
            "a rest of {rest:?} after each piece"
        );
        assert_eq!(client.wait().code(), Some(0));
    }
}

/// How many processes run `yes MARK`.
fn running(mark: &str) -> usize {
    let wanted = format!("yes\0{mark}\0");
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.filter(|e| std::fs::read(e.path().join("cmdline")).is_ok_and(|line| line == wanted.as_bytes())).count()
}
