//! A key that nobody ever saw is looked for by what it makes: any 32 bytes in memory whose Ed25519 public key is the one
//! that a host was shown are its seed. So nothing has to be known of it.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64ct::Encoding;

use crate::control::leak;
use crate::scan::each_piece;
use crate::world::noise;

const SEED: usize = 32;
/// Of 32 random bytes about 30 are different; fewer than these are so in none of 100,000. Text and pointers have fewer.
const DIFFERENT: u32 = 22;

/// The fingerprint of the key that a seed makes, as OpenSSH writes it.
fn fingerprint(seed: &[u8]) -> String {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).unwrap();
    let mut wire = Vec::new();
    for field in [b"ssh-ed25519", pair.public_key().as_ref()] {
        wire.extend_from_slice(&u32::try_from(field.len()).unwrap().to_be_bytes());
        wire.extend_from_slice(field);
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &wire);
    format!("SHA256:{}", base64ct::Base64Unpadded::encode_string(digest.as_ref()))
}

/// How often the seeds of the keys with these fingerprints lie in what a process can write; and how many bytes could have
/// been one.
pub(crate) fn search(process: u32, wanted: &[String]) -> (usize, usize) {
    let (mut found, mut tried) = (0, 0);
    each_piece(process, SEED - 1, |memory| {
        let (mut counts, mut different) = ([0u32; 256], 0u32);
        for (end, byte) in memory.iter().enumerate() {
            let count = &mut counts[usize::from(*byte)];
            *count += 1;
            different += u32::from(*count == 1);
            if end >= SEED {
                let count = &mut counts[usize::from(memory[end - SEED])];
                *count -= 1;
                different -= u32::from(*count == 0);
            }
            if end + 1 >= SEED && different >= DIFFERENT {
                tried += 1;
                found += usize::from(wanted.contains(&fingerprint(&memory[end + 1 - SEED..=end])));
            }
        }
    });
    (found, tried)
}

#[test]
fn a_seed_is_found_by_what_it_makes() {
    let seed = noise(SEED);
    let public = fingerprint(&seed);
    for expression in ["bytearray(secret)", "b'x' * 37 + secret + b'y' * 5"] {
        let leaking = leak(&seed, expression);
        assert!(search(leaking.id(), std::slice::from_ref(&public)).0 > 0, "{expression}");
        assert_eq!(search(leaking.id(), &[fingerprint(&noise(SEED))]).0, 0);
    }
}
