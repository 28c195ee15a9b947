//! A credential gets a new secret on its hosts and in the vault: `credential rotate`, interrupted in every way.

use std::io::Write as _;

use serde_json::Value;

use crate::world::broker::Settings;
use crate::world::keys::Key;
use crate::world::targets::{SEEN, add_credential, add_host};
use crate::world::{Outcome, Process, Scene, Target, database, eventually, nonce, run};

/// A broker and hosts that share one credential.
struct Fleet {
    scene: Scene,
    targets: Vec<Target>,
    key: Key,
}

/// Hosts `h0`, `h1`… that let `deploy` in with one key, which the vault keeps as `deploy`.
fn fleet(count: usize) -> Fleet {
    patient(count, "2s")
}

/// The same, of a broker that waits so long for a host.
fn patient(count: usize, handshake: &str) -> Fleet {
    let settings = Settings { config: format!("[host]\nhandshake_timeout = \"{handshake}\"\n"), ..Settings::default() };
    let scene = Scene::bare(settings, None);
    let (key, root) = (Key::new(scene.dir().join("deploy-key")), Key::new(scene.dir().join("root-key")));
    let targets: Vec<Target> = (0..count).map(|n| Target::with_key_of(&scene.place(&format!("h{n}")), &key, &root)).collect();
    add_credential(&scene, "deploy", targets[0].login_of("deploy"));
    for target in &targets {
        add_host(&scene, &target.name, &target.address(), &target.host_key, "deploy");
    }
    scene.grant("*", "*");
    Fleet { scene, targets, key }
}

impl Fleet {
    /// Every host is reached with what the vault has.
    #[track_caller]
    fn all_reached(&self, but: &[&str]) {
        for target in self.targets.iter().filter(|t| !but.contains(&t.name.as_str())) {
            let outcome = run(self.scene.alice.ssh(&["-l", &target.name, "through", "id -un"]), "");
            assert_eq!((outcome.status, outcome.stdout.is_empty()), (Some(0), false), "{}: {outcome:?}\n{}", target.name, target.log());
        }
    }

    fn rotate(&self, more: &[&str]) -> Outcome {
        self.scene.broker.verb(&[&["--json", "credential", "rotate", "deploy", "--yes"], more].concat())
    }

    fn keys(&self, target: &Target) -> Vec<String> {
        let text = target.root("cat /home/deploy/.ssh/authorized_keys").ok().text();
        text.lines().map(|l| l.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect()
    }

    fn public(&self) -> String {
        let text = self.scene.broker.does(&["credential", "public-key", "deploy"]);
        text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }
}

#[track_caller]
fn json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.text()).unwrap_or_else(|e| panic!("{e}: {outcome:?}"))
}

fn steps(told: &Value) -> Vec<String> {
    let hosts = told["hosts"].as_array().unwrap_or_else(|| panic!("{told}"));
    hosts.iter().map(|h| h["step"].as_str().unwrap().to_owned()).collect()
}

/// Its server answers nobody, or again.
fn signal(target: &Target, signal: &str) {
    let script =
        format!("for p in /proc/[0-9]*; do if [ \"$(cat $p/comm 2>/dev/null)\" = sshd ]; then kill -{signal} ${{p#/proc/}}; fi; done");
    target.root(&script).ok();
}

