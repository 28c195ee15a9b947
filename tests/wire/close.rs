//! 0009: a channel that is closed ends for everybody who uses it.

use russh::ChannelMsg;

use crate::support::{Pair, client_config, next, server_config, within};

const WINDOW: u32 = 64 * 1024;

async fn small_pair() -> Pair {
    let (mut server, mut client) = (server_config(), client_config());
    server.window_size = WINDOW;
    client.window_size = WINDOW;
    Pair::new(server, client).await
}

#[tokio::test]
async fn who_closes_first_learns_of_the_end() {
    let mut pair = small_pair().await;
    let (mut near, mut far) = pair.open().await;
    near.close().await.unwrap();
    assert!(matches!(next(&mut far).await, Some(ChannelMsg::Close)));
    assert!(next(&mut far).await.is_none());
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::Close)));
    assert!(next(&mut near).await.is_none());

    let (mut near, mut far) = pair.open().await;
    far.close().await.unwrap();
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::Close)));
    assert!(next(&mut near).await.is_none());
    assert!(matches!(next(&mut far).await, Some(ChannelMsg::Close)));
    assert!(next(&mut far).await.is_none());
}

#[tokio::test]
async fn a_writer_does_not_wait_for_the_window_of_a_closed_channel() {
    let mut pair = small_pair().await;
    let (near, far) = pair.open().await;
    let writing = near.data_bytes(vec![7; 2 * WINDOW as usize]);
    let (written, closed) = within("the end", async { tokio::join!(writing, far.close()) }).await;
    assert!(written.is_err());
    closed.unwrap();

    let (near, far) = pair.open().await;
    let writing = far.data_bytes(vec![7; 2 * WINDOW as usize]);
    let (written, closed) = within("the end", async { tokio::join!(writing, near.close()) }).await;
    assert!(written.is_err());
    closed.unwrap();
}

#[tokio::test]
async fn what_waits_for_a_closed_channel_does_not_stop_another() {
    let mut pair = small_pair().await;
    let (near, far) = pair.open().await;
    // Does not wait for the window: it waits inside the session.
    pair.server.data(far.id(), vec![7; 2 * WINDOW as usize]).await.unwrap();
    let (mut other_near, other_far) = pair.open().await;
    near.close().await.unwrap();
    within("send", other_far.data_bytes(&b"hello"[..])).await.unwrap();
    assert!(matches!(next(&mut other_near).await, Some(ChannelMsg::Data { .. })));
}
