//! The file: its sections and keys, and how a mistake in it is told.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::units::{Size, Span, Text};
use super::{Config, LogFormat, RootSource};
use crate::authn::Rate;
use crate::fault::{Fault, Kind};
use crate::front::Escape;
use crate::model::Address;

/// A mistake in the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("{path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A line of it is wrong.
    #[error("{path}:{line}: {message}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        message: String,
        /// What stands there.
        text: String,
    },
}

impl Fault for Error {
    fn kind(&self) -> Kind {
        Kind::Usage
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { path, .. } => Some(format!("is it there, and may you read it? ls -l {}", path.display())),
            Self::Line { text, message, .. } if message.contains("unknown field") => {
                Some(format!("there is no such key: correct or remove `{}`; broker.toml in the source lists every key", text.trim()))
            }
            Self::Line { text, .. } => Some(format!("the line is: {}", text.trim())),
        }
    }
}

macro_rules! sections {
    ($($section:ident { $($key:ident : $type:ty,)* })*) => {
        $(#[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(non_camel_case_types)]
        pub(super) struct $section { $(pub(super) $key: Option<$type>,)* }
        impl $section {
            #[cfg(test)]
            pub(super) fn missing(&self) -> Vec<&'static str> {
                let mut out = Vec::new();
                $(if self.$key.is_none() { out.push(concat!(stringify!($section), ".", stringify!($key))); })*
                out
            }
        })*
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct File { $(pub(super) $section: $section,)* pub(super) sources: super::sources::Table, }
        impl File {
            #[cfg(test)]
            pub(super) fn missing(&self) -> Vec<&'static str> {
                let mut out = Vec::new();
                $(out.extend(self.$section.missing());)*
                out
            }
        }
    };
}

sections! {
    listen { address: Text<SocketAddr>, public: Text<Public>, }
    ssh { post_quantum_only: bool, banner: String, second_factor_valid_for: Span, congestion_control: String, }
    limits {
        connections: usize, connections_per_address: usize, connections_per_agent: usize, sign_in_time: Span, attempts: usize, channels: usize,
        window: Size, max_packet: Size, keepalive_interval: Span, keepalive_max: usize,
        failures_per_address: Text<Rate>, failures_per_person: Text<Rate>, recorded_failures: Text<Rate>,
    }
    host {
        connect_timeout: Span, handshake_timeout: Span, login_timeout: Span, prompt_timeout: Span,
        keepalive_interval: Span, keepalive_max: usize, window: Size, max_packet: Size, certificate_source_address: bool,
        learn_host_keys: bool,
    }
    approvals {
        expires: Span, timeout: Span, longest: Span, command: Size, stdin: Size, steps: usize, pending_per_person: usize,
        keep: Span, keep_bytes: Size, again: u32, again_within: Span, require_signature: bool, notices: bool, escape: Text<Escape>,
    }
    scans { parallel: usize, hosts: usize, runs: usize, probe_timeout: Span, host_timeout: Span, keep: Span, osv: String, }
    mcp { listen: Text<Local>, }
    store { reserve: Size, patience: Span, }
    audit { checkpoint_every: u64, checkpoint_interval: Span, }
vault { root_key : String , personal_idle : Span , } root_key { source : Text < RootSource > , command : Vec < String > , environment : Vec < String > , retry : Span , anchor : String , }
    log { level: Text<tracing::Level>, format: Text<Format>, }
    daemon { workers: usize, drain: Span, }
}

/// An address, or nothing.
#[derive(Clone, Debug)]
pub(super) struct Public(Option<Address>);

impl std::str::FromStr for Public {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(Self(None)) } else { text.parse().map(|a| Self(Some(a))) }
    }
}

/// An address of this machine's loopback, or nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local(Option<SocketAddr>);

impl std::str::FromStr for Local {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let address: SocketAddr =
            text.parse().map_err(|_| format!("`{text}` is no address to listen on: write ADDRESS:PORT, for instance 127.0.0.1:2223"))?;
        if !address.ip().to_canonical().is_loopback() {
            let why = "MCP over HTTP has no TLS here, so it listens on loopback alone";
            return Err(format!("{why}: write 127.0.0.1:{}, and put `ssh -L` or a proxy with TLS before it", address.port()));
        }
        Ok(Self(Some(address)))
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Format(LogFormat);

impl std::str::FromStr for Format {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self(LogFormat::Text)),
            "json" => Ok(Self(LogFormat::Json)),
            other => Err(format!("`{other}` is no format: write \"text\" or \"json\"")),
        }
    }
}

/// Reads a file; without one everything has its default.
///
/// # Errors
/// [`Error`].
pub fn load(path: Option<&Path>) -> Result<Config, Error> {
    let Some(path) = path else { return Ok(Config::default()) };
    let text = std::fs::read_to_string(path).map_err(|error| Error::Unreadable { path: path.to_owned(), error })?;
    parse(&text, path)
}

