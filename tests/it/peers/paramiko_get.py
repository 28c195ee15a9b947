"""Gets a file by SFTP with paramiko's prefetch: PORT USER KEY HOST-KEY FILE. Prints its length and SHA-256."""

import base64
import hashlib
import sys

import paramiko

port, user, key, host_key, path = sys.argv[1:6]


class Sum:
    def __init__(self):
        self.length = 0
        self.sha256 = hashlib.sha256()

    def write(self, data):
        self.length += len(data)
        self.sha256.update(data)


client = paramiko.SSHClient()
kind, blob = host_key.split()[:2]
client.get_host_keys().add(f"[127.0.0.1]:{port}", kind, paramiko.Ed25519Key(data=base64.b64decode(blob)))
client.set_missing_host_key_policy(paramiko.RejectPolicy())
client.connect("127.0.0.1", int(port), user, pkey=paramiko.Ed25519Key.from_private_key_file(key), look_for_keys=False, allow_agent=False, timeout=30)
total = Sum()
client.open_sftp().getfo(path, total)
client.close()
print(total.length, total.sha256.hexdigest())
