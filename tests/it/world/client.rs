//! Stock clients with a configuration of their own: to the host straight, and to the same host through the broker.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::keys::Key;
use super::process::{Lines, Outcome, Process, command, run, run_within};
use super::{Broker, Sshd, account};

/// How a client reaches the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The host's own port.
    Straight,
    /// The broker.
    Through,
}

impl Way {
    /// Both.
    pub(crate) const BOTH: [Self; 2] = [Self::Straight, Self::Through];

    /// The name in the client's configuration.
    pub(crate) fn alias(self) -> &'static str {
        match self {
            Self::Straight => "straight",
            Self::Through => "through",
        }
    }
}

/// One person's `ssh`, `scp` and `sftp`.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    dir: PathBuf,
    config: PathBuf,
    /// The key that the broker knows.
    pub(crate) key: Key,
    /// The key that the host knows for the straight way.
    pub(crate) own: Key,
}

impl Client {
    /// A client with two new keys and a configuration that knows no host yet.
    pub(crate) fn new(dir: &Path) -> Self {
        std::fs::create_dir_all(dir).expect("the client's folder");
        let client =
            Self { dir: dir.to_owned(), config: dir.join("config"), key: Key::new(dir.join("person")), own: Key::new(dir.join("own")) };
        std::fs::write(&client.config, "").expect("the client's configuration");
        client
    }

    /// Knows the host as `straight` and the broker as `through`, there for `selector` (`web-1`, `deploy@web-1`).
    pub(crate) fn knows(&self, sshd: Option<&Sshd>, broker: Option<&Broker>, selector: &str) {
        let mut config = String::new();
        let mut known = String::new();
        if let Some(sshd) = sshd {
            let _ = write!(
                config,
                "Host straight\n  Port {}\n  User {}\n  IdentityFile {}\n",
                sshd.port,
                account::NAME,
                self.own.path.display()
            );
            let _ = writeln!(known, "[127.0.0.1]:{} {}", sshd.port, sshd.host_key.public);
        }
        if let Some(broker) = broker {
            let _ =
                write!(config, "Host through\n  Port {}\n  User {selector}\n  IdentityFile {}\n", broker.port(), self.key.path.display());
            for key in broker.host_keys() {
                let _ = writeln!(known, "[127.0.0.1]:{} {key}", broker.port());
            }
        }
        let known_hosts = self.dir.join("known_hosts");
        std::fs::write(&known_hosts, known).expect("known_hosts");
        let _ = write!(
            config,
            "Host *\n  HostName 127.0.0.1\n  IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  \
             StrictHostKeyChecking yes\n  UpdateHostKeys no\n  BatchMode yes\n  LogLevel ERROR\n  ConnectTimeout 30\n  ControlPath {}/ctl-%n\n  \
             SendEnv LC_* KEYWARD_TEST\n",
            known_hosts.display(),
            self.dir.display(),
        );
        std::fs::write(&self.config, config).expect("the client's configuration");
    }

    /// The configuration of its `ssh`.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// `ssh ARGS`, to be run; the first argument that is no option is `straight` or `through`.
    pub(crate) fn ssh(&self, args: &[&str]) -> Command {
        self.program("ssh", args)
    }

    /// `ssh`, `scp` or `sftp` with this configuration.
    pub(crate) fn program(&self, program: &str, args: &[&str]) -> Command {
        let mut ssh = command(program);
        ssh.env("HOME", &self.dir).arg("-F").arg(&self.config).args(args);
        ssh
    }

    /// Runs a command on the host.
    #[track_caller]
    pub(crate) fn exec(&self, way: Way, remote: &str) -> Outcome {
        self.exec_with(way, &[], remote, "")
    }

    /// Runs a command on the host, with options of ssh and something on its standard input.
    #[track_caller]
    pub(crate) fn exec_with(&self, way: Way, options: &[&str], remote: &str, stdin: impl Into<Vec<u8>>) -> Outcome {
        let mut args = options.to_vec();
        args.extend([way.alias(), remote]);
        run(self.ssh(&args), stdin)
    }

    /// As [`Client::exec_with`], for what takes longer.
    #[track_caller]
    pub(crate) fn exec_within(&self, limit: Duration, way: Way, options: &[&str], remote: &str, stdin: impl Into<Vec<u8>>) -> Outcome {
        let mut args = options.to_vec();
        args.extend([way.alias(), remote]);
        run_within(limit, self.ssh(&args), stdin)
    }

    /// Runs a verb of the broker over ssh as this person.
    #[track_caller]
    pub(crate) fn verb(&self, person: &str, words: &str, stdin: impl Into<Vec<u8>>) -> Outcome {
        run(self.ssh(&["-l", person, "through", "--", words]), stdin)
    }

    /// Runs the same on both ways and compares what a client can see.
    #[track_caller]
    pub(crate) fn same(&self, options: &[&str], remote: &str, stdin: &[u8]) -> Outcome {
        let straight = self.exec_with(Way::Straight, options, remote, stdin);
        let through = self.exec_with(Way::Through, options, remote, stdin);
        assert_eq!(straight, through, "`ssh {options:?} HOST {remote:?}` looks different: first straight, then through the broker");
        through
    }

    /// A session that stays: its standard input and output are pipes.
    #[track_caller]
    pub(crate) fn stay(&self, way: Way, options: &[&str], remote: &str) -> Stay {
        let mut args = options.to_vec();
        args.extend([way.alias(), remote]);
        let mut ssh = self.ssh(&args);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Process::start(ssh);
        let lines = process.lines();
        let errors = process.errors();
        Stay { process, lines, errors }
    }
}

/// A client that is connected.
#[derive(Debug)]
pub(crate) struct Stay {
    /// The client's process.
    pub(crate) process: Process,
    /// What the host says.
    pub(crate) lines: Lines,
    errors: std::sync::mpsc::Receiver<Vec<u8>>,
}

impl Stay {
    /// Waits for the client's end: its status and its standard error.
    #[track_caller]
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let status = self.process.wait().code();
        let errors = self.errors.recv_timeout(super::PATIENCE).expect("standard error is closed");
        (status, String::from_utf8_lossy(&errors).into_owned())
    }
}
