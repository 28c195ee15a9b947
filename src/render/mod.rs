//! Render: bytes of strangers → what a human sees. Nothing hides, nothing is obeyed; it never decides and never shortens unsaid.
//!
//! # The notation
//!
//! A byte or character that a screen would obey, hide or draw like another one is shown between `⟨` and `⟩`:
//! `⟨\n⟩` `⟨\r⟩` `⟨\t⟩`, `⟨\x1b⟩` (a control byte), `⟨\xff⟩` (a byte that is no UTF-8), `⟨\u{202e}⟩` (a character).
//! A space that could be missed is shown as `·`. The four signs of the notation, `⟨ ⟩ · ↳`, and what looks like them are
//! always escaped themselves; so a backslash in the input stays as it is, and can never be taken for an escape of ours.
//! [`Shown::plain`] can be read back into the very bytes: two different inputs never show the same (a test does so).

pub mod explain;
mod sign;
mod warning;
mod word;
mod wrap;

#[cfg(test)]
mod tests;

use unicode_width::UnicodeWidthChar;

use sign::{Kind, Sign};
pub use warning::Warning;

/// Bytes, as a human sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// One for each line of the input; a newline ends its line and is shown there. No bytes, no lines.
    pub lines: Vec<Line>,
    /// What a human should know before looking, each at most once, in a stable order.
    pub warnings: Vec<Warning>,
    /// How many bytes the input has.
    pub bytes: usize,
}

/// A line of what is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// From left to right.
    pub pieces: Vec<Piece>,
}

/// A part of a line that is drawn in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Printable characters alone; never empty.
    pub text: String,
    /// How to draw it.
    pub mark: Mark,
}

/// How a piece is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// The very characters.
    Plain,
    /// An escape of something usual: a newline, a tab, a sign of the notation.
    Escape,
    /// Spaces, each shown as `·`.
    Space,
    /// An escape of something that has no place in a command, or characters that may not be what they seem.
    Care,
    /// Not of the input: says that the row goes on from the one above.
    Wrap,
}

/// What `bytes` are, so that nothing in them hides. Takes time and memory in proportion to them.
pub fn show(bytes: &[u8]) -> Shown {
    let signs = sign::read(bytes);
    let lines = lines(&signs);
    let warnings = warning::find(&signs, &lines, bytes.len());
    Shown { lines, warnings, bytes: bytes.len() }
}

/// `text` on one line, in the notation. It has at most `most` columns; what is left out is stated behind it in bytes,
/// as in `⟨12 bytes more⟩`, which no text can imitate.
pub fn clean(text: &str, most: usize) -> String {
    clean_bytes(text.as_bytes(), most)
}

/// [`clean`] for bytes that need not be text.
pub fn clean_bytes(bytes: &[u8], most: usize) -> String {
    // A column shows at most a character of four bytes with three marks: what is behind so many bytes is not shown.
    let head = bytes.get(..most.saturating_add(1).saturating_mul(16)).unwrap_or(bytes);
    let signs = sign::read(head);
    let mut out = String::new();
    let (mut columns, mut left) = (0usize, bytes.len());
    for (sign, visible) in signs.iter().zip(visible_spaces(&signs)) {
        let piece = piece_of(*sign, visible);
        columns = columns.saturating_add(columns_of(&piece.text));
        if columns > most {
            break;
        }
        out.push_str(&piece.text);
        left = left.saturating_sub(sign.len());
    }
    if left > 0 {
        let bytes = if left == 1 { "byte" } else { "bytes" };
        out.push_str(&format!("⟨{left} {bytes} more⟩"));
    }
    out
}

