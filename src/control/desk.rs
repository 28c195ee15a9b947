//! The desk: reads who asks, looks into the table of rights, lets the verb's own file answer, and has refusals audited.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::mpsc;

use super::api::{Caller, Door, Reply, Secrets};
use super::choices::Turns;
use super::command::Command;
use super::error::Error;
use super::rights::{Reach, Verb};
use super::sealed::Sealing;
use super::view::ProgressView;
use crate::approvals::{self, Approvals};
use crate::audit::Log;
use crate::authz::Guard;
use crate::clock::{Clock, Time};
use crate::custody::Custody;
use crate::model::{Address, DEFAULT_WORKSPACE, Event, EventName, Name, Role, Scope, SecondFactor, Terms, User};
use crate::rotation::Rotations;
use crate::scans::Scans;
use crate::sessions::Registry;
use crate::store::{self, Store, user_cas, users};
use crate::target;

/// Where pieces of a long answer go before the reply itself. Whoever reads them slowly slows down who writes them; whoever stops reading
/// ends what may be ended.
pub type Output = mpsc::Sender<Piece>;

/// A piece of a long answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Whole lines of JSON, as they are stored.
    Lines(String),
    /// A piece of a report, harmless as it is.
    Report(String),
    /// How a scan goes.
    Progress(ProgressView),
    /// What was done just now, in one line.
    Step(String),
    /// A piece of a file, to be written as it stands.
    Bytes(Vec<u8>),
}

/// What `status` and `ssh-config` say about the daemon.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When it began to accept connections.
    pub started_at: Time,
    /// Where it listens, as bound.
    pub listen: String,
    /// How clients reach it, if that was configured.
    pub public: Option<Address>,
    /// The fingerprints of its own host keys.
    pub host_keys: Vec<String>,
    /// How the vault is: `unsealed`.
    pub vault: String,
    /// Leases that are open now.
    pub leases: Arc<AtomicU64>,
    /// Where the anchor lies, which tells of a database that was put back.
    pub anchor: PathBuf,
}

/// What the desk works with.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The ledger.
    pub store: Store,
    /// The witness.
    pub log: Log,
    /// The way to the vault.
    pub custody: Custody,
    /// The bell that living sessions hear.
    pub guard: Guard,
    /// The time.
    pub clock: Clock,
    /// Living sessions.
    pub sessions: Registry,
    /// Proposals.
    pub approvals: Approvals,
    /// Scans.
    pub scans: Scans,
    /// Credentials on their hosts.
    pub rotations: Rotations,
    /// How hosts are dialled, for `host trust`.
    pub target: target::Config,
    /// The checkpoint file.
    pub checkpoints: PathBuf,
    /// About the daemon.
    pub facts: Facts,
    /// Wanted by `seal`; the daemon listens.
    pub seal: Sealing,
}

/// The desk. Clones are the same one. Beside its parts, whose turn it is to have lists for choosing read.
#[derive(Clone, Debug)]
pub struct Desk(pub(super) Arc<Parts>, pub(super) Arc<Turns>);

/// One call: who asks, where, and how far the verb reaches for them.
pub(super) struct Call<'a> {
    pub(super) parts: &'a Parts,
    pub(super) actor: User,
    pub(super) workspace: Name,
    pub(super) reach: Reach,
    /// The key that signed this caller in.
    pub(super) key: Option<String>,
    /// Through which door.
    pub(super) door: Door,
    /// The client's address, where there is one.
    pub(super) client: Option<SocketAddr>,
    /// How the command is called in refusals.
    pub(super) called: &'static str,
}

