#!/bin/sh
# Installs what tests/it and tests/memory talk to: OpenSSH's server and client,
# dropbear, PuTTY, tmux, less and vi from Debian, paramiko, asyncssh and ssh-audit in a virtual
# environment of their own (.tools/venv), and the account kw-peer, which the
# test hosts let in. A second run changes nothing.
#
# Needs a Debian or Ubuntu system, and root: the test hosts are real sshd.
# Starts no service.
set -eu

ACCOUNT=kw-peer

fail() {
    printf 'error: %s\n' "$1" >&2
    [ -z "${2-}" ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
pins=$root/tests/it/peers/requirements.txt
venv=$root/.tools/venv
[ -f "$pins" ] || fail "tests/it/peers/requirements.txt is missing" "is this a complete checkout?"

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
need setsid util-linux
need setpriv util-linux
need mount mount
need useradd passwd
need tmux tmux
need less less
need vi vim-tiny
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
digest=$(sha256sum <"$pins" | cut -d ' ' -f 1)
if [ ! -f "$stamp" ] || [ "$(cat -- "$stamp")" != "$digest" ] || [ ! -x "$venv/bin/python" ]; then
    rm -rf -- "$venv"
    mkdir -p -- "$root/.tools"
    python3 -m venv "$venv" || fail "python3 cannot make a virtual environment in .tools/venv" "apt-get install python3-venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$pins" ||
        fail "pip could not install the Python peers" "the first run needs the network; later ones do not"
    printf '%s\n' "$digest" >"$stamp"
fi
