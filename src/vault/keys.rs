//! Private keys in their raw form, and what can be done with one: derive the public half, sign.
//! Never parses a format that a stranger chose; never hands the private half out.
//!
//! Raw is: Ed25519 the seed of 32 bytes; ECDSA the scalar, as long as the curve's field; RSA PKCS#8 in DER.

use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use aws_lc_rs::{agreement, rsa};
use pkcs8::der::{Reader as _, SliceReader, asn1::UintRef};
use russh::keys::ssh_key::public::{EcdsaPublicKey, Ed25519PublicKey, KeyData, RsaPublicKey};
use russh::keys::ssh_key::{Mpint, PublicKey};
use zeroize::Zeroizing;

use super::envelope::Bytes;
use super::wire;
use crate::model::KeyKind;

/// The shortest RSA key that is kept.
pub const MIN_RSA_BITS: usize = 2048;
/// The longest RSA key that the library signs with.
pub const MAX_RSA_BITS: usize = 8192;

/// The bytes are no key of their kind, or the algorithm is none of the key's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoKey;

impl From<aws_lc_rs::error::KeyRejected> for NoKey {
    fn from(_: aws_lc_rs::error::KeyRejected) -> Self {
        Self
    }
}
impl From<aws_lc_rs::error::Unspecified> for NoKey {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self
    }
}
impl From<russh::keys::ssh_key::Error> for NoKey {
    fn from(_: russh::keys::ssh_key::Error) -> Self {
        Self
    }
}

/// A private key in its raw form.
pub(super) struct RawKey {
    pub(super) kind: KeyKind,
    pub(super) bytes: Bytes,
}

