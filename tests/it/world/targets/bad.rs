//! Hosts on which commands hang, and hosts that die while one runs.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use super::door::Handle;
use super::place::{Base, name_of};
use super::{Plan, Target};
use crate::world::PATIENCE;
use crate::world::process::{pid, tree};

/// The commands that hang on a slow host. `ss` says one line first.
pub(crate) const SLOW: [&str; 3] = ["/usr/bin/dpkg-query", "/usr/bin/ss", "/usr/sbin/sshd"];

/// What a slow host offers against commands that hang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slow {
    /// `timeout`, as coreutils have it.
    WithTimeout,
    /// There is no `timeout`.
    WithoutTimeout,
}

impl Target {
    /// A Debian on which the commands of [`SLOW`] hang for ten minutes and ignore SIGTERM, SIGINT, SIGHUP and SIGPIPE, and on which
    /// nobody ever writes into the pipe `/etc/motd.fifo`. `root` and `visitor` (no rights) sign in with a key.
    #[track_caller]
    pub(crate) fn slow(dir: &Path, slow: Slow) -> Self {
        let mut plan = Plan::debian(dir);
        let key = plan.key("key");
        plan.root_key(&key);
        plan.keyed("visitor", "/bin/sh", &key);
        // The server must not hang itself: it is another file.
        let server = "/usr/local/lib/keyward/sshd";
        plan.layer.file(server, 0o755, std::fs::read(Base::Debian.folder().join("usr/sbin/sshd")).expect("sshd"));
        plan.sshd = server;
        for command in SLOW {
            let line = if command == "/usr/bin/ss" { "echo 'tcp LISTEN 0 128 127.0.0.1:22 0.0.0.0:*'\n" } else { "" };
            plan.layer.file(command, 0o755, format!("#!/bin/sh\ntrap '' HUP INT PIPE TERM\n{line}exec sleep 600\n"));
        }
        plan.setup.push_str("mkfifo -m 644 /etc/motd.fifo\n");
        if slow == Slow::WithoutTimeout {
            plan.setup.push_str("rm /usr/bin/timeout\n");
        }
        plan.start()
    }
}

/// How a host dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    /// The session's server processes are killed; the host takes new connections.
    Session,
    /// All of it at once.
    Power,
    /// The connection is broken off on the way.
    Cut,
    /// From now on nothing passes on the way, and nobody is told.
    Silence,
}

impl Death {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Session, Self::Power, Self::Cut, Self::Silence];
}

/// A host that dies when a certain command runs.
#[derive(Debug)]
pub(crate) struct Dying {
    wake: File,
    watch: Option<JoinHandle<()>>,
    happened: Mutex<Receiver<()>>,
    /// The host.
    pub(crate) target: Target,
}

impl Dying {
    /// Waits until it has died.
    #[track_caller]
    pub(crate) fn happened(&self) {
        self.happened.lock().expect("one waits").recv_timeout(PATIENCE).expect("the command runs and the host dies");
    }
}

impl Drop for Dying {
    fn drop(&mut self) {
        let _ = self.wake.write_all(b"stop\n");
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
    }
}

impl Target {
    /// A Debian that dies like this in the middle of `command` (a path like `/usr/bin/dpkg-query`): that gives two lines of its true
    /// output first, and they and everything before them reach the client. `root` and `visitor` (no rights) sign in with a key. It dies each time, unless it is dead.
    #[track_caller]
    pub(crate) fn dies(dir: &Path, death: Death, command: &str) -> Dying {
        let mut plan = Plan::debian(dir);
        let key = plan.key("key");
        plan.root_key(&key);
        plan.keyed("visitor", "/bin/sh", &key);
        let honest = "/usr/local/lib/keyward/honest";
        let original = Base::Debian.folder().join(command.trim_start_matches('/'));
        plan.layer.file(honest, 0o755, std::fs::read(&original).expect("the command"));
        // It goes on writing nothing until it is killed: the connection breaks before it ends.
        let wrapper = format!("#!/bin/sh\n{honest} \"$@\" | head -n 2\necho die >/run/keyward.deed\nexec sleep 600\n");
        plan.layer.file(command, 0o755, wrapper);
        plan.setup.push_str("mkfifo -m 666 /run/keyward.deed\n");
        let target = plan.start();
        // Opened for both, so that opening waits for nobody and reading never comes to an end.
        let pipe = target.place.path("/run/keyward.deed");
        let deeds = File::options().read(true).write(true).open(pipe).expect("the pipe");
        let wake = deeds.try_clone().expect("dup");
        let (happen, happened) = channel();
        let (init, door) = (target.place.init(), target.door.handle());
        let watch = std::thread::spawn(move || {
            for line in BufReader::new(deeds).lines().map_while(Result::ok) {
                if line != "die" {
                    return;
                }
                settled(init, &door);
                die(death, init, &door);
                let _ = happen.send(());
            }
        });
        Dying { wake, watch: Some(watch), happened: Mutex::new(happened), target }
    }
}

/// Waits until everything that was written in the target has left the door, so that every run loses the same: whoever has something
/// to pass on does not sleep.
fn settled(init: u32, door: &Handle) {
    let deadline = Instant::now() + PATIENCE;
    let servers = || tree(init).into_iter().filter(|id| name_of(*id) == "sshd").all(asleep);
    // In this order: what one has passed on wakes the next.
    while !(servers() && delivered(init) && door.carriers().into_iter().all(asleep)) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn asleep(id: u32) -> bool {
    // The name in brackets may hold anything.
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S'))
}

/// Whether no byte is on its way in the target's network.
fn delivered(init: u32) -> bool {
    let table = std::fs::read_to_string(format!("/proc/{init}/net/tcp")).unwrap_or_default();
    table.lines().skip(1).all(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // 01: established; then the bytes that were not confirmed, and those that were not read.
        fields.get(3) != Some(&"01") || fields.get(4) == Some(&"00000000:00000000")
    })
}

fn die(death: Death, init: u32, door: &Handle) {
    match death {
        Death::Session => {
            // The first in the tree is the one that listens.
            for id in tree(init).into_iter().filter(|id| name_of(*id) == "sshd").skip(1) {
                let _ = kill_process(pid(id), Signal::KILL);
            }
        }
        Death::Power => drop(kill_process(pid(init), Signal::KILL)),
        Death::Cut => door.cut(),
        Death::Silence => door.freeze(),
    }
}
