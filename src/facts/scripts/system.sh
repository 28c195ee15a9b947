# The kernel's names for itself and when it started.
say() { [ -n "$2" ] && printf '%s=%s\n' "$1" "$2"; }
say kernel "$(uname -s)"
say hostname "$(uname -n)"
say release "$(uname -r)"
say build "$(uname -v)"
say machine "$(uname -m)"
if [ -r /proc/stat ]; then say btime "$(sed -n 's/^btime //p' /proc/stat)"; fi
case $(uname -s) in
FreeBSD | DragonFly | Darwin)
  say boottime "$(sysctl -n kern.boottime)"
  ;;
esac
if have sw_vers; then
  say product "$(sw_vers -productName)"
  say product_version "$(sw_vers -productVersion)"
fi
if have freebsd-version; then say userland "$(freebsd-version -u)"; fi
exit 0
