//! The broker's own host keys: made on the first run, read on every other. Files of OpenSSH's format, mode 0600. A next key that an
//! operator lays beside one is announced and proved to clients, and never used before it takes the other's place.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::{HashAlg, LineEnding};
use russh::keys::{Algorithm, PrivateKey};

/// The keys, in the order in which they are offered.
pub struct HostKeys {
    /// ed25519 first, then RSA for old clients; behind them the next ones, which are announced only.
    pub keys: Vec<PrivateKey>,
    /// `SHA256:…` of those that are used.
    pub fingerprints: Vec<String>,
}

/// Where the next key of each type lies.
const NEXT: [&str; 2] = ["ssh_host_ed25519_next_key", "ssh_host_rsa_next_key"];

fn invalid(path: &Path, why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", path.display()))
}

/// Reads the keys of a home, and makes those that are not there.
///
/// # Errors
/// What the file system says; `InvalidData` for a file that others can read or that is no key.
pub fn load_or_make(home: &Path) -> io::Result<HostKeys> {
    let ed25519 = load(&home.join("ssh_host_ed25519_key"), || {
        PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).map_err(|e| io::Error::other(e.to_string()))
    })?;
    let rsa = load(&home.join("ssh_host_rsa_key"), make_rsa)?;
    let mut keys = vec![ed25519, rsa];
    let fingerprints = keys.iter().map(|k| k.public_key().fingerprint(HashAlg::Sha256).to_string()).collect();
    next(home, &mut keys)?;
    Ok(HostKeys { keys, fingerprints })
}

/// Adds the next keys behind those that are used, of which the first of its type is shown to clients.
fn next(home: &Path, keys: &mut Vec<PrivateKey>) -> io::Result<()> {
    let used: Vec<Algorithm> = keys.iter().map(PrivateKey::algorithm).collect();
    for (file, used) in NEXT.into_iter().zip(used) {
        let path = home.join(file);
        let key = match load(&path, || Err(io::ErrorKind::NotFound.into())) {
            Ok(key) => key,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        if key.algorithm() != used {
            return Err(invalid(&path, format!("is a key of type {}, which its name does not say", key.algorithm())));
        }
        if keys.iter().any(|k| k.public_key().key_data() == key.public_key().key_data()) {
            return Err(invalid(&path, "is the key that is used already; make another or remove it"));
        }
        keys.push(key);
    }
    Ok(())
}

/// 3072 bits; made by aws-lc, which takes a fraction of the time.
fn make_rsa() -> io::Result<PrivateKey> {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    let failed = |what: &str| io::Error::other(format!("an RSA key could not be made: {what}"));
    let pair = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa3072).map_err(|_| failed("generation"))?;
    let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| failed("encoding"))?;
    russh::keys::pkcs8::decode_pkcs8(der.as_ref(), None).map_err(|e| failed(&e.to_string()))
}

fn load(path: &PathBuf, make: impl FnOnce() -> io::Result<PrivateKey>) -> io::Result<PrivateKey> {
    match fs::symlink_metadata(path) {
        Ok(meta) if !meta.is_file() => Err(invalid(path, "is no regular file")),
        Ok(meta) if meta.permissions().mode() & 0o077 != 0 => {
            Err(invalid(path, format!("others can read it; run: chmod 600 {}", path.display())))
        }
        Ok(meta) if meta.uid() != rustix::process::geteuid().as_raw() => Err(invalid(path, "belongs to another user")),
        Ok(_) => {
            let text = zeroize::Zeroizing::new(fs::read_to_string(path)?);
            PrivateKey::from_openssh(text.as_str()).map_err(|e| invalid(path, format!("is no OpenSSH private key: {e}")))
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let key = make()?;
            let text = key.to_openssh(LineEnding::LF).map_err(|e| io::Error::other(e.to_string()))?;
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            Ok(key)
        }
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lay(path: &Path, seed: u8) -> PrivateKey {
        let key = PrivateKey::from(russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]));
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).unwrap();
        file.write_all(key.to_openssh(LineEnding::LF).unwrap().as_bytes()).unwrap();
        key
    }

    #[test]
    fn a_next_key_stands_behind_those_in_use_and_takes_their_place_by_its_name() {
        let home = tempfile::tempdir().unwrap();
        let first = load_or_make(home.path()).unwrap();
        assert_eq!((first.keys.len(), first.fingerprints.len()), (2, 2));
        let next = home.path().join("ssh_host_ed25519_next_key");
        let key = lay(&next, 7);
        let both = load_or_make(home.path()).unwrap();
        assert_eq!((both.keys.len(), &both.fingerprints), (3, &first.fingerprints));
        assert_eq!(both.keys[2].public_key().key_data(), key.public_key().key_data());
        fs::rename(&next, home.path().join("ssh_host_ed25519_key")).unwrap();
        let after = load_or_make(home.path()).unwrap();
        assert_eq!((after.keys.len(), &after.fingerprints[1]), (2, &first.fingerprints[1]));
        assert_eq!(after.fingerprints[0], key.public_key().fingerprint(HashAlg::Sha256).to_string());
    }

    #[test]
    fn a_next_key_that_cannot_be_one_is_an_error_that_names_it() {
        let home = tempfile::tempdir().unwrap();
        load_or_make(home.path()).unwrap();
        let said = || load_or_make(home.path()).err().unwrap().to_string();
        let rsa = home.path().join("ssh_host_rsa_next_key");
        lay(&rsa, 7);
        assert!(said().contains("ssh_host_rsa_next_key: is a key of type ssh-ed25519"), "{}", said());
        fs::remove_file(&rsa).unwrap();
        let next = home.path().join("ssh_host_ed25519_next_key");
        fs::copy(home.path().join("ssh_host_ed25519_key"), &next).unwrap();
        assert!(said().contains("is the key that is used already"), "{}", said());
        lay(&next, 7);
        fs::set_permissions(&next, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(said().contains("others can read it"), "{}", said());
    }
}
