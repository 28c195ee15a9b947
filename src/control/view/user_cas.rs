//! Views of authorities whose certificates sign people in. Public halves only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::model::{Name, Role};

view! {
    /// An authority for people. `principals`: whose certificate one with this principal is; `null`: a principal is a person's name.
    /// `only`: people and groups; `null`: whoever has one of the roles. `revocations` are told by `user-ca show` alone.
    UserCaView {
        name: Name,
        fingerprint: String,
        public_key: String,
        principals: Option<BTreeMap<String, String>>,
        only: Option<Vec<String>>,
        roles: Vec<Role>,
        revoked: u64,
        revocations: Option<Vec<RevocationView>>,
        added_by: Name,
        added_at: Time,
    }
}

view! {
    /// Certificates that do not count any more: `kind` is serial, key-id or key.
    RevocationView {
        kind: String,
        what: String,
        revoked_by: Name,
        revoked_at: Time,
    }
}
