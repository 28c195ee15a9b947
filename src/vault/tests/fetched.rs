//! Certificates that somebody else's vault could give, right and wrong; made with the library that reads them.

use std::time::{Duration, UNIX_EPOCH};

use russh::keys::PrivateKey;
use russh::keys::ssh_key::certificate::Builder;

use super::*;

const NOW: u64 = 1_795_000_000;

fn key(seed: u8) -> PrivateKey {
    let pair = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]);
    PrivateKey::from(pair)
}

struct Wish {
    of: u8,
    kind: CertType,
    principals: &'static [&'static str],
    all: bool,
    after: u64,
    before: u64,
}

const GOOD: Wish = Wish { of: 1, kind: CertType::User, principals: &["root"], all: false, after: NOW - 30, before: NOW + 300 };

fn made(wish: &Wish) -> String {
    let at = |s: u64| UNIX_EPOCH + Duration::from_secs(s);
    let mut builder =
        Builder::new(vec![7; 16], key(wish.of).public_key(), at(wish.after).duration_since(UNIX_EPOCH).unwrap().as_secs(), wish.before)
            .unwrap();
    builder.cert_type(wish.kind).unwrap();
    for name in wish.principals {
        builder.valid_principal(*name).unwrap();
    }
    if wish.all {
        builder.all_principals_valid().unwrap();
    }
    builder.sign(&key(9)).unwrap().to_openssh().unwrap()
}

fn judged(text: &str) -> Result<(), FetchedFault> {
    judge(text, key(1).public_key(), &"root".parse().unwrap(), NOW).map(|_| ())
}

#[test]
fn a_certificate_is_ours_for_this_account_and_not_for_long() {
    assert_eq!(judged(&made(&GOOD)), Ok(()));
    assert_eq!(judged(&made(&Wish { principals: &["other", "root"], ..GOOD })), Ok(()));
    for (wish, fault) in [
        (Wish { of: 2, ..GOOD }, FetchedFault::OtherKey),
        (Wish { kind: CertType::Host, ..GOOD }, FetchedFault::HostCertificate),
        (Wish { principals: &["rooted"], ..GOOD }, FetchedFault::OtherAccount),
        (Wish { principals: &["root,admin"], ..GOOD }, FetchedFault::OtherAccount),
        (Wish { principals: &["root", "a,b"], ..GOOD }, FetchedFault::OtherAccount),
        (Wish { principals: &["root\nadmin"], ..GOOD }, FetchedFault::OtherAccount),
        (Wish { principals: &["", "root"], ..GOOD }, FetchedFault::OtherAccount),
        (Wish { principals: &[], all: true, ..GOOD }, FetchedFault::AnyAccount),
        (Wish { after: NOW + 1, ..GOOD }, FetchedFault::NotNow),
        (Wish { before: NOW, ..GOOD }, FetchedFault::NotNow),
        (Wish { before: NOW + 3601, ..GOOD }, FetchedFault::TooLong),
        (Wish { before: i64::MAX as u64, ..GOOD }, FetchedFault::TooLong),
    ] {
        let text = made(&wish);
        assert_eq!(judged(&text), Err(fault));
    }
}

#[test]
fn what_is_no_certificate_is_none() {
    let good = made(&GOOD);
    let long = format!("{good} {}", "c".repeat(MOST));
    let plain = key(1).public_key().to_openssh().unwrap();
    for bad in [
        "",
        "\n",
        "ssh-ed25519-cert-v01@openssh.com",
        "ssh-ed25519-cert-v01@openssh.com AAAA",
        plain.as_str(),
        &long,
        &format!("{good}\n{good}"),
    ] {
        assert_eq!(judged(bad), Err(FetchedFault::NotACertificate), "{bad:.60}");
    }
    for cut in 0..good.len() {
        let _ = judged(&good[..cut]);
    }
}
