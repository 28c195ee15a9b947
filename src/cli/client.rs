//! The client's half of the unix socket: blocking, one call per connection. A secret goes from its own buffer into the
//! socket and is wiped.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fail::{Exit, Failure};
use crate::control::wire::{Bridge, Frame, HEADER, Hello, Request};
use crate::control::{Command, Piece, Problem, Reply, Secrets};
use crate::fault::Kind;
use crate::model::Name;
use crate::secret::Secret;

/// A way to the daemon.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    home: PathBuf,
    workspace: Name,
}

impl Client {
    /// To the daemon that lives in `home`.
    pub fn new(home: &Path, workspace: Name) -> Self {
        Self { socket: super::place::socket(home), home: home.to_path_buf(), workspace }
    }

    /// Whether the daemon is there, before somebody is asked for a secret in vain.
    ///
    /// # Errors
    /// [`Exit::Unreachable`].
    pub fn reachable(&self) -> Result<(), Failure> {
        self.connect().map(drop)
    }

    /// Makes a call. Pieces of a long answer go to `piece` as they come, and are dropped where nobody wants them.
    ///
    /// # Errors
    /// Inside, what the daemon answered; outside, that it could not be asked.
    pub fn call(&self, command: &Command, secrets: Secrets, piece: &mut dyn FnMut(Piece)) -> Result<Result<Reply, Problem>, Failure> {
        let mut stream = self.connect()?;
        // A daemon of another version answers and closes before it has read everything: its answer counts, not the broken pipe.
        let sent = send(&mut stream, &self.workspace, command, secrets);
        let answer = receive(&mut stream, piece);
        match (answer, sent) {
            (Ok(answer), _) => Ok(answer),
            (Err(_), Err(e)) | (Err(e), Ok(())) => Err(Failure::new(
                Exit::Unreachable,
                format!("the daemon broke off: {e}"),
                "what was asked may have been done; see whether the daemon runs: keyward status",
            )),
        }
    }

    /// Asks to speak as an agent. What comes back is a stream of that agent's own words, and who it is.
    ///
    /// # Errors
    /// Inside, what the daemon answered; outside, that it could not be asked.
    pub fn bridge(&self, asked: &Bridge, token: Option<Secret>) -> Result<Result<(UnixStream, Bridge), Problem>, Failure> {
        let mut stream = self.connect()?;
        let sent = ask_to_bridge(&mut stream, asked, token);
        match (bridged(&mut stream), sent) {
            (Ok(Ok(answer)), _) => Ok(Ok((stream, answer))),
            (Ok(Err(problem)), _) => Ok(Err(problem)),
            (Err(_), Err(e)) | (Err(e), Ok(())) => {
                Err(Failure::new(Exit::Unreachable, format!("the daemon broke off: {e}"), "see whether the daemon runs: keyward status"))
            }
        }
    }

    fn connect(&self) -> Result<UnixStream, Failure> {
        UnixStream::connect(&self.socket).map_err(|e| {
            let home = self.home.display();
            let (message, hint) = match e.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    (format!("no daemon runs in {home}"), format!("start it: keyward serve --home {home}"))
                }
                io::ErrorKind::PermissionDenied => (
                    format!("the daemon in {home} is somebody else's: {} cannot be opened", self.socket.display()),
                    "run this as the user that the daemon runs as, or come over ssh: ssh -p 2222 YOU@BROKER status".to_owned(),
                ),
                _ => (
                    format!("{} cannot be reached: {e}", self.socket.display()),
                    "choose a home with a shorter path: --home DIR".to_owned(),
                ),
            };
            Failure::new(Exit::Unreachable, message, hint)
        })
    }
}

fn send(stream: &mut UnixStream, workspace: &Name, command: &Command, secrets: Secrets) -> io::Result<()> {
    let Secrets { material, passphrase } = secrets;
    let request =
        Request { workspace: workspace.clone(), command: command.clone(), material: material.is_some(), passphrase: passphrase.is_some() };
    write(stream, Frame::Hello, &Hello::ours())?;
    write(stream, Frame::Command, &request)?;
    for secret in [material, passphrase].into_iter().flatten() {
        pour(stream, secret)?;
    }
    stream.flush()
}

fn ask_to_bridge(stream: &mut UnixStream, asked: &Bridge, token: Option<Secret>) -> io::Result<()> {
    write(stream, Frame::Hello, &Hello::ours())?;
    write(stream, Frame::Bridge, asked)?;
    if let Some(token) = token {
        pour(stream, token)?;
    }
    stream.flush()
}

/// Reads the one answer, and not a byte of what follows it.
fn bridged(from: &mut impl Read) -> io::Result<Result<Bridge, Problem>> {
    let (frame, payload) = frame(from)?;
    match frame {
        Frame::Bridge => read(&payload).map(Ok),
        Frame::Error => read(&payload).map(Err),
        other => Ok(Err(unexpected(other))),
    }
}

fn frame(from: &mut impl Read) -> io::Result<(Frame, Vec<u8>)> {
    let mut header = [0; HEADER];
    from.read_exact(&mut header)?;
    let (frame, length) = Frame::of(header).map_err(io::Error::other)?;
    let mut payload = vec![0; length];
    from.read_exact(&mut payload)?;
    Ok((frame, payload))
}

fn unexpected(frame: Frame) -> Problem {
    Problem { kind: Kind::Bug, message: format!("the daemon sent a {frame:?} frame, which has no place there"), hint: None }
}

fn write(to: &mut impl Write, frame: Frame, value: &impl Serialize) -> io::Result<()> {
    let payload = serde_json::to_vec(value)?;
    to.write_all(&frame.header(payload.len()).map_err(io::Error::other)?)?;
    to.write_all(&payload)
}

fn pour(to: &mut impl Write, secret: Secret) -> io::Result<()> {
    to.write_all(&Frame::Secret.header(secret.len()).map_err(io::Error::other)?)?;
    secret.pour(to)
}

fn receive(from: &mut impl Read, piece: &mut dyn FnMut(Piece)) -> io::Result<Result<Reply, Problem>> {
    loop {
        let (frame, payload) = frame(from)?;
        match frame {
            Frame::Output => piece(Piece::Lines(String::from_utf8(payload).map_err(io::Error::other)?)),
            Frame::Report => piece(Piece::Report(String::from_utf8(payload).map_err(io::Error::other)?)),
            Frame::Step => piece(Piece::Step(String::from_utf8(payload).map_err(io::Error::other)?)),
            Frame::Progress => piece(Piece::Progress(read(&payload)?)),
            Frame::Bytes => piece(Piece::Bytes(payload)),
            Frame::Reply => return read(&payload).map(Ok),
            Frame::Error => return read(&payload).map(Err),
            other @ (Frame::Hello | Frame::Command | Frame::Secret | Frame::Bridge) => return Ok(Err(unexpected(other))),
        }
    }
}

fn read<T: DeserializeOwned>(payload: &[u8]) -> io::Result<T> {
    serde_json::from_slice(payload).map_err(io::Error::other)
}
