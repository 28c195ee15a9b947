# Every package database that is there. `@` begins one, `!` is a remark.
some=
if have dpkg-query; then
  some=1
  printf '@dpkg\n'
  dpkg-query -W -f='${binary:Package}\t${db:Status-Abbrev}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\n' ||
    printf '!dpkg-query ended with %s\n' $?
elif [ -r /var/lib/dpkg/status ]; then
  some=1
  printf '@dpkg-status\n'
  sed -n '/^Package: /p;/^Status: /p;/^Version: /p;/^Architecture: /p;/^Source: /p;/^$/p' /var/lib/dpkg/status ||
    printf '!sed ended with %s\n' $?
fi
# Without a database rpm would make one; where it looks by default is not the same everywhere.
for db in /var/lib/rpm /usr/lib/sysimage/rpm; do
  if [ -e "$db/rpmdb.sqlite" ] || [ -e "$db/Packages" ] || [ -e "$db/Packages.db" ]; then
    some=1
    if have rpm; then
      printf '@rpm\n'
      form='%{NAME}\t%{EPOCH}\t%{VERSION}\t%{RELEASE}\t%{ARCH}\t%{SOURCERPM}'
      case $(rpm --querytags) in *MODULARITYLABEL*) form=$form'\t%{MODULARITYLABEL}' ;; esac
      rpm --dbpath "$db" -qa --qf "$form\n" || printf '!rpm ended with %s\n' $?
    else
      printf '!there is an rpm database, but no rpm to read it\n'
    fi
    break
  fi
done
for db in /lib/apk/db/installed /usr/lib/apk/db/installed; do
  if [ -e "$db" ]; then
    some=1
    printf '@apk\n'
    sed -n '/^[PVAo]:/p;/^$/p' "$db" || printf '!%s could not be read\n' "$db"
    break
  fi
done
case $(uname -s) in
FreeBSD | DragonFly)
  # -N: asked without this, pkg would install itself.
  if have pkg && pkg -N >/dev/null; then
    some=1
    printf '@pkg\n'
    pkg query '%n|%v|%q|%o' || printf '!pkg ended with %s\n' $?
  fi
  ;;
Darwin)
  # The folders say what is there; brew itself refuses root and keeps caches.
  for cellar in /opt/homebrew/Cellar /usr/local/Cellar /opt/homebrew/Caskroom /usr/local/Caskroom; do
    [ -d "$cellar" ] || continue
    some=1
    printf '@brew\n'
    for d in "$cellar"/*/*/; do
      [ -d "$d" ] || continue
      d=${d%/}
      v=${d##*/}
      d=${d%/*}
      printf '%s|%s\n' "${d##*/}" "$v"
    done
  done
  ;;
esac
for other in pacman xbps-query emerge opkg nix-store swupd; do
  if have "$other"; then
    some=1
    printf '!the packages of %s are not read\n' "$other"
  fi
done
[ -n "$some" ] || exit 66
