//! Each kind of rule against each kind of answer, met and not met.

use super::*;
use crate::model::CheckState::{Failed, NotApplicable, NotRun, Passed};
use crate::probes::{ABSENT, NEEDS_ROOT, OTHER_KIND};

/// A rule, the id and the answer, and how `all`, and `all` of its negation, come out.
fn both(rule: &str, of: &[(&str, Answer)], expected: CheckState) {
    assert_eq!(state(rule, of), expected, "{rule} with {of:?}");
    let turned = match expected {
        Passed => Failed,
        Failed => Passed,
        other => other,
    };
    assert_eq!(state(&format!("not {rule}"), of), turned, "not {rule} with {of:?}");
}

#[test]
fn files_exist_or_not() {
    let rule = "f:/etc/x";
    both(rule, &[("e:/etc/x", good("f\n"))], Passed);
    both(rule, &[("e:/etc/x", ends(ABSENT))], Failed);
    both(rule, &[("e:/etc/x", good("d\n"))], NotApplicable);
    both(rule, &[("e:/etc/x", good("o\n"))], NotApplicable);
    both(rule, &[("e:/etc/x", ends(OTHER_KIND))], NotApplicable);
    both(rule, &[("e:/etc/x", ends(NEEDS_ROOT))], NotRun);
    both(rule, &[("e:/etc/x", ends(1))], NotRun);
    both(rule, &[("e:/etc/x", good("what?"))], NotRun);
    both(rule, &[("e:/etc/x", timed_out("f\n"))], NotRun);
    both(rule, &[("e:/etc/x", Answer { status: Status::Broken, ..good("f\n") })], NotRun);
    both(rule, &[("e:/etc/x", Answer { exit: None, ..good("f\n") })], NotRun);
    both(rule, &[], NotRun);
    // What was read before tells it, too, even if it was cut.
    both(rule, &[("f:/etc/x", cut("abc"))], Passed);
    both(rule, &[("f:/etc/x", ends(ABSENT))], Failed);
    both(rule, &[("e:/etc/x", timed_out("")), ("f:/etc/x", good(""))], Passed);
    both(rule, &[("f:/etc/x", timed_out("abc"))], NotRun);
    // One of a list is enough; what is not known could be it.
    let list = "f:/a,/b";
    both(list, &[("e:/a", ends(ABSENT)), ("e:/b", good("f\n"))], Passed);
    both(list, &[("e:/a", ends(ABSENT)), ("e:/b", ends(ABSENT))], Failed);
    both(list, &[("e:/a", ends(ABSENT)), ("e:/b", good("d\n"))], NotApplicable);
    both(list, &[("e:/a", ends(ABSENT))], NotRun);
    both(list, &[("e:/a", good("f\n"))], Passed);
}

#[test]
fn files_hold_a_line_or_not() {
    let rule = "f:/etc/x -> !r:^# && r:Port && r:22";
    both(rule, &[("f:/etc/x", good("# Port 22\nPort 22\n"))], Passed);
    both(rule, &[("f:/etc/x", good("# Port 22\r\nPort 22"))], Passed);
    both(rule, &[("f:/etc/x", good("# Port 22\nPort\n22\n"))], Failed);
    both(rule, &[("f:/etc/x", good(""))], Failed);
    both(rule, &[("f:/etc/x", ends(ABSENT))], NotApplicable);
    both(rule, &[("f:/etc/x", ends(OTHER_KIND))], NotApplicable);
    both(rule, &[("f:/etc/x", ends(NEEDS_ROOT))], NotRun);
    both(rule, &[("f:/etc/x", timed_out("Port 22\n"))], NotRun);
    both(rule, &[("f:/etc/x", Answer::not_run("no"))], NotRun);
    // Cut: a whole line that meets it decides, a part of one does not, and nothing says that there is none.
    both(rule, &[("f:/etc/x", cut("Port 22\nx"))], Passed);
    both(rule, &[("f:/etc/x", cut("a\nPort 22"))], NotRun);
    both(rule, &[("f:/etc/x", cut("a\nb\n"))], NotRun);
    // A list: any of them; one that is missing keeps it from failing.
    let list = "f:/a,/b -> yes";
    both(list, &[("f:/a", good("no\n")), ("f:/b", good("yes\n"))], Passed);
    both(list, &[("f:/a", good("no\n")), ("f:/b", good("no\n"))], Failed);
    both(list, &[("f:/a", good("no\n")), ("f:/b", ends(ABSENT))], NotApplicable);
    both(list, &[("f:/a", good("yes\n")), ("f:/b", ends(ABSENT))], Passed);
    both(list, &[("f:/a", good("no\n"))], NotRun);
    // A number that is none.
    both(r"f:/a -> n:^x (\S+) compare > 1", &[("f:/a", good("x y\n"))], NotApplicable);
    both(r"f:/a -> n:^x (\S+) compare > 1", &[("f:/a", cut("x y\n"))], NotRun);
    // Not of a Unix host: nobody asks, and it does not apply.
    both(r"f:C:\x -> r:a", &[], NotApplicable);
    assert!(policy("all", &[r"f:C:\x -> r:a", "d:%WINDIR%"]).probes().is_empty());
}

