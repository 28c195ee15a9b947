//! Short words of strangers, by the first byte of the input: a host's lines before its version and its offer, a client's requests to
//! listen on a host and its commands that move files.
#![no_main]

use keyward::{sessions, sftp, target};
use libfuzzer_sys::fuzz_target;

const LISTEN: [(&str, &str); 2] =
    [("tcpip-forward", "cancel-tcpip-forward"), ("streamlocal-forward@openssh.com", "cancel-streamlocal-forward@openssh.com")];

fn before_the_version(cut: usize, bytes: &[u8]) {
    let (head, tail) = bytes.split_at(cut.min(bytes.len()));
    let whole = target::fuzzing::version_in(&[bytes]);
    let parted = target::fuzzing::version_in(&[head, tail]);
    assert_eq!(whole.as_ref().ok(), parted.as_ref().ok());
    if let Ok(Some(at)) = whole {
        assert!(bytes[at..].starts_with(b"SSH-") && (at == 0 || bytes[at - 1] == b'\n'));
    }
}

fn listening(bytes: &[u8]) {
    for (listen, cancel) in LISTEN {
        let Some(shown) = sessions::fuzzing::listens(listen, bytes) else { continue };
        assert!(!shown.chars().any(char::is_control));
        // What ends it is what began it, and begins nothing.
        assert_eq!(sessions::fuzzing::ends(listen, bytes), Some((cancel, bytes.to_vec())));
        assert_eq!(sessions::fuzzing::listens(cancel, bytes), Some(shown));
        assert_eq!(sessions::fuzzing::ends(cancel, bytes), None);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    match kind % 4 {
        0 => {
            if let Some((cut, bytes)) = bytes.split_first() {
                before_the_version(usize::from(*cut), bytes);
            }
        }
        1 => assert!(target::fuzzing::offered(bytes).is_none_or(|names| names <= bytes.len())),
        2 => listening(bytes),
        _ => {
            if let Some(length) = sftp::fuzzing::path_of(bytes) {
                assert!(length <= sftp::fuzzing::LONGEST);
            }
        }
    }
});
