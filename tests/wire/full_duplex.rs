//! 0010: a session reads while it waits for the peer to take its output.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use russh::{ChannelMsg, client, server};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{Guest, Host, client_config, next, server_config, sockets, within};

const AMOUNT: usize = 1 << 20;

#[tokio::test]
async fn both_ends_send_at_once_over_a_narrow_stream() {
    // Neither end can write much before the other has to read.
    let (near, far) = duplex(4096);
    let (channels, mut accepted) = unbounded_channel();
    let (running, guest) = within("connect", async {
        tokio::join!(
            server::run_stream(Arc::new(server_config()), far, Host { channels }),
            client::connect_stream(Arc::new(client_config()), near, Guest),
        )
    })
    .await;
    let (mut guest, _running) = (guest.unwrap(), running.unwrap());
    let signed_in = within("sign in", guest.authenticate_none("guest")).await;
    assert!(signed_in.unwrap().success());
    let near = within("open", guest.channel_open_session()).await.unwrap();
    let far = within("accept", accepted.recv()).await.unwrap();
    let ((mut near_read, near_write), (mut far_read, far_write)) = (near.split(), far.split());

    let sending = async { tokio::join!(near_write.data_bytes(vec![7; AMOUNT]), far_write.data_bytes(vec![7; AMOUNT]),) };
    macro_rules! receive {
        ($from:expr) => {
            async {
                let mut received = 0;
                while received < AMOUNT {
                    match $from.wait().await {
                        Some(ChannelMsg::Data { data }) => received += data.len(),
                        Some(_) => {}
                        None => panic!("closed after {received} bytes"),
                    }
                }
            }
        };
    }
    let ((there, back), ..) = within("both", async { tokio::join!(sending, receive!(near_read), receive!(far_read)) }).await;
    there.unwrap();
    back.unwrap();
}

#[tokio::test]
async fn what_is_sent_last_arrives() {
    let (channels, mut accepted) = unbounded_channel();
    let (near, far) = sockets().await;
    let (running, guest) = within("connect", async {
        tokio::join!(
            server::run_stream(Arc::new(server_config()), far, Host { channels }),
            client::connect_stream(Arc::new(client_config()), near, Guest),
        )
    })
    .await;
    let (mut guest, running) = (guest.unwrap(), running.unwrap());
    let signed_in = within("sign in", guest.authenticate_none("guest")).await;
    assert!(signed_in.unwrap().success());
    let mut near = within("open", guest.channel_open_session()).await.unwrap();
    let far = within("accept", accepted.recv()).await.unwrap();
    far.data_bytes(vec![7; AMOUNT]).await.unwrap();
    let handle = running.handle();
    handle.disconnect(russh::Disconnect::ByApplication, "over".into(), "".into()).await.unwrap();
    let mut received = 0;
    loop {
        match next(&mut near).await {
            Some(ChannelMsg::Data { data }) => received += data.len(),
            None => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(received, AMOUNT);
}

/// A stream that can be told to deliver nothing any more.
struct Deaf {
    stream: DuplexStream,
    deaf: Arc<AtomicBool>,
}

impl AsyncRead for Deaf {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.deaf.load(Ordering::SeqCst) {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Deaf {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_peer_that_stops_reading_is_found_out() {
    let (near, far) = duplex(4096);
    let deaf = Arc::new(AtomicBool::new(false));
    let near = Deaf { stream: near, deaf: deaf.clone() };
    let (channels, mut accepted) = unbounded_channel();
    let mut config = server_config();
    config.keepalive_interval = Some(Duration::from_millis(50));
    config.keepalive_max = 2;
    let (running, guest) = within("connect", async {
        tokio::join!(
            server::run_stream(Arc::new(config), far, Host { channels }),
            client::connect_stream(Arc::new(client_config()), near, Guest),
        )
    })
    .await;
    let (mut guest, running) = (guest.unwrap(), running.unwrap());
    let signed_in = within("sign in", guest.authenticate_none("guest")).await;
    assert!(signed_in.unwrap().success());
    let _near = within("open", guest.channel_open_session()).await.unwrap();
    let far = within("accept", accepted.recv()).await.unwrap();

    deaf.store(true, Ordering::SeqCst);
    // Does not get far; whether it is told so does not matter here.
    let writing = far.data_bytes(vec![7; AMOUNT]);
    let (end, _) = within("the end", async { tokio::join!(running, writing) }).await;
    assert!(matches!(end, Err(russh::Error::KeepaliveTimeout)), "{end:?}");
}
