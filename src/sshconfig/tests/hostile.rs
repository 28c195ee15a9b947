//! What no program writes: loops, floods, bytes of any kind. Never a panic, never without end.

use proptest::prelude::*;

use super::super::{Config, Loaded, MAX_FILE, MAX_LINE, known_hosts, pattern};
use super::{around, config};

#[test]
fn files_that_include_one_another_come_to_an_end() {
    let text = "Include a b\nHost x\n  Port 7\n";
    let load = |name: &str| Loaded { name: name.to_owned(), bytes: Ok(text.as_bytes().to_vec()) };
    let mut reads = 0;
    let config = Config::read(vec![load("a")], &mut |_, pattern| {
        reads += 1;
        vec![load(pattern)]
    });
    assert!(reads <= 600, "{reads}");
    assert!(config.troubles.iter().any(|t| t.what.contains("more than")), "{:?}", config.troubles.first());
    assert_eq!(config.settings("x", &around()).port, Some(7));
    assert_eq!(config.aliases().len(), 1);
}

#[test]
fn what_cannot_be_read_is_told_by_its_line() {
    let long = format!("User {}\n", "x".repeat(MAX_LINE));
    let bytes = [
        &b"Host a\n"[..],
        b"  User \xff\n",
        b"  Port 0\n",
        b"  User a\0b\n",
        long.as_bytes(),
        b"  User \"open\n",
        b"Match\n",
        b"HostName\n",
        b"  User fine\n",
    ]
    .concat();
    let root = Loaded { name: "config".to_owned(), bytes: Ok(bytes) };
    let config = Config::read(vec![root], &mut |_, _| Vec::new());
    let mut lines: Vec<usize> = config.troubles.iter().map(|t| t.line).collect();
    lines.sort_unstable();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(config.settings("a", &around()).user.as_deref(), Some("fine"));
    let big = Loaded { name: "big".to_owned(), bytes: Ok(vec![b'\n'; MAX_FILE + 1]) };
    assert_eq!(Config::read(vec![big], &mut |_, _| Vec::new()).troubles.len(), 1);
    let gone = Loaded { name: "gone".to_owned(), bytes: Err("Permission denied".to_owned()) };
    assert_eq!(Config::read(vec![gone], &mut |_, _| Vec::new()).troubles[0].what, "Permission denied");
}

#[test]
fn a_pattern_of_stars_is_no_flood() {
    let text = "a".repeat(10_000);
    let stars = format!("{}b", "*a".repeat(50));
    let start = std::time::Instant::now();
    assert!(!pattern::matches(&text, &stars));
    assert!(start.elapsed() < std::time::Duration::from_secs(5));
}

/// The same by trying everything.
fn slowly(text: &[u8], pattern: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|n| slowly(&text[n..], rest)),
        Some((p, rest)) => text.split_first().is_some_and(|(t, more)| (*p == b'?' || p == t) && slowly(more, rest)),
    }
}

proptest! {
    #[test]
    fn patterns_mean_what_they_mean(text in "[ab]{0,8}", pattern in "[ab*?]{0,8}") {
        prop_assert_eq!(pattern::matches(&text, &pattern), slowly(text.as_bytes(), pattern.as_bytes()));
    }

    #[test]
    fn no_configuration_makes_it_stumble(text in "((Host|Match|Include|HostName|Port|User|IdentityFile|ProxyJump)[ =]{0,3}[a-z0-9%*?!\"'\\\\#@:,~ ]{0,20}\n){0,12}", host in "[a-z0-9%*?!.]{1,10}") {
        let config = config(&text);
        for alias in config.aliases() {
            let settings = config.settings(&alias.name, &around());
            for file in &settings.identity_files {
                let _ = super::super::expand_path(file, &alias.name, &settings, &around());
            }
        }
        let _ = config.settings(&host, &around());
    }

    #[test]
    fn no_bytes_make_the_parsers_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let known = known_hosts::read("x", &bytes);
        for line in &known.lines {
            let _ = (line.covers("a"), line.places());
        }
        let config = Config::read(vec![Loaded { name: "x".to_owned(), bytes: Ok(bytes) }], &mut |_, _| Vec::new());
        let _ = config.settings("a", &around());
    }
}
