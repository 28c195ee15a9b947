//! One-time codes as an authenticator shows them (RFC 6238: SHA-1, six digits, thirty seconds), and the secret as it is told to one.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;

/// Seconds of one step.
pub(crate) const STEP: u64 = 30;

/// Seconds since 1970.
pub(crate) fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// The code of a step.
pub(crate) fn code(secret: &[u8], step: u64) -> String {
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret), &step.to_be_bytes());
    let mac = mac.as_ref();
    let offset = usize::from(mac[19] & 15);
    let number = u32::from_be_bytes(mac[offset..offset + 4].try_into().expect("four bytes")) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// Base 32 (RFC 4648) without padding.
pub(crate) fn decoded(base32: &str) -> Vec<u8> {
    let digit = |c: u8| if c.is_ascii_digit() { c - b'2' + 26 } else { c - b'A' };
    let bits: String = base32.bytes().map(|c| format!("{:05b}", digit(c))).collect();
    let byte = |bits: &[u8]| u8::from_str_radix(std::str::from_utf8(bits).expect("digits"), 2).expect("a byte");
    bits.as_bytes().chunks_exact(8).map(byte).collect()
}
