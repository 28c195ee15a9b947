//! A person at a terminal that draws: tmux, with a server of the test's own. What is looked at is the screen, not the bytes.

use std::path::PathBuf;
use std::process::Command;

use super::process::{command, eventually, run};

/// A window with a program in it.
#[derive(Debug)]
pub(crate) struct Tmux {
    socket: PathBuf,
    /// Where the program's exit status is written: tmux itself may miss it when the terminal closes first.
    status: PathBuf,
}

impl Tmux {
    /// Starts the program in a window of so many columns and rows. `place` is an empty folder of the test's own.
    #[track_caller]
    pub(crate) fn start(place: PathBuf, columns: u16, rows: u16, program: &Command) -> Self {
        let tmux = Self { socket: place.join("tmux"), status: place.join("status") };
        let config = place.join("tmux.conf");
        // What the program left on the screen can still be looked at when it has ended.
        std::fs::write(
            &config,
            "set -g remain-on-exit on\nset -g status off\nset -g escape-time 0\nset -g default-terminal tmux-256color\n",
        )
        .expect("tmux's configuration");
        let mut new = command("tmux");
        for (key, value) in program.get_envs() {
            if let Some(value) = value {
                new.env(key, value);
            }
        }
        new.arg("-u").arg("-S").arg(&tmux.socket).arg("-f").arg(&config);
        new.args(["new-session", "-d", "-x", &columns.to_string(), "-y", &rows.to_string(), "--"]);
        new.args(["sh", "-c", r#""$@"; echo $? >"$0.part" && mv "$0.part" "$0""#]).arg(&tmux.status);
        new.arg(program.get_program()).args(program.get_args());
        run(new, "").ok();
        tmux
    }

    /// The exit status of the program, once it has ended.
    pub(crate) fn ended(&self) -> Option<i32> {
        std::fs::read_to_string(&self.status).ok()?.trim().parse().ok()
    }

    fn tmux(&self, args: &[&str]) -> String {
        let mut tmux = command("tmux");
        tmux.arg("-S").arg(&self.socket).args(args);
        run(tmux, "").ok().text()
    }

    /// Presses keys by tmux's names: `Enter`, `C-c`, `PageDown`, `A`.
    pub(crate) fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys", "--"], keys].concat());
    }

    /// Types text as it is.
    pub(crate) fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", "--", text]);
    }

    /// Pastes, in brackets if the program asked for them.
    pub(crate) fn pastes(&self, text: &str) {
        self.tmux(&["set-buffer", "--", text]);
        self.tmux(&["paste-buffer", "-p"]);
    }

    /// Changes the window's size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }

    /// What is on the screen now.
    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// What tmux knows of the window: `#{pane_title}`, `#{alternate_on}`.
    pub(crate) fn knows(&self, format: &str) -> String {
        self.tmux(&["display-message", "-p", format]).trim_end().to_owned()
    }

    /// Waits until the screen holds this, and gives it.
    #[track_caller]
    pub(crate) fn until(&self, text: &str) -> String {
        self.until_it(text, |screen| screen.contains(text))
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    pub(crate) fn until_it(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let last = std::cell::RefCell::new(String::new());
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(what, || {
                let screen = self.screen();
                last.replace(screen.clone());
                is(&screen).then_some(screen)
            })
        }));
        found.unwrap_or_else(|_| panic!("{what:?} is not on the screen:\n{}", last.borrow()))
    }

    /// Waits until tmux says this of the window.
    #[track_caller]
    pub(crate) fn until_known(&self, format: &str, value: &str) {
        eventually(&format!("{format} is {value}"), || (self.knows(format) == value).then_some(()));
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let mut tmux = command("tmux");
        tmux.arg("-S").arg(&self.socket).arg("kill-server");
        let _ = tmux.output();
    }
}
