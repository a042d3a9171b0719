"""The health check of the containers says whether the process is ready, and imports little."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from aiohttp import web

from shared.healthcheck import main
from tests.support.ports import free_port


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
async def test_the_answer_is_printed_and_its_status_counts(
    status: int, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"status": "words"}, status=status)

    app = web.Application()
    app.router.add_get("/health/ready", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    assert await asyncio.to_thread(main, [str(port)]) == code
    assert capsys.readouterr().out == '{"status": "words"}\n'
    await runner.cleanup()


async def test_nobody_and_a_connection_that_ends_are_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    assert await asyncio.to_thread(main, [str(port)]) == 1
    assert capsys.readouterr().out.startswith("no answer: ")
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
    async with server:
        assert await asyncio.to_thread(main, [str(port)]) == 1
    assert capsys.readouterr().out.startswith("no answer: ")


@pytest.mark.servers
def test_it_imports_neither_http_nor_asyncio() -> None:
    script = "import sys, shared.healthcheck; print(*sorted({'http', 'email', 'ssl', 'asyncio'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
