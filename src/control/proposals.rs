//! Verbs about proposals: to look at them whole, to approve or deny them, and to allow the same bytes again. Who decides is
//! always the person whose connection it is, shown by a key of theirs; what is approved is always named by its digest.

use std::time::Duration;

use base64ct::{Base64, Encoding};

use super::api::Reply;
use super::desk::{Call, Desk};
use super::error::Error;
use super::rights::Reach;
use super::view::{AllowanceView, CanonicalView, Data, OutputView, PlanView, ProposalView};
use super::words::{AgainWords, Decidable};
use crate::approvals::{self, Again, Allowance, Stream};
use crate::model::{Act, ActDigest, AllowanceId, Approver, Means, PlanId, Principal, ProposalId, Stage, UserId, Vouch, canonical};
use crate::store::proposals::{self, ProposalRow};
use crate::store::{user_cas, users};

/// The most proposals in one answer.
const MOST: u32 = 1000;
/// The most output that is shown of each stream, in bytes.
const SHOWN: usize = 16 * 1024;

impl Desk {
    /// Changes whenever something in this person's inbox does.
    pub fn inbox(&self, person: UserId) -> tokio::sync::watch::Receiver<u64> {
        self.0.approvals.inbox(person)
    }

    /// What this desk takes for the time.
    pub fn clock(&self) -> crate::clock::Clock {
        self.0.clock.clone()
    }

    /// How many proposals wait for this person, and to which hosts their agents would like a connection.
    pub fn waiting(&self, person: UserId) -> (usize, Vec<approvals::Wanted>) {
        (self.0.approvals.waiting(person).len(), self.0.approvals.wanted(person))
    }
}

