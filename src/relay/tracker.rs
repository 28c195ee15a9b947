//! Follows what a host writes on a terminal, as far as to know where something else may be written between two bytes of it: not
//! inside a character or an escape sequence. It changes no byte.

use std::time::{Duration, Instant};

/// After a program has placed the cursor by itself, the screen is taken to be its own for so long.
const ITS_OWN: Duration = Duration::from_secs(5);
/// The most parameters of a sequence that are kept.
const PARAMETERS: usize = 32;

/// What the last byte was a part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing: the next byte begins something.
    #[default]
    Ground,
    /// A character of which so many bytes are still to come.
    Character(u8),
    /// One that may be a control character of two bytes: U+0080 to U+009F.
    HighControl,
    /// `ESC`.
    Escape,
    /// `ESC` and an intermediate byte.
    Intermediate,
    /// `CSI`.
    Csi,
    /// A string of the operating system, a device or an application, to its end.
    Text,
}

/// Where something may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Between two whole characters or sequences.
    Ground,
    /// There, and at the beginning of a fresh line outside the other screen.
    Line,
}

/// The terminal as the host left it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tracker {
    state: State,
    parameters: Vec<u8>,
    /// The cursor is at the left edge.
    left: bool,
    /// And it came there by a new line, on which nothing was written since.
    fresh: bool,
    /// The mode by which the other screen was chosen.
    other_screen: Option<u16>,
    pastes_in_brackets: bool,
    cursor_hidden: bool,
    placed: Option<Instant>,
}

impl Tracker {
    /// Follows bytes that are written at this moment.
    pub(super) fn feed(&mut self, bytes: &[u8], at: Instant) {
        for byte in bytes {
            self.step(*byte, at);
        }
    }

    /// Follows bytes until behind one of them is such a place; how many that were.
    pub(super) fn feed_to(&mut self, bytes: &[u8], place: Place, at: Instant) -> Option<usize> {
        for (i, byte) in bytes.iter().enumerate() {
            self.step(*byte, at);
            if self.is_at(place, at) {
                return Some(i + 1);
            }
        }
        None
    }

    /// Whether it is at such a place now.
    pub(super) fn is_at(&self, place: Place, at: Instant) -> bool {
        let ground = self.state == State::Ground;
        match place {
            Place::Ground => ground,
            Place::Line => {
                let its_own = self.placed.is_some_and(|p| at.saturating_duration_since(p) < ITS_OWN);
                ground && self.fresh && self.other_screen.is_none() && !its_own
            }
        }
    }

    /// Whether the host's program is on the other screen.
    pub(super) fn on_other_screen(&self) -> bool {
        self.other_screen.is_some()
    }

    /// What brings a terminal, that somebody else has used and left on its first screen, back to what the host believes.
    pub(super) fn restored(&self) -> String {
        let mut out = String::new();
        if let Some(mode) = self.other_screen {
            out.push_str(&format!("\x1b[?{mode}h\x1b[H\x1b[2J"));
        }
        if self.pastes_in_brackets {
            out.push_str("\x1b[?2004h");
        }
        if self.cursor_hidden {
            out.push_str("\x1b[?25l");
        }
        out
    }

    fn step(&mut self, byte: u8, at: Instant) {
        match (self.state, byte) {
            // What is begun is given up (CAN, SUB), or something new begins, inside everything but a character.
            (State::Escape | State::Intermediate | State::Csi | State::Text, 0x18 | 0x1a) => self.state = State::Ground,
            (State::Escape | State::Intermediate | State::Csi | State::Text, 0x1b) => self.state = State::Escape,
            (State::Ground, _) => self.ground(byte),
            (State::HighControl, 0x80..=0x9f) => {
                self.state = match byte {
                    0x9b => self.csi(),
                    0x90 | 0x98 | 0x9d..=0x9f => State::Text,
                    _ => State::Ground,
                };
            }
            (State::HighControl, 0xa0..=0xbf) => self.drawn(),
            (State::Character(left), 0x80..=0xbf) => {
                self.state = if left > 1 { State::Character(left - 1) } else { State::Ground };
            }
            // A character that broke off: this byte begins the next thing.
            (State::Character(_) | State::HighControl, _) => {
                self.drawn();
                self.ground(byte);
            }
            (State::Escape | State::Intermediate | State::Csi, 0x00..=0x1f) => self.control(byte),
            (State::Escape, b'[') => self.state = self.csi(),
            (State::Escape, b']' | b'P' | b'X' | b'^' | b'_') => self.state = State::Text,
            (State::Escape | State::Intermediate, 0x20..=0x2f) => self.state = State::Intermediate,
            (State::Escape, _) => self.escaped(byte),
            (State::Intermediate, _) => self.state = State::Ground,
            (State::Csi, 0x40..=0x7e) => self.sequence(byte, at),
            (State::Csi, _) => {
                if self.parameters.len() < PARAMETERS {
                    self.parameters.push(byte);
                }
            }
            (State::Text, 0x07) => self.state = State::Ground,
            (State::Text, _) => {}
        }
    }

    fn ground(&mut self, byte: u8) {
        match byte {
            0x1b => self.state = State::Escape,
            0x00..=0x1f => self.control(byte),
            0x20..=0x7f => self.drawn(),
            0xc2 => self.state = State::HighControl,
            0xc3..=0xdf => self.begun(1),
            0xe0..=0xef => self.begun(2),
            0xf0..=0xf4 => self.begun(3),
            _ => self.drawn(),
        }
    }

    fn begun(&mut self, more: u8) {
        self.drawn();
        self.state = State::Character(more);
    }

    /// Something was drawn, or the cursor moved.
    fn drawn(&mut self) {
        (self.state, self.left, self.fresh) = (State::Ground, false, false);
    }

