//! Reads a command once, from left to right, as a shell would: words, operators, what stands in what. It runs nothing,
//! calls nothing again for what is nested, and stops where it does not understand.

use std::collections::VecDeque;

use super::{DEPTH_MAX, Notes, judge, piece};

/// Why a text cannot be read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    Unfinished,
    Deep,
    Unexpected(u8),
    Word,
}

impl Trouble {
    pub(super) fn sentence(self) -> String {
        match self {
            Self::Unfinished => "it ends in the middle of something".to_owned(),
            Self::Deep => "it is nested too deeply".to_owned(),
            Self::Unexpected(b) => format!("{} stands where it has no place", piece(&[b])),
            Self::Word => "a word of the shell stands where it has no place".to_owned(),
        }
    }
}

/// A word as the program would get it, without its quotes; where something is filled in, as it is written.
#[derive(Debug, Clone, Default)]
pub(super) struct Word {
    pub(super) text: Vec<u8>,
    /// Something is filled in: it is known only when it runs.
    pub(super) filled: bool,
    /// Names of files may be filled in.
    pub(super) glob: bool,
    /// Some of it is in quotes, so it is no word of the shell.
    pub(super) quoted: bool,
}

/// What was opened and not yet closed.
pub(super) enum Frame {
    /// Commands.
    List(List),
    /// `"`
    Quote,
    /// `${`
    Param,
    /// `((` or `$((`, and the parentheses open in it.
    Arithmetic { depth: usize, command: bool },
    /// A pattern in parentheses, and the parentheses open in it.
    Pattern(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Close {
    /// The end of the text.
    End,
    /// `)`
    Paren,
    /// `)` of a substitution, which is part of a word.
    Substitution,
    /// `)` of the values of an array.
    Array,
}

pub(super) struct List {
    pub(super) close: Close,
    pub(super) words: Vec<Word>,
    pub(super) word: Option<Word>,
    pub(super) redirection: Option<&'static str>,
    /// The input of the command comes through a pipe.
    pub(super) piped: bool,
    /// The command has input of its own: `<`, `<<`.
    pub(super) fed: bool,
    /// The words name something and run nothing, up to the next separator: behind `for`, `select`.
    pub(super) header: bool,
    /// Something was closed: no word follows but one of the shell.
    pub(super) closed: bool,
    /// Behind `function`.
    pub(super) function: bool,
    /// In `[[`.
    pub(super) test: bool,
    /// What words of the shell have opened.
    pub(super) open: Vec<Open>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    If,
    Loop,
    Brace,
    /// Behind `case`, before `in`.
    Case,
    /// Where a pattern stands.
    CasePattern,
    /// Behind the pattern.
    CaseBody,
}

impl List {
    fn new(close: Close, piped: bool) -> Self {
        Self {
            close,
            words: Vec::new(),
            word: None,
            redirection: None,
            piped,
            fed: false,
            header: false,
            closed: false,
            function: false,
            test: false,
            open: Vec::new(),
        }
    }
}

/// Reads `text` and notes what it finds. Texts in it that are commands themselves are added to `inner`.
pub(super) fn read(text: &[u8], notes: &mut Notes, inner: &mut Vec<Vec<u8>>) -> Result<(), Trouble> {
    let mut reader = Reader {
        text,
        at: 0,
        commands: 0,
        stack: Vec::new(),
        list: List::new(Close::End, false),
        documents: VecDeque::new(),
        notes,
        inner,
    };
    let outcome = loop {
        if reader.at >= text.len() {
            break reader.end();
        }
        if let Err(trouble) = reader.step() {
            break Err(trouble);
        }
    };
    if outcome.is_err() {
        reader.give_up();
    }
    outcome
}

pub(super) struct Reader<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
    /// Commands that ran before, in this text.
    pub(super) commands: usize,
    /// What stands round the innermost frame; `list` is the innermost list.
    pub(super) stack: Vec<Frame>,
    pub(super) list: List,
    /// Here-documents whose text begins behind the next newline: the delimiter, whether tabs go, whether it is verbatim.
    pub(super) documents: VecDeque<(Vec<u8>, bool, bool)>,
    pub(super) notes: &'a mut Notes,
    pub(super) inner: &'a mut Vec<Vec<u8>>,
}

impl Reader<'_> {
    pub(super) fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at.saturating_add(ahead)).copied()
    }

    pub(super) fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes);
    }

    /// Takes `sign` if it stands here.
    pub(super) fn takes(&mut self, sign: &str) -> bool {
        let found = self.rest().starts_with(sign.as_bytes());
        if found {
            self.skip(sign.len());
        }
        found
    }

    pub(super) fn push(&mut self, frame: Frame) -> Result<(), Trouble> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(Trouble::Deep);
        }
        self.stack.push(frame);
        Ok(())
    }

    /// Begins a list inside the one that is read.
    pub(super) fn enter(&mut self, close: Close) -> Result<(), Trouble> {
        let piped = close == Close::Paren && self.list.piped;
        let outer = std::mem::replace(&mut self.list, List::new(close, piped));
        self.push(Frame::List(outer))
    }

    pub(super) fn word(&mut self) -> &mut Word {
        self.list.word.get_or_insert_with(Word::default)
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.word().text.extend_from_slice(bytes);
    }

    /// Something is filled in, which is written so.
    pub(super) fn fill(&mut self, written: &[u8]) {
        let word = self.word();
        word.text.extend_from_slice(written);
        word.filled = true;
    }

    fn step(&mut self) -> Result<(), Trouble> {
        let Some(b) = self.peek(0) else { return Ok(()) };
        match self.stack.last_mut() {
            None | Some(Frame::List(_)) => self.command(b),
            Some(Frame::Quote) => {
                self.skip(1);
                match b {
                    b'"' => drop(self.stack.pop()),
                    b'\\' => self.escaped(true),
                    b'$' => return self.dollar(true),
                    b'`' => return self.backtick(),
                    _ => self.add(&[b]),
                }
                Ok(())
            }
            Some(Frame::Param) => {
                self.skip(1);
                match b {
                    b'}' => drop(self.stack.pop()),
                    b'\\' => self.skip(1),
                    b'\'' if !self.in_quotes() => return self.single(),
                    b'"' => return self.push(Frame::Quote),
                    b'$' => return self.dollar(true),
                    b'`' => return self.backtick(),
                    _ => {}
                }
                self.word();
                Ok(())
            }
            Some(Frame::Arithmetic { depth, command }) => {
                match (b, *depth) {
                    (b'(', _) => *depth = depth.saturating_add(1),
                    (b')', 0) => {
                        let command = *command;
                        if !self.takes("))") {
                            return Err(Trouble::Unexpected(b')'));
                        }
                        self.stack.pop();
                        if command {
                            self.list.word = None;
                        }
                        return Ok(());
                    }
                    (b')', _) => *depth = depth.saturating_sub(1),
                    _ => {}
                }
                self.skip(1);
                match b {
                    b'$' => self.dollar(true),
                    b'`' => self.backtick(),
                    _ => Ok(()),
                }
            }
            Some(Frame::Pattern(depth)) => {
                match (b, *depth) {
                    (b'(', _) => *depth = depth.saturating_add(1),
                    (b')', 0) => drop(self.stack.pop()),
                    (b')', _) => *depth = depth.saturating_sub(1),
                    _ => {}
                }
                self.skip(1);
                self.add(&[b]);
                match b {
                    b'\\' => self.escaped(false),
                    b'\'' => return self.single(),
                    b'"' => return self.push(Frame::Quote),
                    b'$' => return self.dollar(false),
                    b'`' => return self.backtick(),
                    _ => {}
                }
                Ok(())
            }
        }
    }

    /// Whether a double quote is open round the parameter that is read.
    fn in_quotes(&self) -> bool {
        self.stack.iter().rev().take_while(|f| !matches!(f, Frame::List(_))).any(|f| matches!(f, Frame::Quote))
    }

    /// Whether the braces that begin here make several words of one. So long ones are taken to.
    fn braces(&self) -> bool {
        const LONG: usize = 256;
        let inside: Vec<u8> = self.rest().iter().take(LONG).take_while(|b| !b.is_ascii_whitespace() && **b != b'}').copied().collect();
        inside.len() == LONG || inside.contains(&b',') || inside.windows(2).any(|two| two == b"..")
    }

    /// Where commands stand.
    fn command(&mut self, b: u8) -> Result<(), Trouble> {
        if self.list.test && matches!(b, b'<' | b'>' | b'(' | b')' | b'|' | b'&' | b'!') {
            self.finish_word()?;
            self.skip(1);
            return Ok(());
        }
        match b {
            b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>' => return self.operator(b),
            b' ' | b'\t' => {
                self.skip(1);
                return self.finish_word();
            }
            b'#' if self.list.word.is_none() => {
                let comment = self.rest().iter().take_while(|b| **b != b'\n').count();
                self.skip(comment);
                return Ok(());
            }
            _ => self.skip(1),
        }
        match b {
            b'\\' => self.escaped(false),
            b'\'' => return self.single(),
            b'"' => {
                self.word().quoted = true;
                return self.push(Frame::Quote);
            }
            b'$' => return self.dollar(false),
            b'`' => return self.backtick(),
            b'*' | b'?' | b'[' => {
                self.add(&[b]);
                let lone = b == b'[' && self.peek(0).is_none_or(|next| next.is_ascii_whitespace() || next == b'[');
                self.word().glob |= !lone;
            }
            b'{' if self.braces() => self.fill(b"{"),
            _ => self.add(&[b]),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Trouble> {
        if !self.stack.is_empty() {
            return Err(Trouble::Unfinished);
        }
        self.separate(false)?;
        let open = self.list.test || !self.list.open.is_empty() || !self.documents.is_empty();
        if open { Err(Trouble::Unfinished) } else { Ok(()) }
    }

    /// What was read of commands that never end is still worth saying.
    fn give_up(&mut self) {
        let frames = std::mem::take(&mut self.stack);
        let outer = frames.into_iter().filter_map(|f| if let Frame::List(list) = f { Some(list) } else { None });
        let inmost = std::mem::replace(&mut self.list, List::new(Close::End, false));
        for mut list in outer.chain(std::iter::once(inmost)) {
            list.words.extend(list.word.take());
            judge::command(&list.words, list.piped, self.notes, self.inner);
        }
    }
}
