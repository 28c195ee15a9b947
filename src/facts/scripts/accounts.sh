# Accounts of macOS, which stand in no file.
[ "$(uname -s)" = Darwin ] && have dscl || exit 66
list() {
  printf '@%s\n' "$3"
  dscl . -list "$1" "$2" | sed 's/^/ /'
}
list /Users UniqueID uid
list /Users PrimaryGroupID gid
list /Users NFSHomeDirectory home
list /Users UserShell shell
list /Groups PrimaryGroupID group
list /Groups GroupMembership members
