//! Debian, Ubuntu, Rocky, SUSE and Alpine, as their tools write.

use super::{FINGERPRINT, KEY, answers, facts, four, package};
use crate::facts::{Listening, PackageKind, Password, gather};
use crate::probes::{Answer, NEEDS_ROOT};

const SYSTEM: &str = "kernel=Linux\nhostname=web1\nrelease=6.1.0-18-amd64\nbuild=#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)\n\
                      machine=x86_64\nbtime=1719800000\n";

#[test]
fn debian_packages_have_their_sources() {
    let facts = facts(&[(
        "i:packages",
        "@dpkg\n\
         bash\tii \t5.2.15-2+b7\tamd64\tbash\t5.2.15-2\n\
         libc6:amd64\tii \t2.36-9+deb12u4\tamd64\tglibc\t2.36-9+deb12u4\n\
         libc6:i386\tii \t2.36-9+deb12u4\ti386\tglibc\t2.36-9+deb12u4\n\
         old-tool\tii \t1.0-1+b2\tall\t\t\n\
         half\tiU \t2:1.0\tamd64\thalf\t2:1.0\n\
         gone\trc \t1.0\tamd64\tgone\t1.0\n\
         never\tun \t\t\tnever\t\n",
    )]);
    let all: Vec<_> = facts.packages.iter().map(|p| (p.name.as_str(), p.arch.as_str())).collect();
    assert_eq!(all, [("bash", "amd64"), ("half", "amd64"), ("libc6", "amd64"), ("libc6", "i386"), ("old-tool", "all")]);
    assert_eq!(four(package(&facts, "bash")), ["bash", "5.2.15-2+b7", "bash", "5.2.15-2"]);
    assert_eq!(four(package(&facts, "libc6")), ["libc6", "2.36-9+deb12u4", "glibc", "2.36-9+deb12u4"]);
    assert_eq!(four(package(&facts, "old-tool")), ["old-tool", "1.0-1+b2", "old-tool", "1.0-1"]);
    assert!(!facts.missing.contains_key("packages"));
}

#[test]
fn dpkgs_own_file_says_the_same() {
    let facts = facts(&[(
        "i:packages",
        "@dpkg-status\n\
         Package: libssl3\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl (3.0.11-1)\nVersion: 3.0.11-1~deb12u2\n\n\
         Package: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nSource: zlib\nVersion: 1:1.2.13.dfsg-1+b1\n\n\
         Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1\n\n",
    )]);
    assert_eq!(facts.packages.len(), 2);
    assert_eq!(four(package(&facts, "libssl3")), ["libssl3", "3.0.11-1~deb12u2", "openssl", "3.0.11-1"]);
    assert_eq!(four(package(&facts, "zlib1g")), ["zlib1g", "1:1.2.13.dfsg-1+b1", "zlib", "1:1.2.13.dfsg-1"]);
}

#[test]
fn rocky_packages_have_epochs_modules_and_sources() {
    let facts = facts(&[(
        "i:packages",
        "@rpm\n\
         openssh-server\t(none)\t8.7p1\t38.el9_4.4\tx86_64\topenssh-8.7p1-38.el9_4.4.src.rpm\t(none)\n\
         bind-libs\t32\t9.16.23\t18.el9_4.6\tx86_64\tbind-9.16.23-18.el9_4.6.src.rpm\t(none)\n\
         nodejs\t1\t18.20.2\t1.module+el8.10.0+1779+85b9ad1d\tx86_64\tnodejs-18.20.2-1.module+el8.10.0+1779+85b9ad1d.src.rpm\tnodejs:18:8100020240503:489197e6\n\
         filesystem\t0\t3.16\t2.el9\tx86_64\tfilesystem-3.16-2.el9.src.rpm\t\n\
         gpg-pubkey\t(none)\t350d275d\t6279464b\t(none)\t(none)\t(none)\n\
         own\t(none)\t1\t1\tnoarch\t(none)\n",
    )]);
    assert_eq!(facts.packages.len(), 5);
    assert_eq!(four(package(&facts, "openssh-server")), ["openssh-server", "8.7p1-38.el9_4.4", "openssh", "8.7p1-38.el9_4.4"]);
    assert_eq!(four(package(&facts, "bind-libs")), ["bind-libs", "32:9.16.23-18.el9_4.6", "bind", "32:9.16.23-18.el9_4.6"]);
    assert_eq!(package(&facts, "nodejs").module.as_deref(), Some("nodejs:18:8100020240503:489197e6"));
    assert_eq!(package(&facts, "filesystem").version, "3.16-2.el9");
    assert_eq!(package(&facts, "filesystem").module, None);
    assert_eq!(four(package(&facts, "own")), ["own", "1-1", "own", "1-1"]);
    assert!(facts.packages.iter().all(|p| p.kind == PackageKind::Rpm));
}

