//! Processes: run to the end within a limit, or kept and stopped by their own id.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// How long a test waits for something that ought to happen soon. No test waits for time to pass.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// What is searched for programs; a test does not depend on the caller's environment.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command with an environment that holds nothing of the caller's.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", PATH).env("LANG", "C.UTF-8").env("HOME", "/nonexistent");
    command
}

/// The same command for somebody at a terminal: what comes from there as a signal ends it. Whoever starts the tests may ignore
/// these signals, as nohup and a shell in the background do, and what is ignored is inherited.
pub(crate) fn heeds_signals(program: &Command) -> Command {
    let mut heeds = command("env");
    heeds.arg("--default-signal=HUP,INT,QUIT").arg(program.get_program()).args(program.get_args());
    for (key, value) in program.get_envs() {
        match value {
            Some(value) => heeds.env(key, value),
            None => heeds.env_remove(key),
        };
    }
    heeds
}

/// What somebody who ran a command sees of it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The exit status; `None` if a signal ended it.
    pub(crate) status: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    /// Standard output.
    pub(crate) stdout: Vec<u8>,
    /// Standard error.
    pub(crate) stderr: Vec<u8>,
}

impl Outcome {
    /// Standard output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
    /// Standard error as text.
    pub(crate) fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
    /// Itself, if the command succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, Some(0), "{self:?}");
        self
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |bytes: &[u8]| {
            let head: String = String::from_utf8_lossy(bytes.get(..2000).unwrap_or(bytes)).into_owned();
            if bytes.len() > 2000 { format!("{head}… ({} bytes, SHA-256 {})", bytes.len(), super::sha256(bytes)) } else { head }
        };
        writeln!(f, "status {:?}, signal {:?}", self.status, self.signal)?;
        writeln!(f, "--- stdout\n{}", shown(&self.stdout))?;
        writeln!(f, "--- stderr\n{}", shown(&self.stderr))
    }
}

/// Runs a command to its end; more than [`PATIENCE`] fails the test.
#[track_caller]
pub(crate) fn run(command: Command, stdin: impl Into<Vec<u8>>) -> Outcome {
    run_within(PATIENCE, command, stdin)
}

/// Runs a command to its end. Its input has nothing, and no end before that.
#[track_caller]
pub(crate) fn run_open(command: Command) -> Outcome {
    ends_within(PATIENCE, command, None)
}

/// Runs a command to its end, within this time.
#[track_caller]
pub(crate) fn run_within(limit: Duration, command: Command, stdin: impl Into<Vec<u8>>) -> Outcome {
    ends_within(limit, command, Some(stdin.into()))
}

#[track_caller]
fn ends_within(limit: Duration, mut command: Command, stdin: Option<Vec<u8>>) -> Outcome {
    let shown = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap_or_else(|e| panic!("{shown}: {e}\nhint: run the tests with `make test`, which installs what they talk to"));
    let pid = child.id();
    let mut open = child.stdin.take();
    if let Some(stdin) = stdin
        && let Some(mut pipe) = open.take()
    {
        // A program need not read all of it.
        thread::spawn(move || drop(pipe.write_all(&stdin)));
    }
    let (done, ended) = channel();
    thread::spawn(move || drop(done.send(child.wait_with_output())));
    let output = match ended.recv_timeout(limit) {
        Ok(output) => output.expect("its output"),
        Err(_) => {
            let listing = listing();
            kill_tree(pid, Signal::KILL);
            let output = ended.recv_timeout(PATIENCE).ok().and_then(Result::ok);
            let seen = output.map(|o| outcome(o.status, o.stdout, o.stderr));
            panic!("{shown}: not done within {limit:?}\n{seen:?}\n{listing}");
        }
    };
    drop(open);
    outcome(output.status, output.stdout, output.stderr)
}

fn outcome(status: ExitStatus, stdout: Vec<u8>, stderr: Vec<u8>) -> Outcome {
    Outcome { status: status.code(), signal: status.signal(), stdout, stderr }
}

/// A process that a test keeps. Dropped, it and what it started are killed.
#[derive(Debug)]
pub(crate) struct Process {
    what: String,
    child: Child,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts it in a process group of its own.
    #[track_caller]
    pub(crate) fn start(mut command: Command) -> Self {
        command.process_group(0);
        Self::start_here(command)
    }

