//! FreeBSD and macOS, as their tools write.

use super::{facts, four, package};
use crate::facts::{PackageKind, Password, gather};
use crate::probes::{Answer, NEEDS_ROOT};

#[test]
fn freebsd() {
    let facts = facts(&[
        (
            "f:/etc/os-release",
            "NAME=FreeBSD\nVERSION=\"14.0-RELEASE\"\nVERSION_ID=\"14.0\"\nID=freebsd\nPRETTY_NAME=\"FreeBSD 14.0-RELEASE\"\n",
        ),
        (
            "i:system",
            "kernel=FreeBSD\nhostname=bsd\nrelease=14.0-RELEASE-p6\nbuild=FreeBSD 14.0-RELEASE-p6 #0\nmachine=amd64\n\
             boottime={ sec = 1719800000, usec = 123456 } Mon Jul  1 02:13:20 2024\nuserland=14.0-RELEASE-p7\n",
        ),
        ("i:hardware", "cpus=2\ncpu=Intel Xeon\nmemory=4294967296\nvm_guest=bhyve\njailed=0\n"),
        ("i:packages", "@pkg\ncurl|8.8.0|FreeBSD:14:amd64|ftp/curl\npy39-x|1.0_1,1|FreeBSD:14:*|devel/py-x\n"),
        (
            "i:listening",
            "@sockstat\nUSER     COMMAND    PID   FD  PROTO  LOCAL ADDRESS         FOREIGN ADDRESS\n\
             root     sshd       900   3   tcp6   *:22                  *:*\n\
             root     sshd       900   4   tcp4   *:22                  *:*\n\
             www      tcp serv er 901  5   tcp4   127.0.0.1:8080        *:*\n\
             root     syslogd    600   7   udp6   fe80::1%lo0:514       *:*\n\
             ?        ?          ?     ?   udp4   *:*                   *:*\n",
        ),
        ("i:services", "@rc\nenabled /etc/rc.d/sshd\nenabled /usr/local/etc/rc.d/nginx\nknown sshd\nknown nginx\nknown ftpd\n"),
        ("f:/etc/passwd", "# $FreeBSD$\n#\nroot:*:0:0:Charlie &:/root:/bin/sh\ntoor:*:0:0:Bourne-again Superuser:/root:\n"),
        ("i:shadow", " root:6::::::\n toor:locked::::::19700\n"),
        ("i:mounts", "@proc\n zroot/ROOT/default\t/\t\t\tzfs\trw,noatime \t0 0\n"),
        (
            "c:kldstat",
            "Id Refs Address                Size Name\n 1   30 0xffffffff80200000  1d345b0 kernel\n 2    1 0xffffffff82a1a000    4218 cpuctl.ko\n",
        ),
        ("c:sysctl -a", "kern.ostype: FreeBSD\nkern.version: FreeBSD 14\n  more of it: here\nsecurity.bsd.see_other_uids: 0\n"),
        ("i:reboot", "installed_kernel=14.0-RELEASE-p8\nend=1\n"),
        ("i:time", "@ntpq\nleap=00, stratum=2\n@other\ntimezone=Europe/Vienna\nprocess=ntpd\n"),
    ]);
    assert_eq!((facts.os.family.as_str(), facts.os.id.as_str(), facts.os.version.as_str()), ("freebsd", "freebsd", "14.0"));
    assert_eq!(facts.os.name, "FreeBSD 14.0-RELEASE-p7");
    assert_eq!(four(package(&facts, "py39-x")), ["py39-x", "1.0_1,1", "devel/py-x", "1.0_1,1"]);
    assert_eq!(package(&facts, "curl").kind, PackageKind::Pkg);
    assert_eq!(facts.system.booted_at, Some(1_719_800_000));
    assert_eq!((facts.system.virtualisation.as_deref(), facts.system.memory), (Some("bhyve"), Some(4_294_967_296)));
    assert_eq!(facts.system.reboot_reasons, ["kernel 14.0-RELEASE-p6 runs, 14.0-RELEASE-p8 is installed"]);
    assert_eq!((facts.system.time_synchronised, facts.system.time_source.as_deref()), (Some(true), Some("ntpd")));
    let ports: Vec<_> =
        facts.listening.iter().map(|l| format!("{} {}%{:?} {} {:?}", l.protocol, l.address, l.interface, l.port, l.processes)).collect();
    assert_eq!(
        ports,
        [
            "tcp 0.0.0.0%None 22 [\"sshd\"]",
            "tcp 127.0.0.1%None 8080 [\"tcp serv er\"]",
            "tcp ::%None 22 [\"sshd\"]",
            "udp fe80::1%Some(\"lo0\") 514 [\"syslogd\"]"
        ]
    );
    let services: Vec<_> = facts.services.iter().map(|s| (s.name.as_str(), s.enabled.as_str(), s.active.is_none())).collect();
    assert_eq!(services, [("ftpd", "disabled", true), ("nginx", "enabled", true), ("sshd", "enabled", true)]);
    assert_eq!(facts.users[0].password, Some(Password::Hashed("sha512".to_owned())));
    assert_eq!((&facts.users[1].password, facts.users[1].expires), (&Some(Password::Locked), Some(19700)));
    assert_eq!((facts.mounts[0].target.as_str(), facts.mounts[0].kind.as_str()), ("/", "zfs"));
    assert_eq!(facts.modules, ["cpuctl", "kernel"]);
    assert_eq!(facts.sysctl.len(), 3);
    assert!(!facts.missing.contains_key("listening") && !facts.missing.contains_key("packages"), "{:?}", facts.missing);
}

