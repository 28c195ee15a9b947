//! Questions at the foot of the screen, each with the keys that answer it. An answer to a confirmation counts only once the
//! question has been on the screen for a moment.

use std::time::{Duration, Instant};

use super::editor::Editor;
use crate::control::AgainWords;
use crate::screen::Key;

/// How long a question has to be on the screen before it can be answered.
const READ: Duration = Duration::from_millis(250);
/// The word.
const WORD: &str = "approve";
/// The longest line that is typed.
const MOST: usize = 1000;

/// A question that is open.
#[derive(Debug)]
pub(super) enum Ask {
    /// Whether what was drawn is approved.
    Confirm(Confirm),
    /// Why it is denied.
    Reason(String),
    /// How often the same bytes may run again.
    Times(String),
    /// And for how long.
    Within { times: u32, typed: String },
    /// The command that is to run instead.
    Edit(Editor),
}

/// What is approved if the answer is yes.
#[derive(Debug)]
pub(super) struct Confirm {
    /// `web-1 as deploy`.
    pub(super) where_: String,
    /// The digest of what would run.
    pub(super) runs: String,
    pub(super) again: Option<AgainWords>,
    pub(super) sign: bool,
    /// Why the word has to be typed, if it has to.
    pub(super) word: Option<String>,
    pub(super) typed: String,
    pub(super) since: Option<Instant>,
}

