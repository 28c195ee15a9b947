//! What a broker has sealed, opened by somebody who has its root key: this process, by the layout that is described in
//! `src/vault/envelope.rs`. So the secrets that were made inside are learned without the broker's help.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use base64ct::Encoding;
use keyward::model::CredentialId;
use rusqlite::Connection;

use crate::world::{Broker, database};

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn open(key: &[u8], place: &[&[u8]], blob: &[u8]) -> Vec<u8> {
    let mut bound = Vec::new();
    for field in place {
        bound.extend_from_slice(&u32::try_from(field.len()).unwrap().to_be_bytes());
        bound.extend_from_slice(field);
    }
    let mut both = [0; 64];
    let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, &blob[1..33]).extract(key);
    derived.expand(&[b"keyward/v1 enc|commit"], Length(64)).unwrap().fill(&mut both).unwrap();
    assert_eq!(both[32..], blob[33..65], "another key");
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &both[..32]).unwrap());
    let mut body = blob[77..].to_vec();
    let length = cipher.open_in_place(Nonce::try_assume_unique_for_key(&blob[65..77]).unwrap(), Aad::from(bound), &mut body).unwrap().len();
    body.truncate(length);
    body
}

/// A broker's database and its root key.
pub(crate) struct Opened {
    root: Vec<u8>,
    vault: Vec<u8>,
    database: Connection,
}

impl Opened {
    /// Of this broker.
    pub(crate) fn of(broker: &Broker) -> Self {
        let file = std::fs::read_to_string(broker.root_key()).unwrap();
        let root = base64ct::Base64::decode_vec(file.trim().split(' ').nth(1).unwrap()).unwrap();
        let database = database::open(&broker.home());
        let vault = database.query_row("SELECT value FROM meta WHERE key = 'vault_id'", [], |r| r.get(0)).unwrap();
        Self { root, vault, database }
    }

    fn kek(&self, scope: &str, version: u32) -> Vec<u8> {
        let sql = "SELECT wrapped FROM keks WHERE scope = ?1 AND version = ?2";
        let wrapped: Vec<u8> = self.database.query_row(sql, (scope, version), |r| r.get(0)).unwrap();
        open(&self.root, &[b"keyward/v1 kek", &self.vault, scope.as_bytes(), &version.to_be_bytes()], &wrapped)
    }

    /// The kind and the secret of a credential.
    pub(crate) fn credential(&self, name: &str) -> (String, Vec<u8>) {
        let sql = "SELECT id, scope, kind, version, kek_version, wrapped_dek, sealed FROM credentials WHERE name = ?1";
        type Row = (String, String, String, u32, u32, Vec<u8>, Vec<u8>);
        let read = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?));
        let (id, scope, kind, version, kek_version, wrapped, sealed): Row = self.database.query_row(sql, [name], read).unwrap();
        let id: CredentialId = id.parse().unwrap();
        let (version, kek) = (version.to_be_bytes(), self.kek(&scope, kek_version));
        let place: [&[u8]; 8] = [
            b"keyward/v1 dek",
            &self.vault,
            scope.as_bytes(),
            &kek_version.to_be_bytes(),
            id.bytes(),
            &version,
            kind.as_bytes(),
            b"unbound",
        ];
        let dek = open(&kek, &place, &wrapped);
        let secret = open(&dek, &[b"keyward/v1 secret", &self.vault, id.bytes(), &version, kind.as_bytes()], &sealed);
        (kind, secret)
    }

    /// The kind and the private key of a certificate authority's key that stands there.
    pub(crate) fn authority(&self, stage: &str) -> (String, Vec<u8>) {
        let sql = "SELECT scope, generation, kind, public_key, kek_version, wrapped_dek, sealed FROM authorities WHERE stage = ?1";
        type Row = (String, u32, String, String, u32, Vec<u8>, Vec<u8>);
        let read = |r: &rusqlite::Row<'_>| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?, r.get(6)?));
        let (scope, generation, kind, public, kek_version, wrapped, sealed): Row = self.database.query_row(sql, [stage], read).unwrap();
        let (generation, kek) = (generation.to_be_bytes(), self.kek(&scope, kek_version));
        let (vault, scope, public, version) = (&self.vault[..], scope.as_bytes(), public.as_bytes(), kek_version.to_be_bytes());
        let dek = open(&kek, &[b"keyward/v1 authority dek", vault, scope, &generation, public, &version], &wrapped);
        (kind, open(&dek, &[b"keyward/v1 authority", vault, scope, &generation, public], &sealed))
    }
}
