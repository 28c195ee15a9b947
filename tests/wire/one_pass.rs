//! 0021: packets are opened from where they were read and sealed from where they lie.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use russh::{ChannelMsg, cipher};
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{Host, Pair, client_config, counted, next, server_config, within};

#[tokio::test]
async fn packets_that_came_together_are_read_together() {
    let (channels, mut accepted) = unbounded_channel();
    let (guest, _running, counts) = counted(Host { channels }).await;
    let near = within("open", guest.channel_open_session()).await.unwrap();
    let mut far = within("accept", accepted.recv()).await.unwrap();

    const BURST: usize = 8;
    for round in 0..20 {
        let before = counts.reads.load(Ordering::SeqCst);
        for n in 0..BURST {
            near.data_bytes(vec![u8::try_from(n).unwrap(); 5000]).await.unwrap();
        }
        for n in 0..BURST {
            let Some(ChannelMsg::Data { data }) = next(&mut far).await else { panic!("no data") };
            assert_eq!(data, vec![u8::try_from(n).unwrap(); 5000]);
        }
        // Each by itself would be two reads or more. The buffer grows in the first rounds.
        let took = counts.reads.load(Ordering::SeqCst) - before;
        assert!(round < 5 || took < BURST, "round {round}: {took} reads");
    }
}

/// No two places within reach are alike.
fn pattern(len: usize, salt: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i / 251 + i * 7 + salt) % 256).unwrap()).collect()
}

/// Both ends alike.
async fn pair(only: cipher::Name, window: u32, packet: u32) -> Pair {
    let (mut server, mut client) = (server_config(), client_config());
    server.preferred.cipher = Cow::Owned(vec![only]);
    client.preferred.cipher = Cow::Owned(vec![only]);
    (server.window_size, client.window_size) = (window, window);
    (server.maximum_packet_size, client.maximum_packet_size) = (packet, packet);
    Pair::new(server, client).await
}

