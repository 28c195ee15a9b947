//! The words of scans: how a run, a host in it, and a check came out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::printable;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal: $($(#[$vdoc:meta])* $variant:ident $word:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word of the contract.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|w| w.as_str() == text).ok_or_else(|| format!("`{}` is no {}", printable(text, 40), $what))
            }
        }
    };
}

pub(super) use words;

words! {
    /// How a run of a scan stands.
    RunState, "state of a scan":
    /// It runs.
    Running "running",
    /// Every host has its row.
    Done "done",
    /// A person ended it.
    Cancelled "cancelled",
    /// The broker stopped in the middle, or a result could not be kept.
    Interrupted "interrupted",
}

words! {
    /// How a host in a scan stands.
    HostState, "state of a host in a scan":
    /// Its turn has not come.
    Waiting "waiting",
    /// It is being scanned.
    Running "running",
    /// Every probe was answered.
    Done "done",
    /// Some probes were.
    Partial "partial",
    /// It could not be reached, or broke off before it answered anything.
    Unreachable "unreachable",
    /// It took the credential not, or runs no command.
    Refused "refused",
    /// It was not tried: the reason is said.
    Skipped "skipped",
}

words! {
    /// How a check came out.
    CheckState, "state of a check":
    /// As it should be.
    Passed "passed",
    /// Not as it should be.
    Failed "failed",
    /// It says nothing about this host.
    NotApplicable "not_applicable",
    /// What it needs was not answered.
    NotRun "not_run",
}

/// What a person approved for one host by starting a scan. The connection takes it only when it is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeAct {
    /// The scan.
    pub scan: super::ScanId,
    /// The host.
    pub host: super::HostId,
    /// SHA-256 of the probes and policies, as hexadecimal digits.
    pub digest: String,
}
