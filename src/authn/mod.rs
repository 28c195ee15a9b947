//! What was presented → who it is. Looks up, counts failures, records; never decides what somebody may do.

mod certificate;
mod throttle;

use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

pub use certificate::{Answer, Refused, Shown};
pub use throttle::{Rate, RateError, Throttle};

use crate::audit::Log;
use crate::clock::Clock;
use crate::model::{Agent, Event, EventName, Name, Principal, User, UserId};
use crate::store::{self, Store, agents, users};

/// Who signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// A person.
    Person(User),
    /// An agent of a person who may sign in.
    Agent(Agent),
}

impl Known {
    /// Their name.
    pub fn name(&self) -> &Name {
        match self {
            Self::Person(user) => &user.name,
            Self::Agent(agent) => &agent.name,
        }
    }

    /// Who they are.
    pub fn principal(&self) -> Principal {
        match self {
            Self::Person(user) => Principal::Human(user.id),
            Self::Agent(agent) => Principal::Agent(agent.id),
        }
    }

    /// The person whose doing it is.
    pub fn person(&self) -> UserId {
        match self {
            Self::Person(user) => user.id,
            Self::Agent(agent) => agent.owner,
        }
    }
}

/// How often sign-ins may fail before they are refused unseen.
#[derive(Clone, Debug)]
pub struct Config {
    /// Per address (IPv6: per /64 network).
    pub failures_per_address: Rate,
    /// Per person, whatever the address.
    pub failures_per_person: Rate,
    /// Failed sign-ins that are written to the audit log; beyond that they are only counted.
    pub recorded_failures: Rate,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            failures_per_address: Rate::per_minute(30),
            failures_per_person: Rate::per_minute(30),
            recorded_failures: Rate::per_minute(600),
        }
    }
}

/// Knows persons by their keys.
#[derive(Clone, Debug)]
pub struct Authn {
    store: Store,
    log: Log,
    clock: Clock,
    addresses: Arc<Mutex<Throttle<IpAddr>>>,
    persons: Arc<Mutex<Throttle<UserId>>>,
    records: Arc<Mutex<Throttle<()>>>,
}

impl Authn {
    /// For the persons of this ledger.
    pub fn new(config: &Config, store: Store, log: Log, clock: Clock) -> Self {
        Self {
            store,
            log,
            clock,
            addresses: Arc::new(Mutex::new(Throttle::new(config.failures_per_address))),
            persons: Arc::new(Mutex::new(Throttle::new(config.failures_per_person))),
            records: Arc::new(Mutex::new(Throttle::new(config.recorded_failures))),
        }
    }

    /// Whether somebody from this address may try to sign in now.
    pub fn may_try(&self, from: IpAddr) -> bool {
        self.addresses.lock().is_ok_and(|mut t| t.has_left(&network(from), self.clock.now()))
    }

    /// The enabled person, or the agent of one, whose key it is, unless their sign-ins fail too often. An unknown key, a
    /// disabled person and a throttled one take the same look-up and get the same answer.
    ///
    /// # Errors
    /// What the store says.
    pub async fn by_key(&self, fingerprint: String) -> Result<Option<Known>, store::Error> {
        let found = self
            .store
            .read(move |c| {
                let (person, agent) = (users::by_fingerprint(c, &fingerprint)?, agents::by_fingerprint(c, &fingerprint)?);
                known(c, person, agent)
            })
            .await?;
        Ok(found.filter(|known| self.persons.lock().is_ok_and(|mut t| t.has_left(&known.person(), self.clock.now()))))
    }

    /// The agent whose token it is, if its person may sign in. The token is looked up by its SHA-256; tokens have 256 random
    /// bits, so the look-up tells nothing.
    ///
    /// # Errors
    /// What the store says.
    pub async fn by_token(&self, token: &str) -> Result<Option<Agent>, store::Error> {
        self.by_token_sha256(token_sha256(token)).await
    }

    /// The same, for whoever holds the token in a buffer that is wiped.
    ///
    /// # Errors
    /// What the store says.
    pub async fn by_token_sha256(&self, sha256: [u8; 32]) -> Result<Option<Agent>, store::Error> {
        let found = self
            .store
            .read(move |c| {
                let agent = agents::by_token(c, &sha256)?;
                known(c, None, agent)
            })
            .await?;
        Ok(found.and_then(|known| match known {
            Known::Agent(agent) => Some(agent),
            Known::Person(_) => None,
        }))
    }

