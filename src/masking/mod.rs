//! Masking: recognisable secrets in a command's output → `[masked: …]`, before an agent reads it. It is no wall: whoever
//! encodes a secret otherwise passes; it never keeps what it masks, and never holds back more than [`HELD_MAX`] bytes.
//!
//! # How it works
//!
//! Each byte is looked at once, in its order, so that it does not matter how the output was cut into chunks (a test cuts it
//! everywhere). Three things take turns:
//! - at each byte, `begin` asks the rules whether a secret begins here: no, yes, or not to be told before more is read.
//!   Only then are bytes held back, and no longer than it takes to tell;
//! - every byte that goes out passes `context`, which notices that a value follows: `password=`, `://user:`, a line of
//!   .pgpass. Those words themselves are never held back, so a prompt appears at once;
//! - `body` swallows a secret that has begun, to its end, and keeps nothing of it.

mod begin;
mod body;
mod context;
mod fields;
mod follow;
mod rules;
mod value;

#[cfg(test)]
mod tests;

use zeroize::{Zeroize, Zeroizing};

use begin::Look;
use body::{Body, Eat};
use context::Context;
pub use rules::{RULES, Rule};

/// The most bytes that wait to be understood.
pub const HELD_MAX: usize = 4096;

/// Masks one stream of output. Each stream (standard output, standard error) needs its own.
pub struct Masker {
    /// Read, and neither released nor masked. Never longer than [`HELD_MAX`], so that it never moves and leaves a copy.
    held: Zeroizing<Vec<u8>>,
    /// The secret that is being swallowed.
    body: Option<Body>,
    context: Context,
    /// How often each rule masked something, in the order of [`RULES`].
    counts: Vec<u64>,
}

impl Default for Masker {
    fn default() -> Self {
        Self::new()
    }
}

/// Says how much is held, and nothing of it.
impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Masker").field("held", &self.held.len()).finish_non_exhaustive()
    }
}

impl Masker {
    /// At the beginning of a stream.
    pub fn new() -> Self {
        Self { held: Zeroizing::new(Vec::with_capacity(HELD_MAX)), body: None, context: Context::default(), counts: vec![0; RULES.len()] }
    }

    /// Takes the next bytes, and appends to `out` what may be read by now.
    pub fn feed(&mut self, chunk: &[u8], out: &mut Vec<u8>) {
        let mut rest = chunk;
        while !rest.is_empty() {
            let room = HELD_MAX.saturating_sub(self.held.len()).max(1);
            let (head, tail) = rest.split_at_checked(room).unwrap_or((rest, &[]));
            self.held.extend_from_slice(head);
            rest = tail;
            self.step(false, out);
        }
    }

    /// The stream has ended: appends to `out` what was held back, masked where it is a secret. Then a new stream may begin;
    /// the counts go on.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        self.step(true, out);
        self.body = None;
        self.context = Context::default();
    }

    /// The rules that masked something, by name, each with how often.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        RULES.iter().zip(&self.counts).filter(|(_, n)| **n > 0).map(|(rule, n)| (rule.name, *n))
    }

    /// Works through what is held, as far as it can be told, and wipes it.
    fn step(&mut self, ended: bool, out: &mut Vec<u8>) {
        let mut held = std::mem::take(&mut self.held);
        let mut at = 0;
        while let Some(rest) = held.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(used) = self.take(rest, ended || rest.len() == HELD_MAX, out) else { break };
            at += used;
        }
        // What is left moves to the front, and what it leaves behind is overwritten.
        held.copy_within(at.., 0);
        let left = held.len().saturating_sub(at);
        if let Some(stale) = held.get_mut(left..) {
            stale.zeroize();
        }
        held.truncate(left);
        self.held = held;
    }

    /// Takes one byte, or a beginning, from the front of `rest`. `None` if more must be read to tell.
    fn take(&mut self, rest: &[u8], ended: bool, out: &mut Vec<u8>) -> Option<usize> {
        let first = *rest.first()?;
        if let Some(body) = &mut self.body {
            let eaten = body.eat(first);
            if eaten != Eat::More {
                self.body = None;
            }
            return Some(usize::from(eaten != Eat::Before));
        }
        match begin::look(rest, &self.context, ended) {
            Look::No => {
                self.release(first, out);
                Some(1)
            }
            Look::More => None,
            Look::Keep { length, expect } => {
                rest.iter().take(length).for_each(|b| self.release(*b, out));
                self.context.expects(expect);
                Some(length)
            }
            Look::Yes { rule, length, body } => {
                self.mask(rule, out);
                self.body = body;
                Some(length)
            }
        }
    }

    fn release(&mut self, byte: u8, out: &mut Vec<u8>) {
        out.push(byte);
        self.context.pass(byte);
    }

    fn mask(&mut self, rule: usize, out: &mut Vec<u8>) {
        let Some(known) = RULES.get(rule) else { return };
        if let Some(count) = self.counts.get_mut(rule) {
            *count = count.saturating_add(1);
        }
        out.extend_from_slice(b"[masked: ");
        out.extend_from_slice(known.name.as_bytes());
        out.push(b']');
        self.context.masked();
    }
}
