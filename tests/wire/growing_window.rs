//! 0024: a window grows where it bounds how fast the peer can send, and only there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelId, ChannelMsg, client, server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;

use crate::support::{Host, client_config, server_config, sockets, within};

const WINDOW: u32 = 64 * 1024;
const MOST: u32 = 400 * 1024;
/// One way. A window that is used up in a round trip lasts longer than those of hosts nearby.
const DELAY: Duration = Duration::from_millis(5);

/// Passes on what comes, later.
async fn late(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let (keep, mut kept) = unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut piece = vec![0; 64 * 1024];
        while let Ok(n @ 1..) = from.read(&mut piece).await {
            let _ = keep.send((Instant::now() + DELAY, piece[..n].to_vec()));
        }
    };
    let write = async move {
        while let Some((due, bytes)) = kept.recv().await {
            tokio::time::sleep_until(due).await;
            let _ = to.write_all(&bytes).await;
        }
    };
    tokio::join!(read, write);
}

fn delayed(one: TcpStream, other: TcpStream) {
    let (one_read, one_write) = one.into_split();
    let (other_read, other_write) = other.into_split();
    tokio::spawn(late(one_read, other_write));
    tokio::spawn(late(other_read, one_write));
}

/// A client that trusts every host and counts the bytes that come, whoever takes them when.
struct Counting(Arc<AtomicUsize>);

impl client::Handler for Counting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }

    async fn data(&mut self, _: ChannelId, data: &[u8], _: &mut client::Session) -> Result<(), Self::Error> {
        self.0.fetch_add(data.len(), Ordering::SeqCst);
        Ok(())
    }
}

/// A client with windows that grow, and a server that is far away.
struct Far {
    guest: client::Handle<Counting>,
    accepted: UnboundedReceiver<Channel<server::Msg>>,
    came: Arc<AtomicUsize>,
}

impl Far {
    async fn away() -> Self {
        let ((near, one), (other, far)) = (sockets().await, sockets().await);
        delayed(one, other);
        let mut config = client_config();
        config.window_size = WINDOW;
        config.maximum_window_size = MOST;
        let (channels, accepted) = unbounded_channel();
        let came = Arc::new(AtomicUsize::new(0));
        let (running, guest) = within("connect", async {
            tokio::join!(
                server::run_stream(Arc::new(server_config()), far, Host { channels }),
                client::connect_stream(Arc::new(config), near, Counting(came.clone())),
            )
        })
        .await;
        let (mut guest, running) = (guest.unwrap(), running.unwrap());
        tokio::spawn(running);
        assert!(within("sign in", guest.authenticate_none("guest")).await.unwrap().success());
        Self { guest, accepted, came }
    }

    /// The client's end of a channel and the server's.
    async fn open(&mut self) -> (Channel<client::Msg>, Channel<server::Msg>) {
        let near = within("open", self.guest.channel_open_session()).await.unwrap();
        let far = within("accept", self.accepted.recv()).await.unwrap();
        (near, far)
    }
}

/// Sends, and returns the largest window that it was granted meanwhile.
async fn send(far: Channel<server::Msg>, amount: usize) -> u32 {
    let (mut told, data) = far.split();
    let sender = tokio::spawn(async move {
        data.data_bytes(vec![7; amount]).await.unwrap();
        data.eof().await.unwrap();
        data.close().await.unwrap();
    });
    let mut largest = WINDOW;
    while let Some(message) = within("a grant", told.wait()).await {
        if let ChannelMsg::WindowAdjusted { new_size } = message {
            largest = largest.max(new_size);
        }
    }
    within("sender", sender).await.unwrap();
    largest
}

/// Takes all there is, at once.
async fn take_all(mut near: Channel<client::Msg>) -> usize {
    let mut taken = 0;
    while let Some(message) = within("data", near.wait()).await {
        if let ChannelMsg::Data { data } = message {
            taken += data.len();
        }
    }
    near.close().await.unwrap();
    taken
}

#[tokio::test]
async fn a_window_grows_where_the_peer_waits_for_it() {
    let amount = 40 * WINDOW as usize;
    let mut away = Far::away().await;
    let (near, far) = away.open().await;
    let sender = tokio::spawn(send(far, amount));
    assert_eq!(take_all(near).await, amount);
    let largest = within("sender", sender).await.unwrap();
    assert!(largest > 2 * WINDOW, "{largest}");
    assert!(largest <= MOST, "{largest}");

    // What comes after it begins anew, and is given back as much.
    let (near, far) = away.open().await;
    let sender = tokio::spawn(send(far, amount));
    assert_eq!(take_all(near).await, amount);
    within("sender", sender).await.unwrap();
}

#[tokio::test]
async fn a_window_does_not_grow_for_a_consumer_that_is_slower_than_the_peer() {
    let amount = 20 * WINDOW as usize;
    let mut away = Far::away().await;
    let (mut near, far) = away.open().await;
    let sender = tokio::spawn(send(far, amount));
    let mut taken = 0;
    let mut round = 0;
    while taken < amount {
        // All that the window allows has come when the answers to these have.
        within("ping", away.guest.send_ping()).await.unwrap();
        within("ping", away.guest.send_ping()).await.unwrap();
        let waits = away.came.load(Ordering::SeqCst) - taken;
        assert!(waits <= WINDOW as usize, "{waits} bytes wait in round {round}");
        round += 1;
        let until = (round * WINDOW as usize / 4).min(amount);
        while taken < until {
            if let Some(ChannelMsg::Data { data }) = within("data", near.wait()).await {
                taken += data.len();
            }
        }
    }
    while within("the end", near.wait()).await.is_some() {}
    near.close().await.unwrap();
    within("sender", sender).await.unwrap();
}
