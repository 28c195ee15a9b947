//! Lets `fuzz/` reach the reader of private keys. Hands out nothing of a key, and is in no build that is run.

use super::import::{Error, read};

/// Reads a file as an import does; says only whether it was a key.
///
/// # Errors
/// What an import would say.
pub fn import(file: &[u8], passphrase: Option<&[u8]>) -> Result<(), Error> {
    read(file, passphrase).map(drop)
}
