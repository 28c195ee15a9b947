//! The only way to a lease: the law decides, the witness commits, the vault leases; the end of the lease comes back here.
//! And the only way to change what a secret is bound to. Never sees a secret but to hand it to the vault.

mod authorities;
mod credentials;
mod defaults;
mod fetched;
mod hops;
mod hosts;
mod jump;
mod learned;
mod personal;
mod purpose;
mod rotation;
mod scopes;
mod second_factor;
mod sudo;
mod terms;
mod warrant;

pub use authorities::{AuthorityError, judge_principal};
pub use credentials::{Deleted, Dropped, Edit, NewSecret, SudoEdit};
pub use hosts::Changed;
pub use jump::{JumpError, Towards};
pub use learned::Learned;
pub use personal::{AnotherSlot, Opens};
pub use purpose::Purpose;
pub use rotation::{NewPasswordEnd, Rotation};
pub use scopes::Visiting;
pub use second_factor::{CodeGiven, CodeWanted, FactorState, Offer};
pub use sudo::{SudoEnd, SudoWarrant};
pub use terms::{Alone, Renewal, RenewalStep, Renewed};
pub use warrant::{Asked, LeaseEnd, SessionEnd, StandsOn, Warrant};

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::{RwLock, Semaphore};

use crate::audit::{self, Log};
use crate::authz::Guard;
use crate::clock::Clock;
use crate::fault::{Fault, Kind};
use crate::model::{Action, Host, HostBinding, Login, Name};
use crate::sources::{self, Sources};
use crate::store::{self, Store};
use crate::vault::{self, Vault, Way};

