//! The files of a session, out of the audit log. Shows what is written there and adds nothing.

use serde_json::Value;

use super::desk::Call;
use super::error::Error;
use super::view::{FileView, SessionView};
use crate::audit::Entry;
use crate::store::session_files;

/// The most files in one answer; all of them are in the audit log.
const MOST: u32 = 1000;

impl Call<'_> {
    /// Adds the newest files to a session.
    pub(super) async fn with_files(&self, mut session: SessionView) -> Result<SessionView, Error> {
        let id = session.id;
        let (rows, all) = self.parts.store.read(move |c| session_files::of(c, id, MOST)).await?;
        session.files = rows.into_iter().map(|row| file(&Entry::from(row))).collect();
        session.files_recorded = Some(all);
        Ok(session)
    }
}

fn file(entry: &Entry) -> FileView {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let detail = |key: &str| entry.body.get("detail").and_then(|detail| detail.get(key));
    let of_body = |key: &str| text(entry.body.get(key)).unwrap_or_default();
    FileView {
        seq: entry.seq,
        at: entry.at,
        event: of_body("event"),
        path: text(detail("path")).unwrap_or_default(),
        to: text(detail("to").or_else(|| detail("target"))),
        name: text(detail("name")),
        bytes: detail("bytes").and_then(Value::as_u64),
        sha256: text(detail("sha256")),
        outcome: of_body("outcome"),
        reason: text(entry.body.get("reason")),
    }
}
