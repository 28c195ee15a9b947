//! The program under test: `keyward serve` with a home of its own, and the verbs at its local door.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
use serde_json::Value;

use super::keys::Key;
use super::process::{Lines, Outcome, Process, command, run};

/// The binary that cargo built for this test.
pub(crate) const KEYWARD: &str = env!("CARGO_BIN_EXE_keyward");

/// How a broker is to be run.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The folder that the home lies in; its own unless given.
    pub(crate) home: Option<PathBuf>,
    /// Free space that the store keeps for the audit log.
    pub(crate) reserve: &'static str,
    /// Further lines of the configuration, with their sections.
    pub(crate) config: String,
    /// Further environment.
    pub(crate) env: Vec<(&'static str, &'static str)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { home: None, reserve: "1MiB", config: String::new(), env: Vec::new() }
    }
}

/// A running broker.
#[derive(Debug)]
pub(crate) struct Broker {
    process: Option<Process>,
    // Kept, so that the broker's standard output is never closed.
    lines: Option<Lines>,
    settings: Settings,
    dir: PathBuf,
    port: u16,
    fingerprint: String,
    host_keys: Vec<String>,
}

impl Broker {
    /// Starts one whose first owner has this key.
    #[track_caller]
    pub(crate) fn start(dir: &Path, owner: &Key) -> Self {
        Self::with(dir, owner, Settings::default())
    }

    /// Starts one with these settings.
    #[track_caller]
    pub(crate) fn with(dir: &Path, owner: &Key, settings: Settings) -> Self {
        let ssh = dir.join("person/.ssh");
        std::fs::create_dir_all(&ssh).expect("the owner's folder");
        std::fs::copy(owner.public_file(), ssh.join("id_ed25519.pub")).expect("the owner's key");
        let mut broker =
            Self { process: None, lines: None, settings, dir: dir.to_owned(), port: 0, fingerprint: String::new(), host_keys: Vec::new() };
        broker.configure(&broker.settings.config.clone());
        broker.serve();
        broker
    }

    /// Writes the configuration with these further lines; the broker reads it at its next start or at SIGHUP.
    pub(crate) fn configure(&self, lines: &str) {
        // A table is written once: what is said of the vault goes with the root key.
        let (vault, lines) = lines.strip_prefix("[vault]\n").map_or(("", lines), |rest| rest.split_once("\n\n").unwrap_or((rest, "")));
        let text = format!(
            "[vault]\nroot_key = \"{}\"\n{vault}\n\n[store]\nreserve = \"{}\"\n\n[daemon]\ndrain = \"1s\"\n\n{lines}\n",
            self.root_key().display(),
            self.settings.reserve
        );
        std::fs::write(self.config(), text).expect("the configuration");
    }

    /// Starts the daemon on this home, which may have served before.
    #[track_caller]
    pub(crate) fn serve(&mut self) {
        self.serve_with(&[]);
    }

