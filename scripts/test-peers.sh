#!/bin/sh
# Installs what tests/it and tests/memory talk to: OpenSSH's server and client,
# dropbear, PuTTY, tinysshd, curl, lftp, sshfs, git, tmux, less, vi, pass with
# GnuPG, openssl and systemd's tools from Debian, paramiko, asyncssh, Ansible and
# ssh-audit in a virtual environment of their own (.tools/venv), ssh2 of Node.js
# with npm (.tools/npm), the account kw-peer, which the
# test hosts let in, and the roots of the hosts that are scanned (.tools/roots):
# a minimal Debian with sudo and many shells, and one that has only busybox and
# dropbear. For tests/report: Chromium and its driver from Debian, and readers of
# the formats in the same virtual environment. A second run changes nothing.
#
# Needs a Debian or Ubuntu system, and root: the test hosts are real sshd, those
# that are scanned in namespaces of their own. Starts no service.
set -eu

ACCOUNT=kw-peer

fail() {
    printf 'error: %s\n' "$1" >&2
    [ -z "${2-}" ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
pins=$root/tests/it/peers/requirements.txt
more=$root/tests/report/requirements.txt
venv=$root/.tools/venv
for file in "$pins" "$more"; do
    [ -f "$file" ] || fail "${file#"$root"/} is missing" "is this a complete checkout?"
done

# -- Debian packages -----------------------------------------------------------

missing=
need() { # a file or command, and the package that brings it
    case $1 in
    /*) [ -e "$1" ] || missing="$missing $2" ;;
    *) command -v "$1" >/dev/null 2>&1 || missing="$missing $2" ;;
    esac
}
need /usr/sbin/sshd openssh-server
need /usr/lib/openssh/sftp-server openssh-sftp-server
need ssh openssh-client
need dropbear dropbear-bin
need plink putty-tools
need rsync rsync
need tinysshd tinysshd
need socat socat
need ssh-copy-id openssh-client
need git git
need curl curl
need lftp lftp
need sshfs sshfs
need fusermount3 fuse3
need node nodejs
# Where Debian's own nodejs is not installed, the nodejs that is may have brought its npm.
need npm npm
need setsid util-linux
need setpriv util-linux
need mount mount
need unshare util-linux
need debootstrap debootstrap
need /usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
need useradd passwd
need openssl openssl
need pass pass
need gpg gnupg
need tmux tmux
need xauth xauth
need less less
need vi vim-tiny
need systemd-analyze systemd
need systemd-creds systemd
need pgrep procps
need chromium chromium
need chromedriver chromium-driver
need python3 python3
if command -v python3 >/dev/null 2>&1; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
else
    missing="$missing python3-venv"
fi

if [ "$(id -u)" -ne 0 ]; then
    fail "the tests against real peers start sshd and sign in to accounts, so they run as root" \
        "run them in a throw-away container or machine as root: sudo make test"
fi

if [ -n "$missing" ]; then
    command -v apt-get >/dev/null 2>&1 ||
        fail "not installed:$missing" "these are Debian's names of the packages; install them with the package manager of this system"
    # The packages would start their services; the tests start servers of their own.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
        trap 'rm -f -- /usr/sbin/policy-rc.d' EXIT
        trap 'exit 1' HUP INT TERM
    fi
    report=$(mktemp)
    # shellcheck disable=SC2086 # a list of words
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends $missing; } >"$report" 2>&1; then
        tail -n 20 "$report" >&2
        rm -f -- "$report"
        fail "apt-get could not install:$missing" "apt-get update && apt-get install$missing"
    fi
    rm -f -- "$report"
fi

# -- the device of file systems in user space ----------------------------------

# A container may lack the module or the node where the kernel has FUSE. Where neither can be had, the test of sshfs says so.
# The module is loaded also where the node is there already: a node alone does not say that the kernel has it.
modprobe fuse 2>/dev/null || true
if [ ! -e /dev/fuse ] && grep -qw fuse /proc/filesystems; then
    mknod -m 0666 /dev/fuse c 10 229 2>/dev/null || true
fi

# -- the account ---------------------------------------------------------------

# One for all checkouts on this machine; root alone can read its password.
if ! id -u "$ACCOUNT" >/dev/null 2>&1; then
    useradd --create-home --shell /bin/bash --comment 'Keyward test peer' "$ACCOUNT" || fail "cannot add the account $ACCOUNT"
fi
home=$(getent passwd "$ACCOUNT" | cut -d : -f 6)
password=$home/.keyward-test-password
if [ ! -s "$password" ]; then
    (
        umask 077
        # 48 letters and digits: nothing in a memory can look like it by chance.
        printf '%s' "$(head -c 2000 /dev/urandom | LC_ALL=C tr -dc 'A-Za-z0-9' | head -c 48)" >"$password.new"
    )
    chown root:root "$password.new"
    printf '%s:%s\n' "$ACCOUNT" "$(cat -- "$password.new")" | chpasswd || fail "cannot set the password of $ACCOUNT"
    mv -- "$password.new" "$password"
fi

# -- Python's clients ----------------------------------------------------------

stamp=$venv/.keyward-stamp
digest=$(cat -- "$pins" "$more" | sha256sum | cut -d ' ' -f 1)
if [ ! -f "$stamp" ] || [ "$(cat -- "$stamp")" != "$digest" ] || [ ! -x "$venv/bin/python" ]; then
    rm -rf -- "$venv"
    mkdir -p -- "$root/.tools"
    python3 -m venv "$venv" || fail "python3 cannot make a virtual environment in .tools/venv" "apt-get install python3-venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$pins" --requirement "$more" ||
        fail "pip could not install what the tests need of Python" "the first run needs the network; later ones do not"
    printf '%s\n' "$digest" >"$stamp"
fi

# -- the client of Node.js -------------------------------------------------------

npm=$root/.tools/npm
peers=$root/tests/it/peers/npm
digest=$(cat -- "$peers/package.json" "$peers/package-lock.json" | sha256sum | cut -d ' ' -f 1)
if [ ! -f "$npm/.keyward-stamp" ] || [ "$(cat -- "$npm/.keyward-stamp")" != "$digest" ]; then
    rm -rf -- "$npm"
    mkdir -p -- "$npm"
    cp -- "$peers/package.json" "$peers/package-lock.json" "$npm/"
    # No scripts: what they would build are faster ciphers, and the tests need none.
    (cd -- "$npm" && npm ci --ignore-scripts --omit=optional --no-audit --no-fund --loglevel=error >/dev/null) ||
        fail "npm could not install ssh2 into .tools/npm" "the first run needs the network; later ones do not"
    printf '%s\n' "$digest" >"$npm/.keyward-stamp"
fi

# -- roots of hosts that are scanned -------------------------------------------

# What the tests sign in to, never this machine: tests/it/world/targets.rs lays a writable layer of its own over them.
roots=$root/.tools/roots
suite=bookworm
packages=openssh-server,sudo,iproute2,procps,busybox,dropbear-bin,ksh93u+m,mksh,tcsh,fish
recipe="$suite $packages 1"

stamped() { [ -f "$roots/$1/.keyward-stamp" ] && [ "$(cat -- "$roots/$1/.keyward-stamp")" = "$recipe" ]; }

if ! stamped debian; then
    # The archive that this machine's apt uses, if it has this release.
    # shellcheck disable=SC2016 # apt's own words, not the shell's
    archive=$(apt-get indextargets --format '$(CODENAME) $(ORIGIN) $(REPO_URI)' 2>/dev/null | sed -n "s/^$suite Debian //p" | head -n 1)
    report=$(mktemp)
    rm -rf -- "$roots/debian" "$roots/debian.new" "$roots/busybox"
    mkdir -p -- "$roots"
    # In mounts of its own: an interrupted run leaves none behind, and what is removed above holds nobody's /proc.
    if ! unshare --mount --propagation private debootstrap --variant=minbase --include="$packages" \
        --keyring=/usr/share/keyrings/debian-archive-keyring.gpg \
        "$suite" "$roots/debian.new" "${archive:-http://deb.debian.org/debian}" >"$report" 2>&1; then
        tail -n 20 "$report" >&2
        rm -f -- "$report"
        fail "debootstrap could not make a Debian $suite in .tools/roots" "the first run needs the network; later ones do not"
    fi
    rm -f -- "$report"
    rm -rf -- "$roots/debian.new/var/cache/apt/archives" "$roots/debian.new/var/lib/apt/lists" "$roots/debian.new/usr/share/doc" \
        "$roots/debian.new/usr/share/man" "$roots/debian.new/usr/share/locale"
    printf '%s\n' "$recipe" >"$roots/debian.new/.keyward-stamp"
    mv -- "$roots/debian.new" "$roots/debian"
fi

if ! stamped busybox; then
    new=$roots/busybox.new
    rm -rf -- "$roots/busybox" "$new"
    for folder in bin sbin usr/bin usr/sbin usr/lib lib lib64 etc root home proc sys dev run tmp var/log var/lib lib/apk/db; do
        mkdir -p -- "$new/$folder"
    done
    chmod 1777 "$new/tmp"
    cp -- "$roots/debian/usr/bin/busybox" "$new/bin/busybox"
    # Not busybox-static: its shell finds applets that have no link. The libraries first: busybox itself needs them.
    cp -- "$roots/debian/usr/sbin/dropbear" "$new/usr/sbin/dropbear"
    chroot "$roots/debian" /usr/bin/ldd /usr/sbin/dropbear /usr/bin/busybox | grep -o '/[^ :]*' | grep '^/lib' | sort -u | while read -r library; do
        mkdir -p -- "$new/${library%/*}"
        cp -L -- "$roots/debian/$library" "$new/$library"
    done
    chroot "$new" /bin/busybox true || fail "busybox does not run in .tools/roots/busybox.new" "its libraries are missing there"
    # A link for each applet where busybox would install it, but for those that know another system's packages.
    chroot "$new" /bin/busybox --list-full | while read -r applet; do
        case ${applet##*/} in
        busybox | dpkg | dpkg-deb | rpm | rpm2cpio) continue ;;
        esac
        mkdir -p -- "$new/${applet%/*}"
        ln -s /bin/busybox "$new/$applet"
    done
    printf '%s\n' "$recipe" >"$new/.keyward-stamp"
    mv -- "$new" "$roots/busybox"
fi
