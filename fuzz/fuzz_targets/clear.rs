//! SSH without encryption, so that the engine can write the packets: `none` for every algorithm.

#![allow(dead_code)] // each target uses a part of it

use std::borrow::Cow;
use std::future::Future;
use std::time::Duration;

use russh::keys::Algorithm;
use russh::{Preferred, cipher, compression, kex, mac};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

/// Every algorithm is `none`.
pub fn preferred() -> Preferred {
    Preferred {
        host_key_certificates: Cow::Borrowed(&[]),
        kex: Cow::Borrowed(&[kex::NONE]),
        key: Cow::Borrowed(&[Algorithm::Ed25519]),
        cipher: Cow::Borrowed(&[cipher::NONE]),
        mac: Cow::Borrowed(&[mac::NONE]),
        compression: Cow::Borrowed(&[compression::NONE]),
    }
}

/// A payload as a packet (RFC 4253, section 6).
pub fn packet(payload: &[u8], out: &mut Vec<u8>) {
    let padding = 8 - (payload.len() + 5) % 8 + if (payload.len() + 5) % 8 > 4 { 8 } else { 0 };
    let length = u32::try_from(payload.len() + padding + 1).expect("a short packet");
    out.extend(length.to_be_bytes());
    out.push(u8::try_from(padding).expect("little padding"));
    out.extend(payload);
    out.resize(out.len() + padding, 0);
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.extend(u32::try_from(text.len()).expect("a short text").to_be_bytes());
    out.extend(text.as_bytes());
}

/// An identification, a key exchange that exchanges nothing, and the switch to it.
pub fn opening() -> Vec<u8> {
    let mut out = b"SSH-2.0-fuzz\r\n".to_vec();
    let mut kexinit = vec![20];
    kexinit.extend([7; 16]);
    for list in ["none", "ssh-ed25519", "none", "none", "none", "none", "none", "none", "", ""] {
        string(list, &mut kexinit);
    }
    kexinit.extend([0; 5]);
    packet(&kexinit, &mut out);
    packet(&[21], &mut out);
    out
}

/// The request for a service, as clients begin.
pub fn sign_in(out: &mut Vec<u8>) {
    let mut service = vec![5];
    string("ssh-userauth", &mut service);
    packet(&service, out);
    let mut auth = vec![50];
    for word in ["alice", "ssh-connection", "none"] {
        string(word, &mut auth);
    }
    packet(&auth, out);
}

/// The packets of a script: for each, two bytes of length and the payload.
pub fn script(mut bytes: &[u8], out: &mut Vec<u8>) {
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let (payload, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        packet(payload, out);
        bytes = rest;
    }
}

/// Says all of it to `other`, hears whatever it answers, and waits for both to end.
pub fn converse<F: Future<Output = ()>>(said: Vec<u8>, other: impl FnOnce(DuplexStream) -> F) {
    run(async move {
        let (theirs, ours) = tokio::io::duplex(1 << 20);
        let (read, mut write) = tokio::io::split(ours);
        let talk = async {
            let _ = write.write_all(&said).await;
            let _ = write.shutdown().await;
        };
        let listen = async {
            let mut sink = Vec::new();
            let _ = read.take(64 << 20).read_to_end(&mut sink).await;
        };
        let ((), (), ()) = tokio::join!(talk, listen, other(theirs));
    });
}

/// Runs to the end within a time that only a loop without an end exceeds.
pub fn run(what: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(20), what).await.expect("it ends");
    });
}
