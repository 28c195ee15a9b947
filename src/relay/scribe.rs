//! Entries about file transfers: what was seen, in the words of the audit log. Writes them; decides nothing.

use crate::audit::{self, Log, hex};
use crate::model::{Event, EventName, printable};
use crate::sftp::{Act, End, Program, Seen, Text, Unreadable};

/// The most characters of a path in an entry.
const PATH_MAX: usize = 4096;

/// Writes for one channel.
#[derive(Clone, Debug)]
pub(super) struct Scribe {
    log: Log,
    base: Event,
}

impl Scribe {
    pub(super) fn new(log: Log, base: Event) -> Self {
        Self { log, base }
    }

    /// Records entries, all or none of them.
    ///
    /// # Errors
    /// [`audit::Error`]: none was recorded.
    pub(super) async fn files(&self, events: Vec<Event>) -> Result<(), audit::Error> {
        match self.base.session {
            Some(session) => self.log.record_files(session, events).await,
            None => self.log.commit_all(events, (), |_| Ok(())).await.map(drop),
        }
    }

    /// The entry of an operation.
    pub(super) fn seen(&self, seen: &Seen) -> Event {
        let mut event = path(self.event(name(seen.act)), "path", &seen.path);
        if let Some(to) = &seen.to {
            // What a link leads to has never been anywhere else.
            let key = if matches!(seen.act, Act::Symlinked | Act::Hardlinked) { "target" } else { "to" };
            event = path(event, key, to);
        }
        if let Some(name) = &seen.name {
            event = path(event, "name", name);
        }
        match seen.act {
            Act::Symlinked => event = event.with("kind", "symbolic"),
            Act::Hardlinked => event = event.with("kind", "hard"),
            _ => {}
        }
        if let Some(changes) = &seen.changes {
            event = event.with("set", changes);
        }
        if let Some(bytes) = seen.bytes {
            event = event.count("bytes", bytes);
        }
        for (key, value) in [("sequential", seen.sequential), ("whole", seen.whole)] {
            if let Some(value) = value {
                event.detail.insert(key.to_owned(), value.into());
            }
        }
        if let Some(sha256) = &seen.sha256 {
            event = event.with("sha256", hex(sha256));
        }
        event = event.count("took_ms", u64::try_from(seen.took.as_millis()).unwrap_or(u64::MAX));
        match &seen.end {
            End::Done => event,
            End::Failed(why) => event.failed(why),
            End::Aborted => event.failed("aborted: the channel ended first"),
            End::Unseen => event.failed("not followed to its end"),
        }
    }

    /// The entry of what cannot be followed any more.
    pub(super) fn unreadable(&self, unreadable: &Unreadable) -> Event {
        self.event(EventName::TransferUnreadable)
            .with("side", unreadable.side.as_str())
            .count("at_byte", unreadable.at)
            .failed(&unreadable.why)
    }

    fn event(&self, name: EventName) -> Event {
        Event { name, ..self.base.clone() }
    }
}

/// What a command that moves files says of itself.
pub(super) fn program(event: Event, program: &Program) -> Event {
    let event = event.with("program", program.name);
    let event = match program.direction {
        Some(direction) => event.with("direction", direction.as_str()),
        None => event,
    };
    match &program.path {
        Some(text) => path(event, "path", text),
        None => event,
    }
}

fn name(act: Act) -> EventName {
    match act {
        Act::Read => EventName::FileRead,
        Act::Written => EventName::FileWritten,
        Act::Copied => EventName::FileCopied,
        Act::Renamed => EventName::FileRenamed,
        Act::Removed => EventName::FileRemoved,
        Act::Symlinked | Act::Hardlinked => EventName::FileLinked,
        Act::Changed => EventName::FileChanged,
        Act::Listed => EventName::DirectoryListed,
        Act::MadeDirectory => EventName::DirectoryMade,
        Act::RemovedDirectory => EventName::DirectoryRemoved,
    }
}

/// A path as it is, printable; longer than other texts, since its end is what tells it apart.
fn path(mut event: Event, key: &str, text: &Text) -> Event {
    let shown = text.to_string();
    event.detail.insert(key.to_owned(), printable(&shown, PATH_MAX).into());
    if text.is_cut() {
        event.detail.insert(format!("{key}_cut"), true.into());
    }
    event
}
