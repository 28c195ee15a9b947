//! The vault's keys, as people read them.

use super::Style;
use super::list::at;
use super::table::facts;
use crate::control::VaultView;

/// `vault status`.
pub(super) fn stand(v: &VaultView, style: &Style) -> String {
    let since = |time: Option<crate::clock::Time>| time.map_or_else(|| "age unknown".to_owned(), |t| format!("since {}", at(t)));
    let keys: Vec<String> = v.keys.iter().map(|k| format!("{} version {}, {}", k.workspace, k.version, since(k.made_at))).collect();
    let former: Vec<String> = v
        .former_roots
        .iter()
        .map(|r| {
            let until = r.retired_at.map_or_else(String::new, |t| format!(" until {}", at(t)));
            format!("{}{until}, {}", r.id, if r.destroyed { "destroyed" } else { "kept" })
        })
        .collect();
    let people = match v.people.count {
        0 => "nobody has one".to_owned(),
        count => format!("{count}, oldest {}", since(v.people.oldest_made_at)),
    };
    let anchor = v
        .anchor
        .as_ref()
        .map_or_else(|| "none yet".to_owned(), |a| format!("epoch {}, audit entry {}, {} ({})", a.epoch, a.seq, at(a.at), a.path));
    let pending = match v.pending_shreds.count {
        0 => "nothing waits".to_owned(),
        1 => format!("shred pending: 1 deletion may still lie in the write-ahead log, {}", since(v.pending_shreds.since)),
        count => {
            format!("shred pending: {count} deletions may still lie in the write-ahead log, the oldest {}", since(v.pending_shreds.since))
        }
    };
    let rows = vec![
        ("root key", format!("{}, {}", v.root.id, since(v.root.made_at))),
        ("its file", v.root.path.clone()),
        ("former", former.join("\n")),
        ("workspaces' keys", keys.join("\n")),
        ("persons' keys", people),
        ("rotation", if v.half_done { "cut off: keyward vault rotate goes on" } else { "none under way" }.to_owned()),
        ("epoch", v.epoch.to_string()),
        ("anchor", anchor),
        ("erasure", pending),
    ];
    facts(rows, style)
}
