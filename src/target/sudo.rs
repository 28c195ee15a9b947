//! Gives sudo its password: one line on a channel's standard input, wiped when it is on its way. Besides `target/login.rs`
//! the only place outside the vault where a secret is exposed.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::config::Config;
use super::error::Error;
use crate::model::Address;
use crate::secret::Secret;
use crate::vault::SudoLease;

/// Writes the password and the end of its line to `stdin`, once, within the time that a host has for a sign-in. Send it
/// only after sudo has asked: what sudo does not read is read by the program that it starts. However it ends, nothing of
/// the password stays here; russh's copies are encrypted where they lie, or overwritten (patches/russh, "wipe").
///
/// # Errors
/// [`Error::TimedOut`] if the host takes nothing on the channel, [`Error::Lost`] if the channel is closed. Then it is unknown
/// how much of it arrived: the channel must be closed, and the password not sent again.
pub async fn send_password(stdin: impl AsyncWrite, lease: SudoLease, config: &Config, address: &Address) -> Result<(), Error> {
    let limit = config.login_timeout;
    match timeout(limit, write_line(stdin, lease.into_secret())).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(e)) => Err(Error::Lost(format!("while sudo was given its password: {e}"))),
        Err(_) => Err(Error::TimedOut { address: address.clone(), step: "sudo prompt", limit }),
    }
}

async fn write_line(stdin: impl AsyncWrite, secret: Secret) -> io::Result<()> {
    // One write of the whole line, so that it goes in one packet: of exact capacity, because growing leaves a copy behind.
    let mut line = Zeroizing::new(Vec::with_capacity(secret.len() + 1));
    line.extend_from_slice(secret.expose());
    line.push(b'\n');
    drop(secret);
    let mut stdin = std::pin::pin!(stdin);
    stdin.write_all(&line).await?;
    stdin.flush().await
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    fn secret() -> Secret {
        Secret::new("pässword".as_bytes().to_vec())
    }

    #[tokio::test]
    async fn it_is_one_line_in_one_write() {
        let (here, mut there) = tokio::io::duplex(64);
        write_line(here, secret()).await.unwrap();
        let mut got = Vec::new();
        there.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, "pässword\n".as_bytes());
    }

    #[tokio::test]
    async fn a_closed_channel_is_told_and_a_full_one_is_waited_for() {
        let (here, there) = tokio::io::duplex(64);
        drop(there);
        assert_eq!(write_line(here, secret()).await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        let (here, mut there) = tokio::io::duplex(2);
        let (sent, got) = tokio::join!(write_line(here, secret()), async {
            let mut got = Vec::new();
            there.read_to_end(&mut got).await.map(|_| got)
        });
        sent.unwrap();
        assert_eq!(got.unwrap(), "pässword\n".as_bytes());
    }
}
