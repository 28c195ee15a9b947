//! What stands between words: separators, pipes, parentheses, redirections, and the texts of here-documents.

use super::read::{Close, Frame, Open, Reader, Trouble, Word};
use super::{PointKind, piece};

impl Reader<'_> {
    pub(super) fn operator(&mut self, b: u8) -> Result<(), Trouble> {
        match b {
            b'\n' => {
                self.skip(1);
                if self.list.close == Close::Array {
                    return self.finish_word();
                }
                self.separate(false)?;
                self.here_documents()
            }
            b';' => {
                let case = self.takes(";;&") || self.takes(";;") || self.takes(";&");
                self.separate(false)?;
                if !case {
                    self.skip(1);
                    return Ok(());
                }
                match self.list.open.last_mut() {
                    Some(open @ Open::CaseBody) => *open = Open::CasePattern,
                    _ => return Err(Trouble::Unexpected(b';')),
                }
                Ok(())
            }
            b'&' => {
                if self.rest().starts_with(b"&>") {
                    self.finish_word()?;
                    let append = self.takes("&>>") || !self.takes("&>");
                    return self.redirects(if append { ">>" } else { ">" });
                }
                self.finish_word()?;
                if self.takes("&&") {
                    self.conditional();
                } else {
                    self.skip(1);
                    self.notes.say(PointKind::Background, "goes on in the background when the command has ended".to_owned());
                }
                self.separate(false)
            }
            b'|' => {
                self.finish_word()?;
                if matches!(self.list.open.last(), Some(Open::CasePattern)) {
                    self.skip(1);
                    return Ok(());
                }
                let pipe = !self.takes("||");
                if pipe {
                    if !self.takes("|&") {
                        self.skip(1);
                    }
                    self.notes.say(PointKind::Pipe, "the output of one command is the input of the next".to_owned());
                } else {
                    self.conditional();
                }
                self.separate(pipe)
            }
            b'(' => self.open_parenthesis(),
            b')' => self.close_parenthesis(),
            _ => self.angle(b),
        }
    }

    fn open_parenthesis(&mut self) -> Result<(), Trouble> {
        if let Some(Word { quoted: false, text, .. }) = &self.list.word {
            match text.last() {
                Some(b'=') => {
                    self.skip(1);
                    self.fill("(…)".as_bytes());
                    return self.enter(Close::Array);
                }
                Some(b'?' | b'*' | b'+' | b'@' | b'!') => {
                    self.skip(1);
                    self.add(b"(");
                    self.word().glob = true;
                    return self.push(Frame::Pattern(0));
                }
                _ => {}
            }
        }
        self.finish_word()?;
        let blanks = self.rest().iter().skip(1).take_while(|b| matches!(b, b' ' | b'\t')).count();
        if self.list.words.len() == 1 && !self.list.header && self.peek(blanks.saturating_add(1)) == Some(b')') {
            self.skip(blanks.saturating_add(2));
            if let Some(word) = self.list.words.pop() {
                self.notes.say(PointKind::Function, format!("defines a function {}", piece(&word.text)));
            }
            return Ok(());
        }
        if matches!(self.list.open.last(), Some(Open::CasePattern)) && self.list.words.is_empty() {
            self.skip(1);
            return Ok(());
        }
        if self.rest().starts_with(b"((") && self.list.words.is_empty() {
            self.skip(2);
            self.list.closed = !self.list.header;
            return self.push(Frame::Arithmetic { depth: 0, command: true });
        }
        if !self.list.words.is_empty() || self.list.redirection.is_some() {
            return Err(Trouble::Unexpected(b'('));
        }
        self.skip(1);
        self.enter(Close::Paren)
    }

    fn close_parenthesis(&mut self) -> Result<(), Trouble> {
        self.finish_word()?;
        self.skip(1);
        if let Some(open @ Open::CasePattern) = self.list.open.last_mut() {
            *open = Open::CaseBody;
            self.list.words.clear();
            return Ok(());
        }
        if self.list.close == Close::End {
            return Err(Trouble::Unexpected(b')'));
        }
        let close = self.list.close;
        if close != Close::Array {
            self.separate(false)?;
        }
        if !self.list.open.is_empty() {
            return Err(Trouble::Unfinished);
        }
        match self.stack.pop() {
            Some(Frame::List(outer)) => self.list = outer,
            _ => return Err(Trouble::Unexpected(b')')),
        }
        // Behind a list in parentheses redirections and separators may come, and no words.
        self.list.closed |= close == Close::Paren;
        Ok(())
    }

    /// `<` or `>`.
    fn angle(&mut self, b: u8) -> Result<(), Trouble> {
        // A number directly before it says which stream.
        let number = self.list.word.as_ref().is_some_and(|w| !w.quoted && !w.text.is_empty() && w.text.iter().all(u8::is_ascii_digit));
        if number {
            self.list.word = None;
        } else if self.peek(1) != Some(b'(') || self.list.redirection.is_some() {
            self.finish_word()?;
        }
        if self.peek(1) == Some(b'(') {
            self.skip(2);
            self.notes.say(PointKind::Substitution, "gives a program another command as a file".to_owned());
            self.fill(&[&[b][..], "(…)".as_bytes()].concat());
            return self.enter(Close::Substitution);
        }
        const SIGNS: [&str; 10] = ["<<<", "<<-", "<<", "<>", "<&", "<", ">>", ">&", ">|", ">"];
        match SIGNS.into_iter().find(|sign| self.rest().starts_with(sign.as_bytes())) {
            Some(sign) => {
                self.skip(sign.len());
                self.redirects(sign)
            }
            None => Err(Trouble::Unexpected(b)),
        }
    }

    fn redirects(&mut self, sign: &'static str) -> Result<(), Trouble> {
        match self.list.redirection.replace(sign) {
            None => Ok(()),
            Some(_) => Err(Trouble::Unexpected(b'>')),
        }
    }

    /// The texts of here-documents begin here.
    fn here_documents(&mut self) -> Result<(), Trouble> {
        while let Some((delimiter, tabs, verbatim)) = self.documents.pop_front() {
            loop {
                if self.at >= self.text.len() {
                    return Err(Trouble::Unfinished);
                }
                let length = self.rest().iter().take_while(|b| **b != b'\n').count();
                let line = self.rest().get(..length).unwrap_or_default();
                let bare = if tabs { line.trim_ascii_start() } else { line };
                let (ends, fills) = (bare == delimiter, !verbatim && line.iter().any(|b| matches!(b, b'$' | b'`')));
                let last = self.at.saturating_add(length) >= self.text.len();
                self.skip(length.saturating_add(1));
                if ends {
                    break;
                }
                if fills {
                    let text = "fills in variables or the output of commands in the lines that are its input".to_owned();
                    self.notes.say(PointKind::Substitution, text);
                }
                if last {
                    return Err(Trouble::Unfinished);
                }
            }
        }
        Ok(())
    }
}
