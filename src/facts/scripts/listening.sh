# Sockets that listen, from the first tool that knows. 77: the processes of others could not be seen.
root=
[ "$(id -u)" = 0 ] && root=1
system=$(uname -s)
if have ss; then
  out=$(ss -H -lntup) || out=$(ss -lntup)
  if [ -n "$out" ]; then
    printf '@ss\n%s\n' "$out"
    [ -n "$root" ] || exit 77
    exit 0
  fi
fi
if have sockstat; then
  out=$(sockstat -46l)
  if [ -n "$out" ]; then
    printf '@sockstat\n%s\n' "$out"
    if [ -z "$root" ] && [ "$(sysctl -n security.bsd.see_other_uids)" = 0 ]; then
      printf '@hidden\n'
      exit 77
    fi
    exit 0
  fi
fi
if [ "$system" = Linux ]; then
  if have netstat; then
    out=$(netstat -lntup)
    case $out in
    *:*)
      printf '@netstat\n%s\n' "$out"
      [ -n "$root" ] || exit 77
      exit 0
      ;;
    esac
  fi
  for p in tcp tcp6 udp udp6; do
    [ -r "/proc/net/$p" ] || continue
    printf '@proc %s\n' "$p"
    sed -n '/: [0-9A-F]*:[0-9A-F]* [0-9A-F]*:[0-9A-F]* 0[A7] /p' "/proc/net/$p"
  done
  exit 0
fi
# Without root lsof leaves out the sockets of others; netstat shows them, but names no process.
if [ -n "$root" ] && have lsof; then
  out=$(lsof -nP +c 0 -iTCP -sTCP:LISTEN -FpctPn; lsof -nP +c 0 -iUDP -FpctPn)
  if [ -n "$out" ]; then
    printf '@lsof\n%s\n' "$out"
    exit 0
  fi
fi
have netstat || exit 66
printf '@netstat\n'
netstat -an
[ -n "$root" ] || ! have lsof || exit 77
exit 0
