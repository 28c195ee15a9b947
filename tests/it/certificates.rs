//! Keys that are made in the vault, and certificates that the workspace's authority signs for one sign-in each: real sshd
//! takes them where it was told to, and nowhere, never and for nobody else.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::credentials::refused;
use crate::world::account::NAME;
use crate::world::broker::Settings;
use crate::world::database::edit;
use crate::world::fake::{Deed, Fake, INSIDE};
use crate::world::{Outcome, Scene, Sshd, run};

/// A broker with an authority and the credential `deploy` that stands on it, and a host `web-1` that was told to trust it.
struct Trust {
    host: Sshd,
    /// What TrustedUserCAKeys names.
    trusted: PathBuf,
    /// What AuthorizedPrincipalsFile names.
    principals: PathBuf,
    scene: Scene,
}

impl Trust {
    fn new() -> Self {
        Self::with(Settings::default(), "ed25519")
    }

    fn with(settings: Settings, kind: &str) -> Self {
        let scene = Scene::bare(settings, None);
        let place = scene.place("ca-host");
        let (trusted, principals) = (place.join("trusted"), place.join("principals"));
        std::fs::write(&principals, format!("{NAME}\n")).unwrap();
        scene.broker.does(&["ca", "create", "--type", kind]);
        let host = Sshd::with(&place, &[], &trusting(&trusted, &principals));
        let this = Self { host, trusted, principals, scene };
        this.trust();
        this.scene.broker.does(&["credential", "add", "deploy", "--username", NAME, "--certificate"]);
        this.scene.add_host("web-1", &this.host, "deploy");
        this.scene.grant("alice", "web-1");
        this
    }

    /// Brings the public keys to the host.
    fn trust(&self) {
        std::fs::write(&self.trusted, self.scene.broker.does(&["ca", "public-key"])).unwrap();
    }

    fn connect(&self, host: &str) -> Outcome {
        run(self.scene.alice.ssh(&["-l", host, "through", "id -un"]), "")
    }

    #[track_caller]
    fn works(&self, host: &str) {
        let outcome = self.connect(host);
        assert_eq!((outcome.status, outcome.text()), (Some(0), format!("{NAME}\n")), "{outcome:?}\n{}", self.host.log());
    }

    #[track_caller]
    fn fails(&self, host: &str) -> String {
        let errors = refused(&self.connect(host));
        assert!(errors.contains("the host did not take the certificate") && errors.contains(" ca show"), "{errors}");
        errors
    }

    fn fingerprint(&self) -> String {
        self.scene.broker.json(&["ca", "show"])["keys"][0]["fingerprint"].as_str().unwrap().to_owned()
    }

    /// The last line of the host's log that tells of a sign-in.
    fn last_sign_in(&self) -> String {
        let log = self.host.log();
        log.lines().rfind(|l| crate::world::sshd::accepted(l)).unwrap_or_else(|| panic!("{log}")).to_owned()
    }
}

fn trusting(trusted: &Path, principals: &Path) -> String {
    format!(
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nTrustedUserCAKeys {}\nAuthorizedPrincipalsFile {}\n",
        trusted.display(),
        principals.display()
    )
}

fn opened(scene: &Scene) -> Vec<Value> {
    scene.broker.audit().into_iter().filter(|e| e["event"] == "lease.opened").map(|e| e["detail"].clone()).collect()
}

#[test]
fn a_certificate_signs_in_and_the_hosts_log_names_the_session() {
    for kind in ["ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-4096"] {
        let t = Trust::with(Settings::default(), kind);
        t.works("web-1");
        let session = t.scene.broker.only_session()["id"].as_str().unwrap().to_owned();
        let line = t.last_sign_in();
        let [lease] = &opened(&t.scene)[..] else { panic!() };
        let key_id = format!("keyward {session} alice deploy");
        assert_eq!((&lease["key_id"], &lease["source_address"]), (&key_id.as_str().into(), &"127.0.0.1".into()), "{lease}");
        let serial = lease["serial"].as_str().unwrap();
        assert!(line.contains("-CERT ") && line.contains(&format!("ID {key_id} (serial {serial}) CA ")), "{kind}: {line}");
        assert!(line.contains(&t.fingerprint()), "{kind}: {line}");
        // The next one is another one.
        t.works("web-1");
        let leases = opened(&t.scene);
        assert_eq!(leases.len(), 2);
        assert_ne!(leases[0]["serial"], leases[1]["serial"]);
        assert!(t.last_sign_in().contains(leases[1]["serial"].as_str().unwrap()));
        assert_eq!(t.host.refusals(), 0, "{}", t.host.log());
    }
}

