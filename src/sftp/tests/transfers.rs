//! Transfers and operations as clients make them.

use super::*;
use crate::sftp::{Act, Direction, End, ScpTap, recognise};

fn open(id: u32, path: &[u8], flags: u32, handle: &[u8]) -> [Says; 2] {
    [ask(3, id, &[&text(path), &n(flags), &n(0)]), answer(102, id, &[&text(handle)])]
}

fn close(id: u32, handle: &[u8]) -> [Says; 2] {
    [ask(4, id, &[&text(handle)]), status(id, 0, "Success")]
}

fn read(id: u32, handle: &[u8], offset: u64, length: u32) -> Says {
    ask(5, id, &[&text(handle), &long(offset), &n(length)])
}

fn write(id: u32, handle: &[u8], offset: u64, content: &[u8]) -> Says {
    ask(6, id, &[&text(handle), &long(offset), &text(content)])
}

/// Two files at once, one read and one written, and what people do with names.
fn usual() -> Vec<Says> {
    let mut talk = greeting();
    talk.extend(open(1, b"/srv/one", 1, b"a"));
    talk.extend(open(2, b"/srv/two", 0x1a, b"b"));
    talk.extend([read(3, b"a", 0, 4), read(4, b"a", 4, 4), read(5, b"a", 8, 4), write(6, b"b", 0, b"hello "), write(7, b"b", 6, b"world")]);
    talk.extend([answer(103, 3, &[&text(b"0123")]), status(6, 0, ""), answer(103, 4, &[&text(b"45")]), status(5, 1, "End of file")]);
    talk.extend([status(7, 0, "Success"), ask(10, 8, &[&text(b"b"), &n(4), &n(0o100_640)]), status(8, 0, "")]);
    talk.extend(close(9, b"a"));
    talk.extend(close(10, b"b"));
    talk.extend([ask(18, 11, &[&text(b"/x"), &text(b"/y")]), status(11, 3, "Permission denied")]);
    talk.extend([ask(200, 12, &[&text(b"posix-rename@openssh.com"), &text(b"/x"), &text(b"/z")]), status(12, 0, "Success")]);
    talk.extend([ask(20, 13, &[&text(b"target"), &text(b"link")]), status(13, 0, "")]);
    talk.extend([ask(11, 14, &[&text(b"/srv")]), answer(102, 14, &[&text(b"d")]), ask(12, 15, &[&text(b"d")])]);
    talk.extend([answer(104, 15, &[&n(1), &text(b"secret name"), &[7; 900]]), ask(12, 16, &[&text(b"d")]), status(16, 1, "")]);
    talk.extend(close(17, b"d"));
    talk.extend([ask(13, 18, &[&text(b"gone")]), status(18, 2, "No such file")]);
    talk.extend([ask(14, 19, &[&text(b"new"), &n(0)]), status(19, 4, "Disk quota exceeded")]);
    talk
}

#[test]
fn what_passes_is_told() {
    let (seen, why) = heard(&usual(), usize::MAX);
    assert_eq!(why, None);
    let short: Vec<(Act, String, End)> = seen.iter().map(|s| (s.act, s.path.to_string(), s.end.clone())).collect();
    let failed = |why: &str| End::Failed(why.to_owned());
    let expected = [
        (Act::Changed, "/srv/two", End::Done),
        (Act::Read, "/srv/one", End::Done),
        (Act::Written, "/srv/two", End::Done),
        (Act::Renamed, "/x", failed("permission denied")),
        (Act::Renamed, "/x", End::Done),
        (Act::Symlinked, "link", End::Done),
        (Act::Listed, "/srv", End::Done),
        (Act::Removed, "gone", failed("no such file")),
        (Act::MadeDirectory, "new", failed("failure: Disk quota exceeded")),
    ];
    assert_eq!(short, expected.map(|(act, path, end)| (act, path.to_owned(), end)));
    assert_eq!(seen[0].changes.as_deref(), Some("mode 0640"));
    assert_eq!((seen[1].bytes, seen[1].whole, seen[1].sha256), (Some(6), Some(true), sha256(b"012345")));
    assert_eq!((seen[2].bytes, seen[2].whole, seen[2].sha256), (Some(11), Some(true), sha256(b"hello world")));
    assert_eq!(seen[5].to.as_ref().unwrap().to_string(), "target");
}

#[test]
fn it_is_the_same_however_the_stream_is_cut() {
    let whole = heard(&usual(), usize::MAX);
    for at_once in 1..40 {
        assert_eq!(heard(&usual(), at_once), whole, "{at_once} bytes at once");
    }
}

