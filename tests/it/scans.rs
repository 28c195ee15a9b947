//! Scans of real hosts through the broker: every fact and state is compared with what the host itself says.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::Value;

use crate::world::broker::Settings;
use crate::world::process::{Process, heeds_signals, run_within};
use crate::world::targets::{Death, Lie, NOISE, PACKAGES, SHELLS, Slow, Sudo};
use crate::world::{Outcome, PATIENCE, Scene, Target, Way, eventually};

/// Lets Alice scan.
#[track_caller]
fn grants(scene: &Scene, hosts: &str) {
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", hosts, "--allow", "scan"]);
}

/// A scene with this target, which Alice may scan as its first account.
#[track_caller]
fn with(settings: Settings, make: impl FnOnce(&std::path::Path) -> Target) -> (Scene, Target) {
    let scene = Scene::with(settings);
    let target = make(&scene.place("web-2"));
    target.joins(&scene);
    grants(&scene, "*");
    (scene, target)
}

/// Runs `scan …` as Alice over ssh.
#[track_caller]
fn scan(scene: &Scene, words: &str) -> Outcome {
    run_within(PATIENCE * 3, scene.alice.ssh(&["-l", "alice", "through", "--", &format!("scan {words}")]), "")
}

/// Runs a scan, and gives its exit status and its document.
#[track_caller]
fn document(scene: &Scene, words: &str) -> (i32, Value) {
    let outcome = scan(scene, &format!("{words} --format json"));
    let document = serde_json::from_slice(&outcome.stdout).unwrap_or_else(|e| panic!("{e}: {outcome:?}"));
    (outcome.status.unwrap(), document)
}

/// The one host of a document.
#[track_caller]
fn host(document: &Value) -> &Value {
    let hosts = document["hosts"].as_array().unwrap();
    assert_eq!(hosts.len(), 1, "{document}");
    &hosts[0]
}

/// The texts under a key of each entry of a list.
fn texts(list: &Value, key: &str) -> BTreeSet<String> {
    list.as_array().unwrap().iter().map(|e| e[key].as_str().unwrap_or_default().to_owned()).collect()
}

/// How often the audit log tells of this event on this host, with these details.
fn told(scene: &Scene, event: &str, host: &str, detail: &[(&str, &str)]) -> usize {
    let fits = |e: &&Value| {
        e["event"] == event && e["host"] == host && detail.iter().all(|(key, value)| e["detail"][*key].as_str() == Some(*value))
    };
    scene.broker.audit().iter().filter(fits).count()
}

/// Leases that were opened for signing in.
fn sign_in_leases(scene: &Scene, host: &str) -> usize {
    told(scene, "lease.opened", host, &[]) - told(scene, "lease.opened", host, &[("purpose", "sudo")])
}

#[test]
fn a_debian_is_what_it_says_itself() {
    let (scene, target) = with(Settings::default(), Target::debian);
    target.root("touch /run/before").ok();
    let (status, document) = document(&scene, "run --hosts web-2 --profile baseline");
    let host = host(&document);
    assert_eq!((host["state"].as_str(), host["ran_as"].as_str()), (Some("done"), Some("root")), "{}", host["error"]);
    let facts = &host["facts"];
    assert_eq!((facts["os"]["id"].as_str(), facts["os"]["version"].as_str()), (Some("debian"), Some("12")));
    assert_eq!(facts["system"]["hostname"], "web-2");
    let own = target.root("dpkg-query -W -f='${binary:Package} ${Version} ${source:Package} ${source:Version}\\n'").ok().text();
    let seen: BTreeSet<String> = facts["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| {
            let word = |key: &str| p[key].as_str().unwrap().to_owned();
            format!("{} {} {} {}", word("name"), word("version"), word("source"), word("source_version"))
        })
        .collect();
    // Names of other architectures have them behind a colon.
    let own: BTreeSet<String> = own
        .lines()
        .map(|l| {
            let (name, rest) = l.split_once(' ').unwrap();
            format!("{} {rest}", name.split(':').next().unwrap())
        })
        .collect();
    assert_eq!(seen, own);
    let users = target.root("cut -d: -f1 /etc/passwd").ok().text();
    assert_eq!(texts(&facts["users"], "name"), users.lines().map(str::to_owned).collect());
    let port = &facts["listening"][0];
    assert_eq!(facts["listening"].as_array().unwrap().len(), 1);
    assert_eq!(
        (port["address"].as_str(), port["port"].as_u64(), port["processes"][0].as_str()),
        (Some("127.0.0.1"), Some(22), Some("sshd"))
    );
    let sshd = target.root("sshd -T").ok().text();
    let permits = sshd.lines().find_map(|l| l.strip_prefix("permitrootlogin ")).unwrap();
    assert_eq!(facts["sshd"]["permitrootlogin"][0].as_str(), Some(permits));
    let key = facts["authorized_keys"].as_array().unwrap().iter().find(|k| k["user"] == "root").unwrap();
    let own = target.root("ssh-keygen -lf /root/.ssh/authorized_keys").ok().text();
    assert!(own.contains(key["fingerprint"].as_str().unwrap()), "{own} {key}");
    // Findings, and nothing missing: else they would not be told apart from an incomplete run.
    let gaps = document["summary"]["gaps"].clone();
    assert_eq!(facts["missing"], serde_json::json!({}), "{gaps}");
    assert_eq!(status, 4, "{gaps}");
    let checks = host["checks"].as_array().unwrap();
    assert!(checks.len() >= 60);
    assert!(checks.iter().all(|c| c["state"] != "not_run"), "{checks:?}");
    let root = checks.iter().find(|c| c["title"].as_str().unwrap().to_lowercase().contains("root")).unwrap();
    assert!(root["id"].is_string() && root["expected"].is_string());
    // One sign-in, one lease, and it was short.
    assert_eq!((target.sign_ins(), target.connections(), sign_in_leases(&scene, "web-2")), (1, 1, 1));
    assert_eq!(told(&scene, "lease.opened", "web-2", &[("purpose", "sudo")]), 0);
    // What was approved is what was asked.
    let digest = document["digest"].as_str().unwrap();
    let started = scene.broker.audit().into_iter().find(|e| e["event"] == "scan.started").unwrap();
    assert_eq!((started["actor"].as_str(), started["detail"]["sha256"].as_str()), (Some("alice"), Some(digest)));
    assert_eq!(told(&scene, "scan.asked", "web-2", &[("sha256", digest)]), 1);
    // Nothing is left on the host.
    assert_eq!(target.left_running(), Vec::<String>::new());
    assert_eq!(
        target.root("find / /tmp /dev/shm /run -xdev -newer /run/before ! -path '/var/log/*' ! -path '/run/*' ! -type d").ok().text(),
        ""
    );
}