#[test]
fn an_edited_validity_is_that_of_the_next_certificate() {
    let t = Trust::new();
    let host = Fake::start(&t.scene.place("reader"), Deed::Answer);
    let broker = &t.scene.broker;
    broker.does(&["host", "add", "web-2", &host.address(), "--credential", "deploy", "--host-key", &host.host_key.public]);
    t.scene.grant("alice", "web-2");
    let lasts = || {
        let outcome = t.connect("web-2");
        assert_eq!((outcome.status, outcome.text()), (Some(3), INSIDE.to_owned()), "{outcome:?}");
        let certificate = host.certificate();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!((certificate.valid_after()..certificate.valid_before()).contains(&now));
        // It begins half a minute before, for clocks that are behind.
        certificate.valid_before() - certificate.valid_after() - 30
    };
    assert_eq!(lasts(), 120);
    for (written, seconds) in [("60s", 60), ("5m", 300)] {
        broker.does(&["credential", "edit", "deploy", "--validity", written]);
        assert_eq!(lasts(), seconds);
    }
}

#[test]
fn a_terminal_is_in_the_certificate_of_whoever_may_have_one() {
    let t = Trust::new();
    let outcome = run(t.scene.alice.ssh(&["-tt", "-l", "web-1", "through", "tty"]), "");
    assert_eq!(outcome.status, Some(0), "{outcome:?}\n{}", t.host.log());
    assert!(outcome.text().starts_with("/dev/pts/"), "{outcome:?}");
    // Who was granted files alone gets none; files there are.
    let id = t.scene.broker.json(&["grant", "list"])[0]["id"].as_str().unwrap().to_owned();
    t.scene.broker.does(&["grant", "remove", &id]);
    t.scene.broker.does(&["grant", "add", "--to", "alice", "--hosts", "web-1", "--allow", "sftp"]);
    let outcome = run(t.scene.alice.program("sftp", &["-b", "-", "-o", "User=web-1", "through"]), "pwd\n");
    assert_eq!(outcome.status, Some(0), "{outcome:?}\n{}", t.host.log());
}

#[test]
fn a_line_of_authorized_keys_trusts_it_for_one_account() {
    let t = Trust::new();
    let place = t.scene.place("line-host");
    let host = Sshd::start(&place, &[]);
    t.scene.add_host("web-2", &host, "deploy");
    t.scene.grant("alice", "web-2");
    let line = t.scene.broker.does(&["credential", "public-key", "deploy"]);
    assert!(line.starts_with(&format!("cert-authority,principals=\"{NAME}\" ssh-ed25519 ")), "{line}");
    std::fs::write(place.join("authorized_keys"), &line).unwrap();
    t.works("web-2");
    // The same, as the authority's own verb writes it; and for another account.
    let lines = |login: &str| t.scene.broker.does(&["ca", "public-key", "--principal", login]);
    std::fs::write(place.join("authorized_keys"), lines(NAME)).unwrap();
    t.works("web-2");
    std::fs::write(place.join("authorized_keys"), lines("somebody")).unwrap();
    t.fails("web-2");
    // Not as a key that signs in by itself: the authority's key is no account's.
    std::fs::write(place.join("authorized_keys"), t.scene.broker.does(&["ca", "public-key"])).unwrap();
    t.fails("web-2");
    assert_eq!(host.sign_ins(), 2, "{}", host.log());
    t.scene.broker.refuses(&["ca", "public-key", "--principal", "a,b"]);
}

#[test]
fn a_host_that_does_not_trust_it_takes_none_and_the_person_is_told_what_to_do() {
    let t = Trust::new();
    std::fs::write(&t.trusted, "").unwrap();
    t.fails("web-1");
    assert_eq!(t.scene.broker.ended_session()["end_reason"], "refused");
    // One try: a host counts them.
    assert_eq!((t.host.sign_ins(), t.host.refusals()), (0, 1), "{}", t.host.log());
    // It trusts it, and the account is not among the principals.
    t.trust();
    std::fs::write(&t.principals, "somebody\n").unwrap();
    t.fails("web-1");
    assert!(t.host.log().contains("authorized principal"), "{}", t.host.log());
    std::fs::write(&t.principals, format!("{NAME}\n")).unwrap();
    t.works("web-1");
}

