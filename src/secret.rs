//! Bytes that must not be seen: wiped when dropped; never cloned, printed, compared or serialised.
//!
//! A [`Secret`] owns one heap buffer of exact capacity, so that no growth leaves a copy behind. Only the vault,
//! `target/login.rs` and `target/sudo.rs` may call [`Secret::expose`]; a test (`tests/house.rs`) counts the callers.

use std::fmt;
use std::io::{self, Read, Write};

use zeroize::Zeroizing;

/// The longest secret that is accepted: a 16384-bit RSA key in PEM is 12 KiB.
pub const MAX_SECRET: usize = 64 * 1024;

/// Secret bytes. Moving it moves a pointer; the bytes stay where they are until they are wiped.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over `bytes`. The caller's buffer becomes the secret's: nothing is copied.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Takes over a buffer that is wiped already.
    pub fn from_zeroizing(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// Reads to the end of `from`, unbuffered, into one buffer that never grows.
    ///
    /// # Errors
    /// `InvalidData` if more than [`MAX_SECRET`] bytes come; else what `from` returns.
    pub fn read_to_end(mut from: impl Read) -> io::Result<Self> {
        let held = read_at_most(&mut from, MAX_SECRET + 1)?;
        if held.len() > MAX_SECRET {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than 64 KiB"));
        }
        let mut exact = Vec::with_capacity(held.len());
        exact.extend_from_slice(&held);
        Ok(Self::new(exact))
    }

    /// One trailing newline (`\n` or `\r\n`) dropped, as for a password that was piped in.
    #[must_use]
    pub fn without_final_newline(mut self) -> Self {
        if self.0.last() == Some(&b'\n') {
            self.0.pop();
            if self.0.last() == Some(&b'\r') {
                self.0.pop();
            }
        }
        self
    }

    /// The bytes. Only for what uses a secret: the vault, `target/login.rs` and `target/sudo.rs`.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Writes the bytes to the daemon's socket and wipes them. For the local client, which has no other use for them.
    ///
    /// # Errors
    /// What `to` returns.
    pub fn pour(self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.0)
    }

    /// The first line, without its end. What else there was is wiped with it.
    #[must_use]
    pub fn first_line(mut self) -> Self {
        if let Some(end) = self.0.iter().position(|b| *b == b'\n') {
            self.0.truncate(end);
        }
        if self.0.last() == Some(&b'\r') {
            self.0.pop();
        }
        self
    }

    /// The SHA-256, by which tokens of 256 random bits are looked up. Of anything that could be guessed it would tell too much.
    pub fn sha256(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.0).as_ref());
        bytes
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Reads until the end or `most` bytes, unbuffered, into one buffer that never grows and is wiped.
///
/// # Errors
/// What `from` returns.
pub fn read_at_most(from: &mut impl Read, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut held = Zeroizing::new(vec![0u8; most]);
    let mut filled = 0;
    while let Some(rest) = held.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    held.truncate(filled);
    Ok(held)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_not_even_a_length() {
        assert_eq!(format!("{:?}", Secret::new(b"hunter2".to_vec())), "Secret(..)");
    }

    #[test]
    fn one_newline_is_dropped_and_no_more() {
        assert_eq!(Secret::new(b"a\n\n".to_vec()).without_final_newline().expose(), b"a\n");
        assert_eq!(Secret::new(b"a\r\n".to_vec()).without_final_newline().expose(), b"a");
        assert_eq!(Secret::new(b"a".to_vec()).without_final_newline().expose(), b"a");
    }

    #[test]
    fn a_token_is_a_files_first_line() {
        for text in ["kwa_x", "kwa_x\n", "kwa_x\r\n", "kwa_x\nmore\n"] {
            let token = Secret::new(text.as_bytes().to_vec()).first_line();
            assert_eq!(token.expose(), b"kwa_x", "{text:?}");
            assert_eq!(token.sha256(), Secret::new(b"kwa_x".to_vec()).sha256());
        }
    }

    #[test]
    fn a_secret_that_is_too_long_is_refused() {
        assert!(Secret::read_to_end(io::repeat(b'x')).is_err());
        assert_eq!(Secret::read_to_end(&b"abc"[..]).unwrap().expose(), b"abc");
    }
}
