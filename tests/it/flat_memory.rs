//! A slow reader of a large download costs the broker no memory. This test takes a minute, on purpose.

use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::world::{Process, Scene, Way};

/// The broker may grow by this much while 10 GiB wait behind a reader of 1 MiB/s.
const MOST_KIB: u64 = 16 * 1024;

#[test]
fn ten_gibibytes_to_a_slow_reader_leave_the_brokers_memory_flat() {
    let scene = Scene::new();
    // What the first session needs at all is not the question.
    scene.alice.exec(Way::Through, "head -c 50000000 /dev/zero").ok();
    let before = resident(scene.broker.id());
    let mut ssh = scene.alice.ssh(&["through", "head -c 10G /dev/zero"]);
    ssh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut client = Process::start(ssh);
    let mut output = client.stdout();
    let begun = Instant::now();
    let (mut most, mut taken) = (before, 0_u64);
    let mut piece = vec![0; 64 * 1024];
    while begun.elapsed() < Duration::from_secs(60) {
        let n = output.read(&mut piece).unwrap();
        assert_ne!(n, 0, "the download ended early");
        taken += n as u64;
        most = most.max(resident(scene.broker.id()));
        // 1 MiB/s: the reader rests until it is due again.
        let due = begun + Duration::from_micros(taken * 1_000_000 / (1024 * 1024));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    assert!(taken > 50 * 1024 * 1024, "only {taken} bytes in a minute");
    assert!(most < before + MOST_KIB, "the broker grew from {before} KiB to {most} KiB");
    // Not only the broker: what the host could send ahead is bounded, too.
    let sent = scene.broker.live()[0]["bytes_out"].as_u64().unwrap();
    assert!(sent < taken + 64 * 1024 * 1024, "{sent} bytes were taken from the host for {taken} that were read");
}

/// Resident memory in KiB.
fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    status.lines().find_map(|l| l.strip_prefix("VmRSS:")).and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap()
}