/// Stands between the broker and a host, as a router does that gives connections another address.
fn translated(port: u16) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    listener.set_nonblocking(true).unwrap();
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let socket = tokio::net::TcpSocket::new_v4().unwrap();
                socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
                let mut host = socket.connect(([127, 0, 0, 1], port).into()).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut host).await;
            });
        }
    };
    std::thread::spawn(move || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(serve));
    address
}

#[test]
fn a_certificate_is_good_from_the_brokers_own_address_alone() {
    let through_a_router = |config: &str| {
        let t = Trust::with(Settings { config: config.to_owned(), ..Settings::default() }, "ed25519");
        let address = translated(t.host.port);
        t.scene.broker.does(&["host", "add", "web-2", &address, "--credential", "deploy", "--host-key", &t.host.host_key.public]);
        t.scene.grant("alice", "web-2");
        t.works("web-1");
        t
    };
    let t = through_a_router("");
    t.fails("web-2");
    assert!(t.host.log().contains("from 127.0.0.2 "), "{}", t.host.log());
    assert_eq!(t.host.sign_ins(), 1, "{}", t.host.log());
    let t = through_a_router("[host]\ncertificate_source_address = false\n");
    t.works("web-2");
    assert_eq!(t.host.sign_ins(), 2, "{}", t.host.log());
}

