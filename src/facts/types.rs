//! The facts as they are stored and shown: versioned JSON. Keys are added, never renamed without a new version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The version of this layout.
pub const VERSION: u32 = 1;

/// What is known of one host at one time. What was not answered is empty, and its group stands in `missing` with the reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// [`VERSION`].
    pub version: u32,
    /// The operating system.
    pub os: Os,
    /// The kernel and the machine.
    pub system: System,
    /// Installed packages, by name and architecture.
    pub packages: Vec<Package>,
    /// Sockets that listen.
    pub listening: Vec<Listening>,
    /// Services of the init system.
    pub services: Vec<Service>,
    /// Accounts of the host itself, not those of a directory that it asks.
    pub users: Vec<Account>,
    /// Groups.
    pub groups: Vec<AccountGroup>,
    /// Rules of sudo (and doas), one a line, without comments.
    pub sudoers: Vec<Rule>,
    /// Keys that may sign in.
    pub authorized_keys: Vec<AuthorizedKey>,
    /// sshd's effective configuration (`sshd -T`): keys in lower case, each with its values in order.
    pub sshd: BTreeMap<String, Vec<String>>,
    /// Mounted file systems.
    pub mounts: Vec<Mount>,
    /// Loaded kernel modules.
    pub modules: Vec<String>,
    /// Lines of cron tables.
    pub cron: Vec<Rule>,
    /// systemd timers.
    pub timers: Vec<Timer>,
    /// Kernel parameters (`sysctl -a`).
    pub sysctl: BTreeMap<String, String>,
    /// Groups of facts that are not there, or not whole, each with the reason: `packages` → "no package database that is known".
    /// `GROUP.PART` stands for less than a group, whose other facts are all there: `listening.processes`, `users.passwords`,
    /// `authorized_keys.lines`, `system.hardware`, `system.reboot`, `system.time`; `GROUP.texts`: some texts were cut.
    pub missing: BTreeMap<String, String>,
    /// Groups of facts, or parts of them, that a host of this kind does not have, each with the reason: `timers` → "no systemd runs there".
    /// Nothing is missing by that.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub inapplicable: BTreeMap<String, String>,
}

/// The operating system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Os {
    /// `linux`, `freebsd`, `darwin`.
    pub family: String,
    /// os-release's ID: `debian`, `rocky`, `alpine`; `freebsd`, `macos`.
    pub id: String,
    /// os-release's ID_LIKE, split.
    pub id_like: Vec<String>,
    /// os-release's VERSION_ID: `12`, `24.04`, `9.4`, `3.20.1`.
    pub version: String,
    /// os-release's VERSION_CODENAME.
    pub codename: String,
    /// os-release's PRETTY_NAME.
    pub name: String,
}

/// The kernel and the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct System {
    /// Its own name for itself.
    pub hostname: String,
    /// `uname -s`.
    pub kernel: String,
    /// `uname -r`.
    pub release: String,
    /// `uname -m`.
    pub machine: String,
    /// Changes with each boot.
    pub boot_id: Option<String>,
    /// Seconds since the epoch.
    pub booted_at: Option<i64>,
    /// Processors.
    pub cpus: Option<u32>,
    /// The processor's name.
    pub cpu_model: Option<String>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// `none`, `kvm`, `vmware`, `docker`…; `None`: not known.
    pub virtualisation: Option<String>,
    /// Vendor and product of the machine.
    pub hardware: Option<String>,
    /// Whether it waits for a reboot; `None`: not known.
    pub reboot_pending: Option<bool>,
    /// What it waits with.
    pub reboot_reasons: Vec<String>,
    /// Whether its clock is synchronised; `None`: not known.
    pub time_synchronised: Option<bool>,
    /// What synchronises it: `chrony`, `systemd-timesyncd`, `ntpd`.
    pub time_source: Option<String>,
    /// Its time zone.
    pub timezone: Option<String>,
}

/// How a distribution compares versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageKind {
    /// dpkg.
    Deb,
    /// rpm.
    Rpm,
    /// apk-tools.
    Apk,
    /// FreeBSD's pkg.
    Pkg,
    /// macOS, Homebrew.
    Brew,
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its binary name.
    pub name: String,
    /// Its version as the package manager writes it: with epoch (where not 0) and release.
    pub version: String,
    /// Its architecture.
    pub arch: String,
    /// The source package that it was built from.
    pub source: String,
    /// That source package's version.
    pub source_version: String,
    /// Whose.
    pub kind: PackageKind,
    /// The module stream of RHEL 8+: `nodejs:18:…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
}

/// A socket that listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// `tcp`, `udp`.
    pub protocol: String,
    /// The address: `0.0.0.0`, `[::]` without brackets, `127.0.0.1`.
    pub address: String,
    /// The interface behind `%`, if bound to one.
    pub interface: Option<String>,
    /// The port.
    pub port: u16,
    /// The processes, by name, if they could be seen.
    pub processes: Vec<String>,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name, without `.service`.
    pub name: String,
    /// `enabled`, `disabled`, `static`, `masked`, …
    pub enabled: String,
    /// `active`, `inactive`, `failed`, … if known.
    pub active: Option<String>,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its user id.
    pub uid: u32,
    /// Its first group.
    pub gid: u32,
    /// Its home.
    pub home: String,
    /// Its shell.
    pub shell: String,
    /// How its password stands; `None`: not seen. The hash itself is never kept.
    pub password: Option<Password>,
    /// When the password changed last: days since the epoch.
    pub password_changed: Option<i64>,
    /// Days after which it must be changed.
    pub password_max_days: Option<i64>,
    /// When the account expires: days since the epoch.
    pub expires: Option<i64>,
}

/// How a password stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Password {
    /// There is none: anybody signs in.
    Empty,
    /// No password signs in.
    Locked,
    /// There is one, hashed like this: `yescrypt`, `sha512`, `md5`, `des`, …
    Hashed(String),
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountGroup {
    /// Its name.
    pub name: String,
    /// Its id.
    pub gid: u32,
    /// Its members, besides those whose first group it is.
    pub members: Vec<String>,
}

/// A line of a configuration, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The file.
    pub file: String,
    /// The line, blanks folded.
    pub text: String,
}

/// A key that may sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizedKey {
    /// To which account.
    pub user: String,
    /// The file.
    pub file: String,
    /// `ssh-ed25519`, …
    pub kind: String,
    /// `SHA256:…`.
    pub fingerprint: String,
    /// Its comment.
    pub comment: String,
    /// Its options, as they stand there.
    pub options: String,
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What.
    pub source: String,
    /// Where.
    pub target: String,
    /// Its type.
    pub kind: String,
    /// Its options.
    pub options: Vec<String>,
}

/// A timer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timer {
    /// Its name, without `.timer`.
    pub name: String,
    /// What it starts.
    pub unit: String,
    /// `enabled`, … if known.
    pub enabled: String,
}

/// What changed from one time to another. Kinds: `package`, `port`, `user`, `group`, `key`, `service`, `sudo`, `cron`, `module`, `system`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Of what kind.
    pub kind: String,
    /// What: a package's name, `tcp 0.0.0.0:22`, a user's name, a user's name and a fingerprint.
    pub name: String,
    /// How it was; `None`: it is new.
    pub before: Option<String>,
    /// How it is; `None`: it is gone.
    pub after: Option<String>,
}
