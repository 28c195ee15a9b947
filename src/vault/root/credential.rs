//! The root key as systemd hands it to a service: a file in the directory that `$CREDENTIALS_DIRECTORY` names, decrypted by
//! systemd, in memory that is not swapped. Never written here.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{CREDENTIAL, Error, GivenUp, Program, Source, command, file, text};
use crate::scrub;
use crate::secret::Secret;
use crate::vault::envelope::Bytes;

/// Reads the root key from its file in the directory of credentials.
pub(super) fn load(path: &Path) -> Result<Bytes, Error> {
    let directory = path.parent().filter(|p| p.is_absolute()).ok_or_else(|| Error::NoCredential { path: path.to_owned() })?;
    let found = std::fs::metadata(directory).map_err(|error| Error::Io { path: directory.to_owned(), error })?;
    judge_directory(directory, &found, rustix::process::geteuid().as_raw())?;
    match file::read(path, judge) {
        Ok(line) => text::parse(&line).ok_or_else(|| Error::Malformed { path: path.to_owned() }),
        Err(Error::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => Err(Error::NoCredential { path: path.to_owned() }),
        Err(e) => Err(e),
    }
}

/// systemd's own tool for credentials.
const TOOL: &str = "/usr/bin/systemd-creds";

/// What prints the credential in this encrypted file, as systemd would decrypt it for a service.
pub fn decrypting(encrypted: &Path) -> Program {
    let words = ["decrypt".to_owned(), format!("--name={CREDENTIAL}"), encrypted.display().to_string(), "-".to_owned()];
    Program { path: TOOL.into(), arguments: words.into(), environment: Vec::new(), given_up: GivenUp::default() }
}

/// Has systemd encrypt the root key of a source into this file, for this machine. Root's business: the machine's key is.
///
/// # Errors
/// The source's; [`Error::Command`].
pub fn encrypt(from: (&Source, Option<&Secret>), encrypted: &Path) -> Result<(), Error> {
    let work = || {
        let line = text::render(&from.0.obtain(from.1)?)?;
        let words = ["encrypt".to_owned(), format!("--name={CREDENTIAL}"), "-".to_owned(), encrypted.display().to_string()];
        command::feed(&Program { path: TOOL.into(), arguments: words.into(), environment: Vec::new(), given_up: GivenUp::default() }, &line)
    };
    scrub::wiped(work).unwrap_or(Err(Error::NoRandom))
}

/// The directory is root's or ours, and nobody else can put a file into it.
fn judge_directory(path: &Path, found: &Metadata, us: u32) -> Result<(), Error> {
    let (owner, mode) = (found.uid(), found.mode() & 0o7777);
    if found.is_dir() && (owner == 0 || owner == us) && mode & 0o022 == 0 {
        return Ok(());
    }
    Err(Error::CredentialDirectory { path: path.to_owned(), owner, mode })
}

/// systemd gives the file to the service's user (0400), or keeps it as root's and lets that user in with an access control
/// list: then the group's bits show the list's mask (0440).
fn judge(path: &Path, found: &Metadata, us: u32) -> Result<(), Error> {
    file::regular(path, found)?;
    let (path, owner, mode) = (path.to_owned(), found.uid(), found.mode() & 0o7777);
    if owner != 0 && owner != us {
        return Err(Error::Owner { path, owner, us });
    }
    let closed = if owner == 0 { 0o037 } else { 0o077 };
    if mode & closed != 0 { Err(Error::Permissions { path, mode }) } else { Ok(()) }
}

#[cfg(test)]
#[path = "../tests/root_credential.rs"]
mod tests;
