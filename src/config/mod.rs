//! The roof's first half: `broker.toml` → each room's own configuration. Errors name the file, the line and what to
//! write instead. Nothing here is read by another room.

mod file;
mod root;
mod sources;
mod units;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use file::{Error, load, parse};
pub use root::{RootKey, RootSource};

use crate::model::Address;
use crate::{approvals, authn, front, mcp, scans, target};

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON document a line.
    Json,
}

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the front listens.
    pub listen: SocketAddr,
    /// How clients reach it, if not by the address it listens on.
    pub public: Option<Address>,
    /// Limits and algorithms of the front.
    pub front: front::Tuning,
    /// How often sign-ins may fail.
    pub authn: authn::Config,
    /// Limits of the host side.
    pub target: target::Config,
    /// Limits of proposals.
    pub approvals: approvals::Config,
    /// Limits of scans.
    pub scans: scans::Config,
    /// Where agents reach their tools over HTTP.
    pub mcp: mcp::Config,
    /// Other people's vaults.
    pub sources: crate::sources::Config,
    /// Bytes kept free for the audit log.
    pub reserve: u64,
    /// How long a write may take until the person is refused.
    pub patience: Duration,
    /// A checkpoint at the latest after this many entries.
    pub checkpoint_every: u64,
    /// A checkpoint at the latest after this long.
    pub checkpoint_interval: Duration,
    /// The root key's file, if not the default.
    pub root_key: Option<PathBuf>,
    /// Where the root key comes from.
    pub root: RootKey,
    /// How long a sealed scope stays open without being used.
    pub personal_idle: Duration,
    /// How long somebody who gave a one-time code is not asked for another, from the same address with the same key; 0: not at all.
    pub second_factor_valid_for: Duration,
    /// `error`, `warn`, `info`, `debug` or `trace`; of Keyward's own messages only.
    pub log_level: tracing::Level,
    /// Text or JSON.
    pub log_format: LogFormat,
    /// Threads that serve connections; 0: one per core.
    pub workers: usize,
    /// How long running sessions get when the daemon is told to stop.
    pub drain: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 2222)),
            public: None,
            front: front::Tuning::default(),
            authn: authn::Config::default(),
            target: target::Config::default(),
            approvals: approvals::Config::default(),
            scans: scans::Config::default(),
            mcp: mcp::Config::default(),
            sources: crate::sources::Config::default(),
            reserve: 64 * 1024 * 1024,
            patience: Duration::from_secs(2),
            checkpoint_every: 1000,
            checkpoint_interval: Duration::from_secs(60),
            root_key: None,
            root: RootKey::default(),
            personal_idle: Duration::from_secs(15 * 60),
            second_factor_valid_for: Duration::ZERO,
            log_level: tracing::Level::INFO,
            log_format: LogFormat::Text,
            workers: 0,
            drain: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// What changed against `other` that takes effect only after a restart: the keys.
    pub fn needs_restart(&self, other: &Self) -> Vec<&'static str> {
        let mut keys = Vec::new();
        let mut differs = |key, differs: bool| {
            if differs {
                keys.push(key);
            }
        };
        differs("listen.address", self.listen != other.listen);
        differs("listen.public", self.public != other.public);
        differs("store.reserve", self.reserve != other.reserve);
        differs("store.patience", self.patience != other.patience);
        differs("vault.root_key", self.root_key != other.root_key);
        differs("root_key", self.root != other.root);
        differs("ssh.second_factor_valid_for", self.second_factor_valid_for != other.second_factor_valid_for);
        differs("vault.personal_idle", self.personal_idle != other.personal_idle);
        differs("log.format", self.log_format != other.log_format);
        differs("daemon.workers", self.workers != other.workers);
        differs("limits.failures_per_address", self.authn.failures_per_address != other.authn.failures_per_address);
        differs("limits.failures_per_person", self.authn.failures_per_person != other.authn.failures_per_person);
        differs("limits.recorded_failures", self.authn.recorded_failures != other.authn.recorded_failures);
        differs("daemon.drain", self.drain != other.drain);
        differs("audit.checkpoint_every", self.checkpoint_every != other.checkpoint_every);
        differs("audit.checkpoint_interval", self.checkpoint_interval != other.checkpoint_interval);
        differs("ssh.congestion_control, for hosts", self.target.congestion_control != other.target.congestion_control);
        let hosts = target::Config { congestion_control: other.target.congestion_control.clone(), ..self.target.clone() };
        differs("host", format!("{hosts:?}") != format!("{:?}", other.target));
        differs("mcp.listen", self.mcp != other.mcp);
        differs("sources", self.sources != other.sources);
        differs("approvals", format!("{:?}", self.approvals) != format!("{:?}", other.approvals));
        keys
    }
}

/// The configuration file of a call: the one that was named, else `broker.toml` in the home if there is one.
pub fn path(named: Option<&Path>, home: &Path) -> Option<PathBuf> {
    named.map(Path::to_owned).or_else(|| Some(home.join("broker.toml")).filter(|p| p.exists()))
}

#[cfg(test)]
mod tests;
