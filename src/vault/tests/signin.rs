//! Keys sign in to a real SSH server, once, and sign nothing else.

use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{HashAlg, PrivateKey, PublicKey};
use russh::server::{Auth, VerifiedPublicKey};

use super::*;
use crate::vault::wire::put_string;
use crate::vault::{SignFault, Signer, Tampering};

struct Server {
    expects: PublicKey,
}

impl russh::server::Handler for Server {
    type Error = russh::Error;
    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let known = user == "root" && key.public_key.key_data() == self.expects.key_data();
        Ok(if known && key.algorithm.as_str() != "ssh-rsa" { Auth::Accept } else { Auth::reject() })
    }
}

struct Client;
impl russh::client::Handler for Client {
    type Error = russh::Error;
    async fn check_server_key(&mut self, _: &russh::keys::PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

async fn signs_in(signer: &mut Signer, user: &str, hash: Option<HashAlg>) -> Result<bool, Error> {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let host_key = PrivateKey::from(Ed25519Keypair::from_seed(&[5; 32]));
    let server = Arc::new(russh::server::Config { keys: vec![host_key], auth_rejection_time: Duration::ZERO, ..Default::default() });
    let handler = Server { expects: signer.public_key().clone() };
    #[allow(clippy::disallowed_methods)] // a server that fails is a sign-in that fails
    tokio::spawn(async move {
        if let Ok(running) = russh::server::run_stream(server, theirs, handler).await {
            let _ = running.await;
        }
    });
    let mut client = russh::client::connect_stream(Arc::new(russh::client::Config::default()), ours, Client).await.unwrap();
    let public = signer.public_key().clone();
    Ok(client.authenticate_publickey_with(user, public, hash, signer).await?.success())
}

async fn with_key(kind: &str, bits: &str) -> (World, CredentialId) {
    let world = World::new().await;
    let id = world.add(world.draft("deploy", Form::PrivateKey), generated(kind, bits)).await;
    (world, id)
}

impl World {
    async fn signer(&self, id: CredentialId) -> Signer {
        match self.lease(id).await.unwrap().into_means() {
            crate::vault::Means::Key(signer) => signer,
            crate::vault::Means::Password(_) | crate::vault::Means::Either(..) => panic!("a password"),
        }
    }
}

/// What a client signs, for `user` with `key`.
fn request(user: &str, algorithm: &str, key: &PublicKey) -> Vec<u8> {
    let mut out = Vec::new();
    put_string(&mut out, &[7; 32]);
    out.push(50);
    for field in [user, "ssh-connection", "publickey"] {
        put_string(&mut out, field.as_bytes());
    }
    out.push(1);
    put_string(&mut out, algorithm.as_bytes());
    put_string(&mut out, &key.to_bytes().unwrap());
    out
}

fn fault(result: Result<Vec<u8>, Error>) -> SignFault {
    match result.unwrap_err() {
        Error::Sign(fault) => fault,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn every_kind_of_key_signs_in_to_a_server_and_only_once() {
    let sha2 = [Some(HashAlg::Sha256), Some(HashAlg::Sha512)];
    for (kind, bits, hashes) in [
        ("ed25519", "256", &[None][..]),
        ("ecdsa", "256", &[None]),
        ("ecdsa", "384", &[None]),
        ("ecdsa", "521", &[None]),
        ("rsa", "2048", &sha2),
    ] {
        let (world, id) = with_key(kind, bits).await;
        for hash in hashes {
            // Several times: signatures of some have numbers of changing length.
            for _ in 0..4 {
                let mut signer = world.signer(id).await;
                assert!(signs_in(&mut signer, "root", *hash).await.unwrap(), "{kind} {bits} {hash:?}");
                assert!(matches!(signs_in(&mut signer, "root", *hash).await, Err(Error::Sign(SignFault::Spent))));
            }
        }
    }
}

#[tokio::test]
async fn nothing_but_the_credentials_own_sign_in_is_signed() {
    let (world, id) = with_key("ed25519", "256").await;
    let other = PrivateKey::from(Ed25519Keypair::from_seed(&[9; 32])).public_key().clone();
    let mine = world.signer(id).await.public_key().clone();
    let hostbased = String::from_utf8_lossy(&request("root", "ssh-ed25519", &mine)).replace("publickey", "hostbased").into_bytes();
    for (asked, want) in [
        (request("toor", "ssh-ed25519", &mine), SignFault::OtherUser),
        (request("root", "ssh-ed25519", &other), SignFault::OtherKey),
        (request("root", "ssh-rsa", &mine), SignFault::Algorithm),
        (request("root", "rsa-sha2-256", &mine), SignFault::Algorithm),
        (b"SSHSIG\0\0\0\x04file".to_vec(), SignFault::NotASignIn),
        ([request("root", "ssh-ed25519", &mine), b"more".to_vec()].concat(), SignFault::NotASignIn),
        (hostbased, SignFault::NotASignIn),
        (Vec::new(), SignFault::NotASignIn),
    ] {
        let mut signer = world.signer(id).await;
        assert_eq!(fault(signer.sign(asked).await), want);
        assert_eq!(fault(signer.sign(request("root", "ssh-ed25519", &mine)).await), SignFault::Spent, "no second try");
    }
    let mut signer = world.signer(id).await;
    let asked = request("root", "ssh-ed25519", &mine);
    let identity = russh::keys::agent::AgentIdentity::from(other);
    assert_eq!(fault(russh::Signer::auth_sign(&mut signer, &identity, None, asked.clone()).await), SignFault::OtherKey);
    let signed = signer.sign(asked.clone()).await.unwrap();
    assert!(signed.starts_with(&asked), "the request comes back with the signature behind it");
    assert_eq!(signed.len(), asked.len() + 4 + 4 + 11 + 4 + 64);
}

#[tokio::test]
async fn rsa_does_not_sign_with_sha_1() {
    let (world, id) = with_key("rsa", "2048").await;
    let mut signer = world.signer(id).await;
    let asked = request("root", "ssh-rsa", &signer.public_key().clone());
    assert_eq!(fault(signer.sign(asked).await), SignFault::Algorithm);
    assert!(matches!(signs_in(&mut world.signer(id).await, "root", None).await, Err(Error::Sign(SignFault::Algorithm)) | Ok(false)));
}

#[tokio::test]
async fn what_changed_between_lease_and_signature_counts() {
    let sign = async |world: &World, mut signer: Signer| {
        let asked = request("root", "ssh-ed25519", &signer.public_key().clone());
        let _ = world;
        signer.sign(asked).await
    };
    let (world, id) = with_key("ed25519", "256").await;
    let signer = world.signer(id).await;
    world.change(move |c| credentials::remove(c, id)).await;
    assert!(matches!(sign(&world, signer).await, Err(Error::NoCredential)));

    let (world, id) = with_key("ed25519", "256").await;
    let signer = world.signer(id).await;
    world.change(|c| Ok(c.execute("DELETE FROM bindings", []).map(drop)?)).await;
    assert!(matches!(sign(&world, signer).await, Err(Error::NotBound)));

    let (world, id) = with_key("ed25519", "256").await;
    let signer = world.signer(id).await;
    let host = world.host.id;
    world.change(move |c| hosts::unpin_all(c, host)).await;
    assert!(matches!(sign(&world, signer).await, Err(Error::HostKeyNotPinned { .. })));

    let (world, id) = with_key("ed25519", "256").await;
    let signer = world.signer(id).await;
    world.tamper("UPDATE users SET role = 'owner'").await;
    assert!(matches!(sign(&world, signer).await, Err(Error::Tampered { found: Tampering::State, .. })));

    let (world, id) = with_key("ed25519", "256").await;
    let signer = world.signer(id).await;
    world.clock.advance(crate::vault::LEASE_LIFE + Duration::from_millis(1));
    assert_eq!(fault(sign(&world, signer).await), SignFault::Late);
}

/// The row's public key is no part of what is encrypted; the keeper compares it with what it opened.
#[tokio::test]
async fn a_public_key_that_was_exchanged_in_the_row_is_noticed() {
    let (world, id) = with_key("ed25519", "256").await;
    let other = PrivateKey::from(Ed25519Keypair::from_seed(&[9; 32])).public_key().to_openssh().unwrap();
    world.change(move |c| Ok(c.execute("UPDATE credentials SET public_key = ?1", [other]).map(drop)?)).await;
    let mut signer = world.signer(id).await;
    let asked = request("root", "ssh-ed25519", &signer.public_key().clone());
    assert!(matches!(signer.sign(asked).await, Err(Error::Tampered { found: Tampering::PublicKey, .. })));
}

#[tokio::test]
async fn a_signer_can_be_sent_and_shows_nothing() {
    fn sendable<T: Send>(_: &T) {}
    let (world, id) = with_key("ed25519", "256").await;
    let signer = world.signer(id).await;
    sendable(&signer);
    fn shared<T: Clone + Send + Sync + std::fmt::Debug>(_: &T) {}
    shared(&world.vault);
    assert!(format!("{signer:?}").contains("Signer"));
}
