//! The envelope: AES-256-GCM with key commitment, bound to the place in the database where it lies. Pure: bytes in,
//! bytes out. Never reads a row, never keeps a key.
//!
//! A blob is `0x01 | salt 32 | commitment 32 | nonce 12 | ciphertext | tag 16`. Each seal derives a key of its own, so
//! no nonce can repeat under one key, and a commitment to it, because GCM alone lets one ciphertext open under two keys.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, hkdf, hmac, rand};
use zeroize::Zeroizing;

use crate::clock::Time;
use crate::model::{Authority, Credential, HostBinding, HostId, Scope, UserId};

/// Secret bytes inside the room: on the heap, of exact capacity, wiped.
pub(super) type Bytes = Zeroizing<Vec<u8>>;

/// The length of every symmetric key.
pub(super) const KEY: usize = 32;
const VERSION: u8 = 1;
const SALT: usize = 32;
const COMMITMENT: usize = 32;
const NONCE: usize = 12;
const TAG: usize = 16;
const HEAD: usize = 1 + SALT + COMMITMENT + NONCE;

/// It does not open: another key, another place, or changed. Which of them is not to be told apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

impl From<aws_lc_rs::error::Unspecified> for Broken {
    fn from(_: aws_lc_rs::error::Unspecified) -> Self {
        Self
    }
}

/// Fresh random bytes.
pub(super) fn random(length: usize) -> Result<Bytes, Broken> {
    let mut out = Zeroizing::new(vec![0u8; length]);
    rand::fill(&mut out)?;
    Ok(out)
}

struct Length(usize);
impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-SHA256.
pub(super) fn derive(key: &[u8], salt: &[u8], info: &str, length: usize) -> Result<Bytes, Broken> {
    let mut out = Zeroizing::new(vec![0u8; length]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key).expand(&[info.as_bytes()], Length(length))?.fill(&mut out)?;
    Ok(out)
}

/// The key for one blob, and what commits to it.
fn per_blob(key: &[u8], salt: &[u8]) -> Result<(LessSafeKey, Bytes), Broken> {
    let both = derive(key, salt, "keyward/v1 enc|commit", KEY + COMMITMENT)?;
    let (encryption, commitment) = both.split_at_checked(KEY).ok_or(Broken)?;
    Ok((LessSafeKey::new(UnboundKey::new(&AES_256_GCM, encryption)?), Zeroizing::new(commitment.to_vec())))
}

/// Encrypts `plain` for the place that `place` names. The plaintext is copied once, into the buffer that becomes the ciphertext.
pub(super) fn seal(key: &[u8], place: &Place, plain: &[u8]) -> Result<Vec<u8>, Broken> {
    let salt = random(SALT)?;
    let nonce = random(NONCE)?;
    let (cipher, commitment) = per_blob(key, &salt)?;
    let mut blob = Zeroizing::new(Vec::with_capacity(HEAD + plain.len() + TAG));
    blob.push(VERSION);
    blob.extend_from_slice(&salt);
    blob.extend_from_slice(&commitment);
    blob.extend_from_slice(&nonce);
    blob.extend_from_slice(plain);
    let body = blob.get_mut(HEAD..).ok_or(Broken)?;
    let tag = cipher.seal_in_place_separate_tag(Nonce::try_assume_unique_for_key(&nonce)?, Aad::from(&place.0), body)?;
    blob.extend_from_slice(tag.as_ref());
    Ok(std::mem::take(&mut *blob))
}

/// Decrypts what [`seal`] made for the same key and place.
pub(super) fn open(key: &[u8], place: &Place, blob: &[u8]) -> Result<Bytes, Broken> {
    let (head, body) = blob.split_at_checked(HEAD).ok_or(Broken)?;
    let (version, rest) = head.split_first().ok_or(Broken)?;
    let (salt, rest) = rest.split_at_checked(SALT).ok_or(Broken)?;
    let (committed, nonce) = rest.split_at_checked(COMMITMENT).ok_or(Broken)?;
    if *version != VERSION || body.len() < TAG {
        return Err(Broken);
    }
    let (cipher, commitment) = per_blob(key, salt)?;
    constant_time::verify_slices_are_equal(&commitment, committed)?;
    let mut plain = Zeroizing::new(body.to_vec());
    let length = cipher.open_in_place(Nonce::try_assume_unique_for_key(nonce)?, Aad::from(&place.0), &mut plain)?.len();
    plain.truncate(length);
    Ok(plain)
}

/// Where a blob belongs, as associated data: fields with their lengths in front, the domain first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place(Vec<u8>);

impl Place {
    fn new(domain: &str, vault: &[u8; 16]) -> Self {
        Self(Vec::new()).with(domain.as_bytes()).with(vault)
    }

