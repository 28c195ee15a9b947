//! Many channels on one connection, and key exchanges in the middle of a transfer.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::world::client::Stay;
use crate::world::{Process, Scene, Way, eventually, noise, sha256};

/// A connection that others share.
fn master(scene: &Scene, way: Way) -> Stay {
    let master = scene.alice.stay(way, &["-o", "ControlMaster=yes"], "echo ready; cat");
    assert_eq!(master.lines.next().as_deref(), Some("ready"), "{:?}", master.end());
    master
}

#[test]
fn twenty_channels_share_one_connection_and_one_sign_in() {
    let scene = Scene::new();
    let _master = master(&scene, Way::Through);
    let mut channels: Vec<Stay> =
        (0..20).map(|i| scene.alice.stay(Way::Through, &[], &format!("echo open {i}; read line; echo $line; exit {i}"))).collect();
    // All are open before the first one ends.
    for (i, channel) in channels.iter().enumerate() {
        assert_eq!(channel.lines.next(), Some(format!("open {i}")));
    }
    let session = scene.broker.only_session();
    assert!(session["ended_at"].is_null(), "{session}");
    for (i, channel) in channels.iter_mut().enumerate() {
        let mut stdin = channel.process.stdin().unwrap();
        writeln!(stdin, "to {i}").unwrap();
    }
    for (i, channel) in channels.into_iter().enumerate() {
        assert_eq!(channel.lines.next(), Some(format!("to {i}")));
        assert_eq!(channel.end().0, i32::try_from(i).ok());
    }
    assert_eq!(scene.host.sign_ins_with(&scene.deploy), 1, "{}", scene.host.log());
    assert_eq!(scene.broker.sessions().len(), 1, "one connection is one session");
}

#[test]
fn a_channel_that_nobody_reads_does_not_hold_up_another() {
    let scene = Scene::new();
    let _master = master(&scene, Way::Through);
    let mut stalled = scene.alice.ssh(&["through", "cat /dev/zero"]);
    stalled.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut stalled = Process::start(stalled);
    let mut output = stalled.stdout();
    output.read_exact(&mut [0; 1000]).unwrap();
    // Nobody reads any further: soon nothing moves any more.
    let mut before = None;
    eventually("the channel is stalled", || {
        std::thread::sleep(Duration::from_millis(200));
        let now = scene.broker.only_session()["bytes_out"].as_u64();
        (before.replace(now) == Some(now)).then_some(())
    });
    for _ in 0..5 {
        let begun = Instant::now();
        let outcome = scene.alice.exec(Way::Through, "head -c 3000000 /dev/zero | wc -c; cat /etc/hostname").ok();
        assert!(outcome.text().starts_with("3000000\n"));
        assert!(begun.elapsed() < Duration::from_secs(5), "beside a stalled channel it took {:?}", begun.elapsed());
    }
    assert!(stalled.runs());
    drop(output);
}

#[test]
fn a_stalled_upload_does_not_hold_up_another_channel() {
    let scene = Scene::new();
    let _master = master(&scene, Way::Through);
    let mut stalled = scene.alice.ssh(&["through", "echo stalled; exec sleep 1000"]);
    stalled.stdin(std::fs::File::open("/dev/zero").unwrap()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut stalled = Process::start(stalled);
    assert_eq!(stalled.lines().next().as_deref(), Some("stalled"));
    let sent = noise(5_000_000);
    let outcome = scene.alice.exec_with(Way::Through, &[], "sha256sum", sent.clone()).ok();
    assert_eq!(outcome.text(), format!("{}  -\n", sha256(&sent)));
    assert!(stalled.runs());
}

#[test]
fn key_exchanges_in_the_middle_of_a_transfer_lose_nothing() {
    let scene = Scene::at("RekeyLimit 1M\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n");
    let sent = noise(48_000_000);
    let digest = sha256(&sent);
    for way in Way::BOTH {
        let outcome = scene.alice.exec_within(Duration::from_secs(120), way, &["-o", "RekeyLimit=1M"], "cat", sent.clone());
        assert_eq!((outcome.status, sha256(&outcome.stdout)), (Some(0), digest.clone()), "{way:?}: {}", outcome.errors());
        let up = scene.alice.exec_within(Duration::from_secs(120), way, &["-o", "RekeyLimit=1M"], "sha256sum", sent.clone()).ok();
        assert_eq!(up.text(), format!("{digest}  -\n"), "{way:?}");
    }
    // Some of the key exchanges must have happened, or the test proves nothing.
    let outcome =
        scene.alice.exec_with(Way::Through, &["-v", "-o", "LogLevel=DEBUG1", "-o", "RekeyLimit=1M"], "cat", noise(5_000_000)).ok();
    assert!(outcome.errors().matches("SSH2_MSG_NEWKEYS received").count() > 3, "{}", outcome.errors());
}

#[test]
fn no_exit_status_is_lost_among_many() {
    let scene = Scene::new();
    let _master = master(&scene, Way::Through);
    // Four at a time, because what is lost is lost in a race.
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let alice = scene.alice.clone();
            scope.spawn(move || {
                for i in 0..60 {
                    let status = 1 + (worker * 60 + i) % 250;
                    let outcome = alice.exec(Way::Through, &format!("head -c {} /dev/zero; exit {status}", i * 1000));
                    assert_eq!(
                        (outcome.status, outcome.stdout.len()),
                        (Some(status), usize::try_from(i).unwrap() * 1000),
                        "{i}: {outcome:?}"
                    );
                }
            });
        }
    });
}

#[test]
fn no_exit_status_is_lost_on_connections_of_their_own() {
    let scene = Scene::new();
    std::thread::scope(|scope| {
        for worker in 0..3 {
            let alice = scene.alice.clone();
            scope.spawn(move || {
                for i in 0..15 {
                    let status = 1 + worker * 15 + i;
                    let outcome = alice.exec_with(Way::Through, &[], &format!("cat; exit {status}"), vec![b'x'; 3000]);
                    assert_eq!((outcome.status, outcome.stdout.len()), (Some(status), 3000), "{i}: {outcome:?}");
                }
            });
        }
    });
}
