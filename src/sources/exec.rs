//! A program as a source: it is started without a shell, in a clean environment and a group of its own, and what it writes is
//! the secret. Never passes a path that could be an option, never shows what it wrote on standard error to anybody but the
//! operator's log, and never leaves the group running.
//!
//! Runs on a thread of its own that waits in `poll`. The standard library starts programs with `posix_spawn` here, so no page
//! of this process is copied for the child; and every descriptor of this process closes on exec.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};
use zeroize::Zeroizing;

use super::LONGEST;
use super::error::Why;
use crate::masking::Masker;
use crate::model::{Name, Reference, printable};

/// Where programs are looked for, unless `env` or `pass_env` say another PATH.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// How much of standard error is kept for the log.
const COMPLAINT: usize = 2048;

/// How a program is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    /// The program and its arguments; `{path}` and `{field}` are replaced inside an argument, never in the program's name.
    pub argv: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// What it gets of the broker's own environment.
    pub pass_env: Vec<String>,
    /// Only the first line it writes is the secret.
    pub first_line: bool,
}

impl Exec {
    /// Whether any argument has `{field}`.
    pub(super) fn takes_field(&self) -> bool {
        self.argv.iter().any(|arg| arg.contains("{field}"))
    }

    /// The program, looked for where the child's own PATH says.
    pub(super) fn program(&self, passed: &BTreeMap<String, OsString>) -> Result<PathBuf, Why> {
        let name = self.argv.first().map(String::as_str).unwrap_or_default();
        if name.contains('/') {
            return Ok(PathBuf::from(name));
        }
        let path = self.env.get("PATH").map(OsString::from).or_else(|| passed.get("PATH").cloned()).unwrap_or_else(|| PATH.into());
        let found = std::env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name)).find(|file| is_program(file));
        found.ok_or(Why::NotStarted("it is not in the PATH that it would have"))
    }

    fn command(&self, passed: &BTreeMap<String, OsString>, reference: &Reference) -> Result<Command, Why> {
        let field = reference.field.as_ref().map_or("", |field| field.as_str());
        let mut command = Command::new(self.program(passed)?);
        for arg in self.argv.iter().skip(1) {
            command.arg(fill(arg, reference.path.as_str(), field));
        }
        command.env_clear().env("PATH", PATH).envs(passed).envs(&self.env);
        command.current_dir("/").stdin(Stdio::null()).process_group(0);
        Ok(command)
    }
}

fn is_program(file: &Path) -> bool {
    file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
}

