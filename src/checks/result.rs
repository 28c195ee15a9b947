//! How a check came out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::CheckState;

/// A check and how it came out on one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Its id in its policy.
    pub id: String,
    /// The policy's id.
    pub policy: String,
    /// What it says.
    pub title: String,
    /// How it came out.
    pub state: CheckState,
    /// What would have passed: the rules, as they are written.
    pub expected: Option<String>,
    /// What was found instead; shortened.
    pub actual: Option<String>,
    /// Why it was not run or does not apply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What an earlier scan knew, where this one was not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_known: Option<CheckState>,
    /// Why it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rationale: Option<String>,
    /// What it looks at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remediation: Option<String>,
    /// Which requirements it stands for, by number: `cis` → `5.2.8`, `pci_dss` → `2.2.4`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub compliance: BTreeMap<String, Vec<String>>,
}
