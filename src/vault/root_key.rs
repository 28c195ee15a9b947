//! The root key in its file: made once, read at each start, refused if anybody else could read it. Never taken from
//! the environment, never printed, never made anew where a vault exists.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding};
use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use super::envelope::{self, Bytes, KEY};
use crate::fault::{Fault, Kind};

/// The variable that people set who expect the key to come from the environment.
pub const VARIABLE: &str = "KEYWARD_ROOT_KEY";
const PREFIX: &[u8] = b"keyward-root-key-1 ";
const BASE64: usize = 44;
/// Longer than any root key file; one byte more is enough to know that it is none.
const MOST: usize = 128;

/// What is wrong with the root key's file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Others may read or write it.
    #[error("{path} holds the root key and others may use it (mode {mode:04o})")]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is somebody else's.
    #[error("{path} holds the root key and belongs to uid {owner}; keyward runs as uid {us}")]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who runs.
        us: u32,
    },
    /// It is a symbolic link.
    #[error("{path} is a symbolic link; the root key has to be a file")]
    Symlink {
        /// The file.
        path: PathBuf,
    },
    /// It is a directory, a pipe, a device.
    #[error("{path} is not a regular file ({found})")]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// It has nothing in it.
    #[error("{path} is empty: it was not written to the end")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It holds something else.
    #[error("{path} does not hold a root key")]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The environment holds a root key.
    #[error(
        "{VARIABLE} is set: a root key in the environment is inherited by children and shown in /proc, in unit files and in crash reports"
    )]
    Environment,
    /// The file system refused.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The system gave no random numbers.
    #[error("no random numbers for a root key")]
    NoRandom,
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Environment => Kind::Usage,
            _ => Kind::Unavailable,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Permissions { path, .. } => format!("chmod 600 {}", path.display()),
            Self::Owner { path, us, .. } => format!("chown {us} {}", path.display()),
            Self::Symlink { path } => format!("mv -f \"$(readlink -f {0})\" {0}", path.display()),
            Self::NotAFile { path, .. } => format!("set `root_key` in broker.toml to a file; {} is none", path.display()),
            Self::Empty { path } => format!("restore it from your copy; on a first start that was interrupted: rm {}", path.display()),
            Self::Malformed { path } => format!("restore {} from your copy of the root key", path.display()),
            Self::Environment => format!("unset {VARIABLE}"),
            Self::Io { .. } | Self::NoRandom => return None,
        })
    }
}

/// Refuses an environment that holds a root key. The caller reads the environment and gives the variables' names.
///
/// # Errors
/// [`Error::Environment`].
pub fn refuse_environment<N: AsRef<OsStr>>(names: impl IntoIterator<Item = N>) -> Result<(), Error> {
    if names.into_iter().any(|name| name.as_ref() == VARIABLE) { Err(Error::Environment) } else { Ok(()) }
}

/// Whether something is there, whatever it is.
pub(super) fn exists(path: &Path) -> Result<bool, Error> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::Io { path: path.to_owned(), error }),
    }
}

/// Reads the root key.
pub(super) fn load(path: &Path) -> Result<Bytes, Error> {
    let failed = |error: io::Error| Error::Io { path: path.to_owned(), error };
    // NONBLOCK: a pipe without a writer must not hold up the start.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP) => return Err(Error::Symlink { path: path.to_owned() }),
        Err(e) => return Err(failed(e.into())),
    };
    let found = file.metadata().map_err(failed)?;
    judge(path, &found, rustix::process::geteuid().as_raw())?;
    let mut text = Zeroizing::new(vec![0u8; MOST]);
    let mut filled = 0;
    while let Some(rest) = text.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(failed(e)),
        }
    }
    if filled == 0 {
        return Err(Error::Empty { path: path.to_owned() });
    }
    text.get(..filled).and_then(parse).ok_or_else(|| Error::Malformed { path: path.to_owned() })
}

fn judge(path: &Path, found: &Metadata, us: u32) -> Result<(), Error> {
    let path = path.to_owned();
    let kind = found.file_type();
    if !kind.is_file() {
        let found = if kind.is_dir() {
            "a directory"
        } else if kind.is_fifo() {
            "a pipe"
        } else {
            "a device or socket"
        };
        return Err(Error::NotAFile { path, found });
    }
    if found.uid() != us {
        return Err(Error::Owner { path, owner: found.uid(), us });
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 { Err(Error::Permissions { path, mode }) } else { Ok(()) }
}

fn parse(text: &[u8]) -> Option<Bytes> {
    let rest = text.strip_prefix(PREFIX)?;
    let (encoded, end) = rest.split_at_checked(BASE64)?;
    let mut key = Zeroizing::new(vec![0u8; KEY]);
    let fits = matches!(end, b"" | b"\n" | b"\r\n") && Base64::decode(encoded, &mut key).is_ok_and(|k| k.len() == KEY);
    fits.then_some(key)
}

/// Makes a root key and its file; whatever stands there already stays and is an error.
pub(super) fn create(path: &Path) -> Result<Bytes, Error> {
    let failed = |error: io::Error| Error::Io { path: path.to_owned(), error };
    let key = envelope::random(KEY).map_err(|_| Error::NoRandom)?;
    let mut text = Zeroizing::new(vec![0u8; PREFIX.len() + BASE64 + 1]);
    let (prefix, rest) = text.split_at_mut(PREFIX.len());
    prefix.copy_from_slice(PREFIX);
    Base64::encode(&key, rest).map_err(|_| Error::NoRandom)?;
    if let Some(last) = rest.last_mut() {
        *last = b'\n';
    }
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).map_err(|e| failed(e.into()))?);
    let written = file.write_all(&text).and_then(|()| file.sync_all()).and_then(|()| File::open(directory)?.sync_all());
    if let Err(error) = written {
        // Half a key would stand in the way of the next start.
        let _ = std::fs::remove_file(path);
        return Err(failed(error));
    }
    Ok(key)
}

#[cfg(test)]
#[path = "tests/root_key.rs"]
mod tests;
