//! Frames of the unix socket: no header announces more than its kind may hold, and a request is what it is written as.
#![no_main]

use keyward::control::wire::{Bridge, Frame, HEADER, Hello, Request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return };
    let Ok((frame, length)) = Frame::of(*header) else { return };
    assert!(length <= frame.most());
    assert_eq!(frame.header(length).expect("a length that was taken"), *header);
    match frame {
        Frame::Hello => drop(serde_json::from_slice::<Hello>(rest)),
        Frame::Bridge => drop(serde_json::from_slice::<Bridge>(rest)),
        Frame::Command => {
            let Ok(request) = serde_json::from_slice::<Request>(rest) else { return };
            let text = serde_json::to_vec(&request).expect("a request is written");
            assert_eq!(serde_json::from_slice::<Request>(&text).expect("and read"), request);
        }
        _ => {}
    }
});
