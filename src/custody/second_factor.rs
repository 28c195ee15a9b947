//! Second factors of people: offered, enrolled, asked for and given. Each step is witnessed, and what was accepted is struck out in the
//! ledger before anybody is told; never decides what a grant wants, and sees no code but to hand it to the vault.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use zeroize::Zeroizing;

use super::warrant::{Asked, look_up};
use super::{Custody, Error, Purpose};
use crate::authn::{Rate, Throttle};
use crate::clock::Time;
use crate::fault::{Fault, Kind};
use crate::model::{Event, EventName, User, UserId, Vouch};
use crate::secret::Secret;
use crate::store::second_factors::{self, Enrolment, FactorRow};
use crate::store::{self, shreds};
use crate::vault::{self, Code, Typed};

/// Wrong codes of one person in an hour. A guess hits with three in a million.
const WRONG: Rate = Rate::per_hour(10);
/// How long an offer can be confirmed.
const OFFER: Duration = Duration::from_secs(15 * 60);
/// How many accepted codes are remembered at most; beyond that somebody is asked once more often.
const REMEMBERED: usize = 10_000;

/// What is known of codes that were given: in memory alone.
#[derive(Clone, Debug)]
pub(super) struct Codes(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    wrong: Mutex<Throttle<UserId>>,
    /// One is judged at a time, so that many at once are no way around the limit.
    judging: tokio::sync::Mutex<()>,
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    valid_for: Duration,
    given: HashMap<Place, Time>,
}

/// Who gave a code, from where, with which key and second factor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    user: UserId,
    from: IpAddr,
    key: String,
    made_at: i64,
}

impl Default for Codes {
    fn default() -> Self {
        let wrong = Mutex::new(Throttle::new(WRONG));
        Self(Arc::new(Inner { wrong, judging: tokio::sync::Mutex::default(), recent: Mutex::default() }))
    }
}

impl Codes {
    fn may_try(&self, user: UserId, now: Time) -> bool {
        self.0.wrong.lock().is_ok_and(|mut wrong| wrong.has_left(&user, now))
    }

    fn was_wrong(&self, user: UserId, now: Time) {
        if let Ok(mut wrong) = self.0.wrong.lock() {
            wrong.spend(user, now);
        }
    }

    fn remember(&self, place: Place, now: Time) {
        let Ok(mut recent) = self.0.recent.lock() else { return };
        let valid_for = recent.valid_for;
        if valid_for.is_zero() {
            return;
        }
        recent.given.retain(|_, at| now.since(*at) < valid_for);
        if recent.given.len() < REMEMBERED {
            recent.given.insert(place, now);
        }
    }

    /// A clock that was set back opens nothing.
    fn remembers(&self, place: &Place, now: Time) -> bool {
        let Ok(recent) = self.0.recent.lock() else { return false };
        recent.given.get(place).is_some_and(|at| now >= *at && now.since(*at) < recent.valid_for)
    }
}

/// Whether somebody who is signing in is asked for a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeWanted {
    /// No: nothing on their way wants it, or they have enrolled none.
    No,
    /// No: they gave one from there a short while ago, of the second factor that was made then.
    GivenBefore(Time),
    /// Yes; that they are asked is on record.
    Yes,
}

/// What became of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeGiven {
    /// It is right, and counts no more. It is of the second factor that was made then.
    Accepted(Time),
    /// It is wrong.
    Wrong,
    /// It was right, and was used already.
    Used,
    /// There were too many wrong ones: it was not looked at.
    TooMany,
}

/// A second factor that was offered, to be shown once.
#[derive(Debug)]
pub struct Offer {
    /// The secret, in base32.
    pub secret: Zeroizing<String>,
    /// Until when it can be confirmed.
    pub until: Time,
}

