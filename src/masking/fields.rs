//! Fields before a password, as they go out: of a URL, of .netrc, of .pgpass. It holds nothing back.

use super::context::{Expect, rule};
use super::rules::How;
use super::value::Value;

/// The longest user in a URL, and field of .pgpass, in bytes.
const FIELD_MAX: usize = 128;

/// How much of `scheme://user:` went out.
#[derive(Clone, Copy)]
pub(super) enum Url {
    No,
    Colon,
    Slash,
    User(usize),
}

impl Url {
    pub(super) fn pass(&mut self, b: u8, last: u8) -> Option<Expect> {
        *self = match (*self, b) {
            (Self::User(_), b':') => {
                *self = Self::No;
                return rule(How::UserInfo).map(|rule| Expect::UserInfo { rule });
            }
            (Self::User(n), _)
                if n < FIELD_MAX && (b.is_ascii_graphic() || !b.is_ascii()) && !matches!(b, b'/' | b'@' | b'"' | b'\'' | b'[') =>
            {
                Self::User(n.saturating_add(1))
            }
            (Self::Colon, b'/') => Self::Slash,
            (Self::Slash, b'/') => Self::User(0),
            (_, b':') if last.is_ascii_alphanumeric() => Self::Colon,
            _ => Self::No,
        };
        None
    }
}

/// The words of a line of .netrc.
#[derive(Default)]
pub(super) struct Netrc {
    word: [u8; 8],
    length: usize,
    /// Words since `machine` or `login`, which is the first.
    words: usize,
}

impl Netrc {
    pub(super) fn pass(&mut self, b: u8) -> Option<Expect> {
        if !b.is_ascii_whitespace() {
            if let Some(place) = self.word.get_mut(self.length) {
                *place = b;
            }
            self.length = self.length.saturating_add(1);
            return None;
        }
        let word = self.word.get(..self.length).unwrap_or_default();
        let (opens, password) = (word == b"machine" || word == b"login", word == b"password");
        if self.length == 0 {
            return None;
        }
        self.length = 0;
        match self.words {
            2 if password => {
                self.words = 0;
                let rule = rule(How::Netrc)?;
                let value = Value {
                    rule,
                    scheme: false,
                    separator: b' ',
                    fresh: false,
                    spaces: 1,
                    quote: None,
                    loose: false,
                    first: false,
                    spaced: false,
                };
                return Some(Expect::Value(value));
            }
            1 => self.words = 2,
            _ => self.words = usize::from(opens),
        }
        None
    }
}

/// The fields of a line of .pgpass.
#[derive(Default)]
pub(super) struct PgPass {
    field: usize,
    length: usize,
    star: bool,
    /// This line is none.
    dead: bool,
}

impl PgPass {
    /// In a line that is none.
    pub(super) fn none() -> Self {
        Self { dead: true, ..Self::default() }
    }

    pub(super) fn pass(&mut self, b: u8) -> Option<Expect> {
        if matches!(b, b'\n' | b'\r') {
            *self = Self::default();
            return None;
        }
        if self.dead {
            return None;
        }
        if b == b':' {
            // A shorter number is a line of a file, or a minute.
            self.dead = self.length == 0 || self.field == 1 && self.length < 4 && !self.star;
            self.field = self.field.saturating_add(1);
            self.length = 0;
            if self.field == 4 && !self.dead {
                self.dead = true;
                return rule(How::PgPass).map(|rule| Expect::PgPass { rule });
            }
            return None;
        }
        self.star = b == b'*' && self.length == 0;
        let fits = match self.field {
            0 => b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'*'),
            1 => self.star || b.is_ascii_digit() && self.length < 5,
            _ => b.is_ascii_graphic() || !b.is_ascii(),
        };
        self.length = self.length.saturating_add(1);
        self.dead = !fits || self.length > FIELD_MAX;
        None
    }
}
