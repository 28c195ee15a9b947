//! What is read, what is warned of, and what is refused, with its place.

use std::time::{Duration, Instant};

use super::*;
use crate::checks::{Condition, parse_all};

const HEAD: &str = "policy:\n  id: p\n  name: P\n";

fn refused(text: &str) -> String {
    match parse("p.yml", text.as_bytes()) {
        Ok(_) => panic!("was read:\n{text}"),
        Err(e) => e.to_string(),
    }
}

fn checks(body: &str) -> String {
    format!("{HEAD}checks:\n{body}")
}

#[test]
fn reads_a_policy_with_all_its_parts() {
    let text = r#"# A comment
policy:
  id: "all_parts"
  file: "all_parts.yml"
  name: yes
  description: >
    Two
    lines.
  references:
    - https://example.org/a
    - https://example.org/b#c

variables:
  $sshd: /etc/ssh/sshd_config,/opt/ssh/sshd_config
  $list:
    - /a
    - /b

requirements:
  title: "Linux"
  description: "d"
  condition: any required
  rules:
    - 'f:$sshd'
    - "f:/proc/sys/kernel/ostype -> Linux"

checks:
  # first
  - id: 1001
    title: On
    compliance:
      - cis: ["1.1.1.1", "1.1"]
      - cis_csc_v7: ["5.1"]
    condition: all
    rules:
      - f:$sshd -> !r:^# && r:Port
      - 'not f:$list -> n:(\d+) compare > 2'
      - "c:sh -c \"a | b\" -> r:\\d"
  - {id: 007, title: T2, condition: none, rules: [d:/x]}
  - id: 1003
    title: five
    compliance:
      cis: ["1"]
    mitre:
      tactic: ["TA1"]
      technique:
        id: [T1, T2]
        name: [A, B]
    condition: any
    rules:
      - p:sshd
"#;
    let policy = parse("x.yml", text.as_bytes()).unwrap();
    assert_eq!((policy.id.as_str(), policy.name.as_str(), policy.description.as_str()), ("all_parts", "yes", "Two lines.\n"));
    assert_eq!(policy.references, ["https://example.org/a", "https://example.org/b#c"]);
    assert_eq!(policy.warnings, []);
    let requirements = policy.requirements.as_ref().unwrap();
    assert_eq!((requirements.condition, requirements.rules.len(), requirements.line), (Condition::Any, 2, 20));
    let ids: Vec<(&str, usize)> = policy.checks.iter().map(|c| (c.id.as_str(), c.line)).collect();
    assert_eq!(ids, [("1001", 29), ("007", 39), ("1003", 40)]);
    assert_eq!(policy.checks[0].title, "On");
    assert_eq!(policy.checks[0].rules[2].text, r#"c:sh -c "a | b" -> r:\d"#);
    assert_eq!(policy.checks[0].rules[1].line, 37);
    assert_eq!(policy.checks[0].compliance["cis_csc_v7"], ["5.1"]);
    assert_eq!(policy.checks[2].compliance["mitre_technique"], ["T1", "T2"]);
    assert_eq!(policy.checks[2].compliance["mitre_tactic"], ["TA1"]);
    let ids: Vec<String> = policy.probes().into_iter().map(|p| p.id).collect();
    assert_eq!(
        ids,
        [
            r#"c:sh -c "a | b""#,
            "e:/etc/ssh/sshd_config",
            "e:/opt/ssh/sshd_config",
            "e:/x",
            "f:/a",
            "f:/b",
            "f:/etc/ssh/sshd_config",
            "f:/opt/ssh/sshd_config",
            "f:/proc/sys/kernel/ostype",
            "p:"
        ]
    );
    assert_eq!(policy.sha256.len(), 64);
}

#[test]
fn tells_the_digest_of_the_bytes() {
    let text = checks("  - {id: 1, title: T, condition: all, rules: [f:/x]}\n");
    let policy = parse("p", text.as_bytes()).unwrap();
    let by_hand: String =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(policy.sha256, by_hand);
    let marked = parse("p", &[b"\xEF\xBB\xBF", text.as_bytes()].concat()).unwrap();
    assert_ne!(marked.sha256, policy.sha256);
}

/// Files that people bring hold an expression now and then that nobody can read: it passes nobody, and hinders no other rule.
#[test]
fn what_hangs_on_an_unreadable_expression_is_not_run() {
    for (kind, expression, said) in [("osregex", "(", "a `(` is not closed"), ("pcre2", "*", "this is no regular expression")] {
        let check = |id: u32, condition: &str| {
            format!(
                "  - id: {id}\n    title: T\n    condition: {condition}\n    regex_type: {kind}\n    rules:\n      - 'f:/a -> r:{expression}'\n      - 'f:/a -> r:x'\n"
            )
        };
        let policy = parse("p.yml", checks(&(check(1, "all") + &check(2, "any"))).as_bytes()).unwrap();
        assert!(policy.warnings.iter().any(|w| w.line == 10 && w.what.contains(said)), "{:?}", policy.warnings);
        let answers = crate::probes::Answers::from([("f:/a".to_owned(), crate::probes::Answer::ended(0, "x\n"))]);
        let states: Vec<_> = policy.evaluate(&answers).into_iter().map(|c| c.state).collect();
        assert_eq!(states, [crate::model::CheckState::NotRun, crate::model::CheckState::Passed], "{kind}");
    }
}

#[test]
fn says_where_and_what_to_write_instead() {
    let check = |inner: &str| checks(&format!("  - id: 12\n    title: T\n    condition: all\n{inner}"));
    for (text, said) in [
        (
            check("    rules:\n      - 'f:/a -> n:a compare ~ 4'\n"),
            "p.yml:9: check 12, rule 1: `compare ~ 4` is no comparison (write `n:REGEX",
        ),
        (check("    rules:\n      - x:/a\n"), "p.yml:9: check 12, rule 1: `x:/a` is no rule (write `f:FILE`"),
        (
            check("    rules:\n      - c:a -> r:b: c\n"),
            "p.yml:9: check 12, rule 1: a rule is a map, where a text is expected: `- c:a -> r:b: c` (write the rule in single quotes)",
        ),
        (check("    rules: f:/a\n"), "p.yml:8: check 12: `rules:` is a text, where a list is expected (write a list"),
        (check("    rules: []\n"), "p.yml:8: check 12: there is no rule"),
        (check("    rules:\n      -\n"), "p.yml:9: check 12, rule 1: a rule is nothing"),
        (check(""), "p.yml:5: check 12: `rules:` is missing (write `rules:` with a list of rules)"),
        (
            checks("  - id: 12\n    title: T\n    condition: most\n    rules: [f:/a]\n"),
            "p.yml:7: check 12: `most` is no condition (write `condition: all`",
        ),
        (checks("  - id: 12\n    title: T\n    rules: [f:/a]\n"), "check 12: `condition:` is missing"),
        (checks("  - id: 12\n    condition: all\n    rules: [f:/a]\n"), "check 12: `title:` is missing"),
        (checks("  - title: T\n    condition: all\n    rules: [f:/a]\n"), "p.yml:5: `id:` is missing"),
        (checks("  - id: 'a b'\n    title: T\n"), "p.yml:5: `a b` is no id"),
        (checks("  - id: 1\n    title: [T]\n"), "p.yml:6: check 1: `title:` is a list, where a text is expected"),
        (checks("  - just a text\n"), "p.yml:5: a check is a text, where a map is expected (write a map: `id:`"),
        (check("    rules: [f:/a]\n    condition: any\n"), "p.yml:9: a check has `condition:` twice (write it once)"),
        (
            check("    regex_type: perl\n    rules: [f:/a]\n"),
            "p.yml:8: check 12: `perl` is no kind of regular expression (write `regex_type: pcre2` or `osregex`)",
        ),
        (check("    compliance: 5\n    rules: [f:/a]\n"), "check 12: `compliance:` holds a text, where a map is expected"),
        (HEAD.to_owned(), "p.yml:1: `checks:` is missing"),
        (checks("  []\n"), "p.yml:5: there is no check"),
        ("checks: []\n".to_owned(), "p.yml:1: `policy:` is missing"),
        ("policy: {name: P}\nchecks: []\n".to_owned(), "`id:` is missing"),
        ("policy: {id: p}\nchecks: []\n".to_owned(), "`name:` is missing"),
        ("- a\n- b\n".to_owned(), "p.yml:1: the file is a list, where a map is expected (write a map: `policy:`"),
        ("a: [".to_owned(), "this is no YAML"),
        (String::new(), "the file is empty"),
        (
            format!("{HEAD}requirements:\n  title: T\n  condition: all\n  rules: [f:/a, q]\nchecks: []\n"),
            "p.yml:7: requirements, rule 2: `q` is no rule",
        ),
        (format!("{HEAD}variables:\n  x: y\nchecks: []\n"), "p.yml:5: `x` is no name of a variable (write a name behind `$`"),
        (format!("{HEAD}variables: 5\nchecks: []\n"), "`variables:` is a text, where a map is expected"),
        (
            checks("  - {id: 1, title: T, condition: all, rules: [f:/x]}\n  - {id: 1, title: T, condition: all, rules: [f:/x]}\n"),
            "p.yml:6: check 1: another check of this policy has the same id",
        ),
    ] {
        let got = refused(&text);
        assert!(got.contains(said), "\n{got}\nlacks\n{said}\nfor\n{text}");
        assert!(got.starts_with("p.yml") && got.ends_with(')') && got.contains(" (write "), "{got}");
    }
    let got = parse("p.yml", b"policy:\n  id: p\n  name: \xFF\n").unwrap_err().to_string();
    assert!(got.starts_with("p.yml:3: the file is no UTF-8 text"), "{got}");
    assert!(!parse("\x1b[2J", b"").unwrap_err().to_string().contains('\x1b'));
}

#[test]
fn warns_and_goes_on() {
    let text = "policy:\n  id: p\n  name: P\n  colour: red\nextra: 1\nchecks:\n  - id: 1\n    titel: x\n    title: T\n    title: U\n    condition: all\n    rules:\n      - f:/a -> r:b #c\n      - 'f:/a -> r:b #c'\n      - f:$nothing\n      - 'f:/a -> r:\\/x'\n";
    let policy = parse("p", text.as_bytes()).unwrap();
    let said: Vec<String> = policy.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "line 4: `policy` has an unknown key `colour`, which is not used",
            "line 5: the file has an unknown key `extra`, which is not used",
            "line 8: a check has an unknown key `titel`, which is not used",
            "line 10: a check has `title:` twice, the first is used",
            "line 13: what stands behind ` #` is a comment and no part of the rule: quote the rule if it is meant",
            "line 15: `$nothing` is no variable of this policy, in `f:$nothing`",
            r"line 16: OS_Regex knows no `\/`, it is read as `/`, in `f:/a -> r:\/x`",
        ]
    );
    assert_eq!(policy.checks[0].title, "T");
    assert_eq!(policy.checks[0].rules[1].text, "f:/a -> r:b #c");
    let many: String = (0..500).map(|i| format!("k{i}: 1\n")).collect();
    let policy = parse("p", format!("{many}{}", checks("  - {id: 1, title: T, condition: all, rules: [f:/x]}\n")).as_bytes()).unwrap();
    assert_eq!(policy.warnings.len(), 200);
}

