//! Looks at what a client can do before the broker says what it can: OpenSSH's clients put ChaCha20 first and the client's
//! order wins, but AES-GCM is twice as fast on every machine with AES instructions. So a client that speaks GCM is offered
//! nothing else, and every other client the whole list. Only the unencrypted first bytes are read; nothing is answered.
//!
//! The broker's identification is sent here, since clients send their KEXINIT (RFC 4253 §7.1) only after it; russh, which
//! would send it once more, is then given a stream that drops its copy and begins with the bytes that were read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

/// How long a client may take for its KEXINIT before it is offered the whole list. Clients send it at once.
const PATIENCE: Duration = Duration::from_millis(500);
/// The most bytes that are looked at: RFC 4253 allows 255 for the identification and 35000 for a packet.
const MOST: usize = 36_000;
/// The message number of KEXINIT.
const KEXINIT: u8 = 20;

/// A stream whose first bytes were read already, and whose first line out was written already.
#[derive(Debug)]
pub(super) struct Peeked<S> {
    stream: S,
    read: Vec<u8>,
    given: usize,
    /// Bytes of the identification that russh still has to write and that are dropped.
    drop_out: usize,
}

/// Sends `identification` and looks at the client's first bytes. `true`: it speaks AES-GCM both ways.
pub(super) async fn peek<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, identification: &[u8]) -> io::Result<(Peeked<S>, bool)> {
    stream.write_all(identification).await?;
    stream.flush().await?;
    let mut read = Vec::with_capacity(4096);
    let look = async {
        loop {
            match speaks_gcm(&read) {
                Look::Known(gcm) => return Ok::<bool, io::Error>(gcm),
                Look::More if read.len() >= MOST => return Ok(false),
                Look::More => {}
            }
            if stream.read_buf(&mut read).await? == 0 {
                return Ok(false);
            }
        }
    };
    let gcm = tokio::time::timeout(PATIENCE, look).await.unwrap_or(Ok(false))?;
    Ok((Peeked { stream, read, given: 0, drop_out: identification.len() }, gcm))
}

#[derive(Debug, PartialEq, Eq)]
enum Look {
    More,
    Known(bool),
}

/// Whether a client's identification and KEXINIT offer AES-GCM in both directions.
fn speaks_gcm(bytes: &[u8]) -> Look {
    let Some(line) = bytes.iter().position(|b| *b == b'\n') else { return if bytes.len() > 255 { Look::Known(false) } else { Look::More } };
    let packet = bytes.get(line + 1..).unwrap_or_default();
    let Some((length, rest)) = packet.split_first_chunk::<4>() else { return Look::More };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > 35_000 {
        return Look::Known(false);
    }
    let Some(body) = rest.get(..length) else { return Look::More };
    Look::Known(
        lists(body)
            .is_some_and(|lists| lists.iter().all(|list| list.split(|b| *b == b',').any(|name| name.ends_with(b"-gcm@openssh.com")))),
    )
}

/// [`speaks_gcm`] for `fuzz/`.
#[cfg(feature = "fuzzing")]
pub(super) fn known(bytes: &[u8]) -> Option<bool> {
    match speaks_gcm(bytes) {
        Look::Known(gcm) => Some(gcm),
        Look::More => None,
    }
}

/// The lists of ciphers, client to server and server to client, of a KEXINIT packet.
fn lists(body: &[u8]) -> Option<[&[u8]; 2]> {
    let (_padding, payload) = body.split_first()?;
    let (message, mut rest) = payload.split_first()?;
    if *message != KEXINIT {
        return None;
    }
    rest = rest.get(16..)?;
    let mut found = [&[][..]; 4];
    for list in &mut found {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        *list = after.get(..length)?;
        rest = after.get(length..)?;
    }
    let [_kex, _keys, out, back] = found;
    Some([out, back])
}

