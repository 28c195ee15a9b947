"""A client that breaks the protocol: DEED PORT USER KEY, and `ends` if its connection is to end by it. Prints `begun`, `done` when its deed is done or cannot go on, and
then how it stands: `open` or `ended`. It leaves when its standard input ends."""

import socket
import sys
import threading

import paramiko
from paramiko.common import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    MSG_CHANNEL_OPEN,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_WINDOW_ADJUST,
    MSG_DEBUG,
    MSG_GLOBAL_REQUEST,
    MSG_IGNORE,
    MSG_SERVICE_REQUEST,
    MSG_UNIMPLEMENTED,
    MSG_USERAUTH_INFO_RESPONSE,
    MSG_USERAUTH_REQUEST,
)
from raw import Everything, message

deed, port, user, key = sys.argv[1:5]

# How long a deed may be held up by a broker that does not take any more: it has stopped reading then, which is right.
HELD_UP = 20


def connect():
    stream = socket.create_connection(("127.0.0.1", int(port)))
    transport = paramiko.Transport(stream)
    # What the broker says of channels that paramiko did not open must not end paramiko.
    transport.channels_seen = Everything()
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


def idle_messages(t, _):
    for number in range(30000):
        t._send_message(message(MSG_IGNORE, b"i" * 100))
        t._send_message(message(MSG_DEBUG, False, b"d" * 100, b""))
        t._send_message(message(MSG_UNIMPLEMENTED, number))


def global_requests(t, _):
    for _ in range(100000):
        t._send_message(message(MSG_GLOBAL_REQUEST, b"nothing@example.com", True))


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
    for number in range(20):
        channel = 5000 + number
        t._send_message(message(MSG_CHANNEL_OPEN, b"session", channel, 0, 0))
    second = t.open_session(window_size=1, max_packet_size=1, timeout=60)
    second.exec_command("yes")


def windows(t, channel):
    for _ in range(2000):
        t._send_message(message(MSG_CHANNEL_WINDOW_ADJUST, channel.remote_chanid, 0xFFFFFFFF))


def opens(t, _):
    for number in range(3000):
        t._send_message(message(MSG_CHANNEL_OPEN, b"session", 10000 + number, 0x200000, 0x8000))


def strange_opens(t, _):
    kinds = [b"x11", b"auth-agent@openssh.com", b"tun@openssh.com", b"direct-streamlocal@openssh.com", b"", b"\xff" * 1000, b"k" * 30000]
    for number in range(3000):
        t._send_message(message(MSG_CHANNEL_OPEN, kinds[number % len(kinds)], 10000 + number, 0x200000, 0x8000, b"127.0.0.1", 22, b"", 1))


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


def key_exchanges(t, _):
    for _ in range(150):
        t.renegotiate_keys()


def half_an_exchange(t, channel):
    t._send_kex_init()
    for _ in range(3000):
        t._send_message(message(MSG_CHANNEL_DATA, channel.remote_chanid, b"y" * 30000))


def beyond_the_window(t, channel):
    for _ in range(4000):
        t._send_message(message(MSG_CHANNEL_DATA, channel.remote_chanid, b"y" * 30000))


def too_large(t, channel):
    t._send_message(message(MSG_CHANNEL_DATA, channel.remote_chanid, b"y" * (300 * 1024)))


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
        t._send_message(message(MSG_CHANNEL_OPEN, b"session", number, 0x200000, 0x8000))


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


def does(act, *args):
    try:
        act(*args)
    except Exception:
        pass


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
    work.start()
    work.join(HELD_UP)
print("done", flush=True)
if transport:
    # A connection that is to end has as long for it as it takes.
    transport.join(60 if sys.argv[5:] == ["ends"] else 0)
    print("open" if transport.is_active() else "ended", flush=True)
sys.stdin.read()
if transport:
    transport.sock.close()
