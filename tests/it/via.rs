//! Hosts behind other hosts: each hop has its own key, credential, permit and entry, and a client sees one wire.

use serde_json::Value;

use crate::credentials::refused;
use crate::world::account::NAME;
use crate::world::keys::Key;
use crate::world::process::Outcome;
use crate::world::targets::{Proof, add_credential};
use crate::world::{Scene, Sshd, Target, Way, eventually, noise, run, run_within, sha256};

/// Where the host behind the bastion listens, in the bastion's own network.
const INNER: &str = "127.0.0.1:2200";

/// A bastion in a network of its own, and a second server in it that nobody else reaches.
struct Behind {
    bastion: Target,
    inner: Key,
    scene: Scene,
}

impl Behind {
    /// Known to the broker as `bastion` and `web-7`; Alice is granted both, but no forwarding.
    fn new() -> Self {
        let scene = Scene::new();
        let bastion = Target::debian(&scene.place("bastion"));
        let inner = Key::new(scene.dir().join("inner_key"));
        let script = format!(
            "umask 077\ncat >/etc/ssh/inner_key <<'END'\n{}END\n\
             sed 's,ssh_host_ed25519_key,inner_key,; s,^Port 22$,Port 2200,' /etc/ssh/sshd_config >/etc/ssh/inner_config\n\
             /usr/sbin/sshd -f /etc/ssh/inner_config -E /etc/ssh/inner.log\n",
            String::from_utf8(inner.private()).unwrap()
        );
        bastion.root(&script).ok();
        bastion.joins(&scene);
        add_credential(&scene, "inner", bastion.login_of("visitor"));
        let behind = Self { bastion, inner, scene };
        let pin = behind.inner.public.clone();
        behind.scene.broker.does(&["host", "add", "web-7", INNER, "--via", "bastion", "--credential", "inner", "--host-key", &pin]);
        behind.scene.grant("alice", "web-7");
        behind
    }

    fn may_pass(&self, who: &str) -> String {
        may_pass(&self.scene, who, "bastion")
    }

    fn inner_log(&self) -> String {
        self.bastion.root("cat /etc/ssh/inner.log").text()
    }
}

fn may_pass(scene: &Scene, who: &str, hop: &str) -> String {
    let grant = scene.broker.json(&["grant", "add", "--to", who, "--hosts", hop, "--allow", "forward-local"]);
    grant["id"].as_str().unwrap().to_owned()
}

fn ask(scene: &Scene, host: &str, remote: &str) -> Outcome {
    run(scene.alice.ssh(&["-l", host, "through", remote]), "")
}

fn of_session<'a>(audit: &'a [Value], session: &Value) -> Vec<&'a Value> {
    audit.iter().filter(|e| e["session"] == session["id"]).collect()
}

