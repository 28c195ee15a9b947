//! What a host's answers make of a policy: requirements first, then each check. Never says passed or failed where an answer that is not
//! there could have said otherwise.

use super::answer::{Verdict, judge};
use super::policy::{Check, Condition, Policy};
use super::result::Checked;
use super::rule::Rule;
use super::show::{SHOWN, short};
use crate::model::{CheckState, printable};
use crate::probes::Answers;

/// The longest `expected`, in characters.
const EXPECTED: usize = 1000;

/// How rules came out together.
struct Outcome {
    state: CheckState,
    expected: Option<String>,
    actual: Option<String>,
    reason: Option<String>,
}

impl Policy {
    /// How each check came out, in the order of the file.
    pub fn evaluate(&self, answers: &Answers) -> Vec<Checked> {
        let without = self.requirements.as_ref().and_then(|r| {
            let title = printable(&r.title, 160);
            match settle(r.condition, &r.rules, answers) {
                Outcome { state: CheckState::Passed, .. } => None,
                Outcome { state: CheckState::NotRun, reason, .. } => {
                    let why = reason.unwrap_or_default();
                    Some((CheckState::NotRun, format!("whether the policy applies is not known ({title}): {why}")))
                }
                Outcome { actual, reason, .. } => {
                    let why = actual.or(reason).unwrap_or_default();
                    Some((CheckState::NotApplicable, format!("the policy does not apply ({title}): {why}")))
                }
            }
        });
        self.checks
            .iter()
            .map(|check| {
                let outcome = match &without {
                    Some((state, why)) => Outcome { state: *state, expected: None, actual: None, reason: Some(short(why, SHOWN * 2)) },
                    None => settle(check.condition, &check.rules, answers),
                };
                self.checked(check, outcome)
            })
            .collect()
    }

    fn checked(&self, check: &Check, outcome: Outcome) -> Checked {
        let Outcome { state, expected, actual, reason } = outcome;
        Checked {
            id: check.id.clone(),
            policy: self.id.clone(),
            title: check.title.clone(),
            state,
            expected,
            actual: actual.map(|a| short(&a, SHOWN)),
            reason,
            last_known: None,
            rationale: check.rationale.clone(),
            description: check.description.clone(),
            remediation: check.remediation.clone(),
            compliance: check.compliance.clone(),
        }
    }
}

/// The rules as they are written.
fn written<'r>(before: &str, rules: impl Iterator<Item = &'r Rule>, between: &str) -> Option<String> {
    let texts: Vec<&str> = rules.map(|r| r.text.as_str()).collect();
    let all = texts.join(between);
    let before = if texts.len() > 1 || before.starts_with("none") { before } else { "" };
    Some(short(&format!("{before}{}", printable(&all, EXPECTED)), EXPECTED))
}

/// Takes rules together: in `all` a rule that is not met decides, in `any` and `none` one that is; then what is not known, then what does
/// not apply.
fn settle(condition: Condition, rules: &[Rule], answers: &Answers) -> Outcome {
    let verdicts: Vec<(&Rule, Verdict)> = rules.iter().map(|rule| (rule, judge(rule, answers))).collect();
    let all = || verdicts.iter().map(|(rule, _)| *rule);
    let first = |wanted: fn(&Verdict) -> Option<&String>| verdicts.iter().find_map(|(rule, v)| wanted(v).map(|e| (*rule, e.clone())));
    let met = first(|v| if let Verdict::Met(e) = v { Some(e) } else { None });
    let unmet = first(|v| if let Verdict::Unmet(e) = v { Some(e) } else { None });
    let unknown = first(|v| if let Verdict::Unknown(e) = v { Some(e) } else { None });
    let inapplicable = first(|v| if let Verdict::Inapplicable(e) = v { Some(e) } else { None });

    let decided = |state, expected, actual| Outcome { state, expected, actual: Some(actual), reason: None };
    let by_one = match condition {
        Condition::All => unmet.clone().map(|(rule, e)| decided(CheckState::Failed, written("", [rule].into_iter(), ""), e)),
        Condition::Any => met.clone().map(|(rule, e)| decided(CheckState::Passed, written("", [rule].into_iter(), ""), e)),
        Condition::None => met.clone().map(|(rule, e)| decided(CheckState::Failed, written("none of: ", [rule].into_iter(), ""), e)),
    };
    if let Some(outcome) = by_one {
        return outcome;
    }
    let left = |state, (rule, why): (&Rule, String)| {
        let reason = Some(short(&format!("{}: {why}", short(&printable(&rule.text, 160), 160)), SHOWN * 2));
        Outcome { state, expected: None, actual: None, reason }
    };
    if let Some(unknown) = unknown {
        return left(CheckState::NotRun, unknown);
    }
    if let Some(inapplicable) = inapplicable {
        return left(CheckState::NotApplicable, inapplicable);
    }
    let evidence = |found: Option<(&Rule, String)>| found.map(|(_, e)| e).unwrap_or_default();
    match condition {
        Condition::All => decided(CheckState::Passed, written("all of: ", all(), "; "), telling(&verdicts)),
        Condition::Any => decided(CheckState::Failed, written("one of: ", all(), "; "), evidence(unmet)),
        Condition::None => decided(CheckState::Passed, written("none of: ", all(), "; "), evidence(unmet)),
    }
}

/// What to show where every rule is met: of the last that found a line, since those before it tend to ask whether there is anything to
/// look at; else of the last that found anything, else of the last.
fn telling(verdicts: &[(&Rule, Verdict)]) -> String {
    let met = || verdicts.iter().rev().filter_map(|(rule, v)| if let Verdict::Met(e) = v { Some((*rule, e)) } else { None });
    let line = met().find(|(rule, _)| !rule.negated && rule.text.contains(" -> "));
    line.or_else(|| met().find(|(rule, _)| !rule.negated)).or_else(|| met().next()).map(|(_, e)| e.clone()).unwrap_or_default()
}