impl Call<'_> {
    pub(super) async fn proposal_list(&self, pending: bool, limit: u32) -> Result<Reply, Error> {
        let of = (self.reach != Reach::All).then_some(self.actor.id);
        let rows = self.parts.store.read(move |c| proposals::list(c, of, pending, limit.clamp(1, MOST))).await?;
        let mut reply = Reply::of(Data::Proposals(rows.iter().map(|row| self.proposal_view(row)).collect()));
        for wish in self.parts.approvals.wanted(self.actor.id) {
            reply = reply.note(format!(
                "agent {} would like a connection to {host}: ssh -N -p PORT {host}@BROKER",
                wish.agent_name,
                host = wish.host_name
            ));
        }
        Ok(reply)
    }

    pub(super) async fn proposal_show(&self, id: ProposalId) -> Result<Reply, Error> {
        let row = self.proposal(id).await?;
        let mut view = self.proposal_view(&row);
        // What an agent sends along is between it and its person.
        view.stdin_base64 = (row.user == self.actor.id).then(|| Base64::encode_string(&row.act.stdin));
        view.output = self.parts.approvals.output(self.actor.id, id).map(|output| {
            let mut left_out = 0;
            let mut text = |stream| {
                let tally = output.tally(stream);
                let kept = usize::try_from(tally.kept).unwrap_or(usize::MAX);
                let from = kept.saturating_sub(SHOWN);
                left_out += tally.left_out + u64::try_from(from).unwrap_or(0);
                String::from_utf8_lossy(&output.read(stream, from, SHOWN).bytes).into_owned()
            };
            OutputView { stdout: text(Stream::Out), stderr: text(Stream::Err), left_out }
        });
        Ok(Reply::of(Data::Proposal(view)))
    }

    /// Every step whole, and only here the digest by which all of them are approved: who has it was shown everything.
    pub(super) async fn plan_show(&self, plan: PlanId) -> Result<Reply, Error> {
        let rows = self.parts.store.read(move |c| proposals::of_plan(c, plan)).await?;
        let all = self.reach_of(super::rights::Verb::ProposalSee) == Reach::All;
        let rows: Vec<ProposalRow> = rows.into_iter().filter(|row| all || row.user == self.actor.id).collect();
        if rows.is_empty() {
            return Err(Error::no_such("plan", plan, "proposal list"));
        }
        let steps = rows.iter().map(|row| {
            let mut view = self.proposal_view(row);
            let taken = self.parts.approvals.as_taken(row.id).filter(|taken| taken.user == self.actor.id);
            view.stdin_base64 = taken.map(|taken| Base64::encode_string(&taken.act.stdin));
            view
        });
        let steps = steps.collect();
        let digest = self.parts.approvals.plan(self.actor.id, plan).filter(|(ids, _)| ids.len() == rows.len());
        Ok(Reply::of(Data::Plan(PlanView { id: plan, digest: digest.map(|(_, digest)| digest.to_string()), steps })))
    }

    pub(super) async fn proposal_canonical(&self, id: ProposalId, edit: Option<String>) -> Result<Reply, Error> {
        let row = self.proposal(id).await?;
        let digest = match edit {
            Some(command) => Act { command: command.into_bytes(), ..row.act }.digest(),
            None => row.act.digest(),
        };
        let keys = self.my_keys().await?;
        let namespace = approvals::NAMESPACE.to_owned();
        Ok(Reply::of(Data::Canonical(CanonicalView { id, text: canonical(id, &digest), namespace, keys })))
    }

    pub(super) async fn proposal_approve(
        &self,
        what: Decidable,
        digest: ActDigest,
        edit: Option<String>,
        again: Option<AgainWords>,
        signature: Option<String>,
    ) -> Result<Reply, Error> {
        let again = again.map(|a| Again { times: a.times, within: Duration::from_secs(a.within_s) });
        let id = match what {
            Decidable::Proposal(id) => id,
            Decidable::Plan(plan) => {
                if edit.is_some() || again.is_some() || signature.is_some() {
                    return Err(Error::unfit(
                        "a plan is approved as it is",
                        "edit, sign or allow its steps one by one: proposal approve prp_…",
                    ));
                }
                return self.plan_approve(plan, digest).await;
            }
        };
        let edit = edit.map(String::into_bytes);
        let by = match signature {
            Some(armored) => self.signer(id, &digest, edit.as_deref(), armored).await?,
            None => self.approver().await?,
        };
        let decided = self.parts.approvals.approve(by, self.actor.name.clone(), id, digest, edit, again).await?;
        let reply = Reply::done(Data::Proposal(self.proposal_view(&self.proposal(id).await?)), format!("proposal {id} approved"));
        Ok(match decided.allowance {
            Some(allowance) => {
                reply.note(format!("the same bytes are allowed again: {allowance}; take it back with `proposal again revoke {allowance}`"))
            }
            None => reply,
        })
    }

    async fn plan_approve(&self, plan: PlanId, digest: ActDigest) -> Result<Reply, Error> {
        let by = self.approver().await?;
        let decided = self.parts.approvals.approve_plan(by, self.actor.name.clone(), plan, digest).await?;
        let (me, rows) = (self.actor.id, self.parts.store.read(move |c| proposals::of_plan(c, plan)).await?);
        let views = rows.iter().filter(|r| r.user == me).map(|r| self.proposal_view(r)).collect();
        Ok(Reply::done(Data::Proposals(views), format!("plan {plan} approved: {} steps", decided.len())))
    }

    pub(super) async fn proposal_deny(&self, id: ProposalId, reason: Option<String>) -> Result<Reply, Error> {
        let by = self.approver().await?;
        self.parts.approvals.deny(by, self.actor.name.clone(), id, reason).await?;
        Ok(Reply::done(Data::Proposal(self.proposal_view(&self.proposal(id).await?)), format!("proposal {id} denied")))
    }

    pub(super) async fn allowance_list(&self) -> Result<Reply, Error> {
        let list = self.parts.approvals.allowances(self.actor.id);
        Ok(Reply::of(Data::Allowances(list.iter().map(allowance_view).collect())))
    }

    pub(super) async fn allowance_revoke(&self, id: AllowanceId) -> Result<Reply, Error> {
        let gone = self.parts.approvals.revoke(self.actor.id, self.actor.name.clone(), id).await?;
        Ok(Reply::done(Data::Allowances(vec![allowance_view(&gone)]), format!("allowance {id} taken back")))
    }

    /// A proposal that the caller may see.
    async fn proposal(&self, id: ProposalId) -> Result<ProposalRow, Error> {
        let found = self.parts.store.read(move |c| proposals::by_id(c, id)).await?;
        let all = self.reach_of(super::rights::Verb::ProposalSee) == Reach::All;
        let row = found.filter(|row| all || row.user == self.actor.id).ok_or_else(|| Error::no_such("proposal", id, "proposal list"))?;
        let taken = self.parts.approvals.as_taken(id).filter(|taken| row.stage == Stage::Pending && taken.user == row.user);
        Ok(taken.unwrap_or(row))
    }

    /// The caller as somebody who may decide: only with the key that signed them in, if it is still theirs. An inbox may have
    /// been open since yesterday.
    async fn approver(&self) -> Result<Approver, Error> {
        let (me, key) = (self.actor.id, self.key.clone().ok_or(Error::NoKey)?);
        let (now, vouch) = (self.now(), key.parse::<Vouch>().map_err(|_| Error::KeyGone)?);
        if self.parts.store.read(move |c| user_cas::still_vouched(c, me, &key, now)).await?.is_none() {
            return Err(Error::KeyGone);
        }
        let means = Means::SignIn(vouch.key);
        Approver::of(&Principal::Human(self.actor.id), means).ok_or(Error::NoKey)
    }

    /// The caller by their signature over exactly what would run.
    async fn signer(&self, id: ProposalId, shown: &ActDigest, edit: Option<&[u8]>, armored: String) -> Result<Approver, Error> {
        let signed = match edit {
            Some(command) => Act { command: command.to_vec(), ..self.proposal(id).await?.act }.digest(),
            None => *shown,
        };
        let key = approvals::verify_signature(&armored, &canonical(id, &signed), &self.my_keys().await?)?;
        Approver::of(&Principal::Human(self.actor.id), Means::Signature { key, armored }).ok_or(Error::NoKey)
    }

    async fn my_keys(&self) -> Result<Vec<String>, Error> {
        let me = self.actor.id;
        Ok(self.parts.store.read(move |c| users::keys_of(c, me)).await?.into_iter().map(|k| k.public_key).collect())
    }

    /// What is shown to be decided is the proposal as it was taken, from memory: whoever writes the database changes nothing in
    /// what the person reads. What was decided comes from the database, if its bytes are those of its digest.
    fn proposal_view(&self, row: &ProposalRow) -> ProposalView {
        let taken = self.parts.approvals.as_taken(row.id).filter(|taken| taken.user == row.user);
        let row = match taken {
            Some(taken) if row.stage == Stage::Pending => &taken.clone(),
            _ => row,
        };
        let changed = row.act.digest() != row.digest;
        let mine = row.user == self.actor.id;
        ProposalView {
            id: row.id,
            state: row.stage,
            agent: row.agent_name.clone(),
            user: row.user_name.clone(),
            host: row.host_name.clone(),
            session: row.act.session,
            command: String::from_utf8_lossy(&row.act.command).into_owned(),
            // Of the bytes that stand beside it, never what the row says of them.
            digest: row.act.digest().to_string(),
            reason: row.claim.clone(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            decided_by: row.decided_by.clone(),
            exit_status: row.exit_status,
            plan: row.plan,
            step: row.step,
            steps: row.steps,
            // The account of a personal credential is its owner's business.
            login: mine.then(|| row.act.login.clone()),
            command_base64: Base64::encode_string(&row.act.command),
            proposed_command_base64: row.proposed_command.as_deref().map(Base64::encode_string),
            stdin_base64: None,
            stdin_bytes: row.act.stdin.len(),
            env: row.act.env.clone(),
            timeout_s: row.act.timeout.as_secs(),
            needs_signature: self.parts.approvals.needs_signature(row.id),
            means: row.means.clone(),
            signed_by: row.signed_by.clone(),
            signature: row.signature.clone(),
            why: if changed { Some("this row was changed behind the broker's back".to_owned()) } else { row.reason.clone() },
            decided_at: row.decided_at,
            started_at: row.started_at,
            ended_at: row.ended_at,
            exit_signal: row.exit_signal.clone(),
            stdout_bytes: row.output.out_bytes,
            stderr_bytes: row.output.err_bytes,
            masked: row.output.masked,
            output: None,
        }
    }
}

fn allowance_view(a: &Allowance) -> AllowanceView {
    AllowanceView {
        id: a.id,
        agent: a.agent_name.clone(),
        host: a.host_name.clone(),
        session: a.session,
        command: String::from_utf8_lossy(&a.command).into_owned(),
        digest: a.digest.to_string(),
        left: a.left,
        until: a.until,
    }
}
