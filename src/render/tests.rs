//! Tests of what is shown: golden lines, and the properties that hold for all bytes.

use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use super::*;

/// Reads the plain form back, as somebody would who knows the notation and nothing else.
fn read_back(plain: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = plain;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\n' => {}
            '·' => out.push(b' '),
            '⟨' => {
                let (escape, behind) = rest.split_once('⟩').expect("a bracket is closed");
                rest = behind;
                match escape.strip_prefix('\\').expect("an escape begins with a backslash") {
                    "n" => out.push(b'\n'),
                    "r" => out.push(b'\r'),
                    "t" => out.push(b'\t'),
                    hex if hex.starts_with('x') => out.push(u8::from_str_radix(&hex[1..], 16).unwrap()),
                    code => {
                        let code = code.strip_prefix("u{").and_then(|c| c.strip_suffix('}')).unwrap();
                        let c = char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap();
                        out.extend(c.encode_utf8(&mut [0; 4]).bytes());
                    }
                }
            }
            c => out.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    out
}

/// Bytes that are nastier than random ones.
fn nasty() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..8),
        any::<char>().prop_map(|c| c.to_string().into_bytes()),
        proptest::char::ranges(vec!['\u{0}'..='\u{ff}', '\u{300}'..='\u{36f}', '\u{400}'..='\u{5ff}', '\u{2000}'..='\u{206f}'].into())
            .prop_map(|c| c.to_string().into_bytes()),
        "[ a\\\\⟨⟩·↳\t\r\nxu{}0-9éе́世ａ]{0,12}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

fn harmless(c: char) -> bool {
    c == ' ' || !(c.is_control() || c.is_whitespace() || sign::is_ignorable(c))
}

proptest! {
    #[test]
    fn what_is_shown_can_be_read_back_into_the_bytes(bytes in nasty()) {
        prop_assert_eq!(read_back(&show(&bytes).plain()), bytes);
    }

    #[test]
    fn nothing_that_is_shown_is_obeyed_or_hidden(bytes in nasty(), most in 0usize..40) {
        let shown = show(&bytes);
        prop_assert_eq!(shown.bytes, bytes.len());
        prop_assert!(shown.plain().chars().all(|c| c == '\n' || harmless(c)));
        prop_assert!(output(&bytes).chars().all(|c| c == '\n' || harmless(c)));
        prop_assert!(clean_bytes(&bytes, most).chars().all(harmless));
        for piece in shown.lines.iter().flat_map(|l| &l.pieces) {
            prop_assert!(!piece.text.is_empty() && !piece.text.contains('\n'));
        }
    }

    #[test]
    fn rows_are_the_lines_and_fit(bytes in nasty(), width in 0usize..40) {
        let shown = show(&bytes);
        let rows = shown.wrapped(width);
        let styled = |lines: &[Line]| -> Vec<(char, Mark)> {
            let pieces = lines.iter().flat_map(|l| &l.pieces).filter(|p| p.mark != Mark::Wrap);
            pieces.flat_map(|p| p.text.chars().map(|c| (c, p.mark))).collect()
        };
        prop_assert_eq!(styled(&rows), styled(&shown.lines));
        for row in &rows {
            prop_assert!(row.columns() <= width.max(2), "{:?}", row);
            prop_assert!(row.text().width() <= row.columns());
        }
        let starts = rows.iter().filter(|r| r.pieces.first().is_none_or(|p| p.mark != Mark::Wrap)).count();
        if width >= 4 {
            prop_assert_eq!(starts, shown.lines.len());
        }
    }

    #[test]
    fn what_is_left_out_is_counted(bytes in nasty(), most in 0usize..60) {
        let text = clean_bytes(&bytes, most);
        let whole = show(&bytes).plain().replace('\n', "");
        match text.rsplit_once('⟨').and_then(|(head, tail)| Some((head, tail.split_once(" byte")?.0))) {
            Some((head, left)) => {
                prop_assert!(head.chars().map(|c| c.width().unwrap()).sum::<usize>() <= most);
                prop_assert_eq!(read_back(head).len() + left.parse::<usize>().unwrap(), bytes.len());
            }
            None => prop_assert_eq!(text, whole),
        }
    }

    #[test]
    fn ordinary_text_is_shown_as_it_is(text in "[!-~]{1,20}( [!-~]{1,20}){0,5}") {
        let shown = show(text.as_bytes());
        prop_assert_eq!(shown.plain(), text.clone());
        prop_assert_eq!(&shown.warnings, &[]);
        prop_assert_eq!(output(text.as_bytes()), text.clone());
        prop_assert_eq!(clean(&text, 200), text);
    }
}

