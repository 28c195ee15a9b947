//! Why a scan is not begun, shown or compared.

use crate::audit;
use crate::checks;
use crate::custody;
use crate::fault::{Fault, Kind};
use crate::model::{ScanId, printable};
use crate::store;

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none, or it is somebody else's.
    #[error("there is no scan `{0}`")]
    NoSuch(ScanId),
    /// No host that the person may see is meant.
    #[error("no host matches `{0}`")]
    NoHost(String),
    /// The selector makes no sense.
    #[error("{0}")]
    Selector(String),
    /// There is no such profile.
    #[error("there is no profile `{0}`")]
    NoProfile(String),
    /// A policy cannot be read.
    #[error("{0}")]
    Policy(#[from] checks::PolicyError),
    /// More than is scanned at once.
    #[error("{what}: at most {most}")]
    Limit {
        /// Of what.
        what: String,
        /// How many.
        most: usize,
    },
    /// The digest is another than the one that was approved.
    #[error("the probes and policies have the digest {is}, not {said}: nothing was begun")]
    Digest {
        /// What they have.
        is: String,
        /// What was said.
        said: String,
    },
    /// It does not run, or runs.
    #[error("{0}")]
    State(String),
    /// Only some may name a folder of the broker's machine.
    #[error("only an owner or admin on the broker's own machine names a folder there")]
    Folder,
    /// Vulnerabilities were asked for, and no folder is named.
    #[error("there is no folder with OSV archives")]
    NoArchives,
    /// What is stored does not read back.
    #[error("stored results cannot be read: {0}")]
    Damaged(String),
    /// The report could not be written.
    #[error("the report could not be written: {0}")]
    Report(String),
    /// The witness could not write.
    #[error(transparent)]
    Audit(#[from] audit::Error),
    /// The ledger failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The vault or the rows.
    #[error(transparent)]
    Custody(#[from] custody::Error),
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NoSuch(_) | Self::NoHost(_) | Self::NoProfile(_) => Kind::NotFound,
            Self::Selector(_) | Self::Policy(_) | Self::NoArchives => Kind::Invalid,
            Self::Limit { .. } => Kind::Limit,
            Self::Digest { .. } | Self::State(_) => Kind::Conflict,
            Self::Folder => Kind::Forbidden,
            Self::Damaged(_) => Kind::Tampered,
            Self::Report(_) => Kind::Bug,
            Self::Audit(e) => e.kind(),
            Self::Store(e) => e.kind(),
            Self::Custody(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoSuch(_) => Some("see what there is: keyward scan list".to_owned()),
            Self::NoHost(_) => Some("see what there is: keyward host list; patterns go in quotes: --hosts 'web-*,tag:env=prod'".to_owned()),
            Self::Selector(_) => Some("write names, patterns or tags, with commas between: --hosts 'web-*,tag:env=prod'".to_owned()),
            Self::NoProfile(_) => Some(format!("there are: {}", super::profiles::names().join(", "))),
            Self::Policy(_) => Some("mend the file; docs/scans.md describes the grammar".to_owned()),
            Self::Limit { .. } => Some("choose fewer, or raise the limit in [scans] of broker.toml".to_owned()),
            Self::Digest { .. } => Some("look at what would run: keyward scan run … --dry-run".to_owned()),
            Self::State(_) => Some("see how it stands: keyward scan list".to_owned()),
            Self::Folder => Some("set `osv` in [scans] of broker.toml, then: keyward scan run … --osv default".to_owned()),
            Self::NoArchives => Some("name one: --osv DIR, or `osv` in [scans] of broker.toml".to_owned()),
            Self::Damaged(_) => Some("scan again".to_owned()),
            Self::Report(_) => None,
            Self::Audit(e) => e.hint(),
            Self::Store(e) => e.hint(),
            Self::Custody(e) => e.hint(),
        }
    }
}

/// A text of a stranger, in one line.
pub(super) fn shown(text: &str) -> String {
    printable(text, 120)
}