/// Why there is no lease, or no change.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such host for this person: unknown, of another workspace, or not granted – all one answer.
    #[error("no host `{0}` for you here")]
    NoSuchHost(Name),
    /// The person may not sign in any more.
    #[error("you may not connect any more")]
    NoSuchPerson,
    /// Granted, but not for what it is wanted for.
    #[error("no grant of yours allows `{action}` on host `{host}`")]
    NotGranted {
        /// What was wanted.
        action: Action,
        /// On which host.
        host: Name,
    },
    /// Granted, but only to whoever showed the second factor on this connection.
    #[error("host `{host}` is granted to you with your second factor, and {}", if *enrolled { "no one-time code was given on this way in" } else { "you have enrolled none" })]
    SecondFactor {
        /// Which host.
        host: Name,
        /// Whether they have one.
        enrolled: bool,
    },
    /// Nothing waits to be confirmed.
    #[error("no second factor waits to be confirmed, or it has waited too long")]
    NoOffer,
    /// It is no code that counts.
    #[error("that is not the code")]
    WrongCode,
    /// It was accepted before.
    #[error("that code was used already")]
    CodeUsed,
    /// Too many wrong codes.
    #[error("there were too many wrong codes")]
    TooManyCodes,
    /// There is none.
    #[error("no second factor is enrolled")]
    NoSecondFactor,
    /// One is in force.
    #[error("you have enrolled a second factor already")]
    HasSecondFactor,
    /// The way to the host leads nowhere.
    #[error("host {host} cannot be reached: {why}")]
    Way {
        /// The host.
        host: Name,
        /// Why.
        why: String,
    },
    /// Granted, but nothing to sign in with.
    #[error("host `{0}` has no credential that you can use")]
    NoCredential(Name),
    /// The credential that was asked for is not attached to the host, or does not exist for this person.
    #[error("no credential `{credential}` for host `{host}`")]
    NoSuchCredential {
        /// What was asked for.
        credential: Name,
        /// On which host.
        host: Name,
    },
    /// The credential that is tried or worked for is not attached to the host, so that this person could use it there.
    #[error("credential {credential} is not attached to host {host}")]
    NotAttached {
        /// Which.
        credential: Name,
        /// On which host.
        host: Name,
        /// Whether it is attached for its owner alone.
        mine: bool,
    },
    /// A credential that is not attached is tried only where a pinned key says which host that is.
    #[error("host {host} has no pinned key, and credential {credential} is not attached to it")]
    NoPin {
        /// Which.
        credential: Name,
        /// On which host.
        host: Name,
    },
    /// Something else changed the same thing at the same time.
    #[error("{0} was changed by somebody else at the same moment")]
    ChangedMeanwhile(String),
    /// There is no such thing.
    #[error("there is no {0}")]
    Missing(String),
    /// It is being rotated: what is changed now would be lost, or would lock out.
    #[error("a rotation of credential {0} stands open")]
    Rotating(Name),
    /// A personal credential cannot be a host's default.
    #[error("a personal credential cannot be a host's default: only its owner may use it")]
    PersonalDefault,
    /// A connection inside another leads nowhere, or to no account.
    #[error(transparent)]
    Jump(#[from] JumpError),
    /// The certificate authority's.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// A scope has all the slots that it may have.
    #[error("you have {} slots, and there may not be more", crate::model::SLOTS_MOST)]
    TooManySlots,
    /// A key has a slot already.
    #[error("the key {0} has a slot already")]
    KeyHasSlot(String),
    /// Nothing that somebody knows would be left.
    #[error("it is the last slot that a passphrase or a recovery code opens, and one of them stays")]
    LastKnown,
    /// It was tried too often to open a scope.
    #[error("too many attempts to open your sealed credentials")]
    TooManyTries,
    /// The witness could not write.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// The ledger failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The vault refused.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// Another vault gave nothing.
    #[error(transparent)]
    Source(#[from] sources::Error),
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NoSuchHost(_)
            | Self::NoCredential(_)
            | Self::NoSuchCredential { .. }
            | Self::NotAttached { .. }
            | Self::NoPin { .. }
            | Self::Missing(_) => Kind::NotFound,
            Self::NoSuchPerson | Self::NotGranted { .. } | Self::SecondFactor { .. } | Self::WrongCode | Self::CodeUsed => Kind::Forbidden,
            Self::NoOffer | Self::NoSecondFactor => Kind::NotFound,
            Self::HasSecondFactor | Self::ChangedMeanwhile(_) | Self::Rotating(_) | Self::KeyHasSlot(_) | Self::LastKnown => Kind::Conflict,
            Self::PersonalDefault | Self::Way { .. } => Kind::Invalid,
            Self::Jump(e) => e.kind(),
            Self::Authority(e) => e.kind(),
            Self::TooManySlots | Self::TooManyTries | Self::TooManyCodes => Kind::Limit,
            Self::Audit(e) => e.kind(),
            Self::Store(e) => e.kind(),
            Self::Vault(e) => e.kind(),
            Self::Source(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuchHost(_) => Some("`host list` shows the hosts that you may use; `grant explain` says why".to_owned()),
            Self::NoSuchPerson => Some("ask whoever runs this broker".to_owned()),
            Self::NotGranted { action, host } => {
                Some(format!("an owner or admin grants it: keyward grant add --to PERSON --hosts {host} --allow {action}"))
            }
            Self::SecondFactor { enrolled: false, .. } => Some("enrol one: keyward user totp enroll".to_owned()),
            Self::SecondFactor { .. } => Some("connect anew over ssh: you are asked for it while you sign in".to_owned()),
            Self::NoSecondFactor => Some("its person enrols one: keyward user totp enroll".to_owned()),
            Self::NoOffer => Some("begin: keyward user totp enroll".to_owned()),
            Self::WrongCode | Self::CodeUsed => Some("wait for the next code that your authenticator shows".to_owned()),
            Self::TooManyCodes => Some("wait some minutes".to_owned()),
            Self::HasSecondFactor => Some("remove it first, with a code of it: keyward user totp remove".to_owned()),
            Self::Way { host, .. } => Some(format!("an admin gives it another: keyward host edit {host} --via HOST, or --no-via")),
            Self::NoCredential(host) => Some(format!("attach one: keyward credential attach NAME --host {host} [--mine]")),
            Self::NoSuchCredential { host, .. } => Some(format!("attach it: keyward credential attach NAME --host {host} --mine")),
            Self::NotAttached { credential, host, mine } => {
                let mine = if *mine { " --scope personal --mine" } else { "" };
                Some(format!("attach it: keyward credential attach {credential} --host {host}{mine}"))
            }
            Self::NoPin { host, .. } => Some(format!("pin its key: keyward host trust {host}")),
            Self::ChangedMeanwhile(_) => Some("look at it and try again".to_owned()),
            Self::Rotating(name) => Some(format!(
                "go on with it: keyward credential rotate {name}; or give it up: keyward credential rotate {name} --abort --yes"
            )),
            Self::TooManySlots => Some("remove one first: keyward personal slot remove ID".to_owned()),
            Self::KeyHasSlot(_) => Some("see your slots: keyward personal slots".to_owned()),
            Self::LastKnown => Some("add another first: keyward personal slot add recovery".to_owned()),
            Self::TooManyTries => Some("wait a minute, then: keyward unlock".to_owned()),
            Self::Missing(_) => None,
            Self::PersonalDefault => Some("attach it for yourself with --mine".to_owned()),
            Self::Jump(e) => e.hint(),
            Self::Authority(e) => e.hint(),
            Self::Audit(e) => e.hint(),
            Self::Store(e) => e.hint(),
            Self::Vault(e) => e.hint(),
            Self::Source(e) => e.hint(),
        }
    }
}

