//! Policies against this machine's own shell and a throw-away folder: what the probes really print is what the rules expect.

use std::process::{Command, Stdio};

use super::*;
use crate::model::CheckState::{Failed, NotApplicable, Passed};

fn ask(policy: &Policy) -> Answers {
    policy
        .probes()
        .into_iter()
        .map(|probe| {
            let out = Command::new("sh").args(["-c", &probe.command]).stdin(Stdio::null()).output().unwrap();
            let cut = out.stdout.len() > probe.cap;
            let output = out.stdout.into_iter().take(probe.cap).collect();
            (probe.id, Answer { status: Status::Ended, exit: out.status.code(), output, cut, as_root: true, took_ms: 0 })
        })
        .collect()
}

#[test]
fn what_probes_print_is_what_rules_expect() {
    let home = tempfile::tempdir().unwrap();
    let at = home.path().display().to_string();
    std::fs::create_dir(home.path().join("conf.d")).unwrap();
    std::fs::write(home.path().join("sshd_config"), "# PermitRootLogin yes\nPermitRootLogin no\nMaxAuthTries 4\n").unwrap();
    std::fs::write(home.path().join("conf.d/it's a.conf"), "x = 1\ny = 20").unwrap();
    std::fs::write(home.path().join("conf.d/evil\n.conf"), "z\n").unwrap();
    for (rule, expected) in [
        (format!("f:{at}/sshd_config"), Passed),
        (format!("f:{at}/none"), Failed),
        (format!("not f:{at}/none"), Passed),
        (format!("f:{at}/conf.d"), NotApplicable),
        (format!(r"f:{at}/sshd_config -> !r:^# && r:PermitRootLogin\s+no"), Passed),
        (format!(r"f:{at}/sshd_config -> n:^MaxAuthTries\s+(\d+) compare < 4"), Failed),
        (format!("f:{at}/none,{at}/sshd_config -> permitrootlogin NO"), Passed),
        (format!("f:{at}/none -> r:x"), NotApplicable),
        (format!("d:{at}/conf.d"), Passed),
        (format!("d:{at}/none"), Failed),
        (format!("d:{at}/sshd_config"), NotApplicable),
        (format!("d:{at} -> .conf$"), Passed),
        (format!("d:{at} -> ^sshd"), Passed),
        (format!("d:{at} -> r:^conf.d$"), Failed),
        (format!(r"d:{at} -> r:.conf$ -> n:^y\s*=\s*(\d+) compare >= 20"), Passed),
        (format!(r"d:{at}/conf.d -> r:.conf$ -> r:^q"), Failed),
        (format!("d:{at}/none -> a -> b"), NotApplicable),
        (format!(r#"c:cat "{at}/conf.d/it's a.conf" -> r:^x = 1$"#), Passed),
        (r#"c:sh -c "echo $((40 + 2)); echo err >&2" -> 42"#.to_owned(), Passed),
        (r#"c:sh -c "echo err >&2" -> err"#.to_owned(), Passed),
        ("c:echo $HOME; id -> $HOME; id".to_owned(), Passed),
        ("c:printf %s x -> y".to_owned(), Failed),
        ("c:there-is-no-such-program -> r:.".to_owned(), NotApplicable),
        (r"r:HKLM\x".to_owned(), NotApplicable),
    ] {
        let policy = policy("all", &[&rule]);
        let checked = policy.evaluate(&ask(&policy)).remove(0);
        assert_eq!(checked.state, expected, "{rule}: {checked:?}");
    }
}
