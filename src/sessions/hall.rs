//! Where channels wait until the host is there, and where its prompts find somebody to ask.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::ChannelMsg;
use russh::server::ChannelOpenHandle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ask::{self, Asker};
use super::open::Halt;
use crate::model::{Destination, EndReason};
use crate::relay::{self, ClientChannel, Held};
use crate::target::Prompt;

/// How long a channel is heard before another one is.
const SILENCE: Duration = Duration::from_secs(2);

/// How long a question waits for a channel on which it can be asked. A client opens one with its sign-in, or none.
const NOBODY: Duration = Duration::from_secs(10);

/// What comes from the person's client.
#[allow(clippy::large_enum_variant)] // a channel is what mostly comes, and few wait at a time
pub enum Arrival {
    /// It opens a session channel.
    Channel {
        /// The channel.
        channel: ClientChannel,
        /// Accepts or rejects it; dropping it rejects.
        reply: ChannelOpenHandle,
        /// Its place within the limit of the connection.
        seat: Seat,
    },
    /// It asks for a connection through the host.
    Forward {
        /// The channel.
        channel: ClientChannel,
        /// Accepts or rejects it; dropping it rejects.
        reply: ChannelOpenHandle,
        /// Its place within the limit of the connection.
        seat: Seat,
        /// Where it is to lead.
        to: Destination,
    },
    /// It is gone.
    Left(EndReason),
}

/// The channels of one connection: how many there may be, and who is told that the client has closed one, whatever still
/// waits to be read from it. A close is no [`Arrival`]: a queue can be full, and a close that got lost would leave a command
/// running for nobody.
#[derive(Debug)]
pub struct Seats {
    most: usize,
    taken: Arc<AtomicUsize>,
    closing: HashMap<u32, CancellationToken>,
}

/// A channel's place within the limit of its connection; free again when this is dropped. russh does not tell its handler
/// of every close, so the channel itself keeps the count.
#[derive(Debug)]
pub struct Seat {
    taken: Arc<AtomicUsize>,
    closed: CancellationToken,
}

impl Seats {
    /// For a connection that may have `most` channels.
    pub fn new(most: usize) -> Self {
        Self { most, taken: Arc::default(), closing: HashMap::new() }
    }

    /// Takes a place for the channel of this number; `None` if there is none left.
    pub fn take(&mut self, channel: u32) -> Option<Seat> {
        if self.taken.load(Ordering::SeqCst) >= self.most {
            return None;
        }
        self.taken.fetch_add(1, Ordering::SeqCst);
        let closed = CancellationToken::new();
        // What has left its seat needs to hear nothing any more: there are never more entries than seats, and this one.
        self.closing.retain(|_, token| !token.is_cancelled());
        self.closing.insert(channel, closed.clone());
        Some(Seat { taken: Arc::clone(&self.taken), closed })
    }

    /// The client has closed this channel. Never waits.
    pub fn closed(&mut self, channel: u32) {
        if let Some(token) = self.closing.remove(&channel) {
            token.cancel();
        }
    }
}

impl Seat {
    /// Cancelled when the client has closed the channel, or this seat is free again.
    pub fn closed(&self) -> &CancellationToken {
        &self.closed
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::SeqCst);
        self.closed.cancel();
    }
}

/// A channel that waits.
pub(super) struct Waiting {
    pub(super) channel: ClientChannel,
    /// `None` once it was accepted to ask the person something.
    pub(super) reply: Option<ChannelOpenHandle>,
    pub(super) held: Held,
    /// Whether it was heard since the question that is asked came.
    pub(super) heard: bool,
    pub(super) seat: Seat,
    /// Where it is to lead, if it is no session channel: then nobody is asked or told anything on it.
    pub(super) forward: Option<Destination>,
}

/// The waiting channels of one session.
pub(super) struct Hall {
    arrivals: mpsc::Receiver<Arrival>,
    pub(super) waiting: Vec<Waiting>,
    /// Whether the session is that of one channel, which is here already.
    pub(super) alone: bool,
}

impl Hall {
    pub(super) fn new(arrivals: mpsc::Receiver<Arrival>) -> Self {
        Self { arrivals, waiting: Vec::new(), alone: false }
    }

    /// The next channel; `Err`: the client is gone.
    pub(super) async fn next(&mut self) -> Result<Waiting, EndReason> {
        next(&mut self.arrivals).await
    }

    /// Lets channels wait and asks the person what the host asks, until the client is gone or does not want to wait any more.
    pub(super) async fn keep(&mut self, prompts: &mut mpsc::Receiver<Prompt>) -> Halt {
        loop {
            let alone = self.waiting.first_mut().filter(|w| self.alone && !w.held.is_full());
            tokio::select! {
                arrived = next(&mut self.arrivals) => match arrived {
                    Ok(waiting) => self.waiting.push(waiting),
                    Err(why) => return Halt::Left(why),
                },
                back = goes_back(alone) => return back,
                Some(prompt) = prompts.recv() => if let Err(why) = self.ask(prompt).await {
                    return Halt::Left(why);
                },
            }
        }
    }

