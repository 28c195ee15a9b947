//! Ends of proposals that are to be on record: written in one transaction with their entry, and tried again until the store answers. Decides
//! no end, and runs nothing.

use std::time::Duration;

use super::desk::Parts;
use crate::clock::Time;
use crate::model::{ActDigest, Event, ProposalId, Stage};
use crate::store;
use crate::store::proposals::{self, Ended};

/// How often an end that is still owed is tried to be written, and how many times. Then the next start of the broker settles it.
const AGAIN: Duration = Duration::from_secs(5);
const TIMES: u32 = 720;

/// An end.
pub(super) struct Owed {
    pub(super) id: ProposalId,
    /// Where the row may stand.
    pub(super) from: Vec<Stage>,
    pub(super) to: Stage,
    pub(super) at: Time,
    pub(super) ended: Ended,
    pub(super) event: Event,
}

impl Owed {
    /// Writes it; `true`: it has an end, this one or – if an earlier try came through after all – the same.
    pub(super) async fn write(&self, parts: &Parts, attempt: u32) -> bool {
        let (id, to, at, from, ended) = (self.id, self.to, self.at, self.from.clone(), self.ended.clone());
        let written = move |c: &rusqlite::Connection| {
            let mut last = Err(store::Error::Missing(format!("proposal {id}")));
            for stage in from {
                last = proposals::end(c, id, stage, to, at, &ended);
                if last.is_ok() {
                    break;
                }
            }
            last
        };
        match parts.log.commit_with(self.event.clone(), (), written).await {
            Ok(done) => {
                done.into_inner();
                true
            }
            Err(error) => {
                tracing::error!(target: "keyward::approvals", proposal = %self.id, %error, attempt, "the end of a proposal was not recorded");
                let read = parts.store.read(move |c| proposals::by_id(c, id)).await;
                matches!(read, Ok(Some(row)) if row.stage.is_final())
            }
        }
    }

    /// Writes it once the store answers again.
    pub(super) async fn settle(self, parts: &Parts) {
        for attempt in 1..=TIMES {
            tokio::time::sleep(AGAIN).await;
            if self.write(parts, attempt).await {
                return;
            }
        }
    }
}

/// An entry of an end, with what came of the command.
pub(super) fn ending(event: Event, ended: &Ended) -> Event {
    let output = &ended.output;
    let mut event = event.count("stdout", output.out_bytes).count("stderr", output.err_bytes).count("masked", output.masked);
    for (key, sha256) in [("stdout_sha256", output.out_sha256), ("stderr_sha256", output.err_sha256)] {
        if let Some(sha256) = sha256 {
            event = event.with(key, ActDigest::from(sha256));
        }
    }
    if let Some(status) = ended.exit_status {
        event = event.count("exit_status", u64::from(status));
    }
    if let Some(signal) = &ended.exit_signal {
        event = event.with("exit_signal", signal);
    }
    match &ended.reason {
        Some(why) => event.failed(why),
        None => event,
    }
}
