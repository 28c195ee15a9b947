//! apk-tools' order of versions: `1.2.3b_rc4_p5~abcdef-r6`. What does not follow that form is compared as text, so that the
//! order still holds for it.

use std::cmp::Ordering;

use super::{by_number, split};

/// A piece of a version, in the order in which pieces of different sorts stand to each other: where one version ends or
/// goes on otherwise, the one whose piece comes earlier here is the newer one.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    /// The first number.
    First(&'a [u8]),
    /// A number after a point.
    Number(&'a [u8]),
    /// The letter after the numbers.
    Letter(u8),
    /// A word after `_`, as its place in [`WORDS`].
    Word(usize),
    /// The number after such a word.
    WordNumber(&'a [u8]),
    /// What was checked out, after `~`.
    Commit(&'a [u8]),
    /// The number after `-r`.
    Revision(&'a [u8]),
    /// The end.
    End,
    /// Anything that does not belong in a version.
    Other(&'a [u8]),
}

/// Those before the empty one are earlier than the version without them, those after it later.
const WORDS: [&[u8]; 10] = [b"alpha", b"beta", b"pre", b"rc", b"", b"cvs", b"svn", b"git", b"hg", b"p"];
const NO_WORD: usize = 4;

impl<'a> Piece<'a> {
    fn rank(&self) -> u8 {
        match self {
            Self::First(_) => 0,
            Self::Number(_) => 1,
            Self::Letter(_) => 2,
            Self::Word(_) => 3,
            Self::WordNumber(_) => 4,
            Self::Commit(_) => 5,
            Self::Revision(_) => 6,
            Self::End => 7,
            Self::Other(_) => 8,
        }
    }

    /// The piece at the front, given the rank of the one before it, and what follows.
    fn next(rest: &'a [u8], before: Option<u8>) -> (Self, &'a [u8]) {
        let digits = |text: &'a [u8]| split(text, |b| b.is_ascii_digit());
        let other = (Self::Other(rest), rest.get(rest.len()..).unwrap_or_default());
        match (before, rest) {
            (_, []) => (Self::End, rest),
            (None, [b'0'..=b'9', ..]) => {
                let (number, rest) = digits(rest);
                (Self::First(number), rest)
            }
            (Some(0..=1), [b'.', after @ ..]) => match digits(after) {
                ([], _) => other,
                (number, rest) => (Self::Number(number), rest),
            },
            (Some(0..=1), [letter @ b'a'..=b'z', after @ ..]) => (Self::Letter(*letter), after),
            (Some(0..=4), [b'_', after @ ..]) => {
                let (word, rest) = split(after, |b| b.is_ascii_lowercase());
                match WORDS.iter().position(|w| *w == word && !word.is_empty()) {
                    Some(place) => (Self::Word(place), rest),
                    None => other,
                }
            }
            (Some(3), [b'0'..=b'9', ..]) => {
                let (number, rest) = digits(rest);
                (Self::WordNumber(number), rest)
            }
            (Some(0..=4), [b'~', after @ ..]) => match split(after, |b| b.is_ascii_hexdigit()) {
                ([], _) => other,
                (commit, rest) => (Self::Commit(commit), rest),
            },
            (Some(0..=5), [b'-', b'r', after @ ..]) => match digits(after) {
                ([], _) => other,
                (number, rest) => (Self::Revision(number), rest),
            },
            _ => other,
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) if a.first() == Some(&b'0') || b.first() == Some(&b'0') => as_fraction(a, b),
            (Self::First(a), Self::First(b))
            | (Self::Number(a), Self::Number(b))
            | (Self::WordNumber(a), Self::WordNumber(b))
            | (Self::Revision(a), Self::Revision(b)) => by_number(a, b),
            (Self::Letter(a), Self::Letter(b)) => a.cmp(b),
            (Self::Word(a), Self::Word(b)) => a.cmp(b),
            (Self::Commit(a), Self::Commit(b)) | (Self::Other(a), Self::Other(b)) => a.cmp(b),
            // A word that says "before" makes its version the older one, whatever the other goes on with.
            (Self::Word(word), _) if *word < NO_WORD => Ordering::Less,
            (_, Self::Word(word)) if *word < NO_WORD => Ordering::Greater,
            _ => other.rank().cmp(&self.rank()),
        }
    }
}

/// `1.05` is less than `1.5`: after a leading zero, digits count from the left.
fn as_fraction(a: &[u8], b: &[u8]) -> Ordering {
    a.cmp(b)
}

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.trim().as_bytes(), b.trim().as_bytes());
    let mut before = None;
    loop {
        let (piece_a, rest_a) = Piece::next(a, before);
        let (piece_b, rest_b) = Piece::next(b, before);
        let order = piece_a.compare(&piece_b);
        if order.is_ne() || piece_a == Piece::End || matches!(piece_a, Piece::Other(_)) {
            return order;
        }
        // They are of one sort, or they would differ.
        before = Some(piece_a.rank());
        (a, b) = (rest_a, rest_b);
    }
}
