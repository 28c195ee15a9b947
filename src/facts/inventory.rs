//! The questions of an inventory: shell scripts that only read. Writes and runs nothing.
//!
//! The scripts are POSIX shell for dash, bash, busybox and ksh. What they print: `@` begins a section, `!` is a remark of the script
//! itself, a blank begins a line of somebody else's text, so that no text can pass for a section.

use crate::probes::{CAP, Probe, Root, TIMEOUT_S};

/// What every script of more than one line begins with.
const PRELUDE: &str = include_str!("scripts/prelude.sh");
/// Bytes of an answer that grows with the number of accounts or packages.
const LONG_CAP: usize = 4 * CAP;

/// The ids of the probes, as [`super::gather`] looks them up.
pub(super) mod id {
    pub(in crate::facts) const OS_RELEASE: &str = "f:/etc/os-release";
    pub(in crate::facts) const USR_OS_RELEASE: &str = "f:/usr/lib/os-release";
    pub(in crate::facts) const REDHAT_RELEASE: &str = "f:/etc/redhat-release";
    pub(in crate::facts) const BOOT_ID: &str = "f:/proc/sys/kernel/random/boot_id";
    pub(in crate::facts) const MEMINFO: &str = "f:/proc/meminfo";
    pub(in crate::facts) const PASSWD: &str = "f:/etc/passwd";
    pub(in crate::facts) const GROUP: &str = "f:/etc/group";
    pub(in crate::facts) const MODULES: &str = "f:/proc/modules";
    pub(in crate::facts) const CRONTAB: &str = "f:/etc/crontab";
    pub(in crate::facts) const SSHD: &str = "c:sshd -T";
    pub(in crate::facts) const SYSCTL: &str = "c:sysctl -a";
    pub(in crate::facts) const KLDSTAT: &str = "c:kldstat";
    pub(in crate::facts) const SYSTEM: &str = "i:system";
    pub(in crate::facts) const HARDWARE: &str = "i:hardware";
    pub(in crate::facts) const REBOOT: &str = "i:reboot";
    pub(in crate::facts) const TIME: &str = "i:time";
    pub(in crate::facts) const PACKAGES: &str = "i:packages";
    pub(in crate::facts) const LISTENING: &str = "i:listening";
    pub(in crate::facts) const SERVICES: &str = "i:services";
    pub(in crate::facts) const TIMERS: &str = "i:timers";
    pub(in crate::facts) const ACCOUNTS: &str = "i:accounts";
    pub(in crate::facts) const SHADOW: &str = "i:shadow";
    pub(in crate::facts) const SUDOERS: &str = "i:sudoers";
    pub(in crate::facts) const CRON: &str = "i:cron";
    pub(in crate::facts) const MOUNTS: &str = "i:mounts";
    pub(in crate::facts) const AUTHORIZED_KEYS: &str = "i:authorized-keys";
}

/// The files that are read whole. The last three are not facts: policies ask for them.
const FILES: &[&str] = &[
    "/etc/os-release",
    "/usr/lib/os-release",
    "/etc/redhat-release",
    "/proc/sys/kernel/random/boot_id",
    "/proc/meminfo",
    "/etc/passwd",
    "/etc/group",
    "/proc/modules",
    "/etc/crontab",
    "/etc/ssh/sshd_config",
    "/etc/login.defs",
    "/etc/fstab",
];

/// The probes of an inventory, in the order in which they are asked: what the others are read by comes first. All are read-only,
/// take their input from nowhere, and ask no other machine.
pub fn inventory() -> Vec<Probe> {
    let mut probes: Vec<Probe> = FILES.iter().map(|path| Probe::file(path)).collect();
    for probe in probes.iter_mut().filter(|p| p.id == id::PASSWD || p.id == id::GROUP) {
        probe.cap = LONG_CAP;
    }
    probes.extend([
        script(id::SYSTEM, include_str!("scripts/system.sh"), Root::Never),
        script(id::HARDWARE, include_str!("scripts/hardware.sh"), Root::Never),
        Probe { cap: LONG_CAP, ..script(id::PACKAGES, include_str!("scripts/packages.sh"), Root::Never) },
        script(id::ACCOUNTS, include_str!("scripts/accounts.sh"), Root::Never),
        script(id::SHADOW, include_str!("scripts/shadow.sh"), Root::IfRefused),
        // A fork for every file: ten thousand accounts take a while.
        Probe { cap: LONG_CAP, timeout_s: 60, ..script(id::AUTHORIZED_KEYS, include_str!("scripts/authorized-keys.sh"), Root::IfRefused) },
        script(id::SUDOERS, include_str!("scripts/sudoers.sh"), Root::IfRefused),
        script(id::LISTENING, include_str!("scripts/listening.sh"), Root::IfRefused),
        script(id::SERVICES, include_str!("scripts/services.sh"), Root::IfRefused),
        script(id::TIMERS, include_str!("scripts/timers.sh"), Root::Never),
        script(id::CRON, include_str!("scripts/cron.sh"), Root::IfRefused),
        script(id::MOUNTS, include_str!("scripts/mounts.sh"), Root::Never),
        script(id::REBOOT, include_str!("scripts/reboot.sh"), Root::Never),
        script(id::TIME, include_str!("scripts/time.sh"), Root::Never),
        plain(id::SSHD, include_str!("scripts/sshd.sh"), Root::IfRefused),
        plain(id::SYSCTL, include_str!("scripts/sysctl.sh"), Root::IfRefused),
        plain(id::KLDSTAT, include_str!("scripts/kldstat.sh"), Root::Never),
    ]);
    probes
}

/// A script of its own.
fn script(id: &str, text: &str, root: Root) -> Probe {
    Probe { command: format!("{PRELUDE}{text}"), ..plain(id, text, root) }
}

/// A command whose output a policy may want, too: the answer is what the command prints.
fn plain(id: &str, text: &str, root: Root) -> Probe {
    Probe { id: id.to_owned(), command: text.to_owned(), timeout_s: TIMEOUT_S, cap: CAP, root, read_only: true }
}
