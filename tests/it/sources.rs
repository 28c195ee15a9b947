//! Credentials that lie in somebody else's vault: fetched at the moment of use, from a vault over TLS and from real `pass`; and
//! what happens when the other side is down, closed, slow, wrong, or when somebody here would point a credential elsewhere.

use serde_json::{Value, json};

use crate::world::account::{NAME, account};
use crate::world::broker::Settings;
use crate::world::database::{edit, open};
use crate::world::keys::Key;
use crate::world::process::command;
use crate::world::vault::{Vault, private};
use crate::world::{Scene, Way, folder, run};

const SSHD: &str = "PasswordAuthentication yes\nKbdInteractiveAuthentication no\nUsePAM yes\n";

/// A vault, a broker that knows it as `corp`, and a host that takes passwords, keys and certificates of the vault's authority.
fn world(auth: &str, lines: &str) -> (Vault, Scene, tempfile::TempDir) {
    let dir = folder();
    let mut vault = Vault::start(dir.path());
    vault.put("web/root", json!({ "password": account().password, "user": NAME }));
    vault.state["roles"]["ops"] = json!({ "users": [NAME] });
    vault.store();
    let settings = Settings { config: vault.source("corp", auth, lines), ..Settings::default() };
    let sshd = format!("{SSHD}TrustedUserCAKeys {}\n", vault.file("ssh-ca.pub").display());
    let scene = Scene::bare(settings, Some(&sshd));
    (vault, scene, dir)
}

fn add(scene: &Scene, name: &str, words: &[&str]) {
    let mut all = vec!["credential", "add", name, "--username", NAME, "--scope", "workspace", "--from", "corp"];
    all.extend_from_slice(words);
    scene.broker.does(&all);
}

fn with_host(scene: &Scene, credential: &str) {
    scene.add_host("web-1", &scene.host, credential);
    scene.grant("alice", "web-1");
}

/// Alice's connection fails: what she is told.
#[track_caller]
fn refused(scene: &Scene) -> String {
    let before = scene.host.sign_ins();
    let outcome = scene.alice.exec(Way::Through, "true");
    assert_eq!(outcome.status, Some(255), "{outcome:?}");
    assert_eq!(scene.host.sign_ins(), before, "nobody signed in");
    outcome.errors()
}

#[track_caller]
fn last(scene: &Scene, event: &str) -> Value {
    let audit = scene.broker.audit();
    audit.iter().rev().find(|e| e["event"] == event).unwrap_or_else(|| panic!("no {event}: {audit:?}")).clone()
}

#[test]
fn passwords_keys_and_certificates_are_fetched_for_each_connection_and_never_kept() {
    let (mut vault, scene, _dir) = world("approle", "");
    let key = String::from_utf8(scene.deploy.private()).unwrap();
    vault.put("web/key", json!({ "private_key": key }));
    add(&scene, "pw", &["--password", "--path", "web/root"]);
    add(&scene, "key", &["--key", "--path", "web/key"]);
    add(&scene, "cert", &["--certificate", "--path", "ops"]);
    with_host(&scene, "pw");
    assert!(vault.asked().is_empty(), "nothing is asked before somebody connects: {:?}", vault.asked());
    for (credential, path, method) in [
        ("pw", "/v1/secret/data/web/root", "password"),
        ("key", "/v1/secret/data/web/key", "publickey"),
        ("cert", "/v1/ssh/sign/ops", "certificate"),
    ] {
        scene.broker.does(&["credential", "attach", credential, "--host", "web-1"]);
        for times in 1..=2 {
            assert_eq!(scene.alice.exec(Way::Through, "echo in").ok().text(), "in\n");
            assert_eq!(vault.asked_for(path), times, "each connection asks once: {:?}", vault.asked());
        }
        assert!(last(&scene, "session.signed_in")["detail"]["method"] == method);
        let fetched = last(&scene, "source.fetched");
        assert_eq!((&fetched["outcome"], &fetched["detail"]["source"]), (&json!("success"), &json!("corp")), "{fetched}");
    }
    assert!(scene.host.log().contains("Accepted publickey") && scene.host.log().contains("ID vault-test"), "{}", scene.host.log());
    // Each use signed in and out at the vault.
    assert_eq!(vault.asked_for("/v1/auth/approle/login"), 6);
    assert_eq!(vault.asked_for("/v1/auth/token/revoke-self"), 6);
    // Who may change it sees where it lies, through both doors; who may not, does not. The audit log has no path.
    let shown = scene.broker.json(&["credential", "show", "pw"]);
    assert_eq!(
        (&shown["kind"], &shown["reference"]),
        (&json!("reference:password"), &json!({ "from": "corp", "path": "web/root", "field": null }))
    );
    let over_ssh = scene.owner.verb("root", "credential list", "").ok().text();
    assert!(over_ssh.contains("reference:key (web/key at corp)"), "{over_ssh}");
    let member = scene.alice.verb("alice", "--json credential list", "").ok().text();
    assert!(member.contains("reference:certificate") && !member.contains("web/root") && !member.contains("\"ops\""), "{member}");
    let audit = scene.broker.does(&["--json", "audit", "list"]);
    assert!(!audit.contains("web/root") && !audit.contains(&account().password) && !audit.contains(&vault.secret_id), "{audit}");
    // Nothing of it lies in the home.
    for entry in std::fs::read_dir(scene.broker.home()).unwrap().flatten().filter(|e| e.path().is_file()) {
        let bytes = std::fs::read(entry.path()).unwrap();
        for secret in [&account().password, &vault.secret_id] {
            assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{}", entry.path().display());
        }
    }
}

