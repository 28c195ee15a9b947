//! 0012: a client's close is answered when whoever reads the channel is ready to.

use russh::ChannelMsg;

use crate::support::{Pair, client_config, next, server_config, within};

#[tokio::test]
async fn the_answer_to_a_close_waits_for_the_reader() {
    let mut server = server_config();
    server.consumer_answers_close = true;
    let mut pair = Pair::new(server, client_config()).await;
    let (mut near, mut far) = pair.open().await;
    near.close().await.unwrap();
    assert!(matches!(next(&mut far).await, Some(ChannelMsg::Close)));
    // What is said on another channel meanwhile comes through; the answer to the close would have come before it.
    let (mut other_near, other_far) = pair.open().await;
    within("send", other_far.data_bytes(&b"hello"[..])).await.unwrap();
    assert!(matches!(next(&mut other_near).await, Some(ChannelMsg::Data { .. })));
    tokio::select! {
        biased;
        early = near.wait() => panic!("the close was answered before the reader was ready: {early:?}"),
        () = std::future::ready(()) => {}
    }
    far.exit_status(3).await.unwrap();
    far.close().await.unwrap();
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::Close)));
    assert!(next(&mut near).await.is_none());
}
