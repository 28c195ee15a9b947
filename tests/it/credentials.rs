//! What the vault signs in with: passwords and keys of every kind, and what happens when the host says no.

use crate::world::account::{NAME, account};
use crate::world::broker::Settings;
use crate::world::fake::{CODE, Deed, Fake};
use crate::world::keys::Key;
use crate::world::sshd::accepted;
use crate::world::terminal::Terminal;
use crate::world::{Outcome, Scene, Way, eventually, nonce, run};

const PASSWORD_ONLY: &str = "PasswordAuthentication yes\nKbdInteractiveAuthentication no\nPubkeyAuthentication no\nUsePAM yes\n";
const INTERACTIVE_ONLY: &str = "PasswordAuthentication no\nKbdInteractiveAuthentication yes\nPubkeyAuthentication no\nUsePAM yes\n";

/// The broker has refused: its own words, its own status, and nothing else.
#[track_caller]
pub(crate) fn refused(outcome: &Outcome) -> String {
    let errors = outcome.errors();
    assert_eq!(outcome.status, Some(255), "{outcome:?}");
    assert!(outcome.stdout.is_empty(), "{outcome:?}");
    assert!(!errors.is_empty() && errors.lines().all(|l| l.starts_with("keyward: ")), "{outcome:?}");
    errors
}

/// A host, with these lines in its configuration, for which the vault keeps this password.
fn with_password(sshd: &str, password: &str) -> Scene {
    let scene = Scene::bare(Settings::default(), Some(sshd));
    scene.broker.does_with(&["credential", "add", "deploy", "--scope", "workspace", "--username", NAME, "--password"], password);
    scene.add_host("web-1", &scene.host, "deploy");
    scene.grant("alice", "web-1");
    scene
}

#[test]
fn a_password_signs_in() {
    // A newline at the end of what a program writes is not a part of the password.
    for ending in ["", "\n"] {
        let scene = with_password(PASSWORD_ONLY, &format!("{}{ending}", account().password));
        assert_eq!(scene.alice.exec(Way::Through, "id -un").ok().text(), format!("{NAME}\n"));
        assert!(scene.host.log().contains("Accepted password for kw-peer"), "{}", scene.host.log());
    }
}

#[test]
fn a_password_answers_keyboard_interactive() {
    let scene = with_password(INTERACTIVE_ONLY, &account().password);
    assert_eq!(scene.alice.exec(Way::Through, "id -un").ok().text(), format!("{NAME}\n"));
    assert!(scene.host.log().contains("Accepted keyboard-interactive/pam for kw-peer"), "{}", scene.host.log());
}

#[test]
fn a_refused_password_is_tried_once_and_said() {
    for sshd in [PASSWORD_ONLY, INTERACTIVE_ONLY] {
        let scene = with_password(sshd, &nonce(30));
        let errors = refused(&scene.alice.exec(Way::Through, "true"));
        assert!(errors.contains("refused the credential"), "{errors}");
        eventually("the host has logged the attempt", || (attempts(&scene) > 0).then_some(()));
        assert_eq!(attempts(&scene), 1, "{}", scene.host.log());
        assert_eq!(scene.host.sign_ins(), 0);
        assert_eq!(scene.broker.ended_session()["end_reason"], "refused");
    }
}

#[test]
fn a_refused_key_is_tried_once_and_said() {
    let scene = Scene::new();
    scene.host.authorize(&[&scene.alice.own]);
    let errors = refused(&scene.alice.exec(Way::Through, "true"));
    assert!(errors.contains("refused the credential"), "{errors}");
    eventually("the host has logged the attempt", || (attempts(&scene) > 0).then_some(()));
    assert_eq!(attempts(&scene), 1, "{}", scene.host.log());
    let session = scene.broker.ended_session();
    assert_eq!(session["end_reason"], "refused");
    assert_eq!(scene.broker.trail(&session), ["session.permitted", "lease.opened", "lease.ended", "session.refused"]);
    // Nothing is remembered against the host: once it takes the key, all is well.
    scene.host.authorize(&[&scene.deploy]);
    scene.alice.exec(Way::Through, "true").ok();
}

