//! Tells whether a secret begins at the front of what is held. What it tells never changes when more is read.

use super::body::Body;
use super::context::{Context, Expect};
use super::follow::expected;
use super::rules::{How, RULES};

/// The longest first part of a JSON web token, in bytes.
const JWT_HEAD: usize = 2048;
/// The longest label between the dashes of a block, in bytes.
const LABEL: usize = 64;

/// What is known.
pub(super) enum Look {
    /// No secret begins here.
    No,
    /// More must be read to tell.
    More,
    /// A secret begins here: `length` bytes of it are known, and `body` swallows the rest.
    Yes { rule: usize, length: usize, body: Option<Body> },
    /// `length` bytes are no secret; behind them is what `expect` says.
    Keep { length: usize, expect: Expect },
}

/// Characters of which a secret consists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Alnum,
    /// Capitals and digits.
    Upper,
    /// Letters, digits and `_`.
    Word,
    /// Letters, digits, `_` and `-`.
    Base64Url,
    /// And `.`.
    Dotted,
    /// Of the hashes of crypt(5).
    Crypt,
}

impl Class {
    pub(super) fn has(self, b: u8) -> bool {
        match self {
            Self::Alnum => b.is_ascii_alphanumeric(),
            Self::Upper => b.is_ascii_uppercase() || b.is_ascii_digit(),
            Self::Word => b.is_ascii_alphanumeric() || b == b'_',
            Self::Base64Url => b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'),
            Self::Dotted => b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'),
            Self::Crypt => b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'$' | b'=' | b',' | b'+' | b'-' | b'_'),
        }
    }
}

/// Whether a secret begins at the front of `rest`, which is not empty. `ended` says that nothing more will come.
pub(super) fn look(rest: &[u8], context: &Context, ended: bool) -> Look {
    let expected = match context.expect() {
        Some(expect) => expected(rest, expect, ended),
        None => Look::No,
    };
    if !matches!(expected, Look::No) {
        return expected;
    }
    let Some(first) = rest.first() else { return Look::No };
    if !context.begins_word() && *first != b'-' {
        return Look::No;
    }
    for (rule, known) in RULES.iter().enumerate() {
        let found = match known.how {
            How::Block if *first == b'-' => block(rest, rule, ended),
            How::Lines if *first == b'P' && context.begins_line() => lines(rest, rule, ended),
            How::Token { prefixes, class, least } if context.begins_word() => token(rest, rule, prefixes, class, least, ended),
            How::Jwt if *first == b'e' && context.begins_run() => jwt(rest, rule, ended),
            How::Crypt if *first == b'$' && context.begins_word() => crypt(rest, rule, ended),
            _ => continue,
        };
        if !matches!(found, Look::No) {
            return found;
        }
    }
    Look::No
}

/// More, unless nothing more will come.
fn more(ended: bool) -> Look {
    if ended { Look::No } else { Look::More }
}

/// Where `text` stands before `rest`, what is behind it: `Err(true)` if it may once more is read.
fn after<'a>(rest: &'a [u8], text: &[u8]) -> Result<&'a [u8], bool> {
    rest.strip_prefix(text).ok_or_else(|| text.starts_with(rest))
}

pub(super) fn block(rest: &[u8], rule: usize, ended: bool) -> Look {
    let mut may = false;
    for opening in [&b"-----BEGIN "[..], b"---- BEGIN "] {
        match after(rest, opening) {
            Err(maybe) => may |= maybe,
            Ok(behind) => {
                let label = behind.iter().take(LABEL).take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || **b == b' ').count();
                let (label, close) = behind.split_at_checked(label).unwrap_or((behind, &[]));
                return match after(close, b"----") {
                    Err(_) if close.is_empty() && label.len() < LABEL => more(ended),
                    Err(true) => more(ended),
                    Ok(_) if label.windows(11).any(|w| w == b"PRIVATE KEY") => {
                        let length = opening.len().saturating_add(label.len()).saturating_add(4);
                        Look::Yes { rule, length, body: Some(Body::block()) }
                    }
                    _ => Look::No,
                };
            }
        }
    }
    if may { more(ended) } else { Look::No }
}

