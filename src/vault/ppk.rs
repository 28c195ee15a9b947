//! PuTTY's own files of private keys (`.ppk`), versions 2 and 3. Nothing of the private half is looked at before the file's
//! MAC holds, and nothing is derived from a passphrase for a key that is not taken. Such a file is only ever read, never written.

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::cipher::{AES_256, DecryptingKey, DecryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::signature::RsaKeyPair;
use aws_lc_rs::{digest, hmac};
use base64ct::{Base64, Encoding};
use russh::keys::ssh_key::private::{KeypairData, RsaKeypair, RsaPrivateKey};
use russh::keys::ssh_key::{Mpint, PrivateKey, PublicKey, public::KeyData};
use zeroize::Zeroizing;

use super::envelope::Bytes;
use super::formats::{self, OTHER_CIPHER};
use super::import::{Error, MAX_ARGON2_MEMORY, MAX_ARGON2_WORK};
use super::keys::RawKey;
use super::wire::{Reader, put_string};
use crate::model::KeyKind;

/// How every such file begins.
pub(super) const HEAD: &[u8] = b"PuTTY-User-Key-File-";
/// Of a version that is not read.
pub(super) const OTHER_VERSION: &str = "this version of PuTTY's format";
/// PuTTY keeps a certificate in the place of the public key.
pub(super) const CERTIFIED: &str = "a PuTTY key that holds a certificate";
const ED448: &str = "an Ed448 key (OpenSSH has none, so hardly a host takes it)";

/// The block of the cipher, and what a private half is padded to.
const BLOCK: usize = 16;
const AES_KEY: usize = 32;
const SHA1: usize = 20;
/// The most lines of base64 in one part: a 16384-bit RSA key has 150.
const MAX_LINES: usize = 1000;
/// The most lanes of Argon2.
const MAX_LANES: u32 = 16;

/// Key, first block and key of the MAC, from a passphrase.
struct Derived {
    cipher: Bytes,
    iv: Bytes,
    mac: Bytes,
}

/// What the file says, before anything in it is believed.
struct File<'a> {
    version: u8,
    algorithm: &'a [u8],
    encryption: &'a [u8],
    comment: &'a [u8],
    public: Bytes,
    derivation: Option<Derivation<'a>>,
    private: Bytes,
    mac: Vec<u8>,
}

/// How version 3 makes keys of a passphrase.
struct Derivation<'a> {
    flavour: &'a [u8],
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
}

/// Reads a `.ppk` file.
pub(super) fn read(file: &[u8], passphrase: Option<&[u8]>) -> Result<RawKey, Error> {
    let file = File::parse(file)?;
    let kind = file.kind()?;
    let encrypted = match file.encryption {
        b"none" => false,
        b"aes256-cbc" => true,
        _ => return Err(Error::UnsupportedFormat(OTHER_CIPHER)),
    };
    let (mac, private) = if encrypted {
        let derived = file.derive(passphrase)?;
        (derived.mac.clone(), decrypt(&derived, &file.private)?)
    } else {
        let mac = if file.version == 2 { sha1(&[MAC_PREFIX]) } else { Zeroizing::new(Vec::new()) };
        (mac, file.private.clone())
    };
    if !file.holds(&mac, &private) {
        return Err(if encrypted { Error::WrongPassphrase } else { Error::Damaged });
    }
    let claimed = PublicKey::from_bytes(&file.public).map_err(|_| Error::Damaged)?;
    let raw = raw(kind, claimed.key_data(), &private)?;
    // A host would be shown the one and get signatures of the other.
    let derived = raw.pair().and_then(|pair| pair.public()).map_err(|_| Error::Damaged)?;
    if derived.key_data() == claimed.key_data() { Ok(raw) } else { Err(Error::Damaged) }
}

/// What the key of version 2's MAC is made of, with the passphrase behind it.
const MAC_PREFIX: &[u8] = b"putty-private-key-file-mac-key";

