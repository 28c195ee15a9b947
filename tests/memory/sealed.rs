//! A sealed scope: what opens it is gone as soon as it did, and its key with the lock. What the needles are is taken out of the database
//! by another program than the broker: this file, with the root key, the documented format and what was typed.

use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::{agreement, hkdf};
use base64ct::{Base64, Encoding};

use crate::scan::{Needle, Scanner, needles};
use crate::secrets;
use crate::world::account::NAME;
use crate::world::broker::Settings;
use crate::world::keys::Key;
use crate::world::terminal::Terminal;
use crate::world::{Scene, eventually, nonce, run};

const KEYS: &str = "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n";

struct Length(usize);
impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive(key: &[u8], salt: &[u8], info: &str, length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(key);
    prk.expand(&[info.as_bytes()], Length(length)).unwrap().fill(&mut out).unwrap();
    out
}

fn put(to: &mut Vec<u8>, field: &[u8]) {
    to.extend_from_slice(&u32::try_from(field.len()).unwrap().to_be_bytes());
    to.extend_from_slice(field);
}

fn place(vault: &[u8], what: &str, fields: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in [b"keyward/v1 personal", vault, what.as_bytes()].iter().chain(fields) {
        put(&mut out, field);
    }
    out
}

fn open(key: &[u8], place: &[u8], blob: &[u8]) -> Vec<u8> {
    assert_eq!(blob[0], 1);
    let both = derive(key, &blob[1..33], "keyward/v1 enc|commit", 64);
    assert_eq!(&both[32..], &blob[33..65], "the commitment");
    let cipher = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &both[..32]).unwrap());
    let mut body = blob[77..].to_vec();
    let nonce = Nonce::try_assume_unique_for_key(&blob[65..77]).unwrap();
    let length = cipher.open_in_place(nonce, Aad::from(place), &mut body).unwrap().len();
    body.truncate(length);
    body
}

/// Takes strings with their lengths off the front.
struct Fields<'a>(&'a [u8]);
impl<'a> Fields<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        taken
    }
    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }
    fn string(&mut self) -> &'a [u8] {
        let n = self.u32();
        self.take(usize::try_from(n).unwrap())
    }
}

/// What opens a scope, and the scope's key.
struct Opened {
    argon: Vec<u8>,
    slot: Vec<u8>,
    kek: Vec<u8>,
}

/// The 16 bytes of an id.
fn id(text: &str) -> Vec<u8> {
    let alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
    let digits = text.split('_').nth(1).unwrap();
    digits.chars().fold(0u128, |value, c| (value << 5) | u128::try_from(alphabet.find(c).unwrap()).unwrap()).to_be_bytes().to_vec()
}

fn opened(home: &Path, root_key: &Path, passphrase: &str) -> Opened {
    let text = std::fs::read_to_string(root_key).unwrap();
    let text = text.trim_end();
    let root = Base64::decode_vec(&text[text.len() - 44..]).expect("the last 44 characters are base64");
    #[allow(clippy::disallowed_methods)] // of a database that is somebody else's
    let c = rusqlite::Connection::open(home.join("keyward.db")).unwrap();
    let vault: Vec<u8> = c.query_row("SELECT value FROM meta WHERE key = 'vault_id'", [], |r| r.get(0)).unwrap();
    let (slot_id, user, wrapped): (String, String, Vec<u8>) = c
        .query_row("SELECT id, user, wrapped FROM slots WHERE kind = 'passphrase'", [], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?)))
        .unwrap();
    let (scope, slot_bytes) = (format!("person/{user}"), id(&slot_id));
    let at = place(&vault, "slot", &[scope.as_bytes(), &slot_bytes, b"passphrase", b""]);
    let body = open(&root, &at, &wrapped);
    let mut fields = Fields(&body[1..]);
    assert_eq!((body[0], fields.string()), (1, &b"passphrase"[..]));
    let salt = fields.string().to_vec();
    let (memory, passes, lanes, version) = (fields.u32(), fields.u32(), fields.u32(), fields.u32());
    assert_eq!(fields.string(), b"");
    let (public, boxed) = (fields.string().to_vec(), fields.string().to_vec());
    let mut argon = vec![0; 32];
    let params = Params::new(memory, passes, lanes, Some(32)).unwrap();
    let mut blocks = vec![argon2::Block::new(); params.block_count()];
    let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    hash.hash_password_into_with_memory(passphrase.as_bytes(), &salt, &mut argon, blocks.as_mut_slice()).unwrap();
    let slot = derive(&argon, &[&salt[..], &vault, &slot_bytes].concat(), "keyward/v1 slot passphrase", 32);
    let private = agreement::PrivateKey::from_private_key(&agreement::X25519, &slot).unwrap();
    assert_eq!(private.compute_public_key().unwrap().as_ref(), public, "the slot's key pair");
    let fresh = &boxed[1..33];
    let shared = agreement::agree(&private, agreement::UnparsedPublicKey::new(&agreement::X25519, fresh), (), |secret| {
        Ok(derive(secret, &[fresh, &public[..]].concat(), "keyward/v1 x25519", 32))
    })
    .unwrap();
    let at = place(&vault, "slot key", &[scope.as_bytes(), &slot_bytes, b"passphrase", &version.to_be_bytes()]);
    let kek = open(&shared, &at, &boxed[33..]);
    Opened { argon, slot, kek }
}

