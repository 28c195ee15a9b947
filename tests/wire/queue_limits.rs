//! 0002: what a peer leaves in the queue of a channel is bounded.

use russh::ChannelMsg;

use crate::support::{Pair, client_config, next, server_config, within};

const WINDOW: u32 = 64 * 1024;

#[tokio::test]
async fn a_window_of_single_bytes_becomes_few_messages() {
    let (mut server, client) = (server_config(), client_config());
    server.window_size = WINDOW;
    let mut pair = Pair::new(server, client).await;
    let (near, mut far) = pair.open().await;
    for i in 0..WINDOW {
        within("send", near.data_bytes(vec![i as u8])).await.unwrap();
    }
    near.eof().await.unwrap();
    // The server has queued all of it before anybody reads.
    within("ping", pair.client.send_ping()).await.unwrap();

    let (mut messages, mut bytes) = (0, 0_u32);
    loop {
        match next(&mut far).await {
            Some(ChannelMsg::Data { data }) => {
                messages += 1;
                for byte in data {
                    assert_eq!(byte, bytes as u8);
                    bytes += 1;
                }
            }
            Some(ChannelMsg::Eof) => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bytes, WINDOW);
    assert!(messages <= WINDOW / 2048, "{messages} messages");
}

#[tokio::test]
async fn single_bytes_of_two_streams_become_few_messages() {
    let (server, mut client) = (server_config(), client_config());
    client.window_size = WINDOW;
    let mut pair = Pair::new(server, client).await;
    let (mut near, far) = pair.open().await;
    for i in 0..WINDOW / 2 {
        within("send", far.data_bytes(vec![i as u8])).await.unwrap();
        within("send", far.extended_data_bytes(1, vec![i as u8])).await.unwrap();
    }
    far.exit_status(7).await.unwrap();
    let _ = pair.open().await; // the client has queued all of it

    let (mut messages, mut out, mut err) = (0, 0_u32, 0_u32);
    loop {
        let (data, count) = match next(&mut near).await {
            Some(ChannelMsg::Data { data }) => (data, &mut out),
            Some(ChannelMsg::ExtendedData { data, ext: 1 }) => (data, &mut err),
            Some(ChannelMsg::ExitStatus { exit_status: 7 }) => break,
            other => panic!("{other:?}"),
        };
        messages += 1;
        for byte in data {
            assert_eq!(byte, *count as u8);
            *count += 1;
        }
    }
    assert_eq!((out, err), (WINDOW / 2, WINDOW / 2));
    assert!(messages < 2048, "{messages} messages");
}

#[tokio::test]
async fn a_flood_of_requests_ends_the_connection() {
    let mut pair = Pair::new(server_config(), client_config()).await;
    let (near, _unread) = pair.open().await;
    within("the end", async { while near.set_env(false, "NAME", "value").await.is_ok() {} }).await;
}

#[tokio::test]
async fn a_few_large_requests_end_the_connection() {
    let mut pair = Pair::new(server_config(), client_config()).await;
    let (near, _unread) = pair.open().await;
    let value = "x".repeat(30_000);
    within("the end", async {
        for _ in 0..50 {
            if near.set_env(false, "NAME", &value[..]).await.is_err() {
                return;
            }
        }
        while near.set_env(false, "NAME", "value").await.is_ok() {
            // The server has read the large ones by now, and has not ended.
            pair.client.send_ping().await.unwrap();
            if pair.client.is_closed() {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_terminal_may_be_resized_for_ever() {
    let mut pair = Pair::new(server_config(), client_config()).await;
    let (near, mut far) = pair.open().await;
    for width in 0..10_000 {
        within("send", near.window_change(width, 24, 0, 0)).await.unwrap();
    }
    within("ping", pair.client.send_ping()).await.unwrap();
    match next(&mut far).await {
        Some(ChannelMsg::WindowChange { col_width, .. }) => assert_eq!(col_width, 9_999),
        other => panic!("{other:?}"),
    }
}
