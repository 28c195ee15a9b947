//! The tap: takes copies of both streams of an SFTP channel and tells which operations came to which end. What it
//! cannot follow it gives up; the transfer does not know of it.

use std::collections::HashMap;
use std::time::Duration;

use super::flow::Flow;
use super::frames::{Frames, Piece};
use super::seen::{Act, End, Seen, Side, Text, Unreadable};

/// The most files and directories that are open at once.
const OPEN_MAX: usize = 1024;
/// The most requests that wait for their answers: some clients ask for all of a large file before they read an answer.
const ASKED_MAX: usize = 131_072;
/// The most bytes of the paths and handles of what is open.
const HELD_MAX: usize = 1024 * 1024;
/// The most bytes of paths in requests that wait for their answers.
const TEXTS_MAX: usize = 4 * 1024 * 1024;

/// Follows one channel. Feed it what passes in the order in which it passes: a request before its answer.
#[derive(Debug)]
pub struct Tap {
    client: Frames,
    host: Frames,
    pub(super) stage: Stage,
    asked: HashMap<u32, Asked>,
    texts: usize,
    handles: HashMap<Vec<u8>, u32>,
    /// The bytes of the paths and handles of what is open.
    held: usize,
    pub(super) open: HashMap<u32, Open>,
    serial: u32,
    /// Whose content passes now, in each direction.
    pub(super) writes: Option<u32>,
    pub(super) reads: Option<u32>,
    pub(super) seen: Vec<Seen>,
    unreadable: Option<Unreadable>,
    pub(super) now: Duration,
}

/// How far the greeting has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    New,
    Asked,
    Agreed,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(super) enum Asked {
    /// One that changes nothing and opens nothing.
    Other,
    Read {
        file: u32,
        offset: u64,
        length: u32,
    },
    Write {
        file: u32,
    },
    Close {
        file: u32,
    },
    Size {
        file: u32,
    },
    Open(Box<Opening>),
    Act(Box<Doing>),
}

impl Asked {
    fn texts(&self) -> usize {
        match self {
            Self::Open(opening) => opening.path.len().saturating_add(64),
            Self::Act(doing) => doing.seen.path.len().saturating_add(doing.seen.to.as_ref().map_or(0, Text::len)).saturating_add(512),
            _ => 0,
        }
    }
}

/// An operation that is done once it is answered.
#[derive(Debug)]
pub(super) struct Doing {
    pub(super) seen: Seen,
    pub(super) since: Duration,
    /// A file whose size it sets.
    pub(super) sets_size: Option<(u32, u64)>,
}

/// A file or directory that is about to be opened.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) path: Text,
    /// Flags of SSH_FXP_OPEN; `None` for a directory.
    pub(super) flags: Option<u32>,
    pub(super) since: Duration,
}

/// A file or directory that is open.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) opening: Opening,
    pub(super) read: Flow,
    pub(super) written: Flow,
    /// The size that it was cut to, or set to.
    pub(super) set_to: Option<u64>,
    /// The length of its handle.
    pub(super) handle: usize,
}

/// What something open counts for, in bytes: its path is the client's to choose, its handle the host's.
fn weight(opening: &Opening, handle: usize) -> usize {
    opening.path.len().saturating_add(handle)
}

pub(super) const READS: u32 = 1;
pub(super) const WRITES: u32 = 2;
const APPENDS: u32 = 4;
const TRUNCATES: u32 = 0x10;
const EXCLUSIVE: u32 = 0x20;

impl Default for Tap {
    fn default() -> Self {
        Self::new()
    }
}

impl Tap {
    /// A tap on a channel on which nothing has passed yet.
    pub fn new() -> Self {
        Self {
            client: Frames::new(Side::Client),
            host: Frames::new(Side::Host),
            stage: Stage::New,
            asked: HashMap::new(),
            texts: 0,
            handles: HashMap::new(),
            held: 0,
            open: HashMap::new(),
            serial: 0,
            writes: None,
            reads: None,
            seen: Vec::new(),
            unreadable: None,
            now: Duration::ZERO,
        }
    }

