//! Keys as OpenSSL wrote them before PKCS#8: plain, or encrypted as their `DEK-Info` header says. MD5 and a single round
//! are that format's, so such a key is only ever read, never written.

use aws_lc_rs::cipher::{self, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

use super::envelope::Bytes;
use super::formats::OTHER_CIPHER;
use super::import::Error;
use super::keys::RawKey;
use super::pem::Pem;

/// Decrypts the body if it is encrypted, and has it parsed.
pub(super) fn read(pem: &Pem<'_>, passphrase: Option<&[u8]>, parse: fn(&[u8]) -> Result<RawKey, Error>) -> Result<RawKey, Error> {
    let Some(info) = pem.dek_info else { return parse(&pem.body) };
    let (name, iv) = info.split_once(',').ok_or(Error::Damaged)?;
    let (algorithm, length) = match name {
        "AES-128-CBC" => (&cipher::AES_128, 16),
        "AES-192-CBC" => (&cipher::AES_192, 24),
        "AES-256-CBC" => (&cipher::AES_256, 32),
        _ => return Err(Error::UnsupportedFormat(OTHER_CIPHER)),
    };
    let mut nonce = [0u8; 16];
    let decoded = unhex(iv.trim(), &mut nonce).ok_or(Error::Damaged)?;
    let key = md5_key(passphrase.ok_or(Error::NeedsPassphrase)?, decoded.get(..8).ok_or(Error::Damaged)?, length);
    let opener = UnboundCipherKey::new(algorithm, &key).and_then(PaddedBlockDecryptingKey::cbc_pkcs7).map_err(|_| Error::Damaged)?;
    let mut body = pem.body.clone();
    let context = DecryptionContext::Iv128(FixedLength::from(nonce));
    let plain = opener.decrypt(&mut body, context).map_err(|_| Error::WrongPassphrase)?;
    // One wrong passphrase in 256 leaves a padding that looks right, and then the parser finds garbage.
    parse(plain).map_err(|e| if matches!(e, Error::TooShort) { e } else { Error::WrongPassphrase })
}

fn unhex<'a>(text: &str, to: &'a mut [u8; 16]) -> Option<&'a [u8]> {
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in to.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(i * 2..i * 2 + 2)?, 16).ok()?;
    }
    Some(to)
}

/// OpenSSL's `EVP_BytesToKey` with MD5 and one round.
fn md5_key(passphrase: &[u8], salt: &[u8], length: usize) -> Bytes {
    let mut key: Bytes = Zeroizing::new(Vec::with_capacity(length + 16));
    while key.len() < length {
        let mut hash = md5::Context::new();
        hash.consume(key.get(key.len().saturating_sub(16)..).unwrap_or_default());
        hash.consume(passphrase);
        hash.consume(salt);
        key.extend_from_slice(&hash.finalize().0);
    }
    key.truncate(length);
    key
}
