# The rules of sudo and doas, with the files that they include.
some=
hidden=
seen='|'
show() { # FILE DEPTH
  case $seen in *"|$1|"*) return ;; esac
  seen="$seen$1|"
  if [ -d "$1" ]; then
    if [ ! -r "$1" ] || [ ! -x "$1" ]; then
      hidden=1
      return
    fi
    # sudo passes over names with a dot or a tilde at the end.
    for f in "$1"/*; do
      case ${f##*/} in *.* | *'~') ;; *) [ -f "$f" ] && show "$f" "$2" ;; esac
    done
    return
  fi
  if [ ! -e "$1" ]; then
    [ -x "${1%/*}/" ] || [ ! -e "${1%/*}/" ] || hidden=1
    return
  fi
  [ -f "$1" ] || return
  some=1
  if [ ! -r "$1" ]; then
    hidden=1
    return
  fi
  printf '@%s\n' "$1"
  head -c 262144 "$1" | sed 's/^/ /'
  printf '\n'
  [ "$2" -lt 8 ] || {
    printf '!%s: what it includes is not followed\n' "$1"
    return
  }
  set -f
  # shellcheck disable=SC2046
  set -- "${1%/*}" $(($2 + 1)) $(sed -n 's/^[@#]include\(dir\)\{0,1\}[[:blank:]]\{1,\}//p' "$1" | tr -d '"\\')
  set +f
  while [ $# -gt 2 ]; do
    base=$1 depth=$2 g=$3
    shift 3
    set -- "$base" "$depth" "$@"
    case $g in
    *%h*) printf '!%s is not followed\n' "$g" ;;
    /*) show "$g" "$depth" ;;
    *) show "$base/$g" "$depth" ;;
    esac
  done
}
for f in /etc/sudoers /usr/local/etc/sudoers; do show "$f" 0; done
# Where SUSE keeps what the administrator has not replaced.
[ -e /etc/sudoers ] || show /usr/etc/sudoers 0
for f in /etc/doas.conf /usr/local/etc/doas.conf /etc/doas.d/*.conf; do
  [ -e "$f" ] && show "$f" 8 | sed '/^!/d'
  [ -e "$f" ] && some=1
  [ ! -e "$f" ] || [ -r "$f" ] || hidden=1
done
[ -z "$hidden" ] || exit 77
[ -n "$some" ] || exit 66
