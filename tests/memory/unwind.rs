//! A panic in the task that signs in: what the task held is gone when it has unwound. The release binary has no place that
//! panics, so the same rooms run in a process of their own, under the same allocator, and a task next to the sign-in panics.

use std::io::{BufRead, Write};
use std::process::Stdio;
use std::time::Duration;

use keyward::audit::Log;
use keyward::authz::Guard;
use keyward::clock::Clock;
use keyward::custody::{Asked, Custody, NewSecret};
use keyward::model::{Event, EventName, Form, Grant, GrantId, Host, HostId, HostKey, Name, Role, Scope, SessionId, Subject, User, UserId};
use keyward::secret::Secret;
use keyward::store::{self, Store};
use keyward::target;
use keyward::vault::{self, Vault};

use crate::scan::Scanner;
use crate::secrets;
use crate::world::fake::{Deed, Fake};
use crate::world::process::command;
use crate::world::{Process, eventually, folder, nonce};

/// What is written to the process, one a line.
/// The fingerprint of the key that signs the person in.
const KEY: &str = "SHA256:person";
const LEASE: &str = "lease";
const LOGIN: &str = "login";
const PANIC: &str = "panic";

/// Says that this process is the one that panics; the test runs itself a second time.
const ROLE: &str = "KEYWARD_TEST_PANICS";

#[test]
fn a_task_that_panics_in_the_middle_of_a_sign_in_leaves_nothing() {
    if std::env::var_os(ROLE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        return runtime.block_on(panics());
    }
    let dir = folder();
    let host = Fake::start(dir.path(), Deed::Stall);
    let password = nonce(48);
    let mut child = command(std::env::current_exe().unwrap());
    let this = "unwind::a_task_that_panics_in_the_middle_of_a_sign_in_leaves_nothing";
    child.env(ROLE, "1").args(["--exact", this, "--nocapture"]);
    child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = Process::start(child);
    let mut words = child.stdin().unwrap();
    let lines = child.lines();
    let until = |wanted: &str| {
        while lines.next().unwrap_or_else(|| panic!("it ended before it said {wanted:?}")).trim() != wanted {}
    };
    // Disguised on the way: only what the rooms keep can be found.
    let disguised: Vec<String> = password.bytes().map(|b| (b ^ 0x5a).to_string()).collect();
    writeln!(words, "{}\n{}\n{}\n{}", disguised.join(" "), host.address(), host.host_key.public, host.host_key.fingerprint).unwrap();
    until("ready");
    let scanner = Scanner::new(secrets::of_text("the password", &password));
    let found = || scanner.search(child.id());
    assert!(found().is_empty(), "sealed, and nothing more: {:?}", found());
    writeln!(words, "{LEASE}").unwrap();
    until("leased");
    assert!(!found().is_empty(), "a lease holds the password; if that is not found, finding nothing proves nothing");
    writeln!(words, "{LOGIN}").unwrap();
    assert_eq!(host.credential(), "password");
    writeln!(words, "{PANIC}").unwrap();
    until("unwound");
    // The library's own task ends a moment after the connection was dropped.
    eventually("nothing is left", || found().is_empty().then_some(()));
    // And one that had a lease and no connection yet.
    writeln!(words, "{LEASE}").unwrap();
    until("leased");
    assert!(!found().is_empty());
    writeln!(words, "{PANIC}").unwrap();
    until("unwound");
    eventually("nothing is left of the lease", || found().is_empty().then_some(()));
}

