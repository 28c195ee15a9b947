//! What a human should be told about bytes before looking at them. A warning never forbids.

use super::sign::{Kind, Sign};
use super::{Line, Mark};

/// The most columns of a line that is read without effort.
const LONG_LINE: usize = 500;
/// The most lines.
const MANY_LINES: usize = 60;
/// The most spaces at a line's end.
const TRAILING: usize = 8;
/// The most spaces in a row elsewhere: as many columns as push the rest out of sight.
const GAP: usize = 60;
/// The most bytes.
const LARGE: usize = 8 * 1024;

/// Something to know about bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// Bytes that are no UTF-8; how many.
    NotUtf8(usize),
    /// Control characters that a terminal obeys, other than newline, tab and carriage return; how many.
    Control(usize),
    /// Carriage returns; how many.
    CarriageReturn(usize),
    /// Bidirectional controls; how many.
    Bidi(usize),
    /// Letters that run from right to left; how many.
    RightToLeft(usize),
    /// Characters that are not drawn: zero-width, format, fillers, variation selectors, tags; how many.
    Invisible(usize),
    /// Spaces other than the usual one, and separators; how many.
    OddSpace(usize),
    /// Private use, not assigned, replacement; how many.
    Shapeless(usize),
    /// Combining marks without a letter, too many on one, or where one code point would do; how many.
    StrayMark(usize),
    /// Words of two scripts, and letters or signs that are drawn like ASCII; the first of them.
    Lookalike(String),
    /// A line of more than 500 columns; its length in columns.
    LongLine(usize),
    /// Many spaces at a line's end or in a row; the longest run.
    Padding(usize),
    /// More than 60 lines; how many.
    ManyLines(usize),
    /// More than 8 KiB; how many bytes.
    Large(usize),
}

impl Warning {
    /// It in one plain sentence, without a full stop, on one line.
    pub fn sentence(&self) -> String {
        let counted = |n: usize, one: &str, more: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {more}") };
        match self {
            Self::NotUtf8(n) => format!("{} not UTF-8: each program reads them as it likes", counted(*n, "byte is", "bytes are")),
            Self::Control(n) => {
                format!("{}: a terminal would obey instead of showing", counted(*n, "control character", "control characters"))
            }
            Self::CarriageReturn(n) => {
                format!(
                    "{}: on a terminal the text behind would overwrite the text before",
                    counted(*n, "carriage return", "carriage returns")
                )
            }
            Self::Bidi(n) => {
                format!("{}: elsewhere the text would be drawn in another order", counted(*n, "direction control", "direction controls"))
            }
            Self::RightToLeft(n) => {
                format!(
                    "{}: the order on the screen may not be the order that runs",
                    counted(*n, "right-to-left letter", "right-to-left letters")
                )
            }
            Self::Invisible(n) => format!("{} that elsewhere nobody would see", counted(*n, "invisible character", "invisible characters")),
            Self::OddSpace(n) => {
                format!(
                    "{} that a shell does not take for a space",
                    counted(*n, "unusual space or separator", "unusual spaces or separators")
                )
            }
            Self::Shapeless(n) => format!("{} without a known shape", counted(*n, "character", "characters")),
            Self::StrayMark(n) => {
                format!("{} that may hide or imitate a letter", counted(*n, "combining mark", "combining marks"))
            }
            Self::Lookalike(first) => format!("letters or signs that look like others, as in {first}"),
            Self::LongLine(columns) => format!("a line of {columns} columns: look at all of it"),
            Self::Padding(spaces) => format!("{spaces} spaces in a row: they may push text out of sight"),
            Self::ManyLines(lines) => format!("{lines} lines: look at all of them"),
            Self::Large(bytes) => format!("{bytes} bytes: much to read"),
        }
    }

    /// Whether one key is too easy an answer to what it is about. Much text alone is not: its end has to be seen anyway.
    pub fn needs_care(&self) -> bool {
        !matches!(self, Self::ManyLines(_) | Self::Large(_))
    }
}

/// The warnings about what was read and laid out.
pub(super) fn find(signs: &[Sign], lines: &[Line], bytes: usize) -> Vec<Warning> {
    let count = |kinds: &[Kind]| signs.iter().filter(|s| kinds.contains(&s.kind)).count();
    let longest = lines.iter().map(Line::columns).max().unwrap_or(0);
    let padding = lines.iter().map(padding).max().unwrap_or(0);
    let lookalike: String = signs
        .iter()
        .skip_while(|s| s.kind != Kind::Lookalike)
        .take_while(|s| s.kind == Kind::Lookalike)
        .filter_map(|s| s.character())
        .collect();
    let over = |n: usize, most: usize, warning: fn(usize) -> Warning| (n > most).then(|| warning(n));
    [
        over(count(&[Kind::NotUtf8]), 0, Warning::NotUtf8),
        over(count(&[Kind::Control]), 0, Warning::Control),
        over(count(&[Kind::Return]), 0, Warning::CarriageReturn),
        over(count(&[Kind::Bidi]), 0, Warning::Bidi),
        over(count(&[Kind::RightToLeft]), 0, Warning::RightToLeft),
        over(count(&[Kind::Invisible]), 0, Warning::Invisible),
        over(count(&[Kind::OddSpace]), 0, Warning::OddSpace),
        over(count(&[Kind::Shapeless]), 0, Warning::Shapeless),
        over(count(&[Kind::StrayMark, Kind::Composable]), 0, Warning::StrayMark),
        (!lookalike.is_empty()).then(|| Warning::Lookalike(super::clean(&lookalike, 40))),
        over(longest, LONG_LINE, Warning::LongLine),
        over(padding, 0, Warning::Padding),
        over(lines.len(), MANY_LINES, Warning::ManyLines),
        over(bytes, LARGE, Warning::Large),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The longest run of spaces in a line that is padding; zero without one. Indentation up to the gap is none.
fn padding(line: &Line) -> usize {
    let mut pieces = line.pieces.iter().peekable();
    let mut longest = 0;
    while let Some(piece) = pieces.next() {
        if piece.mark == Mark::Space {
            let spaces = piece.text.chars().count();
            let trailing = pieces.peek().is_none_or(|next| next.text == "⟨\\n⟩");
            if spaces > if trailing { TRAILING } else { GAP } {
                longest = longest.max(spaces);
            }
        }
    }
    longest
}
