"""What asyncssh sees of files, by sftp and by scp: PORT USER KEY HOST-KEY HERE THERE. Prints it as JSON."""

import asyncio
import json
import os
import sys

import asyncssh

port, user, key, host_key, here, there = sys.argv[1:7]


async def main():
    seen = {}
    known = asyncssh.import_known_hosts(f"[127.0.0.1]:{port} {host_key}\n")
    async with asyncssh.connect(
        "127.0.0.1", int(port), username=user, client_keys=[key], known_hosts=known, agent_path=None, config=None, connect_timeout=30
    ) as connection:
        async with connection.start_sftp_client() as sftp:
            seen["version"] = sftp.version
            await sftp.chdir(there)
            await sftp.put([os.path.join(here, "large"), os.path.join(here, "small")], there, preserve=True)
            await sftp.get("large", os.path.join(here, "back"), preserve=True)
            seen["glob"] = sorted(await sftp.glob("s*"))
            await sftp.mkdir("dir")
            await sftp.rename("small", "dir/renamed")
            await sftp.symlink("dir/renamed", "soft")
            await sftp.copy("large", "copied")
            seen["names"] = sorted(name for name in await sftp.listdir())
            # Many files at once on one channel.
            async def one(number):
                async with sftp.open(f"dir/{number}", "wb") as file:
                    await file.write(bytes(number * 1000))
                return (await sftp.stat(f"dir/{number}")).size

            seen["sizes"] = await asyncio.gather(*(one(number) for number in range(40)))
            for wrong in ("none", "/proc/none/at/all"):
                try:
                    await sftp.stat(wrong)
                except asyncssh.SFTPError as e:
                    seen.setdefault("errors", []).append([e.code, e.reason])
        await asyncssh.scp(os.path.join(here, "large"), (connection, f"{there}/by-scp"), preserve=True)
        await asyncssh.scp((connection, f"{there}/dir"), os.path.join(here, "by-scp"), recurse=True)
        try:
            await asyncssh.scp((connection, f"{there}/none"), here)
        except (OSError, asyncssh.Error) as e:
            seen["scp_error"] = [type(e).__name__, str(e)]
    print(json.dumps(seen))


asyncio.run(asyncio.wait_for(main(), 80))
