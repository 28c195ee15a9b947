//! The orders against tables made for them, and dpkg's against dpkg itself.

use std::cmp::Ordering;
use std::process::Command;

use proptest::prelude::*;

use super::*;

/// Each list is in ascending order; versions on one line are the same.
fn ascends(kind: PackageKind, lines: &[&[&str]]) {
    for (i, line) in lines.iter().enumerate() {
        for (j, other) in lines.iter().enumerate() {
            for a in *line {
                for b in *other {
                    assert_eq!(compare(kind, a, b), i.cmp(&j), "{kind:?}: {a:?} and {b:?}");
                }
            }
        }
    }
}

const DEB: &[&[&str]] = &[
    &["0~~"],
    &["0~"],
    &["0", "", "0:0", "0-0", "00"],
    &["1.0~rc1-1"],
    &["1.0~rc1-1+b1"],
    &["1.0", "1.0-0", "0:1.0", "01.0"],
    &["1.0-1~bpo12+1"],
    &["1.0-1"],
    &["1.0-1+b1"],
    &["1.0-1+deb12u1"],
    &["1.0-1+deb12u2"],
    &["1.0-1+deb12u10"],
    &["1.0-1.1"],
    &["1.0-2"],
    &["1.0-10"],
    &["1.0a-1"],
    &["1.0+dfsg-1"],
    &["1.0-rc-1"],
    &["1.0.1-1"],
    &["1.9-1"],
    &["1.10-1"],
    &["99999999999999999999999999-1"],
    &["1:0.1"],
    &["1:9.2p1-2+deb12u2"],
    &["1:9.2p1-2+deb12u3"],
    &["2:0~beta"],
];

#[test]
fn deb_versions_are_ordered() {
    ascends(PackageKind::Deb, DEB);
}

fn dpkg(a: &str, b: &str) -> Option<Ordering> {
    let ask = |relation: &str| Command::new("dpkg").args(["--compare-versions", a, relation, b]).output().ok()?.status.code();
    match (ask("lt")?, ask("eq")?) {
        (0, _) => Some(Ordering::Less),
        (_, 0) => Some(Ordering::Equal),
        (1, 1) => Some(Ordering::Greater),
        _ => None,
    }
}