impl<S: AsyncRead + Unpin> AsyncRead for Peeked<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let left = self.read.get(self.given..).unwrap_or_default();
        if left.is_empty() {
            if self.given > 0 {
                self.read = Vec::new();
                self.given = 0;
            }
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let n = left.len().min(buf.remaining());
        buf.put_slice(left.get(..n).unwrap_or_default());
        self.given += n;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Peeked<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.drop_out > 0 && !bytes.is_empty() {
            let n = bytes.len().min(self.drop_out);
            self.drop_out -= n;
            return Poll::Ready(Ok(n));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }
    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.drop_out > 0 {
            let first = bytes.iter().find(|b| !b.is_empty()).map_or(&[][..], |b| b);
            return self.poll_write(cx, first);
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }
    fn is_write_vectored(&self) -> bool {
        self.drop_out == 0 && self.stream.is_write_vectored()
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
    use super::*;

    fn kexinit(ciphers: &str) -> Vec<u8> {
        let mut payload = vec![KEXINIT];
        payload.extend([7; 16]);
        for list in ["curve25519-sha256", "ssh-ed25519", ciphers, ciphers, "hmac-sha2-256"] {
            payload.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
            payload.extend(list.as_bytes());
        }
        let mut packet = u32::try_from(payload.len() + 5).unwrap().to_be_bytes().to_vec();
        packet.push(4);
        packet.extend(payload);
        packet.extend([0; 4]);
        packet
    }

    fn hello(ciphers: &str) -> Vec<u8> {
        let mut bytes = b"SSH-2.0-OpenSSH_9.2\r\n".to_vec();
        bytes.extend(kexinit(ciphers));
        bytes
    }

    #[test]
    fn gcm_is_seen_wherever_it_stands() {
        assert_eq!(speaks_gcm(&hello("chacha20-poly1305@openssh.com,aes128-ctr,aes128-gcm@openssh.com")), Look::Known(true));
        assert_eq!(speaks_gcm(&hello("chacha20-poly1305@openssh.com,aes256-ctr")), Look::Known(false));
        let whole = hello("aes256-gcm@openssh.com");
        for cut in 0..whole.len() {
            assert_eq!(speaks_gcm(&whole[..cut]), Look::More, "{cut}");
        }
    }

    #[test]
    fn whatever_a_stranger_sends_is_bounded_and_panics_nothing() {
        use proptest::prelude::*;
        proptest!(|(bytes in proptest::collection::vec(any::<u8>(), 0..600))| {
            let _ = speaks_gcm(&bytes);
            let mut led = b"SSH-2.0-x\n\0\0\x01\0".to_vec();
            led.extend(&bytes);
            let _ = speaks_gcm(&led);
        });
        assert_eq!(speaks_gcm(b"SSH-2.0-x\n\xff\xff\xff\xff"), Look::Known(false));
        assert_eq!(speaks_gcm(&[b'x'; 300]), Look::Known(false));
    }

    #[tokio::test]
    async fn what_was_read_comes_again_and_what_was_sent_does_not() {
        let (broker, mut client) = tokio::io::duplex(1 << 16);
        client.write_all(&hello("aes128-gcm@openssh.com")).await.unwrap();
        let (mut peeked, gcm) = peek(broker, b"SSH-2.0-K\r\n").await.unwrap();
        assert!(gcm);
        peeked.write_all(b"SSH-2.0-K\r\nnext").await.unwrap();
        client.write_all(b"more").await.unwrap();
        drop(peeked.flush().await);
        let mut got = vec![0; hello("aes128-gcm@openssh.com").len() + 4];
        peeked.read_exact(&mut got).await.unwrap();
        assert!(got.ends_with(b"more") && got.starts_with(b"SSH-2.0-OpenSSH_9.2"));
        let mut seen = [0; 15];
        client.read_exact(&mut seen).await.unwrap();
        assert_eq!(&seen, b"SSH-2.0-K\r\nnext");
    }
}
