//! Bytes of a terminal → keys. A paste stays one piece, so that it is never taken for keys; nothing is decided here.

/// The longest paste that is kept; more of it is dropped.
const MOST_PASTED: usize = 256 * 1024;
/// The longest sequence that is waited for.
const MOST_SEQUENCE: usize = 64;
/// What ends a bracketed paste.
const PASTE_END: &[u8] = b"\x1b[201~";

/// What somebody pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are those on the keys
pub enum Key {
    Char(char),
    /// With the control key: `Control('c')`.
    Control(char),
    Enter,
    Escape,
    Backspace,
    Delete,
    Tab,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    /// Text that was pasted.
    Paste(String),
}

/// Reads keys, also where they come in parts.
#[derive(Debug, Default)]
pub struct Keys {
    /// What is no whole key yet.
    rest: Vec<u8>,
    /// The paste that has begun.
    paste: Option<Vec<u8>>,
    /// The last byte was a carriage return: a line feed behind it belongs to it.
    after_return: bool,
}

impl Keys {
    /// The keys in these bytes, and in those that were held back before.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.push(bytes);
        std::iter::from_fn(|| self.take()).collect()
    }

    /// More bytes, for [`Keys::take`].
    pub fn push(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
    }

    /// The next key, if all of it is there. What stands behind it stays as it came.
    pub fn take(&mut self) -> Option<Key> {
        loop {
            if self.paste.is_some() {
                return self.pasted().map(Key::Paste);
            }
            match first(&self.rest) {
                First::None => return None,
                First::Key(key, taken) => {
                    self.rest.drain(..taken.min(self.rest.len()));
                    let feed = std::mem::replace(&mut self.after_return, key == Some(Key::Enter)) && key == Some(Key::Control('j'));
                    if let Some(key) = key.filter(|_| !feed) {
                        return Some(if key == Key::Control('j') { Key::Enter } else { key });
                    }
                }
                First::Paste(taken) => {
                    self.rest.drain(..taken.min(self.rest.len()));
                    self.paste = Some(Vec::new());
                }
            }
        }
    }

    /// The bytes behind the last key that was taken: somebody else's to read. Nothing of them is kept.
    pub fn rest(&mut self) -> Vec<u8> {
        self.after_return = false;
        std::mem::take(&mut self.rest)
    }

    /// Nothing came for a moment: an escape that stands alone was the key.
    pub fn idle(&mut self) -> Option<Key> {
        let alone = self.paste.is_none() && self.rest == [0x1b];
        alone.then(|| {
            self.rest.clear();
            Key::Escape
        })
    }

    /// Whether [`Keys::idle`] is worth a call.
    pub fn waits(&self) -> bool {
        self.paste.is_none() && self.rest.first() == Some(&0x1b)
    }

    /// The paste, once its end is there.
    fn pasted(&mut self) -> Option<String> {
        let paste = self.paste.as_mut()?;
        let end = self.rest.windows(PASTE_END.len()).position(|w| w == PASTE_END);
        // The end may come in parts: so much stays.
        let taken = end.unwrap_or_else(|| self.rest.len().saturating_sub(PASTE_END.len() - 1));
        let room = MOST_PASTED.saturating_sub(paste.len());
        paste.extend(self.rest.iter().take(taken.min(room)));
        self.rest.drain(..taken);
        end?;
        self.rest.drain(..PASTE_END.len().min(self.rest.len()));
        let bytes = self.paste.take()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }
}

enum First {
    /// Not whole yet.
    None,
    /// A key, or something that is none, and its bytes.
    Key(Option<Key>, usize),
    /// A paste begins.
    Paste(usize),
}

fn first(bytes: &[u8]) -> First {
    let Some(byte) = bytes.first() else { return First::None };
    match byte {
        0x1b => sequence(bytes),
        b'\r' => First::Key(Some(Key::Enter), 1),
        0x7f | 0x08 => First::Key(Some(Key::Backspace), 1),
        b'\t' => First::Key(Some(Key::Tab), 1),
        0 => First::Key(None, 1),
        c @ 1..=0x1a => First::Key(Some(Key::Control(char::from(c + b'a' - 1))), 1),
        0x1c..=0x1f => First::Key(None, 1),
        c if c.is_ascii() => First::Key(Some(Key::Char(char::from(*c))), 1),
        c => {
            let length = match c {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => return First::Key(None, 1),
            };
            match bytes.get(..length) {
                None if bytes.iter().skip(1).all(|b| (0x80..0xc0).contains(b)) => First::None,
                None => First::Key(None, 1),
                Some(whole) => match std::str::from_utf8(whole).ok().and_then(|s| s.chars().next()) {
                    Some(c) if !c.is_control() => First::Key(Some(Key::Char(c)), length),
                    Some(_) => First::Key(None, length),
                    None => First::Key(None, 1),
                },
            }
        }
    }
}

