//! A host that looks like Alpine: busybox, dropbear and the database of apk; nothing of Debian's tools.

use std::fmt::Write as _;
use std::path::Path;

use super::place::Base;
use super::{Login, Plan, Proof, Target};
use crate::world::process::command;
use crate::world::{nonce, run, tool};

/// What apk's database of the target lists: package, version, and the package that it was built from.
pub(crate) const PACKAGES: [(&str, &str, &str); 6] = [
    ("alpine-baselayout", "3.6.5-r0", "alpine-baselayout"),
    ("busybox", "1.36.1-r28", "busybox"),
    ("ssl_client", "1.36.1-r28", "busybox"),
    ("musl", "1.2.5-r0", "musl"),
    ("libcrypto3", "3.3.0-r2", "openssl"),
    ("dropbear", "2022.83-r3", "dropbear"),
];

impl Target {
    /// Busybox behind dropbear. `root` signs in with a key, `operator` (no rights) with a password.
    #[track_caller]
    pub(crate) fn busybox(dir: &Path) -> Self {
        let mut plan = Plan::new(dir, "/usr/sbin/dropbear");
        plan.passwd = "root:x:0:0:root:/root:/bin/ash\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n".to_owned();
        plan.group = "root:x:0:root\nwheel:x:10:root\ntty:x:5:\nnobody:x:65534:\n".to_owned();
        plan.shadow = "root:*::0:::::\nnobody:!::0:::::\n".to_owned();
        let layer = &plan.layer;
        layer.file("/etc/os-release", 0o644, OS_RELEASE);
        layer.file("/etc/alpine-release", 0o644, "3.20.1\n");
        layer.file("/etc/shells", 0o644, "/bin/sh\n/bin/ash\n");
        layer.file("/etc/apk/world", 0o644, "alpine-baselayout\nbusybox\ndropbear\n");
        layer.file("/lib/apk/db/installed", 0o644, installed());
        layer.file("/etc/apk/arch", 0o644, "x86_64\n");
        // Dropbear keeps its host key in a form of its own.
        let kept = dir.join("dropbear_host_key");
        let mut convert = command(tool("/usr/bin/dropbearconvert"));
        convert.args(["openssh", "dropbear"]).arg(&plan.host_key.path).arg(&kept);
        run(convert, "").ok();
        layer.file("/etc/dropbear/dropbear_ed25519_host_key", 0o600, std::fs::read(&kept).expect("dropbear's host key"));
        let key = plan.key("root_key");
        plan.root_key(&key);
        let password = nonce(20);
        let mut crypt = command(tool("/usr/sbin/chroot"));
        crypt.arg(Base::Busybox.folder()).args(["/bin/busybox", "mkpasswd", "-m", "sha256", "-P", "0"]);
        let hash = run(crypt, format!("{password}\n")).ok().text().trim_end().to_owned();
        plan.account("operator", "/bin/ash", &hash);
        plan.logins.push(Login { user: "operator".to_owned(), proof: Proof::Password(password), sudo_password: None });
        plan.layer.file("/etc/passwd", 0o644, &plan.passwd);
        plan.layer.file("/etc/group", 0o644, &plan.group);
        plan.layer.file("/etc/shadow", 0o640, &plan.shadow);
        plan.start_with(Base::Busybox, "/usr/sbin/dropbear -F -E -p 127.0.0.1:22 -r /etc/dropbear/dropbear_ed25519_host_key", |_| None)
    }
}

const OS_RELEASE: &str = "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.20.1\nPRETTY_NAME=\"Alpine Linux v3.20\"\n\
                          HOME_URL=\"https://alpinelinux.org/\"\nBUG_REPORT_URL=\"https://gitlab.alpinelinux.org/alpine/aports/-/issues\"\n";

/// The database as apk writes it: a letter, a colon and a value on each line, an empty line after each package.
fn installed() -> String {
    let mut text = String::new();
    for (name, version, origin) in PACKAGES {
        let _ = write!(
            text,
            "C:Q1qKcZ8mJwqFf7g0tq0m8m1C2yYvE=\nP:{name}\nV:{version}\nA:x86_64\nS:4096\nI:8192\nT:{name} of the test\n\
             U:https://example.org/\nL:MIT\no:{origin}\nm:A Maintainer <maintainer@example.org>\nt:1718000000\n\
             c:0123456789abcdef0123456789abcdef01234567\nD:so:libc.musl-x86_64.so.1\np:cmd:{name}={version}\n\
             F:usr\nF:usr/bin\nR:{name}\na:0:0:755\nZ:Q1pCfwXSFQW9dEqDLuXVdQGHC0i4w=\n\n"
        );
    }
    text
}