impl<'a> File<'a> {
    /// The lines in the order in which PuTTY writes them, and nothing besides.
    fn parse(file: &'a [u8]) -> Result<Self, Error> {
        let mut lines = Lines(file);
        let first = lines.next()?.strip_prefix(HEAD).ok_or(Error::NotAKey)?;
        let (version, algorithm) = match first {
            [b'2', b':', b' ', algorithm @ ..] => (2, algorithm),
            [b'3', b':', b' ', algorithm @ ..] => (3, algorithm),
            [digit, b':', ..] if digit.is_ascii_digit() => return Err(Error::UnsupportedFormat(OTHER_VERSION)),
            _ => return Err(Error::Damaged),
        };
        let encryption = lines.field(b"Encryption: ")?;
        let comment = lines.field(b"Comment: ")?;
        let public = lines.part(b"Public-Lines: ")?;
        let derivation = if version == 3 && encryption != b"none" {
            Some(Derivation {
                flavour: lines.field(b"Key-Derivation: ")?,
                memory_kib: number(lines.field(b"Argon2-Memory: ")?)?,
                passes: number(lines.field(b"Argon2-Passes: ")?)?,
                lanes: number(lines.field(b"Argon2-Parallelism: ")?)?,
                salt: unhex(lines.field(b"Argon2-Salt: ")?)?,
            })
        } else {
            None
        };
        let private = lines.part(b"Private-Lines: ")?;
        let mac = unhex(lines.field(b"Private-MAC: ")?)?;
        if !lines.0.iter().all(u8::is_ascii_whitespace) {
            return Err(Error::MoreThanOne);
        }
        Ok(Self { version, algorithm, encryption, comment, public, derivation, private, mac })
    }

    /// Which kind of key it is; refused before a passphrase is asked for, if it is not taken.
    fn kind(&self) -> Result<KeyKind, Error> {
        let kind = match self.algorithm {
            b"ssh-ed25519" => KeyKind::Ed25519,
            b"ecdsa-sha2-nistp256" => KeyKind::EcdsaP256,
            b"ecdsa-sha2-nistp384" => KeyKind::EcdsaP384,
            b"ecdsa-sha2-nistp521" => KeyKind::EcdsaP521,
            b"ssh-rsa" => KeyKind::Rsa,
            b"ssh-dss" => return Err(Error::UnsupportedKey(formats::DSA)),
            b"ssh-ed448" => return Err(Error::UnsupportedKey(ED448)),
            other if other.windows(6).any(|w| w == b"-cert-") => return Err(Error::UnsupportedFormat(CERTIFIED)),
            _ => return Err(Error::UnsupportedKey(formats::OTHER)),
        };
        let mut public = Reader(&self.public);
        if public.string() != Some(self.algorithm) {
            return Err(Error::Damaged);
        }
        if kind == KeyKind::Rsa {
            let modulus = public.string().and_then(|_exponent| public.string()).ok_or(Error::Damaged)?;
            if let Some(refused) = formats::rsa_size(formats::bits(modulus)) {
                return Err(refused);
            }
        }
        Ok(kind)
    }

