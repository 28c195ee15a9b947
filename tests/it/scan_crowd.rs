//! Scans of many hosts at once: each is signed in to once, each lease is short, and a wrong credential is tried on two of them only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::world::targets::{Crowd, Member};
use crate::world::{Scene, run_within};

/// A hundred inventories are minutes of work where tests run side by side on few processors.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long one lease may take, in seconds, on a machine that does ten other things. What it takes by itself (less than 2 s) is the
/// bench's to say.
const LEASE: f64 = 15.0;
/// How much memory the daemon may ever have had, in KiB.
const MEMORY: u64 = 200 * 1024;

/// Scans these hosts with the inventory, sixteen at once; the exit status and each host of the report.
#[track_caller]
fn scan(scene: &Scene, hosts: &str) -> (i32, Vec<Value>) {
    let words = ["scan", "run", "--hosts", hosts, "--profile", "inventory", "--parallel", "16", "--format", "json", "--quiet"];
    let outcome = run_within(PATIENCE, scene.broker.command(&words), "");
    let status = outcome.status.unwrap_or_else(|| panic!("{outcome:?}\n{}", scene.broker.log()));
    let report: Value = serde_json::from_str(&outcome.text()).unwrap_or_else(|e| panic!("{e}\n{outcome:?}\n{}", scene.broker.log()));
    assert_eq!(report["state"], "done", "{outcome:?}");
    (status, report["hosts"].as_array().unwrap().clone())
}

/// The names of the hosts of a report, each once.
#[track_caller]
fn names(hosts: &[Value]) -> BTreeSet<&str> {
    let names: BTreeSet<&str> = hosts.iter().map(|h| h["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), hosts.len(), "a host has more than one row");
    names
}

/// How many hosts came out so, and why.
fn outcomes(hosts: &[Value]) -> BTreeMap<(&str, Option<&str>), usize> {
    let mut out = BTreeMap::new();
    for host in hosts {
        *out.entry((host["state"].as_str().unwrap(), host["error"].as_str())).or_default() += 1;
    }
    out
}

/// How often a server refused a sign-in.
fn refusals(member: &Member) -> usize {
    member.log().lines().filter(|l| l.starts_with("Failed ")).count()
}

/// Seconds of each lease, by the times of the audit log and by the host; every lease has one beginning and one end.
#[track_caller]
fn leases(scene: &Scene) -> Vec<(String, f64)> {
    let at = |entry: &Value| OffsetDateTime::parse(entry["at"].as_str().unwrap(), &Rfc3339).unwrap();
    let (mut open, mut out) = (BTreeMap::new(), Vec::new());
    for entry in scene.broker.audit() {
        let session = entry["session"].as_str().unwrap_or_default().to_owned();
        match entry["event"].as_str() {
            Some("lease.opened") => assert!(open.insert(session, at(&entry)).is_none(), "two leases at once: {entry}"),
            Some("lease.ended") => {
                let began = open.remove(&session).unwrap_or_else(|| panic!("no lease was opened: {entry}"));
                out.push((entry["host"].as_str().unwrap().to_owned(), (at(&entry) - began).as_seconds_f64()));
            }
            _ => {}
        }
    }
    assert!(open.is_empty(), "leases without an end: {open:?}");
    out
}

/// The most memory that the daemon ever had, in KiB.
fn peak(scene: &Scene) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", scene.broker.id())).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_hundred_hosts_are_signed_in_to_once_each_and_every_lease_is_short() {
    let scene = Scene::new();
    let crowd = Crowd::many(&scene.place("crowd"), 100);
    crowd.joins(&scene);
    scene.broker.does(&["grant", "add", "--to", "*", "--hosts", "crowd-*", "--allow", "scan"]);
    let all: BTreeSet<&str> = crowd.members.iter().map(|m| m.name.as_str()).collect();

    let (status, hosts) = scan(&scene, "crowd-*");
    assert_eq!(names(&hosts), all);
    // The servers are alike, so what is said of one is said of all; that something is missing shows in the status.
    let came_out = outcomes(&hosts);
    let ((state, error), count) = came_out.first_key_value().unwrap();
    assert_eq!((came_out.len(), *count), (1, 100), "{came_out:?}");
    match (*state, status) {
        ("done", 0 | 5) => assert_eq!(*error, None),
        ("partial", 5) => assert!(error.is_some_and(|e| e.contains("probes were not answered in full")), "{came_out:?}"),
        _ => panic!("status {status}: {came_out:?}"),
    }
    for host in &hosts {
        let packages = host["facts"]["packages"].as_array().map_or(0, Vec::len);
        assert!(packages > 50, "{} has {packages} packages", host["name"]);
    }

    let leases = leases(&scene);
    let leased: BTreeSet<&str> = leases.iter().map(|(host, _)| host.as_str()).collect();
    assert_eq!((leased, leases.len()), (all, 100));
    let longest = leases.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    assert!(longest.1 < LEASE, "the lease of {} lasted {} s", longest.0, longest.1);
    for member in &crowd.members {
        let seen = (member.sign_ins(), member.connections(), refusals(member));
        assert_eq!(seen, (1, 1, 0), "{}:\n{}", member.name, member.log());
    }
    assert!(scene.broker.live().is_empty());
    let peak = peak(&scene);
    assert!(peak < MEMORY, "the daemon had {peak} KiB");

    // Once for each scan, and nobody else.
    let (_, again) = scan(&scene, "crowd-00*");
    assert_eq!(again.len(), 9);
    for member in &crowd.members {
        let scans = if names(&again).contains(member.name.as_str()) { 2 } else { 1 };
        assert_eq!((member.sign_ins(), refusals(member)), (scans, 0), "{}:\n{}", member.name, member.log());
    }
    scene.broker.does(&["audit", "verify"]);
}

#[test]
fn a_wrong_password_is_tried_on_two_hosts_of_thirty() {
    let scene = Scene::new();
    let crowd = Crowd::many(&scene.place("crowd"), 30);
    scene.broker.does_with(
        &["credential", "add", "wrong", "--scope", "workspace", "--username", &crowd.login.user, "--password"],
        "not the password",
    );
    for member in &crowd.members {
        let words = ["host", "add", &member.name, &member.address, "--credential", "wrong", "--host-key", &crowd.host_key.public];
        scene.broker.does(&words);
    }
    scene.broker.does(&["grant", "add", "--to", "*", "--hosts", "crowd-*", "--allow", "scan"]);

    let (status, hosts) = scan(&scene, "crowd-*");
    assert_eq!((status, names(&hosts).len()), (5, 30));
    let refused: usize = crowd.members.iter().map(refusals).sum();
    assert!((1..=2).contains(&refused), "{refused} servers or more have refused it");
    for member in &crowd.members {
        assert_eq!(member.sign_ins(), 0, "{}", member.log());
        let host = hosts.iter().find(|h| h["name"] == member.name.as_str()).unwrap();
        let error = host["error"].as_str().unwrap();
        if refusals(member) > 0 {
            assert_eq!(host["state"], "refused", "{host}");
            assert!(error.contains("password"), "{host}");
        } else {
            assert_eq!(host["state"], "skipped", "{host}\n{}", member.log());
            assert!(error.contains("its credential was refused by two hosts of this scan"), "{host}");
        }
        assert!(host["facts"].is_null(), "{host}");
    }
    // Those that were called when it became known; none is called after that.
    let called = crowd.members.iter().filter(|m| m.connections() > 0).count();
    assert!(called <= 16 + refused, "{called} hosts were called");
    assert_eq!(leases(&scene).len(), refused, "what is not tried is not decrypted");
    scene.broker.does(&["audit", "verify"]);
}
