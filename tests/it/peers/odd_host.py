"""A host that keeps to the protocol in ways that nobody expects: DEED HOST-KEY. Prints its port; lets everybody in.

Each deed is one that a client must live with, straight and through whatever stands between."""

import sys
import threading
import time

import paramiko
from paramiko.common import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_EXTENDED_DATA,
    MSG_CHANNEL_FAILURE,
    MSG_CHANNEL_REQUEST,
)
from raw import message, serve

deed, host_key = sys.argv[1:3]


class Says:
    """What the host says on one channel, message by message."""

    def __init__(self, channel):
        self.channel = channel

    def send(self, kind, *fields):
        self.channel.transport._send_user_message(message(kind, self.channel.remote_chanid, *fields))

    def data(self, data):
        self.send(MSG_CHANNEL_DATA, data)

    def extended(self, data, kind=1):
        self.send(MSG_CHANNEL_EXTENDED_DATA, kind, data)

    def status(self, status):
        self.send(MSG_CHANNEL_REQUEST, b"exit-status", False, status)

    def strange_request(self):
        self.send(MSG_CHANNEL_REQUEST, b"weather@example.org", True, b"rain")

    def eof(self):
        self.send(MSG_CHANNEL_EOF)

    def close(self):
        # Else the library answers the client's close with a second one.
        self.channel.closed = True
        self.send(MSG_CHANNEL_CLOSE)


def status_first(says):
    says.status(5)
    says.data(b"after the status\n")
    says.extended(b"err after the status\n")
    says.eof()
    says.close()


def no_status(says):
    says.data(b"no status\n")
    says.eof()
    says.close()


def no_eof(says):
    says.data(b"no end of output\n")
    says.status(6)
    says.close()


def only_close(says):
    says.close()


def status_after_eof(says):
    says.data(b"out\n")
    says.eof()
    says.status(7)
    says.close()


def two_statuses(says):
    says.status(3)
    says.status(9)
    says.eof()
    says.close()


def odd_extended(says):
    says.data(b"before ")
    says.extended(b"nobody knows this kind\n", 7)
    says.data(b"after\n")
    says.status(0)
    says.eof()
    says.close()


def crumbs(says):
    for number in range(3000):
        (says.extended if number % 3 == 0 else says.data)(b"%d" % (number % 10))
    says.status(0)
    says.eof()
    says.close()


def nothing_often(says):
    for _ in range(300):
        says.data(b"")
        says.extended(b"")
    says.data(b"something\n")
    says.status(0)
    says.eof()
    says.close()


def errors_flood(says):
    for _ in range(60):
        says.channel.sendall_stderr(b"e" * 50_000)
    says.data(b"done\n")
    says.status(1)
    says.eof()
    says.close()


refused = threading.Event()


def asks(says):
    says.strange_request()
    says.data(b"asked\n" if refused.wait(30) else b"nobody answered\n")
    says.status(0)
    says.eof()
    says.close()


def echo(says):
    taken = 0
    total = 0
    while data := says.channel.recv(4096):
        taken += len(data)
        total += sum(data)
    says.data(b"%d %d\n" % (taken, total))
    says.status(0)
    says.eof()
    says.close()


def slow(says):
    says.data(b"late, but here\n")
    says.status(0)
    says.eof()
    says.close()


deeds = {
    "status_first": status_first,
    "no_status": no_status,
    "no_eof": no_eof,
    "only_close": only_close,
    "status_after_eof": status_after_eof,
    "two_statuses": two_statuses,
    "odd_extended": odd_extended,
    "crumbs": crumbs,
    "nothing_often": nothing_often,
    "errors_flood": errors_flood,
    "asks": asks,
    "window_of_one": echo,
    "packets_of_one": echo,
    "banner": no_eof,
    "late": slow,
}
act = deeds[deed]
handle_request = paramiko.Channel._handle_request


def after_the_reply(channel, message):
    at = message.packet.tell()
    kind = message.get_text()
    message.packet.seek(at)
    handle_request(channel, message)
    if kind == "exec":
        threading.Thread(target=act, args=(Says(channel),), daemon=True).start()


# The library would close a channel on which something that it asked for is refused, beside the close that the deed sends.
paramiko.Transport._channel_handler_table = {
    **paramiko.Transport._channel_handler_table,
    MSG_CHANNEL_REQUEST: after_the_reply,
    MSG_CHANNEL_FAILURE: lambda channel, message: refused.set(),
}


class Transport(paramiko.Transport):
    def __init__(self, sock):
        if deed == "banner":
            sock.sendall(b"this is a line before the version\r\n" * 20)
        super().__init__(sock)

    def _sanitize_window_size(self, size):
        return 1 if deed == "window_of_one" else super()._sanitize_window_size(size)

    def _sanitize_packet_size(self, size):
        return 1 if deed == "packets_of_one" else super()._sanitize_packet_size(size)


class Server(paramiko.ServerInterface):
    def __init__(self, transport):
        self.transport = transport

    def get_allowed_auths(self, username):
        return "publickey,password"

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL

    def check_channel_request(self, kind, number):
        if deed == "late":
            time.sleep(1)
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        if deed == "late":
            time.sleep(1)
        return True


serve(host_key, Server, Transport)