#[test]
fn busybox_alone_is_enough() {
    let (scene, target) = with(Settings::default(), Target::busybox);
    let (_, document) = document(&scene, "run --hosts web-2");
    let host = host(&document);
    assert_eq!(host["state"], "done", "{}", host["error"]);
    let facts = &host["facts"];
    assert_eq!((facts["os"]["id"].as_str(), facts["os"]["version"].as_str()), (Some("alpine"), Some("3.20.1")));
    let seen = texts(&facts["packages"], "name");
    assert_eq!(seen.len(), PACKAGES.len(), "{seen:?}");
    assert!(facts["packages"].as_array().unwrap().iter().all(|p| p["kind"] == "apk"));
    let users = target.root("cut -d: -f1 /etc/passwd").ok().text();
    assert_eq!(texts(&facts["users"], "name"), users.lines().map(str::to_owned).collect());
    assert_eq!(facts["listening"][0]["port"], 22, "{}", facts["listening"]);
    assert_eq!(target.sign_ins(), 1);
}

#[test]
fn every_login_shell_answers_the_same_also_where_start_files_talk() {
    for noisy in [false, true] {
        let scene = Scene::new();
        let target = if noisy { Target::noisy(&scene.place("many")) } else { Target::shells(&scene.place("many")) };
        let mut seen: BTreeMap<&str, (String, usize)> = BTreeMap::new();
        for (user, _) in SHELLS {
            let login = target.login_of(user);
            let (name, key) = (format!("as-{user}"), login);
            crate::world::targets::add_credential(&scene, &name, key);
            crate::world::targets::add_host(&scene, &name, &target.address(), &target.host_key, &name);
        }
        grants(&scene, "as-*");
        let (status, document) = document(&scene, "run --hosts 'as-*'");
        assert_eq!(status, 5);
        for host in document["hosts"].as_array().unwrap() {
            let name = host["name"].as_str().unwrap().strip_prefix("as-").unwrap();
            if name == "nologin" {
                assert_eq!(host["state"], "refused", "{host}");
                assert!(host["error"].as_str().unwrap().contains("not available"), "{}", host["error"]);
                assert!(host["facts"].is_null());
                continue;
            }
            // Without root not everything is seen, and that is said.
            assert_eq!((host["state"].as_str(), host["ran_as"].as_str()), (Some("partial"), Some("user")), "{name}: {host}");
            let warning = host["warnings"][0].as_str().unwrap();
            assert!(warning.contains("probes need root"), "{name}: {warning}");
            let facts = &host["facts"];
            let packages = facts["packages"].to_string() + &facts["users"].to_string() + &facts["os"].to_string();
            assert!(!packages.contains(NOISE));
            seen.insert(name, (crate::world::sha256(packages.as_bytes()), facts["packages"].as_array().unwrap().len()));
        }
        let first = seen["dash"].clone();
        assert!(first.1 > 50, "{seen:?}");
        assert!(seen.values().all(|s| *s == first), "{seen:?}");
        assert_eq!(seen.len(), SHELLS.len() - 1);
    }
}

