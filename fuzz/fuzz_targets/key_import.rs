//! Private keys that somebody imports. The first byte says whether there is a passphrase.
#![no_main]

use keyward::vault::fuzzing::import;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, file)) = bytes.split_first() else { return };
    let _ = import(file, (first & 1 == 1).then_some(b"passphrase".as_slice()));
});