#[test]
fn reads_policies_of_windows_and_asks_nothing_of_them() {
    let text = "policy:\n  id: win\n  name: W\nrequirements:\n  title: Windows\n  description: d\n  condition: all\n  rules:\n    - 'r:HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion -> ProductName -> r:Windows 11'\nchecks:\n  - id: 1\n    title: A\n    condition: all\n    rules:\n      - 'r:HKLM\\System -> x -> n:^(\\d+) compare <= 365'\n      - 'not f:%WINDIR%\\System32\\x.exe'\n      - 'd:C:\\inetpub -> r:web.config -> r:requireSSL'\n";
    let policy = parse("w.yml", text.as_bytes()).unwrap();
    assert!(policy.probes().is_empty());
    let out = policy.evaluate(&Answers::new());
    assert_eq!(out[0].state, CheckState::NotApplicable);
    assert!(out[0].reason.as_deref().unwrap().contains("registry"));
}

#[test]
fn refuses_two_policies_of_one_id() {
    let file = |name: &str, id: &str| {
        (
            name.to_owned(),
            format!("policy: {{id: {id}, name: P}}\nchecks:\n  - {{id: 1, title: T, condition: all, rules: [f:/x]}}\n").into_bytes(),
        )
    };
    assert_eq!(parse_all(&[file("a.yml", "a"), file("b.yml", "b")]).unwrap().len(), 2);
    let said = parse_all(&[file("a.yml", "a"), file("b.yml", "b"), file("c.yml", "a")]).unwrap_err().to_string();
    assert_eq!(said, "c.yml:1: the policy id `a` is taken by a.yml (write an id that no other policy has)");
    assert!(parse_all(&[file("a.yml", "a"), ("x.yml".to_owned(), b"[".to_vec())]).unwrap_err().to_string().starts_with("x.yml:"));
}

