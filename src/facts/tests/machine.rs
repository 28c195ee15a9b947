//! The inventory, run by the shell of the machine that the tests run on. Needs neither root nor a network.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::facts::{Facts, Password, gather, inventory};
use crate::probes::{Answer, Answers, Probe, Root};

fn run(shell: &str, probe: &Probe) -> Answer {
    let out = Command::new(shell).arg("-c").arg(&probe.command).stdin(Stdio::null()).output().unwrap();
    assert!(out.stderr.is_empty(), "{} in {shell} complains: {}", probe.id, String::from_utf8_lossy(&out.stderr));
    assert!(out.stdout.len() <= probe.cap, "{} says {} bytes", probe.id, out.stdout.len());
    Answer::ended(out.status.code().unwrap(), out.stdout)
}

fn here(shell: &str) -> (Answers, Facts) {
    let answers: Answers = inventory().iter().map(|p| (p.id.clone(), run(shell, p))).collect();
    let facts = gather(&answers);
    (answers, facts)
}

#[test]
fn this_machine_is_as_it_says_itself() {
    let (answers, facts) = here("sh");
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let names: BTreeSet<&str> = passwd.lines().filter(|l| !l.starts_with(['#', '+', '-'])).filter_map(|l| l.split(':').next()).collect();
    let users: BTreeSet<&str> = facts.users.iter().map(|u| u.name.as_str()).collect();
    assert!(names.is_subset(&users), "{names:?} {users:?}");
    assert!(facts.users.iter().any(|u| u.uid == 0));
    let uname = String::from_utf8(Command::new("uname").arg("-r").output().unwrap().stdout).unwrap();
    assert_eq!(facts.system.release, uname.trim());
    if cfg!(target_os = "linux") {
        assert_eq!(facts.system.kernel, "Linux");
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        assert_eq!(facts.system.boot_id.as_deref(), Some(boot_id.trim()));
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap().lines().count();
        assert!(facts.mounts.len() == mounts && mounts > 0);
        assert!(facts.system.cpus.is_some() && facts.system.memory.is_some() && facts.system.booted_at.is_some());
    }
    let total: usize = answers.values().map(|a| a.output.len()).sum();
    assert!(total < 2 * 1024 * 1024, "{total} bytes");
    for user in &facts.users {
        if let Some(Password::Hashed(how)) = &user.password {
            assert!(how.len() < 15 && how.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{how}");
        }
    }
}

#[test]
fn every_shell_that_is_there_says_the_same() {
    let stable = |facts: &Facts| (facts.packages.clone(), facts.users.clone(), facts.groups.clone(), facts.authorized_keys.clone());
    let (_, reference) = here("sh");
    for shell in ["dash", "bash", "busybox", "ksh", "mksh"] {
        let there = Command::new(shell).args(["-c", "true"]).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
        if there {
            assert!(stable(&here(shell).1) == stable(&reference), "{shell} says something else");
        }
    }
}

/// A listener of this process is found, with its address and port.
#[test]
fn a_socket_that_listens_is_found() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let (_, facts) = here("sh");
    assert!(
        facts.listening.iter().any(|l| l.protocol == "tcp" && l.address == "127.0.0.1" && l.port == port),
        "{:?} {:?}",
        facts.listening,
        facts.missing
    );
}

/// The part of a script that reads one file, over files that are made for it.
fn script(id: &str, replace: &[(&str, &str)]) -> Answer {
    let mut probe = inventory().into_iter().find(|p| p.id == id).unwrap();
    for (from, to) in replace {
        assert!(probe.command.contains(from), "{from}");
        probe.command = probe.command.replace(from, to);
    }
    run("sh", &probe)
}

#[test]
fn the_hash_of_a_password_stays_on_the_host() {
    let home = tempfile::tempdir().unwrap();
    let shadow = home.path().join("shadow");
    let lines = [
        "a:$6$salt$secrethash:19000:0:99999:7:::",
        "b:$y$j9T$secrethash:1:::::20000:",
        "c:!$6$secrethash$x:1::::::",
        "d::1::::::",
        "e:*:1::::::",
        "f:secrethash123:1::::::",
        "g:$secrethash:1::::::",
        "h:$2y$05$secrethash:1::::::",
        "i:!!:::::::",
        "j:secret hash:1::::::",
        "k:_secrethash:1::::::",
        "l:$6$secrethash:1::::::",
    ];
    std::fs::write(&shadow, lines.join("\n")).unwrap();
    let answer = script("i:shadow", &[("/etc/shadow", shadow.to_str().unwrap())]);
    let text = String::from_utf8(answer.output.clone()).unwrap();
    assert!(!text.contains("secret") && !text.contains("salt") && !text.contains('$'), "{text}");
    let passwd: String = "abcdefghijkl".chars().map(|c| format!("{c}:x:1:1::/:/bin/sh\n")).collect();
    let mut answers = super::answers(&[("f:/etc/passwd", &passwd)]);
    answers.insert("i:shadow".to_owned(), answer);
    let facts = gather(&answers);
    let found: Vec<String> = facts
        .users
        .iter()
        .map(|u| match u.password.clone().unwrap() {
            Password::Empty => "empty".to_owned(),
            Password::Locked => "locked".to_owned(),
            Password::Hashed(how) => how,
        })
        .collect();
    assert_eq!(found, ["sha512", "yescrypt", "locked", "empty", "locked", "des", "other", "bcrypt", "locked", "locked", "bsdi", "sha512"]);
    assert_eq!(facts.users[1].expires, Some(20000));
}

