//! Files with what the broker shows at a source: a token, a role id, a secret id. Judged as the root key's file is: a regular
//! file of the broker's own account that nobody else can use. Read at each use, so that whoever rotates it is heard at once.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

use super::error::Why;
use crate::secret::read_at_most;

/// The longest token or id, in bytes; batch tokens have some hundreds.
const MOST: usize = 4096;

/// Reads the one line of a file: printable ASCII without white space, quotes and backslashes, so that it can stand in a header
/// and in JSON as it is.
pub(super) fn line(path: &Path) -> Result<Zeroizing<Vec<u8>>, Why> {
    // NONBLOCK: a pipe without a writer must not hold up a connection.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP) => return Err(Why::File("the file of its token or id is a symbolic link")),
        Err(rustix::io::Errno::NOENT) => return Err(Why::File("the file of its token or id is not there")),
        Err(_) => return Err(Why::File("the file of its token or id cannot be opened")),
    };
    let found = file.metadata().map_err(|_| Why::File("the file of its token or id cannot be looked at"))?;
    if !found.file_type().is_file() {
        return Err(Why::File("the file of its token or id is no regular file"));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(Why::File("the file of its token or id belongs to another account than the broker's"));
    }
    if found.mode() & 0o077 != 0 {
        return Err(Why::File("others may use the file of its token or id: chmod 600 it"));
    }
    let held = read_at_most(&mut file, MOST + 2).map_err(|_| Why::File("the file of its token or id cannot be read"))?;
    let text = held.strip_suffix(b"\n").unwrap_or(&held);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let fits = |b: &u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\');
    if text.is_empty() || text.len() > MOST || !text.iter().all(fits) {
        return Err(Why::File("the file of its token or id does not hold one line with it"));
    }
    let mut exact = Zeroizing::new(Vec::with_capacity(text.len()));
    exact.extend_from_slice(text);
    Ok(exact)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_others_can_use_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let write = |bytes: &[u8], mode: u32| {
            let _ = std::fs::remove_file(&path);
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for good in [&b"s.abc"[..], b"s.abc\n", b"s.abc\r\n"] {
            write(good, 0o600);
            assert_eq!(line(&path).unwrap().as_slice(), b"s.abc");
        }
        write(b"s.abc", 0o400);
        assert!(line(&path).is_ok());
        for mode in [0o640, 0o604, 0o660, 0o601] {
            write(b"s.abc", mode);
            assert_eq!(line(&path), Err(Why::File("others may use the file of its token or id: chmod 600 it")), "{mode:o}");
        }
        let long = vec![b'a'; MOST + 1];
        for bad in [&b""[..], b"\n", b"a b", b"a\nb", b"a\"b", b"a\\b", b"a\0b", b"\xff", &long] {
            write(bad, 0o600);
            assert_eq!(line(&path), Err(Why::File("the file of its token or id does not hold one line with it")), "{:?}", bad.get(..8));
        }
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(line(&link), Err(Why::File("the file of its token or id is a symbolic link")));
        assert_eq!(line(dir.path()), Err(Why::File("the file of its token or id is no regular file")));
        assert_eq!(line(&dir.path().join("none")), Err(Why::File("the file of its token or id is not there")));
    }
}
