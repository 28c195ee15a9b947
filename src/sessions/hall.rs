//! Where channels wait until the host is there, and where its prompts find somebody to ask.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use russh::ChannelId;
use russh::server::ChannelOpenHandle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::ask;
use crate::model::EndReason;
use crate::relay::{self, ClientChannel, Held};
use crate::target::Prompt;

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
    /// It has closed a channel, whatever still waits to be read from it.
    Closed(ChannelId),
    /// It is gone.
    Left(EndReason),
}

/// A channel's place within the limit of its connection; free again when this is dropped. russh does not tell its handler
/// of every close, so the channel itself keeps the count.
#[derive(Debug)]
pub struct Seat(Arc<AtomicUsize>);

impl Seat {
    /// Takes one of `most` places; `None` if there is none left. Only one task may take seats of the same count.
    pub fn take(taken: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        if taken.load(Ordering::SeqCst) >= most {
            return None;
        }
        taken.fetch_add(1, Ordering::SeqCst);
        Some(Self(Arc::clone(taken)))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A channel that waits.
pub(super) struct Waiting {
    pub(super) channel: ClientChannel,
    /// `None` once it was accepted to ask the person something.
    pub(super) reply: Option<ChannelOpenHandle>,
    pub(super) held: Held,
    pub(super) closed: CancellationToken,
    pub(super) seat: Seat,
}

/// The waiting channels of one session.
pub(super) struct Hall {
    arrivals: mpsc::Receiver<Arrival>,
    pub(super) waiting: Vec<Waiting>,
    closing: HashMap<ChannelId, CancellationToken>,
}

impl Hall {
    pub(super) fn new(arrivals: mpsc::Receiver<Arrival>) -> Self {
        Self { arrivals, waiting: Vec::new(), closing: HashMap::new() }
    }

    /// The next channel; `Err`: the client is gone.
    pub(super) async fn next(&mut self) -> Result<Waiting, EndReason> {
        loop {
            match self.arrivals.recv().await {
                Some(Arrival::Channel { channel, reply, seat }) => {
                    let closed = CancellationToken::new();
                    self.closing.retain(|_, token| !token.is_cancelled());
                    self.closing.insert(channel.id(), closed.clone());
                    return Ok(Waiting { channel, reply: Some(reply), held: Held::default(), closed, seat });
                }
                Some(Arrival::Closed(id)) => {
                    if let Some(token) = self.closing.remove(&id) {
                        token.cancel();
                    }
                }
                Some(Arrival::Left(why)) => return Err(why),
                None => return Err(EndReason::ClientLost),
            }
        }
    }

    /// Lets channels wait and asks the person what the host asks, until the client is gone.
    pub(super) async fn keep(&mut self, prompts: &mut mpsc::Receiver<Prompt>) -> EndReason {
        loop {
            tokio::select! {
                arrived = self.next() => match arrived {
                    Ok(waiting) => self.waiting.push(waiting),
                    Err(why) => return why,
                },
                Some(prompt) = prompts.recv() => if let Err(why) = self.ask(prompt).await {
                    return why;
                },
            }
        }
    }

    /// Asks on the first channel; waits for one if there is none yet. Without a terminal the prompt is dropped, which
    /// tells whoever asked that there is no answer.
    async fn ask(&mut self, prompt: Prompt) -> Result<(), EndReason> {
        if self.waiting.is_empty() {
            let first = self.next().await?;
            self.waiting.push(first);
        }
        let Some(first) = self.waiting.first_mut() else { return Ok(()) };
        if let Some(reply) = first.reply.take() {
            reply.accept().await;
        }
        relay::hold(&mut first.channel, &mut first.held).await;
        if first.held.pty && !first.held.gone {
            ask::ask(&mut first.channel, prompt).await;
        }
        Ok(())
    }
}