    /// Asks on the first living channel that has a terminal; waits a while for one if none lives, or if only forwards do. If those that
    /// live have no terminal, the prompt is dropped, which tells whoever asked that there is no answer.
    async fn ask(&mut self, mut prompt: Prompt) -> Result<(), EndReason> {
        let until = Instant::now() + NOBODY;
        for waiting in &mut self.waiting {
            waiting.heard = false;
        }
        while !prompt.answer.is_closed() {
            if let Some(at) = self.waiting.iter().position(|w| !w.heard && w.is_silent()) {
                self.hear(at).await?;
            } else if let Some(waiting) = self.waiting.iter_mut().find(|w| w.can_be_asked()) {
                match ask::ask(&mut waiting.channel, prompt, &mut waiting.held, Asker::Host).await {
                    // It ended while it was asked: the next one is.
                    Some(unanswered) => prompt = unanswered,
                    None => return Ok(()),
                }
            } else if self.waiting.iter().all(|w| w.is_gone() || w.forward.is_some()) {
                // A client of forwards alone opens no other channel (`ssh -N`): nobody is asked on those.
                match tokio::time::timeout_at(until, self.next()).await {
                    Ok(next) => self.waiting.push(next?),
                    Err(_) => return Ok(()),
                }
            } else if self.waiting.iter().any(Waiting::is_silent) {
                self.waiting.iter_mut().for_each(|w| w.heard = false);
            } else {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Accepts a channel and hears for a while what it wants: one that says nothing holds up no other that has a terminal.
    async fn hear(&mut self, at: usize) -> Result<(), EndReason> {
        if let Some(waiting) = self.waiting.get_mut(at) {
            waiting.heard = true;
            if let Some(reply) = waiting.reply.take() {
                reply.accept().await;
            }
            let _ = tokio::time::timeout(SILENCE, relay::hold(&mut waiting.channel, &mut waiting.held)).await;
        }
        while let Ok(arrival) = self.arrivals.try_recv() {
            self.waiting.push(seated(arrival)?);
        }
        Ok(())
    }
}

impl Waiting {
    fn is_gone(&self) -> bool {
        self.held.gone || self.seat.closed().is_cancelled()
    }

    /// It lives and has not said yet what it wants.
    fn is_silent(&self) -> bool {
        self.forward.is_none() && !self.is_gone() && !self.held.asked && !self.held.is_full()
    }

    /// It lives, has a terminal, and somebody who can still type.
    pub(super) fn can_be_asked(&self) -> bool {
        !self.is_gone() && self.held.pty && !self.held.messages.iter().any(|m| matches!(m, ChannelMsg::Eof))
    }
}

async fn next(arrivals: &mut mpsc::Receiver<Arrival>) -> Result<Waiting, EndReason> {
    match arrivals.recv().await {
        Some(arrival) => seated(arrival),
        None => Err(EndReason::ClientLost),
    }
}

/// Hears the one channel of a session while it waits, until its person goes back or away.
async fn goes_back(alone: Option<&mut Waiting>) -> Halt {
    if let Some(waiting) = alone {
        while !waiting.held.is_full() {
            let Some(message) = waiting.channel.wait().await else { return Halt::Left(EndReason::ClientLost) };
            if waiting.hears(message) {
                return Halt::GaveUp;
            }
            if waiting.held.gone {
                return Halt::Left(EndReason::ClientClosed);
            }
        }
    }
    std::future::pending().await
}

fn seated(arrival: Arrival) -> Result<Waiting, EndReason> {
    match arrival {
        Arrival::Channel { channel, reply, seat } => {
            Ok(Waiting { channel, reply: Some(reply), held: Held::default(), heard: false, seat, forward: None })
        }
        Arrival::Forward { channel, reply, seat, to } => {
            Ok(Waiting { channel, reply: Some(reply), held: Held::default(), heard: false, seat, forward: Some(to) })
        }
        Arrival::Left(why) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_is_heard_at_once_whatever_waits_to_be_read() {
        let mut seats = Seats::new(2);
        let (first, second) = (seats.take(1).unwrap(), seats.take(2).unwrap());
        assert!(seats.take(3).is_none(), "the limit holds");
        // However often a client says it, and of whatever.
        for n in 0..100_000 {
            seats.closed(n + 10);
        }
        assert!(!first.closed().is_cancelled() && !second.closed().is_cancelled());
        seats.closed(2);
        assert!(second.closed().is_cancelled() && !first.closed().is_cancelled());
    }

    #[test]
    fn seats_are_free_again_and_nothing_is_kept_of_those_who_left() {
        let mut seats = Seats::new(3);
        for n in 0..10_000 {
            let seat = seats.take(n).unwrap();
            // Some are closed by the client, some end without its saying so.
            if n % 2 == 0 {
                seats.closed(n);
            }
            drop(seat);
        }
        assert!(seats.closing.len() <= 3, "{}", seats.closing.len());
    }
}
