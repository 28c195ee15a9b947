"""A client that misuses a jump: DEED PORT PERSON KEY HOST. Prints what it found, one word."""

import os
import socket
import sys

import paramiko

deed, port, person, key_file, host = sys.argv[1:6]
key = paramiko.Ed25519Key.from_private_key_file(key_file)
stream = socket.create_connection(("127.0.0.1", int(port)))
outer = paramiko.Transport(stream)
outer.connect(username=person, pkey=key)


def jump():
    return outer.open_channel("direct-tcpip", (host, 22), ("127.0.0.1", 0), timeout=60)


def to_the_end(channel):
    channel.settimeout(120)
    while channel.recv(65536):
        pass


def outer_lives():
    session = outer.open_session(timeout=60)
    session.exec_command("host list")
    assert host in session.makefile().read().decode()


def garbage():
    """Noise, in several shapes; the channel ends, and the connection around it does not."""
    for noise in [os.urandom(200_000), b"SSH-2.0-x\r\n" + os.urandom(100_000), b"GET / HTTP/1.1\r\n\r\n" * 50, b"SSH-2.0-x\r\n\xff\xff\xff\xff" + bytes(50_000)]:
        channel = jump()
        try:
            channel.sendall(noise)
        except OSError:
            pass
        channel.shutdown_write()
        to_the_end(channel)
    outer_lives()
    return "ended"


def silence():
    """Half open: nothing is ever said inside."""
    channels = [jump() for _ in range(5)]
    for channel in channels:
        to_the_end(channel)
    outer_lives()
    return "ended"


def half():
    """Only the identification, and then the client's end of it."""
    channel = jump()
    channel.sendall(b"SSH-2.0-half\r\n")
    channel.shutdown_write()
    to_the_end(channel)
    outer_lives()
    return "ended"


def flood():
    """Keys by the dozen inside, connection after connection, until nothing more is opened."""
    for _ in range(100):
        try:
            channel = jump()
        except paramiko.ChannelException as refused:
            return f"refused {refused.code}"
        inner = paramiko.Transport(channel)
        try:
            inner.start_client(timeout=60)
            for _ in range(20):
                try:
                    inner.auth_publickey(person, paramiko.Ed25519Key.from_private_key_file(sys.argv[6]))
                except paramiko.AuthenticationException:
                    pass
        except (paramiko.SSHException, EOFError, OSError):
            pass
        inner.close()
    return "endless"


def many():
    """More than one connection may have: the rest is refused."""
    opened, code = [], 0
    try:
        for _ in range(200):
            opened.append(jump())
    except paramiko.ChannelException as refused:
        code = refused.code
    outer_lives_or_full = len(opened)
    return f"{outer_lives_or_full} {code}"


def unread():
    """Never reads what comes inside; the connection around it answers."""
    inner = paramiko.Transport(jump())
    inner.connect(username=person, pkey=key)
    session = inner.open_session(timeout=60)
    session.exec_command("cat /dev/zero")
    outer_lives()
    stream.shutdown(socket.SHUT_RDWR)
    return "left"


print(globals()[deed](), flush=True)
os._exit(0)
