//! The root key in its file: made once, read at each start, refused if anybody else could read it. Never follows a link,
//! never replaces what is there.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{Mode, OFlags, RenameFlags};

use super::{Error, text};
use crate::secret::read_at_most;
use crate::vault::envelope::Bytes;

/// Longer than any root key file, wrapped or not; one byte more is enough to know that it is none.
const MOST: usize = 512;

/// Whether something is there, whatever it is.
pub(in crate::vault) fn exists(path: &Path) -> Result<bool, Error> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::Io { path: path.to_owned(), error }),
    }
}

/// Reads the root key.
pub(in crate::vault) fn load(path: &Path) -> Result<Bytes, Error> {
    let text = read(path, judge)?;
    text::parse(&text).ok_or_else(|| Error::Malformed { path: path.to_owned() })
}

/// Reads a small file whole, if `judge` – with who we are – lets it.
pub(super) fn read(path: &Path, judge: fn(&Path, &Metadata, u32) -> Result<(), Error>) -> Result<Bytes, Error> {
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
    let text = read_at_most(&mut file, MOST).map_err(failed)?;
    if text.is_empty() {
        return Err(Error::Empty { path: path.to_owned() });
    }
    Ok(text)
}

/// That it is a file.
pub(super) fn regular(path: &Path, found: &Metadata) -> Result<(), Error> {
    let kind = found.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let found = if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else {
        "a device or socket"
    };
    Err(Error::NotAFile { path: path.to_owned(), found })
}

/// A file of ours that nobody else can use.
pub(super) fn judge(path: &Path, found: &Metadata, us: u32) -> Result<(), Error> {
    regular(path, found)?;
    let path = path.to_owned();
    if found.uid() != us {
        return Err(Error::Owner { path, owner: found.uid(), us });
    }
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 { Err(Error::Permissions { path, mode }) } else { Ok(()) }
}

/// Writes a file of this text (mode 0600), whole or not at all: whatever stands there already stays and is an error, and a
/// power cut leaves the whole file or none.
pub(super) fn put(path: &Path, text: &[u8]) -> Result<(), Error> {
    let failed = |error: io::Error| Error::Io { path: path.to_owned(), error };
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = Path::new(&fresh);
    // What lies there is from a start that was cut off: nothing was ever read from it.
    if let Err(e) = std::fs::remove_file(fresh)
        && e.kind() != io::ErrorKind::NotFound
    {
        return Err(failed(e));
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(fresh, flags, Mode::RUSR | Mode::WUSR).map_err(|e| failed(e.into()))?);
    let written = file.write_all(text).and_then(|()| file.sync_all()).and_then(|()| {
        match rustix::fs::renameat_with(rustix::fs::CWD, fresh, rustix::fs::CWD, path, RenameFlags::NOREPLACE) {
            // A file system that cannot say "only if nothing is there": a second name can.
            Err(rustix::io::Errno::INVAL) => std::fs::hard_link(fresh, path).and_then(|()| std::fs::remove_file(fresh))?,
            renamed => renamed?,
        }
        File::open(directory)?.sync_all()
    });
    written.map_err(|error| {
        let _ = std::fs::remove_file(fresh);
        failed(error)
    })
}

/// Overwrites a file's bytes and removes it. What a file system keeps of older versions – copies on write, snapshots, flash – is
/// not reached.
pub(super) fn destroy(path: &Path) -> Result<(), Error> {
    let failed = |error: io::Error| Error::Io { path: path.to_owned(), error };
    let length = path.symlink_metadata().map_err(failed)?.len();
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(|e| failed(e.into()))?);
    let zeros = vec![0u8; usize::try_from(length).unwrap_or(MOST).min(MOST)];
    file.write_all(&zeros).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::remove_file(path).map_err(failed)?;
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|d| d.sync_all()).map_err(failed)
}

/// Makes a root key and its file, for tests.
#[cfg(test)]
pub(in crate::vault) fn create(path: &Path) -> Result<Bytes, Error> {
    super::Source::File(path.to_owned()).make(None)
}

#[cfg(test)]
#[path = "../tests/root_key.rs"]
mod tests;
