PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin${PATH:+:$PATH}
export PATH
exec </dev/null
command -v kldstat >/dev/null 2>&1 || exit 66
exec kldstat 2>/dev/null
