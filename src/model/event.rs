//! Audit events: what happened, to whom, with which outcome. Never a secret, never a hash of one.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{CredentialId, HostId, ProposalId, SessionId, printable};

macro_rules! events {
    ($($variant:ident = $word:literal: $doc:literal,)*) => {
        /// What happened. The words are part of the contract: a SIEM filters by them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum EventName { $(#[doc = $doc] $variant,)* }
        impl EventName {
            /// Every event with its word and what it means, for `docs/audit.md` (a test compares them).
            pub const ALL: &'static [(Self, &'static str, &'static str)] = &[$((Self::$variant, $word, $doc),)*];
        }
    };
}

events! {
    DaemonStarted = "daemon.started": "The daemon accepts connections.",
    DaemonStopped = "daemon.stopped": "The daemon stopped in order.",
    DaemonReloaded = "daemon.reloaded": "The daemon read its configuration again.",
    DaemonRollbackAccepted = "daemon.rollback_accepted": "The daemon was told to go on with a database that is older than what was known of it.",
    SigninAccepted = "signin.accepted": "A person's or an agent's key signed in at the front, or an agent came in at another door.",
    SigninRefused = "signin.refused": "A sign-in at the front was refused.",
    VerbRefused = "verb.refused": "A person tried a verb that their role or scope does not allow.",
    UserAdded = "user.added": "A person was added.",
    UserDisabled = "user.disabled": "A person was disabled; their sessions end.",
    UserEnabled = "user.enabled": "A person was enabled again.",
    UserRemoved = "user.removed": "A person was removed.",
    UserKeyAdded = "user.key_added": "A public key was added to a person.",
    UserKeyRemoved = "user.key_removed": "A public key was removed from a person.",
    UserCaAdded = "user_ca.added": "An authority was added whose certificates sign people in.",
    UserCaRemoved = "user_ca.removed": "An authority whose certificates signed people in was removed; sessions that stand on one of them end.",
    UserCaRevoked = "user_ca.revoked": "Certificates of an authority were revoked; sessions that stand on one of them end.",
    SecondFactorOffered = "second_factor.offered": "A person began to enrol a second factor; it does not count before a code of it was given.",
    SecondFactorEnrolled = "second_factor.enrolled": "A person enrolled a second factor: a code of it was given.",
    SecondFactorRemoved = "second_factor.removed": "A person's second factor was removed, by themselves or by somebody who may.",
    SecondFactorRequired = "second_factor.required": "Whether a person's second factor is wanted at every sign-in was changed.",
    SecondFactorCodesMade = "second_factor.codes_made": "A person got new recovery codes; the ones before count no more.",
    SecondFactorAsked = "second_factor.asked": "A person is about to be asked for a one-time code; durable before the question is put.",
    SecondFactorAccepted = "second_factor.accepted": "A person's one-time code or recovery code was accepted, and is never accepted again.",
    SecondFactorRefused = "second_factor.refused": "What a person gave for a one-time code was refused.",
    GroupAdded = "group.added": "A group was added.",
    GroupRemoved = "group.removed": "A group was removed.",
    GroupJoined = "group.joined": "A person joined a group.",
    GroupLeft = "group.left": "A person left a group.",
    HostAdded = "host.added": "A host was added.",
    HostEdited = "host.edited": "A host was changed.",
    HostRemoved = "host.removed": "A host was removed.",
    HostKeyPinned = "host.key_pinned": "A host key was pinned.",
    HostKeyMismatch = "host.key_mismatch": "A host showed a key that is not pinned; nothing was sent to it.",
    HostKeyUnpinned = "host.key_unpinned": "A host key that the host has replaced, and announces no more, is not pinned any more.",
    HostKeyUnproved = "host.key_unproved": "A host announced a key that it did not prove to have; it was not pinned.",
    HostKeysPutOff = "host.keys_put_off": "New keys of a host were not pinned yet: a personal credential that is attached there is sealed.",
    HostCaAdded = "host_ca.added": "A certificate authority was trusted to vouch for hosts.",
    HostCaRemoved = "host_ca.removed": "A certificate authority of hosts is not trusted any more.",
    CredentialAdded = "credential.added": "A credential was added.",
    CredentialGenerated = "credential.generated": "A key was made inside the vault, and a credential with it.",
    CredentialEdited = "credential.edited": "A credential was changed.",
    CredentialDeleted = "credential.deleted": "A credential was deleted.",
    CredentialAttached = "credential.attached": "A credential was attached to a host.",
    CredentialDetached = "credential.detached": "A credential was detached from a host.",
    CaCreated = "ca.created": "A workspace's certificate authority was made.",
    CaNextCreated = "ca.next_created": "The next key of a certificate authority was made; it signs nothing yet.",
    CaSwitched = "ca.switched": "The next key of a certificate authority signs from now on; the old one signs no more.",
    CaNextDropped = "ca.next_dropped": "The next key of a certificate authority was dropped before it signed anything.",
    CaRetired = "ca.retired": "The old key of a certificate authority was deleted after a rotation.",
    CaRemoved = "ca.removed": "A certificate authority was deleted with all its keys.",
    CredentialTested = "credential.tested": "A person tried whether a host takes a credential; the steps are told.",
    CredentialUpkeep = "credential.upkeep": "A command of the broker's own is about to run on a host for a credential; durable before a byte is sent.",
    CredentialInstalled = "credential.installed": "A public key was put into a host's authorized_keys, or was there already.",
    RotationStarted = "credential.rotation_started": "A credential got a next secret, which no host knows yet.",
    RotationHost = "credential.rotation_host": "A host of a rotation came to a step, or did not: the step stands in the entry.",
    RotationSwitched = "credential.rotation_switched": "The next secret of a credential is in force; the one before is gone from the vault.",
    RotationAborting = "credential.rotation_aborting": "A person gave a rotation up; the hosts get rid of the next secret.",
    RotationEnded = "credential.rotation_ended": "A rotation has ended, done or given up.",
    WorkspaceAdded = "workspace.added": "A workspace was added.",
    WorkspaceRemoved = "workspace.removed": "A workspace was removed with all that was in it, and its key was destroyed.",
    PersonalSealed = "personal.sealed": "A person sealed their own scope: the root key alone does not open it any more.",
    PersonalUnsealed = "personal.unsealed": "A person gave sealing up: the root key opens their scope again.",
    PersonalSlotAdded = "personal.slot_added": "A person added a slot: one more way to open their scope.",
    PersonalSlotRemoved = "personal.slot_removed": "A person removed a slot; their scope has a new key.",
    PersonalOpened = "personal.opened": "A person's sealed scope was opened, with this slot.",
    PersonalRefused = "personal.refused": "What was given to open a sealed scope opened none of its slots.",
    PersonalLocked = "personal.locked": "A sealed scope was locked: its key was wiped.",
    GrantAdded = "grant.added": "A grant was added.",
    GrantRemoved = "grant.removed": "A grant was removed.",
    SessionPermitted = "session.permitted": "A connection was permitted; durable before anything is decrypted.",
    SessionDenied = "session.denied": "A connection was denied.",
    HopPermitted = "hop.permitted": "A connection to a jump host on the way to another host was permitted; durable before anything is decrypted.",
    HopDenied = "hop.denied": "A connection to a jump host on the way to another host was denied.",
    HopSignedIn = "hop.signed_in": "A jump host on the way to another host accepted the credential.",
    SessionSignedIn = "session.signed_in": "The host accepted the credential.",
    SessionRefused = "session.refused": "The session ended before it began: unreachable, host key, refused credential.",
    SessionEnded = "session.ended": "The session ended: reason, status, bytes.",
    SessionEndAsked = "session.end_asked": "Somebody told a live session to end.",
    LeaseOpened = "lease.opened": "A credential was leased: it is decrypted only after this.",
    LeaseEnded = "lease.ended": "The lease ended; nothing of the secret is left.",
    SourceAsked = "source.asked": "Another vault is about to be asked for a secret; durable before it is reached.",
    SourceFetched = "source.fetched": "Another vault gave a secret for one lease, or failed to; nothing of it is kept.",
    SourceTested = "source.tested": "Somebody tested whether another vault answers; what it gave was dropped unseen.",
    ChannelOpened = "channel.opened": "A shell, command or subsystem was started.",
    ChannelRefused = "channel.refused": "A request on a channel was refused.",
    ForwardOpened = "forward.opened": "A forwarding, or a connection through one, is about to be opened; durable before the other side is asked.",
    ForwardRefused = "forward.refused": "A forwarding, or a connection through one, was refused.",
    ForwardEnded = "forward.ended": "A forwarded connection ended, or was not opened by the other side: reason, bytes.",
    FileRead = "file.read": "A file was read from a host through a channel, or a reading failed; nothing of its content is kept.",
    FileWritten = "file.written": "A file was written to a host through a channel, or a writing failed; nothing of its content is kept.",
    FileCopied = "file.copied": "A host copied content from one of its files to another because the client asked it to.",
    FileRenamed = "file.renamed": "A file or directory got another name through a channel, or did not.",
    FileRemoved = "file.removed": "A file was removed through a channel, or was not.",
    FileLinked = "file.linked": "A link was made through a channel, or was not.",
    FileChanged = "file.changed": "Mode, owner, size or times of a file were set through a channel, or were not.",
    DirectoryListed = "directory.listed": "A directory was opened to be listed; the names in it are not recorded.",
    DirectoryMade = "directory.made": "A directory was made through a channel, or was not.",
    DirectoryRemoved = "directory.removed": "A directory was removed through a channel, or was not.",
    TransferUnreadable = "transfer.unreadable": "A file transfer could not be followed from here on; it went on unseen.",
    ForwardListening = "forward.listening": "A host answered a request to listen: it does, on this port or socket, or it does not.",
    ForwardCancelled = "forward.cancelled": "A host is told to listen no more: the client cancelled it, or it is not granted any more.",
    AgentAdded = "agent.added": "An agent was added to a person.",
    AgentRemoved = "agent.removed": "An agent was removed; its connections and proposals ended.",
    AgentRefused = "agent.refused": "An agent's proposal was not taken: no connection, no grant, a limit.",
    ProposalProposed = "proposal.proposed": "An agent proposed a command; it waits for the person.",
    ProposalApproved = "proposal.approved": "The person approved these bytes; durable before anything runs.",
    ProposalDenied = "proposal.denied": "The person denied a proposal.",
    ProposalExpired = "proposal.expired": "A proposal ended undecided: time, connection, agent or daemon went away. It did not run.",
    ProposalRunning = "proposal.running": "An approved command is about to run; durable before a byte is sent to the host.",
    ProposalExecuted = "proposal.executed": "The command ended and told its exit status.",
    ProposalInterrupted = "proposal.interrupted": "The command had begun, or may have, and its end was not seen. It is not run again.",
    ProposalFailed = "proposal.failed": "An approved command did not run: connection, grant or host stood in the way.",
    AllowanceGiven = "allowance.given": "A person allowed the same bytes again in one session, so many times, until a time.",
    AllowanceUsed = "allowance.used": "A proposal was approved by what the person had allowed for the same bytes.",
    AllowanceRevoked = "allowance.revoked": "An allowance was taken back.",
    ScanStarted = "scan.started": "A person started a scan and so approved its probes and policies, by their digest.",
    ScanAsked = "scan.asked": "A host is about to be asked a scan's probes; durable before a byte is sent to it.",
    ScanElevated = "scan.elevated": "sudo answered to the password of a scan: it gave root, or refused.",
    ScanHostDone = "scan.host_done": "A host of a scan has its result: state, and the digest of its facts.",
    ScanEnded = "scan.ended": "A scan ended: done, cancelled or interrupted.",
    ScanCancelAsked = "scan.cancel_asked": "Somebody told a scan that runs to end.",
    ScanEvaluated = "scan.evaluated": "Stored answers were evaluated again; no host was asked.",
    ScanRemoved = "scan.removed": "A scan's results were deleted.",
    AuditRead = "audit.read": "The audit log was read or exported.",
    AuditVerified = "audit.verified": "The audit log was verified.",
    VaultRotationBegun = "vault.rotation_begun": "Keys of the vault are about to be replaced.",
    VaultRotated = "vault.rotated": "Keys of the vault were replaced; what they wrapped is wrapped anew.",
    VaultRootDestroyed = "vault.root_destroyed": "Files of former root keys were overwritten and removed: copies of the database from their time open nowhere.",
    VaultBackedUp = "vault.backed_up": "A copy of the database was given to the person; durable before its first byte is.",
    VaultRestored = "vault.restored": "A backup was put in the place of the database; the one that was there is kept beside it.",
    VaultUnsealed = "vault.unsealed": "Somebody unsealed the vault, after so many wrong passphrases; it was sealed since the start or a seal.",
    VaultSealed = "vault.sealed": "An owner sealed the vault: sessions end, its keys are wiped, the daemon stays up.",
    VaultTampered = "vault.tampered": "Stored data did not verify; nothing was decrypted.",
}

