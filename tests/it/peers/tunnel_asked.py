"""Asks for a tunnel beside a session, as `ssh -w` does, without the device: PORT USER KEY. Prints how often that was refused, and how the
session came out."""

import sys
import threading

import paramiko
from paramiko.common import MSG_CHANNEL_OPEN, MSG_CHANNEL_OPEN_FAILURE, MSG_CHANNEL_OPEN_SUCCESS
from raw import Everything, message

port, user, key = sys.argv[1:4]
# The number of the tunnel's channel, and what it is asked for: packets between two devices, any of the host's (PROTOCOL of OpenSSH, 2.3).
TUNNEL, POINT_TO_POINT, ANY = 5000, 1, 0x7FFFFFFF
answers = []
answered = threading.Event()


def hears(name, passes, told):
    if told.get_int() == TUNNEL:
        answers.append(name)
        answered.set()
    else:
        told.rewind()
        passes(told)


transport = paramiko.Transport(("127.0.0.1", int(port)))
transport.channels_seen = Everything()
handlers = transport._handler_table
for kind, name in ((MSG_CHANNEL_OPEN_SUCCESS, "opened"), (MSG_CHANNEL_OPEN_FAILURE, "refused")):
    handlers[kind] = lambda told, name=name, passes=handlers[kind]: hears(name, passes, told)
transport.start_client(timeout=60)
transport.auth_publickey(user, paramiko.Ed25519Key.from_private_key_file(key))
session = transport.open_session(timeout=60)
session.exec_command("cat; exit 3")
transport._send_message(message(MSG_CHANNEL_OPEN, b"tun@openssh.com", TUNNEL, 0x200000, 0x8000, POINT_TO_POINT, ANY))
answered.wait(60)
session.sendall(b"goes on")
session.shutdown_write()
said = session.makefile().read().decode()
status = session.recv_exit_status()
# A second answer has come before this one.
transport.global_request("keepalive@openssh.com")
print(answers, said, status, flush=True)
transport.close()
