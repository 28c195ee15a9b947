//! Frames on a stream, by the rules of `control::wire`. Nothing is buffered beside the frame that is read.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

use super::refuse;
use crate::control::Problem;
use crate::control::wire::{Frame, HEADER};
use crate::fault::Kind;
use crate::secret::Secret;

/// Writes a frame.
pub(super) async fn write(to: &mut (impl AsyncWrite + Unpin), frame: Frame, payload: &[u8]) -> io::Result<()> {
    let header = frame.header(payload.len()).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    to.write_all(&header).await?;
    to.write_all(payload).await?;
    to.flush().await
}

/// Writes a value as JSON. One that is too long for a frame becomes an error that says so.
pub(super) async fn json(to: &mut (impl AsyncWrite + Unpin), frame: Frame, value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(value)?;
    if text.len() > frame.most() {
        let problem = refuse(Kind::Limit, format!("the answer has {} bytes; {} are sent at most", text.len(), frame.most()));
        return write(to, Frame::Error, &serde_json::to_vec(&problem)?).await;
    }
    write(to, frame, &text).await
}

/// Reads a frame of this kind as JSON.
pub(super) async fn read_json<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin), wanted: Frame) -> Result<T, Problem> {
    parse(&read(from, wanted).await?)
}

/// Reads a secret into the one buffer that it will ever have here.
pub(super) async fn read_secret(from: &mut (impl AsyncRead + Unpin)) -> Result<Secret, Problem> {
    Ok(Secret::from_zeroizing(read(from, Frame::Secret).await?))
}

/// Reads a frame of one of two kinds: `true`, it is the second.
pub(super) async fn read_either(from: &mut (impl AsyncRead + Unpin), wanted: [Frame; 2]) -> Result<(bool, Zeroizing<Vec<u8>>), Problem> {
    let [first, second] = wanted;
    let (frame, payload) = read_one(from, |frame| frame == first || frame == second, first).await?;
    Ok((frame == second, payload))
}

/// Takes a payload apart as JSON.
pub(super) fn parse<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(payload).map_err(|e| refuse(Kind::Usage, format!("the request cannot be read: {e}")))
}

async fn read(from: &mut (impl AsyncRead + Unpin), wanted: Frame) -> Result<Zeroizing<Vec<u8>>, Problem> {
    Ok(read_one(from, |frame| frame == wanted, wanted).await?.1)
}

async fn read_one(
    from: &mut (impl AsyncRead + Unpin),
    taken: impl Fn(Frame) -> bool,
    wanted: Frame,
) -> Result<(Frame, Zeroizing<Vec<u8>>), Problem> {
    let broken = |e: io::Error| refuse(Kind::Usage, format!("the request broke off: {e}"));
    let mut header = [0; HEADER];
    from.read_exact(&mut header).await.map_err(broken)?;
    let (frame, length) = Frame::of(header).map_err(|e| refuse(Kind::Usage, e.to_string()))?;
    if !taken(frame) {
        return Err(refuse(Kind::Usage, format!("a {frame:?} frame came where {wanted:?} was due")));
    }
    let mut payload = Zeroizing::new(vec![0; length]);
    from.read_exact(&mut payload).await.map_err(broken)?;
    Ok((frame, payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::wire::Hello;

    #[tokio::test]
    async fn a_frame_survives_the_stream() {
        let (mut a, mut b) = tokio::io::duplex(64);
        let write_both = async {
            json(&mut a, Frame::Hello, &Hello::ours()).await.unwrap();
            write(&mut a, Frame::Secret, b"hunter2").await.unwrap();
        };
        let read_both = async {
            assert_eq!(read_json::<Hello>(&mut b, Frame::Hello).await.unwrap(), Hello::ours());
            assert_eq!(read_secret(&mut b).await.unwrap().len(), 7);
        };
        tokio::join!(write_both, read_both);
    }

    #[tokio::test]
    async fn what_is_too_long_unknown_or_out_of_turn_is_refused_before_a_byte_is_held() {
        for (bytes, says) in [
            (&b"S\x00\x01\x00\x01"[..], "65537 bytes"),
            (b"C\xff\xff\xff\xff", "bytes came"),
            (b"GET /", "another protocol"),
            (b"C\x00\x00\x00\x02{}", "Command frame came where Secret was due"),
            (b"S\x00\x00\x00\x05ab", "broke off"),
        ] {
            let mut from = bytes;
            let problem = read_secret(&mut from).await.unwrap_err();
            assert!(problem.message.contains(says), "{}", problem.message);
        }
    }

    #[tokio::test]
    async fn a_request_that_is_no_json_is_a_usage_error() {
        let mut from = &b"H\x00\x00\x00\x01{"[..];
        assert_eq!(read_json::<Hello>(&mut from, Frame::Hello).await.unwrap_err().kind, Kind::Usage);
    }
}