#[test]
fn golden() {
    for (bytes, plain) in [
        (&b""[..], ""),
        (b"ls -l\n", "ls -l⟨\\n⟩"),
        (b"a\nb", "a⟨\\n⟩\nb"),
        (b"\n\n", "⟨\\n⟩\n⟨\\n⟩"),
        (b"printf 'a\\nb'", "printf 'a\\nb'"),
        (b"ls\x1b[2K\rrm -rf ~", "ls⟨\\x1b⟩[2K⟨\\r⟩rm -rf ~"),
        (b"a\0\x07\x08\x7f", "a⟨\\x00⟩⟨\\x07⟩⟨\\x08⟩⟨\\x7f⟩"),
        (b"a\xff\xc3", "a⟨\\xff⟩⟨\\xc3⟩"),
        (b"a\tb", "a⟨\\t⟩b"),
        (b" a  b c ", "·a··b c·"),
        ("a\u{85}\u{9b}31m".as_bytes(), "a⟨\\u{85}⟩⟨\\u{9b}⟩31m"),
        ("a\u{202e}b\u{2066}\u{200f}".as_bytes(), "a⟨\\u{202e}⟩b⟨\\u{2066}⟩⟨\\u{200f}⟩"),
        ("r\u{200b}m\u{feff}\u{ad}\u{e0041}\u{fe0f}".as_bytes(), "r⟨\\u{200b}⟩m⟨\\u{feff}⟩⟨\\u{ad}⟩⟨\\u{e0041}⟩⟨\\u{fe0f}⟩"),
        ("a\u{a0}b\u{3000}c\u{2028}".as_bytes(), "a⟨\\u{a0}⟩b⟨\\u{3000}⟩c⟨\\u{2028}⟩"),
        ("\u{3164}\u{ffa0}\u{115f}\u{2800}".as_bytes(), "⟨\\u{3164}⟩⟨\\u{ffa0}⟩⟨\\u{115f}⟩⟨\\u{2800}⟩"),
        ("\u{e000}\u{378}\u{fffd}".as_bytes(), "⟨\\u{e000}⟩⟨\\u{378}⟩⟨\\u{fffd}⟩"),
        ("é ё 世界 กำ".as_bytes(), "é ё 世界 กำ"),
        // Composed it would look the same; on nothing, on a slash, one too many.
        ("e\u{301}".as_bytes(), "e⟨\\u{301}⟩"),
        ("\u{338}/\u{338}".as_bytes(), "⟨\\u{338}⟩/⟨\\u{338}⟩"),
        ("x\u{33f}\u{33f}\u{33f}\u{33f}".as_bytes(), "x\u{33f}\u{33f}\u{33f}⟨\\u{33f}⟩"),
        // The signs of the notation, and what looks like them.
        ("⟨\\n⟩·".as_bytes(), "⟨\\u{27e8}⟩\\n⟨\\u{27e9}⟩⟨\\u{b7}⟩"),
        ("\u{3008}\u{22c5}↳".as_bytes(), "⟨\\u{3008}⟩⟨\\u{22c5}⟩⟨\\u{21b3}⟩"),
    ] {
        assert_eq!(show(bytes).plain(), plain, "{bytes:?}");
    }
}

#[test]
fn marks_say_how_to_draw() {
    let pieces: Vec<(String, Mark)> =
        show("a  b\x1b\t\\n раsswd\n".as_bytes()).lines.remove(0).pieces.into_iter().map(|p| (p.text, p.mark)).collect();
    let expected = [
        ("a", Mark::Plain),
        ("··", Mark::Space),
        ("b", Mark::Plain),
        ("⟨\\x1b⟩", Mark::Care),
        ("⟨\\t⟩", Mark::Escape),
        ("\\n ", Mark::Plain),
        ("раsswd", Mark::Care),
        ("⟨\\n⟩", Mark::Escape),
    ];
    assert_eq!(pieces, expected.map(|(t, m)| (t.to_owned(), m)));
}

#[test]
fn ignorable_characters_are_those_of_unicode() {
    let theirs = regex::Regex::new(r"^\p{Default_Ignorable_Code_Point}$").unwrap();
    for c in '\0'..=char::MAX {
        assert_eq!(sign::is_ignorable(c), theirs.is_match(c.encode_utf8(&mut [0; 4])), "{}", c.escape_unicode());
    }
}

#[test]
fn no_single_character_is_shown_as_nothing() {
    for c in '\0'..=char::MAX {
        let plain = show(c.encode_utf8(&mut [0; 4]).as_bytes()).plain();
        assert!(plain.width() > 0 && plain.chars().all(|c| c.width() > Some(0)), "{}", c.escape_unicode());
        assert_eq!(read_back(&plain), c.to_string().into_bytes());
    }
}

