//! What a host answers to a scan: it makes no difference in which pieces it comes, and nothing is kept beyond its bound.
#![no_main]

use keyward::probes::{Heard, Probe, Reader};
use libfuzzer_sys::fuzz_target;

fn heard(probes: &[&Probe], pieces: &[&[u8]]) -> Vec<Heard> {
    let mut reader = Reader::new("0123456789abcdef", probes);
    let all = pieces.iter().flat_map(|piece| reader.feed(piece)).collect();
    assert!(reader.noise().0.len() <= 4096);
    all
}

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let probes = [Probe::file("/etc/hosts"), Probe::command("id")];
    let probes: Vec<&Probe> = probes.iter().collect();
    let (head, tail) = bytes.split_at(usize::from(cut).min(bytes.len()));
    let whole = heard(&probes, &[bytes]);
    assert_eq!(whole, heard(&probes, &[head, tail]));
    for one in &whole {
        if let Heard::Answered(number, answer) = one {
            assert!(answer.output.len() <= probes[*number].cap);
        }
    }
});
