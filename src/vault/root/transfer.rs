//! From one source to another: the key is put into the new place, read back from there and compared, before the old place may
//! be destroyed. What was cut off is done again by the same words. Never makes a key for a vault that has one.

use std::io::{self, Write};
use std::path::Path;

use aws_lc_rs::constant_time;

use super::{Error, Source, file, text};
use crate::scrub;
use crate::secret::Secret;
use crate::vault::envelope::{self, KEY};

/// What was done about the new place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It was written.
    Written,
    /// The same key was there already: an earlier move was cut off, or the place is filled by others.
    Found,
}

/// Puts the root key of `from` into `to`, and proves that it is there: it is read back as the daemon would read it. The old
/// place stays. Each takes its passphrase, if it has one.
///
/// # Errors
/// The sources'; [`Error::Other`] if `to` holds another key.
pub fn transfer(from: (&Source, Option<&Secret>), to: (&Source, Option<&Secret>)) -> Result<Moved, Error> {
    let work = || {
        let key = from.0.obtain(from.1)?;
        let moved = if to.0.exists()? {
            Moved::Found
        } else {
            to.0.put(&key, to.1)?;
            Moved::Written
        };
        let back = to.0.obtain(to.1)?;
        constant_time::verify_slices_are_equal(&key, &back).map_err(|_| Error::Other(to.0.to_string()))?;
        Ok(moved)
    };
    scrub::wiped(work).unwrap_or(Err(Error::NoRandom))
}

/// Prints a new root key, as a line. It is printed once and kept nowhere.
///
/// # Errors
/// What `to` returns.
pub fn print_new(to: &mut impl Write) -> io::Result<()> {
    let mut work = || {
        let key = envelope::random(KEY).map_err(|_| io::Error::other("no random numbers"))?;
        let line = text::render(&key).map_err(io::Error::other)?;
        to.write_all(&line)
    };
    scrub::wiped(&mut work).unwrap_or_else(|_| Err(io::Error::other("no random numbers")))
}

/// Prints the root key of a source, as a line.
///
/// # Errors
/// The source's; [`Error::Output`].
pub fn print(source: &Source, passphrase: Option<&Secret>, to: &mut impl Write) -> Result<(), Error> {
    let mut work = || {
        let line = text::render(&source.obtain(passphrase)?)?;
        to.write_all(&line).map_err(Error::Output)
    };
    scrub::wiped(&mut work).unwrap_or(Err(Error::NoRandom))
}

/// Whether a file looks like one that a root key was kept in, plain or wrapped: so that no other file is destroyed by mistake. Where
/// there is none, that is as good.
///
/// # Errors
/// What the file system says; a file that is not ours alone.
pub fn is_root_key(path: &Path) -> Result<bool, Error> {
    Ok(!file::exists(path)? || file::read(path, file::judge)?.starts_with(b"keyward-root-key-"))
}

/// Overwrites and removes the file of a root key that has been moved elsewhere. Where there is none, that is done already.
///
/// # Errors
/// What the file system says.
pub fn forget(path: &Path) -> Result<(), Error> {
    if file::exists(path)? { file::destroy(path) } else { Ok(()) }
}

#[cfg(test)]
#[path = "../tests/root_transfer.rs"]
mod tests;