/// Reads the text of a file that is called `path`.
///
/// # Errors
/// [`Error::Line`].
pub fn parse(text: &str, path: &Path) -> Result<Config, Error> {
    let at = |offset: usize, message: String| {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        Error::Line { path: path.to_owned(), line, message, text: text.lines().nth(line - 1).unwrap_or_default().to_owned() }
    };
    let file: File = toml::from_str(text).map_err(|e| at(e.span().map_or(0, |s| s.start), e.message().to_owned()))?;
    let config = apply(file);
    check(&config).map_err(|(key, message)| at(text.find(key).unwrap_or(0), message))?;
    Ok(config)
}

/// Puts what the file says over the defaults.
pub(super) fn apply(file: File) -> Config {
    let mut c = Config::default();
    fn set<T>(to: &mut T, from: Option<T>) {
        if let Some(value) = from {
            *to = value;
        }
    }
    let bytes32 = |s: Size| u32::try_from(s.0).unwrap_or(u32::MAX);
    let File { listen, ssh, limits, host, approvals, scans, mcp, store, audit, vault, root_key, log, daemon, sources } = file;
    c.sources = super::sources::apply(sources);
    set(&mut c.listen, listen.address.map(|a| a.0));
    set(&mut c.public, listen.public.map(|p| p.0.0));
    set(&mut c.front.post_quantum_only, ssh.post_quantum_only);
    set(&mut c.front.banner, ssh.banner);
    set(&mut c.front.congestion_control, ssh.congestion_control.clone());
    set(&mut c.target.congestion_control, ssh.congestion_control);
    set(&mut c.second_factor_valid_for, ssh.second_factor_valid_for.map(|s| s.0));
    set(&mut c.front.connections, limits.connections);
    set(&mut c.front.connections_per_address, limits.connections_per_address);
    set(&mut c.front.connections_per_agent, limits.connections_per_agent);
    set(&mut c.front.sign_in_time, limits.sign_in_time.map(|s| s.0));
    set(&mut c.front.attempts, limits.attempts);
    set(&mut c.front.channels, limits.channels);
    set(&mut c.front.window, limits.window.map(bytes32));
    set(&mut c.front.max_packet, limits.max_packet.map(bytes32));
    set(&mut c.front.keepalive_interval, limits.keepalive_interval.map(|s| s.0));
    set(&mut c.front.keepalive_max, limits.keepalive_max);
    set(&mut c.authn.failures_per_address, limits.failures_per_address.map(|r| r.0));
    set(&mut c.authn.failures_per_person, limits.failures_per_person.map(|r| r.0));
    set(&mut c.authn.recorded_failures, limits.recorded_failures.map(|r| r.0));
    set(&mut c.target.connect_timeout, host.connect_timeout.map(|s| s.0));
    set(&mut c.target.handshake_timeout, host.handshake_timeout.map(|s| s.0));
    set(&mut c.target.login_timeout, host.login_timeout.map(|s| s.0));
    set(&mut c.target.prompt_timeout, host.prompt_timeout.map(|s| s.0));
    set(&mut c.target.keepalive_interval, host.keepalive_interval.map(|s| s.0));
    set(&mut c.target.keepalive_max, host.keepalive_max);
    set(&mut c.target.window, host.window.map(bytes32));
    set(&mut c.target.max_packet, host.max_packet.map(bytes32));
    set(&mut c.target.certificate_source_address, host.certificate_source_address);
    set(&mut c.target.learn_host_keys, host.learn_host_keys);
    let usize_of = |s: Size| usize::try_from(s.0).unwrap_or(usize::MAX);
    set(&mut c.approvals.expires, approvals.expires.map(|s| s.0));
    set(&mut c.approvals.timeout, approvals.timeout.map(|s| s.0));
    set(&mut c.approvals.longest, approvals.longest.map(|s| s.0));
    set(&mut c.approvals.command, approvals.command.map(usize_of));
    set(&mut c.approvals.stdin, approvals.stdin.map(usize_of));
    set(&mut c.approvals.steps, approvals.steps);
    set(&mut c.approvals.pending_per_person, approvals.pending_per_person);
    set(&mut c.approvals.keep, approvals.keep.map(|s| s.0));
    set(&mut c.approvals.keep_bytes, approvals.keep_bytes.map(|s| s.0));
    set(&mut c.approvals.again, approvals.again);
    set(&mut c.approvals.again_within, approvals.again_within.map(|s| s.0));
    set(&mut c.approvals.require_signature, approvals.require_signature);
    set(&mut c.scans.parallel, scans.parallel);
    set(&mut c.scans.hosts, scans.hosts);
    set(&mut c.scans.runs, scans.runs);
    set(&mut c.scans.probe_timeout, scans.probe_timeout.map(|s| s.0));
    set(&mut c.scans.host_timeout, scans.host_timeout.map(|s| s.0));
    set(&mut c.scans.keep, scans.keep.map(|s| s.0));
    set(&mut c.scans.osv, scans.osv.map(|p| (!p.is_empty()).then(|| PathBuf::from(p))));
    set(&mut c.mcp.listen, mcp.listen.map(|l| l.0.0));
    set(&mut c.front.notices, approvals.notices);
    set(&mut c.front.escape, approvals.escape.map(|e| e.0));
    set(&mut c.reserve, store.reserve.map(|s| s.0));
    set(&mut c.patience, store.patience.map(|s| s.0));
    set(&mut c.checkpoint_every, audit.checkpoint_every);
    set(&mut c.checkpoint_interval, audit.checkpoint_interval.map(|s| s.0));
    set(&mut c.root_key, vault.root_key.map(|p| (!p.is_empty()).then(|| PathBuf::from(p))));
    set(&mut c.root.source, root_key.source.map(|s| s.0));
    set(&mut c.root.command, root_key.command);
    set(&mut c.root.environment, root_key.environment);
    set(&mut c.root.retry, root_key.retry.map(|s| s.0));
    set(&mut c.root.anchor, root_key.anchor.map(|p| (!p.is_empty()).then(|| PathBuf::from(p))));
    set(&mut c.personal_idle, vault.personal_idle.map(|s| s.0));
    set(&mut c.log_level, log.level.map(|l| l.0));
    set(&mut c.log_format, log.format.map(|f| f.0.0));
    set(&mut c.workers, daemon.workers);
    set(&mut c.drain, daemon.drain.map(|s| s.0));
    c
}

