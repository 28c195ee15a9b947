//! dpkg's order of versions: `[epoch:]upstream[-revision]`, as deb-version(7) describes it. Refuses nothing.

use std::cmp::Ordering;

use super::{by_number, split};

pub(super) fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (Parts::of(a), Parts::of(b));
    by_number(a.epoch, b.epoch).then_with(|| piece(a.upstream, b.upstream)).then_with(|| piece(a.revision, b.revision))
}

struct Parts<'a> {
    epoch: &'a [u8],
    upstream: &'a [u8],
    revision: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(version: &'a str) -> Self {
        let version = version.trim();
        let (epoch, rest) = match version.split_once(':') {
            Some((epoch, rest)) if !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit()) => (epoch, rest),
            _ => ("", version),
        };
        // The upstream version may hold hyphens itself. No revision is the revision 0.
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Self { epoch: epoch.as_bytes(), upstream: upstream.as_bytes(), revision: revision.as_bytes() }
    }
}

/// Takes turns: what is no digit by [`weight`], then digits as a number, until one differs or both end.
fn piece(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let (words_a, rest_a) = split(a, |c| !c.is_ascii_digit());
        let (words_b, rest_b) = split(b, |c| !c.is_ascii_digit());
        // The shorter one goes on as if there were digits or the end, which weigh nothing.
        for at in 0..words_a.len().max(words_b.len()) {
            let order = weight(words_a.get(at)).cmp(&weight(words_b.get(at)));
            if order.is_ne() {
                return order;
            }
        }
        let (number_a, next_a) = split(rest_a, |c| c.is_ascii_digit());
        let (number_b, next_b) = split(rest_b, |c| c.is_ascii_digit());
        let order = by_number(number_a, number_b);
        if order.is_ne() {
            return order;
        }
        (a, b) = (next_a, next_b);
    }
    Ordering::Equal
}

/// A tilde comes before even the end, letters before all other signs.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(other) => i32::from(*other) + 256,
    }
}