#[test]
fn suse_has_no_modules_and_flags_a_reboot() {
    let facts = facts(&[
        (
            "f:/usr/lib/os-release",
            "NAME=\"SLES\"\nVERSION_ID=\"15.5\"\nID=\"sles\"\nID_LIKE=\"suse\"\nPRETTY_NAME=\"SUSE Linux Enterprise Server 15 SP5\"\n",
        ),
        ("i:system", "kernel=Linux\nhostname=s\nrelease=5.14.21-150500.55.62-default\nbuild=#1 SMP\nmachine=x86_64\n"),
        ("i:packages", "@rpm\nlibopenssl1_1\t(none)\t1.1.1l\t150500.17.28.2\tx86_64\topenssl-1_1-1.1.1l-150500.17.28.2.src.rpm\n"),
        ("i:reboot", "flag=/run/reboot-needed\nend=1\n"),
    ]);
    assert_eq!(four(package(&facts, "libopenssl1_1")), ["libopenssl1_1", "1.1.1l-150500.17.28.2", "openssl-1_1", "1.1.1l-150500.17.28.2"]);
    assert_eq!((facts.os.id.as_str(), facts.os.version.as_str()), ("sles", "15.5"));
    assert_eq!(facts.os.id_like, ["suse"]);
    assert_eq!(facts.system.reboot_pending, Some(true));
    assert_eq!(facts.system.reboot_reasons, ["/run/reboot-needed is there"]);
}

#[test]
fn alpine_is_read_without_a_tool() {
    let facts = facts(&[
        ("f:/etc/os-release", "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.20.1\nPRETTY_NAME=\"Alpine Linux v3.20\"\n"),
        ("i:system", "kernel=Linux\nhostname=a\nrelease=6.6.31-0-lts\nbuild=#1-Alpine SMP\nmachine=x86_64\nbtime=1\n"),
        (
            "i:packages",
            "@apk\nP:musl\nV:1.2.5-r0\nA:x86_64\no:musl\n\nP:ssl_client\nV:1.36.1-r29\nA:x86_64\no:busybox\n\nP:.build\nV:1\n\n",
        ),
        ("i:services", "@openrc\nenabled sshd\nenabled crond\nstarted sshd\nfailed crond\nknown sshd\nknown crond\nknown acpid\n"),
        ("i:shadow", " root:locked::::::: \n bob:6:19000:0:99999:7:::\n"),
        ("f:/etc/passwd", "root:x:0:0:root:/root:/bin/ash\nbob:x:1000:1000::/home/bob:/bin/ash\n"),
        (
            "i:listening",
            "@netstat\nActive Internet connections (only servers)\n\
             Proto Recv-Q Send-Q Local Address           Foreign Address         State       PID/Program name    \n\
             tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN      2045/sshd [listener\n\
             tcp        0      0 :::22                   :::*                    LISTEN      2045/sshd [listener\n\
             udp        0      0 127.0.0.1:323           0.0.0.0:*                           2001/chronyd\n",
        ),
        ("i:cron", "@/etc/crontabs/root\n */15\t*  * * *\trun-parts /etc/periodic/15min\n\n@/etc/periodic/daily\n logrotate\n"),
    ]);
    assert_eq!(four(package(&facts, "ssl_client")), ["ssl_client", "1.36.1-r29", "busybox", "1.36.1-r29"]);
    assert_eq!(four(package(&facts, ".build")), [".build", "1", ".build", "1"]);
    let services: Vec<_> = facts.services.iter().map(|s| (s.name.as_str(), s.enabled.as_str(), s.active.as_deref().unwrap())).collect();
    assert_eq!(services, [("acpid", "disabled", "inactive"), ("crond", "enabled", "failed"), ("sshd", "enabled", "active")]);
    assert_eq!(facts.users[0].password, Some(Password::Hashed("sha512".to_owned())));
    assert_eq!((facts.users[0].password_changed, facts.users[0].password_max_days), (Some(19000), Some(99999)));
    let ports: Vec<_> = facts.listening.iter().map(|l| (l.protocol.as_str(), l.address.as_str(), l.port, l.processes.join(","))).collect();
    assert_eq!(
        ports,
        [
            ("tcp", "0.0.0.0", 22, "sshd [listener".to_owned()),
            ("tcp", "::", 22, "sshd [listener".to_owned()),
            ("udp", "127.0.0.1", 323, "chronyd".to_owned())
        ]
    );
    let cron: Vec<_> = facts.cron.iter().map(|c| (c.file.as_str(), c.text.as_str())).collect();
    assert_eq!(cron, [("/etc/crontabs/root", "*/15 * * * * run-parts /etc/periodic/15min"), ("/etc/periodic/daily", "logrotate")]);
    assert_eq!(facts.inapplicable["timers"], "no systemd runs there");
}

