//! Hosts whose root is reached through sudo, each in its own way.

use std::path::Path;

use super::{Plan, Target};
use crate::world::nonce;

/// What sudo does for the account `admin`, which signs in with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sudo {
    /// It asks for nothing.
    NoPassword,
    /// It asks for the account's password.
    Password,
    /// It asks for the password, and the one that the test knows is wrong.
    WrongPassword,
    /// The account may not use it.
    NotAllowed,
    /// The account may run one harmless command with it and nothing else.
    OneCommand,
    /// There is none.
    Missing,
    /// It works on a terminal only, with the password.
    RequireTty,
    /// What it runs may run nothing else.
    NoExec,
    /// It lectures each time before it asks for the password.
    Lecture,
    /// It asks for the password, and because that has expired once more in words of its own, to change it.
    Expired,
    /// It lets in without a password, and takes away everything of the environment but a PATH in which nothing is.
    EmptyPath,
}

impl Sudo {
    /// All of them.
    pub(crate) const ALL: [Self; 11] = [
        Self::NoPassword,
        Self::Password,
        Self::WrongPassword,
        Self::NotAllowed,
        Self::OneCommand,
        Self::Missing,
        Self::RequireTty,
        Self::NoExec,
        Self::Lecture,
        Self::Expired,
        Self::EmptyPath,
    ];

    /// Lines of sudoers.
    fn rules(self) -> &'static str {
        match self {
            Self::NoPassword => "admin ALL=(ALL:ALL) NOPASSWD: ALL\n",
            Self::Password | Self::WrongPassword | Self::Missing | Self::Expired => "admin ALL=(ALL:ALL) ALL\n",
            Self::NotAllowed => "",
            Self::OneCommand => "admin ALL=(root) NOPASSWD: /usr/bin/true\n",
            Self::RequireTty => "Defaults requiretty\nadmin ALL=(ALL:ALL) ALL\n",
            Self::NoExec => "Defaults noexec\nadmin ALL=(ALL:ALL) NOPASSWD: ALL\n",
            Self::Lecture => "Defaults lecture=always\nDefaults lecture_file=/etc/sudo_lecture\nadmin ALL=(ALL:ALL) ALL\n",
            Self::EmptyPath => "Defaults secure_path=/nonexistent\nadmin ALL=(ALL:ALL) NOPASSWD: ALL\n",
        }
    }
}

impl Target {
    /// A Debian whose account `admin` reaches root in this way. Its `sudo_password` is what the test would have stored. Three
    /// refused passwords lock the account, as on hosts that count them.
    #[track_caller]
    pub(crate) fn sudo(dir: &Path, sudo: Sudo) -> Self {
        let mut plan = Plan::debian(dir);
        let key = plan.key("admin_key");
        plan.keyed("admin", "/bin/bash", &key);
        let password = nonce(20);
        plan.sets_password("admin", &password);
        plan.logins[0].sudo_password = Some(if sudo == Sudo::WrongPassword { nonce(20) } else { password });
        plan.layer.file("/etc/sudoers", 0o440, format!("{SUDOERS}{}", sudo.rules()));
        plan.layer.file("/etc/pam.d/sudo", 0o644, PAM);
        plan.layer.file("/etc/sudo_lecture", 0o644, "We trust you have received the usual lecture.\n\n");
        if sudo == Sudo::Missing {
            plan.setup.push_str("rm /usr/bin/sudo\n");
        }
        if sudo == Sudo::Expired {
            plan.setup.push_str("chage -d 0 admin\n");
        }
        plan.start()
    }

    /// What sudo has logged, a line for each time that it was called.
    pub(crate) fn sudo_log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.place.path("/var/log/sudo.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How many passwords the host refused to this account when sudo asked.
    #[track_caller]
    pub(crate) fn refused_passwords(&self, user: &str) -> usize {
        // A line of the names of columns, then one for each.
        self.root(&format!("faillock --user {user}")).ok().text().lines().filter(|l| l.trim_end().ends_with('V')).count()
    }
}

/// As Debian has it, with a log that tests can read.
const SUDOERS: &str = "Defaults env_reset\nDefaults secure_path=\"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"\n\
                       Defaults use_pty\nDefaults logfile=/var/log/sudo.log\nDefaults loglinelen=0\nDefaults !syslog\n\
                       root ALL=(ALL:ALL) ALL\n";

/// Counts what was refused, and locks after three.
const PAM: &str = "auth required pam_faillock.so preauth silent deny=3 unlock_time=600\n\
                   auth sufficient pam_unix.so nodelay\n\
                   auth [default=die] pam_faillock.so authfail deny=3 unlock_time=600\n\
                   account required pam_faillock.so\n\
                   account required pam_unix.so\n\
                   password required pam_unix.so\n\
                   session required pam_unix.so\n";
