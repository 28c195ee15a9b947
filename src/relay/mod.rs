//! Two legs of a channel, pumped faithfully: data, backpressure, half-close, requests, replies, exit status, signals.
//! Knows what a permit reaches; knows nothing of credentials, hosts' addresses or sessions' lives.

mod counters;
mod downstream;
mod files;
mod notice;
mod pipe;
mod replies;
mod say;
mod scribe;
mod tracker;
mod upstream;
mod ways;
mod witness;

pub use counters::Counters;
pub use notice::{Interlude, Notice, Notices};
pub use pipe::{Pipe, Piped, pipe};
pub use say::{ClientChannel, Held, hold, say, wants_reply};
pub use ways::Ways;
pub use witness::Witness;

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use russh::client;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::authz::Reach;
use crate::model::Action;
use crate::model::wire::{self, Needs, Word};

/// What each side has said of its own end.
#[derive(Debug, Default)]
struct Ends {
    client: AtomicBool,
    host: AtomicBool,
    /// What runs on the channel, once something does.
    running: OnceLock<Running>,
}

impl Ends {
    /// Whether both have: then the host closes by itself when it has told how its command ended.
    fn both(&self) -> bool {
        self.client.load(Ordering::SeqCst) && self.host.load(Ordering::SeqCst)
    }
}

/// A shell, command or subsystem that was started.
#[derive(Debug)]
struct Running {
    what: &'static str,
    text: Vec<u8>,
}

impl Running {
    fn is_granted(&self, reach: &Reach) -> bool {
        match wire::look_up(Word::Request, self.what).needs {
            Needs::Grant(Action::Exec) => reach.allows_command(&self.text),
            Needs::Grant(action) => reach.allows(action),
            Needs::Subsystem => self.text == b"sftp" && reach.allows(Action::Sftp),
            Needs::Nothing => false,
        }
    }
}

/// A session channel on the host's side.
pub type HostChannel = russh::Channel<client::Msg>;

/// What a channel is pumped with.
#[derive(Debug)]
pub struct Pump {
    /// What is allowed now; changes while the session lives.
    pub reach: watch::Receiver<Reach>,
    /// Counts bytes.
    pub counters: Arc<Counters>,
    /// Records what is started and refused.
    pub witness: Witness,
    /// Cancelled when the client has closed the channel, whatever still waits in its queue.
    pub client_closed: CancellationToken,
    /// Becomes a sentence when the session must end: the person is told it on this channel.
    pub ending: watch::Receiver<Option<String>>,
    /// The ways back that the client asked for.
    pub ways: Arc<Ways>,
    /// How the person is told what waits for them, if this channel becomes a shell on a terminal.
    pub notices: Option<Notices>,
    /// Where what is seen of file transfers is written down; whoever owns it waits for that after the channels have ended.
    pub scribes: TaskTracker,
    /// Whether the session is this channel's alone, and the client's connection outlives it: then it waits for no host whose client
    /// has gone.
    pub alone: bool,
}

/// Why a channel ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The host closed it: the command ended.
    Closed,
    /// The client closed it first.
    ByClient,
    /// What was asked for is not granted: the sentence for the person.
    Refused(String),
    /// The host's connection broke off.
    HostLost,
    /// The audit log could not be written.
    Unwitnessed(String),
    /// The session had to end: the sentence for the person.
    Told(String),
}

/// How a channel came out.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Why it ended.
    pub end: End,
    /// The command's exit status, if the host sent one.
    pub exit_status: Option<u32>,
}

