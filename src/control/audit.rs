//! Verbs about the audit log. Reading it is itself an entry. Personal credentials appear as what they are, unnamed.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::api::Reply;
use super::desk::{Call, Output, Piece};
use super::error::Error;
use super::view::{Data, EntryView, ExportedView, PERSONAL, VerdictView};
use crate::audit::{Checkpoint, Entry, Verdict, verify};
use crate::clock::Time;
use crate::model::{EventName, Name, Scope};
use crate::store::{audit_log, credentials};

/// Entries read at a time: no reader lives long.
const BATCH: u32 = 500;
/// The most entries of a list; an export has no limit.
const MOST: u32 = 10_000;

/// The reader's own personal credentials: id to name. All other personal ones stay unnamed.
struct Veil(HashMap<String, Name>);

impl Call<'_> {
    pub(super) async fn audit_list(
        &self,
        since: Option<Time>,
        user: Option<String>,
        host: Option<String>,
        limit: u32,
    ) -> Result<Reply, Error> {
        let mut event = self.event(EventName::AuditRead).with("how", "list");
        for (key, value) in [("since", since.map(|t| t.to_string())), ("user", user.clone()), ("host", host.clone())] {
            if let Some(value) = value {
                event = event.with(key, value);
            }
        }
        // Entries before this one: the reading itself is not part of what is read.
        let mut before = self.parts.log.record(event).await?;
        let veil = self.veil().await?;
        let limit = usize::try_from(limit.clamp(1, MOST)).unwrap_or(usize::MAX);
        let matches = |body: &Map<String, Value>, key: &str, wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|w| body.get(key).and_then(Value::as_str) == Some(w))
        };
        let mut found: Vec<EntryView> = Vec::new();
        'all: loop {
            let from = before;
            let batch = self.parts.store.read(move |c| audit_log::before(c, from, BATCH)).await?;
            if batch.is_empty() {
                break;
            }
            for row in batch {
                before = row.seq;
                if since.is_some_and(|since| row.at < since) {
                    break 'all;
                }
                let entry = Entry::from(row);
                if matches(&entry.body, "actor", &user) && matches(&entry.body, "host", &host) {
                    found.push(veil.over(entry));
                    if found.len() == limit {
                        break 'all;
                    }
                }
            }
        }
        found.reverse();
        Ok(Reply::of(Data::Entries(found)))
    }

    pub(super) async fn audit_export(&self, since: Option<Time>, out: &Output) -> Result<Reply, Error> {
        let mut event = self.event(EventName::AuditRead).with("how", "export");
        if let Some(since) = since {
            event = event.with("since", since);
        }
        let end = self.parts.log.record(event).await?;
        let (mut after, mut entries) = (0, 0u64);
        loop {
            let from = after;
            let batch = self.parts.store.read(move |c| audit_log::after(c, from, BATCH)).await?;
            let Some(last) = batch.last().map(|row| row.seq) else { break };
            after = last;
            let mut text = String::new();
            for row in batch.into_iter().filter(|row| row.seq < end && since.is_none_or(|since| row.at >= since)) {
                // As stored: whoever keeps it elsewhere can compute the hashes again. Personal credentials stand there as ids.
                let Entry { seq, at, body, prev, hash } = Entry::from(row);
                let line = serde_json::to_string(&EntryView { seq, at, body, prev, hash })
                    .map_err(|e| crate::store::Error::Malformed(e.to_string()))?;
                text.push_str(&line);
                text.push('\n');
                entries += 1;
            }
            if !text.is_empty() {
                out.send(Piece::Lines(text)).await.map_err(|_| Error::Gone)?;
            }
            if after >= end {
                break;
            }
        }
        Ok(Reply::of(Data::Exported(ExportedView { entries })))
    }

    pub(super) async fn audit_verify(&self, given: Option<String>) -> Result<Reply, Error> {
        let path = self.parts.checkpoints.clone();
        let own = tokio::task::spawn_blocking(move || Checkpoint::read_all(&path)).await.map_err(|e| Error::Checkpoints(e.to_string()))?;
        let mut checkpoints = own.map_err(|e| Error::Checkpoints(format!("the broker's own file: {e}")))?;
        for (at, line) in given.as_deref().unwrap_or_default().lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let checkpoint: Checkpoint =
                serde_json::from_str(line).map_err(|e| Error::Checkpoints(format!("line {} of the given file: {e}", at + 1)))?;
            if !checkpoints.contains(&checkpoint) {
                checkpoints.push(checkpoint);
            }
        }
        let verdict = verify(&self.parts.store, &checkpoints, self.parts.custody.vouchers().await?).await?;
        let event = self.event(EventName::AuditVerified).count("entries", verdict.entries).count("checkpoints", verdict.checkpoints);
        let event = match &verdict.lie {
            Some(lie) => event.count("seq", lie.seq).failed(&lie.what),
            None => event,
        };
        self.parts.log.record(event).await?;
        let Verdict { entries, head, checkpoints, lie } = verdict;
        let holds = lie.is_none();
        Ok(Reply::of(Data::Verdict(VerdictView { entries, head, checkpoints, lie, holds })))
    }

    async fn veil(&self) -> Result<Veil, Error> {
        let (workspace, me) = (self.workspace.clone(), self.actor.id);
        let seen = self.parts.store.read(move |c| credentials::visible(c, &workspace, me)).await?;
        Ok(Veil(seen.into_iter().filter(|c| matches!(c.scope, Scope::Personal(_))).map(|c| (c.id.to_string(), c.name)).collect()))
    }
}

impl Veil {
    /// An entry as this reader may see it. A personal credential stands in the log as its id alone (see `model::Event`).
    fn over(&self, entry: Entry) -> EntryView {
        let Entry { seq, at, mut body, prev, hash } = entry;
        let personal =
            body.get("credential").and_then(Value::as_str).filter(|text| body.get("credential_id").and_then(Value::as_str) == Some(*text));
        if let Some(id) = personal.map(str::to_owned) {
            match self.0.get(&id) {
                Some(name) => drop(body.insert("credential".to_owned(), Value::String(name.to_string()))),
                None => {
                    body.insert("credential".to_owned(), Value::String(PERSONAL.to_owned()));
                    body.shift_remove("credential_id");
                }
            }
        }
        EntryView { seq, at, body, prev, hash }
    }
}
