//! Answers of a host that lies, breaks off, or sends whatever it likes.

use super::{KEY, answers, facts};
use crate::facts::{Facts, diff, gather, inventory};
use crate::probes::{Answer, Answers, Status};

/// The same answer to everything.
fn everywhere(answer: &Answer) -> Facts {
    gather(&inventory().into_iter().map(|p| (p.id, answer.clone())).collect::<Answers>())
}

/// The groups of facts that may never look clean.
const GROUPS: [&str; 13] = [
    "authorized_keys",
    "cron",
    "groups",
    "listening",
    "modules",
    "mounts",
    "os",
    "packages",
    "services",
    "sshd",
    "sysctl",
    "system",
    "users",
];

#[test]
fn what_was_not_answered_is_missing_with_its_reason() {
    let timed_out = Answer { status: Status::TimedOut, exit: None, took_ms: 30_000, ..Answer::ended(0, "") };
    let broken = Answer { status: Status::Broken, exit: None, ..Answer::ended(0, "") };
    for (answer, why) in [
        (Answer::not_run("sudo is missing"), "not run: sudo is missing"),
        (timed_out, "timed out after 30000 ms"),
        (broken, "the connection broke off"),
        (Answer::ended(0, ""), "answered nothing"),
        (Answer::ended(0, "\n \n\0"), "answered nothing"),
        (Answer::ended(77, ""), "needs root"),
        (Answer::ended(127, "\nsh: not found\n"), "ended with 127: sh: not found"),
        (Answer::ended(65, ""), "a folder where a file was expected"),
    ] {
        let facts = everywhere(&answer);
        for group in GROUPS {
            // An empty table of cron is none, and os is read from several answers.
            let reason = facts.missing.get(group);
            assert!(reason.is_some(), "{group} looks clean after {answer:?}");
            assert!(group == "os" || reason.unwrap().contains(why), "{group}: {reason:?} instead of {why}");
        }
        assert!(facts.packages.is_empty() && facts.users.is_empty());
    }
    let nothing = gather(&Answers::new());
    assert!(GROUPS.iter().all(|g| nothing.missing.contains_key(*g)), "{:?}", nothing.missing);
    assert_eq!(nothing.missing["packages"], "not asked");
}

#[test]
fn zero_packages_are_no_packages() {
    for text in
        ["@dpkg\n", "@dpkg\n!dpkg-query ended with 2\n", "@rpm\ngpg-pubkey\t(none)\t1\t1\t(none)\t(none)\n", "@apk\n\n\n", "@unknown\nx\n"]
    {
        let facts = facts(&[("i:packages", text)]);
        assert!(facts.missing.contains_key("packages"), "{text:?} looks clean");
    }
    let failed = facts(&[("i:packages", "@dpkg\nbash\tii \t1\tamd64\tbash\t1\n!dpkg-query ended with 2\n")]);
    assert_eq!((failed.packages.len(), failed.missing["packages"].as_str()), (1, "dpkg-query ended with 2"));
}

#[test]
fn what_broke_off_loses_its_last_line_and_says_so() {
    let text = "root:x:0:0::/root:/bin/sh\nbob:x:1000:1000::/home/b";
    let mut timed_out = answers(&[]);
    let part = Answer { status: Status::TimedOut, exit: None, took_ms: 5, ..Answer::ended(0, text) };
    timed_out.insert("f:/etc/passwd".to_owned(), part);
    let cut = Answer { cut: true, ..Answer::ended(0, text) };
    let mut was_cut = answers(&[]);
    was_cut.insert("f:/etc/passwd".to_owned(), cut);
    for (answers, why) in [(timed_out, "timed out after 5 ms"), (was_cut, &*format!("cut at {} bytes", text.len()))] {
        let facts = gather(&answers);
        assert_eq!(facts.users.len(), 1);
        assert_eq!(facts.missing["users"], why);
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let mut state = 1_u64;
    let mut noise = Vec::new();
    for _ in 0..60_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        noise.push(state.to_be_bytes()[0]);
    }
    let words: Vec<u8> = noise
        .iter()
        .flat_map(|b| {
            let words: [&[u8]; 24] = [
                b"\n@ss\n",
                b"\n@proc tcp\n",
                b"\n@rpm\n",
                b"\n@apk\n",
                b"\n@netstat\n",
                b"\n@sockstat\n",
                b"\n@units\n",
                b"\n@lsof\n",
                b"\n@mount\n",
                b"\n@pkg\n",
                b"\n ",
                b"\t",
                b":",
                b"tcp ",
                b"\"",
                b"\\",
                b"*.*",
                b"((\"",
                b"=",
                b"\xff",
                b"\0",
                b"LISTEN ",
                b"0A ",
                b"AAAA",
            ];
            words[usize::from(*b) % words.len()].to_vec()
        })
        .collect();
    for text in [noise, words] {
        for status in [Status::Ended, Status::TimedOut] {
            let facts = everywhere(&Answer { status, ..Answer::ended(0, text.clone()) });
            assert!(serde_json::to_string(&facts).is_ok());
            assert!(diff(&facts, &facts).is_empty());
        }
    }
    for text in
        ["@", "@\n", "!", " ", "@ss", "@ss\n\n", "@proc tcp\n:", "@rpm\n\t\t\t\t\t\t\t", "@lsof\nn\n", "=", "@mount\n on  (", "\\", "x:"]
    {
        everywhere(&Answer::ended(0, text));
    }
}