/// Output of a host, for the eyes of people: lines stay lines (also with `\r\n`), a tab becomes spaces up to the next
/// eighth column, and what a terminal would obey or hide is escaped. `bytes` end at a line's end, or are the last ones.
pub fn output(bytes: &[u8]) -> String {
    const TAB: usize = 8;
    let signs = sign::read(bytes);
    let mut out = String::with_capacity(bytes.len());
    let mut column = 0usize;
    let mut rest = signs.iter().peekable();
    while let Some(sign) = rest.next() {
        match sign.kind {
            Kind::Return if rest.peek().is_some_and(|next| next.kind == Kind::Newline) => {}
            Kind::Newline => {
                out.push('\n');
                column = 0;
            }
            Kind::Tab => {
                let spaces = TAB - column % TAB;
                out.extend(std::iter::repeat_n(' ', spaces));
                column += spaces;
            }
            // In what a host says they deceive nobody: punctuation, bullets, file names of other systems.
            Kind::Space | Kind::Lookalike | Kind::Dot | Kind::Composable => {
                out.extend(sign.character());
                column += sign.character().and_then(UnicodeWidthChar::width).unwrap_or(0);
            }
            _ => {
                let piece = piece_of(*sign, false);
                column += columns_of(&piece.text);
                out.push_str(&piece.text);
            }
        }
    }
    out
}

impl Shown {
    /// The lines as text: printable characters and line breaks, nothing that a terminal obeys. Behind the last line no break.
    pub fn plain(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(Line::text).collect();
        lines.join("\n")
    }

    /// Whether a warning says that one key is not enough to approve.
    pub fn needs_care(&self) -> bool {
        self.warnings.iter().any(Warning::needs_care)
    }
}

impl Line {
    /// The pieces' texts, one after the other.
    pub fn text(&self) -> String {
        self.pieces.iter().map(|p| p.text.as_str()).collect()
    }

    /// How many columns of a terminal it takes.
    pub fn columns(&self) -> usize {
        self.pieces.iter().map(|p| columns_of(&p.text)).sum()
    }

    fn push(&mut self, piece: Piece) {
        match self.pieces.last_mut() {
            // An escape stays a piece of its own, so that a row never ends inside it.
            Some(last) if last.mark == piece.mark && !last.is_escape() && !piece.is_escape() => last.text.push_str(&piece.text),
            _ => self.pieces.push(piece),
        }
    }
}

impl Piece {
    /// Whether it is one escape: no other text begins with the bracket.
    fn is_escape(&self) -> bool {
        self.text.starts_with('⟨')
    }
}

/// The columns of printable text, counted character by character: never fewer than a terminal takes.
fn columns_of(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(1)).sum()
}

fn lines(signs: &[Sign]) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut line = Line::default();
    for (sign, visible) in signs.iter().zip(visible_spaces(signs)) {
        line.push(piece_of(*sign, visible));
        if sign.kind == Kind::Newline {
            lines.push(std::mem::take(&mut line));
        }
    }
    if !line.pieces.is_empty() {
        lines.push(line);
    }
    lines
}

/// For each sign, whether a space there would be missed: beside another one, at the beginning or end of a line.
fn visible_spaces(signs: &[Sign]) -> impl Iterator<Item = bool> {
    let open = |sign: Option<&Sign>| sign.is_none_or(|s| matches!(s.kind, Kind::Space | Kind::Newline));
    let before = std::iter::once(None).chain(signs.iter().map(Some));
    let after = signs.iter().skip(1).map(Some).chain(std::iter::once(None));
    before.zip(after).map(move |(before, after)| open(before) || open(after))
}

fn piece_of(sign: Sign, visible_space: bool) -> Piece {
    let literal = || sign.character().map(String::from).unwrap_or_default();
    match sign.kind {
        Kind::Plain => Piece { text: literal(), mark: Mark::Plain },
        Kind::Space if visible_space => Piece { text: "·".to_owned(), mark: Mark::Space },
        Kind::Space => Piece { text: literal(), mark: Mark::Plain },
        Kind::Lookalike | Kind::RightToLeft => Piece { text: literal(), mark: Mark::Care },
        Kind::Newline | Kind::Tab | Kind::Bracket | Kind::Dot => Piece { text: sign.escape(), mark: Mark::Escape },
        _ => Piece { text: sign.escape(), mark: Mark::Care },
    }
}
