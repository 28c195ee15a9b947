//! The policies that are built in. Texts, read anew each time; a test reads them all.

use super::Error;
use super::error::shown;

/// Name, file, text. `inventory` has no checks: facts are gathered by every scan.
const PROFILES: &[(&str, &str)] = &[
    ("ssh-hardening", include_str!("../../profiles/ssh-hardening.yml")),
    ("accounts", include_str!("../../profiles/accounts.yml")),
    ("updates", include_str!("../../profiles/updates.yml")),
    ("baseline", include_str!("../../profiles/baseline.yml")),
];

/// The profile without checks.
pub const INVENTORY: &str = "inventory";

/// The names, for hints and completions.
pub fn names() -> Vec<&'static str> {
    std::iter::once(INVENTORY).chain(PROFILES.iter().map(|(name, _)| *name)).collect()
}

/// The files of these profiles: name and text.
pub(super) fn files(names: &[String]) -> Result<Vec<(String, Vec<u8>)>, Error> {
    let wanted = names.iter().filter(|name| *name != INVENTORY);
    wanted
        .map(|name| {
            let found = PROFILES.iter().find(|(known, _)| known == name);
            found.map(|(name, text)| (format!("profile {name}"), text.as_bytes().to_vec())).ok_or_else(|| Error::NoProfile(shown(name)))
        })
        .collect()
}
