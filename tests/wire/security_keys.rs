//! 0006: a security key (FIDO) that nobody touched does not sign in.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use russh::keys::agent::AgentIdentity;
use russh::keys::ssh_key::public::{Ed25519PublicKey, KeyData, SkEd25519};
use russh::keys::{HashAlg, PublicKey};
use russh::server::{Auth, VerifiedPublicKey};
use russh::{SendError, Signer, server};

use crate::support::{client_config, connect, server_config, within};

pub(crate) const APPLICATION: &str = "ssh:";
pub(crate) const TOUCHED: u8 = 0x01;

/// An authenticator, as seen through an agent.
pub(crate) struct Authenticator {
    key: Ed25519KeyPair,
    flags: u8,
    counter: u32,
    /// Spoils what is covered by the signature.
    claims: Option<u8>,
}

impl Authenticator {
    pub(crate) fn new(flags: u8) -> Self {
        Self { key: Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap(), flags, counter: 258, claims: None }
    }

    pub(crate) fn public_key(&self, application: &str) -> PublicKey {
        let point = Ed25519PublicKey(self.key.public_key().as_ref().try_into().unwrap());
        KeyData::SkEd25519(SkEd25519::new(point, application.to_owned())).into()
    }
}

fn string(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend((bytes.len() as u32).to_be_bytes());
    to.extend(bytes);
}

impl Signer for Authenticator {
    type Error = SendError;

    async fn auth_sign(&mut self, _: &AgentIdentity, _: Option<HashAlg>, to_sign: Vec<u8>) -> Result<Vec<u8>, Self::Error> {
        let mut covered = digest(&SHA256, APPLICATION.as_bytes()).as_ref().to_vec();
        covered.push(self.flags);
        covered.extend(self.counter.to_be_bytes());
        covered.extend(digest(&SHA256, &to_sign).as_ref());

        let mut signature = Vec::new();
        string(&mut signature, b"sk-ssh-ed25519@openssh.com");
        string(&mut signature, self.key.sign(&covered).as_ref());
        signature.push(self.claims.unwrap_or(self.flags));
        signature.extend(self.counter.to_be_bytes());

        let mut signed = to_sign;
        string(&mut signed, &signature);
        Ok(signed)
    }
}

/// Lets every key in that the library lets through.
struct Open;

impl server::Handler for Open {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }
}

async fn signs_in(mut authenticator: Authenticator, application: &str) -> bool {
    let connected = connect(server_config(), client_config(), Open);
    let (mut guest, _server) = within("connect", connected).await;
    let key = authenticator.public_key(application);
    let signed = guest.authenticate_publickey_with("guest", key, None, &mut authenticator);
    within("sign in", signed).await.unwrap().success()
}

#[tokio::test]
async fn a_touched_key_signs_in() {
    assert!(signs_in(Authenticator::new(TOUCHED), APPLICATION).await);
}

#[tokio::test]
async fn an_untouched_key_does_not() {
    assert!(!signs_in(Authenticator::new(0), APPLICATION).await);
}

#[tokio::test]
async fn a_touch_cannot_be_claimed() {
    let mut authenticator = Authenticator::new(0);
    authenticator.claims = Some(TOUCHED);
    assert!(!signs_in(authenticator, APPLICATION).await);
}

#[tokio::test]
async fn a_signature_for_another_application_does_not_sign_in() {
    assert!(!signs_in(Authenticator::new(TOUCHED), "ssh:other").await);
}
