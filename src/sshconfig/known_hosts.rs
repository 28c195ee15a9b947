//! `known_hosts` (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): plain and hashed names, patterns, markers. Pure: says which lines
//! speak of which host; what is to be trusted is decided elsewhere.

use aws_lc_rs::hmac;
use base64ct::{Base64, Encoding};

use super::pattern::{Listed, host_listed, is_pattern};
use super::{Trouble, lines};

/// What stands in front of the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// The key is the host's.
    None,
    /// The key signs the host's certificates.
    Authority,
    /// The key must never be accepted.
    Revoked,
}

/// Of whom a line speaks.
#[derive(Clone, Debug)]
enum Names {
    /// HMAC-SHA1 of the name under a salt.
    Hashed { salt: Box<[u8]>, hash: Box<[u8]> },
    /// A list of patterns.
    Listed(String),
}

/// A line with a key.
#[derive(Clone, Debug)]
pub struct Line {
    /// Counted from 1.
    pub number: usize,
    /// What it says about the key.
    pub marker: Marker,
    names: Names,
    /// `ssh-ed25519 AAAA…` without a comment.
    pub key: String,
}

/// A file of known hosts.
#[derive(Clone, Debug, Default)]
pub struct KnownHosts {
    /// Lines with a key, in their order.
    pub lines: Vec<Line>,
    /// Lines that are not understood.
    pub troubles: Vec<Trouble>,
}

/// How a host is looked up: its name, in brackets and with the port if that is not 22.
pub fn lookup(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// Whether a list of patterns, as it stands in a line, speaks of this host; a port that is not 22 need not stand there.
pub fn covers(list: &str, host: &str, port: u16) -> bool {
    let said = |name: &str| host_listed(name, list);
    let (with_port, without) = (said(&lookup(host, port)), said(&lookup(host, 22)));
    with_port != Listed::Negated && without != Listed::Negated && (with_port == Listed::Yes || without == Listed::Yes)
}

impl Line {
    /// Whether it speaks of the host that is looked up like this.
    pub fn covers(&self, lookup: &str) -> bool {
        match &self.names {
            Names::Hashed { salt, hash } => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                hmac::verify(&key, lookup.as_bytes(), hash).is_ok()
            }
            Names::Listed(list) => host_listed(lookup, list) == Listed::Yes,
        }
    }

    /// The list of patterns as it stands there; `None`: a hashed name.
    pub fn patterns(&self) -> Option<&str> {
        match &self.names {
            Names::Hashed { .. } => None,
            Names::Listed(list) => Some(list),
        }
    }

    /// Whether its names are hashed: they can be tried, not read.
    pub fn is_hashed(&self) -> bool {
        matches!(self.names, Names::Hashed { .. })
    }

    /// Names and ports that stand there as they are; none of a line with a pattern in it.
    pub fn places(&self) -> Vec<(String, u16)> {
        let Names::Listed(list) = &self.names else { return Vec::new() };
        if list.split(',').any(is_pattern) {
            return Vec::new();
        }
        list.split(',').filter_map(place).collect()
    }
}

fn place(name: &str) -> Option<(String, u16)> {
    match name.strip_prefix('[') {
        None => (!name.is_empty()).then(|| (name.to_ascii_lowercase(), 22)),
        Some(rest) => {
            let (host, port) = rest.split_once("]:")?;
            Some((host.to_ascii_lowercase(), port.parse().ok().filter(|port| *port != 0)?))
        }
    }
}

/// Reads a file; what is not understood is told by its line.
pub fn read(name: &str, bytes: &[u8]) -> KnownHosts {
    let mut out = KnownHosts::default();
    let mut bad = Vec::new();
    for (number, text) in lines(bytes, |line, what| bad.push((line, what.to_owned()))) {
        let text = if number == 1 { text.trim_start_matches('\u{feff}') } else { text };
        let text = text.trim_matches([' ', '\t', '\r']);
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        match line(number, text) {
            Ok(line) => out.lines.push(line),
            Err(what) => bad.push((number, what.to_owned())),
        }
    }
    bad.sort_by_key(|(line, _)| *line);
    out.troubles = bad.into_iter().map(|(line, what)| Trouble { file: name.to_owned(), line, what }).collect();
    out
}

fn line(number: usize, text: &str) -> Result<Line, &'static str> {
    let mut words = text.split([' ', '\t']).filter(|w| !w.is_empty());
    let mut first = words.next().ok_or("it is empty")?;
    let marker = match first {
        "@cert-authority" => Marker::Authority,
        "@revoked" => Marker::Revoked,
        other if other.starts_with('@') => return Err("its marker is not known"),
        _ => Marker::None,
    };
    if marker != Marker::None {
        first = words.next().ok_or("there is nothing behind its marker")?;
    }
    let names = match first.strip_prefix('|') {
        Some(rest) => hashed(rest).ok_or("its hashed name is damaged")?,
        None if first.contains('\u{fffd}') => return Err("it is no UTF-8"),
        None => Names::Listed(first.to_owned()),
    };
    let kind = words.next().ok_or("it has no key")?;
    if kind.bytes().all(|b| b.is_ascii_digit()) {
        return Err("it is a key of SSH's first protocol");
    }
    let body = words.next().ok_or("it has no key")?;
    if !holds(kind, body) {
        return Err("its key is damaged");
    }
    Ok(Line { number, marker, names, key: format!("{kind} {body}") })
}

/// `1|SALT|HASH`, behind the first bar.
fn hashed(text: &str) -> Option<Names> {
    let (salt, hash) = text.strip_prefix("1|")?.split_once('|')?;
    let decode = |text: &str| Base64::decode_vec(text).ok().filter(|b| b.len() == 20).map(Vec::into_boxed_slice);
    Some(Names::Hashed { salt: decode(salt)?, hash: decode(hash)? })
}

/// Whether the base64 holds a key of the kind that stands before it.
fn holds(kind: &str, body: &str) -> bool {
    let Ok(blob) = Base64::decode_vec(body) else { return false };
    let Some((length, rest)) = blob.split_first_chunk::<4>() else { return false };
    let inside = usize::try_from(u32::from_be_bytes(*length)).ok().and_then(|n| rest.get(..n));
    inside == Some(kind.as_bytes())
}