fn line() -> String {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn say(word: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{word}").unwrap();
}

async fn next() -> String {
    tokio::task::spawn_blocking(line).await.unwrap()
}

async fn panics() {
    let disguised = line();
    let mut password = Vec::with_capacity(64);
    for byte in disguised.split(' ') {
        password.push(std::hint::black_box(byte.parse::<u8>().unwrap() ^ 0x5a));
    }
    let (address, public_key, fingerprint) = (line(), line(), line());
    let dir = folder();
    let clock = Clock::System;
    let store = Store::open(store::Config { path: dir.path().join("k.db"), reserve: 0, patience: Duration::from_secs(10) }).unwrap();
    let vault = Vault::open(&store, vault::Config { root_key: dir.path().join("root.key") }, clock.clone()).await.unwrap();
    let log = Log::new(store.clone(), clock.clone());
    let custody = Custody::new(store, log.clone(), vault, Guard::default(), clock.clone());

    let name = |text: &str| text.parse::<Name>().unwrap();
    let workspace = name("default");
    let now = clock.now();
    let user = User { id: UserId::from([1; 16]), name: name("alice"), role: Role::Member, uid: None, disabled: false, created_at: now };
    let key = HostKey { public_key, fingerprint: fingerprint.clone(), source: "given".to_owned(), pinned_at: now };
    let host = Host {
        id: HostId::from([2; 16]),
        name: name("web-1"),
        workspace: workspace.clone(),
        address: address.parse().unwrap(),
        tags: std::collections::BTreeMap::new(),
        trust_first_use: false,
        host_keys: vec![key],
        created_at: now,
    };
    let grant = Grant {
        id: GrantId::from([3; 16]),
        workspace: workspace.clone(),
        to: Subject::Everyone,
        hosts: "web-1".parse().unwrap(),
        allow: "exec".parse().unwrap(),
        commands: None,
        from: None,
        until: None,
        between: None,
        max_session: None,
        created_at: now,
        created_by: name("alice"),
    };
    let (person, place) = (user.clone(), host.clone());
    let made = log
        .change(move |c| -> Result<((), Vec<Event>), store::Error> {
            store::users::insert(c, &person)?;
            let (public_key, comment) = ("ssh-ed25519 AAAA".to_owned(), String::new());
            let key = keyward::model::UserKey { user: person.id, fingerprint: KEY.to_owned(), public_key, comment, added_at: now };
            store::users::insert_key(c, &key)?;
            store::hosts::insert(c, &place)?;
            store::grants::insert(c, &grant)?;
            Ok(((), vec![Event::new(EventName::HostAdded, "alice")]))
        })
        .await;
    made.unwrap().into_inner();
    let event = |name: EventName| move |_: &keyward::model::Credential| Event::new(name, "alice");
    let secret = NewSecret { form: Form::Password, secret: Secret::new(password), passphrase: None };
    let scope = Scope::Workspace(workspace.clone());
    let credential =
        custody.add_credential(name("deploy"), scope, "deploy".parse().unwrap(), secret, event(EventName::CredentialAdded)).await.unwrap();
    custody.attach(credential.id, host.id, None, Event::new(EventName::CredentialAttached, "alice")).await.unwrap();
    say("ready");

    let mut sessions = 0u8;
    while next().await == LEASE {
        sessions += 1;
        let asked = Asked {
            user: user.id,
            key: KEY.to_owned(),
            workspace: workspace.clone(),
            host: host.name.clone(),
            credential: None,
            session: SessionId::from([sessions; 16]),
            client: "127.0.0.1:1".parse().unwrap(),
        };
        let warrant = custody.warrant(asked).await.unwrap();
        let dialed = target::dial(&target::Config::default(), &host).await.unwrap();
        let lease = custody.lease(warrant.permit, &user, &host, &credential, &fingerprint).await.unwrap();
        let task = tokio::spawn(async move {
            say("leased");
            let (prompts, _nobody) = tokio::sync::mpsc::channel(1);
            if next().await != LOGIN {
                let _held = (dialed, lease);
                panic!("with a lease in its hands");
            }
            // The future that holds what signs in is dropped where it stands, by the unwinding of the task that polls it.
            let panics = async {
                assert_ne!(next().await, PANIC, "in the middle of a sign-in");
            };
            let _ = tokio::join!(dialed.login(lease, &prompts), panics);
        });
        assert!(task.await.unwrap_err().is_panic());
        say("unwound");
    }
}
