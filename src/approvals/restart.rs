//! What a daemon that died left behind gets an honest end. Nothing of it is run: not what was approved, not again what ran.

use crate::audit::Log;
use crate::clock::Clock;
use crate::model::{Event, EventName, Stage};
use crate::store::proposals::{self, Ended, ProposalRow};
use crate::store::{self, Store};

/// Gives every proposal without an end the one that is true: what waited has expired, what was approved did not run (its
/// running would be on record), what ran was interrupted.
///
/// # Errors
/// What the store or the witness says.
pub async fn settle_left_behind(store: &Store, log: &Log, clock: &Clock) -> Result<usize, crate::audit::Error> {
    let left = store.read(|c| -> Result<Vec<ProposalRow>, store::Error> { proposals::open(c) }).await?;
    let count = left.len();
    for row in left {
        let (to, name, why) = match row.stage {
            Stage::Running => (Stage::Interrupted, EventName::ProposalInterrupted, "the broker stopped while it ran"),
            Stage::Approved => (Stage::Failed, EventName::ProposalFailed, "the broker stopped before it ran"),
            _ => (Stage::Expired, EventName::ProposalExpired, "the broker stopped while it waited"),
        };
        let mut event = Event::new(name, "keyward").session(row.act.session).proposal(row.id).failed(why);
        event.host = Some(row.host_name.to_string());
        event.host_id = Some(row.act.host);
        let event = event.with("agent", &row.agent_name).with("sha256", row.digest);
        let (id, from, at) = (row.id, row.stage, clock.now());
        let ended = Ended { reason: Some(why.to_owned()), ..Ended::default() };
        log.commit_with(event, (), move |c| proposals::end(c, id, from, to, at, &ended)).await?.into_inner();
    }
    Ok(count)
}
