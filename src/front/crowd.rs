//! How many connections each agent has, and the limit of that: a program that opens them in a loop takes no places of people. Knows nothing
//! of what is done on them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::model::AgentId;

/// The connections of agents, by agent.
#[derive(Clone, Debug, Default)]
pub struct Crowd(Arc<Mutex<HashMap<AgentId, usize>>>);

/// One connection of an agent; its place is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Among {
    crowd: Crowd,
    agent: AgentId,
}

impl Crowd {
    /// Takes a place; `None`: the agent has `most` connections already.
    pub(super) fn enter(&self, agent: AgentId, most: usize) -> Option<Among> {
        let mut counts = self.0.lock().ok()?;
        let count = counts.entry(agent).or_insert(0);
        if *count >= most {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Among { crowd: self.clone(), agent })
    }
}

impl Drop for Among {
    fn drop(&mut self) {
        if let Ok(mut counts) = self.crowd.0.lock()
            && let Some(count) = counts.get_mut(&self.agent)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.agent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_agent_has_its_own_places_and_they_are_free_again() {
        let (crowd, [one, two]) = (Crowd::default(), [[1; 16], [2; 16]].map(AgentId::from));
        let held: Vec<_> = (0..3).map(|_| crowd.enter(one, 3).unwrap()).collect();
        assert!(crowd.enter(one, 3).is_none() && crowd.enter(two, 3).is_some());
        drop(held);
        assert!(crowd.enter(one, 1).is_some());
        assert!(crowd.0.lock().unwrap().is_empty(), "nothing is kept of those who left");
    }
}
