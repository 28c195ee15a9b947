//! The broker's own host keys: made on the first run, read on every other. Files of OpenSSH's format, mode 0600.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::{HashAlg, LineEnding};
use russh::keys::{Algorithm, PrivateKey};

/// The keys, in the order in which they are offered.
pub struct HostKeys {
    /// ed25519 first, then RSA for old clients.
    pub keys: Vec<PrivateKey>,
    /// `SHA256:…` of each.
    pub fingerprints: Vec<String>,
}

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
    let keys = vec![ed25519, rsa];
    let fingerprints = keys.iter().map(|k| k.public_key().fingerprint(HashAlg::Sha256).to_string()).collect();
    Ok(HostKeys { keys, fingerprints })
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
