//! What is known of a host's vulnerabilities.

use serde::{Deserialize, Serialize};

/// Whether a host's packages could be looked up at all. "Nothing found" is only ever said where they could.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "coverage", rename_all = "snake_case")]
pub enum Coverage {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// They were, against this ecosystem: `Debian:12`.
    Covered {
        /// OSV's name of it.
        ecosystem: String,
        /// The newest `modified` in the archive: how old the knowledge is.
        as_of: Option<String>,
        /// Records of the archive that could not be read, whatever they are about: damaged, too large, not JSON.
        #[serde(default)]
        skipped: u64,
    },
    /// OSV has no data for this distribution or this release.
    Unsupported {
        /// What is not covered, and why.
        why: String,
    },
    /// It would be covered, but the archive is not there or could not be read.
    NoArchive {
        /// Which, and why.
        why: String,
    },
    /// The host's packages are not known.
    NoPackages {
        /// Why.
        why: String,
    },
}

/// How bad it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Severity {
    /// `none`, `low`, `medium`, `high`, `critical`; a distribution's own word where there is no vector.
    pub level: String,
    /// The base score, 0.0–10.0, if there is a vector.
    pub score: Option<f64>,
    /// The CVSS vector.
    pub vector: Option<String>,
}

/// A vulnerability that concerns an installed package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Advised {
    /// OSV's id: `DSA-5678-1`, `DEBIAN-CVE-2024-6387`, `RLSA-2024:4312`.
    pub id: String,
    /// Its other names: CVE numbers first.
    pub aliases: Vec<String>,
    /// In one sentence.
    pub summary: String,
    /// The source package.
    pub source: String,
    /// Its installed version.
    pub installed: String,
    /// The binary packages of it that are installed.
    pub packages: Vec<String>,
    /// The first version without it; `None`: none is known.
    pub fixed: Option<String>,
    /// How bad it is, where that is known.
    pub severity: Option<Severity>,
    /// When it was published (RFC 3339).
    pub published: Option<String>,
    /// Whether the run before knew it not.
    #[serde(default)]
    pub new: bool,
}
