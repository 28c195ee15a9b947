//! How often a credential, or its sudo password, is tried in one scan: two hosts at a time until one of them has taken it, and no more once two have refused
//! it. So a wrong password locks no account on hundreds of hosts. Knows no secret and no host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::model::CredentialId;

/// So many refusals, and a credential is tried no more.
pub const REFUSALS_MAX: usize = 2;
/// Turns that a credential has once a host has taken it: more than hosts are ever scanned at once.
const PROVEN: usize = 1 << 16;

/// It was refused by [`REFUSALS_MAX`] hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Barred;

#[derive(Debug)]
struct Gate {
    turns: Arc<Semaphore>,
    proven: bool,
    refused: usize,
}

/// The gates of one scan.
#[derive(Debug, Default)]
pub struct Gates(Mutex<HashMap<CredentialId, Gate>>);

/// A turn to try once. Dropped without a word: nothing was learned of the credential.
#[must_use]
#[derive(Debug)]
pub struct Turn<'a> {
    gates: &'a Gates,
    credential: CredentialId,
    place: OwnedSemaphorePermit,
}

impl Gates {
    /// Whether it was refused by [`REFUSALS_MAX`] hosts already.
    pub fn is_barred(&self, credential: CredentialId) -> bool {
        self.0.lock().is_ok_and(|gates| gates.get(&credential).is_some_and(|gate| gate.turns.is_closed()))
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`Barred`].
    pub async fn enter(&self, credential: CredentialId) -> Result<Turn<'_>, Barred> {
        let turns = {
            let mut gates = self.0.lock().map_err(|_| Barred)?;
            let gate = || Gate { turns: Arc::new(Semaphore::new(REFUSALS_MAX)), proven: false, refused: 0 };
            Arc::clone(&gates.entry(credential).or_insert_with(gate).turns)
        };
        let place = turns.acquire_owned().await.map_err(|_| Barred)?;
        Ok(Turn { gates: self, credential, place })
    }
}

impl Turn<'_> {
    /// A host took the credential: it is the right one, and whoever waits may go.
    pub fn taken(self) {
        if let Ok(mut gates) = self.gates.0.lock()
            && let Some(gate) = gates.get_mut(&self.credential)
            && !std::mem::replace(&mut gate.proven, true)
        {
            gate.turns.add_permits(PROVEN);
        }
    }

    /// A host refused it. The turn is used up.
    pub fn refused(self) {
        if let Ok(mut gates) = self.gates.0.lock()
            && let Some(gate) = gates.get_mut(&self.credential)
        {
            self.place.forget();
            gate.refused += 1;
            if gate.refused >= REFUSALS_MAX {
                // Whoever waits learns it.
                gate.turns.close();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_refusals_are_the_end_and_one_success_opens_the_gate() {
        let (gates, credential) = (Gates::default(), CredentialId::from([1; 16]));
        let (a, b) = (gates.enter(credential).await.unwrap(), gates.enter(credential).await.unwrap());
        let waits = gates.enter(credential);
        tokio::pin!(waits);
        assert!(futures_pending(&mut waits).await, "a third one waits until something is known");
        a.refused();
        assert!(futures_pending(&mut waits).await, "one refusal leaves one turn, and that is out");
        b.refused();
        assert_eq!(waits.await.err(), Some(Barred));
        assert_eq!(gates.enter(credential).await.err(), Some(Barred));

        let other = CredentialId::from([2; 16]);
        gates.enter(other).await.unwrap().taken();
        let mut out = Vec::new();
        for _ in 0..100 {
            out.push(gates.enter(other).await.unwrap());
        }
        for turn in out.drain(..2) {
            turn.refused();
        }
        assert_eq!(gates.enter(other).await.err(), Some(Barred));
    }

    #[tokio::test]
    async fn a_turn_that_learned_nothing_is_the_next_ones() {
        let (gates, credential) = (Gates::default(), CredentialId::from([1; 16]));
        for _ in 0..10 {
            drop(gates.enter(credential).await.unwrap());
        }
        gates.enter(credential).await.unwrap().refused();
        for _ in 0..10 {
            drop(gates.enter(credential).await.unwrap());
        }
    }

    async fn futures_pending<F: Future>(future: &mut std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_pending())).await
    }
}
