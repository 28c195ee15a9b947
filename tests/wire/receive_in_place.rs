//! 0013: channel data is handed on where it was read and decrypted.

use russh::ChannelMsg;

use crate::support::{Pair, client_config, next, server_config};

/// What precedes the data in a packet: length, length of the padding, message number, channel, length of the data; with
/// extended data its code, too (RFC 4253 §6, RFC 4254 §5.2).
const BEFORE_DATA: usize = 4 + 1 + 1 + 4 + 4;
const BEFORE_EXTENDED_DATA: usize = BEFORE_DATA + 4;
/// Allocators align blocks of this size to at least so much.
const ALIGNMENT: usize = 8;

/// Data that is the start of a block of its own is aligned; in its packet it lies behind the header.
fn offset(data: &[u8]) -> usize {
    data.as_ptr().addr() % ALIGNMENT
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect()
}

#[tokio::test]
async fn large_data_stays_in_its_packet_and_small_data_does_not() {
    let mut pair = Pair::new(server_config(), client_config()).await;
    let (mut near, mut far) = pair.open().await;
    for len in [1, 4095, 4096, 4097, 20_000, 32_768] {
        let shared = len >= 4096;
        let at = |before: usize| if shared { before % ALIGNMENT } else { 0 };
        let sent = pattern(len);

        near.data_bytes(sent.clone()).await.unwrap();
        let Some(ChannelMsg::Data { data }) = next(&mut far).await else { panic!("no data") };
        assert_eq!(data, sent);
        assert_eq!(offset(&data), at(BEFORE_DATA), "to the server, {len} bytes");

        far.data_bytes(sent.clone()).await.unwrap();
        let Some(ChannelMsg::Data { data }) = next(&mut near).await else { panic!("no data") };
        assert_eq!(data, sent);
        assert_eq!(offset(&data), at(BEFORE_DATA), "to the client, {len} bytes");

        far.extended_data_bytes(1, sent.clone()).await.unwrap();
        let Some(ChannelMsg::ExtendedData { data, ext: 1 }) = next(&mut near).await else { panic!("no extended data") };
        assert_eq!(data, sent);
        assert_eq!(offset(&data), at(BEFORE_EXTENDED_DATA), "extended, {len} bytes");
    }
}