/// How it stands with somebody's second factor; never the secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FactorState {
    /// Since when it counts; `None`: there is none.
    pub enrolled_at: Option<Time>,
    /// Whether it is wanted at every sign-in.
    pub always: bool,
    /// When a code was accepted last.
    pub last_used_at: Option<Time>,
    /// Recovery codes that were not used.
    pub recovery_codes: usize,
    /// Until when what was offered can be confirmed.
    pub offered_until: Option<Time>,
}

impl Custody {
    /// How long a person from the same address with the same key is not asked again; nothing: each connection is.
    pub fn second_factor_valid_for(&self, valid_for: Duration) {
        if let Ok(mut recent) = self.codes.0.recent.lock() {
            recent.valid_for = valid_for;
        }
    }

    /// How it stands with a person's second factor.
    ///
    /// # Errors
    /// The store's.
    pub async fn factor_state(&self, user: UserId) -> Result<FactorState, Error> {
        let now = self.clock.now();
        let read = move |c: &rusqlite::Connection| -> Result<_, store::Error> {
            let pending = second_factors::of(c, user, Enrolment::Pending)?;
            Ok((second_factors::of(c, user, Enrolment::InForce)?, pending, second_factors::codes(c, user)?.len()))
        };
        let (row, pending, recovery_codes) = self.store.read(read).await?;
        let offered_until = pending.map(|p| p.made_at.plus(OFFER)).filter(|until| now < *until);
        Ok(match row {
            Some(row) => FactorState {
                enrolled_at: row.enrolled_at,
                always: row.always,
                last_used_at: row.last_used_at,
                recovery_codes,
                offered_until,
            },
            None => FactorState { offered_until, ..FactorState::default() },
        })
    }

    /// Offers a person a second factor; it counts once a code of it was given. An offer takes the place of the one before.
    ///
    /// # Errors
    /// [`Error::HasSecondFactor`]; the vault's.
    pub async fn offer_factor(&self, user: &User, always: bool, event: Event) -> Result<Offer, Error> {
        // What is sealed meanwhile must not be sealed by a root key that is gone.
        let _turn = self.turns.read().await;
        self.store.room()?;
        let (id, made_at) = (user.id, self.clock.now());
        let new = self.vault.new_factor(id, made_at).await?;
        let wrapped = new.wrapped;
        let change = move |c: &rusqlite::Connection| -> Result<((), Vec<Event>), Error> {
            if second_factors::of(c, id, Enrolment::InForce)?.is_some() {
                return Err(Error::HasSecondFactor);
            }
            second_factors::offer(c, id, made_at, &wrapped, always)?;
            Ok(((), vec![event]))
        };
        self.log.change(change).await?.into_inner();
        Ok(Offer { secret: new.secret, until: made_at.plus(OFFER) })
    }

    /// Lets what was offered count, if this is a code of it. Returns recovery codes, to be shown once, and whether it is wanted at every
    /// sign-in.
    ///
    /// # Errors
    /// [`Error::NoOffer`], [`Error::WrongCode`], [`Error::TooManyCodes`]; the vault's.
    pub async fn confirm_factor(&self, user: &User, typed: Secret, event: Event) -> Result<(Vec<Code>, bool), Error> {
        let _judging = self.codes.0.judging.lock().await;
        let (id, now) = (user.id, self.clock.now());
        if !self.codes.may_try(id, now) {
            self.log.record(refused(user, event, "too many wrong codes")).await?;
            return Err(Error::TooManyCodes);
        }
        let judged = self.tells_of_forgery(self.vault.judge_code(id, Enrolment::Pending, typed).await).await?;
        let Some((row, verdict)) = judged.filter(|(row, _)| now < row.made_at.plus(OFFER)) else { return Err(Error::NoOffer) };
        let Typed::Step(step) = verdict else {
            self.codes.was_wrong(id, now);
            self.log.record(refused(user, event, "it is no code of what is being enrolled")).await?;
            return Err(Error::WrongCode);
        };
        let (codes, hashes) = self.tells_of_forgery(self.vault.new_recovery_codes(row.clone()).await).await?;
        let (made_at, always) = (row.made_at, row.always);
        let change = move |c: &rusqlite::Connection| -> Result<((), Vec<Event>), Error> {
            if !second_factors::enrol(c, id, made_at, step, &hashes, now)? {
                return Err(Error::ChangedMeanwhile("your second factor".to_owned()));
            }
            Ok(((), vec![event.with("always", always)]))
        };
        self.log.change_heard(self.guard.bell(), change).await?.into_inner();
        Ok((codes, always))
    }

