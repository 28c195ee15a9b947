//! Both sides of an SFTP channel, in any order and in any pieces.
#![no_main]

use keyward::sftp::Tap;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|pieces: Vec<(bool, Vec<u8>)>| {
    let mut tap = Tap::new();
    for (client, bytes) in &pieces {
        if *client { tap.client(bytes) } else { tap.host(bytes) }
    }
    drop(tap.take());
});
