//! Hosts whose accounts a test chooses: for credentials that are installed and rotated.

use std::path::Path;

use super::{Login, Plan, Proof, Target};
use crate::world::keys::Key;

/// What [`Target::with_password_of`] keeps of every password that its `chpasswd` was given, and of what could be seen meanwhile.
pub(crate) const SEEN: &str = "/root/seen";

impl Target {
    /// A Debian that lets `deploy` in with one key and `root` with another.
    #[track_caller]
    pub(crate) fn with_key_of(dir: &Path, deploy: &Key, root: &Key) -> Self {
        let mut plan = Plan::debian(dir);
        plan.keyed("deploy", "/bin/bash", deploy);
        plan.root_key(root);
        plan.start()
    }

    /// A Debian whose `root` and `admin` have this password; `admin` may use sudo with it. Its `chpasswd` keeps what it is given in
    /// [`SEEN`], and beside it every command line and environment of that moment, before it does what it is for.
    #[track_caller]
    pub(crate) fn with_password_of(dir: &Path, password: &str) -> Self {
        let mut plan = Plan::debian(dir);
        plan.account("admin", "/bin/bash", "*");
        for user in ["root", "admin"] {
            plan.sets_password(user, password);
            plan.logins.push(Login {
                user: user.to_owned(),
                proof: Proof::Password(password.to_owned()),
                sudo_password: Some(password.to_owned()),
            });
        }
        plan.layer.folder("/root", 0o700, 0);
        plan.layer.file("/etc/sudoers", 0o440, "Defaults logfile=/var/log/sudo.log\nroot ALL=(ALL:ALL) ALL\nadmin ALL=(ALL:ALL) ALL\n");
        plan.setup.push_str("mv /usr/sbin/chpasswd /usr/sbin/chpasswd.real\ncp /usr/local/lib/chpasswd /usr/sbin/chpasswd\n");
        plan.layer.file("/usr/local/lib/chpasswd", 0o755, CHPASSWD);
        plan.start()
    }
}

const CHPASSWD: &str = r#"#!/bin/sh
mkdir -p /root/seen
for p in /proc/[0-9]*; do cat "$p/cmdline" "$p/environ" 2>/dev/null; done >>/root/seen/processes
read -r line
printf '%s\n' "$line" >>/root/seen/given
printf '%s\n' "$line" | /usr/sbin/chpasswd.real -c SHA256 -s 1000
"#;
