//! Finds words that may be read as other words: two scripts in one, letters drawn like ASCII. It judges only what is drawn.
//!
//! Every Cyrillic or Greek word has letters that are drawn like Latin ones; to flag each would teach people not to look. So
//! such a letter counts where it can deceive: in a word that mixes scripts, or in one that could be ASCII altogether.
//! Latin letters and styled ones (`ı`, `ａ`, `𝐚`) that are drawn like ASCII count always.

use unicode_script::{Script, UnicodeScript};
use unicode_security::skeleton;

use super::sign::{Kind, Sign};

/// Letters of living languages whose prototype is two ASCII letters, and which nobody takes for them.
const KNOWN: [char; 4] = ['æ', 'Æ', 'œ', 'Œ'];

/// Scripts that are written in one word: Japanese and Chinese, Korean.
const TOGETHER: [&[Script]; 2] =
    [&[Script::Latin, Script::Han, Script::Hiragana, Script::Katakana, Script::Bopomofo], &[Script::Latin, Script::Han, Script::Hangul]];

/// Marks the letters of doubtful words as [`Kind::Lookalike`].
pub(super) fn judge(signs: &mut [Sign]) {
    for word in signs.chunk_by_mut(|a, b| belongs(a) && belongs(b)) {
        let text: String = word.iter().filter(|s| belongs(s)).filter_map(|s| s.character()).collect();
        if !text.is_ascii() && doubtful(&text) {
            word.iter_mut().for_each(|s| s.kind = Kind::Lookalike);
        }
    }
}

fn belongs(sign: &Sign) -> bool {
    let letter = |c: char| c.is_alphanumeric() || !c.is_ascii() && matches!(c.script(), Script::Inherited);
    matches!(sign.kind, Kind::Plain | Kind::RightToLeft) && sign.character().is_some_and(letter)
}

fn doubtful(word: &str) -> bool {
    let mut scripts: Vec<Script> = word.chars().map(|c| c.script()).filter(|s| !matches!(s, Script::Common | Script::Inherited)).collect();
    scripts.sort_unstable_by_key(|s| s.short_name());
    scripts.dedup();
    let mixed = scripts.len() > 1 && !TOGETHER.iter().any(|set| scripts.iter().all(|s| set.contains(s)));
    let styled = word.chars().any(|c| matches!(c.script(), Script::Latin | Script::Common) && looks_ascii(c));
    mixed || styled || word.chars().all(|c| c.is_ascii() || looks_ascii(c))
}

/// Whether `c` is no ASCII and is drawn like ASCII.
pub(super) fn looks_ascii(c: char) -> bool {
    !c.is_ascii() && !KNOWN.contains(&c) && skeleton(c.encode_utf8(&mut [0; 4])).all(|p| p.is_ascii())
}

/// Which sign of the notation `c` looks like.
pub(super) fn prototype(c: char) -> Option<char> {
    let same = |a: char, b: char| a == b || skeleton(a.encode_utf8(&mut [0; 4])).eq(skeleton(b.encode_utf8(&mut [0; 4])));
    ['⟨', '⟩', '·', '↳'].into_iter().find(|own| same(c, *own))
}
