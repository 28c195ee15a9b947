//! To somebody who is not here: bytes sealed to a public key, opened with its private half. Pure: bytes in, bytes out. X25519 with
//! a fresh key for each blob, HKDF over the shared secret and both public keys, then the envelope with its commitment.
//!
//! A blob is `0x02 | fresh public key 32 | envelope`.

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};

use super::envelope::{self, Broken, Bytes, KEY, Place};
use crate::store::slots::SEALED;

/// A key pair; the private half is on the heap and wiped.
pub(super) struct Pair {
    pub(super) private: Bytes,
    pub(super) public: Vec<u8>,
}

impl Pair {
    /// A fresh one.
    pub(super) fn fresh() -> Result<Self, Broken> {
        Self::of(envelope::random(KEY)?)
    }

    /// The pair of these 32 bytes.
    pub(super) fn of(private: Bytes) -> Result<Self, Broken> {
        let public = key(&private)?.compute_public_key()?.as_ref().to_vec();
        Ok(Self { private, public })
    }
}

fn key(private: &[u8]) -> Result<PrivateKey, Broken> {
    PrivateKey::from_private_key(&X25519, private).map_err(|_| Broken)
}

/// The key for one blob. A public key of low order gives no secret, and is refused.
fn shared(private: &[u8], peer: &[u8], fresh: &[u8], recipient: &[u8]) -> Result<Bytes, Broken> {
    let salt: Vec<u8> = [fresh, recipient].concat();
    agree(&key(private)?, UnparsedPublicKey::new(&X25519, peer), Broken, |secret| envelope::derive(secret, &salt, "keyward/v1 x25519", KEY))
}

/// Seals `plain` to `public`: only its private half opens it, also not whoever sealed it.
pub(super) fn seal_to(public: &[u8], place: &Place, plain: &[u8]) -> Result<Vec<u8>, Broken> {
    let fresh = Pair::fresh()?;
    let key = shared(&fresh.private, public, &fresh.public, public)?;
    let inner = envelope::seal(&key, place, plain)?;
    Ok([&[SEALED][..], &fresh.public, &inner].concat())
}

/// Opens what [`seal_to`] made for this pair and place.
pub(super) fn open_with(pair: &Pair, place: &Place, blob: &[u8]) -> Result<Bytes, Broken> {
    let (tag, rest) = blob.split_first().ok_or(Broken)?;
    let (fresh, inner) = rest.split_at_checked(KEY).ok_or(Broken)?;
    if *tag != SEALED {
        return Err(Broken);
    }
    let key = shared(&pair.private, fresh, fresh, &pair.public)?;
    envelope::open(&key, place, inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(what: &str) -> Place {
        Place::personal(&[7; 16], what, &[])
    }

    #[test]
    fn what_is_sealed_to_a_key_opens_with_its_private_half_alone() {
        let (mine, other) = (Pair::fresh().unwrap(), Pair::fresh().unwrap());
        let blob = seal_to(&mine.public, &place("a"), b"data key").unwrap();
        assert_eq!(open_with(&mine, &place("a"), &blob).unwrap().as_slice(), b"data key");
        assert!(open_with(&other, &place("a"), &blob).is_err());
        assert!(open_with(&mine, &place("b"), &blob).is_err());
        let posing = Pair { private: other.private.clone(), public: mine.public.clone() };
        assert!(open_with(&posing, &place("a"), &blob).is_err());
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        let mine = Pair::fresh().unwrap();
        let blob = seal_to(&mine.public, &place("a"), b"data key").unwrap();
        for at in 0..blob.len() {
            let mut changed = blob.clone();
            changed[at] ^= 1;
            assert!(open_with(&mine, &place("a"), &changed).is_err(), "byte {at}");
        }
        for length in 0..blob.len() {
            assert!(open_with(&mine, &place("a"), &blob[..length]).is_err());
        }
    }

    #[test]
    fn a_public_key_of_low_order_is_refused() {
        let mine = Pair::fresh().unwrap();
        assert!(seal_to(&[0; 32], &place("a"), b"x").is_err());
        let mut blob = seal_to(&mine.public, &place("a"), b"x").unwrap();
        blob[1..33].fill(0);
        assert!(open_with(&mine, &place("a"), &blob).is_err());
        assert!(seal_to(&[1; 31], &place("a"), b"x").is_err());
    }
}
