//! The ssh door while the vault is sealed: every client is told so, in words that ssh prints, and nothing else is done for it.
//! No key exchange, no sign-in: who somebody is cannot be verified without the vault.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::config::IDENTIFICATION_LINE;
use super::listener::Listener;

/// Clients at once; more are dropped unheard.
const CLIENTS: usize = 256;
/// How long a client may take to hear it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a client that are thrown away; then it is cut off.
const HEARD: u64 = 64 * 1024;
/// After an error of `accept` it is tried again this much later.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// SSH_MSG_DISCONNECT (RFC 4253 §11.1).
const DISCONNECT: u8 = 1;
/// SSH_DISCONNECT_SERVICE_NOT_AVAILABLE.
const NOT_AVAILABLE: u32 = 7;

impl Listener {
    /// Tells every client this sentence and ends its connection. Runs until it is dropped.
    pub async fn turn_away(&self, sentence: &str) {
        let farewell: Arc<[u8]> = farewell(sentence).into();
        let places = Arc::new(Semaphore::new(CLIENTS));
        let mut told = JoinSet::new();
        loop {
            while told.try_join_next().is_some() {}
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                    let farewell = Arc::clone(&farewell);
                    tracing::debug!(target: "keyward::front", %peer, "refused: the vault is sealed");
                    told.spawn(async move {
                        let _place = place;
                        let _ = tokio::time::timeout(PATIENCE, tell(stream, &farewell)).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(target: "keyward::front", %error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn tell(mut stream: TcpStream, farewell: &[u8]) -> io::Result<()> {
    stream.write_all(farewell).await?;
    stream.shutdown().await?;
    // A connection that is closed with bytes unread is reset, and what was said can be lost with it.
    let mut rest = stream.take(HEARD);
    let mut ignored = [0; 1024];
    while rest.read(&mut ignored).await? > 0 {}
    Ok(())
}

/// The identification, and a packet that ends the connection before the key exchange, when packets are plain.
fn farewell(sentence: &str) -> Vec<u8> {
    let mut payload = vec![DISCONNECT];
    payload.extend(NOT_AVAILABLE.to_be_bytes());
    for text in [sentence, ""] {
        payload.extend(u32::try_from(text.len()).unwrap_or(0).to_be_bytes());
        payload.extend(text.as_bytes());
    }
    // RFC 4253 §6: length, padding's length, payload and padding together are a multiple of 8; at least 4 bytes of padding.
    let padding = 4 + (8 - (4 + 1 + payload.len() + 4) % 8) % 8;
    let mut out = IDENTIFICATION_LINE.as_bytes().to_vec();
    out.extend(u32::try_from(1 + payload.len() + padding).unwrap_or(0).to_be_bytes());
    out.push(u8::try_from(padding).unwrap_or(4));
    out.extend(payload);
    out.resize(out.len() + padding, 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packet_is_well_formed_whatever_the_sentence() {
        for length in 0..64 {
            let sentence = "x".repeat(length);
            let bytes = farewell(&sentence);
            let packet = bytes.strip_prefix(IDENTIFICATION_LINE.as_bytes()).unwrap();
            assert_eq!(packet.len() % 8, 0, "{length}");
            let said = u32::from_be_bytes(packet[..4].try_into().unwrap()) as usize;
            let padding = usize::from(packet[4]);
            assert_eq!(said, packet.len() - 4);
            assert!((4..12).contains(&padding), "{padding}");
            let payload = &packet[5..packet.len() - padding];
            assert_eq!(payload.len(), 1 + 4 + 4 + length + 4);
            assert_eq!(payload[..5], [DISCONNECT, 0, 0, 0, 7]);
        }
    }

    #[tokio::test]
    async fn a_client_hears_it_and_one_that_says_nothing_costs_nothing() {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let at = listener.address().unwrap();
        let clients = async {
            let _silent = TcpStream::connect(at).await.unwrap();
            let mut client = TcpStream::connect(at).await.unwrap();
            client.write_all(b"SSH-2.0-x\r\n").await.unwrap();
            client.write_all(&[7; 4000]).await.unwrap();
            let mut heard = Vec::new();
            client.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, farewell("keyward: sealed"));
        };
        tokio::select! {
            () = listener.turn_away("keyward: sealed") => unreachable!(),
            () = clients => {}
        }
    }
}
