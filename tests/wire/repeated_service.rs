//! 0017: a client that asks for the service of signing in again, as paramiko does before each attempt, is answered again.

use russh::server::{self, Auth};
use tokio::net::TcpStream;

use crate::support::{plain, read, send, server_config, string};

struct Refuses;

impl server::Handler for Refuses {
    type Error = russh::Error;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, Self::Error> {
        Ok(if user == "guest" { Auth::Accept } else { Auth::reject() })
    }
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
    let mut stream = plain(server_config(), Refuses).await;
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
    let mut stream = plain(server::Config { max_auth_attempts: 2, ..server_config() }, Refuses).await;
    for _ in 0..2 {
        asks(&mut stream).await;
        assert_eq!(tries(&mut stream, "stranger").await, 51);
    }
    asks(&mut stream).await;
    assert_eq!(tries(&mut stream, "stranger").await, 1, "it is told to leave");
}
