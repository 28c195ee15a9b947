//! Takes bytes apart into signs and says of each what a screen would make of it. It shows nothing itself.

use unicode_normalization::is_nfc;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_width::UnicodeWidthChar;

use super::word;

/// The most combining marks on one character; living scripts need no more.
const MARKS: usize = 3;

/// A character of the input, or a byte of it that belongs to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sign {
    pub(super) seen: Seen,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    Char(char),
    /// No UTF-8.
    Byte(u8),
}

/// What a screen makes of a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Draws it, and nobody takes it for another.
    Plain,
    Space,
    Newline,
    Tab,
    Return,
    /// Obeys it.
    Control,
    /// Turns the order of others round.
    Bidi,
    /// Draws nothing.
    Invisible,
    /// Draws a gap.
    OddSpace,
    /// Draws what its font likes: private use, not assigned, replacement.
    Shapeless,
    /// Draws it over what stands before, where it does not belong.
    StrayMark,
    /// Draws it like other code points that mean the same.
    Composable,
    /// Belongs to the notation as a bracket, or looks so.
    Bracket,
    /// Belongs to the notation as a dot or an arrow, or looks so.
    Dot,
    /// Draws it like an ASCII character, or in a word of two scripts.
    Lookalike,
    /// Draws it, and what stands around it, from right to left.
    RightToLeft,
    NotUtf8,
}

impl Sign {
    /// Bytes of the input.
    pub(super) fn len(self) -> usize {
        match self.seen {
            Seen::Char(c) => c.len_utf8(),
            Seen::Byte(_) => 1,
        }
    }

    pub(super) fn character(self) -> Option<char> {
        match self.seen {
            Seen::Char(c) => Some(c),
            Seen::Byte(_) => None,
        }
    }

    /// It in the notation.
    pub(super) fn escape(self) -> String {
        match self.seen {
            Seen::Char('\n') => "⟨\\n⟩".to_owned(),
            Seen::Char('\r') => "⟨\\r⟩".to_owned(),
            Seen::Char('\t') => "⟨\\t⟩".to_owned(),
            Seen::Char(c) if c.is_ascii() => format!("⟨\\x{:02x}⟩", u32::from(c)),
            Seen::Char(c) => format!("⟨\\u{{{:x}}}⟩", u32::from(c)),
            Seen::Byte(b) => format!("⟨\\x{b:02x}⟩"),
        }
    }
}

/// Every character and stray byte of `bytes`, in their order.
pub(super) fn read(bytes: &[u8]) -> Vec<Sign> {
    let mut signs = Vec::with_capacity(bytes.len());
    // The character that marks may stand on, with those that do.
    let mut cluster = String::new();
    let mut foreign = false;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            foreign |= !c.is_ascii();
            signs.push(Sign { seen: Seen::Char(c), kind: kind(c, &mut cluster) });
        }
        for b in chunk.invalid() {
            cluster.clear();
            signs.push(Sign { seen: Seen::Byte(*b), kind: Kind::NotUtf8 });
        }
    }
    if foreign {
        word::judge(&mut signs);
    }
    signs
}

fn kind(c: char, cluster: &mut String) -> Kind {
    if c.is_ascii() {
        cluster.clear();
        return match c {
            ' ' => Kind::Space,
            '\n' => Kind::Newline,
            '\t' => Kind::Tab,
            '\r' => Kind::Return,
            _ if c.is_control() => Kind::Control,
            _ => {
                cluster.push(c);
                Kind::Plain
            }
        };
    }
    let mark = c.general_category_group() == GeneralCategoryGroup::Mark;
    let kind = foreign(c, mark, cluster);
    let literal = matches!(kind, Kind::Plain | Kind::RightToLeft);
    if !(mark && literal) {
        cluster.clear();
    }
    if literal {
        cluster.push(c);
    }
    kind
}

/// What a character is that is not ASCII, behind `cluster`.
fn foreign(c: char, mark: bool, cluster: &str) -> Kind {
    match c.general_category() {
        _ if is_bidi(c) => return Kind::Bidi,
        _ if is_ignorable(c) || is_blank(c) => return Kind::Invisible,
        GeneralCategory::Control => return Kind::Control,
        GeneralCategory::Format => return Kind::Invisible,
        GeneralCategory::SpaceSeparator | GeneralCategory::LineSeparator | GeneralCategory::ParagraphSeparator => return Kind::OddSpace,
        GeneralCategory::PrivateUse | GeneralCategory::Unassigned | GeneralCategory::Surrogate => return Kind::Shapeless,
        GeneralCategory::EnclosingMark => return Kind::StrayMark,
        _ => {}
    }
    if matches!(c, '\u{fffc}' | '\u{fffd}') {
        return Kind::Shapeless;
    }
    if mark {
        let based = cluster.chars().next().is_some_and(char::is_alphanumeric);
        if !based || cluster.chars().count() > MARKS {
            return Kind::StrayMark;
        }
        let mut whole = cluster.to_owned();
        whole.push(c);
        return if is_nfc(&whole) { Kind::Plain } else { Kind::Composable };
    }
    if c.width().unwrap_or(0) == 0 {
        return Kind::Invisible;
    }
    if !is_nfc(c.encode_utf8(&mut [0; 4])) {
        return Kind::Composable;
    }
    match word::prototype(c) {
        Some('⟨' | '⟩') => return Kind::Bracket,
        Some('·' | '↳') => return Kind::Dot,
        _ => {}
    }
    if is_right_to_left(c) {
        return Kind::RightToLeft;
    }
    if !c.is_alphanumeric() && word::looks_ascii(c) { Kind::Lookalike } else { Kind::Plain }
}

/// Bidirectional controls: marks, embeddings, overrides, isolates.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Unicode's `Default_Ignorable_Code_Point`: what a screen leaves out. A test compares it with another table.
pub(super) fn is_ignorable(c: char) -> bool {
    matches!(u32::from(c),
        0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f | 0x202a..=0x202e
        | 0x2060..=0x206f | 0x3164 | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xfff0..=0xfff8 | 0x1bca0..=0x1bca3
        | 0x1d173..=0x1d17a | 0xe0000..=0xe0fff)
}

/// Characters of other kinds that are drawn as nothing: the empty Braille cell, the null note, the Khitan filler.
fn is_blank(c: char) -> bool {
    matches!(c, '\u{2800}' | '\u{1d159}' | '\u{16fe4}')
}

/// The blocks of the scripts that run from right to left.
fn is_right_to_left(c: char) -> bool {
    matches!(u32::from(c), 0x590..=0x8ff | 0xfb1d..=0xfdff | 0xfe70..=0xfefe | 0x10800..=0x10fff | 0x1e800..=0x1efff)
}