/// What a key made of a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is still open.
    Open,
    /// It is given up; the sentence says so.
    Dropped(&'static str),
    /// The key came before the question could be read.
    TooQuick,
    Yes,
    Deny(String),
    Times(u32),
    Within(AgainWords),
    Edited(String),
    /// What was typed cannot be taken.
    Wrong(&'static str),
}

impl Ask {
    pub(super) fn key(&mut self, key: &Key, at: Instant) -> Answer {
        if matches!(key, Key::Escape | Key::Control('c' | 'g')) {
            return Answer::Dropped("nothing was decided");
        }
        match self {
            Self::Confirm(confirm) => confirm.key(key, at),
            Self::Reason(typed) => match line(typed, key) {
                true => Answer::Deny(typed.trim().to_owned()),
                false => Answer::Open,
            },
            Self::Times(typed) => match line(typed, key) {
                true => typed.trim().parse().ok().filter(|n| *n > 0).map_or(Answer::Wrong("a whole number from 1 on"), Answer::Times),
                false => Answer::Open,
            },
            Self::Within { times, typed } => match line(typed, key) {
                true => seconds(typed.trim())
                    .map_or(Answer::Wrong("a time as in 30m or 8h"), |within_s| Answer::Within(AgainWords { times: *times, within_s })),
                false => Answer::Open,
            },
            Self::Edit(editor) => match key {
                Key::Control('x') => Answer::Edited(editor.text().to_owned()),
                key => {
                    editor.key(key);
                    Answer::Open
                }
            },
        }
    }

    /// It is on the screen.
    pub(super) fn drawn(&mut self, at: Instant) {
        if let Self::Confirm(confirm) = self {
            confirm.since.get_or_insert(at);
        }
    }

    /// The lines at the foot.
    pub(super) fn lines(&self) -> Vec<String> {
        match self {
            Self::Confirm(c) => c.lines(),
            Self::Reason(typed) => vec![format!("deny, and why (the agent reads it): {typed}_")],
            Self::Times(typed) => vec![format!("approve, and allow the same bytes again: how many times? {typed}_")],
            Self::Within { times, typed } => vec![format!("the same bytes again, {times} times: for how long (30m, 8h)? {typed}_")],
            Self::Edit(_) => Vec::new(),
        }
    }
}

impl Confirm {
    fn key(&mut self, key: &Key, at: Instant) -> Answer {
        if self.since.is_none_or(|s| at.saturating_duration_since(s) < READ) {
            return Answer::TooQuick;
        }
        match (&self.word, key) {
            // Never: whoever pastes has not typed.
            (_, Key::Paste(_)) => Answer::Wrong("a paste approves nothing"),
            (None, Key::Char('y')) => Answer::Yes,
            (None, _) => Answer::Dropped("nothing was approved"),
            (Some(_), _) if !line(&mut self.typed, key) => Answer::Open,
            (Some(_), _) if self.typed == WORD => Answer::Yes,
            (Some(_), _) => Answer::Dropped("that was not the word: nothing was approved"),
        }
    }

    fn lines(&self) -> Vec<String> {
        let short = self.runs.get(..16).unwrap_or(&self.runs);
        let how = if self.sign { "sign and approve" } else { "approve" };
        let again = self.again.map(|a| format!(", and {} times again within {} s", a.times, a.within_s)).unwrap_or_default();
        let what = format!("{how} on {}, sha256 {short}…{again}?", self.where_);
        match &self.word {
            None => vec![format!("{what} y: yes, any other key: no")],
            Some(why) => vec![what, format!("{why}: type {WORD} and Enter: {}_", self.typed)],
        }
    }
}

/// A key for a line that is typed. True: it is done.
fn line(typed: &mut String, key: &Key) -> bool {
    match key {
        Key::Enter => return true,
        Key::Char(c) if typed.len() < MOST => typed.push(*c),
        Key::Paste(text) => typed.extend(text.chars().filter(|c| !c.is_control()).take(MOST.saturating_sub(typed.len()))),
        Key::Backspace => drop(typed.pop()),
        Key::Control('u') => typed.clear(),
        _ => {}
    }
    false
}

/// `30m` in seconds.
fn seconds(text: &str) -> Option<u64> {
    let unit = text.chars().next_back()?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    number.checked_mul(factor).filter(|s| *s > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confirm(word: bool) -> Ask {
        Ask::Confirm(Confirm {
            where_: "web-1 as deploy".to_owned(),
            runs: "0123456789abcdef0123".to_owned(),
            again: None,
            sign: false,
            word: word.then(|| "care".to_owned()),
            typed: String::new(),
            since: None,
        })
    }

    #[test]
    fn a_question_that_was_not_read_cannot_be_answered() {
        let start = Instant::now();
        let mut ask = confirm(false);
        assert_eq!(ask.key(&Key::Char('y'), start), Answer::TooQuick, "not even drawn");
        ask.drawn(start);
        assert_eq!(ask.key(&Key::Char('y'), start + READ / 2), Answer::TooQuick);
        assert_eq!(ask.key(&Key::Char('y'), start + READ), Answer::Yes);
        for key in [Key::Enter, Key::Char('Y'), Key::Char('A'), Key::Char(' ')] {
            assert!(matches!(ask.key(&key, start + READ), Answer::Dropped(_)), "{key:?}");
        }
        assert!(matches!(ask.key(&Key::Paste("y".to_owned()), start + READ), Answer::Wrong(_)));
        assert_eq!(ask.lines(), ["approve on web-1 as deploy, sha256 0123456789abcdef…? y: yes, any other key: no"]);
    }

    #[test]
    fn a_word_is_typed_and_not_pasted() {
        let at = Instant::now() + READ;
        let typed = |keys: &[Key]| {
            let mut ask = confirm(true);
            ask.drawn(at - READ);
            keys.iter().map(|k| ask.key(k, at)).last().unwrap()
        };
        let mut keys: Vec<Key> = "approve".chars().map(Key::Char).collect();
        assert_eq!(typed(&keys), Answer::Open);
        keys.push(Key::Enter);
        assert_eq!(typed(&keys), Answer::Yes);
        assert!(matches!(typed(&[Key::Char('y'), Key::Enter]), Answer::Dropped(_)));
        assert!(matches!(typed(&[Key::Paste("approve".to_owned()), Key::Enter]), Answer::Dropped(_)));
    }

    #[test]
    fn times_are_whole_and_have_a_unit() {
        assert_eq!([seconds("30m"), seconds("8h"), seconds("5s")], [Some(1800), Some(28_800), Some(5)]);
        assert_eq!([seconds("30"), seconds("m"), seconds("0m"), seconds("-1h"), seconds("é")], [None; 5]);
    }
}
