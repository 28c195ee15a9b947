//! Every way to move, edit or forge a blob has to end in the same refusal.

use super::*;
use crate::clock::Time;
use crate::model::{CredentialId, CredentialKind, KeyKind, UserId};

const VAULT: [u8; 16] = [9; 16];

fn credential(id: u8, version: u32) -> Credential {
    Credential {
        id: CredentialId::from([id; 16]),
        name: "deploy".parse().unwrap(),
        scope: Scope::Workspace("default".parse().unwrap()),
        username: "root".parse().unwrap(),
        kind: CredentialKind::Password,
        version,
        public_key: None,
        fingerprint: None,
        created_at: Time::from_millis(0),
        updated_at: Time::from_millis(0),
        last_used_at: None,
    }
}

fn binding(address: &str, login: &str, pins: &[&str]) -> HostBinding {
    HostBinding::new(address.parse().unwrap(), login.parse().unwrap(), pins.iter().map(|p| (*p).to_owned()).collect())
}

fn host(id: u8) -> HostId {
    HostId::from([id; 16])
}

/// What one credential has in the database.
struct Sealed {
    meta: Credential,
    base: Vec<u8>,
    bound: Vec<u8>,
    secret: Vec<u8>,
}

fn seal_one(kek: &[u8], meta: Credential, plain: &[u8]) -> Sealed {
    let dek = random(KEY).unwrap();
    Sealed {
        base: seal(kek, &Place::dek(&VAULT, &meta, 1, None), &dek).unwrap(),
        bound: seal(kek, &Place::dek(&VAULT, &meta, 1, Some((host(7), &here()))), &dek).unwrap(),
        secret: seal(&dek, &Place::secret(&VAULT, &meta), plain).unwrap(),
        meta,
    }
}

fn here() -> HostBinding {
    binding("web-1:22", "root", &["SHA256:a", "SHA256:b"])
}

fn open_bound(kek: &[u8], s: &Sealed, version: u32, id: HostId, at: &HostBinding) -> Result<Bytes, Broken> {
    let dek = open(kek, &Place::dek(&VAULT, &s.meta, version, Some((id, at))), &s.bound)?;
    open(&dek, &Place::secret(&VAULT, &s.meta), &s.secret)
}

fn opens(kek: &[u8], s: &Sealed) -> bool {
    open_bound(kek, s, 1, host(7), &here()).is_ok()
}

#[test]
fn what_was_sealed_opens_in_its_place() {
    let kek = random(KEY).unwrap();
    for plain in [&b""[..], b"x", &[7; 4096]] {
        let s = seal_one(&kek, credential(1, 1), plain);
        assert_eq!(&*open_bound(&kek, &s, 1, host(7), &here()).unwrap(), plain);
        assert!(open(&kek, &Place::dek(&VAULT, &s.meta, 1, None), &s.base).is_ok());
        assert_eq!(s.secret.len(), 93 + plain.len());
        assert_eq!(s.secret.len(), s.secret.capacity(), "no growth, so no copy left behind");
    }
    let (a, b) = (seal_one(&kek, credential(1, 1), b"x"), seal_one(&kek, credential(1, 1), b"x"));
    assert_ne!(a.secret, b.secret, "equal secrets do not look equal");
}

