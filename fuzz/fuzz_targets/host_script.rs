//! A host that says anything in any order to the client's loop of the patched russh, while somebody signs in, opens a channel
//! and runs a command. The first byte says whether the key exchange was done before, and whether packets or raw bytes follow.
#![no_main]

mod clear;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use russh::client;
use russh::keys::PublicKeyOrCertificate;
use tokio::time::timeout;

static CONFIG: LazyLock<Arc<client::Config>> =
    LazyLock::new(|| Arc::new(client::Config { preferred: clear::preferred(), inactivity_timeout: None, ..client::Config::default() }));

struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

/// What has no answer ends with the connection, and that with the script.
const SOON: Duration = Duration::from_secs(10);

async fn use_it(theirs: tokio::io::DuplexStream) {
    let Ok(Ok(mut handle)) = timeout(SOON, client::connect_stream(Arc::clone(&CONFIG), theirs, Trusting)).await else { return };
    let _ = timeout(SOON, handle.authenticate_none("root")).await;
    let _ = timeout(SOON, handle.authenticate_keyboard_interactive_start("root", None)).await;
    let Ok(Ok(mut channel)) = timeout(SOON, handle.channel_open_session()).await else { return };
    let _ = timeout(SOON, channel.exec(true, "true")).await;
    let _ = timeout(SOON, async { while channel.wait().await.is_some() {} }).await;
}

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let mut said = if first & 4 == 0 { clear::opening() } else { Vec::new() };
    if first & 1 == 1 {
        // The service is accepted, and so is the sign-in.
        let mut accepted = vec![6, 0, 0, 0, 12];
        accepted.extend(b"ssh-userauth");
        clear::packet(&accepted, &mut said);
        clear::packet(&[52], &mut said);
    }
    if first & 2 == 0 {
        clear::script(rest, &mut said);
    } else {
        said.extend(rest);
    }
    clear::converse(said, use_it);
});
