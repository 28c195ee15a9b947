//! Views of certificate authorities of hosts. Public keys only.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::model::Name;

view! {
    /// A certificate authority of hosts, with the number of hosts that it vouches for.
    HostCaView {
        name: Name,
        hosts: String,
        fingerprint: String,
        public_key: String,
        covers: usize,
        created_at: Time,
    }
}