#[test]
fn ubuntu_says_what_waits_for_a_reboot() {
    let facts = facts(&[
        (
            "f:/etc/os-release",
            "PRETTY_NAME=\"Ubuntu 24.04.1 LTS\"\nVERSION_ID=\"24.04\"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\nNAME='It\\'s'\n",
        ),
        ("i:system", "kernel=Linux\nhostname=u\nrelease=6.8.0-40-generic\nbuild=#40-Ubuntu SMP\nmachine=x86_64\nbtime=1722800000\n"),
        (
            "i:reboot",
            "flag=/var/run/reboot-required\npackage=linux-base\npackage=libc6\nkernel=6.8.0-9-generic\nkernel=6.8.0-40-generic\nkernel=6.8.0-41-generic\nkernel=6.11.0-1-lowlatency\nend=1\n",
        ),
        (
            "i:time",
            "@timedatectl\nTimezone=Europe/Vienna\nLocalRTC=no\nCanNTP=yes\nNTP=yes\nNTPSynchronized=yes\n@other\ntimezone=Etc/UTC\nprocess=systemd-timesyn\n",
        ),
        ("i:hardware", "cpus=4\ncpu=AMD  EPYC 7702\nhypervisor=1\ndetected=kvm\nvendor=QEMU\nproduct=Standard PC\n"),
        ("f:/proc/meminfo", "MemTotal:       16384000 kB\nMemFree: 1 kB\n"),
        ("f:/proc/sys/kernel/random/boot_id", "2948bad2-2a03-45f3-8e97-cd37843d74ab\n"),
    ]);
    assert_eq!((facts.os.id.as_str(), facts.os.version.as_str(), facts.os.codename.as_str()), ("ubuntu", "24.04", "noble"));
    assert_eq!(facts.os.family, "linux");
    assert_eq!(facts.system.reboot_reasons, ["linux-base", "libc6", "kernel 6.8.0-40-generic runs, 6.8.0-41-generic is installed"]);
    assert_eq!((facts.system.time_synchronised, facts.system.time_source.as_deref()), (Some(true), Some("systemd-timesyncd")));
    assert_eq!(facts.system.timezone.as_deref(), Some("Europe/Vienna"));
    assert_eq!((facts.system.cpus, facts.system.memory), (Some(4), Some(16_384_000 * 1024)));
    assert_eq!(facts.system.cpu_model.as_deref(), Some("AMD EPYC 7702"));
    assert_eq!((facts.system.virtualisation.as_deref(), facts.system.hardware.as_deref()), (Some("kvm"), Some("QEMU Standard PC")));
    assert_eq!(facts.system.booted_at, Some(1_722_800_000));
    assert!(facts.system.boot_id.is_some());
}

