//! A root key as a line of text, the same at every source: a word with a version, and 32 bytes in base64. Pure.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::Error;
use crate::vault::envelope::{Bytes, KEY};

const PREFIX: &[u8] = b"keyward-root-key-1 ";
const BASE64: usize = 44;

/// The key in a line; `None` if it is none.
pub(super) fn parse(text: &[u8]) -> Option<Bytes> {
    let rest = text.strip_prefix(PREFIX)?;
    let (encoded, end) = rest.split_at_checked(BASE64)?;
    let mut key = Zeroizing::new(vec![0u8; KEY]);
    let fits = matches!(end, b"" | b"\n" | b"\r\n") && Base64::decode(encoded, &mut key).is_ok_and(|k| k.len() == KEY);
    fits.then_some(key)
}

/// The line of a key, with its end.
///
/// # Errors
/// None in practice: the length is fixed.
pub(super) fn render(key: &Bytes) -> Result<Bytes, Error> {
    let mut text = Zeroizing::new(vec![0u8; PREFIX.len() + BASE64 + 1]);
    let (prefix, rest) = text.split_at_mut(PREFIX.len());
    prefix.copy_from_slice(PREFIX);
    Base64::encode(key, rest).map_err(|_| Error::NoRandom)?;
    if let Some(last) = rest.last_mut() {
        *last = b'\n';
    }
    Ok(text)
}
