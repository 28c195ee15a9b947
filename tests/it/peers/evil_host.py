"""A host that lets everybody in and then breaks the protocol: DEED HOST-KEY. Prints its port, then one line for each deed done."""

import queue
import socket
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
from paramiko.message import Message

deed, host_key = sys.argv[1:3]
EXT_INFO = 7


def message(kind):
    made = Message()
    made.add_byte(bytes([kind]))
    return made


def prompts(transport):
    """An INFO_REQUEST that announces four thousand million questions and holds none."""
    asked = message(MSG_USERAUTH_INFO_REQUEST)
    for _ in range(3):
        asked.add_string(b"")
    asked.add_int(0xFFFFFFFF)
    transport._send_message(asked)


def ext_info(transport):
    """256 MiB of extensions that nobody asked for."""
    for _ in range(8192):
        told = message(EXT_INFO)
        told.add_int(1)
        told.add_string(b"server-sig-algs")
        told.add_string(b"x" * 32000)
        transport._send_message(told)


def channels(transport):
    """Data, windows, requests and ends of channels that were never opened."""
    for channel in range(1000, 5000):
        data = message(MSG_CHANNEL_DATA)
        data.add_int(channel)
        data.add_string(b"y" * 30000)
        window = message(MSG_CHANNEL_WINDOW_ADJUST)
        window.add_int(channel)
        window.add_int(0xFFFFFFFF)
        request = message(MSG_CHANNEL_REQUEST)
        request.add_int(channel)
        request.add_string(b"exit-status")
        request.add_boolean(True)
        request.add_int(0)
        close = message(MSG_CHANNEL_CLOSE)
        close.add_int(channel)
        for each in (data, window, request, close):
            transport._send_message(each)


def back(transport):
    """Channels back into the broker, of every kind that there is."""
    kinds = [b"session", b"x11", b"forwarded-tcpip", b"direct-tcpip", b"auth-agent@openssh.com", b"forwarded-streamlocal@openssh.com"]
    for number in range(6000):
        opened = message(MSG_CHANNEL_OPEN)
        opened.add_string(kinds[number % len(kinds)])
        opened.add_int(number)
        opened.add_int(0x7FFFFFFF)
        opened.add_int(0x8000)
        opened.add_string(b"127.0.0.1")
        opened.add_int(22)
        opened.add_string(b"127.0.0.1")
        opened.add_int(22)
        transport._send_message(opened)


def unasked(transport):
    """Channels of every kind as they ought to be, hundreds of each, which nobody asked for. Says when all are refused."""
    rest = {
        b"x11": (b"127.0.0.1", 1),
        b"forwarded-tcpip": (b"127.0.0.1", 22, b"127.0.0.1", 1),
        b"auth-agent@openssh.com": (),
        b"forwarded-streamlocal@openssh.com": (b"/tmp/socket", b""),
        b"session": (),
        b"direct-tcpip": (b"127.0.0.1", 22, b"127.0.0.1", 1),
    }
    for number in range(1800):
        kind = list(rest)[number % len(rest)]
        opened = message(MSG_CHANNEL_OPEN)
        opened.add_string(kind)
        opened.add_int(number)
        opened.add_int(0x7FFFFFFF)
        opened.add_int(0x8000)
        for field in rest[kind]:
            opened.add_int(field) if isinstance(field, int) else opened.add_string(field)
        transport._send_message(opened)
    try:
        for _ in range(1800):
            answers.get(timeout=30)
    except queue.Empty:
        print("NO ANSWER", flush=True)


answers = queue.Queue()


class Transport(paramiko.Transport):
    """Does its deed once somebody is in."""

    def __init__(self, sock):
        super().__init__(sock)
        if deed == "zero_packet":
            self.default_max_packet_size = 0
        if deed == "no_answer":
            self._handler_table[MSG_CHANNEL_OPEN] = lambda opened: print("asked", flush=True)
        if deed == "unasked":
            self._handler_table[92] = lambda answer: answers.put(None)
        if deed in ("back", "unasked"):
            # 92 is a refusal, 91 would be an open door.
            self._handler_table.setdefault(92, lambda answer: None)
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
        act = {"ext_info": ext_info, "channels": channels, "back": back, "unasked": unasked}.get(deed)
        if act:
            threading.Thread(target=self.do, args=(act,), daemon=True).start()
        return paramiko.OPEN_SUCCEEDED

    def do(self, act):
        try:
            act(self.transport)
        except Exception:
            pass
        print("done", flush=True)

    def check_channel_exec_request(self, channel, command):
        return True


if deed == "prompts":
    from paramiko.auth_handler import AuthHandler

    AuthHandler._interactive_query = lambda self, query: prompts(self.transport)

listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(8)
print(listener.getsockname()[1], flush=True)
kept = []
while True:
    stream, _ = listener.accept()
    transport = Transport(stream)
    transport.add_server_key(paramiko.Ed25519Key.from_private_key_file(host_key))
    try:
        transport.start_server(event=threading.Event(), server=Server(transport))
    except Exception:
        pass
    kept.append(transport)