#[test]
fn a_kernel_of_the_same_name_may_be_newer() {
    let package = |version: &str| format!("@dpkg\nlinux-image-6.1.0-18-amd64\tii \t{version}\tamd64\tlinux-signed-amd64\t{version}\n");
    let reboot = ("i:reboot", "kernel=6.1.0-17-amd64\nkernel=6.1.0-18-amd64\nend=1\n");
    let same = facts(&[("i:system", SYSTEM), ("i:packages", &package("6.1.76-1")), reboot]);
    assert_eq!((same.system.reboot_pending, same.system.reboot_reasons.len()), (Some(false), 0));
    let newer = facts(&[("i:system", SYSTEM), ("i:packages", &package("6.1.82-1")), reboot]);
    assert_eq!(newer.system.reboot_reasons, ["kernel package 6.1.76-1 runs, 6.1.82-1 is installed"]);
}

#[test]
fn packages_that_are_newer_than_the_boot_wait_for_it() {
    let system =
        ("i:system", "kernel=Linux\nhostname=r\nrelease=5.14.0-427.13.1.el9_4.x86_64\nbuild=#1 SMP\nmachine=x86_64\nbtime=1719800000\n");
    let kernels = "kernel=5.14.0-427.9.1.el9_4.x86_64\nkernel=5.14.0-427.13.1.el9_4.x86_64\nkernel=5.14.0-427.13.1.el9_4.x86_64+debug\n";
    let quiet = facts(&[system, ("i:reboot", &format!("{kernels}installed=1719700000 glibc\nend=1\n"))]);
    assert_eq!(quiet.system.reboot_pending, Some(false));
    let due =
        facts(&[system, ("i:reboot", &format!("{kernels}kernel=5.14.0-427.100.1.el9_4.x86_64\ninstalled=1719900000 glibc\nend=1\n"))]);
    assert_eq!(
        due.system.reboot_reasons,
        [
            "kernel 5.14.0-427.13.1.el9_4.x86_64 runs, 5.14.0-427.100.1.el9_4.x86_64 is installed",
            "glibc was installed since the last start"
        ]
    );
}

#[test]
fn where_nothing_tells_of_a_reboot_nothing_is_said() {
    let outside = facts(&[("i:system", SYSTEM), ("i:reboot", "kernel=6.1.0-20-cloud\nend=1\n")]);
    assert_eq!((outside.system.reboot_pending, outside.inapplicable["system.reboot"].as_str()), (None, "nothing on this host tells"));
    let container = facts(&[("i:system", SYSTEM), ("i:hardware", "container=docker\n"), ("i:reboot", "kernel=6.1.0-20-amd64\nend=1\n")]);
    assert_eq!(container.system.reboot_pending, None);
    assert_eq!(container.system.virtualisation.as_deref(), Some("docker"));
}

