//! Every verb, typed. What is in a command travels as text: never a secret, never a file's name.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::authority::RotateStep;
use super::generate::KeyWord;
use super::inventory::CredentialFilter;
use super::rights::Verb;
use super::user_cas::{NewUserCa, RevokeWord};
use super::words::{
    AgainWords, CredentialRef, Decidable, HostChange, NewGrant, NewScan, OsvWord, PlaceChange, PolicyText, ReportWords, ScopeWord,
    SecretForm, SlotWord, SudoChange, WayWords,
};
use crate::clock::Time;
use crate::model::{
    ActDigest, Action, Address, AgentLimits, AllowanceId, Fetched, Field, GrantId, Login, Name, PlanId, ProposalId, RefPath, Reference,
    Role, ScanId, SessionId, SlotId, Validity,
};

/// A verb with its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case")]
#[allow(missing_docs)] // the verbs are the contract's; what they do is said in cli/grammar
pub enum Command {
    Status,
    Seal {
        now: bool,
    },
    /// Answered while the vault is sealed; `new`: with the passphrase that is to be.
    Unseal {
        new: bool,
    },
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
    Totp {
        word: super::totp::TotpWord,
    },
    UserCaAdd {
        ca: NewUserCa,
    },
    UserCaList,
    UserCaShow {
        name: Name,
    },
    UserCaRemove {
        name: Name,
    },
    UserCaRevoke {
        name: Name,
        what: RevokeWord,
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
        #[serde(default)]
        way: WayWords,
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
    HostCaAdd {
        name: Name,
        key: String,
        hosts: Option<String>,
    },
    HostCaList,
    HostCaRemove {
        name: Name,
    },
    CredentialAdd {
        name: Name,
        username: Login,
        form: SecretForm,
        scope: ScopeWord,
    },
    CredentialAddCertificate {
        name: Name,
        username: Login,
        validity: Validity,
        scope: ScopeWord,
    },
    CredentialGenerate {
        name: Name,
        username: Login,
        kind: KeyWord,
        scope: ScopeWord,
    },
    CredentialList {
        filter: CredentialFilter,
    },
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
        validity: Option<Validity>,
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
    CaCreate {
        kind: KeyWord,
    },
    CaShow,
    CaPublicKey {
        principal: Option<Login>,
    },
    CaRotate {
        step: RotateStep,
    },
    CaRetire,
    CaRemove,
    CredentialTest {
        credential: CredentialRef,
        host: Name,
    },
    CredentialInstall {
        credential: CredentialRef,
        host: Name,
        using: Name,
        dry_run: bool,
    },
    CredentialRotate {
        credential: CredentialRef,
        hosts: Vec<Name>,
        skip: Vec<Name>,
        abort: bool,
        dry_run: bool,
    },
    CredentialWorkspaceDefault {
        credential: CredentialRef,
        attach: bool,
    },
    CredentialUses {
        credential: CredentialRef,
    },
    WorkspaceAdd {
        name: Name,
    },
    WorkspaceList,
    WorkspaceShow {
        name: Name,
    },
    WorkspaceRemove {
        name: Name,
        end_sessions: bool,
    },
    ReferenceAdd {
        name: Name,
        username: Login,
        what: Fetched,
        scope: ScopeWord,
        reference: Reference,
    },
    ReferenceEdit {
        credential: CredentialRef,
        username: Option<Login>,
        rename: Option<Name>,
        what: Option<Fetched>,
        place: PlaceChange,
    },
    SourceList,
    SourceTest {
        name: Name,
        path: Option<RefPath>,
        field: Option<Field>,
        key: bool,
    },
    PersonalSeal,
    PersonalUnseal,
    PersonalSlots,
    PersonalAsk {
        key: Option<String>,
    },
    PersonalSlotAdd {
        slot: SlotWord,
    },
    PersonalSlotRemove {
        id: SlotId,
    },
    Unlock {
        agent: Option<SlotId>,
    },
    Lock {
        all: bool,
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
    ImportKnownHosts {
        text: String,
        add_hosts: bool,
        agreed: super::Agreed,
    },
    VaultStatus,
    VaultRotate {
        root: bool,
        shred: bool,
        /// Whether somebody said yes to what `shred` destroys.
        sure: bool,
    },
    Backup,
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
            Self::Seal { .. } | Self::Unseal { .. } => Verb::Seal,
            Self::UserAdd { .. } => Verb::UserAdd,
            Self::UserList | Self::UserShow { .. } => Verb::UserSee,
            Self::UserDisable { .. } | Self::UserEnable { .. } => Verb::UserDisable,
            Self::UserRemove { .. } => Verb::UserRemove,
            Self::UserKeyAdd { .. } | Self::UserKeyRemove { .. } => Verb::UserKeyChange,
            Self::UserKeyList { .. } => Verb::UserKeySee,
            Self::Totp { word } => word.verb(),
            Self::GroupAdd { .. } | Self::GroupRemove { .. } | Self::GroupJoin { .. } | Self::GroupLeave { .. } => Verb::GroupChange,
            Self::UserCaAdd { .. } | Self::UserCaRemove { .. } | Self::UserCaRevoke { .. } => Verb::UserCaChange,
            Self::UserCaList | Self::UserCaShow { .. } => Verb::UserCaSee,
            Self::GroupList => Verb::GroupSee,
            Self::HostAdd { .. } | Self::HostEdit { .. } | Self::HostRemove { .. } => Verb::HostChange,
            Self::HostProbe { .. } | Self::HostTrust { .. } | Self::ImportKnownHosts { .. } => Verb::HostTrust,
            Self::HostCaAdd { .. } | Self::HostCaRemove { .. } => Verb::HostCaChange,
            Self::HostCaList => Verb::HostCaSee,
            Self::HostList | Self::HostShow { .. } => Verb::HostSee,
            Self::CredentialAdd { scope: ScopeWord::Workspace, .. } => Verb::CredentialChange,
            Self::CredentialAdd { scope: ScopeWord::Personal, .. } => Verb::CredentialChangeOwn,
            Self::CredentialAddCertificate { .. } => Verb::CredentialChange,
            Self::CaCreate { .. } | Self::CaRotate { .. } | Self::CaRetire | Self::CaRemove => Verb::CaChange,
            Self::CaShow | Self::CaPublicKey { .. } => Verb::CaSee,
            Self::CredentialGenerate { scope: ScopeWord::Workspace, .. } => Verb::CredentialChange,
            Self::CredentialGenerate { scope: ScopeWord::Personal, .. } => Verb::CredentialChangeOwn,
            Self::CredentialList { .. } | Self::CredentialShow { .. } | Self::CredentialPublicKey { .. } => Verb::CredentialSee,
            // Which of the two it is depends on whose it turns out to be: the desk asks again.
            Self::CredentialEdit { .. } | Self::CredentialDelete { .. } | Self::CredentialRotate { .. } => Verb::CredentialChangeOwn,
            Self::CredentialTest { .. } | Self::CredentialInstall { .. } => Verb::CredentialTry,
            Self::CredentialWorkspaceDefault { .. } => Verb::CredentialAttach,
            Self::CredentialUses { .. } => Verb::CredentialChangeOwn,
            Self::CredentialAttach { mine: false, .. } | Self::CredentialDetach { mine: false, .. } => Verb::CredentialAttach,
            Self::CredentialAttach { mine: true, .. } | Self::CredentialDetach { mine: true, .. } => Verb::CredentialAttachMine,
            Self::WorkspaceAdd { .. } | Self::WorkspaceRemove { .. } => Verb::WorkspaceChange,
            Self::WorkspaceList | Self::WorkspaceShow { .. } => Verb::WorkspaceSee,
            Self::ReferenceAdd { scope, .. } => super::sources::verb_of(*scope),
            Self::ReferenceEdit { .. } => Verb::CredentialChangeOwn,
            Self::SourceList => Verb::SourceSee,
            Self::SourceTest { .. } => Verb::SourceTest,
            Self::PersonalSlots | Self::PersonalAsk { .. } => Verb::PersonalSee,
            Self::PersonalSeal | Self::PersonalUnseal | Self::PersonalSlotAdd { .. } | Self::PersonalSlotRemove { .. } => {
                Verb::PersonalSeal
            }
            Self::Unlock { .. } => Verb::Unlock,
            Self::Lock { all: false } => Verb::Lock,
            Self::Lock { all: true } => Verb::LockAll,
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
            Self::VaultStatus => Verb::VaultSee,
            Self::VaultRotate { .. } => Verb::VaultRotate,
            Self::Backup => Verb::Backup,
            Self::ScanList { .. } | Self::ScanShow { .. } | Self::ScanDiff { .. } | Self::ScanEvaluate { .. } | Self::ScanProfiles => {
                Verb::ScanSee
            }
        }
    }
}
