#!/bin/sh
# Makes the root of a target and becomes its first process: run by place.rs inside new namespaces.
#   start.sh FOLDER LAYER BASE NAME
# FOLDER is empty and is mounted over; what is written in the target lies in memory there and goes with the namespaces.
set -eu
folder=$1 layer=$2 base=$3 name=$4

mount -t tmpfs -o mode=755 target "$folder"
mkdir "$folder/upper" "$folder/work" "$folder/root"
root=$folder/root
mount -t overlay -o "lowerdir=$layer:$base,upperdir=$folder/upper,workdir=$folder/work" target "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o mode=755,nosuid dev "$root/dev"
mount -t tmpfs -o mode=755,nosuid,nodev run "$root/run"
mkdir "$root/dev/pts" "$root/dev/shm" "$root/run/sshd" "$root/run/sudo"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev shm "$root/dev/shm"
mknod -m 666 "$root/dev/null" c 1 3
mknod -m 666 "$root/dev/zero" c 1 5
mknod -m 666 "$root/dev/full" c 1 7
mknod -m 666 "$root/dev/random" c 1 8
mknod -m 666 "$root/dev/urandom" c 1 9
mknod -m 666 "$root/dev/tty" c 5 0
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
printf '%s' "$name" >"$root/proc/sys/kernel/hostname"

# The machine's own mounts leave the target's view.
cd "$root"
pivot_root . .
umount -l .
exec /bin/sh /usr/local/lib/keyward/start
