# The services of the init system that runs.
if [ -d /run/systemd/system ] && have systemctl; then
  printf '@unit-files\n'
  systemctl list-unit-files --type=service --no-legend --no-pager -l || printf '!systemctl list-unit-files ended with %s\n' $?
  printf '@units\n'
  systemctl list-units --all --type=service --no-legend --no-pager --plain -l || printf '!systemctl list-units ended with %s\n' $?
  exit 0
fi
case $(uname -s) in
FreeBSD | DragonFly | NetBSD)
  have service || exit 66
  printf '@rc\n'
  service -e | sed 's/^/enabled /'
  service -l | sed 's/^/known /'
  exit 0
  ;;
Darwin)
  printf '@launchctl\n'
  launchctl list
  [ "$(id -u)" = 0 ] || exit 77
  exit 0
  ;;
esac
# OpenRC and the links of System V are read from their folders: no tool is needed.
links() { # WORD FOLDER PREFIX
  for f in "$2"/$3*; do
    [ -e "$f" ] || [ -h "$f" ] || continue
    f=${f##*/}
    printf '%s %s\n' "$1" "${f#$3}"
  done
}
if [ -d /etc/runlevels ]; then
  printf '@openrc\n'
  for level in /etc/runlevels/*; do links enabled "$level" ''; done
  links started /run/openrc/started ''
  links failed /run/openrc/failed ''
  links known /etc/init.d ''
elif [ -d /etc/init.d ]; then
  printf '@sysv\n'
  for level in 2 3 4 5; do links enabled "/etc/rc$level.d" 'S[0-9][0-9]'; done
  links known /etc/init.d ''
else
  exit 66
fi
