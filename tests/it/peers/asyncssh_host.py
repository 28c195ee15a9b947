"""A host made with asyncssh that behaves well: HOST-KEY AUTHORIZED-KEYS PASSWORD. Prints its port. Runs commands as itself, serves sftp."""

import asyncio
import os
import sys

import asyncssh

host_key, authorized, password = sys.argv[1:4]


class Server(asyncssh.SSHServer):
    def password_auth_supported(self):
        return True

    def validate_password(self, username, given):
        return given == password


async def serve(process):
    shell = ["/bin/sh", "-c", process.command] if process.command is not None else ["/bin/sh"]
    child = await asyncio.create_subprocess_exec(
        *shell,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], **{k: v for k, v in process.env.items() if k.startswith("LC_")}},
    )

    async def to_child():
        try:
            while data := await process.stdin.read(65536):
                child.stdin.write(data)
                await child.stdin.drain()
            child.stdin.close()
        except (BrokenPipeError, ConnectionResetError):
            pass

    async def from_child(pipe, writer):
        while data := await pipe.read(65536):
            writer.write(data)
            await writer.drain()

    feeding = asyncio.create_task(to_child())
    await asyncio.gather(from_child(child.stdout, process.stdout), from_child(child.stderr, process.stderr))
    status = await child.wait()
    feeding.cancel()
    if status < 0:
        import signal

        process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
    else:
        process.exit(status)


async def main():
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Server,
        server_host_keys=[host_key],
        authorized_client_keys=authorized,
        process_factory=serve,
        sftp_factory=True,
        encoding=None,
    )
    print(server.get_port(), flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
