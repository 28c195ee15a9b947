//! What the bytes that went out say about those that follow: that a value comes, and where words and lines begin. It holds
//! nothing back and changes nothing.

use super::fields::{Netrc, PgPass, Url};
use super::rules::{How, RULES};
use super::value::{SPACES_MAX, Step, Value};

/// The longest word that is read as the name of a value, in bytes.
const KEY_MAX: usize = 64;

/// What comes next.
#[derive(Debug, Clone, Copy)]
pub(super) enum Expect {
    /// A value that is a secret.
    Value(Value),
    /// A password and `@`, or a port.
    UserInfo { rule: usize },
    /// A password to the end of the line.
    PgPass { rule: usize },
    /// Lines of a private key.
    Lines { rule: usize, count: usize },
}

/// What went out, as far as it matters.
pub(super) struct Context {
    last: u8,
    /// Nothing but spaces and signs of lists went out in this line.
    blank: bool,
    expect: Option<Expect>,
    key: Key,
    url: Url,
    netrc: Netrc,
    pgpass: PgPass,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            last: b'\n',
            blank: true,
            expect: None,
            key: Key::default(),
            url: Url::No,
            netrc: Netrc::default(),
            pgpass: PgPass::default(),
        }
    }
}

impl Context {
    pub(super) fn expect(&self) -> Option<Expect> {
        self.expect
    }

    /// What is expected is known from elsewhere.
    pub(super) fn expects(&mut self, expect: Expect) {
        self.expect = Some(expect);
    }

    pub(super) fn begins_line(&self) -> bool {
        matches!(self.last, b'\n' | b'\r')
    }

    pub(super) fn begins_word(&self) -> bool {
        !(self.last.is_ascii_alphanumeric() || self.last == b'_')
    }

    /// As [`Self::begins_word`], for words that may have dashes in them.
    pub(super) fn begins_run(&self) -> bool {
        self.begins_word() && self.last != b'-'
    }

    /// A secret went out as its mark.
    pub(super) fn masked(&mut self) {
        *self = Self { last: b']', blank: false, pgpass: PgPass::none(), ..Self::default() };
    }

    /// `b` goes out.
    pub(super) fn pass(&mut self, b: u8) {
        let found = [self.key.pass(b, self.last, self.blank), self.url.pass(b, self.last), self.netrc.pass(b), self.pgpass.pass(b)];
        let goes_on = match self.expect {
            Some(Expect::Value(value)) => match value.step(b) {
                Step::Leads(value) => Some(Expect::Value(value)),
                Step::Begins | Step::Broken => None,
            },
            _ => None,
        };
        self.expect = goes_on.or(found.into_iter().flatten().next());
        let margin = matches!(b, b' ' | b'\t' | b'-' | b'#' | b';' | b'>' | b'<' | b'*');
        self.blank = matches!(b, b'\n' | b'\r') || self.blank && margin;
        self.last = b;
    }
}

pub(super) fn rule(how: How) -> Option<usize> {
    RULES.iter().position(|r| r.how == how)
}

/// A word, and whether `=` or `:` comes behind it.
#[derive(Default)]
struct Key {
    word: Vec<u8>,
    too_long: bool,
    /// The byte before the word.
    before: u8,
    /// It is the first in its line.
    first: bool,
    /// Spaces, quotes and brackets behind it.
    behind: usize,
}

impl Key {
    fn pass(&mut self, b: u8, last: u8, blank: bool) -> Option<Expect> {
        if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.') {
            if self.behind > 0 || self.word.is_empty() {
                self.word.clear();
                *self = Self { word: std::mem::take(&mut self.word), before: last, first: blank, ..Self::default() };
            }
            if self.word.len() < KEY_MAX {
                self.word.push(b)
            } else {
                self.too_long = true
            }
            return None;
        }
        if self.word.is_empty() {
            return None;
        }
        let flag = b == b' ' && self.behind == 0 && self.word.starts_with(b"--");
        let element = b == b'>' && self.behind == 0 && self.before == b'<';
        let found = if matches!(b, b'=' | b':') || flag || element { self.named(b) } else { None };
        self.behind = self.behind.saturating_add(1);
        let may = matches!(b, b' ' | b'\t' | b'"' | b'\'' | b'\\' | b']') && self.behind < usize::from(SPACES_MAX);
        if found.is_some() || !may {
            self.word.clear();
            self.too_long = false;
        }
        found
    }

    fn named(&self, separator: u8) -> Option<Expect> {
        if self.too_long {
            return None;
        }
        let lower = self.word.to_ascii_lowercase();
        let letters: Vec<u8> = lower.iter().copied().filter(|b| !matches!(b, b'_' | b'-' | b'.')).collect();
        let rule = RULES.iter().position(|rule| match rule.how {
            How::Key(words) => words.iter().any(|word| match word.strip_prefix('_') {
                Some(word) => lower
                    .strip_suffix(word.as_bytes())
                    .is_some_and(|head| head.ends_with(b"_") || head.ends_with(b"-") || head.ends_with(b".")),
                None => letters.ends_with(word.as_bytes()),
            }),
            How::Authorization => letters.ends_with(b"authorization"),
            _ => false,
        })?;
        // passwd(1) and /etc/nsswitch.conf say `passwd: ` and several words, pam says `passwd:chauthtok`.
        let passwd = lower == b"passwd";
        let scheme = RULES.get(rule).is_some_and(|r| r.how == How::Authorization);
        Some(Expect::Value(Value {
            rule,
            scheme,
            separator,
            fresh: true,
            spaces: 0,
            quote: None,
            loose: false,
            first: self.first && !passwd && !scheme && separator != b' ',
            spaced: passwd && separator == b':',
        }))
    }
}
