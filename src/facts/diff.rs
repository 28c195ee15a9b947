//! What changed on a host from one time to another. Says nothing of a group that was not answered at either time.

use std::collections::{BTreeMap, BTreeSet};

use super::types::{Account, Change, Facts, Listening, Package, Password, Rule, Service, System};
use super::{accounts::PASSWORDS, listening::PROCESSES};

/// What is new, gone or changed, sorted by kind and name. A group that stands in `missing` at either time yields nothing: what was
/// not answered is not gone.
pub fn diff(before: &Facts, after: &Facts) -> Vec<Change> {
    let there = |facts: &Facts, group: &str| !facts.missing.contains_key(group) && !facts.inapplicable.contains_key(group);
    let both = |group: &str| there(before, group) && there(after, group);
    let mut changes = Vec::new();
    if both("packages") {
        let several = several_architectures(&[&before.packages, &after.packages]);
        compare("package", packages(&before.packages, &several), packages(&after.packages, &several), &mut changes);
    }
    if both("listening") {
        let names = both(PROCESSES);
        compare("port", ports(&before.listening, names), ports(&after.listening, names), &mut changes);
    }
    if both("users") {
        let passwords = both(PASSWORDS);
        compare("user", users(&before.users, passwords), users(&after.users, passwords), &mut changes);
    }
    if both("groups") {
        let groups = |facts: &Facts| listed(facts.groups.iter().map(|g| (g.name.clone(), group(g.gid, &g.members))));
        compare("group", groups(before), groups(after), &mut changes);
    }
    if both("authorized_keys") {
        compare("key", keys(before), keys(after), &mut changes);
    }
    if both("services") {
        compare("service", services(&before.services), services(&after.services), &mut changes);
    }
    if both("sudoers") {
        compare("sudo", rules(&before.sudoers), rules(&after.sudoers), &mut changes);
    }
    if both("cron") {
        compare("cron", rules(&before.cron), rules(&after.cron), &mut changes);
    }
    if both("modules") {
        let modules = |facts: &Facts| facts.modules.iter().map(|m| (m.clone(), "loaded".to_owned())).collect();
        compare("module", modules(before), modules(after), &mut changes);
    }
    let mut rows = (system(&before.system), system(&after.system));
    if both("os") {
        for (rows, os) in [(&mut rows.0, &before.os), (&mut rows.1, &after.os)] {
            rows.extend([("os".to_owned(), os.name.clone()), ("os version".to_owned(), os.version.clone())]);
        }
    }
    // One of several values: what was not known at either time did not change.
    for (name, was) in &rows.0 {
        if let Some(is) = rows.1.get(name)
            && is != was
            && !is.is_empty()
            && !was.is_empty()
        {
            changes.push(change("system", name, Some(was), Some(is)));
        }
    }
    changes.sort_by(|a, b| (&a.kind, &a.name, &a.before, &a.after).cmp(&(&b.kind, &b.name, &b.before, &b.after)));
    changes
}

fn change(kind: &str, name: &str, before: Option<&String>, after: Option<&String>) -> Change {
    Change { kind: kind.to_owned(), name: name.to_owned(), before: before.cloned(), after: after.cloned() }
}

fn compare(kind: &str, before: BTreeMap<String, String>, after: BTreeMap<String, String>, changes: &mut Vec<Change>) {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (was, is) = (before.get(name), after.get(name));
        if was != is {
            changes.push(change(kind, name, was, is));
        }
    }
}

/// Entries of the same name become one: their values in order, each once.
fn listed(entries: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let mut by_name: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, value) in entries {
        by_name.entry(name).or_default().insert(value);
    }
    by_name.into_iter().map(|(name, values)| (name, values.into_iter().collect::<Vec<_>>().join(", "))).collect()
}

/// Names that are installed for more than one architecture: only those are told apart by it.
fn several_architectures(lists: &[&Vec<Package>]) -> BTreeSet<String> {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    let mut several = BTreeSet::new();
    for package in lists.iter().flat_map(|l| l.iter()) {
        if *first.entry(&package.name).or_insert(&package.arch) != package.arch {
            several.insert(package.name.clone());
        }
    }
    several
}

fn packages(packages: &[Package], several: &BTreeSet<String>) -> BTreeMap<String, String> {
    let name = |p: &Package| if several.contains(&p.name) { format!("{}:{}", p.name, p.arch) } else { p.name.clone() };
    listed(packages.iter().map(|p| (name(p), p.version.clone())))
}

