//! What people have in OpenSSH's files, brought over: the plan first, then ordinary verbs, and nothing twice.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::world::account::NAME;
use crate::world::broker::{Settings, scan};
use crate::world::keys::Key;
use crate::world::process::command;
use crate::world::terminal::Terminal;
use crate::world::{Outcome, Scene, Sshd, run};

/// Alice, the owner, a host and a broker that knows none.
fn scene() -> Scene {
    Scene::bare(Settings::default(), None)
}

/// A folder of the person who runs the local program.
fn ssh_folder(scene: &Scene) -> PathBuf {
    scene.dir().join("broker/person/.ssh")
}

fn port(host: &Sshd) -> u16 {
    host.address().rsplit(':').next().unwrap().parse().unwrap()
}

/// What `ssh-keyscan` writes about a host, as known_hosts has it.
fn known(host: &Sshd) -> String {
    scan(port(host)).iter().map(|key| format!("[127.0.0.1]:{} {key}\n", port(host))).collect()
}

/// Hashes the names in a file.
fn hash(file: &Path) {
    let mut keygen = command("ssh-keygen");
    keygen.args(["-q", "-H", "-f"]).arg(file);
    run(keygen, "").ok();
    assert!(std::fs::read_to_string(file).unwrap().starts_with("|1|"));
}

/// The same key in PuTTY's format.
fn putty(key: &Key, to: &Path, passphrase: &str) {
    let words = to.with_extension("words");
    std::fs::write(&words, passphrase).unwrap();
    let mut puttygen = command("puttygen");
    puttygen.arg(&key.path).args(["-O", "private", "--random-device", "/dev/urandom", "--ppk-param", "memory=1024,passes=1", "-o"]);
    puttygen.arg(to).arg("--new-passphrase").arg(&words);
    run(puttygen, "").ok();
}

fn signs_in(scene: &Scene, host: &str, account: &str) {
    let outcome = run(scene.owner.ssh(&["-l", host, "through", "id -un"]), "").ok();
    assert_eq!(outcome.text(), format!("{account}\n"), "{host}");
}

#[track_caller]
fn done(outcome: Outcome, status: i32) -> (String, String) {
    assert_eq!(outcome.status, Some(status), "{outcome:?}");
    (outcome.text(), outcome.errors())
}

#[test]
fn hosts_and_keys_of_an_ssh_config_sign_in_and_a_second_run_adds_nothing() {
    let scene = scene();
    let folder = ssh_folder(&scene);
    let key = Key::new(scene.dir().join("putty"));
    let other = scene.another_host("other", &[&key]);
    putty(&key, &folder.join("putty.ppk"), "");
    std::fs::write(folder.join("known_hosts"), format!("{}{}", known(&scene.host), known(&other))).unwrap();
    hash(&folder.join("known_hosts"));
    std::fs::create_dir(folder.join("conf.d")).unwrap();
    std::fs::write(folder.join("config"), format!("Include conf.d/*.conf\nHost web-*\n  User {NAME}\nHost *\n  HostName 127.0.0.1\n"))
        .unwrap();
    let first = format!("Host web-1\n  Port {}\n  IdentityFile {}\n", port(&scene.host), scene.deploy.path.display());
    std::fs::write(folder.join("conf.d/1.conf"), first).unwrap();
    let second = format!("Host web-2 root/2\n  Port {}\n  IdentityFile ~/.ssh/putty.ppk\n  ProxyJump nowhere\n", port(&other));
    std::fs::write(folder.join("conf.d/2.conf"), second).unwrap();

    // Nobody is there to be asked: the plan, and nothing else.
    let (plan, errors) = done(scene.broker.verb(&["import", "ssh-config"]), 1);
    assert!(plan.contains("web-1") && plan.contains("root-2 (root/2)") && plan.contains("ProxyJump nowhere is not taken over"), "{plan}");
    assert!(errors.contains("--yes") && scene.broker.json(&["host", "list"]).as_array().unwrap().is_empty(), "{errors}");
    scene.broker.does(&["import", "ssh-config", "--dry-run"]);
    let plan = scene.broker.json(&["import", "ssh-config"]);
    assert_eq!(plan["hosts"][0]["host_keys"].as_array().unwrap().len(), 1, "{plan}");
    assert_eq!(scene.broker.events("host.added").len() + scene.broker.events("credential.added").len(), 0);

    scene.broker.does(&["import", "ssh-config", "--yes"]);
    scene.grant("root", "*");
    signs_in(&scene, "web-1", NAME);
    signs_in(&scene, "web-2", NAME);
    signs_in(&scene, "root-2", "root");
    let credentials = scene.broker.json(&["credential", "list"]);
    let names: Vec<&str> = credentials.as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["deploy", "putty", "putty-root"], "one credential for each key and account");
    assert!(credentials.as_array().unwrap().iter().all(|c| c["scope"] == "personal"), "{credentials}");
    let told = (
        scene.broker.events("host.added").len(),
        scene.broker.events("credential.added").len(),
        scene.broker.events("credential.attached").len(),
    );
    assert_eq!(told, (3, 3, 3));

    // The second time there is nothing to do, and nothing is done.
    let (_, errors) = done(scene.broker.verb(&["import", "ssh-config", "--yes"]), 0);
    assert!(errors.contains("nothing to bring over"), "{errors}");
    assert_eq!(
        (
            scene.broker.events("host.added").len(),
            scene.broker.events("credential.added").len(),
            scene.broker.events("credential.attached").len()
        ),
        told
    );
}

