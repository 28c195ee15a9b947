//! How distributions order versions. Compares what it is given and never asks a package manager.
//!
//! RPM's order is that of `rpm-version`, which has no dependencies and follows rpm with `~` and `^`. `debversion` brings
//! a calendar, regular expressions and big numbers for an order of thirty lines, and refuses versions that dpkg only
//! warns of; `apk-version` wraps apk-tools in C. Those two orders are written here, from their public descriptions.

mod apk;
mod deb;

use std::cmp::Ordering;

use crate::facts::PackageKind;

/// How two versions of a package stand to each other. Defined for every text, so that no record and no host can break
/// it; `Pkg` and `Brew` are never looked up and are compared as text.
pub(super) fn compare(kind: PackageKind, a: &str, b: &str) -> Ordering {
    match kind {
        PackageKind::Deb => deb::compare(a, b),
        PackageKind::Rpm => rpm_version::rpm_evr_compare(a.trim(), b.trim()),
        PackageKind::Apk => apk::compare(a, b),
        PackageKind::Pkg | PackageKind::Brew => a.cmp(b),
    }
}

/// Digits as a number of any size.
fn by_number(a: &[u8], b: &[u8]) -> Ordering {
    let (a, b) = (without_zeros(a), without_zeros(b));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn without_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|b| **b == b'0').count();
    digits.get(zeros..).unwrap_or_default()
}

/// What stands at the front and fits, and the rest.
fn split(text: &[u8], fits: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let length = text.iter().take_while(|b| fits(**b)).count();
    text.split_at(length)
}

#[cfg(test)]
mod tests;
