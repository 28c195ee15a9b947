"""Deeds that a client and a host can do alike, each with a transport and a channel that is open on it."""

from paramiko.common import MSG_CHANNEL_DATA, MSG_CHANNEL_WINDOW_ADJUST, MSG_DEBUG, MSG_IGNORE, MSG_UNIMPLEMENTED
from raw import message


def idle_messages(t, _):
    for number in range(30000):
        t._send_message(message(MSG_IGNORE, b"i" * 100))
        t._send_message(message(MSG_DEBUG, False, b"d" * 100, b""))
        t._send_message(message(MSG_UNIMPLEMENTED, number))


def windows(t, channel):
    for _ in range(2000):
        t._send_message(message(MSG_CHANNEL_WINDOW_ADJUST, channel.remote_chanid, 0xFFFFFFFF))


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
