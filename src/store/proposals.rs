//! Rows of proposals. Each step is a compare-and-swap on the stage: of two who try the same step, one finds it done.

use rusqlite::{Connection, OptionalExtension, Row, params};
use std::time::Duration;

use super::Error;
use crate::clock::Time;
use crate::model::{Act, ActDigest, Name, PlanId, ProposalId, Stage, UserId};

/// A proposal as it is stored, with the names that everything had then.
#[derive(Clone, Debug)]
pub struct ProposalRow {
    /// Its id.
    pub id: ProposalId,
    /// The plan that it is a step of.
    pub plan: Option<PlanId>,
    /// Which step, from 1.
    pub step: u32,
    /// Of how many.
    pub steps: u32,
    /// What would happen.
    pub act: Act,
    /// The digest as it was stored.
    pub digest: ActDigest,
    /// The agent's name.
    pub agent_name: Name,
    /// Whose connection it runs on.
    pub user: UserId,
    /// Their name.
    pub user_name: Name,
    /// The host's name.
    pub host_name: Name,
    /// What the agent says of it. A claim, nothing else.
    pub claim: Option<String>,
    /// What the agent had proposed, if the person wrote another command.
    pub proposed_command: Option<Vec<u8>>,
    /// Where it stands.
    pub stage: Stage,
    /// When it was proposed.
    pub created_at: Time,
    /// Until when it could be decided.
    pub expires_at: Time,
    /// When it was decided.
    pub decided_at: Option<Time>,
    /// By whom.
    pub decided_by: Option<Name>,
    /// How: `key`, `signature`, `allowance`.
    pub means: Option<String>,
    /// The fingerprint of the key that signed in or signed.
    pub signed_by: Option<String>,
    /// The armored signature.
    pub signature: Option<String>,
    /// Why it was denied, expired, or did not come to its end.
    pub reason: Option<String>,
    /// When it began to run.
    pub started_at: Option<Time>,
    /// When it ended, whatever way.
    pub ended_at: Option<Time>,
    /// The command's exit status.
    pub exit_status: Option<u32>,
    /// The signal that ended it.
    pub exit_signal: Option<String>,
    /// What it wrote.
    pub output: OutputRow,
}

/// How much a command wrote, and the digests of what the agent got of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputRow {
    /// Bytes of standard output, before masking and bounds.
    pub out_bytes: u64,
    /// Bytes of standard error.
    pub err_bytes: u64,
    /// SHA-256 of what was delivered of standard output.
    pub out_sha256: Option<[u8; 32]>,
    /// SHA-256 of what was delivered of standard error.
    pub err_sha256: Option<[u8; 32]>,
    /// How many secrets were masked in it.
    pub masked: u64,
}

/// Who decided, when, how.
#[derive(Clone, Debug)]
pub struct Decided {
    /// When.
    pub at: Time,
    /// Who.
    pub by: Name,
    /// By which means.
    pub means: &'static str,
    /// The fingerprint of the key.
    pub signed_by: Option<String>,
    /// The armored signature.
    pub signature: Option<String>,
}

/// How a run ended.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    /// Why, where it is not the command's own end.
    pub reason: Option<String>,
    /// The exit status.
    pub exit_status: Option<u32>,
    /// The signal.
    pub exit_signal: Option<String>,
    /// What it wrote.
    pub output: OutputRow,
}

const COLUMNS: &str = "id, plan, step, steps, agent, agent_name, user, user_name, host, host_name, login, session, command, stdin, env, timeout_s, digest, claim, proposed_command, stage, created_at, expires_at, decided_at, decided_by, means, signed_by, signature, reason, started_at, ended_at, exit_status, exit_signal, out_bytes, err_bytes, out_sha256, err_sha256, masked";

fn proposal(r: &Row<'_>) -> rusqlite::Result<ProposalRow> {
    let count = |i: usize| -> rusqlite::Result<u64> { Ok(r.get::<_, i64>(i)?.try_into().unwrap_or(0)) };
    let env: String = r.get(14)?;
    let env =
        serde_json::from_str(&env).map_err(|e| rusqlite::Error::FromSqlConversionFailure(14, rusqlite::types::Type::Text, Box::new(e)))?;
    Ok(ProposalRow {
        id: r.get(0)?,
        plan: r.get(1)?,
        step: r.get(2)?,
        steps: r.get(3)?,
        act: Act {
            agent: r.get(4)?,
            host: r.get(8)?,
            login: r.get(10)?,
            session: r.get(11)?,
            command: r.get(12)?,
            stdin: r.get(13)?,
            env,
            timeout: Duration::from_secs(count(15)?),
        },
        agent_name: r.get(5)?,
        user: r.get(6)?,
        user_name: r.get(7)?,
        host_name: r.get(9)?,
        digest: r.get(16)?,
        claim: r.get(17)?,
        proposed_command: r.get(18)?,
        stage: r.get(19)?,
        created_at: r.get(20)?,
        expires_at: r.get(21)?,
        decided_at: r.get(22)?,
        decided_by: r.get(23)?,
        means: r.get(24)?,
        signed_by: r.get(25)?,
        signature: r.get(26)?,
        reason: r.get(27)?,
        started_at: r.get(28)?,
        ended_at: r.get(29)?,
        exit_status: r.get(30)?,
        exit_signal: r.get(31)?,
        output: OutputRow {
            out_bytes: count(32)?,
            err_bytes: count(33)?,
            out_sha256: r.get(34)?,
            err_sha256: r.get(35)?,
            masked: count(36)?,
        },
    })
}