/// What begins with an escape. Reports of the mouse, answers of the terminal and unknown keys are taken whole and are none.
fn sequence(bytes: &[u8]) -> First {
    match bytes.get(1) {
        None => First::None,
        Some(b'[') => {
            if bytes.get(2) == Some(&b'M') {
                // The old report of the mouse: three bytes behind.
                return if bytes.len() < 6 { First::None } else { First::Key(None, 6) };
            }
            let Some(end) = bytes.iter().skip(2).position(|b| (0x40..=0x7e).contains(b)) else {
                return if bytes.len() > MOST_SEQUENCE { First::Key(None, bytes.len()) } else { First::None };
            };
            let (parameters, last) = (bytes.get(2..end + 2).unwrap_or_default(), bytes.get(end + 2).copied().unwrap_or_default());
            if (parameters, last) == (b"200", b'~') { First::Paste(end + 3) } else { First::Key(named(parameters, last), end + 3) }
        }
        Some(b'O') => match bytes.get(2) {
            None => First::None,
            Some(last) => First::Key(named(b"", *last), 3),
        },
        // Two keys that came at once; the alt key has no meaning here.
        Some(_) => First::Key(Some(Key::Escape), 1),
    }
}

fn named(parameters: &[u8], last: u8) -> Option<Key> {
    let number = parameters.split(|b| *b == b';').next().unwrap_or_default();
    Some(match (last, number) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', b"1" | b"7") => Key::Home,
        (b'F', _) | (b'~', b"4" | b"8") => Key::End,
        (b'~', b"3") => Key::Delete,
        (b'~', b"5") => Key::PageUp,
        (b'~', b"6") => Key::PageDown,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8]) -> Vec<Key> {
        Keys::default().feed(bytes)
    }

    #[test]
    fn keys_are_the_same_however_they_are_cut() {
        let bytes =
            "aé€😀\r\n\x1b[A\x1bOB\x1b[5~\x1b[6;5~\x1b[3~\x1b[1~\x7f\t\x03\x1b[<0;3;4M\x1b[M !!\x1b\r\x1b[200~y\rA\x1b[201~z\n".as_bytes();
        let all = whole(bytes);
        let text = |c| Key::Char(c);
        let expected = [
            text('a'),
            text('é'),
            text('€'),
            text('😀'),
            Key::Enter,
            Key::Up,
            Key::Down,
            Key::PageUp,
            Key::PageDown,
            Key::Delete,
            Key::Home,
            Key::Backspace,
            Key::Tab,
            Key::Control('c'),
            Key::Escape,
            Key::Enter,
            Key::Paste("y\rA".to_owned()),
            text('z'),
            Key::Enter,
        ];
        assert_eq!(all, expected);
        for cut in 1..bytes.len() {
            let mut keys = Keys::default();
            let mut parts = keys.feed(&bytes[..cut]);
            parts.extend(keys.feed(&bytes[cut..]));
            assert_eq!(parts, expected, "cut at {cut}");
        }
    }

    #[test]
    fn what_stands_behind_a_key_stays_as_it_came() {
        let mut keys = Keys::default();
        keys.push(b"w\r\nls\r\x1b[200~x");
        assert_eq!((keys.take(), keys.take()), (Some(Key::Char('w')), Some(Key::Enter)));
        assert_eq!(keys.rest(), b"\nls\r\x1b[200~x");
        assert_eq!((keys.take(), keys.rest()), (None, Vec::new()));
        keys.push(b"\n");
        assert_eq!(keys.take(), Some(Key::Enter), "a line feed that came after is a key of its own");
    }

    #[test]
    fn an_escape_alone_is_a_key_when_nothing_follows() {
        let mut keys = Keys::default();
        assert!(keys.feed(b"\x1b").is_empty() && keys.waits());
        assert_eq!(keys.idle(), Some(Key::Escape));
        assert_eq!((keys.idle(), keys.waits()), (None, false));
        assert_eq!(whole(b"\x1b\x1b[A"), [Key::Escape, Key::Up]);
    }

    #[test]
    fn what_is_no_key_is_none() {
        assert!(whole(b"\xff\xc0\x00\x1c\x1b[?62;4c\x1b[24;80R").is_empty());
        assert!(whole("\u{85}".as_bytes()).is_empty());
        let mut keys = Keys::default();
        let mut long = b"\x1b[200~".to_vec();
        long.extend(std::iter::repeat_n(b'x', MOST_PASTED * 2));
        assert!(keys.feed(&long).is_empty());
        let Some(Key::Paste(text)) = keys.feed(b"\x1b[201~").pop() else { panic!() };
        assert_eq!(text.len(), MOST_PASTED);
    }
}