impl Desk {
    /// A desk over these parts.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts), Arc::default())
    }

    pub(super) fn facts(&self) -> &Facts {
        &self.0.facts
    }

    /// Answers a verb.
    ///
    /// # Errors
    /// Why it was not done; then nothing was changed, unless the error says what was.
    pub async fn handle(&self, caller: Caller, command: Command, secrets: Secrets, out: &Output) -> Result<Reply, Error> {
        let (name, call) = self.settle(&caller, &command).await?;
        let verb = command.verb();
        let answer = match call {
            Ok(call) => Box::pin(call.answer(command, secrets, out)).await,
            Err(refused) => Err(refused),
        };
        self.recorded(answer, &name, &caller, verb).await
    }

    /// Who calls, and their call, or why it is refused, which is to be [recorded](Self::recorded).
    pub(super) async fn settle(&self, caller: &Caller, command: &Command) -> Result<(Name, Result<Call<'_>, Error>), Error> {
        let (verb, called) = (command.verb(), command.called());
        let (user, workspace, now) = (caller.user, caller.workspace.clone(), self.0.clock.now());
        let key = caller.key.clone();
        let read = move |c: &rusqlite::Connection| -> Result<_, store::Error> {
            // Without a key they came through a door that knows them.
            let vouched = key.as_deref().map_or(Ok(Some(Terms::default())), |key| user_cas::still_vouched(c, user, key, now))?;
            let actor = users::by_id(c, user)?;
            let there = match &actor {
                Some(actor) => super::workspaces::is_there(c, &workspace, actor.role, actor.id, now)?,
                None => false,
            };
            Ok((store::state::read(c)?, actor, vouched, there))
        };
        let (state, actor, vouched, there) = self.0.store.read(read).await?;
        // A role or a key that somebody wrote into the database must not count, nor one that was there only while the caller signed
        // in: it is this snapshot that has to verify. What tells an operator about it still works.
        if !matches!(verb, Verb::Status | Verb::AuditVerify) {
            self.0.custody.holds(&state).await?;
        }
        let actor = actor.ok_or(Error::UnknownCaller)?;
        let terms = vouched.ok_or(Error::KeyGone)?;
        let name = actor.name.clone();
        let call = self.0.admit(actor, caller, (verb, called), there);
        // They are asked for one at every sign-in, and have shown none on this one.
        Ok((name, if terms.second == SecondFactor::Owed { call.and(Err(Error::CodeOwed)) } else { call }))
    }

    /// An answer, once it stands in the log if it is a refusal.
    pub(super) async fn recorded<T>(&self, answer: Result<T, Error>, name: &Name, caller: &Caller, verb: Verb) -> Result<T, Error> {
        if let Err(
            e @ (Error::Forbidden { .. }
            | Error::Disabled
            | Error::NoKey
            | Error::KeyGone
            | Error::CodeOwed
            | Error::Signature(_)
            | Error::Approvals(approvals::Error::SignatureNeeded(_) | approvals::Error::NoSuch(_))),
        ) = &answer
        {
            let door = match caller.door {
                Door::Local => "local",
                Door::Ssh => "ssh",
            };
            let mut event =
                Event::new(EventName::VerbRefused, name.to_string()).denied(e.to_string()).with("verb", verb.as_str()).with("door", door);
            if let Some(client) = caller.client {
                event = event.with("client", client);
            }
            self.0.log.record(event).await?;
        }
        answer
    }

    /// The person at the local door. A uid that nobody has is refused, and that is audited.
    ///
    /// # Errors
    /// [`Error::UnknownUid`].
    pub async fn caller_of_uid(&self, uid: u32) -> Result<Caller, Error> {
        match self.0.store.read(move |c| users::by_uid(c, uid)).await? {
            Some(user) => Ok(Caller { user: user.id, key: None, door: Door::Local, client: None, workspace: default_workspace()? }),
            None => {
                let event = Event::new(EventName::SigninRefused, "-")
                    .denied("no person has this uid")
                    .with("door", "local")
                    .count("uid", u64::from(uid));
                self.0.log.record(event).await?;
                Err(Error::UnknownUid(uid))
            }
        }
    }
}

/// The name of the workspace that every home has.
///
/// # Errors
/// None in practice: the name is a constant.
fn default_workspace() -> Result<Name, Error> {
    DEFAULT_WORKSPACE.parse().map_err(|_| Error::Store(store::Error::Malformed("the default workspace".to_owned())))
}

