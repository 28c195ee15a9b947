//! Swallows a secret that has begun, byte by byte, to its end. It keeps nothing of it but where in its form it is.

use super::begin::Class;
use super::value::Value;

/// The most bytes of a block that never ends; what is behind them is read as before.
const BLOCK_MAX: usize = 64 * 1024;
/// As many lines in a row that cannot be of a key tell that a block without an end is over.
const PLAIN_LINES: usize = 4;
/// A line of a key has as many characters of base64 in a row, or nothing else at all.
const KEY_RUN: usize = 16;
/// The longest label of an END line.
const LABEL: usize = 64;

/// Whether a byte belongs to the secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Eat {
    /// It does, and there may be more.
    More,
    /// It does not: the secret ended before it.
    Before,
    /// It does, and is the last one.
    Behind,
}

/// The rest of a secret.
pub(super) enum Body {
    /// As long as the characters are of a class; `dashes` stand before.
    Run {
        class: Class,
        dashes: usize,
    },
    /// To the end of the value; `escaped` says that a backslash stands before, `dashes` how many dashes do.
    Value {
        value: Value,
        escaped: bool,
        dashes: usize,
    },
    /// So many lines, and the bytes swallowed so far.
    Lines {
        left: usize,
        eaten: usize,
    },
    Block(Block),
}

impl Body {
    pub(super) fn block() -> Self {
        Self::Block(Block::default())
    }

    /// Behind the bytes of a run that are known.
    pub(super) fn run(class: Class, known: &[u8]) -> Self {
        Self::Run { class, dashes: known.iter().rev().take_while(|b| **b == b'-').count() }
    }

    pub(super) fn lines(left: usize) -> Self {
        Self::Lines { left, eaten: 0 }
    }

    pub(super) fn eat(&mut self, b: u8) -> Eat {
        match self {
            Self::Run { class, dashes } if class.has(b) => {
                match b {
                    b'-' => *dashes = dashes.saturating_add(1),
                    // Another block begins in the same line.
                    b'B' if *dashes >= 4 => *self = Self::block(),
                    _ => *dashes = 0,
                }
                Eat::More
            }
            Self::Run { .. } => Eat::Before,
            Self::Value { value, escaped, dashes } => {
                if value.ends_at(b) && !(*escaped && value.escapes(b)) {
                    return Eat::Before;
                }
                *escaped = b == b'\\' && !*escaped;
                match b {
                    b'-' => *dashes = dashes.saturating_add(1),
                    b' ' if *dashes >= 4 => {}
                    // The value is, or has in it, a key of several lines.
                    b'B' if *dashes >= 4 => *self = Self::block(),
                    _ => *dashes = 0,
                }
                Eat::More
            }
            Self::Lines { .. } if !(b.is_ascii_alphanumeric() || b.is_ascii_whitespace() || matches!(b, b'+' | b'/' | b'=')) => Eat::Before,
            Self::Lines { left, eaten } => {
                *eaten = eaten.saturating_add(1);
                *left = left.saturating_sub(usize::from(b == b'\n'));
                match *left {
                    // The break behind the last line stays.
                    0 => Eat::Before,
                    _ if *eaten >= BLOCK_MAX => Eat::Behind,
                    _ => Eat::More,
                }
            }
            Self::Block(block) => block.eat(b),
        }
    }
}

/// What is known of a block of a private key, behind its BEGIN line.
#[derive(Default)]
pub(super) struct Block {
    eaten: usize,
    /// Lines in a row that cannot be of a key.
    plain: usize,
    line: Line,
    end: End,
}

/// What the line so far consists of.
#[derive(Default)]
struct Line {
    /// Characters of base64 in a row: now, and the most.
    run: usize,
    longest: usize,
    /// Something is in it.
    any: bool,
    /// Something is in it that is not base64.
    other: bool,
    /// It has dashes as those of another block.
    dashes: bool,
}

/// How much of `-----END … -----` has been read.
#[derive(Clone, Copy, Default)]
enum End {
    #[default]
    Nothing,
    Dashes(usize),
    /// As many letters of `END`.
    Word(usize),
    /// In the label, so many bytes.
    Label(usize),
    /// In the dashes behind.
    Closing(usize),
}

impl Block {
    fn eat(&mut self, b: u8) -> Eat {
        self.end = match (self.end, b) {
            // All dashes are its own: of two blocks that touch, the second would begin with too few otherwise.
            (End::Closing(n), b'-') if n < LABEL => End::Closing(n.saturating_add(1)),
            // Four dashes close it; fewer are part of the label.
            // The dashes were those of another block's beginning.
            (End::Closing(4..), b'B') => End::Nothing,
            (End::Closing(4..), _) => return Eat::Before,
            (End::Closing(n) | End::Label(n), _) if n >= LABEL || matches!(b, b'\n' | b'\r' | b'\\' | b'"') => return Eat::Before,
            (End::Label(_), b'-') => End::Closing(1),
            (End::Closing(n) | End::Label(n), _) => End::Label(n.saturating_add(1)),
            (End::Word(3), _) => End::Label(1),
            (End::Word(1), b'N') => End::Word(2),
            (End::Word(2), b'D') => End::Word(3),
            (End::Dashes(4..), b'E') => End::Word(1),
            (End::Dashes(n @ 4..), b' ') => End::Dashes(n),
            (End::Dashes(n), b'-') => End::Dashes(n.saturating_add(1)),
            (_, b'-') => End::Dashes(1),
            _ => End::Nothing,
        };
        self.line.dashes |= matches!(self.end, End::Dashes(4..) | End::Closing(4..));
        self.eaten = if self.line.dashes && b == b'B' { 0 } else { self.eaten.saturating_add(1) };
        if b == b'\n' {
            self.plain = match std::mem::take(&mut self.line) {
                line if !line.any => self.plain,
                line if line.other && line.longest < KEY_RUN && !line.dashes => self.plain.saturating_add(1),
                _ => 0,
            };
        } else {
            self.line.read(b);
        }
        if self.eaten >= BLOCK_MAX || self.plain >= PLAIN_LINES { Eat::Behind } else { Eat::More }
    }
}

impl Line {
    fn read(&mut self, b: u8) {
        if b.is_ascii_whitespace() {
            self.run = 0;
            return;
        }
        self.any = true;
        if b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=') {
            self.run = self.run.saturating_add(1);
            self.longest = self.longest.max(self.run);
        } else {
            self.run = 0;
            self.other = true;
        }
    }
}
