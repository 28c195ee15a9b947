//! What a scan would do, before it does anything: which hosts, which commands, and the digest that stands for all of it. Asks no host.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::error::shown;
use super::{Config, Error, profiles};
use crate::audit::hex;
use crate::authz;
use crate::checks::{self, Policy};
use crate::clock::Time;
use crate::facts;
use crate::model::{Action, GroupId, Host, HostPattern, Name, Terms, User, Vouch};
use crate::probes::Probe;

/// Patterns in one selector.
const PATTERNS: usize = 64;

/// Who wants to scan.
#[derive(Clone, Debug)]
pub struct Who {
    /// The person.
    pub user: User,
    /// The fingerprint of the key that signed them in, where one did.
    pub key: Option<String>,
    /// From where they come.
    pub client: SocketAddr,
    /// The workspace that is meant.
    pub workspace: Name,
    /// Whether they may know of hosts that are not granted to them, and of scans of others.
    pub sees_all: bool,
}

impl Who {
    /// What the way in, by which they came, takes away.
    fn terms(&self) -> Terms {
        let vouch = self.key.as_deref().and_then(|key| key.parse::<Vouch>().ok());
        vouch.and_then(|vouch| vouch.certificate).map(|certified| certified.terms).unwrap_or_default()
    }
}

/// Where vulnerabilities are looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Osv {
    /// Nowhere.
    No,
    /// In the folder of the configuration.
    Default,
    /// In this folder of the broker's machine.
    Folder(PathBuf),
}

/// A wish for a scan.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Built-in profiles.
    pub profiles: Vec<String>,
    /// Policies: the file's name and its text.
    pub policies: Vec<(String, String)>,
    /// Which hosts: names, patterns, tags, with commas between.
    pub hosts: String,
    /// The credential, if one is meant.
    pub credential: Option<Name>,
    /// Hosts at once, fewer than the configuration says.
    pub parallel: Option<usize>,
    /// Vulnerabilities.
    pub osv: Osv,
    /// The digest that must come out.
    pub digest: Option<String>,
}

/// A host of the plan.
#[derive(Clone, Debug)]
pub struct PlannedHost {
    /// The host.
    pub host: Host,
    /// Why it will not be asked.
    pub skip: Option<String>,
    /// Whether it was being asked when the scan was interrupted: only what reads is asked again.
    pub again: bool,
}

/// What a scan would do.
#[derive(Debug)]
pub struct Plan {
    /// The profiles and policies, by name.
    pub profile: String,
    /// Which hosts were meant.
    pub selector: String,
    /// The policies.
    pub policies: Vec<Policy>,
    /// Their files: the name and the text.
    pub files: Vec<(String, Vec<u8>)>,
    /// The probes, in the order in which they are asked.
    pub probes: Vec<Probe>,
    /// The SHA-256 of probes and policies, as hexadecimal digits.
    pub digest: String,
    /// The hosts, by name.
    pub hosts: Vec<PlannedHost>,
    /// The credential, if one is meant.
    pub credential: Option<Name>,
    /// Hosts at once.
    pub parallel: usize,
    /// The folder with OSV's archives.
    pub osv: Option<PathBuf>,
}

/// What stands in the ledger of what was asked, to be asked again after an interruption, or to be evaluated.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) files: Vec<(String, String)>,
    pub(super) credential: Option<Name>,
    pub(super) parallel: usize,
    pub(super) osv: Option<PathBuf>,
}

/// Profiles and policies, read, with all that they ask.
pub(super) struct Questions {
    pub(super) profile: String,
    pub(super) policies: Vec<Policy>,
    pub(super) files: Vec<(String, Vec<u8>)>,
    pub(super) probes: Vec<Probe>,
    pub(super) digest: String,
}

impl Questions {
    /// Reads the files and puts their probes behind those of the inventory.
    pub(super) fn of(files: Vec<(String, Vec<u8>)>, names: &[String], longest: Duration) -> Result<Self, Error> {
        let policies = checks::parse_all(&files)?;
        let mut probes = facts::inventory();
        let mut known: std::collections::BTreeSet<String> = probes.iter().map(|p| p.id.clone()).collect();
        for probe in policies.iter().flat_map(Policy::probes) {
            if known.insert(probe.id.clone()) {
                probes.push(probe);
            }
        }
        let longest = u32::try_from(longest.as_secs()).unwrap_or(u32::MAX).max(1);
        for probe in &mut probes {
            probe.timeout_s = probe.timeout_s.min(longest);
        }
        let digest = digest_of(&probes, &policies);
        let mut parts: Vec<String> = names.to_vec();
        parts.extend(policies.iter().filter(|p| !p.file.starts_with("profile ")).map(|p| p.id.clone()));
        if parts.is_empty() {
            parts.push(profiles::INVENTORY.to_owned());
        }
        Ok(Self { profile: parts.join(", "), policies, files, probes, digest })
    }
}

