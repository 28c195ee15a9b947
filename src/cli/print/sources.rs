//! Other people's vaults, as people read them.

use super::table::table;
use super::{Style, line};
use crate::control::{ReferenceView, SourceTestedView, SourceView};

/// The list of sources.
pub(super) fn sources(list: &[SourceView], style: &Style) -> String {
    let dash = |text: Option<&String>| text.cloned().unwrap_or_else(|| "-".to_owned());
    let rows = list
        .iter()
        .map(|s| vec![s.name.to_string(), s.kind.clone(), dash(s.place.as_ref()), s.paths.join(" "), dash(s.personal_paths.as_ref())]);
    table(&["NAME", "TYPE", "PLACE", "PATHS", "PERSONAL"], rows.collect(), style)
}

/// `web/root at corp, field password`.
pub(super) fn place(reference: &ReferenceView) -> String {
    let field = reference.field.as_ref().map(|field| format!(", field {field}")).unwrap_or_default();
    format!("{} at {}{field}", reference.path, reference.from)
}

/// What a test found.
pub(super) fn tested(v: &SourceTestedView) -> String {
    let what = match v.result.as_str() {
        "read" => "gave a secret, which was dropped unseen",
        "found" => "has its program; --path runs it",
        _ => "answers, and takes the broker's sign-in",
    };
    line(&format!("source {} {what} ({} ms)", v.name, v.took_ms))
}
