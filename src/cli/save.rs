//! `backup`: what the daemon streams goes into a file that did not exist, or to standard output. A file is either whole and
//! on the disk, with its description beside it, or gone again. Knows nothing of what is in it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::client::Client;
use super::fail::{Exit, Failure};
use super::print::{self, Style};
use crate::control::{BackupView, Command, Data, Piece, Problem, Reply, Secrets};

/// Calls, and keeps what is streamed.
pub(super) fn save(client: &Client, style: &Style, command: &Command, file: Option<&Path>) -> Result<Exit, Failure> {
    let Some(path) = file else {
        let reply = stream(client, style, command, |bytes| {
            let mut out = io::stdout().lock();
            out.write_all(bytes).and_then(|()| out.flush())
        })??;
        // Standard output is the file.
        super::err(&print::render(&reply, style).stderr);
        return Ok(Exit::Done);
    };
    let about = beside(path);
    if about.symlink_metadata().is_ok() {
        return Err(unwritable(&about, &io::ErrorKind::AlreadyExists.into()));
    }
    let mut unfinished = Unfinished::make(path)?;
    let answer = stream(client, style, command, |bytes| unfinished.file.write_all(bytes))?;
    let reply = answer?;
    let Data::BackedUp(view) = &reply.data else {
        return Err(Failure::new(Exit::Bug, "the daemon gave no backup", "are program and daemon of one version? keyward status"));
    };
    unfinished.finish(path, &about, view)?;
    let rendered = print::render(&reply, style);
    super::out(rendered.stdout.as_bytes());
    super::err(&rendered.stderr);
    Ok(Exit::Done)
}

/// Where the description of a backup lies.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".json");
    PathBuf::from(name)
}

fn stream(
    client: &Client,
    style: &Style,
    command: &Command,
    mut write: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<Result<Reply, Problem>, Failure> {
    let mut broken: Option<io::Error> = None;
    let answer = client.call(command, Secrets::none(), &mut |piece| match piece {
        Piece::Bytes(bytes) if broken.is_none() => broken = write(&bytes).err(),
        Piece::Step(text) if !style.quiet => super::err(&print::step(&text)),
        _ => {}
    })?;
    match broken {
        Some(e) => Err(Failure::new(Exit::Failed, format!("the backup was not written: {e}"), "is there room? df -h")),
        None => Ok(answer),
    }
}

fn unwritable(path: &Path, e: &io::Error) -> Failure {
    let shown = path.display();
    match e.kind() {
        io::ErrorKind::AlreadyExists => {
            Failure::new(Exit::Failed, format!("{shown} exists already; a backup overwrites nothing"), "choose another name")
        }
        _ => Failure::new(Exit::Failed, format!("{shown}: {e}"), "choose another place"),
    }
}

/// Files that are removed again unless they were finished.
struct Unfinished {
    file: File,
    made: Vec<PathBuf>,
}

impl Unfinished {
    fn make(path: &Path) -> Result<Self, Failure> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|e| unwritable(path, &e))?;
        Ok(Self { file, made: vec![path.to_owned()] })
    }

    /// Writes the description and waits until both are on the disk.
    fn finish(mut self, path: &Path, about: &Path, view: &BackupView) -> Result<(), Failure> {
        self.file.sync_all().map_err(|e| unwritable(path, &e))?;
        let length = self.file.metadata().map_err(|e| unwritable(path, &e))?.len();
        if length != view.bytes {
            let message = format!("the backup has {length} bytes of {}", view.bytes);
            return Err(Failure::new(Exit::Failed, message, "try again"));
        }
        let text = serde_json::to_string_pretty(view).map_err(|e| unwritable(about, &io::Error::other(e)))?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(about).map_err(|e| unwritable(about, &e))?;
        self.made.push(about.to_owned());
        let written = file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        written.and_then(|()| File::open(folder)?.sync_all()).map_err(|e| unwritable(about, &e))?;
        self.made.clear();
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        for path in &self.made {
            let _ = std::fs::remove_file(path);
        }
    }
}
