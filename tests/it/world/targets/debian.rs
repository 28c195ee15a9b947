//! A plain Debian: what a scan sees on a host that hides nothing.

use std::path::Path;

use super::{Plan, Target};

impl Target {
    /// Debian 12 with its own accounts, packages, processes and network. `root` signs in with a key, `visitor` (no rights) with
    /// another, `clerk` (no rights) with a password.
    #[track_caller]
    pub(crate) fn debian(dir: &Path) -> Self {
        let mut plan = Plan::debian(dir);
        let (root, visitor) = (plan.key("root_key"), plan.key("visitor_key"));
        plan.root_key(&root);
        plan.keyed("visitor", "/bin/bash", &visitor);
        plan.with_password("clerk", "/bin/sh");
        plan.start()
    }
}