#[test]
fn a_key_is_rotated_over_three_hosts_and_the_old_one_is_gone() {
    let fleet = fleet(3);
    let options = format!("from=\"127.0.0.0/8\" {} me\n# {}", fleet.key.public, fleet.key.public);
    fleet.targets[1].root(&format!("cat >/home/deploy/.ssh/authorized_keys <<'END'\n{options}\nEND")).ok();
    let plan = fleet.scene.broker.json(&["credential", "rotate", "deploy", "--dry-run"]);
    assert_eq!((&plan["state"], steps(&plan)), (&"planned".into(), vec!["pending".to_owned(); 3]), "{plan}");
    assert!(fleet.targets.iter().all(|t| t.sign_ins() == 0), "a dry run asks nothing of the hosts");
    // Without a terminal and without --yes, nothing is done.
    let outcome = fleet.scene.broker.verb(&["credential", "rotate", "deploy"]);
    assert!(outcome.status == Some(1) && outcome.errors().contains("credential rotate deploy --yes"), "{outcome:?}");
    let mut live = fleet.scene.alice.ssh(&["-l", "h0", "through", "read x; echo $x"]);
    live.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut live = Process::start(live);
    eventually("a session lives", || fleet.scene.broker.live().pop());
    let before = fleet.public();
    let outcome = fleet.rotate(&[]);
    let done = json(&outcome);
    assert_eq!((outcome.status, &done["state"]), (Some(0), &"done".into()), "{done} {outcome:?}");
    assert_eq!(steps(&done), ["cleaned"; 3]);
    let after = fleet.public();
    assert_ne!(before, after);
    for target in [&fleet.targets[0], &fleet.targets[2]] {
        assert_eq!(fleet.keys(target), std::slice::from_ref(&after), "{}", target.name);
    }
    let text = fleet.targets[1].root("cat /home/deploy/.ssh/authorized_keys").ok().text();
    assert_eq!(text, format!("# {}\nfrom=\"127.0.0.0/8\" {after} me\n", fleet.key.public), "options stay, comments stay");
    fleet.all_reached(&[]);
    // What lived before lives on.
    live.stdin().unwrap().write_all(b"still\n").unwrap();
    assert!(live.wait().success());
    let words: Vec<String> = fleet.scene.broker.audit().iter().filter_map(|e| e["event"].as_str().map(str::to_owned)).collect();
    let count = |word: &str| words.iter().filter(|w| *w == word).count();
    assert_eq!(count("credential.rotation_started"), 1);
    assert_eq!(count("credential.rotation_host"), 4 * 3, "setting, installed, verified, cleaned on each");
    assert_eq!((count("credential.rotation_switched"), count("credential.rotation_ended")), (1, 1));
    let list = fleet.scene.broker.json(&["credential", "list"]);
    assert_eq!(list.as_array().unwrap().len(), 1, "the next secret is nothing that is listed: {list}");
    assert!(fleet.scene.broker.json(&["credential", "show", "deploy"])["rotation"].is_null());
    fleet.scene.broker.does(&["audit", "verify"]);
}

#[test]
fn a_host_that_is_down_keeps_the_rotation_before_the_switch() {
    let fleet = fleet(3);
    signal(&fleet.targets[1], "STOP");
    let before = fleet.public();
    let outcome = fleet.rotate(&[]);
    let open = json(&outcome);
    assert_eq!((outcome.status, &open["state"], &open["stage"]), (Some(5), &"open".into(), &"installing".into()), "{open}");
    assert_eq!(steps(&open), ["verified", "pending", "verified"], "{open}");
    assert!(open["hosts"][1]["failure"].as_str().is_some_and(|f| f.contains("host_key") || f.contains("network")), "{open}");
    assert_eq!(fleet.public(), before);
    fleet.all_reached(&["h1"]);
    let shown = fleet.scene.broker.json(&["credential", "show", "deploy"]);
    assert_eq!(steps(&shown["rotation"]), ["verified", "pending", "verified"], "{shown}");
    // Meanwhile it is changed by nothing else.
    for words in [
        &["credential", "edit", "deploy", "--rename", "other"][..],
        &["credential", "edit", "deploy", "--username", "other"],
        &["credential", "detach", "deploy", "--host", "h1"],
        &["credential", "attach", "deploy", "--host", "h0", "--mine"],
    ] {
        let refused = fleet.scene.broker.refuses(words);
        assert!(refused.contains("rotation") && refused.contains("--abort"), "{words:?}: {refused}");
    }
    let plan = fleet.scene.broker.json(&["credential", "rotate", "deploy", "--dry-run"]);
    assert!(!plan["plan"].to_string().contains("makes a new key pair"), "it was made: {plan}");
    // A host may be changed meanwhile: what is bound to it is bound anew, the next secret, too.
    fleet.scene.broker.does(&["host", "edit", "h1", "--tag", "a=b"]);
    signal(&fleet.targets[1], "CONT");
    fleet.all_reached(&[]);
    let outcome = fleet.rotate(&[]);
    assert_eq!((outcome.status, &json(&outcome)["state"]), (Some(0), &"done".into()), "{outcome:?}");
    fleet.all_reached(&[]);
    assert_ne!(fleet.public(), before);
    for target in &fleet.targets {
        assert_eq!(fleet.keys(target), [fleet.public()]);
    }
}

