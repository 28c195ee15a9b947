//! 0007: requests that the library has no name for, both ways; words of a refusal.

use russh::server::Auth;
use russh::{Channel, ChannelId, ChannelMsg, ChannelOpenFailure, Sig, server};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::{Guest, client_config, connect_in, next, server_config, within};

/// Admits `break` and arguments that are not text.
struct Relay {
    channels: UnboundedSender<Channel<server::Msg>>,
    globals: UnboundedSender<String>,
}

impl server::Handler for Relay {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<server::Msg>,
        reply: server::ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        let _ = self.channels.send(channel);
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        _: Channel<server::Msg>,
        host: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: server::ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        reply.reject(ChannelOpenFailure::Other { code: 2, reason: format!("{host} is asleep") }).await;
        Ok(())
    }

    async fn channel_request(&mut self, _: ChannelId, name: &str, _: bool, _: &[u8], _: &mut server::Session) -> Result<bool, Self::Error> {
        Ok(name == "break" || name == "env")
    }

    async fn global_request(&mut self, name: &str, _: &[u8], _: &mut server::Session) -> Result<bool, Self::Error> {
        let _ = self.globals.send(name.to_owned());
        Ok(name == "known@test")
    }
}

struct Ends {
    client: russh::client::Handle<Guest>,
    server: server::Handle,
    channels: UnboundedReceiver<Channel<server::Msg>>,
    globals: UnboundedReceiver<String>,
}

async fn ends() -> Ends {
    let (to_channels, channels) = unbounded_channel();
    let (to_globals, globals) = unbounded_channel();
    let relay = Relay { channels: to_channels, globals: to_globals };
    let (client, server) = connect_in(server_config(), client_config(), relay).await;
    Ends { client, server, channels, globals }
}

impl Ends {
    async fn open(&mut self) -> (Channel<russh::client::Msg>, Channel<server::Msg>) {
        let near = within("open", self.client.channel_open_session());
        let near = near.await.unwrap();
        let far = within("accept", self.channels.recv()).await.unwrap();
        (near, far)
    }
}

#[tokio::test]
async fn break_passes_and_is_answered_in_order() {
    let mut ends = ends().await;
    let (mut near, far) = ends.open().await;
    let (mut far_read, far_write) = far.split();
    near.request_shell(true).await.unwrap();
    near.request("break", true, 500_u32.to_be_bytes().to_vec()).await.unwrap();
    near.request("unheard-of@test", true, &b"x"[..]).await.unwrap();
    near.request("break", false, &b""[..]).await.unwrap();

    let mut seen = Vec::new();
    while seen.len() < 3 {
        match within("request", far_read.wait()).await.unwrap() {
            ChannelMsg::RequestShell { want_reply } => seen.push(("shell".into(), want_reply)),
            ChannelMsg::Request { name, want_reply, .. } => seen.push((name, want_reply)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, [("shell".to_owned(), true), ("break".into(), true), ("break".into(), false)]);
    far_write.success().await.unwrap();
    far_write.failure().await.unwrap();
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::Success)));
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::Failure)));
    // The one nobody admitted.
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::Failure)));
}

#[tokio::test]
async fn the_argument_of_a_request_is_kept() {
    let mut ends = ends().await;
    let (near, mut far) = ends.open().await;
    near.request("break", false, 500_u32.to_be_bytes().to_vec()).await.unwrap();
    match next(&mut far).await {
        Some(ChannelMsg::Request { name, data, .. }) => {
            assert_eq!((name.as_str(), &data[..]), ("break", &[0, 0, 1, 244][..]));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_argument_that_is_not_text_does_not_end_the_session() {
    let mut ends = ends().await;
    let (mut near, mut far) = ends.open().await;
    let env = b"\0\0\0\x01A\0\0\0\x02\xff\xfe";
    near.request("env", true, &env[..]).await.unwrap();
    match next(&mut far).await {
        Some(ChannelMsg::Request { name, want_reply: true, data }) => assert_eq!((name.as_str(), &data[..]), ("env", &env[..])),
        other => panic!("{other:?}"),
    }
    far.split().1.success().await.unwrap();
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::Success)));
    // Not admitted, so refused.
    near.request("subsystem", true, &b"\0\0\0\x02\xff\xfe"[..]).await.unwrap();
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::Failure)));
}

#[tokio::test]
async fn unknown_terminal_modes_are_skipped() {
    let mut ends = ends().await;
    let (near, mut far) = ends.open().await;
    let mut pty = b"\0\0\0\x05xterm".to_vec();
    for size in [80_u32, 24, 0, 0] {
        pty.extend(size.to_be_bytes());
    }
    // VINTR = 3, an unknown one, ECHO = 1, and one that ends the list.
    let modes = b"\x01\0\0\0\x03\x7f\0\0\0\x09\x35\0\0\0\x01\xf0";
    pty.extend((modes.len() as u32).to_be_bytes());
    pty.extend(modes);
    near.request("pty-req", false, pty).await.unwrap();
    match next(&mut far).await {
        Some(ChannelMsg::RequestPty { terminal_modes, .. }) => {
            use russh::Pty;
            assert_eq!(terminal_modes, [(Pty::VINTR, 3), (Pty::ECHO, 1)]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_of_the_host_reaches_the_client() {
    let mut ends = ends().await;
    let (mut near, far) = ends.open().await;
    let (_, far) = far.split();
    far.request("eow@openssh.com", false, &b""[..]).await.unwrap();
    // Answered by the library, with or without meaning.
    far.request("keepalive@openssh.com", true, &b""[..]).await.unwrap();
    far.request("unheard-of@test", true, &b""[..]).await.unwrap();
    far.exit_signal(Sig::TERM, false, "ended", "").await.unwrap();
    match next(&mut near).await {
        Some(ChannelMsg::Request { name, want_reply: false, .. }) => assert_eq!(name, "eow@openssh.com"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::ExitSignal { signal_name: Sig::TERM, .. })));
}

#[tokio::test]
async fn a_global_request_is_decided_by_the_handler() {
    let mut ends = ends().await;
    ends.client.no_more_sessions(false).await.unwrap();
    let known = ends.client.send_global_request("known@test", &[], true);
    within("reply", known).await.unwrap();
    let unknown = ends.client.send_global_request("unknown@test", &[], true);
    assert!(within("reply", unknown).await.is_err());
    for name in ["no-more-sessions@openssh.com", "known@test", "unknown@test"] {
        assert_eq!(ends.globals.recv().await.unwrap(), name);
    }
}

#[tokio::test]
async fn a_refused_channel_keeps_code_and_words() {
    let ends = ends().await;
    let open = ends.client.channel_open_direct_tcpip("web-1", 80, "127.0.0.1", 0);
    match within("refusal", open).await {
        Err(russh::Error::ChannelOpenFailure(failure)) => {
            assert_eq!(failure.code(), 2);
            assert_eq!(failure.description(), "web-1 is asleep");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_message_for_the_other_side_does_not_end_the_session() {
    let mut ends = ends().await;
    let (near, far) = ends.open().await;
    let (_, near) = near.split();
    near.success().await.unwrap();
    near.exit_status(1).await.unwrap();
    far.exec(false, "true").await.unwrap();
    within("ping", ends.client.send_ping()).await.unwrap();
    let _ = &ends.server;
    let _ = ends.open().await;
}