/// What scanning a host with this sudo comes to: `ran_as`, a word of the warning, refused passwords, and whether the password left the vault.
#[track_caller]
fn with_sudo(sudo: Sudo) -> (String, String, usize, usize) {
    let (scene, target) = with(Settings::default(), |dir| Target::sudo(dir, sudo));
    let password = target.login().sudo_password.clone().unwrap();
    scene.broker.does_with(&["credential", "edit", "web-2", "--sudo-password"], password.as_str());
    let (status, document) = document(&scene, "run --hosts web-2");
    let host = host(&document);
    let leases = told(&scene, "lease.opened", "web-2", &[("purpose", "sudo")]);
    assert_eq!(leases, told(&scene, "lease.ended", "web-2", &[("purpose", "sudo")]), "{sudo:?}");
    let ran_as = host["ran_as"].as_str().unwrap().to_owned();
    let warning = host["warnings"][0].as_str().unwrap_or_default().to_owned();
    if ran_as == "sudo" {
        // Root's facts, by root's word.
        let shadow = host["facts"]["users"].as_array().unwrap().iter().find(|u| u["name"] == "admin").unwrap();
        assert!(shadow["password"].is_object(), "{sudo:?}: {shadow}");
        assert_eq!(host["state"], "done", "{sudo:?}: {}", host["error"]);
    } else {
        assert_eq!((host["state"].as_str(), status), (Some("partial"), 5), "{sudo:?}: {host}");
        // What needs no root is there all the same.
        assert!(host["facts"]["packages"].as_array().unwrap().len() > 50, "{sudo:?}");
    }
    assert_eq!(target.sign_ins(), 1, "{sudo:?}");
    assert!(!document.to_string().contains(&password), "{sudo:?}");
    let refused = target.refused_passwords("admin");
    // Nothing of it was read by anything but sudo.
    let log = target.sudo_log().join("\n");
    assert!(!log.contains(&password) && !target.log().contains(&password), "{sudo:?}: {log}");
    (ran_as, warning, refused, leases)
}

#[test]
fn root_comes_through_sudo_without_a_password_and_none_is_decrypted() {
    for sudo in [Sudo::NoPassword, Sudo::EmptyPath] {
        assert_eq!(with_sudo(sudo), ("sudo".to_owned(), String::new(), 0, 0), "{sudo:?}");
    }
}

#[test]
fn root_comes_through_sudo_with_the_password_given_once() {
    for sudo in [Sudo::Password, Sudo::Lecture, Sudo::RequireTty] {
        assert_eq!(with_sudo(sudo), ("sudo".to_owned(), String::new(), 0, 1), "{sudo:?}");
    }
}

#[test]
fn a_wrong_password_is_tried_once_and_no_account_is_locked() {
    let (ran_as, warning, refused, leases) = with_sudo(Sudo::WrongPassword);
    // faillock counts the end of the channel at sudo's second question as a refusal, too: nothing else was said there.
    assert!(refused <= 2, "{refused}");
    assert_eq!((ran_as.as_str(), leases), ("user", 1));
    assert!(warning.contains("sudo refused the password"), "{warning}");
}

#[test]
fn what_keeps_sudo_from_root_is_named() {
    for (sudo, words, leases) in [
        (Sudo::NotAllowed, "this account may not use sudo", 1),
        (Sudo::OneCommand, "sudo", 1),
        (Sudo::Missing, "sudo is missing", 0),
        (Sudo::NoExec, "noexec", 0),
        (Sudo::Expired, "sudo", 1),
    ] {
        let (ran_as, warning, refused, given) = with_sudo(sudo);
        assert_eq!((ran_as.as_str(), refused), ("user", 0), "{sudo:?}: {warning}");
        assert!(warning.contains("probes need root") && warning.contains(words), "{sudo:?}: {warning}");
        assert!(given <= leases, "{sudo:?}: {given}");
    }
}

#[test]
fn what_answers_as_sudo_and_never_stops_talking_is_given_nothing() {
    let (scene, target) = with(Settings::default(), |dir| Target::sudo(dir, Sudo::Password));
    let password = target.login().sudo_password.clone().unwrap();
    scene.broker.does_with(&["credential", "edit", "web-2", "--sudo-password"], password.as_str());
    target
        .root("printf '#!/bin/sh\\nexec yes\\n' >/usr/bin/sudo.new && chmod 755 /usr/bin/sudo.new && mv /usr/bin/sudo.new /usr/bin/sudo")
        .ok();
    let (status, document) = document(&scene, "run --hosts web-2");
    let host = host(&document);
    assert_eq!((status, host["state"].as_str(), host["ran_as"].as_str()), (5, Some("partial"), Some("user")), "{host}");
    let warning = host["warnings"][0].as_str().unwrap();
    assert!(warning.contains("does not stop talking"), "{warning}");
    assert_eq!(told(&scene, "lease.opened", "web-2", &[("purpose", "sudo")]), 0);
}

