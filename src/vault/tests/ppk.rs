//! Files that `puttygen` really writes, and what becomes of them when somebody else writes on.

use std::path::Path;
use std::process::{Command, Stdio};

use super::super::import;
use super::*;
use crate::scrub;

fn run(dir: &Path, program: &str, args: &[&str]) {
    let done = Command::new(program).args(args).current_dir(dir).stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn file(dir: &Path, name: &str) -> Vec<u8> {
    std::fs::read(dir.join(name)).unwrap()
}

/// `puttygen FROM` written anew as `to`, with these parameters; an empty passphrase is none.
fn putty(dir: &Path, from: &str, to: &str, passphrase: &str, parameters: &str) -> Vec<u8> {
    std::fs::write(dir.join("passphrase"), passphrase).unwrap();
    let flags = ["-O", "private", "-o", to, "--new-passphrase", "passphrase", "--random-device", "/dev/urandom", "-C", "imported-key"];
    let args: Vec<&str> = std::iter::once(from).chain(flags).chain(["--ppk-param", parameters]).collect();
    run(dir, "puttygen", &args);
    file(dir, to)
}

/// As the vault does it, so that the need of stack is tested as well.
fn read_on_a_small_stack(bytes: Vec<u8>, passphrase: Option<&'static str>) -> Result<RawKey, Error> {
    let work = move || scrub::wiped(|| import::read(&bytes, passphrase.map(str::as_bytes))).unwrap();
    std::thread::Builder::new().stack_size(scrub::STACK).spawn(work).unwrap().join().unwrap()
}

fn keygen(dir: &Path, kind: &str, bits: &str, name: &str) {
    run(dir, "ssh-keygen", &["-q", "-t", kind, "-b", bits, "-N", "", "-f", name]);
}

#[test]
fn every_kind_version_and_flavour_that_puttygen_writes() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (kind, bits) in [("ed25519", "256"), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "2048"), ("rsa", "3072")] {
        let name = format!("{kind}{bits}");
        keygen(dir, kind, bits, &name);
        let want = import::read(&file(dir, &name), None).unwrap();
        for version in ["2", "3"] {
            let plain = putty(dir, &name, "plain.ppk", "", &format!("version={version}"));
            let raw = read_on_a_small_stack(plain.clone(), None).unwrap();
            assert_eq!((raw.kind, &raw.bytes), (want.kind, &want.bytes), "{name} version {version}");
            assert_eq!(import::read(&plain, Some(b"too much")).unwrap().bytes, want.bytes);
        }
        for parameters in [
            "version=2",
            "version=3,kdf=argon2id,memory=64,passes=2",
            "version=3,kdf=argon2i,memory=64,passes=1",
            "version=3,kdf=argon2d,memory=128,passes=1,parallelism=2",
        ] {
            let locked = putty(dir, &name, "locked.ppk", "correct horse", parameters);
            assert_eq!(import::read(&locked, None).unwrap_err(), Error::NeedsPassphrase, "{name} {parameters}");
            for wrong in [&b"wrong"[..], b"", b"correct horse "] {
                assert_eq!(import::read(&locked, Some(wrong)).unwrap_err(), Error::WrongPassphrase, "{name} {parameters}");
            }
            let raw = read_on_a_small_stack(locked, Some("correct horse")).unwrap();
            assert_eq!((raw.kind, &raw.bytes), (want.kind, &want.bytes), "{name} {parameters}");
        }
    }
    // As puttygen writes it unless it is told otherwise.
    run(dir, "puttygen", &["-t", "ed25519", "-o", "usual.ppk", "--new-passphrase", "passphrase", "--random-device", "/dev/urandom", "-q"]);
    let usual = file(dir, "usual.ppk");
    assert!(usual.windows(22).any(|w| w == b"Argon2-Memory: 8192\r\nA" || w == b"Argon2-Memory: 8192\nAr"));
    assert!(read_on_a_small_stack(usual, Some("correct horse")).is_ok());
}

