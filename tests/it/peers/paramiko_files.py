"""What paramiko sees of commands and files: PORT USER KEY HOST-KEY HERE THERE. Prints it as JSON."""

import base64
import hashlib
import json
import os
import sys

import paramiko

port, user, key, host_key, here, there = sys.argv[1:7]
client = paramiko.SSHClient()
kind, blob = host_key.split()[:2]
client.get_host_keys().add(f"[127.0.0.1]:{port}", kind, paramiko.Ed25519Key(data=base64.b64decode(blob)))
client.set_missing_host_key_policy(paramiko.RejectPolicy())
client.connect("127.0.0.1", int(port), user, pkey=paramiko.Ed25519Key.from_private_key_file(key), look_for_keys=False, allow_agent=False, timeout=30)
seen = {}

stdin, stdout, stderr = client.exec_command("cat; echo err >&2; exit 5")
stdin.write("x" * 300_000)
stdin.channel.shutdown_write()
seen["exec"] = [len(stdout.read()), stderr.read().decode(), stdout.channel.recv_exit_status()]
stdin, stdout, stderr = client.exec_command("stty size; tty >/dev/null && echo tty", get_pty=True)
seen["pty"] = stdout.read().decode()

sftp = client.open_sftp()
sftp.chdir(there)
seen["put"] = sftp.put(os.path.join(here, "large"), "large", confirm=True).st_size
sftp.get("large", os.path.join(here, "back"), prefetch=True, max_concurrent_prefetch_requests=64)
with open(os.path.join(here, "small"), "rb") as small:
    sftp.putfo(small, "small")
with sftp.open("large", "rb") as large:
    pieces = large.readv([(0, 10), (5_000_000, 70_000), (8_000_000, 1)])
    seen["readv"] = [hashlib.sha256(piece).hexdigest() for piece in pieces]
with sftp.open("small", "a") as small:
    small.set_pipelined(True)
    for _ in range(100):
        small.write("more\n")
sftp.mkdir("dir", 0o750)
sftp.posix_rename("small", "dir/renamed")
sftp.symlink("dir/renamed", "soft")
seen["link"] = sftp.readlink("soft")
sftp.chmod("large", 0o600)
sftp.truncate("large", 1_000_000)
sftp.utime("large", (1_400_000_000, 1_400_000_000))
stat = sftp.stat("large")
seen["stat"] = [stat.st_size, oct(stat.st_mode), stat.st_mtime]
seen["list"] = sorted(sftp.listdir(there))
for wrong in (lambda: sftp.stat("none"), lambda: sftp.rmdir("dir"), lambda: sftp.open("/proc/none", "w")):
    try:
        wrong()
        seen.setdefault("errors", []).append(None)
    except OSError as e:
        seen.setdefault("errors", []).append([type(e).__name__, e.errno, str(e)])
client.close()
print(json.dumps(seen))