#[test]
fn the_three_languages() {
    let line = [("f:/x", good("PermitRootLogin  No\n"))];
    // OS_Regex minds no case; PCRE2 does, and Wazuh 5 tells it not to.
    assert_eq!(state(r"f:/x -> r:^permitrootlogin\s+no", &line), Passed);
    assert_eq!(one(&pcre(&[r"f:/x -> r:^permitrootlogin\s+no"]), &line).state, Failed);
    assert_eq!(one(&pcre(&[r"f:/x -> r:^PermitRootLogin\h++(?!yes)No$"]), &line).state, Passed);
    let five = "policy: {id: p, name: P}\nchecks:\n  - id: 1\n    name: T\n    condition: all\n    rules: ['f:/x -> r:^permitrootlogin\\h+no$', 'f:/x -> !r:yes', 'not f:/x -> !r:no']\n";
    assert_eq!(one(&parse("p", five.as_bytes()).unwrap(), &line).state, Passed);
    // A check may have a language of its own.
    let own = "policy: {id: p, name: P, regex_type: pcre2}\nchecks:\n  - id: 1\n    title: T\n    regex_type: osregex\n    condition: all\n    rules: ['f:/x -> r:^permitrootlogin\\s\\s\\.+$']\n";
    assert_eq!(one(&parse("p", own.as_bytes()).unwrap(), &line).state, Passed);
}

#[test]
fn folders_exist_or_have_names_or_lines() {
    both("d:/etc/x", &[("e:/etc/x", good("d\n"))], Passed);
    both("d:/etc/x", &[("e:/etc/x", good("f\n"))], NotApplicable);
    both("d:/etc/x", &[("e:/etc/x", ends(ABSENT))], Failed);
    both("d:/etc/x", &[("d:/etc/x", good(""))], Passed);
    both("d:/etc/x", &[("D:/etc/x", ends(ABSENT))], Failed);

    let names = "d:/e -> r:^a";
    for id in ["d:/e", "D:/e"] {
        both(names, &[(id, good("f/e/b\0f/e/sub/Ab\0"))], Passed);
        both(names, &[(id, good("f/e/b\0f/e/a/b\0"))], Failed);
        both(names, &[(id, good(""))], Failed);
        both(names, &[(id, good("o/e/a\0"))], NotApplicable);
        both(names, &[(id, good("a/e/a\0"))], Failed);
        both(names, &[(id, ends(ABSENT))], NotApplicable);
        both(names, &[(id, ends(OTHER_KIND))], NotApplicable);
        both(names, &[(id, ends(NEEDS_ROOT))], NotRun);
        both(names, &[(id, cut("f/e/b\0"))], NotRun);
        both(names, &[(id, cut("f/e/a\0f/e"))], Passed);
        both(names, &[(id, cut("f/e/b\0f/e/a"))], NotRun);
        both(names, &[(id, good("f/e/b\0!\0"))], NotRun);
        both(names, &[(id, good("f/e/a\0!\0"))], Passed);
        both(names, &[(id, good("no frame"))], NotRun);
    }
    both(names, &[("d:/e", good("f/e/b\0")), ("D:/e", cut("f/e/b\0cx"))], Failed);
    both(names, &[("d:/e", timed_out("")), ("D:/e", good("f/e/a\0c\0"))], Passed);
    let lines = r"d:/e -> r:.conf$ -> r:^x\s+1";
    both(lines, &[("D:/e", good("f/e/a.conf\0cx 2\n\0f/e/s/b.conf\0cx 1\n\0"))], Passed);
    both(lines, &[("D:/e", good("f/e/a.conf\0cx 2\n\0f/e/b.txt\0cx 1\n\0"))], Failed);
    both(lines, &[("D:/e", good(""))], Failed);
    both(lines, &[("D:/e", good("f/e/a.conf\0Cx 2\n\0"))], NotRun);
    both(lines, &[("D:/e", good("f/e/a.conf\0Cx 1\n\0"))], Passed);
    both(lines, &[("D:/e", good("f/e/a.conf\0u\0"))], NotRun);
    both(lines, &[("D:/e", good("a/e/a.conf\0"))], NotApplicable);
    both(lines, &[("D:/e", cut("f/e/a.conf\0cx 1\nx"))], Passed);
    both(lines, &[("D:/e", cut("f/e/a.conf\0cx 1"))], NotRun);
    // The names alone do not tell what lines there are.
    both(lines, &[("d:/e", good("f/e/a.conf\0"))], NotRun);
    both("d:/e,/g -> a", &[("d:/e", ends(ABSENT)), ("d:/g", good("f/g/a\0"))], Passed);
}

