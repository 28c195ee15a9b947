//! What nobody who means well would send.

use proptest::prelude::*;

use super::*;
use crate::sftp::{Act, Direction, End, ScpTap, Side, Text};

fn after_greeting(more: Vec<Says>) -> (Vec<Seen>, Option<String>) {
    let mut talk = greeting();
    talk.extend(more);
    heard(&talk, 5)
}

#[test]
fn what_is_no_sftp_is_given_up_with_its_reason() {
    let gives_up = |talk: Vec<Says>, expected: &str| {
        let (_, why) = heard(&talk, 3);
        assert!(why.as_deref().is_some_and(|why| why.contains(expected)), "{why:?}, not {expected}");
    };
    gives_up(vec![Says::Client(n(0))], "a packet of 0 bytes");
    gives_up(vec![Says::Client(n(u32::MAX))], "a packet of 4294967295 bytes");
    gives_up(vec![Says::Host(b"Welcome to this host\n".to_vec())], "a packet of ");
    gives_up(vec![ask(3, 1, &[&text(b"x"), &n(1), &n(0)])], "greeting");
    gives_up([greeting(), vec![Says::Client(packet(1, &[&n(3)]))]].concat(), "greets twice");
    gives_up([greeting(), vec![Says::Host(packet(2, &[&n(3)]))]].concat(), "greets twice");
    gives_up(vec![Says::Client(packet(1, &[&n(6)])), Says::Host(packet(2, &[&n(6)]))], "version 6");
    let more = |more: Vec<Says>, expected: &str| gives_up([greeting(), more].concat(), expected);
    more(vec![status(7, 0, "")], "nothing that was asked");
    more(vec![ask(17, 1, &[&text(b"x")]), ask(13, 1, &[&text(b"x")])], "same number");
    more(vec![ask(13, 1, &[])], "shorter");
    more(vec![ask(13, 1, &[&n(1000), b"x"])], "shorter");
    more(vec![Says::Client(packet(6, &[&n(1), &text(&[1; 300]), &long(0), &text(b"x")]))], "a handle of 300");
    more(vec![Says::Client(packet(6, &[&n(1), &text(b"h"), &long(0), &n(9), b"x"]))], "room for 1 bytes");
    more(vec![Says::Client(packet(6, &[&n(1)]))], "shorter");
    more(vec![ask(5, 1, &[&text(b"nobody's"), &long(0), &n(1)]), answer(103, 1, &[&text(b"x")])], "not seen to be opened");
    more(vec![ask(13, 1, &[&text(b"x")]), answer(102, 1, &[&text(b"h")])], "a handle that was not asked for");
    let many = (0..1025).flat_map(|i| {
        let open = ask(3, i, &[&text(b"f"), &n(1), &n(0)]);
        [open, answer(102, i, &[&text(&n(i))])]
    });
    more(many.collect(), "more than 1024 files");
    // As long as paths are kept, they count by their bytes.
    let long = (0..400).flat_map(|i| {
        let open = ask(3, i, &[&text(&[b'x'; 5000]), &n(1), &n(0)]);
        [open, answer(102, i, &[&text(&n(i))])]
    });
    more(long.collect(), "their paths are too long");
    let again = (0..400).flat_map(|i| {
        let open = ask(3, i, &[&text(&[b'x'; 5000]), &n(1), &n(0)]);
        [open, answer(102, i, &[&text(b"h")]), ask(4, i, &[&text(b"h")]), status(i, 0, "")]
    });
    assert_eq!(after_greeting(again.collect()).1, None, "what was closed counts no more");
    more((0..140_000).map(|i| ask(17, i, &[])).collect(), "more requests wait");
    more((0..2000).map(|i| ask(13, i, &[&text(&[b'x'; 5000])])).collect(), "more requests wait");
}

#[test]
fn what_was_open_is_told_when_the_rest_is_given_up() {
    let open = [ask(3, 1, &[&text(b"f"), &n(1), &n(0)]), answer(102, 1, &[&text(b"h")])];
    let (seen, why) = after_greeting([open.to_vec(), vec![Says::Client(n(0))]].concat());
    assert!(why.is_some());
    assert_eq!(seen.iter().map(|s| (s.act, s.end.clone())).collect::<Vec<_>>(), [(Act::Read, End::Unseen)]);
}

#[test]
fn long_paths_are_cut_and_say_so() {
    let long = vec![b'p'; 100_000];
    let (seen, why) = after_greeting(vec![ask(18, 1, &[&text(&long), &text(b"short")]), status(1, 0, "")]);
    assert_eq!(why, None);
    assert!(seen[0].path.is_cut() && seen[0].path.to_string().len() == 4096);
    assert!(seen[0].to.as_ref().unwrap().is_cut(), "what lies behind it is not known");
    let (seen, _) = after_greeting(vec![ask(13, 1, &[&text(&[b'p'; 5000])]), status(1, 0, "")]);
    assert!(seen[0].path.is_cut());
}

#[test]
fn a_handle_that_nobody_knows_is_the_hosts_to_refuse() {
    let write = ask(6, 1, &[&text(b"h"), &long(0), &text(b"x")]);
    let (seen, why) = after_greeting(vec![write, status(1, 4, "Failure"), ask(4, 2, &[&text(b"h")]), status(2, 4, "")]);
    assert_eq!((seen, why), (vec![], None));
}

