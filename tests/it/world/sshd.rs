//! OpenSSH's server with a configuration of its own, logging to a file.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::account::NAME;
use super::keys::Key;
use super::process::{Process, command, run};
use super::{PATIENCE, tool};

const SSHD: &str = "/usr/sbin/sshd";

/// A running sshd.
#[derive(Debug)]
pub(crate) struct Sshd {
    process: Process,
    /// Where it listens, on 127.0.0.1.
    pub(crate) port: u16,
    /// Its host key.
    pub(crate) host_key: Key,
    authorized: PathBuf,
    log: PathBuf,
    dir: PathBuf,
}

impl Sshd {
    /// One that lets these keys in to `kw-peer`, and nothing else.
    pub(crate) fn start(dir: &Path, keys: &[&Key]) -> Self {
        Self::with(dir, keys, "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n")
    }

    /// One with these lines in its configuration. OpenSSH takes the first value of a keyword: these stand first.
    pub(crate) fn with(dir: &Path, keys: &[&Key], lines: &str) -> Self {
        let host_key = dir.join("host_key");
        let host_key = if host_key.exists() { Key::of(&host_key) } else { Key::new(host_key) };
        Self::with_host_key(dir, keys, lines, host_key)
    }

    /// One that shows this host key.
    pub(crate) fn with_host_key(dir: &Path, keys: &[&Key], lines: &str, host_key: Key) -> Self {
        // Where sshd locks itself in; Debian's own start makes it.
        std::fs::create_dir_all("/run/sshd").expect("/run/sshd");
        let authorized = dir.join("authorized_keys");
        authorize(&authorized, keys);
        let log = dir.join("sshd.log");
        // Another program may take the port between asking and giving.
        for _ in 0..10 {
            let port = free_port();
            let config = dir.join("sshd_config");
            std::fs::write(&config, configuration(port, &host_key, &authorized, lines)).expect("sshd_config");
            let file = std::fs::File::options().create(true).append(true).open(&log).expect("sshd.log");
            let mut sshd = command(tool(SSHD));
            sshd.args(["-D", "-e", "-f"]).arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
            let mut process = Process::start(sshd);
            if serves(&mut process, &log, port) {
                return Self { process, port, host_key, authorized, log, dir: dir.to_owned() };
            }
        }
        panic!("sshd does not start:\n{}", std::fs::read_to_string(&log).unwrap_or_default());
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How often somebody signed in.
    pub(crate) fn sign_ins(&self) -> usize {
        self.log().lines().filter(|l| accepted(l)).count()
    }

    /// How often somebody signed in with this key.
    pub(crate) fn sign_ins_with(&self, key: &Key) -> usize {
        self.log().lines().filter(|l| l.contains("Accepted publickey") && l.contains(&key.fingerprint)).count()
    }

    /// How often it refused a sign-in.
    pub(crate) fn refusals(&self) -> usize {
        self.log().lines().filter(|l| l.starts_with("Failed ")).count()
    }

    /// Lets these keys in from now on, and no others.
    pub(crate) fn authorize(&self, keys: &[&Key]) {
        authorize(&self.authorized, keys);
    }

    /// Ends everything that is connected, and the server.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

/// Whether a line tells of a sign-in. `Accepted key …` only tells that a key would do.
pub(crate) fn accepted(line: &str) -> bool {
    line.starts_with("Accepted ") && line.contains(" from ")
}

fn authorize(file: &Path, keys: &[&Key]) {
    let lines: String = keys.iter().map(|k| format!("{}\n", k.public)).collect();
    std::fs::write(file, lines).expect("authorized_keys");
}

fn configuration(port: u16, host_key: &Key, authorized: &Path, lines: &str) -> String {
    format!(
        "{lines}\nListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nPidFile none\nUseDNS no\n\
         LogLevel VERBOSE\nAllowUsers {NAME} root\nPermitRootLogin yes\nPrintMotd no\nPrintLastLog no\nAcceptEnv LC_* KEYWARD_TEST\n\
         MaxStartups 200\nMaxSessions 64\nMaxAuthTries 6\nLoginGraceTime 120\nSubsystem sftp internal-sftp\n{}",
        host_key.path.display(),
        authorized.display(),
        penalties(),
    )
}

/// OpenSSH since 9.8 keeps sources that failed away for a while; older ones do not know the word.
fn penalties() -> &'static str {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    let known = KNOWN.get_or_init(|| {
        let dir = super::folder();
        let key = Key::new(dir.path().join("key"));
        let mut sshd = command(tool(SSHD));
        sshd.args(["-t", "-f", "/dev/null", "-o", "PerSourcePenalties=no", "-h"]).arg(&key.path);
        std::fs::create_dir_all("/run/sshd").expect("/run/sshd");
        run(sshd, "").status == Some(0)
    });
    if *known { "PerSourcePenalties no\n" } else { "" }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port()
}

/// Waits until sshd says that it listens; `false`: it ended.
fn serves(process: &mut Process, log: &Path, port: u16) -> bool {
    let line = format!("Server listening on 127.0.0.1 port {port}.");
    let deadline = Instant::now() + PATIENCE;
    while process.runs() {
        if std::fs::read_to_string(log).is_ok_and(|text| text.contains(&line)) {
            return true;
        }
        assert!(Instant::now() < deadline, "sshd is not ready within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// Waits until the process listens on this port; `false`: it ended.
pub(crate) fn listens(process: &mut Process, port: u16) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while process.runs() {
        // Asked of the system: a connection would show in the server's log.
        if listening(process.id(), port) {
            return true;
        }
        assert!(Instant::now() < deadline, "nothing listens on port {port} within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

fn listening(id: u32, port: u16) -> bool {
    let wanted = format!("0100007F:{port:04X}");
    let table = std::fs::read_to_string(format!("/proc/{id}/net/tcp")).unwrap_or_default();
    table.lines().any(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.get(1) == Some(&wanted.as_str()) && fields.get(3) == Some(&"0A")
    })
}
