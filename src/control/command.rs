//! Every verb, typed. What is in a command travels as text: never a secret, never a file's name.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::rights::Verb;
use crate::clock::Time;
use crate::model::{
    ActDigest, Action, Actions, Address, AgentLimits, AllowanceId, DailyWindow, GrantId, HostPattern, Login, Name, PlanId, ProposalId,
    Role, ScanId, SessionId,
};

/// What kind of secret comes beside the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecretForm {
    /// A password.
    Password,
    /// A private key.
    Key,
}

/// What becomes of a credential's sudo password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SudoChange {
    /// It is the secret that comes beside the command.
    Set,
    /// It has none of its own any more.
    Remove,
}

/// Whose credential is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeWord {
    /// The caller's own.
    Personal,
    /// The workspace's.
    Workspace,
}

/// A credential as the caller names it: without a scope their own hides the workspace's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRef {
    /// Its name.
    pub name: Name,
    /// Whose, if that was said.
    pub scope: Option<ScopeWord>,
}

/// What is to become of a host; `None` or empty leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostChange {
    /// The new address.
    pub address: Option<Address>,
    /// The new name.
    pub rename: Option<Name>,
    /// Tags to set.
    pub tags: BTreeMap<String, String>,
    /// Tags to take away, by key.
    pub untags: Vec<String>,
    /// The new default credential.
    pub credential: Option<Name>,
    /// Take the default credential away.
    pub no_credential: bool,
    /// Whether to trust the key of the first contact while there is no pin.
    pub trust_first_use: Option<bool>,
    /// Public keys (or known_hosts lines) that replace the pins.
    pub host_keys: Vec<String>,
}

/// What a grant is to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewGrant {
    /// A person's or group's name, or `*`.
    pub to: String,
    /// On which hosts.
    pub hosts: HostPattern,
    /// What.
    pub allow: Actions,
    /// The text of a list of commands, one a line.
    pub commands: Option<String>,
    /// Only from this network.
    pub from: Option<IpNet>,
    /// Only before this time.
    pub until: Option<Time>,
    /// Only at these hours (UTC).
    pub between: Option<DailyWindow>,
    /// A session ends after so many seconds.
    pub max_session_s: Option<u64>,
}

/// What is to be decided: one proposal, or all steps of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decidable {
    /// One.
    Proposal(ProposalId),
    /// All steps of a plan, in order.
    Plan(PlanId),
}

impl std::str::FromStr for Decidable {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let plan = text.parse().map(Self::Plan);
        plan.or_else(|_| text.parse().map(Self::Proposal)).map_err(|e| format!("{e}, or `pln_` for a plan"))
    }
}

/// "The same bytes again in this session."
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgainWords {
    /// So many times more.
    pub times: u32,
    /// For so many seconds.
    pub within_s: u64,
}

/// A policy that comes with a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText {
    /// The file's name, for errors.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// Where vulnerabilities are looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OsvWord {
    /// Nowhere.
    #[default]
    No,
    /// In the folder that the broker's configuration names.
    Default,
    /// In this folder of the broker's machine.
    Folder(String),
}

/// A scan as it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewScan {
    /// Built-in profiles.
    pub profiles: Vec<String>,
    /// Policies.
    pub policies: Vec<PolicyText>,
    /// Which hosts.
    pub hosts: String,
    /// The credential, if one is meant.
    pub credential: Option<Name>,
    /// Hosts at once.
    pub parallel: Option<usize>,
    /// Vulnerabilities.
    pub osv: OsvWord,
    /// The digest that must come out.
    pub digest: Option<String>,
}

/// How a report is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportWords {
    /// `table`, `json`, `sarif`, `cyclonedx`, `junit` or `html`; `None`: what the caller's screen is for.
    pub format: Option<String>,
    /// Only this host.
    pub host: Option<Name>,
    /// Colours in tables.
    pub colour: bool,
    /// Columns of tables.
    pub width: Option<u16>,
}

