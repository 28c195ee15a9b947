//! Public keys as people give them: lines of OpenSSH. Decides which are taken, and recognises a private key so that it
//! is refused before anything of it is kept.

use russh::keys::ssh_key::{Algorithm, HashAlg, PublicKey};

use crate::fault::{Fault, Kind};
use crate::model::printable;

/// The smallest RSA modulus, in bits.
const RSA_BITS: u32 = 2048;

/// Why a public key is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is a private one.
    #[error("this is a private key; a person's public key is wanted, and nothing was stored")]
    Private,
    /// The line has authorized_keys options.
    #[error("line {line} has options before the key (`{shown}`); options are not taken")]
    Options {
        /// Counted from 1.
        line: usize,
        /// What stands there.
        shown: String,
    },
    /// It is a certificate.
    #[error("line {0} is a certificate, not a key")]
    Certificate(usize),
    /// No key of a type that is taken.
    #[error("line {line} is no public key that is taken: {why}")]
    Unreadable {
        /// Counted from 1.
        line: usize,
        /// Why.
        why: String,
    },
    /// There is no key at all.
    #[error("there is no public key in it")]
    Empty,
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        Kind::Invalid
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Private => "give the public half: it ends in .pub, or `ssh-keygen -y -f KEY` prints it".to_owned(),
            Self::Options { .. } => {
                "give the key without them; conditions belong into a grant: keyward grant add --from CIDR --commands FILE …".to_owned()
            }
            Self::Certificate(_) => "give the key itself: the file without -cert".to_owned(),
            Self::Unreadable { .. } | Self::Empty => {
                "a line is `ssh-ed25519 AAAA… comment`; taken are ed25519, ecdsa, rsa from 2048 bits, and sk- keys".to_owned()
            }
        })
    }
}

/// A public key that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// `ssh-ed25519 AAAA…` without a comment.
    pub(super) public_key: String,
    /// `SHA256:…`.
    pub(super) fingerprint: String,
    /// Printable.
    pub(super) comment: String,
}

/// Whether a word names a type of public key, so that a text that begins with it is a key and no file's name.
pub fn is_key_type(word: &str) -> bool {
    word.starts_with("ssh-") || word.starts_with("ecdsa-sha2-") || word.starts_with("sk-ssh-") || word.starts_with("sk-ecdsa-")
}

/// Whether a text is a private key, whatever it was taken for.
pub fn looks_private(text: &str) -> bool {
    text.contains("PRIVATE KEY-----") || text.starts_with("PuTTY-User-Key-File")
}

/// Reads the lines of a person's keys. Empty lines and comments are passed over; a key twice counts once.
pub(super) fn of_person(text: &str) -> Result<Vec<Key>, Error> {
    read(text, |_, line| line, true)
}

/// Reads host keys: public key lines, or lines of known_hosts and `ssh-keyscan`, whose names are passed over.
pub(super) fn of_host(text: &str) -> Result<Vec<Key>, Error> {
    read(
        text,
        |first, line| {
            if is_key_type(first) { line } else { line.split_once(char::is_whitespace).map_or(line, |(_, rest)| rest.trim_start()) }
        },
        false,
    )
}

fn read<'a>(text: &'a str, strip: impl Fn(&str, &'a str) -> &'a str, sk: bool) -> Result<Vec<Key>, Error> {
    if looks_private(text) {
        return Err(Error::Private);
    }
    let mut keys: Vec<Key> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let first = line.split_whitespace().next().unwrap_or_default();
        let key = one(at + 1, strip(first, line), sk)?;
        if !keys.iter().any(|k| k.fingerprint == key.fingerprint) {
            keys.push(key);
        }
    }
    if keys.is_empty() { Err(Error::Empty) } else { Ok(keys) }
}

fn one(line: usize, text: &str, sk: bool) -> Result<Key, Error> {
    let unreadable = |why: &str| Error::Unreadable { line, why: why.to_owned() };
    let first = text.split_whitespace().next().unwrap_or_default();
    if !is_key_type(first) {
        let options = text.split_whitespace().skip(1).any(is_key_type);
        return Err(if options {
            Error::Options { line, shown: printable(first, 60) }
        } else {
            unreadable("it does not begin with a key type")
        });
    }
    if first.contains("-cert-v0") {
        return Err(Error::Certificate(line));
    }
    let mut key = PublicKey::from_openssh(text).map_err(|_| unreadable("the base64 text is damaged or of another type"))?;
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => {}
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 if sk => {}
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => return Err(unreadable("no host has a key of this type")),
        Algorithm::Rsa { .. } => {
            let bits = key.key_data().rsa().map_or(0, russh::keys::ssh_key::public::RsaPublicKey::key_size);
            if bits < RSA_BITS {
                return Err(unreadable(&format!("an RSA key of {bits} bits can be broken")));
            }
        }
        _ => return Err(unreadable("keys of this type are not safe any more, or not known")),
    }
    let comment = printable(key.comment().as_str_lossy(), 200);
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    key.set_comment("");
    let public_key = key.to_openssh().map_err(|_| unreadable("it cannot be written again"))?;
    Ok(Key { public_key: public_key.trim_end().to_owned(), fingerprint, comment })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn a_line_is_read_and_its_comment_made_harmless() {
        let keys = of_person(&format!("# mine\n\n{ED} alice@\x1b[31mlaptop\n{ED} again\n")).unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].public_key, ED);
        assert!(keys[0].fingerprint.starts_with("SHA256:") && !keys[0].fingerprint.ends_with('='));
        assert!(!keys[0].comment.contains('\x1b'), "{}", keys[0].comment);
    }

    #[test]
    fn what_is_no_public_key_is_refused_for_what_it_is() {
        assert!(matches!(of_person("-----BEGIN OPENSSH PRIVATE KEY-----\nx\n"), Err(Error::Private)));
        assert!(matches!(of_person(&format!("no-pty,command=\"x\" {ED}")), Err(Error::Options { line: 1, .. })));
        assert!(matches!(of_person("ssh-ed25519-cert-v01@openssh.com AAAA"), Err(Error::Certificate(1))));
        assert!(matches!(of_person("ssh-dss AAAAB3NzaC1kc3MAAACB"), Err(Error::Unreadable { .. })));
        assert!(matches!(of_person("ssh-ed25519 AAAAC3Nz"), Err(Error::Unreadable { .. })));
        assert!(matches!(of_person("hello"), Err(Error::Unreadable { .. })));
        assert!(matches!(of_person("\n# x\n"), Err(Error::Empty)));
    }

    #[test]
    fn host_keys_come_as_known_hosts_lines_too() {
        for text in [ED.to_owned(), format!("web-1 {ED}"), format!("[web-1]:2222 {ED}"), format!("# web-1:22 SSH-2.0\nweb-1 {ED}\n")] {
            assert_eq!(of_host(&text).unwrap()[0].public_key, ED, "{text}");
        }
    }
}
