//! One function per format of private keys: bytes in, raw key out. Parsing is left to maintained parsers; what stands
//! here looks at the public header first, so that nothing is derived from a passphrase for a key that is not taken.

use aws_lc_rs::encoding::{AsBigEndian, Curve25519SeedBin};
use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::signature::{Ed25519KeyPair, RsaKeyPair};
use pkcs8::pkcs5::{self, EncryptionScheme, pbes2::Kdf};
use pkcs8::{EncryptedPrivateKeyInfoRef, ObjectIdentifier, PrivateKeyInfoRef};
use russh::keys::ssh_key::private::{EcdsaKeypair, KeypairData};
use russh::keys::ssh_key::{self, PrivateKey};
use zeroize::Zeroizing;

use super::import::{Error, MAX_BCRYPT_ROUNDS, MAX_PBKDF2_ITERATIONS, MAX_SCRYPT_MEMORY};
use super::keys::RawKey;
use super::wire::Reader;
use crate::model::KeyKind;

pub(super) const DSA: &str = "a DSA key (hosts have refused them since OpenSSH 7.0)";
const HARDWARE: &str = "a key of a security key (its file holds only a handle, and each use needs a touch)";
pub(super) const OTHER: &str = "a key that is neither Ed25519, nor RSA, nor ECDSA on P-256, P-384 or P-521";
pub(super) const OTHER_CIPHER: &str = "this way of encrypting a private key";

/// OpenSSH's own format.
pub(super) fn openssh(body: &[u8], passphrase: Option<&[u8]>) -> Result<RawKey, Error> {
    let encrypted = openssh_header(body).ok_or(Error::Damaged)??;
    let mut key = PrivateKey::from_bytes(body).map_err(|_| Error::Damaged)?;
    if encrypted {
        let passphrase = passphrase.ok_or(Error::NeedsPassphrase)?;
        key = key.decrypt(passphrase).map_err(|e| match e {
            ssh_key::Error::AlgorithmUnknown | ssh_key::Error::AlgorithmUnsupported { .. } => Error::UnsupportedFormat(OTHER_CIPHER),
            _ => Error::WrongPassphrase,
        })?;
    }
    let raw = match key.key_data() {
        KeypairData::Ed25519(pair) => RawKey::ed25519(pair.private.as_ref()),
        KeypairData::Ecdsa(pair) => {
            let kind = match pair {
                EcdsaKeypair::NistP256 { .. } => KeyKind::EcdsaP256,
                EcdsaKeypair::NistP384 { .. } => KeyKind::EcdsaP384,
                EcdsaKeypair::NistP521 { .. } => KeyKind::EcdsaP521,
            };
            RawKey::ecdsa(kind, pair.private_key_bytes())
        }
        KeypairData::Rsa(_) => {
            pkcs1_or_8(RsaKeyPair::from_pkcs8(&Zeroizing::new(russh::keys::pkcs8::encode_pkcs8(&key).map_err(|_| Error::Damaged)?)))?
        }
        _ => return Err(Error::UnsupportedKey(OTHER)),
    };
    // The file carries the public half twice; a host would be shown the one and get signatures of the other.
    let derived = raw.pair().and_then(|pair| pair.public()).map_err(|_| Error::Damaged)?;
    if derived.key_data() == key.public_key().key_data() { Ok(raw) } else { Err(Error::Damaged) }
}

/// Whether the key is encrypted, from the public part of the file; `None` if that is malformed.
fn openssh_header(body: &[u8]) -> Option<Result<bool, Error>> {
    let mut from = Reader(body.strip_prefix(b"openssh-key-v1\0")?);
    let cipher = from.text()?;
    let (kdf, mut options) = (from.text()?, Reader(from.string()?));
    if from.u32()? != 1 {
        return Some(Err(Error::MoreThanOne));
    }
    let mut public = Reader(from.string()?);
    let algorithm = public.text()?;
    if algorithm == "ssh-rsa" {
        let (_exponent, modulus) = (public.string()?, public.string()?);
        if let Some(refused) = rsa_size(bits(modulus)) {
            return Some(Err(refused));
        }
    } else if algorithm == "ssh-dss" {
        return Some(Err(Error::UnsupportedKey(DSA)));
    } else if algorithm.starts_with("sk-") {
        return Some(Err(Error::UnsupportedKey(HARDWARE)));
    } else if !matches!(algorithm, "ssh-ed25519" | "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521") {
        return Some(Err(Error::UnsupportedKey(OTHER)));
    }
    match kdf {
        "none" if cipher == "none" => Some(Ok(false)),
        "bcrypt" => {
            let (_salt, rounds) = (options.string()?, options.u32()?);
            Some(if rounds > MAX_BCRYPT_ROUNDS { Err(Error::TooMuchWork) } else { Ok(true) })
        }
        _ => Some(Err(Error::UnsupportedFormat(OTHER_CIPHER))),
    }
}

