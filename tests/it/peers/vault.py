"""The HTTP API of HashiCorp Vault and OpenBao, as far as their documents describe what Keyward uses: token and AppRole sign-in,
namespaces, key-value engines of both versions, the SSH engine's sign endpoint with certificates that ssh-keygen signs, and the
shapes of errors. Over TLS. What it holds stands in FOLDER/state.json, read anew for each request; what it was asked is appended to
FOLDER/requests.jsonl.

Usage: vault.py FOLDER CERTIFICATE KEY
"""

import http.server
import json
import os
import secrets
import ssl
import subprocess
import sys
import tempfile
import threading

FOLDER = sys.argv[1]
TOKENS = set()
LOCK = threading.Lock()


def state():
    with open(os.path.join(FOLDER, "state.json"), encoding="utf-8") as file:
        return json.load(file)


def sign(now, role, body):
    """A user certificate for the public key of the request, or what a broken role would give."""
    cheat = role.get("cheat")
    ttl = int(body["ttl"])
    if ttl > role.get("max_ttl", 3600):
        return None
    names = body["valid_principals"]
    if any(name not in role["users"] for name in names.split(",")):
        return None
    with tempfile.TemporaryDirectory() as folder:
        public = os.path.join(folder, "key.pub")
        with open(public, "w", encoding="utf-8") as file:
            file.write(body["public_key"] + "\n")
        if cheat == "other-key":
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(folder, "key2")], check=True)
            public = os.path.join(folder, "key2.pub")
        args = ["ssh-keygen", "-q", "-s", now["ssh_ca"], "-I", "vault-test", "-V"]
        args.append({"long": "-30s:+1d", "expired": "-2h:-1h"}.get(cheat, f"-30s:+{ttl}s"))
        if cheat == "host":
            args.append("-h")
        if cheat == "other-account":
            names = "somebody"
        if cheat != "any":
            args += ["-n", names]
        subprocess.run(args + [public], check=True)
        with open(public.replace(".pub", "-cert.pub"), encoding="utf-8") as file:
            return "rubbish" if cheat == "rubbish" else file.read()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, document=None, raw=None, headers=()):
        body = raw if raw is not None else (b"" if document is None else json.dumps(document).encode())
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def error(self, status, *errors):
        self.answer(status, {"errors": list(errors)})

    def do_GET(self):
        self.serve()

    def do_POST(self):
        self.serve()

    def serve(self):
        now = state()
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with LOCK, open(os.path.join(FOLDER, "requests.jsonl"), "a", encoding="utf-8") as log:
            log.write(json.dumps({"method": self.command, "path": self.path, "namespace": self.headers.get("X-Vault-Namespace")}) + "\n")
        mode = now.get("mode")
        if mode == "hang":
            threading.Event().wait(60)
        if mode == "close":
            self.close_connection = True
            return self.connection.shutdown(2)
        if mode == "sealed":
            return self.error(503, "Vault is sealed")
        if mode == "throttled":
            return self.error(429, "request path: rate limit quota exceeded")
        if mode == "redirect":
            return self.answer(307, headers=[("Location", now["elsewhere"] + self.path)])
        if self.headers.get("X-Vault-Namespace") != now.get("namespace"):
            return self.error(404, "no handler for route")
        path = self.path.removeprefix("/v1/")
        if path == "auth/approle/login":
            shown = json.loads(raw)
            if shown != now["approle"]:
                return self.error(400, "invalid role or secret ID")
            token = "hvs." + secrets.token_hex(24)
            with LOCK:
                TOKENS.add(token)
            return self.answer(200, {"auth": {"client_token": token, "lease_duration": 1200, "renewable": True}, "data": None})
        token = self.headers.get("X-Vault-Token")
        with LOCK:
            known = token in TOKENS or token == now.get("token")
        if not known or mode == "denied":
            return self.error(403, "permission denied")
        if path == "auth/token/lookup-self":
            return self.answer(200, {"data": {"ttl": 1000, "policies": ["keyward"]}})
        if path == "auth/token/revoke-self":
            with LOCK:
                TOKENS.discard(token)
            return self.answer(204)
        if mode == "huge":
            return self.answer(200, raw=b'{"data": "' + b"x" * 70000 + b'"}')
        if mode == "rubbish":
            return self.answer(200, raw=b"<html>hunter2</html>")
        if path.startswith("ssh/sign/"):
            role = now["roles"].get(path.removeprefix("ssh/sign/"))
            if role is None:
                return self.error(400, "Unknown role: " + path)
            signed = sign(now, role, json.loads(raw))
            if signed is None:
                return self.error(400, "the role does not allow that")
            return self.answer(200, {"data": {"serial_number": "1", "signed_key": signed}, "warnings": None})
        if path.startswith("old/"):
            found = now["data"].get(path.removeprefix("old/"))
            return self.error(404) if found is None else self.answer(200, {"data": found})
        if path.startswith("secret/data/"):
            found = now["data"].get(path.removeprefix("secret/data/"))
            if found is None:
                return self.error(404)
            return self.answer(200, {"request_id": "x", "data": {"data": found, "metadata": {"version": 3, "destroyed": False}}, "auth": None})
        return self.error(404, "no handler for route")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


server = Server(("127.0.0.1", int(sys.argv[4]) if len(sys.argv) > 4 else 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.minimum_version = ssl.TLSVersion.TLSv1_2
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(f"ready {server.server_address[1]}", flush=True)
server.serve_forever()
