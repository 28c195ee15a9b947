//! The old protocol of scp (`scp -O`): one side sends lines and files, the other says yes or no to each.

use std::time::Duration;

use super::flow::Flow;
use super::seen::{Act, Direction, End, Seen, Side, Text, Unreadable};

/// The longest line.
const LINE_MAX: usize = 8 * 1024;
/// The most directories inside each other.
const DEPTH_MAX: usize = 512;
/// The most bytes of their names.
const FOLDERS_MAX: usize = 64 * 1024;
/// What may be seen between two times that somebody takes it: the bytes of its texts, and so many for each entry beside them. One
/// packet of 32 KiB of sentences about files that cannot be read fits in, and none of empty ones makes thousands of long paths.
const SEEN_MAX: usize = 256 * 1024;
const ENTRY: usize = 128;

/// Follows one channel on which `scp -t` or `scp -f` runs.
#[derive(Debug)]
pub struct ScpTap {
    direction: Direction,
    path: Text,
    folders: Vec<Vec<u8>>,
    sender: Vec<u8>,
    answer: Vec<u8>,
    state: State,
    sent: u64,
    answered: u64,
    seen: Vec<Seen>,
    /// What `seen` weighs, in bytes.
    weight: usize,
    unreadable: Option<Unreadable>,
    now: Duration,
}

#[derive(Debug)]
enum State {
    /// The sender is about to say what comes.
    Line,
    /// A file was announced; the other side has not said yet whether it wants it.
    Offered(File),
    /// Its content, so many bytes more.
    Content(File, u64),
    /// The content has passed; the sender says whether it was read well.
    Said(File),
    /// The other side says whether it was written well.
    Waits(File),
}

#[derive(Debug)]
struct File {
    name: Text,
    size: u64,
    flow: Flow,
    since: Duration,
}

impl ScpTap {
    /// A tap on a channel whose command sends files this way, to or from this path.
    pub fn new(direction: Direction, path: Option<Text>) -> Self {
        Self {
            direction,
            path: path.unwrap_or_default(),
            folders: Vec::new(),
            sender: Vec::new(),
            answer: Vec::new(),
            state: State::Line,
            sent: 0,
            answered: 0,
            seen: Vec::new(),
            weight: 0,
            unreadable: None,
            now: Duration::ZERO,
        }
    }

    /// What passes from here on passes at this time, counted from any beginning.
    pub fn at(&mut self, now: Duration) {
        self.now = now;
    }

    /// Bytes from the client to the host.
    pub fn client(&mut self, bytes: &[u8]) {
        match self.direction {
            Direction::ToHost => self.sends(bytes),
            Direction::FromHost => self.answers(bytes),
        }
    }

    /// Bytes from the host to the client.
    pub fn host(&mut self, bytes: &[u8]) {
        match self.direction {
            Direction::ToHost => self.answers(bytes),
            Direction::FromHost => self.sends(bytes),
        }
    }

    /// What came to its end since it was asked last.
    pub fn take(&mut self) -> Vec<Seen> {
        self.weight = 0;
        std::mem::take(&mut self.seen)
    }

    /// Why nothing is followed any more, once it is so.
    pub fn unreadable(&self) -> Option<&Unreadable> {
        self.unreadable.as_ref()
    }

    /// The channel has ended: what is under way is aborted.
    pub fn end(&mut self) {
        self.finish(&End::Aborted);
    }

    /// Follows nothing any more, for a reason of the caller's.
    pub fn stop(&mut self, why: &str) {
        if self.unreadable.is_none() {
            self.give_up(why);
        }
    }

    fn give_up(&mut self, why: &str) {
        let side = if self.direction == Direction::ToHost { Side::Client } else { Side::Host };
        self.unreadable = Some(Unreadable { side, at: self.sent, why: why.to_owned() });
        self.finish(&End::Unseen);
    }

    /// Something came to its end. When there is more of it than fits, it is the last: nothing is under way then.
    fn sees(&mut self, seen: Seen) {
        let why = if let End::Failed(why) = &seen.end { why.len() } else { 0 };
        let texts = [seen.path.len(), seen.name.as_ref().map_or(0, Text::len), why];
        self.weight = texts.into_iter().fold(self.weight.saturating_add(ENTRY), usize::saturating_add);
        self.seen.push(seen);
        if self.weight > SEEN_MAX && self.unreadable.is_none() {
            self.give_up("it says more at once than is followed");
        }
    }

    fn finish(&mut self, end: &End) {
        match std::mem::replace(&mut self.state, State::Line) {
            State::Line => {}
            State::Offered(file) | State::Content(file, _) | State::Said(file) | State::Waits(file) => self.done(file, end.clone()),
        }
    }

    fn act(&self) -> Act {
        if self.direction == Direction::ToHost { Act::Written } else { Act::Read }
    }

    fn done(&mut self, file: File, end: End) {
        let whole = end == End::Done && file.flow.bytes() == file.size;
        let (bytes, took) = (file.flow.bytes(), self.now.saturating_sub(file.since));
        let sha256 = if whole { file.flow.sha256() } else { None };
        let seen = Seen {
            name: Some(file.name),
            bytes: Some(bytes),
            sequential: Some(true),
            whole: Some(whole),
            sha256,
            took,
            ..Seen::new(self.act(), self.path.clone(), end)
        };
        self.sees(seen);
    }

