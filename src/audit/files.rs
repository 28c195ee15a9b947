//! Entries about files of a session: written together, and noted so that the session finds them again.

use super::log::{Error, Log};
use crate::model::{Event, SessionId};
use crate::store::{audit_log, session_files};

impl Log {
    /// Records what was seen of a session's files, in this order: all of it or nothing.
    ///
    /// # Errors
    /// [`Error`]: nothing was recorded.
    pub async fn record_files(&self, session: SessionId, events: Vec<Event>) -> Result<(), Error> {
        let count = u64::try_from(events.len()).unwrap_or(0);
        self.commit_all(events, (), move |c| {
            // One writer: the next number cannot be taken by somebody else before these entries have theirs.
            let first = audit_log::last(c)?.map_or(1, |entry| entry.seq.saturating_add(1));
            session_files::note(c, session, first, count)
        })
        .await
        .map(drop)
    }
}
