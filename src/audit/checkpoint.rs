//! Checkpoints: the head of the log, signed, in a file beside the database. What is rewritten or cut off in the
//! database after a checkpoint was taken is found; copies of the file elsewhere make that hold against root, too.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::store::audit_log::EntryRow;

/// When checkpoints are taken.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file; one JSON document per line, only appended to.
    pub path: PathBuf,
    /// At the latest after this many entries.
    pub every: u64,
    /// At the latest after this long, if anything was recorded.
    pub interval: Duration,
}

/// Signs checkpoints with ed25519 (RFC 8032). The vault's keeper does.
pub trait Signer: Send + Sync {
    /// The signature; `None` if the keeper has stopped.
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>>;
    /// The public key, 32 bytes.
    fn public_key(&self) -> [u8; 32];
}

/// A signed head of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The entry that was the newest.
    pub seq: u64,
    /// Its hash, in hex.
    pub hash: String,
    /// When the checkpoint was taken.
    pub at: Time,
    /// The signature over [`Checkpoint::message`], in base64.
    pub signature: String,
}

impl Checkpoint {
    /// Signs `head`.
    pub fn sign(head: &EntryRow, at: Time, signer: &dyn Signer) -> Option<Self> {
        let hash = super::chain::hex(&head.hash);
        let signature = signer.sign(&Self::message(head.seq, &hash, at))?;
        Some(Self { seq: head.seq, hash, at, signature: Base64::encode_string(&signature) })
    }

    /// The bytes that are signed: three lines of text after a domain line.
    pub fn message(seq: u64, hash: &str, at: Time) -> Vec<u8> {
        format!("keyward audit checkpoint v1\n{seq}\n{hash}\n{at}\n").into_bytes()
    }

    /// Which entry a message tells of; `None` if it is none of [`Checkpoint::message`].
    pub fn seq_of(message: &[u8]) -> Option<u64> {
        std::str::from_utf8(message).ok()?.strip_prefix("keyward audit checkpoint v1\n")?.split('\n').next()?.parse().ok()
    }

    /// Whether the signature is `key`'s.
    pub fn is_signed_by(&self, key: &[u8; 32]) -> bool {
        Base64::decode_vec(&self.signature).is_ok_and(|signature| {
            aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, key)
                .verify(&Self::message(self.seq, &self.hash, self.at), &signature)
                .is_ok()
        })
    }

    /// Whether it tells of this entry.
    pub fn is_of(&self, entry: &EntryRow) -> bool {
        self.seq == entry.seq && self.hash == super::chain::hex(&entry.hash)
    }

    /// Cuts off a last line that a power failure left unfinished, so that what is appended stands on a line of its own.
    ///
    /// # Errors
    /// What the file system says; no file is no error.
    pub fn mend(path: &Path) -> io::Result<()> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e),
        };
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        if whole < bytes.len() {
            OpenOptions::new().write(true).open(path)?.set_len(u64::try_from(whole).unwrap_or(0))?;
        }
        Ok(())
    }

    /// Appends to the file (mode 0600) and waits until it is on the disk.
    ///
    /// # Errors
    /// What the file system says.
    pub fn append_to(&self, path: &Path) -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        file.write_all(line.as_bytes())?;
        file.sync_data()
    }

    /// Reads all checkpoints of a file; none if there is no file. A line that is none ends the reading with its number.
    ///
    /// # Errors
    /// What the file system says; `InvalidData` with the line's number.
    pub fn read_all(path: &Path) -> io::Result<Vec<Self>> {
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        BufReader::new(file)
            .lines()
            .enumerate()
            .map(|(i, line)| {
                serde_json::from_str(&line?).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("line {}: {e}", i + 1)))
            })
            .collect()
    }
}
