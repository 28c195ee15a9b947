//! 0022: packets with data that were read at once are handled in one turn of a session's loop.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use russh::server::{Auth, ChannelOpenHandle, Msg, Session};
use russh::{Channel, ChannelId, ChannelMsg, client, server};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::support::{Guest, client_config, next, server_config, sockets, within};

/// Answers each piece of data from within its callback.
struct Echo;

impl server::Handler for Echo {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(&mut self, _: Channel<Msg>, reply: ChannelOpenHandle, _: &mut Session) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        session.data(channel, data.to_vec())
    }
}

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

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_burst_that_is_answered_at_once_is_answered_together() {
    let (near, stream) = sockets().await;
    let writes = Arc::new(AtomicUsize::new(0));
    let far = Counted { stream, writes: writes.clone() };
    let (running, guest) = within("connect", async {
        tokio::join!(
            server::run_stream(Arc::new(server_config()), far, Echo),
            client::connect_stream(Arc::new(client_config()), near, Guest),
        )
    })
    .await;
    let (mut guest, _running) = (guest.unwrap(), running.unwrap());
    assert!(within("sign in", guest.authenticate_none("guest")).await.unwrap().success());
    let mut near = within("open", guest.channel_open_session()).await.unwrap();

    const BURST: usize = 8;
    const PIECE: usize = 100;
    let mut fewest = usize::MAX;
    for _ in 0..20 {
        let before = writes.load(Ordering::SeqCst);
        for n in 0..BURST {
            near.data_bytes(vec![u8::try_from(n).unwrap(); PIECE]).await.unwrap();
        }
        // Small pieces are merged where they wait.
        let mut came: Vec<u8> = Vec::new();
        while came.len() < BURST * PIECE {
            let Some(ChannelMsg::Data { data }) = next(&mut near).await else { panic!("no data") };
            came.extend(&data);
        }
        assert!(came.chunks(PIECE).enumerate().all(|(n, piece)| piece.iter().all(|b| usize::from(*b) == n)));
        fewest = fewest.min(writes.load(Ordering::SeqCst) - before);
    }
    assert!(fewest <= 2, "at least {fewest} writes for {BURST} answers");
}
