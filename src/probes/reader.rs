//! Reads what the script of [`super::script()`] writes, as it comes. Bounded by the probes' caps; whatever else a host sends is dropped.
//! Believes nothing: answers out of order, twice, or beside the frames are none.

use super::script::FRAME_MAX;
use super::{Answer, Probe, Status};

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The shell began, with this user id, if it told one.
    Shell {
        /// `id -u`.
        uid: Option<u32>,
    },
    /// A probe began.
    Begun(usize),
    /// A probe ended; how long it took is for whoever looks at a clock.
    Answered(usize, Answer),
    /// The script came to its end.
    Ended,
}

/// Where in the frames the host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the shell's first word: banners, other noise.
    Before,
    /// Between two probes.
    Between,
    /// In a probe's answer.
    In(usize),
    /// Behind the probe's own end; what comes now is a straggler's.
    Behind(usize),
    /// The script ended.
    Ended,
}

/// Reads one run of a script.
#[derive(Debug)]
pub struct Reader {
    nonce: Vec<u8>,
    caps: Vec<usize>,
    at: At,
    /// The number of the probe whose turn is next.
    next: usize,
    /// The line that has not ended.
    line: Vec<u8>,
    /// What of the line was dropped, because no frame is so long and its place keeps nothing.
    dropped: bool,
    answer: Vec<u8>,
    cut: bool,
    status: Option<i32>,
    /// Bytes before the shell's first word, for whoever asks what came instead.
    noise: Vec<u8>,
    noise_len: u64,
}

/// How much of the noise is kept.
const NOISE_KEPT: usize = 256;
/// How much noise may come before the shell's first word.
pub const NOISE_MAX: u64 = 64 * 1024;

impl Reader {
    /// For the script of these probes.
    pub fn new(nonce: &str, probes: &[&Probe]) -> Self {
        Self {
            nonce: nonce.as_bytes().to_vec(),
            caps: probes.iter().map(|p| p.cap).collect(),
            at: At::Before,
            next: 0,
            line: Vec::new(),
            dropped: false,
            answer: Vec::new(),
            cut: false,
            status: None,
            noise: Vec::new(),
            noise_len: 0,
        }
    }

    /// Whether the shell has said a word.
    pub fn has_begun(&self) -> bool {
        self.at != At::Before
    }

    /// The probe that is being answered, or else the one whose turn is next; `None` behind the last.
    pub fn awaited(&self) -> Option<usize> {
        match self.at {
            At::In(number) | At::Behind(number) => Some(number),
            At::Before | At::Between => (self.next < self.caps.len()).then_some(self.next),
            At::Ended => None,
        }
    }

    /// What came before or instead of the shell's first word: its beginning, and how much it was.
    pub fn noise(&self) -> (&[u8], u64) {
        (&self.noise, self.noise_len)
    }