#[test]
fn only_lines_with_keys_leave_the_host() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let ssh = |name: &str| {
        std::fs::create_dir_all(at(name).join(".ssh")).unwrap();
        at(name).join(".ssh/authorized_keys")
    };
    std::fs::write(ssh("plain"), format!("{} one\nno key here: hunter2\n@root\t/x\n# {} off", super::KEY, super::KEY)).unwrap();
    std::fs::write(ssh("huge"), format!("{} first\n{}\n{} last\n", super::KEY, "x".repeat(300_000), super::KEY)).unwrap();
    let secret = at("secret");
    std::fs::write(&secret, "root:$6$hunter2$AAAAhash:1\n").unwrap();
    std::os::unix::fs::symlink(&secret, ssh("link")).unwrap();
    std::fs::write(ssh("second").with_file_name("authorized_keys2"), format!("restrict {}\n", super::KEY)).unwrap();
    let names = ["plain", "huge", "link", "second", "absent"];
    let passwd: String = names.iter().map(|n| format!("{n}:x:1:1::{}:/bin/sh\n", at(n).display())).collect();
    std::fs::write(at("passwd"), passwd.trim_end()).unwrap();
    let answer = script("i:authorized-keys", &[("/etc/passwd", at("passwd").to_str().unwrap())]);
    assert!(!String::from_utf8_lossy(&answer.output).contains("hunter2"));
    let mut answers = super::answers(&[]);
    answers.insert("i:authorized-keys".to_owned(), answer);
    let facts = gather(&answers);
    let keys: Vec<_> = facts.authorized_keys.iter().map(|k| (k.user.as_str(), k.comment.as_str(), k.options.as_str())).collect();
    assert_eq!(keys, [("huge", "first", ""), ("plain", "one", ""), ("second", "", "restrict")]);
    assert!(facts.missing["authorized_keys"].contains("only the first 262144 bytes were read"), "{:?}", facts.missing);
}

#[test]
fn what_sudo_includes_is_followed() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    std::fs::create_dir(at("sudoers.d")).unwrap();
    std::fs::write(at("sudoers"), format!("root ALL=(ALL) ALL\n@includedir {}\n#include more\n", at("sudoers.d").display())).unwrap();
    std::fs::write(at("sudoers.d/bob"), "bob ALL=ALL\n").unwrap();
    std::fs::write(at("sudoers.d/passed.over"), "eve ALL=ALL\n").unwrap();
    // A circle is walked once.
    std::fs::write(at("more"), "carl ALL=ALL\n@include sudoers\n").unwrap();
    let answer = script("i:sudoers", &[("/etc/sudoers", at("sudoers").to_str().unwrap())]);
    let mut answers = super::answers(&[]);
    answers.insert("i:sudoers".to_owned(), answer);
    let facts = gather(&answers);
    let rules: Vec<_> = facts.sudoers.iter().map(|r| r.text.split(' ').next().unwrap()).collect();
    let wanted = ["root", "@includedir", "#include", "bob", "carl", "@include"];
    assert_eq!(rules.iter().filter(|r| wanted.contains(r)).count(), wanted.len(), "{rules:?}");
    assert!(!rules.contains(&"eve"));
}

#[test]
fn every_probe_only_reads_and_names_itself() {
    let probes = inventory();
    let ids: BTreeSet<&str> = probes.iter().map(|p| p.id.as_str()).collect();
    assert_eq!(ids.len(), probes.len());
    for probe in &probes {
        assert!(probe.read_only && probe.timeout_s > 0 && probe.cap > 0 && probe.root != Root::Needed, "{}", probe.id);
        assert!(["f:/", "c:", "i:"].iter().any(|p| probe.id.starts_with(p)), "{}", probe.id);
        // Nothing is written: no redirection but to /dev/null, to a descriptor, or from a file; no document that a shell keeps in a file.
        let text = probe.command.replace(">/dev/null", "").replace(">&", "");
        let code = text.lines().filter(|l| !l.trim_start().starts_with('#'));
        for line in code {
            let quoted = line.split(['\'', '"']).step_by(2).collect::<String>();
            assert!(!quoted.contains('>') && !quoted.contains("<<") || quoted.contains("3>"), "{}: {line}", probe.id);
        }
    }
}
