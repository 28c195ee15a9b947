//! 0026: who takes the data of a burst begins before all of it was read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use russh::keys::PublicKeyOrCertificate;
use russh::server::Auth;
use russh::{Channel, ChannelId, ChannelMsg, client, server};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::{let_in, lets_in, open, packet, read, server_config, string, within};

/// Pieces of a burst. They fit into the buffers of a loopback socket together.
const BURST: usize = 90;
const PIECE: usize = 1000;
/// More are not handled in one turn of a session's loop (`MAX_PACKETS_PER_TURN` in the library).
const TURN: usize = 16;

/// Either side: it counts the pieces that its session has read, and hands each channel over.
struct Seen<M: From<(ChannelId, ChannelMsg)>> {
    pieces: Arc<AtomicUsize>,
    channels: UnboundedSender<Channel<M>>,
}

impl server::Handler for Seen<server::Msg> {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<server::Msg>,
        reply: server::ChannelOpenHandle,
        _: &mut server::Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        let _ = self.channels.send(channel);
        Ok(())
    }

    async fn data(&mut self, _: ChannelId, _: &[u8], _: &mut server::Session) -> Result<(), Self::Error> {
        self.pieces.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

impl client::Handler for Seen<client::Msg> {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<client::Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        reply: client::ChannelOpenHandle,
        _: &mut client::Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        let _ = self.channels.send(channel);
        Ok(())
    }

    async fn data(&mut self, _: ChannelId, _: &[u8], _: &mut client::Session) -> Result<(), Self::Error> {
        self.pieces.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Sends a burst, all of which lies in the two sockets before the session is woken (one thread runs it and this). Returns how much of
/// it the session had read whenever the consumer had its turn.
async fn turns<M>(stream: &mut TcpStream, mut opened: UnboundedReceiver<Channel<M>>, pieces: &AtomicUsize) -> Vec<usize>
where
    M: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
{
    let answer = read(stream).await;
    assert_eq!(answer[0], 91);
    let data = [&[94][..], &answer[5..9], &u32::try_from(PIECE).unwrap().to_be_bytes(), &[7; PIECE]].concat();
    let mut channel = within("the channel", opened.recv()).await.unwrap();
    let burst = packet(&data).repeat(BURST);
    stream.writable().await.unwrap();
    assert_eq!(stream.try_write(&burst).unwrap(), burst.len(), "the sockets do not hold it");
    let (mut taken, mut read) = (0, Vec::new());
    while taken < BURST * PIECE {
        let Some(ChannelMsg::Data { data }) = within("data", channel.wait()).await else { panic!("no data") };
        taken += data.len();
        read.push(pieces.load(Ordering::SeqCst));
    }
    assert_eq!(read.last(), Some(&BURST));
    read
}

/// The consumer had a turn after each of the session's. One with a single packet does not give way: it adds to the next.
fn in_turns(read: &[usize]) {
    let ahead = read.iter().scan(0, |before, now| Some(now - std::mem::replace(before, *now))).max().unwrap();
    assert!(ahead <= TURN + 1, "{ahead} pieces were read in a row: {read:?}");
}

#[tokio::test]
async fn the_consumer_of_a_burst_at_a_server_begins_before_all_of_it_was_read() {
    let (channels, opened) = unbounded_channel();
    let pieces = Arc::new(AtomicUsize::new(0));
    let mut stream = let_in(server_config(), Seen { pieces: pieces.clone(), channels }).await;
    open(&mut stream, "session", 0, &[]).await;
    in_turns(&turns(&mut stream, opened, &pieces).await);
}

#[tokio::test]
async fn the_consumer_of_a_burst_at_a_client_begins_before_all_of_it_was_read() {
    let (channels, opened) = unbounded_channel();
    let pieces = Arc::new(AtomicUsize::new(0));
    let mut stream = lets_in(Seen { pieces: pieces.clone(), channels }).await;
    let port = 80_u32.to_be_bytes();
    let rest = [&string("localhost")[..], &port, &string("localhost"), &port].concat();
    open(&mut stream, "forwarded-tcpip", 0, &rest).await;
    in_turns(&turns(&mut stream, opened, &pieces).await);
}
