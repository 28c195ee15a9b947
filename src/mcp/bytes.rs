//! Bytes as JSON can carry them: text where they are UTF-8, else base64, and which of the two is said. Never loses one.

use base64ct::{Base64, Encoding};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;

/// Bytes; exactly one of the two is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Bytes {
    /// The bytes, if they are UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    /// The bytes in base64, if they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) base64: Option<String>,
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self { text: Some(text.to_owned()), base64: None },
            Err(_) => Self { text: None, base64: Some(Base64::encode_string(bytes)) },
        }
    }
}

/// How many of these bytes to hand out, so that no character is cut that would be whole in the next part.
pub(super) fn whole(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        // The end is the beginning of a character; what is before it is text.
        Err(e) if e.error_len().is_none() && e.valid_up_to() > 0 => e.valid_up_to(),
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_text_and_the_rest_is_base64() {
        assert_eq!(Bytes::from("ä\n\0".as_bytes()).text.as_deref(), Some("ä\n\0"));
        assert_eq!(Bytes::from(&[0xff, 0x00][..]).base64.as_deref(), Some("/wA="));
        assert_eq!(Bytes::from(&[][..]).text.as_deref(), Some(""));
    }

    #[test]
    fn no_character_is_cut_and_nothing_is_stuck() {
        let text = "aä€😀".as_bytes();
        for cut in 1..=text.len() {
            let whole = whole(&text[..cut]);
            assert!(whole > 0 && std::str::from_utf8(&text[..whole]).is_ok(), "{cut}");
        }
        // Half a character alone, and bytes that are no text, go out as they are.
        assert_eq!(whole(&[0xc3]), 1);
        assert_eq!(whole(&[b'a', 0xff, b'b', 0xc3]), 4);
    }
}
