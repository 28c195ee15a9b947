//! 0023: a client that host keys are announced to by a request that wants an answer gives one, in its turn.

use std::sync::Arc;

use russh::client;
use russh::keys::{PublicKey, PublicKeyOrCertificate};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::support::{client_config, exchange, key, read, send, sockets, string, unencrypted, within};

struct Learns(UnboundedSender<Vec<PublicKey>>);

impl client::Handler for Learns {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }

    async fn openssh_ext_host_keys_announced(&mut self, keys: Vec<PublicKey>, _: &mut client::Session) -> Result<(), Self::Error> {
        let _ = self.0.send(keys);
        Ok(())
    }
}

#[tokio::test]
async fn an_announcement_is_answered_when_that_is_wanted_and_else_not() {
    let (near, mut far) = sockets().await;
    let (to, mut announced) = unbounded_channel();
    let config = Arc::new(client::Config { preferred: unencrypted(), ..client_config() });
    tokio::spawn(async move {
        let mut guest = client::connect_stream(config, near, Learns(to)).await.unwrap();
        assert!(guest.authenticate_none("guest").await.unwrap().success());
        // Until the other end goes.
        let _ = guest.await;
    });
    exchange(&mut far).await;
    assert_eq!(read(&mut far).await[0], 5);
    send(&mut far, &[vec![6], string("ssh-userauth")].concat()).await;
    assert_eq!(read(&mut far).await[0], 50);
    send(&mut far, &[52]).await;
    let keys = [key(1), key(2)].map(|key| key.public_key().clone());
    let blob = |key: &PublicKey| {
        let bytes = key.to_bytes().unwrap();
        [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat()
    };
    for wanted in [true, false, true] {
        send(
            &mut far,
            &[vec![80], string("hostkeys-00@openssh.com"), vec![u8::from(wanted)], keys.iter().flat_map(blob).collect()].concat(),
        )
        .await;
        if wanted {
            assert_eq!(within("an answer", read(&mut far)).await, [81]);
        }
        assert_eq!(within("the keys", announced.recv()).await.unwrap(), keys);
        // And what comes then answers what is asked then.
        send(&mut far, &[vec![80], string("nothing@example.com"), vec![1]].concat()).await;
        assert_eq!(within("a refusal", read(&mut far)).await, [82]);
    }
}
