//! From the answers of a host to its report: facts, checks, what was known before; and the form in which all of it is kept. What hosts
//! wrote passes the masking of secrets first.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::Error;
use super::asking::Answered;
use super::pack::{pack, pack_json};
use crate::advisories::Coverage;
use crate::audit::hex;
use crate::checks::{Checked, Policy};
use crate::facts;
use crate::masking::Masker;
use crate::model::{CheckState, HostState};
use crate::probes::{Answer, Answers, NEEDS_ROOT, Status};
use crate::report::{Asked, HostReport};
use crate::store::scans::Text;

/// An answer as it is kept: its text lies elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptAnswer {
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    exit: Option<i32>,
    cut: bool,
    as_root: bool,
    took_ms: u64,
    /// The SHA-256 of the text; `None`: there is none.
    pub(super) text: Option<String>,
}

/// What checks were known to say, by policy and id.
pub(super) type Known = BTreeMap<(String, String), CheckState>;

/// A host's result, ready to be kept.
pub(super) struct HostResult {
    pub(super) report: HostReport,
    pub(super) facts_sha256: Option<[u8; 32]>,
    pub(super) answers: Vec<u8>,
    pub(super) texts: Vec<Text>,
}

fn sha256(bytes: &[u8]) -> Result<[u8; 32], Error> {
    digest(&SHA256, bytes).as_ref().try_into().map_err(|_| Error::Damaged("a digest".to_owned()))
}

/// What a host wrote, without what looks like a secret.
fn masked(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut masker = Masker::new();
    masker.feed(bytes, &mut out);
    masker.finish(&mut out);
    out
}

fn masked_text(text: String) -> String {
    String::from_utf8_lossy(&masked(text.as_bytes())).into_owned()
}

/// The words for how a probe came out.
fn words(status: &Status) -> (&'static str, Option<String>) {
    match status {
        Status::Ended => ("ended", None),
        Status::TimedOut => ("timed_out", None),
        Status::Broken => ("broken", None),
        Status::NotRun(why) => ("not_run", Some(why.clone())),
    }
}

/// An empty row for a host that was not asked.
pub(super) fn untouched(name: &str, address: &str, state: HostState, error: Option<String>) -> HostReport {
    HostReport {
        name: name.to_owned(),
        address: address.to_owned(),
        state,
        error,
        warnings: Vec::new(),
        took_ms: None,
        ran_as: None,
        facts: None,
        packages: None,
        checks: Vec::new(),
        vulnerability_coverage: Coverage::NotAsked,
        vulnerabilities: Vec::new(),
        vulnerabilities_fixed: Vec::new(),
        probes: Vec::new(),
    }
}

/// What the answers of a host come to.
pub(super) fn judge(
    name: &str,
    address: &str,
    answered: Answered,
    took_ms: u64,
    policies: &[Policy],
    known: &Known,
) -> Result<HostResult, Error> {
    let Answered { mut answers, ran_as, warnings, no_shell, broke, ended, .. } = answered;
    let (no_shell, broke) = (no_shell.map(masked_text), broke.map(masked_text));
    for answer in answers.values_mut() {
        answer.output = masked(&answer.output);
        // Why something was not asked may be told in the host's words.
        if let Status::NotRun(why) = &mut answer.status {
            *why = masked_text(std::mem::take(why));
        }
    }
    let said = answers.values().any(|a| !a.output.is_empty());
    let (state, error) = match (no_shell, broke) {
        (Some(why), _) => (HostState::Refused, Some(why)),
        (None, Some(why)) if !said && ended => (HostState::Skipped, Some(why)),
        (None, Some(why)) if !said => (HostState::Unreachable, Some(why)),
        (None, Some(why)) => (HostState::Partial, Some(why)),
        (None, None) if !said => (HostState::Refused, Some("it answers every question with nothing".to_owned())),
        (None, None) => match answers.values().filter(|a| !whole(a)).count() {
            0 => (HostState::Done, None),
            some => (HostState::Partial, Some(format!("{some} of {} probes were not answered in full", answers.len()))),
        },
    };
    let mut report = untouched(name, address, state, error);
    report.warnings = warnings.into_iter().map(masked_text).collect();
    report.took_ms = Some(took_ms);
    report.ran_as = Some(ran_as.as_str().to_owned());
    report.probes = answers.iter().map(|(id, answer)| asked(id, answer)).collect();
    report.checks = policies.iter().flat_map(|policy| checked(policy, &answers, known)).collect();
    let facts = said.then(|| facts::gather(&answers));
    let facts_text = facts.map(|facts| serde_json::to_vec(&facts).map_err(|e| Error::Damaged(e.to_string()))).transpose()?;
    let mut texts: BTreeMap<[u8; 32], Vec<u8>> = BTreeMap::new();
    let mut facts_sha256 = None;
    if let Some(text) = facts_text {
        let sha = sha256(&text)?;
        facts_sha256 = Some(sha);
        texts.insert(sha, text);
    }
    let mut kept: BTreeMap<String, KeptAnswer> = BTreeMap::new();
    for (id, answer) in answers {
        let (status, reason) = words(&answer.status);
        let mut text = None;
        if !answer.output.is_empty() {
            let sha = sha256(&answer.output)?;
            text = Some(hex(&sha));
            texts.insert(sha, answer.output);
        }
        let (exit, cut, as_root, took_ms) = (answer.exit, answer.cut, answer.as_root, answer.took_ms);
        kept.insert(id, KeptAnswer { status: status.to_owned(), reason, exit, cut, as_root, took_ms, text });
    }
    let texts = texts.into_iter().map(|(sha256, text)| Text { sha256, packed: pack(&text) }).collect();
    Ok(HostResult { report, facts_sha256, answers: pack_json(&kept)?, texts })
}