impl EventName {
    /// The word.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(name, _, _)| *name == self).map_or("", |(_, word, _)| word)
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How it came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Success,
    /// It failed for a reason that is nobody's decision.
    Failure,
    /// It was refused.
    Denied,
}

/// One event. Texts from strangers are made printable when they are put in.
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub name: EventName,
    /// Who did it: a person's name, or `keyward` itself; `-` for somebody unknown.
    pub actor: String,
    /// The host's name.
    pub host: Option<String>,
    /// The host's id, so that a renamed one is still found.
    pub host_id: Option<HostId>,
    /// The credential: its name if it is a workspace's, its id alone if it is personal.
    pub credential: Option<String>,
    /// The credential's id.
    pub credential_id: Option<CredentialId>,
    /// The session.
    pub session: Option<SessionId>,
    /// The proposal.
    pub proposal: Option<ProposalId>,
    /// How it came out.
    pub outcome: Outcome,
    /// Why, in a word or a sentence.
    pub reason: Option<String>,
    /// What else belongs to it.
    pub detail: Map<String, Value>,
}

impl Event {
    /// A successful event of `actor`.
    pub fn new(name: EventName, actor: impl Into<String>) -> Self {
        Self {
            name,
            actor: actor.into(),
            host: None,
            host_id: None,
            credential: None,
            credential_id: None,
            session: None,
            proposal: None,
            outcome: Outcome::Success,
            reason: None,
            detail: Map::new(),
        }
    }

