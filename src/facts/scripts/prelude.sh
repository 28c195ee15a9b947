PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin${PATH:+:$PATH}
LC_ALL=C
export PATH LC_ALL
exec </dev/null 2>/dev/null
have() { command -v "$1" >/dev/null 2>&1; }
have sed && have head && have uname && have id || {
  printf 'sed, head, uname or id is not there\n'
  exit 69
}