impl std::fmt::Debug for RawKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawKey").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A key pair that can sign.
pub(super) enum Pair {
    Ed25519(Ed25519KeyPair),
    Ecdsa(KeyKind, EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

type Curve = (&'static EcdsaSigningAlgorithm, &'static agreement::Algorithm, &'static str);

/// The curve of an ECDSA kind; `None` for the others.
fn curve(kind: KeyKind) -> Option<Curve> {
    match kind {
        KeyKind::EcdsaP256 => Some((&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &agreement::ECDH_P256, "ecdsa-sha2-nistp256")),
        KeyKind::EcdsaP384 => Some((&signature::ECDSA_P384_SHA384_FIXED_SIGNING, &agreement::ECDH_P384, "ecdsa-sha2-nistp384")),
        KeyKind::EcdsaP521 => Some((&signature::ECDSA_P521_SHA512_FIXED_SIGNING, &agreement::ECDH_P521, "ecdsa-sha2-nistp521")),
        KeyKind::Ed25519 | KeyKind::Rsa => None,
    }
}

impl RawKey {
    /// Of an Ed25519 seed.
    pub(super) fn ed25519(seed: &[u8]) -> Self {
        Self { kind: KeyKind::Ed25519, bytes: Zeroizing::new(seed.to_vec()) }
    }

    /// A new one; RSA with 4096 bits.
    pub(super) fn generate(kind: KeyKind) -> Result<Self, NoKey> {
        if let Some((_, ecdh, _)) = curve(kind) {
            let key = agreement::PrivateKey::generate(ecdh)?;
            let scalar: EcPrivateKeyBin<'_> = key.as_be_bytes()?;
            return Ok(Self::ecdsa(kind, scalar.as_ref()));
        }
        match kind {
            KeyKind::Rsa => Self::rsa(&rsa::KeyPair::generate(rsa::KeySize::Rsa4096)?),
            _ => Ok(Self { kind: KeyKind::Ed25519, bytes: super::envelope::random(32).map_err(|_| NoKey)? }),
        }
    }

    /// Of a scalar, as long as the curve's field.
    pub(super) fn ecdsa(kind: KeyKind, scalar: &[u8]) -> Self {
        Self { kind, bytes: Zeroizing::new(scalar.to_vec()) }
    }

    /// Of an RSA key that the library has accepted.
    pub(super) fn rsa(pair: &rsa::KeyPair) -> Result<Self, NoKey> {
        let der: Pkcs8V1Der<'_> = pair.as_der()?;
        Ok(Self { kind: KeyKind::Rsa, bytes: Zeroizing::new(der.as_ref().to_vec()) })
    }

    /// Of an elliptic-curve key in SEC 1 or PKCS#8, on whichever of the three curves it is.
    pub(super) fn ecdsa_from_der(der: &[u8]) -> Result<Self, NoKey> {
        for kind in [KeyKind::EcdsaP256, KeyKind::EcdsaP384, KeyKind::EcdsaP521] {
            if let Some((algorithm, ..)) = curve(kind)
                && let Ok(pair) = EcdsaKeyPair::from_private_key_der(algorithm, der)
            {
                let scalar: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes()?;
                return Ok(Self::ecdsa(kind, scalar.as_ref()));
            }
        }
        Err(NoKey)
    }

    /// Makes it usable; the library checks it.
    pub(super) fn pair(&self) -> Result<Pair, NoKey> {
        if let Some((signing, ecdh, _)) = curve(self.kind) {
            let public = agreement::PrivateKey::from_private_key(ecdh, &self.bytes)?.compute_public_key()?;
            return Ok(Pair::Ecdsa(self.kind, EcdsaKeyPair::from_private_key_and_public_key(signing, &self.bytes, public.as_ref())?));
        }
        match self.kind {
            KeyKind::Rsa => Ok(Pair::Rsa(RsaKeyPair::from_pkcs8(&self.bytes)?)),
            _ if self.bytes.len() == 32 => Ok(Pair::Ed25519(Ed25519KeyPair::from_seed_unchecked(&self.bytes)?)),
            _ => Err(NoKey),
        }
    }
}

impl Pair {
    /// The public half.
    pub(super) fn public(&self) -> Result<PublicKey, NoKey> {
        let data = match self {
            Self::Ed25519(pair) => KeyData::Ed25519(Ed25519PublicKey(pair.public_key().as_ref().try_into().map_err(|_| NoKey)?)),
            Self::Ecdsa(_, pair) => KeyData::Ecdsa(EcdsaPublicKey::from_sec1_bytes(pair.public_key().as_ref()).map_err(|_| NoKey)?),
            Self::Rsa(pair) => {
                let (modulus, exponent) = rsa_numbers(pair.public_key().as_ref()).ok_or(NoKey)?;
                KeyData::Rsa(RsaPublicKey::new(exponent, modulus)?)
            }
        };
        Ok(PublicKey::new(data, ""))
    }

    /// The signature of `message` by the SSH algorithm `algorithm`, as the protocol encodes it.
    pub(super) fn sign(&self, algorithm: &str, message: &[u8]) -> Result<Vec<u8>, NoKey> {
        let mut out = Vec::new();
        wire::put_string(&mut out, algorithm.as_bytes());
        match self {
            Self::Ed25519(pair) if algorithm == "ssh-ed25519" => wire::put_string(&mut out, pair.try_sign(message)?.as_ref()),
            Self::Ecdsa(kind, pair) if curve(*kind).is_some_and(|(.., name)| name == algorithm) => {
                let fixed = pair.sign(&SystemRandom::new(), message)?;
                let (r, s) = fixed.as_ref().split_at_checked(fixed.as_ref().len() / 2).ok_or(NoKey)?;
                let mut numbers = Vec::new();
                wire::put_mpint(&mut numbers, r);
                wire::put_mpint(&mut numbers, s);
                wire::put_string(&mut out, &numbers);
            }
            Self::Rsa(pair) => {
                let padding = match algorithm {
                    "rsa-sha2-256" => &signature::RSA_PKCS1_SHA256,
                    "rsa-sha2-512" => &signature::RSA_PKCS1_SHA512,
                    _ => return Err(NoKey),
                };
                let mut signed = vec![0u8; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), message, &mut signed)?;
                wire::put_string(&mut out, &signed);
            }
            Self::Ed25519(_) | Self::Ecdsa(..) => return Err(NoKey),
        }
        Ok(out)
    }
}

/// Modulus and exponent of a PKCS#1 public key.
fn rsa_numbers(der: &[u8]) -> Option<(Mpint, Mpint)> {
    let mut reader = SliceReader::new(der).ok()?;
    let (modulus, exponent) =
        reader.sequence(|inside| Ok::<_, pkcs8::der::Error>((inside.decode::<UintRef<'_>>()?, inside.decode::<UintRef<'_>>()?))).ok()?;
    Some((Mpint::from_positive_bytes(modulus.as_bytes()), Mpint::from_positive_bytes(exponent.as_bytes())))
}
