# The timers of systemd and what they start.
[ -d /run/systemd/system ] && have systemctl || exit 66
printf '@unit-files\n'
systemctl list-unit-files --type=timer --no-legend --no-pager -l || printf '!systemctl list-unit-files ended with %s\n' $?
printf '@show\n'
systemctl show -p Id -p Unit -- '*.timer' || printf '!systemctl show ended with %s\n' $?
