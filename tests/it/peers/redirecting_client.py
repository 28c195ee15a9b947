"""A client that shows its key for one host and, before it is asked the question of a sealed sign-in, offers it for another:
PORT KEY HOST OTHER ANSWER. Prints what came of it."""

import sys
import threading

import paramiko
from paramiko.auth_handler import AuthHandler
from paramiko.common import cMSG_USERAUTH_REQUEST
from paramiko.message import Message

port, key, host, other, answer = sys.argv[1:6]
offered = threading.Event()
question = AuthHandler._parse_userauth_info_request


def sixty(self, m):
    """A question, or that an offered key would be taken: both have this number, and a key begins with its algorithm."""
    if m.get_remainder()[4:].startswith(b"ssh-ed25519"):
        offered.set()
        return
    m.rewind()
    question(self, m)


AuthHandler._parse_userauth_info_request = sixty
transport = paramiko.Transport(("127.0.0.1", int(port)))
transport.start_client()
key = paramiko.Ed25519Key.from_private_key_file(key)
assert transport.auth_publickey(host, key) == ["keyboard-interactive"]
# Without a signature: it is answered, and signs nobody in.
offer = Message()
offer.add_byte(cMSG_USERAUTH_REQUEST)
offer.add_string(other)
offer.add_string("ssh-connection")
offer.add_string("publickey")
offer.add_boolean(False)
offer.add_string(key.get_name())
offer.add_string(key.asbytes())
transport._send_message(offer)
assert offered.wait(60)
transport.auth_interactive(host, lambda title, instructions, prompts: [answer for _ in prompts])
channel = transport.open_session()
channel.exec_command("true")
print("status %d" % channel.recv_exit_status())
transport.close()
