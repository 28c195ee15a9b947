"""Ten steps of a diagnosis by an agent, each approved by its person: an example of Keyward's MCP tools.

    agent_mcp.py HOST -- ssh -p 2222 helper@BROKER mcp          # the agent's own key, from anywhere
    agent_mcp.py HOST -- keyward mcp --agent helper             # on the broker's machine, by its person
    agent_mcp.py HOST --http http://127.0.0.1:2223/mcp --token-file helper.token

Needs the package `mcp` (pip install mcp). Prints one JSON document for each step, and what it made of them at the end.
The person opens a connection first (ssh -N -p 2222 HOST@BROKER) and approves at their own terminal
(ssh -p 2222 PERSON@BROKER proposal watch).
"""

import argparse
import asyncio
import contextlib
import json
import sys

import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

# A program and its words wherever no shell is needed: nothing in them is expanded, and the person sees each word.
STEPS = [
    ("which system", {"argv": ["uname", "-srm"]}),
    ("which distribution", {"argv": ["cat", "/etc/os-release"]}),
    ("as whom", {"argv": ["id", "-un"]}),
    ("the time there", {"argv": ["date", "-u", "+%FT%TZ"]}),
    ("load", {"argv": ["cat", "/proc/loadavg"]}),
    ("memory", {"argv": ["head", "-n", "3", "/proc/meminfo"]}),
    ("full disks", {"argv": ["df", "-P", "/"]}),
    ("what fills it", {"command": "ls -A / | wc -l"}),
    ("where names are looked up", {"argv": ["grep", "-c", "", "/etc/hosts"]}),
    ("what it listens on", {"argv": ["sh"], "stdin": "wc -l < /proc/net/tcp\n"}),
]


@contextlib.asynccontextmanager
async def tools(words):
    """The tools, over whichever of the three ways."""
    if words.http:
        with open(words.token_file, encoding="ascii") as file:
            token = file.readline().strip()
        # The call that waits for the person is silent for as long as they think.
        timeout = httpx2.Timeout(30, read=330)
        async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=timeout) as http:
            async with Client(streamable_http_client(words.http, http_client=http)) as client:
                yield client
    else:
        program, *args = words.command
        async with Client(StdioServerParameters(command=program, args=args)) as client:
            yield client


def answer(result):
    """What a tool answered, or its error and what to do about it."""
    if result.is_error:
        sys.exit("\n".join(block.text for block in result.content))
    return result.structured_content


async def told(progress, total, message):
    print(f"    {message}", file=sys.stderr)


async def step(client, host, number, why, what):
    """Proposes one command, waits for its end, and reads everything that it wrote."""
    asked = {"host": host, "reason": f"step {number}: {why}", "timeout_s": 60, **what}
    proposal = answer(await client.call_tool("propose_command", asked))
    out, offset = "", 0
    while True:
        want = {"id": proposal["id"], "wait_s": 120, "stdout_offset": offset}
        report = answer(await client.call_tool("await_result", want, progress_callback=told))
        out += report["stdout"].get("text", "")
        offset = report["stdout"]["next_offset"]
        if report["ended"] and not report["stdout"]["more"]:
            return {
                "step": number,
                "why": why,
                "id": proposal["id"],
                "state": report["state"],
                "exit_status": report.get("exit_status"),
                "reason": report.get("reason"),
                "stdout": out,
            }


async def main(words):
    async with tools(words) as client:
        hosts = answer(await client.call_tool("list_hosts", {}))["hosts"]
        if not any(host["name"] == words.host and host["connected"] for host in hosts):
            sys.exit(f"there is no open connection to {words.host}: ask your person for one")
        done = []
        for number, (why, what) in enumerate(STEPS, 1):
            done.append(await step(client, words.host, number, why, what))
            print(json.dumps(done[-1]), flush=True)
            if done[-1]["state"] == "denied":
                # A person who says no has a reason: what comes next would be pushing.
                break
        print(json.dumps({"executed": sum(d["state"] == "executed" for d in done), "of": len(STEPS)}))


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("host", metavar="HOST")
parser.add_argument("--http", metavar="URL")
parser.add_argument("--token-file", metavar="FILE")
parser.add_argument("command", nargs="*", metavar="COMMAND", help="what speaks MCP on standard input and output, after `--`")
given = parser.parse_args()
if bool(given.http) == bool(given.command) or bool(given.http) != bool(given.token_file):
    parser.error("give either --http URL --token-file FILE, or -- COMMAND")
asyncio.run(main(given))
