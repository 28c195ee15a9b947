PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin${PATH:+:$PATH}
export PATH
exec </dev/null
command -v sshd >/dev/null 2>&1 || exit 66
# Older ones want to know for whom, as soon as there is a Match.
sshd -T 2>/dev/null && exit 0
sshd -T -C user=root,host=localhost,addr=127.0.0.1 2>/dev/null && exit 0
[ "$(id -u)" = 0 ] || exit 77
sshd -T 2>&1
