//! 0016: the handler sees the certificate that is offered, the algorithm of
//! the signature, and hears of those that are refused without asking it.

use std::sync::{Arc, Mutex};

use russh::keys::ssh_key::Certificate;
use russh::keys::ssh_key::certificate::{Builder, CertType};
use russh::keys::{Algorithm, PrivateKey};
use russh::server::{self, Auth, CertificateFault, PublicKeyOffer, VerifiedCertificate, VerifiedPublicKey};

use crate::support::{client_config, connect, key, server_config, within};

/// What a handler was told, in order.
type Heard = Arc<Mutex<Vec<String>>>;

/// Trusts the authority and no key.
struct Trusting {
    authority: PrivateKey,
    heard: Heard,
}

impl Trusting {
    fn hears(&self, what: String) {
        self.heard.lock().unwrap().push(what);
    }
}

impl server::Handler for Trusting {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, _: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, Self::Error> {
        self.hears(format!("offered {}", offer.certificate.map_or("a key", Certificate::key_id)));
        let trusted = offer.certificate.is_some_and(|c| c.signature_key() == self.authority.public_key().key_data());
        Ok(if trusted { Auth::Accept } else { Auth::reject() })
    }

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(Auth::reject())
    }

    async fn auth_certificate(&mut self, _: &str, verified: VerifiedCertificate<'_>) -> Result<Auth, Self::Error> {
        assert_eq!(*verified.algorithm, Algorithm::Ed25519);
        assert!(verified.security_key.is_none());
        self.hears(format!("shown {}", verified.certificate.key_id()));
        Ok(Auth::Accept)
    }

    async fn auth_certificate_unfit(&mut self, _: &str, certificate: &Certificate, fault: CertificateFault) -> Result<(), Self::Error> {
        self.hears(format!("unfit {} {fault:?}", certificate.key_id()));
        Ok(())
    }
}

fn certificate(of: &PrivateKey, by: &PrivateKey, before: u64) -> Certificate {
    let mut builder = Builder::new(vec![7; 32], of.public_key().key_data().clone(), 0, before).unwrap();
    builder.serial(1).unwrap().key_id("guest-1").unwrap().cert_type(CertType::User).unwrap().valid_principal("guest").unwrap();
    builder.sign(by).unwrap()
}

async fn tries(certificate: Certificate, own: PrivateKey) -> (bool, Vec<String>) {
    let heard = Heard::default();
    let host = Trusting { authority: key(9), heard: Arc::clone(&heard) };
    let (mut guest, _server) = within("connect", connect(server_config(), client_config(), host)).await;
    let signed = guest.authenticate_openssh_cert("guest", Arc::new(own), certificate);
    let let_in = within("sign in", signed).await.unwrap().success();
    let heard = heard.lock().unwrap().clone();
    (let_in, heard)
}

#[tokio::test]
async fn a_certificate_is_offered_and_shown_as_one() {
    let own = key(3);
    let (let_in, heard) = tries(certificate(&own, &key(9), u64::MAX), own).await;
    assert!(let_in);
    assert_eq!(heard.first().map(String::as_str), Some("offered guest-1"));
    assert_eq!(heard.last().map(String::as_str), Some("shown guest-1"));
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_is_refused_before_anything_is_signed() {
    let own = key(3);
    let (let_in, heard) = tries(certificate(&own, &key(8), u64::MAX), own).await;
    assert!(!let_in);
    assert!(heard.iter().all(|h| h == "offered guest-1"), "{heard:?}");
}

#[tokio::test]
async fn what_is_refused_unasked_is_told() {
    let own = key(3);
    let (let_in, heard) = tries(certificate(&own, &key(9), 1), own).await;
    assert!(!let_in);
    assert_eq!(heard.first().map(String::as_str), Some("unfit guest-1 Time"));
}
