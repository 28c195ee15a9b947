//! A reader's buffer that is as large as its stream is busy: bulk transfers save system calls, idle connections memory.
//! Writes pass through. Knows nothing of what it carries.
//!
//! A fixed buffer of the large size would cost an idle connection nothing while it lives, since untouched pages are not
//! resident – but the allocator overwrites what it frees, and then all of it is.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a connection begins with, in bytes.
const SMALL: usize = 8 * 1024;
/// What a busy one grows to.
const LARGE: usize = 256 * 1024;
/// So many reads in a row that fill less than a sixteenth of it, and it is small again.
const FEW: u32 = 64;

/// A stream with such a buffer.
#[derive(Debug)]
pub struct Buffered<S> {
    stream: S,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    few: u32,
}

impl<S> Buffered<S> {
    /// Around `stream`.
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: vec![0; SMALL], start: 0, end: 0, few: 0 }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Buffered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = &mut *self;
        if me.start == me.end {
            // The last read filled it: there is more than it holds.
            if me.end == me.buffer.len() && me.end < LARGE {
                me.buffer = vec![0; me.end * 2];
            } else if me.few >= FEW && me.buffer.len() > SMALL {
                me.buffer = vec![0; SMALL];
            }
            (me.start, me.end) = (0, 0);
            let mut fill = ReadBuf::new(&mut me.buffer);
            ready!(Pin::new(&mut me.stream).poll_read(cx, &mut fill))?;
            me.end = fill.filled().len();
            me.few = if me.end < me.buffer.len() / 16 { me.few.saturating_add(1) } else { 0 };
        }
        let held = me.buffer.get(me.start..me.end).unwrap_or_default();
        let n = held.len().min(out.remaining());
        out.put_slice(held.get(..n).unwrap_or_default());
        me.start += n;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Buffered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_goes_in_comes_out_and_the_buffer_grows_only_when_it_is_full() {
        let sent: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
        let mut stream = Buffered::new(&sent[..]);
        let mut head = [0; 4];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(stream.buffer.len(), SMALL);
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!([&head[..], &rest].concat(), sent);
        assert_eq!(stream.buffer.len(), LARGE);

        let mut idle = Buffered::new(&b"a little"[..]);
        let mut text = String::new();
        idle.read_to_string(&mut text).await.unwrap();
        assert_eq!((text.as_str(), idle.buffer.len()), ("a little", SMALL));
    }

    #[tokio::test]
    async fn a_stream_that_is_not_busy_any_more_has_a_small_buffer_again() {
        let (mut near, far) = tokio::io::duplex(LARGE);
        let mut far = Buffered::new(far);
        let mut taken = vec![0; LARGE];
        while far.buffer.len() < LARGE {
            near.write_all(&taken).await.unwrap();
            far.read_exact(&mut taken).await.unwrap();
        }
        for _ in 0..=FEW {
            near.write_all(b"x").await.unwrap();
            far.read_exact(&mut taken[..1]).await.unwrap();
        }
        assert_eq!(far.buffer.len(), SMALL);
    }
}
