//! A real `ssh-agent`, with the keys that a test gives to it.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::keys::Key;
use super::process::{Outcome, command};
use super::{Process, Scene, eventually, run};

/// An agent of its own, at a socket of its own.
#[derive(Debug)]
pub(crate) struct SshAgent {
    _process: Process,
    socket: PathBuf,
}

impl SshAgent {
    /// Starts one; it answers when this returns.
    #[track_caller]
    pub(crate) fn start(socket: PathBuf) -> Self {
        let mut agent = command("ssh-agent");
        agent.args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Process::start(agent);
        // The socket is there before anybody listens at it.
        eventually("the ssh agent listens", || UnixStream::connect(&socket).ok());
        Self { _process: process, socket }
    }

    /// Starts one with this key.
    #[track_caller]
    pub(crate) fn with(socket: PathBuf, key: &Key) -> Self {
        let agent = Self::start(socket);
        agent.add(&[], key);
        agent
    }

    /// Gives it a key, on the terms of these flags of `ssh-add`.
    #[track_caller]
    pub(crate) fn add(&self, args: &[&str], key: &Key) {
        let mut add = command("ssh-add");
        add.arg("-q").args(args).arg(&key.path);
        run(self.beside(add), "").ok();
    }

    /// Takes all keys from it.
    #[track_caller]
    pub(crate) fn remove_all(&self) {
        let mut remove = command("ssh-add");
        remove.args(["-q", "-D"]);
        run(self.beside(remove), "").ok();
    }

    /// A command for whom it is the agent.
    pub(crate) fn beside(&self, mut command: Command) -> Command {
        command.env("SSH_AUTH_SOCK", &self.socket);
        command
    }

    /// The option that makes it the agent of `ssh`.
    pub(crate) fn option(&self) -> String {
        format!("IdentityAgent={}", self.socket.display())
    }

    /// `ssh -A` as Alice.
    pub(crate) fn ssh(&self, scene: &Scene, args: &[&str]) -> Command {
        let option = self.option();
        scene.alice.ssh(&[&["-A", "-o", option.as_str()], args].concat())
    }

    /// A verb of Alice's, with the agent forwarded.
    #[track_caller]
    pub(crate) fn verb(&self, scene: &Scene, words: &str, stdin: &str) -> Outcome {
        run(self.ssh(scene, &["-l", "alice", "through", "--", words]), stdin)
    }
}