#[test]
fn rows_cannot_be_swapped_moved_renamed_or_edited() {
    let kek = random(KEY).unwrap();
    let make = || (seal_one(&kek, credential(1, 1), b"one"), seal_one(&kek, credential(2, 1), b"two"));
    let (mut a, b) = make();
    (a.bound, a.secret) = (b.bound.clone(), b.secret.clone());
    assert!(!opens(&kek, &a), "both ciphertexts of another row");
    let (mut a, b) = make();
    a.secret = b.secret;
    assert!(!opens(&kek, &a), "the secret of another row");
    let (mut a, b) = make();
    a.bound = b.bound;
    assert!(!opens(&kek, &a), "the key of another row");
    let (mut a, _) = make();
    a.bound.clone_from(&a.base);
    assert!(!opens(&kek, &a), "the unbound key in the place of a bound one");
    type Edit = (&'static str, fn(&mut Credential));
    let edits: [Edit; 5] = [
        ("id", |c| c.id = CredentialId::from([3; 16])),
        ("version", |c| c.version = 2),
        ("kind", |c| c.kind = CredentialKind::Key(KeyKind::Ed25519)),
        ("workspace", |c| c.scope = Scope::Workspace("other".parse().unwrap())),
        ("person", |c| c.scope = Scope::Personal(UserId::from([1; 16]))),
    ];
    for (what, edit) in edits {
        let (mut a, _) = make();
        edit(&mut a.meta);
        assert!(!opens(&kek, &a), "{what}");
        assert!(open(&kek, &Place::dek(&VAULT, &a.meta, 1, None), &a.base).is_err(), "{what}, unbound");
    }
}

#[test]
fn a_host_cannot_be_pointed_elsewhere() {
    let kek = random(KEY).unwrap();
    let s = seal_one(&kek, credential(1, 1), b"secret");
    for (what, at) in [
        ("address", binding("evil:22", "root", &["SHA256:a", "SHA256:b"])),
        ("port", binding("web-1:23", "root", &["SHA256:a", "SHA256:b"])),
        ("login", binding("web-1:22", "toor", &["SHA256:a", "SHA256:b"])),
        ("a pin more", binding("web-1:22", "root", &["SHA256:a", "SHA256:b", "SHA256:c"])),
        ("a pin less", binding("web-1:22", "root", &["SHA256:a"])),
        ("another pin", binding("web-1:22", "root", &["SHA256:a", "SHA256:c"])),
    ] {
        assert!(open_bound(&kek, &s, 1, host(7), &at).is_err(), "{what}");
    }
    assert!(open_bound(&kek, &s, 1, host(8), &here()).is_err(), "another host with the same address");
    assert!(open_bound(&kek, &s, 2, host(7), &here()).is_err(), "another version of the scope's key");
}

#[test]
fn scope_keys_cannot_be_swapped() {
    let root = random(KEY).unwrap();
    let (a, b) = (Scope::Workspace("a".parse().unwrap()), Scope::Personal(UserId::from([1; 16])));
    let of_a = seal(&root, &Place::kek(&VAULT, &a, 1), &random(KEY).unwrap()).unwrap();
    assert!(open(&root, &Place::kek(&VAULT, &a, 1), &of_a).is_ok());
    assert!(open(&root, &Place::kek(&VAULT, &b, 1), &of_a).is_err());
    assert!(open(&root, &Place::kek(&VAULT, &a, 2), &of_a).is_err());
    assert!(open(&root, &Place::kek(&[8; 16], &a, 1), &of_a).is_err(), "another vault under the same root key");
    assert!(open(&random(KEY).unwrap(), &Place::kek(&VAULT, &a, 1), &of_a).is_err());
}

#[test]
fn a_flipped_bit_in_any_byte_is_refused() {
    let kek = random(KEY).unwrap();
    let s = seal_one(&kek, credential(1, 1), b"secret");
    let place = Place::dek(&VAULT, &s.meta, 1, Some((host(7), &here())));
    let dek = open(&kek, &place, &s.bound).unwrap();
    for (key, place, blob) in [(&kek, &place, &s.bound), (&dek, &Place::secret(&VAULT, &s.meta), &s.secret)] {
        assert!(open(key, place, blob).is_ok());
        for at in 0..blob.len() {
            let mut bent = blob.clone();
            bent[at] ^= 1 << (at % 8);
            assert_eq!(open(key, place, &bent), Err(Broken), "byte {at}");
        }
        for cut in 0..blob.len() {
            assert!(open(key, place, &blob[..cut]).is_err(), "{cut} bytes");
        }
        assert!(open(key, place, &[&blob[..], b"x"].concat()).is_err());
    }
}

#[test]
fn plaintext_in_the_row_is_refused() {
    let key = random(KEY).unwrap();
    let place = Place::secret(&VAULT, &credential(1, 1));
    for text in [&b""[..], b"hunter2", &[b'a'; 200], &[1; 200]] {
        assert!(open(&key, &place, text).is_err());
    }
}

/// GCM alone: the holder of two keys can make a blob that opens under both. Here is such a blob for the keys that this
/// format derives, with a tag that is right under the second key while the commitment is the first one's.
#[test]
fn a_blob_that_gcm_would_open_under_a_second_key_is_refused_for_its_commitment() {
    let (first, second) = (random(KEY).unwrap(), random(KEY).unwrap());
    let place = Place::secret(&VAULT, &credential(1, 1));
    let of_first = seal(&first, &place, b"for the first").unwrap();
    let salt = of_first[1..33].to_vec();
    let nonce = of_first[65..77].to_vec();
    let (cipher, right) = per_blob(&second, &salt).unwrap();
    let mut body = b"for the second".to_vec();
    let tag = cipher.seal_in_place_separate_tag(Nonce::try_assume_unique_for_key(&nonce).unwrap(), Aad::from(&place.0), &mut body).unwrap();
    let blob = |commitment: &[u8]| [&[VERSION][..], &salt, commitment, &nonce, &body, tag.as_ref()].concat();
    assert_eq!(&*open(&second, &place, &blob(&right)).unwrap(), b"for the second", "GCM has nothing against it");
    assert_eq!(open(&second, &place, &blob(&of_first[33..65])), Err(Broken));
    assert_eq!(open(&first, &place, &blob(&of_first[33..65])), Err(Broken));
}

#[test]
fn fields_cannot_flow_into_each_other() {
    let a = Place::new("d", &VAULT).with(b"ab").with(b"c");
    assert_ne!(a, Place::new("d", &VAULT).with(b"a").with(b"bc"));
    assert_ne!(a, Place::new("d", &VAULT).with(b"abc"));
}

#[test]
fn the_state_is_bound_to_vault_epoch_and_digest() {
    let key = random(KEY).unwrap();
    let mac = state_mac(&key, &VAULT, 5, &[1; 32]).unwrap();
    assert!(state_holds(&key, &VAULT, 5, &[1; 32], &mac));
    assert!(!state_holds(&key, &VAULT, 4, &[1; 32], &mac));
    assert!(!state_holds(&key, &VAULT, 5, &[2; 32], &mac));
    assert!(!state_holds(&key, &[8; 16], 5, &[1; 32], &mac));
    assert!(!state_holds(&random(KEY).unwrap(), &VAULT, 5, &[1; 32], &mac));
}
