//! What is left on the stack, seen as an outsider sees it: in `/proc/self/mem`.

use std::os::unix::fs::FileExt;

use std::hint::black_box;

use crate::model::Scope;
use crate::scrub::{DEPTH, STACK, wiped};
use crate::vault::envelope::{self, KEY, Place};
use crate::vault::import;

/// More than any work needs, less than the stack has.
const LOOK: usize = 384 * 1024;
const PAINT: u8 = 0xa5;

/// The `LOOK` bytes of this thread's stack below the caller.
#[inline(never)]
fn below() -> Vec<u8> {
    let here = 0u8;
    let top = std::ptr::from_ref(&here).addr() as u64;
    let mut seen = vec![0u8; LOOK];
    std::fs::File::open("/proc/self/mem").unwrap().read_exact_at(&mut seen, top - LOOK as u64).unwrap();
    seen
}

#[inline(never)]
fn paint() {
    let mut area = [PAINT; LOOK + 64 * 1024];
    black_box(&mut area);
}

fn on_a_keepers_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(STACK).spawn(work).unwrap().join().unwrap();
}

/// How many pieces of 8 bytes of `secret` lie below, forwards or – as numbers are in memory – backwards.
fn pieces(secret: &[u8]) -> usize {
    let seen = below();
    let number = |w: &[u8]| u64::from_le_bytes(w.try_into().unwrap());
    let parts: std::collections::HashSet<u64> = secret.windows(8).map(number).flat_map(|n| [n, n.swap_bytes()]).collect();
    seen.windows(8).filter(|w| parts.contains(&number(w))).count()
}

/// As [`wiped`], without the wiping.
#[inline(never)]
fn contained<T>(work: impl FnOnce() -> T) -> Result<T, ()> {
    Ok(black_box(work()))
}

#[inline(never)]
fn spill(seed: &[u8], depth: usize) -> usize {
    let mut copy = [0u8; 4096];
    copy[..seed.len()].copy_from_slice(seed);
    black_box(&mut copy);
    if depth == 0 { 1 } else { 1 + black_box(spill(&copy[..seed.len()], depth - 1)) }
}

#[test]
fn what_the_work_left_on_the_stack_is_gone_even_after_a_panic() {
    on_a_keepers_stack(|| {
        let seed = envelope::random(32).unwrap();
        contained(|| spill(&seed, 20)).unwrap();
        assert!(pieces(&seed) > 0, "the scanner finds what is not wiped");
        wiped(|| spill(&seed, 20)).unwrap();
        assert_eq!(pieces(&seed), 0);
        let panicked: Result<(), _> = wiped(|| {
            spill(&seed, 20);
            panic!("on purpose");
        });
        assert!(panicked.is_err());
        assert_eq!(pieces(&seed), 0);
    });
}

fn key_file(kind: &str, bits: &str, passphrase: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let args = ["-q", "-t", kind, "-b", bits, "-a", "1", "-N", passphrase, "-f", "k"];
    assert!(std::process::Command::new("ssh-keygen").args(args).current_dir(dir.path()).status().unwrap().success());
    std::fs::read(dir.path().join("k")).unwrap()
}

/// What the vault does with a key in its life: read, seal, wrap, open, sign. Returns the raw key.
fn life(file: &[u8], passphrase: Option<&[u8]>) -> envelope::Bytes {
    let raw = import::read(file, passphrase).unwrap();
    let (vault, root) = ([1; 16], envelope::random(KEY).unwrap());
    let scope = Scope::Workspace("default".parse().unwrap());
    let place = Place::kek(&vault, &scope, 1);
    let dek = envelope::random(KEY).unwrap();
    let wrapped = envelope::seal(&root, &place, &dek).unwrap();
    let dek = envelope::open(&root, &place, &wrapped).unwrap();
    let sealed = envelope::seal(&dek, &place, &raw.bytes).unwrap();
    let bytes = envelope::open(&dek, &place, &sealed).unwrap();
    let opened = crate::vault::keys::RawKey { kind: raw.kind, bytes };
    let pair = opened.pair().unwrap();
    let algorithm = pair.public().unwrap().algorithm();
    let algorithm = if algorithm.as_str() == "ssh-rsa" { "rsa-sha2-512" } else { algorithm.as_str() };
    pair.sign(algorithm, b"message").unwrap();
    raw.bytes
}

/// The same key as PuTTY keeps it.
fn putty_file(kind: &str, passphrase: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("p"), passphrase).unwrap();
    let args =
        ["-q", "-t", kind, "-o", "k", "--new-passphrase", "p", "--random-device", "/dev/urandom", "--ppk-param", "memory=64,passes=1"];
    assert!(std::process::Command::new("puttygen").args(args).current_dir(dir.path()).status().unwrap().success());
    std::fs::read(dir.path().join("k")).unwrap()
}

#[test]
fn no_piece_of_a_putty_key_or_its_passphrase_is_left_on_the_stack() {
    for kind in ["ed25519", "ecdsa", "rsa"] {
        for passphrase in ["", "correct horse battery staple"] {
            let file = putty_file(kind, passphrase);
            on_a_keepers_stack(move || {
                let given = (!passphrase.is_empty()).then_some(passphrase.as_bytes());
                paint();
                let raw = contained(|| life(&file, given)).unwrap();
                let depth = LOOK - below().iter().take_while(|b| **b == PAINT).count();
                assert!(depth * 2 < DEPTH, "{kind}: {depth} bytes deep");
                let left = pieces(&raw);
                let raw = wiped(|| life(&file, given)).unwrap();
                assert_eq!(pieces(&raw), 0, "{kind}: {left} before");
                assert!(passphrase.is_empty() || pieces(passphrase.as_bytes()) == 0, "{kind}");
            });
        }
    }
}

#[test]
fn no_piece_of_a_key_is_left_on_the_stack_and_no_work_goes_deeper_than_what_is_wiped() {
    for (kind, bits) in [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "2048")] {
        for passphrase in [None, Some("sesame")] {
            let file = key_file(kind, bits, passphrase.unwrap_or(""));
            on_a_keepers_stack(move || {
                let passphrase = passphrase.map(str::as_bytes);
                paint();
                let raw = contained(|| life(&file, passphrase)).unwrap();
                let seen = below();
                let untouched = seen.iter().take_while(|b| **b == PAINT).count();
                let depth = LOOK - untouched;
                assert!(untouched > 0 && depth * 2 < DEPTH, "{kind} {bits}: {depth} bytes deep");
                // What the work itself leaves is the compiler's choice and may be nothing, so another spill shows that it would be seen.
                let left = pieces(&raw);
                contained(|| spill(&raw[..32], 4)).unwrap();
                assert!(pieces(&raw) > 0, "this test looks in the wrong place");
                let raw = wiped(|| life(&file, passphrase)).unwrap();
                assert_eq!(pieces(&raw), 0, "{kind} {bits}: {left} before");
            });
        }
    }
}
