//! What is left of the root key's sources once the vault is open: nothing of a passphrase, of the key that it makes, or of the
//! line that a root key is written in. The root key itself lies in the keeper, once; after `seal` it lies nowhere.

use std::path::Path;
use std::process::Stdio;

use base64ct::{Base64, Encoding};

use crate::scan::{Needle, Scanner, exactly, needles, text};
use crate::world::broker::Settings;
use crate::world::{Process, Scene, eventually, nonce, open_to_all};

/// A daemon on the scene's home with these lines; its readiness line.
fn daemon(scene: &Scene, lines: &str, env: &[(&str, &str)]) -> (Process, crate::world::process::Lines) {
    let config = scene.dir().join("other.toml");
    std::fs::write(&config, format!("[store]\nreserve = \"1MiB\"\n{lines}\n")).unwrap();
    let mut serve = scene.broker.command(&["serve", "--listen", "127.0.0.1:0", "--config", &config.display().to_string()]);
    serve.envs(env.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut process = Process::start(serve);
    let out = process.lines();
    assert!(out.next().is_some_and(|line| line.starts_with("ready: ssh ")));
    (process, out)
}

struct Key {
    raw: Vec<u8>,
    line: String,
}

impl Key {
    fn read(path: &Path) -> Self {
        let line = std::fs::read_to_string(path).unwrap();
        let encoded = line.trim_end().rsplit(' ').next().unwrap().to_owned();
        Self { raw: Base64::decode_vec(&encoded).unwrap(), line: encoded }
    }

    /// What may not be found at all.
    fn written(&self) -> Vec<Needle> {
        text("the root key's line", &self.line)
    }
}

#[track_caller]
fn clean(scanner: &Scanner, process: u32, when: &str) {
    let hits = scanner.search(process);
    let shown: Vec<String> = hits.iter().take(12).map(ToString::to_string).collect();
    assert!(hits.is_empty(), "{when}: {} pieces are in the daemon's memory:\n{}", hits.len(), shown.join("\n"));
}

/// In how many places the root key lies.
fn places(key: &Key, process: u32) -> usize {
    Scanner::new([exactly("the root key", &key.raw)]).search(process).len()
}

fn scene() -> (Scene, Key) {
    assert!(!cfg!(debug_assertions), "a debug build keeps pieces of secrets on its stacks\nhint: cargo test --release, or make test");
    let mut scene = Scene::bare(Settings::default(), None);
    scene.broker.stop();
    let key = Key::read(&scene.broker.root_key());
    (scene, key)
}

#[test]
fn of_a_file_a_credential_and_a_program_only_the_key_is_left_and_once() {
    let (scene, key) = scene();
    let file = scene.broker.root_key();
    let directory = scene.place("credentials");
    std::fs::copy(&file, directory.join("keyward-root-key")).unwrap();
    open_to_all(&directory.join("keyward-root-key"), 0o400);
    open_to_all(&directory, 0o500);
    let env = [("CREDENTIALS_DIRECTORY", directory.to_str().unwrap())];
    let scanner = Scanner::new(key.written());
    for (lines, env) in [
        (format!("[vault]\nroot_key = \"{}\"", file.display()), &[][..]),
        ("[root_key]\nsource = \"credential\"".to_owned(), &env[..]),
        (format!("[root_key]\nsource = \"command\"\ncommand = [\"/bin/cat\", \"{}\"]", file.display()), &[][..]),
    ] {
        let (process, _out) = daemon(&scene, &lines, env);
        scene.broker.does(&["status"]);
        clean(&scanner, process.id(), &lines);
        assert_eq!(places(&key, process.id()), 1, "{lines}");
    }
}

#[test]
fn of_a_passphrase_nothing_is_left_and_of_the_key_nothing_after_seal() {
    let (scene, key) = scene();
    let phrase = nonce(40);
    let path = scene.dir().join("keys/root.wrapped");
    let args = ["root-key", "move", "--to", "passphrase", "--path", &path.display().to_string(), "--config"].map(str::to_owned);
    let config = scene.broker.config().display().to_string();
    let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
    args.push(&config);
    scene.broker.does_with(&args, format!("{phrase}\n"));
    let file = std::fs::read_to_string(&path).unwrap();
    let salt = Base64::decode_vec(file.split(' ').nth(3).unwrap()).unwrap();
    let mut made = vec![0; 32];
    let params = argon2::Params::new(256 * 1024, 3, 4, Some(32)).unwrap();
    argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
        .hash_password_into_with_memory(phrase.as_bytes(), &salt, &mut made, vec![argon2::Block::new(); 256 * 1024])
        .unwrap();
    let mut all = key.written();
    all.extend(needles("the passphrase", phrase.as_bytes()));
    all.extend(needles("the key that the passphrase makes", &made));
    let scanner = Scanner::new(all);

    let (process, out) = daemon(&scene, &format!("[vault]\nroot_key = \"{}\"\n[root_key]\nsource = \"passphrase\"", path.display()), &[]);
    clean(&scanner, process.id(), "sealed");
    assert_eq!(places(&key, process.id()), 0, "sealed");
    // One that is wrong by a letter.
    let wrong = scene.broker.verb_with(&["unseal"], format!("{phrase}x\n"));
    assert_eq!(wrong.status, Some(1), "{wrong:?}");
    clean(&scanner, process.id(), "after a wrong passphrase");
    assert_eq!(places(&key, process.id()), 0, "after a wrong passphrase");
    eventually("the right one is taken", || (scene.broker.verb_with(&["unseal"], format!("{phrase}\n")).status == Some(0)).then_some(()));
    assert!(out.next().is_some());
    clean(&scanner, process.id(), "unsealed");
    assert_eq!(places(&key, process.id()), 1, "unsealed");
    scene.broker.does(&["seal"]);
    assert!(out.next().is_some_and(|line| line.ends_with(" sealed")));
    clean(&scanner, process.id(), "sealed again");
    assert_eq!(places(&key, process.id()), 0, "sealed again: the keeper is wiped");
    scene.broker.does_with(&["unseal"], format!("{phrase}\n"));
    assert_eq!(places(&key, process.id()), 1, "unsealed again");
}
