//! Three streams of a client as the console talks to them: lines with or without echo on a terminal, else bytes to their
//! end. Every buffer that may hold a secret has its size from the start and is wiped.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use crate::secret::{MAX_SECRET, Secret};

/// The longest text that is no secret.
const MAX_TEXT: usize = 4 * 1024 * 1024;
/// The longest line that is typed.
const MAX_LINE: usize = 4096;

/// The client is not there any more.
#[derive(Debug)]
pub(super) struct Gone;

/// Why nothing was read.
#[derive(Debug)]
pub(super) enum Unread {
    /// The client is not there any more.
    Gone,
    /// Ctrl-C or Ctrl-D.
    Given,
    /// More came than is taken.
    TooLong,
    /// It is no UTF-8.
    NoText,
}

impl From<Gone> for Unread {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// The streams.
pub(super) struct Streams<'a, I, O, E> {
    stdin: I,
    stdout: &'a mut O,
    stderr: &'a mut E,
    terminal: bool,
    /// The byte that was typed last.
    last: u8,
}

impl<'a, I: AsyncRead + Unpin + Send, O: AsyncWrite + Unpin + Send, E: AsyncWrite + Unpin + Send> Streams<'a, I, O, E> {
    pub(super) fn new(stdin: I, stdout: &'a mut O, stderr: &'a mut E, terminal: bool) -> Self {
        Self { stdin, stdout, stderr, terminal, last: 0 }
    }

    pub(super) fn terminal(&self) -> bool {
        self.terminal
    }

    /// What is typed and where it is shown, byte for byte.
    pub(super) fn raw(&mut self) -> (&mut I, &mut O) {
        (&mut self.stdin, self.stdout)
    }

    pub(super) async fn out(&mut self, text: &str) -> Result<(), Gone> {
        let text = lines(text, self.terminal);
        self.stdout.write_all(text.as_bytes()).await.map_err(|_| Gone)
    }

    /// Bytes of a file, as they are.
    pub(super) async fn bytes(&mut self, bytes: &[u8]) -> Result<(), Gone> {
        self.stdout.write_all(bytes).await.map_err(|_| Gone)
    }

    pub(super) async fn err(&mut self, text: &str) -> Result<(), Gone> {
        let text = lines(text, self.terminal);
        // A terminal has one stream.
        let written =
            if self.terminal { self.stdout.write_all(text.as_bytes()).await } else { self.stderr.write_all(text.as_bytes()).await };
        written.map_err(|_| Gone)
    }

    pub(super) async fn flush(&mut self) {
        let _ = self.stdout.flush().await;
        let _ = self.stderr.flush().await;
    }

    /// A secret to the end of the stream.
    pub(super) async fn secret(&mut self) -> Result<Secret, Unread> {
        let held = self.rest(MAX_SECRET).await?;
        let mut exact = Vec::with_capacity(held.len());
        exact.extend_from_slice(&held);
        Ok(Secret::new(exact))
    }

    /// Waits for Ctrl-C; `false`: nothing more will be typed.
    pub(super) async fn interrupted(&mut self) -> bool {
        let mut byte = [0u8; 1];
        loop {
            match self.stdin.read(&mut byte).await {
                Ok(0) | Err(_) => return false,
                Ok(_) if byte == [CTRL_C] => return true,
                Ok(_) => {}
            }
        }
    }

    /// A text to the end of the stream; on a terminal Ctrl-D ends it.
    pub(super) async fn text(&mut self) -> Result<String, Unread> {
        if self.terminal {
            let held = self.typed("give the text, then Ctrl-D:\n", MAX_TEXT, true, |_, c| c == CTRL_D).await?;
            return String::from_utf8(held.to_vec()).map_err(|_| Unread::NoText);
        }
        let held = self.rest(MAX_TEXT).await?;
        String::from_utf8(held.to_vec()).map_err(|_| Unread::NoText)
    }

    /// As [`Streams::text`]; what is no UTF-8 is marked where it stands.
    pub(super) async fn text_of_any_encoding(&mut self) -> Result<String, Unread> {
        if self.terminal {
            return self.text().await;
        }
        Ok(String::from_utf8_lossy(&self.rest(MAX_TEXT).await?).into_owned())
    }

    /// A line that is typed, without its end.
    pub(super) async fn line(&mut self, prompt: &str, echo: bool) -> Result<Zeroizing<Vec<u8>>, Unread> {
        self.typed(prompt, MAX_LINE, echo, |_, c| matches!(c, b'\r' | b'\n')).await
    }

    /// A private key that is pasted: it ends with its last line.
    pub(super) async fn key(&mut self, prompt: &str) -> Result<Secret, Unread> {
        let ends = |held: &[u8], c: u8| {
            let last = held.rsplit(|b| *b == b'\n').next().unwrap_or_default();
            c == CTRL_D || (matches!(c, b'\r' | b'\n') && [&b"-----END "[..], b"Private-MAC: "].iter().any(|end| last.starts_with(end)))
        };
        let mut held = self.typed(prompt, MAX_SECRET, false, ends).await?;
        held.push(b'\n');
        Ok(Secret::from_zeroizing(held))
    }

