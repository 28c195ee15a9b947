//! Many clients, most of them up to no good.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};

use crate::world::process::command;
use crate::world::{Scene, Way, run, tool};

/// A connection to the broker from this address of the loopback network.
fn from(address: Ipv4Addr, port: u16) -> TcpStream {
    let fd: OwnedFd = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    bind(&fd, &SocketAddr::from((address, 0))).unwrap();
    connect(&fd, &SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
    TcpStream::from(fd)
}

#[test]
fn hundreds_of_silent_sockets_do_not_hold_up_a_sign_in() {
    let scene = Scene::new();
    scene.alice.exec(Way::Through, "true").ok();
    // No more than a process may open by default.
    let silent: Vec<TcpStream> =
        (0..500).map(|i| from(Ipv4Addr::new(127, 0, 1, 1 + u8::try_from(i % 4).unwrap()), scene.broker.port())).collect();
    let begun = Instant::now();
    scene.alice.exec(Way::Through, "true").ok();
    assert!(begun.elapsed() < Duration::from_secs(3), "it took {:?}", begun.elapsed());
    drop(silent);
}

#[test]
fn one_address_that_takes_every_place_shuts_nobody_else_out() {
    let scene =
        Scene::with(crate::world::broker::Settings { config: "[limits]\nconnections_per_address = 20\n".to_owned(), ..Default::default() });
    let greedy: Vec<TcpStream> = (0..200).map(|_| from(Ipv4Addr::new(127, 0, 2, 1), scene.broker.port())).collect();
    scene.alice.exec(Way::Through, "true").ok();
    drop(greedy);
}

#[test]
fn a_broker_without_file_descriptors_recovers() {
    let scene = Scene::new();
    let mut limit = command(tool("/usr/bin/prlimit"));
    limit.args(["--nofile=100:100", "--pid", &scene.broker.id().to_string()]);
    run(limit, "").ok();
    let greedy: Vec<TcpStream> = (0..150).map(|_| from(Ipv4Addr::new(127, 0, 3, 1), scene.broker.port())).collect();
    let cpu = cpu_time(scene.broker.id());
    // Nothing to wait for: the question is what it does meanwhile.
    std::thread::sleep(Duration::from_secs(1));
    let burnt = cpu_time(scene.broker.id()) - cpu;
    assert!(burnt < 50, "without descriptors it burns {burnt} % of a processor");
    drop(greedy);
    scene.alice.exec(Way::Through, "true").ok();
}

/// Processor time of a process in hundredths of a second.
fn cpu_time(id: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}
