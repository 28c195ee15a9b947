"""A host that breaks the protocol while somebody signs in or afterwards: DEED HOST-KEY. Prints its port, then `done` each time its deed is
done or cannot go on."""

import collections
import queue
import socket
import sys
import threading

import paramiko
from paramiko.auth_handler import AuthHandler
from paramiko.common import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_REQUEST,
    MSG_DISCONNECT,
    MSG_GLOBAL_REQUEST,
    MSG_REQUEST_FAILURE,
    MSG_REQUEST_SUCCESS,
    MSG_USERAUTH_BANNER,
    MSG_USERAUTH_INFO_REQUEST,
)
from floods import beyond_the_window, half_an_exchange, idle_messages, key_exchanges, too_large, windows
from raw import Everything, does, message, serve

deed, host_key = sys.argv[1:3]

# How long a deed may be held up by a broker that does not take any more: it has stopped reading then, which is right.
# What has to be answered in full has longer for it.
HELD_UP = 60 if deed == "global_requests" else 20
EXT_INFO = 7
ASKED = 100000
# The answers to its global requests, as they come and counted.
answers = queue.Queue()
heard = collections.Counter()


# ---- while somebody signs in ----


def asks(transport, prompts, text=b"Password: ", name=b""):
    fields = [name, b"", b"", prompts]
    for _ in range(prompts):
        fields += [text, False]
    transport._send_message(message(MSG_USERAUTH_INFO_REQUEST, *fields))


def asks_for_ever(transport):
    """Each answer gets the next question; no question is asked in any."""
    asks(transport, 0)


def asks_unheard(transport):
    """Does not wait for answers."""
    for _ in range(10000):
        asks(transport, 0)


def asks_much(transport):
    """Ten thousand questions at once."""
    asks(transport, 10000, b"P:")


def asks_at_length(transport):
    """One question of two hundred kibibytes."""
    asks(transport, 1, b"\x1b[2J" * 50000)


def banners(transport):
    """60 MiB of banners."""
    for _ in range(2000):
        transport._send_message(message(MSG_USERAUTH_BANNER, b"\x1b[2Jbuy!\r\n" * 3000, b""))
    asks(transport, 1)


# ---- once somebody is in ----


def extensions(t, _):
    for number in range(20000):
        t._send_message(message(EXT_INFO, 1, b"x%d" % number, b"y" * 100))


def global_requests(t, _):
    for number in range(ASKED):
        t._send_message(message(MSG_GLOBAL_REQUEST, b"hostkeys-00@openssh.com" if number % 2 else b"nothing@example.com", True))
    # The other half announce host keys, which are read.
    while min(heard["denied"], heard["granted"]) < ASKED // 2:
        heard[answers.get(timeout=HELD_UP)] += 1


def answers_unread(t, _):
    t.packetizer.read_message = lambda: threading.Event().wait()
    for _ in range(300000):
        t._send_message(message(MSG_GLOBAL_REQUEST, b"keepalive@openssh.com", True))


def requests(t, channel):
    for number in range(50000):
        t._send_message(message(MSG_CHANNEL_REQUEST, channel.remote_chanid, b"exit-status", bool(number % 2), number))


def strange_requests(t, channel):
    for number in range(3000):
        t._send_message(message(MSG_CHANNEL_REQUEST, channel.remote_chanid, b"\xff" * 20000, True, b"z" * 10000))


def after_the_end(t, channel):
    t._send_message(message(MSG_CHANNEL_EOF, channel.remote_chanid))
    t._send_message(message(MSG_CHANNEL_CLOSE, channel.remote_chanid))
    for _ in range(3000):
        t._send_message(message(MSG_CHANNEL_DATA, channel.remote_chanid, b"more"))
        t._send_message(message(MSG_CHANNEL_REQUEST, channel.remote_chanid, b"exit-status", True, 0))
        t._send_message(message(MSG_CHANNEL_CLOSE, channel.remote_chanid))


def a_long_goodbye(t, _):
    t._send_message(message(MSG_DISCONNECT, 2, b"\x1b[2J" * 50000, b""))


def vanishes(t, _):
    t.sock.shutdown(socket.SHUT_RDWR)


SIGN_IN = {f.__name__: f for f in (asks_for_ever, asks_unheard, asks_much, asks_at_length, banners)}


class Transport(paramiko.Transport):
    def __init__(self, sock):
        super().__init__(sock)
        # What the broker says of a channel after its end must not end paramiko.
        self.channels_seen = Everything()
        if deed == "global_requests":
            for kind, name in ((MSG_REQUEST_SUCCESS, "granted"), (MSG_REQUEST_FAILURE, "denied")):
                self._handler_table[kind] = lambda _, name=name: answers.put(name)


class Server(paramiko.ServerInterface):
    def __init__(self, transport):
        self.transport = transport

    def get_allowed_auths(self, username):
        return "keyboard-interactive" if deed in SIGN_IN else "password"

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL

    def check_auth_interactive(self, username, submethods):
        return paramiko.InteractiveQuery("", "")

    def check_auth_interactive_response(self, responses):
        return paramiko.InteractiveQuery("", "")

    def check_channel_request(self, kind, number):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        work = threading.Thread(target=does, args=(globals()[deed], self.transport, channel), daemon=True)
        work.start()
        threading.Thread(target=waits, args=(work,), daemon=True).start()
        return True


def waits(work):
    work.join(HELD_UP)
    if deed == "global_requests" and min(heard["denied"], heard["granted"]) < ASKED // 2:
        print("not each was answered:", dict(heard), flush=True)
    print("done", flush=True)


def questions(handler, _):
    does(SIGN_IN[deed], handler.transport)
    print("done", flush=True)


if deed in SIGN_IN:
    AuthHandler._interactive_query = questions

serve(host_key, Server, Transport)