    fn control(&mut self, byte: u8) {
        match byte {
            b'\r' => self.left = true,
            b'\n' | 0x0b | 0x0c => self.fresh = self.left,
            b'\t' => (self.left, self.fresh) = (false, false),
            _ => {}
        }
    }

    fn csi(&mut self) -> State {
        self.parameters.clear();
        State::Csi
    }

    /// `ESC` and one byte.
    fn escaped(&mut self, byte: u8) {
        self.state = State::Ground;
        match byte {
            // A new terminal.
            b'c' => *self = Self { left: true, ..Self::default() },
            b'E' => (self.left, self.fresh) = (true, true),
            b'8' | b'D' | b'M' => (self.left, self.fresh) = (false, false),
            _ => {}
        }
    }

    fn sequence(&mut self, last: u8, at: Instant) {
        self.state = State::Ground;
        let parameters = std::mem::take(&mut self.parameters);
        match (parameters.split_first(), last) {
            (Some((b'?', modes)), b'h' | b'l') => {
                for mode in modes.split(|b| *b == b';') {
                    self.mode(std::str::from_utf8(mode).ok().and_then(|m| m.parse().ok()).unwrap_or(0), last == b'h');
                }
            }
            // These move nothing: colours, modes, erasing, questions.
            (_, b'm' | b'h' | b'l' | b'K' | b'J' | b'X' | b'P' | b'@' | b'n' | b'c' | b'q' | b't' | b'p' | b'g' | b'b') => {}
            (_, b'H' | b'f' | b'd' | b'r') => {
                self.placed = Some(at);
                self.drawn();
            }
            _ => self.drawn(),
        }
        self.parameters = parameters;
    }

    fn mode(&mut self, mode: u16, on: bool) {
        match mode {
            47 | 1047 | 1049 => {
                self.other_screen = on.then_some(mode);
                (self.left, self.fresh) = (false, false);
                if !on {
                    // The program has given the screen back.
                    self.placed = None;
                }
            }
            2004 => self.pastes_in_brackets = on,
            25 => self.cursor_hidden = !on,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Marks every place of a kind with `|`.
    fn places(bytes: &[u8], place: Place) -> String {
        let at = Instant::now();
        let mut tracker = Tracker::default();
        let mut out = Vec::new();
        for byte in bytes {
            out.push(*byte);
            tracker.feed(&[*byte], at);
            if tracker.is_at(place, at) {
                out.push(b'|');
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn characters_and_sequences_are_never_parted() {
        let all = [
            ("aé€😀b", "a|é|€|😀|b|"),
            ("\x1b[1;31mx\x1b[0m", "\x1b[1;31m|x|\x1b[0m|"),
            ("\x1b]0;title é\x07x", "\x1b]0;title é\x07|x|"),
            ("\x1b]8;;http://x\x1b\\y", "\x1b]8;;http://x\x1b\\|y|"),
            ("\x1bPq#0;2\x1b\\z", "\x1bPq#0;2\x1b\\|z|"),
            ("\x1b(Bx\x1b7", "\x1b(B|x|\x1b7|"),
            ("\u{9b}31mx", "\u{9b}31m|x|"),
            ("\x1b[3\x181", "\x1b[3\x18|1|"),
        ];
        for (bytes, marked) in all {
            assert_eq!(places(bytes.as_bytes(), Place::Ground), marked);
        }
        assert_eq!(places(b"a\xffb\xe2\x82c", Place::Ground), "a|\u{fffd}|b|\u{fffd}c|");
    }

    #[test]
    fn a_line_is_fresh_only_after_a_new_line_outside_the_other_screen() {
        assert_eq!(places(b"ls\r\nfile\r\n$ ", Place::Line), "ls\r\n|file\r\n|$ ");
        assert_eq!(places(b"10%\r20%\r\n", Place::Line), "10%\r20%\r\n|");
        assert_eq!(places(b"a\nb", Place::Line), "a\nb", "without a carriage return it is not at the edge");
        assert_eq!(places(b"\r\n\x1b[?2004l\r\x1b[0mx", Place::Line), "\r\n|\x1b[?2004l|\r|\x1b[0m|x");
        assert_eq!(places(b"\x1b[?1049h\x1b[2J\r\nx\x1b[?1049l\r\n", Place::Line), "\x1b[?1049h\x1b[2J\r\nx\x1b[?1049l\r\n|");
        assert_eq!(places(b"\x1b[5;1Hx\r\n", Place::Line), "\x1b[5;1Hx\r\n", "a program draws on the screen");
    }

    #[test]
    fn the_screen_is_given_back_as_the_host_left_it() {
        let mut tracker = Tracker::default();
        tracker.feed(b"\x1b[?1049h\x1b[?2004;25l\x1b[?1h", Instant::now());
        assert_eq!(tracker.restored(), "\x1b[?1049h\x1b[H\x1b[2J\x1b[?25l");
        tracker.feed(b"\x1b[?1049l\x1b[?25h\x1b[?2004h", Instant::now());
        assert_eq!((tracker.restored().as_str(), tracker.on_other_screen()), ("\x1b[?2004h", false));
        tracker.feed(b"\x1bc", Instant::now());
        assert_eq!(tracker.restored(), "");
    }

    #[test]
    fn it_stops_behind_the_first_place() {
        let (mut tracker, at) = (Tracker::default(), Instant::now());
        assert_eq!(tracker.feed_to(b"\x1b[1mab", Place::Ground, at), Some(4));
        assert_eq!(tracker.feed_to("é".as_bytes().get(..1).unwrap(), Place::Ground, at), None);
        assert_eq!(tracker.feed_to(b"\xa9\r\nx", Place::Line, at), Some(3));
    }
}
