//! What a file of known hosts would change, or has changed.

use serde::{Deserialize, Serialize};

use crate::model::Name;

view! {
    /// `import known-hosts`. `plan` stands for exactly these steps; it is what is agreed to.
    KnownHostsView {
        /// Lines that hold a key.
        lines: usize,
        steps: Vec<KnownHostStep>,
        /// Lines about hosts that are not known here, and are not added.
        unknown: usize,
        /// How many of them have a hashed name.
        unknown_hashed: usize,
        /// Lines of certificate authorities, which are not taken over.
        authorities: Vec<usize>,
        unread: Vec<UnreadLine>,
        plan: String,
        applied: bool,
    }
}

view! {
    /// A key of a host.
    KnownHostStep {
        host: Name,
        address: String,
        /// The host would be added, or was.
        added: bool,
        line: usize,
        #[serde(rename = "type")]
        kind: String,
        fingerprint: String,
        action: KnownHostAction,
        why: Option<String>,
    }
}

view! {
    /// A line that is not understood.
    UnreadLine {
        line: usize,
        what: String,
    }
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownHostAction {
    /// It is pinned now, or would be.
    Pin,
    /// It was pinned already.
    Pinned,
    /// Another key of its type is pinned, or the file has two: nothing is changed.
    Conflict,
    /// The file says that it must not be accepted; it is not pinned.
    Revoked,
    /// The file says that it must not be accepted, and it is pinned here.
    RevokedButPinned,
    /// A key that no host is trusted by: too short, or of a type that is not taken.
    NotTaken,
}

impl KnownHostAction {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pin => "pin",
            Self::Pinned => "pinned",
            Self::Conflict => "conflict",
            Self::Revoked => "revoked",
            Self::RevokedButPinned => "revoked_but_pinned",
            Self::NotTaken => "not_taken",
        }
    }
}

impl KnownHostsView {
    /// How many keys are to be pinned, and how many hosts to be added for them.
    pub fn changes(&self) -> (usize, usize) {
        let pins = self.steps.iter().filter(|s| s.action == KnownHostAction::Pin);
        let added: std::collections::BTreeSet<&Name> = pins.clone().filter(|s| s.added).map(|s| &s.host).collect();
        (pins.count(), added.len())
    }
}
