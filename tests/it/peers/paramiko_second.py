"""Signs in with a key and then with codes, one after the other: PORT USER KEY HOST-KEY CODE…. Prints what was asked and what a command says."""

import base64
import socket
import sys

import paramiko

port, user, key, host_key, *codes = sys.argv[1:]
asked = []


def answer(title, instructions, prompts):
    asked.append(" ".join(text.strip() for text in [instructions, *(p for p, _ in prompts)] if text.strip()))
    return [codes.pop(0) for _ in prompts]


# The plain Transport asks for the service a second time, before the codes.
transport = paramiko.Transport(socket.create_connection(("127.0.0.1", int(port)), timeout=30))
transport.start_client(timeout=30)
shown = transport.get_remote_server_key()
assert shown.asbytes() == base64.b64decode(host_key.split()[1]), "another host key"
left = transport.auth_publickey(user, paramiko.Ed25519Key.from_private_key_file(key))
assert left == ["keyboard-interactive"], left
try:
    left = transport.auth_interactive(user, answer)
except paramiko.SSHException as error:
    sys.exit(f"{error}: asked {asked}, codes left {codes}")
assert left == [], left
channel = transport.open_session(timeout=30)
channel.exec_command("echo seen-$((40+2))")
said = channel.makefile().read().decode().strip()
transport.close()
print("|".join([*asked, said]))
