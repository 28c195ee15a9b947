//! What verbs of scans answer. Holds no answer of a host but what its report says.

use super::*;

view! {
    /// How a scan goes, since the last piece.
    ProgressView {
        id: ScanId,
        total: usize,
        done: usize,
        failed: usize,
        running: usize,
        elapsed_ms: u64,
        left_ms: Option<u64>,
        looking_up: bool,
        finished: Vec<FinishedView>,
    }
}

view! {
    /// A host that has its result.
    FinishedView {
        host: String,
        state: String,
        error: Option<String>,
        failed_checks: usize,
        took_ms: u64,
    }
}

view! {
    /// A scan that was run, shown or evaluated: its report was streamed. `outcome` is `clean`, `findings` or `incomplete`.
    ScannedView {
        id: ScanId,
        state: RunState,
        outcome: String,
    }
}

view! {
    /// `scan list`.
    ScanView {
        id: ScanId,
        state: RunState,
        profile: String,
        user: Name,
        selector: String,
        started_at: Time,
        ended_at: Option<Time>,
        hosts: BTreeMap<String, u64>,
        digest: String,
    }
}

view! {
    /// `scan run --dry-run`.
    ScanPlanView {
        profile: String,
        digest: String,
        parallel: usize,
        hosts: Vec<PlannedHostView>,
        policies: Vec<PlannedPolicyView>,
        frame: String,
        probes: Vec<PlannedProbeView>,
    }
}

view! {
    /// A host of a dry run; `skip` says why it would not be asked.
    PlannedHostView {
        name: Name,
        address: String,
        skip: Option<String>,
    }
}

view! {
    /// A policy of a dry run.
    PlannedPolicyView {
        id: String,
        name: String,
        sha256: String,
        checks: usize,
        warnings: Vec<String>,
    }
}

view! {
    /// A command of a dry run. `root`: `never`, `if_refused`, `needed`.
    PlannedProbeView {
        id: String,
        command: String,
        sha256: String,
        root: String,
        timeout_s: u32,
        cap: usize,
        read_only: bool,
    }
}

view! {
    /// `scan diff`.
    ScanDiffView {
        before: ScanId,
        after: ScanId,
        hosts: Vec<HostDiffView>,
    }
}

view! {
    /// What changed on a host.
    HostDiffView {
        name: String,
        note: Option<String>,
        changes: Vec<ChangeView>,
        checks: Vec<CheckChangeView>,
        vulnerabilities_new: Vec<String>,
        vulnerabilities_fixed: Vec<String>,
    }
}

view! {
    /// A fact that changed; without `before` it is new, without `after` it is gone.
    ChangeView {
        kind: String,
        name: String,
        before: Option<String>,
        after: Option<String>,
    }
}

view! {
    /// A check that came out otherwise.
    CheckChangeView {
        policy: String,
        id: String,
        title: String,
        before: String,
        after: String,
    }
}