/// The way to the vault. Clones lead to the same one.
#[derive(Clone, Debug)]
pub struct Custody {
    store: Store,
    log: Log,
    vault: Vault,
    sources: Sources,
    guard: Guard,
    clock: Clock,
    leases: Arc<AtomicU64>,
    deciding: Arc<Semaphore>,
    /// Whoever seals shares it, from reading a scope's key until the rows are committed; whoever exchanges keys has it alone. Of those
    /// who seal and leave the rows may be committed later: before whatever an exchange writes after them, which looks at them again.
    turns: Arc<RwLock<()>>,
    scopes: scopes::Scopes,
    codes: second_factor::Codes,
}

/// How many live sessions are decided anew at once.
const DECIDING: usize = 8;

impl Custody {
    /// Custody over this vault, without other people's.
    pub fn new(store: Store, log: Log, vault: Vault, guard: Guard, clock: Clock) -> Self {
        Self {
            store,
            log,
            vault,
            sources: Sources::default(),
            guard,
            clock,
            leases: Arc::default(),
            deciding: Arc::new(Semaphore::new(DECIDING)),
            turns: Arc::default(),
            scopes: scopes::Scopes::default(),
            codes: second_factor::Codes::default(),
        }
    }

    /// Whether the database is what the broker wrote. Asked before every verb: a role or key that somebody else wrote must not count.
    ///
    /// # Errors
    /// [`Error::Vault`] with what was found.
    pub async fn verify(&self) -> Result<(), Error> {
        let state = self.store.read(store::state::read).await?;
        Ok(self.vault.verify(&state).await?)
    }

    /// Whether a snapshot is what the broker wrote: what was read together with it may count then.
    ///
    /// # Errors
    /// [`Error::Vault`] with what was found.
    pub async fn holds(&self, state: &store::state::Sealed) -> Result<(), Error> {
        Ok(self.vault.verify(state).await?)
    }

    /// Counts the leases that are open.
    pub fn leases(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.leases)
    }
}

/// What a credential with this login on this host is bound to.
fn binding_of(host: &Host, login: &Login) -> HostBinding {
    HostBinding::new(host.address.clone(), login.clone(), host.host_keys.iter().map(|k| k.fingerprint.clone()).collect())
}
