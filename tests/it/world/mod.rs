//! The world of a test: real peers on loopback, each on a port of its own, in a folder of its own, stopped when the test ends.

#![allow(dead_code, unused_imports)] // each test binary and each module uses a part of it

pub(crate) mod account;
pub(crate) mod agent;
pub(crate) mod broker;
pub(crate) mod client;
pub(crate) mod clients;
pub(crate) mod codes;
pub(crate) mod database;
pub(crate) mod fake;
pub(crate) mod keys;
pub(crate) mod mcp;
pub(crate) mod process;
pub(crate) mod scene;
pub(crate) mod ssh_agent;
pub(crate) mod sshd;
pub(crate) mod targets;
pub(crate) mod terminal;
pub(crate) mod tmux;
pub(crate) mod vault;

pub(crate) use agent::Agent;
pub(crate) use broker::Broker;
pub(crate) use client::{Client, Way};
pub(crate) use process::{Outcome, PATIENCE, Process, eventually, run, run_within};
pub(crate) use scene::Scene;
pub(crate) use ssh_agent::SshAgent;
pub(crate) use sshd::Sshd;
pub(crate) use targets::Target;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What tests need lies beside the sources; `scripts/test-peers.sh` puts it there.
pub(crate) fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program that `scripts/test-peers.sh` installs. A test never passes because its peer is missing.
pub(crate) fn tool(path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    assert!(
        path.exists(),
        "{} is missing\nhint: run the tests with `make test`, which installs what they talk to (scripts/test-peers.sh)",
        path.display()
    );
    path.to_owned()
}

/// Python with paramiko, asyncssh and ssh-audit.
pub(crate) fn python() -> PathBuf {
    tool(checkout().join(".tools/venv/bin/python"))
}

/// One of the scripts in `tests/it/peers`.
pub(crate) fn peer_script(name: &str) -> PathBuf {
    tool(checkout().join("tests/it/peers").join(name))
}

/// A folder that the account of the hosts can pass through; what is private in it has a mode of its own.
pub(crate) fn folder() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("keyward-it-").tempdir().expect("a folder for the test");
    open_to_all(dir.path(), 0o755);
    dir
}

/// Sets a mode, whatever the umask.
pub(crate) fn open_to_all(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("chmod");
}

/// SHA-256 in hex.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Bytes that do not compress and do not repeat.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    aws_lc_rs::rand::fill(&mut bytes).expect("random bytes");
    bytes
}

/// Letters and digits that no other text contains by chance.
pub(crate) fn nonce(length: usize) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
    noise(length).iter().map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect()
}
