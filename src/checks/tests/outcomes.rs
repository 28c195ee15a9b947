//! How rules are taken together, over every combination; and that what is not known never decides.

use super::*;
use crate::model::CheckState::{Failed, NotApplicable, NotRun, Passed};
use crate::probes::ABSENT;

/// What a rule can come to: met, unmet, inapplicable, unknown.
const KINDS: [char; 4] = ['y', 'n', 'i', '?'];

fn answer(kind: char) -> Answer {
    match kind {
        'y' => good("x\n"),
        'n' => good("y\n"),
        'i' => ends(ABSENT),
        _ => timed_out("x\n"),
    }
}

fn come_out(condition: &str, kinds: &[char]) -> CheckState {
    let rules: Vec<String> = (0..kinds.len()).map(|i| format!("f:/{i} -> x")).collect();
    let policy = policy(condition, &rules.iter().map(String::as_str).collect::<Vec<_>>());
    let answers: Answers = kinds.iter().enumerate().map(|(i, k)| (format!("f:/{i}"), answer(*k))).collect();
    policy.evaluate(&answers).remove(0).state
}

fn combinations() -> impl Iterator<Item = Vec<char>> {
    let three = KINDS.into_iter().flat_map(|a| KINDS.into_iter().flat_map(move |b| KINDS.into_iter().map(move |c| vec![a, b, c])));
    KINDS.into_iter().map(|a| vec![a]).chain(three)
}

#[test]
fn follows_the_table_where_everything_is_known() {
    for kinds in combinations().filter(|k| !k.contains(&'?')) {
        let has = |k: char| kinds.contains(&k);
        let all = if has('n') {
            Failed
        } else if has('i') {
            NotApplicable
        } else {
            Passed
        };
        let any = if has('y') {
            Passed
        } else if has('i') {
            NotApplicable
        } else {
            Failed
        };
        let none = if has('y') {
            Failed
        } else if has('i') {
            NotApplicable
        } else {
            Passed
        };
        assert_eq!((come_out("all", &kinds), come_out("any", &kinds), come_out("none", &kinds)), (all, any, none), "{kinds:?}");
    }
}

#[test]
fn decides_without_an_answer_only_what_no_answer_could_change() {
    for condition in ["all", "any", "none"] {
        for kinds in combinations().filter(|k| k.contains(&'?')) {
            let state = come_out(condition, &kinds);
            let mut could = Vec::new();
            for with in ['y', 'n', 'i'] {
                let known: Vec<char> = kinds.iter().map(|k| if *k == '?' { with } else { *k }).collect();
                could.push(come_out(condition, &known));
            }
            if state == NotRun {
                assert!(could.iter().any(|s| *s != could[0]), "{condition} {kinds:?} was decided all the same: {could:?}");
            } else {
                assert!(could.iter().all(|s| *s == state), "{condition} {kinds:?}: {state} against {could:?}");
            }
        }
    }
}

#[test]
fn says_what_decided() {
    let policy = |condition| super::policy(condition, &["f:/a -> r:^x", "not f:/b -> r:bad", "f:/c"]);
    let answers = |a: &str, b: &str| [("f:/a", good(a)), ("f:/b", good(b)), ("e:/c", good("f\n"))];

    let failed = one(&policy("all"), &answers("x1\n", "ok\nbad 2\n"));
    assert_eq!((failed.state, failed.expected.as_deref(), failed.actual.as_deref()), (Failed, Some("not f:/b -> r:bad"), Some("bad 2")));
    let failed = one(&policy("all"), &answers("y\n", "ok\n"));
    assert_eq!((failed.expected.as_deref(), failed.actual.as_deref()), (Some("f:/a -> r:^x"), Some("no line matches")));
    let passed = one(&policy("all"), &answers("x1\n", "ok\n"));
    assert_eq!(passed.state, Passed);
    assert_eq!(passed.expected.as_deref(), Some("all of: f:/a -> r:^x; not f:/b -> r:bad; f:/c"));
    assert_eq!(passed.actual.as_deref(), Some("x1"));
    let guarded = super::policy("all", &[r"f:/a -> r:\.", "f:/a -> r:^root", "not f:/a -> r:^root && !r:no"]);
    assert_eq!(one(&guarded, &[("f:/a", good("# top\nroot\tno\n"))]).actual.as_deref(), Some("root no"));
    let passed = one(&policy("any"), &answers("x1\n", "ok\n"));
    assert_eq!((passed.expected.as_deref(), passed.actual.as_deref()), (Some("f:/a -> r:^x"), Some("x1")));
    let failed = one(&policy("none"), &answers("x1\n", "bad\n"));
    assert_eq!((failed.state, failed.expected.as_deref(), failed.actual.as_deref()), (Failed, Some("none of: f:/a -> r:^x"), Some("x1")));

    let mut not_run = answers("x1\n", "ok\n");
    not_run[1].1 = Answer::not_run("needs root");
    let not_run = one(&policy("all"), &not_run);
    assert_eq!((not_run.state, not_run.expected, not_run.actual), (NotRun, None, None));
    assert_eq!(not_run.reason.as_deref(), Some("not f:/b -> r:bad: needs root"));
}

