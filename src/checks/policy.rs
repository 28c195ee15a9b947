//! A policy as plain values, each with its line in the file. Says nothing of any host.

use std::collections::BTreeMap;

use super::error::Warning;
use super::rule::Rule;

/// A policy that was read.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The file that it was read from, as it was named.
    pub file: String,
    /// The SHA-256 of the file's bytes, in 64 hexadecimal digits.
    pub sha256: String,
    /// The line of `policy:`.
    pub line: usize,
    /// Its id.
    pub id: String,
    /// What it calls itself.
    pub name: String,
    /// What it is for; may be empty.
    pub description: String,
    /// Where it comes from.
    pub references: Vec<String>,
    /// What has to be so for its checks to say anything.
    pub requirements: Option<Requirements>,
    /// Its checks, in the order of the file.
    pub checks: Vec<Check>,
    /// What is odd about it, by line.
    pub warnings: Vec<Warning>,
}

/// What has to be so for a policy to apply to a host.
#[derive(Clone, Debug)]
pub struct Requirements {
    /// The line of `requirements:`.
    pub line: usize,
    /// What they say.
    pub title: String,
    /// What they are for; may be empty.
    pub description: String,
    /// How the rules are taken together.
    pub condition: Condition,
    /// The rules; at least one.
    pub rules: Vec<Rule>,
}

/// One check.
#[derive(Clone, Debug)]
pub struct Check {
    /// The line of its id.
    pub line: usize,
    /// Its id, which no other check of the policy has.
    pub id: String,
    /// What it says.
    pub title: String,
    /// What it looks at.
    pub description: Option<String>,
    /// Why it matters.
    pub rationale: Option<String>,
    /// What to do.
    pub remediation: Option<String>,
    /// What doing that brings with it.
    pub impact: Option<String>,
    /// Where to read more.
    pub references: Vec<String>,
    /// Which requirements of which catalogues it stands for.
    pub compliance: BTreeMap<String, Vec<String>>,
    /// How the rules are taken together.
    pub condition: Condition,
    /// The rules; at least one.
    pub rules: Vec<Rule>,
}

/// How rules are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Each has to be met.
    All,
    /// One has to be.
    Any,
    /// None may be.
    None,
}

impl Policy {
    /// All rules, those of the requirements first.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.requirements.iter().flat_map(|r| &r.rules).chain(self.checks.iter().flat_map(|c| &c.rules))
    }
}
