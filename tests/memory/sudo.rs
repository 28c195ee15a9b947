//! A sudo password, from the lease to a host that reads one line: nothing of it is left once it is sent, dropped or could not
//! be sent, while the connection lives on. The rooms run in a process of their own, under the allocator of the release binary.

use std::io::Write;
use std::process::Stdio;

use keyward::custody::{Edit, NewSecret, StandsOn, SudoEdit, SudoEnd};
use keyward::model::{Event, EventName, Form, SessionId};
use keyward::secret::Secret;
use keyward::target::{self, Connection, HostChannel, send_password};
use russh::ChannelMsg;
use tokio::io::AsyncWriteExt;

use crate::rooms::{KEY, Rooms, disguised, line, next, say, undisguised};
use crate::scan::Scanner;
use crate::secrets;
use crate::world::account::NAME;
use crate::world::keys::Key;
use crate::world::process::command;
use crate::world::{Process, Sshd, eventually, folder, nonce, sha256};

/// What is written to the process, one a line.
const LEASE: &str = "lease";
const SEND: &str = "send";
const BUSY: &str = "busy";
const DROP: &str = "drop";
const CLOSED: &str = "closed";
const ON: &str = "on";

/// Says that this process is the one that sends; the test runs itself a second time.
const ROLE: &str = "KEYWARD_TEST_SUDO";

/// Asks like sudo, reads one line, and passes on what follows, as the program does that sudo starts.
const ASKS: &str = r#"printf 'prompt:' >&2; IFS= read -r line; printf '%s' "$line" | sha256sum; cat"#;
/// What follows the password.
const SCRIPT: &str = "id -u\nthe rest of the script\n";

#[test]
fn a_sudo_password_is_one_line_for_the_host_and_then_it_is_gone() {
    if std::env::var_os(ROLE).is_some() {
        // One thread: what is asked for without waiting in between reaches russh's task at once, in one batch.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(sends());
    }
    let dir = folder();
    let key = Key::new(dir.path().join("deploy"));
    let host = Sshd::start(dir.path(), &[&key]);
    let password = nonce(48);
    let mut child = command(std::env::current_exe().unwrap());
    let this = "sudo::a_sudo_password_is_one_line_for_the_host_and_then_it_is_gone";
    child.env(ROLE, "1").args(["--exact", this, "--nocapture"]);
    child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = Process::start(child);
    let mut words = child.stdin().unwrap();
    let lines = child.lines();
    let until = |wanted: &str| loop {
        let line = lines.next().unwrap_or_else(|| panic!("it ended before it said {wanted:?}"));
        if let Some(rest) = line.trim().strip_prefix(wanted) {
            return rest.to_owned();
        }
    };
    let key_file = key.path.display();
    writeln!(words, "{}\n{}\n{}\n{}\n{key_file}", disguised(&password), host.address(), host.host_key.public, host.host_key.fingerprint)
        .unwrap();
    until("ready");
    let scanner = Scanner::new(secrets::of_text("the sudo password", &password));
    let found = || scanner.search(child.id());
    assert!(found().is_empty(), "sealed, and nothing more: {:?}", found());
    for deed in [SEND, BUSY, DROP, CLOSED, SEND] {
        writeln!(words, "{LEASE}").unwrap();
        until("leased");
        assert!(!found().is_empty(), "a lease holds the password; if that is not found, finding nothing proves nothing");
        writeln!(words, "{deed}").unwrap();
        let got = until("done ");
        if [SEND, BUSY].contains(&deed) {
            assert_eq!(got, format!("{:?}", format!("{}  -\n{SCRIPT}", sha256(password.as_bytes()))));
        }
        // The connection lives; its task may still have the last of it in its hands.
        eventually("nothing is left while the connection lives", || found().is_empty().then_some(()));
        writeln!(words, "{ON}").unwrap();
        until("gone");
        assert!(found().is_empty(), "after {deed}: {:?}", found());
    }
}

