"""The example session, which `make run` prints and README.md shows, works if it is pasted into a shell."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from development import example
from tests.support.processes import Processes, base_environment

pytestmark = pytest.mark.servers

CHECKOUT = Path(__file__).parents[2]

CURL = f"""\
#!{sys.executable}
import sys, urllib.request
_, silent, url, _, header, _, body = sys.argv
request = urllib.request.Request(url, body.encode(), dict([header.split(": ")]))
print(urllib.request.urlopen(request).read().decode())
"""
"""As much of curl as the example needs, for a machine without curl."""


async def test_two_people_chat_across_two_nodes_by_the_printed_commands(processes: Processes, tmp_path: Path) -> None:
    api = await processes.api()
    first, second = await processes.gateway(), await processes.gateway()
    environment = base_environment()
    if shutil.which("curl") is None:
        curl = tmp_path / "curl"
        curl.write_text(CURL)
        curl.chmod(0o755)
        environment["PATH"] += f":{tmp_path}"
    session = example.session(api.url, first.url, second.url).replace(".venv/bin/python", shlex.quote(sys.executable))
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-e", "-c", session),
        cwd=CHECKOUT,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await shell.communicate()
    assert (shell.returncode, errors) == (0, b""), output
    lines = [json.loads(line) for line in output.splitlines()]
    # Two programs write to one output: Bob's frames are in order, with Ann's reply anywhere between them.
    [sent] = [line for line in lines if isinstance(line, dict)]
    joined, arrived = (line for line in lines if isinstance(line, list))
    assert sent["status"] == "ok"
    assert joined[3:] == ["phx_reply", {"response": {}, "status": "ok"}]
    assert arrived[3] == "send"
    assert arrived[4]["message"] == "Is the Corolla still there?"
    assert arrived[4]["id"] == sent["response"]["id"]


def test_the_readme_shows_the_session_that_is_printed() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    default = example.session("http://127.0.0.1:4001", "http://127.0.0.1:4000", "http://127.0.0.1:4002")
    assert default in readme
