//! Both sides of a file transfer, SFTP or the old scp either way, in any order and in any pieces.
#![no_main]

use keyward::sftp::{Direction, Tap, fuzzing};
use libfuzzer_sys::fuzz_target;

/// Whatever is seen on an SFTP channel was asked for, in so many bytes or more.
const ASKED: usize = 9;
/// The most that is seen of one piece of the old scp, where the path is as long as any.
const AT_ONCE: usize = 63;

fuzz_target!(|pieces: Vec<(bool, Vec<u8>)>| {
    let mut sftp = Tap::new();
    let mut scps = [Direction::ToHost, Direction::FromHost].map(fuzzing::scp);
    let (mut passed, mut seen) = (0, 0);
    for (client, bytes) in &pieces {
        if *client {
            sftp.client(bytes)
        } else {
            sftp.host(bytes)
        }
        passed += bytes.len();
        seen += sftp.take().len();
        assert!(seen * ASKED <= passed);
        for scp in &mut scps {
            if *client {
                scp.client(bytes)
            } else {
                scp.host(bytes)
            }
            assert!(scp.take().len() <= AT_ONCE);
        }
    }
    sftp.end();
    seen += sftp.take().len();
    assert!(seen * ASKED <= passed);
    for scp in &mut scps {
        scp.end();
        assert!(scp.take().len() <= 1);
    }
});
