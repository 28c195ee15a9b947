//! One run of a scan as a value: what every format is made of, and, serialised, the JSON of `scan show`.

use serde::{Deserialize, Serialize};

use crate::advisories::{Advised, Coverage};
use crate::checks::Checked;
use crate::facts::Facts;
use crate::model::{HostState, Name, RunState, ScanId};

/// The version of the JSON, described in `docs/scan-schema.json`.
pub const SCHEMA: &str = "keyward-scan/1";

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// [`SCHEMA`].
    pub schema: String,
    /// Its id.
    pub id: ScanId,
    /// How it stands.
    pub state: RunState,
    /// The profile, or the names of the policies.
    pub profile: String,
    /// Which hosts were meant, as it was written.
    pub selector: String,
    /// Who started it.
    pub user: Name,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339; `None`: it runs.
    pub ended_at: Option<String>,
    /// The SHA-256 of all that was asked: what the person approved by starting it.
    pub digest: String,
    /// The policies, in their order.
    pub policies: Vec<PolicyUsed>,
    /// One row per host, by name.
    pub hosts: Vec<HostReport>,
}

/// A policy that was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyUsed {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The SHA-256 of its file.
    pub sha256: String,
    /// How many checks it has.
    pub checks: usize,
}

/// A host in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostReport {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// How it stands.
    pub state: HostState,
    /// Why it is not `done`.
    pub error: Option<String>,
    /// What else is worth knowing: "sudo is missing: 4 probes that need root were not run".
    pub warnings: Vec<String>,
    /// How long it took, in milliseconds.
    pub took_ms: Option<u64>,
    /// `user`, `root`, `sudo`: as whom the probes ran.
    pub ran_as: Option<String>,
    /// What is known of it.
    pub facts: Option<Facts>,
    /// How many packages it has, where the facts were left out but for what is missing of them.
    #[serde(skip)]
    pub packages: Option<usize>,
    /// What the policies say.
    pub checks: Vec<Checked>,
    /// Whether vulnerabilities could be looked up.
    pub vulnerability_coverage: Coverage,
    /// Those found.
    pub vulnerabilities: Vec<Advised>,
    /// Those that the run before had and this one has not: ids with the package, `DSA-5678-1 openssh`.
    pub vulnerabilities_fixed: Vec<String>,
    /// Each probe: how it came out.
    pub probes: Vec<Asked>,
}

/// A probe and how it came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Its id.
    pub id: String,
    /// `ended`, `timed_out`, `broken`, `not_run`.
    pub status: String,
    /// Why it was not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its exit status.
    pub exit: Option<i32>,
    /// Bytes of the answer that were kept.
    pub bytes: usize,
    /// Whether it answered more than that.
    pub cut: bool,
    /// Whether it ran as root.
    pub as_root: bool,
    /// How long it took.
    pub took_ms: u64,
}