#[test]
fn what_is_there_is_not_overwritten() {
    let scene = scene();
    let folder = ssh_folder(&scene);
    let broker = &scene.broker;
    // The name is another machine's, the credential's name another account's, and the third host has a choice already.
    broker.does(&["host", "add", "web-1", "127.0.0.9:22"]);
    broker.does_with(&["credential", "add", "deploy", "--username", "somebody", "--password"], "s3cret of somebody");
    broker.does(&["host", "add", "web-3", &scene.host.address(), "--host-key", &scene.host.host_key.public]);
    broker.does(&["credential", "attach", "deploy", "--host", "web-3", "--mine"]);
    let before = broker.json(&["host", "show", "web-1"]);
    let block =
        format!("  HostName 127.0.0.1\n  Port {}\n  User {NAME}\n  IdentityFile {}\n", port(&scene.host), scene.deploy.path.display());
    std::fs::write(folder.join("config"), format!("Host web-1 alice\n{block}Host web-3\n{block}")).unwrap();
    std::fs::write(folder.join("known_hosts"), known(&scene.host)).unwrap();
    broker.does(&["import", "ssh-config", "--yes"]);
    assert_eq!(broker.json(&["host", "show", "web-1"]), before);
    assert_eq!(broker.json(&["host", "show", "web-3"])["my_credential"], "deploy", "the choice stays");
    let credential = broker.json(&["credential", "show", "deploy"]);
    assert_eq!((credential["username"].as_str(), credential["kind"].as_str()), (Some("somebody"), Some("password")));
    scene.grant("root", "*");
    signs_in(&scene, "web-1-2", NAME);
    // A person's name is not a host's.
    signs_in(&scene, "alice-2", NAME);
    let hosts = broker.json(&["host", "list"]).as_array().unwrap().len();
    broker.does(&["import", "ssh-config", "--yes"]);
    assert_eq!(broker.json(&["host", "list"]).as_array().unwrap().len(), hosts);
}

#[test]
fn a_passphrase_is_asked_for_once_and_nobody_there_leaves_the_key_out() {
    let scene = scene();
    let folder = ssh_folder(&scene);
    putty(&scene.deploy, &folder.join("locked.ppk"), "correct horse");
    std::fs::write(folder.join("known_hosts"), known(&scene.host)).unwrap();
    let block =
        |user: &str| format!("  HostName 127.0.0.1\n  Port {}\n  User {user}\n  IdentityFile ~/.ssh/locked.ppk\n", port(&scene.host));
    std::fs::write(folder.join("config"), format!("Host web-1\n{}Host web-2\n{}", block(NAME), block("root"))).unwrap();

    let (_, errors) = done(scene.broker.verb(&["import", "ssh-config", "--yes"]), 1);
    assert!(errors.contains("it has a passphrase") && errors.contains("keyward credential add locked --username"), "{errors}");
    assert_eq!(scene.broker.events("credential.added").len(), 0);

    let mut terminal = Terminal::start(&scene.broker.command(&["import", "ssh-config"]), 50, 250);
    terminal.until("[y/N]");
    terminal.write("y\r");
    terminal.until("passphrase of");
    terminal.write("wrong horse\r");
    terminal.until("does not open the private key");
    terminal.until("passphrase of");
    terminal.write("correct horse\r");
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert_eq!(screen.matches("passphrase of").count(), 2, "the second account does not ask again: {screen}");
    assert!(!screen.contains("correct horse"), "{screen}");
    scene.grant("root", "*");
    signs_in(&scene, "web-1", NAME);
    signs_in(&scene, "web-2", "root");
}