#[test]
fn commands_that_hang_cost_only_themselves() {
    for slow in [Slow::WithTimeout, Slow::WithoutTimeout] {
        let settings = Settings { config: "[scans]\nprobe_timeout = \"4s\"\n".to_owned(), ..Settings::default() };
        let (scene, _target) = with(settings, |dir| Target::slow(dir, slow));
        let (status, document) = document(&scene, "run --hosts web-2 --profile ssh-hardening");
        let host = host(&document);
        assert_eq!((status, host["state"].as_str()), (5, Some("partial")), "{slow:?}: {host}");
        let how = |id: &str| host["probes"].as_array().unwrap().iter().find(|p| p["id"] == id).unwrap()["status"].clone();
        for hangs in ["i:packages", "i:listening", "c:sshd -T"] {
            assert_eq!(how(hangs), "timed_out", "{slow:?} {hangs}");
        }
        assert_eq!((how("f:/etc/passwd").as_str(), how("i:sudoers").as_str()), (Some("ended"), Some("ended")), "{slow:?}");
        let facts = &host["facts"];
        assert!(facts["missing"]["packages"].as_str().unwrap().contains("timed out"), "{slow:?}: {}", facts["missing"]);
        assert!(!facts["users"].as_array().unwrap().is_empty());
        // A timeout is no verdict.
        let checks = host["checks"].as_array().unwrap();
        let of_sshd = checks.iter().filter(|c| c["reason"].as_str().unwrap_or_default().contains("c:sshd -T"));
        let of_sshd: Vec<&Value> = of_sshd.collect();
        assert!(of_sshd.len() > 10, "{slow:?}: {checks:?}");
        assert!(of_sshd.iter().all(|c| c["state"] == "not_run"), "{slow:?}: {of_sshd:?}");
    }
}

#[test]
fn a_host_that_dies_in_the_middle_keeps_what_it_said() {
    for death in Death::ALL {
        let scene =
            Scene::with(Settings { config: "[scans]\nhost_timeout = \"8s\"\nprobe_timeout = \"6s\"\n".to_owned(), ..Settings::default() });
        let dying = Target::dies(&scene.place("web-2"), death, "/usr/bin/dpkg-query");
        dying.target.joins(&scene);
        grants(&scene, "*");
        let (status, document) = document(&scene, "run --hosts web-2");
        dying.happened();
        let host = host(&document);
        assert_eq!(status, 5, "{death:?}");
        // `dpkg-query` is the third of the inventory's probes or later: something was answered before it.
        assert_eq!(host["state"], "partial", "{death:?}: {host}");
        assert!(host["error"].is_string());
        assert_eq!(host["facts"]["os"]["id"], "debian", "{death:?}");
        assert!(host["facts"]["missing"]["packages"].is_string(), "{death:?}");
        assert_eq!(sign_in_leases(&scene, "web-2"), 1, "{death:?}");
        let sessions = scene.broker.sessions();
        assert!(sessions.iter().all(|s| !s["ended_at"].is_null()), "{death:?}: {sessions:?}");
    }
}

#[test]
fn a_host_that_lies_is_never_clean_and_holds_up_nothing() {
    let settings = Settings { config: "[scans]\nhost_timeout = \"6s\"\nprobe_timeout = \"2s\"\n".to_owned(), ..Settings::default() };
    let (scene, target) = with(settings, |dir| Target::lies(dir, &Lie::Nothing));
    for lie in Lie::ALL {
        target.now_lies(&lie);
        let (status, document) = document(&scene, "run --hosts web-2 --profile accounts");
        let host = host(&document);
        // A NUL at the end of each line is an odd, but a whole answer of a shell; whatever it says is what it said.
        let honest = matches!(lie, Lie::Twice | Lie::Nuls);
        if !honest {
            assert_eq!(status, 5, "{lie:?}: {document}");
            assert_ne!(host["state"], "done", "{lie:?}: {host}");
            assert!(host["error"].is_string(), "{lie:?}");
            assert!(host["checks"].as_array().unwrap().iter().all(|c| c["state"] != "passed"), "{lie:?}");
        }
    }
    assert_eq!(target.sign_ins(), Lie::ALL.len());
    let live = scene.broker.live();
    assert!(live.is_empty(), "{live:?}");
}

#[test]
fn the_persons_own_connection_is_used_where_there_is_one() {
    let (scene, target) = with(Settings::default(), Target::debian);
    scene.alice.knows(None, Some(&scene.broker), "web-2");
    let alice = scene.alice.stay(Way::Through, &[], "echo there; exec cat");
    assert_eq!(alice.lines.next().as_deref(), Some("there"));
    let (_, document) = document(&scene, "run --hosts web-2");
    assert_eq!(host(&document)["state"], "done");
    assert_eq!((target.sign_ins(), sign_in_leases(&scene, "web-2")), (1, 1));
    assert_eq!(told(&scene, "scan.asked", "web-2", &[("connection", "the person's")]), 1);
    // The session goes on.
    assert_eq!(scene.broker.live().len(), 1);
    drop(alice);
}

/// Starts a scan of a host that hangs, and waits until it is being asked.
#[track_caller]
fn begun(scene: &Scene) -> (Process, String) {
    let mut ssh = heeds_signals(&scene.alice.ssh(&["-l", "alice", "through", "--", "scan run --hosts web-2"]));
    ssh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let process = Process::start(ssh);
    eventually("it is being asked", || (told(scene, "scan.asked", "web-2", &[]) > 0).then_some(()));
    let list = scene.broker.json(&["scan", "list"]);
    (process, list[0]["id"].as_str().unwrap().to_owned())
}

