//! How much one client, or one agent over HTTP, may have under way. Counts, and nothing else.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::gate::REQUESTS;

/// Calls that may wait for a person or for a command at once.
pub(super) const WAITS: usize = 16;

/// The places of one client. Clones are the same ones.
#[derive(Clone, Debug)]
pub(super) struct Places {
    waits: Arc<Semaphore>,
    requests: Arc<Semaphore>,
}

impl Places {
    /// All of them free.
    pub(super) fn new() -> Self {
        Self { waits: Arc::new(Semaphore::new(WAITS)), requests: Arc::new(Semaphore::new(REQUESTS)) }
    }

    /// A place to wait in; `None`: all are taken.
    pub(super) fn wait(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.waits).try_acquire_owned().ok()
    }

    /// A place for a request over HTTP; `None`: all are taken.
    pub(super) fn request(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.requests).try_acquire_owned().ok()
    }

    /// Whether somebody has a place.
    pub(super) fn in_use(&self) -> bool {
        self.waits.available_permits() < WAITS || self.requests.available_permits() < REQUESTS
    }
}