/// A policy of so many checks, no two expressions alike.
fn large(checks: usize) -> String {
    let mut text = format!("{HEAD}  regex_type: pcre2\nchecks:\n");
    for i in 0..checks {
        text += &format!(
            "  - id: {i}\n    title: \"Ensure that {i}\"\n    description: \"{}\"\n    compliance:\n      - cis: [\"{i}.1\"]\n      - mitre: [{}]\n    condition: all\n    rules:\n      - 'f:/etc/{i}.conf -> !r:^\\s*#{i} && r:^\\s*Option{i}\\s+\\d+'\n      - 'c:program{i} -a -> n:^{i}=(\\d+) compare <= {i}'\n      - 'not d:/etc/{i} -> r:\\.conf$ -> r:bad{i}\\b'\n",
            "words ".repeat(60),
            "\"T1110\", ".repeat(40),
        );
    }
    text
}

#[test]
fn reads_three_hundred_checks_at_once() {
    let text = large(300);
    let begun = Instant::now();
    let policy = parse("p", text.as_bytes()).unwrap();
    let took = begun.elapsed();
    assert_eq!(policy.checks.len(), 300);
    assert_eq!(policy.probes().len(), 900);
    // Less than a tenth of a second where code is optimised and the machine is idle; here it may be neither.
    assert!(took < Duration::from_secs(5), "took {took:?}");
    let begun = Instant::now();
    assert_eq!(policy.evaluate(&Answers::new()).len(), 300);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn refuses_what_is_too_much() {
    let begun = Instant::now();
    assert!(refused(&format!("#{}", "x".repeat(5 * 1024 * 1024))).contains("larger than 4 MiB"));
    let check = |i: usize| format!("  - {{id: {i}, title: T, condition: all, rules: [f:/x]}}\n");
    assert!(refused(&checks(&(0..5001).map(check).collect::<String>())).contains("more than 5000 checks"));
    let rules = "f:/x, ".repeat(256);
    assert!(refused(&checks(&format!("  - {{id: 1, title: T, condition: all, rules: [{rules}]}}\n"))).contains("more than 255 rules"));
    let many = |i: usize| format!("  - {{id: {i}, title: T, condition: all, rules: [{}]}}\n", "f:/x, ".repeat(255));
    assert!(refused(&checks(&(0..100).map(many).collect::<String>())).contains("more than 20000 rules"));
    assert!(
        refused(&checks(&format!("  - {{id: 1, title: T, condition: all, rules: ['f:/x -> r:{}']}}\n", "x".repeat(5000))))
            .contains("longer than 4096")
    );
    let laughs: String = (1..20).map(|i| format!("  $v{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 9].join(", "))).collect();
    assert!(refused(&format!("{HEAD}variables:\n  $v0: &a0 [x, y]\n{laughs}checks: []\n")).contains("more than 20000 values"));
    assert!(refused(&format!("{HEAD}checks: {}", "[".repeat(10_000))).contains("p.yml:4"));
    assert!(begun.elapsed() < Duration::from_secs(60), "took {:?}", begun.elapsed());
}

#[test]
fn survives_hostile_expressions() {
    let mut text = format!("{HEAD}  regex_type: pcre2\nchecks:\n");
    for (i, pattern) in ["(a+)+$", "(a|a)*b", "^(?=(a+)+b)", r"(a+)+\1b", "(?>a+)+b(?!c)", "((a*)*)*x"].iter().enumerate() {
        text += &format!("  - {{id: {i}, title: T, condition: all, rules: ['f:/x -> r:{pattern}']}}\n");
    }
    let policy = parse("p", text.as_bytes()).unwrap();
    let line = format!("{}\n", "a".repeat(60)).repeat(10_000);
    let begun = Instant::now();
    let out = policy.evaluate(&answers(&[("f:/x", good(&line))]));
    assert!(begun.elapsed() < Duration::from_secs(60), "took {:?}", begun.elapsed());
    assert_eq!(out[0].state, CheckState::Passed);
    assert_eq!(out[1].state, CheckState::Failed);
    assert!(out[3..5].iter().all(|c| matches!(c.state, CheckState::NotRun | CheckState::Failed)), "{out:?}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    #[test]
    fn never_panics(text in r"\PC{0,200}", bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..100)) {
        let _ = parse("p", text.as_bytes());
        let _ = parse("p", &bytes);
    }

    #[test]
    fn a_policy_with_anything_changed_is_read_or_refused_with_its_place(at in 0usize..900, with in r"[\[\]{}:#&*!|>'\x22%@`\n\t -]{1,3}") {
        let mut text = large(1);
        let at = (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap();
        text.insert_str(at, &with);
        match parse("p", text.as_bytes()) {
            Ok(policy) => { policy.evaluate(&Answers::new()); }
            Err(e) => proptest::prop_assert!(e.to_string().starts_with("p:") && !e.to_string().contains('\n'), "{}", e),
        }
    }
}