/// Refuses if the agent is gone, is another person's, or its person is disabled: looked at in the transaction of the step, so
/// that a removal cannot fall between the look and the step.
fn agent_is_there(c: &Connection, p: &ProposalRow) -> Result<(), Error> {
    let sql = "SELECT EXISTS(SELECT 1 FROM agents a JOIN users u ON u.id = a.owner WHERE a.id = ?1 AND a.owner = ?2 AND u.disabled = 0)";
    let there: bool = c.prepare_cached(sql)?.query_row(params![p.act.agent, p.user], |r| r.get(0))?;
    if there { Ok(()) } else { Err(Error::Missing(format!("agent {} any more", p.agent_name))) }
}

/// Whether a row is still about what was proposed: what people are shown of it beside the bytes.
fn is_about(row: &ProposalRow, p: &ProposalRow) -> bool {
    row.user == p.user
        && row.user_name == p.user_name
        && row.agent_name == p.agent_name
        && row.host_name == p.host_name
        && (row.plan, row.step, row.steps) == (p.plan, p.step, p.steps)
        && row.claim == p.claim
}

/// Adds a proposal that waits.
///
/// # Errors
/// [`Error::Missing`] if its agent is gone; what SQLite says.
pub fn insert(c: &Connection, p: &ProposalRow) -> Result<(), Error> {
    agent_is_there(c, p)?;
    let env = serde_json::to_string(&p.act.env).map_err(|e| Error::Malformed(e.to_string()))?;
    c.execute(
        "INSERT INTO proposals(id, plan, step, steps, agent, agent_name, user, user_name, host, host_name, login, session, command, stdin, env, timeout_s, digest, claim, stage, created_at, expires_at) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21)",
        params![
            p.id,
            p.plan,
            p.step,
            p.steps,
            p.act.agent,
            p.agent_name,
            p.user,
            p.user_name,
            p.act.host,
            p.host_name,
            p.act.login,
            p.act.session,
            p.act.command,
            p.act.stdin,
            env,
            i64::try_from(p.act.timeout.as_secs()).unwrap_or(i64::MAX),
            p.digest,
            p.claim,
            p.stage,
            p.created_at,
            p.expires_at
        ],
    )?;
    Ok(())
}

/// What is in the way of a step.
fn lost(c: &Connection, id: ProposalId) -> Error {
    match by_id(c, id) {
        Ok(Some(row)) => Error::Duplicate(format!("a decision on proposal {id} (it is {})", row.stage)),
        Ok(None) => Error::Missing(format!("proposal {id}")),
        Err(e) => e,
    }
}

/// Pending → approved, with the bytes that were approved. `digest` is that of `command` with everything else as it stands.
///
/// # Errors
/// [`Error::Duplicate`] if it is not pending any more; [`Error::Tampered`] if the row holds other bytes.
pub fn approve(
    c: &Connection,
    proposed: &ProposalRow,
    act: &Act,
    digest: &ActDigest,
    edited: bool,
    decided: &Decided,
) -> Result<(), Error> {
    let id = proposed.id;
    agent_is_there(c, proposed)?;
    let row = by_id(c, id)?.ok_or_else(|| Error::Missing(format!("proposal {id}")))?;
    let was = Act { command: if edited { row.act.command.clone() } else { act.command.clone() }, ..act.clone() };
    if !is_about(&row, proposed) || row.act != was || (!edited && row.digest != *digest) {
        return Err(Error::Tampered);
    }
    let changed = c.execute(
        "UPDATE proposals SET stage = 'approved', decided_at = ?2, decided_by = ?3, means = ?4, signed_by = ?5, signature = ?6, command = ?7, digest = ?8, proposed_command = ?9 WHERE id = ?1 AND stage = 'pending' AND expires_at > ?2",
        params![
            id,
            decided.at,
            decided.by,
            decided.means,
            decided.signed_by,
            decided.signature,
            act.command,
            digest,
            edited.then_some(row.act.command)
        ],
    )?;
    if changed == 1 { Ok(()) } else { Err(lost(c, id)) }
}

