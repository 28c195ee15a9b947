//! Certificate authorities as people read them: what is pasted stands in lines of its own.

use super::list::{at, joined};
use super::table::facts;
use super::{Style, line};
use crate::control::{AuthorityView, TrustLinesView};
use crate::model::printable;

/// `ca show`.
pub(super) fn authority(v: &AuthorityView, style: &Style) -> String {
    let mut out = String::new();
    for key in &v.keys {
        let rows = vec![
            ("stage", key.stage.clone()),
            ("type", key.kind.trim_start_matches("key:").to_owned()),
            ("fingerprint", key.fingerprint.clone()),
            ("created", at(key.created_at)),
        ];
        out.push_str(&facts(rows, style));
        out.push('\n');
    }
    let credentials = if v.credentials.is_empty() { "none".to_owned() } else { joined(&v.credentials) };
    out.push_str(&facts(vec![("credentials", credentials)], style));
    let file = v.sshd_config.first().and_then(|l| l.split(' ').nth(1)).unwrap_or_default();
    out.push_str(&format!("\n{}", line(&format!("On each host, in {file}:"))));
    for key in &v.keys {
        out.push_str(&line(&key.public_key));
    }
    out.push_str("\nand in /etc/ssh/sshd_config:\n");
    for entry in &v.sshd_config {
        out.push_str(&line(entry));
    }
    out
}

/// Before `ca retire` and `ca remove`: what is there.
pub(super) fn question(v: &AuthorityView) -> String {
    let keys = v.keys.iter().map(|key| format!("{} {}", key.stage, key.fingerprint)).collect::<Vec<_>>().join(", ");
    let credentials =
        if v.credentials.is_empty() { "no credential stands".to_owned() } else { format!("{} stand", joined(&v.credentials)) };
    printable(
        &format!("the certificate authority has the keys: {keys}; {credentials} on it. What is deleted signs nothing any more. Go on?"),
        2000,
    )
}

/// `ca public-key`.
pub(super) fn trust_lines(v: &TrustLinesView) -> String {
    v.lines.iter().map(|l| line(l)).collect()
}