#[test]
fn a_question_for_a_secret_gives_the_terminal_back_when_it_is_interrupted() {
    let scene = scene();
    let verb = scene.broker.command(&["credential", "add", "pw", "--username", NAME, "--password"]);
    let words: Vec<_> = std::iter::once(verb.get_program()).chain(verb.get_args()).collect();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "trap : INT; \"$@\"; echo \"ended: $?\"; stty -a", "sh"]).args(words);
    shell.envs(verb.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let mut terminal = Terminal::start(&shell, 24, 200);
    terminal.until("password of pw:");
    terminal.write("half a sec\u{3}");
    let (_, screen) = terminal.end();
    assert!(screen.contains("ended: 130"), "{screen}");
    assert!([" echo ", " icanon", "isig "].iter().all(|mode| screen.contains(mode)), "{screen}");
    assert!(!screen.contains("half a sec"), "{screen}");
    assert_eq!(scene.broker.events("credential.added").len(), 0);
}

#[test]
fn a_configuration_that_others_can_write_is_not_read() {
    use std::os::unix::fs::PermissionsExt;
    let scene = scene();
    let config = ssh_folder(&scene).join("config");
    std::fs::write(&config, "Host a\n").unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert!(scene.broker.refuses(&["import", "ssh-config", "--yes"]).contains("others can write it"));
    std::fs::remove_file(&config).unwrap();
    assert!(scene.broker.refuses(&["import", "ssh-config"]).contains("cannot be read"));
    // Over ssh there are no files of the person's to read.
    let refused = scene.owner.verb("root", "import ssh-config", "");
    assert_eq!(refused.status, Some(2), "{refused:?}");
}

#[test]
fn known_hosts_pins_what_is_missing_and_hosts_connect() {
    let scene = scene();
    let broker = &scene.broker;
    broker.does_with(&["credential", "add", "deploy", "--scope", "workspace", "--username", NAME, "--key", "-"], scene.deploy.private());
    broker.does(&["host", "add", "web-1", &scene.host.address(), "--credential", "deploy"]);
    scene.grant("alice", "web-1");
    let file = ssh_folder(&scene).join("known_hosts");
    std::fs::write(&file, known(&scene.host)).unwrap();
    hash(&file);
    let pins = || broker.json(&["host", "show", "web-1"])["host_keys"].as_array().unwrap().clone();

    let (plan, errors) = done(broker.verb(&["import", "known-hosts"]), 1);
    assert!(plan.contains(&scene.host.host_key.fingerprint) && errors.contains("nobody is there to be asked"), "{plan}{errors}");
    broker.does(&["import", "known-hosts", "--dry-run"]);
    assert!(pins().is_empty() && scene.broker.events("host.key_pinned").is_empty());

    // On a terminal the plan is shown, and done once somebody says so.
    let mut terminal = Terminal::start(&broker.command(&["import", "known-hosts"]), 40, 200);
    terminal.until("pin this key? [y/N]");
    terminal.write("n\r");
    assert_eq!(terminal.end().0.code(), Some(1));
    assert!(pins().is_empty());
    let mut terminal = Terminal::start(&broker.command(&["import", "known-hosts"]), 40, 200);
    terminal.until("pin this key? [y/N]");
    terminal.write("y\r");
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(0), "{screen}");
    assert_eq!((pins().len(), pins()[0]["source"].as_str()), (1, Some("known_hosts")));
    let pinned = broker.audit().into_iter().find(|e| e["event"] == "host.key_pinned").expect("the pin is recorded");
    assert!(pinned.to_string().contains("known_hosts") && pinned["actor"] == "root", "{pinned}");
    let outcome = run(scene.alice.ssh(&["through", "id -un"]), "").ok();
    assert_eq!(outcome.text(), format!("{NAME}\n"), "the credential followed the pin");
    let (_, errors) = done(broker.verb(&["import", "known-hosts", "--yes"]), 0);
    assert!(errors.contains("no key is missing"), "{errors}");
    assert_eq!(scene.broker.events("host.key_pinned").len(), 1);
}

