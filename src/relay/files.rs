//! Follows the file transfers of a channel beside the pump: it gets copies of what passes and is never waited for. What it
//! saw is recorded by a task of its own, some entries in one write.

use std::future::pending;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::scribe::Scribe;
use super::{Counters, Pump};
use crate::model::Event;
use crate::sftp::{Program, ScpTap, Seen, Side, Tap, Unreadable, recognise};

/// Bytes that may wait to be looked at. More, and the transfer goes on unseen: it is not held up for the record.
const LOAD_MAX: usize = 32 * 1024 * 1024;
/// The same, of all channels of a session together.
const LOAD_ALL: usize = 64 * 1024 * 1024;
/// From here on the pump lets other tasks run between two packets.
const LOAD_MUCH: usize = 4 * 1024 * 1024;
/// What a packet in the queue counts beside its bytes.
const PACKET: usize = 256;
/// Entries in one write.
const BATCH: usize = 256;
/// Entries that may wait to be written before nothing more is looked at.
const DUE_MAX: usize = 4096;
/// Bytes of such entries: a path takes up to 4,096 of them, and an entry has up to three paths.
const DUE_BYTES: usize = 4 * 1024 * 1024;
/// What an entry counts beside its texts.
const ENTRY: usize = 512;
/// Entries of one channel.
const ENTRIES_MAX: u64 = 1_000_000;

/// The files of one channel. Does nothing until something that moves files is started on it.
#[derive(Debug)]
pub(super) struct Files {
    line: OnceLock<Line>,
    failing: watch::Sender<Option<String>>,
}

/// The way to the task that looks.
#[derive(Debug)]
struct Line {
    to: mpsc::UnboundedSender<(Side, Bytes)>,
    queue: Arc<Queue>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Queue {
    load: AtomicUsize,
    /// It was too much: nothing more is put in.
    over: AtomicBool,
    /// Where the session counts it beside its other channels.
    session: Arc<Counters>,
}

impl Queue {
    fn of(session: &Arc<Counters>) -> Self {
        Self { load: AtomicUsize::new(0), over: AtomicBool::new(false), session: Arc::clone(session) }
    }

    /// So much is about to be put in; how much waits then, of this channel. `None`: it was too much, of the channel or the session.
    fn takes(&self, size: usize) -> Option<usize> {
        let load = self.load.fetch_add(size, Ordering::AcqRel).saturating_add(size);
        let all = self.session.looked_at.fetch_add(size, Ordering::AcqRel).saturating_add(size);
        if load > LOAD_MAX || all > LOAD_ALL {
            self.gives(size);
            return None;
        }
        Some(load)
    }

    /// So much waits no more.
    fn gives(&self, size: usize) {
        self.load.fetch_sub(size, Ordering::AcqRel);
        self.session.looked_at.fetch_sub(size, Ordering::AcqRel);
    }
}

impl Drop for Queue {
    /// What nobody has looked at was dropped with it.
    fn drop(&mut self) {
        self.session.looked_at.fetch_sub(*self.load.get_mut(), Ordering::AcqRel);
    }
}

impl Default for Files {
    fn default() -> Self {
        Self { line: OnceLock::new(), failing: watch::channel(None).0 }
    }
}

impl Files {
    /// Something was started: followed from here on, if it moves files.
    pub(super) fn begin(&self, what: &str, text: &[u8], pump: &Pump) {
        let Some(eye) = Eye::on(what, text) else { return };
        let (to, from) = mpsc::unbounded_channel();
        let queue = Arc::new(Queue::of(&pump.counters));
        let look = Look {
            eye,
            queue: Arc::clone(&queue),
            scribe: pump.witness.scribe(),
            failing: self.failing.clone(),
            due: Vec::new(),
            due_bytes: 0,
            entries: 0,
            told: false,
        };
        let task = pump.scribes.spawn(look.run(from));
        let _ = self.line.set(Line { to, queue, task });
    }