    /// What the passphrase gives, if that is bearable work.
    fn derive(&self, passphrase: Option<&[u8]>) -> Result<Derived, Error> {
        let Some(how) = &self.derivation else {
            let passphrase = passphrase.ok_or(Error::NeedsPassphrase)?;
            let mut cipher = Zeroizing::new(Vec::with_capacity(2 * SHA1));
            cipher.extend_from_slice(&sha1(&[&[0, 0, 0, 0], passphrase]));
            cipher.extend_from_slice(&sha1(&[&[0, 0, 0, 1], passphrase]));
            cipher.truncate(AES_KEY);
            return Ok(Derived { cipher, iv: Zeroizing::new(vec![0; BLOCK]), mac: sha1(&[MAC_PREFIX, passphrase]) });
        };
        let flavour = match how.flavour {
            b"Argon2id" => Algorithm::Argon2id,
            b"Argon2i" => Algorithm::Argon2i,
            b"Argon2d" => Algorithm::Argon2d,
            _ => return Err(Error::UnsupportedFormat(OTHER_CIPHER)),
        };
        let memory = u64::from(how.memory_kib) * 1024;
        if memory > MAX_ARGON2_MEMORY || memory.saturating_mul(u64::from(how.passes)) > MAX_ARGON2_WORK || how.lanes > MAX_LANES {
            return Err(Error::TooMuchWork);
        }
        const AT_ONCE: usize = AES_KEY + BLOCK + 32;
        let parameters = Params::new(how.memory_kib, how.passes, how.lanes, Some(AT_ONCE)).map_err(|_| Error::Damaged)?;
        if !(argon2::MIN_SALT_LEN..=64).contains(&how.salt.len()) {
            return Err(Error::Damaged);
        }
        let passphrase = passphrase.ok_or(Error::NeedsPassphrase)?;
        let mut out = Zeroizing::new(vec![0; AT_ONCE]);
        Argon2::new(flavour, Version::V0x13, parameters).hash_password_into(passphrase, &how.salt, &mut out).map_err(|e| match e {
            argon2::Error::OutOfMemory => Error::TooMuchWork,
            _ => Error::Damaged,
        })?;
        let part = |from: usize, to: usize| out.get(from..to).map(exact).ok_or(Error::Damaged);
        Ok(Derived { cipher: part(0, AES_KEY)?, iv: part(AES_KEY, AES_KEY + BLOCK)?, mac: part(AES_KEY + BLOCK, AT_ONCE)? })
    }

    /// Whether the MAC is that of this file.
    fn holds(&self, key: &[u8], private: &[u8]) -> bool {
        let parts = [self.algorithm, self.encryption, self.comment, &self.public, private];
        let mut all = Zeroizing::new(Vec::with_capacity(parts.iter().map(|p| p.len() + 4).sum()));
        for part in parts {
            put_string(&mut all, part);
        }
        let algorithm = if self.version == 2 { hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY } else { hmac::HMAC_SHA256 };
        hmac::verify(&hmac::Key::new(algorithm, key), &all, &self.mac).is_ok()
    }
}

fn decrypt(derived: &Derived, sealed: &[u8]) -> Result<Bytes, Error> {
    if !sealed.len().is_multiple_of(BLOCK) {
        return Err(Error::Damaged);
    }
    let opener = UnboundCipherKey::new(&AES_256, &derived.cipher).and_then(DecryptingKey::cbc).map_err(|_| Error::Damaged)?;
    let mut iv = [0u8; BLOCK];
    iv.copy_from_slice(derived.iv.get(..BLOCK).ok_or(Error::Damaged)?);
    let mut plain = exact(sealed);
    opener.decrypt(&mut plain, DecryptionContext::Iv128(FixedLength::from(iv))).map_err(|_| Error::Damaged)?;
    Ok(plain)
}