    /// Starts the daemon on this home with further flags.
    #[track_caller]
    pub(crate) fn serve_with(&mut self, flags: &[&str]) {
        let log = std::fs::File::options().create(true).append(true).open(self.log_file()).expect("the log");
        let mut serve = self.command(&[]);
        // The second time on the same port, so that clients find it again.
        let listen = format!("127.0.0.1:{}", self.port);
        serve.args(["serve", "--config"]).arg(self.config()).args(["--listen", &listen]).args(flags);
        serve.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).current_dir(&self.dir);
        let mut process = Process::start(serve);
        let lines = process.lines();
        let ready = lines.next().unwrap_or_else(|| panic!("the broker ended before it was ready:\n{}", self.log()));
        let words: Vec<&str> = ready.split_whitespace().collect();
        let [said, "ssh", address, "host-key", fingerprint] = words[..] else { panic!("not the line that was promised: {ready}") };
        assert_eq!(said, "ready:", "{ready}");
        self.port = address.rsplit(':').next().and_then(|p| p.parse().ok()).expect("a port");
        fingerprint.clone_into(&mut self.fingerprint);
        self.process = Some(process);
        self.lines = Some(lines);
        if self.host_keys.is_empty() {
            self.host_keys = scan(self.port);
        }
    }

    /// The port of its ssh door.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The fingerprint that it printed when it was ready.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The keys that its ssh door shows.
    pub(crate) fn host_keys(&self) -> &[String] {
        &self.host_keys
    }

    /// The one of these keys that is ed25519, `ssh-ed25519 BASE64`.
    #[track_caller]
    pub(crate) fn ed25519(&self) -> &str {
        self.host_keys.iter().find(|k| k.starts_with("ssh-ed25519 ")).expect("an ed25519 host key")
    }

    /// Its process id.
    #[track_caller]
    pub(crate) fn id(&self) -> u32 {
        self.process.as_ref().expect("the broker runs").id()
    }

    /// Whether it runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.process.as_mut().is_some_and(Process::runs)
    }

    /// Its home.
    pub(crate) fn home(&self) -> PathBuf {
        self.settings.home.clone().unwrap_or_else(|| self.dir.join("home"))
    }

    /// Its configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("broker.toml")
    }

    /// Its root key, which is not in its home.
    pub(crate) fn root_key(&self) -> PathBuf {
        self.dir.join("root.key")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.join("broker.log")
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Sends it a signal.
    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.as_ref().expect("the broker runs").signal(signal);
    }

    /// Asks it to stop and waits until it has.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        self.wait();
    }

    /// Waits until it has ended.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        let status = self.process.as_mut().expect("the broker runs").wait();
        self.process = None;
        status
    }

    /// Kills it, as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.process = None;
    }

    /// `keyward --home HOME`, in the broker's environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut keyward = command(KEYWARD);
        let person = self.dir.join("person");
        keyward
            .env("HOME", &person)
            .env("XDG_CONFIG_HOME", person.join("config"))
            .env("XDG_STATE_HOME", person.join("state"))
            .env("XDG_DATA_HOME", person.join("data"))
            .env("XDG_CACHE_HOME", person.join("cache"))
            .env("XDG_RUNTIME_DIR", person.join("run"))
            .env("USER", "root")
            .envs(self.settings.env.iter().copied())
            .arg("--home")
            .arg(self.home())
            .args(args);
        keyward
    }

    /// Runs a verb at the local door, whatever comes out.
    #[track_caller]
    pub(crate) fn verb(&self, args: &[&str]) -> Outcome {
        run(self.command(args), "")
    }

    /// Runs a verb with something, a secret for instance, on its standard input.
    #[track_caller]
    pub(crate) fn verb_with(&self, args: &[&str], stdin: impl Into<Vec<u8>>) -> Outcome {
        run(self.command(args), stdin)
    }

    /// Runs a verb that must succeed; what it printed.
    #[track_caller]
    pub(crate) fn does(&self, args: &[&str]) -> String {
        self.does_with(args, "")
    }

    /// Runs a verb with something on its standard input; it must succeed.
    #[track_caller]
    pub(crate) fn does_with(&self, args: &[&str], stdin: impl Into<Vec<u8>>) -> String {
        let outcome = self.verb_with(args, stdin);
        assert_eq!(outcome.status, Some(0), "keyward {args:?}\n{outcome:?}");
        outcome.text()
    }

    /// Runs a verb that must be refused, with `error:` and `hint:` and nothing on standard output; its standard error.
    #[track_caller]
    pub(crate) fn refuses(&self, args: &[&str]) -> String {
        self.refuses_with(args, "")
    }

    /// Runs a verb with something on its standard input; it must be refused.
    #[track_caller]
    pub(crate) fn refuses_with(&self, args: &[&str], stdin: impl Into<Vec<u8>>) -> String {
        let outcome = self.verb_with(args, stdin);
        let errors = outcome.errors();
        assert!(matches!(outcome.status, Some(1 | 2)), "keyward {args:?} is to be refused\n{outcome:?}");
        assert!(outcome.stdout.is_empty(), "standard output is data only\n{outcome:?}");
        assert!(errors.starts_with("error: "), "keyward {args:?}\n{outcome:?}");
        assert!(errors.lines().any(|l| l.starts_with("hint: ")), "keyward {args:?} says what is wrong, but not what to do\n{outcome:?}");
        assert!(!errors.chars().any(|c| c.is_control() && c != '\n'), "a terminal would obey this: {errors:?}");
        errors
    }

    /// Runs a verb with `--json`.
    #[track_caller]
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend_from_slice(args);
        let text = self.does(&all);
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("keyward {all:?}: {e}\n{text}"))
    }

    /// The sessions, newest or oldest first as the broker lists them.
    #[track_caller]
    pub(crate) fn sessions(&self) -> Vec<Value> {
        self.json(&["session", "list"]).as_array().expect("an array").clone()
    }

    /// The only session there is.
    #[track_caller]
    pub(crate) fn only_session(&self) -> Value {
        let sessions = self.sessions();
        assert_eq!(sessions.len(), 1, "{sessions:#?}");
        sessions.into_iter().next().expect("one")
    }

    /// Sessions that live.
    #[track_caller]
    pub(crate) fn live(&self) -> Vec<Value> {
        self.json(&["session", "list", "--live"]).as_array().expect("an array").clone()
    }

    /// Waits until the only session there is has ended; its record.
    #[track_caller]
    pub(crate) fn ended_session(&self) -> Value {
        super::eventually("the end of the session is recorded", || Some(self.only_session()).filter(|s| !s["ended_at"].is_null()))
    }

    /// The audit entries.
    #[track_caller]
    pub(crate) fn audit(&self) -> Vec<Value> {
        let mut entries = self.json(&["audit", "list", "--limit", "100000"]).as_array().expect("an array").clone();
        entries.sort_by_key(|e| e["seq"].as_u64());
        entries
    }

    /// The audit entries with this name, oldest first.
    #[track_caller]
    pub(crate) fn events(&self, name: &str) -> Vec<Value> {
        self.audit().into_iter().filter(|e| e["event"] == name).collect()
    }

    /// The audit entries of one session, by name.
    #[track_caller]
    pub(crate) fn trail(&self, session: &Value) -> Vec<String> {
        self.audit().iter().filter(|e| e["session"] == session["id"]).filter_map(|e| e["event"].as_str()).map(str::to_owned).collect()
    }
}

/// What `ssh-keyscan` finds there, `TYPE BASE64` each.
#[track_caller]
pub(crate) fn scan(port: u16) -> Vec<String> {
    let mut keyscan = command("ssh-keyscan");
    keyscan.args(["-T", "20", "-p", &port.to_string(), "127.0.0.1"]);
    let outcome = run(keyscan, "");
    let keys: Vec<String> =
        outcome.text().lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split_once(' ')).map(|(_, key)| key.to_owned()).collect();
    assert!(!keys.is_empty(), "ssh-keyscan finds no key\n{outcome:?}");
    keys
}
