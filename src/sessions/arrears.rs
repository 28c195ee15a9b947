//! Ends of sessions that could not be recorded, on a full disk mostly: they are tried again, later and later, while the
//! daemon lives. Never tries for ever and never holds up a session; what is left is made good at the next start.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::custody::{Custody, SessionEnd};
use crate::model::{Event, SessionId};

/// The most ends that wait; further ones wait for the next start.
const MOST: usize = 4096;
/// The pause before the first new try; each further one is twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);
/// After so many tries, about a day, an end is left to the next start.
const TRIES: u32 = 1440;

/// The ends that are owed. Clones are the same ones.
#[derive(Clone, Debug)]
pub struct Arrears(Arc<Semaphore>);

impl Default for Arrears {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

impl Arrears {
    /// Tries to record this end until it is.
    pub(super) fn owe(&self, custody: Custody, session: SessionId, event: Event, end: SessionEnd) {
        let Ok(place) = Arc::clone(&self.0).try_acquire_owned() else {
            tracing::error!(target: "keyward::sessions", %session, "too many ends wait to be recorded; this one waits for the next start");
            return;
        };
        // The entry is written later than it happened: it says when that was.
        let event = event.with("ended_at", end.at);
        #[allow(clippy::disallowed_methods)] // it outlives its session; what it loses by a panic, the next start makes good
        tokio::spawn(async move {
            let _place = place;
            for pause in pauses() {
                tokio::time::sleep(pause).await;
                match custody.ended(session, event.clone(), end).await {
                    Ok(()) => {
                        tracing::info!(target: "keyward::sessions", %session, "the end of a session is recorded now");
                        return;
                    }
                    Err(error) => tracing::debug!(target: "keyward::sessions", %session, %error, "not recorded yet"),
                }
            }
            tracing::error!(target: "keyward::sessions", %session, "given up: the end of this session waits for the next start");
        });
    }
}

/// How long it is waited before each try.
fn pauses() -> impl Iterator<Item = Duration> {
    (0..TRIES).map(|n| FIRST.saturating_mul(1 << n.min(16)).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_grow_and_end() {
        let all: Vec<u64> = pauses().map(|p| p.as_secs()).collect();
        assert_eq!(all.get(..8), Some(&[1, 2, 4, 8, 16, 32, 60, 60][..]));
        assert_eq!(all.len(), 1440);
        let total: u64 = all.iter().sum();
        assert!((80_000..90_000).contains(&total), "about a day: {total} s");
    }
}