/// By protocol, address, interface and port. `names`: whether the processes were seen both times.
fn ports(listening: &[Listening], names: bool) -> BTreeMap<String, String> {
    let name = |l: &Listening| {
        let interface = l.interface.as_ref().map(|i| format!("%{i}")).unwrap_or_default();
        if l.address.contains(':') {
            format!("{} [{}{interface}]:{}", l.protocol, l.address, l.port)
        } else {
            format!("{} {}{interface}:{}", l.protocol, l.address, l.port)
        }
    };
    let value = |l: &Listening| if names && !l.processes.is_empty() { l.processes.join(", ") } else { "listening".to_owned() };
    listed(listening.iter().map(|l| (name(l), value(l))))
}

fn users(users: &[Account], passwords: bool) -> BTreeMap<String, String> {
    let value = |u: &Account| {
        let mut value = format!("uid {}, gid {}, home {}, shell {}", u.uid, u.gid, u.home, u.shell);
        if passwords {
            value += &match &u.password {
                None => ", password unknown".to_owned(),
                Some(Password::Empty) => ", no password".to_owned(),
                Some(Password::Locked) => ", password locked".to_owned(),
                Some(Password::Hashed(how)) => format!(", password {how}"),
            };
            let days = [("changed on day", u.password_changed), ("valid for days", u.password_max_days), ("expires on day", u.expires)];
            for (what, n) in days {
                value += &n.map(|n| format!(", {what} {n}")).unwrap_or_default();
            }
        }
        value
    };
    listed(users.iter().map(|u| (u.name.clone(), value(u))))
}

fn group(gid: u32, members: &[String]) -> String {
    let mut members = members.to_vec();
    members.sort();
    format!("gid {gid}, members {}", if members.is_empty() { "none".to_owned() } else { members.join(" ") })
}

fn keys(facts: &Facts) -> BTreeMap<String, String> {
    listed(facts.authorized_keys.iter().map(|k| {
        let options = if k.options.is_empty() { String::new() } else { format!("{} ", k.options) };
        (format!("{} {}", k.user, k.fingerprint), format!("{options}{} {} in {}", k.kind, k.comment, k.file))
    }))
}

/// Services that others start when they need them come and go by themselves; of those only a failure counts. systemd forgets services
/// that are not active, so that being inactive and not being mentioned is the same.
fn services(services: &[Service]) -> BTreeMap<String, String> {
    let passing =
        |s: &Service| matches!(s.enabled.as_str(), "static" | "indirect" | "generated" | "transient" | "alias" | "unknown" | "loaded");
    let value = |s: &Service| match s.active.as_deref() {
        Some("failed") => format!("{}, failed", s.enabled),
        Some("active" | "activating" | "reloading") if !passing(s) => format!("{}, active", s.enabled),
        _ => s.enabled.clone(),
    };
    let instance = |s: &Service| s.name.split_once('@').is_some_and(|(_, i)| !i.is_empty());
    let kept = services.iter().filter(|s| !(passing(s) && instance(s)) || s.active.as_deref() == Some("failed"));
    listed(kept.map(|s| (s.name.clone(), value(s))))
}

fn rules(rules: &[Rule]) -> BTreeMap<String, String> {
    listed(rules.iter().map(|r| (r.text.clone(), r.file.clone())))
}

fn system(system: &System) -> BTreeMap<String, String> {
    let yes = |b: Option<bool>| b.map(|b| if b { "yes" } else { "no" }.to_owned());
    let rows = [
        ("hostname", Some(system.hostname.clone())),
        ("kernel", Some(system.kernel.clone())),
        ("kernel release", Some(system.release.clone())),
        ("machine", Some(system.machine.clone())),
        ("boot", system.boot_id.clone().or_else(|| system.booted_at.map(|t| t.to_string()))),
        ("cpus", system.cpus.map(|n| n.to_string())),
        ("cpu model", system.cpu_model.clone()),
        ("memory", system.memory.map(|n| n.to_string())),
        ("virtualisation", system.virtualisation.clone()),
        ("hardware", system.hardware.clone()),
        ("reboot pending", yes(system.reboot_pending)),
        ("time synchronised", yes(system.time_synchronised)),
        ("time source", system.time_source.clone()),
        ("timezone", system.timezone.clone()),
    ];
    rows.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
