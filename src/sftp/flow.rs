//! The content of one file in one direction, as it passes: counted, and hashed as long as it comes in order.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};

/// What is known of it.
#[derive(Default)]
pub(super) struct Flow {
    bytes: u64,
    next: u64,
    disordered: bool,
    feeding: bool,
    digest: Option<Context>,
    ends: Option<u64>,
    /// The first failure of one of its requests.
    pub(super) failure: Option<String>,
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("bytes", &self.bytes).field("next", &self.next).finish_non_exhaustive()
    }
}

impl Flow {
    /// So much content for this place is about to pass.
    pub(super) fn begins(&mut self, offset: u64, length: u32) {
        let next = offset.checked_add(u64::from(length));
        self.feeding = !self.disordered && offset == self.next && next.is_some();
        if !self.feeding {
            self.disorder();
        } else if let Some(next) = next {
            self.next = next;
            self.ends = self.ends.filter(|ends| *ends >= next);
        }
    }

    /// Content passes.
    pub(super) fn passes(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.feeding {
            self.digest.get_or_insert_with(|| Context::new(&SHA256)).update(bytes);
        }
    }

    /// Its order cannot be told.
    pub(super) fn disorder(&mut self) {
        self.disordered = true;
        self.feeding = false;
        self.digest = None;
    }

    /// The file ends at or before this place.
    pub(super) fn ends_at(&mut self, place: u64) {
        if place >= self.next {
            self.ends = Some(self.ends.map_or(place, |ends| ends.min(place)));
        }
    }

    /// A request failed.
    pub(super) fn fails(&mut self, why: String) {
        self.failure.get_or_insert(why);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_sequential(&self) -> bool {
        !self.disordered
    }

    /// Whether it passed in order up to the file's end.
    pub(super) fn reached_the_end(&self) -> bool {
        !self.disordered && self.ends == Some(self.next)
    }

    /// Where the next byte in order would be.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// SHA-256 of what passed, if it passed in order.
    pub(super) fn sha256(self) -> Option<[u8; 32]> {
        if self.disordered {
            return None;
        }
        let digest = self.digest.unwrap_or_else(|| Context::new(&SHA256)).finish();
        digest.as_ref().try_into().ok()
    }
}