#[test]
fn only_what_is_whole_and_in_order_has_a_digest() {
    let told = |talk: Vec<Says>, flags: u32| {
        let mut all = greeting();
        all.extend(open(1, b"f", flags, b"h"));
        all.extend(talk);
        all.extend(close(9, b"h"));
        let (seen, why) = heard(&all, 7);
        assert_eq!((why, seen.len()), (None, 1));
        (seen[0].sequential, seen[0].whole, seen[0].sha256.is_some())
    };
    let part = vec![read(2, b"h", 0, 4), answer(103, 2, &[&text(b"0123")])];
    assert_eq!(told(part.clone(), 1), (Some(true), Some(false), false), "no end was seen");
    let ended = [part.clone(), vec![read(3, b"h", 4, 4), status(3, 1, "")]].concat();
    assert_eq!(told(ended, 1), (Some(true), Some(true), true));
    let beyond = [part.clone(), vec![read(3, b"h", 900, 4), status(3, 1, "")]].concat();
    assert_eq!(told(beyond, 1), (Some(true), Some(false), false), "it may end anywhere before");
    let sized = [part, vec![ask(8, 3, &[&text(b"h")]), answer(105, 3, &[&n(1), &long(4)])]].concat();
    assert_eq!(told(sized, 1), (Some(true), Some(true), true), "its size was told");
    let resumed = vec![read(2, b"h", 50, 4), answer(103, 2, &[&text(b"01")]), read(3, b"h", 52, 4), status(3, 1, "")];
    assert_eq!(told(resumed, 1), (Some(false), Some(false), false));
    let crossed = vec![read(2, b"h", 0, 2), read(3, b"h", 2, 2), answer(103, 3, &[&text(b"23")]), answer(103, 2, &[&text(b"01")])];
    assert_eq!(told(crossed, 1), (Some(false), Some(false), false));
    let over = vec![write(2, b"h", 0, b"new"), status(2, 0, "")];
    assert_eq!(told(over.clone(), 2), (Some(true), Some(false), false), "what was longer keeps its tail");
    assert_eq!(told(over.clone(), 0x1a), (Some(true), Some(true), true));
    assert_eq!(told(over, 0x06), (Some(false), Some(false), false), "appended");
    let full = vec![write(2, b"h", 0, b"new"), status(2, 4, "No space left on device")];
    assert_eq!(told(full, 0x1a), (Some(true), Some(false), false), "the host did not keep it");
}

#[test]
fn what_is_open_at_the_end_is_aborted() {
    let mut talk = greeting();
    talk.extend(open(1, b"f", 1, b"h"));
    talk.extend([read(2, b"h", 0, 4), answer(103, 2, &[&text(b"0123")]), ask(13, 3, &[&text(b"g")])]);
    let (seen, why) = heard(&talk, 3);
    assert_eq!(why, None);
    let short: Vec<_> = seen.iter().map(|s| (s.act, s.bytes, s.sha256, s.end.clone())).collect();
    assert_eq!(short, [(Act::Read, Some(4), None, End::Aborted), (Act::Removed, None, None, End::Aborted)]);
}

fn scp(direction: Direction, talk: &[(bool, &[u8])], at_once: usize) -> (Vec<String>, bool) {
    let mut tap = ScpTap::new(direction, None);
    for (from_client, bytes) in talk {
        for piece in bytes.chunks(at_once) {
            if *from_client { tap.client(piece) } else { tap.host(piece) }
        }
    }
    tap.end();
    let told = |s: Seen| {
        let digest = if s.sha256.is_some() { "digest" } else { "none" };
        format!("{} {:?} {digest} {:?}", s.name.unwrap_or_default(), s.bytes.unwrap_or(0), s.end)
    };
    (tap.take().into_iter().map(told).collect(), tap.unreadable().is_some())
}

#[test]
fn the_old_protocol_of_scp_is_followed() {
    let up: &[(bool, &[u8])] = &[
        (false, b"\0"),
        (true, b"T1 0 1 0\n"),
        (false, b"\0"),
        (true, b"D0755 0 dir\n"),
        (false, b"\0"),
        (true, b"C0644 5 one two\n"),
        (false, b"\0"),
        (true, b"hello\0"),
        (false, b"\0"),
        (true, b"C0644 0 empty\n"),
        (false, b"\0"),
        (true, b"\0"),
        (false, b"\0"),
        (true, b"E\n"),
        (false, b"\0"),
        (true, b"C0644 9 no\n"),
        (false, b"\x01scp: no: Permission denied\n"),
        (true, b"C0644 9 half\n"),
        (false, b"\0"),
        (true, b"1234"),
    ];
    for at_once in 1..20 {
        let (seen, unreadable) = scp(Direction::ToHost, up, at_once);
        let expected = [
            "dir/one two 5 digest Done",
            "dir/empty 0 digest Done",
            "no 0 none Failed(\"scp: no: Permission denied\")",
            "half 4 none Aborted",
        ];
        assert_eq!((seen, unreadable), (expected.map(str::to_owned).to_vec(), false), "{at_once}");
    }
    let down: &[(bool, &[u8])] = &[
        (true, b"\0"),
        (false, b"\x01scp: /no: No such file or directory\n"),
        (false, b"C0600 3 f\n"),
        (true, b"\0"),
        (false, b"abc\0"),
        (true, b"\0"),
    ];
    let (seen, unreadable) = scp(Direction::FromHost, down, 2);
    assert_eq!(
        (seen, unreadable),
        (vec![" 0 none Failed(\"scp: /no: No such file or directory\")".to_owned(), "f 3 digest Done".to_owned()], false)
    );
    assert_eq!(scp(Direction::FromHost, &[(false, b"Welcome!\n")], 3), (vec![], true));
}

#[test]
fn commands_that_move_files_are_recognised() {
    let told = |command: &str| {
        recognise(command.as_bytes())
            .map(|p| format!("{} {} {}", p.name, p.direction.map_or("-", Direction::as_str), p.path.unwrap_or_default()))
    };
    let is = |command: &str, expected: &str| assert_eq!(told(command).as_deref(), Some(expected), "{command}");
    is("scp -r -p -t -- '/tmp/a b'", "scp to host /tmp/a b");
    is("/usr/bin/scp -pf x y", "scp from host x y");
    is("rsync --server -logDtpre.iLsfxCIvu . copy/", "rsync to host copy/");
    is("rsync --server --sender -e.LsfxC . /srv/a /srv/b", "rsync from host /srv/a /srv/b");
    is("/usr/lib/openssh/sftp-server -R", "sftp-server - ");
    for other in ["scp a b:c", "rsync -a x y", "echo scp -t x", "", "'", "cat scp"] {
        assert_eq!(told(other), None, "{other}");
    }
    assert_eq!(recognise(b"scp -t \xff"), None);
}