#[test]
fn dpkg_orders_the_table_alike() {
    if dpkg("1", "1").is_none() {
        return; // dpkg is not installed here.
    }
    let all: Vec<&str> = DEB.iter().flat_map(|line| line.iter().copied()).filter(|v| !v.is_empty()).collect();
    for pair in all.windows(2) {
        assert_eq!(Some(compare(PackageKind::Deb, pair[0], pair[1])), dpkg(pair[0], pair[1]), "{pair:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn deb_agrees_with_dpkg(
        epoch in proptest::option::of(0u8..3),
        one in "[0-9][0-9a-c.+~]{0,5}(-[0-9a-b+~.]{1,4})?",
        two in "[0-9][0-9a-c.+~]{0,5}(-[0-9a-b+~.]{1,4})?",
    ) {
        let one = epoch.map_or(one.clone(), |e| format!("{e}:{one}"));
        let ours = compare(PackageKind::Deb, &one, &two);
        if let Some(theirs) = dpkg(&one, &two) {
            prop_assert_eq!(ours, theirs, "{} and {}", one, two);
        }
        prop_assert_eq!(compare(PackageKind::Deb, &two, &one), ours.reverse());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_order_is_one(a in "[0-9]{0,2}[0-9a-c._~^:r-]{0,7}", b in "[0-9]{0,2}[0-9a-c._~^:r-]{0,7}", c in "[0-9]{0,2}[0-9a-c._~^:r-]{0,7}") {
        for kind in [PackageKind::Deb, PackageKind::Rpm, PackageKind::Apk] {
            prop_assert_eq!(compare(kind, &a, &a), Ordering::Equal);
            prop_assert_eq!(compare(kind, &a, &b), compare(kind, &b, &a).reverse(), "{:?} {} {}", kind, a, b);
            if kind == PackageKind::Deb && compare(kind, &a, &b).is_le() && compare(kind, &b, &c).is_le() {
                prop_assert!(compare(kind, &a, &c).is_le(), "{} {} {}", a, b, c);
            }
        }
    }

    #[test]
    fn no_text_breaks_an_order(a in ".{0,20}", b in ".{0,20}") {
        for kind in [PackageKind::Deb, PackageKind::Rpm, PackageKind::Apk, PackageKind::Pkg, PackageKind::Brew] {
            prop_assert_eq!(compare(kind, &a, &b), compare(kind, &b, &a).reverse(), "{:?}", kind);
        }
    }
}

#[test]
fn rpm_versions_are_ordered() {
    ascends(
        PackageKind::Rpm,
        &[
            &["1.0~rc1-1.el9"],
            &["1.0~rc2-1.el9"],
            &["1.0-1.el9~bootstrap"],
            &["1.0-1.el9", "0:1.0-1.el9", "1.0-01.el9", "1_0-1.el9"],
            &["1.0-1.el9_0"],
            &["1.0-1.el9.1"],
            &["1.0-1.el9_4"],
            &["1.0-1.el9_4.2"],
            &["1.0-1.el9_4.10"],
            &["1.0-1.el10"],
            &["1.0-2.el9"],
            &["1.0-10.el9"],
            &["1.0^20240101-1.el9"],
            &["1.0a-1.el9"],
            &["1.0.1-1.el9"],
            &["1.9-1.el9"],
            &["1.10-1.el9"],
            &["20240101-1.el9"],
            &["1:0.5-1.el9"],
            &["1:3.0.7-24.el9"],
            &["1:3.0.7-27.el9"],
            &["2:0-1"],
            &["10:0-1"],
        ],
    );
}

#[test]
fn rpm_pieces_are_compared_as_rpm_does() {
    for (a, b, order) in [
        // A number is newer than a letter, leading zeros count nothing, signs only part.
        ("1.1", "1.a", Ordering::Greater),
        ("5.5p10", "5.5p1", Ordering::Greater),
        ("10xyz", "10.1xyz", Ordering::Less),
        ("xyz10", "xyz10.1", Ordering::Less),
        ("xyz.4", "8", Ordering::Less),
        ("1.0010", "1.10", Ordering::Equal),
        ("1.05", "1.5", Ordering::Equal),
        ("a", "A", Ordering::Greater),
        ("1.b", "1+b", Ordering::Equal),
        ("1.0~~", "1.0~", Ordering::Less),
        ("1.0~rc1^git1", "1.0~rc1", Ordering::Greater),
        ("1.0^git1~pre", "1.0^git1", Ordering::Less),
        ("1.0^", "1.0", Ordering::Greater),
        ("1.0^git1", "1.0.1", Ordering::Less),
        ("1.0^git1", "1.01", Ordering::Less),
    ] {
        assert_eq!(compare(PackageKind::Rpm, a, b), order, "{a} {b}");
        assert_eq!(compare(PackageKind::Rpm, b, a), order.reverse(), "{b} {a}");
    }
}

#[test]
fn apk_versions_are_ordered() {
    ascends(
        PackageKind::Apk,
        &[
            &["0"],
            &["0.1_alpha"],
            &["0.1_alpha1"],
            &["0.1_alpha2"],
            &["0.1_beta"],
            &["0.1_pre2"],
            &["0.1_rc1"],
            &["0.1_rc1-r3"],
            &["0.1_rc2-r0"],
            &["0.1"],
            &["0.1-r0", "0.1-r00"],
            &["0.1-r1"],
            &["0.1-r10"],
            &["0.1_git20240101-r0"],
            &["0.1_p1-r0"],
            &["0.1_p2-r0"],
            &["0.1a-r0"],
            &["0.1b-r0"],
            &["0.1.0-r0"],
            &["0.1.01-r0"],
            &["0.1.1-r0"],
            &["0.1.2-r0"],
            &["0.1.10-r0"],
            &["0.2-r0"],
            &["0.10-r0"],
            &["3.1.4-r5"],
            &["3.1.4-r6"],
            &["20240101-r0"],
        ],
    );
}

#[test]
fn what_is_no_apk_version_is_still_ordered() {
    for odd in ["", "-r0", "1..2", "1.2-r", "1_what3", "a.b", "1.2.3-r4-r5", "1~zz"] {
        assert_eq!(compare(PackageKind::Apk, odd, odd), Ordering::Equal, "{odd}");
        assert_eq!(compare(PackageKind::Apk, odd, "1.2-r0"), compare(PackageKind::Apk, "1.2-r0", odd).reverse(), "{odd}");
    }
}