/// PuTTY leaves the zeros at the high end of a number away; for Ed25519 that is the end of the seed.
#[test]
fn a_seed_that_ends_in_zeros_is_the_same_seed() {
    use russh::keys::ssh_key::{LineEnding, private::Ed25519Keypair};
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for zeros in [1, 2, 5] {
        let mut seed = [0x81u8; 32];
        seed[32 - zeros..].fill(0);
        seed[0] = 0;
        let key = PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed)), "").unwrap();
        std::fs::write(dir.join("k"), key.to_openssh(LineEnding::LF).unwrap()).unwrap();
        std::fs::set_permissions(dir.join("k"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        for version in ["version=2", "version=3"] {
            assert_eq!(*import::read(&putty(dir, "k", "k.ppk", "", version), None).unwrap().bytes, seed, "{zeros} {version}");
        }
    }
}

#[test]
fn keys_that_cannot_be_stored_say_why_before_a_passphrase_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (kind, bits, want) in [
        ("dsa", "1024", Error::UnsupportedKey(formats::DSA)),
        ("ed448", "448", Error::UnsupportedKey(ED448)),
        ("rsa", "1024", Error::TooShort),
    ] {
        std::fs::write(dir.join("passphrase"), "sesame").unwrap();
        let args = ["-t", kind, "-b", bits, "-o", "k.ppk", "--new-passphrase", "passphrase", "--random-device", "/dev/urandom", "-q"];
        run(
            dir,
            "puttygen",
            if kind == "ed448" {
                &["-t", "ed448", "-o", "k.ppk", "--new-passphrase", "passphrase", "--random-device", "/dev/urandom", "-q"]
            } else {
                &args
            },
        );
        assert_eq!(import::read(&file(dir, "k.ppk"), None).unwrap_err(), want, "{kind}");
    }
}

#[test]
fn work_without_bounds_is_not_done() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    keygen(dir, "ed25519", "256", "k");
    let text = String::from_utf8(putty(dir, "k", "k.ppk", "sesame", "version=3,memory=64,passes=1")).unwrap();
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        import::read(text.replace(from, to).as_bytes(), Some(b"sesame")).unwrap_err()
    };
    for (from, to) in [
        ("Argon2-Memory: 64", "Argon2-Memory: 262145"),
        ("Argon2-Memory: 64", "Argon2-Memory: 4294967295"),
        ("Argon2-Memory: 64", "Argon2-Memory: 9999999999"),
        ("Argon2-Passes: 1", "Argon2-Passes: 4294967295"),
        ("Argon2-Parallelism: 1", "Argon2-Parallelism: 17"),
    ] {
        assert_eq!(with(from, to), Error::TooMuchWork, "{to}");
    }
    for (from, to) in [
        ("Argon2-Memory: 64", "Argon2-Memory: 1"),
        ("Argon2-Memory: 64", "Argon2-Memory: -1"),
        ("Argon2-Memory: 64", "Argon2-Memory: "),
        ("Argon2-Passes: 1", "Argon2-Passes: 0"),
        ("Argon2-Parallelism: 1", "Argon2-Parallelism: 0"),
        ("Argon2-Salt: ", "Argon2-Salt: z"),
        ("Private-Lines: ", "Private-Lines: 9"),
        ("Public-Lines: 2", "Public-Lines: 4294967295"),
    ] {
        assert!(matches!(with(from, to), Error::Damaged | Error::Incomplete), "{to}");
    }
    assert!(matches!(with("Argon2id", "Argon2x"), Error::UnsupportedFormat(_)));
    assert!(matches!(with("aes256-cbc", "aes999-cbc"), Error::UnsupportedFormat(_)));
    for version in ["1", "4"] {
        let e = with("File-3", &format!("File-{version}"));
        assert_eq!(e, Error::UnsupportedFormat(OTHER_VERSION));
        assert!(crate::fault::Fault::hint(&e).unwrap().starts_with("puttygen "));
    }
}

