//! 0001: the window is given back when the consumer takes the data.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use russh::server::Auth;
use russh::{Channel, ChannelId, ChannelMsg, server};
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{Pair, client_config, connect_in, next, server_config, within};

const WINDOW: u32 = 64 * 1024;

fn small_windows() -> (server::Config, russh::client::Config) {
    let (mut server, mut client) = (server_config(), client_config());
    server.window_size = WINDOW;
    client.window_size = WINDOW;
    (server, client)
}

async fn small_pair() -> Pair {
    let (server, client) = small_windows();
    Pair::new(server, client).await
}

/// Takes data until there are `amount` bytes.
async fn take<M>(channel: &mut Channel<M>, amount: usize)
where
    M: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
{
    let mut taken = 0;
    while taken < amount {
        match next(channel).await {
            Some(ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. }) => {
                taken += data.len();
            }
            other => panic!("{other:?} after {taken} bytes"),
        }
    }
    assert_eq!(taken, amount);
}

#[tokio::test]
async fn a_stalled_channel_does_not_stop_another() {
    let mut pair = small_pair().await;
    let (stalled, _unread) = pair.open().await;
    // More messages than any queue of a fixed length holds, less than the window.
    for _ in 0..500 {
        within("send", stalled.data_bytes(&b"unread"[..])).await.unwrap();
    }
    let (near, mut far) = pair.open().await;
    near.data_bytes(&b"hello"[..]).await.unwrap();
    take(&mut far, 5).await;
}

#[tokio::test]
async fn a_stalled_channel_does_not_stop_another_of_the_host() {
    let mut pair = small_pair().await;
    let (_unread, stalled) = pair.open().await;
    for _ in 0..500 {
        within("send", stalled.data_bytes(&b"unread"[..])).await.unwrap();
    }
    let (mut near, far) = pair.open().await;
    far.data_bytes(&b"hello"[..]).await.unwrap();
    take(&mut near, 5).await;
}

#[tokio::test]
async fn the_client_stops_at_its_window() {
    let mut pair = small_pair().await;
    let (near, mut far) = pair.open().await;
    let all = vec![7; WINDOW as usize];
    within("send", near.data_bytes(all.clone())).await.unwrap();
    // An answer that the server gives after it has seen all of it.
    within("ping", pair.client.send_ping()).await.unwrap();
    assert_eq!(near.writable_packet_size().await, 0);

    take(&mut far, all.len()).await;
    within("send", near.data_bytes(all.clone())).await.unwrap();
    take(&mut far, all.len()).await;
}

#[tokio::test]
async fn the_host_stops_at_its_window() {
    let mut pair = small_pair().await;
    let (mut near, far) = pair.open().await;
    let all = vec![7; WINDOW as usize / 2];
    within("send", far.data_bytes(all.clone())).await.unwrap();
    within("send", far.extended_data_bytes(1, all.clone())).await.unwrap();
    // The client has seen all of it when it has seen a message after it.
    far.exit_status(0).await.unwrap();
    let (_, other) = pair.open().await;
    other.eof().await.unwrap();
    within("ping", pair.client.send_ping()).await.unwrap();
    assert_eq!(far.writable_packet_size().await, 0);

    take(&mut near, WINDOW as usize).await;
    assert!(matches!(next(&mut near).await, Some(ChannelMsg::ExitStatus { exit_status: 0 })));
    within("send", far.data_bytes(all.clone())).await.unwrap();
    take(&mut near, all.len()).await;
}

#[tokio::test]
async fn many_windows_pass_while_keys_are_exchanged() {
    let mut pair = small_pair().await;
    let (near, mut far) = pair.open().await;
    let amount = 100 * WINDOW as usize;
    let sender = tokio::spawn(async move {
        near.data_bytes(vec![7; amount]).await.unwrap();
        near
    });
    for _ in 0..100 {
        take(&mut far, WINDOW as usize / 8 * 8).await;
        pair.client.rekey_soon().await.unwrap();
    }
    within("sender", sender).await.unwrap();
}

/// Sees data in callbacks alone and drops the channel.
struct Callbacks {
    seen: Arc<AtomicUsize>,
    keep: Option<u32>,
    done: tokio::sync::mpsc::UnboundedSender<usize>,
}

impl server::Handler for Callbacks {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<server::Msg>,
        reply: server::ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn data(&mut self, _: ChannelId, data: &[u8], _: &mut server::Session) -> Result<(), Self::Error> {
        let seen = self.seen.fetch_add(data.len(), Ordering::SeqCst) + data.len();
        let _ = self.done.send(seen);
        Ok(())
    }

    fn adjust_window(&mut self, _: ChannelId, current: u32) -> u32 {
        self.keep.unwrap_or(current)
    }
}

async fn callbacks_receive(keep: Option<u32>) {
    let (server, client) = small_windows();
    let (done, mut progress) = unbounded_channel();
    let host = Callbacks { seen: Arc::default(), keep, done };
    let (guest, _server) = connect_in(server, client, host).await;
    let channel = within("open", guest.channel_open_session()).await.unwrap();
    let amount = 50 * WINDOW as usize;
    within("send", channel.data_bytes(vec![7; amount])).await.unwrap();
    while within("data", progress.recv()).await.unwrap() < amount {}
}

#[tokio::test]
async fn a_dropped_channel_counts_as_read() {
    callbacks_receive(None).await;
}

#[tokio::test]
async fn a_window_may_shrink_and_grow() {
    callbacks_receive(Some(WINDOW / 16)).await;
    callbacks_receive(Some(WINDOW * 16)).await;
}

/// One direction of a relay.
macro_rules! pump {
    ($from:expr, $to:expr) => {
        async {
            while let Some(msg) = $from.wait().await {
                match msg {
                    ChannelMsg::Data { data } => $to.data_bytes(data).await.unwrap(),
                    ChannelMsg::Eof => break,
                    _ => {}
                }
            }
            $to.eof().await.unwrap();
        }
    };
}

#[tokio::test]
async fn a_relay_of_two_legs_keeps_every_byte() {
    let (mut client_leg, mut host_leg) = (small_pair().await, small_pair().await);
    let (person, broker_near) = client_leg.open().await;
    let (broker_far, host) = host_leg.open().await;

    // `cat`: what comes goes back.
    tokio::spawn(async move {
        let (mut read, write) = host.split();
        pump!(read, write).await;
    });
    tokio::spawn(async move {
        let (mut near_read, near_write) = broker_near.split();
        let (mut far_read, far_write) = broker_far.split();
        tokio::join!(pump!(near_read, far_write), pump!(far_read, near_write));
    });

    let (mut read, write) = person.split();
    let sent: Vec<u8> = (0..8 << 20_u32).map(|i: u32| (i % 251) as u8).collect();
    let expected = sent.clone();
    tokio::spawn(async move {
        write.data_bytes(sent).await.unwrap();
        write.eof().await.unwrap();
    });
    let mut received = Vec::new();
    loop {
        match within("echo", read.wait()).await {
            Some(ChannelMsg::Data { data }) => received.extend_from_slice(&data),
            Some(ChannelMsg::Eof) => break,
            Some(_) => {}
            None => panic!("closed after {} bytes", received.len()),
        }
    }
    assert!(received == expected);
}
