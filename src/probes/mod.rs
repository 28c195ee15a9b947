//! What is asked of a host: POSIX shell commands that only read, and their answers. Pure; runs nothing.
//!
//! A probe's id says what it asks: `f:PATH` reads a file, `d:PATH` a folder, `c:COMMAND` is a command's output, `p:` lists the
//! processes; whatever asks the same has the same id, so that a host is asked once, and a policy that comes later finds the answer.

mod reader;
mod script;

pub use reader::{Heard, NOISE_MAX, Reader};
pub use script::{KILL_AFTER_S, script};
mod policy;

use std::collections::BTreeMap;
use std::time::Duration;

pub use policy::{FOLDER_CAP, FOLDER_FILE_BYTES};

/// Whether a probe needs root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Root {
    /// Anybody gets the same answer.
    Never,
    /// Tried without; once more as root if it ended with [`NEEDS_ROOT`].
    IfRefused,
    /// Only root's answer counts.
    Needed,
}

/// The exit status by which a probe says that it may not see what it was to look at.
pub const NEEDS_ROOT: i32 = 77;
/// The exit status by which a probe says that what it was to look at does not exist.
pub const ABSENT: i32 = 66;
/// The exit status by which a probe says that it is of another kind: a folder where a file was expected.
pub const OTHER_KIND: i32 = 65;

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Names it, and is the same wherever the same is asked.
    pub id: String,
    /// POSIX shell: what `sh -c` runs. Its standard output is the answer; its standard input is `/dev/null`.
    pub command: String,
    /// It is ended after so many seconds.
    pub timeout_s: u32,
    /// So many bytes of the answer are kept.
    pub cap: usize,
    /// Whether it needs root.
    pub root: Root,
    /// It changes nothing on the host, whoever wrote it: may be asked again after an interruption.
    pub read_only: bool,
}

/// How an answer came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// The command ended by itself.
    Ended,
    /// It was ended because its time was over; what it had written is there.
    TimedOut,
    /// The connection broke off, or the host answered something else: what came is there.
    Broken,
    /// It was not asked: the reason.
    NotRun(String),
}

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How.
    pub status: Status,
    /// The exit status, if it ended by itself.
    pub exit: Option<i32>,
    /// What it wrote, at most the probe's cap.
    pub output: Vec<u8>,
    /// Whether it wrote more than that.
    pub cut: bool,
    /// Whether it ran as root.
    pub as_root: bool,
    /// How long it took.
    pub took_ms: u64,
}

impl Answer {
    /// An answer of a command that ended by itself.
    pub fn ended(exit: i32, output: impl Into<Vec<u8>>) -> Self {
        Self { status: Status::Ended, exit: Some(exit), output: output.into(), cut: false, as_root: false, took_ms: 0 }
    }

    /// Not asked, for this reason.
    pub fn not_run(why: impl Into<String>) -> Self {
        Self { status: Status::NotRun(why.into()), exit: None, output: Vec::new(), cut: false, as_root: false, took_ms: 0 }
    }

    /// With the time that it took. What `timeout` ended says 124, 137 if it had to be killed, and the shell's own watch 143; a command that says so by itself, and
    /// before its time, meant something else.
    #[must_use]
    pub fn after(mut self, took: Duration, timeout_s: u32) -> Self {
        self.took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        if matches!(self.exit, Some(124 | 137 | 143)) && took + SLACK >= Duration::from_secs(timeout_s.into()) {
            self.status = Status::TimedOut;
            self.exit = None;
        }
        self
    }

    /// The output of a command that ended with 0 and was not cut.
    pub fn good(&self) -> Option<&[u8]> {
        (self.status == Status::Ended && self.exit == Some(0) && !self.cut).then_some(&*self.output)
    }
}

/// What a host's clock and ours may differ in by the time that an answer takes on its way.
const SLACK: Duration = Duration::from_secs(1);

/// The answers of one host, by the probes' ids.
pub type Answers = BTreeMap<String, Answer>;

/// Seconds for a probe that says nothing else.
pub const TIMEOUT_S: u32 = 30;
/// Bytes of an answer for a probe that says nothing else.
pub const CAP: usize = 1024 * 1024;

impl Probe {
    /// Reads a file. Ends with [`ABSENT`], [`OTHER_KIND`] or [`NEEDS_ROOT`] where there is nothing to read.
    pub fn file(path: &str) -> Self {
        let q = quote(path);
        let command = format!(
            "f={q}; if [ -d \"$f\" ]; then exit {OTHER_KIND}; elif [ -e \"$f\" ]; then [ -r \"$f\" ] || exit {NEEDS_ROOT}; exec cat -- \"$f\"; \
             else d=$f; while [ ! -e \"$d\" ] && [ \"$d\" != / ] && [ \"$d\" != . ]; do d=${{d%/*}}; d=${{d:-/}}; done; \
             [ -x \"$d\" ] || exit {NEEDS_ROOT}; exit {ABSENT}; fi"
        );
        Self { id: format!("f:{path}"), command, timeout_s: TIMEOUT_S, cap: CAP, root: Root::IfRefused, read_only: true }
    }

    /// Runs a command. What it does is its author's word: it counts as one that may change something, and only root's answer counts.
    pub fn command(command: &str) -> Self {
        Self {
            id: format!("c:{command}"),
            command: command.to_owned(),
            timeout_s: TIMEOUT_S,
            cap: CAP,
            root: Root::Needed,
            read_only: false,
        }
    }
}

/// A word as a POSIX shell reads it back: in single quotes.
pub fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}