#[test]
fn surroundings_line_ends_and_comments_of_any_encoding() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    keygen(dir, "ed25519", "256", "k");
    let want = import::read(&file(dir, "k"), None).unwrap();
    let text = String::from_utf8(putty(dir, "k", "k.ppk", "", "version=3")).unwrap().replace("\r\n", "\n");
    for fine in [text.clone(), text.replace('\n', "\r\n"), format!("\u{feff}{text}"), format!("\n{text}\n\n"), text.trim_end().to_owned()] {
        assert_eq!(import::read(fine.as_bytes(), None).unwrap().bytes, want.bytes, "{fine:?}");
    }
    assert_eq!(import::read(format!("{text}{text}").as_bytes(), None).unwrap_err(), Error::MoreThanOne);
    // The MAC is over the bytes of the comment, whatever they mean.
    run(
        dir,
        "puttygen",
        &[
            "k.ppk",
            "-O",
            "private",
            "-o",
            "latin.ppk",
            "--new-passphrase",
            "/dev/null",
            "-C",
            "schl\u{fc}ssel",
            "--random-device",
            "/dev/urandom",
        ],
    );
    assert_eq!(import::read(&file(dir, "latin.ppk"), None).unwrap().bytes, want.bytes);
    let mut bent = file(dir, "latin.ppk");
    let at = bent.windows(2).position(|w| w == "\u{fc}".as_bytes()).unwrap();
    bent.splice(at..at + 2, [0xfc]);
    assert_eq!(import::read(&bent, None).unwrap_err(), Error::Damaged, "not UTF-8, and not what the MAC says");
    for cut in 0..text.len() {
        let e = import::read(&text.as_bytes()[..cut], None);
        // Without the last line's end it is whole.
        assert!(e.is_err() || cut >= text.trim_end().len(), "{cut}");
    }
}

/// Whoever can write the file can make a MAC of their own where there is no passphrase: the public half still has to fit.
#[test]
fn a_private_half_of_another_key_is_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (kind, bits) in [("ed25519", "256"), ("ecdsa", "256"), ("rsa", "2048")] {
        let of = |name: &str| {
            keygen(dir, kind, bits, name);
            putty(dir, name, &format!("{name}.ppk"), "", "version=3")
        };
        let (one, other) = (of(&format!("{kind}1")), of(&format!("{kind}2")));
        let (one, other) = (File::parse(&one).unwrap(), File::parse(&other).unwrap());
        let mixed = File { private: other.private.clone(), ..one };
        let text = forged(&mixed);
        assert_eq!(read(&text, None).unwrap_err(), Error::Damaged, "{kind}");
        // The forger's MAC is right: it is the halves that do not fit.
        let again = File::parse(&text).unwrap();
        assert!(again.holds(&[], &again.private));
        for garbage in [vec![], vec![0; 3], vec![0xff; 64], vec![0; 512], [&[0, 0, 0, 33][..], &[1; 33]].concat()] {
            let bent = forged(&File { private: Zeroizing::new(garbage), ..File::parse(&text).unwrap() });
            let work = move || scrub::wiped(|| read(&bent, None).is_err());
            assert!(work().unwrap_or(true), "{kind}");
        }
    }
}

/// The file as its writer would have written it, with a MAC of its own.
fn forged(file: &File<'_>) -> Vec<u8> {
    let parts = [file.algorithm, file.encryption, file.comment, &file.public, &file.private];
    let mut all = Vec::new();
    for part in parts {
        put_string(&mut all, part);
    }
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[]), &all);
    let hex: String = mac.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
    format!(
        "PuTTY-User-Key-File-3: {}\nEncryption: {}\nComment: {}\nPublic-Lines: 1\n{}\nPrivate-Lines: 1\n{}\nPrivate-MAC: {hex}\n",
        text(file.algorithm),
        text(file.encryption),
        text(file.comment),
        Base64::encode_string(&file.public),
        Base64::encode_string(&file.private),
    )
    .into_bytes()
}

/// No byte may be changed to more than a refusal, or to the same key.
#[test]
fn damaged_files_never_panic_and_never_become_another_key() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (kind, bits) in [("ed25519", "256"), ("ecdsa", "384"), ("rsa", "2048")] {
        keygen(dir, kind, bits, kind);
        let want = import::read(&file(dir, kind), None).unwrap();
        for (passphrase, parameters) in [("", "version=2"), ("", "version=3"), ("s", "version=2"), ("s", "version=3,memory=8,passes=1")] {
            let whole = putty(dir, kind, "k.ppk", passphrase, parameters);
            let given = (!passphrase.is_empty()).then_some(passphrase.as_bytes());
            assert!(import::read(&whole, given).is_ok());
            for at in 0..whole.len() {
                for bit in [at % 8, 7] {
                    let mut bent = whole.clone();
                    bent[at] ^= 1 << bit;
                    if let Ok(key) = import::read(&bent, given) {
                        assert_eq!(key.bytes, want.bytes, "{kind} {parameters} byte {at}");
                    }
                }
            }
        }
    }
}
