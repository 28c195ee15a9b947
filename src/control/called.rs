//! How a command is called in refusals, where several share a row of the table of rights.

use super::command::Command;

impl Command {
    /// The words of the verb, without what is particular to the call.
    pub fn called(&self) -> &'static str {
        match self {
            Self::UserEnable { .. } => "user enable",
            Self::UserShow { .. } => "user show",
            Self::UserKeyRemove { .. } => "user key remove",
            Self::Totp { word } => word.called(),
            Self::UserCaShow { .. } => "user-ca show",
            Self::UserCaRemove { .. } => "user-ca remove",
            Self::UserCaRevoke { .. } => "user-ca revoke",
            Self::GroupRemove { .. } => "group remove",
            Self::GroupJoin { .. } => "group join",
            Self::GroupLeave { .. } => "group leave",
            Self::HostEdit { .. } => "host edit",
            Self::HostRemove { .. } => "host remove",
            Self::HostProbe { .. } => "host probe",
            Self::HostShow { .. } => "host show",
            Self::ImportKnownHosts { .. } => "import known-hosts",
            Self::CaRotate { .. } => "ca rotate",
            Self::CaRetire => "ca retire",
            Self::CaRemove => "ca remove",
            Self::CaPublicKey { .. } => "ca public-key",
            Self::CredentialAddCertificate { .. } => "credential add --certificate",
            Self::CredentialEdit { .. } | Self::ReferenceEdit { .. } => "credential edit",
            Self::CredentialDelete { .. } => "credential delete",
            Self::CredentialRotate { .. } => "credential rotate",
            Self::CredentialInstall { .. } => "credential install",
            Self::CredentialDetach { mine: false, .. } => "credential detach",
            Self::CredentialDetach { mine: true, .. } => "credential detach --mine",
            Self::WorkspaceShow { .. } => "workspace show",
            Self::WorkspaceRemove { .. } => "workspace remove",
            Self::GrantRemove { .. } => "grant remove",
            Self::SessionShow { .. } => "session show",
            Self::AuditExport { .. } => "audit export",
            Self::AgentRemove { .. } => "agent remove",
            Self::ProposalShow { .. } | Self::PlanShow { .. } => "proposal show",
            Self::ProposalDeny { .. } => "proposal deny",
            Self::ScanPlan { .. } => "scan plan",
            Self::ScanResume { .. } => "scan resume",
            Self::ScanCancel { .. } => "scan cancel",
            Self::ScanRemove { .. } => "scan remove",
            Self::PersonalUnseal => "personal unseal",
            Self::PersonalSlotAdd { .. } => "personal slot add",
            Self::PersonalSlotRemove { .. } => "personal slot remove",
            Self::Unseal { .. } => "unseal",
            _ => self.verb().as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_what_was_called() {
        assert_eq!(Command::WorkspaceRemove { name: "x".parse().unwrap(), end_sessions: false }.called(), "workspace remove");
        assert_eq!(Command::CaRetire.called(), "ca retire");
        assert_eq!(Command::Backup.called(), "backup");
    }
}