#[test]
fn what_changes_at_the_source_counts_at_the_next_connection() {
    let (mut vault, scene, _dir) = world("token", "");
    add(&scene, "pw", &["--password", "--path", "web/root"]);
    with_host(&scene, "pw");
    scene.alice.exec(Way::Through, "true").ok();
    vault.put("web/root", json!({ "password": "another one" }));
    assert!(refused(&scene).contains("keyward: "));
    vault.put("web/root", json!({ "password": account().password }));
    scene.alice.exec(Way::Through, "true").ok();
    // A token that somebody replaces counts at once, too.
    vault.state["token"] = json!("hvs.next");
    vault.store();
    assert!(refused(&scene).contains("source `corp` gave nothing (read): permission denied (403)"));
    private(&vault.file("token"), "hvs.next");
    scene.alice.exec(Way::Through, "true").ok();
    // It is pointed elsewhere by who may: another path, the other engine, a secret kept here, and back.
    vault.put("web/other", json!({ "pw": account().password }));
    scene.broker.does(&["credential", "edit", "pw", "--path", "web/other", "--field", "pw"]);
    scene.alice.exec(Way::Through, "true").ok();
    scene.broker.does_with(&["credential", "edit", "pw", "--password"], account().password.as_str());
    let asked = vault.asked().len();
    scene.alice.exec(Way::Through, "true").ok();
    assert_eq!(vault.asked().len(), asked, "it lies here now");
    scene.owner.verb("root", "credential edit pw --from corp --path web/root", "").ok();
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn a_source_that_gives_nothing_refuses_the_connection_and_says_why() {
    let (mut vault, scene, _dir) = world("approle", "timeout = \"2s\"");
    add(&scene, "pw", &["--password", "--path", "web/root"]);
    with_host(&scene, "pw");
    let check = |vault: &Vault, says: &str| {
        let before = vault.asked_for("/v1/secret/data/web/root");
        let told = refused(&scene);
        assert!(told.contains(&format!("source `corp` gave nothing ({says}")), "{says}: {told}");
        assert!(told.contains("hint: ") && !told.contains("web/root") && !told.contains("hunter2"), "{told}");
        assert!(vault.asked_for("/v1/secret/data/web/root") <= before + 1, "nobody tries twice");
        let failed = last(&scene, "source.fetched");
        assert!(failed["outcome"] == "failure" && failed["reason"].as_str().unwrap().contains(says), "{failed}");
        assert_eq!(failed["detail"]["step"], says.split(')').next().unwrap());
        assert_eq!(last(&scene, "lease.ended")["outcome"], "failure");
    };
    for (mode, says) in [
        ("sealed", "sign-in): it is sealed"),
        ("throttled", "sign-in): it has had too many requests"),
        ("denied", "read): permission denied (403)"),
        ("huge", "read): the answer is longer than 64 KiB"),
        ("rubbish", "read): the answer is not the JSON"),
        ("close", "sign-in): it broke off"),
        ("hang", "sign-in): no answer within 2 s"),
    ] {
        vault.mode(Some(mode));
        check(&vault, says);
    }
    // A redirect is not followed: the token would go wherever it points.
    let other = folder();
    let elsewhere = Vault::start(other.path());
    vault.state["elsewhere"] = json!(format!(
        "https://127.0.0.1:{}",
        elsewhere.source("x", "token", "").split("127.0.0.1:").nth(1).unwrap().split('"').next().unwrap()
    ));
    vault.mode(Some("redirect"));
    check(&vault, "sign-in): it answers with a redirect (307)");
    assert!(elsewhere.asked().is_empty());
    vault.mode(None);
    for (fields, says) in [
        (json!({ "user": NAME }), "read): the answer has no such field"),
        (json!({ "password": 7 }), "read): the field is not a text"),
        (json!({ "password": null }), "read): the field is not a text"),
        (json!({ "password": "" }), "read): the answer is empty"),
        (Value::Null, "read): there is nothing at the path (404)"),
    ] {
        vault.put("web/root", fields);
        check(&vault, says);
    }
    private(&vault.file("secret-id"), "another");
    check(&vault, "sign-in): it refuses the role id or secret id (400)");
    crate::world::open_to_all(&vault.file("secret-id"), 0o644);
    check(&vault, "ticket): others may use the file");
    std::fs::remove_file(vault.file("secret-id")).unwrap();
    check(&vault, "ticket): the file of its token or id is not there");
    private(&vault.file("secret-id"), &vault.secret_id);
    std::fs::copy(other.path().join("ca.pem"), vault.file("ca.pem")).unwrap();
    check(&vault, "connect): TLS: its certificate is");
    vault.stop();
    check(&vault, "connect): it is not reachable (connection refused)");
    // A source that is gone from the file.
    scene.broker.configure("");
    let mut scene = scene;
    scene.broker.stop();
    scene.broker.serve();
    let told = refused(&scene);
    assert!(told.contains("source `corp` gave nothing (rules): broker.toml has no such source"), "{told}");
}

#[test]
fn a_certificate_or_key_that_is_not_what_was_asked_for_is_not_used() {
    let (mut vault, scene, _dir) = world("token", "");
    add(&scene, "cert", &["--certificate", "--path", "ops"]);
    with_host(&scene, "cert");
    scene.alice.exec(Way::Through, "true").ok();
    for (cheat, says) in [
        ("other-key", "is for another key"),
        ("host", "is for hosts"),
        ("other-account", "is not for the credential's account"),
        ("any", "names no account"),
        ("long", "good for more than an hour"),
        ("expired", "is not good now"),
        ("rubbish", "no certificate"),
    ] {
        vault.state["roles"]["ops"]["cheat"] = json!(cheat);
        vault.store();
        let told = refused(&scene);
        assert!(told.contains("source `corp` gave something that cannot be used") && told.contains(says), "{cheat}: {told}");
        assert!(last(&scene, "source.fetched")["outcome"] == "failure");
    }
    let locked = Key::make(scene.dir().join("locked"), &["-t", "ed25519"], "a passphrase");
    for (file, says) in [
        (String::from_utf8(locked.private()).unwrap(), "encrypted"),
        (locked.public.clone(), "public key"),
        ("hunter2".to_owned(), "no private key"),
    ] {
        vault.put("web/key", json!({ "private_key": file }));
        if says == "encrypted" {
            add(&scene, "key", &["--key", "--path", "web/key"]);
            scene.broker.does(&["credential", "attach", "key", "--host", "web-1"]);
        }
        let told = refused(&scene);
        assert!(
            told.contains("cannot be used") && told.contains(says) && told.contains("hint: ") && !told.contains("hunter2"),
            "{says}: {told}"
        );
    }
}

#[test]
fn who_writes_the_database_cannot_point_a_reference_elsewhere() {
    let (vault, scene, _dir) = world("token", "");
    add(&scene, "pw", &["--password", "--path", "web/root"]);
    add(&scene, "other", &["--password", "--path", "web/other"]);
    with_host(&scene, "pw");
    scene.broker.does(&["credential", "attach", "other", "--host", "web-1"]);
    scene.broker.does(&["credential", "attach", "pw", "--host", "web-1"]);
    scene.alice.exec(Way::Through, "true").ok();
    let asked = vault.asked().len();
    let whole = |sql: &str| open(&scene.broker.home()).query_row(sql, [], |r| r.get::<_, Vec<u8>>(0)).unwrap();
    let before = whole("SELECT sealed FROM credentials WHERE name = 'pw'");
    for sql in [
        "UPDATE credentials SET sealed = (SELECT sealed FROM credentials WHERE name = 'other') WHERE name = 'pw'",
        "UPDATE credentials SET sealed = CAST('keyward-reference-1' || char(10) || 'corp' || char(10) || 'web/other' || char(10) AS BLOB) WHERE name = 'pw'",
        "UPDATE credentials SET kind = 'reference:key' WHERE name = 'pw'",
        "UPDATE credentials SET kind = 'password' WHERE name = 'pw'",
    ] {
        edit(&scene.broker.home(), sql);
        let told = refused(&scene);
        assert!(told.contains("does not verify"), "{sql}: {told}");
        let put_back = "UPDATE credentials SET sealed = ?1, kind = 'reference:password' WHERE name = 'pw'";
        open(&scene.broker.home()).execute(put_back, [&before]).unwrap();
    }
    assert_eq!(vault.asked().len(), asked, "nothing was asked for");
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn a_member_points_only_at_what_is_theirs_and_tests_nothing() {
    let (mut vault, scene, _dir) = world("token", "personal = true");
    vault.put("people/alice/web", json!({ "password": account().password }));
    add(&scene, "pw", &["--password", "--path", "web/root"]);
    with_host(&scene, "pw");
    let add =
        |path: &str| scene.alice.verb("alice", &format!("credential add mine --username {NAME} --password --from corp --path {path}"), "");
    for path in ["web/root", "people/bob/web", "people/alice2/web", "people"] {
        let told = add(path);
        assert!(told.status == Some(1) && told.errors().contains("a personal credential may not point there"), "{path}: {told:?}");
    }
    let told =
        scene.alice.verb("alice", &format!("credential add mine --username {NAME} --certificate --from corp --path people/alice/web"), "");
    assert!(told.errors().contains("a personal credential may not point there"), "the broker's right to sign is nobody's own: {told:?}");
    let told =
        scene.alice.verb("alice", "credential add x --username root --password --from corp --path people/alice/web --scope workspace", "");
    assert!(told.errors().contains("not for the role member"), "{told:?}");
    let listed = scene.alice.verb("alice", "--json source list", "").ok().text();
    assert!(listed.contains("people/alice/") && !listed.contains("https://"), "{listed}");
    add("people/alice/web").ok();
    assert!(scene.alice.verb("alice", "credential edit mine --path people/bob/web", "").errors().contains("may not point there"));
    scene.alice.verb("alice", "credential attach mine --host web-1 --mine", "").ok();
    scene.alice.exec(Way::Through, "true").ok();
    assert_eq!(vault.asked_for("/v1/secret/data/people/alice/web"), 1);
    assert!(!scene.broker.does(&["credential", "list"]).contains("mine"), "invisible to the owner of the broker");
    // Taken back in the file: what was made before does not count any more.
    let mut scene = scene;
    scene.broker.configure(&vault.source("corp", "token", ""));
    scene.broker.stop();
    scene.broker.serve();
    let told = refused(&scene);
    assert!(told.contains("source `corp` gave nothing (rules): a personal credential may not point there"), "{told}");
    assert_eq!(vault.asked_for("/v1/secret/data/people/alice/web"), 1);
}

#[test]
fn sources_are_listed_and_tested_and_never_changed_by_a_verb() {
    let (mut vault, scene, _dir) = world("approle", "paths = [\"web/**\", \"ops\"]");
    let listed = scene.broker.json(&["source", "list"]);
    assert_eq!(listed[0]["name"], "corp");
    assert!(
        listed[0]["type"] == "vault"
            && listed[0]["place"].as_str().unwrap().starts_with("https://127.0.0.1:")
            && listed[0]["personal"] == false,
        "{listed}"
    );
    assert_eq!(scene.broker.json(&["source", "test", "corp"])["result"], "reached");
    let said = scene.owner.verb("root", "source test corp --path web/root", "").ok().text();
    assert!(said.contains("gave a secret, which was dropped unseen") && !said.contains(&account().password), "{said}");
    assert_eq!(last(&scene, "source.tested")["outcome"], "success");
    for (args, says) in [
        (&["source", "test", "corp", "--path", "web/none"][..], "there is nothing at the path (404)"),
        (&["source", "test", "corp", "--path", "web/root", "--field", "none"], "no such field"),
        (&["source", "test", "corp", "--path", "db/root"], "does not let the source be asked for this path"),
        (&["source", "test", "none"], "no such source"),
        (
            &["credential", "add", "x", "--username", "u", "--password", "--from", "none", "--path", "a", "--scope", "workspace"],
            "no such source",
        ),
        (
            &["credential", "add", "x", "--username", "u", "--password", "--from", "corp", "--path", "db/x", "--scope", "workspace"],
            "this path",
        ),
        (
            &["credential", "add", "x", "--username", "u", "--password", "--from", "corp", "--path", "web/x"],
            "a personal credential may not",
        ),
        (&["credential", "add", "x", "--username", "u", "--password", "--from", "corp"], "--path"),
        // Without a source it is the workspace's own authority that would sign.
        (&["credential", "add", "x", "--username", "u", "--certificate"], "no certificate authority"),
        (&["credential", "add", "x", "--username", "u", "--key", "./k", "--from", "corp", "--path", "web/x"], "no key is given"),
        (&["credential", "add", "x", "--username", "u", "--password", "--from", "corp", "--path", "../x"], "--path"),
    ] {
        let told = scene.broker.refuses(args);
        assert!(told.contains(says), "{args:?}: {told}");
    }
    let over_ssh = scene.alice.verb("alice", "source test corp --path web/root", "");
    assert!(over_ssh.status == Some(1) && over_ssh.errors().contains("not for the role member"), "{over_ssh:?}");
    let members = scene.alice.verb("alice", "--json source list", "").ok().text();
    assert_eq!(members.trim(), "[]", "members see what takes personal references");
    vault.stop();
    let told = scene.broker.refuses(&["source", "test", "corp"]);
    assert!(told.contains("source `corp` gave nothing (connect): it is not reachable (connection refused)"), "{told}");
    assert_eq!(last(&scene, "source.tested")["outcome"], "failure");
}

#[test]
fn real_pass_gives_a_password_and_a_key() {
    let dir = folder();
    let (gnupg, store) = (dir.path().join("gnupg"), dir.path().join("store"));
    std::fs::create_dir(&gnupg).unwrap();
    crate::world::open_to_all(&gnupg, 0o700);
    let tool = |program: &str, args: &[&str], stdin: &[u8]| {
        let mut tool = command(crate::world::tool(program));
        tool.env("GNUPGHOME", &gnupg).env("PASSWORD_STORE_DIR", &store).env("HOME", dir.path()).args(args);
        run(tool, stdin).ok()
    };
    tool(
        "/usr/bin/gpg",
        &["--batch", "--quiet", "--passphrase", "", "--quick-generate-key", "keyward-test", "default", "default", "never"],
        b"",
    );
    tool("/usr/bin/pass", &["init", "keyward-test"], b"");
    tool("/usr/bin/pass", &["insert", "--multiline", "web/root"], format!("{}\nuser: {NAME}\n", account().password).as_bytes());
    let config = format!(
        "[sources.corp]\ntype = \"exec\"\nargv = [\"pass\", \"show\", \"{{path}}\"]\nfirst_line = true\n\
         env = {{ GNUPGHOME = \"{}\", PASSWORD_STORE_DIR = \"{}\", HOME = \"{}\" }}\n",
        gnupg.display(),
        store.display(),
        dir.path().display()
    );
    let scene = Scene::bare(Settings { config, ..Settings::default() }, Some(SSHD));
    tool("/usr/bin/pass", &["insert", "--multiline", "web/key"], &scene.deploy.private());
    add(&scene, "pw", &["--password", "--path", "web/root"]);
    add(&scene, "key", &["--key", "--path", "web/key"]);
    with_host(&scene, "pw");
    scene.alice.exec(Way::Through, "true").ok();
    scene.broker.does(&["credential", "attach", "key", "--host", "web-1"]);
    scene.alice.exec(Way::Through, "true").ok();
    assert_eq!(scene.host.sign_ins_with(&scene.deploy), 1);
    assert_eq!(scene.broker.json(&["source", "test", "corp", "--path", "web/key", "--key"])["result"], "read");
    // What it says when it fails is the operator's to read, not the person's.
    scene.broker.does(&["credential", "edit", "key", "--path", "web/none"]);
    let told = refused(&scene);
    assert!(
        told.contains("source `corp` gave nothing (run): the program failed with status 1") && !told.contains("password store"),
        "{told}"
    );
    assert!(scene.broker.log().contains("is not in the password store"), "{}", scene.broker.log());
    // gpg started an agent of its own for this folder.
    tool("/usr/bin/gpgconf", &["--kill", "all"], b"");
}
