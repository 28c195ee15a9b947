//! What a caller gets to see, with the JSON keys of the contract. Views are made by the desk, which leaves out what this
//! caller may not see; printing them adds nothing and hides nothing.

mod vault;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::audit::Lie;
use crate::clock::Time;
use crate::model::{
    Action, Actions, AgentAsk, AgentId, AgentLimits, AllowanceId, CredentialId, GrantId, HostId, HostKey, Legacy, Login, Name, PlanId,
    ProposalId, Role, RunState, ScanId, SessionId, SlotId, Stage, UserId,
};

mod upkeep;

pub use upkeep::{InstalledView, OpenRotationView, RotatingHostView, RotationView, StepView, TestedView};

pub use vault::{AnchorView, BackupView, FormerRootView, KekView, PendingView, PeopleView, RootView, RotatedView, VaultView};

/// The data of a reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, clippy::large_enum_variant)] // each variant is the view that it holds; there is one of them per call
pub enum Data {
    /// There is nothing to show.
    Nothing,
    Status(StatusView),
    Sealed(super::sealed::SealedView),
    Users(Vec<UserView>),
    User(UserView),
    Keys(Vec<KeyView>),
    Groups(Vec<GroupView>),
    Group(GroupView),
    UserCas(Vec<UserCaView>),
    UserCa(UserCaView),
    Hosts(Vec<HostView>),
    Host(HostView),
    Probed(ProbedView),
    Credentials(Vec<CredentialView>),
    Credential(CredentialView),
    PublicKey(PublicKeyView),
    Generated(GeneratedView),
    Authority(AuthorityView),
    TrustLines(TrustLinesView),
    /// A recovery code, once.
    SealedScope(SealedScopeView),
    Locked(LockedView),
    Slots(Vec<SlotView>),
    /// What an agent is to sign: a step between two calls of a client, and nothing to print.
    AgentAsks(Vec<AgentAsk>),
    /// What an authenticator is to hold, once.
    TotpOffer(TotpOfferView),
    /// Recovery codes, once.
    TotpCodes(TotpCodesView),
    Totp(TotpView),
    Grants(Vec<GrantView>),
    Grant(GrantView),
    Explained(ExplainedView),
    Sessions(Vec<SessionView>),
    Session(SessionView),
    Deleted(DeletedView),
    Uses(UsesView),
    Workspaces(Vec<WorkspaceView>),
    Workspace(WorkspaceView),
    HostCas(Vec<HostCaView>),
    Entries(Vec<EntryView>),
    Verdict(VerdictView),
    /// What is left to say after the entries themselves were streamed.
    Exported(ExportedView),
    SshConfig(SshConfigView),
    Agents(Vec<AgentView>),
    Agent(AgentView),
    Proposals(Vec<ProposalView>),
    Proposal(ProposalView),
    Plan(PlanView),
    Canonical(CanonicalView),
    Allowances(Vec<AllowanceView>),
    /// What is left to say after the report itself was streamed.
    Scanned(ScannedView),
    Scans(Vec<ScanView>),
    ScanPlan(ScanPlanView),
    ScanDiff(ScanDiffView),
    Profiles(Vec<String>),
    Tested(TestedView),
    Installed(InstalledView),
    Rotation(RotationView),
    KnownHosts(KnownHostsView),
    Sources(Vec<SourceView>),
    SourceTested(SourceTestedView),
    Vault(VaultView),
    Rotated(RotatedView),
    /// What is left to say after the file itself was streamed.
    BackedUp(BackupView),
}

