//! Hosts to which an agent would like a connection that its person has not opened: shown to the person, forgotten soon.

use std::time::Duration;

use crate::clock::Time;
use crate::model::{AgentId, HostId, Name, UserId};

/// How long a wish is shown.
const SHOWN: Duration = Duration::from_secs(15 * 60);
/// The most wishes of one person that are kept.
const MOST: usize = 64;

/// A wish.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Whose connection.
    pub person: UserId,
    /// Which agent.
    pub agent: AgentId,
    /// Its name.
    pub agent_name: Name,
    /// To which host.
    pub host: HostId,
    /// Its name.
    pub host_name: Name,
    /// When it asked last.
    pub at: Time,
    /// How often it asked.
    pub times: u32,
}

/// All wishes.
#[derive(Debug, Default)]
pub(super) struct Wishes(Vec<Wanted>);

impl Wishes {
    /// Notes a wish; one that is there already is counted.
    pub(super) fn note(&mut self, wish: Wanted) {
        self.sweep(wish.at);
        let count = self.0.iter().filter(|w| w.person == wish.person).count();
        match self.0.iter_mut().find(|w| w.agent == wish.agent && w.host == wish.host) {
            Some(there) => {
                there.times = there.times.saturating_add(1);
                there.at = wish.at;
            }
            None if count < MOST => self.0.push(wish),
            None => {}
        }
    }

    /// A person's wishes that are still shown.
    pub(super) fn of(&mut self, person: UserId, now: Time) -> Vec<Wanted> {
        self.sweep(now);
        self.0.iter().filter(|w| w.person == person).cloned().collect()
    }

    /// What was wanted is there.
    pub(super) fn granted(&mut self, person: UserId, host: HostId) -> bool {
        let before = self.0.len();
        self.0.retain(|w| w.person != person || w.host != host);
        self.0.len() != before
    }

    fn sweep(&mut self, now: Time) {
        self.0.retain(|w| now.since(w.at) < SHOWN);
    }
}
