//! Private keys in the formats that people have them in, turned into the raw form. Runs on a thread of its own: what a
//! stranger's file does to a parser must not end the keeper. Never sees the root key; never keeps a passphrase.

use super::keys::{MIN_RSA_BITS, RawKey};
use super::{formats, pem, ppk, traditional};
use crate::fault::{Fault, Kind};

/// The most bcrypt rounds of an OpenSSH key: some seconds. `ssh-keygen` uses 16 or 24.
pub const MAX_BCRYPT_ROUNDS: u32 = 512;
/// The most iterations of PBKDF2.
pub const MAX_PBKDF2_ITERATIONS: u32 = 10_000_000;
/// The most memory of scrypt, in bytes.
pub const MAX_SCRYPT_MEMORY: u64 = 128 * 1024 * 1024;
/// The most memory of Argon2, in bytes. `puttygen` uses 8 MiB.
pub const MAX_ARGON2_MEMORY: u64 = 256 * 1024 * 1024;
/// The most bytes that Argon2 may fill in all its passes together: some seconds.
pub const MAX_ARGON2_WORK: u64 = 4 * 1024 * 1024 * 1024;

/// Why a private key was not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is encrypted and no passphrase came with it.
    #[error("the private key is encrypted: its passphrase is needed")]
    NeedsPassphrase,
    /// The passphrase is another one.
    #[error("the passphrase does not open the private key")]
    WrongPassphrase,
    /// It is a public key or a certificate.
    #[error("that is a public key; the private one is the file without .pub")]
    PublicKeyGiven,
    /// Nothing that looks like a key.
    #[error("that is no private key")]
    NotAKey,
    /// The end is missing.
    #[error("the private key is cut off: its end is missing")]
    Incomplete,
    /// Something follows the key.
    #[error("there is more than one private key in it")]
    MoreThanOne,
    /// It looks like a key and is broken.
    #[error("the private key is damaged")]
    Damaged,
    /// A kind of key that cannot be stored.
    #[error("{0} cannot be stored")]
    UnsupportedKey(&'static str),
    /// A format or cipher that is not read.
    #[error("{0} is not read")]
    UnsupportedFormat(&'static str),
    /// An RSA key of fewer than 2048 bits.
    #[error("the RSA key is too short: it needs at least {MIN_RSA_BITS} bits")]
    TooShort,
    /// The passphrase's derivation would take too long or too much memory.
    #[error(
        "the private key's passphrase takes too much work: at most {MAX_BCRYPT_ROUNDS} rounds of bcrypt, {MAX_PBKDF2_ITERATIONS} of PBKDF2, 128 MiB of scrypt, or 256 MiB of Argon2 and 4 GiB in all its passes"
    )]
    TooMuchWork,
    /// The parser gave up on it.
    #[error("the private key cannot be read")]
    Unreadable,
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NeedsPassphrase => Kind::PassphraseNeeded,
            _ => Kind::Invalid,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                Self::UnsupportedFormat(ppk::OTHER_VERSION | ppk::CERTIFIED) => "puttygen KEY -O private-openssh-new -o NEW",
                Self::UnsupportedFormat(_) | Self::TooMuchWork => {
                    "rewrite the key in OpenSSH's format: ssh-keygen -p -f KEY (PuTTY's: puttygen KEY -O private-openssh-new -o NEW)"
                }
                Self::UnsupportedKey(_) | Self::TooShort => {
                    "make a new key and give its public half to the host: ssh-keygen -t ed25519 -f KEY"
                }
                Self::NotAKey | Self::Incomplete => "give the private key's file as it is, from its first line to its last",
                Self::MoreThanOne => "give one key at a time",
                Self::NeedsPassphrase => "give its passphrase: run the command on a terminal, or with --key FILE pipe the passphrase in",
                Self::WrongPassphrase => "try again; whether it is the right one tells: ssh-keygen -y -f KEY (PuTTY's: puttygen KEY -L)",
                Self::PublicKeyGiven => "give the file without .pub: --key ~/.ssh/id_ed25519",
                Self::Damaged | Self::Unreadable => "see whether it is read elsewhere: ssh-keygen -y -f KEY (PuTTY's: puttygen KEY -L)",
            }
            .to_owned(),
        )
    }
}

/// Reads a private key in OpenSSH's format, PuTTY's, PKCS#1, PKCS#8 or SEC 1, encrypted or not.
pub(super) fn read(file: &[u8], passphrase: Option<&[u8]>) -> Result<RawKey, Error> {
    // PuTTY's comment may be in any encoding, and its MAC is over the bytes.
    if file.trim_ascii_start().starts_with(ppk::HEAD) {
        return ppk::read(file.trim_ascii_start(), passphrase);
    }
    let text = std::str::from_utf8(file).map_err(|_| Error::NotAKey)?;
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if start.as_bytes().starts_with(ppk::HEAD) {
        return ppk::read(start.as_bytes(), passphrase);
    }
    if ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|name| start.starts_with(name)) {
        return Err(Error::PublicKeyGiven);
    }
    let pem = pem::private_key(text)?;
    match pem.label {
        "OPENSSH PRIVATE KEY" => formats::openssh(&pem.body, passphrase),
        "PRIVATE KEY" => formats::pkcs8(&pem.body),
        "ENCRYPTED PRIVATE KEY" => formats::encrypted_pkcs8(&pem.body, passphrase),
        "RSA PRIVATE KEY" => traditional::read(&pem, passphrase, formats::pkcs1),
        "EC PRIVATE KEY" => traditional::read(&pem, passphrase, formats::sec1),
        "DSA PRIVATE KEY" => Err(Error::UnsupportedKey(formats::DSA)),
        _ => Err(Error::NotAKey),
    }
}

#[cfg(test)]
#[path = "tests/import.rs"]
mod tests;