    /// The side with the files says something.
    fn sends(&mut self, mut bytes: &[u8]) {
        while let (Some((first, rest)), None) = (bytes.split_first(), &self.unreadable) {
            match std::mem::replace(&mut self.state, State::Line) {
                State::Line => {
                    bytes = rest;
                    self.sent = self.sent.saturating_add(1);
                    self.letter(*first);
                }
                // It sends although nobody has answered: it takes that for a yes.
                State::Offered(file) => {
                    let size = file.size;
                    self.state = State::Content(file, size);
                }
                State::Content(file, 0) => self.state = State::Said(file),
                State::Content(mut file, left) => {
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let (content, rest) = bytes.split_at_checked(n).unwrap_or((bytes, &[]));
                    let n = u64::try_from(n).unwrap_or(u64::MAX);
                    file.flow.passes(content);
                    self.sent = self.sent.saturating_add(n);
                    bytes = rest;
                    self.state = State::Content(file, left.saturating_sub(n));
                }
                State::Said(mut file) => {
                    bytes = rest;
                    self.sent = self.sent.saturating_add(1);
                    match first {
                        0 => self.state = State::Waits(file),
                        // A sentence follows, and so far the content was no content.
                        _ => {
                            file.flow.fails("the sender could not read all of it".to_owned());
                            self.sender.push(*first);
                            self.state = State::Waits(file);
                        }
                    }
                }
                State::Waits(file) if self.sender.is_empty() => {
                    // The next line without an answer to the last one.
                    self.done(file, End::Done);
                }
                State::Waits(file) => {
                    bytes = rest;
                    self.sent = self.sent.saturating_add(1);
                    if *first == b'\n' {
                        let why = sentence(&std::mem::take(&mut self.sender));
                        self.done(file, End::Failed(why));
                    } else {
                        self.state = State::Waits(file);
                        self.keep(*first);
                    }
                }
            }
        }
    }

    fn keep(&mut self, letter: u8) {
        if self.sender.len() < LINE_MAX {
            self.sender.push(letter);
        } else {
            self.give_up("a line is too long");
        }
    }

    fn letter(&mut self, letter: u8) {
        if letter != b'\n' {
            // Where the receiver runs on the host it says yes before anything is sent; here the sender's own bytes are meant.
            self.keep(letter);
            return;
        }
        let line = std::mem::take(&mut self.sender);
        let Some((kind, rest)) = line.split_first() else { return self.give_up("an empty line") };
        match kind {
            b'C' => match announced(rest) {
                Some((size, name)) => {
                    let mut path = self.folders.join(&b'/');
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend_from_slice(name);
                    let mut flow = Flow::default();
                    flow.begins(0, 0);
                    self.state = State::Offered(File { name: Text::new(&path, false), size, flow, since: self.now });
                }
                None => self.give_up("a line that announces no file"),
            },
            b'D' => match announced(rest) {
                Some((_, name)) if self.folders.len() < DEPTH_MAX && self.folders.iter().map(Vec::len).sum::<usize>() < FOLDERS_MAX => {
                    self.folders.push(name.to_vec());
                }
                Some(_) => self.give_up("directories lie too deep"),
                None => self.give_up("a line that announces no directory"),
            },
            b'E' => drop(self.folders.pop()),
            b'T' => {}
            // A file that the sender cannot read: it goes on with the next.
            1 | 2 => {
                let seen = Seen::new(self.act(), self.path.clone(), End::Failed(sentence(&line)));
                self.sees(seen);
            }
            _ => self.give_up("a line that is none of scp's"),
        }
    }

    /// The side that takes the files says something.
    fn answers(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.answered = self.answered.saturating_add(1);
            if self.unreadable.is_some() {
                return;
            }
            if self.answer.is_empty() {
                match byte {
                    0 => self.yes(),
                    1 | 2 => self.answer.push(*byte),
                    _ => self.give_up("an answer that is none of scp's"),
                }
            } else if *byte == b'\n' {
                let why = sentence(&std::mem::take(&mut self.answer));
                self.finish(&End::Failed(why));
            } else if self.answer.len() < LINE_MAX {
                self.answer.push(*byte);
            }
        }
    }

    fn yes(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Line) {
            State::Offered(file) => {
                let size = file.size;
                State::Content(file, size)
            }
            State::Waits(file) if self.sender.is_empty() => {
                self.done(file, End::Done);
                State::Line
            }
            other => other,
        };
    }
}

/// `0644 1234 name`, after its letter.
fn announced(rest: &[u8]) -> Option<(u64, &[u8])> {
    let mut parts = rest.splitn(3, |b| *b == b' ');
    let mode = parts.next()?;
    let size = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    let name = parts.next()?;
    (!mode.is_empty() && mode.iter().all(u8::is_ascii_digit) && !name.is_empty()).then_some((size, name))
}

/// The words behind the byte that says no.
fn sentence(line: &[u8]) -> String {
    String::from_utf8_lossy(line.get(1..).unwrap_or_default()).trim().to_owned()
}
