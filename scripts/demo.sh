#!/usr/bin/env bash
# Shows the product on this machine, from an empty home to a verified audit trail. Everything lives in one temporary folder
# and on loopback ports that the system picks; at the end nothing is left. Run it with `make demo`.
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
binary=${KEYWARD:-$repository/target/release/keyward}
[ -x "$binary" ] || { echo "error: $binary is not built" >&2; echo "hint: make demo" >&2; exit 1; }
sshd=$(command -v sshd || echo /usr/sbin/sshd)
[ -x "$sshd" ] || { echo "error: there is no sshd" >&2; echo "hint: scripts/setup.sh sshd python" >&2; exit 1; }

if [ -t 1 ]; then
    bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else
    bold='' dim='' green='' red='' plain=''
fi

me=$(id -un)
work=$(mktemp -d "${TMPDIR:-/tmp}/keyward-demo.XXXXXX")
started=()
done=

finish() {
    status=$?
    set +e
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null; done
    if [ -z "$done" ]; then
        echo
        echo "${red}the demo failed (status $status); the logs:${plain}"
        for log in "$work"/*.log; do [ -s "$log" ] && { echo "--- ${log##*/}"; tail -n 40 "$log"; }; done
        [ "$status" != 0 ] || status=1
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

chapter() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; }
# Says what comes and why.
say() { printf '\n%s# %s%s\n' "$dim" "$1" "$plain"; }
# Shows a command and runs it as it is shown.
run() { printf '%s$ %s%s\n' "$green" "$1" "$plain"; eval "$1"; }
# The same for one that is refused; going through would be the failure.
refused() {
    printf '%s$ %s%s\n' "$green" "$1" "$plain"
    if eval "$1"; then echo "${red}that should have been refused${plain}"; return 1; fi
}
# Waits up to ten seconds until the command succeeds.
until_true() {
    for _ in $(seq 200); do
        if eval "$1"; then return 0; fi
        sleep 0.05
    done
    echo "${red}this did not happen: $1${plain}"
    return 1
}