#[test]
fn a_rotation_is_given_up_and_a_host_is_left_out() {
    let fleet = fleet(2);
    // A link is not followed.
    fleet.targets[1].root("cp -p /home/deploy/.ssh/authorized_keys /home/deploy/.ssh/real; cd /home/deploy/.ssh; rm authorized_keys; ln -s real authorized_keys").ok();
    let before = fleet.public();
    let outcome = fleet.rotate(&[]);
    let open = json(&outcome);
    assert_eq!((outcome.status, steps(&open)), (Some(5), vec!["verified".to_owned(), "pending".to_owned()]), "{open}");
    assert!(open["hosts"][1]["failure"].as_str().unwrap().contains("symbolic link"), "{open}");
    assert_eq!(fleet.keys(&fleet.targets[0]).len(), 2);
    let outcome = fleet.rotate(&["--abort"]);
    assert_eq!((outcome.status, &json(&outcome)["state"]), (Some(0), &"aborted".into()), "{outcome:?}");
    assert_eq!(fleet.keys(&fleet.targets[0]), std::slice::from_ref(&before), "the new key is gone again");
    assert_eq!(fleet.public(), before);
    fleet.all_reached(&[]);
    let refused = fleet.scene.broker.refuses(&["credential", "rotate", "deploy", "--abort", "--yes"]);
    assert!(refused.contains("no rotation"), "{refused}");
    let rows: i64 = database::open(&fleet.scene.broker.home()).query_row("SELECT count(*) FROM credentials", [], |r| r.get(0)).unwrap();
    assert_eq!(rows, 1, "the next secret is forgotten");
    let outcome = fleet.rotate(&["--skip", "h1"]);
    let done = json(&outcome);
    assert_eq!((outcome.status, steps(&done)), (Some(0), vec!["cleaned".to_owned(), "skipped".to_owned()]), "{done}");
    assert!(outcome.errors().contains("left out: h1"), "{outcome:?}");
    fleet.all_reached(&["h1"]);
}

#[test]
fn a_host_that_is_left_out_of_giving_up_is_named_with_the_key_that_lies_there() {
    let fleet = fleet(2);
    signal(&fleet.targets[1], "STOP");
    assert_eq!(fleet.rotate(&[]).status, Some(5));
    let next = fleet.keys(&fleet.targets[0]).pop().unwrap();
    signal(&fleet.targets[0], "STOP");
    let outcome = fleet.rotate(&["--abort", "--skip", "h0"]);
    assert_eq!((outcome.status, &json(&outcome)["state"]), (Some(0), &"aborted".into()), "{outcome:?}");
    let said = outcome.errors();
    assert!(said.contains("left out: h0;") && said.contains(&format!("by hand: {next}")) && !said.contains("not reached"), "{said}");
}

