#!/usr/bin/env python3
"""Searches every readable mapping of a process for pieces of secrets.

    scan-memory.py PID --control TEXT FILE...

Each FILE holds one secret: a password, or a private key as ssh-keygen writes it. A piece is 8 bytes of it, raw, or what
becomes of them in hex or base64. TEXT is something that is in the process on purpose: if it is not found, the search proves
nothing. Exit status: 0 nothing found, 1 something found, 2 the search proves nothing.
"""
import argparse
import base64
import pathlib
import struct
import sys


def ed25519_seed(pem):
    """The 32 secret bytes of an OpenSSH private key without passphrase, and the key file's base64 that spells them."""
    text = "".join(line for line in pem.splitlines() if not line.startswith("-----"))
    blob = base64.b64decode(text)
    at = len(b"openssh-key-v1\0")

    def string():
        nonlocal at
        (size,) = struct.unpack_from(">I", blob, at)
        at += 4 + size
        return blob[at - size:at]

    string(), string(), string()  # cipher, key derivation, its options
    at += 4  # one key
    string()  # its public half
    at += 4 + 8  # the private part: length, check number twice
    if string() != b"ssh-ed25519":
        sys.exit("only Ed25519 keys are understood")
    string()
    seed = string()[:32]
    start = at - 64
    return seed, text[-(-start // 3) * 4:(start + 32) // 3 * 4]


def windows(text, size, step):
    return {text[i:i + size] for i in range(0, len(text) - size + 1, step)}


def pieces(path):
    """Byte strings, none of which may be in the process."""
    content = pathlib.Path(path).read_bytes()
    found = set()
    if b"OPENSSH PRIVATE KEY" in content:
        secret, spelled = ed25519_seed(content.decode())
        found |= windows(spelled.encode(), 12, 4)
    else:
        secret = content.strip()
    found |= windows(secret, 8, 4)
    for spelled in (secret.hex(), secret.hex().upper()):
        found |= windows(spelled.encode(), 16, 8)
    for shift in range(3):
        # Without the characters at the edges, which neighbours have a part in.
        found |= windows(base64.b64encode(bytes(shift) + secret).rstrip(b"=")[4:-4], 12, 4)
    return found


def mappings(pid):
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        addresses, rights, _ = line.split(maxsplit=2)
        if rights.startswith("r") and not line.endswith(("[vvar]", "[vvar_vclock]", "[vsyscall]")):
            start, end = (int(a, 16) for a in addresses.split("-"))
            yield start, end


def main():
    args = argparse.ArgumentParser()
    args.add_argument("pid", type=int)
    args.add_argument("--control", required=True)
    args.add_argument("secrets", nargs="+")
    args = args.parse_args()
    wanted = {path: pieces(path) for path in args.secrets}
    hits = dict.fromkeys(args.secrets, 0)
    control = searched = 0
    overlap = 256
    with open(f"/proc/{args.pid}/mem", "rb", buffering=0) as memory:
        for start, end in mappings(args.pid):
            rest = b""
            while start < end:
                try:
                    memory.seek(start)
                    chunk = memory.read(min(end - start, 1 << 24))
                except (OSError, ValueError):
                    break  # a mapping that cannot be read by anybody, or that is gone
                if not chunk:
                    break
                start += len(chunk)
                searched += len(chunk)
                text = rest + chunk
                control += text.count(args.control.encode())
                for path, needles in wanted.items():
                    hits[path] += sum(needle in text for needle in needles)
                rest = text[-overlap:]
    print(f"searched {searched >> 20} MiB of process {args.pid}")
    print(f"control: {'found' if control else 'NOT FOUND'}")
    for path, count in hits.items():
        print(f"{path}: {count} pieces found")
    if not control:
        return 2
    return 1 if any(hits.values()) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except PermissionError:
        sys.exit("error: reading the memory of another process needs root")