#[test]
fn a_host_that_only_the_bastion_reaches_is_used_like_any_other() {
    let behind = Behind::new();
    let Behind { scene, bastion, .. } = &behind;

    // Without `forward-local` on the bastion nobody passes it, and that is said by name; nothing is sent to it.
    let errors = refused(&ask(scene, "web-7", "true"));
    assert!(errors.contains("web-7 via bastion: ") && errors.contains("`forward-local` on host `bastion`"), "{errors}");
    assert_eq!(bastion.connections(), 0);
    let explained = scene.broker.json(&["grant", "explain", "alice", "web-7"]);
    assert_eq!((&explained["allowed"], &explained["via"][0]), (&Value::from(false), &Value::from("bastion")));
    assert!(scene.broker.audit().iter().any(|e| e["event"] == "hop.denied" && e["host"] == "bastion" && e["detail"]["to"] == "web-7"));

    behind.may_pass("alice");
    assert_eq!(scene.broker.json(&["grant", "explain", "alice", "web-7"])["allowed"], true);
    let outcome = run(scene.alice.ssh(&["-l", "web-7", "through", "id -un; cat; echo wrong >&2; exit 7"]), "typed\n");
    assert_eq!((outcome.status, outcome.text().as_str(), outcome.errors().as_str()), (Some(7), "visitor\ntyped\n", "wrong\n"));
    assert_eq!(bastion.connections(), 1, "one connection to the bastion for one session");
    assert!(behind.inner_log().contains("Accepted publickey for visitor"), "{}", behind.inner_log());

    let session = eventually("the session has ended", || {
        scene.broker.sessions().into_iter().find(|s| s["exit_status"] == 7 && !s["ended_at"].is_null())
    });
    assert_eq!((&session["host"], &session["via"]), (&Value::from("web-7"), &serde_json::json!(["bastion"])));
    let audit = scene.broker.audit();
    let trail: Vec<(&str, &str)> =
        of_session(&audit, &session).iter().map(|e| (e["event"].as_str().unwrap(), e["host"].as_str().unwrap_or_default())).collect();
    let hop = ["lease.opened", "lease.ended"];
    let expected = [
        ("session.permitted", "web-7"),
        ("hop.permitted", "bastion"),
        (hop[0], "bastion"),
        (hop[1], "bastion"),
        ("hop.signed_in", "bastion"),
        (hop[0], "web-7"),
        (hop[1], "web-7"),
        ("session.signed_in", "web-7"),
        ("channel.opened", "web-7"),
        ("session.ended", "web-7"),
    ];
    assert_eq!(trail, expected);
    let signed_in = of_session(&audit, &session).into_iter().find(|e| e["event"] == "session.signed_in").unwrap();
    assert_eq!((&signed_in["detail"]["via"], &signed_in["detail"]["peer"]), (&Value::from("bastion"), &Value::Null));
    assert_eq!(scene.broker.json(&["host", "show", "web-7"])["via"], "bastion");

    // What is large arrives whole, both ways.
    let bytes = noise(100 * 1024 * 1024);
    let file = scene.dir().join("large");
    std::fs::write(&file, &bytes).unwrap();
    let limit = std::time::Duration::from_secs(600);
    let there = scene.alice.program("scp", &["-q", "-o", "User=web-7", file.to_str().unwrap(), "through:large"]);
    run_within(limit, there, "").ok();
    assert!(ask(scene, "web-7", "sha256sum large").ok().text().starts_with(&sha256(&bytes)));
    let back = scene.dir().join("back");
    run_within(limit, scene.alice.program("scp", &["-q", "-o", "User=web-7", "through:large", back.to_str().unwrap()]), "").ok();
    assert_eq!(sha256(&std::fs::read(back).unwrap()), sha256(&bytes));
}

#[test]
fn a_session_ends_when_the_jump_is_withdrawn() {
    let behind = Behind::new();
    let grant = behind.may_pass("alice");
    let stay = behind.scene.alice.stay(Way::Through, &["-l", "web-7"], "echo up; cat");
    assert_eq!(stay.lines.next().as_deref(), Some("up"));
    behind.scene.broker.does(&["grant", "remove", &grant]);
    let (status, errors) = stay.end();
    assert!(status != Some(0) && errors.contains("withdrawn"), "{status:?} {errors}");
    let session = behind.scene.broker.ended_session();
    assert_eq!(session["end_reason"], "withdrawn");
    eventually("the bastion's connection is gone, too", || {
        behind.bastion.left_running().iter().all(|line| !line.contains("cat")).then_some(())
    });
}

#[test]
fn keys_are_fetched_and_credentials_tried_through_the_jump() {
    let behind = Behind::new();
    let Behind { scene, inner, .. } = &behind;
    scene.broker.does(&["host", "add", "web-8", INNER, "--via", "bastion", "--credential", "inner"]);
    let refused = scene.broker.refuses(&["host", "trust", "web-8", "--fingerprint", &inner.fingerprint]);
    assert!(refused.contains("forward-local") && refused.contains("bastion"), "{refused}");
    behind.may_pass("root");
    // Another fingerprint than the host's own is not pinned, whoever shows it.
    let bastions = behind.bastion.host_key.fingerprint.clone();
    assert!(scene.broker.refuses(&["host", "trust", "web-8", "--fingerprint", &bastions]).contains(&inner.fingerprint));
    scene.broker.does(&["host", "trust", "web-8", "--fingerprint", &inner.fingerprint]);
    assert_eq!(scene.broker.json(&["host", "show", "web-8"])["host_keys"][0]["fingerprint"], inner.fingerprint.as_str());
    let tested = scene.broker.json(&["credential", "test", "inner", "--host", "web-8"]);
    assert_eq!((&tested["signed_in"], &tested["method"]), (&Value::from(true), &Value::from("publickey")));
}

