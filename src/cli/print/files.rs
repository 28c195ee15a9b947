//! The files of a session as a table.

use super::list::{at, bytes};
use super::table::table;
use super::{Style, line};
use crate::control::SessionView;

/// How much of a digest tells two contents apart at a glance.
const DIGEST: usize = 16;

/// What was seen of them; nothing for a session without.
pub(super) fn files(session: &SessionView, style: &Style) -> String {
    if session.files.is_empty() {
        return String::new();
    }
    let rows = session.files.iter().map(|file| {
        let mut path = file.path.clone();
        if let Some(name) = &file.name {
            path = format!("{path}: {name}");
        }
        if let Some(to) = &file.to {
            path = format!("{path} -> {to}");
        }
        let digest = file.sha256.as_deref().unwrap_or("-");
        let outcome = match (&file.reason, file.outcome.as_str()) {
            (Some(reason), _) => reason.clone(),
            (None, "success") => "done".to_owned(),
            (None, other) => other.to_owned(),
        };
        vec![
            at(file.at),
            file.event.clone(),
            path,
            file.bytes.map_or_else(|| "-".to_owned(), bytes),
            digest.chars().take(DIGEST).collect(),
            outcome,
        ]
    });
    let mut out = format!("\n{}", table(&["AT", "EVENT", "PATH", "BYTES", "SHA-256", "OUTCOME"], rows.collect(), style));
    let shown = u64::try_from(session.files.len()).unwrap_or(u64::MAX);
    if let Some(all) = session.files_recorded.filter(|all| *all > shown) {
        out.push_str(&line(&format!("the newest {shown} of {all}; all of them: keyward audit export --format jsonl")));
    }
    out
}
