//! What of a certificate counts, and that everything else is refused.

use russh::keys::PrivateKey;
use russh::keys::ssh_key::certificate::Builder;

use super::*;

const NOW: u64 = 1_800_000_000;

fn key(seed: u8) -> PrivateKey {
    let pair = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]);
    PrivateKey::from(pair)
}

fn signed(change: impl FnOnce(&mut Builder)) -> Certificate {
    let certified = key(1);
    let mut builder = Builder::new(vec![7; 32], certified.public_key().key_data().clone(), NOW - 60, NOW + 300).unwrap();
    builder.serial(7).unwrap().key_id("alice@laptop").unwrap();
    change(&mut builder);
    builder.sign(&key(2)).unwrap()
}

fn examined(certificate: &Certificate) -> Result<Terms, Refused> {
    let shown = Shown { algorithm: &Algorithm::Ed25519, verified: Some(false) };
    examine(certificate, shown, "192.0.2.9".parse().unwrap(), Time::from_millis(i64::try_from(NOW * 1000).unwrap()))
}

fn with(change: impl FnOnce(&mut Builder)) -> Result<Terms, Refused> {
    examined(&signed(|b| {
        b.valid_principal("alice").unwrap();
        change(b);
    }))
}

#[test]
fn what_is_permitted_by_name_stays_and_all_else_is_taken_away() {
    let bare = with(|_| ()).unwrap();
    assert!(bare.no_pty && bare.command.is_none());
    assert_eq!(bare.without.to_string(), "forward-local,forward-remote,forward-agent,x11");
    assert_eq!(bare.until, Some(Time::from_millis(i64::try_from((NOW + 300) * 1000).unwrap())));
    let usual = with(|b| {
        for name in ["permit-pty", "permit-port-forwarding", "permit-agent-forwarding", "permit-X11-forwarding", "permit-user-rc"] {
            b.extension(name, "").unwrap();
        }
        b.extension("login@example.org", "alice").unwrap();
    });
    let usual = usual.unwrap();
    assert!(!usual.no_pty && usual.without.is_empty());
}

#[test]
fn critical_options_are_honoured_or_refused() {
    assert_eq!(
        with(|b| {
            b.critical_option("force-command", "df -h").unwrap();
        })
        .unwrap()
        .command
        .as_deref(),
        Some("df -h")
    );
    for (list, fits) in [
        ("192.0.2.0/24", true),
        ("192.0.2.9", true),
        ("10.0.0.0/8,192.0.2.9/32", true),
        ("2001:db8::/32", false),
        ("198.51.100.0/24", false),
    ] {
        let found = with(|b| {
            b.critical_option("source-address", list).unwrap();
        });
        assert_eq!(found.is_ok(), fits, "{list}");
        assert!(fits || matches!(found, Err(Refused::Address)), "{list}");
    }
    for (name, value) in [
        ("source-address", "192.0.2.9/24"),
        ("source-address", "!198.51.100.1"),
        ("source-address", "192.0.2.0/24, 10.0.0.0/8"),
        ("source-address", "everywhere"),
        ("force-command", ""),
        ("verify-required", "yes"),
        ("no-such-option@example.org", ""),
    ] {
        let found = with(|b| {
            b.critical_option(name, value).unwrap();
        });
        assert!(matches!(found, Err(Refused::Option(_))), "{name}={value}: {found:?}");
    }
    let demands = with(|b| {
        b.critical_option("verify-required", "").unwrap();
    });
    assert!(matches!(demands, Err(Refused::Unverified)));
}

#[test]
fn principals_must_be_there_and_be_one_each() {
    assert!(matches!(
        examined(&signed(|b| {
            b.all_principals_valid().unwrap();
        })),
        Err(Refused::NoPrincipals)
    ));
    for bad in ["alice,root", "alice\nroot", "alice\0", "", "\u{202e}ecila"] {
        let found = with(|b| {
            b.valid_principal(bad).unwrap();
        });
        assert!(matches!(found, Err(Refused::Principal(_))), "{bad:?}: {found:?}");
    }
    let many = with(|b| {
        (0..PRINCIPALS_MAX).for_each(|n| {
            b.valid_principal(format!("p{n}")).unwrap();
        })
    });
    assert!(matches!(many, Err(Refused::TooMuch("principals"))));
}

#[test]
fn only_user_certificates_of_this_time_count() {
    assert!(matches!(
        with(|b| {
            b.cert_type(CertType::Host).unwrap();
        }),
        Err(Refused::NotForUsers)
    ));
    for (after, before) in [(NOW + 1, NOW + 2), (NOW - 2, NOW), (0, 1)] {
        let mut builder = Builder::new(vec![7; 32], key(1).public_key().key_data().clone(), after, before).unwrap();
        builder.valid_principal("alice").unwrap();
        let found = examined(&builder.sign(&key(2)).unwrap());
        assert!(matches!(found, Err(Refused::Time)), "{after} {before}");
    }
    let mut builder = Builder::new(vec![7; 32], key(1).public_key().key_data().clone(), 0, u64::MAX).unwrap();
    builder.valid_principal("alice").unwrap();
    assert_eq!(examined(&builder.sign(&key(2)).unwrap()).unwrap().until, None);
}

#[test]
fn sha1_signs_nobody_in() {
    let certificate = signed(|b| {
        b.valid_principal("alice").unwrap();
    });
    let shown = Shown { algorithm: &Algorithm::Rsa { hash: None }, verified: None };
    let found = examine(&certificate, shown, "192.0.2.9".parse().unwrap(), Time::from_millis(i64::try_from(NOW * 1000).unwrap()));
    assert!(matches!(found, Err(Refused::Kind("key"))));
}