    /// On this host.
    #[must_use]
    pub fn host(mut self, host: &super::Host) -> Self {
        self.host = Some(host.name.to_string());
        self.host_id = Some(host.id);
        self
    }

    /// With this credential. The name of a personal one is not recorded: its owner alone may know it.
    #[must_use]
    pub fn credential(mut self, credential: &super::Credential) -> Self {
        self.credential = Some(match credential.scope {
            super::Scope::Personal(_) => credential.id.to_string(),
            super::Scope::Workspace(_) => credential.name.to_string(),
        });
        self.credential_id = Some(credential.id);
        self
    }

    /// In this session.
    #[must_use]
    pub fn session(mut self, session: SessionId) -> Self {
        self.session = Some(session);
        self
    }

    /// About this proposal.
    #[must_use]
    pub fn proposal(mut self, proposal: ProposalId) -> Self {
        self.proposal = Some(proposal);
        self
    }

    /// It was denied, for this reason.
    #[must_use]
    pub fn denied(mut self, reason: impl AsRef<str>) -> Self {
        self.outcome = Outcome::Denied;
        self.reason = Some(printable(reason.as_ref(), 500));
        self
    }

    /// It failed, for this reason.
    #[must_use]
    pub fn failed(mut self, reason: impl AsRef<str>) -> Self {
        self.outcome = Outcome::Failure;
        self.reason = Some(printable(reason.as_ref(), 500));
        self
    }

    /// With a reason, whatever the outcome.
    #[must_use]
    pub fn because(mut self, reason: impl AsRef<str>) -> Self {
        self.reason = Some(printable(reason.as_ref(), 500));
        self
    }

    /// With a text, made printable and cut after 1,000 characters.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.detail.insert(key.to_owned(), Value::String(printable(&value.to_string(), 1000)));
        self
    }

    /// With a number.
    #[must_use]
    pub fn count(mut self, key: &str, value: u64) -> Self {
        self.detail.insert(key.to_owned(), Value::from(value));
        self
    }
}
