//! 0018: a server announces its host keys after the sign-in, and proves those that a client asks for, and no others.

use std::sync::Arc;

use russh::keys::{PrivateKey, PublicKey};
use russh::server::{self, Auth, GlobalReplyHandle};
use russh::{Channel, client};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::support::{Learns, client_config, key, server_config, sockets, within};

struct Announces;

impl server::Handler for Announces {
    type Error = russh::Error;

    async fn auth_none(&mut self, _: &str) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn auth_succeeded(&mut self, session: &mut server::Session) -> Result<(), Self::Error> {
        session.announce_host_keys()
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

    async fn global_request_later(
        &mut self,
        name: &str,
        data: &[u8],
        reply: GlobalReplyHandle,
        session: &mut server::Session,
    ) -> Result<Option<GlobalReplyHandle>, Self::Error> {
        if name != "hostkeys-prove-00@openssh.com" {
            return Ok(Some(reply));
        }
        match session.prove_host_keys(data)? {
            Some(proof) => reply.success(&proof),
            None => reply.failure(),
        }
        Ok(None)
    }
}

async fn ends(keys: Vec<PrivateKey>) -> (client::Handle<Learns>, UnboundedReceiver<Vec<PublicKey>>) {
    let (near, far) = sockets().await;
    let (to, announced) = unbounded_channel();
    let config = server::Config { keys, ..server_config() };
    let (running, client) = tokio::join!(
        server::run_stream(Arc::new(config), far, Announces),
        client::connect_stream(Arc::new(client_config()), near, Learns(to))
    );
    tokio::spawn(running.unwrap());
    let mut client = client.unwrap();
    assert!(within("sign in", client.authenticate_none("guest")).await.unwrap().success());
    (client, announced)
}

#[tokio::test]
async fn keys_are_announced_once_and_proved_whichever_was_used() {
    let (one, two) = (key(1), key(2));
    let public = [&one, &two].map(|k| k.public_key().key_data().clone());
    let (client, mut announced) = ends(vec![one, two]).await;
    let keys = within("the announcement", announced.recv()).await.unwrap();
    assert_eq!(keys.iter().map(|k| k.key_data().clone()).collect::<Vec<_>>(), public);
    within("the proof of both", client.hostkeys_prove(keys.clone())).await.unwrap();
    within("the proof of the one that was not used", client.hostkeys_prove(keys[1..].to_vec())).await.unwrap();
    assert!(announced.try_recv().is_err(), "once");
}

#[tokio::test]
async fn what_is_not_its_own_is_not_proved_and_the_connection_goes_on() {
    let (one, strange) = (key(1), key(9));
    let own = one.public_key().clone();
    let (client, _announced) = ends(vec![one]).await;
    for asked in [vec![strange.public_key().clone()], vec![own.clone(), strange.public_key().clone()], vec![own.clone(), own.clone()]] {
        let refused = within("a refusal", client.hostkeys_prove(asked)).await;
        assert!(refused.is_err());
    }
    let junk = within("an answer", client.send_global_request("hostkeys-prove-00@openssh.com", &[0, 0, 0, 9, 1], true)).await;
    assert!(!matches!(junk, Ok(Some(_))), "{junk:?}");
    within("the proof", client.hostkeys_prove(vec![own])).await.unwrap();
    within("a channel", client.channel_open_session()).await.unwrap();
}
