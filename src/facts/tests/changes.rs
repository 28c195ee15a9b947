//! What changed between two times, and what is not said to have changed.

use super::{KEY, facts};
use crate::facts::{Facts, Password, diff, gather, inventory};
use crate::probes::{Answer, Probe};

fn before() -> Facts {
    facts(&[
        ("f:/etc/os-release", "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian 12\"\n"),
        ("i:system", "kernel=Linux\nhostname=a\nrelease=6.1.0-18-amd64\nmachine=x86_64\nbtime=1\n"),
        ("i:hardware", "cpus=2\n"),
        (
            "i:packages",
            "@dpkg\nbash\tii \t5.1\tamd64\tbash\t5.1\ncurl\tii \t7\tamd64\tcurl\t7\nlibc6\tii \t2\tamd64\tglibc\t2\nlibc6\tii \t2\ti386\tglibc\t2\n",
        ),
        (
            "i:listening",
            "@ss\ntcp LISTEN 0 1 0.0.0.0:22 0.0.0.0:* users:((\"sshd\",pid=1,fd=3))\ntcp LISTEN 0 1 [::1]:25 [::]:* users:((\"exim4\",pid=1,fd=3))\n",
        ),
        ("f:/etc/passwd", "root:x:0:0::/root:/bin/sh\nbob:x:1000:1000::/home/bob:/bin/sh\n"),
        ("f:/etc/group", "root:x:0:\nsudo:x:27:bob\n"),
        ("i:shadow", " root:locked:1:::::\n bob:y:1:::::\n"),
        ("i:authorized-keys", &format!("@\n@bob\t/home/bob/.ssh/authorized_keys\n {KEY} old\n@end\n")),
        (
            "i:services",
            "@unit-files\nssh.service enabled\ncron.service enabled\nuser@.service static\n@units\nssh.service loaded active running\nuser@1000.service loaded active running\n",
        ),
        ("i:sudoers", "@/etc/sudoers\n %sudo ALL=(ALL) ALL\n"),
        ("i:cron", "@/etc/cron.d/a\n 1 * * * * root a\n"),
        ("f:/proc/modules", "ext4 1\n"),
    ])
}

#[test]
fn the_same_is_no_change() {
    assert_eq!(diff(&before(), &before()), []);
}