/// Whether a probe was answered as well as it could be.
fn whole(answer: &Answer) -> bool {
    answer.status == Status::Ended && !answer.cut && answer.exit != Some(NEEDS_ROOT)
}

fn asked(id: &str, answer: &Answer) -> Asked {
    let (status, reason) = words(&answer.status);
    Asked {
        id: id.to_owned(),
        status: status.to_owned(),
        reason,
        exit: answer.exit,
        bytes: answer.output.len(),
        cut: answer.cut,
        as_root: answer.as_root,
        took_ms: answer.took_ms,
    }
}

/// A policy's checks; one that was not run says what was known before.
pub(super) fn checked(policy: &Policy, answers: &Answers, known: &Known) -> Vec<Checked> {
    let mut checks = policy.evaluate(answers);
    for check in checks.iter_mut().filter(|c| c.state == CheckState::NotRun) {
        check.last_known = known.get(&(check.policy.clone(), check.id.clone())).copied();
    }
    checks
}

/// What an earlier report knew.
pub(super) fn known(report: &HostReport) -> Known {
    let state = |c: &Checked| if c.state == CheckState::NotRun { c.last_known } else { Some(c.state) };
    report.checks.iter().filter_map(|c| Some(((c.policy.clone(), c.id.clone()), state(c)?))).collect()
}

/// Kept answers as answers, with their texts.
pub(super) fn answers(kept: BTreeMap<String, KeptAnswer>, text: impl Fn(&str) -> Result<Vec<u8>, Error>) -> Result<Answers, Error> {
    kept.into_iter()
        .map(|(id, k)| {
            let status = match k.status.as_str() {
                "ended" => Status::Ended,
                "timed_out" => Status::TimedOut,
                "broken" => Status::Broken,
                _ => Status::NotRun(k.reason.unwrap_or_default()),
            };
            let output = k.text.map_or(Ok(Vec::new()), |sha| text(&sha))?;
            Ok((id, Answer { status, exit: k.exit, output, cut: k.cut, as_root: k.as_root, took_ms: k.took_ms }))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::asking::RanAs;
    use super::super::pack::unpack;
    use super::*;

    /// What a host says instead of answering is the host's word, too: it may repeat what it was told, or hold a secret of its own.
    #[test]
    fn what_looks_like_a_secret_is_kept_in_no_reason() {
        let token = format!("ghp_{}", "a1B2".repeat(9));
        let why = format!("no shell answers for this account; it says: TOKEN={token}");
        for (no_shell, broke) in [(Some(why.clone()), None), (None, Some(why.clone())), (None, None)] {
            let answered = Answered {
                answers: Answers::from([
                    ("f:/a".to_owned(), Answer::ended(0, format!("export TOKEN={token}\n"))),
                    ("c:b".to_owned(), Answer::not_run(format!("needs root: {why}"))),
                ]),
                ran_as: RanAs::User,
                warnings: vec![format!("1 probes need root: {why}")],
                no_shell,
                broke,
                unopened: false,
                ended: false,
            };
            let judged = judge("web-1", "192.0.2.1:22", answered, 1, &[], &Known::new()).unwrap();
            let mut kept = serde_json::to_string(&judged.report).unwrap();
            kept += &String::from_utf8(unpack(&judged.answers).unwrap()).unwrap();
            for text in &judged.texts {
                kept += &String::from_utf8_lossy(&unpack(&text.packed).unwrap());
            }
            assert!(kept.contains("[masked: ") && !kept.contains(&token), "{kept}");
        }
    }
}