#[test]
fn ss_of_today_and_of_yesterday() {
    let new = facts(&[(
        "i:listening",
        "@ss\n\
         udp UNCONN 0      0      127.0.0.53%lo:53        0.0.0.0:*    users:((\"systemd-resolve\",pid=500,fd=13))\n\
         udp UNCONN 0      0      [fe80::1]%eth0:546      [::]:*       users:((\"systemd-network\",pid=400,fd=22))\n\
         tcp LISTEN 0      4096   0.0.0.0:22              0.0.0.0:*    users:((\"sshd\",pid=900,fd=3),(\"systemd\",pid=1,fd=99))\n\
         tcp LISTEN 0      4096   *:9100                  *:*          users:((\"node_exporter\",pid=9,fd=3))\n\
         tcp LISTEN 0      4096   [::]:22                 [::]:*       users:((\"sshd\",pid=900,fd=4))\n",
    )]);
    let port = |protocol: &str, address: &str, interface: Option<&str>, port, processes: &[&str]| Listening {
        protocol: protocol.to_owned(),
        address: address.to_owned(),
        interface: interface.map(str::to_owned),
        port,
        processes: processes.iter().map(|p| (*p).to_owned()).collect(),
    };
    assert_eq!(
        new.listening,
        [
            port("tcp", "0.0.0.0", None, 22, &["sshd", "systemd"]),
            port("tcp", "::", None, 22, &["sshd"]),
            port("tcp", "::", None, 9100, &["node_exporter"]),
            port("udp", "127.0.0.53", Some("lo"), 53, &["systemd-resolve"]),
            port("udp", "fe80::1", Some("eth0"), 546, &["systemd-network"]),
        ]
    );
    let old = facts(&[(
        "i:listening",
        "@ss\nNetid State      Recv-Q Send-Q Local Address:Port               Peer Address:Port\n\
         tcp    LISTEN     0      128       *:22                    *:*                   users:((\"sshd\",pid=1,fd=3))\n\
         tcp    LISTEN     0      128      :::22                   :::*                   users:((\"sshd\",pid=1,fd=4))\n",
    )]);
    assert_eq!(old.listening, [port("tcp", "0.0.0.0", None, 22, &["sshd"]), port("tcp", "::", None, 22, &["sshd"])]);
    assert!(!old.missing.contains_key("listening"));
}

#[test]
fn the_kernels_tables_are_read_in_its_byte_order() {
    let tables = "@proc tcp\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n   \
                  1: 0100007F:9999 0100007F:0016 01 0:0 0:0 0 0 0 1\n\
                  @proc tcp6\n   0: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 1\n\
                  @proc udp\n   0: 00000000:0044 00000000:0000 07 0:0 0:0 0 0 0 1\n@proc udp6\n\n";
    let small = facts(&[("i:listening", tables), ("i:system", SYSTEM)]);
    let ports: Vec<_> = small.listening.iter().map(|l| format!("{} {} {}", l.protocol, l.address, l.port)).collect();
    assert_eq!(ports, ["tcp 127.0.0.1 8080", "tcp ::1 22", "udp 0.0.0.0 68"]);
    assert!(small.missing.contains_key("listening.processes") && !small.missing.contains_key("listening"), "{:?}", small.missing);
    let big = facts(&[
        ("i:system", "kernel=Linux\nrelease=5.14\nmachine=s390x\n"),
        (
            "i:listening",
            "@proc tcp\n 0: 7F000001:1F90 00000000:0000 0A 0\n@proc tcp6\n 0: 00000000000000000000000000000001:0016 0:0 0A 0\n",
        ),
    ]);
    let ports: Vec<_> = big.listening.iter().map(|l| format!("{} {} {}", l.protocol, l.address, l.port)).collect();
    assert_eq!(ports, ["tcp 127.0.0.1 8080", "tcp ::1 22"]);
}

#[test]
fn without_root_the_ports_are_there_and_their_processes_are_missing() {
    let mut answers = answers(&[]);
    answers.insert("i:listening".to_owned(), Answer::ended(NEEDS_ROOT, "@ss\ntcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\n"));
    answers.insert("i:sudoers".to_owned(), Answer::ended(NEEDS_ROOT, ""));
    answers.insert("i:cron".to_owned(), Answer::ended(NEEDS_ROOT, "@/etc/anacrontab\n 1 5 cron.daily nice run-parts /etc/cron.daily\n"));
    answers.insert("f:/etc/passwd".to_owned(), Answer::ended(0, "root:x:0:0::/root:/bin/sh\n"));
    answers.insert("i:shadow".to_owned(), Answer::ended(NEEDS_ROOT, ""));
    let facts = gather(&answers);
    assert_eq!(facts.listening.len(), 1);
    assert_eq!(facts.missing["listening.processes"], "root would see more");
    assert!(!facts.missing.contains_key("listening"));
    assert_eq!(facts.missing["sudoers"], "needs root");
    assert_eq!((facts.cron.len(), facts.missing["cron"].as_str()), (1, "root would see more"));
    assert_eq!((facts.users.len(), &facts.users[0].password, facts.missing["users.passwords"].as_str()), (1, &None, "needs root"));
    assert!(!facts.missing.contains_key("users"));
}