    /// Removes a person's second factor, what was offered, and the recovery codes. Sessions that stand on it end.
    ///
    /// # Errors
    /// [`Error::NoSecondFactor`].
    pub async fn remove_factor(&self, user: &User, event: Event) -> Result<(), Error> {
        let (id, at) = (user.id, self.clock.now());
        let change = move |c: &rusqlite::Connection| -> Result<((), Vec<Event>), Error> {
            if !second_factors::remove(c, id)? {
                return Err(Error::NoSecondFactor);
            }
            shreds::note(c, "a second factor", at)?;
            Ok(((), vec![event]))
        };
        self.log.change_heard(self.guard.bell(), change).await?.into_inner();
        shreds::settle(&self.store).await?;
        Ok(())
    }

    /// Sets whether a person's second factor is wanted at every sign-in.
    ///
    /// # Errors
    /// [`Error::NoSecondFactor`].
    pub async fn require_factor(&self, user: &User, always: bool, event: Event) -> Result<(), Error> {
        let id = user.id;
        let change = move |c: &rusqlite::Connection| -> Result<((), Vec<Event>), Error> {
            if !second_factors::require(c, id, always)? {
                return Err(Error::NoSecondFactor);
            }
            Ok(((), vec![event]))
        };
        self.log.change_heard(self.guard.bell(), change).await?.into_inner();
        Ok(())
    }

    /// Makes a person new recovery codes; the ones before count no more.
    ///
    /// # Errors
    /// [`Error::NoSecondFactor`]; the vault's.
    pub async fn renew_recovery_codes(&self, user: &User, event: Event) -> Result<Vec<Code>, Error> {
        let _turn = self.turns.read().await;
        let id = user.id;
        let row = self.store.read(move |c| second_factors::of(c, id, Enrolment::InForce)).await?.ok_or(Error::NoSecondFactor)?;
        let made_at = row.made_at;
        let (codes, hashes) = self.tells_of_forgery(self.vault.new_recovery_codes(row).await).await?;
        let change = move |c: &rusqlite::Connection| -> Result<((), Vec<Event>), Error> {
            if second_factors::of(c, id, Enrolment::InForce)?.is_none_or(|row| row.made_at != made_at) {
                return Err(Error::ChangedMeanwhile("the second factor".to_owned()));
            }
            second_factors::renew_codes(c, id, &hashes)?;
            Ok(((), vec![event]))
        };
        self.log.change(change).await?.into_inner();
        Ok(codes)
    }

    /// Whether a person who is signing in is asked for a code: because they are at every sign-in, or because something on the way to
    /// the host wants it. `key`: what vouches for them; `to`: where they want to go, unless it is the console. Of a host that is not
    /// granted this says nothing.
    ///
    /// # Errors
    /// The store's; [`Error::Audit`]: nobody may be asked.
    pub async fn code_wanted(&self, user: &User, key: &str, to: Option<Asked>, client: SocketAddr) -> Result<CodeWanted, Error> {
        let (id, now) = (user.id, self.clock.now());
        let host = to.as_ref().map(|asked| asked.host.to_string());
        let shown = key.parse::<Vouch>().ok().and_then(|vouch| vouch.second);
        let read = move |c: &rusqlite::Connection| -> Result<Option<FactorRow>, store::Error> {
            let Some(row) = second_factors::of(c, id, Enrolment::InForce)? else { return Ok(None) };
            let wanted = match to {
                // Whoever chooses a host on a connection on which they gave one.
                _ if shown == Some(row.made_at) => false,
                _ if row.always => true,
                Some(asked) => look_up(c, &asked, Purpose::Connect)?.gains_by_a_code(&asked, now),
                None => false,
            };
            Ok(wanted.then_some(row))
        };
        let Some(row) = self.store.read(read).await? else { return Ok(CodeWanted::No) };
        let mut event = Event::new(EventName::SecondFactorAsked, user.name.to_string()).with("client", client);
        event.host = host;
        if self.codes.remembers(&place(id, client, key, row.made_at), now) {
            let event = Event { name: EventName::SecondFactorAccepted, ..event };
            self.log.record(event.with("by", "a code that was given from there before")).await?;
            return Ok(CodeWanted::GivenBefore(row.made_at));
        }
        self.log.record(event).await?;
        Ok(CodeWanted::Yes)
    }

