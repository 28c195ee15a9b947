# The tables of cron, of the system and of every account, and the scripts of its folders.
some=
hidden=
show() {
  [ -f "$1" ] || return
  some=1
  if [ ! -r "$1" ]; then
    hidden=1
    return
  fi
  printf '@%s\n' "$1"
  head -c 65536 "$1" | sed -n '/^[[:blank:]]*#/d;/[^[:blank:]]/s/^/ /p'
  printf '\n'
}
# /etc/crontab has a question of its own.
show /etc/anacrontab
for dir in /etc/cron.d /etc/crontabs /var/spool/cron/crontabs /var/spool/cron/tabs /var/spool/cron /var/cron/tabs /usr/lib/cron/tabs; do
  [ -d "$dir" ] && [ ! -h "$dir" ] || continue
  some=1
  if [ ! -r "$dir" ] || [ ! -x "$dir" ]; then
    hidden=1
    continue
  fi
  for f in "$dir"/*; do show "$f"; done
done
for dir in /etc/cron.hourly /etc/cron.daily /etc/cron.weekly /etc/cron.monthly /etc/cron.yearly /etc/periodic/*; do
  [ -d "$dir" ] || continue
  some=1
  printf '@%s\n' "$dir"
  for f in "$dir"/*; do
    [ -f "$f" ] && [ -x "$f" ] && printf ' %s\n' "${f##*/}"
  done
done
[ -z "$hidden" ] || exit 77
[ -n "$some" ] || exit 66