#[test]
fn keys_of_every_kind_sign_in() {
    let scene = Scene::bare(Settings::default(), None);
    let kinds: [(&str, &[&str]); 8] = [
        ("ed25519", &["-t", "ed25519"]),
        ("ecdsa-256", &["-t", "ecdsa", "-b", "256"]),
        ("ecdsa-384", &["-t", "ecdsa", "-b", "384"]),
        ("ecdsa-521", &["-t", "ecdsa", "-b", "521"]),
        ("rsa", &["-t", "rsa", "-b", "3072"]),
        ("rsa-pem", &["-t", "rsa", "-b", "2048", "-m", "PEM"]),
        ("rsa-pkcs8", &["-t", "rsa", "-b", "2048", "-m", "PKCS8"]),
        ("ecdsa-pkcs8", &["-t", "ecdsa", "-b", "256", "-m", "PKCS8"]),
    ];
    let keys: Vec<Key> = kinds.iter().map(|(name, kind)| Key::make(scene.dir().join(name), kind, "")).collect();
    scene.host.authorize(&keys.iter().collect::<Vec<_>>());
    scene.broker.does(&["host", "add", "web-1", &scene.host.address(), "--host-key", &scene.host.host_key.public]);
    scene.grant("alice", "web-1");
    for ((name, _), key) in kinds.iter().zip(&keys) {
        // From a file and from standard input alike.
        let file = key.path.display().to_string();
        if name.starts_with("rsa") {
            scene.broker.does(&["credential", "add", name, "--scope", "workspace", "--username", NAME, "--key", &file]);
        } else {
            scene.broker.does_with(&["credential", "add", name, "--scope", "workspace", "--username", NAME, "--key", "-"], key.private());
        }
        scene.broker.does(&["credential", "attach", name, "--host", "web-1"]);
        let shown = scene.broker.json(&["credential", "show", name]);
        assert_eq!(shown["fingerprint"], key.fingerprint.as_str(), "{shown}");
        let public = scene.broker.does(&["credential", "public-key", name]);
        assert!(public.starts_with(&key.public), "{public}");
        let outcome = crate::world::run(scene.alice.ssh(&["-l", &format!("{name}@web-1"), "through", "id -un"]), "");
        assert_eq!((outcome.status, outcome.text()), (Some(0), format!("{NAME}\n")), "{name}: {outcome:?}\n{}", scene.host.log());
        assert_eq!(scene.host.sign_ins_with(key), 1, "{name}: {}", scene.host.log());
    }
}

#[test]
fn a_credential_that_is_named_is_taken_instead_of_the_hosts_own() {
    let scene = Scene::new();
    let other = Key::new(scene.dir().join("other"));
    scene.host.authorize(&[&scene.deploy, &other]);
    scene.broker.does_with(&["credential", "add", "other", "--scope", "workspace", "--username", NAME, "--key", "-"], other.private());
    let through = |selector: &str| crate::world::run(scene.alice.ssh(&["-l", selector, "through", "true"]), "");
    refused(&through("other@web-1"));
    scene.broker.does(&["credential", "attach", "other", "--host", "web-1"]);
    assert_eq!(through("other@web-1").status, Some(0));
    assert_eq!((scene.host.sign_ins_with(&other), scene.host.sign_ins_with(&scene.deploy)), (1, 0));
    assert_eq!(through("deploy@web-1").status, Some(0));
    assert_eq!((scene.host.sign_ins_with(&other), scene.host.sign_ins_with(&scene.deploy)), (1, 1));
    scene.broker.does(&["credential", "detach", "other", "--host", "web-1"]);
    refused(&through("other@web-1"));
    refused(&through("nothing@web-1"));
    assert_eq!(scene.host.sign_ins(), 2);
}

