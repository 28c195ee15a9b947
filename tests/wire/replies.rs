//! 0003: every reply that was asked for, in order, and no other.

use russh::ChannelMsg;

use crate::support::{Pair, client_config, next, server_config, within};

async fn pair() -> Pair {
    Pair::new(server_config(), client_config()).await
}

#[tokio::test]
async fn a_burst_gets_every_reply_in_order() {
    let mut pair = pair().await;
    let (mut near, mut far) = pair.open().await;
    near.request_pty(true, "xterm", 80, 24, 0, 0, &[]).await.unwrap();
    near.set_env(true, "LANG", "C").await.unwrap();
    near.exec(true, "true").await.unwrap();
    for _ in 0..3 {
        next(&mut far).await.unwrap();
    }
    pair.server.channel_success(far.id()).await.unwrap();
    pair.server.channel_failure(far.id()).await.unwrap();
    pair.server.channel_success(far.id()).await.unwrap();
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::Success)));
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::Failure)));
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::Success)));
}

#[tokio::test]
async fn want_reply_is_the_clients() {
    let mut pair = pair().await;
    let (mut near, mut far) = pair.open().await;
    near.request_shell(false).await.unwrap();
    near.exec(true, "true").await.unwrap();
    assert!(matches!(next(&mut far).await, Some(ChannelMsg::RequestShell { want_reply: false })));
    assert!(matches!(next(&mut far).await, Some(ChannelMsg::Exec { want_reply: true, .. })));
    // One was asked for: of two answers, one goes out.
    pair.server.channel_success(far.id()).await.unwrap();
    pair.server.channel_failure(far.id()).await.unwrap();
    far.eof().await.unwrap();
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::Success)));
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::Eof)));
}

#[tokio::test]
async fn an_answer_of_the_library_waits_its_turn() {
    let mut pair = pair().await;
    let (mut near, mut far) = pair.open().await;
    near.request_pty(true, "xterm", 80, 24, 0, 0, &[]).await.unwrap();
    // Refused by default, and at once.
    near.agent_forward(true).await.unwrap();
    near.exec(true, "true").await.unwrap();
    for _ in 0..3 {
        next(&mut far).await.unwrap();
    }
    pair.server.channel_success(far.id()).await.unwrap();
    pair.server.channel_success(far.id()).await.unwrap();
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::Success)));
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::Failure)));
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::Success)));
}

#[tokio::test]
async fn a_request_without_a_reply_is_not_answered_for_another() {
    let mut pair = pair().await;
    pair.client.send_keepalive(false).await.unwrap();
    pair.client.no_more_sessions(false).await.unwrap();
    let refused = pair.client.send_global_request("unknown@test", &[], true);
    assert!(matches!(within("reply", refused).await, Err(russh::Error::RequestDenied)));
    let _ = pair.open().await;
}