#[test]
fn commands_print_a_line_or_cannot_be_run() {
    let rule = r"c:sshd -T -> n:^maxauthtries (\d+) compare <= 4";
    let id = "c:sshd -T";
    both(rule, &[(id, good("a\nmaxauthtries 3\n"))], Passed);
    both(rule, &[(id, good("maxauthtries 6\n"))], Failed);
    // Whatever the status, what it printed counts, as it does for Wazuh.
    both(rule, &[(id, Answer::ended(1, "maxauthtries 3\n"))], Passed);
    both(rule, &[(id, Answer::ended(255, "x\n"))], Failed);
    both(rule, &[(id, ends(1))], Failed);
    both(rule, &[(id, Answer::ended(127, "sh: sshd: not found\n"))], NotApplicable);
    both(rule, &[(id, ends(126))], NotApplicable);
    for exit in [124, 137, 139, 143] {
        both(rule, &[(id, Answer::ended(exit, "maxauthtries 3\n"))], NotRun);
    }
    both(rule, &[(id, timed_out("maxauthtries 3\n"))], NotRun);
    both(rule, &[(id, Answer::not_run("needs root"))], NotRun);
    both(rule, &[(id, cut("maxauthtries 3\n"))], Passed);
    both(rule, &[(id, cut("maxauthtries 6\n"))], NotRun);
    // Nothing printed is one empty line, for what wants something to be there.
    both("c:x -> r:^$", &[("c:x", ends(1))], Passed);
    both("c:x -> r:^$", &[("c:x", good("a\n"))], Failed);
    both("c:x -> r:^$", &[("c:x", good("a\n\nb\n"))], Passed);
    both("c:x -> !r:a", &[("c:x", ends(1))], Failed);
    both("c:x -> !r:a && !r:b", &[("c:x", good("c\n"))], Passed);
    both("f:/x -> r:^$", &[("f:/x", good(""))], Failed);
    both("f:/x -> r:^$", &[("f:/x", good("\n"))], Passed);
    both("c:uptime", &[("c:uptime", ends(1))], Passed);
    both("c:uptime", &[("c:uptime", ends(127))], NotApplicable);
}

#[test]
fn programs_run_or_not() {
    let list = good("systemd\nsshd\n\n/usr/lib/systemd/systemd\nsshd:\n-bash\n/usr/sbin/NetworkManager\n");
    for name in ["sshd", "SSHD", "r:^sshd$", "systemd", "/usr/lib/systemd/systemd", "networkmanager", "bash", "r:^net && !r:foo"] {
        both(&format!("p:{name}"), &[("p:", list.clone())], Passed);
    }
    for name in ["ssh", "r:^cupsd$", "sbin"] {
        both(&format!("p:{name}"), &[("p:", list.clone())], Failed);
    }
    both("p:sshd", &[("p:", ends(NEEDS_ROOT))], NotRun);
    both("p:sshd", &[("p:", good(""))], NotRun);
    both("p:sshd", &[("p:", Answer::ended(127, ""))], NotRun);
    both("p:sshd", &[("p:", cut("init\nssh"))], NotRun);
    both("p:init", &[("p:", cut("init\nssh"))], Passed);
}