#[test]
fn a_changed_credential_counts_from_the_next_connection() {
    let scene = Scene::new();
    scene.alice.exec(Way::Through, "true").ok();
    let next = Key::new(scene.dir().join("next"));
    scene.host.authorize(&[&next]);
    scene.broker.does_with(&["credential", "edit", "deploy", "--key", "-"], next.private());
    scene.alice.exec(Way::Through, "true").ok();
    assert_eq!((scene.host.sign_ins_with(&scene.deploy), scene.host.sign_ins_with(&next)), (1, 1));
    scene.broker.does(&["credential", "edit", "deploy", "--username", "root"]);
    assert_eq!(scene.alice.exec(Way::Through, "id -un").ok().text(), "root\n");
    scene.broker.does(&["credential", "edit", "deploy", "--rename", "renamed"]);
    assert_eq!(scene.broker.json(&["credential", "list"])[0]["name"], "renamed");
    assert_eq!(scene.alice.exec(Way::Through, "id -un").ok().text(), "root\n");
}

#[test]
fn a_host_that_moves_keeps_its_credential() {
    let scene = Scene::new();
    let other = scene.another_host("moved", &[&scene.deploy]);
    scene.broker.does(&["host", "edit", "web-1", "--address", &other.address(), "--host-key", &other.host_key.public]);
    scene.alice.exec(Way::Through, "true").ok();
    assert_eq!((scene.host.sign_ins(), other.sign_ins()), (0, 1));
}

#[test]
fn a_deleted_credential_opens_nothing_any_more() {
    let scene = Scene::new();
    let stay = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"));
    let said = scene.broker.verb(&["credential", "delete", "deploy"]).ok();
    let session = scene.broker.only_session()["id"].as_str().unwrap().to_owned();
    assert!(format!("{}{}", said.text(), said.errors()).contains(&session), "the session that it opened is named: {said:?}");
    let sign_ins = scene.host.sign_ins();
    refused(&scene.alice.exec(Way::Through, "true"));
    assert_eq!(scene.host.sign_ins(), sign_ins);
    assert_eq!(scene.broker.json(&["credential", "list"]), serde_json::json!([]));
    // What it opened goes on, unless that is asked for, too.
    assert_eq!(scene.broker.live().len(), 1);
    drop(stay);
}

#[test]
fn a_deleted_credential_ends_its_sessions_if_that_is_asked_for() {
    let scene = Scene::new();
    let stay = scene.alice.stay(Way::Through, &[], "echo ready; exec cat");
    assert_eq!(stay.lines.next().as_deref(), Some("ready"));
    scene.broker.does(&["credential", "delete", "deploy", "--end-sessions"]);
    let (status, errors) = stay.end();
    assert_eq!(status, Some(255), "{errors}");
    assert!(errors.contains("keyward: "), "{errors}");
    assert!(!scene.broker.ended_session()["end_reason"].is_null());
}

#[test]
fn a_credential_is_listed_without_its_secret() {
    let scene = Scene::new();
    let listed = scene.broker.json(&["credential", "list"]);
    let credential = &listed[0];
    assert_eq!(
        (&credential["name"], &credential["username"], &credential["fingerprint"]),
        (&"deploy".into(), &NAME.into(), &scene.deploy.fingerprint.as_str().into())
    );
    assert_eq!(credential["hosts"], serde_json::json!(["web-1"]), "{credential}");
    assert!(credential["id"].as_str().unwrap().starts_with("crd_"), "{credential}");
    assert!(credential["last_used_at"].is_null(), "{credential}");
    scene.alice.exec(Way::Through, "true").ok();
    assert!(scene.broker.json(&["credential", "show", "deploy"])["last_used_at"].is_string());
}

/// A host that asks for a one-time code after the password that the vault keeps.
pub(crate) fn asking_for_a_code() -> (Scene, Fake) {
    let scene = Scene::new();
    let fake = Fake::asking(&scene.place("asking"), Deed::AskCode);
    scene.broker.does_with(
        &["credential", "add", "password", "--scope", "workspace", "--username", NAME, "--password"],
        account().password.as_str(),
    );
    scene.broker.does(&["host", "add", "web-2", &fake.address(), "--credential", "password", "--host-key", &fake.host_key.public]);
    scene.grant("alice", "web-2");
    (scene, fake)
}