#[test]
fn a_pin_is_never_replaced_and_one_that_the_file_revokes_goes() {
    let scene = scene();
    let broker = &scene.broker;
    broker.does(&["host", "add", "web-1", &scene.host.address(), "--host-key", &scene.host.host_key.public]);
    broker.does(&["host", "add", "web-2", "127.0.0.2:22"]);
    let before = broker.json(&["host", "show", "web-1"]);
    let (other, own) = (&scene.deploy.public, &scene.host.host_key.public);
    let at = format!("[127.0.0.1]:{}", port(&scene.host));
    let text = format!(
        "{at} {other}\nnonsense\n@revoked {at} {own}\n@revoked * {other}\n127.0.0.2 {other}\n@cert-authority * {own}\nsomewhere {own}\n127.0.0.3 {own}\n"
    );
    let text = [text.as_bytes(), b"caf\xe9 x\n"].concat();
    // Not revoked, but another than the pin.
    let (_, errors) = done(broker.verb_with(&["import", "known-hosts", "-", "--yes"], format!("{at} {other}\n")), 0);
    assert!(errors.contains("is left:") && errors.contains("host trust web-1"), "{errors}");
    assert_eq!(broker.json(&["host", "show", "web-1"]), before);
    assert_eq!(scene.broker.events("host.edited").len(), 0);
    // What it would take away is shown first, and nothing is done without a word.
    let (_, errors) = done(broker.verb_with(&["import", "known-hosts", "-", "--dry-run"], text.clone()), 0);
    let told = format!("line 3 revokes {}, which is PINNED for web-1: that pin would be taken away", scene.host.host_key.fingerprint);
    assert!(errors.contains(&told), "{errors}");
    assert_eq!(broker.json(&["host", "show", "web-1"]), before);
    let (_, errors) = done(broker.verb_with(&["import", "known-hosts", "-", "--yes"], text.clone()), 0);
    assert!(errors.contains("done: take away 1 pin that the file revokes") && errors.contains("that pin was taken away"), "{errors}");
    assert!(errors.contains("line 2, 9"), "{errors}");
    for host in ["web-1", "web-2"] {
        assert!(broker.json(&["host", "show", host])["host_keys"].as_array().unwrap().is_empty(), "a revoked key is no pin");
    }
    assert!(broker.json(&["host-ca", "list"]).as_array().unwrap().is_empty(), "a revoked key is no authority");
    // Again there is nothing to do, and the line is not forgotten.
    let (_, errors) = done(broker.verb_with(&["import", "known-hosts", "-", "--yes"], format!("@revoked {at} {own}\n")), 0);
    assert!(errors.contains("no key is missing") && errors.contains("line 1: these revoked keys belong to no host known here"), "{errors}");
    // Hosts are added where that is wanted, under names that are free.
    let view = broker.json(&["import", "known-hosts", "-", "--add-hosts", "--dry-run"]);
    assert_eq!(view["steps"].as_array().unwrap().len(), 0);
    broker.does_with(
        &["import", "known-hosts", "-", "--add-hosts", "--yes"],
        format!("alice,127.0.0.7 {own}\n[alice]:2222 {other}\n127.0.0.7 {own}\n"),
    );
    assert_eq!(broker.json(&["host", "show", "alice-2"])["address"], "alice");
    assert_eq!(broker.json(&["host", "show", "alice-3"])["port"], 2222);
    assert_eq!(broker.json(&["host", "list"]).as_array().unwrap().len(), 4);
}

#[test]
fn over_ssh_the_same_verb_has_the_same_rights() {
    let scene = scene();
    scene.broker.does(&["host", "add", "web-1", &scene.host.address()]);
    let text = known(&scene.host);
    let refused = scene.alice.verb("alice", "import known-hosts - --yes", text.clone());
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert_eq!(scene.broker.events("verb.refused").len(), 1);
    let asked = scene.owner.verb("root", "import known-hosts", text.clone());
    assert_eq!((asked.status, scene.broker.events("host.key_pinned").len()), (Some(1), 0), "{asked:?}");
    scene.owner.verb("root", "import known-hosts --yes", text).ok();
    assert_eq!(scene.broker.events("host.key_pinned").len(), 1);
    let long = scene.owner.verb("root", "import known-hosts - --yes", vec![b'\n'; 1024 * 1024 + 1]);
    assert!(long.status == Some(1) && long.errors().contains("longer than"), "{long:?}");
}

