//! What a host says before its version line (RFC 4253 §4.2) – warnings, legal notices – is read and dropped, line by line, as OpenSSH's
//! client does. Keeps nothing of it, and shows it to nobody: it comes before the host has proven who it is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most lines before the version line, and the most bytes of one: what OpenSSH's client takes. The time is that of the key exchange.
const LINES_MAX: usize = 1024;
const LINE_MAX: usize = 8192;
/// What the version line begins with.
const VERSION: &[u8] = b"SSH-";
/// Bytes that are read at once.
const PIECE: usize = 4096;

/// A stream of a host from its version line on. Writes pass through.
#[derive(Debug)]
pub(super) struct Preamble<S> {
    stream: S,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The version line has not come yet.
    Before(Lines),
    /// It was read with what is here, from this place on.
    Held(Vec<u8>, usize),
    /// All that was read ahead is passed on.
    After,
}

/// Where in the lines before the version line a reader is.
#[derive(Debug, Default)]
struct Lines {
    lines: usize,
    length: usize,
    /// How many bytes of this line are those of a version line; `None`: it is another.
    alike: Option<usize>,
}

impl Lines {
    fn new() -> Self {
        Self { alike: Some(0), ..Self::default() }
    }

    /// Takes bytes; `Some`: what follows the first bytes of the version line.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> io::Result<Option<&'a [u8]>> {
        let mut bytes = bytes.iter();
        while let Some(byte) = bytes.next() {
            self.alike = self.alike.filter(|at| VERSION.get(*at) == Some(byte)).map(|at| at.saturating_add(1));
            if self.alike == Some(VERSION.len()) {
                return Ok(Some(bytes.as_slice()));
            }
            self.length = self.length.saturating_add(1);
            let too_long = self.length > LINE_MAX;
            if *byte == b'\n' {
                let lines = self.lines.saturating_add(1);
                *self = Self { lines, ..Self::new() };
            }
            if too_long || self.lines > LINES_MAX {
                let why = format!("before its version it says more than {LINES_MAX} lines, or one of more than {LINE_MAX} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
        }
        Ok(None)
    }
}

impl<S> Preamble<S> {
    /// Around the stream of a host that has said nothing yet.
    pub(super) fn new(stream: S) -> Self {
        Self { stream, stage: Stage::Before(Lines::new()) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Preamble<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = &mut *self;
        loop {
            match &mut me.stage {
                Stage::After => return Pin::new(&mut me.stream).poll_read(cx, out),
                Stage::Held(held, at) => {
                    let rest = held.get(*at..).unwrap_or_default();
                    let now = rest.get(..out.remaining()).unwrap_or(rest);
                    out.put_slice(now);
                    *at = at.saturating_add(now.len());
                    if *at >= held.len() {
                        me.stage = Stage::After;
                    }
                    return Poll::Ready(Ok(()));
                }
                Stage::Before(lines) => {
                    let mut piece = [0; PIECE];
                    let mut piece = ReadBuf::new(&mut piece);
                    ready!(Pin::new(&mut me.stream).poll_read(cx, &mut piece))?;
                    if piece.filled().is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                    if let Some(rest) = lines.take(piece.filled())? {
                        me.stage = Stage::Held([VERSION, rest].concat(), 0);
                    }
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Preamble<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Where the version begins in what is said in these pieces, for `fuzz/`.
#[cfg(feature = "fuzzing")]
pub(super) fn version_in(pieces: &[&[u8]]) -> io::Result<Option<usize>> {
    let (mut lines, mut passed) = (Lines::new(), 0_usize);
    for piece in pieces {
        passed = passed.saturating_add(piece.len());
        if let Some(rest) = lines.take(piece)? {
            return Ok(Some(passed.saturating_sub(rest.len()).saturating_sub(VERSION.len())));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What is read of a host that says this, so many bytes at a time.
    async fn read(says: &[u8], at_once: usize) -> io::Result<Vec<u8>> {
        let (mut host, stream) = tokio::io::duplex(64 * 1024);
        let saying = async move {
            for piece in says.chunks(at_once) {
                if host.write_all(piece).await.is_err() {
                    break;
                }
            }
        };
        let mut heard = Vec::new();
        let mut preamble = Preamble::new(stream);
        let (_, read) = tokio::join!(saying, async {
            let read = preamble.read_to_end(&mut heard).await;
            drop(preamble);
            read
        });
        read.map(|_| heard)
    }

    #[tokio::test]
    async fn it_begins_with_the_version_line_however_it_comes() {
        let says = b"Warning\r\n\nSSH\r\nSSSH-2.0-no\nxSSH-\nSSH-2.0-host\r\nSSH-packets\n";
        for at_once in [1, 2, 3, 5, 7, 4096] {
            assert_eq!(read(says, at_once).await.unwrap(), b"SSH-2.0-host\r\nSSH-packets\n", "{at_once}");
        }
        assert_eq!(read(b"no version\n", 4096).await.unwrap(), b"");
        let long = [b"SSH-2.0-x\r\n".to_vec(), vec![7; 100_000]].concat();
        assert_eq!(read(&long, 9000).await.unwrap(), long, "what follows is passed on whole");
    }

    #[tokio::test]
    async fn as_much_as_the_stock_client_takes_and_no_more() {
        let lines =
            |count: usize, length: usize| [[vec![b'x'; length - 1], vec![b'\n']].concat().repeat(count), b"SSH-2.0-h\n".to_vec()].concat();
        assert_eq!(read(&lines(LINES_MAX, LINE_MAX), 4096).await.unwrap(), b"SSH-2.0-h\n");
        assert_eq!(read(&lines(LINES_MAX + 1, 2), 4096).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(read(&lines(1, LINE_MAX + 1), 4096).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