macro_rules! view {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $t:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[allow(missing_docs)] // the fields are the keys of the contract
        pub struct $name { $($(#[$field_meta])* pub $field: $t,)* }
    };
}

mod personal;
pub use personal::{LockedView, SealedScopeView, SlotView};

mod totp;
pub use totp::{TotpCodesView, TotpOfferView, TotpView};

mod scans;
pub(super) use scans::{ChangeView, CheckChangeView, PlannedHostView, PlannedPolicyView};
pub use scans::{FinishedView, HostDiffView, PlannedProbeView, ProgressView, ScanDiffView, ScanPlanView, ScanView, ScannedView};

mod certificates;
pub use certificates::{AuthorityKeyView, AuthorityView, GeneratedView, TrustLinesView};

mod host_cas;
pub use host_cas::HostCaView;

mod files;
pub use files::FileView;

mod imports;
pub use imports::{KnownAuthorityAction, KnownAuthorityStep, KnownHostAction, KnownHostStep, KnownHostsView, UnreadLine};

mod scopes;
pub use scopes::{UsesView, WorkspaceView};

mod user_cas;
pub(super) use user_cas::RevocationView;
pub use user_cas::UserCaView;

mod sources;
pub use sources::{ReferenceView, SourceTestedView, SourceView};

view! {
    /// `status`.
    StatusView {
        version: String,
        uptime_s: u64,
        live_connections: usize,
        leases_open: u64,
        pending_proposals: u64,
        audit_seq: u64,
        workspace: Name,
        vault: String,
        store_free_bytes: Option<u64>,
        listen: String,
        host_keys: Vec<String>,
        you: Name,
        role: Role,
        #[serde(default)]
        open_scopes: usize,
        #[serde(default)]
        personal: String,
    }
}

view! {
    /// A person.
    UserView {
        id: UserId,
        name: Name,
        role: Role,
        uid: Option<u32>,
        disabled: bool,
        groups: Vec<Name>,
        keys: Vec<KeyView>,
        created_at: Time,
    }
}

view! {
    /// A public key of a person.
    KeyView {
        fingerprint: String,
        #[serde(rename = "type")]
        kind: String,
        comment: String,
        added_at: Time,
        public_key: String,
    }
}

view! {
    /// A group.
    GroupView {
        name: Name,
        members: Vec<Name>,
    }
}

view! {
    /// A host. `credential` is its default; `my_credential` the caller's own choice; `credential_source` says which of them, or
    /// the `workspace_credential`, signs the caller in: `own`, `host`, `workspace`.
    HostView {
        name: Name,
        address: String,
        port: u16,
        tags: BTreeMap<String, String>,
        credential: Option<String>,
        via: Option<Name>,
        host_keys: Vec<HostKey>,
        id: HostId,
        trust_first_use: bool,
        my_credential: Option<String>,
        workspace_credential: Option<String>,
        credential_source: Option<String>,
        #[serde(default)]
        attached: Vec<String>,
        /// The old algorithms that are open for it.
        #[serde(default)]
        legacy: Legacy,
        created_at: Time,
    }
}

view! {
    /// What a host proved when it was asked.
    ProbedView {
        host: Name,
        address: String,
        keys: Vec<ProbedKey>,
        pinned: Vec<String>,
    }
}

view! {
    /// One key that a host proved.
    ProbedKey {
        fingerprint: String,
        public_key: String,
        pinned: bool,
    }
}

/// What sudo is given where a scan needs root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SudoSource {
    /// The credential's own sudo password.
    Own,
    /// The password that signs in.
    SignIn,
    /// Nothing: the credential is a key.
    None,
}

impl SudoSource {
    /// The word, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::SignIn => "sign-in",
            Self::None => "none",
        }
    }
}

view! {
    /// A credential without its secret.
    CredentialView {
        id: CredentialId,
        name: Name,
        scope: String,
        username: Login,
        kind: String,
        fingerprint: Option<String>,
        sudo_password: SudoSource,
        /// Of a certificate: for how long each is valid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        validity_s: Option<u16>,
        /// Where it lies, if not here; for those who may change it.
        #[serde(default)]
        reference: Option<ReferenceView>,
        /// Whether its owner sealed it, so that the root key alone does not open it.
        #[serde(default)]
        sealed: bool,
        hosts: Vec<Name>,
        updated_at: Time,
        last_used_at: Option<Time>,
        created_at: Time,
        #[serde(default)]
        rotation: Option<OpenRotationView>,
        secret_changed_at: Time,
        age_days: u64,
        default_on: Vec<Name>,
        workspace_default: bool,
    }
}

view! {
    /// The public half of a key.
    PublicKeyView {
        name: Name,
        fingerprint: String,
        public_key: String,
    }
}

view! {
    /// A grant.
    GrantView {
        id: GrantId,
        to: String,
        hosts: String,
        allow: Actions,
        commands: Option<Vec<String>>,
        from: Option<String>,
        until: Option<Time>,
        between: Option<String>,
        max_session_s: Option<u64>,
        second_factor: bool,
        created_at: Time,
        created_by: Name,
    }
}

view! {
    /// What was found of one grant.
    ConsideredView {
        id: GrantId,
        to: String,
        hosts: String,
        outcome: String,
        decides: bool,
    }
}

