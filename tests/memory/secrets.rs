//! The secrets that are planted, and what of them may not be found. Public halves may.

use std::path::Path;

use russh::keys::ssh_key::PrivateKey;
use russh::keys::ssh_key::private::KeypairData;

use crate::scan::{Needle, needles, text};
use crate::world::keys::Key;

/// What may not be found of a private key: its numbers, and those lines of its file that hold them.
pub(crate) fn of_key(name: &str, key: &Key) -> Vec<Needle> {
    let pem = String::from_utf8(key.private()).expect("PEM");
    let parsed = PrivateKey::from_openssh(&pem).expect("a private key without a passphrase");
    let mut found = Vec::new();
    let mut secret_parts: Vec<Vec<u8>> = Vec::new();
    let mut number = |what: &str, bytes: &[u8]| {
        found.extend(needles(&format!("{name}: {what}"), bytes));
        secret_parts.push(bytes.to_vec());
    };
    match parsed.key_data() {
        KeypairData::Ed25519(pair) => {
            let seed = pair.private.to_bytes();
            number("seed", &seed);
            // What signing derives from the seed is as good as the seed.
            let expanded = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, &seed);
            let (scalar, prefix) = expanded.as_ref().split_at(32);
            let mut clamped = scalar.to_vec();
            clamped[0] &= 248;
            clamped[31] = (clamped[31] & 127) | 64;
            number("scalar", &clamped);
            number("unclamped scalar", scalar);
            number("prefix", prefix);
        }
        KeypairData::Ecdsa(pair) => number("scalar", pair.private_key_bytes()),
        KeypairData::Rsa(pair) => {
            let private = pair.private();
            for (what, value) in [("p", private.p()), ("q", private.q()), ("d", private.d()), ("coefficient", private.iqmp())] {
                number(what, value.as_positive_bytes().expect("a positive number"));
            }
        }
        _ => panic!("{name} is of a kind that this test does not know"),
    }
    let lines = secret_lines(&pem, &secret_parts);
    assert!(!lines.is_empty(), "the file of {name} has no line that is all secret");
    found.extend(lines.iter().flat_map(|line| text(&format!("{name}: a line of its file"), line)));
    found
}

/// What may not be found of a private key as it is sealed: an Ed25519 seed, a scalar, PKCS#8 of RSA.
pub(crate) fn of_raw(name: &str, kind: &str, raw: &[u8]) -> Vec<Needle> {
    use pkcs8::der::{Reader, SliceReader, asn1::OctetStringRef, asn1::UintRef};
    let mut found = Vec::new();
    let mut number = |what: &str, bytes: &[u8]| found.extend(needles(&format!("{name}: {what}"), bytes));
    match kind {
        "key:ed25519" => {
            number("seed", raw);
            let expanded = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, raw);
            let (scalar, prefix) = expanded.as_ref().split_at(32);
            let mut clamped = scalar.to_vec();
            clamped[0] &= 248;
            clamped[31] = (clamped[31] & 127) | 64;
            number("scalar", &clamped);
            number("unclamped scalar", scalar);
            number("prefix", prefix);
        }
        "key:rsa" => {
            let inner = SliceReader::new(raw)
                .unwrap()
                .sequence(|r| {
                    r.decode::<UintRef<'_>>()?;
                    r.decode::<pkcs8::der::AnyRef<'_>>()?;
                    r.decode::<&OctetStringRef>()
                })
                .expect("PKCS#8")
                .as_bytes();
            let numbers: Vec<&[u8]> = SliceReader::new(inner)
                .unwrap()
                .sequence(|r| (0..9).map(|_| Ok::<_, pkcs8::der::Error>(r.decode::<UintRef<'_>>()?.as_bytes())).collect())
                .expect("PKCS#1");
            for (what, at) in [("d", 3), ("p", 4), ("q", 5), ("d mod p", 6), ("d mod q", 7), ("coefficient", 8)] {
                number(what, numbers[at]);
            }
        }
        _ => number("scalar", raw),
    }
    found
}

/// The lines of a PEM file that hold nothing but secret bytes.
fn secret_lines(pem: &str, parts: &[Vec<u8>]) -> Vec<String> {
    use base64ct::Encoding;
    let lines: Vec<&str> = pem.lines().filter(|l| !l.starts_with("-----")).collect();
    let body = base64ct::Base64::decode_vec(&lines.concat()).expect("base64");
    let mut secret = vec![false; body.len()];
    for part in parts {
        for at in body.windows(part.len()).enumerate().filter(|(_, w)| *w == part).map(|(at, _)| at) {
            secret[at..at + part.len()].fill(true);
        }
    }
    let mut found = Vec::new();
    let mut characters = 0;
    for line in &lines {
        // Sixteen characters of base64 are twelve bytes; only pieces that are all secret count.
        for at in (0..line.len().saturating_sub(15)).step_by(4) {
            let first = (characters + at) * 6 / 8;
            let last = ((characters + at + 16) * 6).div_ceil(8);
            if secret.get(first..last).is_some_and(|s| s.iter().all(|b| *b)) {
                found.push(line[at..at + 16].to_owned());
            }
        }
        characters += line.len();
    }
    found
}

/// What may not be found of a password or passphrase.
pub(crate) fn of_text(name: &str, secret: &str) -> Vec<Needle> {
    needles(name, secret.as_bytes())
}

/// A key in a file of its own.
pub(crate) fn key(dir: &Path, name: &str, kind: &[&str]) -> Key {
    Key::make(dir.join(name), kind, "")
}