/// A verb with its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
#[allow(missing_docs)] // the verbs are the contract's; what they do is said in cli/grammar
pub enum Command {
    Status,
    UserAdd {
        name: Name,
        keys: Vec<String>,
        role: Role,
        uid: Option<u32>,
    },
    UserList,
    UserShow {
        name: Name,
    },
    UserDisable {
        name: Name,
    },
    UserEnable {
        name: Name,
    },
    UserRemove {
        name: Name,
    },
    UserKeyAdd {
        name: Name,
        keys: String,
    },
    UserKeyList {
        name: Name,
    },
    UserKeyRemove {
        name: Name,
        fingerprint: String,
    },
    GroupAdd {
        name: Name,
    },
    GroupList,
    GroupRemove {
        name: Name,
    },
    GroupJoin {
        group: Name,
        user: Name,
    },
    GroupLeave {
        group: Name,
        user: Name,
    },
    HostAdd {
        name: Name,
        address: Address,
        credential: Option<Name>,
        tags: BTreeMap<String, String>,
        host_keys: Vec<String>,
        trust_first_use: bool,
    },
    HostList,
    HostShow {
        name: Name,
    },
    HostEdit {
        name: Name,
        change: HostChange,
    },
    HostRemove {
        name: Name,
    },
    HostProbe {
        name: Name,
    },
    HostTrust {
        name: Name,
        fingerprints: Vec<String>,
    },
    CredentialAdd {
        name: Name,
        username: Login,
        form: SecretForm,
        scope: ScopeWord,
    },
    CredentialList,
    CredentialShow {
        credential: CredentialRef,
    },
    CredentialPublicKey {
        credential: CredentialRef,
    },
    CredentialEdit {
        credential: CredentialRef,
        username: Option<Login>,
        form: Option<SecretForm>,
        rename: Option<Name>,
        sudo: Option<SudoChange>,
    },
    CredentialDelete {
        credential: CredentialRef,
        end_sessions: bool,
    },
    CredentialAttach {
        credential: CredentialRef,
        host: Name,
        mine: bool,
    },
    CredentialDetach {
        credential: CredentialRef,
        host: Name,
        mine: bool,
    },
    GrantAdd {
        grant: NewGrant,
    },
    GrantList,
    GrantRemove {
        id: GrantId,
    },
    GrantExplain {
        user: Name,
        host: Name,
        #[serde(with = "word")]
        action: Option<Action>,
        from: Option<IpAddr>,
    },
    SessionList {
        live: bool,
        limit: u32,
    },
    SessionShow {
        id: SessionId,
    },
    SessionEnd {
        id: SessionId,
    },
    AuditList {
        since: Option<Time>,
        user: Option<String>,
        host: Option<String>,
        limit: u32,
    },
    AuditVerify {
        checkpoints: Option<String>,
    },
    AuditExport {
        since: Option<Time>,
    },
    SshConfig {
        user: Option<Name>,
    },
    AgentAdd {
        name: Name,
        owner: Option<Name>,
        key: Option<String>,
        limits: AgentLimits,
        require_signature: bool,
    },
    AgentList,
    AgentRemove {
        name: Name,
    },
    ProposalList {
        pending: bool,
        limit: u32,
    },
    ProposalShow {
        id: ProposalId,
    },
    PlanShow {
        id: PlanId,
    },
    ProposalCanonical {
        id: ProposalId,
        edit: Option<String>,
    },
    ProposalApprove {
        what: Decidable,
        digest: Digest,
        edit: Option<String>,
        again: Option<AgainWords>,
        signature: Option<String>,
    },
    ProposalDeny {
        id: ProposalId,
        reason: Option<String>,
    },
    AllowanceList,
    AllowanceRevoke {
        id: AllowanceId,
    },
    ScanPlan {
        scan: NewScan,
    },
    ScanRun {
        scan: NewScan,
        report: ReportWords,
    },
    ScanResume {
        id: ScanId,
        report: ReportWords,
    },
    ScanCancel {
        id: ScanId,
    },
    ScanList {
        limit: u32,
    },
    ScanShow {
        id: ScanId,
        report: ReportWords,
    },
    ScanDiff {
        before: ScanId,
        after: ScanId,
    },
    ScanEvaluate {
        id: ScanId,
        profiles: Vec<String>,
        policies: Vec<PolicyText>,
        osv: OsvWord,
        report: ReportWords,
    },
    ScanRemove {
        id: ScanId,
    },
    ScanProfiles,
}

/// A digest as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub ActDigest);

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// An action as its word.
mod word {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use super::Action;

