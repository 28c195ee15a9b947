"""A client that breaks the protocol: DEED PORT USER KEY, and `ends` if its connection is to end by it. Prints `begun`, `done` when its deed is
done or cannot go on, then how it stands, `open` or `ended`. When its standard input ends, it prints what it was answered by then, and leaves."""

import collections
import json
import socket
import sys
import threading
import time

import paramiko
from paramiko.common import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_OPEN,
    MSG_CHANNEL_OPEN_FAILURE,
    MSG_CHANNEL_OPEN_SUCCESS,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_WINDOW_ADJUST,
    MSG_GLOBAL_REQUEST,
    MSG_REQUEST_FAILURE,
    MSG_REQUEST_SUCCESS,
    MSG_SERVICE_REQUEST,
    MSG_USERAUTH_INFO_RESPONSE,
    MSG_USERAUTH_REQUEST,
)
from floods import beyond_the_window, half_an_exchange, idle_messages, key_exchanges, too_large, windows
from raw import Everything, does, message

deed, port, user, key = sys.argv[1:5]

# How long a deed may be held up by a broker that does not take any more: it has stopped reading then, which is right.
# Those that have to be answered in full have longer for it.
ANSWERED = ("global_requests", "nothing_taken", "opens", "strange_opens")
HELD_UP = 60 if deed in ANSWERED else 20
# Channels that paramiko does not know of have these numbers and above.
RAW = 5000


class Answers:
    """What the broker answered, counted: global requests, and channels with their numbers at the broker; `twice` are channels whose opening
    was answered more than once."""

    def __init__(self):
        self.heard = threading.Condition()
        self.counts = collections.Counter(granted=0, denied=0, opened=0, refused=0, twice=0, bytes=0)
        self.channels = {}
        self.answered = set()

    def listen(self, transport):
        """Sees each answer before paramiko does; those about channels that it does not know are not passed on."""
        self.answered = set()
        handlers = transport._handler_table
        for kind, name in ((MSG_REQUEST_SUCCESS, "granted"), (MSG_REQUEST_FAILURE, "denied")):
            handlers[kind] = lambda told, name=name, passes=handlers[kind]: (self.count(name), passes(told))
        for kind, name in ((MSG_CHANNEL_OPEN_SUCCESS, "opened"), (MSG_CHANNEL_OPEN_FAILURE, "refused")):
            handlers[kind] = lambda told, name=name, passes=handlers[kind]: self.answer(name, passes, told)
        passes = transport._channel_handler_table[MSG_CHANNEL_DATA]
        handlers[MSG_CHANNEL_DATA] = lambda told: self.data(transport, passes, told)

    def count(self, name, number=1):
        with self.heard:
            self.counts[name] += number
            self.heard.notify_all()

    def answer(self, name, passes, told):
        channel = told.get_int()
        if channel in self.answered:
            self.count("twice")
        elif channel < RAW:
            told.rewind()
            passes(told)
        elif name == "opened":
            self.channels[channel] = told.get_int()
        self.answered.add(channel)
        self.count(name)

    def data(self, transport, passes, told):
        channel = told.get_int()
        if channel >= RAW:
            self.count("bytes", len(told.get_string()))
        elif known := transport._channels.get(channel):
            passes(known, told)

    def wait(self, number, *names):
        """Until so many of these were heard, or the deed has been held up for as long as a deed may be."""
        with self.heard:
            self.heard.wait_for(lambda: sum(self.counts[name] for name in names) >= number, max(0, until - time.monotonic()))


answers = Answers()
until = time.monotonic() + HELD_UP


def connect():
    stream = socket.create_connection(("127.0.0.1", int(port)))
    transport = paramiko.Transport(stream)
    # What the broker says of channels that paramiko did not open must not end paramiko.
    transport.channels_seen = Everything()
    answers.listen(transport)
    transport.start_client(timeout=60)
    return transport


