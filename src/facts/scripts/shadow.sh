# How each password stands, and its age. The hash is looked at here and is not written to the answer.
kind() {
  case $1 in
  '') k=empty ;;
  '!'* | '*'*) k=locked ;;
  '$1$'*) k=1 ;;
  '$2$'* | '$2'[abxy]'$'*) k=2b ;;
  '$3$'*) k=3 ;;
  '$5$'*) k=5 ;;
  '$6$'*) k=6 ;;
  '$7$'*) k=7 ;;
  '$y$'*) k=y ;;
  '$gy$'*) k=gy ;;
  '$md5'*) k=sunmd5 ;;
  '$sha1$'*) k=sha1 ;;
  '$'*) k=other ;;
  _*) k=bsdi ;;
  ?????????????) k=des ;;
  *) k=locked ;;
  esac
}
if [ -e /etc/shadow ]; then
  [ -r /etc/shadow ] || exit 77
  while IFS=: read -r name hash last min max warn inactive expire rest || [ -n "$name" ]; do
    [ -n "$name" ] || continue
    kind "$hash"
    printf ' %s:%s:%s:%s:%s:%s:%s:%s\n' "$name" "$k" "$last" "$min" "$max" "$warn" "$inactive" "$expire"
    name=
  done </etc/shadow
elif [ -e /etc/master.passwd ]; then
  # Its times are seconds, and it keeps no day of the last change.
  [ -r /etc/master.passwd ] || exit 77
  while IFS=: read -r name hash uid gid class change expire rest || [ -n "$name" ]; do
    case $name in '' | '#'*) name= && continue ;; esac
    kind "$hash"
    case $expire in '' | 0 | *[!0-9]*) expire= ;; *) expire=$((expire / 86400)) ;; esac
    printf ' %s:%s::::::%s\n' "$name" "$k" "$expire"
    name=
  done </etc/master.passwd
else
  exit 66
fi