    pub(super) fn serialize<S: Serializer>(action: &Option<Action>, s: S) -> Result<S::Ok, S::Error> {
        action.map(Action::as_str).serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Action>, D::Error> {
        Option::<String>::deserialize(d)?.map(|word| word.parse().map_err(de::Error::custom)).transpose()
    }
}

impl Command {
    /// With a report that fits the caller's screen, where no other format was asked for.
    #[must_use]
    pub fn fitted(mut self, json: bool, colour: bool, width: Option<u16>) -> Self {
        if let Self::ScanRun { report, .. }
        | Self::ScanResume { report, .. }
        | Self::ScanShow { report, .. }
        | Self::ScanEvaluate { report, .. } = &mut self
        {
            (report.colour, report.width) = (colour, width);
            if json && report.format.is_none() {
                report.format = Some("json".to_owned());
            }
        }
        self
    }

    /// Which row of the table of rights it falls under before anything is looked up.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Status => Verb::Status,
            Self::UserAdd { .. } => Verb::UserAdd,
            Self::UserList | Self::UserShow { .. } => Verb::UserSee,
            Self::UserDisable { .. } | Self::UserEnable { .. } => Verb::UserDisable,
            Self::UserRemove { .. } => Verb::UserRemove,
            Self::UserKeyAdd { .. } | Self::UserKeyRemove { .. } => Verb::UserKeyChange,
            Self::UserKeyList { .. } => Verb::UserKeySee,
            Self::GroupAdd { .. } | Self::GroupRemove { .. } | Self::GroupJoin { .. } | Self::GroupLeave { .. } => Verb::GroupChange,
            Self::GroupList => Verb::GroupSee,
            Self::HostAdd { .. } | Self::HostEdit { .. } | Self::HostRemove { .. } => Verb::HostChange,
            Self::HostProbe { .. } | Self::HostTrust { .. } => Verb::HostTrust,
            Self::HostList | Self::HostShow { .. } => Verb::HostSee,
            Self::CredentialAdd { scope: ScopeWord::Workspace, .. } => Verb::CredentialChange,
            Self::CredentialAdd { scope: ScopeWord::Personal, .. } => Verb::CredentialChangeOwn,
            Self::CredentialList | Self::CredentialShow { .. } | Self::CredentialPublicKey { .. } => Verb::CredentialSee,
            // Which of the two it is depends on whose it turns out to be: the desk asks again.
            Self::CredentialEdit { .. } | Self::CredentialDelete { .. } => Verb::CredentialChangeOwn,
            Self::CredentialAttach { mine: false, .. } | Self::CredentialDetach { mine: false, .. } => Verb::CredentialAttach,
            Self::CredentialAttach { mine: true, .. } | Self::CredentialDetach { mine: true, .. } => Verb::CredentialAttachMine,
            Self::GrantAdd { .. } | Self::GrantRemove { .. } => Verb::GrantChange,
            Self::GrantList => Verb::GrantSee,
            Self::GrantExplain { .. } => Verb::GrantExplain,
            Self::SessionList { .. } | Self::SessionShow { .. } => Verb::SessionSee,
            Self::SessionEnd { .. } => Verb::SessionEnd,
            Self::AuditList { .. } | Self::AuditExport { .. } => Verb::AuditRead,
            Self::AuditVerify { .. } => Verb::AuditVerify,
            Self::SshConfig { .. } => Verb::SshConfig,
            Self::AgentAdd { .. } | Self::AgentRemove { .. } => Verb::AgentChange,
            Self::AgentList => Verb::AgentSee,
            Self::ProposalList { .. } | Self::ProposalShow { .. } | Self::PlanShow { .. } => Verb::ProposalSee,
            Self::ProposalCanonical { .. } | Self::ProposalApprove { .. } | Self::ProposalDeny { .. } => Verb::ProposalDecide,
            Self::AllowanceList | Self::AllowanceRevoke { .. } => Verb::ProposalDecide,
            Self::ScanPlan { .. } | Self::ScanRun { .. } | Self::ScanResume { .. } | Self::ScanCancel { .. } | Self::ScanRemove { .. } => {
                Verb::ScanRun
            }
            Self::ScanList { .. } | Self::ScanShow { .. } | Self::ScanDiff { .. } | Self::ScanEvaluate { .. } | Self::ScanProfiles => {
                Verb::ScanSee
            }
        }
    }
}
