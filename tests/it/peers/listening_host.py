"""A host that lets everybody in and is odd about `tcpip-forward`: DEED HOST-KEY. Prints its port, then what it did, one line each.

silent: never answers it, and answers everything else.
late: answers it only once it has been told `exec` with the command `now`.
many: listens, as it says, and opens 1,000 connections of somebody at once; prints how many were taken and how many refused.
"""

import queue
import sys
import threading

import paramiko
from paramiko.common import MSG_CHANNEL_OPEN, MSG_GLOBAL_REQUEST, MSG_REQUEST_FAILURE, MSG_REQUEST_SUCCESS
from raw import message, serve

deed, host_key = sys.argv[1:3]
AT_ONCE = 1000
TAKEN, REFUSED = 91, 92
CHANNELS = 5000


class Transport(paramiko.Transport):
    def __init__(self, sock):
        super().__init__(sock)
        self.answers = queue.Queue()
        self.waiting = False
        self._handler_table[MSG_GLOBAL_REQUEST] = self.asked
        if deed == "many":
            for kind in (TAKEN, REFUSED):
                self._handler_table[kind] = lambda answer, kind=kind: self.answers.put((kind, answer.get_int()))

    def asked(self, request):
        name = request.get_text()
        wants_answer = request.get_boolean()
        print("asked " + name, flush=True)
        if name == "tcpip-forward":
            address, self.port = request.get_text(), request.get_int()
            if deed == "many":
                self._send_message(message(MSG_REQUEST_SUCCESS))
                threading.Thread(target=self.crowd, args=(address,), daemon=True).start()
            self.waiting = True
        elif wants_answer:
            self._send_message(message(MSG_REQUEST_FAILURE))

    def crowd(self, address):
        for number in range(AT_ONCE):
            rest = (address, self.port, "127.0.0.1", 1)
            self._send_message(message(MSG_CHANNEL_OPEN, "forwarded-tcpip", CHANNELS + number, 65536, 32768, *rest))
        kinds = [self.answers.get(timeout=300)[0] for _ in range(AT_ONCE)]
        print("taken %d refused %d" % (kinds.count(TAKEN), kinds.count(REFUSED)), flush=True)


class Server(paramiko.ServerInterface):
    def __init__(self, transport):
        self.transport = transport

    def get_allowed_auths(self, username):
        return "password"

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, number):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        if command == b"now" and self.transport.waiting:
            self.transport._send_message(message(MSG_REQUEST_SUCCESS))
        threading.Thread(target=self.ends, args=(channel,), daemon=True).start()
        return True

    def ends(self, channel):
        channel.send_exit_status(0)
        channel.close()


serve(host_key, Server, Transport)