impl Parts {
    fn admit(&self, actor: User, caller: &Caller, (verb, called): (Verb, &'static str), there: bool) -> Result<Call<'_>, Error> {
        if actor.disabled {
            return Err(Error::Disabled);
        }
        if !there {
            return Err(Error::NoWorkspace(caller.workspace.clone()));
        }
        let reach = verb.reach(actor.role);
        if reach == Reach::No {
            return Err(Error::Forbidden { verb: called, role: actor.role, why: None, admins: verb.reach(Role::Admin) != Reach::No });
        }
        Ok(Call {
            parts: self,
            actor,
            workspace: caller.workspace.clone(),
            reach,
            key: caller.key.clone(),
            door: caller.door,
            client: caller.client,
            called,
        })
    }
}

impl Call<'_> {
    async fn answer(self, command: Command, secrets: Secrets, out: &Output) -> Result<Reply, Error> {
        match command {
            Command::Status => self.status().await,
            Command::Seal { now } => self.seal(now).await,
            Command::Unseal { .. } => Err(self.not_sealed()),
            Command::UserAdd { name, keys, role, uid } => self.user_add(name, &keys, role, uid).await,
            Command::UserList => self.user_list().await,
            Command::UserShow { name } => self.user_show(name).await,
            Command::UserDisable { name } => self.user_set_disabled(name, true).await,
            Command::UserEnable { name } => self.user_set_disabled(name, false).await,
            Command::UserRemove { name } => self.user_remove(name).await,
            Command::UserKeyAdd { name, keys } => self.user_key_add(name, &keys).await,
            Command::UserKeyList { name } => self.user_key_list(name).await,
            Command::UserKeyRemove { name, fingerprint } => self.user_key_remove(name, fingerprint).await,
            Command::Totp { word } => self.totp(word, secrets).await,
            Command::UserCaAdd { ca } => self.user_ca_add(ca).await,
            Command::UserCaList => self.user_ca_list().await,
            Command::UserCaShow { name } => self.user_ca_show(name).await,
            Command::UserCaRemove { name } => self.user_ca_remove(name).await,
            Command::UserCaRevoke { name, what } => self.user_ca_revoke(name, what).await,
            Command::GroupAdd { name } => self.group_add(name).await,
            Command::GroupList => self.group_list().await,
            Command::GroupRemove { name } => self.group_remove(name).await,
            Command::GroupJoin { group, user } => self.group_member(group, user, true).await,
            Command::GroupLeave { group, user } => self.group_member(group, user, false).await,
            Command::HostAdd { name, address, credential, tags, host_keys, trust_first_use, way } => {
                self.host_add(super::hosts::NewHost { name, address, credential, tags, host_keys, trust_first_use, way, source: "given" })
                    .await
            }
            Command::HostList => self.host_list().await,
            Command::HostShow { name } => self.host_show(name).await,
            Command::HostEdit { name, change } => self.host_edit(name, change).await,
            Command::HostRemove { name } => self.host_remove(name).await,
            Command::HostProbe { name } => self.host_probe(name).await,
            Command::HostTrust { name, fingerprints } => self.host_trust(name, fingerprints).await,
            Command::HostCaAdd { name, key, hosts } => self.host_ca_add(name, &key, hosts).await,
            Command::HostCaList => self.host_ca_list().await,
            Command::HostCaRemove { name } => self.host_ca_remove(name).await,
            Command::CredentialAdd { name, username, form, scope } => self.credential_add(name, username, form, scope, secrets).await,
            Command::CredentialAddCertificate { name, username, validity, scope } => {
                self.credential_add_certificate(name, username, validity, scope).await
            }
            Command::CredentialGenerate { name, username, kind, scope } => self.credential_generate(name, username, kind, scope).await,
            Command::CredentialList { filter } => self.credential_list(filter).await,
            Command::CredentialShow { credential } => self.credential_show(credential).await,
            Command::CredentialPublicKey { credential } => self.credential_public_key(credential).await,
            Command::CredentialEdit { credential, username, form, rename, sudo, validity } => {
                let change = super::credentials::Change { username, form, rename, sudo, validity };
                self.credential_edit(credential, change, secrets).await
            }
            Command::CredentialDelete { credential, end_sessions } => self.credential_delete(credential, end_sessions).await,
            Command::CredentialAttach { credential, host, mine } => self.credential_attach(credential, host, mine).await,
            Command::CredentialDetach { credential, host, mine } => self.credential_detach(credential, host, mine).await,
            Command::CaCreate { kind } => self.ca_create(kind).await,
            Command::CaShow => self.ca_show().await,
            Command::CaPublicKey { principal } => self.ca_public_key(principal).await,
            Command::CaRotate { step } => self.ca_rotate(step).await,
            Command::CaRetire => self.ca_retire().await,
            Command::CaRemove => self.ca_remove().await,
            Command::CredentialTest { credential, host } => self.credential_test(credential, host).await,
            Command::CredentialInstall { credential, host, using, dry_run } => {
                self.credential_install(credential, host, using, dry_run).await
            }
            Command::CredentialRotate { credential, hosts, skip, abort, dry_run } => {
                self.credential_rotate(super::upkeep::Rotate { credential, hosts, skip, abort, dry_run }, out).await
            }
            Command::CredentialWorkspaceDefault { credential, attach } => self.credential_workspace_default(credential, attach).await,
            Command::CredentialUses { credential } => self.credential_uses(credential).await,
            Command::WorkspaceAdd { name } => self.workspace_add(name).await,
            Command::WorkspaceList => self.workspace_list().await,
            Command::WorkspaceShow { name } => self.workspace_show(name).await,
            Command::WorkspaceRemove { name, end_sessions } => self.workspace_remove(name, end_sessions).await,
            Command::ReferenceAdd { name, username, what, scope, reference } => {
                self.reference_add(super::sources::NewReference { name, username, what, scope, reference }).await
            }
            Command::ReferenceEdit { credential, username, rename, what, place } => {
                self.reference_edit(credential, super::sources::ReferenceChange { username, rename, what, place }).await
            }
            Command::SourceList => self.source_list().await,
            Command::SourceTest { name, path, field, key } => self.source_test(name, path, field, key).await,
            Command::PersonalSeal => self.personal_seal(secrets).await,
            Command::PersonalUnseal => self.personal_unseal().await,
            Command::PersonalSlots => self.personal_slots().await,
            Command::PersonalAsk { key } => self.personal_ask(key).await,
            Command::PersonalSlotAdd { slot } => self.personal_slot_add(slot, secrets).await,
            Command::PersonalSlotRemove { id } => self.personal_slot_remove(id).await,
            Command::Unlock { agent } => self.unlock(agent, secrets).await,
            Command::Lock { all } => self.lock(all).await,
            Command::GrantAdd { grant } => self.grant_add(grant).await,
            Command::GrantList => self.grant_list().await,
            Command::GrantRemove { id } => self.grant_remove(id).await,
            Command::GrantExplain { user, host, action, from } => self.grant_explain(user, host, action, from).await,
            Command::SessionList { live, limit } => self.session_list(live, limit).await,
            Command::SessionShow { id } => self.session_show(id).await,
            Command::SessionEnd { id } => self.session_end(id).await,
            Command::AuditList { since, user, host, limit } => self.audit_list(since, user, host, limit).await,
            Command::AuditVerify { checkpoints } => self.audit_verify(checkpoints).await,
            Command::AuditExport { since } => self.audit_export(since, out).await,
            Command::SshConfig { user } => self.ssh_config(user).await,
            Command::AgentAdd { name, owner, key, limits, require_signature } => {
                self.agent_add(name, owner, key.as_deref(), limits, require_signature).await
            }
            Command::AgentList => self.agent_list().await,
            Command::AgentRemove { name } => self.agent_remove(name).await,
            Command::ProposalList { pending, limit } => self.proposal_list(pending, limit).await,
            Command::ProposalShow { id } => self.proposal_show(id).await,
            Command::PlanShow { id } => self.plan_show(id).await,
            Command::ProposalCanonical { id, edit } => self.proposal_canonical(id, edit).await,
            Command::ProposalApprove { what, digest, edit, again, signature } => {
                self.proposal_approve(what, digest.0, edit, again, signature).await
            }
            Command::ProposalDeny { id, reason } => self.proposal_deny(id, reason).await,
            Command::AllowanceList => self.allowance_list().await,
            Command::AllowanceRevoke { id } => self.allowance_revoke(id).await,
            Command::ScanPlan { scan } => self.scan_plan(scan).await,
            Command::ScanRun { scan, report } => self.scan_run(scan, report, out).await,
            Command::ScanResume { id, report } => self.scan_resume(id, report, out).await,
            Command::ScanCancel { id } => self.scan_cancel(id).await,
            Command::ScanList { limit } => self.scan_list(limit).await,
            Command::ScanShow { id, report } => self.scan_show(id, report, out).await,
            Command::ScanDiff { before, after } => self.scan_diff(before, after).await,
            Command::ScanEvaluate { id, profiles, policies, osv, report } => {
                self.scan_evaluate(id, profiles, policies, osv, report, out).await
            }
            Command::ScanRemove { id } => self.scan_remove(id).await,
            Command::ImportKnownHosts { text, add_hosts, agreed } => self.import_known_hosts(&text, add_hosts, agreed).await,
            Command::ScanProfiles => Ok(Self::scan_profiles()),
            Command::VaultStatus => self.vault_status().await,
            Command::VaultRotate { root, shred, sure } => self.vault_rotate(root, shred, sure, out).await,
            Command::Backup => self.backup(out).await,
        }
    }

    /// An event of this call's person.
    pub(super) fn event(&self, name: EventName) -> Event {
        Event::new(name, self.actor.name.to_string())
    }

    /// Now.
    pub(super) fn now(&self) -> Time {
        self.parts.clock.now()
    }

    /// How far another verb reaches for this person.
    pub(super) fn reach_of(&self, verb: Verb) -> Reach {
        verb.reach(self.actor.role)
    }

    /// Refused, for a reason that is not in the table alone.
    pub(super) fn forbidden(&self, verb: Verb, why: &'static str) -> Error {
        let admins = verb.reach(Role::Admin) != Reach::No;
        Error::Forbidden { verb: self.called, role: self.actor.role, why: Some(why), admins }
    }

    /// Where credentials of the workspace belong to.
    pub(super) fn shared(&self) -> Scope {
        Scope::Workspace(self.workspace.clone())
    }

    /// Where this person's own belong to.
    pub(super) fn own(&self) -> Scope {
        Scope::Personal(self.actor.id)
    }
}
