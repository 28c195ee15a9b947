//! One host with an account for each login shell, with or without start files that talk.

use std::path::Path;

use super::{Plan, Target};

/// The accounts by their login shells. The first five are POSIX; `tcsh` and `fish` are not; `rbash` changes no PATH and no folder.
pub(crate) const SHELLS: [(&str, &str); 9] = [
    ("dash", "/bin/dash"),
    ("bash", "/bin/bash"),
    ("ash", "/usr/local/bin/ash"),
    ("ksh93", "/bin/ksh93"),
    ("mksh", "/bin/mksh"),
    ("tcsh", "/bin/tcsh"),
    ("fish", "/usr/bin/fish"),
    ("rbash", "/bin/rbash"),
    ("nologin", "/usr/sbin/nologin"),
];

/// What the start files of a noisy host print on standard output before anything else.
pub(crate) const NOISE: &str = "*** Authorised use only! ***";
/// What bash prints there when it ends.
pub(crate) const BYE: &str = "*** Bye ***";

impl Target {
    /// A host with quiet accounts, all with one key.
    #[track_caller]
    pub(crate) fn shells(dir: &Path) -> Self {
        of_shells(dir, false)
    }

    /// The same, and every session gets [`NOISE`] on its standard output: from `~/.ssh/rc`, and once more from what bash, tcsh and
    /// fish read also when nobody sits before them. Half a line stands right before the answer. bash says [`BYE`] at its end.
    #[track_caller]
    pub(crate) fn noisy(dir: &Path) -> Self {
        of_shells(dir, true)
    }
}

#[track_caller]
fn of_shells(dir: &Path, noisy: bool) -> Target {
    let mut plan = Plan::debian(dir);
    let key = plan.key("key");
    // Busybox is ash when it is called so.
    plan.setup.push_str("ln -s /bin/busybox /usr/local/bin/ash\n");
    for (user, shell) in SHELLS {
        let uid = plan.keyed(user, shell, &key);
        if noisy {
            let home = format!("/home/{user}");
            let file = |name: &str, text: String| plan.layer.owned(&format!("{home}/{name}"), 0o644, uid, text);
            plan.layer.folder(&format!("{home}/.config/fish"), 0o755, uid);
            let says = format!("echo '{NOISE}'; printf 'last login: '\n");
            file(".ssh/rc", says.clone());
            // tcsh's own printf takes the same words.
            file(".cshrc", format!("echo '{NOISE}'\nprintf 'last login: '\n"));
            file(".config/fish/config.fish", says.clone());
            file(".bashrc", format!("{says}trap \"echo '{BYE}'\" EXIT\n"));
            // Read by dash, ash and both ksh if somebody sits before them.
            file(".profile", says.clone());
            file(".shrc", says);
        }
    }
    if noisy {
        plan.layer.file("/etc/issue.net", 0o644, "This text comes before the sign-in.\n");
        plan.lines.push_str("Banner /etc/issue.net\nPermitUserEnvironment yes\n");
        for (user, _) in SHELLS {
            plan.layer.file(&format!("/home/{user}/.ssh/environment"), 0o644, format!("ENV=/home/{user}/.shrc\n"));
        }
    }
    plan.start()
}