#[test]
fn requirements_come_first() {
    let text = "policy:\n  id: p\n  name: P\nrequirements:\n  title: Debian\n  description: d\n  condition: all\n  rules:\n    - f:/etc/debian_version\nchecks:\n  - {id: 1, title: A, condition: all, rules: [f:/a]}\n  - {id: 2, title: B, condition: all, rules: [f:/b]}\n";
    let policy = parse("p.yml", text.as_bytes()).unwrap();
    let on = |of: &[(&str, Answer)]| {
        let out = policy.evaluate(&answers(of));
        (out.iter().map(|c| c.state).collect::<Vec<_>>(), out[0].reason.clone())
    };
    let here = ("e:/etc/debian_version", good("f\n"));
    let checks = [("e:/a", good("f\n")), ("e:/b", ends(ABSENT))];
    assert_eq!(on(&[here.clone(), checks[0].clone(), checks[1].clone()]), (vec![Passed, Failed], None));
    let (states, why) = on(&[("e:/etc/debian_version", ends(ABSENT)), checks[0].clone()]);
    assert_eq!((states, why.as_deref()), (vec![NotApplicable; 2], Some("the policy does not apply (Debian): does not exist")));
    let (states, why) = on(&[checks[0].clone(), checks[1].clone()]);
    assert_eq!(states, vec![NotRun; 2]);
    assert!(why.unwrap().contains("it was not asked"));
    let (states, _) = on(&[("e:/etc/debian_version", timed_out("f\n")), checks[0].clone()]);
    assert_eq!(states, vec![NotRun; 2]);
    // Something of another kind says that they do not hold.
    assert_eq!(on(&[("e:/etc/debian_version", good("d\n"))]).0, vec![NotApplicable; 2]);
}

#[test]
fn carries_what_the_policy_says() {
    let text = "policy: {id: p, name: P}\nchecks:\n  - id: 1.1\n    title: T\n    description: D\n    rationale: R\n    remediation: M\n    impact: I\n    compliance:\n      - cis: ['5.2.8', 5.2.9]\n      - pci_dss: 2.2.4\n    references: [https://x]\n    condition: all\n    rules: ['f:/a']\n";
    let policy = parse("p.yml", text.as_bytes()).unwrap();
    let checked = policy.evaluate(&Answers::new()).remove(0);
    assert_eq!((checked.policy.as_str(), checked.id.as_str(), checked.title.as_str()), ("p", "1.1", "T"));
    assert_eq!(
        (checked.description.as_deref(), checked.rationale.as_deref(), checked.remediation.as_deref()),
        (Some("D"), Some("R"), Some("M"))
    );
    assert_eq!(checked.compliance["cis"], ["5.2.8", "5.2.9"]);
    assert_eq!(checked.compliance["pci_dss"], ["2.2.4"]);
    assert_eq!(checked.state, NotRun);
    assert_eq!(policy.checks[0].impact.as_deref(), Some("I"));
}