    /// Bytes are about to pass to the host.
    pub(super) async fn client(&self, data: &Bytes) {
        self.pass(Side::Client, data).await;
    }

    /// Bytes are about to pass to the client.
    pub(super) async fn host(&self, data: &Bytes) {
        self.pass(Side::Host, data).await;
    }

    async fn pass(&self, side: Side, data: &Bytes) {
        let Some(line) = self.line.get() else { return };
        if line.queue.over.load(Ordering::Relaxed) {
            return;
        }
        let size = data.len().saturating_add(PACKET);
        let Some(load) = line.queue.takes(size) else {
            line.queue.over.store(true, Ordering::Release);
            return;
        };
        if line.to.send((side, data.clone())).is_err() {
            line.queue.over.store(true, Ordering::Release);
        } else if load > LOAD_MUCH {
            tokio::task::yield_now().await;
        }
    }

    /// Why nothing can be recorded any more, when that happens.
    pub(super) async fn unwitnessed(&self) -> String {
        let mut failing = self.failing.subscribe();
        let why = failing.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        match why {
            Some(why) => why,
            None => pending().await,
        }
    }

    /// The channel has ended: waits until everything is recorded.
    pub(super) async fn end(self) {
        let Some(Line { to, task, .. }) = self.line.into_inner() else { return };
        drop(to);
        if let Err(error) = task.await {
            tracing::error!(target: "keyward::relay", %error, "the files of a channel are not recorded to their end");
        }
    }
}

/// What understands the channel.
#[derive(Debug)]
enum Eye {
    Sftp(Box<Tap>),
    Scp(Box<ScpTap>),
}

impl Eye {
    fn on(what: &str, text: &[u8]) -> Option<Self> {
        match what {
            "subsystem" if text == b"sftp" => Some(Self::Sftp(Box::default())),
            "exec" => match recognise(text)? {
                Program { name: "sftp-server", .. } => Some(Self::Sftp(Box::default())),
                Program { name: "scp", direction: Some(direction), path } => Some(Self::Scp(Box::new(ScpTap::new(direction, path)))),
                _ => None,
            },
            _ => None,
        }
    }

    fn look(&mut self, begun: Instant, side: Side, data: &[u8]) {
        match (self, side) {
            (Self::Sftp(tap), side) => {
                tap.at(begun.elapsed());
                if side == Side::Client { tap.client(data) } else { tap.host(data) }
            }
            (Self::Scp(tap), side) => {
                tap.at(begun.elapsed());
                if side == Side::Client { tap.client(data) } else { tap.host(data) }
            }
        }
    }

    fn stop(&mut self, why: &str) {
        match self {
            Self::Sftp(tap) => tap.stop(why),
            Self::Scp(tap) => tap.stop(why),
        }
    }

    fn end(&mut self) {
        match self {
            Self::Sftp(tap) => tap.end(),
            Self::Scp(tap) => tap.end(),
        }
    }

    fn take(&mut self) -> (Vec<Seen>, Option<&Unreadable>) {
        match self {
            Self::Sftp(tap) => (tap.take(), tap.unreadable()),
            Self::Scp(tap) => (tap.take(), tap.unreadable()),
        }
    }
}

/// The task that looks and has recorded what it saw.
struct Look {
    eye: Eye,
    queue: Arc<Queue>,
    scribe: Scribe,
    failing: watch::Sender<Option<String>>,
    due: Vec<Event>,
    due_bytes: usize,
    entries: u64,
    told: bool,
}

/// A write that is under way.
type Writing = Pin<Box<dyn Future<Output = Result<(), crate::audit::Error>> + Send>>;

impl Look {
    async fn run(mut self, mut from: mpsc::UnboundedReceiver<(Side, Bytes)>) {
        let begun = Instant::now();
        let mut writing: Option<Writing> = None;
        loop {
            writing = writing.or_else(|| self.next_write());
            tokio::select! {
                biased;
                written = wait(&mut writing) => {
                    writing = None;
                    if let Err(error) = written {
                        return self.fail(&error);
                    }
                }
                passed = from.recv(), if self.due.len() < DUE_MAX && self.due_bytes < DUE_BYTES => {
                    let Some((side, data)) = passed else { break };
                    self.eye.look(begun, side, &data);
                    self.queue.gives(data.len().saturating_add(PACKET));
                    self.note();
                }
            }
        }
        if self.queue.over.load(Ordering::Acquire) {
            self.eye.stop("the broker could not keep up with it");
        }
        self.eye.end();
        self.note();
        while let Some(written) = writing.or_else(|| self.next_write()) {
            writing = None;
            if let Err(error) = written.await {
                return self.fail(&error);
            }
        }
    }