fn lines(rest: &[u8], rule: usize, ended: bool) -> Look {
    const OPENING: &[u8] = b"Private-Lines: ";
    let behind = match after(rest, OPENING) {
        Ok(behind) => behind,
        Err(may) => return if may { more(ended) } else { Look::No },
    };
    let digits = behind.iter().take(5).take_while(|b| b.is_ascii_digit()).count();
    let end = match behind.get(digits..) {
        Some([b'\n', ..]) => 1,
        Some([b'\r', b'\n', ..]) => 2,
        Some([] | [b'\r']) if digits < 5 => return more(ended),
        _ => return Look::No,
    };
    let count = behind.get(..digits).and_then(|d| std::str::from_utf8(d).ok()).and_then(|d| d.parse::<usize>().ok());
    match count {
        Some(count) if count > 0 => {
            let length = OPENING.len().saturating_add(digits).saturating_add(end);
            Look::Keep { length, expect: Expect::Lines { rule, count } }
        }
        _ => Look::No,
    }
}

fn token(rest: &[u8], rule: usize, prefixes: &[&str], class: Class, least: usize, ended: bool) -> Look {
    for prefix in prefixes {
        if prefix.as_bytes().first() != rest.first() {
            continue;
        }
        let behind = match after(rest, prefix.as_bytes()) {
            Ok(behind) => behind,
            Err(true) if !ended => return Look::More,
            Err(_) => continue,
        };
        // One more than least: the names of AWS have a length, and a longer word is something else.
        let exact = class == Class::Upper && least < 20;
        let found = behind.iter().take(least.saturating_add(usize::from(exact))).take_while(|b| class.has(**b)).count();
        if found < behind.len().min(least) {
            continue;
        }
        if found >= least && !exact {
            return run(rest, rule, prefix.len().saturating_add(least), class);
        }
        match behind.get(least) {
            Some(next) if !Class::Word.has(*next) => {}
            None if ended && found == least => {}
            None if !ended => return Look::More,
            _ => continue,
        }
        return Look::Yes { rule, length: prefix.len().saturating_add(least), body: None };
    }
    Look::No
}

/// A run of characters, of which `length` bytes are known. No token has so many dashes as a block begins with.
fn run(rest: &[u8], rule: usize, length: usize, class: Class) -> Look {
    let known = rest.get(..length).unwrap_or_default();
    if known.windows(4).any(|w| w == b"----") {
        return Look::No;
    }
    Look::Yes { rule, length, body: Some(Body::run(class, known)) }
}

fn jwt(rest: &[u8], rule: usize, ended: bool) -> Look {
    const PAYLOAD: usize = 8;
    let behind = match after(rest, b"eyJ") {
        Ok(behind) => behind,
        Err(may) => return if may { more(ended) } else { Look::No },
    };
    let head = behind.iter().take(JWT_HEAD).take_while(|b| Class::Base64Url.has(**b)).count();
    let payload = match behind.get(head..) {
        Some([b'.', payload @ ..]) if head >= 13 => payload,
        Some([]) if head < JWT_HEAD => return more(ended),
        _ => return Look::No,
    };
    let found = payload.iter().take(PAYLOAD).take_while(|b| Class::Base64Url.has(**b)).count();
    match found {
        PAYLOAD => run(rest, rule, head.saturating_add(4).saturating_add(PAYLOAD), Class::Dotted),
        _ if found == payload.len() => more(ended),
        _ => Look::No,
    }
}

fn crypt(rest: &[u8], rule: usize, ended: bool) -> Look {
    const IDS: [&str; 17] =
        ["1", "5", "6", "7", "y", "gy", "2a", "2b", "2x", "2y", "md5", "sha1", "argon2i", "argon2d", "argon2id", "scrypt", "pbkdf2-sha256"];
    const LEAST: usize = 22;
    let behind = rest.get(1..).unwrap_or_default();
    let mut may = false;
    for id in IDS {
        match after(behind, id.as_bytes()).and_then(|hash| after(hash, b"$")) {
            Err(maybe) => may |= maybe,
            Ok(hash) => {
                let found = hash.iter().take(LEAST).take_while(|b| Class::Crypt.has(**b)).count();
                return match found {
                    LEAST => run(rest, rule, id.len().saturating_add(2).saturating_add(LEAST), Class::Crypt),
                    _ if found == hash.len() => more(ended),
                    _ => Look::No,
                };
            }
        }
    }
    if may { more(ended) } else { Look::No }
}