/// The private half. The padding behind it is covered by the MAC, and means nothing.
fn raw(kind: KeyKind, public: &KeyData, private: &[u8]) -> Result<RawKey, Error> {
    let mut from = Reader(private);
    match kind {
        KeyKind::Ed25519 => {
            // Little-endian, and without the zeros at its high end.
            let seed = from.string().filter(|s| s.len() <= 32).ok_or(Error::Damaged)?;
            let mut whole = exact(seed);
            whole.reserve_exact(32 - seed.len());
            whole.resize(32, 0);
            Ok(RawKey::ed25519(&whole))
        }
        KeyKind::Rsa => {
            let mut number = || from.string().filter(|s| !s.is_empty()).map(Mpint::from_positive_bytes).ok_or(Error::Damaged);
            let (d, p, q, iqmp) = (number()?, number()?, number()?, number()?);
            let KeyData::Rsa(public) = public else { return Err(Error::Damaged) };
            let key = RsaPrivateKey::new(d, iqmp, p, q)
                .and_then(|private| RsaKeypair::new(public.clone(), private))
                .and_then(|pair| PrivateKey::new(KeypairData::Rsa(pair), ""))
                .map_err(|_| Error::Damaged)?;
            let der = Zeroizing::new(russh::keys::pkcs8::encode_pkcs8(&key).map_err(|_| Error::Damaged)?);
            formats::pkcs1_or_8(RsaKeyPair::from_pkcs8(&der))
        }
        KeyKind::EcdsaP256 | KeyKind::EcdsaP384 | KeyKind::EcdsaP521 => {
            let length = match kind {
                KeyKind::EcdsaP256 => 32,
                KeyKind::EcdsaP384 => 48,
                _ => 66,
            };
            let scalar = from.string().ok_or(Error::Damaged)?;
            let digits = scalar.get(scalar.iter().take_while(|b| **b == 0).count()..).unwrap_or_default();
            let mut whole: Bytes = Zeroizing::new(vec![0; length]);
            let at = length.checked_sub(digits.len()).ok_or(Error::Damaged)?;
            whole.get_mut(at..).ok_or(Error::Damaged)?.copy_from_slice(digits);
            Ok(RawKey::ecdsa(kind, &whole))
        }
    }
}

fn exact(bytes: &[u8]) -> Bytes {
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len()));
    out.extend_from_slice(bytes);
    out
}

fn sha1(parts: &[&[u8]]) -> Bytes {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    for part in parts {
        context.update(part);
    }
    exact(context.finish().as_ref())
}

fn number(text: &[u8]) -> Result<u32, Error> {
    let text = std::str::from_utf8(text).map_err(|_| Error::Damaged)?;
    if text.is_empty() || text.len() > 10 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Error::Damaged);
    }
    // Ten digits may be more than fits: that much work is not done either.
    text.parse().map_err(|_| Error::TooMuchWork)
}

fn unhex(text: &[u8]) -> Result<Vec<u8>, Error> {
    let text = std::str::from_utf8(text).map_err(|_| Error::Damaged)?;
    if text.len() > 256 || text.len() % 2 != 0 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Error::Damaged);
    }
    (0..text.len())
        .step_by(2)
        .map(|at| text.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok()).ok_or(Error::Damaged))
        .collect()
}

/// What is left of the file.
struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    /// The next line, without its end of whichever system.
    fn next(&mut self) -> Result<&'a [u8], Error> {
        if self.0.is_empty() {
            return Err(Error::Incomplete);
        }
        let end = self.0.iter().position(|b| *b == b'\n').unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at_checked(end).ok_or(Error::Damaged)?;
        self.0 = rest.get(1..).unwrap_or_default();
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// The value of the field that has to stand here.
    fn field(&mut self, name: &[u8]) -> Result<&'a [u8], Error> {
        self.next()?.strip_prefix(name).ok_or(Error::Damaged)
    }

    /// So many lines of base64.
    fn part(&mut self, name: &[u8]) -> Result<Bytes, Error> {
        let count = usize::try_from(number(self.field(name)?)?).map_err(|_| Error::Damaged)?;
        if count > MAX_LINES {
            return Err(Error::Damaged);
        }
        let mut encoded = Zeroizing::new(Vec::with_capacity(self.0.len()));
        for _ in 0..count {
            encoded.extend_from_slice(self.next()?);
        }
        let mut body = Zeroizing::new(vec![0u8; encoded.len() / 4 * 3]);
        let length = Base64::decode(encoded.as_slice(), &mut body).map_err(|_| Error::Damaged)?.len();
        body.truncate(length);
        Ok(body)
    }
}

#[cfg(test)]
#[path = "tests/ppk.rs"]
mod tests;
