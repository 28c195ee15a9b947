//! Whether a version is affected, and the first version that is not: the schema's evaluation, in the distribution's own order.
//! Knows no hosts and no names.

use std::cmp::Ordering;

use super::order;
use super::record::{Affected, Event, Range};
use crate::facts::PackageKind;

/// How many fixes are tried: more of them in the middle of other ranges is no record of anything.
const FIXES_MAX: usize = 100;

/// What a record says of an installed version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The first version after the installed one that is not affected; `None`: none is known.
    pub(super) fixed: Option<String>,
}

/// `None`: the version is not affected.
///
/// A range of type SEMVER is compared in the distribution's order, too, because it is the distribution's version that is
/// compared with it: `1.2.3-r0` is no pre-release of 1.2.3. A range without a type is taken for one of versions. Ranges of commits and of unknown types say nothing about versions.
pub(super) fn evaluate(kind: PackageKind, version: &str, affected: &Affected) -> Option<Verdict> {
    let ranges: Vec<Sorted<'_>> =
        affected.ranges.iter().filter(|r| matches!(r.kind.as_str(), "ECOSYSTEM" | "SEMVER" | "")).map(|r| Sorted::of(kind, r)).collect();
    let is_affected = |version: &str| {
        affected.versions.iter().any(|listed| order::compare(kind, version, listed).is_eq())
            || ranges.iter().any(|r| r.holds(kind, version))
    };
    if !is_affected(version) {
        return None;
    }
    let mut fixes: Vec<&str> = ranges
        .iter()
        .flat_map(|r| r.events.iter())
        .filter_map(|event| match event {
            At::Fixed(fixed) if order::compare(kind, fixed, version).is_gt() => Some(*fixed),
            _ => None,
        })
        .collect();
    fixes.sort_by(|a, b| order::compare(kind, a, b));
    // A fix on one branch may stand in the middle of another branch's range.
    let fixed = fixes.into_iter().take(FIXES_MAX).find(|fixed| !is_affected(fixed));
    Some(Verdict { fixed: fixed.map(str::to_owned) })
}

#[derive(Clone, Copy)]
enum At<'a> {
    Introduced(&'a str),
    Fixed(&'a str),
    LastAffected(&'a str),
}

impl<'a> At<'a> {
    fn of(event: &'a Event) -> Option<Self> {
        match event {
            Event { introduced: Some(version), .. } => Some(Self::Introduced(version)),
            Event { fixed: Some(version), .. } => Some(Self::Fixed(version)),
            Event { last_affected: Some(version), .. } => Some(Self::LastAffected(version)),
            _ => None,
        }
    }

    fn version(self) -> &'a str {
        match self {
            Self::Introduced(version) | Self::Fixed(version) | Self::LastAffected(version) => version,
        }
    }

    /// `introduced: "0"` is before every version, even `0~`.
    fn is_the_beginning(self) -> bool {
        matches!(self, Self::Introduced("0"))
    }
}

/// A range with its events in order.
struct Sorted<'a> {
    events: Vec<At<'a>>,
    limits: Vec<&'a str>,
}

impl<'a> Sorted<'a> {
    fn of(kind: PackageKind, range: &'a Range) -> Self {
        let mut events: Vec<At<'a>> = range.events.iter().filter_map(At::of).collect();
        // Events of the same version stay as they are written: "fixed" after "introduced" of the same version is never affected.
        events.sort_by(|a, b| match (a.is_the_beginning(), b.is_the_beginning()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => order::compare(kind, a.version(), b.version()),
        });
        Self { events, limits: range.events.iter().filter_map(|e| e.limit.as_deref()).collect() }
    }

