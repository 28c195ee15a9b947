//! 0005: once the keys are installed, the secret they came from is gone.

use std::borrow::Cow;
use std::sync::{Arc, Mutex};

use russh::keys::PublicKeyOrCertificate;
use russh::{Preferred, client, kex, server};
use tokio::sync::mpsc::unbounded_channel;

use crate::memory::{Masked, Stacks};
use crate::support::{Host, client_config, server_config, sockets, within};

/// Notes the shared secret when the library shows it, masked.
struct Noting(Arc<Mutex<Option<Masked>>>);

impl client::Handler for Noting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }

    async fn kex_done(&mut self, secret: Option<&[u8]>, _: &russh::Names, _: &mut client::Session) -> Result<(), Self::Error> {
        *self.0.lock().unwrap() = secret.map(Masked::of);
        Ok(())
    }
}

async fn after_the_exchange(kex: kex::Name) -> Vec<String> {
    let preferred = Preferred { kex: Cow::Owned(vec![kex]), ..Preferred::default() };
    let (mut server, mut client) = (server_config(), client_config());
    server.preferred = preferred.clone();
    client.preferred = preferred;
    let noted = Arc::default();
    let (channels, _accepted) = unbounded_channel();
    let (near, far) = sockets().await;
    let (_server, guest) = within("connect", async {
        tokio::join!(
            server::run_stream(Arc::new(server), far, Host { channels }),
            client::connect_stream(Arc::new(client), near, Noting(Arc::clone(&noted))),
        )
    })
    .await;
    let mut guest = guest.unwrap();
    let signed_in = within("sign in", guest.authenticate_none("guest")).await;
    assert!(signed_in.unwrap().success());
    let secret = noted.lock().unwrap().take().unwrap();
    secret.found(Stacks::Skip)
}

#[tokio::test]
async fn curve25519() {
    assert_eq!(after_the_exchange(kex::CURVE25519).await, [""; 0]);
}

#[tokio::test]
async fn mlkem768x25519() {
    assert_eq!(after_the_exchange(kex::MLKEM768X25519_SHA256).await, [""; 0]);
}

#[tokio::test]
async fn ecdh_nistp256() {
    assert_eq!(after_the_exchange(kex::ECDH_SHA2_NISTP256).await, [""; 0]);
}