    /// What of the answer of the probe that was not finished is there.
    pub fn unfinished(&mut self, status: Status) -> Option<(usize, Answer)> {
        let (At::In(number) | At::Behind(number)) = self.at else { return None };
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            self.keep(number, &line);
        }
        let answer = self.take(number);
        Some((number, Answer { status, ..answer }))
    }

    /// Takes bytes as they came.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        while !bytes.is_empty() {
            let (line, rest, ends) = match bytes.iter().position(|b| *b == b'\n') {
                Some(at) => (bytes.get(..at).unwrap_or_default(), bytes.get(at + 1..).unwrap_or_default(), true),
                None => (bytes, &[][..], false),
            };
            bytes = rest;
            self.grow(line);
            if ends {
                self.end_line(&mut heard);
            }
        }
        heard
    }

    /// Puts bytes to the line. One that is too long to be a frame goes on to where it belongs at once.
    fn grow(&mut self, bytes: &[u8]) {
        self.line.extend_from_slice(bytes);
        if self.line.len() > FRAME_MAX {
            let line = std::mem::take(&mut self.line);
            self.put(&line);
            self.dropped = true;
        }
    }

    fn end_line(&mut self, heard: &mut Vec<Heard>) {
        let line = std::mem::take(&mut self.line);
        if !std::mem::take(&mut self.dropped)
            && let Some(words) = self.frame(&line)
            && let Some(event) = self.step(&words)
        {
            heard.extend(event);
            return;
        }
        self.put(&line);
        self.put(b"\n");
    }

    /// The words behind the nonce, if the line is a frame.
    fn frame(&self, line: &[u8]) -> Option<Vec<String>> {
        // A terminal in between ends lines its own way.
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let rest = line.strip_prefix(&*self.nonce)?.strip_prefix(b" ")?;
        Some(std::str::from_utf8(rest).ok()?.split(' ').map(str::to_owned).collect())
    }

    /// `None`: the frame has no place here, so it is part of what a probe wrote. `Some(None)`: it has, and says nothing to tell.
    #[allow(clippy::option_option)] // the two answers are named above
    fn step(&mut self, words: &[String]) -> Option<Option<Heard>> {
        let word = |i: usize| words.get(i).map(String::as_str).unwrap_or_default();
        match (self.at, word(0)) {
            (At::Before, "A") => {
                self.at = At::Between;
                Some(Some(Heard::Shell { uid: word(1).parse().ok() }))
            }
            (At::Between, "B") if self.next < self.caps.len() && word(1).parse() == Ok(self.next) => {
                self.at = At::In(self.next);
                self.next += 1;
                Some(Some(Heard::Begun(self.next - 1)))
            }
            (At::In(number), "X") if word(1).parse() == Ok(number) => {
                // ksh93 says 256 and the signal's number where others say 128 and it.
                self.status = word(2).parse().ok().map(|s: i32| if s > 256 { s - 128 } else { s });
                self.at = At::Behind(number);
                Some(None)
            }
            (At::In(number) | At::Behind(number), "E") if word(1).parse() == Ok(number) => {
                let answer = self.take(number);
                self.at = At::Between;
                Some(Some(Heard::Answered(number, answer)))
            }
            (At::Between, "Z") if self.next == self.caps.len() => {
                self.at = At::Ended;
                Some(Some(Heard::Ended))
            }
            _ => None,
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        match self.at {
            At::In(number) => self.keep(number, bytes),
            At::Before => {
                self.noise_len += u64::try_from(bytes.len()).unwrap_or(0);
                let room = NOISE_KEPT.saturating_sub(self.noise.len());
                self.noise.extend(bytes.iter().take(room));
            }
            At::Between | At::Behind(_) | At::Ended => {}
        }
    }

    fn keep(&mut self, number: usize, bytes: &[u8]) {
        // One more than the cap: the line end that stands before a frame is not the answer's.
        let cap = self.caps.get(number).copied().unwrap_or(0) + 1;
        let room = cap.saturating_sub(self.answer.len());
        self.cut |= bytes.len() > room;
        self.answer.extend(bytes.iter().take(room));
    }

    /// The answer of the probe that ended.
    fn take(&mut self, number: usize) -> Answer {
        let mut output = std::mem::take(&mut self.answer);
        let exit = self.status.take();
        let mut cut = std::mem::take(&mut self.cut);
        let cap = self.caps.get(number).copied().unwrap_or(0);
        if exit.is_some() && !cut && output.last() == Some(&b'\n') {
            output.pop();
        }
        if output.len() > cap {
            output.truncate(cap);
            cut = true;
        }
        match (exit, cut) {
            (_, true) => Answer { status: Status::Ended, exit: None, output, cut: true, as_root: false, took_ms: 0 },
            (Some(exit), false) => Answer::ended(exit, output),
            // No status and nothing cut: a frame was lost on the way, or the shell was killed.
            (None, false) => Answer { status: Status::Broken, exit: None, output, cut, as_root: false, took_ms: 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::Root;

    fn probes(n: usize) -> Vec<Probe> {
        let one = |i| Probe { id: format!("c:{i}"), command: String::new(), timeout_s: 1, cap: 8, root: Root::Never, read_only: true };
        (0..n).map(one).collect()
    }

    fn read(n: usize, text: &str, cut: usize) -> (Vec<Heard>, Reader) {
        let all = probes(n);
        let mut reader = Reader::new("NN", &all.iter().collect::<Vec<_>>());
        let (a, b) = text.as_bytes().split_at(cut);
        let mut heard = reader.feed(a);
        heard.extend(reader.feed(b));
        (heard, reader)
    }

    #[test]
    fn frames_are_read_however_they_are_cut() {
        let text = "Welcome!\n\nNN A 1000\n\nNN B 0\nab\nc\nNN X 0 3\n\nNN E 0\n\nNN B 1\n\nNN X 1 0\nlate\n\nNN E 1\n\nNN Z\n";
        for cut in 0..text.len() {
            let (heard, reader) = read(2, text, cut);
            assert_eq!(
                heard,
                [
                    Heard::Shell { uid: Some(1000) },
                    Heard::Begun(0),
                    Heard::Answered(0, Answer::ended(3, "ab\nc")),
                    Heard::Begun(1),
                    Heard::Answered(1, Answer::ended(0, "")),
                    Heard::Ended,
                ],
                "cut at {cut}"
            );
            assert_eq!(reader.noise().0, b"Welcome!\n\n");
        }
    }

    #[test]
    fn what_is_out_of_turn_is_no_frame() {
        // Another probe's end, another probe's beginning, the end of all, in the middle of an answer.
        let (heard, _) = read(2, "NN A 0\nNN B 0\nNN E 1\nNN X 0 0\nNN E 0\n", 0);
        assert_eq!(heard.last(), Some(&Heard::Answered(0, Answer::ended(0, "NN E 1"))));
        let (heard, _) = read(2, "NN A 0\nNN B 1\nNN Z\nNN E 0\n", 0);
        assert_eq!(heard, [Heard::Shell { uid: Some(0) }]);
        let (heard, reader) = read(1, "NN B 0\nNN X 0 0\nNN E 0\nNN Z\n", 0);
        assert!(heard.is_empty() && !reader.has_begun());
    }

    #[test]
    fn a_cap_holds_and_is_said() {
        let (heard, _) = read(1, "NN A 0\nNN B 0\n12345678\nNN X 0 0\n\nNN E 0\n", 3);
        assert_eq!(heard.last(), Some(&Heard::Answered(0, Answer::ended(0, "12345678"))));
        let (heard, _) = read(1, "NN A 0\nNN B 0\n123456789\nNN X 0 0\n\nNN E 0\n", 3);
        let Some(Heard::Answered(0, answer)) = heard.last() else { panic!("{heard:?}") };
        assert!(answer.cut && answer.output == b"12345678" && answer.exit.is_none());
        let long = format!("NN A 0\nNN B 0\n{}\nNN E 0\n", "x".repeat(100_000));
        let (heard, reader) = read(1, &long, 50_000);
        let Some(Heard::Answered(0, answer)) = heard.last() else { panic!("{heard:?}") };
        assert!(answer.cut && answer.output.len() == 8);
        assert!(reader.line.capacity() < 200_000);
    }

    #[test]
    fn a_lost_frame_is_no_answer() {
        let (heard, _) = read(1, "NN A 0\nNN B 0\nabc\nNN E 0\n", 0);
        let Some(Heard::Answered(0, answer)) = heard.last() else { panic!("{heard:?}") };
        assert_eq!((answer.status.clone(), answer.exit), (Status::Broken, None));
        let (_, mut reader) = read(1, "NN A 0\nNN B 0\nab", 0);
        assert_eq!(reader.awaited(), Some(0));
        let (number, answer) = reader.unfinished(Status::Broken).unwrap();
        assert_eq!((number, answer.status, &*answer.output), (0, Status::Broken, &b"ab"[..]));
    }

    #[test]
    fn noise_is_counted_and_its_beginning_kept() {
        let (heard, reader) = read(1, &"y\n".repeat(100_000), 5);
        assert!(heard.is_empty());
        assert_eq!((reader.noise().0.len(), reader.noise().1), (NOISE_KEPT, 200_000));
    }
}
