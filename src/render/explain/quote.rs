//! What stands in words: quotes, escapes, and what is filled in.

use super::read::{Close, Frame, Reader, Trouble};
use super::{PointKind, name};

impl Reader<'_> {
    /// Behind a backslash.
    pub(super) fn escaped(&mut self, in_quotes: bool) {
        let Some(b) = self.peek(0) else {
            self.add(b"\\");
            return;
        };
        self.skip(1);
        // A newline behind it is no newline.
        if b == b'\n' {
            return;
        }
        if in_quotes && !matches!(b, b'$' | b'`' | b'"' | b'\\') {
            self.add(b"\\");
        }
        self.word().quoted = true;
        self.add(&[b]);
    }

    /// Behind `'`.
    pub(super) fn single(&mut self) -> Result<(), Trouble> {
        let length = self.rest().iter().position(|b| *b == b'\'').ok_or(Trouble::Unfinished)?;
        let text = self.rest().get(..length).unwrap_or_default().to_vec();
        self.word().quoted = true;
        self.add(&text);
        self.skip(length.saturating_add(1));
        Ok(())
    }

    /// Behind `$'`: what the escapes mean.
    pub(super) fn ansi(&mut self) -> Result<(), Trouble> {
        self.word().quoted = true;
        loop {
            let b = self.peek(0).ok_or(Trouble::Unfinished)?;
            self.skip(1);
            match b {
                b'\'' => return Ok(()),
                b'\\' => {
                    let escape = self.peek(0).ok_or(Trouble::Unfinished)?;
                    let (radix, from, most) = match escape {
                        b'x' => (16, 1, 2),
                        b'0'..=b'7' => (8, 0, 3),
                        b'u' | b'U' | b'c' => {
                            // Rare, and a way to hide: not worked out.
                            self.fill(b"\\");
                            continue;
                        }
                        _ => {
                            self.skip(1);
                            let meant = match escape {
                                b'n' => b'\n',
                                b't' => b'\t',
                                b'r' => b'\r',
                                b'a' => 7,
                                b'b' => 8,
                                b'e' | b'E' => 27,
                                b'f' => 12,
                                b'v' => 11,
                                other => other,
                            };
                            self.add(&[meant]);
                            continue;
                        }
                    };
                    self.skip(from);
                    let digits = self.rest().iter().take(most).take_while(|b| char::from(**b).is_digit(radix)).count();
                    let number =
                        self.rest().iter().take(digits).filter_map(|b| char::from(*b).to_digit(radix)).fold(0, |n, d| n * radix + d);
                    self.skip(digits);
                    self.add(&[u8::try_from(number & 0xff).unwrap_or_default()]);
                }
                _ => self.add(&[b]),
            }
        }
    }

    /// Behind `$`.
    pub(super) fn dollar(&mut self, in_quotes: bool) -> Result<(), Trouble> {
        match self.peek(0) {
            Some(b'\'') if !in_quotes => {
                self.skip(1);
                self.ansi()
            }
            Some(b'"') if !in_quotes => {
                self.skip(1);
                self.word().quoted = true;
                self.push(Frame::Quote)
            }
            Some(b'(') if self.takes("((") => {
                self.fill(b"$((\xe2\x80\xa6))");
                self.push(Frame::Arithmetic { depth: 0, command: false })
            }
            Some(b'(') => {
                self.skip(1);
                self.substitutes();
                self.fill(b"$(\xe2\x80\xa6)");
                self.enter(Close::Substitution)
            }
            Some(b'{') => {
                self.skip(1);
                let signs = self.rest().iter().take_while(|b| matches!(b, b'!' | b'#')).count();
                let length = self.rest().iter().skip(signs).take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
                let written = self.rest().get(..signs.saturating_add(length)).unwrap_or_default().to_vec();
                if written.starts_with(b"!") {
                    self.notes.say(PointKind::Unknown, "which variable is filled in is known only when it runs".to_owned());
                }
                self.variable(written.get(signs..).unwrap_or_default());
                self.fill(&[b"${", &written[..], b"}"].concat());
                self.skip(written.len());
                self.push(Frame::Param)
            }
            Some(b) if b.is_ascii_alphabetic() || b == b'_' => {
                let length = self.rest().iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
                let variable = self.rest().get(..length).unwrap_or_default().to_vec();
                self.skip(length);
                self.variable(&variable);
                self.fill(&[b"$", &variable[..]].concat());
                Ok(())
            }
            Some(b) if b.is_ascii_digit() || matches!(b, b'@' | b'*' | b'#' | b'?' | b'$' | b'!' | b'-') => {
                self.skip(1);
                self.fill(&[b'$', b]);
                Ok(())
            }
            _ => {
                self.add(b"$");
                Ok(())
            }
        }
    }

    fn variable(&mut self, variable: &[u8]) {
        if !variable.is_empty() && !variable.iter().all(u8::is_ascii_digit) {
            name(&mut self.notes.variables, variable);
        }
    }

    fn substitutes(&mut self) {
        self.notes.say(PointKind::Substitution, "fills in the output of commands".to_owned());
    }

    /// Behind a backtick: the text to the next one is a command, in which a backslash keeps some signs.
    pub(super) fn backtick(&mut self) -> Result<(), Trouble> {
        let mut command = Vec::new();
        loop {
            let b = self.peek(0).ok_or(Trouble::Unfinished)?;
            self.skip(1);
            match (b, self.peek(0)) {
                (b'`', _) => break,
                (b'\\', Some(kept @ (b'`' | b'\\' | b'$'))) => {
                    self.skip(1);
                    command.push(kept);
                }
                _ => command.push(b),
            }
        }
        self.inner.push(command);
        self.substitutes();
        self.fill("`…`".as_bytes());
        Ok(())
    }
}
