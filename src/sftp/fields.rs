//! The fields of a packet's head, read one after the other. Knows no packet.

use super::seen::Text;

/// What is left of a head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    /// The packet is longer than its head that was kept.
    cut: bool,
}

/// A field is missing or longer than its packet.
pub(super) const MALFORMED: &str = "a packet is shorter than what it should hold";

impl<'a> Fields<'a> {
    pub(super) fn new(rest: &'a [u8], cut: bool) -> Self {
        Self { rest, cut }
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(MALFORMED)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, String> {
        self.take(1)?.first().copied().ok_or_else(|| MALFORMED.to_owned())
    }

    pub(super) fn u32(&mut self) -> Result<u32, String> {
        self.take(4)?.try_into().map(u32::from_be_bytes).map_err(|_| MALFORMED.to_owned())
    }

    pub(super) fn u64(&mut self) -> Result<u64, String> {
        self.take(8)?.try_into().map(u64::from_be_bytes).map_err(|_| MALFORMED.to_owned())
    }

    /// A string that must be there as a whole.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], String> {
        let n = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        self.take(n)
    }

    /// A string that may go beyond what was kept of a long packet: then nothing after it is known.
    pub(super) fn text(&mut self) -> Result<Text, String> {
        if self.cut && self.rest.len() < 4 {
            self.rest = &[];
            return Ok(Text::new(&[], true));
        }
        let n = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if self.cut && n > self.rest.len() {
            let text = Text::new(self.rest, true);
            self.rest = &[];
            return Ok(text);
        }
        Ok(Text::new(self.take(n)?, false))
    }

    /// What attributes say is to be set (draft-02 §5).
    pub(super) fn attributes(&mut self) -> Attributes {
        let mut out = Attributes::default();
        let mut words = Vec::new();
        let mut read = || -> Result<(), String> {
            let flags = self.u32()?;
            if flags & 1 != 0 {
                let size = self.u64()?;
                out.size = Some(size);
                words.push(format!("size {size}"));
            }
            if flags & 2 != 0 {
                words.push(format!("owner {}:{}", self.u32()?, self.u32()?));
            }
            if flags & 4 != 0 {
                words.push(format!("mode {:04o}", self.u32()? & 0o7777));
            }
            if flags & 8 != 0 {
                self.u64()?;
                words.push("times".to_owned());
            }
            if flags & 0x8000_0000 != 0 {
                words.push("extended attributes".to_owned());
            }
            Ok(())
        };
        // What is missing at the end of a long packet is not told; the operation is.
        let _ = read();
        out.words = words.join(", ");
        out
    }
}

/// Attributes of a file, as far as they are told.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    pub(super) size: Option<u64>,
    pub(super) words: String,
}
