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
        /// Certificate authorities of hosts that the file names, or revokes.
        authorities: Vec<KnownAuthorityStep>,
        /// Lines that revoke keys by which nothing is known here: there is nothing to do for them.
        revoked: Vec<usize>,
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
    /// A certificate authority of hosts. One that is added vouches for `covers` hosts then, by the list `hosts`.
    KnownAuthorityStep {
        lines: Vec<usize>,
        name: Option<Name>,
        hosts: String,
        covers: usize,
        #[serde(rename = "type")]
        kind: String,
        fingerprint: String,
        action: KnownAuthorityAction,
        why: Option<String>,
    }
}

/// What becomes of an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownAuthorityAction {
    /// It is trusted now as a host CA, or would be.
    Add,
    /// It was trusted already, for the same hosts.
    Known,
    /// It is trusted already, for other hosts: nothing is changed.
    Conflict,
    /// The file says that it must not be accepted; it is not trusted.
    Revoked,
    /// The file revokes it for every host that it vouches for: it is trusted no more, or would be.
    Remove,
    /// The file revokes it for some hosts, or it vouches for none: nothing is changed.
    RevokedButTrusted,
    /// It cannot be taken.
    NotTaken,
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
    /// The file says that it must not be accepted, and it was pinned: it is not any more, or would not be.
    Unpin,
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
            Self::Unpin => "unpin",
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

    /// How many keys are to be pinned no more, how many authorities to be trusted, and how many to be trusted no more.
    pub fn others(&self) -> (usize, usize, usize) {
        let of = |action| self.authorities.iter().filter(|a| a.action == action).count();
        let unpinned = self.steps.iter().filter(|s| s.action == KnownHostAction::Unpin).count();
        (unpinned, of(KnownAuthorityAction::Add), of(KnownAuthorityAction::Remove))
    }

    /// What is to be done, in words; `None`: nothing.
    pub fn in_words(&self) -> Option<String> {
        let count = |n: usize, one: &str, many: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {many}") };
        let ((pins, added), (unpinned, trusted, removed)) = (self.changes(), self.others());
        let said = [
            (added, format!("add {}", count(added, "host", "hosts"))),
            (pins, format!("pin {}", count(pins, "key", "keys"))),
            (unpinned, format!("take away {} that the file revokes", count(unpinned, "pin", "pins"))),
            (trusted, format!("trust {}", count(trusted, "host CA", "host CAs"))),
            (removed, format!("trust {} no more", count(removed, "host CA", "host CAs"))),
        ];
        let said: Vec<String> = said.into_iter().filter(|(n, _)| *n > 0).map(|(_, said)| said).collect();
        (!said.is_empty()).then(|| said.join(", "))
    }
}
