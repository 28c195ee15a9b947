//! Views of what hangs on a credential or a workspace: read before something is taken away. Holds names and counts only.

use serde::{Deserialize, Serialize};

use crate::clock::Time;
use crate::model::{Name, SessionId};

view! {
    /// What a credential's deletion would take away. `question` is asked on a terminal; `None`: nothing hangs on it.
    UsesView {
        name: Name,
        default_on: Vec<Name>,
        workspace_default: bool,
        left_bare: Vec<Name>,
        live_sessions: Vec<SessionId>,
        question: Option<String>,
    }
}

view! {
    /// A workspace, with how much of it the caller may see.
    WorkspaceView {
        name: Name,
        hosts: u64,
        credentials: Option<u64>,
        grants: u64,
        live_sessions: Option<u64>,
        default_credential: Option<Name>,
        created_at: Option<Time>,
    }
}
