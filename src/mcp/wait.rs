//! Waiting with an agent for its person or its command, within bounds, telling how it goes. Only watches.

use std::time::Duration;

use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext, RoleServer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::Pages;
use super::ask::Until;
use crate::approvals::{Snapshot, Stream, Ticket};
use crate::model::Stage;

/// How often progress is told at most.
const OFTEN: Duration = Duration::from_secs(1);
/// How often it is told although nothing happened, so that a client does not give up.
const SELDOM: Duration = Duration::from_secs(15);

/// Tells a client how it goes, if it asked for that.
pub(super) struct Progress {
    to: Option<(Peer<RoleServer>, ProgressToken)>,
    count: f64,
    last: Option<(String, Instant)>,
}

impl Progress {
    /// For the client of this request.
    pub(super) fn of(context: &RequestContext<RoleServer>) -> Self {
        Self { to: context.meta.get_progress_token().map(|token| (context.peer.clone(), token)), count: 0.0, last: None }
    }

    /// What there is to tell, if it is due.
    fn due(&mut self, message: String) -> Option<(Peer<RoleServer>, ProgressNotificationParam)> {
        let (peer, token) = self.to.as_ref()?;
        let now = Instant::now();
        if self.last.as_ref().is_some_and(|(said, at)| *said == message && now.duration_since(*at) < SELDOM) {
            return None;
        }
        self.count += 1.0;
        self.last = Some((message.clone(), now));
        Some((peer.clone(), ProgressNotificationParam::new(token.clone(), self.count).with_message(message)))
    }
}

/// Waits at most `wait`, and no longer than anybody is there to hear of it. How it stands then.
pub(super) async fn follow(
    ticket: &Ticket,
    until: Until,
    wait: Duration,
    pages: Pages,
    mut progress: Progress,
    over: &[&CancellationToken],
) -> Snapshot {
    let mut now = ticket.now.clone();
    let mut changes = ticket.output.changes();
    let deadline = tokio::time::sleep(wait);
    tokio::pin!(deadline);
    loop {
        let state = now.borrow_and_update().clone();
        let _ = changes.borrow_and_update();
        if satisfied(ticket, &state, until, pages) {
            return state;
        }
        let tell = async {
            if let Some((peer, progress)) = progress.due(message(ticket, &state)) {
                let _ = peer.notify_progress(progress).await;
            }
            match progress.to {
                Some(_) => tokio::time::sleep(OFTEN).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = &mut deadline => return state,
            () = any(over) => return state,
            // The sender lives as long as the ticket's entry; without it nothing more will come.
            changed = now.changed() => if changed.is_err() { return state },
            Ok(()) = changes.changed(), if until == Until::Output => {}
            () = tell => {}
        }
    }
}

/// Resolves when one of them is cancelled.
async fn any(of: &[&CancellationToken]) {
    let [first, second] = of else {
        return match of.first() {
            Some(only) => only.cancelled().await,
            None => std::future::pending().await,
        };
    };
    tokio::select! {
        () = first.cancelled() => {}
        () = second.cancelled() => {}
    }
}

fn satisfied(ticket: &Ticket, state: &Snapshot, until: Until, pages: Pages) -> bool {
    let behind = |stream, offset: u64| ticket.output.tally(stream).kept > offset;
    state.stage.is_final()
        || match until {
            Until::End => false,
            Until::Decision => state.stage != Stage::Pending,
            Until::Output => behind(Stream::Out, pages.stdout) || behind(Stream::Err, pages.stderr),
        }
}

fn message(ticket: &Ticket, state: &Snapshot) -> String {
    match state.stage {
        Stage::Pending => format!("waiting for {}", ticket.person),
        Stage::Approved => match &state.decided_by {
            Some(by) => format!("approved by {by}"),
            None => "approved".to_owned(),
        },
        Stage::Running => {
            let bytes = ticket.output.tally(Stream::Out).written.saturating_add(ticket.output.tally(Stream::Err).written);
            format!("running, {bytes} bytes")
        }
        ended => ended.as_str().to_owned(),
    }
}
