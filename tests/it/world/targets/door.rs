//! The way from this machine into a target's own network: a port on 127.0.0.1 that counts who comes, and can be slammed.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Signal, kill_process};

use super::place::Base;
use crate::world::process::{command, pid};
use crate::world::tool;

/// Where a target's server listens in its own network.
pub(crate) const INNER_PORT: u16 = 22;

/// A port on 127.0.0.1 behind which a target stands.
#[derive(Debug)]
pub(crate) struct Door {
    listener: Arc<TcpListener>,
    port: u16,
    state: Arc<Mutex<State>>,
    porter: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    came: usize,
    turned_away: usize,
    carriers: Vec<Child>,
    frozen: bool,
    closing: bool,
}

/// Whether the next one who comes is let in; else what they are told before the connection is closed.
pub(crate) type Rule = Box<dyn Fn() -> Result<(), &'static str> + Send>;

impl Door {
    /// Opens one into the network of this process.
    pub(crate) fn open(init: u32, rule: Option<Rule>) -> Self {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").expect("a port"));
        let port = listener.local_addr().expect("its address").port();
        let state = Arc::new(Mutex::new(State::default()));
        let carry = Carry { network: PathBuf::from(format!("/proc/{init}/ns/net")), root: Base::Busybox.folder() };
        let (doors, kept) = (Arc::clone(&listener), Arc::clone(&state));
        let porter = std::thread::spawn(move || {
            while let Ok((stream, _)) = doors.accept() {
                let mut state = kept.lock().expect("the door's state");
                if state.closing {
                    return;
                }
                state.came += 1;
                state.carriers.retain_mut(|c| matches!(c.try_wait(), Ok(None)));
                if let Some(Err(words)) = rule.as_ref().map(|rule| rule()) {
                    state.turned_away += 1;
                    let _ = std::io::Write::write_all(&mut &stream, words.as_bytes());
                    continue;
                }
                if let Some(carrier) = carry.start(stream) {
                    if state.frozen {
                        let _ = kill_process(pid(carrier.id()), Signal::STOP);
                    }
                    state.carriers.push(carrier);
                }
            }
        });
        Self { listener, port, state, porter: Some(porter) }
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many connections there were.
    pub(crate) fn came(&self) -> usize {
        self.state.lock().expect("the door's state").came
    }

    /// How many of them were not let in.
    pub(crate) fn turned_away(&self) -> usize {
        self.state.lock().expect("the door's state").turned_away
    }

    /// What controls the door from another thread.
    pub(crate) fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.state))
    }
}

/// Slams a door.
#[derive(Clone, Debug)]
pub(crate) struct Handle(Arc<Mutex<State>>);

impl Handle {
    /// Breaks every connection off.
    pub(crate) fn cut(&self) {
        for mut carrier in self.0.lock().expect("the door's state").carriers.drain(..) {
            let _ = carrier.kill();
            let _ = carrier.wait();
        }
    }

    /// The processes that carry a connection each.
    pub(crate) fn carriers(&self) -> Vec<u32> {
        let mut state = self.0.lock().expect("the door's state");
        state.carriers.retain_mut(|c| matches!(c.try_wait(), Ok(None)));
        state.carriers.iter().map(Child::id).collect()
    }

    /// From now on no byte passes in either direction, and no connection ends: as when a cable is pulled.
    pub(crate) fn freeze(&self) {
        let mut state = self.0.lock().expect("the door's state");
        state.frozen = true;
        for carrier in &mut state.carriers {
            if matches!(carrier.try_wait(), Ok(None)) {
                let _ = kill_process(pid(carrier.id()), Signal::STOP);
            }
        }
    }
}

struct Carry {
    network: PathBuf,
    /// Where `nc` is.
    root: PathBuf,
}

impl Carry {
    /// The connection itself is the carrier's standard input and output: nothing of it stays here.
    fn start(&self, stream: std::net::TcpStream) -> Option<Child> {
        let _ = stream.set_nodelay(true);
        let input: OwnedFd = stream.try_clone().ok()?.into();
        let output: OwnedFd = stream.into();
        let mut nsenter = command(tool("/usr/bin/nsenter"));
        nsenter.arg(format!("--net={}", self.network.display())).arg(format!("--root={}", self.root.display()));
        nsenter.args(["--wd=/", "--", "/bin/busybox", "nc", "127.0.0.1", &INNER_PORT.to_string()]);
        nsenter.stdin(Stdio::from(input)).stdout(Stdio::from(output)).stderr(Stdio::null()).spawn().ok()
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.state.lock().expect("the door's state").closing = true;
        // On Linux this wakes whoever waits in accept.
        let _ = rustix::net::shutdown(&*self.listener, rustix::net::Shutdown::Both);
        if let Some(porter) = self.porter.take() {
            let _ = porter.join();
        }
        Handle(Arc::clone(&self.state)).cut();
    }
}