/// Approved → running, if the row still holds the bytes that were approved.
///
/// # Errors
/// [`Error::Duplicate`] if it is not approved, or ran already; [`Error::Tampered`] if the row holds other bytes.
pub fn start(c: &Connection, proposed: &ProposalRow, act: &Act, digest: &ActDigest, at: Time) -> Result<(), Error> {
    let id = proposed.id;
    agent_is_there(c, proposed)?;
    let row = by_id(c, id)?.ok_or_else(|| Error::Missing(format!("proposal {id}")))?;
    if !is_about(&row, proposed) || row.act != *act || row.digest != *digest || row.act.digest() != *digest {
        return Err(Error::Tampered);
    }
    match c.execute("UPDATE proposals SET stage = 'running', started_at = ?2 WHERE id = ?1 AND stage = 'approved'", params![id, at])? {
        1 => Ok(()),
        _ => Err(lost(c, id)),
    }
}

/// Denied by the person.
///
/// # Errors
/// [`Error::Duplicate`] if it is not pending any more.
pub fn deny(c: &Connection, id: ProposalId, reason: Option<&str>, decided: &Decided) -> Result<(), Error> {
    let changed = c.execute(
        "UPDATE proposals SET stage = 'denied', decided_at = ?2, decided_by = ?3, means = ?4, signed_by = ?5, ended_at = ?2, reason = ?6 WHERE id = ?1 AND stage = 'pending'",
        params![id, decided.at, decided.by, decided.means, decided.signed_by, reason],
    )?;
    if changed == 1 { Ok(()) } else { Err(lost(c, id)) }
}

/// From one stage to one that is final, with how it ended.
///
/// # Errors
/// [`Error::Duplicate`] if it is not at `from` any more.
pub fn end(c: &Connection, id: ProposalId, from: Stage, to: Stage, at: Time, ended: &Ended) -> Result<(), Error> {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let o = &ended.output;
    let changed = c.execute(
        "UPDATE proposals SET stage = ?3, ended_at = ?4, reason = ?5, exit_status = ?6, exit_signal = ?7, out_bytes = ?8, err_bytes = ?9, out_sha256 = ?10, err_sha256 = ?11, masked = ?12 WHERE id = ?1 AND stage = ?2",
        params![
            id,
            from,
            to,
            at,
            ended.reason,
            ended.exit_status,
            ended.exit_signal,
            count(o.out_bytes),
            count(o.err_bytes),
            o.out_sha256,
            o.err_sha256,
            count(o.masked)
        ],
    )?;
    if changed == 1 { Ok(()) } else { Err(lost(c, id)) }
}

/// A proposal by id.
///
/// # Errors
/// What SQLite says.
pub fn by_id(c: &Connection, id: ProposalId) -> Result<Option<ProposalRow>, Error> {
    Ok(c.prepare_cached(&format!("SELECT {COLUMNS} FROM proposals WHERE id = ?1"))?.query_row([id], proposal).optional()?)
}

/// The steps of a plan, in their order.
///
/// # Errors
/// What SQLite says.
pub fn of_plan(c: &Connection, plan: PlanId) -> Result<Vec<ProposalRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM proposals WHERE plan = ?1 ORDER BY step");
    Ok(c.prepare_cached(&sql)?.query_map([plan], proposal)?.collect::<Result<_, _>>()?)
}

/// Proposals, newest first: of one person or all, only pending ones or all, at most `most`.
///
/// # Errors
/// What SQLite says.
pub fn list(c: &Connection, of: Option<UserId>, pending: bool, most: u32) -> Result<Vec<ProposalRow>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM proposals WHERE (?1 IS NULL OR user = ?1) AND (?2 = 0 OR stage = 'pending') ORDER BY id DESC LIMIT ?3"
    );
    Ok(c.prepare_cached(&sql)?.query_map(params![of, pending, most], proposal)?.collect::<Result<_, _>>()?)
}

/// Those that have no end: what a daemon that died left behind.
///
/// # Errors
/// What SQLite says.
pub fn open(c: &Connection) -> Result<Vec<ProposalRow>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM proposals WHERE stage IN ('pending', 'approved', 'running') ORDER BY id");
    Ok(c.prepare_cached(&sql)?.query_map([], proposal)?.collect::<Result<_, _>>()?)
}

/// How many wait.
///
/// # Errors
/// What SQLite says.
pub fn pending(c: &Connection) -> Result<u64, Error> {
    Ok(u64::try_from(c.query_row("SELECT count(*) FROM proposals WHERE stage = 'pending'", [], |r| r.get::<_, i64>(0))?).unwrap_or(0))
}