# Nothing of the person's own settings takes part.
unset SSH_AUTH_SOCK SSH_ASKPASS KEYWARD_ROOT_KEY
export HOME=$work/me XDG_CONFIG_HOME=$work/me/.config XDG_STATE_HOME=$work/me/.local/state XDG_DATA_HOME=$work/me/.local/share
export KEYWARD_HOME=$work/home
export PATH=${binary%/*}:$PATH
mkdir -m 700 "$HOME" "$HOME/.ssh"
cd "$work"

chapter "1. A host"
say "A real sshd on loopback stands for a host of yours. Only one key opens it."
ssh-keygen -q -t ed25519 -N '' -C web-1 -f host_key
ssh-keygen -q -t ed25519 -N '' -C deploy -f deploy_key
cp deploy_key.pub authorized_keys
chmod 600 authorized_keys
cat >sshd_config <<END
ListenAddress 127.0.0.1
HostKey $work/host_key
PidFile $work/sshd.pid
AuthorizedKeysFile $work/authorized_keys
TrustedUserCAKeys $work/user_ca.pub
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
LogLevel VERBOSE
Subsystem sftp internal-sftp
END
if [ "$(id -u)" = 0 ] && [ ! -d /run/sshd ]; then mkdir -m 755 /run/sshd; fi
for _ in 1 2 3; do
    # sshd cannot say which port the system gave it, so one that is free is looked up first.
    host_port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    "$sshd" -D -e -f sshd_config -p "$host_port" 2>sshd.log &
    host_pid=$!
    sleep 0.3
    if kill -0 "$host_pid" 2>/dev/null; then break; fi
done
kill -0 "$host_pid"
started+=("$host_pid")
printf '%s -D -f sshd_config -p %s\n' "$sshd" "$host_port"

chapter "2. A broker, from nothing"
say "One command: the first run makes the root key, the host key, the database and the owner ($me, with the keys in ~/.ssh)."
ssh-keygen -q -t ed25519 -N '' -C "$me" -f "$HOME/.ssh/id_ed25519"
printf '%s$ keyward serve --listen 127.0.0.1:0 &%s\n' "$green" "$plain"
control="control-$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')"
# The variable is no setting: the search at the end must find it, else the search proves nothing.
KEYWARD_DEMO_CONTROL=$control keyward serve --listen 127.0.0.1:0 >serve.out 2>serve.log </dev/null &
broker_pid=$!
started=("$broker_pid" "${started[@]}")
until_true "grep -q '^ready: ' serve.out || ! kill -0 $broker_pid 2>/dev/null"
grep '^ready: ' serve.out
broker_port=$(sed -n 's/^ready: ssh .*:\([0-9]*\) .*/\1/p' serve.out)
broker_key=$(sed -n 's/^ready: .*host-key \(SHA256:[^ ]*\).*/\1/p' serve.out)

say "What ssh needs to know of the broker; its host key is checked against the line above."
ssh-keyscan -t ed25519 -p "$broker_port" 127.0.0.1 >known_hosts 2>/dev/null
ssh-keygen -lf known_hosts | grep -qF "$broker_key"
cat >ssh_config <<END
Host *
  Port $broker_port
  IdentitiesOnly yes
  UserKnownHostsFile $work/known_hosts
  StrictHostKeyChecking yes
  BatchMode yes
END
echo "known_hosts, ssh_config"

chapter "3. What the broker is to know"
say "The host, and its key: it is pinned only if its fingerprint is the expected one."
run "keyward host add web-1 127.0.0.1:$host_port --tag env=demo"
fingerprint=$(ssh-keygen -lf host_key.pub | cut -d ' ' -f 2)
run "keyward host trust web-1 --fingerprint $fingerprint"

say "The credential. Its private key goes into the vault and then leaves the disk: only the vault has it now."
run "keyward credential add deploy --username $me --key deploy_key --scope workspace"
mkdir -m 700 planted
mv deploy_key planted/deploy
run "keyward credential attach deploy --host web-1"

say "A password, from standard input: secrets are never arguments. It is personal: nobody else sees that it exists."
python3 -c 'import secrets; print(secrets.token_urlsafe(24))' >planted/database
run "keyward credential add database --username postgres --password <planted/database"
run "keyward credential list"

say "A second person, with her own key, and what she may do: commands and file transfer, no shell."
ssh-keygen -q -t ed25519 -N '' -C alice -f alice
run "keyward user add alice --key alice.pub"
run "keyward grant add --to alice --hosts web-1 --allow exec,sftp"
run "keyward grant explain alice web-1 shell"

chapter "4. Alice connects, with the ssh that she has"
say "Keyward decides, records, checks the host's key, signs in with the vault's key, wipes it, and relays. Alice never has the key."
run "ssh -F ssh_config -i alice web-1@127.0.0.1 'echo I am \$(id -un) on \$(uname -s); exit 7' || echo \"status \$?\""
say "Files, with scp."
head -c 3000000 /dev/urandom >there
run "scp -q -F ssh_config -i alice there web-1@127.0.0.1:$work/back && cmp there back && echo same"
say "What was not granted is refused; a host that does not exist gets the same answer as one that is not hers."
refused "ssh -F ssh_config -i alice -tt web-1@127.0.0.1"
refused "ssh -F ssh_config -i alice db-1@127.0.0.1 true"
say "The same verbs over ssh, nothing installed."
run "ssh -F ssh_config -i alice alice@127.0.0.1 host list"

chapter "5. An agent proposes, Alice decides"
say "An agent of hers, with a key of its own. It holds no credential, and may only propose; that takes a grant, too."
ssh-keygen -q -t ed25519 -N '' -C helper -f helper
run "ssh -F ssh_config -i alice alice@127.0.0.1 agent add helper --key - <helper.pub"
run "keyward grant add --to alice --hosts web-1 --allow propose"
say "Alice opens a connection and leaves it open: what she approves runs on it, without another sign-in on the host."
ssh -N -F ssh_config -i alice web-1@127.0.0.1 2>alice.log &
alice_pid=$!
started+=("$alice_pid")
until_true "keyward audit list --limit 3 | grep -q session.signed_in"
say "The agent runs plain ssh, and waits."
printf '%s$ %s%s\n' "$green" "ssh -n -F ssh_config -i helper web-1@127.0.0.1 'uptime; exit 4' &" "$plain"
ssh -n -F ssh_config -i helper web-1@127.0.0.1 'uptime; exit 4' >agent.out 2>agent.log &
agent_pid=$!
started+=("$agent_pid")
decide="ssh -F ssh_config -i alice alice@127.0.0.1"
until_true "$decide proposal list --pending | grep -q prp_"
say "Alice sees exactly the bytes, and approves their digest (on a terminal: proposal watch)."
proposal=$($decide proposal list --pending | grep -o 'prp_[0-9a-z]*')
run "$decide proposal show $proposal"
digest=$($decide proposal show "$proposal" --json | sed -n 's/.*"digest": "\([0-9a-f]*\)".*/\1/p')
run "$decide proposal approve $proposal --digest $digest"
wait "$agent_pid" || echo "the agent's ssh ended with status $?, as the command did; it printed:"
cat agent.out
run "$decide proposal list"
kill "$alice_pid"
wait "$alice_pid" 2>/dev/null || :
say "What an agent does not get: a shell, a verb, or a decision."
refused "ssh -n -F ssh_config -i helper web-1@127.0.0.1"
refused "ssh -n -F ssh_config -i helper helper@127.0.0.1 proposal approve $proposal --digest $digest"

chapter "6. A scan"
say "What listens, who may sign in, how sshd is set up: questions that only read. Scanning is granted by itself; a shell does not bring it."
run "keyward grant add --to alice --hosts web-1 --allow scan"
until_true "! keyward session list --live 2>/dev/null | grep -q ses_"
say "First what would be asked, and the digest that stands for it; no host is asked."
run "ssh -F ssh_config -i alice alice@127.0.0.1 scan run --hosts web-1 --profile ssh-hardening --dry-run >plan.txt"
head -n 3 plan.txt
digest=$(sed -n 's/^digest *//p' plan.txt)
say "Then exactly that. Nothing is installed on the host; one shell reads the questions from its standard input."
run "ssh -F ssh_config -i alice alice@127.0.0.1 scan run --hosts web-1 --profile ssh-hardening --digest $digest >scan.txt || echo \"status \$?\""
run "head -n 19 scan.txt"
say "Status 0 is clean; 4 says that something was found, 5 that something was not answered, whatever else was found."
say "For the host it was one sign-in with one lease, like a person's, and it is over."
run "keyward audit list --user alice --limit 9"
[ "$(keyward audit list --user alice --limit 9 | grep -c lease.opened)" = 1 ]

chapter "7. A credential's life"
say "A key that nobody ever had in a file: it is made in the vault, and only the public half comes out."
run "keyward credential generate spare --username $me --scope workspace"
say "Better still, none that lasts: the host trusts the workspace's authority once, and each sign-in gets a certificate of its own."
run "keyward ca create"
run "keyward ca public-key >user_ca.pub"
run "keyward credential add brief --username $me --certificate"
run "keyward credential test brief --host web-1"
run "keyward credential attach brief --host web-1"
run "ssh -F ssh_config -i alice web-1@127.0.0.1 'echo signed in, and the certificate is over in two minutes'"
say "The host's own log names the session and the person:"
run "grep -o 'ID \"*keyward [^)]*' sshd.log | tail -n 1"
run "keyward credential attach deploy --host web-1"
run "keyward credential delete brief --yes"
say "New keys for everything in the vault, the root key too. Nobody is interrupted; what was read under the old ones is wrapped anew."
run "keyward vault rotate --root"
say "A copy that can be put back: it holds no deleted row and never the root key."
run "keyward backup copy.db"
run "keyward credential list"

chapter "8. What the broker saw"
ssh -F ssh_config -i alice web-1@127.0.0.1 'echo open; sleep 60' >held.out 2>held.log &
held_pid=$!
started+=("$held_pid")
until_true "[ -s held.out ]"
say "One session is open now. The owner sees it, and everything before it."
run "keyward session list"
say "The audit trail of the newest one: the decision and the lease were on the disk before anything was decrypted."
run "keyward audit list --user alice --limit 6"
run "keyward audit verify"

say "The same on a copy of the home in which somebody edited one entry."
cp -a home forged
printf '[vault]\nroot_key = "%s"\n' "$XDG_CONFIG_HOME"/keyward/root*.key >forged/broker.toml
python3 - forged <<'END'
import pathlib, sqlite3, sys
path = next(pathlib.Path(sys.argv[1]).rglob("*.db"))
database = sqlite3.connect(path)
(seq,) = database.execute("SELECT min(seq) FROM audit WHERE body LIKE '%session.permitted%'").fetchone()
database.execute("UPDATE audit SET body = replace(body, '\"alice\"', '\"mallory\"') WHERE seq = ?", (seq,))
database.commit()
print(f"entry {seq}: alice became mallory")
END
keyward --home forged serve --listen 127.0.0.1:0 >forged.out 2>forged.log </dev/null &
forged_pid=$!
started+=("$forged_pid")
until_true "grep -q '^ready: ' forged.out || ! kill -0 $forged_pid 2>/dev/null"
kill -0 "$forged_pid"
refused "keyward --home forged audit verify"
kill "$forged_pid"
wait "$forged_pid" 2>/dev/null || :

chapter "9. What is left of the secrets in the daemon"
say "All its memory is searched for pieces of the key that just signed in and of the password. The control must be found."
if [ -r "/proc/$broker_pid/mem" ]; then reader=''; elif command -v sudo >/dev/null; then reader='sudo '; else reader=none; fi
if [ "$reader" = none ]; then
    echo "skipped: the daemon's memory can be read by root only, which is as it should be"
else
    run "$reader$repository/scripts/scan-memory.py $broker_pid --control $control planted/deploy planted/database"
fi

chapter "10. The end"
say "The owner ends Alice's session; then the broker stops in order."
session=$(keyward session list --live --json | grep -o 'ses_[0-9a-zA-Z]*' | head -n 1)
run "keyward session end $session"
wait "$held_pid" || :
cat held.log
run "kill -TERM $broker_pid"
wait "$broker_pid"
kill "$host_pid"
wait "$host_pid" 2>/dev/null || :
done=yes
printf '\n%sdone%s: everything is removed again. The README says how to set it up for a team.\n' "$bold" "$plain"