#[test]
fn macos() {
    let facts = facts(&[
        (
            "i:system",
            "kernel=Darwin\nhostname=mac\nrelease=23.5.0\nbuild=Darwin Kernel Version 23.5.0\nmachine=arm64\n\
             boottime={ sec = 1719800000, usec = 0 } Mon\nproduct=macOS\nproduct_version=14.5\n",
        ),
        ("i:hardware", "cpus=8\ncpu=Apple M2\nmemory=17179869184\nhv_guest=0\nvendor=Apple\nproduct=Mac14,2\n"),
        ("i:packages", "@brew\njq|1.7.1\nopenssl@3|3.3.1\n@brew\n"),
        (
            "f:/etc/passwd",
            "##\n# User Database\n##\nnobody:*:-2:-2:Unprivileged User:/var/empty:/usr/bin/false\nroot:*:0:0::/var/root:/bin/sh\n",
        ),
        ("f:/etc/group", "##\nnobody:*:-2:\nwheel:*:0:root\nadmin:*:80:root\n"),
        (
            "i:accounts",
            "@uid\n root    0\n nobody  -2\n eve     501\n@gid\n root 0\n nobody -2\n eve 20\n@home\n eve   /Users/e ve\n@shell\n eve /bin/zsh\n\
             @group\n admin  80\n com.apple.access_ssh 399\n@members\n admin  root eve\n com.apple.access_ssh eve\n",
        ),
        (
            "i:listening",
            "@lsof\np1\nclaunchd\nf7\ntIPv6\nPTCP\nn*:22\nf8\ntIPv4\nPTCP\nn*:22\np300\ncGoogle Chrome\nf5\ntIPv4\nPUDP\nn*:5353\nf6\ntIPv4\nPUDP\nn10.0.0.1:5->1.1.1.1:443\nf9\ntIPv6\nPUDP\nn*:*\n",
        ),
        (
            "i:mounts",
            "@mount\n /dev/disk3s1s1 on / (apfs, sealed, local, read-only)\n map auto_home on /System/Volumes/Data/home (autofs, automounted)\n",
        ),
        ("i:services", "@launchctl\nPID\tStatus\tLabel\n123\t0\tcom.openssh.sshd\n-\t0\tcom.apple.x\n"),
    ]);
    assert_eq!((facts.os.family.as_str(), facts.os.id.as_str(), facts.os.version.as_str()), ("darwin", "macos", "14.5"));
    assert_eq!((facts.os.name.as_str(), facts.system.virtualisation.as_deref()), ("macOS 14.5", Some("none")));
    assert_eq!(four(package(&facts, "openssl@3")), ["openssl@3", "3.3.1", "openssl@3", "3.3.1"]);
    let users: Vec<_> = facts.users.iter().map(|u| (u.name.as_str(), u.uid, u.home.as_str())).collect();
    assert_eq!(users, [("eve", 501, "/Users/e ve"), ("nobody", u32::MAX - 1, "/var/empty"), ("root", 0, "/var/root")]);
    assert_eq!(facts.groups.iter().find(|g| g.name == "admin").unwrap().members, ["root", "eve"]);
    assert!(facts.groups.iter().any(|g| g.name == "com.apple.access_ssh" && g.members == ["eve"]));
    let ports: Vec<_> = facts.listening.iter().map(|l| format!("{} {} {} {:?}", l.protocol, l.address, l.port, l.processes)).collect();
    assert_eq!(ports, ["tcp 0.0.0.0 22 [\"launchd\"]", "tcp :: 22 [\"launchd\"]", "udp 0.0.0.0 5353 [\"Google Chrome\"]"]);
    let mounts: Vec<_> = facts.mounts.iter().map(|m| (m.source.as_str(), m.target.as_str(), m.kind.as_str())).collect();
    assert_eq!(mounts, [("/dev/disk3s1s1", "/", "apfs"), ("map auto_home", "/System/Volumes/Data/home", "autofs")]);
    assert_eq!(facts.services[1].active.as_deref(), Some("active"));
    assert_eq!(facts.missing["users.passwords"], "no file of passwords that is known");
}

#[test]
fn netstat_of_bsd() {
    let facts = facts(&[(
        "i:listening",
        "@netstat\nActive Internet connections (including servers)\n\
         Proto Recv-Q Send-Q  Local Address          Foreign Address        (state)    \n\
         tcp4       0      0  10.0.0.5.22            10.0.0.9.51000         ESTABLISHED\n\
         tcp46      0      0  *.8080                 *.*                    LISTEN     \n\
         tcp6       0      0  ::1.25                 *.*                    LISTEN     \n\
         tcp4       0      0  *.22                   *.*                    LISTEN     \n\
         udp4       0      0  *.*                    *.*                               \n\
         udp6       0      0  fe80::1%lo0.123        *.*                               \n",
    )]);
    let ports: Vec<_> = facts.listening.iter().map(|l| format!("{} {} {:?} {}", l.protocol, l.address, l.interface, l.port)).collect();
    assert_eq!(ports, ["tcp 0.0.0.0 None 22", "tcp :: None 8080", "tcp ::1 None 25", "udp fe80::1 Some(\"lo0\") 123"]);
    assert!(facts.missing.contains_key("listening.processes"));
}

#[test]
fn hidden_sockets_are_missing() {
    let mut answers = super::answers(&[]);
    let text = "@sockstat\nUSER COMMAND PID FD PROTO LOCAL ADDRESS FOREIGN ADDRESS\nbob nc 900 3 tcp4 *:22 *:*\n@hidden\n";
    answers.insert("i:listening".to_owned(), Answer::ended(NEEDS_ROOT, text));
    let facts = gather(&answers);
    assert_eq!((facts.listening.len(), facts.missing["listening"].as_str()), (1, "the sockets of others are hidden from all but root"));
}