#[test]
fn a_rotation_waits_for_the_hosts_and_the_old_key_signs_no_more() {
    let t = Trust::new();
    let first = t.fingerprint();
    let stages = || -> Vec<String> {
        let shown = t.scene.broker.json(&["ca", "show"]);
        shown["keys"].as_array().unwrap().iter().map(|k| k["stage"].as_str().unwrap().to_owned()).collect()
    };
    t.scene.broker.refuses(&["ca", "rotate", "--switch"]);
    t.scene.broker.refuses(&["ca", "retire"]);
    t.scene.broker.refuses(&["ca", "create"]);
    // Made and dropped again.
    t.scene.broker.does(&["ca", "rotate", "--type", "ecdsa-p256"]);
    assert_eq!(stages(), ["signing", "next"]);
    t.scene.broker.refuses(&["ca", "rotate"]);
    t.scene.broker.does(&["ca", "rotate", "--cancel"]);
    assert_eq!(stages(), ["signing"]);
    // The next key is there: what hosts know still signs.
    t.scene.broker.does(&["ca", "rotate"]);
    t.works("web-1");
    assert!(t.last_sign_in().contains(&first));
    // Switched too early, a host refuses; it is brought there, and it works. The credential stands on the new one.
    t.scene.broker.does(&["ca", "rotate", "--switch"]);
    assert_eq!(stages(), ["signing", "old"]);
    let second = t.fingerprint();
    assert_ne!(first, second);
    assert_eq!(t.scene.broker.json(&["credential", "show", "deploy"])["fingerprint"], second.as_str());
    t.fails("web-1");
    t.trust();
    assert_eq!(std::fs::read_to_string(&t.trusted).unwrap().lines().count(), 2, "the old one stays listed");
    t.works("web-1");
    assert!(t.last_sign_in().contains(&second), "{}", t.last_sign_in());
    t.scene.broker.refuses(&["ca", "rotate"]);
    t.scene.broker.does(&["ca", "retire"]);
    assert_eq!(stages(), ["signing"]);
    t.trust();
    assert_eq!(std::fs::read_to_string(&t.trusted).unwrap().lines().count(), 1);
    t.works("web-1");
    // It goes when nothing stands on it.
    let errors = t.scene.broker.refuses(&["ca", "remove"]);
    assert!(errors.contains("deploy"), "{errors}");
    t.scene.broker.does(&["credential", "delete", "deploy"]);
    t.scene.broker.does(&["ca", "remove"]);
    t.scene.broker.refuses(&["ca", "show"]);
    let events: Vec<Value> = t.scene.broker.audit().into_iter().filter(|e| e["event"].as_str().unwrap().starts_with("ca.")).collect();
    let names: Vec<&str> = events.iter().map(|e| e["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["ca.created", "ca.next_created", "ca.next_dropped", "ca.next_created", "ca.switched", "ca.retired", "ca.removed"]);
    assert_eq!(events[4]["detail"]["fingerprint"], second.as_str());
    assert_eq!(events[5]["detail"]["fingerprint"], first.as_str());
}

#[test]
fn edited_rows_of_an_authority_sign_nothing() {
    let t = Trust::new();
    t.works("web-1");
    let home = t.scene.broker.home();
    edit(&home, "CREATE TABLE a AS SELECT * FROM authorities; CREATE TABLE t AS SELECT * FROM certificate_terms");
    let tampered = || t.scene.broker.audit().into_iter().filter(|e| e["event"] == "vault.tampered").count();
    for sql in [
        "UPDATE authorities SET stage = 'old'",
        "UPDATE authorities SET sealed = zeroblob(length(sealed))",
        "UPDATE authorities SET scope = 'workspace/other'",
        "UPDATE authorities SET public_key = 'ssh-ed25519 AAAA'",
        "DELETE FROM authorities",
        "UPDATE certificate_terms SET validity_s = 300",
    ] {
        let (sign_ins, before) = (t.host.sign_ins(), tampered());
        edit(&home, sql);
        assert_eq!(t.connect("web-1").status, Some(255), "{sql}");
        assert_eq!((t.host.sign_ins(), t.host.refusals()), (sign_ins, 0), "{sql}: nothing reached the host");
        edit(
            &home,
            "DELETE FROM authorities; INSERT INTO authorities SELECT * FROM a;
             DELETE FROM certificate_terms; INSERT INTO certificate_terms SELECT * FROM t",
        );
        t.works("web-1");
        assert!(tampered() > before, "{sql}");
    }
}

#[test]
fn members_read_the_public_key_and_change_nothing() {
    let t = Trust::new();
    let alice = |words: &str| t.scene.alice.verb("alice", words, "");
    assert!(alice("ca public-key").ok().text().starts_with("ssh-ed25519 "));
    let shown = alice("ca show").ok().text();
    assert!(shown.contains("TrustedUserCAKeys ") && shown.contains(&t.fingerprint()), "{shown}");
    for words in [
        "ca create",
        "ca rotate",
        "ca rotate --switch",
        "ca retire",
        "ca remove",
        "credential add mine --username root --certificate",
        "credential generate shared --username root --scope workspace",
    ] {
        let outcome = alice(words);
        assert!(outcome.status == Some(1) && outcome.errors().contains("is not for the role member"), "{words}: {outcome:?}");
    }
    // One of their own would be an account of their choice.
    let own = alice("credential add mine --username root --certificate --scope personal");
    assert_eq!(own.status, Some(1), "{own:?}");
    // The owner's key opens the same verbs over ssh.
    t.scene.owner.verb("root", "ca rotate", "").ok();
    t.scene.owner.verb("root", "ca rotate --cancel", "").ok();
    let public = t.scene.owner.verb("root", "ca public-key", "").ok().text();
    assert_eq!(public, t.scene.broker.does(&["ca", "public-key"]));
}

#[test]
fn a_scan_asks_each_host_with_a_certificate_of_its_own() {
    let t = Trust::new();
    t.scene.add_host("web-2", &t.host, "deploy");
    t.scene.broker.does(&["grant", "add", "--to", "root", "--hosts", "web-*", "--allow", "scan"]);
    let report = t.scene.broker.verb(&["scan", "run", "--hosts", "web-*", "--profile", "inventory", "--format", "json", "--quiet"]);
    let report: Value = serde_json::from_str(&report.text()).unwrap_or_else(|e| panic!("{e}: {report:?}"));
    assert_eq!(report["hosts"].as_array().map(Vec::len), Some(2), "{report}");
    let leases = opened(&t.scene);
    assert_eq!((leases.len(), t.host.sign_ins()), (2, 2), "{}", t.host.log());
    assert_ne!(leases[0]["serial"], leases[1]["serial"]);
}

#[test]
fn a_key_that_was_made_in_the_vault_signs_in() {
    let scene = Scene::bare(Settings::default(), None);
    scene.broker.does(&["host", "add", "web-1", &scene.host.address(), "--host-key", &scene.host.host_key.public]);
    scene.grant("alice", "web-1");
    for kind in ["ed25519", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "rsa-4096"] {
        // Through both doors; standard output is the line and nothing else.
        let line = if kind == "ecdsa-p384" {
            scene
                .owner
                .verb("root", &format!("credential generate {kind} --username {NAME} --type {kind} --scope workspace"), "")
                .ok()
                .text()
        } else {
            scene.broker.does(&["credential", "generate", kind, "--username", NAME, "--type", kind, "--scope", "workspace"])
        };
        assert!(line.lines().count() == 1 && line.ends_with(&format!(" {kind}\n")), "{line}");
        assert_eq!(line, scene.broker.does(&["credential", "public-key", kind]));
        std::fs::write(scene.dir().join("web-1/authorized_keys"), &line).unwrap();
        scene.broker.does(&["credential", "attach", kind, "--host", "web-1"]);
        let outcome = run(scene.alice.ssh(&["-l", "web-1", "through", "id -un"]), "");
        assert_eq!((outcome.status, outcome.text()), (Some(0), format!("{NAME}\n")), "{kind}: {outcome:?}\n{}", scene.host.log());
    }
    let made: Vec<Value> = scene.broker.audit().into_iter().filter(|e| e["event"] == "credential.generated").collect();
    assert_eq!(made.len(), 5);
    assert_eq!((&made[4]["detail"]["kind"], &made[4]["credential"]), (&"key:rsa".into(), &"rsa-4096".into()), "{}", made[4]);
    // The name is taken: nothing is made.
    let errors = scene.broker.refuses(&["credential", "generate", "ed25519", "--username", NAME, "--scope", "workspace"]);
    assert!(errors.contains("ed25519"), "{errors}");
    let shown = scene.broker.json(&["credential", "generate", "mine", "--username", NAME]);
    assert_eq!((&shown["scope"], &shown["kind"]), (&"personal".into(), &"key:ed25519".into()), "{shown}");
    assert!(shown["fingerprint"].as_str().unwrap().starts_with("SHA256:") && shown["public_key"].as_str().unwrap().ends_with(" mine"));
    // A personal one is named to nobody but its owner.
    scene.alice.verb("alice", &format!("credential generate hers --username {NAME}"), "").ok();
    let audit = scene.broker.audit();
    let event = audit.iter().rfind(|e| e["event"] == "credential.generated").unwrap();
    assert!(event["actor"] == "alice" && event["detail"]["fingerprint"].is_null() && event["credential"] != "hers", "{event}");
}

mod late {
    //! A broker whose clock is ten minutes behind: its certificates are over before the host sees them.

    use std::time::Duration;

    use keyward::audit::Log;
    use keyward::authz::Guard;
    use keyward::clock::{Clock, Time};
    use keyward::custody::{Asked, Custody};
    use keyward::model::{
        Credential, Event, EventName, Grant, GrantId, Host, HostId, HostKey, KeyKind, Role, Scope, SessionId, Subject, User, UserId,
        Validity,
    };
    use keyward::store::{self, Store};
    use keyward::target;
    use keyward::vault::{self, Vault};

    use super::{NAME, Sshd, trusting};
    use crate::world::folder;

    /// Signs in to a host that trusts the authority, by a clock that is so far off (in milliseconds).
    async fn signs_in(off: i64) -> (bool, String) {
        let dir = folder();
        let (trusted, principals) = (dir.path().join("trusted"), dir.path().join("principals"));
        std::fs::write(&principals, format!("{NAME}\n")).unwrap();
        let sshd = Sshd::with(dir.path(), &[], &trusting(&trusted, &principals));
        let clock = Clock::simulated(Time::from_millis(Clock::System.now().millis() + off));
        let store = Store::open(store::Config { path: dir.path().join("k.db"), reserve: 0, patience: Duration::from_secs(10) }).unwrap();
        let vault = Vault::open(&store, vault::Config { root_key: dir.path().join("root.key") }, clock.clone()).await.unwrap();
        let log = Log::new(store.clone(), clock.clone());
        let custody = Custody::new(store, log.clone(), vault, Guard::default(), clock.clone());
        let now = clock.now();
        let workspace: keyward::model::Name = "default".parse().unwrap();
        let user = User {
            id: UserId::from([1; 16]),
            name: "alice".parse().unwrap(),
            role: Role::Member,
            uid: None,
            disabled: false,
            created_at: now,
        };
        let key = HostKey {
            public_key: sshd.host_key.public.clone(),
            fingerprint: sshd.host_key.fingerprint.clone(),
            source: "given".to_owned(),
            pinned_at: now,
        };
        let host = Host {
            id: HostId::from([2; 16]),
            name: "web-1".parse().unwrap(),
            workspace: workspace.clone(),
            address: sshd.address().parse().unwrap(),
            tags: std::collections::BTreeMap::new(),
            trust_first_use: false,
            host_keys: vec![key],
            via: None,
            legacy: keyward::model::Legacy::default(),
            created_at: now,
        };
        let grant = Grant {
            id: GrantId::from([3; 16]),
            workspace: workspace.clone(),
            to: Subject::Everyone,
            hosts: "web-1".parse().unwrap(),
            allow: "shell".parse().unwrap(),
            commands: None,
            from: None,
            until: None,
            between: None,
            max_session: None,
            second_factor: false,
            created_at: now,
            created_by: "alice".parse().unwrap(),
        };
        let (person, place) = (user.clone(), host.clone());
        let made = log.change(move |c| -> Result<((), Vec<Event>), store::Error> {
            store::users::insert(c, &person)?;
            store::hosts::insert(c, &place)?;
            store::grants::insert(c, &grant)?;
            Ok(((), vec![Event::new(EventName::HostAdded, "alice")]))
        });
        made.await.unwrap().into_inner();
        let scope = Scope::Workspace(workspace.clone());
        let authority =
            custody.create_authority(scope.clone(), KeyKind::Ed25519, |_| Event::new(EventName::CaCreated, "alice")).await.unwrap();
        std::fs::write(&trusted, format!("{}\n", authority.public_key)).unwrap();
        let told = |_: &Credential| Event::new(EventName::CredentialAdded, "alice");
        let (name, login) = ("deploy".parse().unwrap(), NAME.parse().unwrap());
        let credential = custody.add_certificate(name, scope, login, Validity::default(), told).await.unwrap();
        custody.attach(credential.id, host.id, None, Event::new(EventName::CredentialAttached, "alice")).await.unwrap();
        let asked = Asked {
            user: user.id,
            key: None,
            needs: None,
            workspace,
            host: host.name.clone(),
            credential: None,
            session: SessionId::from([9; 16]),
            client: "127.0.0.1:1".parse().unwrap(),
        };
        let warrant = custody.warrant(asked).await.unwrap();
        let dialed = target::dial(&target::Config::default(), &host, None, 0).await.unwrap();
        let (pin, source) = (sshd.host_key.fingerprint.clone(), dialed.source());
        assert_eq!(source, Some("127.0.0.1".parse().unwrap()));
        let lease = custody.lease(warrant.permit, &user, &host, (&credential, warrant.way), &pin, source).await.unwrap();
        let (prompts, _nobody) = tokio::sync::mpsc::channel(1);
        let signed_in = dialed.login(lease, &prompts).await;
        (signed_in.is_ok(), sshd.log())
    }

    #[tokio::test]
    async fn a_certificate_that_is_over_or_has_not_begun_is_refused_by_the_host() {
        let (taken, log) = signs_in(0).await;
        assert!(taken, "{log}");
        // A clock that is a little ahead is what the skew is for.
        let (taken, log) = signs_in(20_000).await;
        assert!(taken, "{log}");
        let (taken, log) = signs_in(-125_000).await;
        assert!(!taken && log.contains("expired"), "{log}");
        let (taken, log) = signs_in(300_000).await;
        assert!(!taken && log.contains("not yet valid"), "{log}");
    }
}

#[test]
fn an_install_carries_every_key_that_hosts_are_to_trust() {
    let t = Trust::new();
    let install = ["credential", "install", "deploy", "--host", "web-1", "--using", "deploy", "--dry-run"];
    let lines = || -> Vec<String> {
        let shown = t.scene.broker.json(&install);
        shown["line"].as_str().unwrap().lines().map(str::to_owned).collect()
    };
    let known = lines();
    assert_eq!(known, [t.scene.broker.does(&["credential", "public-key", "deploy"]).trim_end()]);
    assert!(known[0].ends_with(" keyward-ca"), "{known:?}");
    t.scene.broker.does(&["ca", "rotate"]);
    let both = lines();
    let printed = t.scene.broker.does(&["ca", "public-key", "--principal", NAME]);
    let keys = |line: &str| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    assert_eq!(both.iter().map(|l| keys(l)).collect::<Vec<_>>(), printed.lines().map(keys).collect::<Vec<_>>());
    assert!(both.len() == 2 && both.contains(&known[0]), "{both:?}");
    let script = t.scene.broker.json(&install)["script"].as_str().unwrap().to_owned();
    assert!(both.iter().all(|line| script.contains(line.as_str())), "{script}");
    let refused = t.scene.broker.refuses(&["credential", "rotate", "deploy", "--dry-run"]);
    assert!(refused.contains("rotate the authority's key: keyward ") && refused.contains(" ca rotate"), "{refused}");
}
