//! What is new since the run before, and what is gone. Compares names only: not versions, not severities.

use std::collections::{BTreeMap, BTreeSet};

use super::found::cve;
use super::types::Advised;

/// Marks in `now` what `before` did not have, and returns what `before` had and `now` has not: `ID SOURCE`, sorted.
///
/// An announcement that takes the place of the vulnerabilities that it fixes brings nothing new, and as long as one of an
/// announcement's vulnerabilities is left, it is not gone. Both lists must be of the same host and both must have been
/// looked up: a list that is empty because nobody could look says nothing.
pub fn compare(now: &mut [Advised], before: &[Advised]) -> Vec<String> {
    let known = Named::all(before);
    for advised in now.iter_mut() {
        let known = known.get(&advised.source);
        let cves: Vec<&str> = cves(advised).collect();
        let same = known.is_some_and(|k| k.ids.contains(&advised.id));
        let covered = known.is_some_and(|k| !cves.is_empty() && cves.iter().all(|cve| k.cves.contains(*cve)));
        advised.new = !same && !covered;
    }
    let left = Named::all(now);
    let gone: BTreeSet<String> = before
        .iter()
        .filter(|advised| {
            left.get(&advised.source).is_none_or(|l| !l.ids.contains(&advised.id) && !cves(advised).any(|cve| l.cves.contains(cve)))
        })
        .map(|advised| format!("{} {}", advised.id, advised.source))
        .collect();
    gone.into_iter().collect()
}

/// The names that a source package's findings have.
#[derive(Default)]
struct Named {
    ids: BTreeSet<String>,
    cves: BTreeSet<String>,
}

impl Named {
    fn all(list: &[Advised]) -> BTreeMap<String, Self> {
        let mut all: BTreeMap<String, Self> = BTreeMap::new();
        for advised in list {
            let named = all.entry(advised.source.clone()).or_default();
            named.ids.insert(advised.id.clone());
            named.cves.extend(cves(advised).map(str::to_owned));
        }
        all
    }
}

fn cves(advised: &Advised) -> impl Iterator<Item = &str> {
    std::iter::once(&advised.id).chain(&advised.aliases).filter_map(|name| cve(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advised(id: &str, source: &str, aliases: &[&str]) -> Advised {
        Advised {
            id: id.into(),
            aliases: aliases.iter().map(|a| (*a).into()).collect(),
            summary: String::new(),
            source: source.into(),
            installed: "1".into(),
            packages: Vec::new(),
            fixed: None,
            severity: None,
            published: None,
            new: true,
        }
    }

    fn marks(now: &mut [Advised], before: &[Advised]) -> (Vec<bool>, Vec<String>) {
        let fixed = compare(now, before);
        (now.iter().map(|a| a.new).collect(), fixed)
    }

    #[test]
    fn new_is_new_and_fixed_is_gone() {
        let before = [advised("DEBIAN-CVE-2024-1", "curl", &["CVE-2024-1"]), advised("DSA-9-1", "vim", &[])];
        let mut now = [advised("DEBIAN-CVE-2024-1", "curl", &["CVE-2024-1"]), advised("DEBIAN-CVE-2024-2", "curl", &["CVE-2024-2"])];
        assert_eq!(marks(&mut now, &before), (vec![false, true], vec!["DSA-9-1 vim".to_owned()]));
    }

    #[test]
    fn the_same_name_on_another_package_is_another_finding() {
        let before = [advised("CVE-2024-1", "curl", &[])];
        let mut now = [advised("CVE-2024-1", "wget", &[])];
        assert_eq!(marks(&mut now, &before), (vec![true], vec!["CVE-2024-1 curl".to_owned()]));
    }

    #[test]
    fn an_announcement_of_what_was_known_is_neither_new_nor_a_fix() {
        let before = [advised("DEBIAN-CVE-2024-1", "curl", &["CVE-2024-1"]), advised("DEBIAN-CVE-2024-2", "curl", &["CVE-2024-2"])];
        let mut now = [advised("DSA-1-1", "curl", &["CVE-2024-1", "CVE-2024-2"])];
        assert_eq!(marks(&mut now, &before), (vec![false], vec![]));
        let mut more = [advised("DSA-1-1", "curl", &["CVE-2024-1", "CVE-2024-3"])];
        assert_eq!(marks(&mut more, &before), (vec![true], vec!["DEBIAN-CVE-2024-2 curl".to_owned()]));
    }

    #[test]
    fn an_announcement_is_fixed_when_the_last_of_it_is() {
        let before = [advised("DSA-1-1", "curl", &["CVE-2024-1", "CVE-2024-2"])];
        let mut half = [advised("DEBIAN-CVE-2024-2", "curl", &["CVE-2024-2"])];
        assert_eq!(marks(&mut half, &before), (vec![false], vec![]));
        assert_eq!(marks(&mut [], &before), (vec![], vec!["DSA-1-1 curl".to_owned()]));
        assert_eq!(marks(&mut [], &[]), (vec![], vec![]));
    }

    #[test]
    fn twice_the_same_is_said_once() {
        let before = [advised("DSA-1-1", "linux", &[]), advised("DSA-1-1", "linux", &[])];
        assert_eq!(marks(&mut [], &before).1, ["DSA-1-1 linux"]);
    }
}
