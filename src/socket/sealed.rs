//! The local door while the vault is sealed: `status` and `unseal`, for root and for whoever runs the daemon. The kernel names
//! the peer; nothing of the database is believed, so no other person is known.

use std::io;
use std::sync::Arc;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{CONNECTIONS, Called, PATIENCE, frames, listen, refuse, turn_away};
use crate::control::wire::Frame;
use crate::control::{Command, Data, Problem, Reply, SealedView};
use crate::fault::Kind;
use crate::secret::Secret;

/// Somebody wants to unseal.
#[derive(Debug)]
pub struct Ask {
    /// Who, as the kernel says.
    pub uid: u32,
    /// With what.
    pub passphrase: Option<Secret>,
    /// It is a passphrase for a root key that is yet to be made.
    pub new: bool,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<(), Problem>>,
}

/// Where this door leads.
#[derive(Clone)]
pub struct Doorway {
    /// Says how it is.
    pub view: Arc<dyn Fn() -> SealedView + Send + Sync>,
    /// Takes those who want to unseal.
    pub asks: mpsc::Sender<Ask>,
    /// Who runs the daemon.
    pub us: u32,
}

/// Serves the door until `stop`. Calls that run then are answered still.
pub async fn serve(listener: &UnixListener, door: Doorway, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let stream = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(target: "keyward::socket", %error, "the local door could not let somebody in");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let (door, place) = (door.clone(), Arc::clone(&places).try_acquire_owned());
        #[allow(clippy::disallowed_methods)] // it serves one client and owns nothing; a panic closes that client's stream
        tokio::spawn(async move {
            let served = match place {
                Ok(_place) => attend(stream, &door).await,
                Err(_) => turn_away(stream).await,
            };
            if let Err(error) = served {
                tracing::debug!(target: "keyward::socket", %error, "a client left");
            }
        });
    }
}

async fn attend(mut stream: UnixStream, door: &Doorway) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    let called = match tokio::time::timeout(PATIENCE, listen(&mut stream)).await {
        Ok(called) => called,
        Err(_) => Err(refuse(Kind::TimedOut, format!("the request did not come within {} s", PATIENCE.as_secs()))),
    };
    match answer(called, uid, door).await {
        Ok(reply) => frames::json(&mut stream, Frame::Reply, &reply).await,
        Err(problem) => frames::json(&mut stream, Frame::Error, &problem).await,
    }
}

async fn answer(called: Result<Called, Problem>, uid: u32, door: &Doorway) -> Result<Reply, Problem> {
    let called = called?;
    if uid != 0 && uid != door.us {
        let message =
            format!("the vault is sealed, and until it is open nobody is known here but root and uid {}; you are uid {uid}", door.us);
        return Err(Problem {
            kind: Kind::Forbidden,
            message,
            hint: Some("run it as the user that keyward runs as: keyward unseal".to_owned()),
        });
    }
    let (request, secrets) = match called {
        Called::Verb(request, secrets) => (*request, secrets),
        Called::Agent(..) => return Err(sealed()),
    };
    match request.command {
        Command::Status => Ok(Reply::of(Data::Sealed((door.view)()))),
        Command::Unseal { new } => {
            let (answer, answered) = oneshot::channel();
            let busy = |_| refuse(Kind::Limit, "others are unsealing it at this moment".to_owned());
            door.asks.try_send(Ask { uid, passphrase: secrets.material, new, answer }).map_err(busy)?;
            match answered.await {
                Ok(done) => done.map(|()| Reply::done(Data::Nothing, "the vault is unsealed")),
                Err(_) => Err(Problem {
                    kind: Kind::Unavailable,
                    message: "the daemon did not start with the vault open, or is stopping".to_owned(),
                    hint: Some("its log says why; keyward status".to_owned()),
                }),
            }
        }
        _ => Err(sealed()),
    }
}

fn sealed() -> Problem {
    Problem { kind: Kind::Unavailable, message: "the vault is sealed".to_owned(), hint: Some("keyward unseal".to_owned()) }
}
