//! Hosts to scan: real servers in namespaces and roots of their own, so that what is found there is known beforehand.
//!
//! A target's accounts, packages, processes and mounts are its own; only its kernel is this machine's. Its server listens on port 22
//! of its own network, and on a port of 127.0.0.1 of this machine (the [`Door`]). Dropped, nothing of it is left. A target never
//! changes this machine or the roots in `.tools/roots`.

mod bad;
mod busybox;
mod crowd;
mod debian;
mod door;
mod keyed;
mod lies;
mod penalty;
mod place;
mod shells;
mod sudo;

pub(crate) use bad::{Death, Dying, SLOW, Slow};
pub(crate) use busybox::PACKAGES;
pub(crate) use crowd::{Crowd, Member};
pub(crate) use door::Door;
pub(crate) use keyed::SEEN;
pub(crate) use lies::Lie;
pub(crate) use place::{Base, Layer, Place, Work};
pub(crate) use shells::{BYE, NOISE, SHELLS};
pub(crate) use sudo::Sudo;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::keys::Key;
use super::process::{Outcome, Process, command, run};
use super::sshd::accepted;
use super::{Scene, nonce, open_to_all};
use door::{INNER_PORT, Rule};

/// How an account proves itself.
#[derive(Clone, Debug)]
pub(crate) enum Proof {
    /// With this key.
    Key(Key),
    /// With this password.
    Password(String),
}

/// An account of a target.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    /// Its name.
    pub(crate) user: String,
    /// How it signs in.
    pub(crate) proof: Proof,
    /// What it would type when sudo asks; need not be right.
    pub(crate) sudo_password: Option<String>,
}

/// A running target.
#[derive(Debug)]
pub(crate) struct Target {
    /// What it calls itself, and what [`Target::joins`] calls it: the name of its folder.
    pub(crate) name: String,
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
    /// Its host key.
    pub(crate) host_key: Key,
    /// Its accounts; the first is the one to sign in with.
    pub(crate) logins: Vec<Login>,
    /// The way to it.
    pub(crate) door: Door,
    /// Where it runs.
    pub(crate) place: Place,
    dir: PathBuf,
}

impl Target {
    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The account to sign in with.
    pub(crate) fn login(&self) -> &Login {
        &self.logins[0]
    }

    /// The account of this name.
    #[track_caller]
    pub(crate) fn login_of(&self, user: &str) -> &Login {
        self.logins.iter().find(|l| l.user == user).unwrap_or_else(|| panic!("{} has no account {user}", self.name))
    }

    /// Stock ssh as the first account, with this command, to be run.
    pub(crate) fn ssh(&self, remote: &str) -> Command {
        self.ssh_as(self.login(), &[], remote)
    }

    /// Stock ssh as this account, with options and this command, to be run. It knows the host key and asks nobody.
    pub(crate) fn ssh_as(&self, login: &Login, options: &[&str], remote: &str) -> Command {
        stock_ssh(&self.dir, "127.0.0.1", self.port, &self.host_key, login, options, remote)
    }

    /// What the first account sees of a command, with this on its standard input.
    #[track_caller]
    pub(crate) fn says(&self, remote: &str, stdin: impl Into<Vec<u8>>) -> Outcome {
        run(self.ssh(remote), stdin)
    }

    /// A session of the first account that stays: all three streams are pipes.
    #[track_caller]
    pub(crate) fn session(&self, remote: &str) -> Process {
        let mut ssh = self.ssh(remote);
        ssh.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Process::start(ssh)
    }

    /// Runs a shell command in the target as root, past its server: what the host itself says.
    #[track_caller]
    pub(crate) fn root(&self, script: &str) -> Outcome {
        self.place.root(script)
    }

    /// The server's log.
    pub(crate) fn log(&self) -> String {
        self.place.log()
    }

    /// How often somebody signed in.
    pub(crate) fn sign_ins(&self) -> usize {
        self.log().lines().filter(|l| accepted(l) || l.contains(" auth succeeded for ")).count()
    }

    /// How often a sign-in was refused.
    pub(crate) fn refusals(&self) -> usize {
        self.log().lines().filter(|l| l.starts_with("Failed ") || l.contains("Bad password attempt for ")).count()
    }

    /// How many connections there were.
    pub(crate) fn connections(&self) -> usize {
        self.door.came()
    }

    /// The command lines of what runs in the target beside its server: what a session has left there.
    pub(crate) fn left_running(&self) -> Vec<String> {
        self.place.processes().into_iter().filter(|line| !line.contains("sshd") && !line.contains("dropbear")).collect()
    }

    /// Makes it known to the broker under its name, with a credential of the same name, and lets Alice use it.
    #[track_caller]
    pub(crate) fn joins(&self, scene: &Scene) {
        self.joins_as(scene, self.login());
    }