def sign_in(transport):
    transport.auth_publickey(user, paramiko.Ed25519Key.from_private_key_file(key))


def running(transport, command="exec sleep 600"):
    channel = transport.open_session(timeout=60)
    channel.exec_command(command)
    return channel


def request(channel, kind, want_reply, *fields):
    return message(MSG_CHANNEL_REQUEST, channel.remote_chanid, kind, want_reply, *fields)


def global_requests(t, _):
    for _ in range(100000):
        t._send_message(message(MSG_GLOBAL_REQUEST, b"nothing@example.com", True))
    answers.wait(100000, "granted", "denied")


def answers_unread(t, _):
    t._handler_table = {}
    t.packetizer.read_message = lambda: threading.Event().wait()
    for _ in range(300000):
        t._send_message(message(MSG_GLOBAL_REQUEST, b"nothing@example.com", True))


def never_opened(t, _):
    for channel in range(1000, 4000):
        t._send_message(message(MSG_CHANNEL_DATA, channel, b"y" * 30000))
        t._send_message(message(MSG_CHANNEL_WINDOW_ADJUST, channel, 0xFFFFFFFF))
        t._send_message(message(MSG_CHANNEL_REQUEST, channel, b"exec", True, b"true"))
        t._send_message(message(MSG_CHANNEL_EOF, channel))
        t._send_message(message(MSG_CHANNEL_CLOSE, channel))