#[test]
fn what_opens_a_sealed_scope_is_gone_at_once_and_its_key_with_the_lock() {
    assert!(!cfg!(debug_assertions), "a debug build keeps pieces of secrets on its stacks\nhint: cargo test --release, or make test");
    let scene = Scene::bare(Settings::default(), Some(KEYS));
    let passphrase = nonce(32);
    let mine: Key = secrets::key(scene.dir(), "mine", &["-t", "ed25519"]);
    scene.host.authorize(&[&mine]);
    scene.broker.does(&["host", "add", "web-1", &scene.host.address(), "--host-key", &scene.host.host_key.public]);
    scene.grant("alice", "web-1");
    let alice = |words: &str, stdin: Vec<u8>| scene.alice.verb("alice", words, stdin).ok();
    alice(&format!("credential add mine --username {NAME} --key - --scope personal"), mine.private());
    alice("credential attach mine --host web-1 --mine", Vec::new());
    let code = alice("personal seal", passphrase.clone().into_bytes()).text().trim().to_owned();
    let Opened { argon, slot, kek } = opened(&scene.broker.home(), &scene.broker.root_key(), &passphrase);

    let mut at_once: Vec<Needle> = secrets::of_text("the passphrase", &passphrase);
    at_once.extend(secrets::of_key("the credential", &mine));
    at_once.extend(needles("the recovery code", code.as_bytes()));
    at_once.extend(needles("the hash of the passphrase", &argon));
    at_once.extend(needles("the slot's key", &slot));
    let (at_once, key) = (Scanner::new(at_once), Scanner::new(needles("the scope's key", &kek)));
    let clean = |scanner: &Scanner, when: &str| {
        let hits = scanner.search(scene.broker.id());
        let shown: Vec<String> = hits.iter().take(12).map(ToString::to_string).collect();
        assert!(hits.is_empty(), "{when}: {} pieces are in the broker's memory:\n{}", hits.len(), shown.join("\n"));
    };
    clean(&at_once, "sealed");
    clean(&key, "sealed");

    for (with, what) in [(&passphrase, "passphrase"), (&code, "recovery code")] {
        alice("unlock", with.clone().into_bytes());
        clean(&at_once, &format!("open, by {what}"));
        // The scanner can find it, and only one copy is there to be wiped.
        let hits = key.search(scene.broker.id());
        let raw: std::collections::BTreeSet<String> = hits.iter().map(|hit| hit.to_string()).collect();
        assert!(!raw.is_empty(), "the scanner does not find the key of an open scope");
        run(scene.alice.ssh(&["-l", "web-1", "through", "true"]), "").ok();
        clean(&at_once, &format!("used, opened by {what}"));
        alice("lock", Vec::new());
        clean(&key, &format!("locked, opened by {what}"));
        clean(&at_once, &format!("locked, opened by {what}"));
    }
    let wrong = nonce(32);
    assert_eq!(scene.alice.verb("alice", "unlock", wrong.clone().into_bytes()).status, Some(1));
    clean(&Scanner::new(secrets::of_text("a wrong passphrase", &wrong)), "refused");

    // On the way to a host.
    let mut ssh =
        Terminal::start(&scene.alice.ssh(&["-o", "BatchMode=no", "-l", "web-1", "through", "echo ready-$((40+2)); exec cat"]), 24, 120);
    ssh.until("Passphrase for your sealed credentials:");
    ssh.write(&format!("{passphrase}\n"));
    ssh.until("ready-42");
    clean(&at_once, "connected");
    assert!(!key.search(scene.broker.id()).is_empty(), "the scanner does not find the key of an open scope");
    ssh.write("\x04");
    ssh.end();
    let locked = || scene.broker.audit().iter().any(|e| e["reason"] == "their last connection has ended").then_some(());
    eventually("locked with the last connection", locked);
    clean(&at_once, "after the last connection");
    clean(&key, "after the last connection");
}
