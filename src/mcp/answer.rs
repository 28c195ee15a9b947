//! What the tools answer, typed; and why they do not. Every error is a sentence and what to do, as at every other door.

use std::collections::BTreeMap;

use rmcp::model::{CallToolResult, ContentBlock};
use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use serde_json::{Map, Value};

use super::bytes::Bytes;
use super::page::{Page, page, provenance};
use crate::approvals::{self, Snapshot, Stream, Ticket};
use crate::clock::Time;
use crate::facts;
use crate::fault::{Fault, Kind};
use crate::model::{Name, ScanId, Stage, printable};

/// The longest text of somebody else in an answer, in characters.
const LONGEST: usize = 2000;

/// Why a tool did nothing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    sentence: String,
    hint: String,
}

impl Refusal {
    /// Of this door itself.
    pub(super) fn new(sentence: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), hint: hint.into() }
    }

    /// As a result that the model reads, so that it can do better.
    pub(super) fn result(&self) -> CallToolResult {
        let text = format!("error: {}\nhint: {}", printable(&self.sentence, LONGEST), printable(&self.hint, LONGEST));
        CallToolResult::error(vec![ContentBlock::text(text)])
    }
}

impl From<approvals::Error> for Refusal {
    fn from(e: approvals::Error) -> Self {
        if e.kind() == Kind::Bug {
            tracing::error!(target: "keyward::mcp", error = %e, "a tool failed where it must not");
        }
        let hint = e.hint().unwrap_or_else(|| match e.kind() {
            Kind::Invalid => "correct it, and call again; the limits are the broker's: [approvals] in its broker.toml".to_owned(),
            _ => "nothing was done; call again later".to_owned(),
        });
        Self { sentence: e.to_string(), hint }
    }
}

/// A value as a result: structured, and the same as text for clients that read only text.
pub(super) fn result(value: &impl Serialize) -> CallToolResult {
    match serde_json::to_value(value) {
        Ok(value @ Value::Object(_)) => CallToolResult::structured(value),
        _ => Refusal::new("the answer could not be written", "this is a defect of the broker").result(),
    }
}

/// The hosts on which the agent may propose.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Hosts {
    /// One entry for each.
    pub(super) hosts: Vec<Host>,
}

/// A host.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Host {
    /// Its name, as the other tools take it.
    pub(super) name: String,
    /// What its operators say of it.
    pub(super) tags: std::collections::BTreeMap<String, String>,
    /// Whether your person has a connection to it open now: without one, nothing can be proposed there.
    pub(super) connected: bool,
}

/// The connections on which the agent may propose.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Connections {
    /// One entry for each, the newest first.
    pub(super) connections: Vec<Connection>,
}

/// A connection of the agent's person.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Connection {
    /// Its id, as `propose_command` takes it.
    pub(super) id: String,
    /// To which host.
    pub(super) host: String,
    /// The account on the host, as which commands run.
    pub(super) login: String,
    /// Since when.
    pub(super) since: String,
}

/// A proposal as it was taken.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Proposed {
    /// Its id.
    pub(super) id: String,
    /// Where it stood when it was taken: `pending`.
    pub(super) state: String,
    /// On which host.
    pub(super) host: String,
    /// Who decides.
    pub(super) person: String,
    /// The SHA-256 over everything that is approved: command, standard input, variables, time, host, account, session, agent.
    pub(super) digest: String,
    /// The very bytes of the command that the person is shown, and that run if they approve.
    pub(super) command: Bytes,
    /// Until when it can be decided.
    pub(super) expires_at: String,
    /// How it stands after `wait_s`, if that was given: as `await_result` answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) result: Option<Report>,
}

impl Proposed {
    /// Of a ticket that was made of these bytes.
    pub(super) fn of(ticket: &Ticket, command: &[u8]) -> Self {
        Self {
            id: ticket.id.to_string(),
            state: Stage::Pending.as_str().to_owned(),
            host: ticket.host.to_string(),
            person: ticket.person.to_string(),
            digest: ticket.digest.to_string(),
            command: command.into(),
            expires_at: ticket.expires_at.to_string(),
            result: None,
        }
    }
}

/// A plan as it was taken.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ProposedPlan {
    /// Its id.
    pub(super) plan: String,
    /// Its steps, in the order in which they run.
    pub(super) steps: Vec<Proposed>,
}

