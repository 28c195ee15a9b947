//! Text of strangers on its way into a report: the one place where it is made harmless. Nothing that a screen obeys or hides gets
//! through, and what is left out is said.

use std::fmt::{self, Write as _};
use std::io;

use crate::model::printable;

/// On one line: what a screen would obey or hide is an escape, and line breaks become spaces. It has at most `most` characters,
/// escapes counted as what they are written with; behind them is said how many of the text are left out.
pub(super) fn line(text: &str, most: usize) -> String {
    shown(text.trim(), most, |c| if matches!(c, '\n' | '\r' | '\t') { Some(" ") } else { None })
}

/// On as many lines as it has: a line break stays one, a tab becomes spaces, everything else is as in [`line`].
pub(super) fn lines(text: &str, most: usize) -> String {
    shown(text.trim_matches(['\n', '\r']), most, |c| match c {
        '\n' => Some("\n"),
        '\t' => Some("    "),
        '\r' => Some(""),
        _ => None,
    })
}

fn shown(text: &str, most: usize, instead: impl Fn(char) -> Option<&'static str>) -> String {
    let mut out = String::with_capacity(text.len().min(most));
    let mut left = most;
    for (at, c) in text.char_indices() {
        let escape;
        let mut one = [0; 4];
        let piece = match instead(c) {
            Some(piece) => piece,
            None if c.is_ascii_graphic() || c == ' ' => c.encode_utf8(&mut one),
            None => {
                escape = escaped(c.encode_utf8(&mut one));
                &escape
            }
        };
        let Some(rest) = left.checked_sub(piece.chars().count()) else {
            let more = text.get(at..).map_or(0, |tail| tail.chars().count());
            let _ = write!(out, "… ({more} characters more)");
            return out;
        };
        left = rest;
        out.push_str(piece);
    }
    out
}

fn escaped(text: &str) -> String {
    let shown = printable(text, usize::MAX);
    // What Unicode keeps for no character at all has no place in XML.
    if !shown.contains(is_no_character) {
        return shown;
    }
    shown.chars().fold(String::with_capacity(shown.len()), |mut out, c| {
        if is_no_character(c) {
            out.extend(c.escape_unicode())
        } else {
            out.push(c)
        }
        out
    })
}

fn is_no_character(c: char) -> bool {
    let code = u32::from(c);
    (code & 0xfffe) == 0xfffe || (0xfdd0..=0xfdef).contains(&code)
}

/// `1 check`, `2 checks`.
pub(super) fn many(number: usize, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{} {stem}ies", thousands(number)),
        (_, None) => format!("{} {noun}s", thousands(number)),
    }
}

/// `12 345`: with a space that no line breaks at.
pub(super) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + 4);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// The first ones, and how many more there are.
pub(super) fn some(names: impl IntoIterator<Item = impl AsRef<str>>, most: usize) -> String {
    let mut out = String::new();
    let mut more = 0usize;
    for (at, name) in names.into_iter().enumerate() {
        if at >= most {
            more += 1;
            continue;
        }
        if at > 0 {
            out.push_str(", ");
        }
        out.push_str(name.as_ref());
    }
    if more > 0 {
        let _ = write!(out, " and {more} more");
    }
    out
}

/// The SHA-256 of parts, none of which can be taken for another's end; lower-case hex.
pub(super) fn fingerprint(parts: &[&str]) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend(part.as_bytes());
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
    digest.as_ref().iter().fold(String::with_capacity(64), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A name as part of an address: everything but letters, digits, `.`, `_` and `-` is `~` and its code point in hex and `~`. Two names
/// are never the same.
pub(super) fn slug(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        match c {
            c if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') => out.push(c),
            c => {
                let _ = write!(out, "~{:x}~", u32::from(c));
            }
        }
        out
    })
}

/// Takes JSON that is being written, and passes it on with escapes for what a terminal would obey or hide. Outside of strings, JSON
/// has ASCII alone, so that what is replaced stands in a string, and the value stays the same.
pub(super) struct Harmless<'a> {
    out: &'a mut dyn fmt::Write,
}

impl<'a> Harmless<'a> {
    pub(super) fn new(out: &'a mut dyn fmt::Write) -> Self {
        Self { out }
    }
}

impl io::Write for Harmless<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        let full = |_| io::Error::other("the report could not be written");
        if text.bytes().all(|b| b == b'\n' || (b' '..0x7f).contains(&b)) {
            self.out.write_str(text).map_err(full)?;
            return Ok(bytes.len());
        }
        for c in text.chars() {
            let plain = c == '\n' || (c.is_ascii() && !c.is_ascii_control());
            if plain || !escaped(c.encode_utf8(&mut [0; 4])).starts_with('\\') {
                self.out.write_char(c).map_err(full)?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(self.out, "\\u{unit:04x}").map_err(full)?;
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_screen_obeys_gets_through() {
        assert_eq!(line("a\x1b[2Jb", 99), r"a\u{1b}[2Jb");
        assert_eq!(line("\u{202e}txt.exe", 99), r"\u{202e}txt.exe");
        assert_eq!(line("one\r\ntwo\tthree\n", 99), "one  two three");
        assert_eq!(line("nul\0\u{ffff}\u{fdd0}", 99), r"nul\u{0}\u{ffff}\u{fdd0}");
        assert_eq!(lines("one\r\ntwo\u{7}\n\n", 99), "one\ntwo\\u{7}");
    }

    #[test]
    fn what_is_left_out_is_said() {
        assert_eq!(line(&"x".repeat(1_000_000), 3), "xxx… (999997 characters more)");
        assert_eq!(line("äöü", 3), "äöü");
        assert_eq!(lines("ab\ncd\nef", 3), "ab\n… (5 characters more)");
        assert_eq!(lines("ab\ncd\nef", 4), "ab\nc… (4 characters more)");
        assert_eq!(line(&"\u{202e}".repeat(1000), 20), r"\u{202e}\u{202e}… (998 characters more)");
        assert_eq!(some(["a", "b", "c"], 2), "a, b and 1 more");
        assert_eq!(some(["a"], 2), "a");
    }

    #[test]
    fn counts_read_as_people_write_them() {
        assert_eq!(many(1, "check"), "1 check");
        assert_eq!(many(0, "vulnerability"), "0 vulnerabilities");
        assert_eq!(thousands(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(thousands(999), "999");
    }

    #[test]
    fn names_and_parts_are_never_taken_for_others() {
        assert_eq!(slug("web-1.example_x"), "web-1.example_x");
        assert_eq!(slug("a b"), "a~20~b");
        assert_ne!(slug("a~20~b"), slug("a b"));
        assert_ne!(fingerprint(&["ab", "c"]), fingerprint(&["a", "bc"]));
        assert_eq!(fingerprint(&[]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = serde_json::json!({"k\u{202e}": "a\u{7f}\u{9b}\u{e0001}\u{ffff}ä\n\"\\"});
        let mut text = String::new();
        serde_json::to_writer_pretty(Harmless::new(&mut text), &value).unwrap();
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
        assert!(!text.contains(['\u{202e}', '\u{e0001}', '\u{ffff}']), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
