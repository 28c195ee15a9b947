# What says whether a reboot is due. Nothing is asked that keeps logs or locks, as dnf and zypper do.
say() { [ -n "$2" ] && printf '%s=%s\n' "$1" "$2"; }
for f in /var/run/reboot-required /run/reboot-required /run/reboot-needed /var/run/reboot-needed; do
  if [ -e "$f" ]; then
    say flag "$f"
    if [ -r "$f.pkgs" ]; then head -n 200 "$f.pkgs" | sed 's/^/package=/'; fi
    break
  fi
done
for f in /boot/vmlinuz-* /lib/modules/*/vmlinuz; do
  [ -e "$f" ] || continue
  case $f in
  /boot/*) f=${f#/boot/vmlinuz-} ;;
  *) f=${f%/vmlinuz} && f=${f##*/} ;;
  esac
  say kernel "$f"
done
# Packages that only a reboot brings into use, and when they were installed.
for db in /var/lib/rpm /usr/lib/sysimage/rpm; do
  have rpm || break
  [ -e "$db/rpmdb.sqlite" ] || [ -e "$db/Packages" ] || [ -e "$db/Packages.db" ] || continue
  rpm --dbpath "$db" -q --qf 'installed=%{INSTALLTIME} %{NAME}\n' kernel kernel-core kernel-rt kernel-default glibc systemd dbus dbus-daemon dbus-broker \
    linux-firmware openssl-libs gnutls microcode_ctl | sed -n '/^installed=[0-9]/p'
  break
done
if have freebsd-version; then say installed_kernel "$(freebsd-version -k)"; fi
printf 'end=1\n'
