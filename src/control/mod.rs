//! The counter: every verb, typed, and the desk that answers it. Whoever comes through a door is known already; here it
//! is decided what they may use and see. Owned values in, owned values out: no door reaches past it.

mod agents;
mod api;
mod audit;
mod authority;
mod backup;
mod called;
mod choices;
mod command;
mod credentials;
mod defaults;
mod desk;
mod error;
mod explain;
mod files;
mod generate;
mod grants;
mod groups;
mod host_ca;
mod hosts;
mod imports;
mod inventory;
mod keys;
mod known_authorities;
mod personal;
mod proposals;
mod rights;
mod scans;
mod sealed;
mod sessions;
mod sight;
mod sources;
mod status;
mod totp;
mod trust;
mod upkeep;
mod user_cas;
mod users;
mod vault;
mod view;
mod ways;
pub mod wire;
mod words;
mod workspaces;

#[cfg(test)]
pub(crate) mod tests;

pub use api::{Caller, Door, Problem, Reply, Secrets};
pub use authority::RotateStep;
pub use choices::{Choice, Choices, WayIn};
pub use command::{Command, Digest};
pub use desk::{Desk, Facts, Output, Parts, Piece};
pub use error::Error;
pub use generate::KeyWord;
pub use imports::Agreed;
pub use inventory::{CredentialFilter, CredentialSort};
pub use keys::{is_key_type, looks_private};
pub use rights::{Reach, Verb};
pub use sealed::{SealedView, Sealing, Wants};
pub use totp::TotpWord;
pub use user_cas::{NewUserCa, RevokeWord};
pub use view::{
    AgentView, AllowanceView, AnchorView, AuthorityKeyView, AuthorityView, BackupView, CanonicalView, ConsideredView, CredentialView, Data,
    DeletedView, EntryView, ExplainedView, ExportedView, FileView, FinishedView, FormerRootView, GeneratedView, GrantView, GroupView,
    HostCaView, HostDiffView, HostView, InstalledView, KekView, KeyView, KnownAuthorityAction, KnownAuthorityStep, KnownHostAction,
    KnownHostStep, KnownHostsView, LockedView, OpenRotationView, OutputView, PERSONAL, PendingView, PeopleView, PlanView, PlannedProbeView,
    ProbedKey, ProbedView, ProgressView, ProposalView, PublicKeyView, ReferenceView, RootView, RotatedView, RotatingHostView, RotationView,
    ScanDiffView, ScanPlanView, ScanView, ScannedView, SealedScopeView, SessionView, SlotView, SourceTestedView, SourceView, SshConfigView,
    StatusView, StepView, SudoSource, TestedView, TotpCodesView, TotpOfferView, TotpView, TrustLinesView, UnreadLine, UserCaView, UserView,
    UsesView, VaultView, VerdictView, WorkspaceView,
};
pub use words::{
    AgainWords, CredentialRef, Decidable, HostChange, NewGrant, NewScan, OsvWord, PlaceChange, PolicyText, ReportWords, ScopeWord,
    SecretForm, SlotWord, SudoChange, WayWords,
};