    /// What passes from here on passes at this time, counted from any beginning.
    pub fn at(&mut self, now: Duration) {
        self.now = now;
    }

    /// Bytes from the client to the host.
    pub fn client(&mut self, mut bytes: &[u8]) {
        // Taken out, so that a piece of it and the tap can be held at once; it goes back below.
        let mut frames = std::mem::replace(&mut self.client, Frames::new(Side::Client));
        while self.unreadable.is_none() {
            let done = match frames.next(&mut bytes) {
                Ok(None) => break,
                Ok(Some(Piece::Packet { body, cut })) => self.request(body, cut),
                Ok(Some(Piece::Content(content))) => {
                    if let Some(open) = self.writes.and_then(|file| self.open.get_mut(&file)) {
                        open.written.passes(content);
                    }
                    Ok(())
                }
                Err(why) => Err(why),
            };
            if let Err(why) = done {
                self.give_up(Side::Client, frames.passed(), why);
            }
        }
        self.client = frames;
    }

    /// Bytes from the host to the client.
    pub fn host(&mut self, mut bytes: &[u8]) {
        let mut frames = std::mem::replace(&mut self.host, Frames::new(Side::Host));
        while self.unreadable.is_none() {
            let done = match frames.next(&mut bytes) {
                Ok(None) => break,
                Ok(Some(Piece::Packet { body, cut })) => self.answer(body, cut),
                Ok(Some(Piece::Content(content))) => {
                    if let Some(open) = self.reads.and_then(|file| self.open.get_mut(&file)) {
                        open.read.passes(content);
                    }
                    Ok(())
                }
                Err(why) => Err(why),
            };
            if let Err(why) = done {
                self.give_up(Side::Host, frames.passed(), why);
            }
        }
        self.host = frames;
    }

