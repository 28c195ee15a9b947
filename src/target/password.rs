//! Gives a host the new password of an account: one line for `chpasswd` on a channel's standard input, wiped when it is on its way.
//! Besides `target/login.rs` and `target/sudo.rs` the only place outside the vault where a secret is exposed.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::config::Config;
use super::error::Error;
use crate::model::Address;
use crate::vault::PasswordLease;

/// Writes `LOGIN:PASSWORD` and the end of its line to `stdin`, once, within the time that a host has for a sign-in. Send it only
/// when `chpasswd` reads: whatever else reads there would see it. However it ends, nothing of the password stays here.
///
/// # Errors
/// [`Error::TimedOut`] if the host takes nothing on the channel, [`Error::Lost`] if the channel is closed. Then it is unknown how
/// much of it arrived, and so which password the account has.
pub async fn send_new_password(stdin: impl AsyncWrite, lease: PasswordLease, config: &Config, address: &Address) -> Result<(), Error> {
    let limit = config.login_timeout;
    match timeout(limit, write_line(stdin, lease)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(e)) => Err(Error::Lost(format!("while it was given the new password: {e}"))),
        Err(_) => Err(Error::TimedOut { address: address.clone(), step: "new password", limit }),
    }
}

async fn write_line(stdin: impl AsyncWrite, lease: PasswordLease) -> io::Result<()> {
    let login = lease.login().clone();
    let secret = lease.into_secret();
    // One write of the whole line, so that it goes in one packet: of exact capacity, because growing leaves a copy behind.
    let mut line = Zeroizing::new(Vec::with_capacity(login.as_str().len() + secret.len() + 2));
    line.extend_from_slice(login.as_str().as_bytes());
    line.push(b':');
    line.extend_from_slice(secret.expose());
    line.push(b'\n');
    drop(secret);
    let mut stdin = std::pin::pin!(stdin);
    stdin.write_all(&line).await?;
    stdin.flush().await
}
