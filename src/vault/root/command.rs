//! The root key from a program that prints it: a password manager, a token's tool, a call to a key service. The words come from
//! `broker.toml` alone; no shell, no input, no environment but what is named. Never shows what it printed.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::{Error, text};
use crate::masking::Masker;
use crate::model::printable;
use crate::secret::read_at_most;
use crate::vault::envelope::Bytes;

/// How long the program may take.
pub const TIME_LIMIT: Duration = Duration::from_secs(30);
/// The most that it may print, in bytes.
pub const MAX_OUTPUT: usize = 4096;
/// How long what it said on standard error is waited for once all else is known.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How often it is looked whether it has ended, or nobody waits for it any more.
const LOOK: Duration = Duration::from_millis(10);
/// The most of standard error that is shown, in characters.
const SHOWN: usize = 600;

/// A program and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its absolute path.
    pub path: PathBuf,
    /// Its arguments. No secret belongs there: others can read them.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub environment: Vec<(String, OsString)>,
    /// Rung when nobody waits for it any more: then it is killed, so that it does not outlive the daemon.
    pub given_up: GivenUp,
}

/// Whether nobody waits any more. All clones are one bell, and no part of what a program is.
#[derive(Clone, Debug, Default)]
pub struct GivenUp(Arc<AtomicBool>);

impl GivenUp {
    /// Rings.
    pub fn ring(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn rung(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl PartialEq for GivenUp {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for GivenUp {}

/// Why a program is not run.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It is not there, or cannot be looked at.
    #[error("{0}")]
    Io(io::Error),
    /// It is no file.
    #[error("it is not a regular file")]
    NotAFile,
    /// It is somebody else's.
    #[error("{0} belongs to uid {1}, who could change it; it has to be root's, or of the user that keyward runs as")]
    Owner(PathBuf, u32),
    /// Others may write it.
    #[error("others may change {0} (mode {1:04o})")]
    Writable(PathBuf, u32),
    /// Nobody may run it.
    #[error("it is not executable")]
    NotExecutable,
}

impl Unfit {
    pub(super) fn hint(&self, path: &Path) -> String {
        match self {
            Self::Io(_) | Self::NotAFile => "name another with `command` in broker.toml, as an absolute path".to_owned(),
            Self::Owner(which, _) => format!("chown root {}", which.display()),
            Self::Writable(which, _) => format!("chmod go-w {}", which.display()),
            Self::NotExecutable => format!("chmod u+x {}", path.display()),
        }
    }
}

/// How a program failed.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// It could not be started.
    #[error("it could not be started: {0}")]
    Start(io::Error),
    /// It took too long.
    #[error("it did not end within {} s and was killed", .0.as_secs_f32())]
    Late(Duration),
    /// Nobody waits for it any more.
    #[error("it was killed: the daemon stops")]
    GivenUp,
    /// It printed too much.
    #[error("it printed more than {MAX_OUTPUT} bytes and was killed")]
    TooMuch,
    /// It said that it failed.
    #[error("{0}")]
    Status(std::process::ExitStatus),
    /// What it printed is none.
    #[error("what it printed is no root key")]
    NoKey,
    /// Its output could not be read.
    #[error("its output could not be read: {0}")]
    Unreadable(io::Error),
}

/// Runs the program and takes what it prints.
pub(super) fn obtain(program: &Program) -> Result<Bytes, Error> {
    obtain_within(program, TIME_LIMIT)
}

pub(super) fn obtain_within(program: &Program, limit: Duration) -> Result<Bytes, Error> {
    let output = run(program, None, limit)?;
    text::parse(&output.0).ok_or_else(|| Error::Command { path: program.path.clone(), why: Failed::NoKey, said: output.1 })
}

/// Runs a program that takes this on its standard input, and nothing of what it prints is wanted.
pub(super) fn feed(program: &Program, input: &[u8]) -> Result<(), Error> {
    run(program, Some(input), TIME_LIMIT).map(drop)
}

/// What it printed, and what it said on standard error.
fn run(program: &Program, input: Option<&[u8]>, limit: Duration) -> Result<(Bytes, String), Error> {
    let us = rustix::process::geteuid().as_raw();
    let path = fit(&program.path, us).map_err(|why| Error::Program { path: program.path.clone(), why })?;
    let failed = |why, said| Error::Command { path: program.path.clone(), why, said };
    let mut command = Command::new(&path);
    // Some programs are many in one, told apart by the name they are called by.
    command.arg0(&program.path).args(&program.arguments).env_clear().envs(program.environment.iter().map(|(k, v)| (k, v)));
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    command.current_dir("/").stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own: what it has started ends with it.
    command.process_group(0);
    let mut child = command.spawn().map_err(|e| failed(Failed::Start(e), String::new()))?;
    let (tell, told) = mpsc::channel();
    if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
        // A line is less than a pipe holds: nobody waits. Whoever does not read it fails by its own word.
        let _ = io::Write::write_all(&mut pipe, input);
    }
    let mut errors = None;
    let heard = listen(&mut child, &tell).map_err(Failed::Start).and_then(|()| {
        drop(tell);
        follow(&mut child, (&told, &mut errors), &program.given_up, Instant::now() + limit, limit)
    });
    match heard {
        Ok(output) => Ok((output, said(errors, &told))),
        Err(why) => {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                let _ = rustix::process::kill_process_group(group, Signal::KILL);
            }
            let _ = child.wait();
            Err(failed(why, said(errors, &told)))
        }
    }
}

