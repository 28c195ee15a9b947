# Mounted file systems.
if [ -r /proc/self/mounts ]; then
  printf '@proc\n'
  sed 's/^/ /' /proc/self/mounts
elif [ "$(uname -s)" = FreeBSD ]; then
  printf '@proc\n'
  mount -p | sed 's/^/ /'
else
  have mount || exit 66
  printf '@mount\n'
  mount | sed 's/^/ /'
fi
