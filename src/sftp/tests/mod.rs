//! The taps against conversations that are written out here, well-behaved and hostile.

mod hostile;
mod transfers;

use super::{Seen, Tap};

/// A packet with its length.
pub(super) fn packet(kind: u8, rest: &[&[u8]]) -> Vec<u8> {
    let body: Vec<u8> = rest.concat();
    let mut out = u32::try_from(body.len() + 1).unwrap().to_be_bytes().to_vec();
    out.push(kind);
    out.extend(body);
    out
}

pub(super) fn n(number: u32) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

pub(super) fn long(number: u64) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

pub(super) fn text(text: &[u8]) -> Vec<u8> {
    [&n(u32::try_from(text.len()).unwrap()), text].concat()
}

/// What one side says.
#[derive(Clone, Debug)]
pub(super) enum Says {
    Client(Vec<u8>),
    Host(Vec<u8>),
}

pub(super) fn ask(kind: u8, id: u32, rest: &[&[u8]]) -> Says {
    Says::Client(packet(kind, &[&n(id), &rest.concat()]))
}

pub(super) fn answer(kind: u8, id: u32, rest: &[&[u8]]) -> Says {
    Says::Host(packet(kind, &[&n(id), &rest.concat()]))
}

pub(super) fn status(id: u32, code: u32, words: &str) -> Says {
    answer(101, id, &[&n(code), &text(words.as_bytes()), &text(b"")])
}

pub(super) fn greeting() -> Vec<Says> {
    vec![Says::Client(packet(1, &[&n(3)])), Says::Host(packet(2, &[&n(3), &text(b"posix-rename@openssh.com"), &text(b"1")]))]
}

/// A tap that heard all of it, `at_once` bytes at a time; what it saw, and why it gave up.
pub(super) fn heard(talk: &[Says], at_once: usize) -> (Vec<Seen>, Option<String>) {
    let mut tap = Tap::new();
    for says in talk {
        match says {
            Says::Client(bytes) => bytes.chunks(at_once).for_each(|b| tap.client(b)),
            Says::Host(bytes) => bytes.chunks(at_once).for_each(|b| tap.host(b)),
        }
    }
    tap.end();
    let why = tap.unreadable().map(|u| u.why.clone());
    (tap.take(), why)
}

pub(super) fn sha256(content: &[u8]) -> Option<[u8; 32]> {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, content).as_ref().try_into().ok()
}
