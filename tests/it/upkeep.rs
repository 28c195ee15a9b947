//! A credential is tried on a host, and a public key is installed there: `credential test`, `credential install`.

use serde_json::Value;

use crate::evil::Evil;
use crate::world::account::NAME;
use crate::world::broker::Settings;
use crate::world::keys::Key;
use crate::world::process::run_within;
use crate::world::sshd::free_port;
use crate::world::targets::{SHELLS, add_credential, add_host};
use crate::world::{Broker, Outcome, PATIENCE, Scene, Target};

/// What `credential test` says, and its exit status.
#[track_caller]
fn tries(broker: &Broker, credential: &str, host: &str) -> (Option<i32>, Value) {
    let outcome = broker.verb(&["--json", "credential", "test", credential, "--host", host]);
    (outcome.status, serde_json::from_str(&outcome.text()).unwrap_or_else(|e| panic!("{e}: {outcome:?}")))
}

/// The steps by name, the failed one with a `!`.
fn steps(tested: &Value) -> String {
    let word = |s: &Value| format!("{}{}", s["name"].as_str().unwrap(), if s["ok"] == true { "" } else { "!" });
    tested["steps"].as_array().unwrap().iter().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_test_names_the_step_that_fails_and_changes_nothing() {
    let scene = Scene::new();
    scene.grant("root", "*");
    let (status, good) = tries(&scene.broker, "deploy", "web-1");
    assert_eq!((status, steps(&good).as_str()), (Some(0), "name network host_key sign_in"), "{good}");
    assert_eq!((&good["signed_in"], &good["method"], &good["failed_step"]), (&Value::Bool(true), &"publickey".into(), &Value::Null));
    assert_eq!(scene.host.sign_ins(), 1);
    let session = scene.broker.sessions().into_iter().find(|s| s["id"] == good["session"]).unwrap();
    assert_eq!(session["end_reason"], "done");
    let trail = scene.broker.trail(&session);
    let whole = ["session.permitted", "lease.opened", "lease.ended", "session.signed_in", "session.ended", "credential.tested"];
    assert_eq!(trail, whole);

    let other = Key::new(scene.dir().join("other"));
    let closed = format!("127.0.0.1:{}", free_port());
    add_host(&scene, "nameless", "host.invalid", &scene.host.host_key, "deploy");
    add_host(&scene, "closed", &closed, &scene.host.host_key, "deploy");
    add_host(&scene, "other-key", &scene.host.address(), &other, "deploy");
    scene.broker.does_with(&["credential", "add", "wrong", "--scope", "workspace", "--username", "kw-peer", "--key", "-"], other.private());
    scene.broker.does(&["credential", "attach", "wrong", "--host", "closed"]);
    for (credential, host, failed, taken) in [
        ("deploy", "nameless", "name", "name!"),
        ("deploy", "closed", "network", "name network!"),
        ("deploy", "other-key", "host_key", "name network host_key!"),
        // Attached to another host alone: an owner may try it all the same, bound for this one use.
        ("wrong", "web-1", "sign_in", "name network host_key sign_in!"),
    ] {
        let (status, told) = tries(&scene.broker, credential, host);
        assert_eq!((status, steps(&told).as_str()), (Some(1), taken), "{told}");
        assert_eq!((&told["failed_step"], &told["signed_in"]), (&failed.into(), &Value::Bool(false)), "{told}");
        assert!(told["error"].as_str().is_some_and(|e| !e.is_empty()), "{told}");
        let entry = scene.broker.audit().into_iter().rev().find(|e| e["event"] == "credential.tested").unwrap();
        assert_eq!((&entry["detail"]["step"], &entry["outcome"]), (&failed.into(), &"failure".into()), "{entry}");
    }
    let shown = scene.broker.json(&["credential", "show", "wrong"]);
    assert_eq!(shown["hosts"], serde_json::json!(["closed"]), "nothing was attached by trying");
    // It was refused once; the second refusal is the last.
    assert_eq!(tries(&scene.broker, "wrong", "web-1").0, Some(1));
    let refusals = scene.host.refusals();
    let barred = scene.broker.refuses(&["credential", "test", "wrong", "--host", "web-1"]);
    assert!(barred.contains("refused twice"), "{barred}");
    assert_eq!(scene.host.refusals(), refusals);
}

#[test]
fn who_could_connect_may_test_and_nobody_else_learns_anything() {
    let scene = Scene::new();
    let over_ssh = |words: &str| -> Outcome { scene.alice.verb("alice", words, "") };
    let good = over_ssh("--json credential test deploy --host web-1").ok().text();
    assert_eq!(serde_json::from_str::<Value>(&good).unwrap()["signed_in"], true);
    // The owner has no grant: a trial of the workspace's own is theirs all the same, and reaches to nothing else.
    assert_eq!(tries(&scene.broker, "deploy", "web-1").0, Some(0));
    // A host that Alice was not granted is one that does not exist.
    add_host(&scene, "secret", &scene.host.address(), &scene.host.host_key, "deploy");
    let [hidden, missing] = ["secret", "nowhere"].map(|host| over_ssh(&format!("credential test deploy --host {host}")));
    assert_eq!((hidden.status, missing.status), (Some(1), Some(1)));
    assert_eq!(hidden.errors().replace("secret", "nowhere"), missing.errors());
    // Her own credential is nobody else's to try, and an attachment of hers is what lets her.
    scene.alice.verb("alice", "credential add mine --username kw-peer --key -", scene.alice.own.private()).ok();
    let refused = over_ssh("credential test mine --host web-1");
    let said = refused.errors();
    assert!(refused.status == Some(1) && said.contains("credential mine is not attached to host web-1"), "{refused:?}");
    assert!(said.contains("credential attach mine --host web-1 --scope personal --mine"), "{said}");
    // The workspace's is tried by an owner where a pinned key says which host that is.
    scene.broker.does(&["host", "add", "nopin", &scene.host.address()]);
    let unpinned = scene.broker.refuses(&["credential", "test", "deploy", "--host", "nopin"]);
    assert!(unpinned.contains("host nopin has no pinned key") && unpinned.contains("host trust nopin"), "{unpinned}");
    over_ssh("credential attach mine --host web-1 --mine").ok();
    over_ssh("credential test mine --host web-1").ok();
    let owner = scene.broker.refuses(&["credential", "test", "mine", "--host", "web-1"]);
    assert!(owner.contains("no credential"), "{owner}");
    // A grant that was taken away counts at once; nothing was dialled.
    let before = scene.host.sign_ins();
    for grant in scene.broker.json(&["grant", "list"]).as_array().unwrap() {
        scene.broker.does(&["grant", "remove", grant["id"].as_str().unwrap()]);
    }
    assert_eq!(over_ssh("credential test deploy --host web-1").status, Some(1));
    assert_eq!(scene.host.sign_ins(), before);
}

#[test]
fn what_a_host_opens_meanwhile_is_refused() {
    let scene = Scene::new();
    scene.grant("*", "*");
    let evil = Evil::joins(&scene, "unasked");
    scene.broker.does(&["credential", "add", "new", "--scope", "workspace", "--username", NAME, "--key", &fresh(&scene, "new")]);
    // It goes on until what is run there ends.
    let install = ["credential", "install", "new", "--host", "web-2", "--using", "evil"];
    let told = run_within(2 * PATIENCE, scene.broker.command(&install), "");
    assert_eq!(told.status, Some(1), "{told:?}");
    assert!(told.errors().contains("the account's shell ended with status 3"), "{told:?}");
    assert_eq!(evil.said.next().as_deref(), Some("refused 1800"), "an open that was accepted would be told first");
    assert_eq!(evil.said.next().as_deref(), Some("done"));
}

#[test]
fn a_key_is_installed_through_every_login_shell_and_verified() {
    let scene = Scene::bare(Settings::default(), None);
    let target = Target::shells(&scene.place("shells"));
    scene.broker.does(&["host", "add", "shells", &target.address(), "--host-key", &target.host_key.public]);
    scene.grant("*", "shells");
    for (user, _) in SHELLS {
        add_credential(&scene, user, target.login_of(user));
        scene.broker.does(&["credential", "attach", user, "--host", "shells"]);
        let new = format!("new-{user}");
        scene.broker.does(&["credential", "add", &new, "--scope", "workspace", "--username", user, "--key", &fresh(&scene, &new)]);
        let install = ["--json", "credential", "install", &new, "--host", "shells", "--using", user];
        let outcome = scene.broker.verb(&install);
        if user == "nologin" {
            assert_eq!(outcome.status, Some(1), "{outcome:?}");
            assert!(outcome.errors().contains("the account's shell ended with status"), "{outcome:?}");
            continue;
        }
        let done: Value = serde_json::from_str(&outcome.text()).unwrap_or_else(|e| panic!("{user}: {e} {outcome:?}"));
        assert_eq!(
            (&done["installed"], &done["already"], &done["verified"]),
            (&true.into(), &false.into(), &true.into()),
            "{user}: {done}"
        );
        let again: Value = serde_json::from_str(&scene.broker.does(&install)).unwrap();
        assert_eq!((&again["already"], &again["verified"]), (&true.into(), &true.into()), "{user}: {again}");
        let file = target
            .root(&format!("stat -c '%U %a' /home/{user}/.ssh /home/{user}/.ssh/authorized_keys; cat /home/{user}/.ssh/authorized_keys"));
        let text = file.ok().text();
        let old = &target.login_of(user).proof;
        let crate::world::targets::Proof::Key(old) = old else { panic!() };
        let wanted =
            format!("{user} 700\n{user} 600\n{}\n{} keyward\n", old.public, done["line"].as_str().unwrap().trim_end_matches(" keyward"));
        assert_eq!(text, wanted, "{user}");
    }
    let entries = scene.broker.audit();
    let upkeep = entries.iter().filter(|e| e["event"] == "credential.upkeep").count();
    let installed = entries.iter().filter(|e| e["event"] == "credential.installed" && e["outcome"] == "success").count();
    assert_eq!((upkeep, installed), (SHELLS.len() * 2 - 1, (SHELLS.len() - 1) * 2));
}

/// A new private key's file.
fn fresh(scene: &Scene, name: &str) -> String {
    Key::new(scene.dir().join(name)).path.display().to_string()
}

#[test]
fn root_installs_for_another_account_behind_dropbear_and_openssh() {
    let scene = Scene::bare(Settings::default(), None);
    let (deploy, root) = (Key::new(scene.dir().join("deploy-key")), Key::new(scene.dir().join("root-key")));
    // Busybox here has no su: the account itself signs in, with its password.
    for (target, user, by) in [
        (Target::busybox(&scene.place("busybox")), "operator", "operator"),
        (Target::busybox(&scene.place("busybox-root")), "root", "root"),
        (Target::with_key_of(&scene.place("debian"), &deploy, &root), "deploy", "root"),
    ] {
        let name = target.name.clone();
        scene.broker.does(&["host", "add", &name, &target.address(), "--host-key", &target.host_key.public]);
        scene.grant("*", &name);
        add_credential(&scene, &name, target.login_of(by));
        scene.broker.does(&["credential", "attach", &name, "--host", &name]);
        let home = if user == "root" { "/root".to_owned() } else { format!("/home/{user}") };
        let new = format!("{name}-new");
        scene.broker.does(&["credential", "add", &new, "--scope", "workspace", "--username", user, "--key", &fresh(&scene, &new)]);
        let before = target.root(&format!("cat {home}/.ssh/authorized_keys 2>/dev/null; true")).text();
        let dry = scene.broker.json(&["credential", "install", &new, "--host", &name, "--using", &name, "--dry-run"]);
        assert!(dry["installed"] == false && dry["script"].as_str().is_some_and(|s| s.contains("authorized_keys")), "{dry}");
        assert_eq!(target.sign_ins(), 0, "a dry run asks nothing of the host");
        let done = scene.broker.json(&["credential", "install", &new, "--host", &name, "--using", &name]);
        assert_eq!((&done["installed"], &done["verified"]), (&true.into(), &true.into()), "{name}: {done}\n{}", target.log());
        let script = format!("stat -c '%U %a' {home}/.ssh {home}/.ssh/authorized_keys; cat {home}/.ssh/authorized_keys");
        let text = target.root(&script).ok().text();
        assert!(text.starts_with(&format!("{user} 700\n{user} 600\n{before}")), "{name}: {text}");
        // A password has nothing to install, and a stranger's account cannot be written.
        let other = format!("{name}-other");
        scene.broker.does(&["credential", "add", &other, "--scope", "workspace", "--username", "nobody", "--key", &fresh(&scene, &other)]);
        if user != "root" {
            let refused = scene.broker.refuses(&["credential", "install", &other, "--host", &name, "--using", &new]);
            assert!(refused.contains("sign in as nobody itself, or as root"), "{refused}");
        }
    }
}

#[test]
fn an_install_needs_exec_there_and_refuses_links() {
    let scene = Scene::bare(Settings::default(), None);
    let (deploy, root) = (Key::new(scene.dir().join("deploy-key")), Key::new(scene.dir().join("root-key")));
    let target = Target::with_key_of(&scene.place("debian"), &deploy, &root);
    scene.broker.does(&["host", "add", "debian", &target.address(), "--host-key", &target.host_key.public]);
    add_credential(&scene, "deploy", target.login_of("deploy"));
    scene.broker.does(&["credential", "attach", "deploy", "--host", "debian"]);
    scene.broker.does(&["credential", "add", "new", "--scope", "workspace", "--username", "deploy", "--key", &fresh(&scene, "new")]);
    scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "debian", "--allow", "shell,sftp"]);
    scene.broker.does(&["credential", "attach", "new", "--host", "debian"]);
    let outcome = scene.alice.verb("alice", "credential install new --host debian --using deploy", "");
    assert!(outcome.status == Some(1) && outcome.errors().contains("allows `exec`"), "{outcome:?}");
    assert_eq!(target.sign_ins(), 0);
    scene.grant("alice", "debian");
    target.root("cd /home/deploy/.ssh && mv authorized_keys real && ln -s real authorized_keys").ok();
    let outcome = scene.alice.verb("alice", "credential install new --host debian --using deploy", "");
    assert!(outcome.status == Some(1) && outcome.errors().contains("symbolic link"), "{outcome:?}");
    assert_eq!(target.root("cat /home/deploy/.ssh/real").ok().text(), format!("{}\n", deploy.public));
}