    /// The same with another account than the first.
    #[track_caller]
    pub(crate) fn joins_as(&self, scene: &Scene, login: &Login) {
        add_credential(scene, &self.name, login);
        add_host(scene, &self.name, &self.address(), &self.host_key, &self.name);
        scene.grant("alice", &self.name);
    }
}

#[track_caller]
pub(crate) fn add_credential(scene: &Scene, name: &str, login: &Login) {
    let words = ["credential", "add", name, "--scope", "workspace", "--username", &login.user];
    match &login.proof {
        Proof::Key(key) => scene.broker.does_with(&[&words[..], &["--key", "-"]].concat(), key.private()),
        Proof::Password(password) => scene.broker.does_with(&[&words[..], &["--password"]].concat(), password.clone()),
    };
}

#[track_caller]
pub(crate) fn add_host(scene: &Scene, name: &str, address: &str, host_key: &Key, credential: &str) {
    scene.broker.does(&["host", "add", name, address, "--credential", credential, "--host-key", &host_key.public]);
}

fn stock_ssh(dir: &Path, address: &str, port: u16, host_key: &Key, login: &Login, options: &[&str], remote: &str) -> Command {
    // Each address has a file of its own, written once: clients of a crowd read them side by side.
    let known = dir.join(format!("known_hosts_{address}"));
    if !known.exists() {
        std::fs::write(&known, format!("[{address}]:{port} {}\n", host_key.public)).expect("known_hosts");
    }
    let mut ssh = command("ssh");
    ssh.args(["-F", "none", "-o", "IdentityAgent=none", "-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=yes"]);
    ssh.args(["-o", "UpdateHostKeys=no", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=30", "-o", "NumberOfPasswordPrompts=1"]);
    // The default takes most of a sign-in's time, and what is tried here is not the handshake.
    ssh.args(["-o", "KexAlgorithms=curve25519-sha256"]);
    ssh.arg("-o").arg(format!("UserKnownHostsFile={}", known.display())).args(["-p", &port.to_string(), "-l", &login.user]);
    match &login.proof {
        Proof::Key(key) => {
            ssh.args(["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-i"]).arg(&key.path);
        }
        Proof::Password(password) => {
            let ask = dir.join(format!("askpass_{password}"));
            if !ask.exists() {
                std::fs::write(&ask, format!("#!/bin/sh\ncat <<'END'\n{password}\nEND\n")).expect("askpass");
                open_to_all(&ask, 0o700);
            }
            ssh.args(["-o", "PreferredAuthentications=password", "-o", "PubkeyAuthentication=no"]);
            ssh.env("SSH_ASKPASS", &ask).env("SSH_ASKPASS_REQUIRE", "force");
        }
    }
    ssh.args(options).arg(address).arg(remote);
    ssh
}

/// A target as it is going to be.
#[derive(Debug)]
struct Plan {
    name: String,
    dir: PathBuf,
    layer: Layer,
    host_key: Key,
    logins: Vec<Login>,
    /// Shell, run as root in the target before its server starts.
    setup: String,
    /// The server, without its options.
    sshd: &'static str,
    /// Lines of its configuration; OpenSSH takes the first value of a keyword: these stand first.
    lines: String,
    passwd: String,
    group: String,
    shadow: String,
    next_uid: u32,
}

impl Plan {
    /// A Debian that nobody but root can sign in to, by the key of [`Plan::key`].
    fn debian(dir: &Path) -> Self {
        let base = Base::Debian.folder();
        let read = |file: &str| std::fs::read_to_string(base.join(file)).expect("a file of the base");
        let mut plan = Self::new(dir, "/usr/sbin/sshd");
        (plan.passwd, plan.group, plan.shadow) = (read("etc/passwd"), read("etc/group"), read("etc/shadow"));
        plan
    }

    fn new(dir: &Path, sshd: &'static str) -> Self {
        let name = dir.file_name().and_then(|n| n.to_str()).expect("the folder's name").to_owned();
        let host_key = Key::new(dir.join("host_key"));
        let layer = Layer::new(dir.join("layer"));
        layer.file("/etc/hostname", 0o644, format!("{name}\n"));
        layer.file("/etc/hosts", 0o644, format!("127.0.0.1\tlocalhost {name}\n"));
        layer.file("/etc/resolv.conf", 0o644, "");
        let (setup, lines) = (String::new(), String::new());
        let (passwd, group, shadow) = (String::new(), String::new(), String::new());
        Self { name, dir: dir.to_owned(), layer, host_key, logins: vec![], setup, sshd, lines, passwd, group, shadow, next_uid: 1000 }
    }

    /// A new key in the target's folder.
    fn key(&self, name: &str) -> Key {
        Key::new(self.dir.join(name))
    }

    /// Root signs in with this key.
    fn root_key(&mut self, key: &Key) {
        self.layer.folder("/root", 0o700, 0);
        self.authorize("/root", 0, key);
        self.logins.push(Login { user: "root".to_owned(), proof: Proof::Key(key.clone()), sudo_password: None });
    }

    /// An account with this login shell that signs in with this key, and has no password; its id.
    fn keyed(&mut self, user: &str, shell: &str, key: &Key) -> u32 {
        let uid = self.account(user, shell, "*");
        self.authorize(&format!("/home/{user}"), uid, key);
        self.logins.push(Login { user: user.to_owned(), proof: Proof::Key(key.clone()), sudo_password: None });
        uid
    }

    /// An account with this login shell and a password of its own; its id.
    fn with_password(&mut self, user: &str, shell: &str) -> u32 {
        let uid = self.account(user, shell, "*");
        let password = nonce(20);
        self.sets_password(user, &password);
        self.logins.push(Login { user: user.to_owned(), proof: Proof::Password(password.clone()), sudo_password: Some(password) });
        uid
    }

    /// Gives an account a password when the target starts.
    fn sets_password(&mut self, user: &str, password: &str) {
        // Few rounds: tests are not here to wait for crypt. The text is read from the script, never from a command line.
        self.setup.push_str(&format!("chpasswd -c SHA256 -s 1000 <<'END'\n{user}:{password}\nEND\n"));
    }

    fn account(&mut self, user: &str, shell: &str, hash: &str) -> u32 {
        let uid = self.next_uid;
        self.next_uid += 1;
        self.passwd.push_str(&format!("{user}:x:{uid}:{uid}:{user}:/home/{user}:{shell}\n"));
        self.group.push_str(&format!("{user}:x:{uid}:\n"));
        self.shadow.push_str(&format!("{user}:{hash}:20000:0:99999:7:::\n"));
        self.layer.folder(&format!("/home/{user}"), 0o755, uid);
        uid
    }

    fn authorize(&self, home: &str, uid: u32, key: &Key) {
        self.layer.folder(&format!("{home}/.ssh"), 0o700, uid);
        self.layer.owned(&format!("{home}/.ssh/authorized_keys"), 0o600, uid, format!("{}\n", key.public));
    }

    /// Writes the accounts and the server's configuration.
    fn settle(&self) {
        self.layer.file("/etc/passwd", 0o644, &self.passwd);
        self.layer.file("/etc/group", 0o644, &self.group);
        self.layer.file("/etc/shadow", 0o640, &self.shadow);
        self.layer.file("/etc/ssh/ssh_host_ed25519_key", 0o600, self.host_key.private());
        self.layer.file("/etc/ssh/ssh_host_ed25519_key.pub", 0o644, format!("{}\n", self.host_key.public));
        self.layer.file("/etc/ssh/sshd_config", 0o644, self.configuration());
    }

    fn configuration(&self) -> String {
        format!(
            "{}\nListenAddress 127.0.0.1\nPort {INNER_PORT}\nHostKey /etc/ssh/ssh_host_ed25519_key\nPidFile none\nUsePAM no\n\
             PermitRootLogin yes\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\nUseDNS no\nLogLevel VERBOSE\nPrintMotd no\n\
             PrintLastLog no\nAcceptEnv LC_*\nMaxStartups 200\nMaxSessions 64\nMaxAuthTries 6\nSubsystem sftp internal-sftp\n",
            self.lines
        )
    }

    /// Starts it with OpenSSH's server.
    #[track_caller]
    fn start(self) -> Target {
        self.start_behind(|_| None)
    }

    /// The same behind a door that lets in only whom a rule lets in, which may look at the server's log.
    #[track_caller]
    fn start_behind(self, rule: impl FnOnce(&Place) -> Option<Rule>) -> Target {
        self.settle();
        let server = format!("{} -D -e", self.sshd);
        self.start_with(Base::Debian, &server, rule)
    }

    #[track_caller]
    fn start_with(self, base: Base, server: &str, rule: impl FnOnce(&Place) -> Option<Rule>) -> Target {
        let work = Work { setup: format!("ip link set lo up\n{}", self.setup), servers: vec![server.to_owned()] };
        let place = Place::start(&self.dir, &self.name, base, &self.layer, &work, true, &[("127.0.0.1".to_owned(), INNER_PORT)]);
        let door = Door::open(place.init(), rule(&place));
        let port = door.port();
        Target { name: self.name, port, host_key: self.host_key, logins: self.logins, door, place, dir: self.dir }
    }
}