view! {
    /// `grant explain`.
    ExplainedView {
        user: Name,
        host: Name,
        action: Option<String>,
        from: String,
        allowed: bool,
        reason: String,
        allow: Actions,
        commands: Option<Vec<String>>,
        ends_at: Option<Time>,
        credential: Option<String>,
        credential_source: Option<String>,
        /// The jump hosts on the way, in order.
        #[serde(default)]
        via: Vec<Name>,
        /// The old algorithms that are open for the host.
        #[serde(default)]
        legacy: Legacy,
        grants: Vec<ConsideredView>,
    }
}

view! {
    /// A session.
    SessionView {
        id: SessionId,
        user: Name,
        host: Name,
        credential: Option<String>,
        client: String,
        started_at: Time,
        ended_at: Option<Time>,
        end_reason: Option<String>,
        exit_status: Option<u32>,
        bytes_in: u64,
        bytes_out: u64,
        recording: Option<String>,
        channels: Option<usize>,
        /// The jump hosts that it passes, in order.
        #[serde(default)]
        via: Vec<Name>,
        /// The old algorithms that were open for the host when it began.
        #[serde(default)]
        legacy: Legacy,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<FileView>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        files_recorded: Option<u64>,
    }
}

view! {
    /// What a deletion left behind.
    DeletedView {
        name: Name,
        shredded: bool,
        live_sessions: Vec<SessionId>,
        ended: bool,
        left_bare: Vec<Name>,
    }
}

view! {
    /// An entry of the audit log.
    EntryView {
        seq: u64,
        at: Time,
        #[serde(flatten)]
        body: Map<String, Value>,
        prev: String,
        hash: String,
    }
}

view! {
    /// `audit verify`.
    VerdictView {
        entries: u64,
        head: String,
        checkpoints: u64,
        lie: Option<Lie>,
        holds: bool,
    }
}

view! {
    /// `audit export`, after its entries.
    ExportedView {
        entries: u64,
    }
}

view! {
    /// `ssh-config`.
    SshConfigView {
        user: Name,
        workspace: Name,
        broker: String,
        port: u16,
        hosts: Vec<Name>,
    }
}

view! {
    /// An agent. `token` is there once, when it was made.
    AgentView {
        id: AgentId,
        name: Name,
        #[serde(rename = "for")]
        owner: Name,
        fingerprint: Option<String>,
        has_token: bool,
        require_signature: bool,
        limits: AgentLimits,
        created_at: Time,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    }
}

view! {
    /// A proposal. `command` is for reading: bytes that are no text are replaced in it; `command_base64` has all of them.
    /// `reason` is the agent's, `why` is the person's or the broker's.
    ProposalView {
        id: ProposalId,
        state: Stage,
        agent: Name,
        user: Name,
        host: Name,
        session: SessionId,
        command: String,
        digest: String,
        reason: Option<String>,
        created_at: Time,
        expires_at: Time,
        decided_by: Option<Name>,
        exit_status: Option<u32>,
        plan: Option<PlanId>,
        step: u32,
        steps: u32,
        login: Option<Login>,
        command_base64: String,
        proposed_command_base64: Option<String>,
        stdin_base64: Option<String>,
        stdin_bytes: usize,
        env: Vec<(String, String)>,
        timeout_s: u64,
        needs_signature: bool,
        means: Option<String>,
        signed_by: Option<String>,
        signature: Option<String>,
        why: Option<String>,
        decided_at: Option<Time>,
        started_at: Option<Time>,
        ended_at: Option<Time>,
        exit_signal: Option<String>,
        stdout_bytes: u64,
        stderr_bytes: u64,
        masked: u64,
        output: Option<OutputView>,
    }
}

view! {
    /// A plan, whole: `digest` is over all of its steps, and there only while all of them can be decided.
    PlanView {
        id: PlanId,
        digest: Option<String>,
        steps: Vec<ProposalView>,
    }
}

view! {
    /// What is still kept of a command's output, masked; the last of it, if it is long.
    OutputView {
        stdout: String,
        stderr: String,
        left_out: u64,
    }
}

view! {
    /// What is signed for an approval, and the keys of the caller that may sign it.
    CanonicalView {
        id: ProposalId,
        text: String,
        namespace: String,
        keys: Vec<String>,
    }
}

view! {
    /// The same bytes again.
    AllowanceView {
        id: AllowanceId,
        agent: Name,
        host: Name,
        session: SessionId,
        command: String,
        digest: String,
        left: u32,
        until: Time,
    }
}

/// The word that stands for a personal credential where somebody else looks.
pub const PERSONAL: &str = "personal";

/// The words of an action that was asked about.
pub(super) fn action_word(action: Option<Action>) -> Option<String> {
    action.map(|a| a.as_str().to_owned())
}
