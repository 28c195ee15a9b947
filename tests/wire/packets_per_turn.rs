//! 0022: packets with data that were read at once are handled in one turn of a session's loop.

use std::sync::atomic::Ordering;

use russh::server::{Auth, ChannelOpenHandle, Msg, Session};
use russh::{Channel, ChannelId, ChannelMsg, server};

use crate::support::{counted, next, within};

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

#[tokio::test]
async fn a_burst_that_is_answered_at_once_is_answered_together() {
    let (guest, _running, counts) = counted(Echo).await;
    let mut near = within("open", guest.channel_open_session()).await.unwrap();

    const BURST: usize = 8;
    const PIECE: usize = 100;
    let mut fewest = usize::MAX;
    for _ in 0..20 {
        let before = counts.writes.load(Ordering::SeqCst);
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
        fewest = fewest.min(counts.writes.load(Ordering::SeqCst) - before);
    }
    assert!(fewest <= 2, "at least {fewest} writes for {BURST} answers");
}
