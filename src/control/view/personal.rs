//! What verbs about sealed personal credentials answer. A recovery code stands in an answer once, and nowhere else.

use super::*;

view! {
    /// A scope that was sealed, or a slot that was added. `code` is there once, when it was made.
    SealedScopeView {
        slots: Vec<SlotView>,
        recovery_code: Option<String>,
    }
}

view! {
    /// A slot of a sealed scope.
    SlotView {
        id: SlotId,
        kind: String,
        fingerprint: Option<String>,
        created_at: Time,
    }
}

view! {
    /// What was locked. `scope` is `personal` or `everybody`; `locked` is how many scopes were open and are so no more, and `locked_at`
    /// when, if any was; `personal` is how the caller's own scope is now, as in `status`.
    LockedView {
        scope: String,
        locked: u64,
        locked_at: Option<Time>,
        personal: String,
    }
}
