//! The nouns of Keyward as plain values: no I/O, no async, no clock. What is valid is decided here, once.

mod authority;
mod binding;
mod credential;
mod destination;
mod event;
mod grant;
mod host;
mod host_ca;
mod ids;
mod legacy;
mod name;
mod principal;
mod proposal;
mod reference;
mod rotation;
mod scan;
mod session;
mod slot;
mod user_ca;
mod vouch;
pub mod wire;

pub use authority::{Authority, AuthorityStage, Validity, is_principal};
pub use binding::HostBinding;
pub use credential::{Credential, CredentialKind, Fetched, Form, KeyKind, Scope};
pub use destination::{DESTINATION_MOST, Destination};
pub use event::{Event, EventName, Outcome};
pub use grant::{Action, Actions, DailyWindow, Grant, HostPattern, Subject};
pub use host::{Address, Host, HostKey};
pub use host_ca::{HostCa, authority_pin};
pub use ids::{
    AgentId, AllowanceId, CredentialId, GrantId, GroupId, HostId, IdError, PlanId, ProposalId, ScanId, SessionId, SlotId, UserId,
};
pub use legacy::{LEGACY, Legacy, LegacyKind};
pub use name::{Login, Name, NameError, printable};
pub use principal::{Agent, AgentLimits, Approver, Group, Means, Principal, Role, User, UserKey};
pub use proposal::{Act, ActDigest, Approved, Executed, NotApproved, Pending, Proposal, Running, Stage, canonical};
pub use reference::{Field, RefPath, Reference, ReferenceError, Wish};
pub use rotation::{HostStep, RotationStage, UpkeepAct};
pub use scan::{CheckState, HostState, ProbeAct, RunState};
pub use session::{EndReason, Session};
pub use slot::{AgentAsk, SLOTS_LEAST, SLOTS_MOST, ScopeState, Slot, SlotKind};
pub use user_ca::{PRINCIPAL_MAX, PrincipalName, Revoked, UserCa};
pub use vouch::{Certified, SecondFactor, Terms, Vouch};

/// The one workspace that every home has.
pub const DEFAULT_WORKSPACE: &str = "default";
