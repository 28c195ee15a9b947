//! The inbox on a stream: keys in, screens out, verbs to the desk. Puts the terminal back whatever happens; decides nothing.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::layout::Size;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::app::{App, Effect, Look};
use super::door::Door;
use crate::clock::Clock;
use crate::control::{Command, Data, Problem, Reply};
use crate::fault::Kind;
use crate::screen::{ENTER, Key, Keys, LEAVE, Screen};

/// How long an escape waits for what may belong to it.
const ESCAPE: Duration = Duration::from_millis(50);
/// How often the countdown is drawn.
const SECOND: Duration = Duration::from_secs(1);
/// How long a decision that is on its way has when the person leaves.
const PATIENCE: Duration = Duration::from_secs(5);

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The person left.
    Done,
    /// Their terminal did.
    Gone,
    /// A defect; the terminal was put back.
    Failed,
}

/// Shows the inbox until the person leaves.
pub async fn run<D, I, O>(door: D, look: Look, clock: Clock, stdin: I, stdout: &mut O, size: watch::Receiver<(u16, u16)>) -> Left
where
    D: Door,
    I: AsyncRead + Unpin + Send,
    O: AsyncWrite + Unpin + Send,
{
    let left = {
        let mut shown = pin!(shown(door, look, clock, stdin, stdout, size));
        std::future::poll_fn(|cx| match std::panic::catch_unwind(AssertUnwindSafe(|| shown.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(left)) => Poll::Ready(left),
            Err(_) => Poll::Ready(Left::Failed),
        })
        .await
    };
    // Written also where the reading end is gone: the other one may still be there.
    let _ = stdout.write_all(LEAVE.as_bytes()).await;
    let _ = stdout.flush().await;
    left
}

async fn shown<D, I, O>(mut door: D, look: Look, clock: Clock, mut stdin: I, stdout: &mut O, mut size: watch::Receiver<(u16, u16)>) -> Left
where
    D: Door,
    I: AsyncRead + Unpin + Send,
    O: AsyncWrite + Unpin + Send,
{
    let (columns, rows) = *size.borrow_and_update();
    let Ok::<_, Infallible>(mut terminal) = Terminal::new(Screen::new(Size::new(columns, rows)));
    if stdout.write_all(ENTER.as_bytes()).await.is_err() {
        return Left::Gone;
    }
    let mut app = App::new(look, clock.now());
    let mut keys = Keys::default();
    let mut calls: JoinSet<(Command, Result<Reply, Problem>)> = JoinSet::new();
    let mut effects = app.refresh();
    let mut seconds = tokio::time::interval(SECOND);
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut bytes = vec![0; 4096];
    let mut sizes = true;
    let left = loop {
        let mut bell = false;
        for effect in effects.drain(..) {
            match effect {
                Effect::Call(command) => {
                    let door = door.clone();
                    calls.spawn(async move {
                        let answer = door.call(command.clone()).await;
                        (command, answer)
                    });
                }
                Effect::Sign { canonical, runs, approve } => {
                    let door = door.clone();
                    calls.spawn(async move {
                        let answer = signed(&door, canonical, &runs, approve.clone()).await;
                        (approve, answer)
                    });
                }
                Effect::Bell => bell = true,
                Effect::Leave => {
                    let _ = tokio::time::timeout(PATIENCE, finish(&mut calls)).await;
                    return Left::Done;
                }
            }
        }
        let Ok::<_, Infallible>(_) = terminal.draw(|frame| app.draw(frame));
        let mut frame = terminal.backend_mut().take();
        if bell {
            frame.push('\x07');
        }
        if stdout.write_all(frame.as_bytes()).await.is_err() || stdout.flush().await.is_err() {
            break Left::Gone;
        }
        app.drawn(Instant::now());
        tokio::select! {
            read = stdin.read(&mut bytes) => match read {
                Ok(n @ 1..) => {
                    let at = Instant::now();
                    let came = keys.feed(bytes.get(..n).unwrap_or_default());
                    effects = press(&mut app, &came, at);
                }
                Ok(0) | Err(_) => break Left::Gone,
            },
            () = tokio::time::sleep(ESCAPE), if keys.waits() => {
                let came: Vec<Key> = keys.idle().into_iter().collect();
                effects = press(&mut app, &came, Instant::now());
            }
            changed = size.changed(), if sizes => {
                sizes = changed.is_ok();
                let (columns, rows) = *size.borrow_and_update();
                terminal.backend_mut().resize(Size::new(columns, rows));
            }
            () = door.changed() => effects = app.refresh(),
            _ = seconds.tick() => effects = app.tick(clock.now()),
            Some(done) = calls.join_next() => match done {
                Ok((command, answer)) => effects = app.reply(&command, answer),
                Err(_) => break Left::Failed,
            },
        }
    };
    let _ = tokio::time::timeout(PATIENCE, finish(&mut calls)).await;
    left
}

/// Keys that came at once. None of them was typed at what an earlier one of them brought onto the screen.
fn press(app: &mut App, keys: &[Key], at: Instant) -> Vec<Effect> {
    let mut effects = Vec::new();
    for key in keys {
        effects.extend(app.key(key, at));
        if effects.contains(&Effect::Leave) {
            break;
        }
    }
    effects
}

/// A decision that was sent is not taken back by leaving.
async fn finish(calls: &mut JoinSet<(Command, Result<Reply, Problem>)>) {
    while calls.join_next().await.is_some() {}
}

/// Has exactly what was drawn signed, and sends it.
async fn signed<D: Door>(door: &D, canonical: Command, runs: &str, approve: Command) -> Result<Reply, Problem> {
    let conflict = |message: &str| Problem { kind: Kind::Conflict, message: message.to_owned(), hint: None };
    let Data::Canonical(view) = door.call(canonical).await?.data else {
        return Err(Problem { kind: Kind::Bug, message: "the desk gave nothing to sign".to_owned(), hint: None });
    };
    if !view.text.lines().any(|line| line.strip_prefix("sha256 ") == Some(runs)) {
        return Err(conflict("the digest is not the one that was shown: nothing was signed"));
    }
    let signature = Some(door.sign(view).await?);
    match approve {
        Command::ProposalApprove { what, digest, edit, again, .. } => {
            door.call(Command::ProposalApprove { what, digest, edit, again, signature }).await
        }
        _ => Err(conflict("only an approval is signed")),
    }
}
