//! Words that arguments are made of: sources of text, tags, durations, times.

use std::path::PathBuf;

use crate::clock::{Clock, Time};
use crate::control::{is_key_type, looks_private};
use crate::model::printable;

/// Where a text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// It stands in the argument itself: a public key.
    Inline(String),
    /// Standard input.
    Stdin,
    /// A file.
    File(PathBuf),
}

/// `-`, `ssh-ed25519 AAAA…` or a file's name.
pub(super) fn source(text: &str) -> Result<Source, String> {
    if looks_private(text) {
        return Err("this is a private key; keys are never arguments: give a file's name, or - for standard input".to_owned());
    }
    match text.split_once(' ') {
        _ if text == "-" => Ok(Source::Stdin),
        _ if text.is_empty() => Err("a file's name is wanted, or - for standard input".to_owned()),
        Some((first, _)) if is_key_type(first) => Ok(Source::Inline(text.to_owned())),
        _ => Ok(Source::File(PathBuf::from(text))),
    }
}

/// `-` or a file's name.
pub(super) fn file(text: &str) -> Result<Source, String> {
    match source(text)? {
        Source::Inline(_) => Err("this is a public key; the private one is wanted, from a file or - for standard input".to_owned()),
        found => Ok(found),
    }
}

/// `env=prod`.
pub(super) fn tag(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a tag is written KEY=VALUE".to_owned()),
    }
}

/// `8h`, `30m`, `90s`, `1d`, `1h30m`: seconds.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{}` is no duration: write 8h, 30m, 90s or 1h30m", printable(text, 40));
    let mut total: u64 = 0;
    let mut digits = String::new();
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                digits.push(c);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86400,
            _ => return Err(wrong()),
        };
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        total = count.checked_mul(unit).and_then(|s| total.checked_add(s)).ok_or_else(wrong)?;
        digits.clear();
    }
    if digits.is_empty() && !text.is_empty() { Ok(total) } else { Err(wrong()) }
}

/// A point in time: `2026-12-31`, `2026-12-31T18:00:00Z`.
pub(super) fn time(text: &str) -> Result<Time, String> {
    Time::parse(text)
}

/// A point in time, or how long ago: `2h`.
pub(super) fn since(text: &str) -> Result<Time, String> {
    match seconds(text) {
        Ok(ago) => {
            Ok(Time::from_millis(Clock::System.now().millis().saturating_sub(i64::try_from(ago.saturating_mul(1000)).unwrap_or(i64::MAX))))
        }
        Err(_) => Time::parse(text).map_err(|e| format!("{e}, or how long ago: 2h")),
    }
}

/// A network; an address alone is a network of one.
pub(super) fn network(text: &str) -> Result<ipnet::IpNet, String> {
    text.parse()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from))
        .map_err(|_| format!("`{}` is no network: write 192.0.2.0/24 or 2001:db8::/32", printable(text, 60)))
}
