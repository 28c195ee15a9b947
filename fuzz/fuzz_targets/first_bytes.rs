//! A client's first bytes, before anything is encrypted: once the version is whole, what was known stays known when more comes.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (cut, bytes) = input;
    let head = &bytes[..usize::from(cut).min(bytes.len())];
    let early = keyward::front::fuzzing::first_bytes(head);
    if early.is_some() && head.contains(&b'\n') {
        assert_eq!(early, keyward::front::fuzzing::first_bytes(bytes));
    }
});
