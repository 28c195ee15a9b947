//! Where a connection leads, by its user name or – inside another one – by what that was opened for. Looks nothing up.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use tokio_util::sync::CancellationToken;

use super::{Gate, Handler, Known, Selector, User, printable};
use crate::fault::Calling;
use crate::sessions::Jumps;

impl Handler {
    /// Where the user name leads. Inside another connection that is settled, and the user name is an account on the host.
    pub(super) fn selector_of(&self, user: &str) -> Option<Selector> {
        match &self.within {
            Some(within) => Some(within.selector()),
            None => user.parse().ok(),
        }
    }

    /// Notes where somebody goes who was recognised. `None`: it is somebody else than who opened the connection around this one.
    pub(super) fn goes(&mut self, user: &str, selector: Selector, known: &Known) -> Option<()> {
        if self.within.as_ref().is_some_and(|within| !within.is(known)) {
            return None;
        }
        self.login = self.within.is_some().then(|| user.to_owned());
        self.selector = Some(selector);
        Some(())
    }

    /// Notes where the accepted user name leads.
    pub(super) fn heads_for(&mut self, user: &str) {
        self.selector = self.selector_of(user);
        self.login = self.within.is_some().then(|| user.to_owned());
    }

    /// What is recorded of a sign-in that fails.
    pub(super) fn asked_for(&self, user: &str) -> String {
        let user = printable(user, 200);
        self.within.as_ref().map_or_else(|| user.clone(), |within| within.told(&user))
    }

    /// What connections inside this one need.
    pub(super) fn gate(&self, user: &User, key: &str, calling: &Calling) -> Gate {
        let jumps = Jumps {
            rooms: self.door.rooms.clone(),
            user: user.id,
            user_name: user.name.clone(),
            key: key.to_owned(),
            workspace: self.door.workspace.clone(),
            client: self.peer,
            calling: calling.clone(),
            refusals: AtomicU32::new(0),
        };
        let (door, config, places) = (Arc::clone(&self.door), Arc::clone(&self.config), Arc::clone(&self.places));
        Gate { door, config, places, jumps, over: CancellationToken::new() }
    }
}
