//! The programs that are known, and what each does with its words. No list of this kind is ever complete.

/// A program that runs another one, which its words name.
pub(super) struct Wrapper {
    pub(super) name: &'static str,
    /// Options behind which a value stands.
    pub(super) valued: &'static [&'static str],
    /// Words before the other program that are no options.
    pub(super) words: usize,
}

const fn wrapper(name: &'static str, valued: &'static [&'static str], words: usize) -> Wrapper {
    Wrapper { name, valued, words }
}

pub(super) const WRAPPERS: &[Wrapper] = &[
    wrapper("sudo", &["-u", "--user", "-g", "--group", "-h", "--host", "-p", "--prompt", "-C", "-T", "-r", "-t", "-U", "-D", "-R"], 0),
    wrapper("doas", &["-u", "-C"], 0),
    wrapper("pkexec", &["--user", "-u"], 0),
    wrapper("runuser", &["-u", "--user", "-g", "-G", "-c", "--command", "-s"], 0),
    wrapper("env", &["-u", "--unset", "-C", "--chdir", "-S"], 0),
    wrapper("nohup", &[], 0),
    wrapper("setsid", &[], 0),
    wrapper("nice", &["-n", "--adjustment"], 0),
    wrapper("ionice", &["-c", "-n", "-p"], 0),
    wrapper("time", &["-f", "-o"], 0),
    wrapper("timeout", &["-s", "--signal", "-k", "--kill-after"], 1),
    wrapper("stdbuf", &["-i", "-o", "-e"], 0),
    wrapper("taskset", &[], 1),
    wrapper("chrt", &[], 1),
    wrapper("flock", &["-w", "--timeout", "-E"], 1),
    wrapper("chroot", &[], 1),
    wrapper("nsenter", &["-t", "--target"], 0),
    wrapper("unshare", &[], 0),
    wrapper("systemd-run", &["-p", "--property", "-u", "--unit", "--uid", "--gid", "-M", "-E", "-d"], 0),
    wrapper("strace", &["-o", "-e", "-p", "-s", "-u"], 0),
    wrapper("watch", &["-n", "--interval"], 0),
    wrapper("xargs", &["-I", "-n", "-P", "-L", "-d", "-a", "-s", "-E"], 0),
    wrapper("parallel", &["-j", "--jobs", "-a"], 0),
    wrapper("busybox", &[], 0),
    wrapper("toybox", &[], 0),
    wrapper("exec", &["-a"], 0),
    wrapper("command", &[], 0),
    wrapper("builtin", &[], 0),
];

/// Run as somebody else.
pub(super) const PRIVILEGE: &[&str] = &["sudo", "doas", "su", "pkexec", "runuser", "sudoedit", "chroot", "nsenter"];

pub(super) const SHELLS: &[&str] = &["sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "rbash"];

/// Languages, each with the options behind which a program stands.
pub(super) const LANGUAGES: &[(&str, &[&str])] = &[
    ("python", &["-c"]),
    ("perl", &["-e", "-E"]),
    ("ruby", &["-e"]),
    ("node", &["-e", "--eval", "-p"]),
    ("php", &["-r"]),
    ("lua", &["-e"]),
];

/// Parts of the shell itself that run nothing and change nothing outside it.
pub(super) const BUILTINS: &[&str] = &[
    ":", "[", "alias", "bg", "break", "cd", "continue", "declare", "echo", "exit", "export", "false", "fg", "getopts", "hash", "jobs",
    "let", "local", "popd", "printf", "pushd", "pwd", "read", "readonly", "return", "set", "shift", "shopt", "test", "trap", "true",
    "type", "typeset", "ulimit", "umask", "unalias", "unset", "wait",
];

/// Programs that change the system, each with what; and first words with which they only show something.
pub(super) const SYSTEM: &[(&str, &[&str], &[&str])] = &[
    (
        "services",
        &["systemctl", "service", "rc-service", "update-rc.d", "rc-update", "chkconfig", "initctl", "supervisorctl"],
        &["status", "show", "cat", "list-units", "list-timers", "list-unit-files", "is-active", "is-enabled", "is-failed"],
    ),
    (
        "packages",
        &[
            "apt", "apt-get", "aptitude", "dpkg", "yum", "dnf", "microdnf", "rpm", "zypper", "pacman", "apk", "snap", "flatpak", "pip",
            "pip3", "npm", "gem", "cargo", "brew",
        ],
        &["list", "search", "show", "info", "policy", "-l", "-L", "-s", "-S", "-q", "-qa", "-ql", "-Q"],
    ),
    (
        "users and groups",
        &[
            "useradd", "usermod", "userdel", "adduser", "deluser", "groupadd", "groupmod", "groupdel", "gpasswd", "passwd", "chpasswd",
            "chage", "vipw", "visudo", "chsh",
        ],
        &["-l", "-S"],
    ),
    (
        "the firewall and the network",
        &["iptables", "ip6tables", "nft", "ufw", "firewall-cmd", "nmcli", "ifconfig", "route", "resolvectl", "ip"],
        &["-L", "-S", "list", "status", "--list-all", "a", "addr", "address", "r", "link", "-br", "show"],
    ),
    ("the kernel", &["modprobe", "insmod", "rmmod", "sysctl", "dkms", "update-grub", "grub-install", "setenforce", "kexec"], &["-a"]),
    (
        "file systems",
        &["mount", "umount", "swapon", "swapoff", "lvremove", "vgremove", "mdadm", "cryptsetup", "zfs", "zpool", "btrfs"],
        &["list", "status", "-l"],
    ),
    ("whether the machine runs", &["reboot", "shutdown", "poweroff", "halt", "init", "telinit"], &[]),
    ("other processes", &["kill", "pkill", "killall", "renice"], &["-l", "-0"]),
    ("what runs at which time", &["crontab", "at", "batch"], &["-l"]),
    ("the clock and the name of the machine", &["timedatectl", "hostnamectl", "hwclock", "localectl"], &["status", "show"]),
    (
        "containers",
        &["docker", "podman", "kubectl", "helm", "lxc", "virsh", "nomad"],
        &["ps", "images", "logs", "get", "describe", "inspect", "list", "ls", "version", "status"],
    ),
];

pub(super) const NETWORK: &[&str] = &[
    "curl",
    "wget",
    "ssh",
    "scp",
    "sftp",
    "rsync",
    "nc",
    "ncat",
    "netcat",
    "socat",
    "telnet",
    "ftp",
    "lftp",
    "tftp",
    "aria2c",
    "rclone",
    "dig",
    "nslookup",
    "host",
    "ping",
    "traceroute",
    "nmap",
    "openssl",
    "aws",
    "gcloud",
    "az",
    "gsutil",
    "s3cmd",
    "git",
    "svn",
    "mail",
    "sendmail",
    "mosh",
    "redis-cli",
    "psql",
    "mysql",
    "ssh-copy-id",
];

/// Programs that write the files that their words name: how many words come before those.
pub(super) const WRITERS: &[(&str, usize)] = &[
    ("tee", 0),
    ("touch", 0),
    ("mkdir", 0),
    ("truncate", 0),
    ("sponge", 0),
    ("chmod", 1),
    ("chown", 1),
    ("chgrp", 1),
    ("chattr", 1),
    ("setfacl", 1),
    ("mkfifo", 0),
    ("mknod", 0),
];

/// Programs that write the last file that is named.
pub(super) const COPIERS: &[&str] = &["cp", "mv", "install", "ln", "rsync", "scp"];

/// Programs that remove files.
pub(super) const REMOVERS: &[&str] = &["rm", "unlink", "rmdir", "shred"];

/// Programs that write over disks, or what is on them.
pub(super) const DISKS: &[&str] = &["mkfs", "wipefs", "fdisk", "sfdisk", "gdisk", "parted", "mkswap", "blkdiscard"];

/// Parts of names of files, each with what the file decides.
pub(super) const ACCESS: &[(&str, &str)] = &[
    ("authorized_keys", "who may sign in"),
    ("sudoers", "who may become root"),
    ("/etc/passwd", "which users there are"),
    ("/etc/shadow", "the passwords of users"),
    ("/etc/group", "who is in which group"),
    ("/etc/pam.d", "how users sign in"),
    ("sshd_config", "how users sign in"),
    (".ssh/", "keys and how they are used"),
    ("id_ed25519", "keys and how they are used"),
    ("id_rsa", "keys and how they are used"),
    (".bashrc", "what each shell runs"),
    (".profile", "what each shell runs"),
    (".bash_profile", "what each shell runs"),
    (".zshrc", "what each shell runs"),
    ("/etc/cron", "what runs at which time"),
    ("/var/spool/cron", "what runs at which time"),
    ("/etc/systemd", "which services run"),
    ("ld.so.preload", "what each program loads"),
];

/// Variables that decide which programs run.
pub(super) const DECISIVE: &[&str] =
    &["PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "BASH_ENV", "ENV", "IFS", "PROMPT_COMMAND", "PYTHONPATH", "PERL5LIB"];