    fn holds(&self, kind: PackageKind, version: &str) -> bool {
        if !self.limits.is_empty() && !self.limits.iter().any(|limit| *limit == "*" || order::compare(kind, version, limit).is_lt()) {
            return false;
        }
        let mut affected = false;
        for event in &self.events {
            let compared = order::compare(kind, version, event.version());
            match event {
                At::Introduced(_) if event.is_the_beginning() || compared.is_ge() => affected = true,
                At::Fixed(_) if compared.is_ge() => affected = false,
                At::LastAffected(_) if compared.is_gt() => affected = false,
                _ => {}
            }
        }
        affected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PackageKind::{Apk, Deb, Rpm};

    fn affected(text: &str) -> Affected {
        serde_json::from_str(text).unwrap()
    }

    fn one(events: &str) -> Affected {
        affected(&format!(r#"{{"ranges":[{{"type":"ECOSYSTEM","events":[{events}]}}]}}"#))
    }

    fn fixed(kind: PackageKind, version: &str, affected: &Affected) -> Option<Option<String>> {
        evaluate(kind, version, affected).map(|v| v.fixed)
    }

    #[test]
    fn the_fixed_version_is_not_affected_and_the_one_before_is() {
        for (kind, fix, before, after) in [
            (
                Deb,
                "1:9.2p1-2+deb12u3",
                vec!["1:9.2p1-2+deb12u2", "1:9.2p1-2", "9.9p1-1", "1:9.2p1-2+deb12u3~bpo1"],
                vec!["1:9.2p1-2+deb12u3+b1", "2:1"],
            ),
            (
                Rpm,
                "0:8.7p1-38.el9_4.1",
                vec!["8.7p1-38.el9", "8.7p1-38.el9_4", "0:8.7p1-34.el9"],
                vec!["8.7p1-38.el9_4.1", "8.7p1-38.el9_4.2", "8.7p1-43.el9", "1:1-1"],
            ),
            (Rpm, "1:3.0.7-27.el9", vec!["1:3.0.7-25.el9_3", "3.5.0-1.el9"], vec!["1:3.0.7-28.el9"]),
            (Apk, "3.3.1-r1", vec!["3.3.1-r0", "3.3.1_rc1-r9", "3.3.0-r5"], vec!["3.3.1-r2", "3.3.1a-r0"]),
        ] {
            let range = one(&format!(r#"{{"introduced":"0"}},{{"fixed":"{fix}"}}"#));
            assert_eq!(fixed(kind, fix, &range), None, "{fix}");
            for version in before {
                assert_eq!(fixed(kind, version, &range), Some(Some(fix.to_owned())), "{version} before {fix}");
            }
            for version in after {
                assert_eq!(fixed(kind, version, &range), None, "{version} after {fix}");
            }
        }
    }

    #[test]
    fn nothing_is_before_the_beginning() {
        let range = one(r#"{"introduced":"0"},{"fixed":"1.0-1"}"#);
        assert!(fixed(Deb, "0~~alpha", &range).is_some());
        let later = one(r#"{"introduced":"8.13.0"},{"fixed":"8.22.0-r0"}"#);
        assert_eq!(fixed(Apk, "8.12.9-r3", &later), None);
        assert!(fixed(Apk, "8.13.0-r0", &later).is_some());
    }

    #[test]
    fn last_affected_is_affected_and_nothing_after_it() {
        let range = one(r#"{"introduced":"1.0"},{"last_affected":"1.4-1"}"#);
        assert_eq!(fixed(Deb, "1.4-1", &range), Some(None));
        assert_eq!(fixed(Deb, "1.4-1+b1", &range), None);
        assert_eq!(fixed(Deb, "0.9", &range), None);
    }

    #[test]
    fn events_are_sorted_and_branches_are_kept_apart() {
        let range = one(r#"{"fixed":"2.0.3"},{"introduced":"2.0"},{"fixed":"1.2.5"},{"introduced":"0"}"#);
        assert_eq!(fixed(Deb, "1.0", &range), Some(Some("1.2.5".into())));
        assert_eq!(fixed(Deb, "1.9", &range), None);
        assert_eq!(fixed(Deb, "2.0.1", &range), Some(Some("2.0.3".into())));
        assert_eq!(fixed(Deb, "2.0.3", &range), None);
        let several = affected(
            r#"{"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.0"}]},
                          {"type":"ECOSYSTEM","events":[{"introduced":"1.0"},{"fixed":"2.0"}]}]}"#,
        );
        // 2.0 fixes one range and lies in the other.
        assert_eq!(fixed(Deb, "1.5", &several), Some(Some("3.0".into())));
    }

    #[test]
    fn what_was_fixed_where_it_began_was_never_affected() {
        assert_eq!(fixed(Apk, "1.0-r0", &one(r#"{"introduced":"0"},{"fixed":"0"}"#)), None);
        let again = one(r#"{"introduced":"1"},{"fixed":"2"},{"introduced":"2"},{"fixed":"3"}"#);
        assert_eq!(fixed(Deb, "2", &again), Some(Some("3".into())));
        assert_eq!(fixed(Deb, "1.5", &again), Some(Some("3".into())));
    }

    #[test]
    fn a_list_of_versions_counts_besides_the_ranges() {
        let listed = affected(r#"{"versions":["0:1.0-1","1.1-1"],"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}]}"#);
        assert_eq!(fixed(Deb, "1.0-1", &listed), Some(None));
        assert_eq!(fixed(Deb, "1.2-1", &listed), None);
    }

    #[test]
    fn limits_end_a_range() {
        let range = one(r#"{"introduced":"1.0"},{"limit":"2.0"}"#);
        assert_eq!(fixed(Deb, "1.9", &range), Some(None));
        assert_eq!(fixed(Deb, "2.0", &range), None);
        assert_eq!(fixed(Deb, "9", &one(r#"{"introduced":"1.0"},{"limit":"*"}"#)), Some(None));
    }

    #[test]
    fn no_ranges_no_events_and_unknown_types_affect_nothing() {
        for text in [
            "{}",
            r#"{"ranges":[]}"#,
            r#"{"ranges":[{"type":"ECOSYSTEM","events":[]}]}"#,
            r#"{"ranges":[{"type":"ODD","events":[{"introduced":"0"}]}]}"#,
        ] {
            assert_eq!(fixed(Deb, "1.0", &affected(text)), None, "{text}");
        }
        assert!(fixed(Apk, "1.2.3-r0", &affected(r#"{"ranges":[{"type":"SEMVER","events":[{"introduced":"1.2.3"}]}]}"#)).is_some());
    }
}
