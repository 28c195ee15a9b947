#!/bin/sh
# Installs what is missing on this machine, from the system's own packages:
#   scripts/setup.sh build     a C compiler and `patch`, for the libraries in C and the patched SSH library
#   scripts/setup.sh sshd      OpenSSH's server and client, for the demo and the bench
#   scripts/setup.sh python    Python 3, for the demo and the bench
#   scripts/setup.sh fuzz      a C++ compiler, for libFuzzer
# Several words do several things. What is there already is left as it is.
set -eu

fail() {
    printf 'error: %s\n' "$1" >&2
    [ -z "${2-}" ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

packages=
want() { packages="$packages $1"; }

fresh_sshd=
[ $# -gt 0 ] || set -- build
for what in "$@"; do
    case $what in
    build)
        # rustup's own folder may not be in the PATH of a shell that is older than it.
        have cargo || [ ! -x "$HOME/.cargo/bin/cargo" ] ||
            fail "cargo is installed, but not in PATH" ". \"\$HOME/.cargo/env\""
        have cargo || fail "there is no Rust toolchain (1.90 or newer)" "install it as https://rustup.rs says"
        have cc || want gcc
        [ -e /usr/include/stdio.h ] || want libc6-dev
        have patch || want patch
        have tar || want tar
        ;;
    sshd)
        have ssh && have scp && have ssh-keygen || want openssh-client
        if ! have sshd && [ ! -x /usr/sbin/sshd ]; then
            want openssh-server
            fresh_sshd=yes
        fi
        ;;
    python) have python3 || want python3 ;;
    fuzz)
        have c++ || want g++
        ;;
    *) fail "\`$what\` is nothing that can be set up" "build, sshd, python and fuzz are" ;;
    esac
done

[ -n "$packages" ] || exit 0

have apt-get || fail "these are missing:$packages" "install them with the package manager of this system"
root=
if [ "$(id -u)" != 0 ]; then
    have sudo || fail "these are missing:$packages" "as root: apt-get install -y$packages"
    root=sudo
fi

printf 'installing:%s\n' "$packages" >&2
policy=/usr/sbin/policy-rc.d
if [ -n "$fresh_sshd" ] && [ ! -e "$policy" ]; then
    # Debian would start the server that it installs; nobody asked for one that listens on port 22.
    trap '$root rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null
    $root chmod 755 "$policy"
fi
apt() { $root env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" >&2 </dev/null; }
# shellcheck disable=SC2086 # a list of words
apt install -y --no-install-recommends $packages || {
    # The list of packages may be missing or old.
    apt update
    apt install -y --no-install-recommends $packages
}
if [ -n "$fresh_sshd" ] && [ -d /run/systemd/system ]; then
    $root systemctl disable --quiet ssh.service ssh.socket 2>/dev/null || :
fi