#[test]
fn nobody_is_trusted_on_first_use_behind_a_jump_host() {
    let behind = Behind::new();
    let Behind { scene, .. } = &behind;
    behind.may_pass("alice");
    let add = ["host", "add", "web-8", INNER, "--via", "bastion", "--credential", "inner", "--trust-first-use"];
    let said = run(scene.broker.command(&add), "").ok().errors();
    assert!(said.contains("no host key is pinned") && said.contains("host trust web-8"), "{said}");
    scene.grant("alice", "web-8");
    let outcome = ask(scene, "web-8", "true");
    assert!(outcome.status == Some(255) && outcome.errors().contains("host trust web-8"), "{outcome:?}");
    assert!(scene.broker.json(&["host", "show", "web-8"])["host_keys"].as_array().unwrap().is_empty());
    assert!(!scene.broker.audit().iter().any(|e| e["event"] == "lease.opened" && e["host"] == "web-8"));
}

/// Three servers of this machine: `hop-a` → `hop-b` → `web-9`.
struct Chain {
    b: Sshd,
    far: Sshd,
    scene: Scene,
}

impl Chain {
    fn new() -> Self {
        let scene = Scene::new();
        let b = scene.another_host("hop-b", &[&scene.deploy]);
        let far = scene.another_host("far", &[&scene.deploy]);
        scene.broker.does(&["host", "edit", "web-1", "--rename", "hop-a"]);
        for (name, host, via) in [("hop-b", &b, "hop-a"), ("web-9", &far, "hop-b")] {
            let pin = &host.host_key.public;
            scene.broker.does(&["host", "add", name, &host.address(), "--via", via, "--credential", "deploy", "--host-key", pin]);
        }
        for hop in ["hop-a", "hop-b"] {
            may_pass(&scene, "alice", hop);
        }
        scene.grant("alice", "web-9");
        Self { b, far, scene }
    }
}

#[test]
fn a_wrong_key_anywhere_on_the_way_stops_it_there() {
    let Chain { b, far, scene } = Chain::new();
    assert_eq!(ask(&scene, "web-9", "id -un").ok().text(), format!("{NAME}\n"));
    assert_eq!((scene.host.sign_ins(), b.sign_ins(), far.sign_ins()), (1, 1, 1));
    let session = scene.broker.ended_session();
    assert_eq!(session["via"], serde_json::json!(["hop-a", "hop-b"]));

    let stranger = Key::new(scene.dir().join("stranger"));
    scene.broker.does(&["host", "edit", "hop-b", "--host-key", &stranger.public]);
    let errors = refused(&ask(&scene, "web-9", "true"));
    assert!(errors.contains("web-9 via hop-b: hop-b: THE HOST'S KEY HAS CHANGED") && errors.contains("host trust hop-b"), "{errors}");
    assert_eq!((scene.host.sign_ins(), b.sign_ins(), far.sign_ins()), (2, 1, 1));
    let mismatch = |host: &str| scene.broker.audit().iter().any(|e| e["event"] == "host.key_mismatch" && e["host"] == host);
    assert!(mismatch("hop-b"));

    // The key of a jump host is not taken for that of the host behind it.
    scene.broker.does(&["host", "edit", "hop-b", "--host-key", &b.host_key.public]);
    scene.broker.does(&["host", "edit", "web-9", "--host-key", &b.host_key.public]);
    let errors = refused(&ask(&scene, "web-9", "true"));
    assert!(errors.contains("web-9: THE HOST'S KEY HAS CHANGED") && errors.contains(&far.host_key.fingerprint), "{errors}");
    assert_eq!((b.sign_ins(), far.sign_ins()), (2, 1));
    assert!(mismatch("web-9"));
}

#[test]
fn a_jump_host_that_refuses_or_dies_is_named() {
    let Chain { b, far, scene } = Chain::new();
    let stay = scene.alice.stay(Way::Through, &["-l", "web-9"], "echo up; cat");
    assert_eq!(stay.lines.next().as_deref(), Some("up"));
    b.kill();
    let (status, errors) = stay.end();
    assert!(status != Some(0) && errors.contains("the connection to jump host hop-b broke off"), "{status:?} {errors}");
    assert_eq!(scene.broker.ended_session()["end_reason"], "host_lost");
    let audit = scene.broker.audit();
    let ended = audit.iter().find(|e| e["event"] == "session.ended").unwrap();
    assert_eq!(ended["reason"], "the connection to jump host hop-b broke off");
    let errors = refused(&ask(&scene, "web-9", "true"));
    assert!(errors.contains("web-9 via hop-b: hop-b: ") && errors.contains("cannot be reached from hop-a"), "{errors}");

    let lines = "PermitOpen none\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n";
    let strict = Sshd::with(&scene.place("strict"), &[&scene.deploy], lines);
    scene.add_host("strict", &strict, "deploy");
    may_pass(&scene, "alice", "strict");
    scene.broker.does(&["host", "edit", "web-9", "--via", "strict"]);
    let errors = refused(&ask(&scene, "web-9", "true"));
    assert!(errors.contains("cannot be reached from strict: it does not forward there"), "{errors}");
    assert_eq!(far.sign_ins(), 1);
    // Reached straight again, it is.
    scene.broker.does(&["host", "edit", "web-9", "--no-via"]);
    ask(&scene, "web-9", "true").ok();
}

