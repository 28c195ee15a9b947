"""A host that lets everybody in and then breaks the protocol: DEED HOST-KEY. Prints its port, then one line for each deed done."""

import queue
import sys
import threading

import paramiko
from paramiko.common import (
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_OPEN,
    MSG_CHANNEL_REQUEST,
    MSG_CHANNEL_WINDOW_ADJUST,
    MSG_USERAUTH_INFO_REQUEST,
)
from raw import does, message, serve

deed, host_key = sys.argv[1:3]
EXT_INFO = 7


def prompts(transport):
    """An INFO_REQUEST that announces four thousand million questions and holds none."""
    transport._send_message(message(MSG_USERAUTH_INFO_REQUEST, b"", b"", b"", 0xFFFFFFFF))


def ext_info(transport):
    """256 MiB of extensions that nobody asked for."""
    for _ in range(8192):
        transport._send_message(message(EXT_INFO, 1, b"server-sig-algs", b"x" * 32000))


def channels(transport):
    """Data, windows, requests and ends of channels that were never opened."""
    for channel in range(1000, 5000):
        transport._send_message(message(MSG_CHANNEL_DATA, channel, b"y" * 30000))
        transport._send_message(message(MSG_CHANNEL_WINDOW_ADJUST, channel, 0xFFFFFFFF))
        transport._send_message(message(MSG_CHANNEL_REQUEST, channel, b"exit-status", True, 0))
        transport._send_message(message(MSG_CHANNEL_CLOSE, channel))


def back(transport):
    """Channels back into the broker, of every kind that there is, and of one that nobody knows; then the session ends as it would have."""
    opens(transport, {**KINDS, b"nobody@example.com": (b"rest", 1)})
    ends(transport)


def unasked(transport):
    """Channels of every kind, hundreds of each, which nobody asked for; then the session ends as it would have."""
    opens(transport, KINDS)
    ends(transport)


def ends(transport):
    """What is run on the first channel comes to its end, with status 3. The answer was read behind the request to run it, so that was answered."""
    started.wait(30)
    transport.global_request("keepalive@openssh.com")
    channel = transport.accept(30)
    channel.send_exit_status(3)
    channel.close()


def opens(transport, kinds):
    """Says how many are refused, and if one is not, or more than once."""
    for number in range(300 * len(kinds)):
        kind = list(kinds)[number % len(kinds)]
        transport._send_message(message(MSG_CHANNEL_OPEN, kind, number, 0x7FFFFFFF, 0x8000, *kinds[kind]))
    refused = set()
    try:
        for _ in range(300 * len(kinds)):
            number = answers.get(timeout=30)
            if number in refused:
                print("REFUSED TWICE", flush=True)
            refused.add(number)
    except queue.Empty:
        print("NO ANSWER", flush=True)
    print("refused", len(refused), flush=True)


def malformed(transport):
    """A channel that brings more than its kind has. Says if that does not end the connection."""
    transport._send_message(message(MSG_CHANNEL_OPEN, b"session", 0, 0x7FFFFFFF, 0x8000, b"more"))
    transport.join(60)
    if transport.is_active():
        print("NO END", flush=True)


# What opens a channel of each kind, as it ought to be.
KINDS = {
    b"x11": (b"127.0.0.1", 1),
    b"forwarded-tcpip": (b"127.0.0.1", 22, b"127.0.0.1", 1),
    b"auth-agent@openssh.com": (),
    b"forwarded-streamlocal@openssh.com": (b"/tmp/socket", b""),
    b"session": (),
    b"direct-tcpip": (b"127.0.0.1", 22, b"127.0.0.1", 1),
}
answers = queue.Queue()
started = threading.Event()


class Transport(paramiko.Transport):
    """Does its deed once somebody is in."""

    def __init__(self, sock):
        super().__init__(sock)
        if deed == "zero_packet":
            self.default_max_packet_size = 0
        if deed == "no_answer":
            self._handler_table[MSG_CHANNEL_OPEN] = lambda opened: print("asked", flush=True)
        if deed in ("back", "unasked"):
            # 92 is a refusal, 91 would be an open door.
            self._handler_table[92] = lambda answer: answers.put(answer.get_int())
            self._handler_table[91] = lambda answer: print("LET IN", flush=True)


class Server(paramiko.ServerInterface):
    def __init__(self, transport):
        self.transport = transport

    def get_allowed_auths(self, username):
        return "keyboard-interactive" if deed == "prompts" else "password"

    def check_auth_password(self, username, password):
        return paramiko.AUTH_SUCCESSFUL

    def check_auth_interactive(self, username, submethods):
        return paramiko.InteractiveQuery("", "")

    def check_channel_request(self, kind, number):
        act = {"ext_info": ext_info, "channels": channels, "back": back, "unasked": unasked, "malformed": malformed}.get(deed)
        if act:
            threading.Thread(target=self.do, args=(act,), daemon=True).start()
        return paramiko.OPEN_SUCCEEDED

    def do(self, act):
        does(act, self.transport)
        print("done", flush=True)

    def check_channel_exec_request(self, channel, command):
        started.set()
        return True


if deed == "prompts":
    from paramiko.auth_handler import AuthHandler

    AuthHandler._interactive_query = lambda self, query: does(prompts, self.transport)

serve(host_key, Server, Transport)