async fn sends() {
    let password = undisguised(&line());
    let (address, public_key, fingerprint, key) = (line(), line(), line(), line());
    let secret = NewSecret { form: Form::PrivateKey, secret: Secret::new(std::fs::read(key).unwrap()), passphrase: None };
    let rooms = Rooms::new("scan", &address, public_key, fingerprint, NAME, secret).await;
    let edit = Edit { sudo: SudoEdit::Set(Secret::new(password)), ..Edit::default() };
    let told = |_: &keyward::model::Credential| Event::new(EventName::CredentialEdited, "alice");
    rooms.custody.edit_credential(rooms.credential.id, edit, told).await.unwrap();
    say("ready");

    let config = target::Config::default();
    let mut sessions = 0u8;
    while next().await == LEASE {
        sessions += 1;
        let session = SessionId::from([sessions; 16]);
        let (connection, stands_on) = signed_in(&rooms, &config, session).await;
        let mut channel = connection.open_session().await.unwrap();
        channel.exec(true, ASKS).await.unwrap();
        asked(&mut channel).await;
        let warrant = rooms.custody.elevate(&stands_on, &rooms.user, &rooms.host, &rooms.credential).await.unwrap().unwrap();
        let lease = rooms.custody.sudo(warrant, &connection.key().fingerprint).await.unwrap().unwrap();
        say("leased");
        let end = match next().await.as_str() {
            deed @ (SEND | BUSY) => {
                if deed == BUSY {
                    // Something else of the connection is on its way: both are put together before either is encrypted.
                    channel.window_change(80, 24, 0, 0).await.unwrap();
                }
                send_password(channel.make_writer(), lease, &config, &rooms.host.address).await.unwrap();
                channel.make_writer().write_all(SCRIPT.as_bytes()).await.unwrap();
                channel.eof().await.unwrap();
                say(&format!("done {:?}", output(&mut channel).await));
                SudoEnd::Sent
            }
            DROP => {
                drop(lease);
                say("done dropped");
                SudoEnd::NotNeeded
            }
            _ => {
                channel.eof().await.unwrap();
                output(&mut channel).await;
                let failed = send_password(channel.make_writer(), lease, &config, &rooms.host.address).await.unwrap_err();
                say(&format!("done {failed}"));
                SudoEnd::Failed(failed.to_string())
            }
        };
        rooms.custody.sudo_returned(session, &rooms.user, &rooms.host, &rooms.credential, end).await.unwrap();
        assert_eq!(next().await, ON);
        connection.close().await;
        say("gone");
    }
}

/// A connection that signed in with the key, as a session has it.
async fn signed_in(rooms: &Rooms, config: &target::Config, session: SessionId) -> (Connection, StandsOn) {
    let Rooms { custody, user, host, credential, .. } = rooms;
    let warrant = custody.warrant(rooms.asked(session)).await.unwrap();
    let began = warrant.permit.get().issued_at();
    let dialed = target::dial(config, host, None, 0).await.unwrap();
    let lease = custody.lease(warrant.permit, user, host, (credential, warrant.way), rooms.pin(), None).await.unwrap();
    let (prompts, _nobody) = tokio::sync::mpsc::channel(1);
    let connection = dialed.login(lease, &prompts).await.unwrap();
    custody.returned(session, user, host, credential, keyward::custody::LeaseEnd::SignedIn).await.unwrap();
    let client = "127.0.0.1:1".parse().unwrap();
    (connection, StandsOn { session, user: user.id, key: Some(KEY.to_owned()), host: host.id, hops: vec![], client, began })
}

/// Waits for the question.
async fn asked(channel: &mut HostChannel) {
    loop {
        match channel.wait().await.expect("the channel lives") {
            ChannelMsg::ExtendedData { data, .. } if data.as_ref() == b"prompt:" => return,
            ChannelMsg::Success | ChannelMsg::WindowAdjusted { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

/// What it says until it is closed.
async fn output(channel: &mut HostChannel) -> String {
    let mut out = Vec::new();
    while let Some(message) = channel.wait().await {
        if let ChannelMsg::Data { data } = message {
            out.extend_from_slice(&data);
        }
    }
    String::from_utf8(out).unwrap()
}
