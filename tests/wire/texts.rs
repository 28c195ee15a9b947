//! 0011: words of the peer that are not UTF-8 end no session.

use russh::ChannelMsg;

use crate::support::{Pair, client_config, next, server_config};

#[tokio::test]
async fn the_message_of_a_signal_may_be_in_any_encoding() {
    let mut pair = Pair::new(server_config(), client_config()).await;
    let (mut near, far) = pair.open().await;
    // TERM, no core dump, "beendet für heute" in Latin-1, no language.
    let signal = b"\0\0\0\x04TERM\0\0\0\0\x11beendet f\xfcr heute\0\0\0\0";
    far.request("exit-signal", false, &signal[..]).await.unwrap();
    match next(&mut near).await {
        Some(ChannelMsg::ExitSignal { error_message, .. }) => {
            assert_eq!(error_message, "beendet f\u{fffd}r heute");
        }
        other => panic!("{other:?}"),
    }
}