#[test]
fn units_of_systemd() {
    let facts = facts(&[
        (
            "i:services",
            "@unit-files\nssh.service                enabled         enabled\ngetty@.service             enabled         enabled\n\
             user@.service              static          -\nsystemd-networkd.service   disabled        enabled\nsshd.service               alias           -\n\
             @units\nssh.service loaded active running OpenBSD Secure Shell server\n\
             \u{25cf} broken.service loaded failed failed A broken one\n\
             getty@tty1.service loaded active running Getty on tty1\n\
             syslog.service not-found inactive dead syslog.service\n",
        ),
        (
            "i:timers",
            "@unit-files\napt-daily.timer enabled enabled\nfstrim.timer disabled enabled\n@show\nUnit=apt-daily.service\nId=apt-daily.timer\n\nId=own.timer\nUnit=other.service\n",
        ),
    ]);
    let services: Vec<_> = facts.services.iter().map(|s| (s.name.as_str(), s.enabled.as_str(), s.active.as_deref())).collect();
    assert_eq!(
        services,
        [
            ("broken", "unknown", Some("failed")),
            ("getty@", "enabled", None),
            ("getty@tty1", "enabled", Some("active")),
            ("ssh", "enabled", Some("active")),
            ("sshd", "alias", None),
            ("systemd-networkd", "disabled", None),
            ("user@", "static", None),
        ]
    );
    let timers: Vec<_> = facts.timers.iter().map(|t| (t.name.as_str(), t.unit.as_str(), t.enabled.as_str())).collect();
    assert_eq!(
        timers,
        [("apt-daily", "apt-daily.service", "enabled"), ("fstrim", "fstrim.service", "disabled"), ("own", "other.service", "unknown")]
    );
}

#[test]
fn keys_have_options_comments_and_fingerprints() {
    let text = format!(
        "@\n@root\t/root/.ssh/authorized_keys\n {KEY} a b  c\n\
         @bob\t/home/bob/.ssh/authorized_keys\n from=\"10.0.0.0/8, ::1\",command=\"say \\\"hi  there\\\"\" {KEY}\n \
         # {KEY} off\n ssh-rsa {blob} lies\n @root\t/root/.ssh/authorized_keys\n restrict\t{KEY}\tx\n@end\n",
        blob = KEY.split(' ').next_back().unwrap()
    );
    let facts = facts(&[("i:authorized-keys", &text)]);
    let keys: Vec<_> = facts.authorized_keys.iter().map(|k| (k.user.as_str(), k.options.as_str(), k.comment.as_str())).collect();
    assert_eq!(
        keys,
        [("bob", "from=\"10.0.0.0/8, ::1\",command=\"say \\\"hi  there\\\"\"", ""), ("bob", "restrict", "x"), ("root", "", "a b  c")]
    );
    assert!(facts.authorized_keys.iter().all(|k| k.fingerprint == FINGERPRINT && k.kind == "ssh-ed25519"));
    assert!(facts.missing["authorized_keys.lines"].starts_with("not understood: 2 lines"), "{:?}", facts.missing);
    assert!(!facts.missing.contains_key("authorized_keys"));
}

#[test]
fn that_nobody_has_a_key_is_an_answer_only_if_all_were_looked_at() {
    let whole = facts(&[("i:authorized-keys", "@\n@end\n")]);
    assert!(!whole.missing.contains_key("authorized_keys"));
    let broken = facts(&[("i:authorized-keys", "@\n")]);
    assert_eq!(broken.missing["authorized_keys"], "the answer breaks off before its end");
}

