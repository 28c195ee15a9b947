"""What asyncssh sees of a session: PORT USER KEY HOST-KEY. Prints it as JSON."""

import asyncio
import json
import sys

import asyncssh

port, user, key, host_key = sys.argv[1:5]


async def main():
    seen = {}
    known = asyncssh.import_known_hosts(f"[127.0.0.1]:{port} {host_key}\n")
    async with asyncssh.connect(
        "127.0.0.1", int(port), username=user, client_keys=[key], known_hosts=known, agent_path=None, config=None, connect_timeout=30
    ) as connection:
        ended = await connection.run("kill -TERM $$")
        signal = ended.exit_signal
        seen["signal"] = {"name": signal[0], "core": signal[1]} if signal else None
        ended = await connection.run("exit 7")
        seen["status"] = ended.exit_status
        ended = await connection.run("printf out; printf err >&2")
        seen["both"] = [ended.stdout, ended.stderr]
        ended = await connection.run("cat", input="x" * 1_000_000)
        seen["echoed"] = len(ended.stdout)

        # A signal that the client sends to the host's process.
        process = await connection.create_process("trap 'echo INT; exit 0' INT; echo ready; while :; do sleep 0.05; done")
        await process.stdout.readline()
        process.send_signal("INT")
        seen["sent_signal"] = (await process.stdout.readline()).strip()
        await process.wait_closed()

        # A terminal whose size changes.
        process = await connection.create_process(
            "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done", term_type="xterm", term_size=(80, 24)
        )
        await process.stdout.readline()
        process.change_terminal_size(120, 50)
        seen["terminal"] = (await process.stdout.readline()).strip()
        process.close()
        await process.wait_closed()

        # Many commands at once.
        many = await asyncio.gather(*(connection.run(f"echo {i}; exit {i}") for i in range(9)))
        seen["many"] = [(m.stdout.strip(), m.exit_status) for m in many]
        async with connection.start_sftp_client() as sftp:
            seen["sftp"] = [bool(await sftp.exists("/etc/passwd")), bool(await sftp.exists("/no/such/file"))]
    print(json.dumps(seen))


asyncio.run(asyncio.wait_for(main(), 60))