/// One pass, so that a path or field that looked like a placeholder would not be replaced again.
fn fill(arg: &str, path: &str, field: &str) -> String {
    let mut out = String::new();
    let mut rest = arg;
    while let Some(at) = rest.find('{') {
        let (plain, from) = rest.split_at(at);
        out.push_str(plain);
        if let Some(after) = from.strip_prefix("{path}") {
            out.push_str(path);
            rest = after;
        } else if let Some(after) = from.strip_prefix("{field}") {
            out.push_str(field);
            rest = after;
        } else {
            out.push('{');
            rest = from.get(1..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

/// A run: what is to be started, and until when.
pub(super) struct Run {
    pub(super) source: Name,
    pub(super) exec: Exec,
    pub(super) passed: BTreeMap<String, OsString>,
    pub(super) reference: Reference,
    pub(super) limit: Duration,
    /// Nobody waits any more when its other end is closed.
    pub(super) wanted: PipeReader,
}

/// Runs the program to its end. Blocks; for a thread of its own.
pub(super) fn run(run: &Run) -> Result<Zeroizing<Vec<u8>>, Why> {
    let until = Instant::now() + run.limit;
    let mut command = run.exec.command(&run.passed, &run.reference)?;
    let (out, out_end) = std::io::pipe().map_err(|_| Why::NotStarted("no pipe"))?;
    let (err, err_end) = std::io::pipe().map_err(|_| Why::NotStarted("no pipe"))?;
    command.stdout(out_end).stderr(err_end);
    let child = command.spawn().map_err(|e| Why::NotStarted(kind(&e)))?;
    // The parent's copies of the pipes' ends go with the command; else its own would keep them open.
    drop(command);
    let mut group = Group::of(child)?;
    let mut heard = Heard::new();
    let read = heard.listen(&mut group, (&out.into(), &err.into()), run, until);
    let status = group.end();
    let failed = match (read, status) {
        (Err(why), _) => why,
        (Ok(()), Some(status)) if status.success() => return secret(&heard.out, run.exec.first_line),
        (Ok(()), Some(status)) => status.code().map_or(Why::Signal, Why::Exit),
        (Ok(()), None) => Why::Signal,
    };
    if failed != Why::BrokeOff {
        complain(&run.source, &failed, &heard);
    }
    Err(failed)
}

/// What a program wrote, as a secret: its first line, or all of it without one line break at its end.
fn secret(written: &[u8], first_line: bool) -> Result<Zeroizing<Vec<u8>>, Why> {
    let end = if first_line { written.iter().position(|b| *b == b'\n').map_or(written.len(), |at| at + 1) } else { written.len() };
    let line = written.get(..end).unwrap_or_default();
    let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
    if line.is_empty() {
        return Err(Why::Empty);
    }
    let mut exact = Zeroizing::new(Vec::with_capacity(line.len()));
    exact.extend_from_slice(line);
    Ok(exact)
}

/// Tells the operator what the program said, unless it said what it should have kept.
fn complain(source: &Name, why: &Why, heard: &Heard) {
    let mut masker = Masker::new();
    let mut masked = Vec::new();
    masker.feed(heard.err.get(..heard.err_len.min(COMPLAINT)).unwrap_or_default(), &mut masked);
    masker.finish(&mut masked);
    let said = printable(String::from_utf8_lossy(&masked).trim(), 500);
    let quotes = heard.out.split(|b| *b == b'\n').any(|line| line.len() >= 4 && heard.err.windows(line.len()).any(|piece| piece == line));
    let said = if quotes { "(not shown: it quotes what was written to standard output)".to_owned() } else { said };
    tracing::warn!(target: "keyward::sources", source = %source, stderr = said, "the program of a source failed: {why}");
}

fn kind(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it is not there",
        std::io::ErrorKind::PermissionDenied => "the broker may not run it",
        _ => "the system refused",
    }
}

/// What was written so far.
struct Heard {
    out: Zeroizing<Vec<u8>>,
    err: Zeroizing<Vec<u8>>,
    err_len: usize,
}

impl Heard {
    fn new() -> Self {
        Self { out: Zeroizing::new(Vec::with_capacity(LONGEST + 1)), err: Zeroizing::new(vec![0; COMPLAINT]), err_len: 0 }
    }

    /// Reads both pipes until both have ended and the program has, too. When the program has ended, the rest of its group is
    /// ended: what it left behind has nothing more to say.
    fn listen(&mut self, group: &mut Group, (out, err): (&OwnedFd, &OwnedFd), run: &Run, until: Instant) -> Result<(), Why> {
        // Read into this, on the heap and wiped, and not into the vector's spare room, which is no initialised memory.
        let mut piece = Zeroizing::new(vec![0u8; 4096]);
        let (mut out_open, mut err_open) = (true, true);
        while out_open || !group.over {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Why::TimedOut(run.limit));
            }
            let mut waits = vec![(Who::Wanted, PollFd::new(&run.wanted, PollFlags::empty()))];
            if !group.over {
                waits.push((Who::Program, PollFd::new(&group.pidfd, PollFlags::IN)));
            }
            if out_open {
                waits.push((Who::Out, PollFd::new(out, PollFlags::IN)));
            }
            if err_open {
                waits.push((Who::Err, PollFd::new(err, PollFlags::IN)));
            }
            let ready = wait(waits, left)?;
            let is = |who| ready.contains(&who);
            if is(Who::Wanted) {
                return Err(Why::BrokeOff);
            }
            if is(Who::Out) {
                match rustix::io::read(out, &mut piece[..]) {
                    Ok(0) => out_open = false,
                    Ok(n) if self.out.len() + n > LONGEST => return Err(Why::TooBig),
                    Ok(n) => self.out.extend_from_slice(piece.get(..n).unwrap_or_default()),
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    Err(_) => return Err(Why::BrokeOff),
                }
            }
            if is(Who::Err) {
                match rustix::io::read(err, &mut piece[..]) {
                    Ok(0) | Err(_) => err_open = false,
                    Ok(n) => {
                        let room = self.err.get_mut(self.err_len..).unwrap_or_default();
                        let taken = n.min(room.len());
                        if let (Some(to), Some(from)) = (room.get_mut(..taken), piece.get(..taken)) {
                            to.copy_from_slice(from);
                        }
                        self.err_len += taken;
                    }
                }
            }
            if is(Who::Program) {
                group.over = true;
                group.kill();
            }
        }
        Ok(())
    }
}

/// What a wait was for.
#[derive(Clone, Copy, PartialEq)]
enum Who {
    Wanted,
    Program,
    Out,
    Err,
}

/// Waits until something happened, and says what.
fn wait(waits: Vec<(Who, PollFd<'_>)>, left: Duration) -> Result<Vec<Who>, Why> {
    let (who, mut fds): (Vec<Who>, Vec<PollFd<'_>>) = waits.into_iter().unzip();
    let timeout = Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() };
    match rustix::event::poll(&mut fds, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(_) => return Err(Why::NotStarted("the system refused")),
    }
    Ok(who.into_iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty()).map(|(who, _)| who).collect())
}

/// The program and all that it started in its group. Not waited for before the group is ended: until then its number is its own.
struct Group {
    child: Option<Child>,
    id: Pid,
    pidfd: OwnedFd,
    over: bool,
}

impl Group {
    fn of(mut child: Child) -> Result<Self, Why> {
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let opened = id.and_then(|id| Some((id, rustix::process::pidfd_open(id, PidfdFlags::empty()).ok()?)));
        let Some((id, pidfd)) = opened else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Why::NotStarted("the system refused"));
        };
        Ok(Self { child: Some(child), id, pidfd, over: false })
    }

    fn kill(&self) {
        // Gone already, all of it, is as good.
        let _ = rustix::process::kill_process_group(self.id, Signal::KILL);
    }

    /// Ends the group and takes the program's status.
    fn end(&mut self) -> Option<std::process::ExitStatus> {
        let mut child = self.child.take()?;
        self.kill();
        child.wait().ok()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}
