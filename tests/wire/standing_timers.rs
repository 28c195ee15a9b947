//! 0025: the timer of the next key exchange stands, and goes off each time. Stock does so, too: this holds it to that.

use std::time::Duration;

use russh::client;
use russh::keys::PublicKeyOrCertificate;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::{Host, client_config, server_config, sockets, within};

/// A client that trusts every host and tells of each exchange of keys.
struct Told(UnboundedSender<()>);

impl client::Handler for Told {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }

    async fn kex_done(&mut self, _: Option<&[u8]>, _: &russh::Names, _: &mut client::Session) -> Result<(), Self::Error> {
        let _ = self.0.send(());
        Ok(())
    }
}

async fn signed_in(
    server: russh::server::Config,
    client: client::Config,
) -> (client::Handle<Told>, UnboundedReceiver<()>, UnboundedReceiver<russh::Channel<russh::server::Msg>>) {
    let (near, far) = sockets().await;
    let (tell, told) = unbounded_channel();
    let (channels, accepted) = unbounded_channel();
    let (running, guest) = within("connect", async {
        tokio::join!(
            russh::server::run_stream(std::sync::Arc::new(server), far, Host { channels }),
            client::connect_stream(std::sync::Arc::new(client), near, Told(tell)),
        )
    })
    .await;
    let (mut guest, running) = (guest.unwrap(), running.unwrap());
    tokio::spawn(running);
    assert!(within("sign in", guest.authenticate_none("guest")).await.unwrap().success());
    (guest, told, accepted)
}

async fn exchanges(told: &mut UnboundedReceiver<()>, count: usize) {
    for n in 0..count {
        within("an exchange of keys", told.recv()).await.unwrap_or_else(|| panic!("the session ended after {n}"));
    }
}

#[tokio::test]
async fn keys_are_exchanged_each_time_that_they_are_old() {
    let mut client = client_config();
    client.limits.rekey_time_limit = Duration::from_millis(50);
    let (_guest, mut told, _accepted) = signed_in(server_config(), client).await;
    exchanges(&mut told, 5).await;

    let mut server = server_config();
    server.limits.rekey_time_limit = Duration::from_millis(50);
    let (_guest, mut told, _accepted) = signed_in(server, client_config()).await;
    exchanges(&mut told, 5).await;
}

#[tokio::test]
async fn keys_are_exchanged_each_time_that_enough_was_written() {
    const LIMIT: usize = 100_000;
    let (mut server, mut client) = (server_config(), client_config());
    server.limits.rekey_write_limit = LIMIT;
    client.limits.rekey_write_limit = LIMIT;
    let (guest, mut told, mut accepted) = signed_in(server, client).await;
    let mut near = within("open", guest.channel_open_session()).await.unwrap();
    let far = within("accept", accepted.recv()).await.unwrap();
    // The one of the sign-in.
    exchanges(&mut told, 1).await;
    for _ in 0..5 {
        far.data_bytes(vec![7; LIMIT]).await.unwrap();
        let mut taken = 0;
        while taken < LIMIT {
            if let Some(russh::ChannelMsg::Data { data }) = within("data", near.wait()).await {
                taken += data.len();
            }
        }
        exchanges(&mut told, 1).await;
    }
}