    fn next_write(&mut self) -> Option<Writing> {
        if self.due.is_empty() {
            return None;
        }
        let events: Vec<Event> = self.due.drain(..self.due.len().min(BATCH)).collect();
        self.due_bytes = self.due_bytes.saturating_sub(events.iter().map(weight).sum());
        let scribe = self.scribe.clone();
        Some(Box::pin(async move { scribe.files(events).await }))
    }

    /// Makes entries of what was seen.
    fn note(&mut self) {
        let (seen, _) = self.eye.take();
        self.entries = self.entries.saturating_add(u64::try_from(seen.len()).unwrap_or(u64::MAX));
        self.owe(seen.iter().map(|seen| self.scribe.seen(seen)).collect());
        if self.entries > ENTRIES_MAX {
            self.eye.stop("a million entries are enough for one channel");
        }
        let (seen, unreadable) = self.eye.take();
        let mut events: Vec<Event> = seen.iter().map(|seen| self.scribe.seen(seen)).collect();
        if let Some(unreadable) = unreadable.filter(|_| !self.told) {
            events.push(self.scribe.unreadable(unreadable));
            self.told = true;
            self.queue.over.store(true, Ordering::Release);
        }
        self.owe(events);
    }

    fn owe(&mut self, events: Vec<Event>) {
        self.due_bytes = self.due_bytes.saturating_add(events.iter().map(weight).sum());
        self.due.extend(events);
    }

    fn fail(&self, error: &crate::audit::Error) {
        tracing::error!(target: "keyward::relay", %error, "what was seen of a file transfer was not recorded");
        self.failing.send_replace(Some(error.to_string()));
    }
}

/// What an entry counts for, in bytes: its size is that of the texts that a client or a host chose.
fn weight(event: &Event) -> usize {
    let texts = event.detail.values().filter_map(|value| value.as_str()).map(str::len);
    texts.chain(event.reason.as_deref().map(str::len)).fold(ENTRY, usize::saturating_add)
}

/// The outcome of a write; never, while there is none.
async fn wait(writing: &mut Option<Writing>) -> Result<(), crate::audit::Error> {
    match writing {
        Some(writing) => writing.await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_channels_of_a_session_share_what_may_wait() {
        let session = Arc::new(Counters::default());
        let queue = || Queue::of(&session);
        let queues = [queue(), queue(), queue()];
        let packet = 1024 * 1024;
        let fills = |queue: &Queue| std::iter::from_fn(|| queue.takes(packet)).take(1000).count();
        // Each as much as a channel may, the last one nothing.
        assert_eq!(queues.each_ref().map(fills), [32, 32, 0]);
        queues[0].gives(packet);
        assert_eq!(queues.each_ref().map(fills), [1, 0, 0]);
        // A channel that ended leaves its place to the others, looked at or not.
        let [first, second, third] = queues;
        drop(first);
        assert_eq!((fills(&second), fills(&third)), (0, 32));
        drop((second, third));
        assert_eq!(session.looked_at.load(Ordering::Relaxed), 0);
    }
}
