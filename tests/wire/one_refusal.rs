//! 0019: an open of a kind that nobody knows is refused once, on both sides.

use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{Guest, Host, let_in, lets_in, open, read, send, server_config, string};

/// It is refused, and what comes then answers what is asked then.
async fn refused_once(stream: &mut TcpStream, kind: &str, number: u32, rest: &[u8]) {
    open(stream, kind, number, rest).await;
    let refusal = read(stream).await;
    assert_eq!((refusal[0], &refusal[1..5]), (92, &number.to_be_bytes()[..]), "{kind}");
    for _ in 0..2 {
        send(stream, &[vec![80], string("nothing@example.com"), vec![1]].concat()).await;
        assert_eq!(read(stream).await, [82], "{kind}");
    }
}

#[tokio::test]
async fn a_server_refuses_an_unknown_kind_once() {
    let (channels, _opened) = unbounded_channel();
    let mut stream = let_in(server_config(), Host { channels }).await;
    refused_once(&mut stream, "tun@openssh.com", 1, &[0, 0, 0, 1, 0, 0, 0, 0]).await;
    refused_once(&mut stream, "auth-agent@openssh.com", 2, &[]).await;
    let socket = [string("/run/socket"), string("")].concat();
    refused_once(&mut stream, "forwarded-streamlocal@openssh.com", 3, &socket).await;
}

#[tokio::test]
async fn a_client_refuses_an_unknown_kind_once() {
    let mut far = lets_in(Guest).await;
    refused_once(&mut far, "tun@openssh.com", 1, &[0, 0, 0, 1, 0, 0, 0, 0]).await;
}