#[test]
fn time_grows_with_the_answer_and_not_with_its_square() {
    let long = "x".repeat(300_000);
    let begin = std::time::Instant::now();
    for text in [
        "@ss\n".to_owned() + &"a\n".repeat(60_000),
        "@dpkg\n".to_owned() + &"a b c d e f g h i j\n".repeat(15_000),
        "@ss\ntcp LISTEN 0 1 ".to_owned() + &long,
        "@ss\ntcp LISTEN 0 1 1.1.1.1:1 0.0.0.0:* users:(".to_owned() + &"(\"a".repeat(60_000),
        "@proc tcp\n".to_owned() + &long,
        "@rpm\n".to_owned() + &"\t".repeat(300_000),
        "@sockstat\n".to_owned() + &"tcp4 ".repeat(60_000),
        "@mount\n ".to_owned() + &" on (type ".repeat(30_000),
        "@openrc\n".to_owned() + &"enabled x\n".repeat(30_000),
        "@\n@a\t/b\n \"".to_owned() + &"\\\" ".repeat(60_000) + "\n@end\n",
        "@/etc/sudoers\n ".to_owned() + &"a \\\n ".repeat(60_000),
    ] {
        everywhere(&Answer::ended(0, text));
    }
    assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
}

#[test]
fn lists_and_texts_are_bounded_and_say_so() {
    let packages: String = (0..30_000).fold("@dpkg\n".to_owned(), |all, i| all + &format!("p{i}\tii \t1\tall\tp\t1\n"));
    let passwd = format!("root:x:0:0::/{}:/bin/sh\n", "h".repeat(10_000));
    let facts = facts(&[("i:packages", &packages), ("f:/etc/passwd", &passwd)]);
    assert_eq!(facts.packages.len(), 20_000);
    assert_eq!(facts.missing["packages"], "only 20000 are kept, 10000 are left out");
    assert_eq!(facts.users[0].home.chars().count(), 4097, "and the mark that it goes on");
    assert!(facts.missing["users.texts"].starts_with("1 texts are longer"));
    assert!(!facts.missing.contains_key("users"));
}

#[test]
fn nothing_that_a_terminal_obeys_stays_in_a_text() {
    let text = format!("@\n@ro\x1b[2Jot\t/x\n {KEY} \x1b]0;hi\x07 \u{202e}evil\n@end\n");
    let facts = facts(&[
        ("i:authorized-keys", &text),
        ("i:system", "kernel=Linux\nhostname=\x1b[31mweb\nrelease=1\n"),
        ("i:services", "@unit-files\n\u{1b}c.service enabled\n"),
        ("i:sudoers", "@/x\n a\x1b[1mb\n"),
    ]);
    let json = serde_json::to_value(&facts).unwrap();
    fn each(value: &serde_json::Value) {
        match value {
            serde_json::Value::String(s) => assert!(!s.contains(|c: char| c.is_control() || c == '\u{202e}'), "{s:?}"),
            serde_json::Value::Array(list) => list.iter().for_each(each),
            serde_json::Value::Object(map) => map.values().for_each(each),
            _ => {}
        }
    }
    each(&json);
    assert_eq!(facts.authorized_keys.len(), 1);
}

#[test]
fn no_line_of_a_file_passes_for_a_section() {
    // The script puts a blank before each line that others write.
    let facts = facts(&[("i:authorized-keys", &format!("@\n@eve\t/home/eve/k\n @root\t/root/k\n {KEY}\n@end\n"))]);
    assert!(facts.authorized_keys.iter().all(|k| k.user == "eve"));
}