    /// Takes a code or a recovery code that a person typed while they sign in, or for a verb about their second factor. What is
    /// accepted is on record, and used, when this returns.
    ///
    /// # Errors
    /// [`Error::NoSecondFactor`]: they have no second factor; the vault's; [`Error::Audit`]: then it is not accepted.
    pub async fn give_code(&self, user: &User, key: Option<&str>, typed: Secret, client: Option<SocketAddr>) -> Result<CodeGiven, Error> {
        let _judging = self.codes.0.judging.lock().await;
        let (id, now) = (user.id, self.clock.now());
        let event = Event::new(EventName::SecondFactorAccepted, user.name.to_string());
        let event = match client {
            Some(client) => event.with("client", client),
            None => event,
        };
        if !self.codes.may_try(id, now) {
            self.log.record(refused(user, event, "there were too many wrong ones")).await?;
            return Ok(CodeGiven::TooMany);
        }
        let judged = self.tells_of_forgery(self.vault.judge_code(id, Enrolment::InForce, typed).await).await?;
        let Some((row, verdict)) = judged else { return Err(Error::NoSecondFactor) };
        let made_at = row.made_at;
        let accepted = match verdict {
            Typed::Step(step) => {
                let event = event.clone().with("by", "code");
                self.strike(event, move |c| second_factors::use_step(c, id, made_at, step, now)).await?
            }
            Typed::Recovery(hash) => {
                let event = event.clone().with("by", "recovery code");
                self.strike(event, move |c| second_factors::use_code(c, id, made_at, &hash, now)).await?
            }
            Typed::Used => false,
            Typed::Nothing => {
                self.codes.was_wrong(id, now);
                self.log.record(refused(user, event, "it is no code of theirs")).await?;
                return Ok(CodeGiven::Wrong);
            }
        };
        if !accepted {
            self.log.record(refused(user, event, "it was used already")).await?;
            return Ok(CodeGiven::Used);
        }
        if let Some((key, client)) = key.zip(client) {
            self.codes.remember(place(id, client, key, made_at), now);
        }
        Ok(CodeGiven::Accepted(made_at))
    }

    /// What the vault answered; rows that it did not write are on record when this returns.
    async fn tells_of_forgery<T>(&self, answer: Result<T, vault::Error>) -> Result<T, Error> {
        if let Err(e) = &answer
            && e.kind() == Kind::Tampered
        {
            self.log.record(Event::new(EventName::VaultTampered, "keyward").failed(e.to_string())).await?;
        }
        Ok(answer?)
    }

