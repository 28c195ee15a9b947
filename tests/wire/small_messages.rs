//! 0020: what waits in the queues of a connection is small, since each queue has room for 32 from the start.

use russh::{client, server};

#[test]
fn a_message_takes_no_more_than_three_lines_of_a_cache() {
    let sizes = [
        size_of::<client::Msg>(),
        size_of::<server::Msg>(),
        size_of::<client::ChannelOpenHandle>(),
        size_of::<server::ChannelOpenHandle>(),
    ];
    assert!(sizes[..2].iter().all(|size| *size <= 192) && sizes[2..].iter().all(|size| *size <= 32), "{sizes:?}");
}
