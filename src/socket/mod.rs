//! The local door: a unix socket whose peers the kernel names. Takes bounded frames, hands owned values to the desk, and
//! writes what comes back. Decides nothing, keeps nothing; secrets are read straight into the buffer that is wiped.

mod frames;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::control::wire::{Frame, Hello, PROTOCOL, Request};
use crate::control::{Caller, Desk, Error, Problem, Reply, Secrets};
use crate::fault::{Fault, Kind};
use crate::model::printable;

/// Calls at once; more are told to come back.
pub const CONNECTIONS: usize = 64;
/// How long a client may take to say what it wants.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Pieces of a long answer that wait for a slow client.
const PIECES: usize = 4;

/// Serves the door until `stop`, then waits for the calls that run.
pub async fn serve(listener: UnixListener, desk: Desk, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
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
        let (desk, place) = (desk.clone(), Arc::clone(&places).try_acquire_owned());
        calls.spawn(async move {
            let served = match place {
                Ok(_place) => attend(stream, &desk).await,
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

async fn attend(mut stream: UnixStream, desk: &Desk) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let called = match tokio::time::timeout(PATIENCE, listen(&mut stream)).await {
        Ok(called) => called,
        Err(_) => Err(refuse(Kind::TimedOut, format!("the request did not come within {} s", PATIENCE.as_secs()))),
    };
    let (request, secrets) = match called {
        Ok(called) => called,
        Err(problem) => return frames::json(&mut stream, Frame::Error, &problem).await,
    };
    match desk.caller_of_uid(uid).await {
        Ok(caller) => answer(&mut stream, desk, Caller { workspace: request.workspace.clone(), ..caller }, request, secrets).await,
        Err(e) => frames::json(&mut stream, Frame::Error, &problem(&e)).await,
    }
}

/// Reads what is wanted. The first frame says which protocol is spoken, before anything else is believed.
async fn listen(stream: &mut UnixStream) -> Result<(Request, Secrets), Problem> {
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
    let request: Request = frames::read_json(stream, Frame::Command).await?;
    let material = if request.material { Some(frames::read_secret(stream).await?) } else { None };
    let passphrase = if request.passphrase { Some(frames::read_secret(stream).await?) } else { None };
    Ok((request, Secrets { material, passphrase }))
}

async fn answer(stream: &mut UnixStream, desk: &Desk, caller: Caller, request: Request, secrets: Secrets) -> io::Result<()> {
    let (out, mut pieces) = mpsc::channel::<String>(PIECES);
    let work = async move { desk.handle(caller, request.command, secrets, &out).await };
    let pump = async {
        while let Some(piece) = pieces.recv().await {
            if let Err(e) = frames::write(stream, Frame::Output, piece.as_bytes()).await {
                // The desk hears it at its next piece and stops.
                pieces.close();
                return Err(e);
            }
        }
        Ok(())
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