    /// Strikes something out and records that, in one transaction; `false`: somebody else was first, and nothing was written.
    async fn strike(
        &self,
        event: Event,
        strike: impl FnOnce(&rusqlite::Connection) -> Result<bool, store::Error> + Send + 'static,
    ) -> Result<bool, Error> {
        let change = move |c: &rusqlite::Connection| -> Result<((), Vec<Event>), Error> {
            if strike(c)? { Ok(((), vec![event])) } else { Err(Error::CodeUsed) }
        };
        match self.log.change(change).await {
            Ok(done) => {
                done.into_inner();
                Ok(true)
            }
            Err(Error::CodeUsed) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Why somebody is denied who has not shown a second factor that is wanted.
    pub(super) async fn no_second_factor(&self, user: UserId, asked: &Asked) -> Error {
        let found = self.store.read(move |c| second_factors::of(c, user, Enrolment::InForce)).await;
        match found {
            Ok(row) => Error::SecondFactor { host: asked.host.clone(), enrolled: row.is_some() },
            Err(e) => e.into(),
        }
    }
}

fn refused(user: &User, event: Event, why: &str) -> Event {
    let name = EventName::SecondFactorRefused;
    Event { name, actor: user.name.to_string(), ..event }.denied(why)
}

fn place(user: UserId, client: SocketAddr, key: &str, made_at: Time) -> Place {
    // A certificate is over a key: a new one over the same key is no other place.
    let key = key.parse::<Vouch>().map_or_else(|_| key.to_owned(), |vouch| vouch.key);
    Place { user, from: client.ip().to_canonical(), key, made_at: made_at.millis() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(client: &str, key: &str) -> Place {
        place(UserId::from([1; 16]), client.parse().unwrap(), key, Time::from_millis(5))
    }

    /// Alice, with a ledger, a witness and a vault.
    async fn of_alice() -> (tempfile::TempDir, store::Store, Custody, User) {
        let dir = tempfile::tempdir().unwrap();
        let clock = crate::clock::Clock::simulated(Time::parse("2026-11-24T12:00:00Z").unwrap());
        let config = store::Config { path: dir.path().join("k.db"), reserve: 0, patience: Duration::from_secs(60) };
        let store = store::Store::open(config).unwrap();
        let vault = vault::Vault::open(&store, vault::Config { root_key: dir.path().join("root.key") }, clock.clone()).await.unwrap();
        let log = crate::audit::Log::new(store.clone(), clock.clone());
        let custody = Custody::new(store.clone(), log, vault, crate::authz::Guard::default(), clock.clone());
        let (name, role) = ("alice".parse().unwrap(), crate::model::Role::Member);
        let alice = User { id: UserId::from([1; 16]), name, role, uid: None, disabled: false, created_at: clock.now() };
        let person = alice.clone();
        let insert = move |c: &rusqlite::Connection| -> Result<((), Vec<Event>), store::Error> {
            store::users::insert(c, &person)?;
            Ok(((), Vec::new()))
        };
        custody.log.change(insert).await.unwrap().into_inner();
        (dir, store, custody, alice)
    }

    #[tokio::test]
    async fn sessions_hear_of_a_removal_though_whoever_asked_for_it_has_left() {
        let (_dir, store, custody, alice) = of_alice().await;
        let (id, at) = (alice.id, custody.clock.now());
        let enrol = move |c: &rusqlite::Connection| -> Result<((), Vec<Event>), store::Error> {
            second_factors::offer(c, id, at, &[0; 8], false)?;
            assert!(second_factors::enrol(c, id, at, 1, &[], at)?);
            Ok(((), Vec::new()))
        };
        custody.log.change(enrol).await.unwrap().into_inner();
        let mut bell = custody.guard.listen();
        let (go, held_up) = std::sync::mpsc::channel::<()>();
        let holds_up = store.append(move |_| -> Result<(), store::Error> {
            let _ = held_up.recv();
            Ok(())
        });
        let asks = custody.remove_factor(&alice, Event::new(EventName::SecondFactorRemoved, "alice"));
        {
            let mut both = (Box::pin(holds_up), Box::pin(asks));
            std::future::poll_fn(|cx| {
                assert!(both.0.as_mut().poll(cx).is_pending() && both.1.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
        }
        assert!(!bell.has_changed().unwrap(), "it waits");
        go.send(()).unwrap();
        bell.changed().await.unwrap();
        assert_eq!(custody.factor_state(id).await.unwrap(), FactorState::default());
    }

    #[tokio::test]
    async fn rows_that_somebody_else_wrote_are_told_of_by_every_way_in() {
        let (_dir, store, custody, alice) = of_alice().await;
        let event = |name| Event::new(name, "alice");
        custody.offer_factor(&alice, false, event(EventName::SecondFactorOffered)).await.unwrap();
        // As a root on this machine could: past the seal.
        let forge = |c: &rusqlite::Connection| -> Result<(), store::Error> {
            Ok(c.execute("UPDATE second_factors SET stage = 'in force', wrapped = x'00'", []).map(drop)?)
        };
        store.append(forge).await.unwrap();
        let code = || Secret::new(b"123456".to_vec());
        let told = async || -> usize {
            let entries = store.read(|c| store::audit_log::after(c, 0, 100)).await.unwrap();
            entries.iter().filter(|entry| entry.body.contains("vault.tampered")).count()
        };
        let confirmed = custody.confirm_factor(&alice, code(), event(EventName::SecondFactorEnrolled)).await;
        assert_eq!((confirmed.unwrap_err().kind(), told().await), (Kind::Tampered, 1));
        let renewed = custody.renew_recovery_codes(&alice, event(EventName::SecondFactorCodesMade)).await;
        assert_eq!((renewed.unwrap_err().kind(), told().await), (Kind::Tampered, 2));
        let given = custody.give_code(&alice, None, code(), None).await;
        assert_eq!((given.unwrap_err().kind(), told().await), (Kind::Tampered, 3));
    }

    #[test]
    fn a_code_is_remembered_for_its_time_its_place_and_its_key() {
        let codes = Codes::default();
        let now = Time::from_millis(1_000_000);
        let here = at("192.0.2.1:1000", "SHA256:a");
        codes.remember(here.clone(), now);
        assert!(!codes.remembers(&here, now), "each connection is asked unless that is configured");
        codes.0.recent.lock().unwrap().valid_for = Duration::from_secs(60);
        codes.remember(here.clone(), now);
        let later = now.plus(Duration::from_secs(59));
        assert!(codes.remembers(&here, later) && codes.remembers(&at("[::ffff:192.0.2.1]:7", "SHA256:a"), later));
        assert!(!codes.remembers(&here, now.plus(Duration::from_secs(60))));
        assert!(!codes.remembers(&here, Time::from_millis(999_999)), "a clock that was set back");
        assert!(!codes.remembers(&at("192.0.2.2:1000", "SHA256:a"), later));
        assert!(!codes.remembers(&at("192.0.2.1:1000", "SHA256:b"), later));
        assert!(!codes.remembers(&Place { made_at: 6, ..here.clone() }, later), "another second factor");
        assert!(!codes.remembers(&Place { user: UserId::from([2; 16]), ..here }, later));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_makes_room_by_time() {
        let codes = Codes::default();
        codes.0.recent.lock().unwrap().valid_for = Duration::from_secs(60);
        let now = Time::from_millis(0);
        for n in 0..REMEMBERED + 10 {
            codes.remember(at("192.0.2.1:1", &n.to_string()), now);
        }
        assert_eq!(codes.0.recent.lock().unwrap().given.len(), REMEMBERED);
        codes.remember(at("192.0.2.1:1", "new"), now.plus(Duration::from_secs(61)));
        assert_eq!(codes.0.recent.lock().unwrap().given.len(), 1);
    }

    #[test]
    fn ten_wrong_codes_an_hour_and_no_more() {
        let codes = Codes::default();
        let (alice, bob, now) = (UserId::from([1; 16]), UserId::from([2; 16]), Time::from_millis(0));
        for _ in 0..10 {
            assert!(codes.may_try(alice, now));
            codes.was_wrong(alice, now);
        }
        assert!(!codes.may_try(alice, now) && codes.may_try(bob, now));
        assert!(codes.may_try(alice, now.plus(Duration::from_secs(360))));
    }
}
