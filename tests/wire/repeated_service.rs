//! 0017: a client that asks for the service of signing in again, as paramiko does before each attempt, is answered again.

use std::borrow::Cow;

use russh::keys::Algorithm;
use russh::server::{self, Auth};
use russh::{Preferred, cipher, compression, kex, mac};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{server_config, sockets, within};

struct Refuses;

impl server::Handler for Refuses {
    type Error = russh::Error;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, Self::Error> {
        Ok(if user == "guest" { Auth::Accept } else { Auth::reject() })
    }
}

fn string(text: &str) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_be_bytes()[..], text.as_bytes()].concat()
}

async fn send(stream: &mut TcpStream, payload: &[u8]) {
    let padding = 4 + (8 - (4 + 1 + payload.len() + 4) % 8) % 8;
    let mut packet = u32::try_from(1 + payload.len() + padding).unwrap().to_be_bytes().to_vec();
    packet.push(u8::try_from(padding).unwrap());
    packet.extend(payload);
    packet.resize(packet.len() + padding, 0);
    stream.write_all(&packet).await.unwrap();
}

/// The payload of the next packet.
async fn read(stream: &mut TcpStream) -> Vec<u8> {
    within("a packet", async {
        let length = stream.read_u32().await.unwrap();
        let mut packet = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut packet).await.unwrap();
        let padding = usize::from(packet[0]);
        packet[1..packet.len() - padding].to_vec()
    })
    .await
}

/// A client without any encryption, past the key exchange.
async fn plain(config: server::Config) -> TcpStream {
    let preferred = Preferred {
        kex: Cow::Borrowed(&[kex::NONE]),
        key: Cow::Borrowed(&[Algorithm::Ed25519]),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Borrowed(&[cipher::NONE]),
        mac: Cow::Borrowed(&[mac::NONE]),
        compression: Cow::Borrowed(&[compression::NONE]),
    };
    let (mut near, far) = sockets().await;
    tokio::spawn(async move {
        let config = std::sync::Arc::new(server::Config { preferred, ..config });
        if let Ok(running) = server::run_stream(config, far, Refuses).await {
            let _ = running.await;
        }
    });
    near.write_all(b"SSH-2.0-plain\r\n").await.unwrap();
    while within("a line", near.read_u8()).await.unwrap() != b'\n' {}
    let lists = ["none", "ssh-ed25519", "none", "none", "none", "none", "none", "none", "", ""];
    let mut kexinit = vec![20];
    kexinit.extend([0; 16]);
    kexinit.extend(lists.iter().flat_map(|list| string(list)));
    kexinit.extend([0; 5]);
    assert_eq!(read(&mut near).await[0], 20);
    send(&mut near, &kexinit).await;
    assert_eq!(read(&mut near).await, [21]);
    send(&mut near, &[21]).await;
    near
}

async fn asks(stream: &mut TcpStream) -> Vec<u8> {
    send(stream, &[vec![5], string("ssh-userauth")].concat()).await;
    read(stream).await
}

async fn tries(stream: &mut TcpStream, user: &str) -> u8 {
    send(stream, &[vec![50], string(user), string("ssh-connection"), string("none")].concat()).await;
    read(stream).await[0]
}

#[tokio::test]
async fn each_request_is_answered_and_the_last_attempt_counts() {
    let mut stream = plain(server_config()).await;
    let accepted = [vec![6], string("ssh-userauth")].concat();
    for _ in 0..3 {
        assert_eq!(asks(&mut stream).await, accepted);
        assert_eq!(tries(&mut stream, "stranger").await, 51);
    }
    assert_eq!(asks(&mut stream).await, accepted);
    assert_eq!(tries(&mut stream, "guest").await, 52);
}

#[tokio::test]
async fn asking_again_gives_no_further_attempts() {
    let mut stream = plain(server::Config { max_auth_attempts: 2, ..server_config() }).await;
    for _ in 0..2 {
        asks(&mut stream).await;
        assert_eq!(tries(&mut stream, "stranger").await, 51);
    }
    asks(&mut stream).await;
    assert_eq!(tries(&mut stream, "stranger").await, 1, "it is told to leave");
}
