//! The door with a real client on its other side.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::authn::Authn;
use crate::cli::Exit;
use crate::cli::client::Client;
use crate::clock::Clock;
use crate::control::tests::world;
use crate::control::{Command, Data};

fn doorway(world: &crate::control::tests::World) -> Doorway {
    let authn = Authn::new(&crate::authn::Config::default(), world.store.clone(), world.log.clone(), Clock::System);
    let tools = mcp::Doorway { approvals: world.approvals.clone(), scans: world.scans.clone(), authn, guard: world.guard.clone() };
    Doorway { desk: world.desk.clone(), tools }
}

fn name(text: &str) -> crate::model::Name {
    text.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_goes_in_and_its_answer_comes_out() {
    let world = world().await;
    let home = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(home.path().join("control.sock")).unwrap();
    std::fs::set_permissions(home.path().join("control.sock"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let stop = CancellationToken::new();
    #[allow(clippy::disallowed_methods)] // awaited below
    let door = tokio::spawn(serve(std::sync::Arc::new(listener), doorway(&world), stop.clone()));
    let path = home.path().to_owned();
    tokio::task::spawn_blocking(move || {
        let client = Client::new(&path, name("default"));
        client.reachable().unwrap();
        let status = client.call(&Command::Status, Secrets::none(), &mut |_| {}).unwrap().unwrap();
        assert!(matches!(status.data, Data::Status(s) if s.you == name("olga")));
        // A secret travels in a frame of its own.
        let secrets = Secrets { material: Some(crate::secret::Secret::new(b"hunter2".to_vec())), passphrase: None };
        let command = Command::CredentialAdd {
            name: name("root"),
            username: "root".parse().unwrap(),
            form: crate::control::SecretForm::Password,
            scope: crate::control::ScopeWord::Personal,
        };
        client.call(&command, secrets, &mut |_| {}).unwrap().unwrap();
        // A long answer comes in pieces.
        let mut text = String::new();
        client
            .call(&Command::AuditExport { since: None }, Secrets::none(), &mut |piece| {
                if let Piece::Lines(lines) = piece {
                    text.push_str(&lines)
                }
            })
            .unwrap()
            .unwrap();
        assert!(text.lines().count() >= 2 && !text.contains("hunter2"), "{text}");
        let refused = client.call(&Command::HostShow { name: name("x") }, Secrets::none(), &mut |_| {}).unwrap().unwrap_err();
        assert_eq!(refused.kind, Kind::NotFound);
        let elsewhere = Client::new(&path, name("lab")).call(&Command::Status, Secrets::none(), &mut |_| {}).unwrap().unwrap_err();
        assert!(elsewhere.message.contains("workspace"));
    })
    .await
    .unwrap();
    stop.cancel();
    door.await.unwrap();
    let gone = Client::new(home.path(), name("default")).reachable().unwrap_err();
    assert_eq!(gone.exit, Exit::Unreachable);
    assert!(gone.hint.unwrap().starts_with("start it: keyward serve --home "));
}

#[tokio::test]
async fn another_protocol_is_told_so() {
    let world = world().await;
    let (client, server) = UnixStream::pair().unwrap();
    let talk = async {
        let mut client = client;
        let hello = Hello { protocol: 99, version: "9.9\x1b[31m".to_owned() };
        frames::json(&mut client, Frame::Hello, &hello).await.unwrap();
        frames::read_json::<Problem>(&mut client, Frame::Error).await.unwrap()
    };
    let places = Arc::new(Semaphore::new(1));
    let place = Arc::clone(&places).try_acquire_owned().unwrap();
    let (door, stop) = (doorway(&world), CancellationToken::new());
    let (served, problem) = tokio::join!(attend(server, &door, place, &places, &stop), talk);
    served.unwrap();
    assert!(problem.message.contains("do not understand each other") && !problem.message.contains('\x1b'), "{}", problem.message);
}
