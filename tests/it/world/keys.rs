//! Keys, made by `ssh-keygen`.

use std::path::{Path, PathBuf};

use super::process::{command, run};

/// A key pair in files.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    /// The private key's file; the public key lies beside it.
    pub(crate) path: PathBuf,
    /// `ssh-ed25519 AAAA…`, without a comment.
    pub(crate) public: String,
    /// `SHA256:…`.
    pub(crate) fingerprint: String,
}

impl Key {
    /// An ed25519 key.
    pub(crate) fn new(path: impl AsRef<Path>) -> Self {
        Self::make(path, &["-t", "ed25519"], "")
    }

    /// A key of this type (`-t …` as ssh-keygen has it), with a passphrase unless that is empty.
    pub(crate) fn make(path: impl AsRef<Path>, kind: &[&str], passphrase: &str) -> Self {
        let path = path.as_ref().to_owned();
        let mut keygen = command("ssh-keygen");
        // Few rounds: tests are not here to wait for bcrypt.
        keygen.args(["-q", "-C", "test", "-a", "2", "-N", passphrase]).args(kind).arg("-f").arg(&path);
        run(keygen, "").ok();
        Self::of(&path)
    }

    /// The key whose private half lies there and whose public half lies beside it.
    pub(crate) fn of(path: &Path) -> Self {
        let line = std::fs::read_to_string(public_half(path)).expect("the public key");
        let public = line.split(' ').take(2).collect::<Vec<_>>().join(" ").trim_end().to_owned();
        let mut keygen = command("ssh-keygen");
        keygen.arg("-lf").arg(public_half(path));
        let shown = run(keygen, "").ok().text();
        let fingerprint = shown.split(' ').nth(1).expect("a fingerprint").to_owned();
        Self { path: path.to_owned(), public, fingerprint }
    }

    /// The file of the public key.
    pub(crate) fn public_file(&self) -> PathBuf {
        public_half(&self.path)
    }

    /// The private key as it lies in its file.
    pub(crate) fn private(&self) -> Vec<u8> {
        std::fs::read(&self.path).expect("the private key")
    }
}

fn public_half(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}