    /// Starts it in the process group of the test: for programs that must not lead one.
    #[track_caller]
    pub(crate) fn start_here(mut command: Command) -> Self {
        let what = format!("{command:?}");
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("{what}: {e}\nhint: run the tests with `make test`, which installs what they talk to"));
        Self { what, child, ended: None }
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input, once, if it is a pipe.
    pub(crate) fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// The lines of its standard output, if that is a pipe.
    #[track_caller]
    pub(crate) fn lines(&mut self) -> Lines {
        Lines::of(self.child.stdout.take().expect("standard output is a pipe"))
    }

    /// The lines of its standard error, if that is a pipe.
    #[track_caller]
    pub(crate) fn error_lines(&mut self) -> Lines {
        Lines::of(self.child.stderr.take().expect("standard error is a pipe"))
    }

    /// Its standard output, once, if it is a pipe.
    #[track_caller]
    pub(crate) fn stdout(&mut self) -> std::process::ChildStdout {
        self.child.stdout.take().expect("standard output is a pipe")
    }

    /// Its standard error to the end, if that is a pipe.
    #[track_caller]
    pub(crate) fn errors(&mut self) -> Receiver<Vec<u8>> {
        to_end(self.child.stderr.take().expect("standard error is a pipe"))
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(pid(self.id()), signal).expect("signal");
    }

    /// Whether it runs.
    pub(crate) fn runs(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("wait");
        }
        self.ended.is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while self.runs() {
            assert!(Instant::now() < deadline, "{} has not ended within {PATIENCE:?}", self.what);
            thread::sleep(Duration::from_millis(5));
        }
        self.ended.expect("ended")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.runs() {
            kill_tree(self.child.id(), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// Lines as they come.
#[derive(Debug)]
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    fn of(mut from: impl Read + Send + 'static) -> Self {
        let (line, lines) = channel();
        thread::spawn(move || {
            let mut rest = Vec::new();
            let mut piece = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut piece) {
                rest.extend_from_slice(&piece[..n]);
                while let Some(end) = rest.iter().position(|b| *b == b'\n') {
                    let text: Vec<u8> = rest.drain(..=end).collect();
                    if line.send(String::from_utf8_lossy(&text).trim_end().to_owned()).is_err() {
                        return;
                    }
                }
            }
            if !rest.is_empty() {
                let _ = line.send(String::from_utf8_lossy(&rest).into_owned());
            }
        });
        Self(lines)
    }

    /// The next line; `None` at the end.
    #[track_caller]
    pub(crate) fn next(&self) -> Option<String> {
        self.next_within(PATIENCE)
    }

    /// The next line, within this time; `None` at the end.
    #[track_caller]
    pub(crate) fn next_within(&self, limit: Duration) -> Option<String> {
        match self.0.recv_timeout(limit) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line within {limit:?}"),
        }
    }
}

/// What a pipe gives until it is closed.
pub(crate) fn to_end(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (done, all) = channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = done.send(bytes);
    });
    all
}

/// Waits for something that has no event of its own: a row, a line of another program's log, the end of a stranger's process.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// An id as the system calls take it.
pub(crate) fn pid(id: u32) -> Pid {
    i32::try_from(id).ok().and_then(Pid::from_raw).expect("a process id")
}

/// Whether a process exists and is not a zombie.
pub(crate) fn exists(id: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").trim_start().starts_with('Z'))
}

/// A process and everything that descends from it, parents first.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        // The name in brackets may hold anything; what follows the last bracket is state and parent.
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)).and_then(|p| p.parse::<u32>().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(id);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(id) = found.get(next) {
        found.extend(children.get(id).cloned().unwrap_or_default());
        next += 1;
    }
    found
}

/// Signals a process and everything that descends from it: sshd's children lead sessions of their own.
pub(crate) fn kill_tree(root: u32, signal: Signal) {
    for id in tree(root) {
        let _ = kill_process(pid(id), signal);
    }
}

/// What the test has running.
fn listing() -> String {
    let mut ps = command("ps");
    let ours: Vec<String> = tree(std::process::id()).iter().map(u32::to_string).collect();
    ps.args(["-o", "pid,ppid,stat,wchan:20,args", "-p", &ours.join(",")]);
    ps.output().map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default()
}