    /// Whose key it is, whether or not they may sign in: the person, or the person of the agent.
    pub async fn owner_of(&self, fingerprint: String) -> Option<UserId> {
        self.store
            .read(move |c| -> Result<Option<UserId>, store::Error> {
                Ok(match users::by_fingerprint(c, &fingerprint)? {
                    Some(user) => Some(user.id),
                    None => agents::by_fingerprint(c, &fingerprint)?.map(|agent| agent.owner),
                })
            })
            .await
            .ok()
            .flatten()
    }

    /// The agents of a person who may sign in, by name.
    ///
    /// # Errors
    /// What the store says.
    pub async fn agents_of(&self, person: UserId) -> Result<Vec<Agent>, store::Error> {
        self.store
            .read(move |c| {
                if users::by_id(c, person)?.is_none_or(|user| user.disabled) {
                    return Ok(Vec::new());
                }
                Ok(agents::all(c)?.into_iter().filter(|agent| agent.owner == person).collect())
            })
            .await
    }

    /// Whether an agent is still there and its person may sign in.
    pub async fn agent_is_there(&self, id: crate::model::AgentId) -> bool {
        let found = self
            .store
            .read(move |c| {
                let agent = agents::by_id(c, id)?;
                known(c, None, agent)
            })
            .await;
        matches!(found, Ok(Some(_)))
    }

    /// Records a sign-in. `fingerprint`: what vouches, as [`crate::model::Vouch`] writes it.
    pub async fn accepted(&self, who: &Name, from: SocketAddr, fingerprint: &str, client: &str, algorithm: &str) {
        let event = certificate::told(Event::new(EventName::SigninAccepted, who.to_string()), fingerprint)
            .with("client", from)
            .with("algorithm", algorithm)
            .with("version", client);
        // Not fatal here: whatever this person does next is refused with a sentence if it cannot be witnessed.
        if let Err(error) = self.log.record(event).await {
            tracing::error!(target: "keyward::authn", %error, "a sign-in was not recorded");
        }
    }

    /// Records that an agent came in at another door than ssh's: `by` a token, or by its person's name.
    pub async fn agent_accepted(&self, agent: &Name, by: &str, door: &str, from: Option<SocketAddr>) {
        let mut event = Event::new(EventName::SigninAccepted, agent.to_string()).with("door", door).with("by", by);
        if let Some(from) = from {
            event = event.with("client", from);
        }
        if let Err(error) = self.log.record(event).await {
            tracing::error!(target: "keyward::authn", %error, "a sign-in was not recorded");
        }
    }

    /// Records a sign-in that failed at the local door.
    pub async fn refused_locally(&self, uid: u32, why: &str) {
        if self.may_record() {
            let event = Event::new(EventName::SigninRefused, "-").denied(why).with("door", "local").count("uid", u64::from(uid));
            if let Err(error) = self.log.record(event).await {
                tracing::error!(target: "keyward::authn", %error, "a refused sign-in was not recorded");
            }
        }
    }

    /// Whether one more failure is written down.
    fn may_record(&self) -> bool {
        let now = self.clock.now();
        self.records.lock().is_ok_and(|mut t| {
            let left = t.has_left(&(), now);
            t.spend((), now);
            left
        })
    }

    /// Counts and records a sign-in that failed. `person`: whose key was offered without a good signature.
    pub async fn refused(&self, from: SocketAddr, person: Option<UserId>, asked_for: &str, why: &str) {
        let now = self.clock.now();
        if let Ok(mut addresses) = self.addresses.lock() {
            addresses.spend(network(from.ip()), now);
        }
        if let (Some(person), Ok(mut persons)) = (person, self.persons.lock()) {
            persons.spend(person, now);
        }
        if !self.may_record() {
            return;
        }
        let event = Event::new(EventName::SigninRefused, "-").with("client", from).with("asked_for", asked_for).denied(why);
        if let Err(error) = self.log.record(event).await {
            tracing::error!(target: "keyward::authn", %error, "a refused sign-in was not recorded");
        }
    }
}

/// How a token is stored.
pub fn token_sha256(token: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes()).as_ref());
    bytes
}

/// Who somebody is, if they may sign in: an agent may as long as its person may.
fn known(c: &rusqlite::Connection, person: Option<User>, agent: Option<Agent>) -> Result<Option<Known>, store::Error> {
    Ok(match (person, agent) {
        (Some(user), None) => (!user.disabled).then_some(Known::Person(user)),
        (None, Some(agent)) => users::by_id(c, agent.owner)?.filter(|owner| !owner.disabled).map(|_| Known::Agent(agent)),
        // A key that is a person's and an agent's is nobody's: the store refuses such a row, so somebody else wrote it.
        _ => None,
    })
}

/// What counts as one address: of IPv6 the /64 network, which is what one customer has.
fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}
