//! The root key wrapped with a passphrase: one line with the cost of a guess, the salt and the sealed key. A cost below the
//! floor is refused, whoever wrote it there. Never keeps the passphrase.

use std::path::Path;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::digest;
use base64ct::{Base64, Encoding};
use zeroize::{Zeroize, Zeroizing};

use super::{Error, file};
use crate::vault::envelope::{self, Bytes, KEY, Place};

/// The shortest new passphrase, in bytes.
pub const MIN_PASSPHRASE: usize = 12;
/// The longest passphrase, in bytes.
pub const MAX_PASSPHRASE: usize = 1024;

const MAGIC: &str = "keyward-root-key-wrapped-1";
const SALT: usize = 16;
/// Bytes of the digest that tells a damaged file from a wrong passphrase. Against people it does nothing.
const CHECK: usize = 8;

/// What one guess costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cost {
    /// KiB of memory.
    memory: u32,
    passes: u32,
    lanes: u32,
}

/// What is written, and the least that is read: about a second on one core, in 256 MiB.
const COST: Cost = Cost { memory: 256 * 1024, passes: 3, lanes: 4 };
/// The most that is read: a file must not be able to take the machine down.
const CEILING: Cost = Cost { memory: 2 * 1024 * 1024, passes: 10, lanes: 16 };

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "m={},t={},p={}", self.memory, self.passes, self.lanes)
    }
}

impl Cost {
    fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(',').zip(["m=", "t=", "p="]).map(|(part, name)| part.strip_prefix(name)?.parse().ok());
        let cost = Self { memory: numbers.next()??, passes: numbers.next()??, lanes: numbers.next()?? };
        // One way to write it: what is authenticated is the text.
        (cost.to_string() == text).then_some(cost)
    }

    fn is_done_here(self) -> bool {
        (COST.memory..=CEILING.memory).contains(&self.memory)
            && (COST.passes..=CEILING.passes).contains(&self.passes)
            && (1..=CEILING.lanes).contains(&self.lanes)
    }
}

/// A file, taken apart.
struct Wrapped {
    cost: Cost,
    salt: Vec<u8>,
    sealed: Vec<u8>,
}

/// Reads the file and opens it.
pub(super) fn load(path: &Path, passphrase: &[u8]) -> Result<Bytes, Error> {
    let text = file::read(path, file::judge)?;
    let damaged = || Error::Damaged { path: path.to_owned() };
    let wrapped = parse(&text).ok_or_else(damaged)?;
    if !wrapped.cost.is_done_here() {
        let asked = wrapped.cost.to_string();
        return Err(Error::Cost { path: path.to_owned(), asked, least: COST.to_string(), most: CEILING.to_string() });
    }
    if passphrase.len() > MAX_PASSPHRASE {
        return Err(Error::WrongPassphrase);
    }
    let key = derive(passphrase, &wrapped.salt, wrapped.cost)?;
    let place = Place::root(&wrapped.cost.to_string(), &wrapped.salt);
    let root = envelope::open(&key, &place, &wrapped.sealed).map_err(|_| Error::WrongPassphrase)?;
    if root.len() == KEY { Ok(root) } else { Err(damaged()) }
}

/// The text of the file for a key.
pub(super) fn wrap(root: &Bytes, passphrase: &[u8]) -> Result<Bytes, Error> {
    if !(MIN_PASSPHRASE..=MAX_PASSPHRASE).contains(&passphrase.len()) {
        return Err(Error::PassphraseLength);
    }
    let salt = envelope::random(SALT).map_err(|_| Error::NoRandom)?;
    let key = derive(passphrase, &salt, COST)?;
    let sealed = envelope::seal(&key, &Place::root(&COST.to_string(), &salt), root).map_err(|_| Error::NoRandom)?;
    let line = format!("{MAGIC} argon2id {COST} {} {}", Base64::encode_string(&salt), Base64::encode_string(&sealed));
    Ok(Zeroizing::new(format!("{line} {}\n", check(&line)).into_bytes()))
}

fn parse(text: &[u8]) -> Option<Wrapped> {
    let text = std::str::from_utf8(text).ok()?;
    let (line, checked) = text.strip_suffix('\n').unwrap_or(text).rsplit_once(' ')?;
    let words: Vec<&str> = line.split(' ').collect();
    let [MAGIC, "argon2id", cost, salt, sealed] = words[..] else { return None };
    if check(line) != checked {
        return None;
    }
    let (salt, sealed) = (Base64::decode_vec(salt).ok()?, Base64::decode_vec(sealed).ok()?);
    Some(Wrapped { cost: Cost::parse(cost)?, salt, sealed }).filter(|w| w.salt.len() == SALT)
}

/// The end of the line, as hex.
fn check(line: &str) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    for byte in digest::digest(&digest::SHA256, line.as_bytes()).as_ref().iter().take(CHECK) {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// The key that a passphrase and a salt make. Its working memory is wiped before it is given back.
fn derive(passphrase: &[u8], salt: &[u8], cost: Cost) -> Result<Bytes, Error> {
    let too_large = || Error::NoMemory(cost.memory / 1024);
    let params = Params::new(cost.memory, cost.passes, cost.lanes, Some(KEY)).map_err(|_| too_large())?;
    let mut blocks: Vec<Block> = Vec::new();
    blocks.try_reserve_exact(params.block_count()).map_err(|_| too_large())?;
    blocks.resize(params.block_count(), Block::new());
    let mut key = Zeroizing::new(vec![0u8; KEY]);
    let made =
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(passphrase, salt, &mut key, &mut blocks);
    blocks.iter_mut().for_each(Zeroize::zeroize);
    made.map_err(|_| Error::WrongPassphrase)?;
    Ok(key)
}

#[cfg(test)]
#[path = "../tests/root_passphrase.rs"]
mod tests;
