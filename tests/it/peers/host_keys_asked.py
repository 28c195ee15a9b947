"""Asks for proofs of host keys: PORT USER KEY. Prints what came of it."""

import os
import sys

import paramiko
from paramiko.message import Message

port, user, key_file = sys.argv[1:4]
told = []


class Transport(paramiko.Transport):
    def _parse_global_request(self, m):
        told.append(m.get_text())
        m.rewind()
        return super()._parse_global_request(m)


transport = Transport(("127.0.0.1", int(port)))
transport.connect(username=user, pkey=paramiko.Ed25519Key.from_private_key_file(key_file))
host_key = transport.get_remote_server_key()


def asks(*blobs):
    """Whether the signatures that come fit; none if it is refused."""
    answer = transport.global_request("hostkeys-prove-00@openssh.com", list(blobs), wait=True)
    if answer is None:
        return "refused"
    for blob in blobs:
        signed = Message()
        signed.add_string("hostkeys-prove-00@openssh.com")
        signed.add_string(transport.session_id)
        signed.add_string(blob)
        if not host_key.verify_ssh_sig(signed.asbytes(), Message(answer.get_binary())):
            return "wrong"
    return "proved"


session = transport.open_session(timeout=60)
session.exec_command("echo here")
assert session.makefile().read() == b"here\n"
found = ["told-none" if "hostkeys-00@openssh.com" not in told else "told"]
own = host_key.asbytes()
found.append(asks(own))
found.append(asks(own, paramiko.Ed25519Key.from_private_key_file(key_file).asbytes()))
found.append(asks(own, own))
found.append("bounded" if "refused" in [asks(own) for _ in range(10)] else "unbounded")
session = transport.open_session(timeout=60)
session.exec_command("echo here")
found.append("alive" if session.makefile().read() == b"here\n" else "dead")
print(" ".join(found), flush=True)
os._exit(0)