/// How many bits a number has.
pub(super) fn bits(modulus: &[u8]) -> usize {
    modulus.iter().position(|b| *b != 0).map_or(0, |zeros| {
        let lead = modulus.get(zeros).map_or(8, |b| b.leading_zeros());
        (modulus.len() - zeros) * 8 - usize::try_from(lead).unwrap_or(0)
    })
}

pub(super) fn rsa_size(bits: usize) -> Option<Error> {
    if bits < super::keys::MIN_RSA_BITS {
        Some(Error::TooShort)
    } else {
        (bits > super::keys::MAX_RSA_BITS).then_some(Error::UnsupportedKey("an RSA key of more than 8192 bits"))
    }
}

/// PKCS#8 without encryption.
pub(super) fn pkcs8(der: &[u8]) -> Result<RawKey, Error> {
    let info = PrivateKeyInfoRef::try_from(der).map_err(|_| Error::Damaged)?;
    let is = |oid: &str| ObjectIdentifier::new(oid).is_ok_and(|oid| info.algorithm.oid == oid);
    if is("1.2.840.113549.1.1.1") {
        pkcs1_or_8(RsaKeyPair::from_pkcs8(der))
    } else if is("1.3.101.112") {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| Error::Damaged)?;
        let seed = pair.seed().map_err(|_| Error::Damaged)?;
        let bytes: Curve25519SeedBin<'_> = seed.as_be_bytes().map_err(|_| Error::Damaged)?;
        Ok(RawKey::ed25519(bytes.as_ref()))
    } else if is("1.2.840.10045.2.1") {
        sec1(der)
    } else if is("1.2.840.10040.4.1") {
        Err(Error::UnsupportedKey(DSA))
    } else {
        Err(Error::UnsupportedKey(OTHER))
    }
}

/// PKCS#8, encrypted by PBES2.
pub(super) fn encrypted_pkcs8(der: &[u8], passphrase: Option<&[u8]>) -> Result<RawKey, Error> {
    let info = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| Error::UnsupportedFormat(OTHER_CIPHER))?;
    let EncryptionScheme::Pbes2(parameters) = &info.encryption_algorithm else { return Err(Error::UnsupportedFormat(OTHER_CIPHER)) };
    let bearable = match &parameters.kdf {
        Kdf::Pbkdf2(p) => p.iteration_count <= MAX_PBKDF2_ITERATIONS,
        Kdf::Scrypt(p) => p.parallelization <= 16 && p.cost_parameter.saturating_mul(u64::from(p.block_size) * 128) <= MAX_SCRYPT_MEMORY,
        _ => return Err(Error::UnsupportedFormat(OTHER_CIPHER)),
    };
    if !bearable {
        return Err(Error::TooMuchWork);
    }
    let opened = info.decrypt(passphrase.ok_or(Error::NeedsPassphrase)?).map_err(|e| match e {
        pkcs8::Error::EncryptedPrivateKey(pkcs5::Error::UnsupportedAlgorithm { .. } | pkcs5::Error::AlgorithmParametersInvalid { .. }) => {
            Error::UnsupportedFormat(OTHER_CIPHER)
        }
        // Wrong padding, or bytes that are no DER.
        _ => Error::WrongPassphrase,
    })?;
    pkcs8(opened.as_bytes())
}

/// PKCS#1, without encryption.
pub(super) fn pkcs1(der: &[u8]) -> Result<RawKey, Error> {
    pkcs1_or_8(RsaKeyPair::from_der(der))
}

pub(super) fn pkcs1_or_8(parsed: Result<RsaKeyPair, KeyRejected>) -> Result<RawKey, Error> {
    match parsed {
        Ok(pair) => RawKey::rsa(&pair).map_err(|_| Error::Damaged),
        Err(e) if e.description_() == "TooSmall" => Err(Error::TooShort),
        Err(e) if e.description_() == "TooLarge" => rsa_size(usize::MAX).map_or(Err(Error::Damaged), Err),
        Err(_) => Err(Error::Damaged),
    }
}

/// SEC 1, without encryption.
pub(super) fn sec1(der: &[u8]) -> Result<RawKey, Error> {
    RawKey::ecdsa_from_der(der).map_err(|_| Error::UnsupportedKey(OTHER))
}
