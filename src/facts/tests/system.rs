//! What kind of machine it is, which clock it keeps, and who says so.

use super::facts;

#[test]
fn what_kind_of_machine_it_is() {
    for (machine, said, what) in [
        ("x86_64", "detected=none\nhypervisor=1\nvendor=QEMU", Some("none")),
        ("x86_64", "hypervisor=1\nvendor=QEMU\nproduct=Standard PC (Q35 + ICH9, 2009)", Some("kvm")),
        ("x86_64", "hypervisor=1\nvendor=VMware, Inc.\nproduct=VMware7,1", Some("vmware")),
        ("x86_64", "hypervisor=1\nvendor=Microsoft Corporation\nproduct=Virtual Machine", Some("microsoft")),
        ("x86_64", "vendor=Microsoft Corporation\nproduct=Surface Laptop", Some("none")),
        ("x86_64", "hypervisor=1\nvendor=Red Hat\nproduct=KVM", Some("kvm")),
        ("x86_64", "hypervisor=1\nvendor=Amazon EC2\nproduct=t3.micro", Some("amazon")),
        ("aarch64", "vendor=Amazon EC2\nproduct=m6g.metal", Some("none")),
        ("aarch64", "vendor=Amazon EC2\nproduct=t4g.micro", Some("amazon")),
        ("x86_64", "vendor=Hetzner\nproduct=PowerEdge", Some("none")),
        ("x86_64", "vendor=Dell Inc.\nproduct=PowerEdge R640", Some("none")),
        ("x86_64", "hypervisor=1", Some("vm")),
        ("x86_64", "cgroup=0::/kubepods/pod1\nhypervisor=1", Some("kubernetes")),
        ("x86_64", "cgroup=1:name=systemd:/docker/abc", Some("docker")),
        ("x86_64", "sys_hypervisor=xen\nhypervisor=1", Some("xen")),
        ("amd64", "vm_guest=none\njailed=1", Some("jail")),
        ("amd64", "vm_guest=none\njailed=0", Some("none")),
        ("amd64", "vm_guest=hv\njailed=0", Some("microsoft")),
        ("arm64", "hv_guest=1", Some("vm")),
        ("aarch64", "product=Raspberry Pi 4", None),
        ("x86_64", "cpus=1", None),
    ] {
        let system = format!("kernel=Linux\nrelease=6.1\nmachine={machine}\n");
        let found = facts(&[("i:system", &system), ("i:hardware", &format!("{said}\n"))]).system.virtualisation;
        assert_eq!(found.as_deref(), what, "{said}");
    }
}

#[test]
fn whether_the_clock_is_synchronised() {
    let old = "@timedatectl\n      Local time: Mon 2024-07-01 10:00:00 CEST\n       Time zone: Europe/Berlin (CEST, +0200)\n     NTP enabled: yes\nNTP synchronized: no\n";
    for (said, synchronised, source, zone) in [
        (old, Some(false), None, Some("Europe/Berlin")),
        (
            "@chronyc\nReference ID    : C0A80001 (192.168.0.1)\nLeap status     : Normal\n@other\nprocess=chronyd\n",
            Some(true),
            Some("chrony"),
            None,
        ),
        ("@chronyc\nReference ID    : 00000000 ()\nLeap status     : Not synchronised\n", Some(false), Some("chrony"), None),
        ("@ntpq\nleap=00, stratum=2\n", Some(true), Some("ntpd"), None),
        ("@ntpq\nleap=11, stratum=16\n", Some(false), Some("ntpd"), None),
        ("@ntpctl\n4/4 peers valid, clock synced, stratum 3\n", Some(true), Some("openntpd"), None),
        ("@ntpctl\n1/4 peers valid, clock unsynced\n", Some(false), Some("openntpd"), None),
        (
            "@adjtimex\n    mode:         0\n    status:       64 (UNSYNC)\n -r return value: 5 (clock not synchronized)\n",
            Some(false),
            None,
            None,
        ),
        ("@adjtimex\n    status:       0x2001 (PLL)\n    return value: 0 (clock synchronized)\n", Some(true), None, None),
        ("@adjtimex\n         mode: 0\n       status: 8193\n", Some(true), None, None),
        (
            "@other\nlocaltime=../usr/share/zoneinfo/Europe/Vienna\nprocess=ntpd: ntp engine\n",
            None,
            Some("openntpd"),
            Some("Europe/Vienna"),
        ),
        ("@other\n", None, None, None),
    ] {
        let system = facts(&[("i:time", said)]).system;
        assert_eq!(
            (system.time_synchronised, system.time_source.as_deref(), system.timezone.as_deref()),
            (synchronised, source, zone),
            "{said}"
        );
    }
}

#[test]
fn which_system_it_is() {
    let centos = facts(&[("i:system", "kernel=Linux\nrelease=2.6.32\n"), ("f:/etc/redhat-release", "CentOS release 6.10 (Final)\n")]);
    assert_eq!((centos.os.id.as_str(), centos.os.version.as_str()), ("centos", "6.10"));
    let rhel =
        facts(&[("i:system", "kernel=Linux\n"), ("f:/etc/redhat-release", "Red Hat Enterprise Linux Server release 6.9 (Santiago)\n")]);
    assert_eq!((rhel.os.id.as_str(), rhel.os.version.as_str()), ("rhel", "6.9"));
    let rocky = "NAME=\"Rocky Linux\"\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\nPRETTY_NAME=\"Rocky \\\"9\\\"\"\nX='a b'\n";
    let rocky = facts(&[("f:/etc/os-release", rocky), ("f:/usr/lib/os-release", "ID=other\n")]);
    assert_eq!((rocky.os.id.as_str(), rocky.os.version.as_str(), rocky.os.name.as_str()), ("rocky", "9.4", "Rocky \"9\""));
    assert_eq!(rocky.os.id_like, ["rhel", "centos", "fedora"]);
    for text in ["", "garbage", "ID=\n", "ID=\"\n"] {
        let nothing = facts(&[("f:/etc/os-release", text)]);
        assert!(nothing.missing.contains_key("os") || nothing.os.id == "\"", "{text:?} looks clean");
    }
}