/// Pumps one session channel until both legs are closed. `held` was read from the client before the host was there; `lost` says what
/// became of the host's connection if that breaks off.
pub async fn pump(client: ClientChannel, held: Held, host: HostChannel, pump: Pump, lost: impl Future<Output = String>) -> Outcome {
    let (mut from_client, to_client) = client.split();
    let (mut from_host, to_host) = host.split();
    let replies = replies::Replies::default();
    let pty = held.pty;
    let ends = Ends::default();
    let files = files::Files::default();
    let lookout = pump.notices.clone().map(notice::Lookout::new);
    let mut up = upstream::Upstream {
        to_client: &to_client,
        to_host: &to_host,
        replies: &replies,
        pump: &pump,
        pty,
        started: false,
        ends: &ends,
        lookout: lookout.as_ref(),
        files: &files,
    };
    let mut down = downstream::Downstream {
        to_client: &to_client,
        replies: &replies,
        counters: &pump.counters,
        exit_status: None,
        ends: &ends,
        client_closed: &pump.client_closed,
        lookout: lookout.as_ref(),
        files: &files,
    };
    let end = {
        let up = up.run(held, &mut from_client);
        let down = down.run(&mut from_host);
        let told = told(pump.ending.clone());
        let withdrawn = withdrawn(pump.reach.clone(), &ends);
        let unwitnessed = files.unwitnessed();
        let unanswered = unanswered(&pump.client_closed);
        tokio::pin!(up, down, told, withdrawn, unwitnessed, unanswered);
        let mut up_done = None;
        loop {
            tokio::select! {
                // The host's side first: what a command wrote before it ended reaches the person before the end does.
                biased;
                host_end = &mut down => break match (host_end, up_done) {
                    (end, None | Some(End::Closed)) => end,
                    (_, Some(end)) => end,
                },
                client_end = &mut up, if up_done.is_none() => match client_end {
                    // The client's leg is at its end; the host still has to close.
                    End::Closed | End::ByClient => up_done = Some(client_end),
                    end => break end,
                },
                sentence = &mut told => break End::Told(sentence),
                why = &mut unwitnessed => break End::Unwitnessed(why),
                () = &mut unanswered, if pump.alone && up_done.is_some() && !ends.both() => break End::ByClient,
                what = &mut withdrawn => break End::Refused(format!("{what} is not granted to you here any more")),
            }
        }
    };
    let exit_status = down.exit_status;
    let pty = up.pty;
    let goodbye = async {
        if let Some(lookout) = &lookout {
            lookout.ends(&to_client).await;
        }
        match &end {
            End::Refused(sentence) | End::Told(sentence) => say::end_with(&to_client, sentence, pty).await,
            End::Unwitnessed(why) => {
                say::end_with(&to_client, &format!("the audit log cannot be written, so nothing goes on: {why}"), pty).await
            }
            End::HostLost if exit_status.is_none() => say::end_with(&to_client, &lost.await, pty).await,
            End::HostLost | End::Closed | End::ByClient => {
                let _ = to_client.close().await;
            }
        }
    };
    say::unless_closed(&to_client, &pump.client_closed, goodbye).await;
    let _ = to_host.close().await;
    files.end().await;
    Outcome { end, exit_status }
}

/// How long a host may take to close a channel that its client has closed.
const UNANSWERED: Duration = Duration::from_secs(10);

/// The client has closed the channel, and the host had its time.
async fn unanswered(client_closed: &CancellationToken) {
    client_closed.cancelled().await;
    tokio::time::sleep(UNANSWERED).await;
}

/// What runs and is not granted any more, when that happens.
async fn withdrawn(mut reach: watch::Receiver<Reach>, ends: &Ends) -> &'static str {
    while reach.changed().await.is_ok() {
        if let Some(running) = ends.running.get()
            && !running.is_granted(&reach.borrow())
        {
            return running.what;
        }
    }
    std::future::pending().await
}

/// The sentence that ends the session, when it comes; never, if the session ends without one.
async fn told(mut ending: watch::Receiver<Option<String>>) -> String {
    let sentence = ending.wait_for(Option::is_some).await.ok().and_then(|sentence| sentence.clone());
    match sentence {
        Some(sentence) => sentence,
        None => std::future::pending().await,
    }
}