#[test]
fn whoever_goes_away_cancels_their_scan_and_it_can_be_taken_up() {
    let (scene, target) = with(Settings::default(), |dir| Target::slow(dir, Slow::WithTimeout));
    let (mut process, id) = begun(&scene);
    process.signal(Signal::INT);
    process.wait();
    eventually("it is cancelled", || (scene.broker.json(&["scan", "list"])[0]["state"] == "cancelled").then_some(()));
    assert_eq!(scene.broker.json(&["status"])["leases_open"], 0);
    eventually("nobody is connected", || scene.broker.live().is_empty().then_some(()));
    let ended = scene.broker.audit().into_iter().find(|e| e["event"] == "session.ended" && e["host"] == "web-2").unwrap();
    assert_eq!(ended["detail"]["end_reason"], "ended");
    // Hosts are not asked for less again than what only reads.
    scene.broker.configure("[scans]\nprobe_timeout = \"60s\"\nhost_timeout = \"5s\"\n");
    scene.broker.signal(Signal::HUP);
    eventually("it is read", || scene.broker.audit().iter().any(|e| e["event"] == "daemon.reloaded").then_some(()));
    let (status, document) = document(&scene, &format!("resume {id}"));
    assert_eq!((status, document["state"].as_str(), document["id"].as_str()), (5, Some("done"), Some(id.as_str())));
    assert_eq!(host(&document)["state"], "partial");
    assert_eq!(target.sign_ins(), 2);
    assert!(scan(&scene, &format!("resume {id}")).errors().contains("only one that was interrupted or cancelled"));
}

#[test]
fn a_broker_that_dies_leaves_an_interrupted_scan_that_is_taken_up_with_what_only_reads() {
    let policy = "policy:\n  id: mine\n  file: mine.yml\n  name: Mine\n  description: x\nchecks:\n  - id: 1\n    title: It can be touched\n    condition: all\n    rules:\n      - 'c:echo yes -> r:yes'\n";
    let settings = Settings { config: "[scans]\nhost_timeout = \"10s\"\n".to_owned(), ..Settings::default() };
    let (mut scene, target) = with(settings, |dir| Target::slow(dir, Slow::WithTimeout));
    let mut run = scene.alice.ssh(&["-l", "alice", "through", "--", "scan run --hosts web-2 --policy -"]);
    run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = Process::start(run);
    std::io::Write::write_all(&mut process.stdin().unwrap(), policy.as_bytes()).unwrap();
    eventually("it is being asked", || (told(&scene, "scan.asked", "web-2", &[]) > 0).then_some(()));
    scene.broker.kill();
    process.wait();
    scene.broker.serve();
    let list = scene.broker.json(&["scan", "list"]);
    assert_eq!((list[0]["state"].as_str(), list[0]["hosts"]["partial"].as_u64()), (Some("interrupted"), Some(1)), "{list}");
    let id = list[0]["id"].as_str().unwrap();
    let (_, document) = document(&scene, &format!("resume {id}"));
    let host = host(&document);
    let probe = host["probes"].as_array().unwrap().iter().find(|p| p["id"] == "c:echo yes").unwrap();
    assert_eq!(probe["status"], "not_run");
    assert!(probe["reason"].as_str().unwrap().contains("may change something"), "{probe}");
    assert_eq!(host["checks"][0]["state"], "not_run");
    assert_eq!(host["facts"]["os"]["id"], "debian");
    assert_eq!(target.sign_ins(), 2);
}

#[test]
fn a_dry_run_shows_every_command_and_only_its_digest_runs() {
    let (scene, target) = with(Settings::default(), Target::debian);
    let shown = scan(&scene, "run --hosts web-2 --profile ssh-hardening --dry-run").ok();
    let text = shown.text();
    assert!(text.contains("sshd -T") && text.contains("dpkg-query"), "{text}");
    let plan: Value =
        serde_json::from_str(&scan(&scene, "run --hosts web-2 --profile ssh-hardening --dry-run --json").ok().text()).unwrap();
    assert_eq!(target.connections(), 0);
    let digest = plan["digest"].as_str().unwrap();
    assert!(text.contains(digest));
    for probe in plan["probes"].as_array().unwrap() {
        assert_eq!(probe["sha256"], crate::world::sha256(probe["command"].as_str().unwrap().as_bytes()));
    }
    let other = scan(&scene, &format!("run --hosts web-2 --profile accounts --digest {digest}"));
    assert!(other.status == Some(1) && other.errors().contains("nothing was begun"), "{other:?}");
    assert_eq!((target.connections(), scene.broker.json(&["scan", "list"])), (0, serde_json::json!([])));
    let (status, done) = document(&scene, &format!("run --hosts web-2 --profile ssh-hardening --digest {digest}"));
    assert!(status == 5 || status == 4);
    assert_eq!(done["digest"], digest);
}

