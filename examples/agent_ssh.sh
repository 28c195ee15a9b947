#!/bin/sh
# Ten steps of a diagnosis by an agent with nothing but ssh, each approved by its person.
#
#     agent_ssh.sh web-1@BROKER [ssh options, such as -p 2222 -i helper]
#
# Each command waits until the person has decided, and ends as the command ended:
#   77 denied · 75 expired · 69 no connection, or approved and not run · 74 interrupted · 255 the broker refused it
# The person opens a connection first (ssh -N -p 2222 web-1@BROKER) and approves at their own terminal.
set -u

[ $# -ge 1 ] || {
    echo 'usage: agent_ssh.sh HOST@BROKER [SSH-OPTION…]' >&2
    exit 2
}
to=$1
shift

number=0
executed=0
step() { # why, command
    number=$((number + 1))
    why=$1
    command=$2
    shift 2
    printf '%s. %s: ' "$number" "$why"
    # KEYWARD_REASON is the agent's own word for it; the person sees it as a claim.
    KEYWARD_REASON="step $number: $why" ssh -n -o SendEnv=KEYWARD_REASON "$@" "$to" -- "$command"
    status=$?
    case $status in
    69 | 74 | 75 | 77 | 255)
        echo "stopped at step $number" >&2
        exit "$status"
        ;;
    esac
    executed=$((executed + 1))
}

step 'which system' 'uname -srm' "$@"
step 'which distribution' 'head -n 1 /etc/os-release' "$@"
step 'as whom' 'id -un' "$@"
step 'the time there' 'date -u +%FT%TZ' "$@"
step 'load' 'cat /proc/loadavg' "$@"
step 'memory' 'head -n 1 /proc/meminfo' "$@"
step 'full disks' 'df -P / | tail -n 1' "$@"
step 'what fills it' 'ls -A / | wc -l' "$@"
step 'where names are looked up' 'grep -c "" /etc/hosts' "$@"
step 'what it listens on' 'wc -l < /proc/net/tcp' "$@"
echo "$executed of $number executed"
