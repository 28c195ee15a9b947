//! What a command wrote, as far as it is kept for its agent: masked, bounded, both streams apart. What is beyond the bound is
//! counted and dropped; what was masked is counted, and never kept.

use std::sync::Mutex;

use aws_lc_rs::digest::{SHA256, digest};
use tokio::sync::watch;

use crate::masking::Masker;
use crate::store::proposals::OutputRow;

/// One of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Where a stream stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes that the command wrote.
    pub written: u64,
    /// Bytes that are kept, after masking.
    pub kept: u64,
    /// Bytes beyond the bound, not kept.
    pub left_out: u64,
    /// Secrets that were masked.
    pub masked: u64,
}

/// A part of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Where the next part begins.
    pub next: usize,
}

#[derive(Default)]
struct Kept {
    bytes: Vec<u8>,
    masker: Masker,
    written: u64,
    left_out: u64,
}

/// The output of one run.
pub struct Output {
    most: usize,
    out: Mutex<Kept>,
    err: Mutex<Kept>,
    changed: watch::Sender<u64>,
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output").field("out", &self.tally(Stream::Out)).field("err", &self.tally(Stream::Err)).finish()
    }
}

impl Output {
    /// Nothing yet; of each stream at most `most` bytes will be kept.
    pub(super) fn new(most: u64) -> Self {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        Self { most, out: Mutex::default(), err: Mutex::default(), changed: watch::channel(0).0 }
    }

    fn of(&self, stream: Stream) -> &Mutex<Kept> {
        match stream {
            Stream::Out => &self.out,
            Stream::Err => &self.err,
        }
    }

    /// Takes what the command wrote.
    pub(super) fn write(&self, stream: Stream, data: &[u8]) {
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let most = self.most;
        self.change(stream, |kept, out| {
            kept.written = kept.written.saturating_add(length);
            if kept.bytes.len() < most {
                kept.masker.feed(data, out);
            } else {
                // Nobody will see it, so nothing in it has to be found.
                kept.left_out = kept.left_out.saturating_add(length);
            }
        });
    }

    /// The command writes no more.
    pub(super) fn finish(&self) {
        for stream in [Stream::Out, Stream::Err] {
            self.change(stream, |kept, out| kept.masker.finish(out));
        }
    }

    fn change(&self, stream: Stream, change: impl FnOnce(&mut Kept, &mut Vec<u8>)) {
        if let Ok(mut kept) = self.of(stream).lock() {
            let mut fresh = Vec::new();
            change(&mut kept, &mut fresh);
            let room = self.most.saturating_sub(kept.bytes.len());
            let taken = fresh.len().min(room);
            if let Some(fits) = fresh.get(..taken) {
                kept.bytes.extend_from_slice(fits);
            }
            kept.left_out = kept.left_out.saturating_add(u64::try_from(fresh.len() - taken).unwrap_or(u64::MAX));
        }
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// At most `most` bytes of a stream from `from` on.
    pub fn read(&self, stream: Stream, from: usize, most: usize) -> Part {
        let Ok(kept) = self.of(stream).lock() else { return Part::default() };
        let from = from.min(kept.bytes.len());
        let next = from.saturating_add(most).min(kept.bytes.len());
        Part { bytes: kept.bytes.get(from..next).unwrap_or_default().to_vec(), next }
    }

    /// Where a stream stands.
    pub fn tally(&self, stream: Stream) -> Tally {
        self.of(stream).lock().map_or_else(
            |_| Tally::default(),
            |k| Tally {
                written: k.written,
                kept: u64::try_from(k.bytes.len()).unwrap_or(u64::MAX),
                left_out: k.left_out,
                masked: k.masker.counts().map(|(_, n)| n).sum(),
            },
        )
    }

    /// Changes whenever something was written.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Sizes, and the digests of what is kept. Not of what the command wrote: a digest of a secret is a secret's shadow.
    pub(super) fn row(&self) -> OutputRow {
        let sha256 = |stream| {
            let kept = self.of(stream).lock().ok()?;
            <[u8; 32]>::try_from(digest(&SHA256, &kept.bytes).as_ref()).ok()
        };
        let (out, err) = (self.tally(Stream::Out), self.tally(Stream::Err));
        OutputRow {
            out_bytes: out.written,
            err_bytes: err.written,
            out_sha256: sha256(Stream::Out),
            err_sha256: sha256(Stream::Err),
            masked: out.masked + err.masked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_bound_is_counted_and_dropped() {
        let output = Output::new(10);
        output.write(Stream::Out, b"0123456");
        output.write(Stream::Out, b"789abc");
        output.write(Stream::Err, b"oops");
        output.finish();
        assert_eq!(output.read(Stream::Out, 0, 100), Part { bytes: b"0123456789".to_vec(), next: 10 });
        assert_eq!(output.read(Stream::Out, 8, 1), Part { bytes: b"8".to_vec(), next: 9 });
        assert_eq!(output.read(Stream::Out, 99, 1), Part { bytes: vec![], next: 10 });
        assert_eq!(output.tally(Stream::Out), Tally { written: 13, kept: 10, left_out: 3, masked: 0 });
        assert_eq!(output.read(Stream::Err, 0, 100).bytes, b"oops");
    }
}
