//! What is kept of scans, read back: a run as one document, a host's answers. Changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use rusqlite::Connection;

use serde::Deserialize;

use super::Error;
use super::pack::{unpack, unpack_json};
use super::plan::{Kept, Questions};
use super::result::{KeptAnswer, untouched};
use crate::checks::Policy;
use crate::facts::Facts;
use crate::model::{HostId, HostState, ScanId};
use crate::probes::Answers;
use crate::report::{Document, HostReport, PolicyUsed, SCHEMA};
use crate::store::scans::{self, ScanHostRow, ScanRow};

/// A scan with its hosts.
pub(super) fn load(c: &Connection, id: ScanId) -> Result<(ScanRow, Vec<ScanHostRow>), Error> {
    let row = scans::by_id(c, id)?.ok_or(Error::NoSuch(id))?;
    let hosts = scans::hosts(c, id)?;
    Ok((row, hosts))
}

/// The packed facts of a host.
pub(super) fn packed_facts(c: &Connection, row: &ScanHostRow) -> Result<Option<Vec<u8>>, Error> {
    let Some(sha256) = &row.facts else { return Ok(None) };
    scans::text(c, sha256)?.ok_or_else(|| Error::Damaged("facts are missing".to_owned())).map(Some)
}

/// A host as it is stored: read under the ledger's lock, unpacked elsewhere.
pub(super) struct PackedHost {
    row: ScanHostRow,
    facts: Option<Vec<u8>>,
}

/// A host of a scan, packed.
pub(super) fn packed_host(c: &Connection, row: ScanHostRow) -> Result<PackedHost, Error> {
    Ok(PackedHost { facts: packed_facts(c, &row)?, row })
}

impl PackedHost {
    /// The report, with the facts, or with what is missing of them alone.
    pub(super) fn unpack(self, lean: bool) -> Result<HostReport, Error> {
        let Self { row, facts } = self;
        let mut report: HostReport = match &row.report {
            Some(packed) => unpack_json(packed)?,
            None => untouched(row.host_name.as_str(), &row.address, row.state, Some(unasked(row.state).to_owned())),
        };
        report.state = row.state;
        if lean {
            let facts: Option<Lean> = facts.map(|packed| genuine_json(&packed, row.facts)).transpose()?;
            report.packages = facts.as_ref().map(|f| f.packages.len());
            report.facts = facts.map(|f| Facts { missing: f.missing, inapplicable: f.inapplicable, ..Facts::default() });
        } else {
            report.facts = facts.map(|packed| genuine_json(&packed, row.facts)).transpose()?;
        }
        Ok(report)
    }
}

/// Facts, but for the facts.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Lean {
    missing: BTreeMap<String, String>,
    inapplicable: BTreeMap<String, String>,
    packages: Vec<serde::de::IgnoredAny>,
}

/// Why a host has no report.
fn unasked(state: HostState) -> &'static str {
    match state {
        HostState::Waiting => "its turn has not come",
        HostState::Running => "it is being asked",
        _ => "the scan ended before its turn came, or while it was asked",
    }
}

/// The answers of a host with their texts, packed.
pub(super) struct Packed {
    answers: Vec<u8>,
    texts: BTreeMap<String, Vec<u8>>,
}

/// The answers of a host. `None`: it gave none.
pub(super) fn packed_answers(c: &Connection, scan: ScanId, host: HostId) -> Result<Option<Packed>, Error> {
    let Some(answers) = scans::host_row(c, scan, host)?.and_then(|row| row.answers) else { return Ok(None) };
    let kept: BTreeMap<String, KeptAnswer> = unpack_json(&answers)?;
    let mut texts = BTreeMap::new();
    for sha in kept.into_values().filter_map(|k| k.text) {
        let missing = || Error::Damaged("an answer is missing".to_owned());
        let packed = scans::text(c, &base16(&sha).ok_or_else(missing)?)?.ok_or_else(missing)?;
        texts.insert(sha, packed);
    }
    Ok(Some(Packed { answers, texts }))
}

impl Packed {
    /// The answers.
    pub(super) fn unpack(self) -> Result<Answers, Error> {
        let kept: BTreeMap<String, KeptAnswer> = unpack_json(&self.answers)?;
        let missing = || Error::Damaged("an answer is missing".to_owned());
        super::result::answers(kept, |sha| genuine(self.texts.get(sha).ok_or_else(missing)?, base16(sha)))
    }
}

/// Gives hosts that have no end the state that is true when their scan ends early.
pub(super) fn settle(c: &Connection, id: ScanId) -> Result<(), crate::store::Error> {
    for host in scans::hosts(c, id)?.iter().filter(|h| is_open(h)) {
        let state = match host.state {
            HostState::Running | HostState::Partial => HostState::Partial,
            _ => HostState::Skipped,
        };
        scans::set_host_state(c, id, host.host, state, None)?;
    }
    Ok(())
}

/// A text, if it is the one that was kept.
fn genuine(packed: &[u8], sha256: Option<[u8; 32]>) -> Result<Vec<u8>, Error> {
    let text = unpack(packed)?;
    let same = sha256.is_some_and(|sha| aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text).as_ref() == sha);
    if same { Ok(text) } else { Err(Error::Damaged("a text is not the one that was kept".to_owned())) }
}

/// Facts, if they are those that were kept.
pub(super) fn genuine_json<T: serde::de::DeserializeOwned>(packed: &[u8], sha256: Option<[u8; 32]>) -> Result<T, Error> {
    serde_json::from_slice(&genuine(packed, sha256)?).map_err(|e| Error::Damaged(e.to_string()))
}

fn base16(text: &str) -> Option<[u8; 32]> {
    let bytes: Option<Vec<u8>> =
        text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    bytes?.try_into().ok()
}

/// What was asked.
pub(super) fn questions(row: &ScanRow, longest: Duration) -> Result<(Kept, Questions), Error> {
    let kept: Kept = unpack_json(&row.asked)?;
    let files = kept.files.iter().map(|(name, text)| (name.clone(), text.as_bytes().to_vec())).collect();
    let questions = Questions::of(files, &[], longest)?;
    Ok((kept, questions))
}

/// The whole run; `hosts` are unpacked already.
pub(super) fn document(row: &ScanRow, hosts: Vec<HostReport>) -> Result<Document, Error> {
    let (_, questions) = questions(row, Duration::MAX)?;
    Ok(Document {
        schema: SCHEMA.to_owned(),
        id: row.id,
        state: row.state,
        profile: row.profile.clone(),
        selector: row.selector.clone(),
        user: row.user_name.clone(),
        started_at: row.started_at.to_string(),
        ended_at: row.ended_at.map(|t| t.to_string()),
        digest: row.digest.clone(),
        policies: questions.policies.iter().map(used).collect(),
        hosts,
    })
}

/// A policy as a report names it.
pub(super) fn used(p: &Policy) -> PolicyUsed {
    PolicyUsed { id: p.id.clone(), name: p.name.clone(), sha256: p.sha256.clone(), checks: p.checks.len() }
}

/// Whether a host of a scan has not had its turn to the end.
pub(super) fn is_open(row: &ScanHostRow) -> bool {
    row.ended_at.is_none() && row.state != HostState::Done
}
