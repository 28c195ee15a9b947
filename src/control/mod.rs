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
mod scans;
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
pub use command::{
    AgainWords, Command, CredentialRef, Decidable, Digest, HostChange, NewGrant, NewScan, OsvWord, PolicyText, ReportWords, ScopeWord,
    SecretForm, SudoChange,
};
pub use desk::{Desk, Facts, Output, Parts, Piece};
pub use error::Error;
pub use keys::{is_key_type, looks_private};
pub use rights::{Reach, Verb};
pub use view::{
    AgentView, AllowanceView, CanonicalView, ConsideredView, CredentialView, Data, DeletedView, EntryView, ExplainedView, ExportedView,
    FinishedView, GrantView, GroupView, HostDiffView, HostView, KeyView, OutputView, PERSONAL, PlanView, PlannedProbeView, ProbedKey,
    ProbedView, ProgressView, ProposalView, PublicKeyView, ScanDiffView, ScanPlanView, ScanView, ScannedView, SessionView, SshConfigView,
    StatusView, SudoSource, UserView, VerdictView,
};