/// Sends pieces of these sizes both ways, and each once as a part of something that is kept, through windows and packets that
/// divide them.
async fn whole(only: cipher::Name, window: u32, packet: u32) {
    let mut pair = pair(only, window, packet).await;
    let (near, far) = pair.open().await;
    let sizes = [1, 15, 16, 17, 4095, 4096, 4097, 4103, 4104, 4105, 20_000, 32_767, 32_768, 32_769, 65_536, 100_003, 300_000];
    let mut all: Vec<u8> = Vec::new();
    let mut kept = Vec::new();
    for (salt, size) in sizes.into_iter().enumerate() {
        all.extend(pattern(size, salt));
        let more = Bytes::from(pattern(size + 64, salt + 100));
        all.extend(&more[32..size + 32]);
        kept.push(more);
    }
    let (there, back) = (near.split(), far.split());
    let ((mut from_far, to_far), (mut from_near, to_near)) = (there, back);
    let (pieces, shared) = (sizes, kept.clone());
    let up = tokio::spawn(async move {
        for (salt, (size, more)) in pieces.into_iter().zip(shared).enumerate() {
            to_far.data_bytes(pattern(size, salt)).await.unwrap();
            to_far.data_bytes(more.slice(32..size + 32)).await.unwrap();
        }
        to_far
    });
    // What the server receives goes back as it came: opened by one side, sealed by the other.
    let echo = tokio::spawn(async move {
        while let Some(message) = from_near.wait().await {
            match message {
                ChannelMsg::Data { data } => to_near.data_bytes(data).await.unwrap(),
                ChannelMsg::Eof => to_near.extended_data_bytes(1, pattern(50_000, 9)).await.unwrap(),
                ChannelMsg::Close => break,
                _ => {}
            }
        }
    });
    let mut came: Vec<u8> = Vec::new();
    while came.len() < all.len() {
        match within("data", from_far.wait()).await {
            Some(ChannelMsg::Data { data }) => came.extend(&data),
            Some(ChannelMsg::WindowAdjusted { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(came == all, "{only:?}, window {window}, packet {packet}: not what was sent");
    let to_far = within("up", up).await.unwrap();
    to_far.eof().await.unwrap();
    let mut extended: Vec<u8> = Vec::new();
    while extended.len() < 50_000 {
        if let Some(ChannelMsg::ExtendedData { data, ext: 1 }) = within("extended data", from_far.wait()).await {
            extended.extend(&data);
        }
    }
    assert!(extended == pattern(50_000, 9));
    to_far.close().await.unwrap();
    within("echo", echo).await.unwrap();
    for (salt, (size, more)) in sizes.into_iter().zip(kept).enumerate() {
        assert!(more == pattern(size + 64, salt + 100), "what is kept elsewhere was changed");
    }
}

#[tokio::test]
async fn what_is_sealed_from_where_it_lies_arrives_whole() {
    for only in [cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305, cipher::AES_256_CTR] {
        for (window, packet) in [(2 << 20, 32_768), (2 << 20, 65_535), (70_001, 32_768), (100_000, 5_003), (40_000, 4_100)] {
            whole(only, window, packet).await;
        }
    }
}

/// Sent by handles of the sessions: nothing divides it before the session does.
async fn undivided(only: cipher::Name, window: u32, packet: u32) {
    let mut pair = pair(only, window, packet).await;
    let (mut near, mut far) = pair.open().await;
    for (salt, size) in [5_000, 100_003, 300_000].into_iter().enumerate() {
        let sent = pattern(size, salt);
        pair.server.data(far.id(), sent.clone()).await.unwrap();
        let mut came: Vec<u8> = Vec::new();
        while came.len() < size {
            let Some(ChannelMsg::Data { data }) = next(&mut near).await else { panic!("no data") };
            came.extend(&data);
        }
        assert!(came == sent, "{only:?}, window {window}, packet {packet}, {size} bytes to the client");

        pair.server.extended_data(far.id(), 1, sent.clone()).await.unwrap();
        let mut came: Vec<u8> = Vec::new();
        while came.len() < size {
            let Some(ChannelMsg::ExtendedData { data, ext: 1 }) = next(&mut near).await else { panic!("no extended data") };
            came.extend(&data);
        }
        assert!(came == sent, "{only:?}, window {window}, packet {packet}, {size} bytes of extended data");

        pair.client.data(near.id(), sent.clone()).await.unwrap();
        let mut came: Vec<u8> = Vec::new();
        while came.len() < size {
            let Some(ChannelMsg::Data { data }) = next(&mut far).await else { panic!("no data") };
            came.extend(&data);
        }
        assert!(came == sent, "{only:?}, window {window}, packet {packet}, {size} bytes to the server");
    }
}

#[tokio::test]
async fn what_the_session_divides_arrives_whole() {
    for only in [cipher::AES_128_GCM, cipher::CHACHA20_POLY1305] {
        for (window, packet) in [(2 << 20, 32_768), (2 << 20, 65_535), (70_001, 32_768), (100_000, 5_003), (40_000, 4_100), (4_200, 4_200)]
        {
            undivided(only, window, packet).await;
        }
    }
}

/// What waits to be taken is bounded by the window in bytes of data: the memory that holds it must not be much more.
#[tokio::test]
async fn a_packet_holds_little_more_memory_than_its_data() {
    let mut pair = pair(cipher::AES_128_GCM, 2 << 20, 32_768).await;
    let (near, mut far) = pair.open().await;
    for len in [1, 4095, 4096, 5_000, 16_384, 24_000, 25_000, 32_768] {
        near.data_bytes(vec![7; len]).await.unwrap();
        let Some(ChannelMsg::Data { data }) = next(&mut far).await else { panic!("no data") };
        assert_eq!(data.len(), len);
        let room = data.try_into_mut().unwrap().capacity();
        assert!(room <= len + len / 3 + 256, "{room} bytes for {len}");
    }
}
