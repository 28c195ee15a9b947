//! A client that says anything in any order to the server's loop of the patched russh. The first byte says whether it has
//! signed in before, and whether what follows is packets or raw bytes.
#![no_main]

mod clear;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session};
use russh::{Channel, ChannelId};

static CONFIG: LazyLock<Arc<server::Config>> = LazyLock::new(|| {
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&[7; 32]));
    Arc::new(server::Config {
        preferred: clear::preferred(),
        keys: vec![PrivateKey::new(pair, "").expect("a key")],
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        inactivity_timeout: None,
        consumer_answers_close: true,
        ..server::Config::default()
    })
});

/// Lets everybody in, and reads what comes on a channel until it ends.
struct Open;

impl server::Handler for Open {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        mut channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        tokio::spawn(async move {
            while let Some(message) = channel.wait().await {
                if matches!(message, russh::ChannelMsg::Close) {
                    let _ = channel.close().await;
                }
            }
        });
        Ok(())
    }

    async fn channel_request(&mut self, _: ChannelId, _: &str, _: bool, _: &[u8], _: &mut Session) -> Result<bool, Self::Error> {
        Ok(true)
    }

    async fn global_request(&mut self, _: &str, _: &[u8], _: &mut Session) -> Result<bool, Self::Error> {
        Ok(false)
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let mut said = if first & 4 == 0 { clear::opening() } else { Vec::new() };
    if first & 1 == 1 {
        clear::sign_in(&mut said);
    }
    if first & 2 == 0 {
        clear::script(rest, &mut said);
    } else {
        said.extend(rest);
    }
    clear::converse(said, |theirs| async move {
        if let Ok(running) = server::run_stream(Arc::clone(&CONFIG), theirs, Open).await {
            let _ = running.await;
        }
    });
});