#[test]
fn only_what_is_granted_is_scanned_and_seen() {
    let scene = Scene::new();
    // `web-1` is granted to Alice, but not for scans; `db-1` not at all.
    scene.broker.does(&["host", "add", "db-1", "127.0.0.1:1", "--trust-first-use"]);
    let outcome = scan(&scene, "run --hosts web-1");
    assert_eq!(outcome.status, Some(5), "{outcome:?}");
    assert!(outcome.text().contains("skipped") && outcome.text().contains("not granted"), "{outcome:?}");
    assert_eq!(sign_in_leases(&scene, "web-1"), 0);
    for hidden in ["db-1", "nowhere", "db-*"] {
        let outcome = scan(&scene, &format!("run --hosts '{hidden}'"));
        assert!(outcome.status == Some(1) && outcome.errors().contains(&format!("no host matches `{hidden}`")), "{outcome:?}");
    }
    let all: Value = serde_json::from_str(&scan(&scene, "run --hosts '*' --format json").text()).unwrap();
    assert_eq!(texts(&all["hosts"], "name"), BTreeSet::from(["web-1".to_owned()]));
    // Somebody else's scan is no scan.
    let id = all["id"].as_str().unwrap();
    scene.broker.does(&["user", "add", "mallory", "--role", "member", "--key", &scene.deploy.public_file().display().to_string()]);
    let mallory = |words: &str| {
        let mut ssh = crate::world::process::command("ssh");
        ssh.args(["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]);
        ssh.args(["-o", "IdentitiesOnly=yes", "-i"]).arg(&scene.deploy.path).args(["-p", &scene.broker.port().to_string()]);
        crate::world::run(
            {
                ssh.args(["-l", "mallory", "127.0.0.1", "--", words]);
                ssh
            },
            "",
        )
    };
    for words in [
        format!("scan show {id}"),
        format!("scan cancel {id}"),
        format!("scan remove {id}"),
        format!("scan resume {id}"),
        format!("scan evaluate {id} --profile accounts"),
        format!("scan diff {id} {id}"),
    ] {
        let outcome = mallory(&words);
        assert!(outcome.status == Some(1) && outcome.errors().contains("there is no scan"), "{words}: {outcome:?}");
    }
    assert!(mallory("scan list").text().is_empty());
    // A folder of the broker's machine is not for those who come from elsewhere.
    let osv = scan(&scene, "run --hosts web-1 --osv /etc");
    assert!(osv.status == Some(1) && osv.errors().contains("names a folder there"), "{osv:?}");
    // What is wrong with a policy is said with file, line and rule, and nothing runs.
    let before = scene.broker.audit().len();
    let mut ssh = scene.alice.ssh(&["-l", "alice", "through", "--", "scan run --hosts web-1 --policy -"]);
    ssh.stdin(Stdio::piped());
    let wrong = crate::world::run(
        ssh,
        "policy:\n  id: x\n  name: x\nchecks:\n  - id: 1\n    title: t\n    condition: some\n    rules:\n      - 'f:/etc/passwd'\n",
    );
    assert!(wrong.status == Some(1) && wrong.errors().contains(":7:"), "{wrong:?}");
    assert!(!scene.broker.audit()[before..].iter().any(|e| e["event"] == "scan.started"));
}

#[test]
fn stored_answers_are_evaluated_and_compared_without_asking_a_host() {
    let (scene, target) = with(Settings::default(), Target::debian);
    let (_, first) = document(&scene, "run --hosts web-2 --profile accounts");
    let id = |d: &Value| d["id"].as_str().unwrap().to_owned();
    let connections = target.connections();
    let policy = "policy:\n  id: mine\n  file: mine.yml\n  name: Mine\n  description: x\nchecks:\n  - id: 1\n    title: root is there\n    condition: all\n    rules:\n      - 'f:/etc/passwd -> r:^root:'\n  - id: 2\n    title: nobody named eve\n    condition: none\n    rules:\n      - 'f:/etc/passwd -> r:^eve:'\n  - id: 3\n    title: never asked\n    condition: all\n    rules:\n      - 'f:/etc/never-asked -> r:x'\n";
    let evaluate = |id: &str| {
        let mut ssh = scene.alice.ssh(&["-l", "alice", "through", "--", &format!("scan evaluate {id} --policy - --format json")]);
        ssh.stdin(Stdio::piped());
        let outcome = crate::world::run(ssh, policy);
        let document: Value = serde_json::from_slice(&outcome.stdout).unwrap_or_else(|e| panic!("{e} {outcome:?}"));
        host(&document)["checks"].as_array().unwrap().iter().map(|c| c["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(evaluate(&id(&first)), ["passed", "passed", "not_run"]);
    assert_eq!(target.connections(), connections, "no host was asked");
    // The host changes.
    target.root("useradd -m eve && dpkg-divert --local --rename --add /usr/bin/never >/dev/null; echo 'eve ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/eve").ok();
    let (_, second) = document(&scene, "run --hosts web-2 --profile accounts");
    assert_eq!(evaluate(&id(&second)), ["passed", "failed", "not_run"]);
    let diff = scan(&scene, &format!("diff {} {}", id(&first), id(&second))).ok().text();
    assert!(diff.contains("+ user eve") && diff.contains("+ sudo eve"), "{diff}");
    let back: Value = serde_json::from_str(&scan(&scene, &format!("diff {} {} --json", id(&second), id(&first))).ok().text()).unwrap();
    let gone = back["hosts"][0]["changes"].as_array().unwrap().iter().find(|c| c["kind"] == "user" && c["name"] == "eve").unwrap();
    assert!(gone["after"].is_null() && gone["before"].is_string(), "{gone}");
    // Every form of the report, and what is removed is gone.
    for (format, begins) in
        [("table", ""), ("json", "{"), ("sarif", "{"), ("cyclonedx", "{"), ("junit", "<?xml"), ("html", "<!DOCTYPE html>")]
    {
        let outcome = scan(&scene, &format!("show {} --format {format}", id(&second)));
        assert!(outcome.status == Some(5) || outcome.status == Some(4), "{format}: {outcome:?}");
        assert!(outcome.text().starts_with(begins) && outcome.text().len() > 1000, "{format}: {outcome:?}");
    }
    scan(&scene, &format!("remove {}", id(&second))).ok();
    assert!(scan(&scene, &format!("show {}", id(&second))).errors().contains("there is no scan"));
    assert_eq!(scan(&scene, &format!("show {}", id(&first))).status, Some(4));
}

#[test]
fn vulnerabilities_are_those_of_installed_packages_below_the_fix() {
    let (scene, target) = with(Settings::default(), Target::debian);
    let osv = scene.place("osv");
    let folder = osv.join("Debian");
    std::fs::create_dir(&folder).unwrap();
    let installed = target.root("dpkg-query -W -f='${source:Version}' openssh-server").ok().text();
    let record = |id: &str, fixed: &str| {
        serde_json::json!({ "id": id, "modified": "2026-11-01T00:00:00Z", "summary": "A test", "aliases": [format!("CVE-{id}")],
            "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" }],
            "affected": [{ "package": { "ecosystem": "Debian:12", "name": "openssh" },
                "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": fixed }] }] }] })
    };
    std::fs::write(folder.join("A.json"), record("A", &format!("{installed}+later")).to_string()).unwrap();
    std::fs::write(folder.join("B.json"), record("B", &installed).to_string()).unwrap();
    let run = |osv: &std::path::Path| {
        let outcome = scene.broker.verb(&["scan", "run", "--hosts", "web-2", "--osv", &osv.display().to_string(), "--json"]);
        let document: Value = serde_json::from_slice(&outcome.stdout).unwrap_or_else(|e| panic!("{e} {outcome:?}"));
        host(&document).clone()
    };
    scene.broker.does(&["grant", "add", "--to", "root", "--hosts", "*", "--allow", "scan"]);
    let host = run(&osv);
    let found = host["vulnerabilities"].as_array().unwrap();
    assert_eq!((host["vulnerability_coverage"]["coverage"].as_str(), found.len()), (Some("covered"), 1), "{host}");
    assert_eq!(
        (found[0]["id"].as_str(), found[0]["severity"]["level"].as_str(), found[0]["severity"]["score"].as_f64()),
        (Some("A"), Some("critical"), Some(9.8))
    );
    assert_eq!(found[0]["fixed"].as_str(), Some(format!("{installed}+later").as_str()));
    // The next run knows what is new and what is fixed.
    std::fs::write(folder.join("C.json"), record("C", &format!("{installed}+later")).to_string()).unwrap();
    std::fs::remove_file(folder.join("A.json")).unwrap();
    let host = run(&osv);
    assert_eq!((host["vulnerabilities"][0]["id"].as_str(), host["vulnerabilities"][0]["new"].as_bool()), (Some("C"), Some(true)));
    assert_eq!(host["vulnerabilities_fixed"], serde_json::json!(["A openssh"]));
    // No archive is no "nothing found".
    let host = run(&scene.place("nothing"));
    assert_eq!(host["vulnerability_coverage"]["coverage"], "no_archive");
}

