//! What an import would do, before it is done: for people, and as a question.

use super::table::table;
use super::{Style, json};
use crate::cli::fail::{Exit, Failure};
use crate::cli::import::{Plan, State};
use crate::control::{Agreed, Command, Data, KnownAuthorityAction, KnownHostAction, KnownHostsView, Reply};

/// What is to be done about a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// There is nothing to do, or only the plan was wanted.
    Settled,
    /// Somebody has to say so.
    Ask(String),
}

/// Whether a plan needs somebody's word.
pub fn agreement_on(reply: &Reply, style: &Style) -> Agreement {
    match &reply.data {
        // A program reads it, and asks for the rest with --yes.
        Data::KnownHosts(view) if !style.json => match view.changes() {
            _ if view.others() != (0, 0, 0) => view.in_words().map_or(Agreement::Settled, |words| Agreement::Ask(format!("{words}?"))),
            (0, _) => Agreement::Settled,
            (1, 0) => Agreement::Ask("pin this key?".to_owned()),
            (pins, 0) => Agreement::Ask(format!("pin these {pins} keys?")),
            (pins, added) => Agreement::Ask(format!("add {added} hosts, and pin {pins} keys in all?")),
        },
        _ => Agreement::Settled,
    }
}

/// The command once more, agreed to as it was shown.
pub fn agreed(command: Command, reply: &Reply) -> Option<Command> {
    match (command, &reply.data) {
        (Command::ImportKnownHosts { text, add_hosts, .. }, Data::KnownHosts(view)) => {
            Some(Command::ImportKnownHosts { text, add_hosts, agreed: Agreed::Plan(view.plan.clone()) })
        }
        _ => None,
    }
}

/// Nobody agreed.
pub fn unasked(what: &str) -> Failure {
    Failure::new(Exit::Failed, what, "to do what was shown without a question, say --yes; to only see it, --dry-run")
}

/// What becomes of each key.
pub(super) fn known_hosts(v: &KnownHostsView, style: &Style) -> String {
    let rows = v.steps.iter().map(|s| {
        let action = match s.action {
            KnownHostAction::Pin => {
                if v.applied {
                    "pinned now"
                } else {
                    "pin"
                }
            }
            KnownHostAction::Pinned => "is pinned",
            KnownHostAction::Conflict => "CONFLICT",
            KnownHostAction::Revoked => "revoked",
            KnownHostAction::Unpin if v.applied => "REVOKED, unpinned",
            KnownHostAction::Unpin => "REVOKED, unpin",
            KnownHostAction::NotTaken => "not taken",
        };
        let host = if s.added { format!("{} (new)", s.host) } else { s.host.to_string() };
        let why = s.why.clone().unwrap_or_default();
        vec![host, s.address.clone(), s.line.to_string(), s.kind.clone(), s.fingerprint.clone(), action.to_owned(), why]
    });
    let keys = table(&["HOST", "ADDRESS", "LINE", "TYPE", "FINGERPRINT", "WHAT", "WHY"], rows.collect(), style);
    let authorities = authorities(v, style);
    if keys.is_empty() || authorities.is_empty() { keys + &authorities } else { format!("{keys}\n{authorities}") }
}

/// What becomes of each certificate authority of hosts.
fn authorities(v: &KnownHostsView, style: &Style) -> String {
    let rows = v.authorities.iter().map(|a| {
        let action = match a.action {
            KnownAuthorityAction::Add if v.applied => "trusted now",
            KnownAuthorityAction::Add => "trust",
            KnownAuthorityAction::Known => "is trusted",
            KnownAuthorityAction::Conflict => "CONFLICT",
            KnownAuthorityAction::Revoked => "revoked",
            KnownAuthorityAction::Remove if v.applied => "REVOKED, removed",
            KnownAuthorityAction::Remove => "REVOKED, remove",
            KnownAuthorityAction::RevokedButTrusted => "REVOKED, TRUSTED",
            KnownAuthorityAction::NotTaken => "not taken",
        };
        let name = a.name.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let lines = a.lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let (covers, why) = (a.covers.to_string(), a.why.clone().unwrap_or_default());
        vec![name, a.hosts.clone(), covers, lines, a.kind.clone(), a.fingerprint.clone(), action.to_owned(), why]
    });
    table(&["HOST CA", "FOR", "COVERS", "LINE", "TYPE", "FINGERPRINT", "WHAT", "WHY"], rows.collect(), style)
}

/// The plan of `import ssh-config`.
pub(in crate::cli) fn plan(plan: &Plan, style: &Style) -> String {
    if style.json {
        return json::pretty(plan);
    }
    let hosts = plan.hosts.iter().map(|h| {
        let name = if h.name == h.alias { h.name.clone() } else { format!("{} ({})", h.name, h.alias) };
        let keys = match (h.host_keys.len(), h.state) {
            (0, State::Add) => "none".to_owned(),
            (0, _) => "-".to_owned(),
            (n, _) => n.to_string(),
        };
        let credential = h.credential.clone().unwrap_or_else(|| "-".to_owned());
        vec![
            name,
            h.address.clone(),
            h.user.clone(),
            keys,
            h.state.as_str().to_owned(),
            credential,
            h.attach.as_str().to_owned(),
            h.notes.join("; "),
        ]
    });
    let mut out = table(&["HOST", "ADDRESS", "USER", "HOST KEYS", "WHAT", "CREDENTIAL", "ATTACH", "NOTES"], hosts.collect(), style);
    let credentials = plan.credentials.iter().map(|c| {
        vec![
            c.name.clone(),
            plan.scope.clone(),
            c.username.clone(),
            c.file.clone(),
            c.state.as_str().to_owned(),
            c.why.clone().unwrap_or_default(),
        ]
    });
    let credentials = table(&["CREDENTIAL", "SCOPE", "USER", "KEY FILE", "WHAT", "WHY"], credentials.collect(), style);
    if !credentials.is_empty() {
        out.push('\n');
        out.push_str(&credentials);
    }
    out
}
