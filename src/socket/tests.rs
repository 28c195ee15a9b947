//! The door with a real client on its other side.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::cli::Exit;
use crate::cli::client::Client;
use crate::control::tests::world;
use crate::control::{Command, Data};

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
    let door = tokio::spawn(serve(listener, world.desk.clone(), stop.clone()));
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
        client.call(&Command::AuditExport { since: None }, Secrets::none(), &mut |piece| text.push_str(piece)).unwrap().unwrap();
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
    let (served, problem) = tokio::join!(attend(server, &world.desk), talk);
    served.unwrap();
    assert!(problem.message.contains("do not understand each other") && !problem.message.contains('\x1b'), "{}", problem.message);
}
