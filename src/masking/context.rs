//! What the bytes that went out say about those that follow: that a value comes, and where words and lines begin. It holds
//! nothing back and changes nothing.

use super::rules::{How, RULES};

/// The longest word that is read as the name of a value, in bytes.
const KEY_MAX: usize = 64;
/// The longest user in a URL, and field of .pgpass, in bytes.
const FIELD_MAX: usize = 128;
/// The most spaces between a name, `=` and the value.
const SPACES_MAX: u8 = 64;

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

/// A value that is a secret, and how it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    pub(super) rule: usize,
    /// The name of a scheme may come before it.
    pub(super) scheme: bool,
    /// What stood before it: `=`, `:`, `>` or a space.
    separator: u8,
    /// Nothing stood between.
    fresh: bool,
    spaces: u8,
    quote: Option<u8>,
    /// A backslash stood before the quote, so one does not keep it open.
    loose: bool,
    /// The name was the first in its line: without quotes and with a space, the value may have more words.
    first: bool,
    /// Without a space it is something else.
    spaced: bool,
}

enum Step {
    /// The byte stands before the value.
    Leads(Value),
    /// The byte is the value's first.
    Begins,
    /// It is no assignment after all.
    Broken,
}

impl Value {
    fn step(self, b: u8) -> Step {
        let next = Self { fresh: false, ..self };
        match b {
            b' ' | b'\t' if self.quote.is_none() && self.spaces < SPACES_MAX => {
                Step::Leads(Self { spaces: self.spaces.saturating_add(1), ..next })
            }
            b'>' if self.fresh && self.separator == b'=' => Step::Leads(next),
            b'=' if self.fresh && self.separator == b':' => Step::Leads(next),
            b':' | b'=' | b'~' if self.fresh => Step::Broken,
            _ if self.spaced && self.spaces == 0 => Step::Broken,
            b'\\' if self.quote.is_none() => Step::Leads(Self { loose: true, ..next }),
            b'"' | b'\'' if self.quote.is_none() => Step::Leads(Self { quote: Some(b), ..next }),
            _ => Step::Begins,
        }
    }

    /// Whether the first of `rest` is not yet, or will never be, the value.
    pub(super) fn leads(self, rest: &[u8]) -> bool {
        rest.first().is_none_or(|b| !matches!(self.step(*b), Step::Begins))
    }

    /// Whether the value ends before `b`, if no backslash stands before it.
    pub(super) fn ends_at(self, b: u8) -> bool {
        match self.quote {
            _ if matches!(b, b'\n' | b'\r' | 0) => true,
            _ if self.separator == b'>' => b == b'<',
            Some(quote) => b == quote,
            None if self.first && self.spaces > 0 => false,
            None => b.is_ascii_whitespace() || b.is_ascii_control() || matches!(b, b'"' | b'\'' | b'`' | b'<'),
        }
    }

    /// Whether a backslash before `b` makes it part of the value.
    pub(super) fn escapes(self, b: u8) -> bool {
        !self.loose && self.quote == Some(b)
    }

    /// The value behind the name of its scheme.
    pub(super) fn without_scheme(self) -> Self {
        Self { scheme: false, ..self }
    }
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
        *self = Self { last: b']', blank: false, pgpass: PgPass { dead: true, ..PgPass::default() }, ..Self::default() };
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

fn rule(how: How) -> Option<usize> {
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

/// How much of `scheme://user:` went out.
#[derive(Clone, Copy)]
enum Url {
    No,
    Colon,
    Slash,
    User(usize),
}

impl Url {
    fn pass(&mut self, b: u8, last: u8) -> Option<Expect> {
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
struct Netrc {
    word: [u8; 8],
    length: usize,
    /// Words since `machine` or `login`, which is the first.
    words: usize,
}

impl Netrc {
    fn pass(&mut self, b: u8) -> Option<Expect> {
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
struct PgPass {
    field: usize,
    length: usize,
    star: bool,
    /// This line is none.
    dead: bool,
}

impl PgPass {
    fn pass(&mut self, b: u8) -> Option<Expect> {
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
