//! A terminal of the given size with a program on it, as a person at a terminal would have.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Instant;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::process::{PATIENCE, Process, command, heeds_signals};

/// A program on a terminal of its own.
#[derive(Debug)]
pub(crate) struct Terminal {
    process: Process,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: Vec<u8>,
    from: usize,
}

impl Terminal {
    /// Starts the program on a terminal with so many rows and columns.
    #[track_caller]
    pub(crate) fn start(program: &Command, rows: u16, columns: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master).expect("grantpt");
        unlockpt(&master).expect("unlockpt");
        let name = ptsname(&master, Vec::new()).expect("ptsname");
        let slave =
            rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).expect("the terminal's end");
        resize(&master, rows, columns);

        // setsid makes the terminal the program's own, so that sizes and ctrl-C arrive as signals.
        let program = &heeds_signals(program);
        let mut on = command("setsid");
        on.arg("--ctty").arg(program.get_program()).args(program.get_args()).env("TERM", "xterm");
        for (key, value) in program.get_envs() {
            match value {
                Some(value) => on.env(key, value),
                None => on.env_remove(key),
            };
        }
        on.stdin(slave.try_clone().expect("dup")).stdout(slave.try_clone().expect("dup")).stderr(slave);
        let process = Process::start_here(on);

        let keyboard = File::from(master);
        let mut shown = keyboard.try_clone().expect("dup");
        let (piece, screen) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // EIO: the program and its children have gone.
            while let Ok(n @ 1..) = shown.read(&mut buffer) {
                if piece.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { process, keyboard, screen, seen: Vec::new(), from: 0 }
    }

    /// Types this.
    pub(crate) fn write(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("typing");
    }

    /// Whether the program has the keys as they are typed. A client that shares a connection shows what came before it does.
    pub(crate) fn is_raw(&self) -> bool {
        !tcgetattr(&self.keyboard).expect("the terminal's modes").local_modes.contains(LocalModes::ISIG)
    }

    /// Changes the terminal's size.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        resize(&self.keyboard, rows, columns);
    }

    /// Waits until this is on the screen after what was waited for before.
    #[track_caller]
    pub(crate) fn until(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let rest = &self.seen[self.from..];
            if let Some(at) = rest.windows(text.len()).position(|w| w == text.as_bytes()) {
                self.from += at + text.len();
                return;
            }
            match self.screen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.seen.extend(piece),
                Err(e) => panic!("{text:?} is not on the terminal ({e}):\n{}", self.screen_text()),
            }
        }
    }

    /// Whether this has come onto the screen after what was waited for before.
    pub(crate) fn seen(&mut self, text: &str) -> bool {
        self.seen.extend(self.screen.try_iter().flatten());
        self.seen[self.from..].windows(text.len()).any(|w| w == text.as_bytes())
    }

    /// Waits for the program's end, and says what the terminal showed.
    #[track_caller]
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let status = self.process.wait();
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.screen.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(piece) => self.seen.extend(piece),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the terminal stays open:\n{}", self.screen_text()),
            }
        }
        (status, self.screen_text())
    }

    /// What was shown so far.
    pub(crate) fn screen_text(&self) -> String {
        String::from_utf8_lossy(&self.seen).into_owned()
    }
}

fn resize(terminal: impl std::os::fd::AsFd, rows: u16, columns: u16) {
    tcsetwinsize(terminal, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).expect("the terminal's size");
}
