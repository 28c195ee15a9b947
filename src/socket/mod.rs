//! The local door: a unix socket whose peers the kernel names. Takes bounded frames, hands owned values to the desk, and
//! writes what comes back. Decides nothing, keeps nothing; secrets are read straight into the buffer that is wiped.

mod bridge;
mod frames;
pub mod sealed;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::control::wire::{Bridge, Frame, Hello, PROTOCOL, Request};
use crate::control::{Caller, Desk, Error, Piece, Problem, Reply, Secrets};
use crate::fault::{Fault, Kind};
use crate::mcp;
use crate::model::printable;
use crate::secret::Secret;

/// Calls at once; more are told to come back.
pub const CONNECTIONS: usize = 64;
/// Agents at once; they stay, so they are counted apart.
pub const BRIDGES: usize = 64;
/// How long a client may take to say what it wants.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Pieces of a long answer that wait for a slow client.
const PIECES: usize = 4;

/// What this door leads to.
#[derive(Clone, Debug)]
pub struct Doorway {
    /// Answers verbs.
    pub desk: Desk,
    /// The agents' tools.
    pub tools: mcp::Doorway,
}

/// Serves the door until `stop`, then waits for the calls that run. Bridges of agents end at `stop`.
pub async fn serve(listener: Arc<UnixListener>, door: Doorway, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let bridges = Arc::new(Semaphore::new(BRIDGES));
    let calls = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: waiting lets some be closed.
                    tracing::warn!(target: "keyward::socket", %error, "the local door could not let somebody in");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (door, place) = (door.clone(), Arc::clone(&places).try_acquire_owned());
        let (bridges, stop) = (Arc::clone(&bridges), stop.clone());
        calls.spawn(async move {
            let served = match place {
                Ok(place) => attend(stream, &door, place, &bridges, &stop).await,
                Err(_) => turn_away(stream).await,
            };
            if let Err(error) = served {
                tracing::debug!(target: "keyward::socket", %error, "a client left");
            }
        });
    }
    calls.close();
    calls.wait().await;
}

async fn turn_away(mut stream: UnixStream) -> io::Result<()> {
    let problem = Problem {
        kind: Kind::Limit,
        message: format!("the local door serves {CONNECTIONS} calls at once, and all are taken"),
        hint: Some("try again in a moment".to_owned()),
    };
    frames::json(&mut stream, Frame::Error, &problem).await
}

async fn attend(
    mut stream: UnixStream,
    door: &Doorway,
    place: OwnedSemaphorePermit,
    bridges: &Arc<Semaphore>,
    stop: &CancellationToken,
) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let called = match tokio::time::timeout(PATIENCE, listen(&mut stream)).await {
        Ok(called) => called,
        Err(_) => Err(refuse(Kind::TimedOut, format!("the request did not come within {} s", PATIENCE.as_secs()))),
    };
    let (request, secrets) = match called {
        Ok(Called::Verb(request, secrets)) => (*request, secrets),
        Ok(Called::Agent(asked, token)) => {
            // It may stay for days: the place of a call is for those who ask and leave.
            drop(place);
            return bridge::attend(stream, door, uid, asked, token, bridges, stop).await;
        }
        Err(problem) => return frames::json(&mut stream, Frame::Error, &problem).await,
    };
    let desk = &door.desk;
    match desk.caller_of_uid(uid).await {
        Ok(caller) => answer(&mut stream, desk, Caller { workspace: request.workspace.clone(), ..caller }, request, secrets).await,
        Err(e) => frames::json(&mut stream, Frame::Error, &problem(&e)).await,
    }
}

/// What somebody wants at this door.
enum Called {
    /// A verb, with its secrets.
    Verb(Box<Request>, Secrets),
    /// To speak as an agent, perhaps with its token.
    Agent(Bridge, Option<Secret>),
}

/// Reads what is wanted. The first frame says which protocol is spoken, before anything else is believed.
async fn listen(stream: &mut UnixStream) -> Result<Called, Problem> {
    let hello: Hello = frames::read_json(stream, Frame::Hello).await?;
    if hello.protocol != PROTOCOL {
        return Err(Problem {
            kind: Kind::Unavailable,
            message: format!(
                "this program is keyward {}, the daemon is keyward {}, and they do not understand each other",
                printable(&hello.version, 40),
                env!("CARGO_PKG_VERSION")
            ),
            hint: Some("use the program that the daemon was started with, or restart the daemon".to_owned()),
        });
    }
    let (for_agent, payload) = frames::read_either(stream, [Frame::Command, Frame::Bridge]).await?;
    if for_agent {
        let asked: Bridge = frames::parse(&payload)?;
        let token = if asked.token { Some(frames::read_secret(stream).await?) } else { None };
        return Ok(Called::Agent(asked, token));
    }
    let request: Request = frames::parse(&payload)?;
    let material = if request.material { Some(frames::read_secret(stream).await?) } else { None };
    let passphrase = if request.passphrase { Some(frames::read_secret(stream).await?) } else { None };
    Ok(Called::Verb(Box::new(request), Secrets { material, passphrase }))
}

async fn answer(stream: &mut UnixStream, desk: &Desk, caller: Caller, request: Request, secrets: Secrets) -> io::Result<()> {
    let (out, mut pieces) = mpsc::channel::<Piece>(PIECES);
    let (mut from, mut to) = stream.split();
    let work = async move { desk.handle(caller, request.command, secrets, &out).await };
    let pump = async {
        let mut there = true;
        loop {
            let piece = tokio::select! {
                piece = pieces.recv() => piece,
                // Nothing more is due from the client: its end, or anything else, is the end of the call.
                _ = from.read_u8(), if there => {
                    there = false;
                    pieces.close();
                    continue;
                }
            };
            let Some(piece) = piece else { return if there { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) } };
            let written = match piece {
                Piece::Lines(text) => frames::write(&mut to, Frame::Output, text.as_bytes()).await,
                Piece::Report(text) => frames::write(&mut to, Frame::Report, text.as_bytes()).await,
                Piece::Step(text) => frames::write(&mut to, Frame::Step, text.as_bytes()).await,
                Piece::Progress(view) => frames::json(&mut to, Frame::Progress, &view).await,
                Piece::Bytes(bytes) => frames::write(&mut to, Frame::Bytes, &bytes).await,
            };
            if let Err(e) = written {
                // The desk hears it at its next piece and stops.
                pieces.close();
                return Err(e);
            }
        }
    };
    let (result, pumped): (Result<Reply, Error>, io::Result<()>) = tokio::join!(work, pump);
    pumped?;
    match result {
        Ok(reply) => frames::json(stream, Frame::Reply, &reply).await,
        Err(e) => frames::json(stream, Frame::Error, &problem(&e)).await,
    }
}

fn problem(e: &Error) -> Problem {
    if e.kind() == Kind::Bug {
        tracing::error!(target: "keyward::socket", error = %e, "a verb failed where it must not");
    }
    Problem { kind: e.kind(), message: e.to_string(), hint: e.hint() }
}

fn refuse(kind: Kind, message: String) -> Problem {
    Problem { kind, message, hint: None }
}
