"""Shows keys one after the other on one connection: PORT USER STRANGE-KEY KEY. Prints what came of it."""

import sys

import paramiko

port, user, strange, known = sys.argv[1:5]
transport = paramiko.Transport(("127.0.0.1", int(port)))
transport.start_client(timeout=60)
refused = 0
for _ in range(2):
    try:
        transport.auth_publickey(user, paramiko.Ed25519Key.from_private_key_file(strange))
    except paramiko.AuthenticationException:
        refused += 1
transport.auth_publickey(user, paramiko.Ed25519Key.from_private_key_file(known))
session = transport.open_session(timeout=60)
session.exec_command("echo here")
print("refused", refused, session.makefile().read().decode().strip(), flush=True)
transport.close()
