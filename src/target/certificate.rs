//! Certificates of hosts (PROTOCOL.certkeys of OpenSSH): whether one stands in for a pinned key. Pure; trusts no authority
//! that is not pinned for the host, and knows nothing of what else is pinned.

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::ssh_key::{Algorithm, Certificate, HashAlg};

use crate::model::{authority_pin, printable};

/// The smallest RSA modulus of a certified key, in bits.
const RSA_BITS: u32 = 2048;

/// Whether the certificate proves the host of this name at `now` (seconds since the epoch) to somebody who pinned these
/// fingerprints. Says which pin it was, else why not.
pub(super) fn judge(certificate: &Certificate, pins: &[String], host: &str, now: u64) -> Result<String, String> {
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    let pin = authority_pin(&authority.to_string());
    if !is_by_one_of(certificate, pins) {
        return Err(format!("its certificate is signed by {authority}, which is no CA of this host"));
    }
    if certificate.cert_type() != CertType::Host {
        return Err("its certificate is one of a person, not of a host".to_owned());
    }
    // `ssh-rsa` is RSA with SHA-1.
    if matches!(certificate.signature().algorithm(), Algorithm::Rsa { hash: None } | Algorithm::Dsa | Algorithm::Other(_)) {
        return Err("its certificate is signed with an algorithm that is not safe any more".to_owned());
    }
    if now < certificate.valid_after() {
        return Err("its certificate is not valid yet".to_owned());
    }
    if now >= certificate.valid_before() {
        return Err("its certificate has expired".to_owned());
    }
    certificate.validate_at(now, [&authority]).map_err(|_| "the signature of its certificate is wrong".to_owned())?;
    // An empty list would make one stolen host's key good for every host of the authority.
    if !certificate.valid_principals().iter().any(|principal| principal.eq_ignore_ascii_case(host)) {
        let named = certificate.valid_principals().join(" ");
        return Err(match named.is_empty() {
            true => format!("its certificate names no host, and {host} is wanted"),
            false => format!("its certificate is for {}, not for {host}", printable(&named, 200)),
        });
    }
    // OpenSSH defines none for hosts, and what is critical and not understood is refused.
    if let Some((name, _)) = certificate.critical_options().iter().next() {
        return Err(format!("its certificate has the critical option {}, which is not known", printable(name, 60)));
    }
    if !is_taken(certificate.public_key()) {
        return Err("the key in its certificate is of a kind that is not accepted".to_owned());
    }
    Ok(pin)
}

/// Whether the authority that a certificate names is among these fingerprints; whether it signed it is [`judge`]'s to say.
pub(super) fn is_by_one_of(certificate: &Certificate, pins: &[String]) -> bool {
    pins.contains(&authority_pin(&certificate.signature_key().fingerprint(HashAlg::Sha256).to_string()))
}

/// Whether a host's key of this kind and size is accepted.
pub(super) fn is_taken(key: &KeyData) -> bool {
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => true,
        Algorithm::Rsa { .. } => key.rsa().is_some_and(|rsa| rsa.key_size() >= RSA_BITS),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::PrivateKey;
    use russh::keys::ssh_key::certificate::Builder;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn key(seed: u8) -> PrivateKey {
        let pair = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]);
        PrivateKey::from(pair)
    }

    fn made(kind: CertType, change: impl FnOnce(&mut Builder)) -> Certificate {
        let mut builder = Builder::new([7; 16], key(1).public_key().key_data().clone(), NOW - 60, NOW + 60).unwrap();
        builder.cert_type(kind).unwrap().key_id("an id").unwrap();
        change(&mut builder);
        builder.sign(&key(9)).unwrap()
    }

    fn named(kind: CertType, principal: &str) -> Certificate {
        made(kind, |builder| {
            builder.valid_principal(principal).unwrap();
        })
    }

    fn pins(seed: u8) -> Vec<String> {
        vec![authority_pin(&key(seed).fingerprint(HashAlg::Sha256).to_string())]
    }

    #[test]
    fn each_condition_counts() {
        let good = named(CertType::Host, "web-1.example.com");
        assert_eq!(judge(&good, &pins(9), "web-1.example.com", NOW), Ok(pins(9)[0].clone()));
        let why = |certificate: &Certificate, pins: &[String], host: &str, now: u64| judge(certificate, pins, host, now).unwrap_err();
        assert!(why(&good, &pins(8), "web-1.example.com", NOW).contains("no CA of this host"));
        // The authority's key pinned as the host's own key makes no authority of it.
        let bare = vec![key(9).fingerprint(HashAlg::Sha256).to_string()];
        assert!(why(&good, &bare, "web-1.example.com", NOW).contains("no CA of this host"));
        assert!(why(&good, &pins(9), "web-2.example.com", NOW).contains("is for web-1.example.com"));
        assert!(why(&good, &pins(9), "web-1.example.com", NOW + 60).contains("has expired"));
        assert!(why(&good, &pins(9), "web-1.example.com", NOW - 61).contains("not valid yet"));
        let none = made(CertType::Host, |builder| {
            builder.all_principals_valid().unwrap();
        });
        assert!(why(&none, &pins(9), "web-1", NOW).contains("names no host"));
        assert!(why(&named(CertType::User, "web-1"), &pins(9), "web-1", NOW).contains("one of a person"));
        let odd = made(CertType::Host, |builder| {
            builder.valid_principal("web-1").unwrap().critical_option("only-on@example.com", "monday").unwrap();
        });
        assert!(why(&odd, &pins(9), "web-1", NOW).contains("critical option only-on@example.com"));
    }

    #[test]
    fn a_changed_certificate_is_refused() {
        let mut bytes = named(CertType::Host, "web-1").to_bytes().unwrap();
        let at = bytes.windows(5).position(|w| w == b"web-1").unwrap();
        bytes[at + 4] = b'2';
        let forged = Certificate::from_bytes(&bytes).unwrap();
        assert!(judge(&forged, &pins(9), "web-2", NOW).unwrap_err().contains("signature"));
    }
}
