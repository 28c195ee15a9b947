//! Runs work that handles keys and overwrites the stack it used, also after errors and panics.
//! Never sees the keys itself, and never lets a panic pass.
//!
//! Ciphers and key parsers leave copies on the stack that no `Drop` reaches. The work runs in a frame below this one;
//! then a frame of [`DEPTH`] bytes at the same place is overwritten. What the work returns must own its secrets on the
//! heap, since the returned value itself lies above.

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How deep the stack is overwritten: several times of what the deepest parser used when it was measured.
pub(super) const DEPTH: usize = 256 * 1024;
/// The stack of a thread that handles keys.
pub(super) const STACK: usize = 2 * 1024 * 1024;

/// The work panicked. What it said is dropped: it could quote what it worked on.
#[derive(Debug)]
pub(super) struct Panicked;

/// Does `work`, then overwrites the stack below.
#[inline(never)]
pub(super) fn wiped<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    let outcome = contained(work);
    scrub();
    outcome
}

#[inline(never)]
fn contained<T>(work: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| Panicked)
}

#[inline(never)]
fn scrub() {
    let mut below = [0u8; DEPTH];
    // The compiler must assume that somebody reads the zeros, so it has to write them.
    black_box(&mut below);
}

#[cfg(test)]
#[path = "tests/scrub.rs"]
mod tests;