#[test]
fn authorities_come_over_as_they_were_shown_and_prove_hosts_from_then_on() {
    let scene = scene();
    let broker = &scene.broker;
    let [ca, other, third] = ["ca", "other", "third"].map(|name| Key::new(scene.dir().join(name)));
    broker.does(&["host", "add", "web-1", &scene.host.address()]);
    let rsa = Key::make(scene.dir().join("short"), &["-t", "rsa", "-b", "1024"], "");
    let text = format!(
        "@cert-authority 127.0.0.* {} office\n@cert-authority *.example.com {}\n@cert-authority *.lab,!x.lab {}\n\
         @cert-authority * {}\n@cert-authority |1|AAAAAAAAAAAAAAAAAAAAAAAAAAA=|AAAAAAAAAAAAAAAAAAAAAAAAAAA= {}\n@cert-authority *.more {}\n@revoked * {}\n",
        ca.public, other.public, other.public, rsa.public, ca.public, ca.public, third.public
    );
    let text = text + &format!("@cert-authority *.third {}\n", third.public);
    let import = |more: &[&str], text: &str| {
        let words = [&["import", "known-hosts", "-"], more].concat();
        done(broker.verb_with(&words, text.to_owned()), 0)
    };
    // Shown, and nothing is stored.
    let view: Value = serde_json::from_str(&import(&["--json"], &text).0).unwrap();
    let seen: Vec<(Value, &str, &str, u64)> = view["authorities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| (a["lines"].clone(), a["hosts"].as_str().unwrap(), a["action"].as_str().unwrap(), a["covers"].as_u64().unwrap()))
        .collect();
    let lines = |lines: &[u64]| serde_json::json!(lines);
    assert_eq!(
        seen,
        [
            (lines(&[1, 6]), "127.0.0.*,*.more", "add", 1),
            (lines(&[2]), "*.example.com", "add", 0),
            (lines(&[3]), "*.lab,!x.lab", "not_taken", 0),
            (lines(&[4]), "*", "not_taken", 0),
            (lines(&[5]), "", "not_taken", 0),
            (lines(&[8]), "*.third", "revoked", 0),
        ]
    );
    assert!(broker.json(&["host-ca", "list"]).as_array().unwrap().is_empty());
    let (table, errors) = import(&["--dry-run"], &text);
    assert!(table.contains("HOST CA") && table.contains("127.0.0.*,*.more") && table.contains("trust"), "{table}");
    assert!(errors.contains("line 5: the certificate authority is not taken: a hashed name cannot say for which hosts"), "{errors}");
    // Agreed to.
    let (_, errors) = import(&["--yes"], &text);
    assert!(errors.contains("done: trust 2 host CAs"), "{errors}");
    let named = |name: &str| broker.json(&["host-ca", "list"]).as_array().unwrap().iter().find(|c| c["name"] == name).cloned();
    let first = named("127.0.0").unwrap();
    assert_eq!((first["fingerprint"].as_str(), first["covers"].as_u64()), (Some(ca.fingerprint.as_str()), Some(1)));
    assert!(named("example.com").is_some());
    let pins = broker.json(&["host", "show", "web-1"])["host_keys"].clone();
    assert_eq!(pins[0]["fingerprint"], format!("CA:{}", ca.fingerprint));
    assert_eq!(scene.broker.events("host_ca.added").len(), 2);
    // Again: nothing to do. Other hosts for the same authority: a conflict, and nothing is widened.
    let (_, errors) = import(&["--yes"], &format!("@cert-authority 127.0.0.*,*.more {}\n", ca.public));
    assert!(errors.contains("no key is missing"), "{errors}");
    let (_, errors) = import(&["--yes"], &format!("@cert-authority * {}\n", ca.public));
    assert!(errors.contains("line 1: the host CA 127.0.0 is left: it is trusted for 127.0.0.*,*.more"), "{errors}");
    assert_eq!(named("127.0.0").unwrap()["hosts"], "127.0.0.*,*.more");
    // Revoked for some hosts it is told and left; for all that it vouches for, it goes.
    let (_, errors) = import(&["--yes"], &format!("@revoked 192.0.2.1 {}\n", ca.public));
    assert!(errors.contains("which is TRUSTED as the host CA 127.0.0") && errors.contains("host-ca remove 127.0.0"), "{errors}");
    assert!(named("127.0.0").is_some());
    let revokes = format!("@revoked * {}\n", ca.public);
    let (table, _) = import(&["--dry-run"], &revokes);
    assert!(table.contains("REVOKED, remove") && named("127.0.0").is_some(), "{table}");
    let (_, errors) = import(&["--yes"], &revokes);
    assert!(errors.contains("done: trust 1 host CA no more"), "{errors}");
    assert!(named("127.0.0").is_none() && broker.json(&["host", "show", "web-1"])["host_keys"].as_array().unwrap().is_empty());
    assert_eq!(scene.broker.events("host_ca.removed").len(), 1);
}
