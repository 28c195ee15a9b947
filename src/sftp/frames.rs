//! One side's stream, cut into packets as it comes in whatever pieces. Keeps the head of a packet, never its content.

use super::seen::Side;

/// What is kept of a packet at most: two long paths and what stands around them.
const HEAD_MAX: usize = 16 * 1024;
/// The longest packet that is believed in; OpenSSH takes 256 KiB.
const PACKET_MAX: u32 = 16 * 1024 * 1024;
/// The longest handle (draft-02 §6.3).
const HANDLE_MAX: u32 = 256;

/// SSH_FXP_WRITE and SSH_FXP_DATA: what follows their heads is content.
pub(super) const WRITE: u8 = 6;
pub(super) const DATA: u8 = 103;

/// A stream.
#[derive(Debug)]
pub(super) struct Frames {
    side: Side,
    /// The length field and the head.
    head: Vec<u8>,
    state: State,
    passed: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// A packet begins.
    Start,
    Head,
    /// Content, so many bytes more.
    Content(u32),
    /// What of a packet is not looked at.
    Rest(u32),
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A packet, from its type on. `cut`: it is longer than this.
    Packet { body: &'a [u8], cut: bool },
    /// Content of the packet that came last, which said how much there is.
    Content(&'a [u8]),
}

impl Frames {
    pub(super) fn new(side: Side) -> Self {
        Self { side, head: Vec::new(), state: State::Start, passed: 0 }
    }

    /// Bytes that were looked at.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// The next piece of `input`, which gets shorter by it; `None` once more is needed.
    ///
    /// # Errors
    /// Why this is no SFTP.
    pub(super) fn next<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8]) -> Result<Option<Piece<'s>>, String> {
        loop {
            match self.state {
                State::Start => {
                    self.head.clear();
                    self.state = State::Head;
                }
                State::Content(left) => {
                    if input.is_empty() && left > 0 {
                        return Ok(None);
                    }
                    let (bytes, left) = self.take(input, left);
                    self.state = if left == 0 { State::Start } else { State::Content(left) };
                    if !bytes.is_empty() {
                        return Ok(Some(Piece::Content(bytes)));
                    }
                }
                State::Rest(left) => {
                    let (_, left) = self.take(input, left);
                    if left > 0 {
                        self.state = State::Rest(left);
                        return Ok(None);
                    }
                    self.state = State::Start;
                }
                State::Head => {
                    let missing = self.wanted()?.saturating_sub(self.head.len());
                    if missing == 0 {
                        self.state = self.after_head()?;
                        let cut = matches!(self.state, State::Rest(1..));
                        return Ok(Some(Piece::Packet { body: self.head.get(4..).unwrap_or_default(), cut }));
                    }
                    if input.is_empty() {
                        return Ok(None);
                    }
                    let (bytes, _) = self.take(input, u32::try_from(missing).unwrap_or(u32::MAX));
                    self.head.extend_from_slice(bytes);
                }
            }
        }
    }

    /// At most `most` bytes of `input`, and how many of them are missing.
    fn take<'a>(&mut self, input: &mut &'a [u8], most: u32) -> (&'a [u8], u32) {
        let n = usize::try_from(most).unwrap_or(usize::MAX).min(input.len());
        let (taken, rest) = input.split_at_checked(n).unwrap_or((input, &[]));
        *input = rest;
        self.passed = self.passed.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        (taken, most.saturating_sub(u32::try_from(n).unwrap_or(u32::MAX)))
    }

    fn number(&self, at: usize) -> Option<u32> {
        self.head.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// How long the head must be, its length field counted, as far as can be told by what there is of it.
    fn wanted(&self) -> Result<usize, String> {
        let Some(length) = self.number(0) else { return Ok(4) };
        if length == 0 || length > PACKET_MAX {
            return Err(format!("a packet of {length} bytes"));
        }
        let Some(kind) = self.head.get(4) else { return Ok(5) };
        let within = |most: usize| usize::try_from(length).unwrap_or(usize::MAX).min(most).saturating_add(4);
        let wanted = match (self.side, *kind) {
            (Side::Client, WRITE) => match self.number(9) {
                None => 13,
                Some(handle) if handle > HANDLE_MAX => return Err(format!("a handle of {handle} bytes")),
                Some(handle) => usize::try_from(handle).unwrap_or(usize::MAX).saturating_add(25),
            },
            (Side::Client, _) => return Ok(within(HEAD_MAX)),
            (Side::Host, DATA) => 13,
            // Status with its words, a handle, attributes.
            (Side::Host, 101 | 102 | 105) => return Ok(within(1024)),
            // Names, and answers that are nobody's here: the request's number is enough.
            (Side::Host, _) => return Ok(within(5)),
        };
        if wanted > within(usize::MAX - 4) {
            return Err(super::fields::MALFORMED.to_owned());
        }
        Ok(wanted)
    }

    /// What follows a head that is complete.
    fn after_head(&self) -> Result<State, String> {
        let length = self.number(0).unwrap_or(0);
        let kept = u32::try_from(self.head.len().saturating_sub(4)).unwrap_or(u32::MAX);
        let left = length.saturating_sub(kept);
        match (self.side, self.head.get(4)) {
            (Side::Client, Some(&WRITE)) | (Side::Host, Some(&DATA)) => {
                let content = self.number(self.head.len().saturating_sub(4)).unwrap_or(0);
                if content == left {
                    Ok(State::Content(left))
                } else {
                    Err(format!("a packet with room for {left} bytes of content and {content} in it"))
                }
            }
            _ => Ok(State::Rest(left)),
        }
    }
}