/// The digest that a person approves by starting a scan: every command with its bounds and rights, and every policy's file.
fn digest_of(probes: &[Probe], policies: &[Policy]) -> String {
    let mut text = String::from("keyward scan 1\n");
    // The frame around the probes, and how root is asked for: they run on the host, too.
    text.push_str(&frame());
    for probe in probes {
        let line = (&probe.id, &probe.command, probe.timeout_s, probe.cap, format!("{:?}", probe.root), probe.read_only);
        text.push_str(&serde_json::to_string(&line).unwrap_or_default());
        text.push('\n');
    }
    for policy in policies {
        text.push_str(&policy.sha256);
        text.push('\n');
    }
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}

/// What runs around the probes: the shell's script without any, and the commands that ask for root.
pub fn frame() -> String {
    let nonce = "NONCE";
    let sudo = [(false, true), (true, true), (false, false), (true, false)];
    let sudo: String = sudo.iter().map(|(terminal, password)| super::sudo::command(nonce, *terminal, *password) + "\n").collect();
    format!("{}{sudo}", crate::probes::script(nonce, &[]))
}

/// Reads a selector.
pub(super) fn patterns(selector: &str) -> Result<Vec<HostPattern>, Error> {
    // Commas within braces belong to a pattern.
    let (mut parts, mut part, mut depth) = (Vec::new(), String::new(), 0usize);
    for c in selector.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if c == ',' && depth == 0 {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(c);
        }
    }
    parts.push(part);
    if parts.len() > PATTERNS {
        return Err(Error::Limit { what: format!("{} patterns", parts.len()), most: PATTERNS });
    }
    parts.iter().map(|p| p.trim().parse().map_err(Error::Selector)).collect()
}

/// Which hosts are meant, and which of them this person may scan.
pub(super) fn choose(
    who: &Who,
    hosts: Vec<Host>,
    groups: &[GroupId],
    grants: &[crate::model::Grant],
    selector: &str,
    now: Time,
) -> Result<Vec<PlannedHost>, Error> {
    let patterns = patterns(selector)?;
    let mut out: BTreeMap<String, PlannedHost> = BTreeMap::new();
    for host in hosts {
        if !patterns.iter().any(|p| p.covers(&host.name, &host.tags)) {
            continue;
        }
        let facts = authz::Facts {
            user: who.user.clone(),
            groups: groups.to_vec(),
            host: host.clone(),
            grants: grants.to_vec(),
            terms: who.terms(),
        };
        let skip = match authz::explain(&facts, who.client.ip(), now, now).result {
            Ok((reach, _)) if reach.allows(Action::Scan) => None,
            Ok(_) => Some("scanning it is not granted".to_owned()),
            Err(authz::Denial::SecondFactor(_)) => Some("a grant that wants the second factor carries no scan".to_owned()),
            Err(why) if who.sees_all => Some(why.to_string()),
            // Who is not granted a host does not learn that there is one.
            Err(_) => continue,
        };
        out.insert(host.name.to_string(), PlannedHost { host, skip, again: false });
    }
    // A name that was written out and is not there is a mistake, not an empty scan.
    for name in patterns.iter().filter_map(HostPattern::literal) {
        if !out.contains_key(name.as_str()) {
            return Err(Error::NoHost(name.to_string()));
        }
    }
    if out.is_empty() {
        return Err(Error::NoHost(shown(selector)));
    }
    Ok(out.into_values().collect())
}

impl Plan {
    pub(super) fn new(questions: Questions, hosts: Vec<PlannedHost>, wish: &Wish, config: &Config) -> Result<Self, Error> {
        let Questions { profile, policies, files, probes, digest } = questions;
        if let Some(said) = wish.digest.as_ref().filter(|said| **said != digest) {
            return Err(Error::Digest { is: digest, said: shown(said) });
        }
        if hosts.len() > config.hosts {
            return Err(Error::Limit { what: format!("{} hosts", hosts.len()), most: config.hosts });
        }
        let osv = match &wish.osv {
            Osv::No => None,
            Osv::Default => Some(config.osv.clone().ok_or(Error::NoArchives)?),
            Osv::Folder(folder) => Some(folder.clone()),
        };
        Ok(Self {
            profile,
            selector: wish.hosts.clone(),
            policies,
            files,
            probes,
            digest,
            hosts,
            credential: wish.credential.clone(),
            parallel: wish.parallel.unwrap_or(config.parallel).clamp(1, config.parallel),
            osv,
        })
    }

    /// How many hosts will be asked.
    pub fn asked(&self) -> usize {
        self.hosts.iter().filter(|h| h.skip.is_none()).count()
    }
}
