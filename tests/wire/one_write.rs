//! 0014: what is queued together is written together.

use std::sync::atomic::Ordering;

use russh::ChannelMsg;
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{Host, counted, next, within};

#[tokio::test]
async fn a_burst_of_a_server_is_one_write() {
    let (channels, mut accepted) = unbounded_channel();
    let (guest, _running, counts) = counted(Host { channels }).await;
    let mut near = within("open", guest.channel_open_session()).await.unwrap();
    let far = within("accept", accepted.recv()).await.unwrap();

    // Fewer than the queue has room for: none waits for the session, which runs on this thread as well.
    const BURST: usize = 8;
    for round in 0..20 {
        let before = counts.writes.load(Ordering::SeqCst);
        for n in 0..BURST {
            far.data_bytes(vec![u8::try_from(n).unwrap(); 5000]).await.unwrap();
        }
        for n in 0..BURST {
            let Some(ChannelMsg::Data { data }) = next(&mut near).await else { panic!("no data") };
            assert_eq!(data, vec![u8::try_from(n).unwrap(); 5000]);
        }
        assert_eq!(counts.writes.load(Ordering::SeqCst) - before, 1, "round {round}");
    }
}
