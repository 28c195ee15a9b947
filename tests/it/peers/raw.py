"""What peers that break the protocol share: messages that paramiko would not send by itself, deeds, and a port for whoever comes."""

import socket
import threading

import paramiko
from paramiko.message import Message


def message(kind, *fields):
    made = Message()
    made.add_byte(bytes([kind]))
    for field in fields:
        if isinstance(field, bool):
            made.add_boolean(field)
        elif isinstance(field, int):
            made.add_int(field)
        else:
            made.add_string(field)
    return made


def does(act, *args):
    """Does a deed to its end, or until the other side ends the connection. Whatever else stops it is a defect of the deed, which is told."""
    try:
        act(*args)
    except (OSError, EOFError, paramiko.SSHException):
        pass
    except Exception as defect:
        print("defect", repr(defect), flush=True)


def serve(host_key, server, transport=paramiko.Transport):
    """Prints a port, and gives whoever connects there a transport and a server of its own, for ever."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(8)
    print(listener.getsockname()[1], flush=True)
    kept = []
    while True:
        stream, _ = listener.accept()
        does(welcome, kept, stream, host_key, server, transport)


def welcome(kept, stream, host_key, server, transport):
    host = transport(stream)
    kept.append(host)
    host.add_server_key(paramiko.Ed25519Key.from_private_key_file(host_key))
    host.start_server(event=threading.Event(), server=server(host))


class Everything(dict):
    """Channels, all of them seen: what is said about strange ones must not end paramiko."""

    def __contains__(self, number):
        return True