/// What a thread heard from one of the two pipes.
enum Heard {
    Output(io::Result<Bytes>),
    Errors(Bytes),
}

/// A thread for each pipe, so that neither can fill up while the other is read. A pipe that is never closed costs a thread.
fn listen(child: &mut Child, tell: &Sender<Heard>) -> io::Result<()> {
    let start = |work: Box<dyn FnOnce() + Send>| std::thread::Builder::new().name("root-key".to_owned()).spawn(work).map(drop);
    if let Some(output) = child.stdout.take() {
        let tell = tell.clone();
        start(Box::new(move || drop(tell.send(Heard::Output(read(output))))))?;
    }
    if let Some(errors) = child.stderr.take() {
        let tell = tell.clone();
        start(Box::new(move || {
            let mut rest = errors;
            let heard = read(&mut rest).unwrap_or_default();
            let _ = tell.send(Heard::Errors(heard));
            // Whoever writes more must not wait for a reader.
            let _ = io::copy(&mut rest, &mut io::sink());
        }))?;
    }
    Ok(())
}

/// Reads up to one byte more than may be printed, into one buffer that is wiped.
fn read(mut from: impl Read) -> io::Result<Bytes> {
    read_at_most(&mut from, MAX_OUTPUT + 1)
}

/// Waits for the end of the output and of the program, in that order, until the deadline.
fn follow(
    child: &mut Child,
    (told, errors): (&Receiver<Heard>, &mut Option<Bytes>),
    given_up: &GivenUp,
    deadline: Instant,
    limit: Duration,
) -> Result<Bytes, Failed> {
    let output = loop {
        match told.recv_timeout(LOOK) {
            Ok(Heard::Output(output)) => break output.map_err(Failed::Unreadable)?,
            Ok(Heard::Errors(heard)) => *errors = Some(heard),
            Err(_) if given_up.rung() => return Err(Failed::GivenUp),
            Err(_) if Instant::now() < deadline => {}
            Err(_) => return Err(Failed::Late(limit)),
        }
    };
    if output.len() > MAX_OUTPUT {
        return Err(Failed::TooMuch);
    }
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(output),
            Ok(Some(status)) => return Err(Failed::Status(status)),
            Ok(None) if given_up.rung() => return Err(Failed::GivenUp),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
            Ok(None) => return Err(Failed::Late(limit)),
            Err(e) => return Err(Failed::Unreadable(e)),
        }
    }
}

/// What it wrote on standard error: masked, made printable, cut.
fn said(heard: Option<Bytes>, told: &Receiver<Heard>) -> String {
    let until = Instant::now() + LAST_WORDS;
    let next = || told.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
    let errors = heard.or_else(|| std::iter::from_fn(next).find_map(|h| if let Heard::Errors(errors) = h { Some(errors) } else { None }));
    let mut masker = Masker::new();
    let mut shown = Vec::new();
    masker.feed(&errors.unwrap_or_default(), &mut shown);
    masker.finish(&mut shown);
    let shown = String::from_utf8_lossy(&shown);
    // The masks know keys of the world; this one is ours.
    let shown = shown.split("keyward-root-key-").next().unwrap_or_default();
    printable(shown.trim(), SHOWN)
}

/// The program as it will be run: without links, root's or ours, and nobody else's to change – nor any folder on the way to it.
fn fit(path: &Path, us: u32) -> Result<PathBuf, Unfit> {
    let path = path.canonicalize().map_err(Unfit::Io)?;
    let found = path.metadata().map_err(Unfit::Io)?;
    if !found.is_file() || found.file_type().is_fifo() {
        return Err(Unfit::NotAFile);
    }
    for part in path.ancestors() {
        let found = part.metadata().map_err(Unfit::Io)?;
        let mode = found.mode() & 0o7777;
        if found.uid() != 0 && found.uid() != us {
            return Err(Unfit::Owner(part.to_owned(), found.uid()));
        }
        // In a sticky folder, as /tmp is, others cannot replace what is not theirs.
        let sticky = found.is_dir() && mode & 0o1000 != 0;
        if mode & 0o022 != 0 && !sticky {
            return Err(Unfit::Writable(part.to_owned(), mode));
        }
    }
    if found.mode() & 0o111 == 0 { Err(Unfit::NotExecutable) } else { Ok(path) }
}

#[cfg(test)]
#[path = "../tests/root_command.rs"]
mod tests;
