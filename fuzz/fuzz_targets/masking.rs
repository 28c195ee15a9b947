//! Secrets in what agents read: where the output is cut makes no difference, and no key gets through.
#![no_main]

use keyward::masking::Masker;
use libfuzzer_sys::fuzz_target;

fn masked(pieces: &[&[u8]]) -> Vec<u8> {
    let (mut masker, mut out) = (Masker::new(), Vec::new());
    for piece in pieces {
        masker.feed(piece, &mut out);
    }
    masker.finish(&mut out);
    out
}

fuzz_target!(|input: (u16, u16, &[u8])| {
    let (first, second, bytes) = input;
    let (head, tail) = bytes.split_at(usize::from(first).min(bytes.len()));
    let (middle, tail) = tail.split_at(usize::from(second).min(tail.len()));
    assert_eq!(masked(&[bytes]), masked(&[head, middle, tail]));
});
