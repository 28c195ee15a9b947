//! The counter: every verb, typed, and the desk that answers it. Whoever comes through a door is known already; here it
//! is decided what they may use and see. Owned values in, owned values out: no door reaches past it.

mod agents;
mod api;
mod audit;
mod command;
mod credentials;
mod desk;
mod error;
mod explain;
mod grants;
mod groups;
mod hosts;
mod keys;
mod proposals;
mod rights;
mod sessions;
mod sight;
mod status;
mod trust;
mod users;
mod view;
pub mod wire;

#[cfg(test)]
pub(crate) mod tests;

pub use api::{Caller, Door, Problem, Reply, Secrets};
pub use command::{AgainWords, Command, CredentialRef, Decidable, Digest, HostChange, NewGrant, ScopeWord, SecretForm};
pub use desk::{Desk, Facts, Output, Parts};
pub use error::Error;
pub use keys::{is_key_type, looks_private};
pub use rights::{Reach, Verb};
pub use view::{
    AgentView, AllowanceView, CanonicalView, ConsideredView, CredentialView, Data, DeletedView, EntryView, ExplainedView, ExportedView,
    GrantView, GroupView, HostView, KeyView, OutputView, PERSONAL, PlanView, ProbedKey, ProbedView, ProposalView, PublicKeyView,
    SessionView, SshConfigView, StatusView, UserView, VerdictView,
};
