//! Authorities for people as tables and facts.

use super::Style;
use super::list::{at, joined};
use super::table::{facts, table};
use crate::control::UserCaView;

fn who(v: &UserCaView) -> String {
    v.only.as_ref().map_or_else(|| "*".to_owned(), |only| only.join(" "))
}

pub(super) fn list(list: &[UserCaView], style: &Style) -> String {
    let rows = list.iter().map(|v| {
        let mapped = v.principals.as_ref().map_or_else(|| "names".to_owned(), |m| format!("{} mapped", m.len()));
        vec![v.name.to_string(), v.fingerprint.clone(), mapped, who(v), joined(&v.roles), v.revoked.to_string()]
    });
    table(&["NAME", "FINGERPRINT", "PRINCIPALS", "ONLY", "ROLES", "REVOKED"], rows.collect(), style)
}

pub(super) fn one(v: &UserCaView, style: &Style) -> String {
    let mapped = v.principals.as_ref().map_or_else(
        || "names of people".to_owned(),
        |m| m.iter().map(|(principal, person)| format!("{principal} = {person}")).collect::<Vec<_>>().join("\n"),
    );
    let revoked = v.revocations.as_ref().map_or_else(
        || v.revoked.to_string(),
        |rows| {
            let told = rows.iter().map(|r| format!("{} {} ({}, {})", r.kind, r.what, at(r.revoked_at), r.revoked_by));
            told.collect::<Vec<_>>().join("\n")
        },
    );
    let rows = vec![
        ("name", v.name.to_string()),
        ("fingerprint", v.fingerprint.clone()),
        ("public key", v.public_key.clone()),
        ("principals", mapped),
        ("only", who(v)),
        ("roles", joined(&v.roles)),
        ("revoked", revoked),
        ("added", format!("{} by {}", at(v.added_at), v.added_by)),
    ];
    facts(rows, style)
}
