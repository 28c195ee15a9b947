//! Keys in all the formats that `ssh-keygen` and `openssl` write, made on the spot.

use std::path::Path;
use std::process::{Command, Stdio};

use super::*;
use crate::model::KeyKind;
use crate::scrub;

fn run(dir: &Path, program: &str, args: &[&str]) {
    let done = Command::new(program).args(args).current_dir(dir).stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

fn file(dir: &Path, name: &str) -> Vec<u8> {
    std::fs::read(dir.join(name)).unwrap()
}

/// The public half, as `ssh-keygen` sees it.
fn public_of(dir: &Path, name: &str, passphrase: &str) -> String {
    let done = Command::new("ssh-keygen").args(["-y", "-P", passphrase, "-f", name]).current_dir(dir).output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

fn public(raw: &RawKey) -> String {
    raw.pair().unwrap().public().unwrap().to_openssh().unwrap()
}

/// As the vault does it, so that the parsers' need of stack is tested as well.
fn read_on_a_small_stack(bytes: Vec<u8>, passphrase: Option<&'static str>) -> Result<RawKey, Error> {
    let work = move || scrub::wiped(|| read(&bytes, passphrase.map(str::as_bytes))).unwrap();
    std::thread::Builder::new().stack_size(scrub::STACK).spawn(work).unwrap().join().unwrap()
}

#[test]
fn openssh_keys_plain_and_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (kind, bits, want) in [
        ("ed25519", "256", KeyKind::Ed25519),
        ("ecdsa", "256", KeyKind::EcdsaP256),
        ("ecdsa", "384", KeyKind::EcdsaP384),
        ("ecdsa", "521", KeyKind::EcdsaP521),
        ("rsa", "2048", KeyKind::Rsa),
        ("rsa", "3072", KeyKind::Rsa),
    ] {
        let name = format!("{kind}{bits}");
        run(dir, "ssh-keygen", &["-q", "-t", kind, "-b", bits, "-N", "", "-f", &name]);
        let plain = file(dir, &name);
        let raw = read_on_a_small_stack(plain.clone(), None).unwrap();
        assert_eq!(raw.kind, want);
        assert_eq!(public(&raw), public_of(dir, &name, ""));
        assert_eq!(raw.bytes, read(&plain, Some(b"not needed")).unwrap().bytes, "a passphrase too much is no error");
        assert_eq!(read(&file(dir, &format!("{name}.pub")), None).unwrap_err(), Error::PublicKeyGiven);
        run(dir, "ssh-keygen", &["-q", "-p", "-a", "2", "-P", "", "-N", "correct horse", "-f", &name]);
        let locked = file(dir, &name);
        assert_eq!(read(&locked, None).unwrap_err(), Error::NeedsPassphrase);
        assert_eq!(read(&locked, Some(b"wrong")).unwrap_err(), Error::WrongPassphrase);
        assert_eq!(read(&locked, Some(b"")).unwrap_err(), Error::WrongPassphrase);
        assert_eq!(read_on_a_small_stack(locked, Some("correct horse")).unwrap().bytes, raw.bytes);
    }
    for cipher in ["aes256-cbc", "aes128-ctr", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"] {
        run(dir, "ssh-keygen", &["-q", "-p", "-a", "1", "-Z", cipher, "-P", "correct horse", "-N", "correct horse", "-f", "ed25519256"]);
        assert!(read(&file(dir, "ed25519256"), Some(b"correct horse")).is_ok(), "{cipher}");
        assert_eq!(read(&file(dir, "ed25519256"), Some(b"wrong")).unwrap_err(), Error::WrongPassphrase, "{cipher}");
    }
}

#[test]
fn openssl_keys_plain_and_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let cases: [(&str, &[&str], KeyKind, Option<&str>); 5] = [
        ("ed", &["-algorithm", "ed25519"], KeyKind::Ed25519, None),
        ("p256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], KeyKind::EcdsaP256, Some("EC")),
        ("p384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"], KeyKind::EcdsaP384, Some("EC")),
        ("p521", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"], KeyKind::EcdsaP521, Some("EC")),
        ("rsa", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], KeyKind::Rsa, Some("RSA")),
    ];
    for (name, args, kind, traditional) in cases {
        run(dir, "openssl", &[&["genpkey", "-out", name], args].concat());
        let raw = read_on_a_small_stack(file(dir, name), None).unwrap();
        assert_eq!(raw.kind, kind, "{name}");
        if kind != KeyKind::Ed25519 {
            std::fs::set_permissions(dir.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
            assert_eq!(public(&raw), public_of(dir, name, ""), "{name}");
        }
        for extra in
            [&["-v2", "aes-256-cbc"][..], &["-v2", "aes-128-cbc"], &["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512"], &["-scrypt"]]
        {
            run(dir, "openssl", &[&["pkcs8", "-topk8", "-in", name, "-out", "locked", "-passout", "pass:sesame"], extra].concat());
            let locked = file(dir, "locked");
            assert_eq!(read(&locked, None).unwrap_err(), Error::NeedsPassphrase, "{name} {extra:?}");
            assert_eq!(read(&locked, Some(b"wrong")).unwrap_err(), Error::WrongPassphrase, "{name} {extra:?}");
            assert_eq!(read_on_a_small_stack(locked, Some("sesame")).unwrap().bytes, raw.bytes, "{name} {extra:?}");
        }
        let Some(algorithm) = traditional else { continue };
        let convert = |extra: &[&str]| {
            run(dir, "openssl", &[&["pkey", "-in", name, "-traditional", "-out", "old"], extra].concat());
            file(dir, "old")
        };
        let old = convert(&[]);
        assert!(old.starts_with(format!("-----BEGIN {algorithm} PRIVATE KEY-----").as_bytes()));
        assert_eq!(read_on_a_small_stack(old, None).unwrap().bytes, raw.bytes, "{name}");
        for cipher in ["-aes128", "-aes192", "-aes256"] {
            let locked = convert(&[cipher, "-passout", "pass:sesame"]);
            assert!(String::from_utf8_lossy(&locked).contains("Proc-Type: 4,ENCRYPTED"));
            assert_eq!(read(&locked, None).unwrap_err(), Error::NeedsPassphrase);
            assert_eq!(read(&locked, Some(b"wrong")).unwrap_err(), Error::WrongPassphrase);
            assert_eq!(read_on_a_small_stack(locked, Some("sesame")).unwrap().bytes, raw.bytes, "{name} {cipher}");
        }
        let des = convert(&["-des3", "-passout", "pass:sesame"]);
        assert!(matches!(read(&des, Some(b"sesame")).unwrap_err(), Error::UnsupportedFormat(_)));
    }
    // OpenSSL puts the curve in a block of its own in front.
    run(dir, "openssl", &["ecparam", "-name", "prime256v1", "-genkey", "-out", "with-parameters"]);
    assert!(file(dir, "with-parameters").starts_with(b"-----BEGIN EC PARAMETERS-----"));
    assert_eq!(read(&file(dir, "with-parameters"), None).unwrap().kind, KeyKind::EcdsaP256);
    // ssh-keygen's own way to the old formats.
    run(dir, "ssh-keygen", &["-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "sesame", "-f", "pem"]);
    assert!(read(&file(dir, "pem"), Some(b"sesame")).is_ok());
}

#[test]
fn keys_that_cannot_be_stored_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    run(dir, "ssh-keygen", &["-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", "short"]);
    run(dir, "openssl", &["genrsa", "-traditional", "-out", "short1", "1024"]);
    run(dir, "openssl", &["genrsa", "-out", "short8", "1024"]);
    for name in ["short", "short1", "short8"] {
        let e = read(&file(dir, name), None).unwrap_err();
        assert_eq!(e, Error::TooShort, "{name}");
        assert!(e.hint().unwrap().contains("ssh-keygen -t ed25519"));
    }
    run(dir, "openssl", &["genpkey", "-algorithm", "ed448", "-out", "ed448"]);
    run(dir, "openssl", &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1", "-out", "koblitz"]);
    run(dir, "openssl", &["genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "pss"]);
    run(dir, "openssl", &["dsaparam", "-genkey", "-noout", "-out", "dsa", "1024"]);
    for name in ["ed448", "koblitz", "pss", "dsa"] {
        assert!(matches!(read(&file(dir, name), None).unwrap_err(), Error::UnsupportedKey(_)), "{name}");
    }
    run(dir, "ssh-keygen", &["-q", "-t", "dsa", "-N", "", "-f", "dsa-openssh"]);
    assert_eq!(read(&file(dir, "dsa-openssh"), None).unwrap_err(), Error::UnsupportedKey(formats::DSA));
}

/// A file as a security key's: the header names an `sk-` algorithm.
#[test]
fn a_security_keys_handle_is_refused_before_a_passphrase_is_asked() {
    use super::super::wire::put_string;
    let mut public = Vec::new();
    put_string(&mut public, b"sk-ssh-ed25519@openssh.com");
    let openssh = |cipher: &[u8], kdf: &[u8], rounds: u32, keys: u32, public: &[u8]| {
        let mut options = Vec::new();
        put_string(&mut options, &[1; 16]);
        options.extend_from_slice(&rounds.to_be_bytes());
        let mut body = b"openssh-key-v1\0".to_vec();
        put_string(&mut body, cipher);
        put_string(&mut body, kdf);
        put_string(&mut body, &options);
        body.extend_from_slice(&keys.to_be_bytes());
        put_string(&mut body, public);
        put_string(&mut body, &[0; 32]);
        formats::openssh(&body, Some(b"x")).unwrap_err()
    };
    assert!(openssh(b"aes256-ctr", b"bcrypt", 16, 1, &public).to_string().contains("security key"));
    let mut fine = Vec::new();
    put_string(&mut fine, b"ssh-ed25519");
    put_string(&mut fine, &[3; 32]);
    assert_eq!(openssh(b"aes256-ctr", b"bcrypt", u32::MAX, 1, &fine), Error::TooMuchWork);
    assert_eq!(openssh(b"none", b"none", 0, 2, &fine), Error::MoreThanOne);
    assert!(matches!(openssh(b"aes256-ctr", b"argon2", 1, 1, &fine), Error::UnsupportedFormat(_)));
}

#[test]
fn line_ends_and_surroundings() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    run(dir, "ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "k"]);
    let text = String::from_utf8(file(dir, "k")).unwrap();
    let raw = read(text.as_bytes(), None).unwrap();
    for fine in [
        text.replace('\n', "\r\n"),
        text.trim_end().to_owned(),
        format!("\u{feff}{text}"),
        format!("\n\n  {text}\n\n"),
        format!("my key for web-1\n{text}"),
        text.lines().map(|l| format!("  {l}  \n")).collect(),
    ] {
        assert_eq!(read(fine.as_bytes(), None).unwrap().bytes, raw.bytes, "{fine:?}");
    }
    let end = text.find("-----END").unwrap();
    for (bad, want) in [
        (text[..end].to_owned(), Error::Incomplete),
        (format!("{text}{text}"), Error::MoreThanOne),
        (format!("{text}garbage\n"), Error::MoreThanOne),
        (text.replace("END OPENSSH", "END RSA"), Error::Incomplete),
        (format!("{}!{}", &text[..60], &text[61..]), Error::Damaged),
        (text.replace("OPENSSH", "RSA"), Error::Damaged),
        (text.replace("OPENSSH PRIVATE KEY", "SECRET"), Error::NotAKey),
        (String::new(), Error::NotAKey),
        ("hunter2".to_owned(), Error::NotAKey),
        ("-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----".to_owned(), Error::PublicKeyGiven),
        ("---- BEGIN SSH2 PUBLIC KEY ----".to_owned(), Error::PublicKeyGiven),
        ("ecdsa-sha2-nistp256 AAAA me".to_owned(), Error::PublicKeyGiven),
        ("sk-ssh-ed25519@openssh.com AAAA me".to_owned(), Error::PublicKeyGiven),
    ] {
        assert_eq!(read(bad.as_bytes(), None).unwrap_err(), want, "{bad:?}");
    }
    assert_eq!(read(&[0x30, 0x82, 0xff], None).unwrap_err(), Error::NotAKey);
    for what in ["OPENSSH PRIVATE KEY", "PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY"] {
        let empty = format!("-----BEGIN {what}-----\n-----END {what}-----\n");
        assert!(read(empty.as_bytes(), Some(b"x")).is_err(), "{what}");
    }
}

/// No cut and no flipped bit of a key may do more than be refused, or be found to be the same key.
#[test]
fn damaged_files_never_panic_and_never_become_another_key() {
    use base64ct::{Base64, Encoding};
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    run(dir, "ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "k"]);
    let text = String::from_utf8(file(dir, "k")).unwrap();
    let raw = read(text.as_bytes(), None).unwrap();
    let body = Base64::decode_vec(&text.lines().filter(|l| !l.starts_with('-')).collect::<String>()).unwrap();
    for at in 0..body.len() {
        assert!(formats::openssh(&body[..at], None).is_err());
        let mut bent = body.clone();
        bent[at] ^= 1 << (at % 8);
        if let Ok(key) = formats::openssh(&bent, None) {
            assert_eq!(key.bytes, raw.bytes, "byte {at}");
        }
    }
}
