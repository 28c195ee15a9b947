//! `status` of a daemon whose vault is sealed.

use super::Style;
use super::detail::uptime;
use super::table::facts;
use crate::control::{SealedView, Wants};

pub(super) fn status(v: &SealedView, style: &Style) -> String {
    let wants = match v.wants {
        Wants::Passphrase => "keyward unseal asks for the passphrase",
        Wants::NewPassphrase => "keyward unseal asks for a new passphrase",
        Wants::Nothing => "keyward unseal reads the source again",
    };
    let rows = vec![
        ("version", v.version.clone()),
        ("up", uptime(v.uptime_s)),
        ("listening", v.listen.clone()),
        ("host keys", v.host_keys.join("\n")),
        ("vault", v.vault.clone()),
        ("root key", v.source.clone()),
        ("to do", style.calling.pastable(wants)),
        ("failed", if v.failed_tries > 0 { v.failed_tries.to_string() } else { String::new() }),
        ("last error", v.last_error.clone().unwrap_or_default()),
    ];
    facts(rows, style)
}
