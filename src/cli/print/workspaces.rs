//! Workspaces as tables and facts.

use super::Style;
use super::list::at;
use super::table::{facts, table};
use crate::control::WorkspaceView;

fn told(count: Option<u64>) -> String {
    count.map_or_else(|| "-".to_owned(), |count| count.to_string())
}

pub(super) fn workspaces(list: &[WorkspaceView], style: &Style) -> String {
    let rows = list.iter().map(|w| {
        let default = w.default_credential.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        vec![w.name.to_string(), w.hosts.to_string(), told(w.credentials), w.grants.to_string(), told(w.live_sessions), default]
    });
    table(&["NAME", "HOSTS", "CREDENTIALS", "GRANTS", "LIVE", "DEFAULT CREDENTIAL"], rows.collect(), style)
}

pub(super) fn workspace(w: &WorkspaceView, style: &Style) -> String {
    let rows = vec![
        ("name", w.name.to_string()),
        ("hosts", w.hosts.to_string()),
        ("credentials", w.credentials.map(|n| n.to_string()).unwrap_or_default()),
        ("grants", w.grants.to_string()),
        ("live sessions", w.live_sessions.map(|n| n.to_string()).unwrap_or_default()),
        ("default", w.default_credential.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("added", w.created_at.map(at).unwrap_or_default()),
    ];
    facts(rows, style)
}