#[test]
fn what_only_the_person_knows_is_asked_of_the_person() {
    let (scene, fake) = asking_for_a_code();
    let mut terminal = Terminal::start(&scene.alice.ssh(&["-tt", "-l", "web-2", "through", "true"]), 24, 80);
    terminal.until("One-time code: ");
    terminal.write(&format!("{CODE}\r"));
    terminal.until("inside");
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(3), "{screen}");
    assert!(!screen.contains("Password"), "what the vault knows is not asked: {screen}");
    assert_eq!(fake.attempts(), 1);
}

#[test]
fn a_wrong_answer_of_the_person_is_the_hosts_refusal() {
    let (scene, fake) = asking_for_a_code();
    let mut terminal = Terminal::start(&scene.alice.ssh(&["-tt", "-l", "web-2", "through", "true"]), 24, 80);
    terminal.until("One-time code: ");
    terminal.write("000000\r");
    let (status, screen) = terminal.end();
    assert_eq!(status.code(), Some(255), "{screen}");
    assert!(screen.contains("keyward: ") && !screen.contains("inside"), "{screen}");
    assert_eq!(fake.attempts(), 1);
}

#[test]
fn nobody_to_ask_is_a_refusal_and_never_an_empty_answer() {
    let (scene, _fake) = asking_for_a_code();
    let errors = refused(&crate::world::run(scene.alice.ssh(&["-l", "web-2", "through", "true"]), ""));
    assert!(errors.contains("One-time code"), "{errors}");
    assert_eq!(scene.broker.ended_session()["end_reason"], "refused");
}

#[test]
fn a_question_is_asked_again_when_the_channel_that_was_asked_dies() {
    let (scene, fake) = asking_for_a_code();
    // One connection without a channel of its own, which others share.
    let master = scene.alice.ssh(&["-N", "-o", "ControlMaster=yes", "-l", "web-2", "through"]);
    let _master = crate::world::Process::start(master);
    let shared = || run(scene.alice.ssh(&["-O", "check", "through"]), "").status == Some(0);
    eventually("the connection is there", || shared().then_some(()));
    let client = || Terminal::start(&scene.alice.ssh(&["-tt", "-l", "web-2", "through", "true"]), 24, 80);
    let mut first = client();
    first.until("One-time code: ");
    drop(first);
    let mut second = client();
    second.until("One-time code: ");
    second.write(&format!("{CODE}\r"));
    second.until("inside");
    let (status, screen) = second.end();
    assert_eq!(status.code(), Some(3), "{screen}");
    assert_eq!(fake.attempts(), 1, "one sign-in, one question");
}

/// A client that takes whatever host key it is shown: this broker's is the test's own.
struct Trusting;