/// Bounds that a value must keep, each with the key that it is about.
fn check(c: &Config) -> Result<(), (&'static str, String)> {
    let within = |key: &'static str, value: u64, least: u64, most: u64| {
        if (least..=most).contains(&value) { Ok(()) } else { Err((key, format!("`{key}` must lie between {least} and {most}"))) }
    };
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    within("connections", count(c.front.connections), 1, 100_000)?;
    within("connections_per_address", count(c.front.connections_per_address), 1, 100_000)?;
    within("connections_per_agent", count(c.front.connections_per_agent), 1, 100_000)?;
    within("attempts", count(c.front.attempts), 1, 100)?;
    within("channels", count(c.front.channels), 1, 1000)?;
    within("workers", count(c.workers), 0, 256)?;
    within("sign_in_time", c.front.sign_in_time.as_secs(), 1, 3600)?;
    for window in [c.front.window, c.target.window] {
        within("window", u64::from(window), 64 << 10, 64 << 20)?;
    }
    for packet in [c.front.max_packet, c.target.max_packet] {
        // RFC 4253 §6.1: every implementation takes 32768; russh sends at most 65535.
        within("max_packet", u64::from(packet), 4 << 10, 65_535)?;
    }
    let a = &c.approvals;
    within("expires", a.expires.as_secs(), 1, 24 * 3600)?;
    within("longest", a.longest.as_secs(), 1, 7 * 24 * 3600)?;
    within("timeout", a.timeout.as_secs(), 1, a.longest.as_secs())?;
    within("command", count(a.command), 1, 1 << 20)?;
    within("stdin", count(a.stdin), 0, 16 << 20)?;
    within("steps", count(a.steps), 1, 256)?;
    within("pending_per_person", count(a.pending_per_person), 1, 10_000)?;
    within("again_within", a.again_within.as_secs(), 1, 7 * 24 * 3600)?;
    within("parallel", count(c.scans.parallel), 1, 256)?;
    within("hosts", count(c.scans.hosts), 1, 100_000)?;
    within("runs", count(c.scans.runs), 1, 64)?;
    within("probe_timeout", c.scans.probe_timeout.as_secs(), 1, 3600)?;
    within("host_timeout", c.scans.host_timeout.as_secs(), 1, 3600)?;
    within("second_factor_valid_for", c.second_factor_valid_for.as_secs(), 0, 12 * 3600)?;
    within("personal_idle", c.personal_idle.as_secs(), 1, 24 * 3600)?;
    if c.scans.osv.as_ref().is_some_and(|p| !p.is_absolute()) {
        return Err(("osv", "`osv` must be an absolute path".to_owned()));
    }
    if c.root_key.as_ref().is_some_and(|p| !p.is_absolute()) {
        return Err(("root_key", "`root_key` must be an absolute path".to_owned()));
    }
    c.root.check()?;
    crate::tcp::check(&c.front.congestion_control).map_err(|told| ("congestion_control", told))?;
    if c.front.banner.len() > 8192 || c.front.banner.chars().any(|ch| ch.is_control() && ch != '\n' && ch != '\t') {
        return Err(("banner", "`banner` is at most 8192 bytes of text without control characters".to_owned()));
    }
    Ok(())
}
