//! Two channels that carry nothing but bytes, pumped into each other: backpressure, half-close, close, counters. Knows neither who
//! opened them nor where they lead; whoever does has witnessed it before.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::say::ClientChannel;
use super::{Counters, End, HostChannel, told};
use crate::authz::Reach;
use crate::model::Action;

/// How long a side may take for what the other one sent before it closed, piece by piece.
const DRAIN: Duration = Duration::from_secs(60);

/// What a pipe is pumped with.
#[derive(Debug)]
pub struct Pipe {
    /// What is allowed now; changes while the session lives.
    pub reach: watch::Receiver<Reach>,
    /// What has to stay allowed.
    pub needs: Action,
    /// Counts bytes, for the session.
    pub counters: Arc<Counters>,
    /// Cancelled when the client has closed the channel, whatever still waits in its queue.
    pub client_closed: CancellationToken,
    /// Becomes a sentence when the session must end.
    pub ending: watch::Receiver<Option<String>>,
}

/// How a pipe came out.
#[derive(Clone, Debug)]
pub struct Piped {
    /// Why it ended: [`End::Closed`] by the host's side, [`End::ByClient`], [`End::Refused`] if it is not granted any more,
    /// [`End::Told`], [`End::HostLost`].
    pub end: End,
    /// Bytes from the client to the host.
    pub bytes_in: u64,
    /// Bytes from the host to the client.
    pub bytes_out: u64,
}

impl Piped {
    /// The same in words, for the log.
    pub fn why(&self) -> &str {
        match &self.end {
            End::Closed => "the host closed it",
            End::ByClient => "the client closed it",
            End::HostLost => "the connection to the host broke off",
            End::Refused(why) | End::Told(why) | End::Unwitnessed(why) => why,
        }
    }
}

/// Pumps until one side closes, in order: nothing that it sent before is lost. Both channels are closed afterwards.
pub async fn pipe(client: ClientChannel, host: HostChannel, pipe: Pipe) -> Piped {
    let (mut from_client, to_client) = client.split();
    let (mut from_host, to_host) = host.split();
    let (bytes_in, bytes_out) = (AtomicU64::new(0), AtomicU64::new(0));
    let end = {
        let up = pump(&mut from_client, &to_host, [&bytes_in, &pipe.counters.bytes_in]);
        let down = pump(&mut from_host, &to_client, [&bytes_out, &pipe.counters.bytes_out]);
        let told = told(pipe.ending.clone());
        let withdrawn = withdrawn(pipe.reach.clone(), pipe.needs);
        let given_up = given_up(&pipe.client_closed, &bytes_in);
        tokio::pin!(up, down, told, withdrawn, given_up);
        tokio::select! {
            biased;
            closed = &mut down => if closed { End::Closed } else { End::HostLost },
            // A connection that was lost closes nothing; that it is gone is the session's to find.
            _ = &mut up => End::ByClient,
            () = &mut given_up => End::ByClient,
            sentence = &mut told => End::Told(sentence),
            () = &mut withdrawn => End::Refused(format!("{} is not granted to you here any more", pipe.needs)),
        }
    };
    let _ = to_host.close().await;
    let _ = to_client.close().await;
    Piped { end, bytes_in: bytes_in.into_inner(), bytes_out: bytes_out.into_inner() }
}

/// One direction, to the sender's close; `false` if its connection broke off without one.
async fn pump<S: From<(russh::ChannelId, ChannelMsg)> + Send + Sync + 'static>(
    from: &mut ChannelReadHalf,
    to: &ChannelWriteHalf<S>,
    counters: [&AtomicU64; 2],
) -> bool {
    while let Some(message) = from.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                let length = u64::try_from(data.len()).unwrap_or(0);
                // A side that has closed takes no more, and what still comes for it is read and dropped until its close is seen.
                if to.data_bytes(data).await.is_ok() {
                    for counter in counters {
                        counter.fetch_add(length, Ordering::Relaxed);
                    }
                }
            }
            ChannelMsg::Eof => drop(to.eof().await),
            ChannelMsg::Close => return true,
            // Such channels have no requests and no standard error.
            _ => {}
        }
    }
    false
}

/// The client has closed the channel and the host has taken nothing for a while of what was sent before: it may never.
async fn given_up(client_closed: &CancellationToken, taken: &AtomicU64) {
    client_closed.cancelled().await;
    loop {
        let before = taken.load(Ordering::Relaxed);
        tokio::time::sleep(DRAIN).await;
        if taken.load(Ordering::Relaxed) == before {
            return;
        }
    }
}

async fn withdrawn(mut reach: watch::Receiver<Reach>, needs: Action) {
    // Looked at once before the first change: one that came while the other side was asked counts, too.
    if reach.wait_for(|reach| !reach.allows(needs)).await.is_err() {
        std::future::pending::<()>().await;
    }
}