#[test]
fn the_registry_is_not_here() {
    both(r"r:HKEY_LOCAL_MACHINE\System\CurrentControlSet\Control\Lsa -> LimitBlankPasswordUse -> 1", &[], NotApplicable);
}

#[test]
fn asks_for_each_thing_once_and_for_no_more_than_it_needs() {
    let rules = [
        "f:/etc/passwd -> r:root",
        "not f:/etc/passwd -> r:x",
        "f:/etc/shadow",
        "d:/etc",
        "d:/home -> ^x$",
        "d:/srv -> a -> b",
        "d:/srv -> a",
        "p:sshd",
        "p:x",
        "c:id -u -> 0",
        "c:id -u -> 1",
        r"r:HKLM\x",
    ];
    let probes = policy("all", &rules).probes();
    let ids: Vec<&str> = probes.iter().map(|p| p.id.as_str()).collect();
    assert_eq!(ids, ["D:/srv", "c:id -u", "d:/home", "d:/srv", "e:/etc", "e:/etc/shadow", "f:/etc/passwd", "p:"]);
    assert!(probes.iter().all(|p| p.read_only != p.id.starts_with("c:")));
    assert!(!probes[5].command.contains("cat"), "{}", probes[5].command);
    assert!(probes[1].command.ends_with("exec 'id' '-u' 2>&1"), "{}", probes[1].command);
}

#[test]
fn shows_one_line_short_and_harmless() {
    let evil = format!("bad \x1b[2J{}\r\x07\n", "x".repeat(5000));
    for (rule, id) in [("not f:/x -> r:bad", "f:/x"), ("not c:x -> r:bad", "c:x")] {
        let checked = one(&policy("all", &[rule]), &[(id, good(&evil))]);
        let actual = checked.actual.unwrap();
        assert!(actual.chars().count() <= 300 && !actual.chars().any(char::is_control), "{actual:?}");
    }
    let name = one(&policy("any", &["d:/e -> r:bad -> x", "f:/a"]), &[("D:/e", good("f/e/bad\x1b[2J\n\0cy\n\0")), ("e:/a", ends(ABSENT))]);
    assert!(!name.actual.unwrap().chars().any(char::is_control));
    let shadow = one(&pcre(&[r"not f:/etc/shadow -> r:^root:\$"]), &[("f:/etc/shadow", good("root:$6$abc$def:1:2:\n"))]);
    assert_eq!((shadow.state, shadow.actual.as_deref()), (Failed, Some("root:…")));
    let command = one(&policy("none", &["c:getent shadow -> r:root"]), &[("c:getent shadow", good("root:$6$abc$def:1:2:\n"))]);
    assert_eq!(command.actual.as_deref(), Some("root:(hash):1:2:"));
}

proptest::proptest! {
    #[test]
    fn never_panics_and_a_timeout_never_decides(
        exit in proptest::option::of(0i32..256),
        output in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        cut: bool,
        over: bool,
        kind in 0usize..8,
    ) {
        let (rule, id) = [
            ("f:/x", "e:/x"), ("f:/x -> r:a", "f:/x"), ("d:/x", "e:/x"), ("d:/x -> r:a", "d:/x"), ("d:/x -> r:a -> r:b", "D:/x"),
            ("p:r:a", "p:"), ("c:x -> n:a(.) compare > 3", "c:x"), ("c:x -> !r:a && b", "c:x"),
        ][kind];
        let status = if over { Status::TimedOut } else { Status::Ended };
        let answer = Answer { status, exit, output, cut, as_root: false, took_ms: 0 };
        for rule in [rule.to_owned(), format!("not {rule}")] {
            let checked = one(&policy("all", &[&rule]), &[(id, answer.clone())]);
            let shown = checked.actual.clone().or(checked.reason.clone()).unwrap();
            proptest::prop_assert!(!shown.chars().any(char::is_control));
            proptest::prop_assert!(checked.actual.is_none_or(|a| a.chars().count() <= 300));
            if over || exit.is_none() {
                proptest::prop_assert_eq!(checked.state, NotRun);
            }
        }
    }
}