#[test]
fn rules_of_sudo_are_joined_and_lose_their_comments() {
    let facts = facts(&[(
        "i:sudoers",
        "@/etc/sudoers\n # a comment\n Defaults\tenv_reset # why\n %wheel ALL=(ALL) \\\n     NOPASSWD: ALL\n #1000 ALL=ALL\n\
         \x20@includedir /etc/sudoers.d\n #includedir /etc/more\n Defaults badpass_message=\"no # comment\"\n bob ALL=/bin/x\\#y\n\n\
         @/etc/doas.conf\n permit nopass :wheel\n",
    )]);
    let rules: Vec<_> = facts.sudoers.iter().map(|r| r.text.as_str()).collect();
    assert_eq!(
        rules,
        [
            "Defaults env_reset",
            "%wheel ALL=(ALL) NOPASSWD: ALL",
            "#1000 ALL=ALL",
            "@includedir /etc/sudoers.d",
            "#includedir /etc/more",
            "Defaults badpass_message=\"no # comment\"",
            "bob ALL=/bin/x\\#y",
            "permit nopass :wheel",
        ]
    );
    assert_eq!(facts.sudoers[7].file, "/etc/doas.conf");
}

#[test]
fn sshd_sysctl_mounts_and_modules() {
    let facts = facts(&[
        (
            "c:sshd -T",
            "port 22\nport 2222\npermitrootlogin without-password\nciphers a@b,c\nsubsystem sftp /usr/lib/sftp -l\nbanner none\n",
        ),
        (
            "c:sysctl -a",
            "kernel.a = 1\nnet.ipv4.conf.eth0/1.rp_filter = 2\nnet.ipv4.ip_local_port_range = 32768\t60999\nempty.x = \n\
             net.ipv4.tcp_fastopen_key = 11-22\nnet.ipv6.conf.all.stable_secret = x\n",
        ),
        (
            "i:mounts",
            "@proc\n /dev/sda1 / ext4 rw,relatime 0 0\n //nas/a\\040b /mnt/x\\134y cifs ro,user=a 0 0\n tmpfs /q\\9 tmpfs rw 0 0\n",
        ),
        ("f:/proc/modules", "xfs 2000 1 - Live 0x0\next4 1000 2 jbd2,mbcache, Live 0x0 (E)\n"),
    ]);
    assert_eq!(facts.sshd["port"], ["22", "2222"]);
    assert_eq!(facts.sshd["subsystem"], ["sftp /usr/lib/sftp -l"]);
    assert_eq!(facts.sysctl["net.ipv4.ip_local_port_range"], "32768 60999");
    assert_eq!(facts.sysctl["net.ipv4.conf.eth0/1.rp_filter"], "2");
    assert_eq!(facts.sysctl["empty.x"], "");
    assert_eq!(facts.sysctl.len(), 4, "secrets are not kept");
    let mounts: Vec<_> = facts.mounts.iter().map(|m| (m.source.as_str(), m.target.as_str(), m.options.len())).collect();
    assert_eq!(mounts, [("/dev/sda1", "/", 2), ("//nas/a b", "/mnt/x\\y", 2), ("tmpfs", "/q\\9", 1)]);
    assert_eq!(facts.modules, ["ext4", "xfs"]);
}

#[test]
fn accounts_whose_password_stands_in_the_open() {
    let facts = facts(&[
        (
            "f:/etc/passwd",
            "root:x:0:0::/root:/bin/sh\nopen::5:5::/:/bin/sh\nold:abcdefghijklm:6:6::/:\nnew:$6$salt$hash:7:7::/:\n+::::::\nshort:x:1\n",
        ),
        ("i:shadow", " root:y:19000:0:90:7::20000\n root:empty::::::\n"),
        ("f:/etc/group", "root:x:0:\nwheel:x:10:root, bob\n"),
    ]);
    let passwords: Vec<_> = facts.users.iter().map(|u| (u.name.as_str(), u.password.clone().unwrap())).collect();
    let hashed = |how: &str| Password::Hashed(how.to_owned());
    assert_eq!(passwords, [("new", hashed("sha512")), ("old", hashed("des")), ("open", Password::Empty), ("root", hashed("yescrypt"))]);
    assert_eq!(facts.users[3].expires, Some(20000));
    assert_eq!(facts.missing["users"], "not understood: 1 lines");
    assert_eq!(facts.groups[1].members, ["root", "bob"]);
    assert!(!serde_json::to_string(&facts).unwrap().contains("salt"), "no part of a hash is kept");
}
