//! Tests of the room as a whole: policies of every construct, against answers as hosts give them. Asks no host but this machine's shell.

mod host;
mod outcomes;
mod places;
mod reading;

use super::{Checked, Policy, parse};
use crate::model::CheckState;
use crate::probes::{Answer, Answers, Status};

/// A policy of one check with these rules.
fn policy(condition: &str, rules: &[&str]) -> Policy {
    with("", condition, rules)
}

/// The same in PCRE2.
fn pcre(rules: &[&str]) -> Policy {
    with("  regex_type: pcre2\n", "all", rules)
}

fn with(head: &str, condition: &str, rules: &[&str]) -> Policy {
    let rules: String = rules.iter().map(|r| format!("      - '{}'\n", r.replace('\'', "''"))).collect();
    let text =
        format!("policy:\n  id: p\n  name: P\n{head}checks:\n  - id: 1\n    title: T\n    condition: {condition}\n    rules:\n{rules}");
    parse("p.yml", text.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

fn answers(of: &[(&str, Answer)]) -> Answers {
    of.iter().map(|(id, answer)| ((*id).to_owned(), answer.clone())).collect()
}

fn good(output: &str) -> Answer {
    Answer::ended(0, output)
}

fn ends(exit: i32) -> Answer {
    Answer::ended(exit, "")
}

fn timed_out(output: &str) -> Answer {
    Answer { status: Status::TimedOut, exit: None, ..good(output) }
}

fn cut(output: &str) -> Answer {
    Answer { cut: true, ..good(output) }
}

/// How the one check of a policy came out.
fn one(policy: &Policy, of: &[(&str, Answer)]) -> Checked {
    policy.evaluate(&answers(of)).remove(0)
}

fn state(rule: &str, of: &[(&str, Answer)]) -> CheckState {
    one(&policy("all", &[rule]), of).state
}
