"""Gets and puts files at once on one SFTP channel with asyncssh: PORT USER KEY HOST-KEY FOLDER HERE. Prints the digests of what it got."""

import asyncio
import hashlib
import sys

import asyncssh

port, user, key, host_key, folder, here = sys.argv[1:7]


async def main():
    known = asyncssh.import_known_hosts(f"[127.0.0.1]:{port} {host_key}\n")
    async with asyncssh.connect(
        "127.0.0.1", int(port), username=user, client_keys=[key], known_hosts=known, agent_path=None, config=None, connect_timeout=30
    ) as connection:
        async with connection.start_sftp_client() as sftp:

            async def get(name):
                digest = hashlib.sha256()
                async with sftp.open(f"{folder}/{name}", "rb") as file:
                    while block := await file.read(32768):
                        digest.update(block)
                return digest.hexdigest()

            async def put(name):
                with open(f"{here}/{name}", "rb") as source:
                    async with sftp.open(f"{folder}/{name}", "wb") as file:
                        while block := source.read(32768):
                            await file.write(block)

            one, two, _ = await asyncio.gather(get("one"), get("two"), put("three"))
            print(one, two)


asyncio.run(main())