#[test]
fn no_secret_is_in_what_a_scan_keeps_or_shows() {
    let (scene, target) = with(Settings::default(), |dir| Target::sudo(dir, Sudo::Password));
    let password = target.login().sudo_password.clone().unwrap();
    scene.broker.does_with(&["credential", "edit", "web-2", "--sudo-password"], password.as_str());
    let token = format!("ghp_{}", &crate::world::nonce(60).chars().filter(char::is_ascii_alphanumeric).collect::<String>()[..36]);
    target.root(&format!("echo '5 4 * * * root TOKEN={token} /usr/bin/true' > /etc/cron.d/job")).ok();
    let hash = target.root("grep ^admin: /etc/shadow | cut -d: -f2").ok().text().trim().to_owned();
    assert!(hash.starts_with('$'), "{hash}");
    let (_, first) = document(&scene, "run --hosts web-2 --profile baseline");
    assert_eq!(host(&first)["ran_as"], "sudo");
    let id = first["id"].as_str().unwrap();
    let mut shown = first.to_string() + &scene.broker.log() + &scene.broker.does(&["--json", "audit", "list", "--limit", "1000"]);
    for format in ["table", "json", "sarif", "cyclonedx", "junit", "html"] {
        shown += &scan(&scene, &format!("show {id} --format {format}")).text();
    }
    assert!(shown.contains("/etc/cron.d/job"));
    for secret in [&password, &token, &hash] {
        assert!(!shown.contains(secret.as_str()), "{secret} is shown");
    }
}

