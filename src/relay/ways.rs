//! Which ways back to the person a session has opened on purpose: to their agent, to their screen. Says nothing of whether they are
//! granted.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::Action;

/// The ways back of one session. A host that takes one that was never opened is refused.
#[derive(Debug, Default)]
pub struct Ways {
    agent: AtomicBool,
    screen: AtomicBool,
}

impl Ways {
    /// The person's client asked for it, and it was granted: before the host hears of it.
    pub(super) fn open(&self, action: Action) {
        if let Some(way) = self.way(action) {
            way.store(true, Ordering::SeqCst);
        }
    }

    /// Whether this one was opened: [`Action::ForwardAgent`] or [`Action::X11`].
    pub fn is_open(&self, action: Action) -> bool {
        self.way(action).is_some_and(|way| way.load(Ordering::SeqCst))
    }

    fn way(&self, action: Action) -> Option<&AtomicBool> {
        match action {
            Action::ForwardAgent => Some(&self.agent),
            Action::X11 => Some(&self.screen),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_closed_until_it_is_opened_and_opens_no_other() {
        let ways = Ways::default();
        assert!(!ways.is_open(Action::ForwardAgent) && !ways.is_open(Action::X11));
        ways.open(Action::X11);
        ways.open(Action::Shell);
        assert!(!ways.is_open(Action::ForwardAgent) && ways.is_open(Action::X11) && !ways.is_open(Action::Shell));
    }
}