def nothing_taken(t, _):
    """Windows of no bytes and of one by turns, packets of one, and a command on each that would say more."""
    for number in range(20):
        t._send_message(message(MSG_CHANNEL_OPEN, b"session", RAW + number, number % 2, 1))
    # The one that paramiko opened was answered, too.
    answers.wait(21, "opened", "refused")
    for channel in list(answers.channels.values()):
        t._send_message(message(MSG_CHANNEL_REQUEST, channel, b"exec", True, b"yes"))
    # Half of them take one byte.
    answers.wait(len(answers.channels) // 2, "bytes")


def packets_of_none(t, _):
    t._send_message(message(MSG_CHANNEL_OPEN, b"session", RAW, 0x200000, 0))


def more_than_its_kind_has(t, _):
    t._send_message(message(MSG_CHANNEL_OPEN, b"session", RAW, 0x200000, 0x8000, b"more"))


def a_kind_that_is_no_text(t, _):
    t._send_message(message(MSG_CHANNEL_OPEN, b"\xff" * 1000, RAW, 0x200000, 0x8000))


def opens(t, _):
    for number in range(3000):
        t._send_message(message(MSG_CHANNEL_OPEN, b"session", 10000 + number, 0x200000, 0x8000))
    answers.wait(3001, "opened", "refused")


def strange_opens(t, _):
    """Kinds that are not granted, each as it ought to be, and kinds that nobody knows."""
    kinds = {
        b"x11": (b"127.0.0.1", 1),
        b"auth-agent@openssh.com": (),
        b"direct-streamlocal@openssh.com": (b"/run/socket", b"", 0),
        b"tun@openssh.com": (1, 0),
        b"": (b"rest", 1),
        b"k" * 30000: (b"rest", 1),
    }
    for number in range(3000):
        kind = list(kinds)[number % len(kinds)]
        t._send_message(message(MSG_CHANNEL_OPEN, kind, 10000 + number, 0x200000, 0x8000, *kinds[kind]))
    answers.wait(3001, "opened", "refused")


def after_the_end(t, channel):
    t._send_message(message(MSG_CHANNEL_EOF, channel.remote_chanid))
    t._send_message(message(MSG_CHANNEL_CLOSE, channel.remote_chanid))
    for _ in range(3000):
        t._send_message(request(channel, b"env", True, b"LC_A", b"b"))
        t._send_message(message(MSG_CHANNEL_DATA, channel.remote_chanid, b"more"))
        t._send_message(message(MSG_CHANNEL_CLOSE, channel.remote_chanid))


def long_command(t, _):
    for length in (100_000, 200_000, 1 << 20):
        second = t.open_session(timeout=60)
        second_request = request(second, b"exec", True, b"true " + b"x" * length)
        t._send_message(second_request)


def environment(t, _):
    second = t.open_session(timeout=60)
    for number in range(50000):
        t._send_message(request(second, b"env", True, b"LC_%d" % number, b"v" * 1000))


def sizes(t, channel):
    for number in range(100000):
        t._send_message(request(channel, b"window-change", False, number, 0xFFFFFFFF, 0, 0))


def signals(t, channel):
    for _ in range(2000):
        t._send_message(request(channel, b"signal", False, b"S" * 30000))


def modes(t, _):
    second = t.open_session(timeout=60)
    for _ in range(200):
        t._send_message(request(second, b"pty-req", True, b"t" * 10000, 0xFFFFFFFF, 0, 0, 0, b"\x01\xff\xff\xff\xff" * 20000))


def larger_than_agreed(t, channel):
    for _ in range(20):
        t._send_message(message(MSG_CHANNEL_DATA, channel.remote_chanid, b"y" * (64 * 1024)))


def knocks(t):
    t._send_message(message(MSG_SERVICE_REQUEST, b"ssh-userauth"))
    for number in range(10000):
        t._send_message(message(MSG_USERAUTH_REQUEST, b"u" * 2000, b"ssh-connection", b"none"))


def answers_to_no_question(t):
    t._send_message(message(MSG_SERVICE_REQUEST, b"ssh-userauth"))
    for _ in range(10000):
        t._send_message(message(MSG_USERAUTH_INFO_RESPONSE, 0xFFFFFFFF))


def services(t):
    for _ in range(10000):
        t._send_message(message(MSG_SERVICE_REQUEST, b"ssh-userauth"))


def channels_without_a_sign_in(t):
    for number in range(1000):
        t._send_message(message(MSG_CHANNEL_OPEN, b"session", RAW + number, 0x200000, 0x8000))


EARLY = {f.__name__: f for f in (knocks, answers_to_no_question, services, channels_without_a_sign_in)}


def leaves():
    """Goes without a word in each phase."""
    for _ in range(8):
        for phase in range(6):
            if phase == 0:
                socket.create_connection(("127.0.0.1", int(port))).close()
                continue
            transport = connect()
            if phase >= 2:
                transport._send_message(message(MSG_SERVICE_REQUEST, b"ssh-userauth"))
            if phase >= 3:
                transport.close()
                transport = connect()
                sign_in(transport)
            if phase == 4:
                transport._send_message(message(MSG_CHANNEL_OPEN, b"session", 0, 0x200000, 0x8000))
            if phase == 5:
                running(transport)
            # As if its machine had lost its power: no disconnect, no end of a channel.
            transport.sock.shutdown(socket.SHUT_RDWR)
            transport.sock.close()


print("begun", flush=True)
transport = None
if deed == "leaves":
    leaves()
else:
    transport = connect()
    if deed in EARLY:
        work = threading.Thread(target=does, args=(EARLY[deed], transport), daemon=True)
    else:
        sign_in(transport)
        work = threading.Thread(target=does, args=(globals()[deed], transport, running(transport)), daemon=True)
    until = time.monotonic() + HELD_UP
    work.start()
    work.join(HELD_UP)
print("done", flush=True)
if transport:
    # A connection that is to end has as long for it as it takes.
    transport.join(60 if sys.argv[5:] == ["ends"] else 0)
    print("open" if transport.is_active() else "ended", flush=True)
sys.stdin.read()
if transport:
    if deed in ANSWERED and not work.is_alive():
        # New keys are a round trip that no answer counts: whatever the broker has said before has come by then.
        does(lambda: transport.renegotiate_keys())
    with answers.heard:
        print(json.dumps(answers.counts), flush=True)
    transport.sock.close()