impl russh::client::Handler for Trusting {
    type Error = russh::Error;
    async fn check_server_key(&mut self, _: &russh::keys::PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// Waits until this is on the channel.
async fn shown(channel: &mut russh::Channel<russh::client::Msg>, text: &str) {
    let mut seen = String::new();
    while !seen.contains(text) {
        match channel.wait().await {
            Some(russh::ChannelMsg::Data { data }) => seen.push_str(&String::from_utf8_lossy(&data)),
            Some(_) => {}
            None => panic!("the channel ended before {text:?} was there: {seen}"),
        }
    }
}

#[tokio::test]
async fn a_question_goes_past_a_channel_without_a_terminal() {
    let (scene, fake) = asking_for_a_code();
    let work = async {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", scene.broker.port())).await.unwrap();
        let mut client = russh::client::connect_stream(std::sync::Arc::default(), stream, Trusting).await.unwrap();
        let key = russh::keys::load_secret_key(&scene.alice.key.path, None).unwrap();
        let key = russh::keys::PrivateKeyWithHashAlg::new(std::sync::Arc::new(key), None);
        assert!(client.authenticate_publickey("web-2", key).await.unwrap().success());
        // The first one's command comes after the second one's opening, so the broker knows of both when it looks for a terminal.
        let plain = async {
            let plain = client.channel_open_session().await.unwrap();
            plain.exec(false, "true").await.unwrap();
            plain
        };
        let terminal = async {
            let terminal = client.channel_open_session().await.unwrap();
            terminal.request_pty(false, "xterm", 80, 24, 0, 0, &[]).await.unwrap();
            terminal.exec(false, "true").await.unwrap();
            terminal
        };
        let (_plain, mut terminal) = tokio::join!(plain, terminal);
        shown(&mut terminal, "One-time code: ").await;
        terminal.data(format!("{CODE}\r").as_bytes()).await.unwrap();
        shown(&mut terminal, "inside").await;
    };
    tokio::time::timeout(crate::world::PATIENCE, work).await.expect("in time");
    assert_eq!(fake.attempts(), 1);
}

#[test]
fn a_default_that_was_replaced_stays_open_to_whoever_names_it_until_it_is_detached() {
    let scene = Scene::new();
    let other = Key::new(scene.dir().join("other"));
    scene.host.authorize(&[&scene.deploy, &other]);
    scene.broker.does_with(&["credential", "add", "other", "--scope", "workspace", "--username", NAME, "--key", "-"], other.private());
    let through = |selector: &str| run(scene.alice.ssh(&["-l", selector, "through", "true"]), "");
    let used = || (scene.host.sign_ins_with(&scene.deploy), scene.host.sign_ins_with(&other));
    scene.broker.does(&["credential", "attach", "other", "--host", "web-1"]);
    through("web-1").ok();
    assert_eq!(used(), (0, 1), "the new default signs in");
    through("deploy@web-1").ok();
    assert_eq!(used(), (1, 1), "the old one does for whoever names it");
    scene.broker.does(&["credential", "detach", "deploy", "--host", "web-1"]);
    refused(&through("deploy@web-1"));
    through("web-1").ok();
    assert_eq!(used(), (1, 2), "the default is what it was");
    scene.broker.does(&["credential", "detach", "other", "--host", "web-1"]);
    refused(&through("other@web-1"));
    refused(&through("web-1"));
    assert_eq!(used(), (1, 2));
    scene.broker.refuses(&["credential", "detach", "deploy", "--host", "web-1"]);
    // Attached again it is the default again.
    scene.broker.does(&["credential", "attach", "deploy", "--host", "web-1"]);
    through("web-1").ok();
    assert_eq!(used(), (2, 2));
}

#[test]
fn what_an_admin_attaches_for_themselves_is_nobody_elses() {
    let scene = Scene::new();
    let spare = Key::new(scene.dir().join("spare"));
    scene.host.authorize(&[&scene.deploy, &spare]);
    scene.broker.does_with(&["credential", "add", "spare", "--scope", "workspace", "--username", NAME, "--key", "-"], spare.private());
    scene.broker.does(&["credential", "attach", "spare", "--host", "web-1", "--mine"]);
    scene.grant("root", "web-1");
    run(scene.owner.ssh(&["-l", "web-1", "through", "true"]), "").ok();
    assert_eq!(scene.host.sign_ins_with(&spare), 1, "the owner's own choice");
    run(scene.alice.ssh(&["-l", "web-1", "through", "true"]), "").ok();
    assert_eq!(scene.host.sign_ins_with(&scene.deploy), 1, "everybody else has the host's default");
    refused(&run(scene.alice.ssh(&["-l", "spare@web-1", "through", "true"]), ""));
    let unseen = scene.alice.verb("alice", "credential attach spare --host web-1 --mine", "");
    assert_eq!(unseen.status, Some(1), "{unseen:?}");
    assert_eq!(scene.host.sign_ins_with(&spare), 1);
    // Given to all, it is there for all.
    scene.broker.does(&["credential", "attach", "spare", "--host", "web-1"]);
    run(scene.alice.ssh(&["-l", "spare@web-1", "through", "true"]), "").ok();
    assert_eq!(scene.host.sign_ins_with(&spare), 2);
}

/// Credentials that the host was shown: asking what it offers is not one.
pub(crate) fn attempts(scene: &Scene) -> usize {
    let log = scene.host.log();
    log.lines().filter(|l| (l.starts_with("Failed ") || accepted(l)) && !l.contains(" none ")).count()
}
