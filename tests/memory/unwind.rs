//! A panic in the task that signs in: what the task held is gone when it has unwound. The release binary has no place that
//! panics, so the same rooms run in a process of their own, under the same allocator, and a task next to the sign-in panics.

use std::io::Write;
use std::process::Stdio;

use keyward::custody::NewSecret;
use keyward::model::{Form, SessionId};
use keyward::secret::Secret;
use keyward::target;

use crate::rooms::{Rooms, disguised, line, next, say, undisguised};
use crate::scan::Scanner;
use crate::secrets;
use crate::world::fake::{Deed, Fake};
use crate::world::process::command;
use crate::world::{Process, eventually, folder, nonce};

/// What is written to the process, one a line.
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
    writeln!(words, "{}\n{}\n{}\n{}", disguised(&password), host.address(), host.host_key.public, host.host_key.fingerprint).unwrap();
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

async fn panics() {
    let password = undisguised(&line());
    let (address, public_key, fingerprint) = (line(), line(), line());
    let secret = NewSecret { form: Form::Password, secret: Secret::new(password), passphrase: None };
    let rooms = Rooms::new("exec", &address, public_key, fingerprint, "deploy", secret).await;
    let Rooms { custody, user, host, credential, .. } = &rooms;
    say("ready");

    let mut sessions = 0u8;
    while next().await == LEASE {
        sessions += 1;
        let warrant = custody.warrant(rooms.asked(SessionId::from([sessions; 16]))).await.unwrap();
        let dialed = target::dial(&target::Config::default(), host, None, 0).await.unwrap();
        let lease = custody.lease(warrant.permit, user, host, (credential, warrant.way), rooms.pin(), None).await.unwrap();
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
