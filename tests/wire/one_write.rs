//! 0014: what is queued together is written together.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use russh::{ChannelMsg, client, server};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{Guest, Host, client_config, next, server_config, sockets, within};

/// A stream that counts what is written to it.
struct Counted {
    stream: TcpStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_burst_of_a_server_is_one_write() {
    let (near, stream) = sockets().await;
    let writes = Arc::new(AtomicUsize::new(0));
    let far = Counted { stream, writes: writes.clone() };
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
    let mut near = within("open", guest.channel_open_session()).await.unwrap();
    let far = within("accept", accepted.recv()).await.unwrap();

    // Fewer than the queue has room for: none waits for the session, which runs on this thread as well.
    const BURST: usize = 8;
    for round in 0..20 {
        let before = writes.load(Ordering::SeqCst);
        for n in 0..BURST {
            far.data_bytes(vec![u8::try_from(n).unwrap(); 5000]).await.unwrap();
        }
        for n in 0..BURST {
            let Some(ChannelMsg::Data { data }) = next(&mut near).await else { panic!("no data") };
            assert_eq!(data, vec![u8::try_from(n).unwrap(); 5000]);
        }
        assert_eq!(writes.load(Ordering::SeqCst) - before, 1, "round {round}");
    }
}
