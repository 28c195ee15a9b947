//! The words that commands are made of. Travels as text: never a secret, never a file's name.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::model::{Actions, Address, AgentAsk, DailyWindow, Field, HostPattern, Legacy, Name, PlanId, ProposalId, RefPath};

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

/// One more slot of a sealed scope; what it is made of comes beside the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotWord {
    /// A passphrase.
    Passphrase,
    /// A recovery code, that the broker makes.
    Recovery,
    /// A key of the person's ssh agent, which signed this.
    Agent(AgentAsk),
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

impl CredentialRef {
    /// What says again whose is meant, to be pasted behind the name; nothing if it was not said.
    pub fn scope_flag(&self) -> &'static str {
        self.scope.map_or("", ScopeWord::flag)
    }
}

impl ScopeWord {
    /// The option that says it, with a space before it.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Personal => " --scope personal",
            Self::Workspace => " --scope workspace",
        }
    }
}

/// Where a credential is to lie in somebody else's vault; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaceChange {
    /// Which source.
    pub from: Option<Name>,
    /// At which path.
    pub path: Option<RefPath>,
    /// Which field.
    pub field: Option<Field>,
    /// The source's default field again.
    pub no_field: bool,
}

/// How a host that is added is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayWords {
    /// The host through which it is reached.
    pub via: Option<Name>,
    /// The old algorithms that are open for it.
    pub legacy: Legacy,
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
    /// The host through which it is reached.
    pub via: Option<Name>,
    /// Reach it straight.
    pub no_via: bool,
    /// The old algorithms that are open for it, instead of those that were.
    pub legacy: Option<Legacy>,
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
    /// Only where the second factor was shown.
    #[serde(default)]
    pub second_factor: bool,
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