    fn with(mut self, field: &[u8]) -> Self {
        super::wire::put_string(&mut self.0, field);
        self
    }

    fn numbered(self, number: u32) -> Self {
        self.with(&number.to_be_bytes())
    }

    /// A scope's key in `keks`.
    pub(super) fn kek(vault: &[u8; 16], scope: &Scope, version: u32) -> Self {
        Self::new("keyward/v1 kek", vault).with(scope.key().as_bytes()).numbered(version)
    }

    /// A credential's data key: in `credentials` if `host` is `None`, else in `bindings`.
    pub(super) fn dek(vault: &[u8; 16], of: &Credential, kek_version: u32, host: Option<(HostId, &HostBinding)>) -> Self {
        let place = Self::new("keyward/v1 dek", vault)
            .with(of.scope.key().as_bytes())
            .numbered(kek_version)
            .with(of.id.bytes())
            .numbered(of.version)
            .with(of.kind.as_str().as_bytes());
        match host {
            None => place.with(b"unbound"),
            Some((id, binding)) => place.with(b"bound").with(id.bytes()).with(&binding.encode()),
        }
    }

    /// The data key of a certificate authority's key in `authorities`.
    pub(super) fn authority_key(vault: &[u8; 16], of: &Authority, kek_version: u32) -> Self {
        Self::authority_at("keyward/v1 authority dek", vault, of).numbered(kek_version)
    }

    /// A certificate authority's key in `authorities`.
    pub(super) fn authority(vault: &[u8; 16], of: &Authority) -> Self {
        Self::authority_at("keyward/v1 authority", vault, of)
    }

    /// Not where it stands in a rotation: that is the state's to vouch for.
    fn authority_at(domain: &str, vault: &[u8; 16], of: &Authority) -> Self {
        Self::new(domain, vault).with(of.scope.key().as_bytes()).numbered(of.generation).with(of.public_key.as_bytes())
    }

    /// A private key that waits for its one signature, in nobody's row.
    pub(super) fn parked(vault: &[u8; 16], login: &str, offered: &[u8]) -> Self {
        Self::new("keyward/v1 parked", vault).with(login.as_bytes()).with(offered)
    }

    /// The root key in its file, under a passphrase whose cost and salt stand beside it. It belongs to no vault yet.
    pub(super) fn root(cost: &str, salt: &[u8]) -> Self {
        Self(Vec::new()).with(b"keyward/v1 root-key").with(cost.as_bytes()).with(salt)
    }

    /// What seals a personal scope; `what` says what it is.
    pub(super) fn personal(vault: &[u8; 16], what: &str, fields: &[&[u8]]) -> Self {
        fields.iter().fold(Self::new("keyward/v1 personal", vault).with(what.as_bytes()), |place, field| place.with(field))
    }

    /// The sudo password in `sudo_secrets`.
    pub(super) fn sudo(vault: &[u8; 16], of: &Credential) -> Self {
        Self::new("keyward/v1 sudo", vault).with(of.id.bytes()).numbered(of.version)
    }

    /// A second factor in `second_factors`: one person's, and none but the one that was made then.
    pub(super) fn totp(vault: &[u8; 16], user: UserId, made_at: Time) -> Self {
        Self::new("keyward/v1 totp", vault).with(user.bytes()).with(&made_at.millis().to_be_bytes())
    }

    /// The secret in `credentials`.
    pub(super) fn secret(vault: &[u8; 16], of: &Credential) -> Self {
        Self::new("keyward/v1 secret", vault).with(of.id.bytes()).numbered(of.version).with(of.kind.as_str().as_bytes())
    }
}

fn state_context(key: &[u8], vault: &[u8; 16], epoch: u64, digest: &[u8; 32]) -> (hmac::Key, Place) {
    (hmac::Key::new(hmac::HMAC_SHA256, key), Place::new("keyward/v1 state", vault).with(&epoch.to_be_bytes()).with(digest))
}

/// The MAC over the state.
pub(super) fn state_mac(key: &[u8], vault: &[u8; 16], epoch: u64, digest: &[u8; 32]) -> Option<[u8; 32]> {
    let (key, message) = state_context(key, vault, epoch, digest);
    hmac::sign(&key, &message.0).as_ref().try_into().ok()
}

/// Whether `mac` is the state's, compared in constant time.
pub(super) fn state_holds(key: &[u8], vault: &[u8; 16], epoch: u64, digest: &[u8; 32], mac: &[u8; 32]) -> bool {
    let (key, message) = state_context(key, vault, epoch, digest);
    hmac::verify(&key, &message.0, mac).is_ok()
}

#[cfg(test)]
#[path = "tests/envelope.rs"]
mod tests;
