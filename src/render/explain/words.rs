//! Where a word ends and where a command ends: words of the shell, words of commands.

use super::read::{Close, Open, Reader, Trouble, Word};
use super::{DEPTH_MAX, PointKind, judge, name, piece};

impl Reader<'_> {
    pub(super) fn finish_word(&mut self) -> Result<(), Trouble> {
        let Some(word) = self.list.word.take() else { return Ok(()) };
        if word.glob {
            name(&mut self.notes.globs, &word.text);
        }
        match self.list.redirection.take() {
            Some(sign @ ("<<" | "<<-")) => {
                self.list.fed = true;
                self.notes.say(PointKind::Read, "reads the lines that stand in the command itself".to_owned());
                self.documents.push_back((word.text, sign == "<<-", word.quoted));
            }
            Some(sign) => {
                self.list.fed |= matches!(sign, "<" | "<<<" | "<>");
                judge::redirection(sign, &word, self.notes);
                judge::names(&word, self.notes);
            }
            None if self.list.close == Close::Array => {}
            None => return self.take_word(word),
        }
        Ok(())
    }

    /// A word of a command, or of the shell.
    pub(super) fn take_word(&mut self, word: Word) -> Result<(), Trouble> {
        let plain = !word.quoted && !word.filled;
        if self.list.test {
            self.list.test = !(plain && word.text == b"]]");
            return Ok(());
        }
        if std::mem::take(&mut self.list.function) {
            self.notes.say(PointKind::Function, format!("defines a function {}", piece(&word.text)));
            let blanks = self.rest().iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
            if self.rest().get(blanks..).unwrap_or_default().starts_with(b"()") {
                self.skip(blanks.saturating_add(2));
            }
            return Ok(());
        }
        match self.list.open.last_mut() {
            Some(open @ Open::Case) => {
                if plain && word.text == b"in" {
                    *open = Open::CasePattern;
                }
                return Ok(());
            }
            Some(Open::CasePattern) => {
                if plain && word.text == b"esac" && self.list.words.is_empty() {
                    self.list.open.pop();
                    self.list.closed = true;
                } else {
                    self.list.words.push(word);
                }
                return Ok(());
            }
            _ => {}
        }
        if plain && self.list.header && self.list.words.len() == 1 && word.text == b"do" {
            // `for name do`
            self.list.words.clear();
            self.list.header = false;
            return Ok(());
        }
        if !(plain && self.list.words.is_empty() && self.shell_word(&word.text)?) {
            if self.list.closed {
                return Err(Trouble::Word);
            }
            self.list.words.push(word);
        }
        Ok(())
    }

    /// Whether it is a word of the shell, where a command begins.
    fn shell_word(&mut self, word: &[u8]) -> Result<bool, Trouble> {
        let opens = |open: Open| (Some(open), None);
        let closes = |open: Open| (None, Some(open));
        let (open, close) = match word {
            _ if self.list.header => return Ok(false),
            b"if" => opens(Open::If),
            b"for" | b"select" | b"while" | b"until" => opens(Open::Loop),
            b"case" => opens(Open::Case),
            b"{" => opens(Open::Brace),
            b"fi" => closes(Open::If),
            b"done" => closes(Open::Loop),
            b"esac" => closes(Open::CaseBody),
            b"}" => closes(Open::Brace),
            b"then" | b"elif" | b"else" if self.list.open.last() == Some(&Open::If) => {
                self.list.closed = false;
                return Ok(true);
            }
            b"do" if self.list.open.last() == Some(&Open::Loop) => {
                self.list.closed = false;
                return Ok(true);
            }
            b"then" | b"elif" | b"else" | b"do" => return Err(Trouble::Word),
            b"!" | b"time" | b"coproc" => return Ok(true),
            b"function" => {
                self.list.function = true;
                return Ok(true);
            }
            b"[[" => {
                self.list.test = true;
                return Ok(true);
            }
            _ => return Ok(false),
        };
        if let Some(open) = open {
            if self.list.closed {
                return Err(Trouble::Word);
            }
            if self.list.open.len() >= DEPTH_MAX {
                return Err(Trouble::Deep);
            }
            self.list.open.push(open);
            self.list.header = word == b"for" || word == b"select";
            if open != Open::Brace {
                if open == Open::Loop {
                    self.notes.say(PointKind::Control, "runs some commands again and again".to_owned());
                } else {
                    self.conditional();
                }
            }
        }
        if let Some(close) = close {
            if self.list.open.pop() != Some(close) {
                return Err(Trouble::Word);
            }
            self.list.closed = true;
        }
        Ok(true)
    }

    /// A command ends, and another may follow, which reads from a `pipe` or not.
    pub(super) fn separate(&mut self, pipe: bool) -> Result<(), Trouble> {
        self.finish_word()?;
        if self.list.test {
            return Ok(());
        }
        if self.list.redirection.is_some() || self.list.function {
            return Err(Trouble::Unfinished);
        }
        if matches!(self.list.open.last(), Some(Open::Case | Open::CasePattern)) {
            return Ok(());
        }
        let words = std::mem::take(&mut self.list.words);
        let header = std::mem::take(&mut self.list.header);
        let closed = std::mem::take(&mut self.list.closed);
        let fed = std::mem::take(&mut self.list.fed);
        if header {
            words.iter().for_each(|word| judge::names(word, self.notes));
        } else {
            judge::command(&words, self.list.piped || fed, self.notes, self.inner);
            self.several(&words);
        }
        if !words.is_empty() || header || closed || pipe {
            self.list.piped = pipe;
        }
        Ok(())
    }

    pub(super) fn conditional(&mut self) {
        self.notes.say(PointKind::Control, "runs some commands only under a condition".to_owned());
    }

    /// Says that there are several commands, other than in a pipe or a substitution.
    fn several(&mut self, words: &[Word]) {
        if words.is_empty() || self.list.piped || self.list.close == Close::Substitution {
            return;
        }
        self.commands = self.commands.saturating_add(1);
        if self.commands > 1 {
            self.notes.say(PointKind::Sequence, "runs several commands, one after the other".to_owned());
        }
    }
}