#[test]
fn circles_and_what_others_hang_on_are_refused() {
    let Chain { b: _b, far: _far, scene } = Chain::new();
    for (host, via) in [("hop-a", "web-9"), ("hop-a", "hop-a")] {
        let errors = scene.broker.refuses(&["host", "edit", host, "--via", via]);
        assert!(errors.contains("circle"), "{errors}");
    }
    let errors = scene.broker.refuses(&["host", "remove", "hop-b"]);
    assert!(errors.contains("web-9") && errors.contains("--no-via"), "{errors}");
    scene.broker.refuses(&["host", "add", "lost", "127.0.0.1:9", "--via", "nowhere"]);
    let mut last = "web-9".to_owned();
    for n in 0..6 {
        let name = format!("deep-{n}");
        scene.broker.does(&["host", "add", &name, "127.0.0.1:9", "--via", &last]);
        last = name;
    }
    let errors = scene.broker.refuses(&["host", "add", "deeper", "127.0.0.1:9", "--via", &last]);
    assert!(errors.contains("more than 8 jump hosts"), "{errors}");
    // Longer for those who stand behind it counts as well.
    scene.broker.does(&["host", "add", "front", "127.0.0.1:9"]);
    assert!(scene.broker.refuses(&["host", "edit", "hop-a", "--via", "front"]).contains("more than 8"));
    assert_eq!(scene.broker.json(&["host", "show", "hop-a"])["via"], Value::Null);
}

#[test]
fn a_jump_host_has_the_credential_that_the_person_would_use_there() {
    let Chain { b, far: _far, scene } = Chain::new();
    let own = Key::new(scene.dir().join("own-at-b"));
    b.authorize(&[&own]);
    let errors = refused(&ask(&scene, "web-9", "true"));
    assert!(errors.contains("web-9 via hop-b: hop-b: the host refused the credential"), "{errors}");
    let login = crate::world::targets::Login { user: NAME.to_owned(), proof: Proof::Key(own.clone()), sudo_password: None };
    add_credential(&scene, "own-at-b", &login);
    scene.broker.does(&["host", "edit", "hop-b", "--credential", "own-at-b"]);
    ask(&scene, "web-9", "true").ok();
    assert_eq!(b.sign_ins_with(&own), 1);
}

#[test]
fn what_somebody_waits_for_passes_with_what_they_opened_and_a_scan_does_not() {
    const PASSPHRASE: &str = "sealed by root alone";
    let Chain { b, far, scene } = Chain::new();
    let own = Key::new(scene.dir().join("own-at-b"));
    b.authorize(&[&own]);
    let root = |words: &str, stdin: Vec<u8>| scene.owner.verb("root", words, stdin);
    root(&format!("credential add own --username {NAME} --key - --scope personal"), own.private()).ok();
    root("credential attach own --host hop-b --mine", Vec::new()).ok();
    root("personal seal", PASSPHRASE.into()).ok();
    for hop in ["hop-a", "hop-b"] {
        may_pass(&scene, "root", hop);
    }
    scene.broker.does(&["grant", "add", "--to", "root", "--hosts", "web-9", "--allow", "exec,scan"]);
    let trust = format!("host trust web-9 --fingerprint {}", far.host_key.fingerprint);
    let locked = root(&trust, Vec::new());
    assert!(locked.status == Some(1) && locked.errors().contains("unlock"), "{locked:?}");
    root("unlock", PASSPHRASE.into()).ok();
    root(&trust, Vec::new()).ok();
    assert_eq!(b.sign_ins_with(&own), 1);
    root("credential test deploy --host web-9", Vec::new()).ok();
    assert_eq!((b.sign_ins_with(&own), far.sign_ins()), (2, 1));
    let scanned = root("scan run --hosts web-9 --format json", Vec::new());
    let document: Value = serde_json::from_str(&scanned.text()).unwrap();
    let host = &document["hosts"][0];
    assert!(host["error"].as_str().unwrap().contains("sealed by its owner"), "{host}");
    assert_eq!((b.sign_ins_with(&own), far.sign_ins()), (2, 1));
}
