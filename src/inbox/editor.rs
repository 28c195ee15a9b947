//! A text of several lines that is edited, shown as every other command is: with every byte visible. Runs nothing and saves
//! nothing.

use crate::render::{self, Line};
use crate::screen::Key;

/// The longest text.
const MOST: usize = 1 << 20;

/// The text and the place in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Editor {
    text: String,
    /// In bytes; always between two characters.
    at: usize,
}

impl Editor {
    pub(super) fn new(text: String) -> Self {
        let at = text.len();
        Self { text, at }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Takes a key; those that it does not know change nothing.
    pub(super) fn key(&mut self, key: &Key) {
        match key {
            Key::Char(c) => self.insert(c.encode_utf8(&mut [0; 4])),
            Key::Enter => self.insert("\n"),
            Key::Tab => self.insert("\t"),
            Key::Paste(text) => self.insert(&text.replace("\r\n", "\n").replace('\r', "\n")),
            Key::Backspace => {
                if let Some(c) = self.before().chars().next_back() {
                    self.at -= c.len_utf8();
                    self.text.remove(self.at);
                }
            }
            Key::Delete | Key::Control('d') if self.at == self.text.len() => {}
            Key::Delete | Key::Control('d') => {
                self.text.remove(self.at);
            }
            Key::Left | Key::Control('b') => self.at -= self.before().chars().next_back().map_or(0, char::len_utf8),
            Key::Right | Key::Control('f') => self.at += self.after().chars().next().map_or(0, char::len_utf8),
            Key::Home | Key::Control('a') => self.at = self.line_start(),
            Key::End | Key::Control('e') => self.at = self.line_end(),
            Key::Up | Key::Control('p') => self.up(),
            Key::Down | Key::Control('n') => self.down(),
            Key::Control('u') => {
                let start = self.line_start();
                self.text.replace_range(start..self.at, "");
                self.at = start;
            }
            Key::Control('k') => {
                let end = self.line_end();
                self.text.replace_range(self.at..end, "");
            }
            _ => {}
        }
    }

    fn insert(&mut self, text: &str) {
        if self.text.len().saturating_add(text.len()) <= MOST {
            self.text.insert_str(self.at, text);
            self.at += text.len();
        }
    }

    fn before(&self) -> &str {
        self.text.get(..self.at).unwrap_or_default()
    }

    fn after(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn line_start(&self) -> usize {
        self.before().rfind('\n').map_or(0, |n| n + 1)
    }

    fn line_end(&self) -> usize {
        self.after().find('\n').map_or(self.text.len(), |n| self.at + n)
    }

    fn up(&mut self) {
        let start = self.line_start();
        if start == 0 {
            return;
        }
        let column = self.before().get(start..).map_or(0, |s| s.chars().count());
        self.at = start - 1;
        self.at = self.line_start();
        self.along(column);
    }

    fn down(&mut self) {
        let (start, end) = (self.line_start(), self.line_end());
        if end == self.text.len() {
            return;
        }
        let column = self.before().get(start..).map_or(0, |s| s.chars().count());
        self.at = end + 1;
        self.along(column);
    }

    fn along(&mut self, column: usize) {
        let end = self.line_end();
        let line = self.text.get(self.at..end).unwrap_or_default();
        self.at += line.chars().take(column).map(char::len_utf8).sum::<usize>();
    }

    /// The text as rows of at most `width` columns, and where the cursor stands: row and column.
    pub(super) fn rows(&self, width: usize) -> (Vec<Line>, (usize, usize)) {
        let mut rows = render::show(self.text.as_bytes()).wrapped(width);
        let before = render::show(self.before().as_bytes()).wrapped(width);
        let mut cursor = match before.last() {
            Some(last) if !self.before().ends_with('\n') => (before.len() - 1, last.columns()),
            _ => (before.len(), 0),
        };
        if cursor.1 >= width {
            cursor = (cursor.0 + 1, 0);
        }
        while rows.len() <= cursor.0 {
            rows.push(Line::default());
        }
        (rows, cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str, keys: &[Key]) -> (String, (usize, usize)) {
        let mut editor = Editor::new(text.to_owned());
        keys.iter().for_each(|k| editor.key(k));
        (editor.text.clone(), editor.rows(20).1)
    }

    #[test]
    fn keys_change_the_text_where_the_cursor_is() {
        assert_eq!(typed("df -h", &[Key::Home, Key::Char('é'), Key::Right, Key::Backspace]), ("éf -h".to_owned(), (0, 1)));
        assert_eq!(typed("ab\ncd", &[Key::Up, Key::Enter, Key::Char('x'), Key::Down, Key::Control('u')]).0, "ab\nx\nd");
        assert_eq!(typed("one\ntwo", &[Key::Up, Key::Control('k'), Key::Home, Key::Control('k'), Key::Delete]).0, "two");
        assert_eq!(typed("", &[Key::Backspace, Key::Delete, Key::Left, Key::Up, Key::Down, Key::Right]), (String::new(), (0, 0)));
        assert_eq!(typed("x", &[Key::Paste("a\r\nb\r\x1b[31m".to_owned())]).0, "xa\nb\n\x1b[31m");
    }

    #[test]
    fn the_cursor_stands_where_the_notation_puts_it() {
        let (_, cursor) = typed("a\tb", &[]);
        assert_eq!(cursor, (0, 6), "a⟨\\t⟩b");
        assert_eq!(typed("a\n", &[]).1, (1, 0));
        let long = "x".repeat(30);
        assert_eq!(typed(&long, &[]).1, (1, 12), "behind ↳ and ten more");
        assert_eq!(typed(&"x".repeat(20), &[]).1, (1, 0));
    }
}
