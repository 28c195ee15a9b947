"""Calls MCP tools as it is told on standard input: MODE (auto or legacy), then `http URL TOKEN` or a command and its words.

Each line is {"tool": …, "arguments": {…}} or {"list": true}; each answer is a line of JSON. `ready` comes first.
"""

import asyncio
import contextlib
import json
import sys

import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

mode, program, *args = sys.argv[1:]


@contextlib.asynccontextmanager
async def connected():
    if program == "http":
        url, token = args
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30, read=120)) as http:
            async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
                yield client
    else:
        async with Client(StdioServerParameters(command=program, args=args), mode=mode) as client:
            yield client


def say(value):
    print(json.dumps(value), flush=True)


async def main():
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=16 * 1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with connected() as client:
        say({"ready": True, "version": client.protocol_version})
        while line := await lines.readline():
            asked = json.loads(line)
            told = []

            async def progress(count, total, message):
                told.append(message)

            try:
                if asked.get("list"):
                    listed = await client.list_tools()
                    say({"tools": [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in listed.tools]})
                    continue
                result = await client.call_tool(asked["tool"], asked.get("arguments", {}), progress_callback=progress)
                text = "".join(block.text for block in result.content)
                say({"error": bool(result.is_error), "text": text, "content": result.structured_content, "progress": told})
            except Exception as error:  # whatever it is, the test wants to see it
                say({"failed": f"{type(error).__name__}: {error}"})


try:
    asyncio.run(main())
except BaseException as error:
    parts = [error]
    while parts:
        part = parts.pop()
        parts.extend(getattr(part, "exceptions", ()))
        print(f"{type(part).__name__}: {part}", file=sys.stderr)
    sys.exit(1)
