//! Bytes between a client and the SDK: in, message by message within a bound; out, to the end. Never looks into a message.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes that are moved at a time.
const PIECE: usize = 16 * 1024;

/// Why a client is not listened to any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It said all that it had to say, or is gone.
    All,
    /// It sent a message that is longer than is taken.
    TooLong,
}

/// Hands over what the client sends until its end, or until a message is longer than `most` bytes. The end is passed on.
pub(super) async fn inward(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, most: usize) -> Heard {
    let mut piece = vec![0; PIECE];
    let mut length = 0usize;
    loop {
        let read = match from.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(read) => piece.get(..read).unwrap_or_default(),
        };
        let mut lines = read.split(|b| *b == b'\n');
        length = length.saturating_add(lines.next().map_or(0, <[u8]>::len));
        let mut too_long = length > most;
        for line in lines {
            length = line.len();
            too_long = too_long || length > most;
        }
        if too_long {
            return Heard::TooLong;
        }
        if to.write_all(read).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
    Heard::All
}

/// Hands over what the service says until its end, or until the client is gone. `between` is set where no message is cut.
pub(super) async fn outward(mut from: impl AsyncRead + Unpin, to: &mut (impl AsyncWrite + Unpin), between: &AtomicBool) {
    let mut piece = vec![0; PIECE];
    loop {
        let read = match from.read(&mut piece).await {
            Ok(0) | Err(_) => break,
            Ok(read) => piece.get(..read).unwrap_or_default(),
        };
        between.store(false, Ordering::Relaxed);
        if to.write_all(read).await.is_err() || to.flush().await.is_err() {
            return;
        }
        between.store(read.ends_with(b"\n"), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn heard(sent: &[u8]) -> (Heard, Vec<u8>) {
        let mut got = Vec::new();
        let heard = inward(sent, &mut got, 10).await;
        (heard, got)
    }

    #[tokio::test]
    async fn a_message_has_a_bound_and_the_stream_has_none() {
        let many = b"0123456789\n".repeat(5000);
        assert_eq!(heard(&many).await, (Heard::All, many));
        assert_eq!(heard(b"no newline").await, (Heard::All, b"no newline".to_vec()));
        for long in [&b"01234567890"[..], b"ok\n01234567890", b"01234567890\nok\n", b"ok\n01234567890\nok\n"] {
            assert_eq!(heard(long).await.0, Heard::TooLong, "{long:?}");
        }
    }
}