/// One side says something.
type Speaks = fn(&mut ScpTap, &[u8]);

/// A tap of scp and the two sides of what it follows: who sends the files, who takes them.
fn scp(direction: Direction, path: usize) -> (ScpTap, Speaks, Speaks) {
    let tap = ScpTap::new(direction, Some(Text::new(&vec![b'p'; path], false)));
    match direction {
        Direction::ToHost => (tap, ScpTap::client, ScpTap::host),
        Direction::FromHost => (tap, ScpTap::host, ScpTap::client),
    }
}

const BOTH: [Direction; 2] = [Direction::ToHost, Direction::FromHost];

#[test]
fn one_packet_makes_no_thousands_of_entries() {
    for direction in BOTH {
        for (path, most) in [(4096, 63), (1, 2033)] {
            let (mut tap, sends, takes) = scp(direction, path);
            sends(&mut tap, "\x01\n".repeat(16384).as_bytes());
            let side = if direction == Direction::ToHost { Side::Client } else { Side::Host };
            assert_eq!(tap.take().len(), most, "{direction:?}");
            let unreadable = tap.unreadable().expect("the rest is not followed");
            assert_eq!((unreadable.side, unreadable.at), (side, u64::try_from(2 * most).unwrap()));
            assert!(unreadable.why.contains("more at once"), "{unreadable:?}");
            takes(&mut tap, &[0; 100]);
            sends(&mut tap, "\x01\n".repeat(16384).as_bytes());
            tap.end();
            assert_eq!(tap.take(), [], "{direction:?}");
        }
        // A file after the other, none of which anybody waits for: the other way to an entry.
        let (mut tap, sends, _) = scp(direction, 4096);
        sends(&mut tap, "C0 0 f\n\0".repeat(4096).as_bytes());
        assert_eq!((tap.take().len(), tap.unreadable().is_some()), (63, true), "{direction:?}");
        // What the other side refuses.
        let (mut tap, sends, takes) = scp(direction, 4096);
        for _ in 0..1000 {
            sends(&mut tap, b"C0 0 f\n");
            takes(&mut tap, b"\x01\n");
        }
        assert_eq!((tap.take().len(), tap.unreadable().is_some()), (63, true), "{direction:?}");
    }
}

#[test]
fn a_directory_of_files_that_cannot_be_read_is_followed_to_its_end() {
    for direction in BOTH {
        let (mut tap, sends, _) = scp(direction, 40);
        for _ in 0..100 {
            sends(&mut tap, "\x01scp: /srv/data/0001: Permission denied\n".repeat(800).as_bytes());
            assert_eq!((tap.take().len(), tap.unreadable()), (800, None), "{direction:?}");
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_break_a_tap(talk in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..60)), 0..30), greets: bool) {
        let mut tap = Tap::new();
        let mut taps = BOTH.map(|direction| scp(direction, 4096).0);
        if greets {
            tap.client(&packet(1, &[&n(3)]));
            tap.host(&packet(2, &[&n(3)]));
        }
        for (client, bytes) in &talk {
            if *client { tap.client(bytes) } else { tap.host(bytes) }
            for tap in &mut taps {
                if *client { tap.client(bytes) } else { tap.host(bytes) }
            }
        }
        tap.end();
        // Whatever is seen was asked for, in 9 bytes or more.
        let passed: usize = talk.iter().map(|(_, bytes)| bytes.len()).sum();
        prop_assert!(tap.take().len() * 9 <= passed);
        for tap in &mut taps {
            tap.end();
            prop_assert!(tap.take().len() <= 63);
        }
    }

    /// Sentences of scp in any order, a packet at a time.
    #[test]
    fn no_packet_of_scps_own_words_makes_thousands_of_entries(talk in prop::collection::vec((any::<bool>(), prop::sample::select(&["C0 0 f\n", "\0", "\x01\n", "\x02no\n", "E\n", "D0 0 d\n"][..]), 1usize..5000), 0..30)) {
        for direction in BOTH {
            let (mut tap, sends, takes) = scp(direction, 4096);
            for (sender, word, times) in &talk {
                if *sender { sends(&mut tap, word.repeat(*times).as_bytes()) } else { takes(&mut tap, word.repeat(*times).as_bytes()) }
                prop_assert!(tap.take().len() <= 63);
            }
            tap.end();
            prop_assert!(tap.take().len() <= 1);
        }
    }

    /// Packets that look right, with fields that may not be.
    #[test]
    fn no_packets_break_a_tap(talk in prop::collection::vec((any::<bool>(), any::<u8>(), 0u32..6, prop::collection::vec(any::<u8>(), 0..40)), 0..60), at_once in 1usize..50) {
        let mut all = greeting();
        all.extend(talk.iter().map(|(client, kind, id, rest)| {
            let handle = text(b"h");
            if *client { ask(kind % 24, *id, &[&handle, rest]) } else { answer(100 + kind % 6, *id, &[&handle, rest]) }
        }));
        let whole = heard(&all, usize::MAX);
        let cut = heard(&all, at_once);
        // Each entry was asked for by a client's request.
        prop_assert!(whole.0.len() <= talk.iter().filter(|(client, ..)| *client).count());
        prop_assert_eq!(whole, cut);
    }
}
