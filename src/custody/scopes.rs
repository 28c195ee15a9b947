//! Which sealed scopes are open, since when nobody used them, and who is there: when a scope is to be locked is decided here. Holds no
//! key; the keys are the keeper's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use crate::authn::{Rate, Throttle};
use crate::clock::Time;
use crate::model::UserId;

/// How long a scope stays open without being used, if the configuration does not say.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// Attempts of one person to open their scope in a minute, right or wrong: each costs a derivation.
const TRIES: Rate = Rate::per_minute(20);

/// The scopes that are open. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Scopes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: Mutex<All>,
    /// Rings when a scope may have to be locked.
    changed: Notify,
}

#[derive(Debug)]
struct All {
    idle: Duration,
    open: BTreeMap<UserId, Open>,
    /// How many connections to hosts each person has.
    visits: BTreeMap<UserId, usize>,
    tries: Throttle<UserId>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    used: Time,
    /// Opened by `unlock`: it does not close with the last connection.
    stays: bool,
}

impl Default for Scopes {
    fn default() -> Self {
        let all = All { idle: IDLE, open: BTreeMap::new(), visits: BTreeMap::new(), tries: Throttle::new(TRIES) };
        Self(Arc::new(Inner { all: Mutex::new(all), changed: Notify::new() }))
    }
}

/// A person's connection to a host, as far as it keeps their scope open. When the last one is dropped, the scope is locked.
#[derive(Debug)]
pub struct Visiting {
    scopes: Scopes,
    user: UserId,
}

impl Drop for Visiting {
    fn drop(&mut self) {
        self.scopes.with((), |all| {
            if let Some(count) = all.visits.get_mut(&self.user) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    all.visits.remove(&self.user);
                }
            }
        });
        self.scopes.0.changed.notify_one();
    }
}

impl Scopes {
    fn with<T>(&self, otherwise: T, work: impl FnOnce(&mut All) -> T) -> T {
        self.0.all.lock().map(|mut all| work(&mut all)).unwrap_or(otherwise)
    }

    pub(super) fn visiting(&self, user: UserId) -> Visiting {
        self.with((), |all| *all.visits.entry(user).or_default() += 1);
        Visiting { scopes: self.clone(), user }
    }

    pub(super) fn keep_open_for(&self, idle: Duration) {
        self.with((), |all| all.idle = idle);
    }

    /// Whether one more attempt may be made; it is counted at once, so that many at a time are no way around.
    pub(super) fn may_try(&self, user: UserId, now: Time) -> bool {
        self.with(false, |all| {
            let left = all.tries.has_left(&user, now);
            if left {
                all.tries.spend(user, now);
            }
            left
        })
    }

    pub(super) fn opened(&self, user: UserId, stays: bool, now: Time) {
        self.with((), |all| {
            let stays = stays || all.open.get(&user).is_some_and(|open| open.stays);
            all.open.insert(user, Open { used: now, stays });
        });
        self.0.changed.notify_one();
    }

    pub(super) fn used(&self, user: UserId, now: Time) {
        self.with((), |all| {
            if let Some(open) = all.open.get_mut(&user) {
                open.used = now;
            }
        });
    }

    pub(super) fn locked(&self, user: UserId) {
        self.with((), |all| {
            all.open.remove(&user);
        });
    }

    pub(super) fn is_open(&self, user: UserId) -> bool {
        self.with(false, |all| all.open.contains_key(&user))
    }

    pub(super) fn open(&self) -> Vec<UserId> {
        self.with(Vec::new(), |all| all.open.keys().copied().collect())
    }

    /// Whose scope is to be locked now, and why.
    pub(super) fn due(&self, now: Time) -> Vec<(UserId, &'static str)> {
        self.with(Vec::new(), |all| {
            let why = |(user, open): (&UserId, &Open)| {
                if now >= open.used.plus(all.idle) {
                    Some((*user, "it was not used for long"))
                } else if !open.stays && !all.visits.contains_key(user) {
                    Some((*user, "their last connection has ended"))
                } else {
                    None
                }
            };
            all.open.iter().filter_map(why).collect()
        })
    }

    /// How long until the next one has not been used for long.
    pub(super) fn until_due(&self, now: Time) -> Option<Duration> {
        self.with(None, |all| all.open.values().map(|open| open.used.plus(all.idle).since(now)).min())
    }

    pub(super) async fn changed(&self) {
        self.0.changed.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_due_when_the_last_connection_ends_or_nobody_uses_it() {
        let scopes = Scopes::default();
        let (alice, bob) = (UserId::from([1; 16]), UserId::from([2; 16]));
        let now = Time::from_millis(0);
        let visits = [scopes.visiting(alice), scopes.visiting(alice)];
        scopes.opened(alice, false, now);
        scopes.opened(bob, true, now);
        assert_eq!(scopes.due(now), []);
        let [first, second] = visits;
        drop(first);
        assert_eq!(scopes.due(now), [], "one of two");
        drop(second);
        assert_eq!(scopes.due(now), [(alice, "their last connection has ended")], "bob's was opened to stay");
        scopes.locked(alice);
        assert_eq!(scopes.until_due(now), Some(IDLE));
        let later = now.plus(Duration::from_secs(600));
        scopes.used(bob, later);
        assert_eq!(scopes.due(now.plus(IDLE)), []);
        assert_eq!(scopes.due(later.plus(IDLE)), [(bob, "it was not used for long")]);
        assert_eq!(scopes.open(), [bob]);
    }

    #[test]
    fn attempts_are_counted_per_person() {
        let scopes = Scopes::default();
        let (alice, bob) = (UserId::from([1; 16]), UserId::from([2; 16]));
        let now = Time::from_millis(0);
        for _ in 0..20 {
            assert!(scopes.may_try(alice, now));
        }
        assert!(!scopes.may_try(alice, now) && scopes.may_try(bob, now));
        assert!(scopes.may_try(alice, now.plus(Duration::from_secs(3))));
    }
}