#[test]
fn a_bar_is_drawn_on_a_terminal_and_lines_where_there_is_none() {
    let (scene, _target) = with(Settings::default(), Target::debian);
    let plain = scan(&scene, "run --hosts web-2 --format json");
    let errors = plain.errors();
    assert!(errors.contains("web-2 done (") && errors.contains("hosts done") && !errors.contains('\r'), "{errors}");
    let place = scene.place("window");
    let ssh = scene.alice.ssh(&["-tt", "-l", "alice", "through", "--", "scan run --hosts web-2"]);
    let window = crate::world::tmux::Tmux::start(place, 100, 30, &ssh);
    assert_eq!(eventually("it has ended", || window.ended()), 0);
    let screen = window.screen();
    assert!(!screen.contains("[#"), "the bar is gone: {screen}");
    let quiet = scan(&scene, "run --hosts web-2 --format json --quiet");
    assert!(!quiet.errors().contains("web-2"), "{quiet:?}");
}

/// Alice is connected to a host that hangs, and a scan of it runs on that connection.
#[track_caller]
fn on_her_connection() -> (Scene, Target, crate::world::client::Stay, Process, String) {
    let (scene, target) = with(Settings::default(), |dir| Target::slow(dir, Slow::WithTimeout));
    scene.alice.knows(None, Some(&scene.broker), "web-2");
    let alice = scene.alice.stay(Way::Through, &[], "echo there; exec cat");
    assert_eq!(alice.lines.next().as_deref(), Some("there"));
    let (process, id) = begun(&scene);
    assert_eq!(told(&scene, "scan.asked", "web-2", &[("connection", "the person's")]), 1);
    (scene, target, alice, process, id)
}

#[test]
fn a_scan_on_the_persons_own_connection_is_cancelled_at_once_and_the_session_goes_on() {
    let (scene, target, alice, mut process, id) = on_her_connection();
    let before = std::time::Instant::now();
    scene.broker.does(&["scan", "cancel", &id]);
    // Long before the time of the probe that hangs, and of the host, is over.
    assert!(before.elapsed() < PATIENCE / 2, "{:?}", before.elapsed());
    assert_eq!(process.wait().code(), Some(5));
    let list = scene.broker.json(&["scan", "list"]);
    assert_eq!(list[0]["state"], "cancelled", "{list}");
    // It may have answered something by then, or nothing.
    assert!(list[0]["hosts"]["partial"] == 1 || list[0]["hosts"]["skipped"] == 1, "{list}");
    let asked = scene.broker.audit().into_iter().find(|e| e["event"] == "scan.cancel_asked").unwrap();
    assert_eq!((asked["actor"].as_str(), asked["detail"]["scan"].as_str()), (Some("root"), Some(id.as_str())));
    assert_eq!((scene.broker.live().len(), target.sign_ins()), (1, 1));
    drop(alice);
}

#[test]
fn a_withdrawn_grant_ends_a_scan_and_leaves_the_session() {
    let (scene, _target, alice, mut process, id) = on_her_connection();
    let grants = scene.broker.json(&["grant", "list"]);
    let scan = grants.as_array().unwrap().iter().find(|g| g["allow"] == serde_json::json!(["scan"])).unwrap();
    scene.broker.does(&["grant", "remove", scan["id"].as_str().unwrap()]);
    assert_eq!(process.wait().code(), Some(5));
    let shown: Value = serde_json::from_slice(&scene.broker.verb(&["scan", "show", &id, "--json"]).stdout).unwrap();
    let host = host(&shown);
    assert!(host["state"] == "partial" || host["state"] == "skipped", "{host}");
    assert!(host["error"].as_str().unwrap().contains("not granted any more"), "{}", host["error"]);
    assert_eq!(scene.broker.live().len(), 1);
    drop(alice);
}

#[test]
fn a_deleted_credential_ends_the_scan_that_it_opened_if_that_is_asked_for() {
    let (scene, _target) = with(Settings::default(), |dir| Target::slow(dir, Slow::WithTimeout));
    let (mut process, id) = begun(&scene);
    let deleted = scene.broker.json(&["credential", "delete", "web-2", "--end-sessions"]);
    assert_eq!((deleted["live_sessions"].as_array().map(Vec::len), &deleted["ended"]), (Some(1), &true.into()), "{deleted}");
    assert_eq!(process.wait().code(), Some(5), "a host was not asked to its end");
    let shown: Value = serde_json::from_slice(&scene.broker.verb(&["scan", "show", &id, "--json"]).stdout).unwrap();
    let host = host(&shown);
    assert!(host["state"] == "partial" || host["state"] == "skipped" || host["state"] == "unreachable", "{host}");
    assert!(host["error"].is_string(), "{host}");
    assert!(scene.broker.live().is_empty());
    // The next scan has nothing to sign in with.
    let (status, document) = document(&scene, "run --hosts web-2");
    assert_eq!(status, 5, "{document}");
}
