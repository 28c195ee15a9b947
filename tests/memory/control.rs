//! The scanner finds what is there: without that, finding nothing proves nothing.

use std::process::Stdio;

use crate::scan::{Scanner, exactly, needles};
use crate::secrets;
use crate::world::account::account;
use crate::world::process::command;
use crate::world::{Process, Scene, Way, noise, nonce, python};

/// A process that keeps a secret, written in this way (an expression of Python over `secret`).
pub(crate) fn leak(secret: &[u8], expression: &str) -> Process {
    let hex: String = secret.iter().map(|b| format!("{b:02x}")).collect();
    let program = format!(
        "import sys, base64, json, os\nsecret = bytes.fromhex(''.join(chr(ord(c) ^ 1) for c in sys.stdin.readline().strip()))\nkept = {expression}\n\
         del secret\nprint('kept', flush=True)\nsys.stdin.read()"
    );
    let mut python = command(python());
    python.args(["-c", &program]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut process = Process::start(python);
    let mut stdin = process.stdin().unwrap();
    use std::io::Write;
    // Disguised on the way, so that only the leak itself can be found.
    let disguised: String = hex.chars().map(|c| char::from_u32(u32::from(c) ^ 1).unwrap()).collect();
    writeln!(stdin, "{disguised}").unwrap();
    assert_eq!(process.lines().next().as_deref(), Some("kept"));
    std::mem::drop(std::thread::spawn(move || {
        // Kept open: at its end the helper ends, too.
        let _stdin = stdin;
        std::thread::park();
    }));
    process
}

#[test]
fn the_scanner_finds_a_leak_however_it_is_written() {
    let secret = noise(48);
    for (how, expression) in [
        ("raw", "bytearray(secret)"),
        ("raw", "b'x' * 37 + secret[11:23] + b'y' * 5"),
        ("backwards", "bytearray(reversed(secret))"),
        ("hex", "secret.hex()"),
        ("hex", "secret.hex().upper()"),
        ("base64", "base64.b64encode(secret)"),
        ("base64", "base64.b64encode(b'a' + secret)"),
        ("base64", "base64.b64encode(b'ab' + secret + b'cd')"),
        ("as a list of numbers", "json.dumps(list(secret))"),
        ("as a list of numbers", "','.join(str(b) for b in secret)"),
    ] {
        let leaking = leak(&secret, expression);
        let hits = Scanner::new(needles("planted", &secret)).search(leaking.id());
        assert!(hits.iter().any(|h| h.what == format!("planted, {how}")), "a leak as {expression} was not found as {how}: {hits:?}");
        let other = Scanner::new(needles("another", &noise(48))).search(leaking.id());
        assert!(other.is_empty(), "something was found that is not there: {other:?}");
    }
}

#[test]
fn the_scanner_finds_every_part_of_a_key() {
    let dir = crate::world::folder();
    for (name, kind) in
        [("ed25519", &["-t", "ed25519"][..]), ("ecdsa", &["-t", "ecdsa", "-b", "256"]), ("rsa", &["-t", "rsa", "-b", "2048"])]
    {
        let key = secrets::key(dir.path(), name, kind);
        let leaking = leak(&key.private(), "bytearray(secret)");
        let hits = Scanner::new(secrets::of_key(name, &key)).search(leaking.id());
        assert!(hits.iter().any(|h| h.what.contains("a line of its file")), "{name}: a leaked key file was not found");
        // The public key is no secret.
        let leaking = leak(key.public.as_bytes(), "base64.b64decode(secret.split()[1]), bytearray(secret)");
        let hits = Scanner::new(secrets::of_key(name, &key)).search(leaking.id());
        assert!(hits.is_empty(), "{name}: the public key was taken for a secret: {hits:?}");
    }
}

#[test]
fn the_scanner_reads_the_brokers_memory() {
    let scene = Scene::new();
    let known = format!("known-{}", nonce(20));
    scene.broker.does(&["host", "add", &known, "192.0.2.1"]);
    scene.alice.exec(Way::Through, "true").ok();
    let hits = Scanner::new([exactly("a host's name", known.as_bytes())]).search(scene.broker.id());
    assert!(!hits.is_empty(), "the broker knows a host of this name, and the scanner does not find it");
    let never = Scanner::new(needles("never given", account().password.as_bytes())).search(scene.broker.id());
    assert!(never.is_empty(), "this password was never given to it: {never:?}");
}
