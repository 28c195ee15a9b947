"""Jumps of paramiko and asyncssh: PORT PERSON KEY HOST-KEY HOST. Prints what they see as JSON."""

import asyncio
import base64
import hashlib
import json
import sys

import asyncssh
import paramiko

port, person, key_file, host_key, host = sys.argv[1:6]
key = paramiko.Ed25519Key.from_private_key_file(key_file)
expected = paramiko.Ed25519Key(data=base64.b64decode(host_key.split()[1]))


def with_paramiko():
    """`sock=` is a channel of the first connection; many at once over one of them."""
    outer, seen = paramiko.Transport(("127.0.0.1", int(port))), {}
    outer.connect(hostkey=expected, username=person, pkey=key)
    inners = []
    for number in range(8):
        channel = outer.open_channel("direct-tcpip", (host, 22), ("127.0.0.1", 0), timeout=60)
        inner = paramiko.Transport(channel)
        inner.connect(hostkey=expected, username=person, pkey=key)
        inners.append(inner)
    said = []
    for number, inner in enumerate(inners):
        session = inner.open_session(timeout=60)
        session.exec_command(f"echo {number}; cat >/dev/null; exit {number}")
        session.shutdown_write()
        said.append([session.makefile().read().decode().strip(), session.recv_exit_status()])
    seen["many"] = said
    files = paramiko.SFTPClient.from_transport(inners[0])
    with files.open("/etc/passwd") as file:
        seen["sftp"] = len(file.read()) > 0
    # More than every window on the way, and read late.
    session = inners[1].open_session(timeout=60)
    session.exec_command("head -c 40000000 /dev/zero")
    total = hashlib.sha256()
    while data := session.recv(65536):
        total.update(data)
    seen["bulk"] = total.hexdigest() == hashlib.sha256(bytes(40000000)).hexdigest()
    # One of them goes: the others stay.
    inners[2].close()
    session = inners[3].open_session(timeout=60)
    session.exec_command("echo still")
    seen["still"] = session.makefile().read().decode().strip()
    for inner in inners:
        inner.close()
    outer.close()
    return seen


async def with_asyncssh():
    known = asyncssh.import_known_hosts(f"[127.0.0.1]:{port},{host} {host_key}\n")
    with_this = dict(client_keys=[key_file], known_hosts=known, agent_path=None, config=None)
    async with asyncssh.connect("127.0.0.1", int(port), username=person, **with_this) as outer:
        async with asyncssh.connect(host, tunnel=outer, username=person, **with_this) as inner:
            ended = await inner.run("printf out; printf err >&2; exit 7")
            seen = {"said": [ended.stdout, ended.stderr, ended.exit_status]}
            seen["echoed"] = len((await inner.run("cat", input="x" * 3_000_000)).stdout)
            # Beside it, the first connection answers.
            verbs = await outer.run("host list")
            seen["beside"] = host in verbs.stdout
    return seen


print(json.dumps({"paramiko": with_paramiko(), "asyncssh": asyncio.run(asyncio.wait_for(with_asyncssh(), 120))}))
