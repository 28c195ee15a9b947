//! What a caller gets to see of the files of a session: what the audit log says of them.

use serde::{Deserialize, Serialize};

use crate::clock::Time;

view! {
    /// An operation on a file. `sha256` is there where all of the content passed in order.
    FileView {
        seq: u64,
        at: Time,
        event: String,
        path: String,
        to: Option<String>,
        name: Option<String>,
        bytes: Option<u64>,
        sha256: Option<String>,
        outcome: String,
        reason: Option<String>,
    }
}
