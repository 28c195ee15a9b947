//! A value that is a secret: where it begins behind `=` and where it ends. It sees single bytes and keeps none.

/// The most spaces between a name, `=` and the value.
pub(super) const SPACES_MAX: u8 = 64;

/// A value that is a secret, and how it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    pub(super) rule: usize,
    /// The name of a scheme may come before it.
    pub(super) scheme: bool,
    /// What stood before it: `=`, `:`, `>` or a space.
    pub(super) separator: u8,
    /// Nothing stood between.
    pub(super) fresh: bool,
    pub(super) spaces: u8,
    pub(super) quote: Option<u8>,
    /// A backslash stood before the quote, so one does not keep it open.
    pub(super) loose: bool,
    /// The name was the first in its line: without quotes and with a space, the value may have more words.
    pub(super) first: bool,
    /// Without a space it is something else.
    pub(super) spaced: bool,
}

/// What a byte is to a value that is expected.
pub(super) enum Step {
    /// The byte stands before the value.
    Leads(Value),
    /// The byte is the value's first.
    Begins,
    /// It is no assignment after all.
    Broken,
}

impl Value {
    pub(super) fn step(self, b: u8) -> Step {
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
