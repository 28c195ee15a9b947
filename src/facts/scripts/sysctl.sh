PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin${PATH:+:$PATH}
export PATH
exec </dev/null
command -v sysctl >/dev/null 2>&1 || exit 66
# What it could not read is said on standard error; 77 says that root would see more.
{ said=$(sysctl -a 2>&1 >&3); } 3>&1
[ "$(id -u)" != 0 ] || exit 0
case $said in *'ermission denied'* | *'not permitted'*) exit 77 ;; esac
exit 0