    /// What is typed until `ends`, with backspace and Ctrl-U; Ctrl-C, and Ctrl-D on nothing, give up.
    async fn typed(
        &mut self,
        prompt: &str,
        most: usize,
        echo: bool,
        ends: impl Fn(&[u8], u8) -> bool,
    ) -> Result<Zeroizing<Vec<u8>>, Unread> {
        self.out(prompt).await?;
        let mut held = Zeroizing::new(Vec::with_capacity(most + 1));
        let mut byte = Zeroizing::new([0u8; 1]);
        loop {
            // Byte by byte: what comes after the end belongs to the next question.
            if self.stdin.read(&mut byte[..]).await.map_err(|_| Unread::Gone)? == 0 {
                return Err(Unread::Gone);
            }
            let [c] = *byte;
            // The other half of a line's end that was taken already.
            if std::mem::replace(&mut self.last, c) == b'\r' && c == b'\n' {
                continue;
            }
            if c == CTRL_C || (c == CTRL_D && held.is_empty()) {
                self.out("\n").await?;
                return Err(Unread::Given);
            }
            if ends(&held, c) {
                self.out("\n").await?;
                return Ok(held);
            }
            match c {
                0x7f | 0x08 => {
                    if held.pop().is_some() && echo {
                        self.out("\x08 \x08").await?;
                    }
                }
                0x15 => held.clear(),
                c => {
                    if held.len() == most {
                        return Err(Unread::TooLong);
                    }
                    let c = if c == b'\r' { b'\n' } else { c };
                    held.push(c);
                    if echo && (c == b'\n' || (0x20..0x7f).contains(&c)) {
                        self.out(char::from(c).encode_utf8(&mut [0; 4])).await?;
                    }
                }
            }
        }
    }

    async fn rest(&mut self, most: usize) -> Result<Zeroizing<Vec<u8>>, Unread> {
        let mut held = Zeroizing::new(vec![0; most + 1]);
        let mut filled = 0;
        while let Some(rest) = held.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.stdin.read(rest).await {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(_) => return Err(Unread::Gone),
            }
        }
        if filled > most {
            return Err(Unread::TooLong);
        }
        held.truncate(filled);
        Ok(held)
    }
}

const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;

/// A terminal in raw mode wants both halves of a line's end.
fn lines(text: &str, terminal: bool) -> String {
    if terminal { text.replace('\n', "\r\n") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn line(typed: &[u8], echo: bool) -> (Result<Zeroizing<Vec<u8>>, Unread>, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let got = Streams::new(typed, &mut out, &mut err, true).line("? ", echo).await;
        (got, String::from_utf8(out).unwrap())
    }

    #[tokio::test]
    async fn a_password_is_typed_without_echo_and_with_backspace() {
        let (got, seen) = line(b"hunterX\x7f2\r", false).await;
        assert_eq!(**got.as_ref().unwrap(), *b"hunter2");
        assert_eq!(seen, "? \r\n");
        let (got, seen) = line(b"yes\r", true).await;
        assert_eq!((got.unwrap().as_slice(), seen.as_str()), (&b"yes"[..], "? yes\r\n"));
    }

    #[tokio::test]
    async fn giving_up_is_no_answer() {
        assert!(matches!(line(b"hun\x03", false).await.0, Err(Unread::Given)));
        assert!(matches!(line(b"\x04", false).await.0, Err(Unread::Given)));
        assert!(matches!(line(b"hun", false).await.0, Err(Unread::Gone)));
        assert!(matches!(line(&[b'x'; MAX_LINE + 1], false).await.0, Err(Unread::TooLong)));
    }

    #[tokio::test]
    async fn a_pasted_key_ends_with_its_last_line() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let typed = b"-----BEGIN X-----\r\nAAAA\r\n-----END X-----\r\nphrase\r";
        let mut streams = Streams::new(&typed[..], &mut out, &mut err, true);
        assert_eq!(streams.key("").await.unwrap().len(), "-----BEGIN X-----\nAAAA\n-----END X-----\n".len());
        // The `\n` of the key's last line is no answer to the next question.
        assert_eq!(streams.line("", false).await.unwrap().as_slice(), b"phrase");
    }

    #[tokio::test]
    async fn a_stream_is_read_to_its_bound() {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let long = vec![b'x'; MAX_SECRET + 1];
        assert!(matches!(Streams::new(&long[..], &mut out, &mut err, false).secret().await, Err(Unread::TooLong)));
        assert_eq!(Streams::new(&b"hunter2\n"[..], &mut out, &mut err, false).secret().await.unwrap().len(), 8);
    }
}
