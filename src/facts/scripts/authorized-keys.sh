# Lines with a key, for every account, from every place that sshd may read. Other lines stay here: a link could lead anywhere.
most=262144
[ "$(printf xyz | head -c 2)" = xy ] || {
  printf '!head -c does not work here\n'
  exit 0
}
patterns=$(
  {
    sshd -T
    cat /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf /usr/etc/ssh/sshd_config /usr/etc/ssh/sshd_config.d/*.conf \
      /usr/local/etc/ssh/sshd_config
  } 2>/dev/null | sed -n 's/^[[:blank:]]*[Aa][Uu][Tt][Hh][Oo][Rr][Ii][Zz][Ee][Dd][Kk][Ee][Yy][Ss][Ff][Ii][Ll][Ee][[:blank:]=]*//p' | tr -d '"'
  printf '.ssh/authorized_keys .ssh/authorized_keys2\n'
)
tab=$(printf '\t')
nl='
'
# The same place may be named twice.
places=' '
set -f
for p in $patterns; do
  case $places in *" $p "*) ;; *) [ "$p" = none ] || places="$places$p " ;; esac
done

hidden=
batch=
waiting=0
copy() { # FILE
  seen=0
  while IFS= read -r line || [ -n "$line" ]; do
    seen=$((seen + ${#line} + 1))
    if [ "$seen" -gt $((most + 1)) ]; then
      printf '!of %s only the first %s bytes were read\n' "$1" "$most"
      break
    fi
    case $line in
    '#'*) ;;
    *[[:blank:]]AAAA*) printf ' %s\n' "$line" ;;
    esac
  done
}
# A process for every file would take half a minute with ten thousand accounts: only files that are too long get one.
flush() {
  IFS=$nl
  # shellcheck disable=SC2086
  set -- $batch
  files=
  for e in "$@"; do files=$files${e#*"$tab"}$nl; done
  # shellcheck disable=SC2086
  long=$(find -H $files -prune -size +512) || long=$files
  IFS=' '
  for e in "$@"; do
    printf '@%s\n' "$e"
    e=${e#*"$tab"}
    case $nl$long$nl in
    *"$nl$e$nl"*) head -c $((most + 1)) "$e" | copy "$e" ;;
    *) copy "$e" <"$e" ;;
    esac
  done
  batch=
  waiting=0
}
key_file() { # ACCOUNT FILE
  if [ -f "$2" ]; then
    if [ ! -r "$2" ]; then
      hidden=1
    elif [ -s "$2" ]; then
      batch=$batch$1$tab$2$nl
      waiting=$((waiting + 1))
      [ "$waiting" -lt 100 ] || flush
    fi
  elif [ ! -e "$2" ]; then
    d=${2%/*}
    while [ -n "$d" ] && [ ! -e "$d" ]; do d=${d%/*}; done
    [ -x "${d:-/}" ] || hidden=1
  fi
}
expand() { # PATTERN ACCOUNT UID HOME
  rest=$1
  file=
  while :; do
    case $rest in
    *%*)
      file=$file${rest%%\%*}
      rest=${rest#*%}
      case $rest in
      h*) file=$file$4 ;;
      u*) file=$file$2 ;;
      U*) file=$file$3 ;;
      %*) file=$file% ;;
      esac
      rest=${rest#?}
      ;;
    *)
      file=$file$rest
      break
      ;;
    esac
  done
  case $file in /*) ;; *) file=${4%/}/$file ;; esac
}
account() { # NAME UID HOME
  case $3 in /*) ;; *) return ;; esac
  for p in $places; do
    expand "$p" "$1" "$2" "$3"
    key_file "$1" "$file"
  done
}
printf '@\n'
some=
# The end is said, so that an answer without it is known to be broken off.
all() {
  while IFS=: read -r name word uid gid gecos home shell || [ -n "$name" ]; do
    case $name in '' | [#+-]*) ;; *) some=1 && account "$name" "$uid" "$home" ;; esac
    name=
  done
  [ -z "$batch" ] || flush
  [ -n "$some" ] || printf '!no account was found\n'
  printf '@end\n'
  [ -z "$hidden" ] || exit 77
}
if [ "$(uname -s)" = Darwin ] && have dscl; then
  dscl . -list /Users NFSHomeDirectory | while read -r name home; do
    printf '%s:*:%s:::%s:\n' "$name" "$(id -u "$name")" "$home"
  done | all
else
  [ -r /etc/passwd ] || exit 66
  all </etc/passwd
fi
