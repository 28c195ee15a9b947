//! `proposal watch` on a terminal of this machine: raw mode, the inbox over the control socket, and the terminal as it was at
//! every end. Approvals need a key that this door does not see, so they are signed by the person's ssh agent.

use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::client::Client;
use super::fail::{self, Exit, Failure};
use super::{place, sign};
use crate::clock::Clock;
use crate::control::{CanonicalView, Command, Problem, Reply, Secrets};
use crate::fault::Kind;
use crate::inbox::{self, Door, Left, Look};
use crate::screen::LEAVE;

/// How often the daemon is asked whether something changed.
const POLL: Duration = Duration::from_secs(1);

/// Shows the inbox.
pub(super) fn inbox(client: Client, color: bool) -> Result<Exit, Failure> {
    let dumb = place::var("TERM").is_none_or(|term| term == "dumb");
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() || dumb {
        return Err(fail::no_screen("keyward proposal watch, at a terminal"));
    }
    let failed = |what: &'static str| {
        move |e: std::io::Error| Failure::new(Exit::Failed, format!("{what}: {e}"), "decide with verbs: keyward proposal list --pending")
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(failed("the inbox does not start"))?;
    let raw = Raw::begin().map_err(failed("the terminal cannot be set"))?;
    let left = runtime.block_on(async {
        let (resize, size) = watch::channel(size());
        let mut resized = signal(SignalKind::window_change())?;
        let (mut told, mut hung) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
        let door = SocketDoor { client: Arc::new(client), polls: Polls(tokio::time::interval(POLL)) };
        let look = Look { color, signs: sign::socket().is_some() };
        let mut stdout = tokio::io::stdout();
        let left = {
            let shown = inbox::run(door, look, Clock::System, tokio::io::stdin(), &mut stdout, size);
            tokio::pin!(shown);
            loop {
                tokio::select! {
                    left = &mut shown => break Some(left),
                    _ = resized.recv() => { resize.send_replace(self::size()); }
                    _ = told.recv() => break None,
                    _ = hung.recv() => break None,
                }
            }
        };
        if left.is_none() {
            // It was not ended by itself, so it put nothing back.
            super::out(LEAVE.as_bytes());
        }
        Ok(left.unwrap_or(Left::Gone))
    });
    drop(raw);
    // A read of the keyboard waits in a thread of its own; nobody waits for it.
    runtime.shutdown_background();
    match left.map_err(failed("the inbox does not start"))? {
        Left::Done => Ok(Exit::Done),
        Left::Gone => Ok(Exit::Failed),
        Left::Failed => Err(fail::inbox_failed()),
    }
}

fn size() -> (u16, u16) {
    let told = tcgetwinsize(std::io::stdout()).ok().filter(|s| s.ws_col > 0 && s.ws_row > 0);
    told.map_or((80, 24), |s| (s.ws_col, s.ws_row))
}

/// The terminal in raw mode, until this is dropped.
struct Raw(Termios);

impl Raw {
    fn begin() -> std::io::Result<Self> {
        let stdin = std::io::stdin();
        let before = tcgetattr(stdin.as_fd())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin.as_fd(), OptionalActions::Drain, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // What was typed ahead was meant for the inbox, not for the shell behind it.
        let _ = tcsetattr(std::io::stdin().as_fd(), OptionalActions::Flush, &self.0);
    }
}

/// The daemon behind the control socket.
#[derive(Clone, Debug)]
struct SocketDoor {
    client: Arc<Client>,
    polls: Polls,
}

/// When it is asked next.
#[derive(Debug)]
struct Polls(tokio::time::Interval);

impl Clone for Polls {
    fn clone(&self) -> Self {
        Self(tokio::time::interval(self.0.period()))
    }
}

impl SocketDoor {
    async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
        let failed = |e: tokio::task::JoinError| Problem { kind: Kind::Bug, message: format!("a call failed: {e}"), hint: None };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(failed(e)))
    }
}

impl Door for SocketDoor {
    async fn call(&self, command: Command) -> Result<Reply, Problem> {
        let client = Arc::clone(&self.client);
        Self::blocking(move || client.call(&command, Secrets::none(), &mut |_| {}).unwrap_or_else(|e| Err(problem(e)))).await
    }

    async fn sign(&self, what: CanonicalView) -> Result<String, Problem> {
        Self::blocking(move || sign::with_agent(&what).map_err(problem)).await
    }

    async fn changed(&mut self) {
        self.polls.0.tick().await;
    }
}

fn problem(failure: Failure) -> Problem {
    Problem { kind: Kind::Unavailable, message: failure.message, hint: failure.hint }
}