    /// What came to its end since it was asked last.
    pub fn take(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    /// Why nothing is followed any more, once it is so.
    pub fn unreadable(&self) -> Option<&Unreadable> {
        self.unreadable.as_ref()
    }

    /// The channel has ended: what is open is aborted.
    pub fn end(&mut self) {
        self.finish_all(&End::Aborted);
    }

    /// Follows nothing any more, for a reason of the caller's.
    pub fn stop(&mut self, why: &str) {
        if self.unreadable.is_none() {
            self.give_up(Side::Client, self.client.passed(), why.to_owned());
        }
    }

    fn give_up(&mut self, side: Side, at: u64, why: String) {
        self.finish_all(&End::Unseen);
        self.unreadable = Some(Unreadable { side, at, why });
    }

    fn finish_all(&mut self, end: &End) {
        let mut serials: Vec<u32> = self.open.keys().copied().collect();
        serials.sort_unstable();
        for serial in serials {
            self.closed(serial, end.clone());
        }
        let mut asked: Vec<(u32, Asked)> = std::mem::take(&mut self.asked).into_iter().collect();
        asked.sort_unstable_by_key(|(id, _)| *id);
        for (_, asked) in asked {
            match asked {
                Asked::Open(opening) => self.opened_not(*opening, end.clone()),
                Asked::Act(doing) => self.did(*doing, end.clone()),
                _ => {}
            }
        }
        self.texts = 0;
        self.handles.clear();
    }

    /// Notes a request until its answer.
    pub(super) fn ask(&mut self, id: u32, asked: Asked) -> Result<(), String> {
        self.texts = self.texts.saturating_add(asked.texts());
        if self.asked.len() >= ASKED_MAX || self.texts > TEXTS_MAX {
            return Err("more requests wait for their answers than are followed".to_owned());
        }
        match self.asked.insert(id, asked) {
            None => Ok(()),
            Some(_) => Err("two requests of the same number wait for their answers".to_owned()),
        }
    }

    /// The request that is answered.
    pub(super) fn asked(&mut self, id: u32) -> Result<Asked, String> {
        let asked = self.asked.remove(&id).ok_or("an answer to nothing that was asked")?;
        self.texts = self.texts.saturating_sub(asked.texts());
        Ok(asked)
    }

    /// The file that a handle stands for.
    pub(super) fn file(&self, handle: &[u8]) -> Option<u32> {
        self.handles.get(handle).copied()
    }

    /// The path of an open file, or that it is unknown.
    pub(super) fn path_of(&self, handle: &[u8]) -> Text {
        let open = self.file(handle).and_then(|file| self.open.get(&file));
        open.map_or_else(|| Text::new(b"(an unknown handle)", false), |open| open.opening.path.clone())
    }

    pub(super) fn opened(&mut self, handle: &[u8], opening: Opening) -> Result<(), String> {
        if let Some(old) = self.handles.remove(handle) {
            self.closed(old, End::Unseen);
        }
        let weight = weight(&opening, handle.len());
        if self.open.len() >= OPEN_MAX || self.held.saturating_add(weight) > HELD_MAX {
            return Err(format!("more than {OPEN_MAX} files are open at once, or their paths are too long"));
        }
        self.held = self.held.saturating_add(weight);
        if opening.flags.is_none() {
            self.seen
                .push(Seen { took: self.now.saturating_sub(opening.since), ..Seen::new(Act::Listed, opening.path.clone(), End::Done) });
        }
        self.serial = self.serial.wrapping_add(1);
        self.handles.insert(handle.to_vec(), self.serial);
        let mut open = Open { opening, read: Flow::default(), written: Flow::default(), set_to: None, handle: handle.len() };
        let flags = open.opening.flags.unwrap_or(0);
        if flags & (TRUNCATES | EXCLUSIVE) != 0 {
            open.set_to = Some(0);
        } else if flags & APPENDS != 0 {
            // Written where the file ends, whatever the requests say.
            open.written.disorder();
        }
        self.open.insert(self.serial, open);
        Ok(())
    }

    /// It was not opened.
    pub(super) fn opened_not(&mut self, opening: Opening, end: End) {
        let act = match opening.flags {
            None => Act::Listed,
            Some(flags) if flags & WRITES != 0 => Act::Written,
            Some(_) => Act::Read,
        };
        self.seen.push(Seen { took: self.now.saturating_sub(opening.since), ..Seen::new(act, opening.path, end) });
    }

    /// An operation was answered.
    pub(super) fn did(&mut self, doing: Doing, end: End) {
        let done = end == End::Done;
        if let Some((file, size)) = doing.sets_size.filter(|_| done)
            && let Some(open) = self.open.get_mut(&file)
        {
            open.set_to = Some(size);
        }
        self.seen.push(Seen { took: self.now.saturating_sub(doing.since), end, ..doing.seen });
    }

    /// A file or directory was closed, or is not followed any more.
    pub(super) fn closed(&mut self, file: u32, end: End) {
        let Some(open) = self.open.remove(&file) else { return };
        let Open { opening, read, written, set_to, handle } = open;
        self.handles.retain(|_, serial| *serial != file);
        self.held = self.held.saturating_sub(weight(&opening, handle));
        let Some(flags) = opening.flags else { return };
        let took = self.now.saturating_sub(opening.since);
        let came_out = |flow: &Flow| match (&end, &flow.failure) {
            (End::Done, Some(why)) => End::Failed(why.clone()),
            _ => end.clone(),
        };
        let wrote = flags & WRITES != 0 && (flags & READS == 0 || written.bytes() > 0 || written.failure.is_some() || set_to.is_some());
        let was_read = read.bytes() > 0 || !wrote;
        let content = |act, flow: Flow, whole: bool| {
            let end = came_out(&flow);
            let (bytes, sequential) = (flow.bytes(), flow.is_sequential());
            let whole = whole && end == End::Done;
            let sha256 = if whole { flow.sha256() } else { None };
            Seen {
                bytes: Some(bytes),
                sequential: Some(sequential),
                whole: Some(whole),
                sha256,
                took,
                ..Seen::new(act, opening.path.clone(), end)
            }
        };
        if was_read {
            let whole = read.reached_the_end();
            self.seen.push(content(Act::Read, read, whole));
        }
        if wrote {
            // A longer file that is written over keeps its tail, unless it was cut at first or at last.
            let whole = written.is_sequential() && set_to.is_some_and(|size| size == 0 || size == written.next());
            self.seen.push(content(Act::Written, written, whole));
        }
    }
}
