"""A host that lets everybody in and announces a key that it does not have: HOST-KEY OTHER-KEY. Prints its port."""

import asyncio
import sys

import asyncssh
from asyncssh.connection import SSHServerConnection
from asyncssh.packet import String

own, other = sys.argv[1:3]


def prove(self, packet):
    """Signs for every key with its own one."""
    signatures = []
    while packet:
        asked = packet.get_string()
        key = next(iter(self._all_server_host_keys.values()))
        prefix = String("hostkeys-prove-00@openssh.com") + String(self._session_id)
        signatures.append(String(key.sign(prefix + String(asked))))
    self._report_global_response(b"".join(signatures))


SSHServerConnection._process_hostkeys_prove_00_at_openssh_dot_com_global_request = prove


class Server(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True

    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return True


def handle(process):
    process.exit(0)


async def main():
    listener = await asyncssh.create_server(
        Server, "127.0.0.1", 0, server_host_keys=[own, other], send_server_host_keys=True, process_factory=handle
    )
    print(listener.get_port(), flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
