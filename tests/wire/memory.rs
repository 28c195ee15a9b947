//! Searches the memory of this process for a secret.
//!
//! The secret itself is kept masked, and what is searched for are some of its
//! words, masked as well: the search must not find itself.

use std::collections::HashSet;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::os::unix::fs::FileExt;

const MASK: u8 = 0xa5;
const GUARD: usize = 64 << 10;
const CHUNK: usize = 256 << 10;
/// A word is compared at every place divisible by this.
const STEP: usize = 16;
const WORD: usize = 8;

pub(crate) struct Masked(Vec<u8>);

impl Masked {
    pub(crate) fn of(secret: &[u8]) -> Self {
        Self(secret.iter().map(|b| b ^ MASK).collect())
    }

    /// 48 letters that are nowhere else.
    pub(crate) fn fresh() -> Self {
        let state = RandomState::new();
        let letters = (0..48_u64).map(|i| b'a' + (state.hash_one(i) % 26) as u8);
        Self(letters.map(|b| b ^ MASK).collect())
    }

    /// The only plain copy.
    pub(crate) fn reveal(&self) -> String {
        let mut plain = String::with_capacity(self.0.len());
        for byte in &self.0 {
            plain.push(char::from(byte ^ MASK));
        }
        plain
    }

    pub(crate) fn is(&self, plain: &[u8]) -> bool {
        plain.len() == self.0.len() && plain.iter().zip(&self.0).all(|(p, m)| p ^ MASK == *m)
    }

    /// Where in memory 24 bytes or more of it are. Stacks of threads are left
    /// out on request: what a computation leaves there is overwritten by the
    /// next one, and no library can do much about it.
    pub(crate) fn found(&self, stacks: Stacks) -> Vec<String> {
        let words: HashSet<[u8; WORD]> = self.0.windows(WORD).take(STEP).map(|word| word.try_into().unwrap()).collect();
        let memory = fs::File::open("/proc/self/mem").unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let mut chunk = vec![0; CHUNK];
        let own = chunk.as_ptr() as usize;
        let mut found = Vec::new();
        let mut guard = false;
        for line in maps.lines() {
            let mut fields = line.split_whitespace();
            let range = fields.next().unwrap();
            let access = fields.next().unwrap();
            let name = fields.nth(3).unwrap_or("");
            let (start, end) = range.split_once('-').unwrap();
            let start = usize::from_str_radix(start, 16).unwrap();
            let end = usize::from_str_radix(end, 16).unwrap();
            // The stack of a thread lies above a small guard, a heap may lie
            // above the large reserve of another.
            let stack = name == "[stack]" || (guard && name.is_empty());
            guard = access.starts_with("---") && name.is_empty() && end - start <= GUARD;
            if !access.starts_with("rw") || (stack && stacks == Stacks::Skip) {
                continue;
            }
            // All of it but the buffer that it is read into.
            let before = start..end.min(own);
            let after = start.max(own + CHUNK)..end;
            let places = before.step_by(CHUNK).map(|at| (at, end.min(own)));
            for (at, end) in places.chain(after.step_by(CHUNK).map(|at| (at, end))) {
                let len = (end - at).min(CHUNK);
                let chunk = &mut chunk[..len];
                if memory.read_exact_at(chunk, at as u64).is_err() {
                    continue;
                }
                for place in (0..len.saturating_sub(WORD)).step_by(STEP) {
                    let mut word: [u8; WORD] = chunk[place..place + WORD].try_into().unwrap();
                    for byte in &mut word {
                        *byte ^= MASK;
                    }
                    if words.contains(&word) {
                        found.push(format!("{:x} {name}", at + place));
                    }
                }
            }
        }
        chunk.fill(0);
        found
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stacks {
    Search,
    Skip,
}

#[test]
fn the_search_finds_what_is_there() {
    let secret = Masked::fresh();
    let plain = secret.reveal();
    assert!(secret.is(plain.as_bytes()));
    assert!(!secret.found(Stacks::Skip).is_empty());
}