#[test]
fn a_credential_is_deleted_with_the_rotation_that_stands_open() {
    let fleet = fleet(3);
    signal(&fleet.targets[1], "STOP");
    assert_eq!(fleet.rotate(&[]).status, Some(5));
    // Giving it up needs the hosts that have the new key; the hint says how to leave one out that stays away.
    signal(&fleet.targets[0], "STOP");
    let outcome = fleet.scene.broker.verb(&["credential", "rotate", "deploy", "--abort", "--yes"]);
    let said = outcome.errors();
    assert!(outcome.status == Some(5) && !said.contains("give it up:"), "{outcome:?}");
    assert!(said.contains("being given up") && said.contains("rotate deploy --abort --skip h0 --yes"), "{said}");
    let next = fleet.keys(&fleet.targets[0]).pop().unwrap();
    assert_ne!(next, fleet.public());
    let outcome = fleet.scene.broker.verb(&["credential", "list"]).ok();
    assert!(outcome.text().contains("rotation open"), "{outcome:?}");
    let outcome = fleet.scene.broker.verb(&["credential", "delete", "deploy", "--yes"]).ok();
    let said = outcome.errors();
    assert!(said.contains(&format!("on h0: {next}")), "{said}");
    let store = database::open(&fleet.scene.broker.home());
    for table in ["credentials", "rotations", "rotation_hosts", "bindings"] {
        let rows: i64 = store.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    let ended = fleet.scene.broker.audit().into_iter().rev().find(|e| e["event"] == "credential.rotation_ended").unwrap();
    assert_eq!(ended["reason"], "the credential was deleted", "{ended}");
    fleet.scene.broker.does(&["audit", "verify"]);
}

/// How many entries of rotations there are, read past the broker.
fn noted(fleet: &Fleet) -> i64 {
    let sql = "SELECT count(*) FROM audit WHERE CAST(body AS TEXT) LIKE '%credential.rotation_%'";
    database::open(&fleet.scene.broker.home()).query_row(sql, [], |r| r.get(0)).unwrap()
}

#[test]
fn a_broker_that_is_killed_after_any_step_goes_on_and_locks_nobody_out() {
    let mut fleet = fleet(2);
    // started · setting installed verified, twice · switched · cleaned, twice · ended
    for after in 1..=10 {
        let from = noted(&fleet);
        let mut rotate = fleet.scene.broker.command(&["credential", "rotate", "deploy", "--yes"]);
        rotate.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut process = Process::start(rotate);
        eventually("the step is on record", || (noted(&fleet) >= from + after || !process.runs()).then_some(()));
        fleet.scene.broker.kill();
        let _ = process.wait();
        fleet.scene.broker.serve();
        fleet.all_reached(&[]);
        let rows: i64 = database::open(&fleet.scene.broker.home()).query_row("SELECT count(*) FROM rotations", [], |r| r.get(0)).unwrap();
        if rows == 1 {
            let outcome = fleet.rotate(&[]);
            assert_eq!((outcome.status, &json(&outcome)["state"]), (Some(0), &"done".into()), "after {after}: {outcome:?}");
        }
        fleet.all_reached(&[]);
        for target in &fleet.targets {
            assert_eq!(fleet.keys(target), [fleet.public()], "after {after}: {}", target.name);
        }
    }
    fleet.scene.broker.does(&["audit", "verify"]);
}

/// Hosts whose `root` and `admin` have one password, which the vault keeps for one of them as `deploy`.
fn with_passwords(user: &str, count: usize) -> (Fleet, String) {
    let settings = Settings { config: "[host]\nhandshake_timeout = \"2s\"\n".to_owned(), ..Settings::default() };
    let scene = Scene::bare(settings, None);
    let password = nonce(20);
    let targets: Vec<Target> = (0..count).map(|n| Target::with_password_of(&scene.place(&format!("h{n}")), &password)).collect();
    add_credential(&scene, "deploy", targets[0].login_of(user));
    for target in &targets {
        add_host(&scene, &target.name, &target.address(), &target.host_key, "deploy");
    }
    scene.grant("*", "*");
    let key = Key::new(scene.dir().join("unused"));
    (Fleet { scene, targets, key }, password)
}

/// The password that the host was given last.
fn given(target: &Target) -> String {
    let text = target.root(&format!("cat {SEEN}/given")).ok().text();
    text.lines().last().unwrap().split_once(':').unwrap().1.to_owned()
}

#[test]
fn a_password_is_set_by_chpasswd_and_is_seen_nowhere() {
    for user in ["root", "admin"] {
        let (fleet, old) = with_passwords(user, 2);
        let outcome = fleet.rotate(&[]);
        let done = json(&outcome);
        assert_eq!((outcome.status, &done["state"]), (Some(0), &"done".into()), "{user}: {done} {outcome:?} {}", fleet.targets[0].log());
        fleet.all_reached(&[]);
        let new = given(&fleet.targets[0]);
        assert_eq!(new, given(&fleet.targets[1]), "one credential, one password");
        assert!(new.len() >= 24 && new != old);
        for target in &fleet.targets {
            let login = target.login_of(user);
            assert_ne!(run(target.ssh_as(login, &[], "true"), "").status, Some(0), "the old password is refused");
            let places =
                "cat /root/seen/processes /var/log/sudo.log /root/.*history /home/*/.*history 2>/dev/null; ps axeww 2>/dev/null; true";
            let all = format!("{}{}", target.root(places).text(), target.log());
            assert!(!all.contains(&new), "{}: the host's processes, logs and histories do not hold it", target.name);
        }
        let broker = &fleet.scene.broker;
        assert!(!broker.does(&["--json", "audit", "list", "--limit", "10000"]).contains(&new) && !broker.log().contains(&new));
        assert!(!format!("{outcome:?}").contains(&new));
        for entry in std::fs::read_dir(broker.home()).unwrap().flatten().filter(|e| e.path().is_file()) {
            let bytes = std::fs::read(entry.path()).unwrap();
            assert!(!bytes.windows(new.len()).any(|w| w == new.as_bytes()), "{}", entry.path().display());
        }
    }
}

#[test]
fn passwords_are_never_in_between_for_whoever_connects() {
    let (fleet, old) = with_passwords("admin", 3);
    signal(&fleet.targets[1], "STOP");
    let outcome = fleet.rotate(&[]);
    let open = json(&outcome);
    assert_eq!((outcome.status, steps(&open)), (Some(5), ["verified", "pending", "verified"].map(str::to_owned).to_vec()), "{open}");
    // Two have the new one, one has the old one, and the vault knows which.
    signal(&fleet.targets[1], "CONT");
    fleet.all_reached(&[]);
    assert_eq!(run(fleet.targets[1].ssh_as(fleet.targets[1].login_of("admin"), &[], "true"), "").status, Some(0), "{old}");
    let outcome = fleet.rotate(&["--abort"]);
    assert_eq!((outcome.status, &json(&outcome)["state"]), (Some(0), &"aborted".into()), "{outcome:?}");
    fleet.all_reached(&[]);
    for target in &fleet.targets {
        assert_eq!(run(target.ssh_as(target.login_of("admin"), &[], "true"), "").status, Some(0), "{}: the old one again", target.name);
    }
}

#[test]
fn a_broker_that_is_killed_while_passwords_change_locks_nobody_out() {
    let (mut fleet, _) = with_passwords("root", 2);
    // started · setting verified, twice · switched · ended
    for after in 1..=6 {
        let from = noted(&fleet);
        let mut rotate = fleet.scene.broker.command(&["credential", "rotate", "deploy", "--yes"]);
        rotate.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut process = Process::start(rotate);
        eventually("the step is on record", || (noted(&fleet) >= from + after || !process.runs()).then_some(()));
        fleet.scene.broker.kill();
        let _ = process.wait();
        fleet.scene.broker.serve();
        fleet.all_reached(&[]);
        let rows: i64 = database::open(&fleet.scene.broker.home()).query_row("SELECT count(*) FROM rotations", [], |r| r.get(0)).unwrap();
        if rows == 1 {
            let outcome = fleet.rotate(&[]);
            assert_eq!((outcome.status, &json(&outcome)["state"]), (Some(0), &"done".into()), "after {after}: {outcome:?}");
        }
        fleet.all_reached(&[]);
    }
}

#[test]
fn two_rotations_of_one_credential_never_run_at_once() {
    let fleet = patient(2, "20s");
    signal(&fleet.targets[1], "STOP");
    let mut rotate = fleet.scene.broker.command(&["credential", "rotate", "deploy", "--yes"]);
    rotate.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut first = Process::start(rotate);
    eventually("the first one runs", || (noted(&fleet) > 0).then_some(()));
    let refused = fleet.scene.broker.refuses(&["credential", "rotate", "deploy", "--yes"]);
    assert!(refused.contains("at this moment"), "{refused}");
    signal(&fleet.targets[1], "CONT");
    assert!(first.wait().success());
    fleet.all_reached(&[]);
}

/// Whether the memory of a process that may be written holds these bytes.
fn holds(id: u32, what: &[u8]) -> bool {
    use std::os::unix::fs::FileExt as _;
    let maps = std::fs::read_to_string(format!("/proc/{id}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{id}/mem")).unwrap();
    maps.lines().filter(|line| line.contains(" rw")).any(|line| {
        let (from, to) = line.split(' ').next().and_then(|range| range.split_once('-')).unwrap();
        let [from, to] = [from, to].map(|n| u64::from_str_radix(n, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        memory.read_exact_at(&mut bytes, from).is_ok() && bytes.windows(what.len()).any(|w| w == what)
    })
}

#[test]
fn nothing_of_a_new_password_stays_in_the_brokers_memory() {
    let (fleet, old) = with_passwords("root", 1);
    let outcome = fleet.rotate(&[]);
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    let (new, id) = (given(&fleet.targets[0]), fleet.scene.broker.id());
    // A search that finds nothing at all proves nothing.
    assert!(holds(id, fleet.targets[0].host_key.fingerprint.as_bytes()));
    eventually("the new one is gone", || (!holds(id, new.as_bytes())).then_some(()));
    assert!(!holds(id, old.as_bytes()), "and the old one");
    fleet.all_reached(&[]);
    eventually("the new one is gone after its next use", || (!holds(id, new.as_bytes())).then_some(()));
}