/// How a proposal stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Report {
    /// Its id.
    id: String,
    /// `pending`, `approved` or `running`; or its end: `denied` (the person said no), `expired` (nobody decided, or it was
    /// cancelled; it did not run), `executed` (it ran, see `exit_status`), `failed` (approved, and did not run),
    /// `interrupted` (it began, and its end was not seen: it may have run in part).
    state: String,
    /// Whether nothing more will happen.
    ended: bool,
    /// On which host.
    host: String,
    /// The exit status of the command, if it ended with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_status: Option<u32>,
    /// The signal that ended the command, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_signal: Option<String>,
    /// Who approved or denied it.
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<String>,
    /// Why it was denied, expired, failed or was interrupted.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The command that the person wrote instead of yours: these bytes ran, and not what was proposed.
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_command: Option<Bytes>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    /// Where `stdout` and `stderr` come from.
    provenance: String,
    /// Standard output.
    stdout: Page,
    /// Standard error.
    stderr: Page,
}

/// Which parts of the two streams are wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pages {
    pub(super) stdout: u64,
    pub(super) stderr: u64,
    pub(super) most: usize,
}

impl Report {
    /// Of a ticket that stands so.
    pub(super) fn of(ticket: &Ticket, now: &Snapshot, pages: Pages) -> Self {
        let over = now.stage.is_final();
        Self {
            id: ticket.id.to_string(),
            state: now.stage.as_str().to_owned(),
            ended: over,
            host: ticket.host.to_string(),
            exit_status: now.exit_status,
            exit_signal: now.exit_signal.clone(),
            decided_by: now.decided_by.as_ref().map(ToString::to_string),
            reason: now.reason.clone(),
            edited_command: now.edited.as_deref().map(Bytes::from),
            ended_at: now.ended_at.map(|at| at.to_string()),
            provenance: provenance(&ticket.host),
            stdout: page(&ticket.output, Stream::Out, pages.stdout, pages.most, over),
            stderr: page(&ticket.output, Stream::Err, pages.stderr, pages.most, over),
        }
    }
}

/// Whether a proposal was cancelled.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Cancelled {
    /// Its id.
    pub(super) id: String,
    /// `true`: it did not run, or was ended. `false`: it had its end already.
    pub(super) cancelled: bool,
    /// Where it stands now.
    pub(super) state: String,
}

/// The facts that the latest scan found on a host.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Facts {
    /// The host.
    pub(super) host: String,
    /// Whether there is a scan of it.
    pub(super) scanned: bool,
    /// What there is to say besides.
    pub(super) note: String,
    /// The scan: `scn_…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scan: Option<String>,
    /// When it was (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<String>,
    /// The groups that were asked for.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(super) facts: Map<String, Value>,
    /// How many entries each group has.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) entries: BTreeMap<String, usize>,
    /// Groups that are not known, or not whole, each with the reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) missing: BTreeMap<String, String>,
}

/// Groups that are answered if none is named.
const USUAL: [&str; 4] = ["os", "system", "listening", "users"];
/// The longest answer, in bytes of JSON.
const FACTS_MAX: usize = 512 * 1024;

impl Facts {
    /// Nobody scanned it.
    pub(super) fn none(host: &Name) -> Self {
        Self {
            note: format!("no scan of {host} by your person is stored"),
            host: host.to_string(),
            scanned: false,
            scan: None,
            at: None,
            facts: Map::new(),
            entries: BTreeMap::new(),
            missing: BTreeMap::new(),
        }
    }

    /// What a scan found.
    pub(super) fn of(host: &Name, (scan, at): (ScanId, Time), facts: &facts::Facts, groups: &[String]) -> Result<Self, Refusal> {
        let bug = |_| Refusal::new("the stored facts cannot be read", "tell the person that you work for");
        let Value::Object(mut all) = serde_json::to_value(facts).map_err(bug)? else { return Ok(Self::none(host)) };
        for aside in ["version", "missing", "inapplicable"] {
            all.shift_remove(aside);
        }
        let size = |v: &Value| v.as_array().map(Vec::len).or_else(|| v.as_object().map(Map::len)).unwrap_or(1);
        let entries = all.iter().map(|(group, value)| (group.clone(), size(value))).collect();
        let mut wanted = Map::new();
        let usual = USUAL.map(str::to_owned);
        for group in if groups.is_empty() { &usual } else { groups } {
            let Some(value) = all.get(group) else {
                let known: Vec<&str> = all.keys().map(String::as_str).collect();
                return Err(Refusal::new(
                    format!("there is no group of facts `{}`", printable(group, 40)),
                    format!("there are: {}", known.join(", ")),
                ));
            };
            wanted.insert(group.clone(), value.clone());
        }
        let long = serde_json::to_string(&wanted).map_err(bug)?.len();
        if long > FACTS_MAX {
            return Err(Refusal::new(format!("these facts have {long} bytes; {FACTS_MAX} are answered"), "ask for fewer groups at once"));
        }
        Ok(Self {
            host: host.to_string(),
            scanned: true,
            note: "what the host said at that time; it may be otherwise now".to_owned(),
            scan: Some(scan.to_string()),
            at: Some(at.to_string()),
            facts: wanted,
            entries,
            missing: facts.missing.clone(),
        })
    }
}