#[test]
fn each_kind_of_change_is_said_once_and_sorted() {
    let after = facts(&[
        ("f:/etc/os-release", "ID=debian\nVERSION_ID=13\nPRETTY_NAME=\"Debian 13\"\n"),
        ("i:system", "kernel=Linux\nhostname=a\nrelease=6.12.0-1-amd64\nmachine=x86_64\nbtime=2\n"),
        (
            "i:packages",
            "@dpkg\nbash\tii \t5.2\tamd64\tbash\t5.2\nlibc6\tii \t3\tamd64\tglibc\t3\nlibc6\tii \t2\ti386\tglibc\t2\nnc\tii \t1\tamd64\tnc\t1\n",
        ),
        (
            "i:listening",
            "@ss\ntcp LISTEN 0 1 0.0.0.0:22 0.0.0.0:* users:((\"evil\",pid=1,fd=3))\nudp UNCONN 0 0 0.0.0.0%eth0:68 0.0.0.0:* users:((\"dhcp\",pid=1,fd=3))\n",
        ),
        ("f:/etc/passwd", "root:x:0:0::/root:/bin/bash\neve:x:0:0::/root:/bin/sh\n"),
        ("f:/etc/group", "root:x:0:\nsudo:x:27:bob,eve\n"),
        ("i:shadow", " root:locked:1:::::\n eve:empty:1:::::\n"),
        ("i:authorized-keys", &format!("@\n@root\t/root/.ssh/authorized_keys\n {KEY} old\n@end\n")),
        (
            "i:services",
            "@unit-files\nssh.service enabled\ncron.service masked\nuser@.service static\n@units\nssh.service loaded failed failed\n",
        ),
        ("i:sudoers", "@/etc/sudoers\n %sudo ALL=(ALL) NOPASSWD: ALL\n"),
        ("i:cron", "@/etc/cron.d/b\n 1 * * * * root a\n"),
        ("f:/proc/modules", "ext4 1\nevil 1\n"),
    ]);
    let said: Vec<String> = diff(&before(), &after)
        .iter()
        .map(|c| format!("{} {}: {} -> {}", c.kind, c.name, c.before.as_deref().unwrap_or("-"), c.after.as_deref().unwrap_or("-")))
        .collect();
    let print = super::FINGERPRINT;
    assert_eq!(
        said,
        [
            "cron 1 * * * * root a: /etc/cron.d/a -> /etc/cron.d/b".to_owned(),
            "group sudo: gid 27, members bob -> gid 27, members bob eve".to_owned(),
            format!("key bob {print}: ssh-ed25519 old in /home/bob/.ssh/authorized_keys -> -"),
            format!("key root {print}: - -> ssh-ed25519 old in /root/.ssh/authorized_keys"),
            "module evil: - -> loaded".to_owned(),
            "package bash: 5.1 -> 5.2".to_owned(),
            "package curl: 7 -> -".to_owned(),
            "package libc6:amd64: 2 -> 3".to_owned(),
            "package nc: - -> 1".to_owned(),
            "port tcp 0.0.0.0:22: sshd -> evil".to_owned(),
            "port tcp [::1]:25: exim4 -> -".to_owned(),
            "port udp 0.0.0.0%eth0:68: - -> dhcp".to_owned(),
            "service cron: enabled -> masked".to_owned(),
            "service ssh: enabled, active -> enabled, failed".to_owned(),
            "sudo %sudo ALL=(ALL) ALL: /etc/sudoers -> -".to_owned(),
            "sudo %sudo ALL=(ALL) NOPASSWD: ALL: - -> /etc/sudoers".to_owned(),
            "system boot: 1 -> 2".to_owned(),
            "system kernel release: 6.1.0-18-amd64 -> 6.12.0-1-amd64".to_owned(),
            "system os: Debian 12 -> Debian 13".to_owned(),
            "system os version: 12 -> 13".to_owned(),
            "user bob: uid 1000, gid 1000, home /home/bob, shell /bin/sh, password yescrypt, changed on day 1 -> -".to_owned(),
            "user eve: - -> uid 0, gid 0, home /root, shell /bin/sh, no password, changed on day 1".to_owned(),
            "user root: uid 0, gid 0, home /root, shell /bin/sh, password locked, changed on day 1 -> \
             uid 0, gid 0, home /root, shell /bin/bash, password locked, changed on day 1"
                .to_owned(),
        ]
    );
}

#[test]
fn what_was_not_answered_is_neither_gone_nor_new() {
    let not_run = |p: Probe| (p.id, Answer::not_run("sudo is missing"));
    let nothing = gather(&inventory().into_iter().map(not_run).collect());
    assert_eq!(diff(&before(), &nothing), []);
    assert_eq!(diff(&nothing, &before()), []);
    for group in ["packages", "listening", "users", "groups", "authorized_keys", "services", "sudoers", "cron", "modules"] {
        let mut after = facts(&[]);
        after.missing.clear();
        after.inapplicable.clear();
        let whole = diff(&before(), &after).len();
        after.missing.insert(group.to_owned(), "timed out".to_owned());
        assert!(diff(&before(), &after).len() < whole, "{group} is compared although it is missing");
    }
}

#[test]
fn a_part_that_is_missing_hides_only_itself() {
    let mut after = before();
    after.listening[0].processes.clear();
    after.users[0].password = None;
    after.users[0].password_changed = None;
    after.missing.insert("listening.processes".to_owned(), "root would see more".to_owned());
    after.missing.insert("users.passwords".to_owned(), "needs root".to_owned());
    assert_eq!(diff(&before(), &after), []);
    after.listening[0].port = 23;
    after.users[0].shell = "/bin/bash".to_owned();
    assert_eq!(diff(&before(), &after).len(), 3);
    let mut locked = before();
    locked.users[0].password = Some(Password::Locked);
    assert_eq!(diff(&before(), &locked).len(), 1);
}

#[test]
fn services_that_rest_and_those_that_systemd_forgot_are_the_same() {
    let units = |said: &str| facts(&[("i:services", said)]);
    let resting = units(
        "@unit-files\na.service disabled\nb.service enabled\n@units\na.service loaded inactive dead\nb.service loaded active running\n",
    );
    let forgotten = units("@unit-files\na.service disabled\nb.service enabled\n@units\nb.service loaded activating auto-restart\n");
    assert_eq!(diff(&resting, &forgotten), []);
    let stopped = units("@unit-files\na.service disabled\nb.service enabled\n@units\n");
    assert_eq!(diff(&resting, &stopped).len(), 1);
}