#[test]
fn warnings_are_given_where_they_should() {
    let large = [b'x'; 9000];
    let many = b"a\n".repeat(61);
    let trailing = [b"ls".to_vec(), vec![b' '; 9]].concat();
    let gap = [b"ls".to_vec(), vec![b' '; 61], b"; rm x".to_vec()].concat();
    for (bytes, warning) in [
        (&b"a\x1bb\x07"[..], Warning::Control(2)),
        (b"a\rb", Warning::CarriageReturn(1)),
        (b"\xff", Warning::NotUtf8(1)),
        ("a\u{202e}".as_bytes(), Warning::Bidi(1)),
        ("א".as_bytes(), Warning::RightToLeft(1)),
        ("a\u{200b}\u{fe0f}".as_bytes(), Warning::Invisible(2)),
        ("a\u{a0}".as_bytes(), Warning::OddSpace(1)),
        ("\u{e000}".as_bytes(), Warning::Shapeless(1)),
        ("e\u{301}".as_bytes(), Warning::StrayMark(1)),
        ("cat /etc/раsswd".as_bytes(), Warning::Lookalike("раsswd".to_owned())),
        ("ѕсор".as_bytes(), Warning::Lookalike("ѕсор".to_owned())),
        ("ｌs".as_bytes(), Warning::Lookalike("ｌs".to_owned())),
        ("pıng".as_bytes(), Warning::Lookalike("pıng".to_owned())),
        ("echo “a".as_bytes(), Warning::Lookalike("“".to_owned())),
        ("ab\u{2215}c".as_bytes(), Warning::Lookalike("\u{2215}".to_owned())),
        ("αb".as_bytes(), Warning::Lookalike("αb".to_owned())),
        (&trailing, Warning::Padding(9)),
        (&gap, Warning::Padding(61)),
        (&many, Warning::ManyLines(61)),
    ] {
        assert_eq!(show(bytes).warnings, [warning], "{bytes:?}");
    }
    assert_eq!(show(&large).warnings, [Warning::LongLine(9000), Warning::Large(9000)]);
    for fine in ["ls -l", "echo привет мир", "naïve café", "touch Straße_ø", "日本語のファイルab", "안녕a", "  indented", "df -h \n", "ς"]
    {
        assert_eq!(show(fine.as_bytes()).warnings, [], "{fine}");
    }
}

#[test]
fn sentences_are_harmless_and_only_length_is_no_reason_for_care() {
    let shown = show("\u{a0}\x1b\r\u{202e}\u{200b}\u{e000}א\u{301} ра\u{301}sswd\n".repeat(400).as_bytes());
    assert!(shown.warnings.len() > 8 && shown.needs_care(), "{:?}", shown.warnings);
    for warning in shown.warnings {
        assert!(warning.sentence().chars().all(harmless), "{}", warning.sentence());
    }
    assert!(!show(&b"echo\n".repeat(2000)).needs_care());
}

#[test]
fn output_keeps_lines_and_columns_and_obeys_nothing() {
    for (bytes, text) in [
        (&b"a\r\nb\n"[..], "a\nb\n"),
        (b"a\tb\n\tc", "a       b\n        c"),
        (b"10%\r20%\r\n", "10%⟨\\r⟩20%\n"),
        (b"\x1b]0;title\x07 \x1b[31mred", "⟨\\x1b⟩]0;title⟨\\x07⟩ ⟨\\x1b⟩[31mred"),
        ("● a  b — “c” · e\u{301}  ".as_bytes(), "● a  b — “c” · e\u{301}  "),
        ("a\u{202e}⟨\\n⟩".as_bytes(), "a⟨\\u{202e}⟩⟨\\u{27e8}⟩\\n⟨\\u{27e9}⟩"),
        (b"\xff", "⟨\\xff⟩"),
    ] {
        assert_eq!(output(bytes), text, "{bytes:?}");
    }
}

#[test]
fn a_long_claim_is_cut_and_says_so() {
    assert_eq!(clean("restart the web server", 80), "restart the web server");
    assert_eq!(clean("restart the web server", 7), "restart⟨15 bytes more⟩");
    assert_eq!(clean("ab", 1), "a⟨1 byte more⟩");
    assert_eq!(clean("a\nb\x1b[2J", 80), "a⟨\\n⟩b⟨\\x1b⟩[2J");
    // An escape is whole or not there.
    assert_eq!(clean("a\u{202e}b", 5), "a⟨4 bytes more⟩");
    assert_eq!(clean("世界", 3), "世⟨3 bytes more⟩");
}
