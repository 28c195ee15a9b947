//! Which allowances were taken back: what they have approved, and has not started yet, is not started. Each person has their own
//! list, so that nobody's word is forgotten because of what others take back.

use std::collections::{HashMap, VecDeque};

use crate::model::{AllowanceId, UserId};

/// How many of one person's are remembered: more than are in use between their approval and the start of a command.
const MOST: usize = 4096;

/// What was taken back, by person, newest last.
#[derive(Debug, Default)]
pub(super) struct TakenBack(HashMap<UserId, VecDeque<AllowanceId>>);

impl TakenBack {
    /// Notes one; of more than [`MOST`] of this person the oldest is forgotten.
    pub(super) fn note(&mut self, person: UserId, id: AllowanceId) {
        let theirs = self.0.entry(person).or_default();
        theirs.push_back(id);
        if theirs.len() > MOST {
            theirs.pop_front();
        }
    }

    /// Whether this person has taken it back.
    pub(super) fn holds(&self, person: UserId, id: AllowanceId) -> bool {
        self.0.get(&person).is_some_and(|theirs| theirs.contains(&id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_back_much_makes_nobody_elses_forgotten() {
        let (alice, bob) = (UserId::from([1; 16]), UserId::from([2; 16]));
        let id = |n: usize| AllowanceId::from(u128::try_from(n).unwrap().to_be_bytes());
        let mut taken_back = TakenBack::default();
        taken_back.note(bob, id(0));
        for n in 1..=MOST {
            taken_back.note(alice, id(n));
        }
        assert!(taken_back.holds(bob, id(0)) && !taken_back.holds(alice, id(0)), "a word of one's own");
        assert!(taken_back.holds(alice, id(1)) && taken_back.holds(alice, id(MOST)));
        taken_back.note(alice, id(MOST + 1));
        assert!(!taken_back.holds(alice, id(1)) && taken_back.holds(alice, id(MOST + 1)), "they are counted");
    }
}
