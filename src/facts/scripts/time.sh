# Whether the clock is synchronised, by what, and the time zone.
say() { [ -n "$2" ] && printf '%s=%s\n' "$1" "$2"; }
if have timedatectl; then
  out=$(timedatectl show) || out=$(timedatectl status)
  [ -n "$out" ] && printf '@timedatectl\n%s\n' "$out"
fi
if have chronyc; then
  out=$(chronyc -n tracking) && printf '@chronyc\n%s\n' "$out"
fi
if have ntpq; then
  out=$(ntpq -n -c 'rv 0 leap,stratum') && printf '@ntpq\n%s\n' "$out"
fi
if have ntpctl; then
  out=$(ntpctl -s status) && printf '@ntpctl\n%s\n' "$out"
fi
if have adjtimex; then
  out=$(adjtimex -p) || out=$(adjtimex)
  [ -n "$out" ] && printf '@adjtimex\n%s\n' "$out"
fi
printf '@other\n'
[ -r /etc/timezone ] && say timezone "$(head -n 1 /etc/timezone)"
[ -r /var/db/zoneinfo ] && say timezone "$(head -n 1 /var/db/zoneinfo)"
have readlink && say localtime "$(readlink /etc/localtime)"
{ ps -A -o comm= || ps -o comm; } | sed -n 's|.*/||;/^chronyd$/p;/^ntpd$/p;/^ntpd:/p;/^systemd-timesyn/p;/^openntpd$/p;/^timed$/p;/^VBoxService$/p' |
  sort -u | sed 's/^/process=/'
exit 0
