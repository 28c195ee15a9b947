//! 0008: what is sent after data does not arrive before it.

use russh::server::Auth;
use russh::{Channel, ChannelId, ChannelMsg, server};

use crate::support::{client_config, connect_in, next, server_config, within};

const WINDOW: u32 = 64 * 1024;
const OUTPUT: usize = 10 * WINDOW as usize;

/// Answers a command with output larger than the window, and the end.
struct Command;

impl server::Handler for Command {
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

    async fn exec_request(&mut self, channel: ChannelId, _: &[u8], session: &mut server::Session) -> Result<(), Self::Error> {
        session.channel_success(channel)?;
        session.data(channel, vec![7; OUTPUT])?;
        session.eof(channel)?;
        session.exit_status_request(channel, 3)?;
        session.close(channel)
    }
}

#[tokio::test]
async fn the_exit_status_comes_after_the_output() {
    let mut client = client_config();
    client.window_size = WINDOW;
    let (guest, _server) = connect_in(server_config(), client, Command).await;
    let mut channel = within("open", guest.channel_open_session()).await.unwrap();
    channel.exec(true, "true").await.unwrap();
    assert!(matches!(next(&mut channel).await, Some(ChannelMsg::Success)));
    let mut output = 0;
    loop {
        match next(&mut channel).await {
            Some(ChannelMsg::Data { data }) => output += data.len(),
            Some(ChannelMsg::Eof) => break,
            other => panic!("{other:?} after {output} bytes"),
        }
    }
    assert_eq!(output, OUTPUT);
    assert!(matches!(next(&mut channel).await, Some(ChannelMsg::ExitStatus { exit_status: 3 })));
    assert!(matches!(next(&mut channel).await, Some(ChannelMsg::Close)));
}
